//! What follows from a transaction, tried on records in memory: discharges, claims, closing. Further subjects in their files.

mod abort;
mod consent;
mod contact;
mod endings;
mod entries;
mod escalate;
mod laws;
mod lists;
mod needs;
mod offers;
mod order;
mod outcome;
mod returned;
mod withhold;

use crate::workflow::world::*;
use serde_json::{Value, json};

pub(super) fn open_tasks(world: &World) -> Vec<String> {
    world.tasks().into_iter().filter(|(_, s)| s == "requested").map(|(c, _)| c).collect()
}

pub(super) const PLAN: [&str; 6] =
    ["check-pickup", "close-episode", "first-call", "follow-up-contact", "follow-up-contact", "pharmacist-check"];

#[test]
fn a_discharge_opens_its_follow_up() {
    let world = World::with_discharge();
    assert_eq!(world.episodes(), ["active"]);
    assert_eq!(open_tasks(&world), PLAN);
    let call = world.json(&world.task("first-call"));
    assert_eq!(
        call["restriction"]["period"]["end"].text(),
        "2026-12-01T04:59:00Z",
        "two business days, Thanksgiving out"
    );
    assert_eq!(call["requester"]["reference"].text(), "Organization/lakeside");
    assert!(call["owner"].is_null());
    assert_eq!(call["extension"].items().len(), 2, "both candidates");
    let list = world.memory.all("List")[0];
    let lines: Vec<(&str, &str)> = list["entry"]
        .items()
        .iter()
        .map(|e| (e["flag"]["coding"][0]["code"].text(), e["item"]["reference"].text()))
        .collect();
    assert_eq!(lines, [("omitted-without-note", "MedicationStatement/home"), ("new", "MedicationRequest/m")]);
    assert_eq!(world.reasons(), [""; 0]);
    assert_eq!(world.memory.all("Observation")[0]["valueCodeableConcept"]["coding"][0]["code"].text(), "followed");
    let plan = world.memory.all("CarePlan")[0];
    assert_eq!(plan["activity"].items().len(), 6);
}

#[test]
fn a_replay_writes_nothing() {
    let mut world = World::with_discharge();
    let (held, puts, shares) = (world.memory.held.clone(), world.memory.puts, world.memory.shares.clone());
    for _ in 0..3 {
        world.write("hospital", discharge()).unwrap();
    }
    assert_eq!(world.memory.puts, puts);
    assert_eq!(world.memory.shares, shares);
    let bare =
        |w: &std::collections::BTreeMap<_, crate::workflow::records::Held>| w.keys().cloned().collect::<Vec<_>>();
    assert_eq!(bare(&world.memory.held), bare(&held));
}

#[test]
fn who_is_not_followed_up_is_recorded_with_the_reason_as_a_table() {
    let disposition = |code: &str| json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": code}]});
    let class = |code: &str| json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code});
    let cases: Vec<(&str, &str, Value, &[&str])> = vec![
        ("e", "/hospitalization/dischargeDisposition", disposition("home"), &[]),
        ("e", "/hospitalization/dischargeDisposition", disposition("aadvice"), &[]),
        ("e", "/hospitalization", json!({}), &[]),
        ("e", "/hospitalization/dischargeDisposition", disposition("exp"), &["deceased"]),
        ("e", "/hospitalization/dischargeDisposition", disposition("hosp"), &["hospice"]),
        ("e", "/hospitalization/dischargeDisposition", disposition("snf"), &["held-elsewhere"]),
        ("e", "/hospitalization/dischargeDisposition", disposition("oth"), &["disposition-unknown"]),
        ("e", "/class", class("EMER"), &["class-not-followed"]),
        ("e", "/class", class("OBSENC"), &[]),
        ("p", "/birthDate", json!("2019-03-01"), &["too-young"]),
        ("p", "/birthDate", json!("2008-11-26"), &["too-young"]),
        ("p", "/birthDate", json!("2008-11-25"), &[]),
        ("p", "/birthDate", json!("2008"), &[]),
        ("p", "/deceasedBoolean", json!(true), &["deceased"]),
        ("e", "/period/end", json!("2026-10-01T20:00:00Z"), &["too-old-discharge"]),
        ("e", "/period/end", json!("2026-10-27T20:00:00Z"), &[]),
    ];
    for (which, path, value, reasons) in cases {
        let mut world = World::new();
        let mut bundle = discharge();
        let at = usize::from(which == "e");
        if path == "/period/end" {
            bundle[at]["period"]["start"] = "2026-09-20".into();
        }
        let parent = &path[..path.rfind('/').unwrap()];
        bundle[at].pointer_mut(parent).unwrap()[path.rsplit('/').next().unwrap()] = value.clone();
        if value == json!({}) {
            bundle[at].as_object_mut().unwrap().remove("hospitalization");
        }
        world.write("hospital", bundle).unwrap();
        assert_eq!(world.reasons(), reasons, "{path} {value}");
        assert_eq!(world.episodes().len(), usize::from(reasons.is_empty()), "{path} {value}");
        assert_eq!(world.memory.all("Observation").len(), 1);
        if !reasons.is_empty() {
            assert!(world.tasks().is_empty());
        }
    }
}

