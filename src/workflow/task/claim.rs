//! Claims: who may take a Task, which version must have been read, and what the loser of a race is told.
//!
//! For: the guard of Tasks, plain writes and `$claim` alike. Not for: what a claim brings with it (`react/handoff.rs`).
//! Source: own rules in `profiles/protocol/README.md`; <https://hl7.org/fhir/R4/http.html#concurrency>.

use super::{is_final, is_handoff, is_owner, owner, unbound};
use crate::access::{Ctx, Role};
use crate::error::Error;
use crate::fhir::Json;
use crate::workflow::guard::Findings;

/// HL7's extension that names who may claim a Task.
pub const CANDIDATES: &str = "http://hl7.org/fhir/StructureDefinition/task-candidateList";

/// What the loser of a race is told. Which pharmacy has the patient is nobody else's business.
pub const TAKEN: &str = "the Task is taken already, by another organisation";

/// References of the organisations that may claim it.
pub fn candidates(task: &Json) -> Vec<&str> {
    let named = task["extension"].items().iter().filter(|e| e["url"].text() == CANDIDATES);
    named.map(|e| e["valueReference"]["reference"].text()).collect()
}

/// Whether the caller may claim the Task: a candidate, or anybody who sees it where none is named.
#[must_use]
pub fn is_candidate(ctx: &Ctx, task: &Json) -> bool {
    let candidates = candidates(task);
    unbound(ctx)
        || candidates.is_empty()
        || ctx.principal.organization().is_some_and(|o| candidates.contains(&o.as_str()))
}

/// A claim that came too late: that is a conflict (see [`ownership`]), and nothing forbidden.
pub(super) fn claims_late(ctx: &Ctx, before: &Json, after: &Json) -> bool {
    let own = ctx.principal.organization();
    owner(before) != owner(after) && own.as_deref() == Some(owner(after)) && is_candidate(ctx, before)
}

/// Who holds the Task after the change.
pub(super) fn ownership(ctx: &Ctx, before: &Json, after: &Json, findings: &mut Findings) {
    let (old, new) = (owner(before), owner(after));
    let own = ctx.principal.organization();
    let claims = old.is_empty() && matches!(after["status"].text(), "received" | "accepted");
    if claims && before["status"].text() == "requested" {
        if new.is_empty() {
            findings.refuse("Task.owner", "who takes a Task becomes its owner: set owner to the own organisation");
        } else if !unbound(ctx) && own.as_deref() != Some(new) {
            findings.forbid("Task.owner", "a Task is claimed for the caller's own organisation only (rule task-claim)");
        }
    } else if old != new && !(unbound(ctx) || ctx.principal.role == Role::Admin) {
        if own.as_deref() == Some(new) {
            findings.conflict("Task.owner", TAKEN);
        } else if new.is_empty() {
            findings.refuse("Task.owner", "an owner gives a Task back by $release, not by leaving owner out");
        } else {
            findings.forbid("Task.owner", "a Task is not handed to somebody else; release it, and they claim it");
        }
    }
}

/// Whether a change of a Task is a claim, won or too late: then it needs `If-Match`, by whatever door it comes.
///
/// `before` and `after`: the Task as stored and as it would be. A Task that waits for a named pharmacy counts too: until it
/// is accepted the hospital may still name another. A reassignment by an administrator is none.
#[must_use]
pub fn is_claim(ctx: &Ctx, before: &Json, after: &Json) -> bool {
    let takes = |status: &Json| matches!(status.text(), "received" | "accepted");
    let is_open = before["status"].text() == "requested";
    let takes_over = !is_open && !owner(after).is_empty() && owner(after) != owner(before);
    is_handoff(before)
        && ctx.principal.role != Role::Admin
        && !is_final(before)
        && ((is_open && takes(&after["status"])) || takes_over)
}

/// The 428 of a claim that does not say which version was read.
#[must_use]
pub fn needs_version() -> Error {
    let text = "a claim needs If-Match with the version of the Task that was read, such as If-Match: W/\"1\" (in a Bundle: \
                entry.request.ifMatch): of two who claim at once only one may win";
    Error::precondition_required(text)
}

/// The 428 of another change of a Task that does not say which version was read.
#[must_use]
pub fn needs_match() -> Error {
    let text = "a change of a Task of the programme needs If-Match with the version that was read, such as If-Match: W/\"2\" (in a \
                Bundle: entry.request.ifMatch), or * for whatever is there: others work on it, too";
    Error::precondition_required(text)
}

/// What somebody is told of a Task that was offered to their organisation and that another one has taken: it is out of their sight.
/// `if_match`: the version that they read; `version`: the one that is. 409 to who knows that one, else 412.
#[must_use]
pub fn lost(if_match: Option<i64>, version: i64) -> Error {
    match if_match {
        Some(want) if want != version => {
            let text = format!("If-Match asks for version {want}, and another organisation has the Task meanwhile");
            Error::version_mismatch(text).at("Task.owner")
        }
        _ => Error::conflict(TAKEN).at("Task.owner"),
    }
}

/// Who has a Task of the programme, for somebody who came too late: that it is another organisation, and not which.
#[must_use]
pub fn standing(ctx: &Ctx, task: &Json) -> Option<&'static str> {
    let own = ctx.principal.organization();
    let is_own = own.as_deref() == Some(owner(task)) || (own.is_none() && is_owner(ctx, task));
    is_handoff(task).then(|| match (owner(task), is_final(task)) {
        (_, true) => "the Task has ended",
        ("", _) => "nobody has taken the Task yet",
        _ if is_own => "the caller's own organisation has the Task",
        _ => "another organisation has the Task",
    })
}
