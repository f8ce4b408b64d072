//! Who is followed up: criteria and thresholds as data.
//!
//! Source: `profiles/protocol/eligibility.json` (a Group that describes, not lists, its members) and `disposition.json`
//! (a ConceptMap); own rules in `profiles/protocol/README.md`. <https://hl7.org/fhir/R4/group.html>

use super::element::{self, ACT_CODE};
use super::programme::files::Complaints;
use crate::fhir::Json;
use std::collections::HashMap;

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
}

/// Reads the Group.
pub fn read(file: &str, group: &Json, complaints: &mut Complaints) -> Criteria {
    let mut criteria = Criteria { readmission_days: (0, 30), ..Criteria::default() };
    let mut seen = Vec::new();
    for (n, characteristic) in group["characteristic"].items().iter().enumerate() {
        let path = format!("Group.characteristic[{n}]");
        let code = element::own_code(&characteristic["code"], "eligibility").unwrap_or_default();
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
