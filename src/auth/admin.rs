//! The admin API: registrations of programs in the shapes of RFC 7591 and 7592, and people who log in.
//!
//! For whoever has a token with the scope `__accounts` of the role admin, without an organisation: of a program of that role, or of an
//! administrator who signed in at an app. Nobody else registers anything: there is no open registration, and so no registration access
//! tokens. What it does is what the commands do (`accounts.rs`), and on record with who did it.
//! Source: RFC 7591 2 and 3, RFC 7592 2; the members `launch_uris`, `origins`, `organization`, `role`, `first_party`, `active` and all of
//! `/auth/users` are our own.

use super::accounts::{Desk, Expect, Refused, new_user};
use super::bearer::Asked;
use super::client::hash_secret;
use super::endpoint::{OAuthAnswer, OAuthError, TokenRequest};
use super::password::Passwords;
use super::register::metadata;
use super::standing::role_id;
use super::{AuthState, page};
use crate::access::scope::ACCOUNTS;
use crate::access::{Principal, Role};
use crate::clock::Instant;
use crate::error::{Error, Kind};
use crate::store::Audit;
use crate::store::audit::Happening;
use crate::store::glass::{Broken, Held};
use crate::store::oauth::{Client, Kind as Shows, User};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// Paths and their methods.
pub const PATHS: [(&str, &str); 7] = [
    ("/auth/register", "GET, HEAD, POST"),
    ("/auth/register/{id}", "GET, HEAD, PUT, DELETE"),
    ("/auth/register/{id}/secret", "POST"),
    ("/auth/users", "GET, HEAD, POST"),
    ("/auth/users/{id}", "GET, HEAD, PUT, DELETE"),
    ("/auth/glass", "GET, HEAD"),
    ("/auth/glass/{id}", "DELETE"),
];

/// Answers a request at one of [`PATHS`] by a method that it has.
pub async fn answer(
    state: &AuthState,
    method: &str,
    path: &str,
    request: &TokenRequest<'_>,
    now: Instant,
) -> OAuthAnswer {
    carry_out(state, method, path, request, now).await.unwrap_or_else(OAuthError::answer)
}

async fn carry_out(
    state: &AuthState,
    method: &str,
    path: &str,
    request: &TokenRequest<'_>,
    now: Instant,
) -> Result<OAuthAnswer, OAuthError> {
    let principal = administrator(state, request, now).await?;
    let note = |on: String, why: String| {
        let mut row = row(state, &principal, Happening::AccountsChanged, 200, now).because(why);
        row.detail.on = on;
        state.note(request.scene, row);
    };
    let desk = Desk { store: &state.store, policy: &state.policy, note: &note };
    let segments: Vec<&str> = path.trim_start_matches("/auth/").split('/').collect();
    let answer = match (method, segments.as_slice()) {
        ("POST", ["register"]) => {
            let asked: Metadata = read(request, "invalid_client_metadata")?;
            let id = asked.client_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            let secret = desk.register(asked.client(id.clone())?, Expect::Nothing).await.map_err(of_client)?;
            let mut answer = told(state, 201, &desk.client(&id).await.map_err(of_client)?, secret);
            answer.headers.push(("Location", state.parties.url(&format!("/auth/register/{id}"))));
            answer
        }
        (_, ["register"]) => {
            let all: Vec<Value> = desk.clients().await?.iter().map(|c| described(state, c)).collect();
            OAuthAnswer::new(200, &json!({ "clients": all }))
        }
        ("PUT", ["register", id]) => {
            let before = desk.client(id).await.map_err(of_client)?;
            let asked: Metadata = read(request, "invalid_client_metadata")?;
            // RFC 7592 2.2: who changes a registration says whose, and never chooses a secret.
            if asked.client_id.as_deref() != Some(id) {
                return Err(metadata_error("client_id is the one of the address"));
            }
            let given = asked.client_secret.as_deref().map(hash_secret);
            if given.is_some() && given != before.secret {
                return Err(metadata_error(
                    "client_secret is the one that there is, or left out; POST …/secret makes another",
                ));
            }
            let secret = desk.register(asked.client((*id).to_owned())?, Expect::Something).await.map_err(of_client)?;
            told(state, 200, &desk.client(id).await.map_err(of_client)?, secret)
        }
        ("DELETE", ["register", id]) => {
            desk.disable_client(id).await.map_err(of_client)?;
            empty()
        }
        (_, ["register", id]) => told(state, 200, &desk.client(id).await.map_err(of_client)?, None),
        (_, ["register", id, _]) => {
            let secret = desk.rotate(id).await.map_err(of_client)?;
            told(state, 200, &desk.client(id).await.map_err(of_client)?, Some(secret))
        }
        ("POST", ["users"]) => {
            let asked: Person = read(request, "invalid_request")?;
            let name = asked.name.clone().ok_or_else(|| OAuthError::invalid_request("name is missing"))?;
            put(state, &desk, asked, &name, Expect::Nothing).await?;
            let mut answer = OAuthAnswer::new(201, &desk.shown(&name).await.map_err(of_user)?);
            answer.headers.push(("Location", state.parties.url(&format!("/auth/users/{name}"))));
            answer
        }
        ("PUT", ["users", name]) => {
            let asked: Person = read(request, "invalid_request")?;
            if asked.name.as_deref().is_some_and(|n| n != *name) {
                return Err(OAuthError::invalid_request("name is the one of the address"));
            }
            put(state, &desk, asked, name, Expect::Something).await?;
            OAuthAnswer::new(200, &desk.shown(name).await.map_err(of_user)?)
        }
        ("DELETE", ["users", name]) => {
            desk.disable_user(name).await.map_err(of_user)?;
            empty()
        }
        (_, ["glass"]) => {
            let all: Vec<Value> = state.store.broken_now(now).await?.iter().map(held).collect();
            OAuthAnswer::new(200, &json!({ "held": all }))
        }
        (_, ["glass", id]) => {
            let ended = state.store.mend(Held::One((*id).to_owned()), now).await?;
            let Some(one) = ended.first() else {
                return Err(of_user(Refused::Unknown("broken glass of that id that holds".into())));
            };
            let mut row = row(state, &principal, Happening::GlassMended, 200, now).because(format!("of {}", one.usr));
            row.detail.on = format!("Patient/{}", one.patient);
            state.note(request.scene, row);
            empty()
        }
        (_, ["users", name]) => OAuthAnswer::new(200, &desk.shown(name).await.map_err(of_user)?),
        (_, _) => OAuthAnswer::new(200, &json!({"users": desk.users().await?})),
    };
    if !matches!(method, "GET" | "HEAD") {
        state.forget_tokens();
    }
    Ok(answer)
}

