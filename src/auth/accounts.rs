//! Programs that may ask for tokens, and people who may log in: added, changed, disabled, on record.
//!
//! For: `baton client`, `baton user` and the admin API (`admin.rs`), which do the same in the same words. Secrets come out once and are
//! kept as hashes; passwords never come out.
//! Not for: who may do this: the machine's operator, or a token with `__accounts`.

use super::bearer::LOCAL_CLIENT;
use super::client::hash_secret;
use super::password::Passwords;
use super::register;
use super::standing;
use super::token::random_text;
use crate::access::{Policy, Role};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::oauth::{Client, Kind, Link, User};
use serde_json::{Value, json};

/// Where it is done.
pub struct Desk<'a> {
    /// The database.
    pub store: &'a Store,
    /// The role matrix.
    pub policy: &'a Policy,
    /// Puts on record: on what, and what was done.
    pub note: &'a (dyn Fn(String, String) + Send + Sync),
}

/// What is to be there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing, or what is changed.
    Anything,
    /// Nothing.
    Nothing,
    /// What is changed.
    Something,
}

/// Why not.
#[derive(Debug)]
pub enum Refused {
    /// (member, the rest of a sentence) of each thing that is wrong.
    Wrong(Vec<(&'static str, String)>),
    /// There is no such client or user.
    Unknown(String),
    /// What the store or the directory says.
    Other(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong(list) => {
                let list: Vec<String> = list.into_iter().map(|(member, why)| format!("{member} {why}")).collect();
                Self::invalid(list.join("; "))
            }
            Refused::Unknown(what) => Self::not_found(format!("there is no {what}")),
            Refused::Other(error) => error,
        }
    }
}

fn wrong<T>(member: &'static str, why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Wrong(vec![(member, why.into())]))
}

impl Desk<'_> {
    /// All clients but Baton's own.
    ///
    /// # Errors
    /// What the store says.
    pub async fn clients(&self) -> Result<Vec<Client>> {
        Ok(self.store.oauth_clients().await?.into_iter().filter(|c| c.id != LOCAL_CLIENT).collect())
    }

    /// A client.
    ///
    /// # Errors
    /// [`Refused::Unknown`]; what the store says.
    pub async fn client(&self, id: &str) -> Result<Client, Refused> {
        let client = self.store.oauth_client(id).await?.filter(|c| c.id != LOCAL_CLIENT);
        client.ok_or_else(|| Refused::Unknown(format!("client '{id}'")))
    }

