//! Who somebody is, by the word of an OpenID provider: Baton is the provider's client.
//!
//! For: `page/elsewhere.rs`. Authorization code with PKCE, `state` and `nonce`; the id_token is verified with the provider's published
//! keys, whatever TLS says. Nothing but the subject, one claim of the settings, the time and the way of the login is taken from it:
//! no organisation, no role, no right.
//! Not for: access tokens of other issuers (`external.rs`), or who somebody is here (`page/elsewhere.rs`).
//! Source: OpenID Connect Core 1.0, 3.1; OpenID Connect Discovery 1.0; RFC 9207 (mix-up), RFC 9700.

use super::client;
use super::jws::Jws;
use super::page::web::encode;
use super::remote::RemoteKeys;
use super::token::MAX_BYTES;
use crate::clock::Instant;
use crate::config::Provider;
use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::outbound::fetch::Reach;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::os::unix::fs::PermissionsExt;
use subtle::ConstantTimeEq;

/// Clocks may differ so much, in seconds.
const SKEW: i64 = 30;
/// An id_token is made for a login that takes ten minutes at most; an older one is of another.
const MAX_AGE: i64 = 600;

/// The providers of the settings.
#[derive(Debug)]
pub struct Providers {
    all: Vec<Known>,
    documents: RemoteKeys,
}

/// A provider, and the secret that it gave.
pub struct Known {
    /// As the settings have it.
    pub provider: Provider,
    secret: Option<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({})", self.provider.name)
    }
}

/// What a browser is sent there with.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Where it comes back.
    pub redirect_uri: &'a str,
    /// Random; whoever brings it back was sent.
    pub state: &'a str,
    /// Stands in the id_token.
    pub nonce: &'a str,
    /// Of PKCE.
    pub verifier: &'a str,
    /// The login there must be younger than this, in microseconds; 0: any.
    pub not_before: i64,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `sub`.
    pub sub: String,
    /// What `user-claim` holds.
    pub name: Option<String>,
    /// When the login was, in microseconds, as far as it says.
    pub at: Option<i64>,
    /// There was a second factor.
    pub has_second_factor: bool,
}

/// What its discovery says.
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

impl Providers {
    /// Reads the secrets. The addresses are the operator's own words, so that they may lead inside.
    ///
    /// # Errors
    /// `Invalid` for a file of a secret that cannot be read, or that everybody can.
    pub fn open(providers: &[Provider]) -> Result<Self> {
        let all = providers.iter().map(|p| Ok(Known { secret: secret(p)?, provider: p.clone() }));
        Ok(Self { all: all.collect::<Result<_>>()?, documents: RemoteKeys::new(Reach::Operator) })
    }

    /// All, in the order of the settings.
    pub fn all(&self) -> impl Iterator<Item = &Provider> {
        self.all.iter().map(|k| &k.provider)
    }

