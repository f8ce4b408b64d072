use crate::clock::Instant;
use crate::fhir::Json;
use crate::search::Env;
use crate::workflow::programme::Programme;
use crate::workflow::protocol::{Case, Condition};
use crate::workflow::world::*;
use crate::workflow::{element, task};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const BASE: &str = "http://baton.example/fhir";

/// A folder of profiles that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("baton-protocol-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("protocol")).unwrap();
        Self(dir)
    }

    fn put(&self, file: &str, resource: &Value) {
        std::fs::write(self.0.join("protocol").join(file), resource.to_string()).unwrap();
    }

    fn load(&self, kept: &[Json]) -> Result<Programme, String> {
        load(Some(&self.0), kept)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn load(dir: Option<&Path>, kept: &[Json]) -> Result<Programme, String> {
    let live = Programme::for_tests().live;
    Programme::load_over(dir, live, Env::utc("http://127.0.0.1:8080/fhir"), "test", kept).map_err(|e| {
        let issues = e.issues.iter().map(|i| format!("{} {}", i.expression, i.diagnostics));
        issues.collect::<Vec<_>>().join("\n")
    })
}

fn built_in(file: &str) -> Value {
    let name = format!("protocol/{file}");
    let text = super::super::programme::files::BUILT_IN.iter().find(|(n, _)| *n == name).unwrap().1;
    serde_json::from_str(text).unwrap()
}

fn times(programme: &Programme, plan: &str, at: &str) -> Vec<(String, String, String)> {
    let plan = &programme.plans[&format!("{BASE}/PlanDefinition/{plan}|1")];
    let intents = plan.intents(Instant::parse(at).unwrap()).into_iter();
    intents.map(|i| (i.action, i.opens_at.to_seconds_text(), i.due_at.to_seconds_text())).collect()
}

#[test]
fn the_shipped_protocols_give_these_times() {
    // Wednesday before Thanksgiving, three in the afternoon in New York.
    let discharge = "2026-11-25T20:00:00Z";
    type Due = (&'static str, &'static str, &'static str);
    let tables: [(&str, &[Due]); 3] = [
        (
            "tcm-30-day",
            &[
                ("first-call", discharge, "2026-12-01T04:59:00Z"),
                ("pharmacist-check", discharge, "2026-12-03T04:59:00Z"),
                ("check-pickup", discharge, "2026-11-26T20:00:00Z"),
                ("contact-day-14", "2026-12-08T04:59:00Z", "2026-12-10T04:59:00Z"),
                ("close-episode", "2026-12-25T04:59:00Z", "2026-12-26T04:59:00Z"),
            ],
        ),
        (
            "dms-3-stage",
            &[
                ("pharmacist-check", discharge, "2026-11-28T20:00:00Z"),
                ("check-pickup", "2026-11-28T20:00:00Z", "2026-12-13T04:59:00Z"),
                ("first-call", "2026-11-29T04:59:00Z", "2026-12-13T04:59:00Z"),
                ("close-episode", "2026-12-13T04:59:00Z", "2026-12-31T04:59:00Z"),
            ],
        ),
        (
            "one-call",
            &[
                ("first-call", discharge, "2026-12-01T04:59:00Z"),
                ("pharmacist-check", discharge, "2026-11-28T20:00:00Z"),
                ("close-episode", "2026-12-06T04:59:00Z", "2026-12-13T04:59:00Z"),
            ],
        ),
    ];
    for (plan, expected) in tables {
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
        assert_eq!(times(&Programme::for_tests(), plan, discharge), expected, "{plan}");
    }
}

#[test]
fn each_relationship_counts_from_its_moment() {
    let discharge = "2026-11-25T20:00:00Z";
    let hours = |n: i64| json!({"value": n, "unit": "hours", "system": "http://unitsofmeasure.org", "code": "h"});
    for (relationship, to, offset, opens, due) in [
        (
            "after-end",
            "first-call",
            json!({"offsetDuration": hours(2)}),
            "2026-12-01T04:59:00Z",
            "2026-12-01T06:59:00Z",
        ),
        ("after", "first-call", json!({"offsetDuration": hours(2)}), "2026-12-01T04:59:00Z", "2026-12-01T06:59:00Z"),
        ("after-start", "first-call", json!({"offsetDuration": hours(2)}), discharge, "2026-11-25T22:00:00Z"),
        (
            "before-end",
            "first-call",
            json!({"offsetDuration": hours(2)}),
            "2026-12-01T02:59:00Z",
            "2026-12-01T02:59:00Z",
        ),
        (
            "before-end",
            "first-call",
            json!({"offsetRange": {"low": hours(2), "high": hours(5)}}),
            "2026-11-30T23:59:00Z",
            "2026-12-01T02:59:00Z",
        ),
        ("concurrent-with-end", "first-call", json!({}), "2026-12-01T04:59:00Z", "2026-12-01T04:59:00Z"),
        // Nothing is due before the discharge.
        ("before-start", "discharge", json!({"offsetDuration": hours(2)}), discharge, discharge),
    ] {
        let mut plan = built_in("one-call.json");
        let mut related = json!({"actionId": to, "relationship": relationship});
        related.as_object_mut().unwrap().extend(offset.as_object().unwrap().clone());
        plan["action"][2]["relatedAction"] = json!([related]);
        let folder = Folder::new(&format!("relation-{relationship}-{to}-{}", offset.to_string().len()));
        folder.put("one-call.json", &plan);
        let programme = folder.load(&[]).unwrap();
        let expected = ("pharmacist-check".to_string(), opens.to_string(), due.to_string());
        assert_eq!(times(&programme, "one-call", discharge)[1], expected, "{relationship} {to} {offset}");
    }
}

#[test]
fn a_broken_protocol_file_is_refused_with_file_and_path() {
    let at = |path: &str, value: Value| {
        let mut plan = built_in("tcm-30-day.json");
        *plan.pointer_mut(path).unwrap() = value;
        ("tcm-30-day.json", plan)
    };
    let when = |expression: &str| {
        let mut plan = built_in("one-call.json");
        plan["action"][2]["condition"][0]["expression"]["expression"] = json!(expression);
        ("one-call.json", plan)
    };
    let activity = |extra: Value| {
        let mut activity = built_in("activity-first-call.json");
        activity.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ("activity-first-call.json", activity)
    };
    let choice = |path: &str, value: Value| {
        let mut plan = built_in("choice.json");
        *plan.pointer_mut(path).unwrap() = value;
        ("choice.json", plan)
    };
    let with_action = |extra: Value| {
        let mut plan = built_in("tcm-30-day.json");
        plan["action"][1].as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ("tcm-30-day.json", plan)
    };
    let unresolved = format!("{BASE}/ActivityDefinition/dance|1");
    for ((file, resource), path, says) in [
        (at("/action/1/relatedAction/0/actionId", json!("close-episode")), "", ""),
        (at("/action/2/relatedAction/0/actionId", json!("contact-day-14")), "PlanDefinition.action", "after itself"),
        (
            at("/action/1/definitionCanonical", json!(unresolved)),
            "PlanDefinition.action[1].definitionCanonical",
            "dance",
        ),
        (
            at("/action/1/relatedAction/0/relationship", json!("sometime")),
            "PlanDefinition.action[1].relatedAction[0].relationship",
            "sometime",
        ),
        (
            at("/action/1/relatedAction/0/extension/0/extension/1/valueString", json!("moon")),
            "PlanDefinition.action[1].relatedAction[0].extension",
            "moon",
        ),
        (at("/action/1/priority", json!("urgent")), "", ""),
        (
            with_action(json!({"timingDuration": {"value": 1, "code": "h"}})),
            "PlanDefinition.action[1].timingDuration",
            "not among",
        ),
        (with_action(json!({"action": [{"title": "and then"}]})), "PlanDefinition.action[1].action", "not among"),
        (
            with_action(json!({"dynamicValue": [{"path": "priority"}]})),
            "PlanDefinition.action[1].dynamicValue",
            "not among",
        ),
        (
            with_action(
                json!({"participant": [{"type": "practitioner", "role": {"coding": [{"code": "pharmacits"}]}}]}),
            ),
            "PlanDefinition.action[1].participant[0].role",
            "183500000X",
        ),
        (when("%medicines >"), "PlanDefinition.action[2].condition[0].expression.expression", "no FHIRPath"),
        (when("%tablets > 3"), "PlanDefinition.action[2].condition[0].expression.expression", "tablets"),
        (when("medicines.count().round(a,b,c)"), "PlanDefinition.action[2].condition[0].expression.expression", ""),
        (
            activity(
                json!({"relatedArtifact": [{"type": "depends-on", "resource": format!("{BASE}/Questionnaire/no|1")}]}),
            ),
            "PlanDefinition.action[1].definitionCanonical",
            "Questionnaire/no|1",
        ),
        (
            activity(json!({"extension": [{"url": format!("{BASE}/StructureDefinition/attempts"), "extension": [
                {"url": "most", "valueInteger": 3}, {"url": "gap", "valueDuration": {"value": 2, "code": "h"}},
                {"url": "dayparts", "valueInteger": 9}, {"url": "hours", "valueString": "calling"}]}]})),
            "PlanDefinition.action[1].definitionCanonical",
            "dayparts",
        ),
        (
            choice("/action/0/definitionCanonical", json!("http://x/y")),
            "PlanDefinition.action[0].definitionCanonical",
            "x/y",
        ),
        (
            choice(
                "/action/3",
                json!({"title": "x", "condition": built_in("choice.json")["action"][0]["condition"],
            "definitionCanonical": format!("{BASE}/PlanDefinition/one-call")}),
            ),
            "PlanDefinition.action",
            "last rule",
        ),
    ] {
        let folder = Folder::new("broken");
        folder.put(file, &resource);
        let loaded = folder.load(&[]).map(|_| ());
        if path.is_empty() {
            assert_eq!(loaded, Ok(()), "an action may count from another one: the positive control");
            continue;
        }
        let why = loaded.unwrap_err();
        let fits = |l: &str| l.starts_with(&format!("{path} protocol/")) && l.contains(".json: ") && l.contains(says);
        assert!(why.lines().any(fits), "{file}: {why}");
    }
}

#[test]
fn conditions_as_a_table() {
    let encounter: Json = json!({"resourceType": "Encounter", "class": {"code": "IMP"}}).into();
    let coverage: Json =
        json!({"resourceType": "Coverage", "status": "active", "payor": [{"reference": "Organization/medicaid"}]})
            .into();
    let patient: Json = json!({"resourceType": "Patient", "birthDate": "1949-01-30"}).into();
    let case = Case {
        encounter: Some(&encounter),
        patient: Some(&patient),
        coverage: vec![&coverage],
        medicines: 5,
        now: Instant::parse(NOW),
        ..Case::default()
    };
    for (expression, holds) in [
        ("%medicines >= 5", Some(true)),
        ("%medicines > 5", Some(false)),
        ("class.code = 'IMP'", Some(true)),
        ("%coverage.payor.reference = 'Organization/medicaid'", Some(true)),
        ("%coverage.where(status = 'cancelled').exists()", Some(false)),
        ("%patient.birthDate <= today() - 65 years", Some(true)),
        ("%hospital.id = 'x'", Some(false)),
        ("%risk.exists()", Some(false)),
        ("%medicines", None),
        ("1 | 2", None),
    ] {
        let condition: Json =
            json!({"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": expression}})
                .into();
        let mut complaints = crate::workflow::programme::files::Complaints::default();
        let condition = Condition::read("f", "p", &condition, &mut complaints).unwrap();
        assert_eq!(condition.holds(&case).ok(), holds, "{expression}");
    }
}

/// (change of what the hospital sends, protocol)
#[test]
fn hospital_and_payer_choose_the_protocol() {
    let asks = |code: &str| json!([{"coding": [{"system": format!("{BASE}/CodeSystem/protocol"), "code": code}]}]);
    let coverage = |status: &str| {
        json!({"resourceType": "Coverage", "id": "c", "status": status, "beneficiary": {"reference": "Patient/p"},
            "payor": [{"display": "Medicare"}], "type": asks("tcm-30-day")[0]})
    };
    for (hospital, payer, protocol, tasks) in [
        (None, None, "safemed-45-day", 6),
        (Some("one-call"), None, "one-call", 2),
        (Some("dms-3-stage"), None, "dms-3-stage", 4),
        (None, Some("active"), "tcm-30-day", 5),
        (None, Some("cancelled"), "safemed-45-day", 6),
        (Some("one-call"), Some("active"), "one-call", 2),
    ] {
        let mut world = World::new();
        if let Some(code) = hospital {
            let mut organization = world.json(&target("Organization/lakeside")).clone();
            organization.set("type", Json::from(asks(code)));
            world.memory.client(organization, 0);
        }
        let mut resources = discharge();
        resources.extend(payer.map(coverage));
        world.write("hospital", resources).unwrap();
        let canonical = format!("{BASE}/PlanDefinition/{protocol}|1");
        let plan = world.memory.all("CarePlan")[0];
        assert_eq!(plan["instantiatesCanonical"][0].text(), canonical);
        let episode = world.memory.all("EpisodeOfCare")[0];
        assert_eq!(element::extension(episode, "protocol").unwrap()["valueCanonical"].text(), canonical);
        let opened = world.tasks().iter().filter(|(code, _)| code != "review-dtp").count();
        assert_eq!(opened, tasks, "{protocol}: {:?}", world.tasks());
        let puts = world.memory.puts;
        world.change("hospital", &target("Encounter/e"), |_| {}).unwrap();
        assert_eq!(world.memory.puts, puts, "a replay chooses nothing anew");
    }
}

#[test]
fn an_action_is_opened_when_later_data_call_for_it() {
    let mut world = World::new();
    let mut organization = world.json(&target("Organization/lakeside")).clone();
    let one_call = json!([{"coding": [{"system": format!("{BASE}/CodeSystem/protocol"), "code": "one-call"}]}]);
    organization.set("type", Json::from(one_call));
    world.memory.client(organization, 0);
    world.write("hospital", discharge()).unwrap();
    let is_open = |w: &World| w.tasks().iter().any(|(code, _)| code == "pharmacist-check");
    for n in 2..=5 {
        assert!(!is_open(&world), "{n}");
        world.write("hospital", vec![prescription(&format!("m{n}"), None)]).unwrap();
    }
    assert!(is_open(&world), "five medicines");
    let puts = world.memory.puts;
    world.change("hospital", &target("MedicationRequest/m5"), |_| {}).unwrap();
    assert_eq!(world.memory.puts, puts);
}

#[test]
fn a_new_version_does_not_move_a_running_episode() {
    let old = Programme::for_tests();
    let kept: Vec<Json> = old.pinned().map(|r| Json::clone(r)).collect();
    assert!(kept.iter().any(|r| r["resourceType"].text() == "ActivityDefinition"));
    let folder = Folder::new("version");
    let mut plan = built_in("safemed-45-day.json");
    plan["action"].as_array_mut().unwrap().remove(1);
    plan["action"][1]["relatedAction"][0]["offsetDuration"]["value"] = json!(9);
    folder.put("safemed-45-day.json", &plan);
    let why = folder.load(&kept).unwrap_err();
    assert!(why.starts_with("PlanDefinition.version protocol/safemed-45-day.json: "), "{why}");
    plan["version"] = json!("2");
    folder.put("safemed-45-day.json", &plan);
    let new = folder.load(&kept).unwrap();
    assert_eq!(new.follow_up.canonical, format!("{BASE}/PlanDefinition/safemed-45-day|2"));

    let mut world = World::with_discharge();
    let call = world.task("first-call");
    let due = world.json(&call)["restriction"].clone();
    world.programme = new.into();
    // The hospital corrects the time by an hour: the Tasks follow by the version that the episode began by.
    world
        .change("hospital", &target("Encounter/e"), |e| {
            e.set("period", Json::from(json!({"start": "2026-11-22T08:00:00Z", "end": "2026-11-25T19:00:00Z"})));
        })
        .unwrap();
    assert_eq!(world.json(&call)["restriction"]["period"]["end"], due["period"]["end"], "two business days, not nine");
    assert_eq!(world.json(&call)["restriction"]["period"]["start"].text(), "2026-11-25T19:00:00Z");
    let pickup = world.task("check-pickup");
    assert!(!task::is_final(world.json(&pickup)), "what version 2 has not is still there");
    // A new discharge goes by the new one.
    let mut fresh = World::new();
    fresh.programme = world.programme.clone();
    fresh.write("hospital", discharge()).unwrap();
    let planned = fresh.tasks().into_iter().filter(|(code, _)| code != "review-dtp");
    assert_eq!(planned.count(), 5);
    // Without what was kept, the files alone would not know the old one.
    assert!(folder.load(&[]).unwrap().plans.len() + 1 == world.programme.plans.len());
}
