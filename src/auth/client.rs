//! Client authentication: a secret, or an assertion signed with a registered key. One method a request.
//!
//! For: the token endpoint. Every failure after the shape of the request is the same `invalid_client` with the same text:
//! whoever probes does not learn whether the client exists, is disabled, or has another key.
//! Not for: fetching keys from a `jwks_uri` (`remote.rs`), TLS client certificates.
//! Source: RFC 6749 2.3, RFC 7523 3, <https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html>.

use super::AuthState;
use super::endpoint::{Form, OAuthError};
use super::jws::Jws;
use super::witness::Scene;
use crate::clock::Instant;
use crate::store::audit::Happening;
use crate::store::oauth::{Client, Kind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The one value of `client_assertion_type`.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion that is looked at.
const MAX_ASSERTION: usize = 8 << 10;
/// Clocks of client and server may differ so much, in seconds.
const SKEW: i64 = 30;
/// An assertion may be good for so long, in seconds.
const MAX_LIFE: i64 = 300;

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Its form.
    pub form: &'a Form,
    /// The value of `Authorization`, if one was sent.
    pub basic: Option<&'a str>,
    /// Where it comes from.
    pub scene: Scene<'a>,
}

/// What a request presents.
enum Presented<'a> {
    /// A public client's id, which is no proof of anything.
    Id(&'a str),
    Secret {
        id: String,
        secret: String,
    },
    Assertion {
        assertion: &'a str,
        id: Option<&'a str>,
    },
}

/// Authenticates the client of a request.
///
/// # Errors
/// `invalid_request` for none-or-several methods, `invalid_client` for everything else.
pub async fn authenticate(
    state: &AuthState,
    token_endpoint: &str,
    asker: Asker<'_>,
    now: Instant,
) -> Result<Client, OAuthError> {
    let Asker { form, basic, scene } = asker;
    let refused = |why: &'static str| {
        tracing::info!(why, "a client was not authenticated");
        OAuthError::invalid_client(basic.is_some())
    };
    let store = &state.store;
    match presented(form, basic)? {
        Presented::Id(id) => {
            let client = if is_client_id(id) { store.oauth_client(id).await? } else { None };
            client.filter(|c| c.is_active && c.kind == Kind::Public).ok_or_else(|| refused("an id alone"))
        }
        Presented::Secret { id, secret } => {
            let client = if is_client_id(&id) { store.oauth_client(&id).await? } else { None };
            let given: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
            // An unknown client costs the same comparison, with a hash that nothing has.
            let stored = client.as_ref().and_then(|c| c.secret.as_deref()).and_then(unhex).unwrap_or([0; 32]);
            let fits = bool::from(given.ct_eq(&stored));
            client
                .filter(|c| fits && c.kind == Kind::Symmetric && c.secret.is_some() && c.is_active)
                .ok_or_else(|| refused("secret"))
        }
        Presented::Assertion { assertion, id } => {
            let jws = Jws::read(assertion, MAX_ASSERTION).ok_or_else(|| refused("not a JWS"))?;
            let algorithm = algorithm(&jws).map_err(refused)?;
            // The client first: no key is looked at that is not its own.
            let iss = jws.text("iss").filter(|i| is_client_id(i)).ok_or_else(|| refused("iss"))?;
            if jws.text("sub") != Some(iss) || id.is_some_and(|id| id != iss) {
                return Err(refused("iss, sub and client_id differ"));
            }
            let client = store.oauth_client(iss).await?.filter(|c| c.is_active && c.kind == Kind::Asymmetric);
            // The registered address or none: nothing else is ever asked.
            let uri = client.as_ref().and_then(|c| c.jwks_uri.as_deref());
            if jws.header.get("jku").is_some() && (uri.is_none() || jws.header_text("jku") != uri) {
                return Err(refused("jku"));
            }
            let kid = jws.header_text("kid").unwrap_or_default();
            let key = match (client.as_ref().and_then(|c| c.jwks.as_deref()), uri) {
                (Some(jwks), _) => key(jwks, kid, algorithm),
                (None, Some(uri)) => {
                    let jwks = state.remote.of(uri, now, |jwks| key(jwks, kid, algorithm).is_some()).await;
                    jwks.and_then(|jwks| key(&jwks, kid, algorithm))
                }
                (None, None) => None,
            };
            let verified = match &key {
                Some(key) => jws.is_signed_by(key, algorithm),
                // As much work for an unknown client or key as for a wrong signature; the decoy's private key is nobody's.
                None => decoy(algorithm).is_some_and(|key| jws.is_signed_by(&key, algorithm)) && key.is_some(),
            };
            let Some(client) = client.filter(|_| verified) else { return Err(refused("key or signature")) };
            let (jti, expires) = claims(&jws, token_endpoint, now).map_err(refused)?;
            if !store.use_assertion(&client.id, jti, expires, now).await? {
                let row = state.of_client(Happening::Replay, &client, 401, now).because("assertion");
                state.note_often(scene, row);
                return Err(refused("replay"));
            }
            Ok(client)
        }
    }
}

