//! Protocols: which one a discharge is followed up by, what one asks for, what another would have done, and what becomes of an
//! episode when the files change.

use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::path::Path;

const BASE: &str = "http://baton.example/fhir";

/// The sample is posted by its hospital; the Patient's id.
pub async fn posted(server: &TestServer, name: &str) -> String {
    let sample = discharge(name, server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let entries = answer.body["entry"].as_array().expect("entries");
    let places = entries.iter().filter_map(|e| e["response"]["location"].as_str());
    let at = places.into_iter().find_map(|l| l.split("Patient/").nth(1)).expect("a Patient");
    at.split('/').next().expect("an id").to_string()
}

pub async fn task(server: &TestServer, patient: &str, code: &str) -> Value {
    let found = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|{code}")).await;
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found[0].clone()
}

/// The id of a Task's episode.
fn episode_of(task: &Value) -> &str {
    task["groupIdentifier"]["value"].as_str().expect("an episode")
}

fn parameters(list: Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": list})
}

fn value(parameters: &Value, name: &str) -> Value {
    let list = parameters["parameter"].as_array().expect("parameters");
    let found = list.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no {name} in {parameters}"));
    found.as_object().expect("a part").iter().find(|(k, _)| k.starts_with("value")).expect("a value").1.clone()
}

both_databases!(protocols_activities_and_forms_are_read_and_searched);
async fn protocols_activities_and_forms_are_read_and_searched(server: TestServer) {
    let pharmacy = server.pharmacy();
    for id in ["safemed-45-day", "tcm-30-day", "dms-3-stage", "one-call"] {
        let plan = pharmacy.read(&format!("PlanDefinition/{id}")).await.ok().body;
        assert_eq!(plan["url"], format!("{BASE}/PlanDefinition/{id}"));
        let found = pharmacy.read(&format!("PlanDefinition?url={BASE}/PlanDefinition/{id}")).await.ok().body;
        assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    }
    pharmacy.read("ActivityDefinition/first-call").await.ok();
    let guide = pharmacy.read("ImplementationGuide/baton").await.ok().body;
    let listed = guide["definition"]["resource"].as_array().expect("resources");
    for at in [
        "PlanDefinition/home-visit",
        "StructureDefinition/attempt",
        "ConceptMap/event-v2",
        "SearchParameter/Task-episode",
    ] {
        assert!(listed.iter().any(|r| r["reference"]["reference"] == at), "{at}");
        pharmacy.read(at).await.ok();
    }
}

both_databases!(apply_proposes_what_the_case_calls_for);
async fn apply_proposes_what_the_case_calls_for(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let hospital = server.other_hospital();
    let encounter = hospital.search(&format!("Encounter?patient={patient}")).await.remove(0);
    let count = || async { server.everyone().read("Task?_summary=count").await.ok().body["total"].clone() };
    let before = count().await;
    let query = format!(
        "PlanDefinition/one-call/$apply?subject=Patient/{patient}&encounter={}&organization=Organization/northgate",
        reference(&encounter)
    );
    let plan = hospital.read(&query).await.ok().body;
    assert_eq!(count().await, before, "nothing is stored");
    assert_eq!((plan["resourceType"].as_str(), plan["status"].as_str()), (Some("CarePlan"), Some("draft")));
    assert_eq!(plan["instantiatesCanonical"][0], format!("{BASE}/PlanDefinition/one-call|1"));
    let group = &plan["contained"][0];
    assert_eq!(group["resourceType"], "RequestGroup");
    assert_eq!(plan["activity"][0]["reference"]["reference"], format!("#{}", group["id"].as_str().unwrap()));
    let actions: Vec<&str> = group["action"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(actions, ["first-call", "pharmacist-check", "close-episode"], "five medicines: the pharmacist checks");
    let few = posted(&server, "06-no-medicines-known").await;
    let stay = server.everyone().search(&format!("Encounter?patient={few}")).await.remove(0);
    let of_few = format!("PlanDefinition/one-call/$apply?subject=Patient/{few}&encounter={}", reference(&stay));
    let proposed = server.everyone().read(&of_few).await.ok().body;
    assert_eq!(proposed["contained"][0]["action"].as_array().map(Vec::len), Some(2), "none: nothing to check");
    let call = task(&server, &patient, "first-call").await;
    assert_eq!(group["action"][0]["timingPeriod"]["end"], call["restriction"]["period"]["end"], "two business days");
    // The same by POST, the reference as R4's Reference; the CarePlan is valid R4.
    let body = parameters(json!([
        {"name": "subject", "valueReference": {"reference": format!("Patient/{patient}")}},
        {"name": "encounter", "valueReference": {"reference": reference(&encounter)}},
    ]));
    let posted = hospital.operation("PlanDefinition/one-call/$apply", &body, None).await.ok().body;
    assert_eq!(posted["contained"][0]["action"], group["action"]);
    let outcome = hospital.operation("CarePlan/$validate", &posted, None).await.ok().body;
    assert!(!outcome.to_string().contains("\"error\""), "{outcome}");

    // Who does not see the patient learns nothing, and what cannot be applied is told.
    server.hospital().read(&query).await.is(404);
    for (path, status, says) in [
        ("PlanDefinition/one-call/$apply".to_string(), 400, "subject"),
        (format!("PlanDefinition/no/$apply?subject=Patient/{patient}"), 404, "not known"),
        (format!("PlanDefinition/$apply?subject=Patient/{patient}"), 400, "planDefinition"),
        (format!("PlanDefinition/one-call/$apply?subject=Group/{patient}"), 400, "Patient"),
    ] {
        let answer = hospital.read(&path).await.is(status);
        assert!(answer.body.to_string().contains(says), "{path}: {answer:?}");
    }
}

both_databases!(apply_opens_tasks_in_the_episode_once);
async fn apply_opens_tasks_in_the_episode_once(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let hospital = server.other_hospital();
    let encounter = hospital.search(&format!("Encounter?patient={patient}")).await.remove(0);
    let mut plan = hospital.read("PlanDefinition/one-call").await.ok().body;
    plan["url"] = json!("http://x.example/PlanDefinition/extra");
    plan["action"][1]["id"] = json!("extra-call");
    plan["action"][3]["relatedAction"][0]["actionId"] = json!("extra-call");
    let body = |more: Value| {
        let mut list = vec![
            json!({"name": "planDefinition", "resource": plan}),
            json!({"name": "subject", "valueString": format!("Patient/{patient}")}),
            json!({"name": "encounter", "valueString": reference(&encounter)}),
        ];
        list.extend(more.as_array().expect("a list").iter().cloned());
        parameters(list.into())
    };
    let persist = json!([{"name": "persist", "valueBoolean": true}]);
    let tasks = async || server.everyone().search(&format!("Task?patient={patient}&_count=100")).await.len();
    let before = tasks().await;
    hospital.operation("PlanDefinition/$apply", &body(json!([])), None).await.ok();
    assert_eq!(tasks().await, before, "without persist it is a proposal");
    for user in ["mara", "elm-street-pms"] {
        let answer = server.user(user).operation("PlanDefinition/$apply", &body(persist.clone()), None).await;
        answer.refuses(403, "forbidden", "");
    }
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": body(persist.clone()), "request": {"method": "POST", "url": "PlanDefinition/$apply"}}]});
    hospital.post(&bundle).await.is(400);
    assert_eq!(tasks().await, before);

    let stored = hospital.operation("PlanDefinition/$apply", &body(persist.clone()), None).await.ok().body;
    assert_eq!((stored["resourceType"].as_str(), stored["status"].as_str()), (Some("CarePlan"), Some("active")));
    assert_eq!(tasks().await, before + 1, "check and close are there already");
    let of_plan = server.everyone().search(&format!("Task?based-on={}&_count=100", reference(&stored))).await.len();
    assert_eq!(stored["activity"].as_array().map(Vec::len), Some(of_plan), "{stored}");
    let open =
        server.pharmacy().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call&status=requested")).await;
    assert_eq!(open.len(), 2, "the pharmacy sees the new one as the others: {open:#?}");
    hospital.operation("PlanDefinition/$apply", &body(persist.clone()), None).await.ok();
    assert_eq!(tasks().await, before + 1, "asked again it opens nothing");
    let new = open
        .iter()
        .find(|t| t["identifier"][0]["value"].as_str().unwrap().contains("/extra-call/"))
        .expect("the new one");
    server
        .pharmacy()
        .operation(&format!("{}/$claim", reference(new)), &Value::Null, new["meta"]["versionId"].as_str())
        .await
        .ok();

    // What is asked for beside the protocol counts from now, goes to who has the patient, and has its own rules for attempts.
    server.at("2026-03-06T19:00:00Z");
    let ask = async |id: &str| {
        let named = json!([{"name": "persist", "valueBoolean": true}, {"name": "subject", "valueString": format!("Patient/{patient}")},
            {"name": "encounter", "valueString": reference(&encounter)}]);
        hospital.operation(&format!("PlanDefinition/{id}/$apply"), &parameters(named), None).await.ok();
        task(&server, &patient, id).await
    };
    for (id, due, role) in [
        ("home-visit", "2026-03-14T03:59:00Z", "183700000X"),
        ("contact-prescriber", "2026-03-07T19:00:00Z", "183500000X"),
        ("education", "2026-03-11T03:59:00Z", "183500000X"),
        ("report-to-hospital", "2026-03-11T03:59:00Z", "183500000X"),
    ] {
        let opened = ask(id).await;
        assert_eq!(opened["restriction"]["period"]["end"], due, "{id}");
        assert_eq!(opened["performerType"][0]["coding"][0]["code"], role, "{id}");
        assert_eq!(opened["owner"]["reference"], "Organization/elm-street", "{id}");
        assert_eq!(ask(id).await["id"], opened["id"], "{id}: asked again while it is open, it opens nothing");
    }
    let group = episode_of(&task(&server, &patient, "education").await).to_string();
    let of_episode = server.everyone().search(&format!("Task?episode={group}&_count=100")).await;
    assert!(of_episode.len() >= of_plan + 4, "those of the plan and the reviews are found by the episode");
    assert!(of_episode.iter().all(|t| episode_of(t) == group), "and no others");
    let visit = task(&server, &patient, "home-visit").await;
    assert_eq!(visit["input"][0]["valueCanonical"], format!("{BASE}/Questionnaire/home-visit|1"));
    let version = visit["meta"]["versionId"].as_str();
    server.pharmacy().operation(&format!("{}/$claim", reference(&visit)), &Value::Null, version).await.ok();
    let in_vain =
        parameters(json!([{"name": "outcome", "valueCode": "no-answer"}, {"name": "medium", "valueCode": "FACE"}]));
    let attempt =
        async || server.technician().operation(&format!("{}/$attempt", reference(&visit)), &in_vain, None).await;
    attempt().await.ok();
    server.at("2026-03-06T20:00:00Z");
    attempt().await.refuses(422, "business-rule", "Communication.sent");

    // What is not followed up, and what is broken, opens nothing; who does not see the patient learns nothing.
    let query = format!(
        "PlanDefinition/one-call/$apply?persist=true&subject=Patient/{patient}&encounter={}",
        reference(&encounter)
    );
    hospital.read(&query).await.is(405);
    server.hospital().operation("PlanDefinition/$apply", &body(persist.clone()), None).await.is(404);
    let back = json!([{"op": "replace", "path": "/status", "value": "cancelled"}]);
    hospital.patch(&reference(&encounter), &back).await.ok();
    hospital.operation("PlanDefinition/$apply", &body(persist), None).await.refuses(422, "business-rule", "encounter");
}

both_databases!(a_broken_protocol_is_refused_by_the_operations);
/// case 27: `$apply` and `$simulate` refuse a broken protocol with 422 and its element.
async fn a_broken_protocol_is_refused_by_the_operations(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let hospital = server.other_hospital();
    let good = hospital.read("PlanDefinition/one-call").await.ok().body;
    let changed = |pointer: &str, value: Value| {
        let mut plan = good.clone();
        *plan.pointer_mut(pointer).expect("a place") = value;
        plan
    };
    for (plan, status, at) in [
        (good.clone(), 200, ""),
        (changed("/action/1/relatedAction/0/actionId", json!("close-episode")), 422, "PlanDefinition.action"),
        (
            changed("/action/2/condition/0/expression/expression", json!("%tablets > 1")),
            422,
            "PlanDefinition.action[2].condition[0].expression.expression",
        ),
        (
            changed("/action/1/definitionCanonical", json!("http://x/ActivityDefinition/y|1")),
            422,
            "PlanDefinition.action[1].definitionCanonical",
        ),
    ] {
        for operation in ["$apply", "$simulate"] {
            let mut list = vec![json!({"name": "planDefinition", "resource": plan})];
            if operation == "$apply" {
                list.push(json!({"name": "subject", "valueString": format!("Patient/{patient}")}));
            }
            let path = format!("PlanDefinition/{operation}");
            let answer = hospital.operation(&path, &parameters(list.into()), None).await;
            match status {
                200 => drop(answer.ok()),
                status => answer.refuses(status, "invalid", at),
            }
        }
    }
}

both_databases!(simulate_tells_what_another_protocol_would_have_done);
async fn simulate_tells_what_another_protocol_would_have_done(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    posted(&server, "04-duplicate-therapy").await; // Northgate
    posted(&server, "01-polypharmacy").await; // Lakeside
    let hospital = server.other_hospital();
    let told = hospital.read("PlanDefinition/one-call/$simulate").await.ok().body;
    let number = |name: &str| value(&told, name).as_i64().expect("a number");
    assert_eq!(number("episodes"), 1, "of what the caller may see");
    // Of six Tasks, call and check stay as they are, the close comes earlier, and three are gone.
    let counts = ["added", "dropped", "earlier", "later", "same"].map(number);
    assert_eq!(counts, [0, 3, 1, 0, 2], "{told}");
    assert_eq!(value(&told, "protocol"), format!("{BASE}/PlanDefinition/one-call|1"));
    let same = hospital.read("PlanDefinition/safemed-45-day/$simulate").await.ok().body;
    assert_eq!(value(&same, "same"), 6, "the protocol in force changes nothing");
    assert_eq!(value(&server.everyone().read("PlanDefinition/one-call/$simulate").await.ok().body, "episodes"), 2);
    for (query, episodes) in [("start=2026-03-05&end=2026-03-05", 1), ("start=2026-03-06", 0), ("end=2026-03-04", 0)] {
        let told = hospital.read(&format!("PlanDefinition/one-call/$simulate?{query}")).await.ok().body;
        assert_eq!(value(&told, "episodes"), episodes, "{query}");
    }
}

both_databases!(three_attempts_in_vain_end_the_call_and_the_hospital_hears_of_it);
async fn three_attempts_in_vain_end_the_call_and_the_hospital_hears_of_it(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let call = reference(&task(&server, &patient, "first-call").await);
    server.pharmacy().operation(&format!("{call}/$claim"), &Value::Null, Some("1")).await.ok();
    let vain = parameters(json!([{"name": "outcome", "valueCode": "no-answer"}]));
    let technician = server.technician();
    for (at, taken, status) in [
        ("2026-03-06T16:00:00Z", true, "in-progress"),
        ("2026-03-06T17:00:00Z", false, "in-progress"), // too soon
        ("2026-03-07T07:00:00Z", false, "in-progress"), // at night
        ("2026-03-07T15:00:00Z", true, "in-progress"),
        ("2026-03-07T20:00:00Z", true, "failed"),
    ] {
        server.at(at);
        let answer = technician.operation(&format!("{call}/$attempt"), &vain, None).await;
        if taken {
            answer.ok();
        } else {
            answer.refuses(422, "business-rule", "Communication.sent");
        }
        assert_eq!(server.read(&call).await["status"], status, "{at}");
    }
    assert_eq!(server.read(&call).await["statusReason"]["coding"][0]["code"], "unreachable");
    let heard = server.other_hospital().search(&format!("Communication?patient={patient}")).await;
    let of_outcome: Vec<&Value> = heard.iter().filter(|c| c["about"][0]["reference"] == call.as_str()).collect();
    assert_eq!(of_outcome.len(), 1, "{heard:#?}");
    assert_eq!(of_outcome[0]["recipient"][0]["reference"], "Organization/northgate");
    let found = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await;
    assert_eq!(found.len(), 1, "nobody else is asked to call");
}

/// One story per database that starts and stops servers itself.
macro_rules! both_databases_restarted {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::with_database(super::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                super::with_database(super::Database::Postgres, super::$name);
            }
        }
    )+};
}

