//! Keys of clients, and assertions signed with them: well-formed ones and others.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use baton::auth::jws::install_crypto;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

pub struct Keys {
    /// Registered for `signer` as `ec`.
    pub ec: EncodingKey,
    /// Registered for `signer` as `rsa`.
    pub rsa: EncodingKey,
    /// Registered for `other-signer` as `ec`.
    pub other: EncodingKey,
    /// Registered nowhere.
    pub p256: EncodingKey,
}

impl Keys {
    pub fn new() -> Self {
        install_crypto();
        Self {
            ec: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            rsa: rsa_key(),
            other: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            p256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
        }
    }

    pub fn jwks(&self) -> Value {
        json!({"keys": [public(&self.ec, Algorithm::ES384, "ec"), public(&self.rsa, Algorithm::RS384, "rsa")]})
    }

    pub fn other_jwks(&self) -> Value {
        json!({"keys": [public(&self.other, Algorithm::ES384, "ec")]})
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> EncodingKey {
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
    EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("pkcs8").as_ref())
}

fn rsa_key() -> EncodingKey {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key");
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair).expect("pkcs8");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key")
}

pub fn public(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a public key");
    jwk.common.key_id = Some(kid.into());
    serde_json::to_value(jwk).expect("JSON")
}

/// Any header and claims, as text, signed with a key in an algorithm that the header need not name.
pub fn sign(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

/// Signed with nothing: the third part is as given.
pub fn unsigned(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
