use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::world::*;
use serde_json::{Value, json};

/// Elm Street has claimed the first call of a patient in that state.
fn claimed(state: &str) -> (World, Target) {
    let mut world = World::new();
    let mut resources = discharge();
    resources[0]["address"] = json!([{"state": state}]);
    world.write("hospital", resources).unwrap();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    (world, call)
}

fn attempt(world: &mut World, call: &Target, at: &str, outcome: &str) -> Result<(), (u16, String)> {
    world.now = Instant::parse(at).unwrap();
    let params = json!([{"name": "outcome", "valueCode": outcome}]);
    let done = world.attempt("mara", call, params);
    done.map(drop).map_err(|e| (e.kind.status(), e.issues[0].expression.clone()))
}

/// (time in UTC, outcome, taken, status of the Task afterwards), one after another, of a patient in New York.
#[test]
fn attempts_in_vain_as_tables() {
    let in_progress = "in-progress";
    let refused = false;
    type Step = (&'static str, &'static str, bool, &'static str);
    let tables: [(&str, &[Step]); 6] = [
        (
            "the third in a second part of the day is enough",
            &[
                ("2026-11-25T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-25T23:00:00Z", "voicemail", true, in_progress),
                ("2026-11-27T15:00:00Z", "no-answer", true, "failed"),
            ],
        ),
        (
            "three in one part of the day are not",
            &[
                ("2026-11-25T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-26T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-27T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-28T15:00:00Z", "wrong-number", true, "failed"),
            ],
        ),
        (
            "two hours lie between two",
            &[
                ("2026-11-25T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-25T22:59:59Z", "no-answer", refused, in_progress),
                ("2026-11-25T23:00:00Z", "no-answer", true, in_progress),
            ],
        ),
        (
            "nobody is called at night, by the patient's clock",
            &[
                ("2026-11-26T02:00:00Z", "no-answer", refused, "accepted"),
                ("2026-11-26T12:59:59Z", "no-answer", refused, "accepted"),
                ("2026-11-26T13:00:00Z", "no-answer", true, in_progress),
            ],
        ),
        (
            "who was reached is not unreachable, and whoever calls back at once is welcome",
            &[
                ("2026-11-25T21:00:00Z", "no-answer", true, in_progress),
                ("2026-11-25T21:05:00Z", "reached", true, in_progress),
                ("2026-11-26T15:00:00Z", "no-answer", true, in_progress),
                ("2026-11-26T18:00:00Z", "no-answer", true, in_progress),
            ],
        ),
        (
            "a line that does not work is nobody's absence",
            &[
                ("2026-11-25T21:00:00Z", "technical-failure", true, in_progress),
                ("2026-11-26T15:00:00Z", "technical-failure", true, in_progress),
                ("2026-11-26T18:00:00Z", "technical-failure", true, in_progress),
                ("2026-11-27T15:00:00Z", "no-answer", true, in_progress),
            ],
        ),
    ];
    for (name, steps) in tables {
        let (mut world, call) = claimed("NY");
        for (at, outcome, taken, status) in steps {
            let done = attempt(&mut world, &call, at, outcome);
            assert_eq!(done.is_ok(), *taken, "{name}: {at}: {done:?}");
            if let Err(error) = done {
                assert_eq!(error, (422, "Communication.sent".to_string()), "{name}");
            }
            assert_eq!(world.status(&call), *status, "{name}: {at}");
        }
    }
}

#[test]
fn the_clock_is_that_of_the_patient() {
    // 22:00 UTC is 17:00 in New York, 14:00 in California, noon in Hawaii; 03:00 UTC is night in New York alone.
    for (state, at, taken) in [
        ("NY", "2026-11-26T03:00:00Z", false),
        ("CA", "2026-11-26T03:00:00Z", true),
        ("HI", "2026-11-26T03:00:00Z", true),
        ("", "2026-11-26T03:00:00Z", false),
        ("CA", "2026-11-26T14:00:00Z", false),
        ("NY", "2026-11-26T14:00:00Z", true),
    ] {
        let (mut world, call) = claimed(state);
        assert_eq!(attempt(&mut world, &call, at, "no-answer").is_ok(), taken, "{state} {at}");
    }
}

#[test]
fn after_the_last_attempt_the_hospital_hears_of_it_and_nobody_else_is_asked() {
    let (mut world, call) = claimed("NY");
    for at in ["2026-11-25T21:00:00Z", "2026-11-26T15:00:00Z", "2026-11-26T21:00:00Z"] {
        attempt(&mut world, &call, at, "no-answer").unwrap();
    }
    let task = world.json(&call);
    assert_eq!(element::own_code(&task["statusReason"], "task-status-reason"), Some("unreachable"));
    assert_eq!(element::own_code(&task["businessStatus"], "business-status"), Some("unreachable"));
    assert_eq!(task["executionPeriod"]["end"].text(), "2026-11-26T21:00:00Z");
    let told: Vec<&Json> =
        world.memory.all("Communication").into_iter().filter(|c| !c["about"].items().is_empty()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["recipient"][0]["reference"].text(), "Organization/lakeside");
    assert_eq!(told[0]["about"][0]["reference"].text(), call.to_string());
    assert!(world.sees("lakeside", &element::target_of(told[0]).unwrap()));
    let calls = world.tasks().into_iter().filter(|(code, _)| code == "first-call").count();
    assert_eq!(calls, 1, "unreachable is no reason for a successor");
    // The patient is written to: by the pharmacy that tried, within two business days of the last attempt.
    let letter = world.task("letter");
    let json = world.json(&letter);
    assert_eq!((json["status"].text(), json["owner"]["reference"].text()), ("requested", "Organization/elm"));
    assert_eq!(
        json["restriction"]["period"]["end"].text(),
        "2026-12-01T04:59:00Z",
        "Thanksgiving and the weekend do not count"
    );
    assert!(world.sees("elm", &letter));
    world.claim_now("elm", &letter).unwrap();
    world.change("mara", &letter, |t| t.set("status", "in-progress")).unwrap();
    world
        .change("mara", &letter, |t| {
            t.set("status", "completed");
            t.set("output", Json::from(json!([{"type": {"text": "sent"}, "valueString": "by post"}])));
        })
        .unwrap();
    // Once in a follow-up.
    let later = world
        .memory
        .all("Task")
        .into_iter()
        .find(|t| element::own_identifier(t, "task").is_some_and(|v| v.contains("/contact-day-14/")));
    let later = later.and_then(element::target_of).unwrap();
    world.now = crate::clock::Instant::parse("2026-12-08T15:00:00Z").unwrap();
    world.claim_now("elm", &later).unwrap();
    for at in ["2026-12-08T15:00:00Z", "2026-12-08T21:00:00Z", "2026-12-09T15:00:00Z"] {
        attempt(&mut world, &later, at, "no-answer").unwrap();
    }
    assert_eq!(world.status(&later), "failed");
    assert_eq!(world.tasks().into_iter().filter(|(code, _)| code == "letter").count(), 1);
    let error = attempt(&mut world, &call, "2026-11-27T15:00:00Z", "reached").unwrap_err();
    assert_eq!(error.0, 422, "the Task has ended");
}

#[test]
fn unreachable_is_said_by_who_has_tried() {
    let (mut world, call) = claimed("NY");
    attempt(&mut world, &call, "2026-11-25T21:00:00Z", "no-answer").unwrap();
    let reason: Value = json!({"coding": [{"system": element::system("task-status-reason"), "code": "unreachable"}]});
    let error = world
        .change("mara", &call, |t| {
            t.set("status", "failed");
            t.set("statusReason", Json::from(reason));
        })
        .unwrap_err();
    assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, "Task.statusReason"));
    assert!(error.to_string().contains("1 of 3"), "{error}");
    assert_eq!(world.status(&call), "in-progress");
}
