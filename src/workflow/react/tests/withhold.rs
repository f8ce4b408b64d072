//! A patient who does not want some pharmacy to have the hand-off.

use super::open_tasks;
use crate::fhir::Target;
use crate::workflow::task;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn provision(id: &str, date: &str, provision: &Value) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active", "dateTime": date,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policy": [{"uri": "http://lakeside.example/privacy"}],
        "patient": {"reference": "Patient/p"},
        "provision": provision,
    })
}

fn deny(orgs: &[&str]) -> Value {
    let actors: Vec<Value> = orgs
        .iter()
        .map(|id| json!({"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": format!("Organization/{id}")}}))
        .collect();
    provision("no", "2026-11-20", &json!({"type": "deny", "actor": actors}))
}

fn offered(world: &World, code: &str) -> Vec<String> {
    let mut out: Vec<String> =
        task::candidates(world.json(&world.task(code))).into_iter().map(|c| c.replace("Organization/", "")).collect();
    out.sort();
    out
}

fn status(world: &World, at: &Target) -> String {
    world.json(at)["businessStatus"]["coding"][0]["code"].text().to_string()
}

fn told(world: &World) -> Vec<String> {
    let all = world.memory.all("Communication");
    all.iter()
        .filter(|c| c["topic"]["text"].text().contains("Consent"))
        .map(|c| c["topic"]["text"].text().to_string())
        .collect()
}

fn why(world: &World) -> Vec<String> {
    let episode = world.memory.all("EpisodeOfCare")[0];
    let of = episode["extension"].items().iter().filter(|e| e["url"].text().ends_with("/consent-withheld"));
    of.map(|e| e["valueReference"]["reference"].text().to_string()).collect()
}

#[test]
fn a_pharmacy_that_is_kept_out_is_not_asked_whether_the_consent_comes_before_with_or_after_the_discharge() {
    let mut before = World::new();
    before.write("hospital", vec![patient(), deny(&["elm"])]).unwrap();
    before.write("hospital", discharge()).unwrap();
    let mut with = World::new();
    let mut all = discharge();
    all.push(deny(&["elm"]));
    with.write("hospital", all).unwrap();
    let mut after = World::with_discharge();
    assert!(after.sees("elm", &after.task("first-call")));
    after.write("hospital", vec![deny(&["elm"])]).unwrap();
    for (name, mut world) in [("before", before), ("with", with), ("after", after)] {
        let call = world.task("first-call");
        assert_eq!(world.episodes(), ["active"], "{name}");
        assert_eq!(offered(&world, "first-call"), ["harbour"], "{name}");
        assert!(!world.sees("elm", &call) && world.sees("harbour", &call), "{name}");
        assert_eq!((why(&world).as_slice(), told(&world).len()), (["Consent/no".to_string()].as_slice(), 1), "{name}");
        world.claim_now("harbour", &call).unwrap();
        assert!(world.sees("harbour", &target("Patient/p")), "{name}");
        assert!(!world.sees("harbour", &target("Consent/no")), "{name}: whom it names is the hospital's to know");
        let puts = world.memory.puts;
        world.change("hospital", &target("Consent/no"), |_| ()).unwrap();
        assert_eq!(world.memory.puts, puts, "{name}: said again, nothing new");
    }
}

#[test]
fn where_all_are_kept_out_nobody_is_asked_until_the_consent_ends() {
    for end in ["inactive", "entered-in-error"] {
        let mut world = World::with_discharge();
        let puts = world.memory.puts;
        world.write("hospital", vec![deny(&["elm", "harbour"])]).unwrap();
        assert!(world.memory.puts > puts);
        let call = world.task("first-call");
        assert_eq!(status(&world, &call), "consent-withheld");
        assert!(!world.sees("elm", &call) && !world.sees("harbour", &call));
        assert!(told(&world)[0].contains("every pharmacy"), "{:?}", told(&world));
        assert_eq!(world.episodes(), ["active"]);
        world.change("hospital", &target("Consent/no"), |c| c.set("status", end)).unwrap();
        assert_eq!(offered(&world, "first-call"), ["elm", "harbour"], "{end}");
        assert_eq!(status(&world, &call), "offered", "{end}");
        assert_eq!(why(&world), [""; 0], "{end}");
        world.claim_now("elm", &call).unwrap();
        assert!(world.sees("elm", &target("Patient/p")), "{end}");
    }
    // From the beginning.
    let mut world = World::new();
    let mut all = discharge();
    all.push(deny(&["elm", "harbour"]));
    world.write("hospital", all).unwrap();
    assert_eq!(status(&world, &world.task("first-call")), "consent-withheld");
    assert_eq!(world.memory.all("Communication").len(), 1, "not that nobody is known");
    world.write("super", vec![json!({"resourceType": "Consent", "id": "no"})]).unwrap();
    assert_eq!(offered(&world, "first-call"), ["elm", "harbour"]);
}

