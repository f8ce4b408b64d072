//! What a medication resource needs to say anything about a medicine.
//!
//! A pharmacy's people record what patients say that they take, and nothing else: lists and orders are the hospital's.
//!
//! For: the guard of MedicationRequest, MedicationStatement, MedicationAdministration, MedicationDispense. Not for: which list
//! it belongs to (`list.rs`). A dose without a unit is taken, as EHRs send it: it is for reconciliation to call it unclear.
//! Source: <https://hl7.org/fhir/R4/medicationdispense.html#invs> (mdd-1); own rule.

use super::element::{self, leads_to_a};
use super::guard::Findings;
use crate::access::{Ctx, Role};
use crate::fhir::Json;
use jiff::tz::TimeZone;

/// Who records only what patients say.
const HEAR: [Role; 2] = [Role::Technician, Role::Pharmacist];

/// Judges a medication resource. `base`: where this server is.
pub fn judge(ctx: &Ctx, base: &str, after: &Json, findings: &mut Findings) {
    let rtype = element::type_of(after);
    if rtype == "MedicationStatement" && HEAR.contains(&ctx.principal.role) {
        told(base, after, findings);
    }
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

/// What somebody of a pharmacy states is what the patient or a carer told.
fn told(base: &str, statement: &Json, findings: &mut Findings) {
    let source = &statement["informationSource"];
    if !["Patient", "RelatedPerson"].iter().any(|by| leads_to_a(by, source, base).is_some()) {
        let text = "a pharmacy records what the patient or a carer says that the patient takes: name the Patient or RelatedPerson who told it \
                    (rule statement-told)";
        findings.forbid("MedicationStatement.informationSource", text);
    }
    let said = element::codings(&statement["category"]);
    if let Some((_, code)) = said.iter().find(|(_, code)| matches!(*code, "discharge" | "inpatient")) {
        let text = format!(
            "'{code}' is the hospital's to say; of what was told: community or patientspecified (rule statement-told)"
        );
        findings.forbid("MedicationStatement.category", text);
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

    /// Own workflow 3.0, 3.8: A technician and a pharmacist record what the patient or a carer says is taken, and no list or order of the hospital's.
    #[test]
    fn a_pharmacy_states_what_it_was_told() {
        let told = json!({"resourceType": "MedicationStatement", "id": "x", "status": "active", "subject": {"reference": "Patient/p"},
            "dateAsserted": "2026-11-25T20:50:00Z", "informationSource": {"reference": "Patient/p"},
            "medicationCodeableConcept": {"text": "Ibuprofen 400 MG Oral Tablet"}});
        let category = |code: &str| json!({"category": {"coding": [{"code": code}]}});
        for (who, change, answer) in [
            ("mara", json!({}), 200),
            ("jonas", json!({}), 200),
            ("mara", category("patientspecified"), 200),
            ("mara", json!({"informationSource": {"reference": "RelatedPerson/daughter"}}), 200),
            ("mara", json!({"informationSource": null}), 403),
            ("jonas", json!({"informationSource": {"reference": "Practitioner/jonas"}}), 403),
            ("mara", json!({"informationSource": {"reference": "Organization/lakeside"}}), 403),
            ("mara", category("discharge"), 403),
            ("jonas", category("inpatient"), 403),
            ("hospital", json!({"informationSource": null}), 200),
        ] {
            let (mut world, _) = World::with_call();
            let mut resource = told.clone();
            for (name, value) in change.as_object().unwrap() {
                resource[name] = value.clone();
            }
            if resource["informationSource"].is_null() {
                resource.as_object_mut().unwrap().remove("informationSource");
            }
            let result = world.write(who, vec![resource]);
            assert_eq!(
                result.as_ref().map_or_else(|e| e.kind.status(), |()| 200),
                answer,
                "{who} {change}: {result:?}"
            );
            if let Err(error) = result {
                assert!(error.to_string().contains("statement-told"), "{error}");
                continue;
            }
            let list = world.memory.all("List").remove(0).clone();
            let is_told = String::from_utf8(list.to_bytes()).unwrap().contains("told by the patient");
            assert_eq!(is_told, who != "hospital", "{who}: it is a line of the working list");
        }
    }
}
