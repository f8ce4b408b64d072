//! What an app asks at `/auth/authorize`: read, held against its registration, kept until the user answers.
//!
//! Nothing is sent to an address that is not, byte for byte, one of the app's: before that is sure, what is wrong is said on
//! a page. Source: RFC 6749 4.1, RFC 7636 (S256 alone), RFC 8707, RFC 9207, RFC 9700,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html>; OpenID Connect Core 3.1.2.1 (`prompt`, `max_age`).

use super::web::{encode, problem, redirect};
use crate::access::scope::{Level, Scopes};
use crate::auth::AuthState;
use crate::auth::endpoint::Form;
use crate::auth::endpoint::OAuthAnswer;
use crate::auth::token::hash;
use crate::clock::Instant;
use crate::error::Result;
use crate::store::oauth::{Client, Kind};
use serde::{Deserialize, Serialize};

/// A request that passed; what is kept until the user answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// `client_id`.
    pub client: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What may be granted: asked for and registered.
    pub scope: String,
    /// As it came.
    pub state: String,
    /// For the id_token; empty: none.
    pub nonce: String,
    /// S256.
    pub challenge: String,
    /// Hash of the handle of an EHR's launch; empty: the app started by itself.
    pub launch: String,
    /// The user logs in again, even when they are: the login must be younger than this, in microseconds; 0: any.
    pub not_before: i64,
    /// `prompt=none`: nobody is asked anything.
    pub is_silent: bool,
}

/// What becomes of a request that does not pass.
#[derive(Debug)]
pub enum Wrong {
    /// A page: there is no address that is known to be the app's.
    Page(&'static str),
    /// To the app: `error` and a sentence.
    App(&'static str, &'static str),
}

impl Ask {
    /// The answer to the app.
    #[must_use]
    pub fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> OAuthAnswer {
        answer(&self.redirect_uri, &self.state, issuer, parameters)
    }

    /// A refusal to the app.
    #[must_use]
    pub fn refuse(&self, issuer: &str, error: &str, description: &str) -> OAuthAnswer {
        self.answer(issuer, &[("error", error), ("error_description", description)])
    }

    /// The scopes.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        Scopes::parse(&self.scope)
    }
}

fn answer(to: &str, state: &str, issuer: &str, parameters: &[(&str, &str)]) -> OAuthAnswer {
    let mut url = to.to_owned();
    let mut sign = if to.contains('?') { '&' } else { '?' };
    let state = (!state.is_empty()).then_some(("state", state));
    for (name, value) in parameters.iter().copied().chain(state).chain([("iss", issuer)]) {
        url.push(sign);
        url.push_str(name);
        url.push('=');
        url.push_str(&encode(value));
        sign = '&';
    }
    redirect(&url, Some(to))
}

/// Reads a request. The answer of an `Err` is complete.
///
/// # Errors
/// A page, or a redirect to the app.
pub async fn read(state: &AuthState, parameters: &[u8], now: Instant) -> Result<Result<Ask, OAuthAnswer>> {
    let page = |why: &str| problem(400, "This app cannot be let in", why);
    let Ok((form, doubled)) = Form::parse_first(parameters) else {
        return Ok(Err(page("Its request cannot be read. Go back to the app and try again.")));
    };
    let client = match form.get("client_id").filter(|id| crate::fhir::resource::is_id(id)) {
        Some(id) => state.store.oauth_client(id).await?,
        None => None,
    };
    let is_doubled = |name: &str| doubled.iter().any(|d| d == name);
    let client = client.filter(|c| c.is_active && c.kind != Kind::None && c.may("authorization_code"));
    let Some(client) = client.filter(|_| !is_doubled("client_id")) else {
        return Ok(Err(page(
            "It is not registered here. If it should be, tell whoever looks after Baton at your place.",
        )));
    };
    let to = form.get("redirect_uri").filter(|uri| client.redirect_uris.iter().any(|known| known == uri));
    let Some(to) = to.filter(|_| !is_doubled("redirect_uri")) else {
        return Ok(Err(page("It asks for the answer at an address that is not registered as its own.")));
    };
    let app_state = form.get("state").filter(|_| !is_doubled("state")).unwrap_or_default();
    let refused = |error, text| {
        tracing::info!(client = client.id, error, text, "an authorization request was refused");
        Ok(Err(answer(to, app_state, &state.parties.issuer, &[("error", error), ("error_description", text)])))
    };
    if !doubled.is_empty() {
        return refused("invalid_request", "a parameter comes twice");
    }
    let ask = match judge(state, &form, &client, to, now) {
        Ok(ask) => ask,
        Err((error, text)) => return refused(error, text),
    };
    if !ask.launch.is_empty() {
        let launch = state.store.launch(&ask.launch).await?;
        if launch.is_none_or(|l| l.client != client.id || l.used != 0 || l.expires <= now.0) {
            return refused("invalid_request", "launch is no handle that was made for this app just now");
        }
    }
    Ok(Ok(ask))
}