    /// The one of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Known> {
        self.all.iter().find(|k| k.provider.name == name)
    }

    /// Where the browser is sent.
    ///
    /// # Errors
    /// Why not, for the log.
    pub async fn address(&self, known: &Known, sent: &Sent<'_>, now: Instant) -> Result<String, &'static str> {
        let document = self.document(known, now).await.ok_or("its discovery is not to be had")?;
        let fetcher = self.documents.fetcher().map_err(|_| "no TLS is to be had")?;
        let url = fetcher.allows(&document.authorization_endpoint).map_err(|_| "its address is none")?;
        let mut url = String::from(url);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(sent.verifier.as_bytes()));
        let age = (now.0 - sent.not_before).div_euclid(1_000_000).max(0).to_string();
        let mut sign = if url.contains('?') { '&' } else { '?' };
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", &known.provider.client_id),
            ("redirect_uri", sent.redirect_uri),
            ("scope", &known.provider.scopes),
            ("state", sent.state),
            ("nonce", sent.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("max_age", if sent.not_before > 0 { &age } else { "" }),
        ] {
            if !value.is_empty() {
                url.push_str(&format!("{sign}{name}={}", encode(value)));
                sign = '&';
            }
        }
        Ok(url)
    }

    /// Redeems the code that came back, and says who it is. `iss`: the parameter beside it (RFC 9207).
    ///
    /// # Errors
    /// Why not, for the log and the record.
    pub async fn login(
        &self,
        known: &Known,
        sent: &Sent<'_>,
        (code, iss): (&str, Option<&str>),
        now: Instant,
    ) -> Result<Login, &'static str> {
        let document = self.document(known, now).await.ok_or("its discovery is not to be had")?;
        match iss {
            Some(iss) if iss != known.provider.issuer => return Err("the answer is of another issuer"),
            None if document.authorization_response_iss_parameter_supported => return Err("the answer has no issuer"),
            _ => {}
        }
        let tokens = self.redeem(known, &document, sent, code).await?;
        let jws = Jws::read(&tokens.id_token, MAX_BYTES).ok_or("the id_token is no JWS")?;
        let algorithm = self.verify(known, &document, &jws, now).await?;
        judge(&jws, known, sent, now)?;
        if let Some(given) = jws.claims.get("at_hash") {
            let token = tokens.access_token.as_deref().ok_or("at_hash without an access token")?;
            if given.as_str() != Some(&*at_hash(token, algorithm)) {
                return Err("at_hash");
            }
        }
        Ok(said(&jws, known, now))
    }

    async fn document(&self, known: &Known, now: Instant) -> Option<Document> {
        let issuer = known.provider.issuer.as_str();
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let fetcher = self.documents.fetcher().ok()?;
        let read = |text: &str| {
            let document: Document = serde_json::from_str(text).ok()?;
            let all = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
            let is_good = document.issuer == issuer && all.iter().all(|a| fetcher.allows(a).is_ok());
            is_good.then_some(document)
        };
        let text = self.documents.document(&address, now, |text| read(text).is_some()).await?;
        read(&text)
    }

    /// The code for tokens, at the token endpoint.
    async fn redeem(
        &self,
        known: &Known,
        document: &Document,
        sent: &Sent<'_>,
        code: &str,
    ) -> Result<Tokens, &'static str> {
        let id = &known.provider.client_id;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", sent.redirect_uri),
            ("code_verifier", sent.verifier),
        ];
        let methods = &document.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|m| m == method);
        let mut authorization = None;
        match &known.secret {
            None => form.push(("client_id", id)),
            // OpenID Connect Core 9: Basic where nothing is said.
            Some(secret) if methods.is_empty() || takes("client_secret_basic") => {
                let pair = format!("{}:{}", encode(id), encode(secret));
                authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            Some(secret) => form.extend([("client_id", id.as_str()), ("client_secret", secret)]),
        }
        let body = form.iter().map(|(n, v)| format!("{n}={}", encode(v))).collect::<Vec<_>>().join("&");
        let fetcher = self.documents.fetcher().map_err(|_| "no TLS is to be had")?;
        let fetched = fetcher.form(&document.token_endpoint, body, authorization.as_deref()).await;
        let fetched = fetched.map_err(|refused| {
            tracing::info!(provider = known.provider.name, why = %refused, "a provider redeemed no code");
            "the code was not redeemed"
        })?;
        serde_json::from_str(&fetched.text).map_err(|_| "there is no id_token")
    }

    /// Verifies the signature with the provider's keys; gives the algorithm.
    async fn verify(
        &self,
        known: &Known,
        document: &Document,
        jws: &Jws<'_>,
        now: Instant,
    ) -> Result<Algorithm, &'static str> {
        let listed = |a: &&str| known.provider.algorithms.iter().any(|own| own == a);
        let algorithm: Algorithm = jws.header_text("alg").filter(listed).ok_or("alg")?.parse().map_err(|_| "alg")?;
        if !jws.header_text("typ").is_none_or(|t| t.eq_ignore_ascii_case("JWT")) {
            return Err("typ");
        }
        let kid = jws.header_text("kid").filter(|k| !k.is_empty()).ok_or("kid")?;
        let has = |jwks: &str| client::key(jwks, kid, algorithm).is_some();
        let jwks = self.documents.of(&document.jwks_uri, now, has).await.ok_or("its keys are not to be had")?;
        let key = client::key(&jwks, kid, algorithm).ok_or("unknown key")?;
        match jws.is_signed_by(&key, algorithm) {
            true => Ok(algorithm),
            false => Err("signature"),
        }
    }
}

