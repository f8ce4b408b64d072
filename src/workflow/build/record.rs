//! What the programme puts on record about decisions of people: a patient's refusal, and what happened to a Task.
//!
//! Pure. Source: <https://hl7.org/fhir/R4/consent.html>, <https://hl7.org/fhir/R4/provenance.html>.

use super::{identifier, references, resource};
use crate::access::{Ctx, Role};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::element::{ACT_CODE, extension_url};
use serde_json::{Value, json};

/// The refusal that a patient spoke in an attempt to reach them.
#[must_use]
pub fn refusal(id: &str, patient: &Target, attempt: &Target, sent: &str, hospital: Option<&Target>) -> Json {
    let mut consent = json!({
        "resourceType": "Consent",
        "extension": [{"url": extension_url("told-in"), "valueReference": references(attempt)}],
        "identifier": [identifier("consent", id)],
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": references(patient),
        "dateTime": sent,
        "performer": [references(patient)],
    });
    if let Some(hospital) = hospital {
        consent["organization"] = json!([references(hospital)]);
    }
    consent["policyRule"] = json!({"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]});
    consent["provision"] = json!({"type": "deny"});
    resource(consent)
}

/// Who did something to a Task, and to which version of it.
///
/// `activity`: a code of `provenance-activity`. `before`: the Task as it was. `reason`: a CodeableConcept, or null.
#[must_use]
pub fn provenance(
    ctx: &Ctx,
    programme: &Programme,
    task: &Target,
    before: &Json,
    activity: &str,
    reason: &Json,
) -> Json {
    let version = before["meta"]["versionId"].text();
    let mut provenance = json!({
        "resourceType": "Provenance",
        "target": [references(task)],
        "recorded": ctx.now.to_seconds_text(),
    });
    if !reason.is_null() {
        provenance["reason"] = Value::Null; // keeps R4's order; filled in below
    }
    provenance["activity"] = Value::Null;
    provenance["agent"] = json!([agent(ctx)]);
    if !version.is_empty() {
        let what = json!({"reference": format!("{task}/_history/{version}")});
        provenance["entity"] = json!([{"role": "revision", "what": what}]);
    }
    let mut out = resource(provenance);
    out.set("activity", programme.coded("provenance-activity", activity));
    if !reason.is_null() {
        out.set("reason", Json::Array(vec![reason.clone()]));
    }
    out
}

/// The caller, for whom they act.
pub(super) fn agent(ctx: &Ctx) -> Value {
    let principal = &ctx.principal;
    let organization = principal.organization();
    let who = match (&principal.practitioner, &organization) {
        (Some(person), _) => json!({"reference": person}),
        (None, Some(organization)) => json!({"reference": organization}),
        (None, None) => {
            json!({"display": if principal.role == Role::RuleEngine { "Baton" } else { principal.role.as_str() }})
        }
    };
    let mut agent = json!({
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "performer"}]},
        "who": who,
    });
    if let (Some(_), Some(organization)) = (&principal.practitioner, &organization) {
        agent["onBehalfOf"] = json!({"reference": organization});
    }
    agent
}

/// What the hospital hears of a Task whose patient could not be reached. `tried`: how often, in words.
#[must_use]
pub fn unreachable(
    programme: &Programme,
    task: &Target,
    json: &Json,
    hospital: &Target,
    tried: &str,
    now: Instant,
) -> Json {
    let mut told = resource(json!({
        "resourceType": "Communication",
        "identifier": [identifier("outcome", &format!("unreachable/{}", task.id))],
        "status": "completed",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]}],
        "recipient": [references(hospital)],
        "about": [references(task)],
        "sent": now.to_seconds_text(),
        "payload": [{"contentString": format!("The patient could not be reached: {tried}.")}],
    }));
    for (name, of) in [("subject", "for"), ("encounter", "encounter")] {
        if let Some(value) = json.get(of) {
            told.set(name, value.clone());
        }
    }
    told.set("topic", programme.coded("task-status-reason", "unreachable"));
    told
}