fn judge(
    state: &AuthState,
    form: &Form,
    client: &Client,
    to: &str,
    now: Instant,
) -> Result<Ask, (&'static str, &'static str)> {
    let invalid = |text| ("invalid_request", text);
    if form.get("request").is_some() {
        return Err(("request_not_supported", "send the parameters themselves"));
    }
    if form.get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "send the parameters themselves"));
    }
    match form.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "response_type is code")),
        None => return Err(invalid("response_type is missing; it is code")),
    }
    if form.get("response_mode").is_some_and(|m| m != "query") {
        return Err(invalid("response_mode is query"));
    }
    let app_state = form.get("state").ok_or(invalid("state is missing"))?;
    if form.get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method is S256"));
    }
    let is_challenge = |c: &&str| c.len() == 43 && c.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let challenge = form.get("code_challenge").filter(is_challenge);
    let challenge =
        challenge.ok_or(invalid("code_challenge is the SHA-256 of code_verifier in base64url, 43 characters"))?;
    let (aud, resource) = (form.get("aud"), form.get("resource"));
    let for_us = [aud, resource].into_iter().flatten().all(|a| a == state.parties.audience);
    if !for_us || (aud.is_none() && resource.is_none()) {
        return Err(invalid("aud is the base of this FHIR server"));
    }
    let scope = form.get("scope").ok_or(("invalid_scope", "scope is missing"))?;
    if scope.len() > Scopes::MAX_BYTES {
        return Err(("invalid_scope", "scope is too long"));
    }
    let scopes = offered(scope, client);
    if scopes.data.is_empty() && !scopes.has("openid") {
        return Err(("invalid_scope", "none of the scopes is registered for this app"));
    }
    let launch = match (form.get("launch"), scopes.has("launch")) {
        (None, true) => return Err(invalid("the scope launch goes with the parameter launch, which an EHR gives")),
        (Some(_), false) => return Err(invalid("the parameter launch goes with the scope launch")),
        (handle, _) => handle.map(hash).unwrap_or_default(),
    };
    let prompts: Vec<&str> = form.get("prompt").unwrap_or_default().split(' ').collect();
    let age = form.get("max_age").map(|a| a.parse::<u32>().map_err(|_| invalid("max_age is a number of seconds")));
    let youngest = age.transpose()?.map_or(0, |a| now.plus_seconds(-i64::from(a)).0);
    let is_silent = prompts.contains(&"none");
    if is_silent && prompts.len() > 1 {
        return Err(invalid("prompt is none, or others"));
    }
    Ok(Ask {
        client: client.id.clone(),
        redirect_uri: to.into(),
        scope: scopes.to_string(),
        state: app_state.into(),
        nonce: form.get("nonce").unwrap_or_default().into(),
        challenge: challenge.into(),
        launch,
        not_before: if prompts.contains(&"login") { now.0 } else { youngest },
        is_silent,
    })
}

/// What is asked for and registered: data scopes of people, and the others.
fn offered(asked: &str, client: &Client) -> Scopes {
    let (asked, registered) = (Scopes::parse(asked), Scopes::parse(&client.scopes));
    let mut scopes = asked.within(&registered, &[Level::Patient, Level::User]);
    let may_refresh = client.may("refresh_token");
    let counts = |o: &&&str| registered.has(o) && (may_refresh || !o.ends_with("_access"));
    scopes.others = asked.others.iter().filter(counts).copied().collect();
    scopes
}
