//! From a code, or a refresh token, to tokens.
//!
//! A code or refresh token that comes a second time ends everything that came of it: two have it, and one of them should not.
//! Source: RFC 6749 4.1.3 and 6, RFC 7636 4.6, RFC 9700 4.14, OpenID Connect Core 3.1.3.3,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html>, `scopes-and-launch-context.html`.

use super::AuthState;
use super::endpoint::{Form, OAuthAnswer, OAuthError};
use super::people::{display, fhir_user};
use super::token::{self, hash, mint, random_text};
use super::witness::Scene;
use crate::access::Role;
use crate::access::scope::Scopes;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::audit::Happening;
use crate::store::oauth::{Client, Code, Grant, Refresh, User};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Scopes longer than this stand in the grant, and the token has its name: headers have an end.
const LONG_SCOPE: usize = 1 << 10;

/// One text whatever is wrong; the reason is for the log.
fn invalid_grant(client: &Client, why: &'static str) -> OAuthError {
    tracing::info!(client = client.id, why, "a grant was refused");
    OAuthError::new(400, "invalid_grant", "the code or refresh token does not hold")
}

/// `grant_type=authorization_code`.
///
/// # Errors
/// `invalid_request`, `invalid_grant`.
pub async fn code(
    state: &AuthState,
    client: &Client,
    form: &Form,
    scene: Scene<'_>,
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    let missing = |name: &str| OAuthError::invalid_request(format!("{name} is missing"));
    let given = hash(form.get("code").ok_or_else(|| missing("code"))?);
    let redirect_uri = form.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    let refuse = |why| invalid_grant(client, why);
    let code = state.store.code(&given).await?.ok_or_else(|| refuse("unknown code"))?;
    let grant = state.store.grant(&code.grant).await?.filter(|g| g.client == client.id);
    let grant = grant.ok_or_else(|| refuse("another client's code"))?;
    if code.used != 0 {
        return Err(replayed(state, client, &grant, ("a code was played again", scene), now).await?);
    }
    if code.expires <= now.0 || grant.revoked != 0 {
        return Err(refuse("code is over"));
    }
    if code.redirect_uri != redirect_uri {
        return Err(refuse("redirect_uri"));
    }
    // No length is checked: a verifier of the wrong length has another hash.
    let verifier = form.get("code_verifier").ok_or_else(|| refuse("code_verifier is missing"))?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    if !bool::from(challenge.as_bytes().ct_eq(code.challenge.as_bytes())) {
        return Err(refuse("code_verifier"));
    }
    if form.get("resource").is_some_and(|r| r != state.parties.audience) {
        return Err(OAuthError::new(400, "invalid_target", "resource is the base of this FHIR server"));
    }
    let (user, role) = holder(state, client, &grant, now).await?.ok_or_else(|| refuse("user"))?;
    let scopes = Scopes::parse(&grant.scope);
    let refreshes = client.may("refresh_token") && (scopes.has("offline_access") || scopes.has("online_access"));
    let secret = random_text::<32>()?;
    let refresh = Refresh { hash: hash(&secret), grant: grant.id.clone(), expires: grant.expires, used: 0 };
    if !state.store.redeem_code(&given, refreshes.then_some(&refresh), now).await? {
        return Err(replayed(state, client, &grant, ("a code was redeemed twice at once", scene), now).await?);
    }
    let made = Made { grant: &grant, user: &user, role, scopes: &scopes, code: Some(&code) };
    answer(state, client, &made, (refreshes.then_some(secret), scene), now).await
}

