//! The working list follows the lists, in whatever order they come, and says what changed.

use crate::fhir::Json;
use crate::workflow::build;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn medicine(id: &str, category: &str, text: &str, directions: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": category}]}],
        "medicationCodeableConcept": {"text": text}, "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
        "authoredOn": DISCHARGED, "dosageInstruction": [{"text": directions}],
    })
}

fn list(world: &World) -> Json {
    let lists = world.memory.all("List");
    (*lists.iter().find(|l| l["mode"].text() == "working").unwrap()).clone()
}

/// (outcome, name) of each entry, in order.
fn lines(world: &World) -> Vec<(String, String)> {
    let list = list(world);
    let line = |e: &Json| (e["flag"]["coding"][0]["code"].text().to_string(), e["item"]["display"].text().to_string());
    list["entry"].items().iter().map(line).collect()
}

fn has(world: &World, outcome: &str, name: &str) -> bool {
    lines(world).contains(&(outcome.into(), name.into()))
}

#[test]
fn a_discharge_is_reconciled_as_it_comes_and_again_when_a_list_comes_later() {
    let mut world = World::new();
    let home = json!({"resourceType": "MedicationStatement", "id": "w", "status": "active", "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"text": "warfarin sodium 5 MG Oral Tablet"}, "dosage": [{"text": "1 tablet every evening"}]});
    let mut first = discharge();
    first.push(home);
    world.write("hospital", first).unwrap();
    assert!(has(&world, "omitted-without-note", "warfarin sodium 5 MG Oral Tablet"), "{:?}", lines(&world));
    assert!(has(&world, "omitted-without-note", "metoprolol tartrate 25 MG Oral Tablet"));
    let order = medicine("w2", "discharge", "warfarin sodium 5 MG Oral Tablet", "half a tablet every evening");
    world.write("hospital", vec![order]).unwrap();
    assert!(has(&world, "changed", "warfarin sodium 5 MG Oral Tablet"), "{:?}", lines(&world));
    // Every source is named, and what the list says otherwise than before.
    let provenance = world.memory.all("Provenance");
    let [provenance] = provenance.as_slice() else { panic!("one record of the list") };
    let named: Vec<&str> = provenance["entity"].items().iter().map(|e| e["what"]["reference"].text()).collect();
    assert_eq!(
        named,
        ["MedicationRequest/m", "MedicationRequest/w2", "MedicationStatement/home", "MedicationStatement/w"]
    );
    let news: Vec<&str> = provenance["extension"].items().iter().map(|e| e["valueString"].text()).collect();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news.iter().all(|n| n.starts_with("warfarin sodium 5 MG Oral Tablet: ")), "{news:?}");
    let list = list(&world);
    let of_list: Vec<&str> = list["entry"]
        .items()
        .iter()
        .flat_map(build::sources)
        .map(|s| s["valueReference"]["reference"].text())
        .collect();
    assert_eq!(of_list.len(), 4, "each source once: {of_list:?}");
}

#[test]
fn asked_for_again_nothing_is_written_and_reading_writes_nothing() {
    let mut world = World::with_discharge();
    let puts = world.memory.puts;
    let read = world.reconcile("mara", false).unwrap();
    let stored = world.reconcile("mara", true).unwrap();
    assert_eq!(world.memory.puts, puts, "it is reconciled already");
    assert_eq!(read["entry"], stored["entry"]);
}

#[test]
fn a_stay_that_is_not_followed_up_is_reconciled_on_demand() {
    let mut world = World::new();
    let mut first = discharge();
    first[0]["birthDate"] = "2020-01-30".into();
    world.write("hospital", first).unwrap();
    assert!(world.memory.all("List").is_empty() && world.memory.all("EpisodeOfCare").is_empty());
    assert_eq!(world.reconcile("hospital", false).unwrap()["entry"].items().len(), 2);
    assert!(world.memory.all("List").is_empty());
    let stored = world.reconcile("hospital", true).unwrap();
    assert_eq!(world.memory.all("List").len(), 1);
    assert_eq!(stored["status"].text(), "current");
}

#[test]
fn a_medicine_by_reference_is_read_where_it_stands() {
    let mut world = World::new();
    let medication = json!({"resourceType": "Medication", "id": "drug", "code": {"text": "apixaban 5 MG Oral Tablet"}});
    let mut by_reference = prescription("a", None);
    by_reference.as_object_mut().unwrap().remove("medicationCodeableConcept");
    by_reference["medicationReference"] = json!({"reference": "Medication/drug"});
    let mut inside = prescription("b", None);
    inside.as_object_mut().unwrap().remove("medicationCodeableConcept");
    inside["contained"] =
        json!([{"resourceType": "Medication", "id": "x", "code": {"text": "digoxin 0.125 MG Oral Tablet"}}]);
    inside["medicationReference"] = json!({"reference": "#x"});
    let mut all = discharge();
    all.extend([medication, by_reference, inside]);
    world.write("hospital", all).unwrap();
    assert!(
        has(&world, "new", "apixaban 5 MG Oral Tablet") && has(&world, "new", "digoxin 0.125 MG Oral Tablet"),
        "{:?}",
        lines(&world)
    );
}
