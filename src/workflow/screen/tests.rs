use super::page;
use crate::fhir::Json;
use crate::workflow::programme::files::{self, Complaints};
use crate::workflow::screen::Rules;
use crate::workflow::world::*;
use crate::workflow::{Programme, element};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A medicine on a list: `home`, `discharge`, `told`.
fn medicine(list: &str, id: &str, text: &str, directions: &str) -> Value {
    let code = if list == "home" { "community" } else { list };
    let mut out = json!({
        "resourceType": "MedicationStatement", "id": id, "status": "active",
        "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": code}]},
        "medicationCodeableConcept": {"text": text}, "subject": {"reference": "Patient/p"},
        "dosage": [{"text": directions}],
    });
    if list == "told" {
        out["category"]["coding"][0]["code"] = "patientspecified".into();
        out["informationSource"] = json!({"reference": "Patient/p"});
        out["dateAsserted"] = "2026-11-25T20:50:00Z".into();
    } else if list == "discharge" {
        out["context"] = json!({"reference": "Encounter/e"});
    }
    out
}

fn order(id: &str, text: &str, directions: &str) -> Value {
    let mut out = prescription(id, None);
    out["medicationCodeableConcept"]["text"] = text.into();
    out["dosageInstruction"] = json!([{"text": directions}]);
    out
}

fn dispense(id: &str, text: &str, when: &str, days: u32, pharmacy: &str) -> Value {
    json!({"resourceType": "MedicationDispense", "id": id, "status": "completed", "medicationCodeableConcept": {"text": text},
        "subject": {"reference": "Patient/p"}, "whenHandedOver": when, "performer": [{"actor": {"reference": format!("Organization/{pharmacy}")}}],
        "daysSupply": {"value": days, "unit": "days"}})
}

fn allergy(id: &str, text: &str, criticality: &str) -> Value {
    json!({"resourceType": "AllergyIntolerance", "id": id, "patient": {"reference": "Patient/p"}, "code": {"text": text},
        "criticality": criticality,
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}})
}

fn measured(id: &str, code: &str, value: f64, unit: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-11-24", "valueQuantity": {"value": value, "unit": unit}})
}

