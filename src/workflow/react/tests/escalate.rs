//! What waits too long, and what the hospital hears.

use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn pharmacists(world: &mut World) {
    for person in ["ann", "jonas"] {
        let role = json!({"resourceType": "PractitionerRole", "id": person, "practitioner": {"reference": format!("Practitioner/{person}")},
            "organization": {"reference": "Organization/elm"},
            "code": [{"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "183500000X"}]}]});
        world.memory.client(role.into(), 0);
    }
}

fn notices(world: &World) -> Vec<Json> {
    let is = |c: &&Json| element::own_identifier(c, "notice").is_some();
    let mut out: Vec<Json> = world.memory.all("Communication").into_iter().filter(is).cloned().collect();
    out.sort_by_key(|c| c["sent"].text().to_string());
    out
}

fn heard(world: &World) -> Vec<String> {
    notices(world).iter().map(|c| c["recipient"][0]["reference"].text().to_string()).collect()
}

#[test]
fn an_overdue_review_goes_one_level_up_and_the_next_pharmacist_hears_of_it() {
    let (mut world, dtp) = World::with_problem();
    pharmacists(&mut world);
    let review = world.task("review-dtp");
    // Before its time: nothing.
    world.escalate("super", &review).unwrap();
    assert_eq!((world.json(&review)["priority"].text(), notices(&world).len()), ("urgent", 0));
    // 72 hours, and a minute.
    world.now = world.now.plus_seconds(72 * 3_600 + 60);
    for _ in 0..2 {
        world.escalate("super", &review).unwrap();
        assert_eq!(world.json(&review)["priority"].text(), "asap");
        assert_eq!(world.json(&review)["owner"]["reference"].text(), "Organization/elm", "it stays theirs");
        assert_eq!(
            world.json(&review)["restriction"]["period"]["end"].text(),
            "2026-11-28T21:00:00Z",
            "it was due then"
        );
        assert_eq!(heard(&world), ["Practitioner/ann"], "asked twice, it is one step");
    }
    assert!(world.sees("elm", &review) || world.json(&review)["owner"]["reference"].text() == "Organization/elm");
    // asap is until the end of the next day; then at once, to the next one; then each hour.
    world.now = world.now.plus_seconds(40 * 3_600);
    world.escalate("super", &review).unwrap();
    assert_eq!(world.json(&review)["priority"].text(), "stat");
    world.now = world.now.plus_seconds(3_700);
    world.escalate("super", &review).unwrap();
    assert_eq!(heard(&world), ["Practitioner/ann", "Practitioner/jonas", "Practitioner/ann"]);
    // What was told by itself is nobody's act: the report may still be called a mistake.
    world.change("mara", &dtp, |d| d.set("status", "entered-in-error")).unwrap();
    world.now = world.now.plus_seconds(3_700);
    world.escalate("super", &review).unwrap();
    assert_eq!(heard(&world).len(), 3, "what has ended waits for nobody");
}

fn question(status: &str) -> Value {
    json!({"resourceType": "CommunicationRequest", "id": "q", "status": status, "subject": {"reference": "Patient/p"},
        "about": [{"reference": "DetectedIssue/d"}], "recipient": [{"reference": "Practitioner/doctor"}], "priority": "routine",
        "authoredOn": "2026-11-25T21:00:00Z", "occurrenceDateTime": "2026-11-25T23:00:00Z", "sender": {"reference": "Practitioner/jonas"}})
}

/// All questions about the problem, by when they were put.
fn questions(world: &World) -> Vec<Json> {
    let mut out: Vec<Json> = world.memory.all("CommunicationRequest").into_iter().cloned().collect();
    out.sort_by_key(|q| q["authoredOn"].text().to_string());
    out
}

/// As the worker does: every question that waits is looked at.
fn escalate_all(world: &mut World) {
    for question in questions(world).iter().filter(|q| q["status"].text() == "active") {
        world.escalate("super", &element::target_of(question).unwrap()).unwrap();
    }
}

fn review_stands(world: &World) -> String {
    let review = world.json(&world.task("review-dtp"));
    element::own_code(&review["businessStatus"], "business-status").unwrap_or_default().to_string()
}

#[test]
fn a_question_that_no_prescriber_answers_is_asked_again_then_by_phone_then_of_another() {
    let (mut world, _) = World::with_problem();
    world
        .change("hospital", &target("Patient/p"), |p| {
            p.set(
                "generalPractitioner",
                Json::from(json!([{"reference": "Practitioner/doctor"}, {"reference": "Practitioner/other"}])),
            );
        })
        .unwrap();
    world.write("jonas", vec![question("active")]).unwrap();
    assert_eq!(review_stands(&world), "awaiting-prescriber");
    for hours in [1, 2, 3, 5, 7, 9, 11] {
        world.now = crate::clock::Instant::parse(NOW).unwrap().plus_seconds(hours * 3_600);
        escalate_all(&mut world);
        escalate_all(&mut world);
    }
    let said: Vec<String> =
        notices(&world).iter().map(|c| c["payload"][0]["contentString"].text().to_string()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (text, says) in said.iter().zip(["asked again", "by phone", "another prescriber"]) {
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(heard(&world), ["Practitioner/jonas"; 3]);
    // Each step is a question of its own, in place of the one before.
    let all = questions(&world);
    let told: Vec<(&str, &str, &str, &str)> = all
        .iter()
        .map(|q| {
            (
                q["status"].text(),
                q["priority"].text(),
                q["medium"][0]["coding"][0]["code"].text(),
                q["recipient"][0]["reference"].text(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("revoked", "routine", "", "Practitioner/doctor"),
            ("revoked", "urgent", "", "Practitioner/doctor"),
            ("revoked", "asap", "PHONE", "Practitioner/doctor"),
            ("active", "stat", "PHONE", "Practitioner/other"),
        ]
    );
    for (old, new) in all.iter().zip(all.iter().skip(1)) {
        assert_eq!(new["replaces"][0]["reference"].text(), format!("CommunicationRequest/{}", old["id"].text()));
        assert_eq!(new["about"], old["about"]);
        assert!(old["statusReason"]["text"].text().contains(new["id"].text()), "{old}");
    }
    // An answer to the first one ends it all.
    let reply = json!({"resourceType": "Communication", "id": "r", "status": "completed", "subject": {"reference": "Patient/p"},
        "basedOn": [{"reference": "CommunicationRequest/q"}], "sender": {"reference": "Practitioner/doctor"}});
    world.write("jonas", vec![reply]).unwrap();
    assert_eq!(questions(&world).last().unwrap()["status"].text(), "completed");
    assert_eq!(review_stands(&world), "awaiting-pharmacist");
}

#[test]
fn what_the_asker_sends_is_the_question_and_no_answer() {
    let (mut world, _) = World::with_problem();
    world.write("jonas", vec![question("active")]).unwrap();
    let letter = json!({"resourceType": "Communication", "id": "l", "status": "completed", "subject": {"reference": "Patient/p"},
        "basedOn": [{"reference": "CommunicationRequest/q"}], "sender": {"reference": "Practitioner/jonas"},
        "recipient": [{"reference": "Practitioner/doctor"}]});
    world.write("jonas", vec![letter]).unwrap();
    assert_eq!(world.status(&target("CommunicationRequest/q")), "active");
    world.now = world.now.plus_seconds(3 * 3_600);
    escalate_all(&mut world);
    assert_eq!(questions(&world).len(), 2, "it waits for an answer still");
}

#[test]
fn a_question_without_an_end_is_given_the_time_of_its_review_and_is_about_one_patient() {
    let (mut world, _) = World::with_problem();
    let mut bare = question("active");
    for name in ["occurrenceDateTime", "authoredOn", "priority"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    world.write("jonas", vec![bare.clone()]).unwrap();
    let asked = world.json(&target("CommunicationRequest/q"));
    assert_eq!(
        (asked["occurrenceDateTime"].text(), asked["priority"].text(), asked["authoredOn"].text()),
        ("2026-11-28T21:00:00Z", "urgent", NOW)
    );
    bare["id"] = "other".into();
    bare["subject"]["reference"] = "Patient/other".into();
    let error = world.write("jonas", vec![bare]).unwrap_err();
    assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, "CommunicationRequest.about"));
}

#[test]
fn an_answered_question_waits_for_nobody() {
    let (mut world, _) = World::with_problem();
    let reply = json!({"resourceType": "Communication", "id": "r", "status": "completed", "subject": {"reference": "Patient/p"},
        "basedOn": [{"reference": "CommunicationRequest/q"}], "sender": {"reference": "Practitioner/doctor"}});
    world.write("jonas", vec![question("active")]).unwrap();
    world.write("jonas", vec![reply]).unwrap();
    world.now = world.now.plus_seconds(86_400);
    world.escalate("super", &target("CommunicationRequest/q")).unwrap();
    assert_eq!(notices(&world).len(), 0);
}

#[test]
fn one_contact_decides_only_the_problems_that_it_names() {
    let letter = |about: Value, based_on: Value| {
        json!({"resourceType": "Communication", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}, "about": about,
            "basedOn": based_on, "sender": {"reference": "Practitioner/jonas"}, "recipient": [{"reference": "Practitioner/doctor"}]})
    };
    let this = || json!([{"reference": "DetectedIssue/d"}]);
    for (name, communication, decides) in [
        ("names it", letter(this(), json!([])), true),
        ("names another", letter(json!([{"reference": "DetectedIssue/other"}]), json!([])), false),
        (
            "names both",
            letter(json!([{"reference": "DetectedIssue/other"}, {"reference": "DetectedIssue/d"}]), json!([])),
            true,
        ),
        ("names none", letter(json!([]), json!([])), false),
        ("answers a question about it", letter(json!([]), json!([{"reference": "CommunicationRequest/q"}])), true),
    ] {
        let (mut world, dtp) = World::with_problem();
        let mut communication = communication;
        for name in ["about", "basedOn"] {
            if communication[name] == json!([]) {
                communication.as_object_mut().unwrap().remove(name);
            }
        }
        world.write("jonas", vec![question("active")]).unwrap();
        world.write("jonas", vec![communication]).unwrap();
        let result = world.resolve(
            "jonas",
            &dtp,
            json!([{"name": "resolution", "valueCode": "resolved"}, {"name": "mitigation", "valueCode": "5"},
                {"name": "evidence", "valueReference": {"reference": "Communication/x"}}]),
        );
        assert_eq!(result.is_ok(), decides, "{name}: {result:?}");
    }
}

#[test]
fn a_reported_problem_with_a_high_risk_medicine_is_more_urgent() {
    for (text, priority) in [("warfarin sodium 5 MG Oral Tablet", "asap"), ("lisinopril 10 MG Oral Tablet", "urgent")] {
        let mut world = World::screening();
        let mut all = discharge();
        all.retain(|r| r["id"] != "home");
        all[2]["medicationCodeableConcept"]["text"] = text.into();
        all[2]["dosageInstruction"] = json!([{"text": "1 tablet once daily"}]);
        world.write("hospital", all).unwrap();
        let call = world.task("first-call");
        world.claim_now("elm", &call).unwrap();
        world.write("mara", vec![problem()]).unwrap();
        assert_eq!(world.json(&world.task("review-dtp"))["priority"].text(), priority, "{text}");
    }
}

#[test]
fn urgency_goes_up_for_a_technician_and_never_down() {
    let urgency = |code: &str| {
        Json::from(json!([{"url": "http://baton.example/fhir/StructureDefinition/urgency", "valueCode": code}]))
    };
    let (mut world, dtp) = World::with_problem();
    world.change("mara", &dtp, |d| d.set("extension", urgency("stat"))).unwrap();
    assert_eq!(world.json(&world.task("review-dtp"))["priority"].text(), "stat");
    for lower in [Some("urgent"), None] {
        let error = world.change("mara", &dtp, |d| match lower {
            Some(code) => d.set("extension", urgency(code)),
            None => drop(d.remove("extension")),
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind.status(), 403);
        assert!(error.to_string().contains("dtp-urgency"), "{error}");
    }
    world.change("jonas", &dtp, |d| d.set("extension", urgency("urgent"))).unwrap();
}

fn close(world: &mut World) -> Target {
    let at = world.task("close-episode");
    world.change("jonas", &at, |t| t.set("status", "accepted")).unwrap();
    world.change("jonas", &at, |t| t.set("status", "in-progress")).unwrap();
    world
        .change("jonas", &at, |t| {
            t.set("status", "completed");
            t.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "done"}])));
        })
        .unwrap();
    at
}

#[test]
fn the_hospital_hears_how_each_follow_up_ended() {
    let (mut world, call) = World::with_problem_and_call();
    let dtp = target("DetectedIssue/d");
    world.resolve("jonas", &dtp, decision()).unwrap();
    world
        .change("mara", &call, |t| {
            t.set("status", "completed");
            t.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "x"}])));
        })
        .unwrap();
    let at = close(&mut world);
    let told = notices(&world);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["recipient"][0]["reference"].text(), "Organization/lakeside");
    let text = told[0]["payload"][0]["contentString"].text();
    assert_eq!(
        text,
        "The follow-up has ended. Calls: 1, the patient was reached in 1. Drug therapy problems: 1 decided - Solved: 1, 0 still open."
    );
    let about: Vec<&str> = told[0]["about"].items().iter().map(|r| r["reference"].text()).collect();
    assert!(about.contains(&"DetectedIssue/d"), "{about:?}");
    let id = format!("Communication/{}", told[0]["id"].text());
    assert_eq!(world.json(&at)["output"].items().last().unwrap()["valueReference"]["reference"].text(), id);
    assert!(
        world.memory.held[&target(&id)].org == world.memory.held[&target("Encounter/e")].org,
        "it is the hospital's"
    );
}

