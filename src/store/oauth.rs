//! Clients, users, signing keys and used assertions: rows of the authorization server.
//!
//! For: `auth`, `baton seed`, `baton token`. Times are seconds since 1970 in `oauth_jti`, microseconds elsewhere.
//! Not for: the Organization and PractitionerRole behind a user: those are FHIR resources.

use super::{Store, Tx};
use crate::clock::Instant;
use crate::error::{Error, Result};

/// A program that may ask for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// For people.
    pub name: String,
    /// SHA-256 of the secret in hex: enough because secrets hold at least 256 random bits.
    pub secret: Option<String>,
    /// Public keys as JSON (RFC 7517).
    pub jwks: Option<String>,
    /// The most it can be granted, space-separated.
    pub scopes: String,
    /// Logical id of the Organization it acts for.
    pub org: Option<String>,
    /// Name of `access::Role`.
    pub role: String,
    /// False: refused.
    pub is_active: bool,
}

/// A person who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// What tokens call the user: random, stable, never the login name.
    pub sub: String,
    /// Logical id of the Organization.
    pub org: Option<String>,
    /// Name of `access::Role`.
    pub role: String,
    /// Logical id of the Practitioner.
    pub practitioner: Option<String>,
    /// Logical id of the PractitionerRole that the role comes from.
    pub practitioner_role: Option<String>,
    /// False: refused.
    pub is_active: bool,
}

/// A key that signs access tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The private key: PKCS #8 in base64.
    pub pkcs8: String,
    /// When it was made, in microseconds: the newest signs.
    pub created: i64,
}

const LATER: &str = "not built yet";

impl Store {
    /// A client by id, active or not.
    pub async fn oauth_client(&self, _id: &str) -> Result<Option<Client>> {
        Err(Error::fault(LATER))
    }

    /// A user by login name, active or not.
    pub async fn oauth_user(&self, _name: &str) -> Result<Option<User>> {
        Err(Error::fault(LATER))
    }

    /// A user by `sub`, active or not.
    pub async fn oauth_user_by_sub(&self, _sub: &str) -> Result<Option<User>> {
        Err(Error::fault(LATER))
    }

    /// The signing keys, newest first.
    pub async fn signing_keys(&self) -> Result<Vec<StoredKey>> {
        Err(Error::fault(LATER))
    }

    /// Stores a signing key unless there is one: of nodes that start at once, one wins.
    pub async fn add_first_signing_key(&self, _key: StoredKey) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// Marks an assertion as used until `expires` (seconds). False: it was used before.
    pub async fn use_assertion(&self, _client: &str, _jti: &str, _expires: i64, _now: Instant) -> Result<bool> {
        Err(Error::fault(LATER))
    }
}

impl Tx {
    /// Adds a client, or makes it as given.
    pub async fn put_oauth_client(&mut self, _client: &Client) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// Adds a user, or makes it as given; `sub` stays what it was.
    pub async fn put_oauth_user(&mut self, _user: &User) -> Result<()> {
        Err(Error::fault(LATER))
    }
}
