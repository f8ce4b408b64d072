//! Clients, users, signing keys and used assertions: rows of the authorization server.
//!
//! For: `auth`, `baton seed`, `baton token`. Times are seconds since 1970 in `oauth_jti`, microseconds elsewhere.
//! Not for: the Organization and PractitionerRole behind a user: those are FHIR resources.

use super::conn::{Arg, Row};
use super::{Store, Tx, Work};
use crate::clock::Instant;
use crate::error::Result;
use futures_util::future::BoxFuture;

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

const CLIENT: &str = "SELECT id, name, secret, jwks, scopes, org, role, active FROM oauth_client WHERE id = $1";
const USER: &str = "SELECT name, sub, org, role, practitioner, practitioner_role, active FROM oauth_user";

impl Store {
    /// A client by id, active or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_client(&self, id: &str) -> Result<Option<Client>> {
        self.fetch(CLIENT, vec![id.into()]).await?.first().map(client).transpose()
    }

    /// A user by login name, active or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_user(&self, name: &str) -> Result<Option<User>> {
        self.fetch(&format!("{USER} WHERE name = $1"), vec![name.into()]).await?.first().map(user).transpose()
    }

    /// A user by `sub`, active or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_user_by_sub(&self, sub: &str) -> Result<Option<User>> {
        self.fetch(&format!("{USER} WHERE sub = $1"), vec![sub.into()]).await?.first().map(user).transpose()
    }

    /// The signing keys, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn signing_keys(&self) -> Result<Vec<StoredKey>> {
        let sql = "SELECT kid, pkcs8, created FROM oauth_key ORDER BY created DESC, kid";
        let rows = self.fetch(sql, Vec::new()).await?;
        rows.iter().map(|r| Ok(StoredKey { kid: r.text(0)?, pkcs8: r.text(1)?, created: r.int(2)? })).collect()
    }

    /// Stores a signing key unless there is one: of nodes that start at once, one wins.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_first_signing_key(&self, key: StoredKey) -> Result<()> {
        let lock = self.keys().hash(&["oauth_key"]);
        self.write(FirstKey { key, lock }).await
    }

    /// Marks an assertion as used until `expires` (seconds), in one atomic step. False: it was used before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn use_assertion(&self, client: &str, jti: &str, expires: i64, now: Instant) -> Result<bool> {
        let (client, jti) = (client.to_owned(), jti.to_owned());
        self.write(UseAssertion { client, jti, expires, now: now.0.div_euclid(1_000_000) }).await
    }
}

impl Tx {
    /// Adds a signing key; the newest signs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_signing_key(&mut self, key: &StoredKey) -> Result<()> {
        let sql = "INSERT INTO oauth_key (kid, pkcs8, created) VALUES ($1, $2, $3)";
        let args = vec![key.kid.as_str().into(), key.pkcs8.as_str().into(), key.created.into()];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Adds a client, or makes it as given.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_client(&mut self, c: &Client) -> Result<()> {
        let sql = "INSERT INTO oauth_client (id, name, secret, jwks, scopes, org, role, active) \
                   VALUES ($1, $2, nullif($3, ''), nullif($4, ''), $5, nullif($6, ''), $7, $8) \
                   ON CONFLICT (id) DO UPDATE SET name = excluded.name, secret = excluded.secret, jwks = excluded.jwks, \
                   scopes = excluded.scopes, org = excluded.org, role = excluded.role, active = excluded.active";
        let args: Vec<Arg> = vec![
            c.id.as_str().into(),
            c.name.as_str().into(),
            optional(&c.secret),
            optional(&c.jwks),
            c.scopes.as_str().into(),
            optional(&c.org),
            c.role.as_str().into(),
            i64::from(c.is_active).into(),
        ];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Adds a user, or makes it as given; `sub` stays what it was.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_user(&mut self, u: &User) -> Result<()> {
        let sql = "INSERT INTO oauth_user (name, sub, org, role, practitioner, practitioner_role, active) \
                   VALUES ($1, $2, nullif($3, ''), $4, nullif($5, ''), nullif($6, ''), $7) \
                   ON CONFLICT (name) DO UPDATE SET org = excluded.org, role = excluded.role, \
                   practitioner = excluded.practitioner, practitioner_role = excluded.practitioner_role, \
                   active = excluded.active";
        let args: Vec<Arg> = vec![
            u.name.as_str().into(),
            u.sub.as_str().into(),
            optional(&u.org),
            u.role.as_str().into(),
            optional(&u.practitioner),
            optional(&u.practitioner_role),
            i64::from(u.is_active).into(),
        ];
        self.execute(sql, args).await.map(|_| ())
    }
}

/// A text that the statement turns into NULL when it is empty.
fn optional(text: &Option<String>) -> Arg {
    text.as_deref().unwrap_or_default().into()
}

fn client(row: &Row) -> Result<Client> {
    Ok(Client {
        id: row.text(0)?,
        name: row.text(1)?,
        secret: row.opt_text(2)?,
        jwks: row.opt_text(3)?,
        scopes: row.text(4)?,
        org: row.opt_text(5)?,
        role: row.text(6)?,
        is_active: row.int(7)? == 1,
    })
}

fn user(row: &Row) -> Result<User> {
    Ok(User {
        name: row.text(0)?,
        sub: row.text(1)?,
        org: row.opt_text(2)?,
        role: row.text(3)?,
        practitioner: row.opt_text(4)?,
        practitioner_role: row.opt_text(5)?,
        is_active: row.int(6)? == 1,
    })
}

struct FirstKey {
    key: StoredKey,
    lock: i64,
}

impl Work for FirstKey {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        let sql = "INSERT INTO oauth_key (kid, pkcs8, created) SELECT $1, $2, $3 \
                   WHERE NOT EXISTS (SELECT 1 FROM oauth_key)";
        let args = vec![self.key.kid.as_str().into(), self.key.pkcs8.as_str().into(), self.key.created.into()];
        Box::pin(async move { tx.execute(sql, args).await.map(|_| ()) })
    }

    fn locks(&self) -> Vec<i64> {
        vec![self.lock]
    }
}

struct UseAssertion {
    client: String,
    jti: String,
    expires: i64,
    now: i64,
}

impl Work for UseAssertion {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            tx.execute("DELETE FROM oauth_jti WHERE expires < $1", vec![self.now.into()]).await?;
            let sql =
                "INSERT INTO oauth_jti (client, jti, expires) VALUES ($1, $2, $3) ON CONFLICT (client, jti) DO NOTHING";
            let args = vec![self.client.as_str().into(), self.jti.as_str().into(), self.expires.into()];
            Ok(tx.execute(sql, args).await? == 1)
        })
    }
}
