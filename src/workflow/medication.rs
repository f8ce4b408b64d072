//! What a medication resource needs to say anything about a medicine.
//!
//! For: the guard of MedicationRequest, MedicationStatement, MedicationAdministration, MedicationDispense. Not for: which list
//! it belongs to (`list.rs`). A dose without a unit is taken, as EHRs send it: it is for reconciliation to call it unclear.
//! Source: <https://hl7.org/fhir/R4/medicationdispense.html#invs> (mdd-1); own rule.

use super::element;
use super::guard::Findings;
use crate::fhir::Json;
use jiff::tz::TimeZone;

/// Judges a medication resource.
pub fn judge(after: &Json, findings: &mut Findings) {
    let rtype = element::type_of(after);
    let concept = &after["medicationCodeableConcept"];
    let says = |c: &Json| c["code"].as_str().is_some() || c["display"].as_str().is_some();
    let is_mute = !concept.is_null()
        && concept["text"].text().trim().is_empty()
        && !concept["coding"].items().iter().any(says)
        && concept.get("extension").is_none();
    if is_mute {
        let text = "a medicine needs a code or a text: nobody can tell which one is meant";
        findings.refuse(format!("{rtype}.medicationCodeableConcept"), text);
    }
    let at = |name: &str| {
        let text = after[name].text();
        (element::earliest(text, &TimeZone::UTC), element::latest(text, &TimeZone::UTC))
    };
    if let ((Some(prepared), _), (_, Some(handed))) = (at("whenPrepared"), at("whenHandedOver"))
        && handed < prepared
    {
        findings.refuse(format!("{rtype}.whenHandedOver"), "handed over before it was prepared (mdd-1)");
    }
}

#[cfg(test)]
mod tests {
    use crate::workflow::world::*;
    use serde_json::json;

    #[test]
    fn a_medicine_says_which_one_it_is_and_is_prepared_before_it_is_handed_over() {
        let dispense = json!({"resourceType": "MedicationDispense", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"},
            "medicationCodeableConcept": {"text": "Warfarin 2 MG"}});
        let coding = |coding: serde_json::Value| json!({"medicationCodeableConcept": {"coding": [coding]}});
        for (change, answer) in [
            (json!({}), 200),
            (coding(json!({"display": "Warfarin"})), 200),
            (coding(json!({"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "855288"})), 200),
            (coding(json!({"system": "http://www.nlm.nih.gov/research/umls/rxnorm"})), 422),
            (json!({"medicationCodeableConcept": {"id": "a"}}), 422),
            (json!({"whenPrepared": "2026-11-25T10:00:00Z", "whenHandedOver": "2026-11-25T09:00:00Z"}), 422),
            (json!({"whenPrepared": "2026-11-25T10:00:00Z", "whenHandedOver": "2026-11-25"}), 200),
            (json!({"whenPrepared": "2026-11-25T10:00:00Z", "whenHandedOver": "2026-11-25T10:00:00Z"}), 200),
        ] {
            let mut world = World::with_discharge();
            let mut resource = dispense.clone();
            for (name, value) in change.as_object().unwrap() {
                resource[name] = value.clone();
            }
            let result = world.write("super", vec![resource]);
            assert_eq!(result.as_ref().map_or_else(|e| e.kind.status(), |()| 200), answer, "{change}: {result:?}");
        }
    }
}
