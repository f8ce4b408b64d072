//! Compact JWS: read strictly, verified with one key and one algorithm, both chosen by us.
//!
//! For: client assertions and access tokens. The claims are checked where they are used; here only their form is.
//! Not for: finding the key. Nothing in a header (`jwk`, `x5c`, `jku`, `alg`) decides which key or algorithm is used.
//! Source: RFC 7515, RFC 8725.

use crate::fhir::Json;
use crate::fhir::json::{self, Limits};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};

/// Deepest JSON in a header or in claims; nothing of ours goes beyond 3.
const LIMITS: Limits = Limits { depth: 8, string_bytes: 16 << 10 };

/// A compact JWS, not verified yet.
#[derive(Debug)]
pub struct Jws<'a> {
    /// The protected header.
    pub header: Json,
    /// The payload.
    pub claims: Json,
    message: &'a str,
    signature: &'a str,
}

/// A claim that is there and is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Jws<'a> {
    /// Reads three base64url parts whose first two are JSON objects without duplicate members. `None` for all else, and
    /// for a header with `crit`: we understand no extension, and RFC 7515 4.1.11 then refuses.
    #[must_use]
    pub fn read(token: &'a str, max_bytes: usize) -> Option<Self> {
        if token.len() > max_bytes {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        if signature.is_empty() || claims.contains('.') {
            return None;
        }
        let jws = Self { header: object(header)?, claims: object(claims)?, message, signature };
        jws.header.get("crit").is_none().then_some(jws)
    }

    /// Whether the signature is by that key with exactly that algorithm, which the header must name too.
    #[must_use]
    pub fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        self.header.get("alg").and_then(Json::as_str).is_some_and(|a| a == format!("{algorithm:?}"))
            && jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
    }

    /// A header member that is a text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Json::as_str)
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Json::as_str)
    }

    /// A NumericDate as whole seconds; `Ok(None)` when absent.
    ///
    /// # Errors
    /// [`Malformed`] for texts, fractions, exponents, negatives and what does not fit.
    pub fn seconds(&self, name: &str) -> Result<Option<i64>, Malformed> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().filter(|n| *n >= 0).map(Some).ok_or(Malformed),
        }
    }

    /// Whether `aud` is this and nothing else: one string, or an array of one string.
    #[must_use]
    pub fn is_only_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Json::String(aud)) => aud == audience,
            Some(Json::Array(list)) => matches!(list.as_slice(), [Json::String(aud)] if aud == audience),
            _ => false,
        }
    }
}

fn object(part: &str) -> Option<Json> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    json::parse_with(&bytes, &LIMITS).ok().filter(|j| j.as_object().is_some())
}

/// Names the cryptography of this process, once: with another feature set in the build, jsonwebtoken panics at first use
/// when nobody did. Called again, it changes nothing.
pub fn install_crypto() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().is_err() {
            tracing::debug!("the JWT cryptography was chosen before");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn only_a_well_formed_jws_reads() {
        let good = token(r#"{"alg":"ES256","kid":"1"}"#, r#"{"iss":"a","exp":1}"#);
        assert!(Jws::read(&good, 1000).is_some());
        for (text, why) in [
            (String::new(), "empty"),
            ("a.b".into(), "two parts"),
            (format!("{good}.x"), "four parts"),
            (good.rsplit_once('.').unwrap().0.to_string() + ".", "empty signature"),
            (token(r#"{"alg":"ES256","alg":"none"}"#, "{\"a\":1}"), "duplicate header member"),
            (token(r#"{"alg":"ES256"}"#, r#"{"iss":"a","iss":"b"}"#), "duplicate claim"),
            (token(r#"{"alg":"ES256"}"#, r#"{"x":1,"x":2}"#), "duplicate custom claim"),
            (token(r#"{"alg":"ES256","crit":["exp"]}"#, "{\"a\":1}"), "crit"),
            (token(r#"{"alg":"ES256"}"#, "[1]"), "claims are no object"),
            (token(r#"{"alg":"ES256"}"#, "{\"a\":1} "), "fine"), // white space is JSON
        ] {
            assert_eq!(Jws::read(&text, 1000).is_some(), why == "fine", "{why}");
        }
        assert!(Jws::read(&good, 10).is_none(), "too long");
    }

    #[test]
    fn seconds_are_whole_and_not_negative() {
        for (exp, reads) in [
            ("1795622400", Ok(Some(1_795_622_400))),
            ("0", Ok(Some(0))),
            ("\"1795622400\"", Err(Malformed)),
            ("1e300", Err(Malformed)),
            ("1.5", Err(Malformed)),
            ("1.0", Err(Malformed)),
            ("-1", Err(Malformed)),
            ("true", Err(Malformed)),
            ("null", Err(Malformed)),
            ("99999999999999999999", Err(Malformed)),
        ] {
            let text = token(r#"{"alg":"ES256"}"#, &format!("{{\"exp\":{exp}}}"));
            assert_eq!(Jws::read(&text, 1000).map(|j| j.seconds("exp")), Some(reads), "{exp}");
        }
        let none = token(r#"{"alg":"ES256"}"#, "{\"a\":1}");
        assert_eq!(Jws::read(&none, 1000).map(|j| j.seconds("exp")), Some(Ok(None)));
    }
}
