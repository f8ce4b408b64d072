//! The audit of the one door: what is put on record of each interaction, and the AuditEvents that are made of it.
//!
//! [`Asked`] what a request is about, noted before it is carried out · [`context`] whose record a query is about that finds nothing · [`tell`] a row as AuditEvents (BALP) · [`index`] what they are found by · [`seal`] the
//! worker's step that chains rows and stores their AuditEvents · [`report`] who saw what of a patient · [`prune`] what becomes of rows whose time is over.
//! A write's row is stored by the write's own transaction (`write/commit.rs`); here is what changes nothing: reads, searches
//! and what was refused. The directory is no patient's and is not put on record when it is read.
//! Source: security contract section 4; IHE BALP, <https://profiles.ihe.net/ITI/BALP/>.

mod context;
mod index;
mod prune;
pub(crate) mod report;
mod seal;
mod tell;

use super::answer::Answer;
use super::operation;
use super::request::{At, Request, Scope};
use super::{Engine, change};
use crate::access::limit::DIRECTORY;
use crate::access::policy::is_scope_shortage;
use crate::access::{Ctx, Role};
use crate::error::{Error, Kind};
use crate::fhir::ResourceType;
use crate::store::audit::{Happening, NO_CALLER, NO_RIGHT, NO_SCOPE};
use crate::store::{Audit, Version};

/// What a request is about.
pub(super) struct Asked {
    /// Interaction, or name of the operation with its `$`.
    action: String,
    /// `Patient/1`, `Task`, or "".
    on: String,
    rtype: Option<ResourceType>,
    query: Option<String>,
    /// Its own transaction has the row when it went well, or its entries have theirs.
    has_row: bool,
}

impl Asked {
    /// `None` for what is no patient's: `metadata`, and how far a job is.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let read = |action: &str, on: String, rtype, query: &str| {
            let query = (!query.is_empty()).then(|| query.to_owned());
            Some(Self { action: action.into(), on, rtype, query, has_row: false })
        };
        let write = |action: &str, at: &At| {
            let (on, query) = match at {
                At::Id(target) => (target.to_string(), None),
                At::Query(rtype, query) => (rtype.to_string(), (!query.is_empty()).then(|| query.clone())),
            };
            Some(Self { action: action.into(), on, rtype: Some(at.rtype()), query, has_row: true })
        };
        match request {
            Request::Read { target, query, .. } => read("read", target.to_string(), Some(target.rtype), query),
            Request::VRead { target, version, query } => {
                let version: String = version.chars().filter(char::is_ascii_digit).take(20).collect();
                read("vread", format!("{target}/_history/{version}"), Some(target.rtype), query)
            }
            Request::Search { of, query, .. } => {
                let action = if matches!(of, Scope::System) { "search-system" } else { "search-type" };
                read(action, path(of), change::type_of(of), query)
            }
            Request::History { of, query } => {
                let action = match of {
                    Scope::System => "history-system",
                    Scope::Type(_) => "history-type",
                    _ => "history-instance",
                };
                read(action, path(of), change::type_of(of), query)
            }
            Request::Operation(call) => {
                let name: String = call.name.chars().take(64).collect();
                let asked = read(&format!("${name}"), path(&call.on), change::type_of(&call.on), &call.query)?;
                Some(Self { has_row: operation::changes(call), ..asked })
            }
            Request::Create { rtype, if_none_exist, .. } => {
                write("create", &At::Query(*rtype, if_none_exist.clone().unwrap_or_default()))
            }
            Request::Update { at, .. } => write("update", at),
            Request::Patch { at, .. } => write("patch", at),
            Request::Delete { at, .. } => write("delete", at),
            Request::Bundle { .. } | Request::Start { .. } => {
                Some(Self { action: "transaction".into(), on: String::new(), rtype: None, query: None, has_row: true })
            }
            Request::Accompanied { of, .. } => Self::of(of),
            Request::Job { .. } | Request::Capabilities { .. } => None,
        }
    }

    /// Whether reading it shows what patients have, or what the audit has.
    fn is_of_patients(&self) -> bool {
        self.rtype.is_none_or(|rtype| !DIRECTORY.contains(&rtype.as_str()))
    }
}

fn path(of: &Scope) -> String {
    match of {
        Scope::System => String::new(),
        Scope::Type(rtype) => rtype.to_string(),
        Scope::Instance(target) => target.to_string(),
        Scope::Version(target, version) => format!("{target}/_history/{version}"),
        Scope::Compartment(owner, inner) => format!("{owner}/{}", inner.map_or("*", ResourceType::as_str)),
    }
}

/// `pk` of those versions that are no directory's and not the audit's own: of a look at that the query is on record.
pub(super) fn shown<'a>(versions: impl IntoIterator<Item = &'a Version>) -> Vec<i64> {
    let is_public = |name: &str| DIRECTORY.contains(&name) || name == "AuditEvent";
    let is_patients = |v: &&Version| v.pk > 0 && !is_public(v.target.rtype.as_str());
    versions.into_iter().filter(is_patients).map(|v| v.pk).collect()
}

/// Why a request was refused, as a code: for want of scope, of a caller, of a right of the role, or by a rule about an element.
fn reason(error: &Error) -> String {
    let element = error.issues.first().map_or("", |issue| issue.expression.as_str());
    match error.kind {
        _ if is_scope_shortage(error) => NO_SCOPE.into(),
        Kind::Unauthenticated => NO_CALLER.into(),
        _ if element.is_empty() => NO_RIGHT.into(),
        _ => format!("rule {}", element.chars().filter(|c| !c.is_ascii_digit()).take(64).collect::<String>()),
    }
}

impl Engine {
    /// Puts on record how a request ended.
    pub(super) fn witness(&self, ctx: &Ctx, asked: Asked, ended: &crate::error::Result<Answer>) {
        let is_house = ctx.principal.role == Role::RuleEngine;
        let row = match ended {
            Ok(_) if asked.has_row || is_house => return,
            Ok(answer) => {
                if answer.seen.is_empty() && !asked.is_of_patients() {
                    return;
                }
                let mut row = self.row(ctx, asked, i64::from(answer.done.status().0));
                row.detail.seen.clone_from(&answer.seen);
                row
            }
            Err(error) => match self.refusal(ctx, asked, error) {
                Some(row) => row,
                None => return,
            },
        };
        self.house().store.note(row);
    }

    fn row(&self, ctx: &Ctx, asked: Asked, outcome: i64) -> Audit {
        let mut row = Audit::of(ctx, self.house().keys, asked.action, outcome);
        row.detail.on = asked.on;
        row.detail.query = asked.query;
        row
    }

    /// The row of a request that failed.
    fn refusal(&self, ctx: &Ctx, asked: Asked, error: &Error) -> Option<Audit> {
        let status = i64::from(error.kind.status());
        match error.kind {
            // The server was full: nothing was done and nothing shown.
            Kind::Busy | Kind::TooMany => None,
            Kind::Forbidden | Kind::Unauthenticated => {
                let why = reason(error);
                let refused = Some(asked.action.clone());
                let mut row = self.row(ctx, Asked { action: Happening::Denied.as_str().into(), ..asked }, status);
                row.detail.refused = refused;
                Some(row.because(why))
            }
            _ if !asked.has_row && !asked.is_of_patients() => None,
            _ => {
                let why = error.issues.first().map_or("", |issue| issue.code);
                Some(self.row(ctx, asked, status).because(why))
            }
        }
    }
}