fn with(mut base: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

const ONCE: &str = "1 tablet once daily";

/// A discharge of these beside the stay, screened; `hours` later.
fn discharged(resources: &[Value], hours: i64) -> World {
    let mut world = World::screening();
    let mut all = vec![with(patient(), json!({"gender": "female"})), encounter()];
    all.extend(resources.iter().cloned());
    world.write("hospital", all).unwrap();
    world.now = world.now.plus_seconds(hours * 3_600);
    if hours > 0 {
        world.screen("super", true).unwrap();
    }
    world
}

/// (rule, medicines, severity) of all problems, sorted; those of the rules that every discharge of the table would fire left out.
fn fired(world: &World) -> Vec<(String, String, String)> {
    let of = |issue: &Json| {
        let fired = element::extension(issue, "rule-fired").unwrap()["extension"].items().to_vec();
        let rule = fired.iter().find(|e| e["url"].text() == "rule").unwrap()["valueCode"].text().to_string();
        let drugs: Vec<&str> =
            fired.iter().filter(|e| e["url"].text() == "drug").map(|e| e["valueString"].text()).collect();
        (rule, drugs.join(" "), issue["severity"].text().to_string())
    };
    let open = world.memory.all("DetectedIssue").into_iter().filter(|i| i["status"].text() == "preliminary");
    let mut out: Vec<_> = open.map(of).collect();
    out.sort();
    out
}

#[test]
fn each_rule_fires_where_it_should_and_not_beside_it_as_a_table() {
    let warfarin = "warfarin sodium 5 MG Oral Tablet";
    let simvastatin = "simvastatin 20 MG Oral Tablet";
    let lisinopril = "lisinopril 10 MG Oral Tablet";
    let stopped = |id: &str, text: &str| {
        with(medicine("home", id, text, ONCE), json!({"status": "stopped", "context": {"reference": "Encounter/e"}}))
    };
    type Row = (&'static str, Vec<Value>, i64, Vec<(&'static str, &'static str, &'static str)>);
    let rows: Vec<Row> = vec![
        ("nothing to find", vec![order("a", lisinopril, ONCE), medicine("home", "h", lisinopril, ONCE)], 0, vec![]),
        (
            "the same substance twice",
            vec![
                order("a", "metoprolol tartrate 25 MG Oral Tablet", ONCE),
                order("b", "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet", ONCE),
            ],
            0,
            vec![("same-substance", "metoprolol", "moderate")],
        ),
        (
            "the same high-risk substance twice is more severe",
            vec![order("a", warfarin, ONCE), order("b", "warfarin sodium 2 MG Oral Tablet", ONCE)],
            0,
            vec![("same-substance", "warfarin", "high")],
        ),
        (
            "one mechanism",
            vec![order("a", simvastatin, ONCE), order("b", "rosuvastatin 10 MG Oral Tablet", ONCE)],
            0,
            vec![("same-mechanism", "rosuvastatin simvastatin", "moderate")],
        ),
        (
            "one purpose",
            vec![order("a", lisinopril, ONCE), order("b", "losartan 50 MG Oral Tablet", ONCE)],
            0,
            vec![("same-benefit", "lisinopril losartan", "moderate")],
        ),
        (
            "drops for the eye are no second tablet",
            vec![
                order("a", "metoprolol tartrate 25 MG Oral Tablet", ONCE),
                order("b", "betaxolol 5 MG/ML Ophthalmic Solution", "1 drop twice daily"),
            ],
            0,
            vec![],
        ),
        (
            "a home medicine is missing",
            vec![order("a", lisinopril, ONCE), medicine("home", "h", "levothyroxine 75 MCG Oral Tablet", ONCE)],
            0,
            vec![("home-omitted", "levothyroxine", "moderate")],
        ),
        (
            "a missing high-risk one",
            vec![order("a", lisinopril, ONCE), medicine("home", "h", warfarin, ONCE)],
            0,
            vec![("home-omitted", "warfarin", "high")],
        ),
        (
            "stopped and still taken",
            vec![order("a", lisinopril, ONCE), stopped("h", simvastatin), medicine("told", "t", simvastatin, ONCE)],
            0,
            vec![("stopped-taken", "simvastatin", "moderate")],
        ),
        (
            "stopped and handed out",
            vec![
                order("a", lisinopril, ONCE),
                stopped("h", simvastatin),
                dispense("d", simvastatin, "2026-11-25T20:30:00Z", 30, "elm"),
            ],
            0,
            vec![("stopped-dispensed", "simvastatin", "moderate")],
        ),
        (
            "another dose and nobody says why",
            vec![order("a", warfarin, "2 tablets once daily"), medicine("home", "h", warfarin, ONCE)],
            0,
            vec![("dose-changed", "warfarin", "high")],
        ),
        (
            "another dose with a note",
            vec![
                with(order("a", warfarin, "2 tablets once daily"), json!({"note": [{"text": "INR 1.4"}]})),
                medicine("home", "h", warfarin, ONCE),
            ],
            0,
            vec![],
        ),
        (
            "another frequency",
            vec![order("a", lisinopril, "1 tablet twice daily"), medicine("home", "h", lisinopril, ONCE)],
            0,
            vec![("dose-changed", "lisinopril", "moderate")],
        ),
        (
            "another product",
            vec![
                order("a", "24 HR metformin 500 MG Extended Release Oral Tablet", ONCE),
                medicine("home", "h", "metformin 500 MG Oral Tablet", ONCE),
            ],
            0,
            vec![("product-changed", "metformin", "low")],
        ),
        (
            "of the stay, goes on",
            vec![
                order("a", "pantoprazole 40 MG Oral Tablet", ONCE),
                json!({"resourceType": "MedicationAdministration", "id": "g", "status": "completed", "medicationCodeableConcept": {"text": "pantoprazole 40 MG Oral Tablet"}, "subject": {"reference": "Patient/p"}, "context": {"reference": "Encounter/e"}, "effectiveDateTime": "2026-11-23"}),
            ],
            0,
            vec![("inpatient-continued", "pantoprazole", "low")],
        ),
        ("incomplete", vec![order("a", lisinopril, "as directed")], 0, vec![("incomplete", "lisinopril", "low")]),
        (
            "not collected",
            vec![
                order("a", lisinopril, ONCE),
                order("b", simvastatin, ONCE),
                dispense("d", lisinopril, "2026-11-25T20:30:00Z", 90, "elm"),
            ],
            73,
            vec![("not-dispensed", "simvastatin", "moderate")],
        ),
        (
            "not collected yet",
            vec![
                order("a", lisinopril, ONCE),
                order("b", simvastatin, ONCE),
                dispense("d", lisinopril, "2026-11-25T20:30:00Z", 90, "elm"),
            ],
            70,
            vec![],
        ),
        ("no pharmacy's records come in", vec![order("a", lisinopril, ONCE)], 73, vec![]),
        (
            "handed out otherwise",
            vec![
                order("a", lisinopril, ONCE),
                dispense("d", "lisinopril 20 MG Oral Tablet", "2026-11-25T20:30:00Z", 30, "elm"),
            ],
            0,
            vec![("dispensed-otherwise", "lisinopril", "moderate")],
        ),
        (
            "run out",
            vec![order("a", lisinopril, ONCE), dispense("d", lisinopril, "2026-11-25T20:30:00Z", 10, "elm")],
            24 * 18,
            vec![("refill-late", "lisinopril", "moderate")],
        ),
        (
            "not run out yet",
            vec![order("a", lisinopril, ONCE), dispense("d", lisinopril, "2026-11-25T20:30:00Z", 10, "elm")],
            24 * 16,
            vec![],
        ),
        (
            "allergy",
            vec![
                order("a", "amoxicillin 500 MG Oral Capsule", "1 capsule three times daily"),
                allergy("x", "Allergy to amoxicillin", "low"),
            ],
            0,
            vec![("allergy", "amoxicillin", "high")],
        ),
        (
            "allergy against its class",
            vec![
                order("a", "amoxicillin 500 MG Oral Capsule", "1 capsule three times daily"),
                allergy("x", "penicillin", "high"),
            ],
            0,
            vec![("allergy-class", "amoxicillin", "moderate")],
        ),
        (
            "another allergy",
            vec![
                order("a", "amoxicillin 500 MG Oral Capsule", "1 capsule three times daily"),
                allergy("x", "peanut", "high"),
            ],
            0,
            vec![],
        ),
        (
            "refuted",
            vec![
                order("a", "amoxicillin 500 MG Oral Capsule", "1 capsule three times daily"),
                with(
                    allergy("x", "penicillin", "high"),
                    json!({"verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "code": "refuted"}]}}),
                ),
            ],
            0,
            vec![],
        ),
        (
            "a pair that must not meet",
            vec![
                order("a", simvastatin, ONCE),
                order("b", "clarithromycin 500 MG Oral Tablet", "1 tablet twice daily"),
            ],
            0,
            vec![("interaction", "clarithromycin simvastatin", "high")],
        ),
        // 77 years, 50 kg, 2 mg/dL: (140 - 77) × 50 / 144 × 0.85 = 18.6
        (
            "kidneys",
            vec![
                order("a", "metformin 500 MG Oral Tablet", ONCE),
                with(patient(), json!({"id": "p", "gender": "female"})),
                measured("c", "2160-0", 2.0, "mg/dL"),
                measured("w", "29463-7", 50.0, "kg"),
            ],
            0,
            vec![("renal-dose", "metformin", "high")],
        ),
        (
            "kidneys that bear it",
            vec![
                order("a", "metformin 500 MG Oral Tablet", ONCE),
                measured("c", "2160-0", 0.8, "mg/dL"),
                measured("w", "29463-7", 70.0, "kg"),
            ],
            0,
            vec![],
        ),
        (
            "two prescribers of different medicines",
            vec![
                with(
                    order("a", "metformin 500 MG Oral Tablet", ONCE),
                    json!({"requester": {"reference": "Practitioner/one"}}),
                ),
                with(
                    order("b", "sitagliptin 100 MG Oral Tablet", ONCE),
                    json!({"requester": {"reference": "Practitioner/two"}}),
                ),
            ],
            0,
            vec![],
        ),
        (
            "two prescribers of similar medicines",
            vec![
                with(order("a", lisinopril, ONCE), json!({"requester": {"reference": "Practitioner/one"}})),
                with(
                    order("b", "losartan 50 MG Oral Tablet", ONCE),
                    json!({"requester": {"reference": "Practitioner/two"}}),
                ),
            ],
            0,
            vec![("other-prescriber", "lisinopril losartan", "moderate")],
        ),
        (
            "two pharmacies",
            vec![
                order("a", "oxycodone 5 MG Oral Tablet", "1 tablet every 6 hours"),
                dispense("d", "oxycodone 5 MG Oral Tablet", "2026-11-25T20:30:00Z", 30, "elm"),
                dispense("e", "oxycodone 5 MG Oral Tablet", "2026-11-25T20:40:00Z", 30, "harbour"),
            ],
            0,
            vec![("other-pharmacy", "oxycodone", "high")],
        ),
        (
            "not taken",
            vec![
                order("a", lisinopril, ONCE),
                with(medicine("told", "t", lisinopril, ONCE), json!({"status": "not-taken"})),
            ],
            0,
            vec![("not-taking", "lisinopril", "moderate")],
        ),
        (
            "not taken, as the hospital wants it",
            vec![
                order("b", "amlodipine 5 MG Oral Tablet", ONCE),
                medicine("home", "h", lisinopril, ONCE),
                with(order("a", lisinopril, ONCE), json!({"status": "stopped", "note": [{"text": "Low pressure."}]})),
                with(medicine("told", "t", lisinopril, ONCE), json!({"status": "not-taken"})),
            ],
            0,
            vec![],
        ),
        (
            "costs too much",
            vec![
                order("a", lisinopril, ONCE),
                with(
                    medicine("told", "t", lisinopril, ONCE),
                    json!({"status": "not-taken", "statusReason": [{"coding": [{"system": "http://baton.example/fhir/CodeSystem/dtp-rationale", "code": "cost"}]}]}),
                ),
            ],
            0,
            vec![("cost", "lisinopril", "moderate")],
        ),
        (
            "an unwanted effect",
            vec![
                order("a", lisinopril, ONCE),
                with(
                    medicine("told", "t", lisinopril, ONCE),
                    json!({"statusReason": [{"coding": [{"system": "http://baton.example/fhir/CodeSystem/dtp-rationale", "code": "side-effect"}]}]}),
                ),
            ],
            0,
            vec![("side-effect", "lisinopril", "moderate")],
        ),
        (
            "a device",
            vec![
                order("a", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "2 puffs every 6 hours"),
                with(
                    medicine(
                        "told",
                        "t",
                        "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
                        "2 puffs every 6 hours",
                    ),
                    json!({"statusReason": [{"coding": [{"system": "http://baton.example/fhir/CodeSystem/dtp-rationale", "code": "technique"}]}]}),
                ),
            ],
            0,
            vec![("device", "albuterol", "moderate")],
        ),
    ];
    for (name, resources, hours, expected) in rows {
        let mut resources = resources;
        resources.retain(|r| r["resourceType"] != "Patient");
        let world = discharged(&resources, hours);
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
        assert_eq!(fired(&world), expected, "{name}");
        // In whatever order they come, one after another: the same, by what was withdrawn when it held no more.
        let mut slow = World::screening();
        slow.write("hospital", vec![with(patient(), json!({"gender": "female"}))]).unwrap();
        for resource in resources.iter().rev().chain([&encounter()]) {
            slow.write("super", vec![resource.clone()]).unwrap();
        }
        slow.now = world.now;
        slow.screen("super", true).unwrap();
        assert_eq!(fired(&slow), expected, "{name}, one after another");
    }
}

#[test]
fn ten_medicines_are_counted() {
    let names = [
        "lisinopril",
        "amlodipine",
        "atorvastatin",
        "levothyroxine",
        "metformin",
        "sertraline",
        "furosemide",
        "tamsulosin",
        "omeprazole",
        "aspirin",
    ];
    let orders = |n: usize| -> Vec<Value> {
        let of = |(i, name): (usize, &&str)| order(&format!("o{i}"), &format!("{name} 10 MG Oral Tablet"), ONCE);
        names.iter().take(n).enumerate().map(of).collect()
    };
    let counted = |n: usize| fired(&discharged(&orders(n), 0)).iter().filter(|(r, ..)| r == "ten-medicines").count();
    assert_eq!((counted(9), counted(10)), (0, 1));
}

#[test]
fn a_finding_is_a_candidate_by_a_device_with_its_rule_its_evidence_and_one_review() {
    let mut world = discharged(
        &[
            order("a", "lisinopril 10 MG Oral Tablet", ONCE),
            medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE),
        ],
        0,
    );
    let issue = world.memory.all("DetectedIssue").remove(0).clone();
    assert_eq!(issue["status"].text(), "preliminary");
    assert_eq!(issue["author"]["type"].text(), "Device");
    assert_eq!(issue["implicated"][0]["reference"].text(), "MedicationStatement/h");
    assert!(issue["evidence"][0]["detail"][0]["reference"].text().starts_with("List/"));
    assert!(issue["detail"].text().contains("warfarin sodium 5 MG Oral Tablet was taken at home"));
    let reviews =
        world.memory.all("Task").into_iter().filter(|t| t["focus"]["reference"].text().starts_with("DetectedIssue/"));
    let reviews: Vec<Json> = reviews.cloned().collect();
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["priority"].text(), "asap", "high-risk: high, by the end of the next day");
    // A replay, a second asking, a list said again: nothing new.
    let puts = world.memory.puts;
    world.screen("super", true).unwrap();
    world.write("hospital", vec![medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE)]).unwrap();
    assert_eq!(world.memory.all("DetectedIssue").len(), 1);
    assert_eq!(world.memory.puts, puts, "nothing was written");
    let told = world.screen("super", false).unwrap();
    let finding = &told["parameter"][0]["part"][1]["part"];
    assert_eq!(finding[0]["valueCode"].text(), "home-omitted");
    assert_eq!(finding[4]["valueCode"].text(), "open");
}

