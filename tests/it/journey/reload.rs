//! A running server takes changed profiles: all of them or none, and what is under way goes on as it began.
//! Source: own rules in `profiles/protocol/README.md`.

use super::protocol::{posted, task};
use crate::harness::client::reference;
use crate::harness::{Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One story per database, of a server with a site's folder of its own.
macro_rules! both_databases_of_a_site {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::with_database(super::Database::Sqlite, |s| super::of_a_site(s, super::$name));
            }
            #[test]
            fn postgres() {
                super::with_database(super::Database::Postgres, |s| super::of_a_site(s, super::$name));
            }
        }
    )+};
}

both_databases_of_a_site!(
    what_is_changed_is_in_force_for_new_episodes_and_old_ones_keep_their_version,
    a_broken_file_is_refused_with_file_and_element_and_the_old_one_stays,
    forms_rules_and_calendars_are_reloaded_too,
    sighup_does_the_same,
    only_an_administrator_reloads,
);

async fn of_a_site<F: Future<Output = ()>>(mut settings: Settings, story: impl Fn(TestServer, Site) -> F) {
    let site = Site(settings.dir.path().join("site"));
    settings.arguments.extend(["--profiles".into(), site.0.display().to_string()]);
    std::fs::create_dir_all(site.0.join("protocol")).expect("a folder");
    let server = TestServer::start(settings).await;
    server.at("2026-03-06T16:00:00Z");
    story(server, site).await;
}

/// A site's folder.
struct Site(PathBuf);

impl Site {
    fn write(&self, file: &str, resource: &Value) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, resource.to_string()).expect("a file");
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.0.join(file)).expect("a file");
    }
}

