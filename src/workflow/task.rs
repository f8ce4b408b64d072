//! Task state machine: which status change is allowed, for whom, and what it needs.
//!
//! For: Tasks of the programme (identifier system `…/sid/task`). Other Tasks keep R4's base rules only.
//! Not for: making Tasks (`build.rs`), or what follows a change (`react/handoff.rs`).
//! Source: <https://hl7.org/fhir/R4/task.html#statemachine>, narrowed by own rules in `profiles/policy/README.md`.

use super::Programme;
use super::element::{self, own_identifier};
use super::guard::Findings;
use crate::access::{Ctx, Role};
use crate::fhir::Json;
use jiff::tz::TimeZone;

mod claim;

pub use claim::{CANDIDATES, TAKEN, candidates, is_candidate, is_claim, lost, needs_match, needs_version, standing};
use claim::{claims_late, ownership};

/// HL7's extension that names the Task which this one takes the place of.
pub const REPLACES: &str = "http://hl7.org/fhir/StructureDefinition/task-replaces";

/// First part of the identifier of Tasks that ask for the end of another one.
pub const ABORT: &str = "abort";

/// HL7's codes of what a Task asks for.
const TASK_CODE: &str = "http://hl7.org/fhir/CodeSystem/task-code";

/// Whose step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The owner; a candidate, who becomes the owner, where there is none.
    Claimer,
    /// The owner.
    Owner,
    /// Who asked for it.
    Requester,
}

/// (from, to, whose step). What is not here is not allowed. Giving back (received, accepted → requested) is `$release` only.
const STEPS: [(&str, &str, Who); 23] = [
    ("draft", "requested", Who::Requester),
    ("draft", "cancelled", Who::Requester),
    ("draft", "entered-in-error", Who::Requester),
    ("requested", "received", Who::Claimer),
    ("requested", "accepted", Who::Claimer),
    ("requested", "rejected", Who::Owner),
    ("requested", "cancelled", Who::Requester),
    ("requested", "entered-in-error", Who::Requester),
    ("received", "accepted", Who::Owner),
    ("received", "rejected", Who::Owner),
    ("received", "cancelled", Who::Requester),
    ("received", "entered-in-error", Who::Requester),
    ("accepted", "in-progress", Who::Owner),
    ("accepted", "rejected", Who::Owner),
    ("accepted", "cancelled", Who::Requester),
    ("accepted", "entered-in-error", Who::Requester),
    ("in-progress", "on-hold", Who::Owner),
    ("in-progress", "completed", Who::Owner),
    ("in-progress", "failed", Who::Owner),
    ("in-progress", "entered-in-error", Who::Requester),
    ("on-hold", "in-progress", Who::Owner),
    ("on-hold", "failed", Who::Owner),
    ("on-hold", "entered-in-error", Who::Requester),
];

/// Statuses that nothing follows.
const FINAL: [&str; 5] = ["completed", "cancelled", "rejected", "failed", "entered-in-error"];

/// What stays as the programme wrote it.
const FIXED: [&str; 13] = [
    "authoredOn",
    "basedOn",
    "code",
    "encounter",
    "focus",
    "for",
    "groupIdentifier",
    "identifier",
    "input",
    "instantiatesCanonical",
    "intent",
    "performerType",
    "requester",
];

/// Statuses that need a reason.
const REASONED: [&str; 5] = ["rejected", "failed", "on-hold", "cancelled", "entered-in-error"];

/// Whether the Task is the programme's.
#[must_use]
pub fn is_handoff(task: &Json) -> bool {
    own_identifier(task, "task").is_some()
}

/// Whether nothing follows the Task's status.
#[must_use]
pub fn is_final(task: &Json) -> bool {
    FINAL.contains(&task["status"].text())
}

/// Whether work on the Task has begun and not ended.
#[must_use]
pub fn is_started(task: &Json) -> bool {
    matches!(task["status"].text(), "in-progress" | "on-hold")
}