#[test]
fn who_reviews_a_finding_or_reads_a_score_reads_what_it_goes_by() {
    let of_stay = json!({"encounter": {"reference": "Encounter/e"}});
    let mut world = discharged(
        &[
            order("a", "metformin 500 MG Oral Tablet", ONCE),
            measured("c", "2160-0", 2.0, "mg/dL"),
            measured("w", "29463-7", 50.0, "kg"),
            with(measured("hb", "718-7", 9.0, "g/dL"), of_stay.clone()),
        ],
        0,
    );
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    // A measure that comes later moves the finding, and is read, too.
    world.write("hospital", vec![measured("c2", "2160-0", 2.5, "mg/dL")]).unwrap();
    let named = |rtype: &str, part: &str| -> Vec<String> {
        let all = world.memory.all(rtype);
        let of = |r: &Json| {
            let details = r[part].items().iter().flat_map(|e| std::iter::once(e).chain(e["detail"].items()));
            details.map(|d| d["reference"].text().to_string()).filter(|t| !t.is_empty()).collect::<Vec<_>>()
        };
        all.into_iter().flat_map(of).collect()
    };
    let (evidence, basis) = (named("DetectedIssue", "evidence"), named("RiskAssessment", "basis"));
    assert!(evidence.iter().filter(|t| t.starts_with("Observation/")).count() >= 2, "{evidence:?}");
    assert!(basis.contains(&"Observation/hb".to_string()), "{basis:?}");
    for at in evidence.iter().chain(&basis) {
        assert!(world.sees("elm", &target(at)), "{at}");
        assert!(!world.sees("harbour", &target(at)), "{at}: nobody else does");
    }
}

