use crate::workflow::world::*;
use serde_json::json;

#[test]
fn a_claim_needs_the_version_that_was_read() {
    let mut world = World::with_discharge();
    let call = world.task("first-call");
    let status = |r: crate::error::Result<crate::fhir::Json>| r.map_or_else(|e| e.kind.status(), |_| 200);
    assert_eq!(status(world.claim("elm", &call, None)), 428);
    assert_eq!(status(world.claim("elm", &call, Some(7))), 412);
    assert_eq!(status(world.claim("hospital", &call, Some(1))), 403);
    assert_eq!(status(world.claim("elm", &call, Some(1))), 200);
    let late = world.claim("harbour", &call, Some(1)).unwrap_err();
    assert_eq!(late.kind.status(), 412);
    let text = late.to_string();
    assert!(text.contains("another organisation has the Task"), "the loser learns why: {text}");
    assert!(!text.contains("elm"), "and not who: {text}");
    assert_eq!(status(world.claim_now("harbour", &call)), 409);
    let puts = world.memory.puts;
    assert_eq!(status(world.claim_now("elm", &call)), 200, "again: nothing new");
    assert_eq!(world.memory.puts, puts);
}

#[test]
fn giving_back_is_for_the_owner_before_work_begins() {
    let (mut world, call) = World::with_call();
    assert_eq!(world.release("elm", &call).unwrap_err().kind.status(), 422, "begun");
    let check = world.task("check-pickup");
    assert_eq!(world.release("harbour", &check).unwrap_err().kind.status(), 403);
    world.release("elm", &check).unwrap();
    assert!(world.sees("elm", &target("Patient/p")), "it still follows the patient by its other Task");
}

#[test]
fn the_first_attempt_starts_the_task_and_each_is_one_communication() {
    let mut world = World::with_discharge();
    let call = world.task("first-call");
    let no_answer = json!([{"name": "outcome", "valueCode": "no-answer"}, {"name": "sent", "valueDateTime": "2026-11-25T20:58:00Z"}]);
    assert_ne!(world.attempt("mara", &call, no_answer.clone()).unwrap_err().kind.status(), 200, "not claimed");
    world.claim_now("elm", &call).unwrap();
    let made = world.attempt("mara", &call, no_answer.clone()).unwrap();
    assert_eq!(made["status"].text(), "not-done");
    assert_eq!(made["statusReason"]["coding"][0]["code"].text(), "recipient-unavailable");
    assert_eq!(made["sender"]["reference"].text(), "Practitioner/mara");
    assert_eq!(world.status(&call), "in-progress");
    assert_eq!(world.json(&call)["businessStatus"]["coding"][0]["code"].text(), "no-answer");
    let again = world.attempt("mara", &call, no_answer).unwrap();
    assert_eq!(made["id"], again["id"], "a replay adds nothing");
    assert_eq!(world.memory.all("Communication").len(), 1);
    world
        .attempt(
            "mara",
            &call,
            json!([{"name": "outcome", "valueCode": "reached"}, {"name": "note", "valueString": "well"}]),
        )
        .unwrap();
    assert_eq!(world.memory.all("Communication").len(), 2);
    assert_eq!(world.json(&call)["businessStatus"]["coding"][0]["code"].text(), "reached");
    for (who, params, answer) in [
        ("mara", json!([{"name": "outcome", "valueCode": "talked"}]), 400),
        ("mara", json!([]), 400),
        ("mara", json!([{"name": "outcom", "valueCode": "reached"}]), 400),
        (
            "mara",
            json!([{"name": "outcome", "valueCode": "reached"}, {"name": "sent", "valueDateTime": "2026-11-25T22:58:00Z"}]),
            422,
        ),
        (
            "mara",
            json!([{"name": "outcome", "valueCode": "reached"}, {"name": "sent", "valueDateTime": "2026-11-24T22:58:00Z"}]),
            422,
        ),
        ("elm", json!([{"name": "outcome", "valueCode": "reached"}]), 403),
        ("tomas", json!([{"name": "outcome", "valueCode": "reached"}]), 403),
    ] {
        let result = world.attempt(who, &call, params.clone());
        assert_eq!(result.map_or_else(|e| e.kind.status(), |_| 200), answer, "{who} {params}");
    }
}

