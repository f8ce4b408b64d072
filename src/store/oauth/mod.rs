//! Clients, users, signing keys and used assertions: rows of the authorization server.
//!
//! For: `auth`, `baton seed`, `baton token`. Times are seconds since 1970 in `oauth_jti`, microseconds elsewhere.
//! Not for: the Organization and PractitionerRole behind a user: those are FHIR resources.
//!
//! Sessions and logins `login.rs`, logins at other providers `link.rs`, what users allow apps `grant.rs`.

mod grant;
mod link;
mod login;

pub use grant::{Code, Grant, Launch, Refresh};
pub use link::{Errand, Link};
pub use login::{Pending, Session};

use super::conn::{Arg, Row};
use super::{Store, Tx, Work};
use crate::clock::Instant;
use crate::error::Result;
use futures_util::future::BoxFuture;

/// In `oauth_jti`, beside the clients whose assertions were used: access tokens that were taken back. No client has an empty id.
const TOKENS: &str = "";

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
    /// How it shows who it is.
    pub kind: Kind,
    /// Where codes may be sent: exact texts.
    pub redirect_uris: Vec<String>,
    /// Where an EHR starts it.
    pub launch_uris: Vec<String>,
    /// Origins of browsers that may call for it: `https://app.example`.
    pub origins: Vec<String>,
    /// Where its public keys are, when they are not here.
    pub jwks_uri: Option<String>,
    /// `authorization_code`, `refresh_token`, `client_credentials`.
    pub grants: Vec<String>,
    /// Of the house itself: users are not asked.
    pub is_first_party: bool,
}

/// How a client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Not at all: every endpoint refuses it.
    #[default]
    None,
    /// By its id: a browser or a phone keeps no secret.
    Public,
    /// By a secret.
    Symmetric,
    /// By assertions that it signs.
    Asymmetric,
}

impl Kind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::None, "none"),
        (Self::Public, "public"),
        (Self::Symmetric, "symmetric"),
        (Self::Asymmetric, "asymmetric"),
    ];

    /// As rows and files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(k, _)| *k == self).map_or("none", |(_, n)| n)
    }

    /// Reads a name; an unknown one is [`Kind::None`].
    #[must_use]
    pub fn parse(name: &str) -> Self {
        Self::ALL.iter().find(|(_, n)| *n == name).map_or(Self::None, |(k, _)| *k)
    }
}

impl Client {
    /// Whether it may use a grant type.
    #[must_use]
    pub fn may(&self, grant: &str) -> bool {
        self.grants.iter().any(|g| g == grant)
    }
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
    /// PHC text of an Argon2id hash; empty: no login with a password. [`Tx::put_oauth_user`] leaves it as it is.
    pub password: String,
    /// Logical id of the Patient who logs in.
    pub patient: Option<String>,
}

/// A key that signs access tokens, or id_tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The private key: PKCS #8 in base64.
    pub pkcs8: String,
    /// When it was made, in microseconds: the newest of its algorithm signs.
    pub created: i64,
    /// `ES256` or `RS256`.
    pub alg: String,
}

const CLIENT: &str = "SELECT id, name, secret, jwks, scopes, org, role, active, kind, redirect_uris, launch_uris, origins, \
                      jwks_uri, grants, first_party FROM oauth_client";
const USER: &str =
    "SELECT name, sub, org, role, practitioner, practitioner_role, active, password, patient FROM oauth_user";

impl Tx {
    /// Whether somebody or something of one of these Organizations (logical ids) may log in here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_account(&mut self, orgs: &[&str]) -> Result<bool> {
        let sql = "SELECT 1 FROM oauth_client WHERE org = $1 UNION ALL SELECT 1 FROM oauth_user WHERE org = $1 LIMIT 1";
        for org in orgs {
            if !self.fetch(sql, vec![(*org).into()]).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Store {
    /// A client by id, active or not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_client(&self, id: &str) -> Result<Option<Client>> {
        self.fetch(&format!("{CLIENT} WHERE id = $1"), vec![id.into()]).await?.first().map(client).transpose()
    }

    /// All clients, by id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_clients(&self) -> Result<Vec<Client>> {
        self.fetch(&format!("{CLIENT} ORDER BY id"), Vec::new()).await?.iter().map(client).collect()
    }

    /// All users, by login name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn oauth_users(&self) -> Result<Vec<User>> {
        self.fetch(&format!("{USER} ORDER BY name"), Vec::new()).await?.iter().map(user).collect()
    }

    /// Adds a client, or makes it as given.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_client(&self, client: Client) -> Result<()> {
        self.write(PutClient(client)).await
    }

    /// Adds a user, or makes it as given; `sub` and password stay what they were.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_user(&self, user: User) -> Result<()> {
        self.write(PutUser(user)).await
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
        let sql = "SELECT kid, pkcs8, created, alg FROM oauth_key ORDER BY created DESC, kid";
        let rows = self.fetch(sql, Vec::new()).await?;
        let key = |r: &Row| Ok(StoredKey { kid: r.text(0)?, pkcs8: r.text(1)?, created: r.int(2)?, alg: r.text(3)? });
        rows.iter().map(key).collect()
    }

    /// Adds a signing key: from now on it signs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_signing_key(&self, key: StoredKey) -> Result<()> {
        self.write(AddKey(key)).await
    }

    /// Takes away the keys that were made before `before` and are not the newest of their algorithm.
    ///
    /// # Errors
    /// What the database says.
    pub async fn retire_signing_keys(&self, before: Instant) -> Result<()> {
        let sql = "DELETE FROM oauth_key WHERE created < $1 \
                   AND created < (SELECT max(k.created) FROM oauth_key k WHERE k.alg = oauth_key.alg)";
        self.write(Steps(vec![Step::may(sql, vec![before.0.into()])])).await.map(|_| ())
    }

    /// Stores a signing key unless there is one of its algorithm: of nodes that start at once, one wins.
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

    /// Takes back a token that no grant stands behind, by its `jti`; kept until it is over (`expires`, seconds). False: it was before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn revoke_token(&self, jti: &str, expires: i64, now: Instant) -> Result<bool> {
        self.use_assertion(TOKENS, jti, expires, now).await
    }

    /// Whether a token was taken back so.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM oauth_jti WHERE client = $1 AND jti = $2";
        Ok(!self.fetch(sql, vec![TOKENS.into(), jti.into()]).await?.is_empty())
    }
}

