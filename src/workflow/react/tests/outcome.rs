//! What the hospital hears of each discharge that it sent: how the follow-up ended, however it did, or why there is none.

use crate::fhir::Json;
use crate::workflow::element;
use crate::workflow::world::*;
use serde_json::{Value, json};

/// (status, text, recipient) of the notices of one kind.
fn heard(world: &World, kind: &str) -> Vec<(String, String, String)> {
    let of_kind = |c: &&Json| element::own_identifier(c, "notice").is_some_and(|v| v.split('/').next() == Some(kind));
    let said = |c: &Json| {
        let text = |j: &Json| j.text().to_string();
        (text(&c["status"]), text(&c["topic"]["text"]), text(&c["recipient"][0]["reference"]))
    };
    world.memory.all("Communication").into_iter().filter(of_kind).map(said).collect()
}

fn stay(id: &str, change: &Value) -> Value {
    let mut out = encounter();
    out["id"] = id.into();
    for (name, value) in change.as_object().unwrap() {
        out[name] = value.clone();
    }
    out
}

fn to(code: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/discharge-disposition";
    json!({"dischargeDisposition": {"coding": [{"system": system, "code": code}]}})
}

fn refusal(status: &str) -> Value {
    json!({"resourceType": "Consent", "id": "no", "status": status, "dateTime": "2026-11-20",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": "Patient/p"},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}, "provision": {"type": "deny"}})
}

#[test]
fn however_a_follow_up_ends_the_hospital_hears_its_outcome_once_and_until_it_goes_on_as_a_table() {
    let later = json!({"period": {"start": "2026-11-30T08:00:00Z", "end": "2026-12-01T08:00:00Z"}});
    let mut never = stay("e2", &later);
    never["status"] = "cancelled".into();
    let dead = json!({"resourceType": "Patient", "id": "p", "birthDate": "1949-01-30", "deceasedDateTime": "2026-11-25T20:30:00Z"});
    for (ends, why, goes_on) in [
        (refusal("active"), "The patient does not want to be followed up", Some(refusal("inactive"))),
        (dead, "The patient has died", None),
        (stay("e", &json!({"hospitalization": to("hosp")})), "A correction of the discharge", Some(encounter())),
        (stay("e", &json!({"status": "in-progress"})), "The hospital took the discharge back", Some(encounter())),
        (stay("e2", &later), "The patient is in hospital again", Some(never)),
    ] {
        let (mut world, _) = World::with_problem_and_call();
        world.now = crate::clock::Instant::parse("2026-12-02T12:00:00Z").unwrap();
        world.write("hospital", vec![ends.clone()]).unwrap();
        let told = heard(&world, "outcome");
        assert_eq!(told.len(), 1, "{why}: {told:?}");
        let (status, text, recipient) = told[0].clone();
        assert_eq!((status.as_str(), recipient.as_str()), ("completed", "Organization/lakeside"), "{why}");
        assert!(text.starts_with(&format!("The follow-up has ended before its time: {why}")), "{text}");
        assert!(text.contains("Calls: 1, the patient was reached in 1."), "{text}");
        let puts = world.memory.puts;
        world.write("hospital", vec![ends]).unwrap();
        assert_eq!(world.memory.puts, puts, "{why}: said again, nothing new");
        if let Some(goes_on) = goes_on {
            world.write("hospital", vec![goes_on]).unwrap();
            assert!(world.episodes().contains(&"active".to_string()), "{why}: {:?}", world.episodes());
            let of_this = heard(&world, "outcome").into_iter().find(|(_, t, _)| *t == text);
            assert_eq!(of_this.unwrap().0, "entered-in-error", "{why}: taken back");
        }
    }
}

#[test]
fn why_a_discharge_is_not_followed_up_the_hospital_hears_once_and_until_it_is_as_a_table() {
    let child = json!({"resourceType": "Patient", "id": "p", "birthDate": "2015-01-30"});
    let system = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    for (patient_is, stay_is, why) in [
        (child, json!({}), "The discharge is not followed up: The patient is a child."),
        (
            patient(),
            json!({"hospitalization": to("hosp")}),
            "The discharge is not followed up: The patient went to a hospice.",
        ),
        // None to follow up in the first place.
        (patient(), json!({"class": {"system": system, "code": "EMER"}}), ""),
        (patient(), json!({"period": {"start": "2020-01-01T08:00:00Z", "end": "2020-01-02T08:00:00Z"}}), ""),
    ] {
        let mut world = World::new();
        let left = stay("e", &stay_is);
        world.write("hospital", vec![patient_is, left.clone()]).unwrap();
        let expected: Vec<_> = [why].into_iter().filter(|w| !w.is_empty()).collect();
        let told = heard(&world, "not-followed");
        assert_eq!(told.iter().map(|(_, text, _)| text.as_str()).collect::<Vec<_>>(), expected);
        let puts = world.memory.puts;
        world.now = world.now.plus_seconds(60);
        world.write("hospital", vec![left]).unwrap();
        assert_eq!(world.memory.puts, puts, "{why}: said again, nothing new");
        if told.is_empty() {
            continue;
        }
        assert_eq!((told[0].0.as_str(), told[0].2.as_str()), ("completed", "Organization/lakeside"), "{why}");
        world.write("hospital", vec![patient(), encounter()]).unwrap();
        assert_eq!(
            (world.episodes(), heard(&world, "not-followed")[0].0.as_str()),
            (vec!["active".to_string()], "entered-in-error")
        );
    }
    let mut world = World::new();
    let left = stay("e", &json!({"hospitalization": to("hosp")}));
    world.write("hospital", vec![patient(), left.clone()]).unwrap();
    world.write("hospital", vec![stay("e", &json!({"status": "in-progress"}))]).unwrap();
    assert_eq!(heard(&world, "not-followed")[0].0, "entered-in-error", "it was no discharge");
    world.write("hospital", vec![left]).unwrap();
    assert_eq!(heard(&world, "not-followed")[0].0, "completed", "now it is");
}

#[test]
fn a_follow_up_that_nobody_closes_is_asked_for_twice_and_ends_by_itself() {
    let (mut world, call) = World::with_call();
    let close = world.task("close-episode");
    world.escalate("super", &close).unwrap();
    assert_eq!(heard(&world, "escalated").len(), 0, "before its time nothing");
    let due = world.json(&close)["restriction"]["period"]["end"].text().to_string();
    world.now = crate::clock::Instant::parse(&due).unwrap().plus_seconds(60);
    for step in 1..=2 {
        for _ in 0..2 {
            world.escalate("super", &close).unwrap();
            let told = heard(&world, "escalated");
            assert_eq!(told.len(), step, "asked twice, it is one step");
            assert!(told[0].1.starts_with("The follow-up was to be closed by"), "{told:?}");
        }
        world.now = world.now.plus_seconds(7 * 86_400);
    }
    assert_eq!(world.episodes(), ["active"]);
    world.escalate("super", &close).unwrap();
    assert_eq!(world.episodes(), ["finished"]);
    assert_eq!((world.status(&close), world.status(&call)), ("cancelled", "failed"));
    assert!(super::open_tasks(&world).is_empty());
    let told = heard(&world, "outcome");
    assert!(
        told[0].1.starts_with("The follow-up has ended before its time: Nobody closed the follow-up in time."),
        "{told:?}"
    );
    let puts = world.memory.puts;
    world.escalate("super", &close).unwrap();
    assert_eq!(world.memory.puts, puts);
    let why = |n: &Json| n["text"].text().split(':').next().unwrap_or_default().to_string();
    assert_eq!(
        world.json(&close)["note"].items().iter().map(why).collect::<Vec<_>>(),
        [
            "Priority routine and due as the protocol says.",
            "Priority urgent in place of routine",
            "Priority asap in place of urgent"
        ]
    );
}

/// How often, and how long after one another, is the protocol's to say.
#[test]
fn how_often_a_close_is_asked_for_is_data() {
    let mut world = World::with_discharge();
    let close = world.task("close-episode");
    let mut programme = (*world.programme).clone();
    let mut rules = crate::fhir::json::parse(include_bytes!("../../../../profiles/protocol/choice.json")).unwrap();
    let hourly = json!([{"url": "offset", "valueDuration": {"value": 1, "unit": "hours", "system": "http://unitsofmeasure.org", "code": "h"}},
        {"url": "most", "valueInteger": 1}]);
    let mut complaints = crate::workflow::programme::files::Complaints::default();
    let mut extensions = rules["extension"].items().to_vec();
    let reminder = extensions.iter_mut().find(|e| e["url"].text().ends_with("close-reminder")).unwrap();
    reminder.set("extension", Json::from(hourly));
    rules.set("extension", Json::Array(extensions));
    programme.choice = crate::workflow::protocol::Choice::read("choice", &rules, &programme.plans, &mut complaints);
    complaints.settle().unwrap();
    world.programme = std::sync::Arc::new(programme);
    let due = world.json(&close)["restriction"]["period"]["end"].text().to_string();
    world.now = crate::clock::Instant::parse(&due).unwrap().plus_seconds(60);
    world.escalate("super", &close).unwrap();
    assert_eq!(world.episodes(), ["active"]);
    world.now = world.now.plus_seconds(3_600);
    world.escalate("super", &close).unwrap();
    assert_eq!(world.episodes(), ["finished"]);
}

/// Whatever ends the Task that closes an episode, the episode does not stay open for ever: at the due time it ends.
#[test]
fn a_close_that_nobody_is_left_for_ends_the_follow_up_at_its_due_time() {
    let own = |code: &str| json!({"coding": [{"system": "http://baton.example/fhir/CodeSystem/task-status-reason", "code": code}]});
    for (who, status, reason) in [
        ("jonas", "failed", json!({"text": "no time"})),
        ("jonas", "failed", own("declined-by-patient")),
        ("jonas", "rejected", json!({"text": "not ours"})),
        ("hospital", "cancelled", json!({"text": "not needed"})),
        ("hospital", "entered-in-error", json!({"text": "wrong"})),
    ] {
        let (mut world, call) = World::with_call();
        // Harbour takes no part: nobody but Elm Street could close it.
        let lakeside = json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside"});
        world.memory.client(lakeside.into(), 0);
        let close = world.task("close-episode");
        if who == "jonas" {
            world.claim_now("jonas", &close).unwrap();
        }
        if status == "failed" {
            world.change("jonas", &close, |t| t.set("status", "in-progress")).unwrap();
        }
        let ends = |t: &mut Json| {
            t.set("status", status);
            t.set("statusReason", Json::from(reason.clone()));
        };
        world.change(who, &close, ends).unwrap_or_else(|e| panic!("{status} {reason}: {e}"));
        assert_eq!(world.episodes(), ["active"], "{status} {reason}: calls go on until it is due");
        assert_eq!(
            world.json(&close)["businessStatus"]["coding"][0]["code"].text(),
            "nobody-left",
            "{status} {reason}"
        );
        world.escalate("super", &close).unwrap();
        assert_eq!(world.episodes(), ["active"], "{status} {reason}: not before its time");
        let due = world.json(&close)["restriction"]["period"]["end"].text().to_string();
        world.now = crate::clock::Instant::parse(&due).unwrap().plus_seconds(60);
        world.escalate("super", &close).unwrap();
        assert_eq!(
            (world.episodes(), world.status(&call)),
            (vec!["finished".to_string()], "failed"),
            "{status} {reason}"
        );
        assert!(heard(&world, "outcome")[0].1.contains("Nobody closed the follow-up in time"), "{status} {reason}");
        assert_eq!(world.status(&close), status, "what it is it stays");
        let puts = world.memory.puts;
        world.escalate("super", &close).unwrap();
        assert_eq!(world.memory.puts, puts, "and nothing is left to do");
    }
}