/// Whether the Task is the programme's and asks for the end of another one.
#[must_use]
pub fn is_abort(task: &Json) -> bool {
    own_identifier(task, "task").is_some_and(|v| v.split('/').next() == Some(ABORT))
}

/// Whether a client's Task asks for the end of another one, by R4's code.
#[must_use]
pub fn asks_abort(task: &Json) -> bool {
    !is_handoff(task) && element::has_code(&task["code"], TASK_CODE, "abort")
}

/// Who owns the Task: the reference's text; "" for nobody.
#[must_use]
pub fn owner(task: &Json) -> &str {
    task["owner"]["reference"].text()
}

/// Whether the caller acts for the Task's owner.
#[must_use]
pub fn is_owner(ctx: &Ctx, task: &Json) -> bool {
    let principal = &ctx.principal;
    let owner = owner(task);
    unbound(ctx)
        || (!owner.is_empty()
            && (principal.organization().as_deref() == Some(owner) || principal.practitioner.as_deref() == Some(owner)))
}

/// Whether the caller acts for who asked for the Task; `to`: the status that it is to get.
pub fn is_requester(ctx: &Ctx, task: &Json, to: &str) -> bool {
    let own = ctx.principal.organization();
    unbound(ctx)
        || own.is_some_and(|o| o == task["requester"]["reference"].text())
        || (to == "entered-in-error" && ctx.principal.role == Role::Admin)
}

/// The super-user of `--auth off` and Baton itself stand in for everybody; the states bind them too.
fn unbound(ctx: &Ctx) -> bool {
    matches!(ctx.principal.role, Role::SuperUser | Role::RuleEngine)
}

/// Judges a create or change of a Task.
pub fn judge(ctx: &Ctx, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    let of = |name: &str| element::earliest(after[name].text(), &TimeZone::UTC);
    if let (Some(authored), Some(modified)) = (of("authoredOn"), of("lastModified"))
        && modified < authored
    {
        findings.refuse("Task.lastModified", "lastModified lies before authoredOn (inv-1)");
    }
    let Some(before) = before else { return };
    if is_handoff(before) {
        change(ctx, before, after, findings);
    } else if is_handoff(after) && !unbound(ctx) {
        findings.forbid("Task.identifier", "only the programme makes Tasks of the programme (rule task-open)");
    }
}

fn change(ctx: &Ctx, before: &Json, after: &Json, findings: &mut Findings) {
    for name in FIXED {
        if before[name] != after[name] {
            findings.refuse(format!("Task.{name}"), format!("{name} of a Task of the programme never changes"));
        }
    }
    if !after["note"].items().starts_with(before["note"].items()) {
        findings.refuse("Task.note", "notes of a Task of the programme stay; new ones come after them");
    }
    if candidates(before) != candidates(after) {
        findings.refuse("Task.extension", "who may claim a Task is the programme's to say");
    }
    let (from, to) = (before["status"].text(), after["status"].text());
    if from == to {
        in_place(ctx, before, after, findings);
    } else {
        step(ctx, before, after, findings);
    }
    ownership(ctx, before, after, findings);
}

/// A change that leaves the status.
fn in_place(ctx: &Ctx, before: &Json, after: &Json, findings: &mut Findings) {
    let differs = |name: &str| before[name] != after[name];
    let changed: Vec<&str> = after
        .as_object()
        .into_iter()
        .chain(before.as_object())
        .flat_map(|o| o.iter().map(|(name, _)| name))
        .filter(|n| !matches!(*n, "meta" | "lastModified" | "id" | "text") && differs(n))
        .collect();
    if changed.is_empty() {
        return;
    }
    if is_final(before) {
        if changed.iter().any(|n| *n != "note") {
            let text = format!("the Task is {}: only a note can be added", before["status"].text());
            findings.refuse("Task.status", text);
        } else if !unbound(ctx) && ctx.principal.role != Role::Admin {
            let text = "only an administrator adds a note to a Task that has ended (rule task-note)";
            findings.forbid("Task.note", text);
        }
    } else if before["status"].text() == "requested" && changed.contains(&"owner") && owner(before).is_empty() {
        findings.refuse("Task.status", "who takes a Task sets it to received or accepted, or calls $claim");
    } else if !is_owner(ctx, before) && ctx.principal.role != Role::Admin && !claims_late(ctx, before, after) {
        findings.forbid(
            "Task.owner",
            "only the organisation that owns the Task changes it (rule task-owner); claim it first",
        );
    }
}