impl Tx {
    /// Adds a signing key; the newest signs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_signing_key(&mut self, key: &StoredKey) -> Result<()> {
        let sql = "INSERT INTO oauth_key (kid, pkcs8, created, alg) VALUES ($1, $2, $3, $4)";
        let args =
            vec![key.kid.as_str().into(), key.pkcs8.as_str().into(), key.created.into(), key.alg.as_str().into()];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Adds a client, or makes it as given.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_client(&mut self, c: &Client) -> Result<()> {
        let sql = "INSERT INTO oauth_client (id, name, secret, jwks, scopes, org, role, active, kind, redirect_uris, \
                   launch_uris, origins, jwks_uri, grants, first_party) \
                   VALUES ($1, $2, nullif($3, ''), nullif($4, ''), $5, nullif($6, ''), $7, $8, $9, $10, $11, $12, $13, $14, $15) \
                   ON CONFLICT (id) DO UPDATE SET name = excluded.name, secret = excluded.secret, jwks = excluded.jwks, \
                   scopes = excluded.scopes, org = excluded.org, role = excluded.role, active = excluded.active, \
                   kind = excluded.kind, redirect_uris = excluded.redirect_uris, launch_uris = excluded.launch_uris, \
                   origins = excluded.origins, jwks_uri = excluded.jwks_uri, grants = excluded.grants, \
                   first_party = excluded.first_party";
        let args: Vec<Arg> = vec![
            c.id.as_str().into(),
            c.name.as_str().into(),
            optional(&c.secret),
            optional(&c.jwks),
            c.scopes.as_str().into(),
            optional(&c.org),
            c.role.as_str().into(),
            i64::from(c.is_active).into(),
            c.kind.as_str().into(),
            c.redirect_uris.join(" ").into(),
            c.launch_uris.join(" ").into(),
            c.origins.join(" ").into(),
            optional(&c.jwks_uri),
            c.grants.join(" ").into(),
            i64::from(c.is_first_party).into(),
        ];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Adds a user, or makes it as given; `sub` and password stay what they were.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_oauth_user(&mut self, u: &User) -> Result<()> {
        let sql = "INSERT INTO oauth_user (name, sub, org, role, practitioner, practitioner_role, active, patient) \
                   VALUES ($1, $2, nullif($3, ''), $4, nullif($5, ''), nullif($6, ''), $7, $8) \
                   ON CONFLICT (name) DO UPDATE SET org = excluded.org, role = excluded.role, \
                   practitioner = excluded.practitioner, practitioner_role = excluded.practitioner_role, \
                   active = excluded.active, patient = excluded.patient";
        let args: Vec<Arg> = vec![
            u.name.as_str().into(),
            u.sub.as_str().into(),
            optional(&u.org),
            u.role.as_str().into(),
            optional(&u.practitioner),
            optional(&u.practitioner_role),
            i64::from(u.is_active).into(),
            optional(&u.patient),
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
        kind: Kind::parse(&row.text(8)?),
        redirect_uris: words(&row.text(9)?),
        launch_uris: words(&row.text(10)?),
        origins: words(&row.text(11)?),
        jwks_uri: some(row.text(12)?),
        grants: words(&row.text(13)?),
        is_first_party: row.int(14)? == 1,
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
        password: row.text(7)?,
        patient: some(row.text(8)?),
    })
}

/// An empty text is none.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect()
}

/// One statement of [`Steps`].
struct Step {
    sql: &'static str,
    args: Vec<Arg>,
    /// When it changes no row, the steps after it are not taken.
    must: bool,
}

impl Step {
    fn must(sql: &'static str, args: Vec<Arg>) -> Self {
        Self { sql, args, must: true }
    }

    fn may(sql: &'static str, args: Vec<Arg>) -> Self {
        Self { sql, args, must: false }
    }
}

/// Statements in one transaction; whether all that must change a row did.
struct Steps(Vec<Step>);

impl Work for Steps {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            for step in &self.0 {
                if tx.execute(step.sql, step.args.clone()).await? == 0 && step.must {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

struct PutClient(Client);

impl Work for PutClient {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(tx.put_oauth_client(&self.0))
    }
}

struct PutUser(User);

impl Work for PutUser {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(tx.put_oauth_user(&self.0))
    }
}

struct AddKey(StoredKey);

impl Work for AddKey {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(tx.add_signing_key(&self.0))
    }
}

struct FirstKey {
    key: StoredKey,
    lock: i64,
}

impl Work for FirstKey {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        let sql = "INSERT INTO oauth_key (kid, pkcs8, created, alg) SELECT $1, $2, $3, $4 \
                   WHERE NOT EXISTS (SELECT 1 FROM oauth_key WHERE alg = $5)";
        let key = &self.key;
        let args = vec![
            key.kid.as_str().into(),
            key.pkcs8.as_str().into(),
            key.created.into(),
            key.alg.as_str().into(),
            key.alg.as_str().into(),
        ];
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