#[test]
fn a_readmission_while_a_problem_waits_is_a_missed_window() {
    for decided in [false, true] {
        let (mut world, dtp) = World::with_problem();
        if decided {
            world.resolve("jonas", &dtp, decision()).unwrap();
        }
        world.now = world.now.plus_seconds(5 * 86_400);
        let mut again = encounter();
        again["id"] = "again".into();
        again["status"] = "in-progress".into();
        again["period"] = json!({"start": "2026-11-30T08:00:00Z"});
        again.as_object_mut().unwrap().remove("hospitalization");
        world.write("hospital", vec![again.clone()]).unwrap();
        world.write("hospital", vec![again]).unwrap();
        let (again, told): (Vec<Json>, Vec<Json>) =
            notices(&world).into_iter().partition(|c| c["topic"]["text"].text().contains("5 days after the discharge"));
        assert_eq!(again.len(), 1, "pharmacy and hospital hear that the patient is in hospital again, once");
        let heard: Vec<&str> = again[0]["recipient"].items().iter().map(|r| r["reference"].text()).collect();
        assert_eq!(heard, ["Organization/elm", "Organization/lakeside"]);
        let at = element::target_of(&again[0]).unwrap();
        assert!(world.sees("elm", &at) && world.sees("lakeside", &at));
        assert_eq!(told.len(), usize::from(!decided), "one, however often it is said");
        if let Some(told) = told.first() {
            assert!(
                told["payload"][0]["contentString"]
                    .text()
                    .contains("in hospital again while 1 drug therapy problem still")
            );
            assert!(world.sees("lakeside", &dtp));
        }
    }
}