#[test]
fn a_double_dose_of_a_high_risk_medicine_is_reviewed_within_the_hour() {
    let twice =
        [order("a", "warfarin sodium 5 MG Oral Tablet", ONCE), order("b", "warfarin sodium 2 MG Oral Tablet", ONCE)];
    let world = discharged(&twice, 0);
    let review = world.json(&world.task("review-dtp")).clone();
    let due = review["restriction"]["period"]["end"].text();
    assert_eq!((review["priority"].text(), due), ("stat", "2026-11-25T22:00:00Z"));
}

#[test]
fn who_takes_the_patient_gets_the_reviews_and_gives_them_back() {
    let mut world = discharged(
        &[
            order("a", "lisinopril 10 MG Oral Tablet", ONCE),
            medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE),
        ],
        0,
    );
    let review = world.task("review-dtp");
    let issue = target(world.json(&review)["focus"]["reference"].text());
    assert!(!world.sees("elm", &issue));
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    assert_eq!(world.json(&review)["owner"]["reference"].text(), "Organization/elm");
    assert!(world.sees("elm", &issue) && world.sees("elm", &review));
    world.release("elm", &call).unwrap();
    assert_eq!(world.json(&review)["owner"]["reference"].text(), "");
    assert!(!world.sees("elm", &issue) && world.sees("harbour", &review));
    world.claim_now("harbour", &call).unwrap();
    world.resolve("ines", &issue, json!([{"name": "resolution", "valueCode": "no-action"}])).unwrap();
    assert_eq!(world.status(&issue), "final");
    // Decided stays decided.
    world.screen("super", true).unwrap();
    assert_eq!(world.memory.all("DetectedIssue").len(), 1);
}

