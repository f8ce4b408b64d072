//! What a medication resource needs to say anything about a medicine.
//!
//! A pharmacy's people record what patients say that they take, and nothing else: lists and orders are the hospital's.
//!
//! For: the guard of MedicationRequest, MedicationStatement, MedicationAdministration, MedicationDispense. Not for: which list
//! it belongs to (`list.rs`), or what a dose comes to (`medicine/dosage.rs`).
//! Source: <https://hl7.org/fhir/R4/medicationdispense.html#invs> (mdd-1); own rules.

use super::element::{self, leads_to_a};
use super::guard::Findings;
use super::medicine::{Line, Tables};
use super::{Programme, list};
use crate::access::{Ctx, Role};
use crate::fhir::Json;
use jiff::tz::TimeZone;
use serde_json::json;

/// Who records only what patients say.
const HEAR: [Role; 2] = [Role::Technician, Role::Pharmacist];

/// Judges a medication resource. `before`: the stored version; what it says already is not judged again.
pub fn judge(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    let rtype = element::type_of(after);
    if rtype == "MedicationStatement" && HEAR.contains(&ctx.principal.role) {
        told(&programme.env.base, after, findings);
    }
    doses(&programme.medicines, before, after, findings);
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

/// A dose is so much of something. A number alone counts pieces where the medicine comes in pieces; of anything else - ten of an
/// insulin, five of a syrup, two of a name without a strength - nobody can tell what is counted.
fn doses(tables: &Tables, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    const SAYS: [&str; 4] = ["dosageInstruction", "dosage", "medicationCodeableConcept", "medicationReference"];
    if before.is_some_and(|before| SAYS.iter().all(|name| before[*name] == after[*name])) {
        return;
    }
    let bare = bare_doses(after);
    if bare.is_empty() || comes_in_pieces(tables, after) {
        return;
    }
    let rtype = element::type_of(after);
    for (at, value) in bare {
        let text = format!(
            "the dose {value} has no unit, and the medicine does not tell what is counted: send unit, system and code (mg, mL, \
             {{tablet}}), or name a medicine that comes in pieces with its strength and form"
        );
        findings.refuse(format!("{rtype}.{at}"), text);
    }
}

/// (place, number) of each dose that has a value and neither unit nor code.
fn bare_doses(resource: &Json) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut look = |at: String, quantity: &Json| {
        let is_said = |name: &str| !quantity[name].text().trim().is_empty();
        if !quantity["value"].is_null() && !is_said("unit") && !is_said("code") {
            out.push((at, quantity["value"].to_string()));
        }
    };
    for (n, dosage) in resource["dosageInstruction"].items().iter().enumerate() {
        of_dosage(&format!("dosageInstruction[{n}]"), dosage, &mut look);
    }
    for (n, dosage) in resource["dosage"].items().iter().enumerate() {
        of_dosage(&format!("dosage[{n}]"), dosage, &mut look);
    }
    look("dosage.dose".into(), &resource["dosage"]["dose"]);
    out
}

fn of_dosage(at: &str, dosage: &Json, look: &mut impl FnMut(String, &Json)) {
    for (n, rate) in dosage["doseAndRate"].items().iter().enumerate() {
        look(format!("{at}.doseAndRate[{n}].doseQuantity"), &rate["doseQuantity"]);
        for end in ["low", "high"] {
            look(format!("{at}.doseAndRate[{n}].doseRange.{end}"), &rate["doseRange"][end]);
        }
    }
}

