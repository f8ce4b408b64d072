//! Work that has begun and is to stop.

use super::open_tasks;
use crate::fhir::{Json, Target};
use crate::workflow::element::target_of;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn done(task: &mut Json) {
    task.set("status", "completed");
    task.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "the patient knows"}])));
}

fn abort_of(world: &World) -> Target {
    world.task("abort")
}

/// What a hospital posts to stop a Task.
fn asks(held: &Target) -> Value {
    json!({"resourceType": "Task", "id": "stop", "status": "requested", "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]},
        "focus": {"reference": held.to_string()}, "reasonCode": {"text": "wrong patient called"}})
}

/// A call in progress whose patient has died.
fn held() -> (World, Target) {
    let (mut world, call) = World::with_call();
    world.change("hospital", &target("Patient/p"), |p| p.set("deceasedBoolean", Json::from(json!(true)))).unwrap();
    (world, call)
}

#[test]
fn work_that_lost_its_ground_waits_on_hold_and_its_owner_is_asked_to_end_it() {
    let (mut world, call) = held();
    let abort = abort_of(&world);
    let task = world.json(&abort);
    assert_eq!(task["code"]["coding"][0]["system"].text(), "http://hl7.org/fhir/CodeSystem/task-code");
    assert_eq!(task["focus"]["reference"].text(), call.to_string());
    assert_eq!(task["owner"]["reference"].text(), "Organization/elm");
    assert_eq!(task["requester"]["reference"].text(), "Organization/lakeside");
    assert_eq!(task["reasonCode"]["coding"][0]["code"].text(), "deceased");
    assert_eq!(task["restriction"]["period"]["end"].text(), "2026-11-26T21:00:00Z");
    assert!(world.sees("elm", &abort) && !world.sees("harbour", &abort));
    assert_eq!(world.status(&call), "on-hold");
    // It does not go on, whatever its owner says, and is cancelled when the owner has ended it.
    let goes_on = world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap_err();
    assert_eq!((goes_on.kind.status(), goes_on.issues[0].expression.as_str()), (422, "Task.status"));
    world.claim_now("elm", &abort).unwrap();
    world.change("mara", &abort, |t| t.set("status", "in-progress")).unwrap();
    assert_eq!(world.change("mara", &abort, |t| t.set("status", "completed")).unwrap_err().kind.status(), 422);
    world.change("mara", &abort, done).unwrap();
    assert_eq!(world.status(&call), "cancelled");
    assert_eq!(world.json(&call)["statusReason"]["coding"][0]["code"].text(), "deceased");
    assert!(world.json(&call)["executionPeriod"]["end"].as_str().is_some());
    assert!(open_tasks(&world).is_empty());
}

#[test]
fn an_owner_who_ends_the_work_needs_not_be_asked_any_more() {
    let (mut world, call) = held();
    let abort = abort_of(&world);
    world
        .change("mara", &call, |t| {
            t.set("status", "failed");
            t.set("statusReason", Json::from(json!({"text": "the patient has died"})));
        })
        .unwrap();
    assert_eq!(world.status(&abort), "cancelled");
    assert_eq!(world.json(&abort)["statusReason"]["coding"][0]["code"].text(), "work-ended");
    assert!(open_tasks(&world).is_empty(), "nobody is asked to go on where the episode has ended");
}

#[test]
fn who_may_ask_for_the_end_of_work_as_a_table() {
    let why = |at: &str| at.to_string();
    for (who, change, answer, at) in [
        ("hospital", json!({}), 200, why("")),
        ("super", json!({}), 200, why("")),
        ("hospital", json!({"reasonCode": null}), 422, why("Task.reasonCode")),
        ("hospital", json!({"status": "in-progress"}), 422, why("Task.status")),
        ("hospital", json!({"intent": "plan"}), 422, why("Task.status")),
        ("doctor", json!({}), 200, why("")),
        ("elm", json!({}), 403, why("Task.focus")),
        ("mara", json!({}), 403, why("Task.focus")),
    ] {
        let (mut world, call) = World::with_call();
        let mut stop = asks(&call);
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                stop.as_object_mut().unwrap().remove(name);
            } else {
                stop[name] = value.clone();
            }
        }
        let result = world.write(who, vec![stop]);
        assert_eq!(result.as_ref().map_or_else(|e| e.kind.status(), |()| 200), answer, "{who} {change}: {result:?}");
        if let Err(error) = result {
            assert!(error.issues.iter().any(|i| i.expression == at), "{who} {change}: {error}");
        }
    }
}