/// Who asks, if it is somebody who may.
async fn administrator(
    state: &AuthState,
    request: &TokenRequest<'_>,
    now: Instant,
) -> Result<Arc<Principal>, OAuthError> {
    let asked = Asked { authorization: request.authorization.clone(), ..Asked::default() };
    let principal = match state.bearer(&asked, now).await {
        Ok(principal) => principal,
        Err(error) if error.kind.status() < 500 => return Err(OAuthError::invalid_token()),
        Err(error) => return Err(error.into()),
    };
    let has_scope = principal.scopes.as_ref().is_some_and(|s| s.has(ACCOUNTS));
    // An organisation's administrator has no business with the accounts of others.
    if has_scope && principal.role == Role::Admin && principal.org.is_none() {
        return Ok(principal);
    }
    let row = row(state, &principal, Happening::Denied, 403, now).because("accounts");
    state.note_often(request.scene, row);
    let text = "this takes a token with the scope __accounts, of an administrator without an organisation";
    Err(OAuthError::new(403, "insufficient_scope", text))
}

fn row(state: &AuthState, who: &Principal, what: Happening, outcome: i64, now: Instant) -> Audit {
    let mut row = Audit::happening(what, now, &who.client, who.user.as_deref().unwrap_or_default(), outcome);
    row.org = who.org.as_ref().map_or(0, |id| state.store.org_key(id));
    row.detail.org.clone_from(&who.org);
    row.detail.role = who.role.as_str().into();
    row.detail.token.clone_from(&who.token);
    row
}

/// The body as JSON.
fn read<T: DeserializeOwned>(request: &TokenRequest<'_>, error: &'static str) -> Result<T, OAuthError> {
    let media = request.content_type.and_then(|t| t.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(OAuthError::new(400, error, "send JSON, as application/json"));
    }
    serde_json::from_slice(request.body)
        .map_err(|e| OAuthError::new(400, error, format!("the body does not read: {e}")))
}

/// What a registration asks for; what is not known here is ignored, as RFC 7591 2 has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    client_id: Option<String>,
    client_secret: Option<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    redirect_uris: Vec<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    scope: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    launch_uris: Vec<String>,
    origins: Vec<String>,
    organization: Option<String>,
    role: Option<String>,
    first_party: bool,
    active: Option<bool>,
    dpop_bound_access_tokens: bool,
    tls_client_certificate_bound_access_tokens: bool,
}