#[test]
fn what_no_longer_holds_is_withdrawn_unless_somebody_has_begun() {
    for begun in [false, true] {
        let mut world = discharged(
            &[
                order("a", "lisinopril 10 MG Oral Tablet", ONCE),
                medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE),
            ],
            0,
        );
        let call = world.task("first-call");
        world.claim_now("elm", &call).unwrap();
        let review = world.task("review-dtp");
        let issue = target(world.json(&review)["focus"]["reference"].text());
        if begun {
            world.claim_now("jonas", &review).unwrap();
            world.change("jonas", &review, |t| t.set("status", "in-progress")).unwrap();
        }
        let goes_on = order("b", "warfarin sodium 5 MG Oral Tablet", ONCE);
        world.write("hospital", vec![goes_on]).unwrap();
        let expected = if begun { ("preliminary", "in-progress") } else { ("cancelled", "cancelled") };
        assert_eq!((world.status(&issue), world.status(&review)), expected);
        assert!(element::extension(world.json(&issue), "stopped-firing").is_some());
        // It holds again: the problem that waits says so no more; one that was withdrawn has a successor.
        world
            .write(
                "hospital",
                vec![with(order("b", "warfarin sodium 5 MG Oral Tablet", ONCE), json!({"status": "cancelled"}))],
            )
            .unwrap();
        assert_eq!(world.memory.all("DetectedIssue").len(), if begun { 1 } else { 2 });
        assert_eq!(fired(&world).len(), 1);
        assert!(!begun || element::extension(world.json(&issue), "stopped-firing").is_none());
    }
}

