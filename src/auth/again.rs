//! Whether who asked before may act now: for what is carried out, or handed out, later than it was asked for.
//!
//! For: jobs of the background. Not for: the door itself, which looks at each token (`bearer.rs`), and page links, each of which
//! comes with a token of its own.
//! Source: security contract, section 2 (leak path 21) and requirement 52; own rules.

use super::sieve::{self, Who};
use super::standing;
use crate::access::scope::{Level, Scopes};
use crate::access::{Policy, Principal, Role, Sieve};
use crate::clock::Instant;
use crate::config::{AuthMode, Issuer, Settings};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::oauth::User;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was asked for by a caller who may not act any more.
fn refuse(why: &str) -> Error {
    Error::forbidden(format!("who asked for this may not act any more: {why}"))
}

/// Whose tokens are taken, by the settings.
#[derive(Debug, Clone)]
pub struct Door {
    mode: AuthMode,
    issuers: Vec<Issuer>,
}

impl Door {
    /// Of these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self { mode: settings.auth, issuers: settings.issuers.clone() }
    }

    /// Whether tokens are asked for.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.mode != AuthMode::Off
    }

    /// Whether tokens are given here, and not by another issuer.
    #[must_use]
    pub fn gives(&self) -> bool {
        self.mode == AuthMode::Embedded
    }

    /// Whether a token of this caller would be taken: of an issuer that is listed still, and whose tables still know the organisation
    /// and the role here.
    fn takes(&self, before: &Principal) -> Result<()> {
        let Some(name) = &before.issuer else {
            return if self.gives() { Ok(()) } else { Err(refuse("tokens of Baton's own are not taken any more")) };
        };
        let Some(issuer) = self.issuers.iter().find(|i| i.issuer == *name) else {
            return Err(refuse("the issuer of the token is not listed any more"));
        };
        let knows = |table: &BTreeMap<String, String>, what: &str| table.values().any(|known| known == what);
        if !before.org.as_ref().is_some_and(|org| knows(&issuer.organizations, org)) {
            return Err(refuse("the issuer of the token speaks for that organisation no more"));
        }
        if !knows(&issuer.roles, before.role.as_str()) {
            return Err(refuse("the issuer of the token gives that role no more"));
        }
        Ok(())
    }
}

/// The caller of before as of `now`: the issuer listed, client and user enabled and as they were, the role backed, the grant not taken
/// back, the scopes still registered.
///
/// # Errors
/// `Forbidden` with the reason; what the store says.
pub async fn look(
    store: &Store,
    policy: &Policy,
    door: &Door,
    before: &Arc<Principal>,
    now: Instant,
) -> Result<Arc<Principal>> {
    let still = still(store, policy, door, before, now).await?;
    let jurisdiction = standing::jurisdiction(store, policy, before.org.as_deref()).await?;
    if jurisdiction == still.jurisdiction {
        return Ok(still);
    }
    Ok(Arc::new(Principal { jurisdiction, ..Principal::clone(&still) }))
}

async fn still(
    store: &Store,
    policy: &Policy,
    door: &Door,
    before: &Arc<Principal>,
    now: Instant,
) -> Result<Arc<Principal>> {
    if matches!(before.role, Role::SuperUser | Role::RuleEngine) {
        // Nobody has these roles by a token: a job of a time without tokens does not outlive it.
        return if door.asks() { Err(refuse("tokens are asked for now")) } else { Ok(Arc::clone(before)) };
    }
    // Without tokens a caller is named, and has no scopes.
    let is_trusted = before.scopes.is_none();
    if is_trusted && door.asks() {
        return Err(refuse("tokens are asked for now"));
    }
    if !is_trusted && door.asks() {
        door.takes(before)?;
    }
    if let Some(name) = &before.user {
        user(store, policy, before, name, now).await?;
    } else if let Some(org) = &before.org {
        standing::organization(store, org).await?;
    }
    let is_client = !is_trusted || before.user.is_none();
    let name = before.user.as_ref().map_or_else(|| format!("client:{}", before.client), |name| format!("user:{name}"));
    let hidden = store.hidden_from(before.role, &name).await?;
    let cleared = || {
        let old = before.sieve.as_deref().cloned().unwrap_or_default();
        let sieve = (hidden != 0 || !old.layers.is_empty()).then(|| Arc::new(Sieve { hidden, ..old }));
        Arc::new(Principal { sieve, ..Principal::clone(before) })
    };
    let client = store.oauth_client(&before.client).await?.filter(|c| c.is_active);
    let Some(client) = client else {
        return if is_client { Err(refuse("the client is disabled")) } else { Ok(cleared()) };
    };
    let has_moved = before.user.is_none() && (client.org != before.org || client.role != before.role.as_str());
    if has_moved || (client.org.is_some() && client.org != before.org) {
        return Err(refuse("the client changed"));
    }
    if let Some(id) = &before.grant {
        let grant = store.grant(id).await?.filter(|g| g.revoked == 0 && g.client == client.id);
        if grant.is_none_or(|g| Some(&g.user) != before.user.as_ref()) {
            return Err(refuse("what the user allowed was taken back"));
        }
    }
    let Some(scopes) = &before.scopes else { return Ok(cleared()) };
    let levels: &[Level] = if before.user.is_some() { &[Level::Patient, Level::User] } else { &[Level::System] };
    let held = scopes.within(&Scopes::parse(&client.scopes), levels);
    let who = Who { scopes: &held, patient: before.patient.as_deref(), is_patient: before.role == Role::Patient };
    let sieve = sieve::of(who, &store.keys(), hidden);
    Ok(Arc::new(Principal { sieve, scopes: Some(held.into()), ..Principal::clone(before) }))
}