#[test]
fn a_hospital_stops_work_by_an_abort_and_not_otherwise() {
    let (mut world, call) = World::with_call();
    let check = world.task("check-pickup");
    let cancelled = world.change("hospital", &call, |t| {
        t.set("status", "cancelled");
        t.set("statusReason", Json::from(json!({"text": "x"})));
    });
    assert_eq!(cancelled.unwrap_err().kind.status(), 422, "in-progress to cancelled");
    let not_begun = world.write("hospital", vec![asks(&check)]).unwrap_err();
    assert_eq!((not_begun.kind.status(), not_begun.issues[0].expression.as_str()), (422, "Task.focus"));
    world.write("hospital", vec![asks(&call)]).unwrap();
    let stop = target("Task/stop");
    assert_eq!(world.json(&stop)["owner"]["reference"].text(), "Organization/elm");
    assert!(crate::workflow::task::is_abort(world.json(&stop)) && world.sees("elm", &stop));
    assert_eq!(world.status(&call), "in-progress", "until its owner stops it");
    let mut again = asks(&call);
    again["id"] = "stop2".into();
    assert_eq!(world.write("hospital", vec![again]).unwrap_err().kind.status(), 409, "once");
    world.claim_now("elm", &stop).unwrap();
    world.change("mara", &stop, |t| t.set("status", "in-progress")).unwrap();
    world.change("mara", &stop, done).unwrap();
    assert_eq!(world.status(&call), "cancelled");
    assert_eq!(world.json(&call)["statusReason"]["text"].text(), "wrong patient called");
    assert_eq!(world.episodes(), ["active"], "the rest goes on");
}

#[test]
fn a_discharge_taken_back_asks_for_the_end_of_what_has_begun() {
    let (mut world, call) = World::with_call();
    world.change("hospital", &target("Encounter/e"), |e| e.set("status", "in-progress")).unwrap();
    assert_eq!(world.status(&call), "on-hold");
    assert_eq!(world.json(&call)["statusReason"]["coding"][0]["code"].text(), "discharge-cancelled");
    assert_eq!(open_tasks(&world), ["abort"]);
    // A replay adds nothing.
    let puts = world.memory.puts;
    world.change("hospital", &target("Encounter/e"), |_| {}).unwrap();
    assert_eq!(world.memory.puts, puts);
}

#[test]
fn a_task_that_its_owner_lets_fail_goes_to_the_others_unless_the_reason_ends_the_matter() {
    let code = |code: &str| json!({"coding": [{"system": "http://baton.example/fhir/CodeSystem/task-status-reason", "code": code}]});
    for (reason, replaced) in
        [(json!({"text": "no technician"}), true), (code("work-ended"), false), (code("declined-by-patient"), false)]
    {
        let (mut world, call) = World::with_call();
        world
            .change("mara", &call, |t| {
                t.set("status", "failed");
                t.set("statusReason", Json::from(reason.clone()));
            })
            .unwrap();
        let calls =
            world.memory.all("Task").into_iter().filter(|t| t["code"]["coding"][0]["code"].text() == "first-call");
        let next: Vec<&Json> = calls.filter(|t| t["status"].text() == "requested").collect();
        assert_eq!(next.len(), usize::from(replaced), "{reason}");
        for next in next {
            assert_eq!(crate::workflow::task::candidates(next), ["Organization/harbour"], "{reason}");
            assert_eq!(next["restriction"], world.json(&call)["restriction"], "due as before");
            assert!(world.sees("harbour", &target_of(next).unwrap()));
        }
    }
}

#[test]
fn where_every_pharmacy_has_declined_the_last_task_says_so() {
    let mut world = World::with_discharge();
    let reject = |t: &mut Json| {
        t.set("status", "rejected");
        t.set("statusReason", Json::from(json!({"text": "no technician"})));
    };
    let first = world.task("first-call");
    world.claim_now("elm", &first).unwrap();
    world.change("elm", &first, reject).unwrap();
    let open = |w: &World| {
        let calls = w.memory.all("Task").into_iter().filter(|t| t["code"]["coding"][0]["code"].text() == "first-call");
        calls.filter(|t| t["status"].text() == "requested").filter_map(target_of).collect::<Vec<_>>()
    };
    let second = open(&world).remove(0);
    world.claim_now("harbour", &second).unwrap();
    world.change("harbour", &second, reject).unwrap();
    assert!(open(&world).is_empty(), "not back to the first");
    assert_eq!(world.json(&second)["businessStatus"]["coding"][0]["code"].text(), "nobody-left");
}

#[test]
fn a_task_given_back_leaves_a_provenance() {
    let mut world = World::with_discharge();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    world.release("mara", &call).unwrap();
    let mut records = world.memory.all("Provenance");
    records.retain(|p| p["target"][0]["reference"].text().starts_with("Task/"));
    assert_eq!(records.len(), 1);
    let record = records[0];
    assert_eq!(record["target"][0]["reference"].text(), call.to_string());
    assert_eq!(record["activity"]["coding"][0]["code"].text(), "release");
    assert_eq!(record["agent"][0]["who"]["reference"].text(), "Practitioner/mara");
    assert_eq!(record["agent"][0]["onBehalfOf"]["reference"].text(), "Organization/elm");
    assert_eq!(record["recorded"].text(), NOW);
}