#[test]
fn what_is_denied_to_all_but_one_goes_to_that_one() {
    let mut world = World::new();
    let elm = deny(&["elm"])["provision"]["actor"].clone();
    let but = json!({"type": "deny", "provision": [{"type": "permit", "actor": elm}]});
    let mut all = discharge();
    all.push(provision("but", "2026-11-20", &but));
    world.write("hospital", all).unwrap();
    assert_eq!(offered(&world, "first-call"), ["elm"]);
    // A refusal of all that comes later is one of all.
    world.write("hospital", vec![provision("no", "2026-11-21", &json!({"type": "deny"}))]).unwrap();
    assert_eq!(world.episodes(), ["cancelled"]);
    assert_eq!(world.reasons(), ["consent-refused"]);
    let of_the_end: Vec<String> =
        told(&world).into_iter().filter(|t| t.contains("does not want to be followed up")).collect();
    assert_eq!(of_the_end.len(), 1, "{:?}", told(&world));
}

#[test]
fn a_task_that_was_taken_goes_to_others_and_the_patient_is_out_of_sight() {
    let mut world = World::with_discharge();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    assert!(world.sees("elm", &target("Patient/p")));
    world.write("hospital", vec![deny(&["elm"])]).unwrap();
    assert_eq!((world.status(&call), offered(&world, "first-call")), ("requested", vec!["harbour".to_string()]));
    assert!(world.memory.shares.keys().all(|(o, ..)| *o != crate::search::Keys(1, 2).org("elm")));
    world.claim_now("elm", &call).unwrap_err();
    world.claim_now("harbour", &call).unwrap();
}

#[test]
fn a_pharmacy_that_was_named_loses_its_tasks_to_the_others() {
    let mut world = World::new();
    world.write("hospital", vec![patient(), encounter(), home_medicine(), prescription("m", Some("elm"))]).unwrap();
    let call = world.task("first-call");
    assert_eq!(task::owner(world.json(&call)), "Organization/elm");
    world.write("hospital", vec![deny(&["elm"])]).unwrap();
    assert_eq!((task::owner(world.json(&call)), offered(&world, "first-call")), ("", vec!["harbour".to_string()]));
    assert!(!world.sees("elm", &call));
    world.change("hospital", &target("Consent/no"), |c| c.set("status", "inactive")).unwrap();
    assert_eq!(task::owner(world.json(&call)), "Organization/elm", "named again");
    assert!(world.sees("elm", &call) && !world.sees("harbour", &call));
}

#[test]
fn work_that_has_begun_is_stopped_and_ends_with_its_pharmacy() {
    for ends_by_abort in [true, false] {
        let (mut world, call) = World::with_call();
        world.write("hospital", vec![deny(&["elm"])]).unwrap();
        assert_eq!(world.status(&call), "on-hold");
        assert_eq!(world.json(&call)["statusReason"]["coding"][0]["code"].text(), "consent-withheld");
        assert_eq!(offered(&world, "check-pickup"), ["harbour"], "what had not begun is open to others");
        assert!(world.sees("elm", &target("Patient/p")), "until it has ended its work");
        world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap_err();
        world.write("hospital", vec![prescription("new", None)]).unwrap();
        assert!(!world.sees("elm", &target("MedicationRequest/new")), "nothing new is shown");
        if ends_by_abort {
            let abort = world.task("abort");
            world.claim_now("elm", &abort).unwrap();
            world.change("mara", &abort, |t| t.set("status", "in-progress")).unwrap();
            world
                .change("mara", &abort, |t| {
                    t.set("status", "completed");
                    t.set(
                        "output",
                        crate::fhir::Json::from(json!([{"type": {"text": "note"}, "valueString": "stopped"}])),
                    );
                })
                .unwrap();
            assert_eq!(world.status(&call), "cancelled");
        } else {
            world
                .change("mara", &call, |t| {
                    t.set("status", "failed");
                    t.set("statusReason", crate::fhir::Json::from(json!({"text": "stopped"})));
                })
                .unwrap();
        }
        assert!(!world.sees("elm", &target("Patient/p")), "abort {ends_by_abort}");
        let calls = world
            .memory
            .all("Task")
            .into_iter()
            .filter(|t| t["code"]["coding"][0]["code"].text() == "first-call" && t["status"].text() == "requested");
        let calls: Vec<_> = calls.map(task::candidates).collect();
        assert_eq!(calls, [["Organization/harbour"]], "abort {ends_by_abort}: another goes on");
    }
}

#[test]
fn work_that_was_stopped_goes_on_when_the_consent_ends() {
    let (mut world, call) = World::with_call();
    world.write("hospital", vec![deny(&["elm"])]).unwrap();
    assert!(open_tasks(&world).contains(&"abort".into()));
    world.change("hospital", &target("Consent/no"), |c| c.set("status", "inactive")).unwrap();
    assert!(!open_tasks(&world).contains(&"abort".into()));
    world.change("mara", &call, |t| t.set("status", "in-progress")).unwrap();
}