fn presented<'a>(form: &'a Form, basic: Option<&str>) -> Result<Presented<'a>, OAuthError> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    let (assertion, kind) = (form.get("client_assertion"), form.get("client_assertion_type"));
    match (basic, secret, assertion) {
        (Some(header), None, None) if kind.is_none() => {
            let (basic_id, secret) = read_basic(header).ok_or_else(|| OAuthError::invalid_client(true))?;
            if id.is_some_and(|id| id != basic_id) {
                return Err(OAuthError::invalid_request(
                    "client_id in the form is not the one of the Authorization header",
                ));
            }
            Ok(Presented::Secret { id: basic_id, secret })
        }
        (None, Some(secret), None) if kind.is_none() => {
            let id = id.ok_or_else(|| OAuthError::invalid_request("client_secret goes with client_id"))?;
            Ok(Presented::Secret { id: id.into(), secret: secret.into() })
        }
        (None, None, Some(assertion)) => match kind {
            Some(JWT_BEARER) => Ok(Presented::Assertion { assertion, id }),
            _ => Err(OAuthError::invalid_request(format!("client_assertion_type is {JWT_BEARER}"))),
        },
        (None, None, None) if kind.is_none() => id.map(Presented::Id).ok_or_else(|| OAuthError::invalid_client(false)),
        (None, None, None) => Err(OAuthError::invalid_request("client_assertion is missing")),
        _ => Err(OAuthError::invalid_request(
            "authenticate in one way: Authorization: Basic, client_secret, or client_assertion",
        )),
    }
}

/// `Basic base64(form(id):form(secret))`, RFC 6749 2.3.1.
fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((super::endpoint::form_decode(id)?, super::endpoint::form_decode(secret)?))
}

/// RS384 or ES384 of a header that is a client assertion's.
fn algorithm(jws: &Jws<'_>) -> Result<Algorithm, &'static str> {
    let algorithm = match jws.header_text("alg") {
        Some("RS384") => Algorithm::RS384,
        Some("ES384") => Algorithm::ES384,
        _ => return Err("alg"),
    };
    if !jws.header_text("typ").is_some_and(|t| t.eq_ignore_ascii_case("JWT")) {
        return Err("typ");
    }
    if jws.header_text("kid").is_none_or(str::is_empty) {
        return Err("kid");
    }
    Ok(algorithm)
}

/// Checks what a verified assertion says; gives its `jti` and the second after which it may be forgotten.
fn claims<'a>(jws: &'a Jws<'_>, token_endpoint: &str, now: Instant) -> Result<(&'a str, i64), &'static str> {
    let now = now.0.div_euclid(1_000_000);
    if !jws.is_only_for(token_endpoint) {
        return Err("aud");
    }
    let exp = jws.seconds("exp").ok().flatten().ok_or("exp")?;
    if exp <= now - SKEW || exp > now + MAX_LIFE + SKEW {
        return Err("exp");
    }
    for name in ["nbf", "iat"] {
        if jws.seconds(name).map_err(|_| "nbf or iat")?.is_some_and(|t| t > now + SKEW) {
            return Err("nbf or iat");
        }
    }
    let jti = jws.text("jti").filter(|j| !j.is_empty() && j.len() <= 255).ok_or("jti")?;
    Ok((jti, exp + SKEW))
}