/// Whether login and role are as they were.
async fn user(store: &Store, policy: &Policy, before: &Principal, name: &str, now: Instant) -> Result<()> {
    let practitioner = before.practitioner.as_deref().and_then(|p| p.strip_prefix("Practitioner/"));
    let user = match store.oauth_user(name).await? {
        Some(user) if !user.is_active => return Err(refuse("the user is disabled")),
        Some(user) => user,
        // Who comes by another issuer has no login here; the role is in the directory.
        None if before.issuer.is_some() => User {
            name: name.into(),
            sub: String::new(),
            org: before.org.clone(),
            role: before.role.as_str().into(),
            practitioner: practitioner.map(Into::into),
            practitioner_role: practitioner
                .zip(before.org.as_deref())
                .map(|(p, o)| standing::role_id(p, o, before.role.as_str())),
            is_active: true,
            password: String::new(),
            patient: before.patient.clone(),
        },
        None => return Err(refuse("the user is gone")),
    };
    if user.org != before.org || user.role != before.role.as_str() || user.practitioner.as_deref() != practitioner {
        return Err(refuse("the user changed"));
    }
    if before.role == Role::Patient && user.patient != before.patient {
        return Err(refuse("the user changed"));
    }
    match standing::person(store, policy, &user, before.role, now).await {
        Err(error) if error.kind == crate::error::Kind::Forbidden => Err(refuse("the role does not hold")),
        other => other,
    }
}

/// Whether a token of now reaches as far as the one that asked before: its scopes, the patient in context, and what the caller is
/// cleared for.
///
/// # Errors
/// `Forbidden` for want of scope; of another patient `false`.
pub fn reaches(now: &Principal, before: &Principal) -> Result<bool> {
    let hidden = |p: &Principal| p.sieve.as_ref().map_or(0, |s| s.hidden);
    if now.patient != before.patient || hidden(now) & !hidden(before) != 0 {
        return Ok(false);
    }
    let is_within = match (&before.scopes, &now.scopes) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(had), Some(has)) => {
            had.within(has, &[Level::Patient, Level::User, Level::System]).data.len() == had.data.len()
        }
    };
    if is_within {
        return Ok(true);
    }
    let why = "the token's scopes reach less far than those that this was asked with; ask for the same".to_owned();
    crate::access::Decision::Deny(crate::access::policy::Deny { why, is_scope: true }).ok().map(|()| false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClaimNames;

    /// security A67: A job of a token of another issuer asks the issuer list again.
    #[test]
    fn a_token_of_before_is_asked_for_by_the_door_of_now() {
        let issuer = |organization: &str, role: &str| Issuer {
            issuer: "https://idp.example".into(),
            jwks_uri: None,
            audience: None,
            algorithms: Vec::new(),
            max_age_seconds: 600,
            capabilities: Vec::new(),
            claims: ClaimNames::default(),
            organizations: BTreeMap::from([("a".into(), organization.into())]),
            roles: BTreeMap::from([("b".into(), role.into())]),
        };
        let who = |issuer: Option<&str>| Principal {
            role: Role::Pharmacist,
            org: Some("corner".into()),
            issuer: issuer.map(Into::into),
            ..Principal::super_user()
        };
        let (idp, other) = (Some("https://idp.example"), Some("https://idp.example/"));
        for (mode, issuers, before, takes) in [
            (AuthMode::Embedded, vec![], None, true),
            (AuthMode::External, vec![issuer("corner", "pharmacist")], None, false),
            (AuthMode::Embedded, vec![], idp, false),
            (AuthMode::Embedded, vec![issuer("corner", "pharmacist")], idp, true),
            (AuthMode::External, vec![issuer("corner", "pharmacist")], idp, true),
            (AuthMode::Embedded, vec![issuer("corner", "pharmacist")], other, false),
            (AuthMode::Embedded, vec![issuer("river", "pharmacist")], idp, false),
            (AuthMode::Embedded, vec![issuer("corner", "technician")], idp, false),
        ] {
            let said = Door { mode, issuers }.takes(&who(before));
            assert_eq!(said.is_ok(), takes, "{mode:?} {before:?}: {said:?}");
        }
    }
}
