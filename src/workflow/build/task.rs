//! Tasks of the programme, as it opens, offers and ends them.
//!
//! Pure. Not for: which changes of a Task are allowed (`task.rs`), or when to open one (`react/`).
//! Source: <https://hl7.org/fhir/R4/task.html>, `profiles/protocol/README.md`.

use super::{Addresses, With, identifier, references, resource};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::discharge::Stay;
use crate::workflow::element::{self, reference};
use crate::workflow::policy::PRIORITIES;
use crate::workflow::protocol::{Action, Intent, Plan};
use crate::workflow::{Programme, task};
use serde_json::json;

/// What the Tasks of one episode have in common.
#[derive(Debug, Clone)]
pub struct TaskFrame<'a> {
    /// The programme.
    pub programme: &'a Programme,
    /// Where the episode's resources are.
    pub at: &'a Addresses,
    /// The stay.
    pub stay: &'a Stay,
    /// The patient.
    pub patient: &'a Target,
    /// The one pharmacy that the data name.
    pub owner: Option<Target>,
    /// Pharmacies that may claim, where no one is named.
    pub candidates: Vec<Target>,
    /// Whether the owner cares for the patient already: then nothing waits for its answer.
    pub is_held: bool,
    /// Why the Tasks are more urgent than the protocol says; `None` where they are not.
    pub raised: Option<String>,
    /// The clock.
    pub now: Instant,
}

/// How urgent a Task is, and why: as the protocol says, or one step more where a risk is high. Nothing becomes stat by that.
#[must_use]
pub fn urgency(action: &Action, raised: Option<&str>) -> (String, String) {
    let step = PRIORITIES.iter().position(|p| *p == action.priority).and_then(|n| PRIORITIES.get(n + 1));
    match (raised, step.filter(|next| **next != "stat")) {
        (Some(risk), Some(next)) => (
            (*next).into(),
            format!("Priority {next} in place of {}: {risk}. Due as the protocol says.", action.priority),
        ),
        _ => (action.priority.clone(), format!("Priority {} and due as the protocol says.", action.priority)),
    }
}

/// Adds to a Task why it is as urgent as it is, and due when it is.
pub fn explain(task: &mut Json, why: &str) {
    task.push("note", Json::from(json!({"text": why})));
}

/// A Task, requested.
#[must_use]
pub fn task(frame: &TaskFrame<'_>, plan: &Plan, action: &Action, intent: &Intent, nth: usize) -> Json {
    let at = frame.at;
    let focus = if action.id == "close-episode" { &at.episode } else { &at.list };
    let mut task = base(action, intent, frame.now);
    let (priority, why) = urgency(action, frame.raised.as_deref());
    task.set("priority", priority);
    explain(&mut task, &why);
    task.set("identifier", Json::from(json!([identifier("task", &format!("{}/{}/{nth}", at.episode.id, action.id))])));
    task.set("basedOn", Json::from(json!([references(&at.plan)])));
    task.set("groupIdentifier", Json::from(identifier("episode", &at.episode.id)));
    task.set("focus", reference(focus));
    task.set("for", reference(frame.patient));
    task.set("encounter", reference(&frame.stay.encounter));
    if let Some(hospital) = &frame.stay.hospital {
        task.set("requester", reference(hospital));
    }
    task.set("reasonCode", Json::from(json!({"text": plan.title})));
    if let Some(form) = &action.questionnaire {
        let kind =
            json!({"coding": [{"system": "http://hl7.org/fhir/uv/sdc/CodeSystem/temp", "code": "questionnaire"}]});
        task.push("input", Json::from(json!({"type": kind, "valueCanonical": form})));
    }
    offer_to(frame.programme, &mut task, frame.owner.as_ref(), &frame.candidates);
    if !frame.is_held {
        task::lease_offer(frame.programme, &mut task, frame.now);
    }
    ordered(task)
}

/// The review of a drug therapy problem, requested. `because`: why it is as urgent as the action says.
#[must_use]
pub fn review(
    programme: &Programme,
    dtp: &Target,
    patient: &Target,
    (action, because): (&Action, &str),
    intent: &Intent,
    owner: Option<&Target>,
    now: Instant,
) -> Json {
    let mut task = base(action, intent, now);
    let due = format!("Due by {}, action {}", programme.review.canonical, action.id);
    explain(&mut task, &format!("Priority {}: {because}. {due}.", action.priority));
    task.set("identifier", Json::from(json!([identifier("task", &format!("review/{}", dtp.id))])));
    task.set("focus", reference(dtp));
    task.set("for", reference(patient));
    offer_to(programme, &mut task, owner, &[]);
    ordered(task)
}

