//! Criteria of a site's own: who is left out, why, and what is said where nothing tells.

use crate::workflow::Programme;
use crate::workflow::world::*;
use serde_json::{Value, json};
use std::sync::Arc;

const CONDITIONS: &str = "%diagnoses.code.coding.where(code.matches('^(E1[01]|I1[0-3]|I2[0-5]|I48|I50|J4[45]|N18)')).code.distinct().count() >= iif(%diagnoses.exists(), 2, {})";
const NEED: &str = "%medicines >= 5 or %highrisk >= 1 or %risk.where(method.coding.code = 'lace').prediction.qualitativeRisk.coding.code = 'high' or %encounters.where(class.code = 'IMP' and period.end > now() - 6 months).exists()";

fn criterion(code: &str, expression: &str, reason: &str) -> Value {
    json!({
        "extension": [{"url": "http://baton.example/fhir/StructureDefinition/criterion", "extension": [
            {"url": "expression", "valueString": expression}, {"url": "reason", "valueCode": reason}]}],
        "code": {"coding": [{"system": "http://baton.example/fhir/CodeSystem/eligibility", "code": code}]},
        "valueBoolean": true, "exclude": false,
    })
}

/// The programme of a site with these criteria, or what is wrong with them.
fn programme(criteria: &[Value]) -> Result<Programme, String> {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("../../../../profiles/protocol/eligibility.json");
    let mut group: Value = serde_json::from_str(text).unwrap();
    group["characteristic"].as_array_mut().unwrap().extend(criteria.iter().cloned());
    std::fs::create_dir_all(dir.path().join("protocol")).unwrap();
    std::fs::write(dir.path().join("protocol/eligibility.json"), group.to_string()).unwrap();
    let any = Programme::for_tests();
    Programme::load(Some(dir.path()), Arc::clone(&any.live), any.env, "test").map_err(|e| e.to_string())
}

fn site() -> World {
    let both =
        [criterion("chronic-conditions", CONDITIONS, "few-chronic-conditions"), criterion("need", NEED, "low-need")];
    let mut programme = programme(&both).unwrap();
    programme.scores = programme.scores.iter().filter(|s| s.id == "lace").cloned().collect::<Vec<_>>().into();
    World::of(programme)
}

fn condition(id: &str, code: &str) -> Value {
    json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}})
}

fn stay(id: &str, end: &str) -> Value {
    let mut out = encounter();
    out["id"] = id.into();
    out["period"] = json!({"start": "2025-01-01", "end": end});
    out
}

fn notes(world: &World) -> Vec<String> {
    world.memory.all("Observation")[0]["note"].items().iter().skip(1).map(|n| n["text"].text().to_string()).collect()
}

#[test]
fn who_is_left_out_and_why_as_a_table() {
    let ill = || vec![condition("a", "E11.9"), condition("b", "I50.9")];
    let warfarin = || {
        let mut out = prescription("w", None);
        out["medicationCodeableConcept"] = json!({"text": "warfarin sodium 5 MG Oral Tablet"});
        out
    };
    let many = || (0..5).map(|n| prescription(&format!("m{n}"), None)).collect::<Vec<_>>();
    for (what, more, reasons, unknown) in [
        ("ill, a high-risk medicine", [ill(), vec![warfarin()]].concat(), vec![], 0),
        ("ill, five medicines", [ill(), many()].concat(), vec![], 0),
        ("ill, an earlier stay", [ill(), vec![stay("before", "2026-09-01T10:00:00Z")]].concat(), vec![], 0),
        ("one condition", vec![condition("a", "E11.9"), warfarin()], vec!["few-chronic-conditions"], 0),
        (
            "the same condition twice",
            vec![condition("a", "E11.9"), condition("b", "E11.9"), warfarin()],
            vec!["few-chronic-conditions"],
            0,
        ),
        ("no condition on record", vec![warfarin()], vec![], 1),
        ("ill, nothing else known", ill(), vec![], 1),
        ("nothing known", vec![], vec![], 2),
    ] {
        let mut world = site();
        let earlier: Vec<Value> = more.iter().filter(|r| r["resourceType"] == "Encounter").cloned().collect();
        if !earlier.is_empty() {
            world.write("hospital", [vec![patient()], earlier].concat()).unwrap();
        }
        let rest: Vec<Value> = more.into_iter().filter(|r| r["resourceType"] != "Encounter").collect();
        world.write("hospital", [vec![patient(), encounter()], rest].concat()).unwrap();
        let found: Vec<String> = world.reasons().into_iter().filter(|r| r != "too-old-discharge").collect();
        assert_eq!(found, reasons, "{what}");
        let this = world
            .memory
            .all("Observation")
            .into_iter()
            .find(|o| o["encounter"]["reference"].text() == "Encounter/e")
            .unwrap();
        let said =
            this["note"].items().iter().filter(|n| n["text"].text().starts_with("Not known, and not guessed")).count();
        assert_eq!(said, unknown, "{what}: {this}");
        assert_eq!(
            world.episodes().iter().filter(|e| *e == "active").count(),
            usize::from(reasons.is_empty()),
            "{what}"
        );
    }
}

#[test]
fn what_lacks_is_named_and_a_replay_says_the_same() {
    let mut world = site();
    world.write("hospital", vec![patient(), encounter()]).unwrap();
    let said = notes(&world);
    assert!(said[0].contains("chronic-conditions") && said[0].contains("no diagnosis is on record"), "{said:?}");
    assert!(said[1].contains("need") && said[1].contains("lacks"), "{said:?}");
    let puts = world.memory.puts;
    world.write("hospital", vec![patient(), encounter()]).unwrap();
    assert_eq!((world.memory.puts, notes(&world)), (puts, said));
}

#[test]
fn a_criterion_that_cannot_be_used_is_refused_with_file_and_element() {
    for (criterion, says) in [
        (criterion("need", "%tablets > 1", "low-need"), "%tablets"),
        (criterion("need", "%medicines >", "low-need"), "FHIRPath"),
        (criterion("charm", "true", "low-need"), "eligibility has no code 'charm'"),
        (criterion("need", "true", "no-charm"), "not-eligible-reason has no code 'no-charm'"),
    ] {
        let error = programme(&[criterion]).unwrap_err();
        assert!(error.contains("protocol/eligibility.json") && error.contains(says), "{says}: {error}");
        assert!(error.contains("Group.characteristic["), "{error}");
    }
}
