//! The role matrix: which role may do what with which type, as data.
//!
//! For: [`decide`], asked once by every interaction and every Bundle entry before anything is read or written.
//! Not for: which rows (`limit.rs`), which fields and states (`workflow::guard`), or what SMART scopes say (`scope.rs`,
//! which is the first layer here).
//! Source: `profiles/policy/access.json`, read by `policy/file.rs`; own rules. The table as it stands is printed to `docs/access.md` by a test
//! (`policy/print.rs`).

mod file;
mod print;

use super::redaction::Redactions;
use super::scope::{Action, Rights, Scopes};
use super::{Principal, Role};
use crate::error::{Error, Kind, Result};
use crate::fhir::{Json, ResourceType};
use std::sync::Arc;

/// What a role may do with one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Rights on rows of the own organisation (and, for reading, on everything visible).
    pub own: Rights,
    /// Rights that hold on rows of other organisations, shared with the caller: `u`, `d`.
    pub shared: Rights,
}

/// Role × type × right.
#[derive(Debug, Clone)]
pub struct Policy {
    roles: Vec<(Role, Vec<Cell>)>,
    codes: Vec<(Role, Vec<String>)>,
    laws: Vec<Law>,
    redactions: Redactions,
    /// What who could claim a Task sees of its hand-off before, and in which words.
    before_claim: Vec<(ResourceType, String)>,
}

/// Where the law of a jurisdiction differs from the matrix.
#[derive(Debug, Clone)]
struct Law {
    /// ISO 3166-2.
    code: String,
    title: String,
    /// Of `Organization.address`, in capitals.
    countries: Vec<String>,
    states: Vec<String>,
    /// Whole rows, as they are there.
    roles: Vec<(Role, Vec<Cell>)>,
}

impl Law {
    fn row(&self, role: Role) -> Option<&[Cell]> {
        self.roles.iter().find(|(r, _)| *r == role).map(|(_, c)| c.as_slice())
    }
}

/// Why not, for a 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deny {
    /// One sentence for the sender.
    pub why: String,
    /// The token's scopes are to blame: RFC 6750 `insufficient_scope`.
    pub is_scope: bool,
}

/// The answer of [`decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// As far as role and scope go.
    Permit,
    /// 403.
    Deny(Deny),
}

impl Decision {
    /// As a result.
    ///
    /// # Errors
    /// `Forbidden` with the sentence.
    pub fn ok(self) -> Result<()> {
        match self {
            Self::Permit => Ok(()),
            Self::Deny(deny) if deny.is_scope => Err(Error::new(Kind::Forbidden, deny.why).caused_by(ScopeShortage)),
            Self::Deny(deny) => Err(Error::new(Kind::Forbidden, deny.why)),
        }
    }
}

/// The source of a 403 that is for want of scope, so that http can say `insufficient_scope`.
#[derive(Debug)]
struct ScopeShortage;

impl std::fmt::Display for ScopeShortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("insufficient_scope")
    }
}

impl std::error::Error for ScopeShortage {}

/// Whether a 403 is for want of scope.
#[must_use]
pub fn is_scope_shortage(error: &Error) -> bool {
    error.source.as_ref().is_some_and(|s| s.is::<ScopeShortage>())
}

/// Decides by scope and role. `rtype` `None`: a system-level search or history; what it returns is judged per type by
/// [`Judge`].
#[must_use]
pub fn decide(policy: &Policy, principal: &Principal, action: Action, rtype: Option<ResourceType>) -> Decision {
    policy.judge(principal).decide(action, rtype)
}

/// A principal's scopes and row of the matrix, read once for a request of many entries.
#[derive(Debug)]
pub struct Judge<'a> {
    role: Role,
    cells: Option<&'a [Cell]>,
    scopes: Option<Arc<Scopes>>,
    redactions: &'a Redactions,
}

