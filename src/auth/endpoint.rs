//! The token endpoint: one form in, one JSON out, never cached.
//!
//! For: `POST /auth/token`. Takes what http read off the wire and gives what it is to write.
//! Not for: what codes and refresh tokens give (`exchange.rs`), or asking people (`page`).
//! Source: RFC 6749 3.2, 4.4, 5.

use super::bearer::AuthState;
use super::token::{Grant, mint};
use super::witness::Scene;
use super::{client, exchange, standing};
use crate::access::Role;
use crate::access::scope::{Level, Scopes};
use crate::clock::Instant;
use crate::error::{Error, Kind};
use crate::store::Audit;
use crate::store::audit::Happening;
use crate::store::oauth::{self, Client};
use serde_json::json;
use std::borrow::Cow;

/// What tokens are given for.
pub const GRANTS: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

/// Longest form that is looked at.
pub const MAX_FORM: usize = 64 << 10;

/// A token request as it came.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Whether the URL has a query.
    pub has_query: bool,
    /// All `Authorization` headers.
    pub authorization: Vec<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// Where it comes from.
    pub scene: Scene<'a>,
}

/// An answer as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

impl TokenRequest<'_> {
    /// The form of a request that came as one.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn form(&self) -> Result<Form, OAuthError> {
        let media = self.content_type.and_then(|t| t.split(';').next()).unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("send the parameters as application/x-www-form-urlencoded"));
        }
        if self.has_query {
            return Err(OAuthError::invalid_request(
                "parameters go into the form, never into the URL, where logs keep them",
            ));
        }
        Form::parse(self.body)
    }

    /// The one `Authorization` header, if there is one.
    ///
    /// # Errors
    /// `invalid_request` when it comes twice.
    pub fn one_authorization(&self) -> Result<Option<&str>, OAuthError> {
        match self.authorization.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(OAuthError::invalid_request("Authorization comes twice")),
        }
    }
}

impl OAuthAnswer {
    /// JSON that is never cached.
    #[must_use]
    pub fn new(status: u16, body: &serde_json::Value) -> Self {
        let headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")];
        Self { status, headers: headers.map(|(n, v)| (n, v.to_owned())).to_vec(), body: body.to_string().into_bytes() }
    }
}

/// A refusal as RFC 6749 5.2 has it.
#[derive(Debug)]
pub struct OAuthError {
    status: u16,
    error: &'static str,
    description: Cow<'static, str>,
    header: Option<(&'static str, &'static str)>,
}

impl OAuthError {
    /// Any other.
    pub fn new(status: u16, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, description: description.into(), header: None }
    }

    /// 400: the request is not one.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// 401, always the same text. `is_basic`: the client tried Basic, so the answer names it.
    #[must_use]
    pub fn invalid_client(is_basic: bool) -> Self {
        let mut error = Self::new(401, "invalid_client", "the client could not be authenticated");
        if is_basic {
            error.header = Some(("WWW-Authenticate", "Basic realm=\"baton\", charset=\"UTF-8\""));
        }
        error
    }

    /// 401 to a bearer token that does not hold.
    #[must_use]
    pub fn invalid_token() -> Self {
        let header = Some(("WWW-Authenticate", "Bearer realm=\"baton\", error=\"invalid_token\""));
        Self { header, ..Self::new(401, "invalid_token", "the access token does not hold") }
    }

    /// As it is to be written.
    #[must_use]
    pub fn answer(self) -> OAuthAnswer {
        let mut answer =
            OAuthAnswer::new(self.status, &json!({"error": self.error, "error_description": self.description}));
        answer.headers.extend(self.header.map(|(n, v)| (n, v.to_owned())));
        answer
    }
}

/// What the store says: a full server or a fault of ours, never the reason.
impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        if matches!(error.kind, Kind::Busy | Kind::TooMany) {
            let header = Some(("Retry-After", "1"));
            return Self { header, ..Self::new(503, "temporarily_unavailable", "the server is full; try again") };
        }
        tracing::error!(%error, "the token endpoint failed");
        Self::new(500, "server_error", "a fault of the server; it is in the log")
    }
}

/// The members of a form, each once.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `invalid_request` for what does not decode to UTF-8, and for a parameter that comes twice (RFC 6749 3.2).
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let (form, doubled) = Self::parse_first(body)?;
        match doubled.is_empty() {
            true => Ok(form),
            false => Err(OAuthError::invalid_request("a parameter of the form comes twice")),
        }
    }

    /// Reads the same, the first of each name, and gives the names that come twice.
    ///
    /// # Errors
    /// `invalid_request` for what does not decode to UTF-8, or is too much.
    pub fn parse_first(body: &[u8]) -> Result<(Self, Vec<String>), OAuthError> {
        if body.len() > MAX_FORM {
            return Err(OAuthError::invalid_request("the form is too long"));
        }
        let bad = || OAuthError::invalid_request("the form does not decode to UTF-8");
        let text = std::str::from_utf8(body).map_err(|_| bad())?;
        let mut form = Self::default();
        let mut doubled = Vec::new();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (form_decode(name).ok_or_else(bad)?, form_decode(value).ok_or_else(bad)?);
            if form.0.iter().any(|(n, _)| *n == name) {
                doubled.push(name);
                continue;
            }
            if form.0.len() >= 100 {
                return Err(OAuthError::invalid_request("the form has too many parameters"));
            }
            form.0.push((name, value));
        }
        Ok((form, doubled))
    }

    /// All names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The value; a parameter without one counts as absent (RFC 6749 3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

