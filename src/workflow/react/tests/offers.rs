//! Offers to a named pharmacy: they wait for its answer, and not for ever; nothing is left without an owner or an open offer.

use super::PLAN;
use crate::fhir::{Json, Target};
use crate::workflow::element::{extension, own_code};
use crate::workflow::task;
use crate::workflow::world::*;
use serde_json::json;

/// A discharge whose prescription names Elm Street.
fn named() -> World {
    let mut world = World::new();
    world.write("hospital", vec![patient(), encounter(), home_medicine(), prescription("m", Some("elm"))]).unwrap();
    world
}

/// The same, and the hospital works with nobody else.
fn named_alone() -> World {
    let mut world = World::new();
    world.memory.client(json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside"}).into(), 0);
    world.write("hospital", vec![patient(), encounter(), home_medicine(), prescription("m", Some("elm"))]).unwrap();
    world
}

fn lease(task: &Json) -> Option<String> {
    extension(task, task::LEASE).map(|e| e["valueDateTime"].text().to_string())
}

fn business(world: &World, at: &Target) -> String {
    own_code(&world.json(at)["businessStatus"], "business-status").unwrap_or_default().to_string()
}

fn heard(world: &World) -> Vec<String> {
    let all = world.memory.all("Communication");
    all.iter().map(|c| c["topic"]["text"].text().chars().take(40).collect()).collect()
}

fn all_tasks(world: &World) -> Vec<Json> {
    world.memory.all("Task").into_iter().cloned().collect()
}

#[test]
fn an_offer_waits_until_the_end_of_the_next_business_day_and_an_acceptance_takes_all_of_them() {
    let mut world = named();
    for task in all_tasks(&world) {
        assert_eq!(task::owner(&task), "Organization/elm");
        assert_eq!(lease(&task).as_deref(), Some("2026-11-28T04:59:00Z"), "Thanksgiving is none: {task}");
    }
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    let leases: Vec<Option<String>> =
        all_tasks(&world).iter().filter(|t| t["status"].text() == "requested").map(lease).collect();
    assert_eq!(leases, vec![None; PLAN.len() - 1], "the others wait for their time");
    assert!(lease(world.json(&call)).is_some(), "the claim has a lease of its own");
}

#[test]
fn an_offer_that_is_not_answered_is_open_to_the_others_due_as_before() {
    let mut world = named();
    let call = world.task("first-call");
    let due = world.json(&call)["restriction"].clone();
    world.lapse(&call).unwrap();
    for task in all_tasks(&world) {
        assert_eq!((task["status"].text(), task::owner(&task)), ("requested", ""), "the patient's other Tasks, too");
        assert_eq!(task::candidates(&task), ["Organization/elm", "Organization/harbour"]);
        assert_eq!((lease(&task), business(&world, &call).as_str()), (None, "returned"));
    }
    let task = world.json(&call);
    assert_eq!(task["restriction"], due);
    assert_eq!(task::returns(task), 1);
    assert_eq!(own_code(&task["statusReason"], "task-status-reason"), Some("offer-ended"));
    assert!(world.sees("harbour", &call) && world.sees("elm", &call));
    assert_eq!(world.memory.all("Provenance").iter().filter(|p| p.to_string().contains(&call.id)).count(), 1);
    world.claim_now("harbour", &call).unwrap();
    assert_eq!(task::owner(world.json(&world.task("check-pickup"))), "Organization/harbour");
}

#[test]
fn where_nobody_else_is_known_it_stays_and_the_hospital_hears_of_it() {
    let mut world = named_alone();
    let call = world.task("first-call");
    world.lapse(&call).unwrap();
    for task in all_tasks(&world) {
        assert_eq!((task["status"].text(), task::owner(&task), lease(&task)), ("requested", "Organization/elm", None));
        assert_eq!(own_code(&task["businessStatus"], "business-status"), Some("not-answered"));
    }
    assert_eq!(heard(&world), ["The pharmacy that was named has neither "]);
    // The hospital names another: it goes there, and waits again.
    world.write("hospital", vec![prescription("m", Some("harbour"))]).unwrap();
    let task = world.json(&call);
    assert_eq!((task::owner(task), lease(task).is_some()), ("Organization/harbour", true), "{task}");
    // And the first one may answer late where none is named.
    let mut world = named_alone();
    let call = world.task("first-call");
    world.lapse(&call).unwrap();
    world.claim_now("elm", &call).unwrap();
    assert_eq!(business(&world, &call), "claimed");
}

#[test]
fn a_claim_that_lapses_where_nobody_else_is_known_is_open_to_the_one_that_had_it() {
    let mut world = named_alone();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    world.lapse(&call).unwrap();
    let task = world.json(&call);
    assert_eq!((task::owner(task), task::candidates(task)), ("", vec!["Organization/elm"]));
    assert_eq!(heard(&world).len(), 1);
    world.claim_now("elm", &call).unwrap();
}

#[test]
fn a_task_that_comes_back_again_and_again_is_told_to_the_hospital_once() {
    let mut world = named();
    let call = world.task("first-call");
    world.lapse(&call).unwrap();
    for (nth, who) in ["harbour", "elm", "harbour", "elm"].into_iter().enumerate() {
        assert_eq!(heard(&world).len(), usize::from(nth >= 2), "after {} returns", nth + 1);
        world.claim_now(who, &call).unwrap();
        world.lapse(&call).unwrap();
    }
    assert_eq!((task::returns(world.json(&call)), heard(&world).len()), (5, 1));
}

#[test]
fn where_no_pharmacy_is_known_at_all_the_hospital_hears_of_it_at_once() {
    let mut world = World::new();
    world.memory.client(json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside"}).into(), 0);
    world.write("hospital", discharge()).unwrap();
    assert_eq!(heard(&world), ["No pharmacy is known that could take the"]);
    let puts = world.memory.puts;
    world.write("hospital", discharge()).unwrap();
    assert_eq!(world.memory.puts, puts, "a replay writes nothing");
    // One is named later.
    world.write("hospital", vec![prescription("m", Some("elm"))]).unwrap();
    assert_eq!(task::owner(world.json(&world.task("first-call"))), "Organization/elm");
}

#[test]
fn what_later_data_call_for_goes_to_who_cares_for_the_patient() {
    let mut world = World::new();
    world.write("hospital", vec![patient(), encounter()]).unwrap();
    let call = world.task("first-call");
    world.claim_now("harbour", &call).unwrap();
    world.write("hospital", vec![home_medicine(), prescription("m", Some("elm"))]).unwrap();
    for task in all_tasks(&world).iter().filter(|t| t["status"].text() == "requested") {
        assert_eq!((task::owner(task), lease(task)), ("Organization/harbour", None), "{task}");
    }
}

#[test]
fn a_declined_last_offer_is_told_to_the_hospital() {
    let mut world = named_alone();
    let call = world.task("first-call");
    world
        .change("elm", &call, |t| {
            t.set("status", "rejected");
            t.set("statusReason", Json::from(json!({"text": "no staff"})));
        })
        .unwrap();
    assert_eq!(business(&world, &call), "nobody-left");
    assert!(heard(&world).iter().any(|t| t.starts_with("No pharmacy is left")), "{:?}", heard(&world));
}
