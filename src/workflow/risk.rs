//! Risk scores: how likely it is that a patient comes back, as points of inputs that are known.
//!
//! For: reading the scores of `profiles/risk` and computing them over a case. An input that nothing tells is named and never
//! guessed: then there are no points and no level. Pure. Not for: what follows from a level (`profiles/protocol/choice.json`).
//! Source: LACE (van Walraven 2010), HOSPITAL (Donzé 2013), as data; <https://hl7.org/fhir/R4/riskassessment.html>.

use super::Programme;
use super::element;
use super::programme::files::Complaints;
use super::protocol::{Case, evaluate, parse};
use crate::clock::Instant;
use crate::fhir::fhirpath::{Expression, Value};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use serde_json::json;
use std::sync::Arc;

/// A score.
#[derive(Debug, Clone)]
pub struct Score {
    /// Id of its CodeSystem.
    pub id: String,
    title: String,
    inputs: Vec<Input>,
    /// (code of risk-probability, from so many points on), rising.
    levels: Vec<(String, i64)>,
}

#[derive(Debug, Clone)]
struct Input {
    code: String,
    display: String,
    value: Arc<Expression>,
    /// (from this value on, points), rising; below the first: none.
    points: Vec<(f64, i64)>,
}

/// What a score comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// (input, value, points) of what is known.
    pub known: Vec<(String, f64, i64)>,
    /// Inputs that nothing tells.
    pub missing: Vec<String>,
    /// Points and level, where nothing is missing.
    pub total: Option<(i64, String)>,
}

impl Score {
    /// Reads a CodeSystem of `profiles/risk`: concepts of kind input (`value`, `points`) and level (`from`).
    pub fn read(file: &str, codes: &Json, complaints: &mut Complaints) -> Self {
        let (mut inputs, mut levels) = (Vec::new(), Vec::new());
        for (n, concept) in codes["concept"].items().iter().enumerate() {
            let path = format!("CodeSystem.concept[{n}]");
            let all = |name: &str| {
                concept["property"].items().iter().filter(move |p| p["code"].text() == name).collect::<Vec<_>>()
            };
            let code = concept["code"].text().to_string();
            if let Some(from) = all("from").first().and_then(|p| p["valueInteger"].as_i64()) {
                levels.push((code, from));
                continue;
            }
            let value = all("value").first().map_or("", |p| p["valueString"].text());
            let points = all("points").into_iter().map(|p| {
                let (from, points) = p["valueString"].text().split_once(':')?;
                Some((from.trim().parse::<f64>().ok()?, points.trim().parse::<i64>().ok()?))
            });
            match (parse(value), points.collect::<Option<Vec<_>>>()) {
                (Ok(value), Some(points)) if points.is_sorted_by(|a, b| a.0 < b.0) && !points.is_empty() => {
                    inputs.push(Input { code, display: concept["display"].text().into(), value, points });
                }
                (Err(why), _) => complaints.add(file, format!("{path}.property"), why),
                _ => {
                    let why = "points are written 'from:points', rising, at least one; a level has from instead";
                    complaints.add(file, format!("{path}.property"), why);
                }
            }
        }
        if inputs.is_empty() || levels.first().is_none_or(|l| l.1 != 0) || !levels.is_sorted_by(|a, b| a.1 < b.1) {
            let why = "a score needs inputs, and levels that rise from 0";
            complaints.add(file, "CodeSystem.concept", why);
        }
        Self { id: codes["id"].text().into(), title: codes["title"].text().into(), inputs, levels }
    }

    /// What the score comes to in a case.
    #[must_use]
    pub fn of(&self, case: &Case<'_>) -> Scored {
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for input in &self.inputs {
            let value = evaluate(&input.value, case, |found| match found {
                [one] => Ok(number(one)),
                _ => Ok(None),
            });
            match value.ok().flatten() {
                Some(value) => {
                    let points = input.points.iter().rev().find(|(from, _)| value >= *from).map_or(0, |(_, p)| *p);
                    known.push((input.display.clone(), value, points));
                }
                None => missing.push(format!("{} ({})", input.display, input.code)),
            }
        }
        let sum: i64 = known.iter().map(|(_, _, p)| p).sum();
        let level = self.levels.iter().rev().find(|(_, from)| sum >= *from).map(|(code, _)| code.clone());
        let total = level.filter(|_| missing.is_empty()).map(|level| (sum, level));
        Scored { known, missing, total }
    }

    /// Where what it comes to for a stay is put on record.
    #[must_use]
    pub fn address(&self, programme: &Programme, encounter: &Target) -> Target {
        Target::new(known("RiskAssessment"), programme.id(&["risk", &encounter.id, &self.id]))
    }

    /// The RiskAssessment of a stay: final with points and level, or preliminary with what is missing.
    #[must_use]
    pub fn assessment(
        &self,
        programme: &Programme,
        encounter: &Target,
        patient: &Target,
        case: &Case<'_>,
        now: Instant,
    ) -> Json {
        let scored = self.of(case);
        let said: Vec<String> = scored.known.iter().map(|(i, v, p)| format!("{i}: {v} gives {p}")).collect();
        // Of the discharge, whenever it is computed: a replay says the same.
        let end = case.encounter.map_or("", |e| e["period"]["end"].text());
        let at = if end.is_empty() { now.to_seconds_text() } else { end.to_string() };
        let mut basis = vec![json!({"reference": encounter.to_string()})];
        let used = case.diagnoses.iter().chain(&case.observations).filter_map(|r| element::target_of(r));
        basis.extend(used.map(|t| json!({"reference": t.to_string()})));
        let mut notes = Vec::new();
        if !said.is_empty() {
            notes.push(json!({"text": said.join("; ")}));
        }
        if !scored.missing.is_empty() {
            notes.push(json!({"text": format!("Not known, and not guessed: {}", scored.missing.join(", "))}));
        }
        let mut out = json!({
            "resourceType": "RiskAssessment",
            "identifier": [{"system": element::sid("risk"), "value": format!("{}/{}", encounter.id, self.id)}],
            "status": if scored.total.is_some() { "final" } else { "preliminary" },
            "method": {"coding": [{"system": element::system("risk-score"), "code": self.id}], "text": self.title},
            "subject": {"reference": patient.to_string()},
            "encounter": {"reference": encounter.to_string()},
            "occurrenceDateTime": at,
            "basis": basis,
        });
        if let Some((points, level)) = &scored.total {
            out["prediction"] = json!([{
                "outcome": {"text": "Unplanned stay in hospital again within 30 days"},
                "qualitativeRisk": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/risk-probability", "code": level}]},
                "rationale": format!("{points} points"),
            }]);
        }
        out["note"] = json!(notes);
        let mut out = Json::from(out);
        crate::fhir::meta::set_id(&mut out, &self.address(programme, encounter).id);
        out
    }
}

/// A number, or yes as 1 and no as 0.
fn number(value: &Value<'_>) -> Option<f64> {
    match value.as_bool() {
        Some(truth) => Some(f64::from(u8::from(truth))),
        None => value.to_json().as_number().and_then(|n| n.parse().ok()),
    }
}

/// Whether one of the assessments says that the risk is high, and in which words.
#[must_use]
pub fn high(assessments: &[Json]) -> Option<String> {
    let is_high =
        |a: &&Json| element::codings(&a["prediction"][0]["qualitativeRisk"]).iter().any(|(_, code)| *code == "high");
    let found = assessments.iter().find(is_high)?;
    Some(format!("{}: high, {}", found["method"]["text"].text(), found["prediction"][0]["rationale"].text()))
}

#[cfg(test)]
mod tests;
