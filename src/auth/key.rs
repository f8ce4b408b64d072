//! The keys that sign access tokens, and their public half at `/auth/jwks`.
//!
//! Kept in the database, not in a file beside it: all nodes of one PostgreSQL sign and verify with the same keys without
//! anybody copying files, a restored backup still verifies, and whoever can read the database reads the patients' data
//! anyway. A new key is ES256 (P-256); `kid` is the RFC 7638 thumbprint. The newest signs; the others verify until they
//! are taken away.

use super::jws::install_crypto;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::oauth::StoredKey;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

/// One signing key.
pub struct SigningKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
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
        let pkcs8 = STANDARD.encode(pkcs8.as_ref());
        let kid = Self::open(&pkcs8)?.kid;
        Ok(StoredKey { kid, pkcs8, created: now.0 })
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// `Fault` when the stored text is not a P-256 key.
    pub fn open(pkcs8: &str) -> Result<Self> {
        install_crypto();
        let fault = || Error::fault("a stored signing key does not read");
        let encoding = EncodingKey::from_ec_der(&STANDARD.decode(pkcs8).map_err(|e| fault().caused_by(e))?);
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::ES256).map_err(|e| fault().caused_by(e))?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| fault().caused_by(e))?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|e| fault().caused_by(e))?;
        Ok(Self { kid, encoding, decoding, jwk })
    }
}

/// All keys of the database, newest first; at least one.
pub struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    /// Reads the keys; makes the first one where there is none.
    ///
    /// # Errors
    /// `Fault` when a stored key does not read, and what the store says.
    pub async fn open(store: &Store, now: Instant) -> Result<Self> {
        let mut stored = store.signing_keys().await?;
        if stored.is_empty() {
            store.add_first_signing_key(SigningKey::generate(now)?).await?;
            stored = store.signing_keys().await?;
        }
        Self::read(&stored)
    }

    /// Reads keys as stored, newest first.
    ///
    /// # Errors
    /// `Fault` when there is none or one does not read.
    pub fn read(stored: &[StoredKey]) -> Result<Self> {
        let keys = stored.iter().map(|k| SigningKey::open(&k.pkcs8)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(Error::fault("there is no signing key: the first one was to be made just now"));
        }
        Ok(Self(keys))
    }

    /// The key that signs.
    ///
    /// # Errors
    /// Never: a ring has a key.
    pub fn signing(&self) -> Result<&SigningKey> {
        self.0.first().ok_or_else(|| Error::fault("a key ring has at least one key"))
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

    /// security R6: Published keys have no private member.
    #[test]
    fn the_published_keys_have_no_private_member() {
        let stored = [SigningKey::generate(Instant(2)).unwrap(), SigningKey::generate(Instant(1)).unwrap()];
        let ring = KeyRing::read(&stored).unwrap();
        let jwks = ring.jwks();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        for (jwk, stored) in keys.iter().zip(&stored) {
            let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members.len(), 7, "{members:?}");
            for name in ["kty", "crv", "x", "y", "kid", "use", "alg"] {
                assert!(members.contains(&name), "{name}");
            }
            assert_eq!((jwk["kid"].as_str().unwrap(), jwk["alg"].as_str()), (stored.kid.as_str(), Some("ES256")));
            assert_eq!(stored.kid.len(), 43, "a SHA-256 thumbprint in base64url");
        }
        assert_eq!(ring.signing().unwrap().kid, stored[0].kid);
        assert!(ring.find("../../dev/null").is_none());
    }
}
