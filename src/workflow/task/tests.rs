use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::workflow::guard::guard;
use crate::workflow::world::*;
use serde_json::json;

const STATUSES: [&str; 10] = [
    "requested",
    "received",
    "accepted",
    "in-progress",
    "on-hold",
    "completed",
    "rejected",
    "failed",
    "cancelled",
    "entered-in-error",
];

/// A Task of Elm Street's in a status, as the programme made it.
fn task(world: &World, status: &str, owner: Option<&str>) -> Json {
    let mut task = world.json(&world.task("first-call")).clone();
    task.set("status", status);
    if let Some(owner) = owner {
        task.set("owner", Json::from(json!({"reference": format!("Organization/{owner}")})));
    }
    task
}

/// The same moved on, with all that a move may need.
fn moved(task: &Json, to: &str, owner: Option<&str>) -> Json {
    let mut after = task.clone();
    after.set("status", to);
    after.set("statusReason", Json::from(json!({"text": "why"})));
    after.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "done"}])));
    if let Some(owner) = owner {
        after.set("owner", Json::from(json!({"reference": format!("Organization/{owner}")})));
    }
    after
}

fn verdict(result: Result<()>) -> u16 {
    result.map_or_else(|e| e.kind.status(), |()| 200)
}

#[test]
fn every_step_of_an_owned_task_for_every_caller_as_a_table() {
    let world = World::with_discharge();
    // What the owner's technician, the hospital that asked, and a stranger may do: the rest is 422 for all.
    let owner = [
        "requested>received",
        "requested>accepted",
        "requested>rejected",
        "received>accepted",
        "received>rejected",
        "accepted>in-progress",
        "accepted>rejected",
        "in-progress>on-hold",
        "in-progress>completed",
        "in-progress>failed",
        "on-hold>in-progress",
        "on-hold>failed",
    ];
    let requester = [
        "requested>cancelled",
        "received>cancelled",
        "accepted>cancelled",
        "requested>entered-in-error",
        "received>entered-in-error",
        "accepted>entered-in-error",
        "in-progress>entered-in-error",
        "on-hold>entered-in-error",
    ];
    for from in STATUSES {
        for to in STATUSES.into_iter().filter(|to| *to != from) {
            let before = task(&world, from, Some("elm"));
            let step = format!("{from}>{to}");
            let ask = |who: &str| {
                verdict(guard(&world.ctx(who), &world.programme, Some(&before), Some(&moved(&before, to, None))))
            };
            let (is_owners, is_requesters) = (owner.contains(&step.as_str()), requester.contains(&step.as_str()));
            assert_eq!(ask("mara") == 200, is_owners, "{step} by the owner");
            assert_eq!(ask("hospital") == 200, is_requesters, "{step} by the hospital");
            assert_ne!(ask("tomas"), 200, "{step} by a stranger");
            assert_eq!(ask("super") == 200, is_owners || is_requesters, "{step} by the super-user: states bind all");
            if !is_owners && !is_requesters {
                assert_eq!(ask("super"), 422, "{step}");
            }
        }
    }
}

#[test]
fn who_may_claim_as_a_table() {
    let world = World::with_discharge();
    for (who, holder, takes_for, answer) in [
        ("elm", None, Some("elm"), 200),
        ("mara", None, Some("elm"), 200),
        ("jonas", None, Some("elm"), 200),
        ("elm", None, None, 422),
        ("elm", None, Some("harbour"), 403),
        ("elm", Some("harbour"), Some("elm"), 409),
        ("elm", Some("elm"), None, 200),
        ("hospital", None, Some("lakeside"), 403),
        ("doctor", None, Some("lakeside"), 403),
        ("super", None, Some("elm"), 200),
    ] {
        for to in ["received", "accepted"] {
            let before = task(&world, "requested", holder);
            let after = moved(&before, to, takes_for);
            let got = verdict(guard(&world.ctx(who), &world.programme, Some(&before), Some(&after)));
            assert_eq!(got, answer, "{who} takes a Task of {holder:?} for {takes_for:?} as {to}");
        }
    }
    let mut before = task(&world, "requested", None);
    before.set("extension", Json::Array(before["extension"].items()[1..].to_vec()));
    let after = moved(&before, "accepted", Some("elm"));
    let got = verdict(guard(&world.ctx("elm"), &world.programme, Some(&before), Some(&after)));
    assert_eq!(got, 403, "not among the candidates");
}

