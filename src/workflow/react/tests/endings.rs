//! What ends or pauses a follow-up: a new stay, a death.

use super::open_tasks;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn second_stay(status: &str) -> Value {
    let mut stay = encounter();
    stay["id"] = "e2".into();
    stay["status"] = status.into();
    stay["period"] = json!({"start": "2026-12-05T10:00:00Z"});
    if status == "finished" {
        stay["period"]["end"] = "2026-12-08T10:00:00Z".into();
    } else {
        stay.as_object_mut().unwrap().remove("hospitalization");
    }
    stay
}

#[test]
fn a_readmission_pauses_the_episode_and_the_next_discharge_opens_a_linked_one() {
    let (mut world, call) = World::with_call();
    world.now = crate::clock::Instant::parse("2026-12-05T12:00:00Z").unwrap();
    world.write("hospital", vec![second_stay("in-progress")]).unwrap();
    assert_eq!(world.episodes(), ["onhold"]);
    assert_eq!(world.status(&call), "on-hold", "what had begun waits");
    assert_eq!(open_tasks(&world), ["abort"], "and its owner is asked to end it");
    assert_eq!(world.memory.all("Flag").len(), 1);
    assert_eq!(world.memory.all("Flag")[0]["code"]["text"].text(), "In hospital again, 10 days after the discharge");

    world.now = crate::clock::Instant::parse("2026-12-08T12:00:00Z").unwrap();
    world.write("hospital", vec![second_stay("finished")]).unwrap();
    assert_eq!(world.episodes(), ["active", "finished"]);
    assert_eq!(world.status(&call), "failed");
    assert!(world.tasks().contains(&("abort".into(), "cancelled".into())), "nobody needs to end it any more");
    let active =
        world.memory.all("EpisodeOfCare").into_iter().find(|e| e["status"].text() == "active").unwrap().clone();
    assert!(crate::workflow::element::extension(&active, "previous-episode").is_some());
}

/// Own workflow 3.14: A planned readmission is told from one that was not, by a rule of the site's; what the stay does not tell is not guessed, and a
/// correction is followed.
#[test]
fn a_planned_readmission_is_told_from_one_that_was_not() {
    let priority = |system: &str, code: &str| json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code}]});
    for (said, class, text) in [
        (Some(priority("v3-ActPriority", "EL")), "planned", ": planned"),
        (Some(priority("v2-0007", "C")), "planned", ": planned"),
        (Some(priority("v3-ActPriority", "EM")), "unplanned", ": not planned"),
        (Some(json!({"text": "soon"})), "not-told", ""),
        (None, "not-told", ""),
    ] {
        let (mut world, _) = World::with_call();
        world.now = crate::clock::Instant::parse("2026-12-05T12:00:00Z").unwrap();
        let mut stay = second_stay("in-progress");
        if let Some(priority) = &said {
            stay["priority"] = priority.clone();
        }
        world.write("hospital", vec![stay]).unwrap();
        let code = world.memory.all("Flag")[0]["code"].clone();
        let codings = crate::workflow::element::codings(&code);
        assert_eq!(codings.iter().map(|(_, c)| *c).collect::<Vec<_>>(), ["readmission", class], "{said:?}");
        assert_eq!(code["text"].text(), format!("In hospital again, 10 days after the discharge{text}"));
        let told = world.memory.all("Communication").into_iter().any(|c| {
            let at = "10 days after the discharge";
            let how = text.trim_start_matches(": ");
            c["topic"]["text"].text().contains(&if how.is_empty() {
                format!("{at}.")
            } else {
                format!("{at} ({how}).")
            })
        });
        assert!(told, "{said:?}");
        // Said better later: the warning follows.
        let mut stay = second_stay("in-progress");
        stay["priority"] = priority("v3-ActPriority", "EL");
        world.write("hospital", vec![stay]).unwrap();
        assert_eq!(world.memory.all("Flag")[0]["code"]["coding"][1]["code"].text(), "planned", "{said:?}");
    }
}

#[test]
fn a_readmission_that_never_was_lets_the_episode_go_on() {
    let (mut world, call) = World::with_call();
    world.now = crate::clock::Instant::parse("2026-12-05T12:00:00Z").unwrap();
    world.write("hospital", vec![second_stay("in-progress")]).unwrap();
    world.write("hospital", vec![second_stay("entered-in-error")]).unwrap();
    assert_eq!(world.episodes(), ["active"]);
    assert_eq!(world.status(&call), "on-hold", "its owner takes it up again");
    assert!(world.tasks().contains(&("abort".into(), "cancelled".into())));
    world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap();
    assert_eq!(open_tasks(&world).len(), 5, "the others are offered anew");
    assert_eq!(world.memory.all("Flag")[0]["status"].text(), "entered-in-error");
}

