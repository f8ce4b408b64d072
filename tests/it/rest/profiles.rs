//! Profiles: what a resource claims is held against it at every write, and refused with the profile that complains.
//! Source: <https://hl7.org/fhir/R4/profiling.html>, <https://hl7.org/fhir/R4/validation.html>; `docs/validation.md`.

use super::transaction;
use crate::harness::{Answer, TestServer};
use serde_json::{Value, json};

both_databases!(
    a_claim_is_held_against_every_write,
    a_package_that_a_site_drops_in_is_in_force_and_a_bad_one_stops_the_start,
);

const DISCHARGE: &str = "http://baton.example/fhir/StructureDefinition/discharge-encounter";

fn stay() -> Value {
    json!({"resourceType": "Encounter", "meta": {"profile": [DISCHARGE]}, "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "Patient/p"}, "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}})
}

/// The profile of the first issue.
fn complains(answer: &Answer) -> String {
    let extensions = answer.body["issue"][0]["extension"].as_array().cloned().unwrap_or_default();
    let source = extensions.iter().find(|e| e["url"].as_str().is_some_and(|u| u.ends_with("issue-source")));
    source.map_or(String::new(), |e| e["valueString"].as_str().unwrap_or_default().to_owned())
}

/// R4 profiling.html: What a resource claims in `meta.profile` is held against it by create, patch and transaction;
/// the profile that complains is named.
/// Own docs/validation.md: A claim of an unknown profile is refused.
async fn a_claim_is_held_against_every_write(server: TestServer) {
    let client = server.everyone();
    let stored = client.create(&stay()).await.is(201).reference();
    let mut open = stay();
    open["period"].as_object_mut().expect("a period").remove("end");
    let refused = client.create(&open).await;
    assert_eq!(complains(&refused), format!("{DISCHARGE}|1"));
    refused.refuses(400, "required", "Encounter.period.end");

    let patch = json!([{"op": "remove", "path": "/period/end"}]);
    client.patch(&stored, &patch).await.refuses(422, "required", "Encounter.period.end");
    let entry = json!({"resource": open, "request": {"method": "POST", "url": "Encounter"}});
    let whole = transaction(&[json!({"resource": stay(), "request": {"method": "POST", "url": "Encounter"}}), entry]);
    let answer = client.send("POST", "", &whole.to_string(), &[]).await;
    answer.refuses(400, "required", "Bundle.entry[1].resource.period.end");
    assert_eq!(client.search("Encounter?status=finished").await.len(), 1, "nothing of it is stored");

    let mut unknown = stay();
    unknown["meta"]["profile"] = json!(["http://nobody.example/StructureDefinition/x"]);
    client.create(&unknown).await.refuses(400, "not-found", "Encounter.meta.profile[0]");
    unknown["meta"]["profile"] = json!(["http://hl7.org/fhir/us/core/StructureDefinition/us-core-encounter"]);
    client.create(&unknown).await.is(201);

    // Policy asks why a medicine was stopped, and is content with a warning.
    let mut order = json!({"resourceType": "MedicationRequest", "status": "stopped", "intent": "order",
        "subject": {"reference": "Patient/p"}, "medicationCodeableConcept": {"text": "Warfarin 2 MG"}});
    for (why, warned) in [(Value::Null, true), (json!([{"text": "Bleeding."}]), false)] {
        if !why.is_null() {
            order["note"] = why;
        }
        let prefer = [("Prefer", "return=OperationOutcome")];
        let answer = client.send("POST", "MedicationRequest", &order.to_string(), &prefer).await.is(201);
        let issues = answer.body["issue"].as_array().cloned().unwrap_or_default();
        let says = |i: &Value| i["severity"] == "warning" && i.to_string().contains("stp-1");
        assert_eq!(issues.iter().any(says), warned, "{issues:#?}");
    }
}

