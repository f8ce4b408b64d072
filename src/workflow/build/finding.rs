//! What screening writes: the candidate DetectedIssue, and the Flag of high-risk medicines.
//!
//! Pure. Not for: finding anything (`screen/`), or when to write it (`react/screen.rs`).
//! Source: <https://hl7.org/fhir/R4/detectedissue.html>, <https://hl7.org/fhir/R4/flag.html>.

use super::{Addresses, identifier, references, resource};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::element::{ACT_CODE, extension_url, sid, system};
use crate::workflow::screen::{Finding, Rule};
use serde_json::{Value, json};

/// The identifier system of what screening found: `episode/rule/medicines/number`.
pub const FINDING: &str = "finding";

/// Who a finding is by: a Device without a resource of its own, known by its identifier.
#[must_use]
pub fn device() -> Value {
    json!({"type": "Device", "identifier": {"system": sid("device"), "value": "screening"}, "display": "Screening by Baton"})
}

/// Where the n-th problem of a finding is.
#[must_use]
pub fn finding_at(programme: &Programme, episode: &Target, key: &str, nth: usize) -> Target {
    let id = programme.id(&["finding", &episode.id, key, &nth.to_string()]);
    Target::new(crate::fhir::resource::known("DetectedIssue"), id)
}

/// A candidate problem, preliminary.
#[must_use]
pub fn finding(at: &Addresses, patient: &Target, (rule, finding): (&Rule, &Finding), nth: usize, now: Instant) -> Json {
    let mut codings = Vec::new();
    codings.extend(rule.issue.iter().map(|code| json!({"system": ACT_CODE, "code": code})));
    codings.extend(rule.category.iter().map(|code| json!({"system": system("dtp-category"), "code": code})));
    codings.extend(rule.rationale.iter().map(|code| json!({"system": system("dtp-rationale"), "code": code})));
    let mut fired = vec![
        json!({"url": "rule", "valueCode": finding.rule}),
        json!({"url": "version", "valueString": finding.version}),
    ];
    fired.extend(finding.drugs.iter().map(|d| json!({"url": "drug", "valueString": d})));
    let mut extensions = vec![
        json!({"url": extension_url("rule-fired"), "extension": fired}),
        json!({"url": extension_url("episode"), "valueReference": references(&at.episode)}),
    ];
    if finding.is_stat {
        extensions.push(json!({"url": extension_url("urgency"), "valueCode": "stat"}));
    }
    let mut issue = json!({
        "resourceType": "DetectedIssue",
        "extension": extensions,
        "identifier": [identifier(FINDING, &format!("{}/{}/{nth}", at.episode.id, finding.key()))],
        "status": "preliminary",
        "code": {"coding": codings, "text": rule.title},
        "severity": finding.severity,
        "patient": references(patient),
        "identifiedDateTime": now.to_seconds_text(),
        "author": device(),
    });
    if !finding.implicated.is_empty() {
        issue["implicated"] = finding.implicated.iter().map(references).collect();
    }
    let shown: Vec<Value> = std::iter::once(&at.list).chain(&finding.evidence).map(references).collect();
    issue["evidence"] = json!([{"detail": shown}]);
    issue["detail"] = json!(finding.why);
    resource(issue)
}

/// The warning that a patient takes high-risk medicines.
///
/// `taken`: (class, medicine, resource).
#[must_use]
pub fn high_risk(
    programme: &Programme,
    at: &Addresses,
    encounter: &Target,
    patient: &Target,
    taken: &[(String, String, Target)],
    now: Instant,
) -> Json {
    let mut said: Vec<String> = taken.iter().map(|(class, medicine, _)| format!("{medicine} ({class})")).collect();
    said.dedup();
    let category = "http://terminology.hl7.org/CodeSystem/flag-category";
    let mut flag = resource(json!({
        "resourceType": "Flag",
        "identifier": [identifier("flag", &format!("{}/high-risk", at.episode.id))],
        "status": "active",
        "category": [{"coding": [{"system": category, "code": "drug"}]}],
        "code": Value::Null,
        "subject": references(patient),
        "period": {"start": now.to_seconds_text()},
        "encounter": references(encounter),
    }));
    let mut code = programme.coded("flag", "high-risk-medicine");
    code.set("text", format!("High-risk medicines: {}", said.join("; ")));
    flag.set("code", code);
    flag
}
