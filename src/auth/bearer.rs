//! From the headers of a request to its caller.
//!
//! For: http, once a request. A bearer token is verified - embedded one of ours or of a listed issuer, external one of a listed issuer
//! alone - and at least once in [`LOOK_BACK`] we look whether client, user and role still hold. `--auth off` gives the super-user, or the user or client that `X-Baton-Actor` names,
//! and the clock of `X-Baton-Now`; both headers mean nothing in any other mode.
//! Source: RFC 6750; own rules for `--auth off`.

use super::external::External;
use super::key::KeyRing;
use super::origins::Origins;
use super::password::Passwords;
use super::provider::Providers;
use super::remote::RemoteKeys;
use super::sieve::{self, Who};
use super::standing;
use super::token::{self, Claims, Grant, Parties};
use crate::access::scope::{Level, Scopes};
use crate::access::{Policy, Principal, Role};
use crate::clock::Instant;
use crate::config::{AuthMode, Limits, Settings};
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::is_id;
use crate::outbound::fetch::Reach;
use crate::store::oauth::{Client, User};
use crate::store::{Store, Tx, Work};
use futures_util::future::BoxFuture;
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How old a look at client, user and role may be, in seconds: half a minute, so that with a slow read it stays below one.
pub const LOOK_BACK: i64 = 30;
/// The client that `baton token` mints for. It has no secret and no key, so the token endpoint refuses it.
pub const LOCAL_CLIENT: &str = "baton-cli";
/// The database setting that holds the address of the server that ran last, for `baton token`.
pub const ROOT_SETTING: &str = "auth.root";

/// What a request says about its caller.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// All `Authorization` headers; a value that is not ASCII as "".
    pub authorization: Vec<&'a str>,
    /// `X-Baton-Actor`.
    pub actor: Option<&'a str>,
    /// `X-Baton-Now`.
    pub now: Option<&'a str>,
}

/// Who is calling, and at what time of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: Arc<Principal>,
    /// `Ctx.now`.
    pub now: Instant,
}

/// All that authentication needs; one a process.
pub struct AuthState {
    /// The database.
    pub store: Store,
    /// The role matrix.
    pub policy: Arc<Policy>,
    /// Issuer and audience.
    pub parties: Parties,
    /// Token lifetimes.
    pub limits: Limits,
    /// Argon2id.
    pub passwords: Passwords,
    /// Keys of clients at addresses of their own.
    pub remote: RemoteKeys,
    /// Other issuers.
    pub external: External,
    /// Where people may log in beside our own page.
    pub providers: Providers,
    /// Browsers that may call.
    pub origins: Origins,
    mode: AuthMode,
    ring: RwLock<Arc<KeyRing>>,
    /// When the keys were last read again, in microseconds.
    ring_read: AtomicI64,
    cache: [Mutex<LruCache<[u8; 32], Verified>>; SHARDS],
}

/// A token that was verified.
#[derive(Clone)]
struct Verified {
    claims: Arc<Claims>,
    principal: Arc<Principal>,
    /// When client, user and role were looked at, in microseconds.
    looked: i64,
}

const SHARDS: usize = 16;

/// Of a token that a proof goes with.
const NO_PROOF: &str = "Baton takes bearer tokens (Authorization: Bearer …), and no proofs of possession (DPoP)";
/// Of a token that says that a proof goes with it.
const BOUND: &str = "the access token is bound to a key or a certificate (cnf), so it is no bearer token; Baton knows neither DPoP nor mTLS: \
                     ask for a token that is not bound";

