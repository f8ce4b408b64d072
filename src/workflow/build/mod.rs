//! The resources that the programme writes: EpisodeOfCare, CarePlan, Task, working List, decision, Flag, Consent, Provenance.
//!
//! Pure: what goes in decides what comes out. `id` is set by who writes. Not for: when to write them (`react/`).
//! Source: `profiles/protocol/README.md`; each resource's R4 page.

mod finding;
mod notice;
mod reconciled;
mod record;
mod task;

pub use finding::{FINDING, device, finding, finding_at, high_risk};
pub use notice::{NOTICE, notice};
pub use reconciled::{NONE_KNOWN, list, news, reconciliation, sources};
pub use record::{provenance, refusal, unreachable};
pub use task::{TaskFrame, abort, adopt_abort, end_task, explain, hold_task, offer_to, review, task, urgency};

use super::Programme;
use super::discharge::{Reason, Stay};
use super::element::{self, extension_url, sid};
use super::protocol::Plan;
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use serde_json::json;

/// Where everything of one episode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// EpisodeOfCare.
    pub episode: Target,
    /// CarePlan.
    pub plan: Target,
    /// Working List.
    pub list: Target,
}

impl Addresses {
    /// Of the n-th episode of a stay: 0, and more when the hospital took a discharge back and repeated it.
    #[must_use]
    pub fn of_stay(programme: &Programme, encounter: &Target, nth: usize) -> Self {
        let nth = nth.to_string();
        Self::of_episode(programme, &programme.id(&["episode", &encounter.id, &nth]))
    }

    /// Of a known episode.
    #[must_use]
    pub fn of_episode(programme: &Programme, id: &str) -> Self {
        let at = |rtype: &'static str, id: String| Target::new(crate::fhir::resource::known(rtype), id);
        Self {
            episode: at("EpisodeOfCare", id.into()),
            plan: at("CarePlan", programme.id(&["plan", id])),
            list: at("List", programme.id(&["list", id])),
        }
    }

    /// The n-th Task of an action.
    #[must_use]
    pub fn task(&self, programme: &Programme, action: &str, nth: usize) -> Target {
        let id = programme.id(&["task", &self.episode.id, action, &nth.to_string()]);
        Target::new(crate::fhir::resource::known("Task"), id)
    }
}

/// The handoff that offers one Task to its candidates.
#[must_use]
pub fn offer(task: &Target) -> String {
    format!("offer/{}", task.id)
}

/// The handoff that shows an episode's patient to who cares for them.
#[must_use]
pub fn care(episode_id: &str) -> String {
    format!("care/{episode_id}")
}

fn resource(value: serde_json::Value) -> Json {
    value.into()
}

fn identifier(name: &str, value: &str) -> serde_json::Value {
    json!({"system": sid(name), "value": value})
}

fn references(to: &Target) -> serde_json::Value {
    json!({"reference": to.to_string()})
}

/// EpisodeOfCare, active since the discharge.
#[must_use]
pub fn episode(at: &Addresses, plan: &Plan, stay: &Stay, patient: &Target, previous: Option<&Target>) -> Json {
    let mut extensions = vec![
        json!({"url": extension_url("index-encounter"), "valueReference": references(&stay.encounter)}),
        json!({"url": extension_url("protocol"), "valueCanonical": plan.canonical}),
    ];
    if let Some(previous) = previous {
        extensions.push(json!({"url": extension_url("previous-episode"), "valueReference": references(previous)}));
    }
    let mut episode = json!({
        "resourceType": "EpisodeOfCare",
        "extension": extensions,
        "identifier": [identifier("episode", &at.episode.id)],
        "status": "active",
        "type": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/episodeofcare-type", "code": "pac", "display": "Post Acute Care"
        }]}],
        "patient": references(patient),
    });
    if let Some(hospital) = &stay.hospital {
        episode["managingOrganization"] = references(hospital);
    }
    episode["period"] = json!({"start": stay.end_text});
    resource(episode)
}