both_databases_restarted!(a_running_episode_keeps_its_version_and_a_broken_file_is_refused);
/// case 27: A file with a circle, or with other content under its version, does not come into force.
async fn a_running_episode_keeps_its_version_and_a_broken_file_is_refused(mut settings: Settings) {
    let dir = settings.dir.path().join("site");
    settings.arguments.extend(["--profiles".into(), dir.display().to_string()]);
    std::fs::create_dir_all(dir.join("protocol")).expect("a folder");
    let put = |dir: &Path, plan: &Value| {
        std::fs::write(dir.join("protocol/safemed-45-day.json"), plan.to_string()).expect("a file");
    };
    let mut server = TestServer::start(settings).await;
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let due = task(&server, &patient, "first-call").await["restriction"]["period"]["end"].clone();
    let mut plan = server.read("PlanDefinition/safemed-45-day").await;
    plan.as_object_mut().expect("an object").remove("meta");
    plan["action"][2]["relatedAction"][0]["offsetDuration"]["value"] = json!(9);
    server.kill();

    // The same version with other content, and a plan that counts in a circle: neither comes into force.
    let refused = |server: &TestServer, says: &[&str]| {
        let site = dir.display().to_string();
        let (succeeded, text) =
            server.settings().run(&["serve", "--auth", "off", "--listen", "127.0.0.1:0", "--profiles", &site]);
        assert!(!succeeded, "{text}");
        assert!(says.iter().all(|s| text.contains(s)), "{says:?}: {text}");
    };
    put(&dir, &plan);
    refused(&server, &["protocol/safemed-45-day.json", "PlanDefinition.version", "new version"]);
    let mut circle = plan.clone();
    circle["version"] = json!("2");
    circle["action"][2]["relatedAction"][0]["actionId"] = json!("first-call");
    put(&dir, &circle);
    refused(&server, &["protocol/safemed-45-day.json", "comes after itself"]);

    plan["version"] = json!("2");
    put(&dir, &plan);
    server.restart().await;
    let encounter = server.everyone().search(&format!("Encounter?patient={patient}")).await.remove(0);
    let earlier = json!([{"op": "replace", "path": "/period/end", "value": "2026-03-05T13:00:00Z"}]);
    server.other_hospital().patch(&reference(&encounter), &earlier).await.ok();
    let call = task(&server, &patient, "first-call").await;
    assert_eq!(call["restriction"]["period"]["start"], "2026-03-05T13:00:00Z", "the correction has come through");
    assert_eq!(call["restriction"]["period"]["end"], due, "two business days, as it began");
    let other = posted(&server, "01-polypharmacy").await;
    let call = task(&server, &other, "first-call").await;
    assert!(call["restriction"]["period"]["end"].as_str() > Some("2026-03-16"), "nine business days: {call}");
}
