//! Whether a token is good, and an end to it.
//!
//! Whoever asks shows who it is, and learns of its own tokens only: to anybody else a token is one that does not hold.
//! Source: RFC 7662, RFC 7009, <https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html>.

use super::AuthState;
use super::bearer::Asked;
use super::client;
use super::endpoint::{Form, OAuthAnswer, OAuthError, TokenRequest};
use super::exchange::{about, bound, context};
use super::people::fhir_user;
use super::token::{self, Claims, hash};
use crate::access::scope::{Level, Scopes};
use crate::clock::Instant;
use crate::error::Result;
use crate::store::audit::Happening;
use crate::store::oauth::Grant;
use serde_json::{Value, json};

/// `POST /auth/introspect`.
pub async fn introspect(state: &AuthState, request: &TokenRequest<'_>, now: Instant) -> OAuthAnswer {
    let answer = async {
        let form = request.form()?;
        let asker = asker(state, request, &form, now).await?;
        let body = match form.get("token") {
            None => return Err(OAuthError::invalid_request("token is missing")),
            Some(token) => look(state, token, &asker, now).await?,
        };
        Ok(OAuthAnswer::new(200, &body.unwrap_or_else(|| json!({"active": false}))))
    };
    answer.await.unwrap_or_else(OAuthError::answer)
}

/// `POST /auth/revoke`.
pub async fn revoke(state: &AuthState, request: &TokenRequest<'_>, now: Instant) -> OAuthAnswer {
    let answer = async {
        let form = request.form()?;
        let basic = request.one_authorization()?;
        let endpoint = state.parties.url("/auth/token");
        let asker = client::Asker { form: &form, basic, scene: request.scene };
        let client = client::authenticate(state, &endpoint, asker, now).await?;
        let token = form.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
        let grant = match state.store.refresh(&hash(token)).await? {
            Some(refresh) => Some(refresh.grant),
            None => match verified(state, token, now)? {
                // A program's own token: nothing stands behind it but itself.
                Some(claims) if claims.grant.is_none() && claims.client_id == client.id => {
                    // A minute more than it is taken for.
                    let held = state.store.revoke_token(&claims.jti, claims.exp + 60, now).await?;
                    state.forget_tokens();
                    if held {
                        state.note(
                            request.scene,
                            state.of_client(Happening::TokenRevoked, &client, 200, now).because("by the app"),
                        );
                    }
                    None
                }
                claims => claims.and_then(|c| c.grant),
            },
        };
        if let Some(id) = grant
            && let Some(grant) = state.store.grant(&id).await?.filter(|g| g.client == client.id)
        {
            let held = state.store.revoke_grant(&grant.id, now).await?;
            state.forget_tokens();
            tracing::info!(client = client.id, grant = grant.id, "an app gave its grant back");
            if held {
                let mut row = state.of_client(Happening::TokenRevoked, &client, 200, now).because("by the app");
                (row.usr, row.detail.on) = (grant.user, about(&grant.patient));
                state.note(request.scene, row);
            }
        }
        // One text for what was taken back, what was nobody's, and what is another's.
        Ok(OAuthAnswer::new(200, &json!({})))
    };
    answer.await.unwrap_or_else(OAuthError::answer)
}

/// The client that asks: by its own authentication, or by an access token that it has.
async fn asker(state: &AuthState, request: &TokenRequest<'_>, form: &Form, now: Instant) -> Result<String, OAuthError> {
    let header = request.one_authorization()?;
    let is_bearer = header.is_some_and(|h| h.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("bearer ")));
    if !is_bearer {
        let endpoint = state.parties.url("/auth/token");
        let asker = client::Asker { form, basic: header, scene: request.scene };
        let client = client::authenticate(state, &endpoint, asker, now).await?;
        // An id alone is no proof: a public client asks with a token of its own.
        return match client.kind {
            crate::store::oauth::Kind::Public => Err(OAuthError::invalid_client(false)),
            _ => Ok(client.id),
        };
    }
    let asked = Asked { authorization: header.into_iter().collect(), ..Asked::default() };
    match state.bearer(&asked, now).await {
        Ok(principal) => Ok(principal.client.clone()),
        Err(error) if error.kind.status() < 500 => Err(OAuthError::invalid_token()),
        Err(error) => Err(error.into()),
    }
}