/// Whether a number of a medicine can only be a number of its pieces: its form is counted, or none is named and each substance has
/// its strength by the piece.
fn comes_in_pieces(tables: &Tables, resource: &Json) -> bool {
    let reference = &resource["medicationReference"];
    let contained = reference["reference"].text().strip_prefix('#');
    let inside = resource["contained"].items().iter().find(|c| Some(c["id"].text()) == contained);
    let named = Json::from(json!({"code": {"text": reference["display"].text()}}));
    let medicine = Line::of(tables, resource, Some(inside.unwrap_or(&named))).medicine;
    let by_piece = |i: &super::medicine::Ingredient| i.strength.as_ref().is_some_and(|s| s.per.is_none());
    match medicine.form.as_deref().and_then(|form| tables.form(form)) {
        Some(form) => form.piece.is_some(),
        None => !medicine.ingredients.is_empty() && medicine.ingredients.iter().all(by_piece),
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
    let said = list::categories(statement);
    if let Some(code) = said.iter().find(|code| matches!(**code, "discharge" | "inpatient")) {
        let text = format!(
            "'{code}' is the hospital's to say; of what was told: community or patientspecified (rule statement-told)"
        );
        findings.forbid("MedicationStatement.category", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::world::*;

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

    /// Own workflow 3.2: A dose without a unit is 422 where the medicine does not come in pieces, with its element; what is stored already is not judged again.
    #[test]
    fn a_number_is_a_dose_where_pieces_are_counted() {
        let bare = |value: serde_json::Value| json!([{"doseAndRate": [{"doseQuantity": value}]}]);
        let at = "MedicationRequest.dosageInstruction[0].doseAndRate[0].doseQuantity";
        let five = || bare(json!({"value": 5}));
        for (text, dosage, refused) in [
            ("insulin lispro 100 UNT/ML Injectable Solution", five(), vec![at]),
            ("Amoxicillin 50 MG/ML Oral Suspension", five(), vec![at]),
            ("Warfarin", five(), vec![at]),
            ("Warfarin", bare(json!({"value": 5, "unit": " "})), vec![at]),
            ("Warfarin", bare(json!({"value": 5, "unit": "mg"})), vec![]),
            ("Warfarin", bare(json!({"value": 5, "system": "http://unitsofmeasure.org", "code": "mg"})), vec![]),
            ("Warfarin", json!([{"text": "5 mg every evening"}]), vec![]),
            ("Warfarin 5 MG Oral Tablet", bare(json!({"value": 0.5})), vec![]),
            ("72 HR Fentanyl 0.025 MG/HR Transdermal System", bare(json!({"value": 1.0})), vec![]),
            ("Simvastatin 10 MG", bare(json!({"value": 1})), vec![]),
            (
                "Warfarin",
                json!([{"text": "a"}, {"doseAndRate": [{"doseRange": {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2}}}]}]),
                vec!["MedicationRequest.dosageInstruction[1].doseAndRate[0].doseRange.high"],
            ),
        ] {
            let order = json!({"resourceType": "MedicationRequest", "id": "x", "status": "active", "intent": "order",
                "subject": {"reference": "Patient/p"}, "medicationCodeableConcept": {"text": text}, "dosageInstruction": dosage.clone()});
            let mut world = World::with_discharge();
            let result = world.write("hospital", vec![order]);
            assert!(result.as_ref().err().is_none_or(|e| e.kind.status() == 422), "{text}: {result:?}");
            let issues = result.err().map(|e| e.issues).unwrap_or_default();
            let places: Vec<&str> = issues.iter().map(|i| i.expression.as_str()).collect();
            assert_eq!(places, refused, "{text} {dosage}: {issues:?}");
        }
        // Other types say it elsewhere, and a medicine may be named by reference.
        let insulin = json!({"resourceType": "Medication", "id": "m", "code": {"text": "insulin lispro 100 UNT/ML Injectable Solution"}});
        let tablet = json!({"resourceType": "Medication", "id": "m", "code": {"text": "Warfarin 5 MG Oral Tablet"}});
        for (rtype, medicine, dosage, at) in [
            (
                "MedicationStatement",
                &insulin,
                bare(json!({"value": 10})),
                Some("dosage[0].doseAndRate[0].doseQuantity"),
            ),
            ("MedicationStatement", &tablet, bare(json!({"value": 1})), None),
            ("MedicationAdministration", &insulin, json!({"dose": {"value": 10}}), Some("dosage.dose")),
            ("MedicationAdministration", &insulin, json!({"dose": {"value": 10, "unit": "units"}}), None),
        ] {
            let said =
                json!({"resourceType": rtype, "id": "x", "status": "active", "subject": {"reference": "Patient/p"},
                "contained": [medicine], "medicationReference": {"reference": "#m"}, "dosage": dosage})
                .into();
            let mut findings = Findings::default();
            let programme = Programme::for_tests();
            doses(&programme.medicines, None, &said, &mut findings);
            let found = findings.settle().err().map(|e| e.issues[0].expression.clone());
            assert_eq!(found, at.map(|at| format!("{rtype}.{at}")), "{dosage}");
            // It was taken once: another change is not refused for it.
            let mut later = said.clone();
            later.set("status", "completed");
            let mut findings = Findings::default();
            doses(&programme.medicines, Some(&said), &later, &mut findings);
            assert!(findings.is_empty());
        }
    }

    /// Own workflow 3.0, 3.8: A technician and a pharmacist record what the patient or a carer says is taken, and no list or order of the hospital's.
    #[test]
    fn a_pharmacy_states_what_it_was_told() {
        let told = json!({"resourceType": "MedicationStatement", "id": "x", "status": "active", "subject": {"reference": "Patient/p"},
            "dateAsserted": "2026-11-25T20:50:00Z", "informationSource": {"reference": "Patient/p"},
            "medicationCodeableConcept": {"text": "Ibuprofen 400 MG Oral Tablet"}});
        let system = "http://terminology.hl7.org/CodeSystem/medication-statement-category";
        let category = |code: &str| json!({"category": {"coding": [{"system": system, "code": code}]}});
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
