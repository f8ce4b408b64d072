//! A protocol carried out on paper: what it would ask for, as a CarePlan; and what it would have asked for in past episodes.
//!
//! Pure; nothing is written. Not for: opening Tasks (`react/opening.rs`).
//! Source: <https://hl7.org/fhir/R4/plandefinition-operation-apply.html>; `$simulate` is Baton's own.

use super::{Action, Case, Intent, Plan};
use crate::clock::Instant;
use crate::fhir::Json;
use serde_json::{Value, json};

/// What a protocol is applied to.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// `Patient/id`.
    pub patient: String,
    /// `Encounter/id`.
    pub encounter: Option<String>,
    /// Who asks.
    pub practitioner: Option<String>,
    /// For whom.
    pub organization: Option<String>,
}

impl Plan {
    /// The actions that a case calls for, with their times.
    #[must_use]
    pub fn called_for(&self, case: &Case<'_>, anchor: Instant) -> Vec<(&Action, Intent)> {
        let called_for = self.actions.iter().filter(|a| a.is_called_for(case));
        called_for.map(|a| (a, self.intent(a, anchor))).collect()
    }

    /// The CarePlan of `$apply`: a proposal with a contained RequestGroup, and in it one Task for each action that the case calls
    /// for.
    #[must_use]
    pub fn apply(&self, case: &Case<'_>, subject: &Subject, anchor: Instant, now: Instant) -> Json {
        let called_for = self.called_for(case, anchor);
        let mut contained: Vec<Json> = vec![self.group(&called_for, subject, now)];
        contained.extend(called_for.iter().map(|(action, intent)| task(action, intent, subject, now)));
        let mut plan = json!({
            "resourceType": "CarePlan",
            "contained": Value::Null,
            "instantiatesCanonical": [self.canonical],
            "status": "draft",
            "intent": "proposal",
            "title": self.title,
            "subject": {"reference": subject.patient},
        });
        with(&mut plan, subject, "encounter");
        plan["period"] = json!({"start": anchor.to_seconds_text(), "end": self.ends_at(anchor).to_seconds_text()});
        plan["created"] = json!(now.to_seconds_text());
        with(&mut plan, subject, "author");
        plan["activity"] = json!([{"reference": {"reference": "#actions"}}]);
        let mut plan = Json::from(plan);
        plan.set("contained", Json::Array(contained));
        plan
    }

    fn group(&self, called_for: &[(&Action, Intent)], subject: &Subject, now: Instant) -> Json {
        let mut group = json!({
            "resourceType": "RequestGroup",
            "id": "actions",
            "instantiatesCanonical": [self.canonical],
            "status": "draft",
            "intent": "proposal",
            "subject": {"reference": subject.patient},
        });
        with(&mut group, subject, "encounter");
        group["authoredOn"] = json!(now.to_seconds_text());
        with(&mut group, subject, "author");
        let mut group = Json::from(group);
        for (action, intent) in called_for {
            let mut item = json!({
                "id": action.id,
                "title": action.title,
                "description": action.description,
                "priority": action.priority,
                "timingPeriod": {"start": intent.opens_at.to_seconds_text(), "end": intent.due_at.to_seconds_text()},
                "resource": {"reference": format!("#{}", action.id)},
            });
            if let Some(practitioner) = &subject.practitioner {
                item["participant"] = json!([{"reference": practitioner}]);
            }
            if action.description.is_empty() {
                item.as_object_mut().map(|i| i.remove("description"));
            }
            group.push("action", Json::from(item));
        }
        group
    }
}

/// Encounter, or who asks, where it is known.
fn with(resource: &mut Value, subject: &Subject, name: &str) {
    let reference = match name {
        "encounter" => subject.encounter.as_ref(),
        _ => subject.practitioner.as_ref().or(subject.organization.as_ref()),
    };
    // R4: a RequestGroup's author is a Device, Practitioner or PractitionerRole.
    let is_group = resource["resourceType"] == "RequestGroup";
    let fits = |r: &&String| name == "encounter" || !is_group || !r.starts_with("Organization/");
    if let Some(reference) = reference.filter(fits) {
        resource[name] = json!({"reference": reference});
    }
}

fn task(action: &Action, intent: &Intent, subject: &Subject, now: Instant) -> Json {
    let mut task = json!({
        "resourceType": "Task",
        "id": action.id,
        "instantiatesCanonical": action.canonical,
        "status": "draft",
        "intent": "proposal",
        "priority": action.priority,
        "description": action.title,
        "for": {"reference": subject.patient},
        "authoredOn": now.to_seconds_text(),
    });
    with(&mut task, subject, "encounter");
    if let Some(organization) = &subject.organization {
        task["owner"] = json!({"reference": organization});
    }
    let period = json!({"start": intent.opens_at.to_seconds_text(), "end": intent.due_at.to_seconds_text()});
    task["restriction"] = json!({"period": period});
    let mut task = Json::from(task);
    task.set("code", action.code.clone());
    if !action.performer.is_null() {
        task.push("performerType", action.performer.clone());
    }
    task
}

/// One past episode under another protocol.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// The EpisodeOfCare.
    pub episode: String,
    /// The protocol that it went by, `url|version`.
    pub was: String,
    /// (action, when it was due, when it would have been due), in order of actions.
    pub actions: Vec<(String, Option<Instant>, Option<Instant>)>,
}

/// The Parameters of `$simulate`.
#[must_use]
pub fn simulation(plan: &Plan, compared: &[Compared]) -> Json {
    let all = || compared.iter().flat_map(|c| &c.actions);
    let count = |test: &dyn Fn(Option<Instant>, Option<Instant>) -> bool| {
        all().filter(|(_, was, would)| test(*was, *would)).count()
    };
    let number = |name: &str, n: usize| json!({"name": name, "valueInteger": n});
    let mut parameters = vec![
        json!({"name": "protocol", "valueCanonical": plan.canonical}),
        number("episodes", compared.len()),
        number("added", count(&|was, would| was.is_none() && would.is_some())),
        number("dropped", count(&|was, would| was.is_some() && would.is_none())),
        number("earlier", count(&|was, would| matches!((was, would), (Some(a), Some(b)) if b < a))),
        number("later", count(&|was, would| matches!((was, would), (Some(a), Some(b)) if b > a))),
        number("same", count(&|was, would| was.is_some() && was == would)),
    ];
    for one in compared {
        let mut parts = vec![
            json!({"name": "episode", "valueUri": one.episode}),
            json!({"name": "protocol", "valueCanonical": one.was}),
        ];
        for (action, was, would) in &one.actions {
            let mut part = vec![json!({"name": "action", "valueString": action})];
            for (name, at) in [("was", was), ("would", would)] {
                part.extend(at.map(|at| json!({"name": name, "valueInstant": at.to_seconds_text()})));
            }
            parts.push(json!({"name": "task", "part": part}));
        }
        parameters.push(json!({"name": "case", "part": parts}));
    }
    json!({"resourceType": "Parameters", "parameter": parameters}).into()
}