/// Decodes `+` and `%xx`; `None` when the result is not UTF-8 or a `%` stands alone.
#[must_use]
pub fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let percents = spaced.as_bytes().split(|b| *b == b'%').skip(1);
    if percents.into_iter().any(|rest| !matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())) {
        return None;
    }
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// Answers a token request.
pub async fn token(state: &AuthState, request: &TokenRequest<'_>, now: Instant) -> OAuthAnswer {
    let mut known = None;
    match grant(state, request, &mut known, now).await {
        Ok(answer) => answer,
        Err(error) => {
            let status = i64::from(error.status);
            let row = match &known {
                Some(client) => state.of_client(Happening::TokenRefused, client, status, now),
                None => Audit::happening(Happening::TokenRefused, now, "", "", status),
            };
            state.note_often(request.scene, row.because(error.error));
            error.answer()
        }
    }
}

/// What a request by another method gets.
#[must_use]
pub fn post_only() -> OAuthAnswer {
    OAuthError::new(405, "invalid_request", "a token is asked for by POST, with a form").answer()
}

/// `known`: the client, once it has shown who it is.
async fn grant(
    state: &AuthState,
    request: &TokenRequest<'_>,
    known: &mut Option<Client>,
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    let form = request.form()?;
    let basic = request.one_authorization()?;
    let asked = form.get("grant_type").ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    if !GRANTS.contains(&asked) {
        let text = "grant_type is authorization_code, refresh_token or client_credentials";
        return Err(OAuthError::new(400, "unsupported_grant_type", text));
    }
    let asker = client::Asker { form: &form, basic, scene: request.scene };
    let client = known.insert(client::authenticate(state, &state.parties.token_endpoint(), asker, now).await?);
    if !client.may(asked) {
        return Err(OAuthError::new(400, "unauthorized_client", "the client is not registered for this grant_type"));
    }
    match asked {
        "authorization_code" => exchange::code(state, client, &form, request.scene, now).await,
        "refresh_token" => exchange::refresh(state, client, &form, request.scene, now).await,
        _ => credentials(state, client, &form, (basic.is_some(), request.scene), now).await,
    }
}

/// `grant_type=client_credentials`: a program for itself.
async fn credentials(
    state: &AuthState,
    client: &Client,
    form: &Form,
    (is_basic, scene): (bool, Scene<'_>),
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    if client.kind == oauth::Kind::Public {
        return Err(OAuthError::new(400, "unauthorized_client", "a public client has nothing to show who it is"));
    }
    let invalid_scope = |text| OAuthError::new(400, "invalid_scope", text);
    let asked =
        form.get("scope").ok_or_else(|| invalid_scope("scope is missing; ask for scopes such as system/Task.rs"))?;
    if asked.len() > Scopes::MAX_BYTES {
        return Err(invalid_scope("scope is too long"));
    }
    let granted = Scopes::parse(asked).held(&Scopes::parse(&client.scopes), &[Level::System]);
    if granted.is_empty() {
        return Err(invalid_scope("none of the scopes is registered for this client"));
    }
    let role = Role::parse(&client.role).ok_or_else(|| Error::fault("a client has a role that does not exist"))?;
    if let Some(org) = &client.org {
        match standing::organization(&state.store, org).await {
            Err(error) if error.kind == Kind::Forbidden => {
                tracing::info!(client = client.id, why = "organization", "a client was not authenticated");
                return Err(OAuthError::invalid_client(is_basic));
            }
            other => other?,
        }
    }
    let grant = Grant {
        sub: client.id.clone(),
        client_id: client.id.clone(),
        scope: granted.to_string(),
        org: client.org.clone(),
        role,
        practitioner: None,
        id: None,
        cnf: None,
        seconds: state.limits.system_token_seconds,
    };
    let (token, claims) = mint(&*state.keys()?, &state.parties, &grant, now)?;
    tracing::info!(client = client.id, scope = grant.scope, "an access token was made");
    let mut row = state.of_client(Happening::TokenIssued, client, 200, now).because("client_credentials");
    row.detail.token = Some(claims.jti);
    state.note(scene, row);
    Ok(OAuthAnswer::new(
        200,
        &json!({"access_token": token, "token_type": "Bearer", "expires_in": grant.seconds, "scope": grant.scope}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_each_parameter_once() {
        let form = Form::parse(b"a=1&b=x+y%2Bz&c=&d").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c"), form.get("d")),
            (Some("1"), Some("x y+z"), None, None)
        );
        for bad in [&b"a=1&a=2"[..], b"a=%", b"a=%zz", b"a=%ff", b"a=\xff", b"a=1&%61=2"] {
            assert!(Form::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(Form::parse(&vec![b'a'; MAX_FORM + 1]).is_err());
    }
}
