//! Who is followed up: criteria and thresholds as data.
//!
//! Source: `profiles/protocol/eligibility.json` (a Group that describes, not lists, its members) and `disposition.json`
//! (a ConceptMap); own rules in `profiles/protocol/README.md`. <https://hl7.org/fhir/R4/group.html>

use super::Programme;
use super::element::{self, ACT_CODE};
use super::list::{Group, Lines};
use super::medicine::Line;
use super::programme::files::Complaints;
use super::protocol::{Case, evaluate, parse};
use crate::fhir::Json;
use crate::fhir::fhirpath::Expression;
use std::collections::HashMap;
use std::sync::Arc;

/// Criteria of the Group.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    /// Classes of stays whose end is recorded; others (office visits) are none of the programme's business.
    pub recorded: Vec<String>,
    /// Classes of stays that are followed up.
    pub followed: Vec<String>,
    /// Destination when the hospital names none.
    pub absent: String,
    /// Youngest age in whole years.
    pub min_age: i64,
    /// How many days ago a discharge may be.
    pub horizon_days: i64,
    /// How many medicines must be known.
    pub min_medicines: i64,
    /// Scopes of Consents that are about the follow-up: (system, code).
    pub consent_scopes: Vec<(String, String)>,
    /// Purposes of use whose refusal is a refusal of the follow-up: (system, code).
    pub consent_purposes: Vec<(String, String)>,
    /// Days after discharge in which a new stay counts as a readmission: first and last.
    pub readmission_days: (i64, i64),
    /// `Encounter.hospitalization.admitSource` of who comes from another ward or house: (system, code).
    pub transfer_sources: Vec<(String, String)>,
    /// Hours between two stays of one hospital up to which they are one, where the second does not say where the patient came from.
    pub transfer_hours: i64,
    /// FHIRPath over a new stay: whether it had been planned.
    planned: Option<Arc<Expression>>,
    /// What else must hold, by the site: risk, conditions, medicines.
    pub needs: Vec<Need>,
}

/// A criterion of the site's own: FHIRPath over the case, true where it is met.
#[derive(Debug, Clone)]
pub struct Need {
    /// A code of `eligibility`.
    pub criterion: String,
    /// A code of `not-eligible-reason`, for who does not meet it.
    pub reason: String,
    expression: Arc<Expression>,
}

impl Need {
    fn read(file: &str, path: &str, rule: &Json, criterion: &str, complaints: &mut Complaints) -> Option<Self> {
        let part = rule["extension"].items().iter().find(|e| e["url"].text() == "reason");
        let reason = part.map_or("", |e| e["valueCode"].text()).to_string();
        let expression = Self::expression(file, path, rule, complaints)?;
        Some(Self { criterion: criterion.into(), reason, expression })
    }

    /// The expression of a criterion.
    fn expression(file: &str, path: &str, rule: &Json, complaints: &mut Complaints) -> Option<Arc<Expression>> {
        let part = rule["extension"].items().iter().find(|e| e["url"].text() == "expression");
        parse(part.map_or("", |e| e["valueString"].text()))
            .map_err(|why| complaints.add(file, format!("{path}.extension"), why))
            .ok()
    }

    /// Whether a case meets it; `None` where what is known does not say.
    #[must_use]
    pub fn is_met(&self, case: &Case<'_>) -> Option<bool> {
        says(&self.expression, case)
    }

    /// What it asks about and nothing tells.
    #[must_use]
    pub fn missing(&self, case: &Case<'_>) -> String {
        let asks = |name: &str| self.expression.text().contains(name);
        let mut out: Vec<String> = Vec::new();
        for risk in case.risk.iter().filter(|r| asks("%risk") && r["status"].text() == "preliminary") {
            let notes = risk["note"].items().iter().map(|n| n["text"].text());
            let said = notes.filter_map(|n| n.strip_prefix("Not known, and not guessed: "));
            out.extend(said.map(|inputs| format!("{} lacks {inputs}", risk["method"]["text"].text())));
        }
        for (name, is_empty, text) in [
            ("%diagnoses", case.diagnoses.is_empty(), "no diagnosis is on record"),
            ("%encounters", case.encounters.is_empty(), "no other visit is on record"),
            ("%observations", case.observations.is_empty(), "no finding of the stay is on record"),
            ("%medicines", case.medicines == 0, "no discharge medicine is known"),
        ] {
            out.extend((asks(name) && is_empty).then(|| text.to_string()));
        }
        if out.is_empty() { "what is known does not say".into() } else { out.join("; ") }
    }

