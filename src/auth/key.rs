//! The keys that sign access tokens, and their public half at `/auth/jwks`.
//!
//! Kept in the database, not in a file beside it: all nodes of one PostgreSQL sign and verify with the same keys without
//! anybody copying files, a restored backup still verifies, and whoever can read the database reads the patients' data
//! anyway. Access tokens are signed with ES256 (P-256), id_tokens with RS256, which OpenID asks for; `kid` is the RFC 7638
//! thumbprint. The newest of an algorithm signs; the others verify until they are taken away.

use super::jws::install_crypto;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::oauth::StoredKey;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

/// One signing key.
pub struct SigningKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
    jwk: Jwk,
}

impl SigningKey {
    /// Makes a key, as it is stored.
    ///
    /// # Errors
    /// `Fault` when the machine has no randomness.
    pub fn generate(now: Instant) -> Result<StoredKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| Error::fault("no signing key could be made"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| Error::fault("a new signing key could not be written"))?;
        Self::stored(pkcs8.as_ref(), Algorithm::ES256, now)
    }

    /// Makes a key for id_tokens, as it is stored.
    ///
    /// # Errors
    /// `Fault` when the machine has no randomness.
    pub fn generate_rsa(now: Instant) -> Result<StoredKey> {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| Error::fault("no signing key could be made"))?;
        let pkcs8: Pkcs8V1Der<'_> =
            pair.as_der().map_err(|_| Error::fault("a new signing key could not be written"))?;
        Self::stored(pkcs8.as_ref(), Algorithm::RS256, now)
    }

    fn stored(pkcs8: &[u8], algorithm: Algorithm, now: Instant) -> Result<StoredKey> {
        let (pkcs8, alg) = (STANDARD.encode(pkcs8), format!("{algorithm:?}"));
        let kid = Self::open(&pkcs8, &alg)?.kid;
        Ok(StoredKey { kid, pkcs8, created: now.0, alg })
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// `Fault` when the stored text is no key of that algorithm.
    pub fn open(pkcs8: &str, alg: &str) -> Result<Self> {
        install_crypto();
        let fault = || Error::fault("a stored signing key does not read");
        let (algorithm, encoding) = match alg {
            "RS256" => {
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines(pkcs8));
                let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| fault().caused_by(e))?;
                (Algorithm::RS256, key)
            }
            _ => {
                let der = STANDARD.decode(pkcs8).map_err(|e| fault().caused_by(e))?;
                (Algorithm::ES256, EncodingKey::from_ec_der(&der))
            }
        };
        let mut jwk = Jwk::from_encoding_key(&encoding, algorithm).map_err(|e| fault().caused_by(e))?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| fault().caused_by(e))?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|e| fault().caused_by(e))?;
        Ok(Self { kid, algorithm, encoding, decoding, jwk })
    }
}

/// Lines of 64 characters, as PEM has them.
fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 64);
    for (n, c) in text.chars().enumerate() {
        if n > 0 && n % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

/// All keys of the database, newest first; at least one.
pub struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    /// Reads the keys; makes the first one where there is none. `for_people`: with one for id_tokens.
    ///
    /// # Errors
    /// `Fault` when a stored key does not read, and what the store says.
    pub async fn open(store: &Store, now: Instant, for_people: bool) -> Result<Self> {
        let mut stored = store.signing_keys().await?;
        let has = |stored: &[StoredKey], alg: &str| stored.iter().any(|k| k.alg == alg);
        let lacks_first = !has(&stored, "ES256");
        if lacks_first {
            store.add_first_signing_key(SigningKey::generate(now)?).await?;
        }
        let lacks_second = for_people && !has(&stored, "RS256");
        if lacks_second {
            store.add_first_signing_key(SigningKey::generate_rsa(now)?).await?;
        }
        if lacks_first || lacks_second {
            stored = store.signing_keys().await?;
        }
        Self::read(&stored)
    }

    /// Reads keys as stored, newest first.
    ///
    /// # Errors
    /// `Fault` when there is none or one does not read.
    pub fn read(stored: &[StoredKey]) -> Result<Self> {
        let keys = stored.iter().map(|k| SigningKey::open(&k.pkcs8, &k.alg)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(Error::fault("there is no signing key: the first one was to be made just now"));
        }
        Ok(Self(keys))
    }

    /// The key that signs access tokens.
    ///
    /// # Errors
    /// Never: a ring has a key.
    pub fn signing(&self) -> Result<&SigningKey> {
        self.newest(Algorithm::ES256)
    }

    /// The newest key of an algorithm.
    ///
    /// # Errors
    /// `Fault` where none was made.
    pub fn newest(&self, algorithm: Algorithm) -> Result<&SigningKey> {
        let found = self.0.iter().find(|k| k.algorithm == algorithm);
        found.ok_or_else(|| Error::fault(format!("there is no {algorithm:?} key")))
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.0.iter().find(|k| k.kid == kid)
    }

    /// The public keys: `{"keys": […]}`.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({"keys": self.0.iter().map(|k| &k.jwk).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security R6: The published keys have unique kids and no private member, and one is RSA.
    #[test]
    fn the_published_keys_have_no_private_member() {
        let ec = [SigningKey::generate(Instant(2)).unwrap(), SigningKey::generate(Instant(1)).unwrap()];
        let rsa = SigningKey::generate_rsa(Instant(3)).unwrap();
        let stored = [rsa, ec[0].clone(), ec[1].clone()];
        let ring = KeyRing::read(&stored).unwrap();
        let jwks = ring.jwks();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 3);
        for (jwk, stored) in keys.iter().zip(&stored) {
            let mut members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            members.sort_unstable();
            let public: &[&str] = match stored.alg.as_str() {
                "RS256" => &["alg", "e", "kid", "kty", "n", "use"],
                _ => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            };
            assert_eq!(members, public);
            assert_eq!((jwk["kid"].as_str().unwrap(), jwk["alg"].as_str()), (&*stored.kid, Some(&*stored.alg)));
            assert_eq!(stored.kid.len(), 43, "a SHA-256 thumbprint in base64url");
        }
        assert_eq!(ring.signing().unwrap().kid, stored[1].kid);
        assert_eq!(ring.newest(Algorithm::RS256).unwrap().kid, stored[0].kid);
        assert!(ring.find("../../dev/null").is_none());
    }
}
