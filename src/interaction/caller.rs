//! Who asked for what is done later: a caller as it is stored, and as it acts again.
//!
//! For: jobs of the background, Subscriptions. Not for: whether the caller still may (`auth/again.rs`).

use super::request::Prefer;
use crate::access::scope::Scopes;
use crate::access::{Ctx, Principal, Role};
use crate::auth::sieve::{self, Who};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::search::Keys;
use serde::{Deserialize, Serialize};

/// A caller, as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Caller {
    role: String,
    org: Option<String>,
    practitioner: Option<String>,
    user: Option<String>,
    client: String,
    scopes: Option<String>,
    patient: Option<String>,
    now: i64,
    request_id: String,
    base: String,
    prefer: Option<String>,
    #[serde(default)]
    subject: Option<(String, String)>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    grant: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    /// Security labels that the caller was not cleared for.
    #[serde(default)]
    hidden: i64,
}

const PREFERS: [(&str, Prefer); 3] =
    [("minimal", Prefer::Minimal), ("representation", Prefer::Representation), ("OperationOutcome", Prefer::Outcome)];

impl Caller {
    pub(super) fn of(ctx: &Ctx, prefer: Option<Prefer>) -> Self {
        let p = &ctx.principal;
        Self {
            role: p.role.as_str().into(),
            org: p.org.clone(),
            practitioner: p.practitioner.clone(),
            user: p.user.clone(),
            client: p.client.clone(),
            scopes: p.scopes.as_ref().map(ToString::to_string),
            patient: p.patient.clone(),
            now: ctx.now.0,
            request_id: ctx.request_id.to_string(),
            base: ctx.base.to_string(),
            prefer: PREFERS.iter().find(|(_, p)| Some(*p) == prefer).map(|(name, _)| (*name).to_owned()),
            subject: p.subject.clone(),
            token: p.token.clone(),
            address: ctx.address.as_deref().map(Into::into),
            grant: p.grant.clone(),
            issuer: p.issuer.clone(),
            hidden: p.sieve.as_ref().map_or(0, |s| s.hidden),
        }
    }

    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::fault("a caller is JSON").caused_by(e))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::fault("a stored caller is JSON").caused_by(e))
    }

    pub(super) fn into_ctx(self, keys: &Keys) -> Result<(Ctx, Option<Prefer>)> {
        let role = Role::parse(&self.role).ok_or_else(|| Error::fault("a stored role is one of Baton's"))?;
        let prefer = PREFERS.iter().find(|(name, _)| Some(*name) == self.prefer.as_deref()).map(|(_, p)| *p);
        // Without a token a person may what a user may.
        let scopes = Scopes::parse(self.scopes.as_deref().unwrap_or("user/*.cruds"));
        let who = Who { scopes: &scopes, patient: self.patient.as_deref(), is_patient: role == Role::Patient };
        let sieve = sieve::of(who, keys, self.hidden);
        let principal = Principal {
            role,
            sieve,
            org: self.org,
            practitioner: self.practitioner,
            user: self.user,
            subject: self.subject,
            client: self.client,
            scopes: self.scopes.is_some().then(|| scopes.into()),
            patient: self.patient,
            token: self.token,
            issuer: self.issuer,
            grant: self.grant,
            // Looked for when it is acted for.
            jurisdiction: None,
        };
        let ctx = Ctx {
            principal: principal.into(),
            now: Instant(self.now),
            request_id: self.request_id.into(),
            base: self.base.into(),
            address: self.address.map(Into::into),
        };
        Ok((ctx, prefer))
    }
}