impl Metadata {
    fn client(self, id: String) -> Result<Client, OAuthError> {
        // The defaults are those of RFC 7591 2.
        let kind = match self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic") {
            "none" => Shows::Public,
            "client_secret_basic" | "client_secret_post" => Shows::Symmetric,
            "private_key_jwt" => Shows::Asymmetric,
            _ => {
                let text =
                    "token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt";
                return Err(metadata_error(text));
            }
        };
        let grants = self.grant_types.unwrap_or_else(|| vec!["authorization_code".into()]);
        let is_app = grants.iter().any(|g| g == "authorization_code");
        // RFC 7591 2.1: code goes with authorization_code, and with nothing else.
        let wanted: &[&str] = if is_app { &["code"] } else { &[] };
        if self.response_types.is_some_and(|types| types != wanted) {
            return Err(metadata_error("response_types is [\"code\"] with authorization_code, and empty without it"));
        }
        if kind != Shows::Asymmetric && (self.jwks.is_some() || self.jwks_uri.is_some()) {
            return Err(metadata_error("jwks and jwks_uri go with private_key_jwt"));
        }
        // Who relies on bound tokens would get others (RFC 9449 5.2, RFC 8705 3.4).
        if self.dpop_bound_access_tokens || self.tls_client_certificate_bound_access_tokens {
            let text = "access tokens are bearer tokens here: neither DPoP nor certificates bind them";
            return Err(metadata_error(text));
        }
        Ok(Client {
            name: self.client_name.unwrap_or_else(|| id.clone()),
            id,
            secret: None,
            jwks: self.jwks.map(|jwks| jwks.to_string()),
            scopes: self.scope.unwrap_or_default(),
            org: self.organization,
            role: self.role.unwrap_or_default(),
            is_active: self.active.unwrap_or(true),
            kind,
            redirect_uris: self.redirect_uris,
            launch_uris: self.launch_uris,
            origins: self.origins,
            jwks_uri: self.jwks_uri,
            grants,
            is_first_party: self.first_party,
        })
    }
}

/// A login; `password` goes in and never comes out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    name: Option<String>,
    role: String,
    organization: Option<String>,
    practitioner: Option<String>,
    practitioner_role: Option<String>,
    patient: Option<String>,
    active: Option<bool>,
    password: Option<String>,
}

async fn put(state: &AuthState, desk: &Desk<'_>, asked: Person, name: &str, expect: Expect) -> Result<(), OAuthError> {
    let derived = asked.practitioner.as_ref().zip(asked.organization.as_ref()).map(|(p, o)| role_id(p, o, &asked.role));
    let user = User {
        org: asked.organization,
        practitioner: asked.practitioner,
        practitioner_role: asked.practitioner_role.or(derived),
        patient: asked.patient,
        is_active: asked.active.unwrap_or(true),
        ..new_user(name.to_owned(), asked.role)
    };
    // A password that is none is refused before anything is stored.
    if let Some(password) = &asked.password {
        Passwords::check(password).map_err(|e| of_user(Refused::Other(e)))?;
    }
    desk.put_user(user, expect).await.map_err(of_user)?;
    if let Some(password) = &asked.password {
        desk.set_password(&state.passwords, name, password).await.map_err(of_user)?;
    }
    Ok(())
}

fn metadata_error(text: &'static str) -> OAuthError {
    OAuthError::new(400, "invalid_client_metadata", text)
}

/// RFC 7591 3.2.2.
fn of_client(refused: Refused) -> OAuthError {
    match refused {
        Refused::Wrong(list) => {
            let is_redirect = list.iter().any(|(member, _)| *member == "redirect-uris");
            let error = if is_redirect { "invalid_redirect_uri" } else { "invalid_client_metadata" };
            let list: Vec<String> = list.iter().map(|(member, why)| format!("{} {why}", member_of(member))).collect();
            OAuthError::new(400, error, list.join("; "))
        }
        other => of_user(other),
    }
}

/// A member of a seed file in the words of RFC 7591.
fn member_of(name: &str) -> String {
    match name {
        "id" => "client_id".into(),
        "grants" => "grant_types".into(),
        "scopes" => "scope".into(),
        "kind" => "token_endpoint_auth_method".into(),
        other => other.replace('-', "_"),
    }
}

fn of_user(refused: Refused) -> OAuthError {
    match refused {
        Refused::Unknown(what) => OAuthError::new(404, "not_found", format!("there is no {what}")),
        Refused::Other(error) if matches!(error.kind, Kind::Invalid | Kind::Forbidden) => {
            OAuthError::new(400, "invalid_request", error.to_string())
        }
        Refused::Other(error) => error.into(),
        wrong @ Refused::Wrong(_) => OAuthError::new(400, "invalid_request", Error::from(wrong).to_string()),
    }
}

/// Broken glass as JSON. The note stays out: it may say what ails a patient.
fn held(one: &Broken) -> Value {
    json!({"grant": one.id, "user": one.usr, "role": one.role, "organization": one.org, "patient": one.patient,
        "reason": one.reason, "begun": one.begun.to_string(), "until": one.until.to_string()})
}

fn described(state: &AuthState, client: &Client) -> Value {
    let mut out = metadata(client);
    let id = page::web::encode(&client.id);
    out["registration_client_uri"] = json!(state.parties.url(&format!("/auth/register/{id}")));
    out
}

/// RFC 7591 3.2.1: a secret is there once, and does not run out.
fn told(state: &AuthState, status: u16, client: &Client, secret: Option<String>) -> OAuthAnswer {
    let mut out = described(state, client);
    if let Some(secret) = secret {
        (out["client_secret"], out["client_secret_expires_at"]) = (json!(secret), json!(0));
    }
    OAuthAnswer::new(status, &out)
}

fn empty() -> OAuthAnswer {
    OAuthAnswer { body: Vec::new(), ..OAuthAnswer::new(204, &Value::Null) }
}