#[test]
fn a_new_stay_is_told_whenever_it_comes_and_the_window_decides_about_the_flag_as_a_table() {
    // The first stay ended at 20:00Z, 15:00 in New York. (begins, admitSource, Flags, what is said)
    for (start, source, flags, says) in [
        ("2026-11-25T21:00:00Z", None, 0, "on the day of the discharge, as one stay with the last (a transfer)."),
        ("2026-11-26T01:00:00Z", Some("hosp-trans"), 0, "on the day of the discharge, as one stay"),
        ("2026-11-25T21:00:00Z", Some("emd"), 1, "on the day of the discharge."),
        ("2026-11-26T01:00:00Z", Some("emd"), 1, "on the day of the discharge."),
        ("2026-11-26T01:00:00Z", None, 1, "on the day of the discharge."),
        ("2026-11-26T15:00:00Z", Some("hosp-trans"), 1, "a day after the discharge."),
        ("2026-12-30T10:00:00Z", None, 0, "35 days after the discharge."),
    ] {
        let mut world = World::with_discharge();
        let call = world.task("first-call");
        world.claim_now("elm", &call).unwrap();
        let mut stay = second_stay("in-progress");
        stay["period"] = json!({"start": start});
        if let Some(code) = source {
            let system = "http://terminology.hl7.org/CodeSystem/admit-source";
            stay["hospitalization"] = json!({"admitSource": {"coding": [{"system": system, "code": code}]}});
        }
        world.now = crate::clock::Instant::parse(start).unwrap().plus_seconds(60);
        world.write("hospital", vec![stay]).unwrap();
        let name = format!("{start} {source:?}");
        assert_eq!((world.episodes(), world.status(&call)), (vec!["onhold".to_string()], "cancelled"), "{name}");
        let found = world.memory.all("Flag");
        assert_eq!(found.len(), flags, "{name}");
        for flag in found {
            assert!(world.sees("elm", &crate::workflow::element::target_of(flag).unwrap()), "{name}");
        }
        assert!(world.sees("elm", &target("Encounter/e2")), "{name}: who had taken it sees the new stay");
        let told = world.memory.all("Communication");
        assert_eq!(told.len(), 1, "{name}");
        assert!(told[0]["topic"]["text"].text().contains(says), "{name}: {}", told[0]["topic"]);
        let heard: Vec<&str> = told[0]["recipient"].items().iter().map(|r| r["reference"].text()).collect();
        assert_eq!(heard, ["Organization/elm", "Organization/lakeside"], "{name}");
        let at = crate::workflow::element::target_of(told[0]).unwrap();
        assert!(world.sees("elm", &at) && world.sees("lakeside", &at), "{name}");
    }
}

#[test]
fn a_stay_of_before_is_no_readmission_and_history_opens_nothing() {
    let mut world = World::with_discharge();
    let mut old = second_stay("finished");
    old["period"] = json!({"start": "2026-11-10T10:00:00Z", "end": "2026-11-12T10:00:00Z"});
    world.write("hospital", vec![old]).unwrap();
    assert_eq!(world.episodes(), ["active"]);
    assert_eq!(world.reasons(), ["later-stay-known"]);
}

/// What is open in the end of one patient: (episodes that live, Tasks that go on).
fn left(world: &World) -> (Vec<String>, Vec<String>) {
    let mut live = world.episodes();
    live.retain(|status| status == "active" || status == "onhold");
    let mut open = open_tasks(world);
    open.sort();
    (live, open)
}

