//! Attempts to reach the patient: one Communication each.
//!
//! For: the guard of Communications that belong to a Task. Not for: what an attempt does to its Task (`react/outreach.rs`).
//! Source: <https://hl7.org/fhir/R4/communication.html>; own rules in `profiles/protocol/README.md`.

mod attempts;

pub use attempts::{Attempts, Tally, refusal};

use super::element;
use super::guard::Findings;
use crate::access::Ctx;
use crate::fhir::{Json, Target};
use jiff::tz::TimeZone;

/// HL7's codes of how people meet.
pub const MODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode";

/// HL7's codes of why a Communication did not happen.
pub const NOT_DONE: &str = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason";

/// Ways of meeting that make a Communication an attempt to reach somebody; letters and mails are none.
const SPOKEN: [&str; 5] = ["PHONE", "FACE", "VIDEOCONF", "VERBAL", "PHYSICAL"];

/// Seconds that a sender's clock may be ahead.
pub const SKEW_SECONDS: i64 = 300;

/// Whether a Communication records an attempt: it belongs to a Task, and somebody spoke or tried to.
#[must_use]
pub fn is_attempt(communication: &Json) -> bool {
    let refers = |name: &str| communication[name].items().iter().any(|r| is_task(r["reference"].text()));
    let mode = element::codings(&communication["medium"]).iter().any(|(s, c)| *s == MODE && SPOKEN.contains(c));
    (refers("basedOn") || refers("partOf")) && (mode || communication["status"].text() == "not-done")
}

fn is_task(reference: &str) -> bool {
    reference.starts_with("Task/") || reference.contains("/Task/")
}

/// The Task that an attempt belongs to.
#[must_use]
pub fn task_of(communication: &Json, base: &str) -> Option<Target> {
    let parts = ["basedOn", "partOf"].into_iter().flat_map(|n| communication[n].items());
    parts.into_iter().find_map(|r| element::leads_to_a("Task", r, base))
}

/// Whether the patient said in it that they do not want to be called.
#[must_use]
pub fn is_objection(communication: &Json) -> bool {
    communication["status"].text() == "not-done" && not_done_for(communication, "patient-objection")
}

/// Whether it did not happen for that reason, a code of HL7's.
fn not_done_for(communication: &Json, code: &str) -> bool {
    element::has_code(&communication["statusReason"], NOT_DONE, code)
}

/// Whether the patient was reached.
#[must_use]
pub fn is_reached(communication: &Json) -> bool {
    communication["status"].text() == "completed"
}

/// Judges a create or change of a Communication.
pub fn judge(ctx: &Ctx, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    match before {
        None if is_attempt(after) => attempt(ctx, after, findings),
        Some(before) if is_attempt(before) => amendment(before, after, findings),
        _ => {}
    }
}

fn attempt(ctx: &Ctx, after: &Json, findings: &mut Findings) {
    let sender = after["sender"]["reference"].text();
    match &ctx.principal.practitioner {
        _ if sender.is_empty() => findings.refuse("Communication.sender", "an attempt needs a sender: who called"),
        Some(caller) if caller != sender => {
            let text = format!("sender must be the caller, {caller} (rule attempt-sender)");
            findings.forbid("Communication.sender", text);
        }
        _ => {}
    }
    if after["subject"]["reference"].text().is_empty() {
        findings.refuse("Communication.subject", "an attempt needs the patient as subject");
    }
    match after["status"].text() {
        "completed" | "not-done" => {}
        other => {
            let text = format!("an attempt is completed (reached) or not-done (not reached), not {other}");
            findings.refuse("Communication.status", text);
        }
    }
    let reason = &after["statusReason"];
    if after["status"].text() == "not-done" && element::codings(reason).is_empty() && reason["text"].text().is_empty() {
        findings.refuse("Communication.statusReason", "an attempt that reached nobody needs a statusReason");
    }
    if after["status"].text() == "not-done" && !after["payload"].items().is_empty() {
        let text = "what was left for somebody who was not reached holds no health content: no payload, only a note";
        findings.refuse("Communication.payload", text);
    }
    match element::earliest(after["sent"].text(), &TimeZone::UTC) {
        None => findings.refuse("Communication.sent", "an attempt needs the time it was made at, as sent"),
        Some(sent) if sent > ctx.now.plus_seconds(SKEW_SECONDS) => {
            findings.refuse("Communication.sent", "an attempt cannot lie in the future");
        }
        Some(_) => {}
    }
}

/// What was said stays said: later only a note, or the whole of it becomes entered-in-error.
fn amendment(before: &Json, after: &Json, findings: &mut Findings) {
    let (from, to) = (before["status"].text(), after["status"].text());
    if from != to && to != "entered-in-error" {
        findings
            .refuse("Communication.status", format!("a recorded attempt stays {from}, or becomes entered-in-error"));
    }
    for name in ["basedOn", "partOf", "subject", "sender", "sent", "medium", "recipient"] {
        if before[name] != after[name] {
            findings.refuse(format!("Communication.{name}"), format!("{name} of a recorded attempt never changes"));
        }
    }
}

#[cfg(test)]
mod tests;