/// Own docs/validation.md: A package in the setting's folder is in force after a start; one that cannot be used stops
/// it with file and reason.
async fn a_package_that_a_site_drops_in_is_in_force_and_a_bad_one_stops_the_start(mut server: TestServer) {
    let dir = tempfile::tempdir().expect("a folder");
    let package = dir.path().join("guide/package");
    std::fs::create_dir_all(&package).expect("a folder");
    let url = "http://guide.example/StructureDefinition/named";
    let definition = |max: &str| {
        json!({"resourceType": "StructureDefinition", "url": url, "version": "2", "name": "Named", "status": "active",
            "abstract": false, "kind": "resource", "type": "Patient", "derivation": "constraint",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
            "differential": {"element": [{"id": "Patient", "path": "Patient"},
                {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": max}]}})
        .to_string()
    };
    std::fs::write(package.join("named.json"), definition("1")).expect("a file");
    let system = "http://guide.example/CodeSystem/c";
    for (name, term) in [
        (
            "c",
            json!({"resourceType": "CodeSystem", "url": system, "status": "active", "content": "complete", "hierarchyMeaning": "is-a",
            "concept": [{"code": "a", "display": "Above", "concept": [{"code": "b", "display": "Below"}]}]}),
        ),
        (
            "v",
            json!({"resourceType": "ValueSet", "url": "http://guide.example/ValueSet/v", "status": "active",
            "compose": {"include": [{"system": system, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}]}}),
        ),
        (
            "m",
            json!({"resourceType": "ConceptMap", "url": "http://guide.example/ConceptMap/m", "status": "active", "group": [{
            "source": system, "target": "urn:other", "element": [{"code": "b", "target": [{"code": "z", "equivalence": "equal"}]}]}]}),
        ),
    ] {
        std::fs::write(package.join(format!("{name}.json")), term.to_string()).expect("a file");
    }
    let client = server.everyone();
    let patient = json!({"resourceType": "Patient", "meta": {"profile": [url]}});
    client.create(&patient).await.refuses(400, "not-found", "Patient.meta.profile[0]");
    server.settings.arguments = vec!["--packages".into(), dir.path().display().to_string()];
    server.kill();
    server.restart().await;
    let client = server.everyone();
    let refused = client.create(&patient).await;
    assert_eq!(complains(&refused), format!("{url}|2"));
    refused.refuses(400, "required", "Patient.name");
    // Its terminology answers, and the statement names its profile.
    for (question, part) in [
        (format!("CodeSystem/$lookup?system={system}&code=b"), "\"Below\""),
        (format!("CodeSystem/$subsumes?system={system}&codeA=a&codeB=b"), "\"subsumes\""),
        (format!("CodeSystem/$validate-code?url={system}&code=b"), "true"),
        ("ValueSet/$expand?url=http://guide.example/ValueSet/v&filter=bel".into(), "\"Below\""),
        (format!("ValueSet/$validate-code?url=http://guide.example/ValueSet/v&system={system}&code=b"), "true"),
        (format!("ConceptMap/$translate?url=http://guide.example/ConceptMap/m&system={system}&code=b"), "\"z\""),
        ("metadata?mode=terminology".into(), system),
        ("metadata".into(), "http://guide.example/StructureDefinition/named|2"),
    ] {
        let answer = client.send("GET", &question, "", &[]).await;
        assert!(answer.status == 200 && answer.body.to_string().contains(part), "{question}: {}", answer.body);
    }

    server.kill();
    std::fs::write(package.join("named.json"), definition("none")).expect("a file");
    let packages = dir.path().display().to_string();
    let (started, said) =
        server.settings.run(&["serve", "--listen", "127.0.0.1:0", "--auth", "off", "--packages", &packages]);
    assert!(!started && said.contains("named.json: ") && said.contains("Patient.name: max 'none'"), "{said}");
    std::fs::write(package.join("named.json"), definition("2")).expect("a file");
    server.restart().await;
    server.everyone().create(&patient).await.refuses(400, "required", "Patient.name");
}

/// Every extension of the programme's that stored resources and published definitions carry, and of which the programme publishes no definition.
fn unpublished(json: &Value, known: &[String], found: &mut std::collections::BTreeSet<String>) {
    match json {
        Value::Object(members) => {
            for name in ["extension", "modifierExtension"] {
                for url in members.get(name).and_then(Value::as_array).into_iter().flatten() {
                    let url = url["url"].as_str().unwrap_or_default();
                    if url.starts_with("http://baton.example/") && !known.iter().any(|k| k == url) {
                        found.insert(url.to_owned());
                    }
                }
            }
            members.values().for_each(|v| unpublished(v, known, found));
        }
        Value::Array(items) => items.iter().for_each(|v| unpublished(v, known, found)),
        _ => {}
    }
}

/// Own profiles/structure/README.md: Every extension that the programme writes is defined, published under `StructureDefinition`, and stands
/// where its definition says: what was written comes back through `$validate` without a fault.
#[test]
fn every_extension_of_the_programme_is_published_and_met() {
    crate::harness::with_server(crate::harness::Database::Sqlite, all_extensions);
}

async fn all_extensions(server: TestServer) {
    let everyone = server.everyone();
    let definitions = everyone.search("StructureDefinition?_count=200").await;
    let known: Vec<String> = definitions.iter().filter_map(|d| Some(d["url"].as_str()?.to_owned())).collect();
    assert!(known.iter().any(|u| u == DISCHARGE), "{known:?}");
    crate::journey::rules::reported(&server).await;
    let message = crate::journey::message::News::discharge(1).message(&server);
    crate::journey::message::send(&server.hospital(), &message).await.is(200);
    let mut found = std::collections::BTreeSet::new();
    let mut seen = 0;
    for rtype in [
        "ActivityDefinition",
        "CarePlan",
        "Communication",
        "Consent",
        "DetectedIssue",
        "Encounter",
        "EpisodeOfCare",
        "Flag",
        "List",
        "MessageHeader",
        "Observation",
        "Organization",
        "Patient",
        "PlanDefinition",
        "Provenance",
        "Questionnaire",
        "Task",
    ] {
        for resource in everyone.search(&format!("{rtype}?_count=200")).await {
            unpublished(&resource, &known, &mut found);
            let judged = everyone.operation(&format!("{rtype}/$validate"), &resource, None).await;
            let wrong: Vec<&Value> = judged.body["issue"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|i| i["severity"] == "error" && i.to_string().contains("xtension"))
                .collect();
            assert!(wrong.is_empty(), "{rtype}/{}: {wrong:#?}", resource["id"]);
            seen += 1;
        }
    }
    assert!(found.is_empty(), "no definition is published of {found:#?}");
    assert!(seen > 40, "{seen}");
}
