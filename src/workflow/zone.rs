//! Which clock a patient lives by.
//!
//! Source: HL7's extension `timezone` of the Patient or of an address; else the state of the home address, by the ConceptMap
//! `profiles/protocol/zone.json` (own rule: states of several zones have the one that most people live in).

use super::programme::files::Complaints;
use crate::fhir::Json;
use jiff::tz::TimeZone;
use std::collections::HashMap;

/// HL7's extension.
const TIMEZONE: &str = "http://hl7.org/fhir/StructureDefinition/timezone";

/// Zones by state.
#[derive(Debug, Clone, Default)]
pub struct Zones(HashMap<String, TimeZone>);

impl Zones {
    /// Reads the ConceptMap: from a state as addresses write it to an IANA name.
    pub fn read(file: &str, map: &Json, complaints: &mut Complaints) -> Self {
        let mut out = HashMap::new();
        for (g, group) in map["group"].items().iter().enumerate() {
            for (n, from) in group["element"].items().iter().enumerate() {
                let name = from["target"][0]["code"].text();
                match TimeZone::get(name) {
                    Ok(zone) => drop(out.insert(from["code"].text().to_uppercase(), zone)),
                    Err(_) => {
                        let path = format!("ConceptMap.group[{g}].element[{n}].target[0].code");
                        complaints.add(file, path, format!("'{name}' is no time zone of the IANA list"));
                    }
                }
            }
        }
        Self(out)
    }

    /// The zone of a Patient; `None` when nothing tells it.
    #[must_use]
    pub fn of(&self, patient: &Json) -> Option<TimeZone> {
        let told = |element: &Json| {
            let extension = element["extension"].items().iter().find(|e| e["url"].text() == TIMEZONE)?;
            TimeZone::get(extension["valueCode"].text()).ok()
        };
        let mut addresses: Vec<&Json> = patient["address"].items().iter().collect();
        addresses.retain(|a| a["use"].text() != "old");
        addresses.sort_by_key(|a| a["use"].text() != "home");
        let by_state = |a: &&Json| self.0.get(&a["state"].text().trim().to_uppercase()).cloned();
        told(patient).or_else(|| addresses.iter().find_map(|a| told(a).or_else(|| by_state(a))))
    }
}

#[cfg(test)]
mod tests {
    use crate::workflow::Programme;
    use serde_json::json;

    #[test]
    fn the_zone_of_a_patient_as_a_table() {
        let zone = |code: &str| json!([{"url": super::TIMEZONE, "valueCode": code}]);
        for (patient, expected) in [
            (json!({}), None),
            (json!({"address": [{"state": "TN"}]}), Some("America/Chicago")),
            (json!({"address": [{"state": "Massachusetts"}]}), Some("America/New_York")),
            (json!({"address": [{"use": "old", "state": "CA"}, {"state": "ma "}]}), Some("America/New_York")),
            (json!({"address": [{"state": "CA"}, {"use": "home", "state": "HI"}]}), Some("Pacific/Honolulu")),
            (json!({"address": [{"state": "TN", "extension": zone("America/New_York")}]}), Some("America/New_York")),
            (json!({"extension": zone("Europe/Berlin"), "address": [{"state": "TN"}]}), Some("Europe/Berlin")),
            (json!({"extension": zone("Moon/Base"), "address": [{"state": "XX"}]}), None),
        ] {
            let found = Programme::for_tests().zones.of(&patient.clone().into());
            assert_eq!(found.as_ref().and_then(|z| z.iana_name()), expected, "{patient}");
        }
    }
}