/// A built-in file.
fn built_in(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

fn changed(file: &str, changes: &[(&str, Value)]) -> Value {
    let mut out = built_in(file);
    for (pointer, value) in changes {
        *out.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {file}")) = value.clone();
    }
    out
}

async fn reload(client: &Client) -> crate::harness::Answer {
    client.operation("$reload-profiles", &Value::Null, None).await
}

fn all(parameters: &Value, name: &str) -> Vec<String> {
    let list = parameters["parameter"].as_array().cloned().unwrap_or_default();
    let of = |p: &Value| p["valueCanonical"].as_str().or(p["valueString"].as_str()).unwrap_or_default().to_string();
    list.iter().filter(|p| p["name"] == name).map(of).collect()
}

fn due(task: &Value) -> &str {
    task["restriction"]["period"]["end"].as_str().expect("a due time")
}

const PLAN: &str = "protocol/safemed-45-day.json";
const OFFSET: &str = "/action/2/relatedAction/0/offsetDuration/value";

async fn what_is_changed_is_in_force_for_new_episodes_and_old_ones_keep_their_version(server: TestServer, site: Site) {
    let root = server.user("root");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let before = task(&server, &patient, "first-call").await;
    assert!(all(&reload(&root).await.ok().body, "changed").is_empty(), "nothing has changed");

    site.write(PLAN, &changed(PLAN, &[("/version", json!("2")), (OFFSET, json!(9))]));
    let told = reload(&root).await.ok().body;
    assert_eq!(all(&told, "changed"), [PLAN]);
    let base = "http://baton.example/fhir/PlanDefinition/safemed-45-day";
    assert!(all(&told, "protocol").contains(&format!("{base}|2")), "{told}");
    assert_eq!(all(&told, "kept"), [format!("{base}|1")]);
    assert_eq!(server.read("PlanDefinition/safemed-45-day").await["version"], "2", "who reads it sees the new one");

    let other = posted(&server, "01-polypharmacy").await;
    assert!(due(&task(&server, &other, "first-call").await) > "2026-03-16", "nine business days");
    let encounter = server.everyone().search(&format!("Encounter?patient={patient}")).await.remove(0);
    let earlier = json!([{"op": "replace", "path": "/period/end", "value": "2026-03-05T13:00:00Z"}]);
    server.other_hospital().patch(&reference(&encounter), &earlier).await.ok();
    let call = task(&server, &patient, "first-call").await;
    assert_eq!(call["restriction"]["period"]["start"], "2026-03-05T13:00:00Z", "the correction has come through");
    assert_eq!(due(&call), due(&before), "two business days, as it began");

    // The file goes: what is built in is in force again, and the episode of version 2 keeps it.
    site.remove(PLAN);
    let told = reload(&root).await.ok().body;
    assert_eq!((all(&told, "changed"), all(&told, "kept")), (vec![PLAN.to_string()], vec![format!("{base}|2")]));
    let mut server = server;
    server.kill();
    server.restart().await;
    server.at("2026-03-06T16:00:00Z");
    let encounter = server.everyone().search(&format!("Encounter?patient={other}")).await.remove(0);
    let earlier = json!([{"op": "replace", "path": "/period/end", "value": "2026-03-05T12:00:00Z"}]);
    server.hospital().patch(&reference(&encounter), &earlier).await.ok();
    assert!(due(&task(&server, &other, "first-call").await) > "2026-03-16", "also after a restart");
}

/// `workflow.md` §3.15, case 27.
async fn a_broken_file_is_refused_with_file_and_element_and_the_old_one_stays(server: TestServer, site: Site) {
    let root = server.user("root");
    let patient = posted(&server, "04-duplicate-therapy").await;
    let before = task(&server, &patient, "first-call").await;
    let call = "protocol/activity-first-call.json";
    let two = |more: &[(&str, Value)]| changed(PLAN, &[&[("/version", json!("2"))], more].concat());
    let form = "http://x.example/Questionnaire/y|1";
    for (file, resource, at, says) in [
        (
            PLAN,
            two(&[("/action/2/relatedAction/0/actionId", json!("first-call"))]),
            "PlanDefinition.action",
            "comes after itself",
        ),
        (
            call,
            changed(call, &[("/relatedArtifact/0/resource", json!(form))]),
            "PlanDefinition.action[2].definitionCanonical",
            form,
        ),
        (
            PLAN,
            two(&[("/action/1/definitionCanonical", json!("http://x.example/ActivityDefinition/y|1"))]),
            "PlanDefinition.action[1].definitionCanonical",
            "no ActivityDefinition",
        ),
        (
            "protocol/choice.json",
            changed(
                "protocol/choice.json",
                &[("/action/0/condition/0/expression/expression", json!("%hospital.type.("))],
            ),
            "PlanDefinition.action[0].condition[0].expression.expression",
            "FHIRPath",
        ),
        (
            "protocol/choice.json",
            changed(
                "protocol/choice.json",
                &[("/action/3/definitionCanonical", json!("http://x.example/PlanDefinition/y"))],
            ),
            "PlanDefinition.action[3].definitionCanonical",
            "no protocol",
        ),
        (PLAN, changed(PLAN, &[(OFFSET, json!(9))]), "PlanDefinition.version", "new version"),
        (PLAN, two(&[("/status", json!("nonsense"))]), "PlanDefinition.status", "nonsense"),
    ] {
        site.write(file, &resource);
        let answer = reload(&root).await;
        answer.refuses(422, "invalid", at);
        let named = if file == call { "protocol/" } else { file };
        let text = answer.body.to_string();
        assert!(text.contains(named) && text.contains(says), "{file}, {says}: {text}");
        site.remove(file);
    }
    std::fs::write(site.0.join("protocol/zone.json"), "{ no JSON").expect("a file");
    let text = reload(&root).await.is(422).body.to_string();
    assert!(text.contains("protocol/zone.json"), "{text}");
    site.remove("protocol/zone.json");
    std::fs::create_dir_all(site.0.join("policy")).expect("a folder");
    std::fs::write(site.0.join("policy/access.json"), "{}").expect("a file");
    reload(&root).await.is(422); // it would stop the next start

    let other = posted(&server, "01-polypharmacy").await;
    assert_eq!(due(&task(&server, &other, "first-call").await), due(&before), "what was in force is in force");
    assert_eq!(server.read("PlanDefinition/safemed-45-day").await["version"], "1");
}

async fn forms_rules_and_calendars_are_reloaded_too(server: TestServer, site: Site) {
    let root = server.user("root");
    // A form: answers to the new version are judged, and to the old one as before.
    let form = "questionnaire/red-flags.json";
    site.write(form, &changed(form, &[("/version", json!("9")), ("/title", json!("Signs"))]));
    // A rule: no technician records an attempt any more.
    let rules = "policy/rules.json";
    let mut policy = built_in(rules);
    for concept in policy["concept"].as_array_mut().expect("rules") {
        if concept["code"] == "attempt-record" {
            let list = concept["property"].as_array_mut().expect("properties");
            list.retain(|p| p["code"] != "role");
            list.push(json!({"code": "role", "valueCode": "pharmacist"}));
        }
    }
    site.write(rules, &policy);
    // A calendar: the Monday is a holiday.
    let calendar = "protocol/calendar-us-federal.json";
    let mut days = built_in(calendar);
    let monday = json!({"description": "Day of the site", "during": {"start": "2026-03-09", "end": "2026-03-09"}});
    days["notAvailable"].as_array_mut().expect("holidays").push(monday);
    site.write(calendar, &days);
    let before = posted(&server, "04-duplicate-therapy").await;
    let told = reload(&root).await.ok().body;
    assert_eq!(all(&told, "changed"), [rules, calendar, form]);
    let after = posted(&server, "01-polypharmacy").await;
    let [old, new] = [task(&server, &before, "first-call").await, task(&server, &after, "first-call").await];
    assert!(due(&new) > due(&old), "{} and {}", due(&old), due(&new));
    for (version, status) in [("9", 201), ("1", 201), ("3", 422)] {
        let answers = json!({"resourceType": "QuestionnaireResponse", "status": "in-progress",
            "questionnaire": format!("http://baton.example/fhir/Questionnaire/red-flags|{version}"),
            "subject": {"reference": format!("Patient/{after}")}});
        server.everyone().create(&answers).await.is(status);
    }
    let call = reference(&old);
    server.pharmacy().operation(&format!("{call}/$claim"), &Value::Null, Some("1")).await.ok();
    let reached = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
    let answer = server.technician().operation(&format!("{call}/$attempt"), &reached, None).await;
    assert!(answer.status == 403 && answer.body.to_string().contains("attempt-record"), "{answer:?}");
    server.pharmacist().operation(&format!("{call}/$attempt"), &reached, None).await.ok();
    let capability = server.read("metadata").await;
    assert!(capability.to_string().contains("reload-profiles"));
}

async fn sighup_does_the_same(server: TestServer, site: Site) {
    let wait = async |what: &str, seen: &dyn Fn(&str, &Value) -> bool| {
        let started = Instant::now();
        loop {
            let plan = server.read("PlanDefinition/safemed-45-day").await;
            if seen(&server.log(), &plan) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{what}: {}", server.log());
            tokio::task::yield_now().await;
        }
    };
    site.write(PLAN, &changed(PLAN, &[("/version", json!("2")), (OFFSET, json!(9))]));
    server.hangup();
    wait("the new one is in force", &|_, plan| plan["version"] == "2").await;
    site.write(
        PLAN,
        &changed(PLAN, &[("/version", json!("3")), ("/action/2/relatedAction/0/actionId", json!("first-call"))]),
    );
    server.hangup();
    let refused = |log: &str, plan: &Value| log.contains("comes after itself") && plan["version"] == "2";
    wait("the log says what is wrong, and the old one stays", &refused).await;
}

async fn only_an_administrator_reloads(server: TestServer, site: Site) {
    site.write(PLAN, &changed(PLAN, &[("/version", json!("2"))]));
    for user in ["mara", "jonas", "elm-street-pms", "lakeside-ehr"] {
        reload(&server.user(user)).await.refuses(403, "forbidden", "");
    }
    let root = server.user("root");
    root.read("$reload-profiles").await.is(405);
    let list = json!({"resourceType": "Parameters", "parameter": [{"name": "dir", "valueString": "/"}]});
    root.operation("$reload-profiles", &list, None).await.is(400);
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "POST", "url": "$reload-profiles"}}]});
    root.post(&bundle).await.is(400);
    assert_eq!(server.read("PlanDefinition/safemed-45-day").await["version"], "1");
    reload(&root).await.ok();
    assert_eq!(server.read("PlanDefinition/safemed-45-day").await["version"], "2");
}