/// A change of the status.
fn step(ctx: &Ctx, before: &Json, after: &Json, findings: &mut Findings) {
    let (from, to) = (before["status"].text(), after["status"].text());
    let Some((_, _, who)) = STEPS.iter().find(|(f, t, _)| *f == from && *t == to) else {
        let next: Vec<&str> = STEPS.iter().filter(|(f, ..)| *f == from).map(|(_, t, _)| *t).collect();
        let next = if next.is_empty() { "nothing".into() } else { next.join(", ") };
        let back = if to == "requested" { "; to give it back, call $release" } else { "" };
        findings
            .refuse("Task.status", format!("a Task does not go from {from} to {to}; after {from} comes {next}{back}"));
        return;
    };
    let held = owner(before);
    match who {
        Who::Claimer if held.is_empty() && !is_candidate(ctx, before) => {
            findings.forbid("Task.owner", "the caller's organisation is not among those that may claim this Task");
        }
        Who::Claimer if held.is_empty() || is_owner(ctx, before) => {}
        Who::Claimer => findings.conflict("Task.owner", TAKEN),
        Who::Owner if held.is_empty() && unbound(ctx) => {
            findings.refuse("Task.owner", "nobody has taken the Task: there is no owner who could take this step");
        }
        Who::Owner if is_owner(ctx, before) => {}
        Who::Owner => {
            findings.forbid("Task.owner", "only the organisation that owns the Task takes this step (rule task-owner)");
        }
        Who::Requester if is_requester(ctx, before, to) => {}
        Who::Requester => {
            findings.forbid(
                "Task.requester",
                "only the organisation that asked for the Task takes this step (rule task-requester)",
            );
        }
    }
    let reason = &after["statusReason"];
    if REASONED.contains(&to) && (reason["text"].text().trim().is_empty() && element::codings(reason).is_empty()) {
        findings.refuse("Task.statusReason", format!("a Task that becomes {to} needs a statusReason, as code or text"));
    }
    if to == "completed" && after["output"].items().is_empty() {
        findings.refuse("Task.output", "a completed Task needs an output: what came of it");
    }
}

/// What the server alone writes; see [`super::stamp`].
pub fn stamp(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &mut Json) {
    let now = ctx.now.to_seconds_text();
    let was = before.map_or("", |b| b["status"].text()).to_string();
    let is = after["status"].text().to_string();
    if is_handoff(after) && before.is_some() {
        lease(ctx, programme, before, after);
    }
    if let Some(before) = before {
        explained(ctx, before, after);
    }
    if was != is {
        let mut period = after.get("executionPeriod").cloned().unwrap_or_else(Json::object);
        match is.as_str() {
            "in-progress" if period.get("start").is_none() => period.set("start", now.as_str()),
            "completed" | "failed" if period.get("start").is_some() && period.get("end").is_none() => {
                period.set("end", now.as_str());
            }
            _ => {}
        }
        if period.as_object().is_some_and(|p| !p.is_empty()) {
            after.set("executionPeriod", period);
        }
        let says_nothing_new = before.is_none_or(|b| b["businessStatus"] == after["businessStatus"]);
        let status = match is.as_str() {
            "received" | "accepted" => Some("claimed"),
            "completed" => Some("done"),
            _ => None,
        };
        if let (true, Some(status)) = (says_nothing_new && before.is_some(), status) {
            after.set("businessStatus", programme.coded("business-status", status));
        }
    }
    after.set("lastModified", now);
}