#[test]
fn an_office_visit_is_none_of_the_programmes_business() {
    let mut world = World::new();
    let mut visit = encounter();
    visit["class"]["code"] = "AMB".into();
    world.write("hospital", vec![patient(), visit]).unwrap();
    assert_eq!(world.memory.puts, 0);
}

#[test]
fn impossible_discharges_are_refused() {
    for (end, start) in [
        (json!("2026-11-26T20:00:00Z"), "2026-11-22"),
        (json!("2026-11-20T20:00:00Z"), "2026-11-22"),
        (Value::Null, "2026-11-22"),
    ] {
        let mut world = World::new();
        let mut stay = encounter();
        stay["period"] = json!({"start": start, "end": end});
        if end.is_null() {
            stay["period"].as_object_mut().unwrap().remove("end");
        }
        let error = world.write("hospital", vec![patient(), stay]).unwrap_err();
        assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, "Encounter.period.end"), "{end}");
    }
}

#[test]
fn no_medicines_and_no_list_are_not_the_same() {
    let none = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
        "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]},
        "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
        "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]}});
    let mut known = World::new();
    known.write("hospital", vec![patient(), encounter(), none.clone()]).unwrap();
    assert_eq!(open_tasks(&known), PLAN);
    let working = |w: &World| w.memory.all("List").into_iter().find(|l| l["mode"].text() == "working").unwrap().clone();
    assert_eq!(working(&known)["emptyReason"]["coding"][0]["code"].text(), "nilknown");

    let mut silent = World::new();
    silent.write("hospital", vec![patient(), encounter()]).unwrap();
    let alert = silent.task("request-list");
    assert_eq!(silent.status(&alert), "requested");
    assert_eq!(working(&silent)["emptyReason"]["coding"][0]["code"].text(), "unavailable");
    silent.write("hospital", vec![none]).unwrap();
    assert_eq!(silent.status(&alert), "cancelled");
    assert_eq!(silent.json(&alert)["statusReason"]["coding"][0]["code"].text(), "list-arrived");
    assert_eq!(working(&silent)["emptyReason"]["coding"][0]["code"].text(), "nilknown");
}

#[test]
fn the_pharmacy_that_the_data_name_gets_the_tasks() {
    let mut named = World::new();
    named.write("hospital", vec![patient(), encounter(), prescription("m", Some("harbour"))]).unwrap();
    let call = named.task("first-call");
    assert_eq!(named.json(&call)["owner"]["reference"].text(), "Organization/harbour");
    assert_eq!(named.status(&call), "requested");
    assert!(named.sees("harbour", &call) && !named.sees("elm", &call));
    assert!(!named.sees("harbour", &target("Patient/p")), "not before it has accepted");

    let mut later = World::with_discharge();
    let call = later.task("first-call");
    assert!(later.sees("elm", &call));
    later.write("hospital", vec![prescription("m", Some("harbour"))]).unwrap();
    assert_eq!(later.json(&call)["owner"]["reference"].text(), "Organization/harbour");
    assert!(later.sees("harbour", &call) && !later.sees("elm", &call));

    let mut preferred = World::new();
    let mut p = patient();
    p["extension"] = json!([{"url": "http://baton.example/fhir/StructureDefinition/preferred-pharmacy", "valueReference": {"reference": "Organization/elm"}}]);
    preferred.write("hospital", vec![p, encounter(), prescription("m", None)]).unwrap();
    assert_eq!(preferred.json(&preferred.task("first-call"))["owner"]["reference"].text(), "Organization/elm");

    let mut nowhere = World::new();
    nowhere.write("hospital", vec![patient(), encounter(), prescription("m", Some("unknown"))]).unwrap();
    assert!(nowhere.json(&nowhere.task("first-call"))["owner"].is_null(), "a pharmacy that is not here gets nothing");
}

#[test]
fn the_same_discharge_under_another_encounter_opens_nothing() {
    let mut world = World::with_discharge();
    let mut again = encounter();
    again["id"] = "e2".into();
    world.write("hospital", vec![again]).unwrap();
    assert_eq!(world.episodes(), ["active"]);
    assert_eq!(world.reasons(), ["duplicate-discharge"]);
}