#[test]
fn a_claim_needs_the_version_that_was_read_and_any_other_change_some_if_match_as_a_table() {
    use crate::workflow::guard::{Condition, condition};
    let world = World::with_discharge();
    for (who, from, holder, to, takes_for, needs) in [
        ("elm", "requested", None, "accepted", Some("elm"), Condition::Version),
        ("elm", "requested", None, "received", Some("elm"), Condition::Version),
        ("super", "requested", None, "accepted", Some("elm"), Condition::Version),
        ("hospital", "requested", None, "accepted", Some("lakeside"), Condition::Version),
        ("elm", "requested", Some("elm"), "accepted", None, Condition::Version),
        ("harbour", "accepted", Some("elm"), "accepted", Some("harbour"), Condition::Version),
        ("harbour", "in-progress", Some("elm"), "accepted", Some("harbour"), Condition::Version),
        ("elm", "requested", None, "requested", Some("elm"), Condition::Any),
        ("elm", "received", Some("elm"), "accepted", None, Condition::Any),
        ("mara", "accepted", Some("elm"), "in-progress", None, Condition::Any),
        ("elm", "requested", Some("elm"), "rejected", None, Condition::Any),
        ("hospital", "requested", None, "cancelled", None, Condition::Any),
        ("root", "accepted", Some("elm"), "accepted", Some("harbour"), Condition::Any),
        ("harbour", "completed", Some("elm"), "completed", Some("harbour"), Condition::Any),
    ] {
        let before = task(&world, from, holder);
        let after = moved(&before, to, takes_for);
        let got = condition(&world.ctx(who), &before, &after);
        assert_eq!(got, needs, "{who}: {from} of {holder:?} to {to} for {takes_for:?}");
    }
    let free: Json = json!({"resourceType": "Task", "status": "requested", "intent": "order"}).into();
    let change = condition(&world.ctx("elm"), &free, &moved(&free, "accepted", Some("elm")));
    assert_eq!(change, Condition::None, "other Tasks are free");
}

#[test]
fn what_a_step_needs_and_what_never_changes() {
    let world = World::with_discharge();
    let started = task(&world, "in-progress", Some("elm"));
    type Change = Box<dyn Fn(&mut Json)>;
    let cases: Vec<(&str, &Json, Change, &str)> = vec![
        ("completed", &started, Box::new(|t| drop(t.remove("output"))), "Task.output"),
        ("failed", &started, Box::new(|t| drop(t.remove("statusReason"))), "Task.statusReason"),
        ("on-hold", &started, Box::new(|t| drop(t.remove("statusReason"))), "Task.statusReason"),
        (
            "on-hold",
            &started,
            Box::new(|t| t.set("statusReason", Json::from(json!({"text": " "})))),
            "Task.statusReason",
        ),
        ("in-progress", &started, Box::new(|t| t.set("intent", "plan")), "Task.intent"),
        (
            "in-progress",
            &started,
            Box::new(|t| t.set("for", Json::from(json!({"reference": "Patient/q"})))),
            "Task.for",
        ),
        ("in-progress", &started, Box::new(|t| drop(t.remove("focus"))), "Task.focus"),
        ("in-progress", &started, Box::new(|t| drop(t.remove("requester"))), "Task.requester"),
        ("in-progress", &started, Box::new(|t| drop(t.remove("encounter"))), "Task.encounter"),
        ("in-progress", &started, Box::new(|t| t.set("authoredOn", "2020-01-01")), "Task.authoredOn"),
        ("in-progress", &started, Box::new(|t| t.set("lastModified", "2020-01-01T00:00:00Z")), "Task.lastModified"),
        ("in-progress", &started, Box::new(|t| t.set("identifier", Json::Array(vec![]))), "Task.identifier"),
        ("in-progress", &started, Box::new(|t| drop(t.remove("extension"))), "Task.extension"),
    ];
    for (to, before, change, at) in cases {
        let mut after = if to == "in-progress" { before.clone() } else { moved(before, to, None) };
        change(&mut after);
        let error = guard(&world.ctx("mara"), &world.programme, Some(before), Some(&after)).unwrap_err();
        assert_eq!(error.kind.status(), 422, "{at}: {error}");
        assert!(error.issues.iter().any(|i| i.expression == at), "{at}: {error}");
    }
    // The due time and the priority are the protocol's.
    for (who, change, answer) in [
        ("mara", json!({"restriction": {"period": {"end": "2027-01-01"}}}), 403),
        ("jonas", json!({"restriction": {"period": {"end": "2027-01-01"}}}), 403),
        ("mara", json!({"priority": "stat"}), 200),
        ("mara", json!({"priority": "routine"}), 403),
        ("jonas", json!({"priority": "routine"}), 200),
        ("mara", json!({"businessStatus": {"text": "call scheduled"}}), 200),
        ("tomas", json!({"businessStatus": {"text": "call scheduled"}}), 403),
        ("elm", json!({"owner": {"reference": "Organization/harbour"}}), 403),
        ("harbour", json!({"owner": {"reference": "Organization/harbour"}}), 409),
        ("root", json!({"owner": {"reference": "Organization/harbour"}}), 200),
    ] {
        let mut after = started.clone();
        for (name, value) in change.as_object().unwrap() {
            after.set(name, Json::from(value.clone()));
        }
        let got = guard(&world.ctx(who), &world.programme, Some(&started), Some(&after));
        // A stranger's claim is both forbidden and too late; what matters is that it is refused.
        let got = verdict(got);
        assert!(got == answer || (answer == 409 && got == 403), "{who} {change}: {got}");
    }
}