/// Who makes a Task more or less urgent and says nothing about it is named as the reason.
fn explained(ctx: &Ctx, before: &Json, after: &mut Json) {
    let (was, is) = (before["priority"].text(), after["priority"].text().to_string());
    if was == is || is.is_empty() || after["note"] != before["note"] {
        return;
    }
    let principal = &ctx.principal;
    let who = principal.practitioner.clone().or_else(|| principal.organization());
    let who = who.unwrap_or_else(|| principal.role.as_str().to_string());
    let was = if was.is_empty() { "none" } else { was };
    let why = format!("Priority {is} in place of {was}: set by {who} on {}.", ctx.now.to_seconds_text());
    super::build::explain(after, &why);
}

/// A claim holds until its work begins, and an offer to one pharmacy until it answers, and neither for ever: the extension
/// `claim-lease` says until when.
fn lease(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &mut Json) {
    let waits = |t: &Json| matches!(t["status"].text(), "received" | "accepted");
    let is_offer = |t: &Json| t["status"].text() == "requested" && !owner(t).is_empty();
    let old =
        |test: &dyn Fn(&Json) -> bool| before.filter(|b| test(b)).and_then(|b| element::extension(b, LEASE)).cloned();
    let new = if waits(after) {
        let until = programme.choice.lease(&programme.calendar, ctx.now);
        Some(old(&waits).unwrap_or_else(|| lease_until(until)))
    } else if is_offer(after) {
        old(&|b| is_offer(b) && owner(b) == owner(after))
    } else {
        None
    };
    end_lease(after);
    if let Some(new) = new {
        after.push("extension", new);
    }
}

fn lease_until(until: crate::clock::Instant) -> Json {
    serde_json::json!({"url": element::extension_url(LEASE), "valueDateTime": until.to_seconds_text()}).into()
}

/// A Task that is sent to one pharmacy waits for its answer until then.
pub fn lease_offer(programme: &Programme, task: &mut Json, now: crate::clock::Instant) {
    end_lease(task);
    if task["status"].text() == "requested" && !owner(task).is_empty() {
        task.push("extension", lease_until(programme.choice.offered_until(&programme.calendar, now)));
    }
}

/// How often the Task has come back because a pharmacy let the time pass.
#[must_use]
pub fn returns(task: &Json) -> i64 {
    element::extension(task, RETURNS).and_then(|e| e["valueInteger"].as_i64()).unwrap_or(0)
}

/// Counts one more.
pub fn count_return(task: &mut Json) {
    let (url, next) = (element::extension_url(RETURNS), returns(task) + 1);
    let mut kept: Vec<Json> = task["extension"].items().iter().filter(|e| e["url"].text() != url).cloned().collect();
    kept.push(serde_json::json!({"url": url, "valueInteger": next}).into());
    task.set("extension", Json::Array(kept));
}

/// Whether a Task came back because a pharmacy let the time pass.
#[must_use]
pub fn has_lapsed(task: &Json) -> bool {
    let reason = element::own_code(&task["statusReason"], "task-status-reason");
    task["status"].text() == "requested" && matches!(reason, Some("lease-ended" | "offer-ended"))
}

/// Takes the lease of a claim off.
pub fn end_lease(task: &mut Json) {
    let url = element::extension_url(LEASE);
    let kept: Vec<Json> = task["extension"].items().iter().filter(|e| e["url"].text() != url).cloned().collect();
    if kept.is_empty() {
        task.remove("extension");
    } else {
        task.set("extension", Json::Array(kept));
    }
}

/// Own extension: until when a claimed Task waits for its work to begin, and an offer for its answer.
pub const LEASE: &str = "claim-lease";

/// Own extension: how often a Task has come back.
const RETURNS: &str = "returned";

#[cfg(test)]
mod tests;