#[test]
fn a_discharge_taken_back_ends_its_episode_and_repeated_opens_the_next() {
    for status in ["in-progress", "cancelled", "entered-in-error"] {
        let mut world = World::with_discharge();
        let at = target("Encounter/e");
        world.change("hospital", &at, |e| e.set("status", status)).unwrap();
        assert_eq!(world.episodes(), ["cancelled"], "{status}");
        assert!(world.tasks().iter().all(|(_, s)| s == "cancelled"), "{status}");
        assert_eq!(world.reasons(), ["cancelled"]);
        world.change("hospital", &at, |e| e.set("status", "finished")).unwrap();
        assert_eq!(world.episodes(), ["active", "cancelled"], "{status}");
        assert_eq!(open_tasks(&world), PLAN, "{status}");
        assert_eq!(world.reasons(), [""; 0]);
    }
    let mut world = World::with_discharge();
    world.write("hospital", vec![json!({"resourceType": "Encounter", "id": "e"})]).unwrap();
    assert_eq!(world.episodes(), ["cancelled"], "deleted");
}

#[test]
fn a_corrected_disposition_ends_the_follow_up() {
    let mut world = World::with_discharge();
    let mut died = encounter();
    died["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] = "exp".into();
    world.write("hospital", vec![died]).unwrap();
    assert_eq!(world.episodes(), ["cancelled"]);
    assert_eq!(world.reasons(), ["deceased"]);
    assert!(open_tasks(&world).is_empty());
}

#[test]
fn an_update_long_after_does_not_end_what_has_begun() {
    let mut world = World::with_discharge();
    world.now = world.now.plus_seconds(40 * 86_400);
    world
        .change("hospital", &target("Encounter/e"), |e| {
            e.set("priority", crate::fhir::Json::from(json!({"text": "x"})));
        })
        .unwrap();
    assert_eq!(world.episodes(), ["active"]);
    assert_eq!(world.reasons(), [""; 0]);
}

#[test]
fn a_claim_shows_the_patient_and_keeps_the_other_tasks_for_the_same_pharmacy() {
    let mut world = World::with_discharge();
    let (call, check) = (world.task("first-call"), world.task("check-pickup"));
    let patient = target("Patient/p");
    assert!(world.sees("elm", &call) && !world.sees("elm", &patient));
    let task = world.claim_now("elm", &call).unwrap();
    assert_eq!((task["status"].text(), task["owner"]["reference"].text()), ("accepted", "Organization/elm"));
    for at in ["Patient/p", "Encounter/e", "MedicationRequest/m", "MedicationStatement/home"] {
        assert!(world.sees("elm", &target(at)) && !world.sees("harbour", &target(at)), "{at}");
    }
    assert_eq!(world.json(&check)["owner"]["reference"].text(), "Organization/elm");
    assert_eq!(world.status(&check), "requested");
    assert_eq!(world.claim_now("harbour", &check).unwrap_err().kind.status(), 409);
    world.claim_now("elm", &check).unwrap();
    // What comes later is seen too.
    world.write("hospital", vec![prescription("late", None)]).unwrap();
    assert!(
        world.sees("elm", &target("MedicationRequest/late"))
            && !world.sees("harbour", &target("MedicationRequest/late"))
    );
    // Begun, the Task is nobody else's business.
    assert!(world.sees("harbour", &call));
    world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "no-answer"}])).unwrap();
    assert!(!world.sees("harbour", &call) && world.sees("elm", &call));
}

#[test]
fn what_is_given_back_is_open_again_and_no_longer_seen() {
    let mut world = World::with_discharge();
    let (call, check) = (world.task("first-call"), world.task("check-pickup"));
    world.claim_now("elm", &call).unwrap();
    let task = world.release("elm", &call).unwrap();
    assert_eq!((task["status"].text(), task["owner"].is_null()), ("requested", true));
    assert!(world.json(&check)["owner"].is_null(), "what was kept for it goes back too");
    assert!(!world.sees("elm", &target("Patient/p")));
    world.claim_now("harbour", &check).unwrap();
    assert!(world.sees("harbour", &target("Patient/p")));
}

#[test]
fn a_declined_task_goes_to_the_others() {
    let mut world = World::new();
    world.write("hospital", vec![patient(), encounter(), prescription("m", Some("harbour"))]).unwrap();
    let call = world.task("first-call");
    world
        .change("harbour", &call, |t| {
            t.set("status", "rejected");
            t.set("statusReason", crate::fhir::Json::from(json!({"text": "no technician"})));
        })
        .unwrap();
    let next: Vec<_> = world
        .memory
        .all("Task")
        .into_iter()
        .filter(|t| t["code"]["coding"][0]["code"].text() == "first-call" && t["status"].text() == "requested")
        .cloned()
        .collect();
    assert_eq!(next.len(), 1);
    assert_eq!(crate::workflow::task::candidates(&next[0]), ["Organization/elm"]);
    assert_eq!(next[0]["restriction"], world.json(&call)["restriction"], "due as before");
    let at = crate::workflow::element::target_of(&next[0]).unwrap();
    assert!(world.sees("elm", &at) && !world.sees("harbour", &at));
    world.claim_now("elm", &at).unwrap();
}