/// `grant_type=refresh_token`.
///
/// # Errors
/// `invalid_request`, `invalid_grant`, `invalid_scope`.
pub async fn refresh(
    state: &AuthState,
    client: &Client,
    form: &Form,
    scene: Scene<'_>,
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    let given = form.get("refresh_token").ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let given = hash(given);
    let refuse = |why| invalid_grant(client, why);
    let old = state.store.refresh(&given).await?.ok_or_else(|| refuse("unknown refresh token"))?;
    let grant = state.store.grant(&old.grant).await?.filter(|g| g.client == client.id);
    let grant = grant.ok_or_else(|| refuse("another client's refresh token"))?;
    if old.used != 0 {
        return Err(replayed(state, client, &grant, ("a refresh token was used again", scene), now).await?);
    }
    if old.expires <= now.0 || grant.revoked != 0 || grant.expires <= now.0 {
        return Err(refuse("refresh token is over"));
    }
    let is_online = !grant.session.is_empty();
    if is_online && state.store.oauth_session(&grant.session).await?.is_none_or(|s| s.expires <= now.0) {
        return Err(refuse("the login that it hangs on is over"));
    }
    let (user, role) = holder(state, client, &grant, now).await?.ok_or_else(|| refuse("user"))?;
    let whole = Scopes::parse(&grant.scope);
    let scopes = match form.get("scope") {
        None => whole,
        Some(asked) => narrower(asked, &whole)
            .ok_or_else(|| OAuthError::new(400, "invalid_scope", "a refresh gives what was granted, or less"))?,
    };
    let secret = random_text::<32>()?;
    let idle = i64::try_from(state.limits.offline_seconds).unwrap_or(i64::MAX);
    let until = if is_online { grant.expires } else { now.plus_seconds(idle).0 };
    let new = Refresh { hash: hash(&secret), grant: grant.id.clone(), expires: until, used: 0 };
    if !state.store.rotate_refresh(&given, &new, until, now).await? {
        return Err(replayed(state, client, &grant, ("a refresh token was used twice at once", scene), now).await?);
    }
    let made = Made { grant: &grant, user: &user, role, scopes: &scopes, code: None };
    answer(state, client, &made, (Some(secret), scene), now).await
}

/// Ends the grant.
async fn replayed(
    state: &AuthState,
    client: &Client,
    grant: &Grant,
    (why, scene): (&'static str, Scene<'_>),
    now: Instant,
) -> Result<OAuthError> {
    let held = state.store.revoke_grant(&grant.id, now).await?;
    state.forget_tokens();
    let about = |what, outcome| {
        let mut row = state.of_client(what, client, outcome, now).because(why);
        row.usr.clone_from(&grant.user);
        row
    };
    state.note_often(scene, about(Happening::Replay, 400));
    if held {
        state.note(scene, about(Happening::TokenRevoked, 200));
    }
    tracing::warn!(client = client.id, grant = grant.id, why, "a grant was ended");
    Ok(invalid_grant(client, why))
}

/// The user of a grant, if login, role and organisation still hold.
async fn holder(state: &AuthState, client: &Client, grant: &Grant, now: Instant) -> Result<Option<(User, Role)>> {
    let found = state.user(&grant.user, now).await?;
    Ok(found.filter(|(user, _)| client.org.is_none() || client.org == user.org))
}

/// What is asked for, when all of it was granted.
fn narrower(asked: &str, whole: &Scopes) -> Option<Scopes> {
    use crate::access::scope::Level::{Patient, System, User};
    let words = asked.split(' ').filter(|w| !w.is_empty()).count();
    let wants = Scopes::parse(asked);
    let mut scopes = wants.within(whole, &[Patient, User, System]);
    scopes.others = wants.others.iter().filter(|o| whole.has(o)).copied().collect();
    (words > 0 && scopes.data.len() + scopes.others.len() == words).then_some(scopes)
}

/// What tokens are made of.
struct Made<'a> {
    grant: &'a Grant,
    user: &'a User,
    role: Role,
    scopes: &'a Scopes,
    code: Option<&'a Code>,
}

