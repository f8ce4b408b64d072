//! The audit: who did what to what, one row a write in the write's own transaction, reads and refusals by the batch.
//!
//! [`Audit`] is what a row says · [`journal`] rows of what changes nothing, on their way to disk · [`chain`] the hash chain
//! · [`check`] whether it holds · [`flood`] what would be too much · [`said`] what an AuditEvent says, as stored. A row holds facts, ids
//! and no values; the AuditEvents that are made of it when it is sealed
//! (`interaction/audit`) are what an auditor reads.
//! Source: own rule; security contract section 4.

pub mod chain;
pub mod check;
mod event;
mod flood;
pub mod journal;
pub mod said;

use super::Store;
use crate::access::Ctx;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::search::Keys;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Who did what; one row. Its `first_pk` and `last_pk` name the versions it made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// When by the request's clock (`Ctx.now`).
    pub at: Instant,
    /// Hash of the caller's organisation; 0 for none.
    pub org: i64,
    /// OAuth client.
    pub client: String,
    /// Login name; empty for systems.
    pub usr: String,
    /// `X-Request-Id`.
    pub request_id: String,
    /// Interaction or operation, such as `transaction`, `Task/$claim` or `read`; a [`Happening`]'s name.
    pub action: String,
    /// HTTP status of the answer.
    pub outcome: i64,
    /// What else is known.
    pub detail: Detail,
}

/// What a row says beyond its columns; stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detail {
    /// Role name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Logical id of the caller's Organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// `Practitioner/id` of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Issuer of the person's login, and what it calls them (`sub`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<(String, String)>,
    /// Network address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `jti` of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What was asked for: `Patient/1`, `Patient/1/_history/2`, `Task`, or "".
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on: String,
    /// The raw query of a search, history or operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `version.pk` of what the answer showed, without the directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<i64>,
    /// A reason: a code or a rule, never what a resource says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a refusal: the interaction or operation that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// `Patient/id` of whom the caller had broken the glass: of an AuditEvent, of whom it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub glass: Vec<String>,
    /// What a handoff opened to other organisations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disclosed: Vec<Disclosed>,
}

/// What one write lets an organisation see by one handoff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed(
    /// Hash of the organisation.
    pub i64,
    /// Name of the share.
    pub String,
    /// `Type/id` of each; none in rows of before they were kept.
    #[serde(default)]
    pub Vec<String>,
);

/// Why something was refused: the token has no scope for it (RFC 6750).
pub const NO_SCOPE: &str = "insufficient_scope";
/// The role may not.
pub const NO_RIGHT: &str = "role";
/// It has no caller.
pub const NO_CALLER: &str = "no caller";

/// What happens beside the interactions of FHIR.
///
/// An authorization server tells of each by [`Store::note`]: `store.note(Audit::happening(Happening::Login, now, "app",
/// "mara", 200))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A person logged in.
    Login,
    /// A login failed.
    LoginFailed,
    /// A person logged out.
    Logout,
    /// So many failures that the next try has to wait.
    Lockout,
    /// An access token was made.
    TokenIssued,
    /// A token was asked for and refused.
    TokenRefused,
    /// A token, or all of a grant, was taken back.
    TokenRevoked,
    /// A code, an assertion or a refresh token came a second time.
    Replay,
    /// A person let an app have access.
    ConsentGiven,
    /// A request was refused for want of a token, a scope or a right.
    Denied,
    /// Somebody took access that their role does not give, for a reason that they gave.
    BreakGlass,
    /// That access was given back, or taken, before its time was over.
    GlassMended,
    /// A user, client, role or share was changed by an operator.
    AccountsChanged,
    /// A signing key was made or retired.
    KeyRotated,
    /// The audit was exported, or a part of it whose time was over was taken away.
    AuditUsed,
}

impl Happening {
    /// All, with the names that rows hold.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Login, "login"),
        (Self::LoginFailed, "login-failed"),
        (Self::Logout, "logout"),
        (Self::Lockout, "lockout"),
        (Self::TokenIssued, "token-issued"),
        (Self::TokenRefused, "token-refused"),
        (Self::TokenRevoked, "token-revoked"),
        (Self::Replay, "replay"),
        (Self::ConsentGiven, "consent-given"),
        (Self::Denied, "denied"),
        (Self::BreakGlass, "break-glass"),
        (Self::GlassMended, "glass-mended"),
        (Self::AccountsChanged, "accounts-changed"),
        (Self::KeyRotated, "key-rotated"),
        (Self::AuditUsed, "audit-used"),
    ];

    /// The name that a row holds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(h, _)| *h == self).map_or("", |(_, name)| name)
    }

    /// Reads a row's action.
    #[must_use]
    pub fn parse(action: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == action).map(|(h, _)| *h)
    }
}

impl Audit {
    /// The row of a request's caller. `action`: interaction, operation or [`Happening`]; `outcome`: HTTP status.
    #[must_use]
    pub fn of(ctx: &Ctx, keys: Keys, action: impl Into<String>, outcome: i64) -> Self {
        let who = &ctx.principal;
        Self {
            at: ctx.now,
            org: who.org.as_ref().map_or(0, |id| keys.org(id)),
            client: who.client.clone(),
            usr: who.user.clone().unwrap_or_default(),
            request_id: ctx.request_id.to_string(),
            action: action.into(),
            outcome,
            detail: Detail {
                role: who.role.as_str().into(),
                org: who.org.clone(),
                person: who.practitioner.clone(),
                subject: who.subject.clone(),
                address: ctx.address.as_deref().map(Into::into),
                token: who.token.clone(),
                glass: who.sieve.iter().flat_map(|s| &s.glass).map(|g| g.of.clone()).collect(),
                ..Detail::default()
            },
        }
    }

    /// The row of something that is no request of a known caller. `user`: login name, or "".
    #[must_use]
    pub fn happening(what: Happening, at: Instant, client: &str, user: &str, outcome: i64) -> Self {
        let action = what.as_str().into();
        Self { at, client: client.into(), usr: user.into(), action, outcome, ..Self::default() }
    }

    /// With the network address of the client.
    #[must_use]
    pub fn from_address(mut self, address: Option<&str>) -> Self {
        self.detail.address = address.map(Into::into);
        self
    }

    /// With a reason: a code or a rule, never what a resource or a form says.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.detail.why = Some(why.into());
        self
    }

    /// `audit.detail`.
    pub(super) fn detail_text(&self) -> String {
        // A struct of texts and numbers has no way to fail.
        serde_json::to_string(&self.detail).unwrap_or_else(|_| "{}".into())
    }
}

impl Detail {
    /// Reads `audit.detail`.
    ///
    /// # Errors
    /// `Fault` for what this Baton did not write.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| Error::fault("the detail of an audit row does not read").caused_by(e))
    }
}

impl Store {
    /// Request ids of all writes whose id begins with `mark`: letters, digits and dashes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn request_ids(&self, mark: &str) -> Result<HashSet<String>> {
        let sql = "SELECT DISTINCT request_id FROM audit WHERE request_id LIKE $1";
        let rows = self.fetch(sql, vec![format!("{mark}%").as_str().into()]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }
}