#[test]
fn a_later_discharge_that_is_taken_back_leaves_what_there_was_before_it_in_whatever_order_they_came() {
    let first = || discharge();
    let second = |status: &str| vec![second_stay(status)];
    // (the stay as it ends up, what then lives)
    for (last, lives) in
        [("in-progress", vec!["onhold"]), ("cancelled", vec!["active"]), ("entered-in-error", vec!["active"])]
    {
        let orders = [
            [first(), second("finished"), second(last)],
            [second("finished"), first(), second(last)],
            [second("finished"), second(last), first()],
        ];
        let mut ends = Vec::new();
        for order in orders {
            let mut world = World::new();
            world.now = crate::clock::Instant::parse("2026-12-08T12:00:00Z").unwrap();
            world.write("hospital", vec![discharge()[0].clone()]).unwrap();
            for said in order {
                world.write("hospital", said).unwrap();
            }
            ends.push(left(&world));
        }
        assert_eq!(ends[0].0, lives, "{last}");
        assert_eq!(ends[0], ends[1], "{last}");
        assert_eq!(ends[0], ends[2], "{last}");
    }
}

#[test]
fn nobody_calls_a_patient_who_has_died() {
    let (mut world, call) = World::with_problem_and_call();
    world.change("hospital", &target("Patient/p"), |p| p.set("deceasedDateTime", "2026-11-25T20:30:00Z")).unwrap();
    assert_eq!(world.episodes(), ["finished"]);
    assert_eq!(world.status(&call), "on-hold", "its owner ends it");
    assert_eq!(open_tasks(&world), ["abort"]);
    assert_eq!(world.status(&target("DetectedIssue/d")), "cancelled");
    assert!(world.tasks().contains(&("review-dtp".into(), "cancelled".into())));
    let error = world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "reached"}])).unwrap_err();
    assert_eq!(error.kind.status(), 422);
}