/// Members that only a private key has.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// The one key with that id that fits the algorithm; none for zero or several, and none whose private half was published.
/// Keys of other kinds beside it do not matter.
pub(super) fn key(jwks: &str, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
    let set: serde_json::Value = serde_json::from_str(jwks).ok()?;
    let public = set["keys"].as_array()?.iter().filter(|k| PRIVATE.iter().all(|m| k.get(m).is_none()));
    let jwks = public.filter(|k| k["kid"] == kid).filter_map(|k| serde_json::from_value::<Jwk>(k.clone()).ok());
    let mut fitting = jwks.filter(|k| fits(k, algorithm));
    let (jwk, None) = (fitting.next()?, fitting.next()) else { return None };
    DecodingKey::from_jwk(&jwk).ok()
}

/// Whether a key may verify that algorithm: kind, curve, size, use, and its own `alg` where it has one.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{PS256, RS256, RS384, RS512};
    let kind = match (&jwk.algorithm, algorithm) {
        (AlgorithmParameters::EllipticCurve(p), Algorithm::ES384) => p.curve == EllipticCurve::P384,
        (AlgorithmParameters::EllipticCurve(p), Algorithm::ES256) => p.curve == EllipticCurve::P256,
        (AlgorithmParameters::RSA(p), RS256 | RS384 | RS512 | PS256) => rsa_bits(&p.n) >= 2048,
        _ => false,
    };
    kind && jwk.common.public_key_use != Some(PublicKeyUse::Encryption)
        && jwk.common.key_algorithm.is_none_or(|a| format!("{a:?}") == format!("{algorithm:?}"))
}

fn rsa_bits(n: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(n).unwrap_or_default();
    let significant = bytes.iter().skip_while(|b| **b == 0);
    let lead = significant.clone().next().map_or(0, |b| b.leading_zeros() as usize);
    significant.count() * 8 - lead
}

/// A key that no client has: for the time that a verification takes.
fn decoy(algorithm: Algorithm) -> Option<DecodingKey> {
    let (x, y) = DECOY_P384;
    match algorithm {
        Algorithm::ES384 => DecodingKey::from_ec_components(x, y).ok(),
        // Any odd number of 2048 bits costs the same exponentiation.
        _ => Some(DecodingKey::from_rsa_raw_components(&[0xc5; 256], &[1, 0, 1])),
    }
}

/// A point of P-384 whose private key was thrown away.
const DECOY_P384: (&str, &str) = (
    "MH0KDqp1OXRa9IMQqvd9xXX6FIZMVJSkCQGfReSrRt3377ir2xA8KEnG1lqgCLez",
    "0-MuN8P8NOuWENtuDGN5U3kopdpmzYeEREDEv3WNpRMlu6lHZUGe2rPA-gJGW_i5",
);

/// Checks public keys before they are registered.
///
/// # Errors
/// The rest of a sentence that starts with the member's name.
pub fn check_jwks(jwks: &serde_json::Value) -> Result<(), String> {
    let keys = jwks.get("keys").and_then(serde_json::Value::as_array).filter(|k| !k.is_empty());
    let keys = keys.ok_or("is {\"keys\": [\u{2026}]} with at least one public key")?;
    let mut kids = Vec::new();
    for value in keys {
        if PRIVATE.iter().any(|m| value.get(m).is_some()) {
            return Err("holds a private key; register the public half only, and replace that key".into());
        }
        let jwk: Jwk = serde_json::from_value(value.clone()).map_err(|e| format!("holds what is no key: {e}"))?;
        let kid = jwk.common.key_id.clone().filter(|k| !k.is_empty()).ok_or("holds a key without kid")?;
        if !fits(&jwk, Algorithm::ES384) && !fits(&jwk, Algorithm::RS384) {
            return Err(format!(
                "holds the key '{kid}', which is neither EC P-384 (ES384) nor RSA of 2048 bits (RS384)"
            ));
        }
        if DecodingKey::from_jwk(&jwk).is_err() {
            return Err(format!("holds the key '{kid}', which does not read"));
        }
        if kids.contains(&kid) {
            return Err(format!("holds two keys with the kid '{kid}'"));
        }
        kids.push(kid);
    }
    Ok(())
}

/// SHA-256 of a secret in hex, as it is stored.
#[must_use]
pub fn hash_secret(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (n, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Whether a text can be a client id at all; nothing else goes to the database.
fn is_client_id(text: &str) -> bool {
    crate::fhir::resource::is_id(text)
}