    /// Whether it asks for the high-risk medicines.
    #[must_use]
    pub fn asks_high_risk(&self) -> bool {
        self.expression.text().contains("%highrisk")
    }
}

/// Yes, no, or nothing.
fn says(expression: &Expression, case: &Case<'_>) -> Option<bool> {
    let one = |found: &[crate::fhir::fhirpath::Value<'_>]| match found {
        [one] => Ok(one.as_bool()),
        _ => Ok(None),
    };
    evaluate(expression, case, one).unwrap_or(None)
}

impl Criteria {
    /// Whether a new stay had been planned, as a code of `readmission-class`: where it does not tell it is not guessed.
    #[must_use]
    pub fn readmission_class(&self, stay: &Json, patient: Option<&Json>) -> &'static str {
        let case = Case { encounter: Some(stay), patient, ..Case::default() };
        match self.planned.as_ref().and_then(|planned| says(planned, &case)) {
            Some(true) => "planned",
            Some(false) => "unplanned",
            None => "not-told",
        }
    }
}

/// How many medicines of the discharge are of a high-risk class (`profiles/screening/classes.json`).
#[must_use]
pub fn high_risk(programme: &Programme, lines: &Lines, resources: &[Json]) -> i64 {
    let taken = lines.lines.iter().filter(|e| e.group == Group::Discharge && !e.is_ended);
    let named = taken.filter_map(|e| resources.iter().find(|r| element::target_of(r).as_ref() == Some(&e.target)));
    let is_risky = |r: &&Json| {
        let line = Line::of(&programme.medicines, r, None);
        let substances = line.medicine.substances();
        substances.into_iter().any(|s| programme.screening.classes.of("high-risk", s).next().is_some())
    };
    i64::try_from(named.filter(is_risky).count()).unwrap_or(i64::MAX)
}