impl AuthState {
    /// For a server: as [`AuthState::local`], and leaves its address in the database for `baton token`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(store: Store, policy: Arc<Policy>, settings: &Settings, root: &str) -> Result<Self> {
        let known = store.setting(ROOT_SETTING).await?;
        if settings.auth == AuthMode::Embedded && known.as_deref() != Some(root) {
            store.write(RememberRoot(root.into())).await?;
        }
        Self::make(store, policy, settings, root, settings.auth == AuthMode::Embedded).await
    }

    /// Reads (or makes) the signing keys. `root`: `Settings::root` of the bound address.
    ///
    /// # Errors
    /// What the store says.
    pub async fn local(store: Store, policy: Arc<Policy>, settings: &Settings, root: &str) -> Result<Self> {
        Self::make(store, policy, settings, root, false).await
    }

    async fn make(
        store: Store,
        policy: Arc<Policy>,
        settings: &Settings,
        root: &str,
        for_people: bool,
    ) -> Result<Self> {
        let now = Instant::now();
        let ring = KeyRing::open(&store, now, for_people).await?;
        let size = Limits::size(settings.limits.token_cache).div_ceil(SHARDS);
        let size = NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            store,
            passwords: Passwords::new(&settings.limits),
            remote: RemoteKeys::new(if settings.is_this_machine_only() { Reach::Local } else { Reach::Public }),
            external: External::new(settings.issuers.clone()),
            providers: Providers::open(if for_people { &settings.providers } else { &[] })?,
            origins: Origins::default(),
            policy,
            parties: Parties::of(root),
            limits: settings.limits.clone(),
            mode: settings.auth,
            ring: RwLock::new(Arc::new(ring)),
            ring_read: AtomicI64::new(now.0),
            cache: std::array::from_fn(|_| Mutex::new(LruCache::new(size))),
        })
    }

    /// How callers are known.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// The keys as last read.
    ///
    /// # Errors
    /// Never: see [`KeyRing::signing`].
    pub fn keys(&self) -> Result<Arc<KeyRing>> {
        Ok(Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The public keys as JSON.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).jwks()
    }

    /// Finds the caller.
    ///
    /// # Errors
    /// `Unauthenticated` (write [`AuthState::challenge`] as `WWW-Authenticate`): no token, one that does not hold, a
    /// disabled client or user, an unknown actor. `Forbidden`: a person whose role does not hold now. `Invalid`: an
    /// `X-Baton-Now` that is no instant.
    pub async fn authenticate(&self, asked: &Asked<'_>, now: Instant) -> Result<Caller> {
        match self.mode {
            AuthMode::Off => self.trusted(asked, now).await,
            AuthMode::Embedded | AuthMode::External => Ok(Caller { principal: self.bearer(asked, now).await?, now }),
        }
    }

    /// Value of `WWW-Authenticate` for a failure of [`AuthState::authenticate`] or of a scope; `None` when it has none.
    #[must_use]
    pub fn challenge(&self, error: &Error) -> Option<String> {
        let realm = format!("Bearer realm=\"{}\"", self.parties.audience);
        let code = error.issues.first().map_or("", |i| i.code);
        match (error.kind, code) {
            (Kind::Unauthenticated, "security") => Some(format!("{realm}, error=\"invalid_token\"")),
            (Kind::Unauthenticated, _) => Some(realm),
            (Kind::Forbidden, _) if crate::access::policy::is_scope_shortage(error) => {
                Some(format!("{realm}, error=\"insufficient_scope\""))
            }
            _ => None,
        }
    }

    async fn trusted(&self, asked: &Asked<'_>, now: Instant) -> Result<Caller> {
        let at = match asked.now {
            None => now,
            Some(text) => Instant::parse(text)
                .ok_or_else(|| Error::invalid("X-Baton-Now is an instant such as 2026-11-25T09:00:00Z"))?,
        };
        let principal = match asked.actor {
            None => Principal::super_user(),
            Some(name) => self.of_place(self.actor(name, now).await?).await?,
        };
        Ok(Caller { principal: Arc::new(principal), now: at })
    }

    /// The seeded user of that login name, or the client of that id.
    async fn actor(&self, name: &str, now: Instant) -> Result<Principal> {
        let unknown = || Error::unauthenticated("X-Baton-Actor names no active user or client; see baton seed");
        if !is_id(name) || name == LOCAL_CLIENT {
            return Err(unknown());
        }
        if let Some(user) = self.store.oauth_user(name).await?.filter(|u| u.is_active) {
            let role = role_of(&user.role)?;
            standing::person(&self.store, &self.policy, &user, role, now).await?;
            let hidden = self.hidden(role, &format!("user:{}", user.name)).await?;
            return Ok(self.principal((&user, role, hidden), Principal::super_user().client, None, None));
        }
        let client = self.store.oauth_client(name).await?.filter(|c| c.is_active).ok_or_else(unknown)?;
        let role = role_of(&client.role)?;
        if let Some(org) = &client.org {
            standing::organization(&self.store, org).await?;
        }
        let hidden = self.hidden(role, &format!("client:{}", client.id)).await?;
        let scopes = Scopes::parse("system/*.cruds");
        let sieve = sieve::of(Who { scopes: &scopes, patient: None, is_patient: false }, &self.store.keys(), hidden);
        Ok(Principal { role, org: client.org, client: client.id, sieve, ..Principal::super_user() })
    }

    /// Security labels that a caller is not cleared for, by role and by name.
    ///
    /// # Errors
    /// What the store says.
    pub async fn hidden(&self, role: Role, name: &str) -> Result<i64> {
        self.store.hidden_from(role, name).await
    }

    /// A user who may act now, and the role; `None`: unknown, disabled, or what stands behind the role does not hold.
    ///
    /// # Errors
    /// What the store says.
    pub async fn user(&self, name: &str, now: Instant) -> Result<Option<(User, Role)>> {
        let Some(user) = self.store.oauth_user(name).await?.filter(|u| u.is_active) else { return Ok(None) };
        let Ok(role) = role_of(&user.role) else { return Ok(None) };
        match standing::person(&self.store, &self.policy, &user, role, now).await {
            Ok(()) => Ok(Some((user, role))),
            Err(error) if error.kind == Kind::Forbidden => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The caller of a bearer token, whatever the mode.
    ///
    /// # Errors
    /// As [`AuthState::authenticate`].
    pub async fn bearer(&self, asked: &Asked<'_>, now: Instant) -> Result<Arc<Principal>> {
        let header = match asked.authorization.as_slice() {
            [] => return Err(Error::unauthenticated("send an access token: Authorization: Bearer …")),
            [one] => *one,
            _ => return Err(invalid_token("Authorization comes twice")),
        };
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            // RFC 6750 3.1: to a way that is not known the challenge has no error.
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("dpop") => return Err(Error::unauthenticated(NO_PROOF)),
            _ => return Err(invalid_token("no bearer token")),
        };
        let (claims, principal) = self.holder(token, now).await?;
        // RFC 9449 7.2: a token that is bound to a key opens nothing without the proof, which nobody here asks for.
        if claims.cnf.is_some() {
            tracing::debug!(why = "cnf", "an access token was refused");
            return Err(Error::unauthenticated(BOUND).code("security"));
        }
        Ok(principal)
    }

    /// Whose an access token is, and what it says, however it was shown.
    ///
    /// # Errors
    /// As [`AuthState::authenticate`].
    pub async fn holder(&self, token: &str, now: Instant) -> Result<(Arc<Claims>, Arc<Principal>)> {
        if token.len() > token::MAX_BYTES {
            return Err(invalid_token("too long"));
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let cached = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        let claims = match cached {
            Some(v) if now.0 >= v.claims.exp.saturating_mul(1_000_000) => return Err(invalid_token(token::EXPIRED)),
            Some(v) if now.0 - v.looked < LOOK_BACK * 1_000_000 && now.0 >= v.looked => {
                return Ok((v.claims, v.principal));
            }
            Some(v) => v.claims,
            None => Arc::new(self.verify(token, now).await?),
        };
        let result = match self.look(&claims, now).await {
            Ok(principal) => self.of_place(principal).await,
            refused => refused,
        };
        let mut shard = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(principal) => {
                let principal = Arc::new(principal);
                let known = Verified { claims: Arc::clone(&claims), principal: Arc::clone(&principal), looked: now.0 };
                shard.put(hash, known);
                Ok((claims, principal))
            }
            Err(error) => {
                shard.pop(&hash);
                Err(error)
            }
        }
    }

    /// The caller by the law of the place of their organisation.
    async fn of_place(&self, principal: Principal) -> Result<Principal> {
        let jurisdiction = standing::jurisdiction(&self.store, &self.policy, principal.org.as_deref()).await?;
        Ok(Principal { jurisdiction, ..principal })
    }

    fn shard(&self, hash: &[u8; 32]) -> &Mutex<LruCache<[u8; 32], Verified>> {
        let [first, ..] = hash;
        &self.cache[usize::from(*first) % SHARDS]
    }

    async fn verify(&self, token: &str, now: Instant) -> Result<Claims> {
        let is_alone = self.mode == AuthMode::External;
        if let Some(issuer) = self.external.issuer_of(token).filter(|i| is_alone || i.issuer != self.parties.issuer) {
            let found = self.external.verify(issuer, &self.parties.audience, token, now).await;
            return found.map_err(invalid_token);
        }
        if is_alone {
            return Err(invalid_token("no issuer that is listed"));
        }
        let first = token::verify(&*self.keys()?, &self.parties, token, now);
        if first == Err(token::UNKNOWN_KEY) && self.reload_keys(now).await? {
            return token::verify(&*self.keys()?, &self.parties, token, now).map_err(invalid_token);
        }
        first.map_err(invalid_token)
    }

    /// Another node may have a new key: reads them again, at most every five seconds.
    async fn reload_keys(&self, now: Instant) -> Result<bool> {
        let before = self.ring_read.load(Ordering::Relaxed);
        let is_due = now.0 - before > 5_000_000;
        if !is_due || self.ring_read.compare_exchange(before, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Ok(false);
        }
        let ring = KeyRing::read(&self.store.signing_keys().await?)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(true)
    }

    /// Looks whether client, user, organisation and role are as the token says.
    async fn look(&self, claims: &Claims, now: Instant) -> Result<Principal> {
        let role = role_of(&claims.role)?;
        let client = self.store.oauth_client(&claims.client_id).await?.filter(|c| c.is_active);
        let client = client.ok_or_else(|| invalid_token("client"))?;
        if self.mode == AuthMode::External || claims.iss != self.parties.issuer {
            return self.look_at_foreigner(claims, &client, role, now).await;
        }
        if claims.grant.is_none() && self.store.is_token_revoked(&claims.jti).await? {
            return Err(invalid_token("the token was taken back"));
        }
        if claims.sub == claims.client_id {
            return self.look_at_client(claims, &client, role).await;
        }
        let user = self.store.oauth_user_by_sub(&claims.sub).await?.filter(|u| u.is_active);
        let user = user.ok_or_else(|| invalid_token("user"))?;
        if user.org != claims.org || user.role != claims.role || user.practitioner != claims.practitioner {
            return Err(invalid_token("the user changed"));
        }
        standing::person(&self.store, &self.policy, &user, role, now).await?;
        let grant = match &claims.grant {
            None => None,
            Some(id) => Some(
                self.store
                    .grant(id)
                    .await?
                    .filter(|g| g.revoked == 0 && g.client == client.id)
                    .ok_or_else(|| invalid_token("the grant was taken back"))?,
            ),
        };
        if grant.as_ref().is_some_and(|g| g.user != user.name) {
            return Err(invalid_token("the grant is of another user"));
        }
        let scope = if claims.scope.is_empty() { grant.as_ref().map_or("", |g| &g.scope) } else { &claims.scope };
        let granted = Scopes::parse(scope).held(&Scopes::parse(&client.scopes), &[Level::Patient, Level::User]);
        let patient = grant.map(|g| g.patient).filter(|p| !p.is_empty());
        let (token, grant) = (Some(claims.jti.clone()), claims.grant.clone());
        let hidden = self.hidden(role, &format!("user:{}", user.name)).await?;
        let named = (&user, role, hidden);
        Ok(Principal { token, grant, ..self.principal(named, claims.client_id.clone(), Some(granted), patient) })
    }

    /// Who a token of another issuer speaks of: a program that is registered here as just that, or a person who has that role here.
    async fn look_at_foreigner(&self, claims: &Claims, client: &Client, role: Role, now: Instant) -> Result<Principal> {
        if client.org.is_some() && client.org != claims.org {
            return Err(invalid_token("the client is of another organisation"));
        }
        let issuer = Some(claims.iss.clone());
        if matches!(role, Role::HospitalSystem | Role::PharmacySystem) {
            return Ok(Principal { issuer, ..self.look_at_client(claims, client, role).await? });
        }
        let practitioner_role = claims.practitioner.as_ref().zip(claims.org.as_ref());
        let user = User {
            // No login here has such a name.
            name: format!("{}#{}", claims.iss, claims.sub),
            sub: claims.sub.clone(),
            org: claims.org.clone(),
            role: claims.role.clone(),
            practitioner: claims.practitioner.clone(),
            practitioner_role: practitioner_role.map(|(p, o)| standing::role_id(p, o, &claims.role)),
            is_active: true,
            password: String::new(),
            patient: claims.patient.clone(),
        };
        standing::person(&self.store, &self.policy, &user, role, now).await?;
        let registered = Scopes::parse(&client.scopes);
        let granted = Scopes::parse(&claims.scope).within(&registered, &[Level::Patient, Level::User]);
        let token = Some(claims.jti.clone());
        let patient = claims.patient.clone();
        let hidden = self.hidden(role, &format!("user:{}", user.name)).await?;
        let client = claims.client_id.clone();
        Ok(Principal { token, issuer, ..self.principal((&user, role, hidden), client, Some(granted), patient) })
    }

    /// A user as a caller, with the role and [`AuthState::hidden`]. `patient`: in context; of a patient who logs in always the own record.
    #[must_use]
    pub fn principal(
        &self,
        (user, role, hidden): (&User, Role, i64),
        client: String,
        scopes: Option<Scopes>,
        patient: Option<String>,
    ) -> Principal {
        let is_patient = role == Role::Patient;
        let patient = if is_patient { user.patient.clone() } else { patient };
        let keys = self.store.keys();
        let all = Scopes::parse("user/*.cruds");
        let who = Who { scopes: scopes.as_ref().unwrap_or(&all), patient: patient.as_deref(), is_patient };
        let sieve = sieve::of(who, &keys, hidden);
        Principal {
            role,
            org: user.org.clone(),
            practitioner: user.practitioner.as_ref().map(|id| format!("Practitioner/{id}")),
            user: Some(user.name.clone()),
            subject: Some(self.subject(user)),
            client,
            scopes: scopes.map(Arc::new),
            patient,
            sieve,
            issuer: None,
            token: None,
            grant: None,
            jurisdiction: None,
        }
    }

    /// Issuer of a login, and its `sub`.
    #[must_use]
    pub fn subject(&self, user: &User) -> (String, String) {
        // Of those who log in elsewhere the name says where.
        let issuer = user.name.strip_suffix(&format!("#{}", user.sub)).unwrap_or(&self.parties.issuer);
        (issuer.to_owned(), user.sub.clone())
    }

    /// Forgets the verified tokens: what was taken back holds at once, here.
    pub fn forget_tokens(&self) {
        for shard in &self.cache {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    async fn look_at_client(&self, claims: &Claims, client: &Client, role: Role) -> Result<Principal> {
        if client.org != claims.org || client.role != claims.role {
            return Err(invalid_token("the client changed"));
        }
        if let Some(org) = &client.org {
            standing::organization(&self.store, org).await?;
        }
        // Granted before and registered now.
        let scopes = Scopes::parse(&claims.scope).held(&Scopes::parse(&client.scopes), &[Level::System]);
        let who = Who { scopes: &scopes, patient: None, is_patient: false };
        let hidden = self.hidden(role, &format!("client:{}", client.id)).await?;
        Ok(Principal {
            role,
            org: client.org.clone(),
            practitioner: None,
            user: None,
            subject: None,
            client: client.id.clone(),
            sieve: sieve::of(who, &self.store.keys(), hidden),
            scopes: Some(scopes.into()),
            patient: None,
            issuer: None,
            token: Some(claims.jti.clone()),
            grant: None,
            jurisdiction: None,
        })
    }

    /// Mints a token for a seeded user, on the machine itself. `scopes`: what to ask for; all that a user may by default.
    ///
    /// # Errors
    /// `NotFound` for an unknown or disabled user, `Forbidden` when the role does not hold, `Invalid` for scopes that
    /// leave nothing.
    pub async fn token_for_user(&self, name: &str, scopes: Option<&str>, seconds: u64, now: Instant) -> Result<String> {
        let user = self.store.oauth_user(name).await?.filter(|u| u.is_active);
        let user = user.ok_or_else(|| Error::not_found(format!("there is no active user '{name}'; see baton seed")))?;
        let client = self.store.oauth_client(LOCAL_CLIENT).await?.filter(|c| c.is_active);
        let client = client.ok_or_else(|| Error::not_found(format!("the client '{LOCAL_CLIENT}' is disabled")))?;
        let role = role_of(&user.role)?;
        standing::person(&self.store, &self.policy, &user, role, now).await?;
        let scope = granted(scopes.unwrap_or(&client.scopes), &client, Level::User)?;
        let (sub, practitioner) = (user.sub, user.practitioner);
        let (org, client_id) = (user.org, client.id);
        let grant = Grant { sub, client_id, scope, org, role, practitioner, seconds, id: None, cnf: None };
        Ok(token::mint(&*self.keys()?, &self.parties, &grant, now)?.0)
    }

    /// Mints a token for a client, on the machine itself.
    ///
    /// # Errors
    /// As [`AuthState::token_for_user`].
    pub async fn token_for_client(&self, id: &str, scopes: Option<&str>, seconds: u64, now: Instant) -> Result<String> {
        let client = self.store.oauth_client(id).await?.filter(|c| c.is_active && c.id != LOCAL_CLIENT);
        let client =
            client.ok_or_else(|| Error::not_found(format!("there is no active client '{id}'; see baton seed")))?;
        let role = role_of(&client.role)?;
        if let Some(org) = &client.org {
            standing::organization(&self.store, org).await?;
        }
        let scope = granted(scopes.unwrap_or(&client.scopes), &client, Level::System)?;
        let (sub, client_id) = (client.id.clone(), client.id);
        let org = client.org;
        let grant = Grant { sub, client_id, scope, org, role, practitioner: None, seconds, id: None, cnf: None };
        Ok(token::mint(&*self.keys()?, &self.parties, &grant, now)?.0)
    }
}

struct RememberRoot(String);

impl Work for RememberRoot {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { tx.set_setting(ROOT_SETTING, &self.0).await })
    }
}

fn granted(asked: &str, client: &Client, level: Level) -> Result<String> {
    let scopes = Scopes::parse(asked).held(&Scopes::parse(&client.scopes), &[level]);
    if scopes.is_empty() {
        return Err(Error::invalid(format!(
            "none of these scopes may be granted; '{}' has {}",
            client.id, client.scopes
        )));
    }
    Ok(scopes.to_string())
}

/// One text for all that is wrong with a token; the reason is for the log.
fn invalid_token(why: &'static str) -> Error {
    tracing::debug!(why, "an access token was refused");
    Error::unauthenticated("the access token does not hold: get a new one").code("security")
}

fn role_of(name: &str) -> Result<Role> {
    match Role::parse(name) {
        Some(Role::SuperUser | Role::RuleEngine) | None => Err(invalid_token("role")),
        Some(role) => Ok(role),
    }
}