/// CarePlan, active, without activities yet.
#[must_use]
pub fn plan(plan: &Plan, because: &str, at: &Addresses, stay: &Stay, patient: &Target, now: Instant) -> Json {
    let end = plan.ends_at(stay.end.unwrap_or(now)).to_seconds_text();
    resource(json!({
        "resourceType": "CarePlan",
        "identifier": [identifier("plan", &at.plan.id)],
        "instantiatesCanonical": [plan.canonical],
        "status": "active",
        "intent": "plan",
        "title": plan.title,
        "subject": references(patient),
        "encounter": references(&stay.encounter),
        "period": {"start": stay.end_text, "end": end},
        "created": now.to_seconds_text(),
        "supportingInfo": [references(&at.list), references(&at.episode)],
        "note": [{"text": format!("This protocol was chosen because: {because}.")}],
    }))
}

/// A small builder on the lossless tree.
trait With {
    fn with(self, key: &str, value: Json) -> Self;
}

impl With for Json {
    fn with(mut self, key: &str, value: Json) -> Self {
        self.set(key, value);
        self
    }
}

/// The record of a decision, and by which protocol the discharge is followed up: an Observation, which R4 lets people search by code, value and component.
#[must_use]
pub fn decision(
    programme: &Programme,
    id: &str,
    stay: &Stay,
    (reasons, plan): (&[Reason], Option<&str>),
    now: Instant,
) -> Json {
    let outcome = if reasons.is_empty() { "followed" } else { "not-followed" };
    let mut record = json!({
        "resourceType": "Observation",
        "identifier": [identifier("decision", id)],
        "status": "final",
    });
    if let Some(patient) = &stay.patient {
        record["subject"] = references(patient);
    }
    record["encounter"] = references(&stay.encounter);
    record["effectiveDateTime"] =
        json!(if stay.end_text.is_empty() { now.to_seconds_text() } else { stay.end_text.clone() });
    if let Some(plan) = plan {
        record["note"] = json!([{"text": format!("By the protocol {plan}")}]);
    }
    let mut record = resource(record);
    record.set("code", programme.coded("eligibility", "decision"));
    record.set("valueCodeableConcept", programme.coded("eligibility", outcome));
    let component = |reason: &Reason| {
        Json::object()
            .with("code", programme.coded("eligibility", &reason.criterion))
            .with("valueCodeableConcept", programme.coded("not-eligible-reason", &reason.code))
    };
    if !reasons.is_empty() {
        record.set("component", Json::Array(reasons.iter().map(component).collect()));
    }
    record
}

/// The warning that a patient is in hospital again. `class`: a code of `readmission-class`.
#[must_use]
pub fn flag(programme: &Programme, id: &str, stay: &Stay, patient: &Target, (days, class): (i64, &str)) -> Json {
    let mut flag = resource(json!({
        "resourceType": "Flag",
        "identifier": [identifier("flag", id)],
        "status": "active",
        "subject": references(patient),
        "encounter": references(&stay.encounter),
    }));
    let mut code = programme.coded("flag", "readmission");
    let told = class != "not-told";
    let class = programme.coded("readmission-class", class);
    let said = if told { format!(": {}", class["text"].text().to_lowercase()) } else { String::new() };
    code.set("text", format!("In hospital again, {days} days after the discharge{said}"));
    let codings = code["coding"].items().iter().chain(class["coding"].items()).cloned().collect();
    code.set("coding", Json::Array(codings));
    flag.set("code", code);
    if let Some(start) = stay.start {
        flag.set("period", resource(json!({"start": start.to_seconds_text()})));
    }
    flag
}

/// Moves an episode on, its history kept.
pub fn move_episode(episode: &mut Json, status: &str, now: Instant) {
    let from = episode["status"].text().to_string();
    if from == status {
        return;
    }
    let since = episode["statusHistory"].items().last().map(|h| h["period"]["end"].clone());
    let since = since.unwrap_or_else(|| episode["period"]["start"].clone());
    let now = now.to_seconds_text();
    let past = Json::object()
        .with("status", from.into())
        .with("period", Json::object().with("start", since).with("end", now.as_str().into()));
    let mut history = episode["statusHistory"].items().to_vec();
    history.push(past);
    episode.set("statusHistory", Json::Array(history));
    let mut period = episode["period"].clone();
    if matches!(status, "finished" | "cancelled") {
        period.set("end", now);
    } else {
        period.remove("end");
    }
    episode.set("period", period);
    episode.set("status", status);
}

/// The encounter whose end an episode follows.
#[must_use]
pub fn index_encounter(episode: &Json, base: &str) -> Option<Target> {
    let extension = element::extension(episode, "index-encounter")?;
    element::leads_to_a("Encounter", &extension["valueReference"], base)
}