#[test]
fn what_has_ended_takes_notes_of_an_administrator_only() {
    let world = World::with_discharge();
    let before = task(&world, "completed", Some("elm"));
    for (who, name, answer) in [
        ("root", "note", 200),
        ("super", "note", 200),
        ("root", "notes lost", 422),
        ("mara", "note", 403),
        ("jonas", "note", 403),
        ("hospital", "note", 403),
        ("root", "description", 422),
        ("mara", "output", 422),
    ] {
        let mut after = before.clone();
        match name {
            "description" => after.set(name, "x"),
            "note" => after.push(name, Json::from(json!({"text": "x"}))),
            "notes lost" => after.set("note", Json::from(json!([{"text": "x"}]))),
            _ => after.set(name, Json::from(json!([{"text": "x", "type": {"text": "x"}}]))),
        }
        let got = verdict(guard(&world.ctx(who), &world.programme, Some(&before), Some(&after)));
        assert_eq!(got, answer, "{who} {name}");
    }
}

#[test]
fn systems_and_technicians_do_not_do_a_pharmacists_work() {
    let world = World::with_discharge();
    let check = world.json(&world.task("pharmacist-check")).clone();
    for (who, from, to, answer) in [
        ("elm", "accepted", "in-progress", 403),
        ("mara", "accepted", "in-progress", 403),
        ("jonas", "accepted", "in-progress", 200),
        ("mara", "in-progress", "completed", 403),
        ("jonas", "in-progress", "completed", 200),
        ("mara", "requested", "accepted", 200),
    ] {
        let mut before = check.clone();
        before.set("status", from);
        before.set("owner", Json::from(json!({"reference": "Organization/elm"})));
        let got = guard(&world.ctx(who), &world.programme, Some(&before), Some(&moved(&before, to, None)));
        assert_eq!(verdict(got), answer, "{who} {from}>{to}");
    }
    let error = {
        let mut before = check;
        before.set("status", "accepted");
        before.set("owner", Json::from(json!({"reference": "Organization/elm"})));
        guard(&world.ctx("mara"), &world.programme, Some(&before), Some(&moved(&before, "in-progress", None)))
            .unwrap_err()
    };
    assert!(error.issues[0].diagnostics.contains("rule task-pharmacist"), "the rule is named: {error}");
}

#[test]
fn nobody_makes_or_deletes_tasks_of_the_programme_and_other_tasks_are_free() {
    let world = World::with_discharge();
    let own = task(&world, "requested", None);
    for who in ["hospital", "elm", "mara", "jonas", "root"] {
        assert_eq!(verdict(guard(&world.ctx(who), &world.programme, None, Some(&own))), 403, "{who}");
        assert_eq!(verdict(guard(&world.ctx(who), &world.programme, Some(&own), None)), 422, "{who}");
    }
    let free: Json = json!({"resourceType": "Task", "status": "requested", "intent": "order"}).into();
    let mut done = free.clone();
    done.set("status", "completed");
    assert_eq!(verdict(guard(&world.ctx("hospital"), &world.programme, None, Some(&free))), 200);
    assert_eq!(verdict(guard(&world.ctx("hospital"), &world.programme, Some(&free), Some(&done))), 200);
    assert_eq!(verdict(guard(&world.ctx("hospital"), &world.programme, Some(&done), None)), 200);
    assert_eq!(
        verdict(guard(&world.ctx("hospital"), &world.programme, Some(&free), Some(&own))),
        403,
        "no way in by update"
    );
}

#[test]
fn the_server_writes_when_work_began_and_ended() {
    let mut world = World::with_discharge();
    let call: Target = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    assert_eq!(world.json(&call)["businessStatus"]["coding"][0]["code"].text(), "claimed");
    world.now = world.now.plus_seconds(60);
    world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap();
    assert_eq!(world.json(&call)["executionPeriod"]["start"].text(), "2026-11-25T21:01:00Z");
    world.now = world.now.plus_seconds(60);
    world
        .change("mara", &call, |t| {
            t.set("status", "completed");
            t.set("lastModified", "2026-11-25T21:00:00Z");
            t.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "done"}])));
        })
        .unwrap();
    let done = world.json(&call);
    assert_eq!(done["executionPeriod"]["end"].text(), "2026-11-25T21:02:00Z");
    assert_eq!(done["lastModified"].text(), "2026-11-25T21:02:00Z", "not what the client says");
    assert_eq!(done["businessStatus"]["coding"][0]["code"].text(), "done");
}