fn base(action: &Action, intent: &Intent, now: Instant) -> Json {
    resource(json!({
        "resourceType": "Task",
        "instantiatesCanonical": action.canonical,
        "status": "requested",
        "intent": "order",
        "priority": action.priority,
        "code": serde_json::Value::Null,
        "description": action.description,
        "authoredOn": now.to_seconds_text(),
        "lastModified": now.to_seconds_text(),
        "restriction": {"period": {"start": intent.opens_at.to_seconds_text(), "end": intent.due_at.to_seconds_text()}},
    }))
    .with("code", action.code.clone())
    .with("performerType", Json::Array(vec![action.performer.clone()]))
}

/// Elements in the order in which R4's Task lists them: easier to read.
fn ordered(mut task: Json) -> Json {
    const ORDER: [&str; 23] = [
        "resourceType",
        "extension",
        "identifier",
        "instantiatesCanonical",
        "basedOn",
        "groupIdentifier",
        "partOf",
        "status",
        "statusReason",
        "businessStatus",
        "intent",
        "priority",
        "code",
        "description",
        "focus",
        "for",
        "encounter",
        "authoredOn",
        "lastModified",
        "requester",
        "performerType",
        "owner",
        "reasonCode",
    ];
    let mut out = Json::object();
    for name in ORDER.iter().copied().chain(["note", "restriction", "input"]) {
        if let Some(value) = task.remove(name) {
            out.set(name, value);
        }
    }
    out
}

/// Says who may take a Task: one pharmacy that is named, or candidates that claim it.
pub fn offer_to(programme: &Programme, task: &mut Json, owner: Option<&Target>, candidates: &[Target]) {
    task::end_lease(task);
    let others = task["extension"].items().iter().filter(|e| e["url"].text() != task::CANDIDATES).cloned();
    let mut extensions: Vec<Json> = others.collect();
    match owner {
        Some(owner) => {
            task.set("owner", reference(owner));
            task.set("businessStatus", programme.coded("business-status", "assigned"));
        }
        None => {
            task.remove("owner");
            task.set("businessStatus", programme.coded("business-status", "offered"));
            extensions.extend(
                candidates.iter().map(|c| resource(json!({"url": task::CANDIDATES, "valueReference": references(c)}))),
            );
        }
    }
    if extensions.is_empty() {
        task.remove("extension");
    } else {
        task.set("extension", Json::Array(extensions));
    }
}

/// The Task that asks an owner to stop another one that has begun, requested.
///
/// `(held, task)`: the Task to be stopped, where and as it is. `reason`: a CodeableConcept.
#[must_use]
pub fn abort(
    programme: &Programme,
    (held, task): (&Target, &Json),
    (action, intent): (&Action, &Intent),
    nth: usize,
    reason: &Json,
    now: Instant,
) -> Json {
    let mut abort = base(action, intent, now);
    explain(&mut abort, &urgency(action, None).1);
    abort.set("focus", reference(held));
    abort.set("reasonCode", reason.clone());
    adopt_abort(programme, &mut abort, held, task, nth);
    ordered(abort)
}

/// Makes a Task that asks for the end of another one a Task of the programme: it goes to who owns that one.
pub fn adopt_abort(programme: &Programme, abort: &mut Json, held: &Target, task: &Json, nth: usize) {
    let value = format!("{}/{}/{nth}", task::ABORT, held.id);
    let mut identifiers = abort["identifier"].items().to_vec();
    identifiers.push(resource(identifier("task", &value)));
    abort.set("identifier", Json::Array(identifiers));
    for name in ["groupIdentifier", "for", "encounter", "requester", "performerType"] {
        if let Some(value) = task.get(name) {
            abort.set(name, value.clone());
        }
    }
    if let Some(owner) = task.get("owner") {
        abort.set("owner", owner.clone());
    }
    abort.set("businessStatus", programme.coded("business-status", "assigned"));
}

/// Puts a Task that has begun on hold, as the server does: its owner ends it.
pub fn hold_task(programme: &Programme, task: &mut Json, reason: &str, now: Instant) {
    task.set("status", "on-hold");
    task.set("statusReason", programme.coded("task-status-reason", reason));
    task.set("lastModified", now.to_seconds_text());
}

/// Ends a Task with its reason, as the server does: `cancelled`, or `failed` where work had begun.
pub fn end_task(programme: &Programme, task: &mut Json, status: &str, reason: &str, now: Instant) {
    // Who had taken the Task stays visible; an offer that nobody took is none any more.
    if !matches!(element::own_code(&task["businessStatus"], "business-status"), Some("claimed")) {
        task.set("businessStatus", programme.coded("business-status", "withdrawn"));
    }
    task::end_lease(task);
    task.set("status", status);
    task.set("statusReason", programme.coded("task-status-reason", reason));
    if status == "failed" {
        let mut period = task.get("executionPeriod").cloned().unwrap_or_else(Json::object);
        period.set("end", now.to_seconds_text());
        task.set("executionPeriod", period);
    }
    task.set("lastModified", now.to_seconds_text());
}
