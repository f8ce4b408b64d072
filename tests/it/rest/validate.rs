//! `$validate`: what a write would be told, without the write.
//! Source: <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use super::patient;
use crate::harness::{Answer, TestServer};
use serde_json::{Value, json};

both_databases!(
    a_validation_answers_200_with_every_issue_and_stores_nothing,
    a_mode_rehearses_the_write_with_the_rules_of_the_programme,
    a_stored_resource_is_validated_for_who_may_see_it,
);

/// `code expression` of each issue that is an error.
#[track_caller]
fn errors(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status, &answer.body["resourceType"]), (200, &json!("OperationOutcome")), "{answer:?}");
    let issues = answer.body["issue"].as_array().expect("issues");
    let errors = issues.iter().filter(|i| i["severity"] == "error");
    errors.map(|i| format!("{} {}", i["code"], i["expression"][0]).replace('"', "")).collect()
}

/// Parameters with the resource, and a mode.
fn asked(resource: &Value, mode: &str) -> Value {
    json!({"resourceType": "Parameters",
        "parameter": [{"name": "mode", "valueCode": mode}, {"name": "resource", "resource": resource}]})
}

/// R4 resource-operation-validate.html: `$validate` answers 200 with every issue and stores nothing, alone and in
/// Bundles.
/// R4 resource-operation-validate.html: `profile` asks for a profile; an unknown one is an error of the outcome.
async fn a_validation_answers_200_with_every_issue_and_stores_nothing(server: TestServer) {
    let client = server.everyone();
    let bad = json!({"resourceType": "Patient", "gender": "mal", "birthDate": "1950-13-01", "famly": "x"});
    let expected = ["code-invalid Patient.gender", "value Patient.birthDate", "structure Patient.famly"];
    let bare = client.send("POST", "Patient/$validate", bad.to_string(), &[]).await;
    assert_eq!(errors(&bare), expected);
    let wrapped = asked(&bad, "profile").to_string().replace("\"resource\":{", "\"resource\":\n{");
    let wrapped = client.send("POST", "Patient/$validate", wrapped, &[]).await;
    assert_eq!(errors(&wrapped), expected);
    assert!(wrapped.body["issue"][0]["extension"][0]["valueInteger"] == 2, "the line in the Parameters: {wrapped:?}");
    let twice = client.send("POST", "Patient/$validate", r#"{"resourceType":"Patient","id":"a","id":"a"}"#, &[]).await;
    assert_eq!(errors(&twice), ["structure Patient.id"]);
    let other = client.send("POST", "Observation/$validate", patient("v").to_string(), &[]).await;
    assert_eq!(errors(&other), ["invalid resourceType"]);
    for body in [patient("v"), asked(&patient("v"), "create")] {
        let good = client.send("POST", "Patient/$validate", body.to_string(), &[]).await;
        assert_eq!(errors(&good), Vec::<String>::new());
        assert_eq!(good.body["issue"][0]["severity"], "information");
    }
    let base = "http://hl7.org/fhir/StructureDefinition/Patient";
    let body = patient("v").to_string();
    let known = client.send("POST", &format!("Patient/$validate?profile={base}"), &body, &[]).await;
    assert_eq!(errors(&known), Vec::<String>::new());
    let unknown = client.send("POST", "Patient/$validate?profile=http://x.example/P", &body, &[]).await;
    assert_eq!(errors(&unknown).len(), 1, "{unknown:?}");
    for (path, body) in [
        ("Patient/$validate", ""),
        ("Patient/$validate?mode=merge", body.as_str()),
        ("Patient/$validate?colour=red", body.as_str()),
        ("Patient/$validate", r#"{"resourceType":"Parameters","parameter":[{"name":"resource"}]}"#),
    ] {
        client.send("POST", path, body, &[]).await.is(400);
    }
    for kind in ["batch", "transaction"] {
        let entry = json!({"request": {"method": "POST", "url": "Patient/$validate"}, "resource": bad});
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
        let answer = client.post(&bundle).await.ok();
        assert_eq!(answer.body["entry"][0]["response"]["status"], "200 OK", "{answer:?}");
        let issues = answer.body["entry"][0]["resource"]["issue"].as_array().expect("issues");
        let severities: Vec<_> = issues.iter().map(|i| i["severity"].clone()).collect();
        assert_eq!(severities, ["error"; 3], "{issues:?}");
    }
    assert!(client.search("Patient?identifier=v").await.is_empty() && client.search("Patient").await.is_empty());
}

/// R4 resource-operation-validate.html: `mode` create, update and delete rehearse the write, preconditions and rules
/// of the programme among it.
async fn a_mode_rehearses_the_write_with_the_rules_of_the_programme(server: TestServer) {
    let client = server.everyone();
    let lost = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": "Patient/nobody"}});
    let create = server.hospital().operation("Observation/$validate", &asked(&lost, "create"), None).await;
    assert!(errors(&create).iter().any(|e| e.ends_with(" Observation.subject.reference")), "{create:?}");
    let plain = client.operation("Observation/$validate", &lost, None).await;
    assert_eq!(errors(&plain), Vec::<String>::new(), "without a mode only the content is asked for");

    let path = client.create(&patient("v")).await.is(201).reference();
    let mut body = patient("v2");
    body["id"] = path.trim_start_matches("Patient/").into();
    let stale = client.operation(&format!("{path}/$validate"), &asked(&body, "update"), Some("7")).await;
    assert_eq!(errors(&stale).len(), 1, "{stale:?}");
    let fresh = client.operation(&format!("{path}/$validate"), &asked(&body, "update"), Some("1")).await;
    assert_eq!(errors(&fresh), Vec::<String>::new());
    let gone = client.send("POST", &format!("{path}/$validate?mode=delete"), "", &[]).await;
    assert_eq!(errors(&gone), Vec::<String>::new());
    let stored = server.read(&path).await;
    assert_eq!((&stored["meta"]["versionId"], &stored["identifier"][0]["value"]), (&json!("1"), &json!("v")));

    // Only a pharmacist writes a decision: said beforehand, and by the same rule.
    let decided = json!({"resourceType": "DetectedIssue", "status": "final",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "patient": {"reference": path}, "mitigation": [{"action": {"text": "x"}}]});
    let refused = server.technician().create(&decided).await;
    let said = server.technician().operation("DetectedIssue/$validate", &asked(&decided, "create"), None).await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    let paths = |answer: &Answer| {
        let issues = answer.body["issue"].as_array().cloned().unwrap_or_default();
        let issues = issues.iter().filter(|i| i["severity"] == "error"); // a write does not hear R4's warnings
        issues.map(|i| (i["code"].clone(), i["diagnostics"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(paths(&said), paths(&refused));
    assert!(!errors(&said).is_empty());
}

/// R4 resource-operation-validate.html: Without a resource the stored one is validated, for who may see it.
/// security leak 17: `$validate` of an instance is for who may see it.
async fn a_stored_resource_is_validated_for_who_may_see_it(server: TestServer) {
    let hospital = server.hospital();
    let path = hospital.create(&patient("v")).await.is(201).reference();
    let mine = hospital.send("POST", &format!("{path}/$validate"), "", &[]).await;
    assert_eq!(errors(&mine), Vec::<String>::new());
    let read = hospital.send("GET", &format!("{path}/$validate?mode=update"), "", &[]).await;
    assert_eq!(errors(&read), Vec::<String>::new());
    let theirs = server.other_hospital().send("POST", &format!("{path}/$validate"), "", &[]).await.is(404);
    let nobodys = server.other_hospital().send("POST", "Patient/nobody/$validate", "", &[]).await.is(404);
    let text = |a: &Answer| String::from_utf8_lossy(&a.bytes).replace(path.trim_start_matches("Patient/"), "nobody");
    assert_eq!(text(&theirs), text(&nobodys), "one text for what is not there and what is not theirs");
    server.everyone().delete(&path).await.ok();
    hospital.send("POST", &format!("{path}/$validate"), "", &[]).await.is(410);
}
