//! A patient who does not want to be followed up.

use super::{PLAN, open_tasks};
use crate::workflow::element::target_of;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn consent(id: &str, date: &str, kind: &str) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active", "dateTime": date,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p"},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": kind},
    })
}

fn refusal() -> Value {
    consent("no", "2026-11-20", "deny")
}

#[test]
fn who_refuses_is_not_followed_up_whether_the_refusal_comes_before_with_or_after_the_discharge() {
    let mut before = World::new();
    before.write("hospital", vec![patient(), refusal()]).unwrap();
    before.write("hospital", discharge()).unwrap();
    let mut with = World::new();
    let mut all = discharge();
    all.push(refusal());
    with.write("hospital", all).unwrap();
    let mut after = World::with_discharge();
    after.write("hospital", vec![refusal()]).unwrap();
    for (name, world) in [("before", &before), ("with", &with), ("after", &after)] {
        assert!(open_tasks(world).is_empty(), "{name}");
        assert_eq!(world.reasons(), ["consent-refused"], "{name}");
    }
    assert!(before.episodes().is_empty() && with.episodes().is_empty());
    assert_eq!(after.episodes(), ["cancelled"]);
    for (_, status) in after.tasks() {
        assert_eq!(status, "cancelled");
    }
    let call = after.json(&after.task("first-call"));
    assert_eq!(call["statusReason"]["coding"][0]["code"].text(), "consent-withdrawn");
    assert_eq!(call["businessStatus"]["coding"][0]["code"].text(), "withdrawn");
    assert!(!after.sees("elm", &after.task("first-call")), "no longer offered");
}

#[test]
fn a_consent_that_does_not_refuse_changes_nothing() {
    let mut research = refusal();
    research["scope"]["coding"][0]["code"] = "research".into();
    let mut world = World::with_discharge();
    let puts = world.memory.puts;
    world.write("hospital", vec![research, consent("yes", "2026-11-21", "permit")]).unwrap();
    assert_eq!(world.memory.puts, puts);
    assert_eq!(open_tasks(&world), PLAN);
}

#[test]
fn a_refusal_taken_back_lets_the_discharge_be_decided_anew() {
    for take_back in [
        Box::new(|w: &mut World| w.change("hospital", &target("Consent/no"), |c| c.set("status", "entered-in-error")))
            as Box<dyn Fn(&mut World) -> crate::error::Result<()>>,
        Box::new(|w: &mut World| w.write("hospital", vec![consent("yes", "2026-11-25", "permit")])),
        Box::new(|w: &mut World| w.write("super", vec![json!({"resourceType": "Consent", "id": "no"})])),
    ] {
        for early in [false, true] {
            let mut world = if early { World::new() } else { World::with_discharge() };
            if early {
                world.write("hospital", vec![patient()]).unwrap();
            }
            world.write("hospital", vec![refusal()]).unwrap();
            if early {
                world.write("hospital", discharge()).unwrap();
            }
            assert!(open_tasks(&world).is_empty());
            take_back(&mut world).unwrap();
            assert_eq!(open_tasks(&world), PLAN, "early {early}");
            assert_eq!(world.reasons(), [""; 0]);
            let puts = world.memory.puts;
            world.write("hospital", vec![consent("more", "2026-11-25", "permit")]).unwrap();
            assert_eq!(world.memory.puts, puts, "said again, nothing new");
        }
    }
}

#[test]
fn work_and_problems_end_with_the_consent_and_nobody_calls_any_more() {
    let (mut world, call) = World::with_problem_and_call();
    world.write("hospital", vec![refusal()]).unwrap();
    assert_eq!(world.status(&call), "on-hold");
    assert_eq!(open_tasks(&world), ["abort"]);
    assert_eq!(world.status(&target("DetectedIssue/d")), "cancelled");
    assert!(world.tasks().contains(&("review-dtp".into(), "cancelled".into())));
    let attempt = world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "reached"}])).unwrap_err();
    assert_eq!(attempt.kind.status(), 422);
    assert!(attempt.issues.iter().any(|i| i.expression == "Communication.subject"), "{attempt}");
    let goes_on = world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap_err();
    assert_eq!(goes_on.kind.status(), 422);
}

#[test]
fn a_refusal_that_is_not_in_force_yet_stops_the_calls_from_its_day() {
    let (mut world, call) = World::with_call();
    let mut later = refusal();
    later["provision"]["period"] = json!({"start": "2026-11-27"});
    world.write("hospital", vec![later]).unwrap();
    assert_eq!(world.episodes(), ["active"]);
    world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "no-answer"}])).unwrap();
    world.now = world.now.plus_seconds(2 * 86_400);
    let attempt = world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "reached"}])).unwrap_err();
    assert_eq!((attempt.kind.status(), attempt.issues[0].expression.as_str()), (422, "Communication.subject"));
}

#[test]
fn what_a_patient_says_on_the_phone_becomes_their_consent() {
    let (mut world, call) = World::with_call();
    let said = world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "patient-refused"}])).unwrap();
    let consents = world.memory.all("Consent");
    assert_eq!(consents.len(), 1);
    let consent = consents[0];
    assert_eq!(consent["provision"]["type"].text(), "deny");
    assert_eq!(consent["patient"]["reference"].text(), "Patient/p");
    assert_eq!(consent["dateTime"].text(), NOW);
    assert_eq!(consent["extension"][0]["valueReference"]["reference"].text(), target_of(&said).unwrap().to_string());
    assert!(world.sees("elm", &target_of(consent).unwrap()), "its pharmacy sees it");
    assert_eq!(world.episodes(), ["cancelled"]);
    assert_eq!(world.status(&call), "on-hold");
    assert_eq!(world.json(&call)["businessStatus"]["coding"][0]["code"].text(), "declined-by-patient");
    assert_eq!(world.reasons(), ["consent-refused"]);
    // The family is not the patient.
    let (mut world, call) = World::with_call();
    world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "family-refused"}])).unwrap();
    assert!(world.memory.all("Consent").is_empty());
    assert_eq!(world.episodes(), ["active"]);
}

#[test]
fn an_attempt_recorded_by_mistake_takes_its_refusal_with_it() {
    let (mut world, call) = World::with_call();
    let said = world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "patient-refused"}])).unwrap();
    world.change("mara", &target_of(&said).unwrap(), |c| c.set("status", "entered-in-error")).unwrap();
    assert_eq!(world.memory.all("Consent")[0]["status"].text(), "entered-in-error");
    assert_eq!(world.episodes(), ["active", "cancelled"]);
    assert_eq!(world.reasons(), [""; 0]);
}