#[test]
fn a_discharge_taken_back_takes_its_findings_with_it() {
    let mut world = discharged(
        &[
            order("a", "lisinopril 10 MG Oral Tablet", ONCE),
            medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE),
        ],
        0,
    );
    let review = world.task("review-dtp");
    world.change("hospital", &target("Encounter/e"), |e| e.set("status", "in-progress")).unwrap();
    assert_eq!((world.status(&review), fired(&world)), ("cancelled", vec![]));
    world.change("hospital", &target("Encounter/e"), |e| e.set("status", "finished")).unwrap();
    assert_eq!(fired(&world).len(), 1, "discharged again, it is found again");
}

#[test]
fn what_is_over_the_limit_is_told_and_not_opened_and_what_is_high_is_never_held_back() {
    let mut programme = Programme::for_tests();
    let mut rules = (*programme.screening).clone();
    rules.per_patient = 1;
    programme.screening = Arc::new(rules);
    let mut world = World::of(programme);
    let mut all = vec![patient(), encounter(), order("a", "lisinopril 10 MG Oral Tablet", ONCE)];
    for (n, text) in
        ["levothyroxine 75 MCG Oral Tablet", "amlodipine 5 MG Oral Tablet", "warfarin sodium 5 MG Oral Tablet"]
            .iter()
            .enumerate()
    {
        all.push(medicine("home", &format!("h{n}"), text, ONCE));
    }
    world.write("hospital", all).unwrap();
    assert_eq!(fired(&world), [("home-omitted".into(), "warfarin".into(), "high".into())], "the most severe one");
    let told = world.screen("super", false).unwrap().to_string();
    assert_eq!(told.matches("held-back").count(), 2, "{told}");
}