/// Reads the Group. `is_code`: whether an own code system has a code.
pub fn read(file: &str, group: &Json, is_code: &dyn Fn(&str, &str) -> bool, complaints: &mut Complaints) -> Criteria {
    let mut criteria = Criteria { readmission_days: (0, 30), ..Criteria::default() };
    let mut seen = Vec::new();
    for (n, characteristic) in group["characteristic"].items().iter().enumerate() {
        let path = format!("Group.characteristic[{n}]");
        let code = element::own_code(&characteristic["code"], "eligibility").unwrap_or_default();
        if let Some(rule) = element::extension(characteristic, "criterion") {
            if code == "planned-stay" {
                criteria.planned = Need::expression(file, &path, rule, complaints);
                continue;
            }
            if let Some(need) = Need::read(file, &path, rule, code, complaints) {
                for (system, code) in [("eligibility", &need.criterion), ("not-eligible-reason", &need.reason)] {
                    if !is_code(system, code) {
                        complaints.add(file, format!("{path}.code"), format!("{system} has no code '{code}'"));
                    }
                }
                criteria.needs.push(need);
            }
            continue;
        }
        let range = &characteristic["valueRange"];
        let low = range["low"]["value"].as_i64();
        let classes = || {
            let codings = element::codings(&characteristic["valueCodeableConcept"]);
            codings.into_iter().filter(|(s, _)| *s == ACT_CODE).map(|(_, c)| c.to_string()).collect::<Vec<_>>()
        };
        let pairs = || {
            let codings = element::codings(&characteristic["valueCodeableConcept"]);
            codings.into_iter().map(|(s, c)| (s.to_string(), c.to_string())).collect::<Vec<_>>()
        };
        let number = |value: Option<i64>| value.filter(|v| *v >= 0);
        let ok = match code {
            "recorded-class" => set(&mut criteria.recorded, Some(classes()).filter(|c| !c.is_empty())),
            "stay-class" => set(&mut criteria.followed, Some(classes()).filter(|c| !c.is_empty())),
            "disposition-when-absent" => {
                let code = element::own_code(&characteristic["valueCodeableConcept"], "destination");
                set(&mut criteria.absent, code.map(String::from))
            }
            "age" => set(&mut criteria.min_age, number(low)),
            "horizon" => set(&mut criteria.horizon_days, number(characteristic["valueQuantity"]["value"].as_i64())),
            "medicines" => set(&mut criteria.min_medicines, number(low)),
            "consent" => set(&mut criteria.consent_scopes, Some(pairs()).filter(|p| !p.is_empty())),
            "consent-purpose" => set(&mut criteria.consent_purposes, Some(pairs()).filter(|p| !p.is_empty())),
            "transfer-source" => set(&mut criteria.transfer_sources, Some(pairs()).filter(|p| !p.is_empty())),
            "transfer-gap" => {
                set(&mut criteria.transfer_hours, number(characteristic["valueQuantity"]["value"].as_i64()))
            }
            "readmission-window" => {
                let high = number(range["high"]["value"].as_i64());
                set(&mut criteria.readmission_days, number(low).zip(high))
            }
            _ => {
                complaints.add(file, format!("{path}.code"), format!("no criterion is called '{code}'"));
                continue;
            }
        };
        if !ok {
            complaints.add(file, format!("{path}.value"), format!("the value of '{code}' cannot be used"));
        }
        if characteristic["exclude"].as_bool() != Some(false) {
            complaints.add(file, format!("{path}.exclude"), "only false can be used here");
        }
        seen.push(code);
    }
    for needed in ["recorded-class", "stay-class", "age", "horizon"] {
        if !seen.contains(&needed) {
            complaints.add(file, "Group.characteristic", format!("the criterion '{needed}' is missing"));
        }
    }
    criteria
}

fn set<T>(slot: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *slot = value;
            true
        }
        None => false,
    }
}

/// Where patients go: what a hospital's disposition codes come down to.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    /// (system, code) → destination.
    map: HashMap<(String, String), String>,
    /// Destination → (followed, reason when not).
    known: HashMap<String, (bool, String)>,
}

impl Destinations {
    /// Reads the ConceptMap and the code system of destinations.
    pub fn read(file: &str, map: &Json, codes: &Json, complaints: &mut Complaints) -> Self {
        let mut out = Self::default();
        for concept in codes["concept"].items() {
            let property = |name: &str| {
                concept["property"].items().iter().find(|p| p["code"].text() == name).cloned().unwrap_or_default()
            };
            let followed = property("followed")["valueBoolean"].as_bool().unwrap_or(false);
            out.known.insert(concept["code"].text().into(), (followed, property("reason")["valueCode"].text().into()));
        }
        for (g, group) in map["group"].items().iter().enumerate() {
            for (n, from) in group["element"].items().iter().enumerate() {
                let to = from["target"][0]["code"].text();
                if !out.known.contains_key(to) {
                    let path = format!("ConceptMap.group[{g}].element[{n}].target[0].code");
                    complaints.add(file, path, format!("no destination is called '{to}'"));
                }
                let key = (group["source"].text().to_string(), from["code"].text().to_string());
                out.map.insert(key, to.into());
            }
        }
        out
    }

    /// The destination of a coded disposition: of its codings the first that is known; `other` when none is. `None` when
    /// there is no disposition.
    #[must_use]
    pub fn of(&self, disposition: &Json) -> Option<&str> {
        if disposition.is_null() {
            return None;
        }
        let codings = element::codings(disposition);
        let known = codings.iter().find_map(|(s, c)| self.map.get(&((*s).to_string(), (*c).to_string())));
        Some(known.map_or("other", String::as_str))
    }

    /// Whether discharges to a destination are followed up, and the reason when not.
    #[must_use]
    pub fn followed(&self, destination: &str) -> (bool, &str) {
        self.known.get(destination).map_or((false, "disposition-unknown"), |(f, r)| (*f, r.as_str()))
    }
}