#[test]
fn a_patient_who_left_by_dying_is_marked_so_and_a_correction_takes_the_mark_off() {
    let mut world = World::new();
    let mut died = discharge();
    died[1]["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] = "exp".into();
    world.write("hospital", died.clone()).unwrap();
    let patient_at = target("Patient/p");
    assert_eq!(world.json(&patient_at)["deceasedDateTime"].text(), DISCHARGED);
    assert_eq!(world.reasons(), ["deceased"]);
    let puts = world.memory.puts;
    world.write("hospital", vec![died[1].clone()]).unwrap();
    assert_eq!(world.memory.puts, puts, "said again, nothing new");
    // Another stay of theirs that comes late opens nothing.
    let mut earlier = encounter();
    earlier["id"] = "e0".into();
    earlier["period"] = json!({"start": "2026-11-18T08:00:00Z", "end": "2026-11-20T08:00:00Z"});
    world.write("hospital", vec![earlier]).unwrap();
    assert!(world.tasks().is_empty());
    world.write("hospital", vec![encounter()]).unwrap();
    let json = world.json(&patient_at);
    assert!(json["deceasedDateTime"].is_null() && json["extension"].is_null(), "{json}");
    assert_eq!(world.episodes(), ["active"]);
    // What the hospital itself says about the patient stays as it says it.
    let mut world = World::new();
    died[0]["deceasedBoolean"] = true.into();
    world.write("hospital", died).unwrap();
    assert!(world.json(&patient_at)["extension"].is_null());
    world.write("hospital", vec![encounter()]).unwrap();
    assert_eq!(world.json(&patient_at)["deceasedBoolean"].as_bool(), Some(true));
    assert!(world.episodes().is_empty());
}

#[test]
fn a_death_in_the_next_stay_ends_the_work_of_the_last_one() {
    let (mut world, call) = World::with_problem_and_call();
    world.now = crate::clock::Instant::parse("2026-12-08T12:00:00Z").unwrap();
    let mut died = second_stay("finished");
    died["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] = "exp".into();
    world.write("hospital", vec![died]).unwrap();
    assert_eq!(world.status(&target("DetectedIssue/d")), "cancelled");
    assert_eq!(world.episodes(), ["finished"]);
    assert_eq!(world.status(&call), "failed");
    assert!(open_tasks(&world).is_empty());
}

#[test]
fn nobody_writes_to_a_patient_who_has_died_or_does_not_want_it_as_a_table() {
    let consent = json!({
        "resourceType": "Consent", "id": "no", "status": "active", "dateTime": "2026-11-20",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": "Patient/p"},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}, "provision": {"type": "deny"},
    });
    let mut inactive = consent.clone();
    inactive["status"] = "inactive".into();
    let dead = json!({"resourceType": "Patient", "id": "p", "birthDate": "1949-01-30", "deceasedBoolean": true});
    let letter = |rtype: &str, status: &str, to: &str| json!({"resourceType": rtype, "id": "l", "status": status, "subject": {"reference": "Patient/p"}, "recipient": [{"reference": to}]});
    for (before, who, said, answer) in [
        (None, "jonas", letter("Communication", "completed", "Patient/p"), 200),
        (Some(&inactive), "jonas", letter("Communication", "completed", "Patient/p"), 200),
        (Some(&consent), "jonas", letter("Communication", "completed", "Patient/p"), 422),
        (Some(&consent), "elm", letter("Communication", "in-progress", "Patient/p"), 422),
        (Some(&consent), "jonas", letter("CommunicationRequest", "active", "Patient/p"), 422),
        (Some(&consent), "jonas", letter("CommunicationRequest", "draft", "Patient/p"), 200),
        (Some(&consent), "jonas", letter("Communication", "completed", "Practitioner/doctor"), 200),
        (Some(&consent), "hospital", letter("Communication", "completed", "Patient/p"), 200),
        (Some(&dead), "jonas", letter("Communication", "completed", "Patient/p"), 422),
        (Some(&dead), "mara", letter("Communication", "completed", "Patient/p"), 422),
    ] {
        let (mut world, _) = World::with_call();
        if let Some(before) = before {
            world.write("hospital", vec![before.clone()]).unwrap();
        }
        let result = world.write(who, vec![said.clone()]);
        assert_eq!(
            result.as_ref().map_or_else(|e| e.kind.status(), |()| 200),
            answer,
            "{who} {said} after {before:?}: {result:?}"
        );
    }
}

#[test]
fn what_may_reach_the_patient_or_theirs_is_refused_like_a_letter_to_them_as_a_table() {
    let carer = json!({"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/p"}, "name": [{"text": "Ann"}]});
    let dead = json!({"resourceType": "Patient", "id": "p", "birthDate": "1949-01-30", "deceasedBoolean": true});
    let (to_carer, to_doctor) = (json!({"reference": "RelatedPerson/r"}), json!({"reference": "Practitioner/doctor"}));
    for (subject, recipient, answer) in [
        (true, json!(null), 422),
        (true, json!([{"display": "his daughter"}]), 422),
        (true, json!([to_carer]), 422),
        (false, json!([to_carer]), 422),
        (false, json!([{"reference": "Patient/p"}]), 422),
        (true, json!([to_doctor, to_carer]), 422),
        (true, json!([{"type": "Patient", "identifier": {"value": "p"}}]), 422),
        (true, json!([to_doctor, {"reference": "Organization/lakeside"}, {"reference": "PractitionerRole/x"}]), 200),
        (true, json!([{"type": "Organization", "identifier": {"value": "lakeside"}}]), 200),
        (false, json!(null), 200),
    ] {
        for before in [None, Some(&dead)] {
            let (mut world, _) = World::with_call();
            world.write("hospital", vec![carer.clone()]).unwrap();
            assert!(world.sees("elm", &target("RelatedPerson/r")), "who calls knows whom");
            if let Some(before) = before {
                world.write("hospital", vec![before.clone()]).unwrap();
            }
            let mut said =
                json!({"resourceType": "Communication", "id": "l", "status": "completed", "topic": {"text": "x"}});
            if subject {
                said["subject"] = json!({"reference": "Patient/p"});
            }
            if !recipient.is_null() {
                said["recipient"] = recipient.clone();
            }
            let result = world.write("jonas", vec![said.clone()]);
            let expected = if before.is_some() { answer } else { 200 };
            assert_eq!(result.as_ref().map_or_else(|e| e.kind.status(), |()| 200), expected, "{said}: {result:?}");
        }
    }
}

#[test]
fn a_carer_of_somebody_else_is_not_called_about_a_patient() {
    let (mut world, call) = World::with_call();
    let carer = |id: &str, of: &str| json!({"resourceType": "RelatedPerson", "id": id, "patient": {"reference": of}, "name": [{"text": "Ann"}]});
    world.write("hospital", vec![carer("r", "Patient/p"), carer("other", "Patient/q")]).unwrap();
    let to = |id: &str| json!([{"name": "outcome", "valueCode": "reached"}, {"name": "recipient", "valueReference": {"reference": format!("RelatedPerson/{id}")}}]);
    world.attempt("mara", &call, to("r")).unwrap();
    let refused = world.attempt("mara", &call, to("other")).unwrap_err();
    assert_eq!((refused.kind.status(), refused.issues[0].expression.as_str()), (422, "Communication.recipient"));
}