async fn answer(
    state: &AuthState,
    client: &Client,
    made: &Made<'_>,
    (refresh, scene): (Option<String>, Scene<'_>),
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    let scope = made.scopes.to_string();
    let is_whole = scope == made.grant.scope && scope.len() > LONG_SCOPE;
    let seconds = state.limits.user_token_seconds;
    let grant = token::Grant {
        sub: made.user.sub.clone(),
        client_id: client.id.clone(),
        scope: if is_whole { String::new() } else { scope.clone() },
        org: made.user.org.clone(),
        role: made.role,
        practitioner: made.user.practitioner.clone(),
        seconds,
        id: Some(made.grant.id.clone()),
        cnf: bound(made.grant),
    };
    let (access_token, claims) = mint(&*state.keys()?, &state.parties, &grant, now)?;
    let mut body = context(made.grant);
    for (name, value) in [
        ("access_token", json!(access_token)),
        ("token_type", json!(token::kind(grant.cnf.as_ref()))),
        ("expires_in", json!(seconds)),
        ("scope", json!(scope)),
    ] {
        body.insert(name.into(), value);
    }
    if let Some(secret) = refresh {
        body.insert("refresh_token".into(), secret.into());
    }
    if made.scopes.has("openid") {
        body.insert("id_token".into(), id_token(state, client, made, now).await?.into());
    }
    tracing::info!(client = client.id, user = made.user.sub, scope, "an access token was made");
    let why = if made.code.is_some() { "authorization_code" } else { "refresh_token" };
    let mut row = state.of_user(Happening::TokenIssued, made.user, &client.id, now).because(why);
    row.detail.token = Some(claims.jti);
    row.detail.on = about(&made.grant.patient);
    state.note(scene, row);
    Ok(OAuthAnswer::new(200, &Value::Object(body)))
}

/// What the tokens of a grant are bound to. Nothing here binds one yet; what is bound stays so.
#[must_use]
pub fn bound(grant: &Grant) -> Option<Value> {
    (!grant.cnf.is_empty()).then(|| serde_json::from_str(&grant.cnf).unwrap_or(Value::Null))
}

/// `Patient/id` of the patient in context, or "".
#[must_use]
pub fn about(patient: &str) -> String {
    if patient.is_empty() { String::new() } else { format!("Patient/{patient}") }
}

/// What an app learns of the launch: patient, encounter, and what the EHR said.
#[must_use]
pub fn context(grant: &Grant) -> Map<String, Value> {
    let mut out = match serde_json::from_str(&grant.context) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for (name, id) in [("patient", &grant.patient), ("encounter", &grant.encounter)] {
        if !id.is_empty() {
            out.insert(name.into(), json!(id));
        }
    }
    out
}

/// Signs who the user is.
async fn id_token(state: &AuthState, client: &Client, made: &Made<'_>, now: Instant) -> Result<String> {
    let iat = now.0.div_euclid(1_000_000);
    let seconds = i64::try_from(state.limits.user_token_seconds).unwrap_or(0);
    let mut claims = json!({
        "iss": state.parties.issuer,
        "sub": made.user.sub,
        "aud": client.id,
        "iat": iat,
        "exp": iat.saturating_add(seconds),
    });
    if let Some(code) = made.code {
        claims["auth_time"] = json!(code.auth_time.div_euclid(1_000_000));
        if !code.nonce.is_empty() {
            claims["nonce"] = json!(code.nonce);
        }
    }
    if made.scopes.has("fhirUser")
        && let Some(reference) = fhir_user(made.user)
    {
        claims["fhirUser"] = json!(format!("{}/{reference}", state.parties.audience));
    }
    if made.scopes.has("profile") {
        claims["name"] = json!(display(state, made.user, now).await?);
    }
    let keys = state.keys()?;
    let key = keys.newest(Algorithm::RS256)?;
    let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::RS256) };
    jsonwebtoken::encode(&header, &claims, &key.encoding)
        .map_err(|e| Error::fault("an id_token could not be signed").caused_by(e))
}