    /// Registers a client, or changes one. Gives the secret where a new one was made.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn register(&self, client: Client, expect: Expect) -> Result<Option<String>, Refused> {
        let before = self.store.oauth_client(&client.id).await?;
        if client.id == LOCAL_CLIENT || self.store.oauth_user(&client.id).await?.is_some() {
            return wrong("id", format!("is '{}', the name of a user or Baton's own", client.id));
        }
        match (&before, expect) {
            (Some(_), Expect::Nothing) => return wrong("id", format!("is '{}', which is taken", client.id)),
            (None, Expect::Something) => return Err(Refused::Unknown(format!("client '{}'", client.id))),
            _ => {}
        }
        let mut problems = register::problems(&client);
        let systems = [Role::HospitalSystem, Role::PharmacySystem, Role::Analyst, Role::Auditor, Role::Admin];
        if client.may("client_credentials") && !Role::parse(&client.role).is_some_and(|r| systems.contains(&r)) {
            problems.push(("role", "is hospital-system, pharmacy-system, analyst, auditor or admin".into()));
        }
        if !problems.is_empty() {
            return Err(Refused::Wrong(problems));
        }
        let kept = before.filter(|c| c.kind == client.kind).and_then(|c| c.secret);
        let (secret, made) = match (client.kind, kept) {
            (Kind::Symmetric, Some(kept)) => (Some(kept), None),
            (Kind::Symmetric, None) => {
                let made = random_text::<32>()?;
                (Some(hash_secret(&made)), Some(made))
            }
            _ => (None, None),
        };
        let on = format!("client {}", client.id);
        self.store.put_oauth_client(Client { secret, ..client }).await?;
        (self.note)(on, "registered".into());
        Ok(made)
    }

    /// Refuses a client from now on.
    ///
    /// # Errors
    /// [`Refused::Unknown`]; what the store says.
    pub async fn disable_client(&self, id: &str) -> Result<(), Refused> {
        let client = self.client(id).await?;
        self.store.put_oauth_client(Client { is_active: false, ..client }).await?;
        (self.note)(format!("client {id}"), "disabled".into());
        Ok(())
    }

    /// A new secret; the old one is over.
    ///
    /// # Errors
    /// [`Refused`], for a client without secrets too.
    pub async fn rotate(&self, id: &str) -> Result<String, Refused> {
        let client = self.client(id).await?;
        if client.kind != Kind::Symmetric {
            return wrong("kind", format!("of client {id} is not symmetric: it has no secret; register new keys"));
        }
        let secret = random_text::<32>()?;
        self.store.put_oauth_client(Client { secret: Some(hash_secret(&secret)), ..client }).await?;
        (self.note)(format!("client {id}"), "new secret".into());
        Ok(secret)
    }

    /// All users as JSON, without passwords.
    ///
    /// # Errors
    /// What the store says.
    pub async fn users(&self) -> Result<Vec<Value>> {
        let links = self.store.links().await?;
        Ok(self.store.oauth_users().await?.iter().map(|u| shown(u, &links)).collect())
    }

    /// A user.
    ///
    /// # Errors
    /// [`Refused::Unknown`]; what the store says.
    pub async fn user(&self, name: &str) -> Result<User, Refused> {
        self.store.oauth_user(name).await?.ok_or_else(|| Refused::Unknown(format!("user '{name}'")))
    }

    /// A user as JSON.
    ///
    /// # Errors
    /// As [`Desk::user`].
    pub async fn shown(&self, name: &str) -> Result<Value, Refused> {
        let user = self.user(name).await?;
        Ok(shown(&user, &self.store.links().await?))
    }

    /// Adds a user, or changes one: who could not act at this moment is refused.
    ///
    /// # Errors
    /// [`Refused`]; `Forbidden` when the role does not hold.
    pub async fn put_user(&self, user: User, expect: Expect) -> Result<(), Refused> {
        if !crate::fhir::resource::is_id(&user.name) {
            return wrong("name", "has 1 to 64 letters, digits, '-' and '.'");
        }
        let people = [
            Role::Technician,
            Role::Pharmacist,
            Role::Prescriber,
            Role::Patient,
            Role::Analyst,
            Role::Auditor,
            Role::Admin,
        ];
        let Some(role) = Role::parse(&user.role).filter(|r| people.contains(r)) else {
            return wrong("role", "is technician, pharmacist, prescriber, patient, analyst, auditor or admin");
        };
        if self.store.oauth_client(&user.name).await?.is_some() {
            return wrong("name", format!("is '{}', the id of a client", user.name));
        }
        let is_there = self.store.oauth_user(&user.name).await?.is_some();
        match (is_there, expect) {
            (true, Expect::Nothing) => return wrong("name", format!("is '{}', which is taken", user.name)),
            (false, Expect::Something) => return Err(Refused::Unknown(format!("user '{}'", user.name))),
            _ => {}
        }
        standing::person(self.store, self.policy, &user, role, Instant::now()).await?;
        let (on, why) = (format!("user {}", user.name), format!("set as {}", user.role));
        self.store.put_oauth_user(user).await?;
        (self.note)(on, why);
        Ok(())
    }

    /// Refuses a user from now on.
    ///
    /// # Errors
    /// As [`Desk::user`].
    pub async fn disable_user(&self, name: &str) -> Result<(), Refused> {
        let user = self.user(name).await?;
        self.store.put_oauth_user(User { is_active: false, ..user }).await?;
        (self.note)(format!("user {name}"), "disabled".into());
        Ok(())
    }

    /// Sets a password, as Argon2id.
    ///
    /// # Errors
    /// As [`Desk::user`]; `Invalid` for one that is too short or too long, `Busy`.
    pub async fn set_password(&self, passwords: &Passwords, name: &str, password: &str) -> Result<(), Refused> {
        self.user(name).await?;
        self.store.set_password(name, &passwords.hash(password).await?).await?;
        (self.note)(format!("user {name}"), "new password".into());
        Ok(())
    }

    /// Says who somebody of a provider is here.
    ///
    /// # Errors
    /// [`Refused`]: unknown, or one of the two is linked there already.
    pub async fn link(&self, link: &Link) -> Result<(), Refused> {
        self.user(&link.user).await?;
        if link.sub.is_empty() || link.sub.len() > 255 {
            return wrong("sub", "has 1 to 255 characters");
        }
        if !self.store.link(link, Instant::now()).await? {
            let why = format!("'{}', or user {}, is linked at {} already", link.sub, link.user, link.issuer);
            return wrong("sub", why);
        }
        (self.note)(format!("user {}", link.user), format!("linked at {}", link.issuer));
        Ok(())
    }

    /// Takes a user's links away, of one issuer or (empty) of all, and signs the user and the user's apps out.
    ///
    /// # Errors
    /// [`Refused::Unknown`]; what the store says.
    pub async fn unlink(&self, name: &str, issuer: &str) -> Result<(), Refused> {
        self.user(name).await?;
        if !self.store.unlink(name, issuer, Instant::now()).await? {
            return Err(Refused::Unknown(format!("link of user '{name}' there")));
        }
        let why = if issuer.is_empty() { "unlinked".to_owned() } else { format!("unlinked at {issuer}") };
        (self.note)(format!("user {name}"), why);
        Ok(())
    }
}

fn shown(u: &User, links: &[Link]) -> Value {
    let own = links.iter().filter(|l| l.user == u.name);
    let own: Vec<_> = own.map(|l| json!({"issuer": l.issuer, "sub": l.sub})).collect();
    json!({"name": u.name, "role": u.role, "organization": u.org, "practitioner": u.practitioner, "patient": u.patient,
        "active": u.is_active, "has_password": !u.password.is_empty(), "links": own})
}

/// A user who was not there. `practitioner_role` `None`: as `baton seed` names it.
#[must_use]
pub fn new_user(name: String, role: String) -> User {
    User {
        name,
        sub: uuid::Uuid::new_v4().to_string(),
        org: None,
        role,
        practitioner: None,
        practitioner_role: None,
        is_active: true,
        password: String::new(),
        patient: None,
    }
}