#[test]
fn a_rule_is_switched_off_for_all_or_for_one_hospital() {
    for (off, off_for, expected) in
        [(false, None, 1), (true, None, 0), (false, Some("lakeside"), 0), (false, Some("northgate"), 1)]
    {
        let mut programme = Programme::for_tests();
        let mut rules = (*programme.screening).clone();
        let rule = rules.rules.iter_mut().find(|r| r.code == "home-omitted").unwrap();
        rule.is_on = !off;
        rule.off_for = off_for.into_iter().map(String::from).collect();
        programme.screening = Arc::new(rules);
        let mut world = World::of(programme);
        world
            .write(
                "hospital",
                vec![
                    patient(),
                    encounter(),
                    order("a", "lisinopril 10 MG Oral Tablet", ONCE),
                    medicine("home", "h", "warfarin sodium 5 MG Oral Tablet", ONCE),
                ],
            )
            .unwrap();
        assert_eq!(fired(&world).len(), expected, "{off} {off_for:?}");
    }
}

#[test]
fn high_risk_medicines_are_flagged_while_they_are_taken() {
    let mut world = discharged(&[order("a", "warfarin sodium 5 MG Oral Tablet", ONCE)], 0);
    let flag = world.memory.all("Flag").remove(0).clone();
    assert_eq!((flag["status"].text(), flag["category"][0]["coding"][0]["code"].text()), ("active", "drug"));
    assert_eq!(flag["code"]["text"].text(), "High-risk medicines: warfarin sodium 5 MG Oral Tablet (anticoagulants)");
    let gone = with(
        order("a", "warfarin sodium 5 MG Oral Tablet", ONCE),
        json!({"status": "stopped", "note": [{"text": "bleeding"}]}),
    );
    world.write("hospital", vec![gone, order("b", "lisinopril 10 MG Oral Tablet", ONCE)]).unwrap();
    assert_eq!(world.memory.all("Flag")[0]["status"].text(), "inactive");
}

#[test]
fn what_is_not_known_is_named() {
    let mut world =
        discharged(&[order("a", "metformin 500 MG Oral Tablet", ONCE), measured("c", "2160-0", 2.0, "mg/dL")], 0);
    let told = world.screen("super", false).unwrap();
    assert_eq!(
        told["parameter"][0]["valueString"].text(),
        "metformin 500 MG Oral Tablet: renal dose, not known: weight"
    );
}