#[test]
fn closing_ends_the_episode_and_what_nobody_began() {
    let (mut world, call) = World::with_call();
    let close = world.task("close-episode");
    world.claim_now("jonas", &close).unwrap();
    world.change("jonas", &close, |t| t.set("status", "in-progress")).unwrap();
    let done = |t: &mut crate::fhir::Json| {
        t.set("status", "completed");
        t.set("output", crate::fhir::Json::from(json!([{"type": {"text": "note"}, "valueString": "well"}])));
    };
    assert_eq!(world.change("jonas", &close, done).unwrap_err().kind.status(), 422, "the call is still in progress");
    world.change("mara", &call, done).unwrap();
    world.change("jonas", &close, done).unwrap();
    assert_eq!(world.episodes(), ["finished"]);
    assert!(open_tasks(&world).is_empty());
    assert_eq!(world.memory.all("CarePlan")[0]["status"].text(), "completed");
}

#[test]
fn a_medicine_of_another_patient_is_refused_with_the_stay_and_later() {
    let mut foreign = prescription("x", None);
    foreign["subject"]["reference"] = "Patient/q".into();
    let q = json!({"resourceType": "Patient", "id": "q"});
    let mut world = World::new();
    let together = world.write("hospital", vec![patient(), q.clone(), encounter(), foreign.clone()]).unwrap_err();
    assert_eq!((together.kind.status(), together.issues[0].expression.as_str()), (422, "MedicationRequest.subject"));
    let mut world = World::with_discharge();
    let later = world.write("hospital", vec![q, foreign]).unwrap_err();
    assert_eq!(later.kind.status(), 422);
}

#[test]
fn lists_keep_r4s_invariants() {
    for (change, at) in [
        (json!({"emptyReason": {"text": "none"}}), "List.emptyReason"),
        (json!({"entry": [{"deleted": true, "item": {"reference": "MedicationRequest/m"}}]}), "List.entry[0].deleted"),
        (
            json!({"entry": [{"date": "2026-11-25", "item": {"reference": "MedicationRequest/m"}}]}),
            "List.entry[0].date",
        ),
    ] {
        let mut list = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
            "subject": {"reference": "Patient/p"}, "entry": [{"item": {"reference": "MedicationRequest/m"}}]});
        for (name, value) in change.as_object().unwrap() {
            list[name] = value.clone();
        }
        let error = World::with_discharge().write("hospital", vec![list]).unwrap_err();
        assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, at));
    }
}

#[test]
fn only_the_programme_changes_what_it_made() {
    let mut world = World::with_discharge();
    for rtype in ["EpisodeOfCare", "CarePlan", "List", "Observation"] {
        let at = crate::workflow::element::target_of(world.memory.all(rtype)[0]).unwrap();
        for who in ["hospital", "mara", "elm"] {
            let changed = world.change(who, &at, |r| r.set("language", "en"));
            assert_eq!(changed.unwrap_err().kind.status(), 403, "{rtype} by {who}");
            let id = at.id.clone();
            let deleted = world.write(who, vec![json!({"resourceType": rtype, "id": id})]);
            assert_ne!(deleted.unwrap_err().kind.status(), 200);
        }
        let forged = json!({"resourceType": rtype, "id": "forged", "status": "active",
            "identifier": [{"system": format!("http://baton.example/fhir/sid/{}", rtype.to_lowercase()), "value": "x"}]});
        assert_eq!(world.write("hospital", vec![forged]).unwrap_err().kind.status(), 403, "{rtype}");
    }
}

#[test]
fn a_part_of_a_hospital_uses_the_list_of_the_whole() {
    let mut world = World::new();
    let ward = json!({"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/lakeside"}});
    world.memory.client(ward.into(), 0);
    let elsewhere = json!({"resourceType": "Organization", "id": "elsewhere"});
    world.memory.client(elsewhere.into(), 0);
    for site in ["ward", "elsewhere"] {
        let mut world = world.clone();
        let mut stay = encounter();
        stay["serviceProvider"]["reference"] = format!("Organization/{site}").into();
        world.write("hospital", vec![patient(), stay, prescription("m", None)]).unwrap();
        let call = world.json(&world.task("first-call"));
        assert_eq!(
            crate::workflow::task::candidates(call).len(),
            2,
            "{site}: whose system sends it has candidates too"
        );
        assert_eq!(call["requester"]["reference"].text(), "Organization/lakeside");
    }
}