impl Judge<'_> {
    /// The elements of a type that what is permitted does not show: nothing is found by them either.
    #[must_use]
    pub fn hides(&self, rtype: ResourceType) -> &[String] {
        self.redactions.of(self.role, rtype)
    }

    /// See [`decide`].
    #[must_use]
    pub fn decide(&self, action: Action, rtype: Option<ResourceType>) -> Decision {
        let what = rtype.map_or("the whole system", ResourceType::as_str);
        if let Some(scopes) = &self.scopes
            && !scopes.allows(action, rtype)
        {
            let why =
                format!("the token's scopes do not let you {} {what}; ask for .{}", action.verb(), action.needs());
            return Decision::Deny(Deny { why, is_scope: true });
        }
        if self.right(action.needs(), rtype) {
            return Decision::Permit;
        }
        let why = format!("the role '{}' may not {} {what}", self.role.as_str(), action.verb());
        Decision::Deny(Deny { why, is_scope: false })
    }

    /// Whether an update, patch or delete that [`decide`] permits holds for a row of another organisation that is shared
    /// with the caller. To be asked once the stored row is known; a no is 403.
    #[must_use]
    pub fn may_change_shared(&self, action: Action, rtype: ResourceType) -> bool {
        let changes = Rights::U.and(Rights::D);
        let needs = action.needs().common(changes);
        match self.cells {
            None => true,
            Some(cells) => cell(cells, rtype).shared.covers(needs),
        }
    }

    /// The types that the caller may search or read: for system-level searches, `_include`, compartments.
    pub fn readable(&self) -> impl Iterator<Item = ResourceType> + '_ {
        ResourceType::all().filter(|t| self.decide(Action::SearchType, Some(*t)) == Decision::Permit)
    }

    fn right(&self, needs: Rights, rtype: Option<ResourceType>) -> bool {
        match (self.cells, rtype) {
            // The audit is no roles' but the auditor's, and nobody's to write.
            (None, Some(rtype)) if rtype.as_str() == "AuditEvent" => false,
            (None, _) => true,
            // A role reads the system as far as it reads types; which of them is judged per type.
            (Some(cells), None) => cells.iter().any(|c| c.own.covers(needs)),
            (Some(cells), Some(rtype)) => cell(cells, rtype).own.covers(needs),
        }
    }
}

fn cell(cells: &[Cell], rtype: ResourceType) -> Cell {
    cells.get(usize::from(rtype.0)).copied().unwrap_or_default()
}

impl Policy {
    /// What [`decide`] needs of a principal, read once.
    #[must_use]
    pub fn judge(&self, principal: &Principal) -> Judge<'_> {
        const NOTHING: &[Cell] = &[];
        let role = principal.role;
        let law = principal.jurisdiction.as_ref().and_then(|code| self.laws.iter().find(|l| l.code == *code));
        let base = || self.roles.iter().find(|(r, _)| *r == role).map(|(_, c)| c.as_slice());
        let row = law.and_then(|l| l.row(role)).or_else(base);
        Judge {
            role: principal.role,
            cells: if is_unbound(principal.role) { None } else { Some(row.unwrap_or(NOTHING)) },
            scopes: principal.scopes.clone(),
            redactions: &self.redactions,
        }
    }

    /// The jurisdiction whose law an organisation works by: the first address that is in one of those that the matrix knows. `None`:
    /// the matrix as it stands holds.
    #[must_use]
    pub fn jurisdiction(&self, organization: &Json) -> Option<&str> {
        let addresses = organization["address"].items().iter();
        let mut laws = addresses.filter_map(|a| {
            let (country, state) = (a["country"].text().to_uppercase(), a["state"].text().to_uppercase());
            // An address at home often leaves the country out.
            let is_there =
                |l: &&Law| (country.is_empty() || l.countries.contains(&country)) && l.states.contains(&state);
            self.laws.iter().find(is_there)
        });
        laws.next().map(|l| l.code.as_str())
    }

    /// Whether some jurisdiction is known: else nobody needs to look for one.
    #[must_use]
    pub fn has_jurisdictions(&self) -> bool {
        !self.laws.is_empty()
    }

    /// Types of a hand-off that who could claim its Tasks sees before, beside the Task that is offered.
    #[must_use]
    pub fn before_claim(&self) -> Vec<ResourceType> {
        self.before_claim.iter().map(|(rtype, _)| *rtype).filter(|t| t.as_str() != "Task").collect()
    }

    /// One cell.
    #[must_use]
    pub fn cell(&self, role: Role, rtype: ResourceType) -> Cell {
        self.roles.iter().find(|(r, _)| *r == role).map_or_else(Cell::default, |(_, c)| cell(c, rtype))
    }

    /// `system|code` of PractitionerRole.code, one of which a person of that role must have; empty: no PractitionerRole
    /// is asked for.
    #[must_use]
    pub fn person_codes(&self, role: Role) -> &[String] {
        self.codes.iter().find(|(r, _)| *r == role).map_or(&[], |(_, c)| c.as_slice())
    }
}

/// Roles that the matrix does not bind: `--auth off` without an actor, and Baton's own rules.
fn is_unbound(role: Role) -> bool {
    matches!(role, Role::SuperUser | Role::RuleEngine)
}

#[cfg(test)]
mod tests;
