//! Entries of the directory that a hospital brings along, and what who could claim sees before.

use crate::fhir::resource::known;
use crate::workflow::world::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// A discharge whose order names a doctor, a mixture whose ingredient has an entry of its own, an entry of another hospital, and
/// one of everybody's.
fn brought() -> Vec<Value> {
    let mut order = prescription("m", None);
    let at = |text: &str| json!({"reference": text});
    order["requester"] = at("Practitioner/doc");
    order["supportingInformation"] =
        json!([at("Medication/mix"), at("Medication/theirs"), at("Medication/published"), at("Medication/nowhere")]);
    let mut all = vec![
        json!({"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Amsel"}]}),
        json!({"resourceType": "Medication", "id": "mix", "ingredient": [{"itemReference": at("Substance/salt")}]}),
        json!({"resourceType": "Substance", "id": "salt", "code": {"text": "salt"}}),
        json!({"resourceType": "Practitioner", "id": "unnamed", "name": [{"family": "Drossel"}]}),
    ];
    all.extend([patient(), encounter(), home_medicine(), order]);
    all
}

fn with_others() -> World {
    let mut world = World::new();
    let of = |org: &str, world: &World| crate::workflow::records::Records::keys(&world.memory).org(org);
    let theirs = of("northgate", &world);
    world.memory.client(json!({"resourceType": "Medication", "id": "theirs"}).into(), theirs);
    world.memory.client(json!({"resourceType": "Medication", "id": "published"}).into(), 0);
    world
}

fn seen(world: &World, org: &str) -> Vec<String> {
    let key = crate::workflow::records::Records::keys(&world.memory).org(org);
    let shares = world.memory.shares.iter().filter(|((o, ..), until)| *o == key && **until > world.now);
    let mut all: Vec<String> = shares.map(|((_, t, _), _)| t.to_string()).collect();
    all.sort();
    all.dedup();
    all
}

const BROUGHT: [&str; 3] = ["Medication/mix", "Practitioner/doc", "Substance/salt"];

fn entries_of(seen: &[String]) -> Vec<&str> {
    let is_entry =
        |s: &&str| ["Medication/", "Practitioner/", "Substance/", "Organization/"].iter().any(|t| s.starts_with(t));
    seen.iter().map(String::as_str).filter(is_entry).collect()
}

#[test]
fn who_claims_sees_the_hospitals_own_entries_that_the_hand_off_names_and_no_others() {
    let mut world = with_others();
    world.write("hospital", brought()).unwrap();
    for org in ["elm", "harbour"] {
        assert!(entries_of(&seen(&world, org)).is_empty(), "{org}: an offer names none");
    }
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    assert_eq!(entries_of(&seen(&world, "elm")), BROUGHT, "what is another's, everybody's or nowhere needs no share");
    assert!(entries_of(&seen(&world, "harbour")).is_empty());
    // What comes later is shown at once.
    let mut later = prescription("n", None);
    later["requester"] = json!({"reference": "Practitioner/unnamed"});
    later["supportingInformation"] = json!([{"reference": "Medication/theirs"}]);
    world.write("hospital", vec![later]).unwrap();
    let now = seen(&world, "elm");
    let now = entries_of(&now);
    assert_eq!(now.len(), BROUGHT.len() + 1, "{now:?}");
    assert!(now.contains(&"Practitioner/unnamed") && !now.contains(&"Medication/theirs"), "{now:?}");
    // Given back, none of it stays.
    world.release("elm", &call).unwrap();
    assert!(entries_of(&seen(&world, "elm")).is_empty());
}

#[test]
fn what_is_protected_later_takes_the_entries_along_that_it_alone_names() {
    let mut world = with_others();
    world.write("hospital", brought()).unwrap();
    world.claim_now("elm", &world.task("first-call")).unwrap();
    let mut order = brought().pop().unwrap();
    order["meta"] =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]});
    order.as_object_mut().unwrap().remove("requester");
    let mut other = prescription("n", None);
    other["requester"] = json!({"reference": "Practitioner/doc"});
    world.write("hospital", vec![other]).unwrap();
    world.write("hospital", vec![order]).unwrap();
    let now = seen(&world, "elm");
    assert!(!now.contains(&"MedicationRequest/m".to_string()), "{now:?}");
    assert!(now.contains(&"Practitioner/doc".to_string()), "the other order names the doctor: {now:?}");
    for hidden in ["Medication/mix", "Substance/salt"] {
        assert!(!now.contains(&hidden.to_string()), "{hidden}: {now:?}");
    }
}

#[test]
fn what_is_seen_before_a_claim_is_what_the_policy_says() {
    let shows = |types: &[&'static str]| {
        let mut world = with_others();
        let mut programme = (*world.programme).clone();
        programme.before_claim = types.iter().map(|t| known(t)).collect();
        world.programme = Arc::new(programme);
        world.write("hospital", brought()).unwrap();
        world
    };
    let beside_tasks = |world: &World, org: &str| {
        seen(world, org).into_iter().filter(|t| !t.starts_with("Task/")).collect::<Vec<String>>()
    };
    for org in ["elm", "harbour"] {
        assert!(beside_tasks(&shows(&[]), org).is_empty(), "by default the Tasks alone");
        let world = shows(&["Encounter", "Practitioner"]);
        assert_eq!(beside_tasks(&world, org), ["Encounter/e", "Practitioner/doc"], "{org}");
    }
    let mut world = shows(&["Encounter", "Practitioner"]);
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    assert!(beside_tasks(&world, "harbour").is_empty(), "who has lost sees nothing of it");
    assert!(world.sees("elm", &target("Patient/p")));
    world.release("elm", &call).unwrap();
    for org in ["elm", "harbour"] {
        assert_eq!(beside_tasks(&world, org), ["Encounter/e", "Practitioner/doc"], "{org}: it is offered again");
    }
}