#[test]
fn a_pharmacist_resolves_in_one_call() {
    let (mut world, dtp) = World::with_problem();
    assert_eq!(world.resolve("mara", &dtp, decision()).unwrap_err().kind.status(), 403);
    assert_eq!(world.resolve("ines", &dtp, decision()).unwrap_err().kind.status(), 422, "the review is Elm Street's");
    assert_eq!(
        world
            .resolve("jonas", &dtp, json!([{"name": "resolution", "valueCode": "resolved"}]))
            .unwrap_err()
            .kind
            .status(),
        422
    );
    let decided = world.resolve("jonas", &dtp, decision()).unwrap();
    assert_eq!(decided["status"].text(), "final");
    assert_eq!(decided["mitigation"][0]["author"]["reference"].text(), "Practitioner/jonas");
    assert_eq!(decided["extension"][0]["valueCodeableConcept"]["text"].text(), "Tartrate stopped.");
    let review = world.task("review-dtp");
    assert_eq!(world.status(&review), "completed");
    assert_eq!(world.json(&review)["executionPeriod"]["end"].text(), NOW);
    assert_eq!(world.resolve("jonas", &dtp, decision()).unwrap_err().kind.status(), 422, "once");
}

#[test]
fn a_prescriber_was_asked_only_with_the_communication_that_shows_it() {
    let (mut world, dtp) = World::with_problem();
    let asked = |evidence: bool| {
        let mut params = vec![
            json!({"name": "resolution", "valueCode": "referred"}),
            json!({"name": "mitigation", "valueCode": "5"}),
        ];
        if evidence {
            params.push(json!({"name": "evidence", "valueReference": {"reference": "Communication/dr"}}));
        }
        json!(params)
    };
    world.write("jonas", vec![json!({"resourceType": "Communication", "id": "dr", "status": "completed", "about": [{"reference": "DetectedIssue/d"}], "subject": {"reference": "Patient/p"}})]).unwrap();
    assert_eq!(world.resolve("jonas", &dtp, asked(true)).unwrap_err().kind.status(), 422, "with whom?");
    world
        .change("jonas", &target("Communication/dr"), |c| {
            c.set("recipient", crate::fhir::Json::from(json!([{"reference": "Practitioner/doctor"}])));
        })
        .unwrap();
    assert_eq!(world.resolve("jonas", &dtp, asked(false)).unwrap_err().kind.status(), 422);
    world.resolve("jonas", &dtp, asked(true)).unwrap();
}

/// Own workflow 3.10: What the prescriber said is a code, a pharmacist's to write, beside the mitigation that a prescriber was asked, and agrees with it.
#[test]
fn what_a_prescriber_said_goes_with_the_decision() {
    let param = |name: &str, code: &str| json!({"name": name, "valueCode": code});
    for (mitigations, said, answer) in [
        (vec!["5"], "accepted", 200),
        (vec!["5", "13"], "accepted-modified", 200),
        (vec!["5"], "declined", 200),
        (vec!["6"], "declined", 200),
        (vec!["5"], "no-answer", 200),
        (vec!["6", "5"], "accepted", 200), // asked again, and then accepted
        (vec!["6"], "accepted", 422),
        (vec!["5", "6"], "accepted-modified", 422),
        (vec!["13"], "accepted", 422), // nobody was asked
        (vec!["5"], "maybe", 422),
    ] {
        let (mut world, dtp) = World::with_problem();
        let letter = json!({"resourceType": "Communication", "id": "dr", "status": "completed", "about": [{"reference": "DetectedIssue/d"}],
            "subject": {"reference": "Patient/p"}, "recipient": [{"reference": "Practitioner/doctor"}]});
        world.write("jonas", vec![letter]).unwrap();
        let mut params = vec![param("resolution", "resolved"), param("acceptance", said)];
        params.extend(mitigations.iter().map(|m| param("mitigation", m)));
        for shows in ["Communication/dr", "MedicationRequest/m"] {
            params.push(json!({"name": "evidence", "valueReference": {"reference": shows}}));
        }
        let done = world.resolve("jonas", &dtp, json!(params));
        let status = done.as_ref().map_or_else(|e| e.kind.status(), |_| 200);
        assert_eq!(status, answer, "{mitigations:?} {said}: {done:?}");
        if let Ok(issue) = done {
            let acceptance = crate::workflow::element::extension(&issue, "acceptance").unwrap();
            assert_eq!(acceptance["valueCodeableConcept"]["coding"][0]["code"].text(), said);
        }
    }
    let (mut world, dtp) = World::with_problem();
    let said = json!([{"url": "http://baton.example/fhir/StructureDefinition/acceptance", "valueCodeableConcept":
        {"coding": [{"system": "http://baton.example/fhir/CodeSystem/acceptance", "code": "accepted"}]}}]);
    for (who, answer) in [("mara", 403), ("jonas", 422)] {
        let early = world.change(who, &dtp, |d| d.set("extension", crate::fhir::Json::from(said.clone())));
        assert_eq!(early.unwrap_err().kind.status(), answer, "{who}: before the decision");
    }
}