#[test]
fn a_bad_file_is_refused_with_file_and_path() {
    let read = |file: &str, change: &dyn Fn(&mut Json)| {
        let mut complaints = Complaints::default();
        let mut resources: BTreeMap<String, Json> = files::read(None, &mut complaints);
        change(resources.get_mut(file).unwrap());
        Rules::read(&resources, &mut complaints);
        complaints.settle().map_err(|e| (e.issues[0].expression.clone(), e.issues[0].diagnostics.clone()))
    };
    assert!(read("screening/rules.json", &|_| {}).is_ok());
    fn concept(file: &mut Json, n: usize) -> &mut Json {
        &mut file.get_mut("concept").unwrap().items_mut()[n]
    }
    fn property(file: &mut Json, code: &str, value: Value) {
        let property = concept(file, 0).get_mut("property").unwrap();
        let found = property.items_mut().iter_mut().find(|p| p["code"].text() == code).unwrap();
        *found = value.into();
    }
    type Change = Box<dyn Fn(&mut Json)>;
    let rules = "screening/rules.json";
    let rows: Vec<(&str, &str, Change)> = vec![
        (
            rules,
            "CodeSystem.concept[0].property[1]",
            Box::new(|f| property(f, "kind", json!({"code": "kind", "valueCode": "guess"}))),
        ),
        (
            rules,
            "CodeSystem.concept[0].property[2]",
            Box::new(|f| property(f, "outcome", json!({"code": "outcome", "valueCode": "odd"}))),
        ),
        (
            rules,
            "CodeSystem.concept[0].property[2]",
            Box::new(|f| property(f, "outcome", json!({"code": "hours", "valueInteger": 3}))),
        ),
        (
            rules,
            "CodeSystem.concept[0].property[3]",
            Box::new(|f| property(f, "issue", json!({"code": "issue", "valueCode": "HISTORIC"}))),
        ),
        (
            rules,
            "CodeSystem.concept[0].property[4]",
            Box::new(|f| property(f, "rationale", json!({"code": "rationale", "valueCode": "x"}))),
        ),
        (
            rules,
            "CodeSystem.concept[0].property[5]",
            Box::new(|f| property(f, "severity", json!({"code": "severity", "valueCode": "grave"}))),
        ),
        (
            rules,
            "CodeSystem.concept[0]",
            Box::new(|f| property(f, "version", json!({"code": "on", "valueBoolean": true}))),
        ),
        (rules, "CodeSystem.concept[0].definition", Box::new(|f| concept(f, 0).set("definition", "{nobody}"))),
        (
            rules,
            "CodeSystem.concept[0].property[8]",
            Box::new(|f| property(f, "on", json!({"code": "unless", "valueCode": "nothing"}))),
        ),
        (
            "screening/interactions.json",
            "CodeSystem.concept[0].property[0]",
            Box::new(|f| property(f, "first", json!({"code": "first", "valueCode": "nothing"}))),
        ),
        (
            "screening/renal.json",
            "CodeSystem.concept[0]",
            Box::new(|f| property(f, "below", json!({"code": "below", "valueInteger": 0}))),
        ),
        (
            "screening/limits.json",
            "CodeSystem.concept[0].property[0]",
            Box::new(|f| property(f, "count", json!({"code": "count", "valueInteger": 0}))),
        ),
        (
            "screening/classes.json",
            "CodeSystem.concept[0].property[0]",
            Box::new(|f| property(f, "kind", json!({"code": "kind", "valueCode": "x"}))),
        ),
        (
            "screening/classes.json",
            "CodeSystem.concept[0]",
            Box::new(|f| {
                concept(f, 0).set("property", Json::from(json!([{"code": "kind", "valueCode": "benefit"}, {"code": "includes", "valueCode": "ace-inhibitor"}])));
            }),
        ),
    ];
    for (n, (file, at, change)) in rows.into_iter().enumerate() {
        let (path, why) = read(file, &*change).expect_err(&format!("row {n}"));
        assert_eq!(path, at, "row {n}: {why}");
        assert!(why.starts_with(&format!("{file}: ")), "row {n}: {why}");
    }
}

#[test]
fn the_page_of_rules_says_what_the_data_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md");
    let page = page::rules(&Programme::for_tests());
    if std::env::var_os("BATON_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/rules.md is not what the data say: BATON_WRITE_DOCS=1 cargo test --lib screen::tests::the_page writes it"
    );
}