fn verified(state: &AuthState, token: &str, now: Instant) -> Result<Option<Claims>> {
    Ok(token::verify(&*state.keys()?, &state.parties, token, now).ok())
}

async fn look(state: &AuthState, token: &str, asker: &str, now: Instant) -> Result<Option<Value>, OAuthError> {
    if token.len() > token::MAX_BYTES {
        return Ok(None);
    }
    if let Some(refresh) = state.store.refresh(&hash(token)).await? {
        let grant = state.store.grant(&refresh.grant).await?;
        let Some(grant) = grant.filter(|g| g.client == asker && refresh.used == 0 && refresh.expires > now.0) else {
            return Ok(None);
        };
        let exp = refresh.expires.div_euclid(1_000_000);
        return of_user(state, &grant, &grant.scope, exp, now).await;
    }
    let Some(claims) = verified(state, token, now)?.filter(|c| c.client_id == asker) else { return Ok(None) };
    // What the door would say of it: client, user, role and grant are looked at.
    match state.holder(token, now).await {
        Ok(_) => {}
        Err(error) if error.kind.status() < 500 => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    match &claims.grant {
        None => {
            let mut body = json!({
                "active": true, "scope": claims.scope, "client_id": claims.client_id, "exp": claims.exp, "iat": claims.iat,
                "iss": claims.iss, "sub": claims.sub, "aud": claims.aud, "token_type": token::kind(claims.cnf.as_ref()),
            });
            if let Some(cnf) = claims.cnf {
                body["cnf"] = cnf;
            }
            Ok(Some(body))
        }
        Some(id) => match state.store.grant(id).await? {
            None => Ok(None),
            Some(grant) => {
                let scope = if claims.scope.is_empty() { &grant.scope } else { &claims.scope };
                of_user(state, &grant, scope, claims.exp, now).await
            }
        },
    }
}

/// What is said of a user's token: what the token response said.
async fn of_user(
    state: &AuthState,
    grant: &Grant,
    scope: &str,
    exp: i64,
    now: Instant,
) -> Result<Option<Value>, OAuthError> {
    let found = state.user(&grant.user, now).await?;
    let client = state.store.oauth_client(&grant.client).await?.filter(|c| c.is_active);
    let (Some((user, _)), Some(client), 0) = (found, client, grant.revoked) else { return Ok(None) };
    let scopes = Scopes::parse(scope);
    let mut held = scopes.within(&Scopes::parse(&client.scopes), &[Level::Patient, Level::User]);
    held.others = scopes.others;
    let (mut body, cnf) = (context(grant), bound(grant));
    for (name, value) in [
        ("active", json!(true)),
        ("scope", json!(held.to_string())),
        ("client_id", json!(grant.client)),
        ("exp", json!(exp)),
        ("aud", json!(state.parties.audience)),
        ("token_type", json!(token::kind(cnf.as_ref()))),
    ] {
        body.insert(name.into(), value);
    }
    // Whoever takes the token must know what to ask for beside it (RFC 9449 6.2, RFC 8705 3.2).
    if let Some(cnf) = cnf {
        body.insert("cnf".into(), cnf);
    }
    if held.has("openid") {
        body.insert("iss".into(), json!(state.parties.issuer));
        body.insert("sub".into(), json!(user.sub));
        if held.has("fhirUser")
            && let Some(reference) = fhir_user(&user)
        {
            body.insert("fhirUser".into(), json!(format!("{}/{reference}", state.parties.audience)));
        }
    }
    Ok(Some(Value::Object(body)))
}
