//! Access tokens: signed JWTs of type `at+jwt`, short-lived, bound to this server, a client, an organisation and a role.
//!
//! For: minting at the token endpoint and by `baton token`; verifying at the door.
//! Not for: whether client, user and role still hold (`standing.rs`).
//! Source: RFC 9068, RFC 8725.

use super::jws::Jws;
use super::key::KeyRing;
use crate::access::Role;
use crate::clock::Instant;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longest access token that is looked at.
pub const MAX_BYTES: usize = 16 << 10;
/// Nodes whose clocks differ may meet a token "of the future" by so many seconds.
const SKEW: i64 = 30;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// Issuer: the server's own address.
    pub iss: String,
    /// The user's opaque name, or the client id when the client acts for itself.
    pub sub: String,
    /// Audience: the FHIR base.
    pub aud: String,
    /// OAuth client id.
    pub client_id: String,
    /// Seconds since 1970 when it ends.
    pub exp: i64,
    /// Seconds since 1970 when it was made.
    pub iat: i64,
    /// Unique name of the token.
    pub jti: String,
    /// SMART scopes.
    pub scope: String,
    /// Logical id of the Organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Name of `access::Role`.
    pub role: String,
    /// Logical id of the Practitioner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practitioner: Option<String>,
    /// What a user allowed an app: the id of that grant. Scopes over 1 kB stand there and not in `scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The patient in context, where another issuer says so; of our own the grant does.
    #[serde(skip)]
    pub patient: Option<String>,
    /// What it is bound to (RFC 7800): then it is no bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Value>,
}

/// What a token is to say, but for its times and names.
#[derive(Debug, Clone)]
pub struct Grant {
    /// See [`Claims::sub`].
    pub sub: String,
    /// OAuth client id.
    pub client_id: String,
    /// SMART scopes.
    pub scope: String,
    /// Logical id of the Organization.
    pub org: Option<String>,
    /// What the caller is.
    pub role: Role,
    /// Logical id of the Practitioner.
    pub practitioner: Option<String>,
    /// How long it is good.
    pub seconds: u64,
    /// See [`Claims::grant`].
    pub id: Option<String>,
    /// See [`Claims::cnf`].
    pub cnf: Option<Value>,
}

/// For whom tokens are made, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// `iss`.
    pub issuer: String,
    /// `aud`: the FHIR base.
    pub audience: String,
}

impl Parties {
    /// Of a server at that address (`Settings::root`).
    #[must_use]
    pub fn of(root: &str) -> Self {
        Self { issuer: root.into(), audience: format!("{root}/fhir") }
    }

    /// Absolute URL of a path of ours: `/auth/authorize`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Absolute URL of the token endpoint, which client assertions name as `aud`.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/auth/token", self.issuer)
    }
}

/// Makes a token.
///
/// # Errors
/// `Fault` when the key does not sign or the machine has no randomness.
pub fn mint(ring: &KeyRing, parties: &Parties, grant: &Grant, now: Instant) -> Result<(String, Claims)> {
    let key = ring.signing()?;
    let iat = now.0.div_euclid(1_000_000);
    let claims = Claims {
        iss: parties.issuer.clone(),
        sub: grant.sub.clone(),
        aud: parties.audience.clone(),
        client_id: grant.client_id.clone(),
        exp: iat.saturating_add(i64::try_from(grant.seconds).unwrap_or(0)),
        iat,
        jti: random_text::<16>()?,
        scope: grant.scope.clone(),
        org: grant.org.clone(),
        role: grant.role.as_str().into(),
        practitioner: grant.practitioner.clone(),
        grant: grant.id.clone(),
        patient: None,
        cnf: grant.cnf.clone(),
    };
    let header = Header { typ: Some("at+jwt".into()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims, &key.encoding)
        .map_err(|e| Error::fault("an access token could not be signed").caused_by(e))?;
    Ok((token, claims))
}

/// Verifies a token: type, key, signature, issuer, audience, times, and that every claim is there and of its type.
///
/// # Errors
/// Why not, for the log: the caller hears one neutral sentence. `"unknown key"` may mean that another node rotated.
pub fn verify(ring: &KeyRing, parties: &Parties, token: &str, now: Instant) -> Result<Claims, &'static str> {
    let jws = Jws::read(token, MAX_BYTES).ok_or("not a JWS")?;
    if !jws.header_text("typ").is_some_and(|t| t.eq_ignore_ascii_case("at+jwt")) {
        return Err("not an access token");
    }
    let key = jws.header_text("kid").and_then(|kid| ring.find(kid)).ok_or(UNKNOWN_KEY)?;
    if key.algorithm != Algorithm::ES256 || !jws.is_signed_by(&key.decoding, Algorithm::ES256) {
        return Err("signature");
    }
    if jws.text("iss") != Some(&parties.issuer) {
        return Err("issuer");
    }
    if !jws.is_only_for(&parties.audience) {
        return Err("audience");
    }
    let now = now.0.div_euclid(1_000_000);
    let seconds = |name| jws.seconds(name).ok().flatten().ok_or("times");
    let (exp, iat) = (seconds("exp")?, seconds("iat")?);
    if exp <= now {
        return Err(EXPIRED);
    }
    if iat > now + SKEW || jws.seconds("nbf").map_err(|_| "times")?.is_some_and(|nbf| nbf > now + SKEW) {
        return Err("from the future");
    }
    let text = |name| jws.text(name).map(str::to_owned).ok_or("a claim is missing");
    let optional = |name| match jws.claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(|t| Some(t.to_owned())).ok_or("a claim of the wrong type"),
    };
    Ok(Claims {
        iss: text("iss")?,
        sub: text("sub")?,
        aud: parties.audience.clone(),
        client_id: text("client_id")?,
        exp,
        iat,
        jti: text("jti")?,
        scope: text("scope")?,
        org: optional("org")?,
        role: text("role")?,
        practitioner: optional("practitioner")?,
        grant: optional("grant")?,
        patient: None,
        cnf: cnf(&jws),
    })
}

/// What a token is bound to; one that does not read binds all the same.
#[must_use]
pub fn cnf(jws: &Jws<'_>) -> Option<Value> {
    jws.claims.get("cnf").map(|cnf| serde_json::from_str(&cnf.to_string()).unwrap_or(Value::Null))
}

/// How a token that is bound to this is called: RFC 9449 5, RFC 8705 3.
#[must_use]
pub fn kind(cnf: Option<&Value>) -> &'static str {
    if cnf.is_some_and(|cnf| cnf.get("jkt").is_some()) { "DPoP" } else { "Bearer" }
}

/// SHA-256 in hex: how codes, refresh tokens and cookies are kept.
#[must_use]
pub fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// No key of that id here.
pub const UNKNOWN_KEY: &str = "unknown key";
/// Its time is over.
pub const EXPIRED: &str = "expired";

/// `N` random bytes in base64url.
///
/// # Errors
/// `Fault` when the machine has no randomness.
pub fn random_text<const N: usize>() -> Result<String> {
    random_bytes::<N>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// `N` random bytes.
///
/// # Errors
/// `Fault` when the machine has no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::fault("the machine gives no random bytes").caused_by(e.to_string()))?;
    Ok(bytes)
}