/// Whether a verified id_token is of this provider, for us, of this login, and of now.
fn judge(jws: &Jws<'_>, known: &Known, sent: &Sent<'_>, now: Instant) -> Result<(), &'static str> {
    let id = known.provider.client_id.as_str();
    if jws.text("iss") != Some(&known.provider.issuer) {
        return Err("iss");
    }
    // 3.1.3.7: an audience beside us would have to be trusted, and none is.
    if !jws.is_only_for(id) {
        return Err("aud");
    }
    if jws.claims.get("azp").is_some() && jws.text("azp") != Some(id) {
        return Err("azp");
    }
    let nonce = jws.text("nonce").ok_or("nonce")?;
    if !bool::from(nonce.as_bytes().ct_eq(sent.nonce.as_bytes())) {
        return Err("nonce");
    }
    let seconds = now.0.div_euclid(1_000_000);
    let time = |name: &'static str| jws.seconds(name).map_err(|_| name);
    if time("exp")?.ok_or("exp")? <= seconds - SKEW {
        return Err("exp");
    }
    let iat = time("iat")?.ok_or("iat")?;
    if iat > seconds + SKEW || iat < seconds - MAX_AGE {
        return Err("iat");
    }
    if time("nbf")?.is_some_and(|t| t > seconds + SKEW) {
        return Err("nbf");
    }
    let at = time("auth_time")?;
    if at.is_some_and(|t| t > seconds + SKEW) {
        return Err("auth_time");
    }
    // Whoever asks for a new login gets one, and not one of before.
    if sent.not_before > 0 && at.ok_or("auth_time")? < sent.not_before.div_euclid(1_000_000) - SKEW {
        return Err("auth_time");
    }
    match jws.text("sub") {
        Some(sub) if (1..=255).contains(&sub.len()) => Ok(()),
        _ => Err("sub"),
    }
}

/// What of a good id_token is looked at.
fn said(jws: &Jws<'_>, known: &Known, now: Instant) -> Login {
    let ways: Vec<&str> = match jws.claims.get("amr") {
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let counts = |way: &&str| known.provider.second_factor.iter().any(|own| own == way);
    let name = known.provider.user_claim.as_deref().and_then(|claim| jws.text(claim));
    Login {
        sub: jws.text("sub").unwrap_or_default().to_owned(),
        name: name.map(str::to_owned),
        at: jws.seconds("auth_time").ok().flatten().map(|t| t.saturating_mul(1_000_000).min(now.0)),
        has_second_factor: ways.iter().chain(jws.text("acr").iter()).any(counts),
    }
}

/// The left half of the hash of an access token, by the hash of the algorithm (OpenID Connect Core 3.1.3.6).
fn at_hash(token: &str, algorithm: Algorithm) -> String {
    let hash = match algorithm {
        Algorithm::RS384 | Algorithm::ES384 | Algorithm::PS384 => Sha384::digest(token).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 => Sha512::digest(token).to_vec(),
        _ => Sha256::digest(token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

/// The first line of the file.
fn secret(provider: &Provider) -> Result<Option<String>> {
    let Some(path) = &provider.client_secret_file else { return Ok(None) };
    let wrong = |why: String| {
        Error::invalid(format!("'client-secret-file' of the provider '{}', {}: {why}", provider.name, path.display()))
    };
    let mode = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.permissions().mode();
    if mode & 0o004 != 0 {
        return Err(wrong("everybody on the machine can read it; chmod 600".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    match line.is_empty() {
        true => Err(wrong("it is empty".into())),
        false => Ok(Some(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenID Connect Core 1.0, A.3 and the examples of JWTs with at_hash.
    #[test]
    fn at_hash_is_half_of_the_hash_of_the_algorithm() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token, Algorithm::RS256), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(token, Algorithm::ES384).len(), 32);
        assert_eq!(at_hash(token, Algorithm::RS512).len(), 43);
    }

    /// security A65: A secret that everybody on the machine can read is refused at the start, and stands in no message.
    #[test]
    fn a_secret_comes_from_a_file_that_is_not_everybodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let provider = |path: &std::path::Path| Provider {
            name: "care".into(),
            label: "Care".into(),
            issuer: "https://idp.example".into(),
            client_id: "baton".into(),
            client_secret_file: Some(path.to_path_buf()),
            scopes: "openid".into(),
            user_claim: None,
            algorithms: vec!["RS256".into()],
            second_factor: Vec::new(),
        };
        assert!(Providers::open(&[provider(&path)]).is_err(), "not there");
        for (text, mode, is_good) in [("hush-hush\n", 0o600, true), ("hush-hush", 0o644, false), ("\n", 0o600, false)] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let opened = Providers::open(&[provider(&path)]);
            assert_eq!(opened.is_ok(), is_good, "{text:?} {mode:o}");
            let said = format!("{opened:?}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