#[test]
fn a_consent_holds_from_its_first_day_to_its_last() {
    let mut world = World::with_discharge();
    let mut no = deny(&["elm"]);
    no["provision"]["period"] = json!({"start": "2026-11-27", "end": "2026-11-29"});
    world.write("hospital", vec![no]).unwrap();
    let call = world.task("first-call");
    assert_eq!(offered(&world, "first-call"), ["elm", "harbour"]);
    world.now = world.now.plus_seconds(2 * 86_400);
    assert_eq!(world.claim_now("elm", &call).unwrap_err().kind.status(), 403, "before the worker has come by");
    world.escalate("super", &target("Consent/no")).unwrap();
    assert_eq!(offered(&world, "first-call"), ["harbour"]);
    world.now = world.now.plus_seconds(3 * 86_400);
    world.escalate("super", &target("Consent/no")).unwrap();
    assert_eq!(offered(&world, "first-call"), ["elm", "harbour"]);
    let puts = world.memory.puts;
    world.escalate("super", &target("Consent/no")).unwrap();
    assert_eq!(world.memory.puts, puts);
}

fn labelled(mut resource: Value) -> Value {
    resource["meta"] =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}]});
    resource
}

fn permit(orgs: &[&str]) -> Value {
    let mut said = deny(orgs)["provision"].clone();
    said["type"] = "permit".into();
    said["securityLabel"] =
        json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]);
    provision("yes", "2026-11-20", &said)
}

fn lists(world: &World, what: &str) -> bool {
    world.memory.all("List").iter().any(|l| l.to_string().contains(what))
}

#[test]
fn what_part_2_protects_is_shown_and_told_to_nobody_whom_no_consent_lets_in() {
    let hidden = target("MedicationRequest/methadone");
    let with = |more: &[Value]| {
        let mut world = World::new();
        let mut all = discharge();
        all.push(labelled(prescription("methadone", None)));
        all.extend(more.iter().cloned());
        world.write("hospital", all).unwrap();
        let call = world.task("first-call");
        world.claim_now("elm", &call).unwrap();
        world
    };
    let mut world = with(&[]);
    assert!(world.sees("elm", &target("MedicationRequest/m")) && !world.sees("elm", &hidden));
    assert!(lists(&world, "MedicationRequest/m\"") && !lists(&world, "methadone"));
    assert_eq!(task::candidates(world.json(&world.task("first-call"))).len(), 2, "the rest is handed on as ever");
    // A permit of all who have it, or could, lets it in; its end takes it away.
    world.write("hospital", vec![permit(&["elm"])]).unwrap();
    assert!(!world.sees("elm", &hidden), "another could have it, too");
    world.write("hospital", vec![permit(&["elm", "harbour"])]).unwrap();
    assert!(world.sees("elm", &hidden) && lists(&world, "methadone"));
    world.change("hospital", &target("Consent/yes"), |c| c.set("status", "inactive")).unwrap();
    assert!(!world.sees("elm", &hidden) && !lists(&world, "methadone"));
    // From the beginning.
    let world = with(&[permit(&["elm", "harbour"])]);
    assert!(world.sees("elm", &hidden) && lists(&world, "methadone"));
    // A label that comes later takes it away.
    let mut world = World::with_discharge();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    world.write("hospital", vec![prescription("methadone", None)]).unwrap();
    assert!(world.sees("elm", &hidden) && lists(&world, "methadone"));
    world.write("hospital", vec![labelled(prescription("methadone", None))]).unwrap();
    assert!(!world.sees("elm", &hidden) && !lists(&world, "methadone"));
    assert!(world.memory.shares.keys().all(|(_, t, _)| *t != hidden), "nor to who claims it next");
}

#[test]
fn a_stay_that_is_protected_is_told_to_whom_a_consent_lets_in() {
    let mut world = World::new();
    let mut all = discharge();
    all[1] = labelled(encounter());
    world.write("hospital", all).unwrap();
    let call = world.task("first-call");
    assert_eq!(status(&world, &call), "consent-withheld");
    assert!(!world.sees("elm", &call) && !world.sees("harbour", &call));
    world.write("hospital", vec![permit(&["elm"])]).unwrap();
    assert_eq!(offered(&world, "first-call"), ["elm"]);
    world.claim_now("elm", &call).unwrap();
    assert!(world.sees("elm", &target("Encounter/e")));
    world.change("hospital", &target("Consent/yes"), |c| c.set("status", "inactive")).unwrap();
    assert_eq!(world.status(&call), "requested");
    assert!(!world.sees("elm", &target("Encounter/e")) && !world.sees("elm", &call));
}
