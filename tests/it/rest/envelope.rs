//! Fidelity and envelope (corner 15).
//! Source: <https://hl7.org/fhir/R4/json.html>, <https://hl7.org/fhir/R4/http.html#create>, `#ops`.

use super::patient;
use crate::harness::TestServer;
use crate::harness::exact::{Exact, differences};
use serde_json::json;

both_databases!(
    every_issue_of_a_bad_resource_comes_at_once,
    each_issue_names_line_and_column_of_the_body_entries_of_a_bundle_too,
    a_narrative_that_runs_or_calls_out_breaks_a_rule_and_one_that_is_no_xhtml_is_malformed,
);

/// R4 datatypes.html#decimal: Decimals keep their digits: 1.00, 0.10, 1E-24, twenty places.
/// R4 json.html#primitive: Extensions of primitives and arrays padded with null come back as they were sent.
/// security A44: Decimals keep their digits.
pub(super) async fn what_was_sent_comes_back_digit_for_digit(server: TestServer) {
    let client = server.everyone();
    let sent = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"_effectiveDateTime":{"extension":[{"url":"http://x.example/a","valueDecimal":1.00}]},
      "component":[{"code":{"text":"a"},"valueQuantity":{"value":0.10}},{"code":{"text":"b"},"valueQuantity":{"value":1E-24}},{"code":{"text":"c"},"valueQuantity":{"value":100.00000000000000000001}}]}"#;
    let path = client.send("POST", "Observation", sent, &[]).await.is(201).reference();
    let name = r#"{"resourceType":"Patient","name":[{"given":["A",null,"C"],"_given":[null,{"extension":[{"url":"http://x.example/a","valueCode":"b"}]},null]}],"birthDate":"1950-01","_birthDate":{"id":"b"}}"#;
    let other = client.send("POST", "Patient", name, &[]).await.is(201).reference();
    for (path, sent) in [(path, sent), (other, name)] {
        let found = client.read(&path).await.ok();
        let back = Exact::read(std::str::from_utf8(&found.bytes).expect("UTF-8"));
        let gaps =
            differences(&Exact::read(sent).without_server_fields(), &back.without_server_fields(), &mut |_, _| false);
        assert_eq!(gaps, Vec::<String>::new());
    }
}

/// R4 http.html#create: A create ignores the body's `id` and answers 201 with Location `…/_history/1`, ETag and
/// Last-Modified.
pub(super) async fn a_create_ignores_the_id_and_says_where_the_resource_is(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["id"] = "mine".into();
    let answer = client.create(&body).await.is(201);
    assert_ne!(answer.reference(), "Patient/mine");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with(&server.base) && location.ends_with("/_history/1"), "{location}");
    assert_eq!(answer.header("etag"), "W/\"1\"");
    assert!(!answer.header("last-modified").is_empty());
    let read = client.read(&answer.reference()).await.ok();
    assert_eq!(read.bytes, answer.bytes, "a create answers what a read will");
    assert_eq!(read.body["meta"]["versionId"], "1");
}

/// R4 http.html#ops: `Prefer: return=minimal`, `representation` and `OperationOutcome` decide what a create and a
/// delete answer.
pub(super) async fn prefer_decides_what_comes_back(server: TestServer) {
    let client = server.everyone();
    let body = patient("1").to_string();
    let minimal = client.send("POST", "Patient", &body, &[("Prefer", "return=minimal")]).await.is(201);
    assert!(minimal.bytes.is_empty() && minimal.header("location").contains("/Patient/"));
    let outcome = client.send("POST", "Patient", &body, &[("Prefer", "return=OperationOutcome")]).await.is(201);
    assert_eq!(outcome.body["resourceType"], "OperationOutcome");
    let whole = client.send("POST", "Patient", &body, &[("Prefer", "return=representation")]).await.is(201);
    assert_eq!(whole.body["resourceType"], "Patient");
    let gone = client.send("DELETE", &whole.reference(), "", &[("Prefer", "return=OperationOutcome")]).await.is(200);
    assert_eq!(gone.body["resourceType"], "OperationOutcome");
}

/// R4 operationoutcome.html: All faults of a resource are told in one answer, each with its element.
/// R4 json.html: A member that stands twice, broken JSON, and what is no object are 400.
/// R4 http.html#create: A resource of another type than the address is 400.
/// security A45: A member that stands twice is 400.
async fn every_issue_of_a_bad_resource_comes_at_once(server: TestServer) {
    let client = server.everyone();
    let bad = json!({"resourceType": "Patient", "gender": "mal", "birthDate": "1950-13-01", "famly": "x", "name": []});
    let answer = client.create(&bad).await.is(400);
    let said = String::from_utf8_lossy(&answer.bytes).into_owned();
    for path in ["Patient.gender", "Patient.birthDate", "Patient.famly", "Patient.name"] {
        assert!(said.contains(&format!("\"{path}\"")), "{path}: {said}");
    }
    let twice = r#"{"resourceType":"Patient","active":true,"active":false}"#;
    client.send("POST", "Patient", twice, &[]).await.is(400);
    client.send("POST", "Patient", "{", &[]).await.is(400);
    client.send("POST", "Patient", "[]", &[]).await.is(400);
    client
        .send("POST", "Patient", r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#, &[])
        .await
        .refuses(400, "invalid", "resourceType");
}

/// R4 narrative.html: A narrative with scripts, event handlers or outside images is refused with 422, one that is no
/// XHTML with 400.
/// security A50: Scripts, event handlers and outside images in a narrative are refused, in Bundles too.
/// case 29: A narrative with a script is refused.
async fn a_narrative_that_runs_or_calls_out_breaks_a_rule_and_one_that_is_no_xhtml_is_malformed(server: TestServer) {
    let client = server.everyone();
    for (inner, status, code) in [
        ("<script>1</script>", 422, "business-rule"),
        ("<p onclick='x'>a</p>", 422, "business-rule"),
        ("<a href='javascript:x'>a</a>", 422, "business-rule"),
        ("<img src='http://x.example/y.png'/>", 422, "business-rule"),
        ("<p>a", 400, "invalid"),
        ("<script>1</script><p>a", 400, "invalid"),
    ] {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>");
        let mut body = patient("1");
        body["text"] = json!({"status": "generated", "div": div});
        client.create(&body).await.refuses(status, code, "Patient.text.div");
        let entry = json!({"resource": body, "request": {"method": "POST", "url": "Patient"}});
        let in_bundle = client.post(&super::transaction(&[entry])).await;
        in_bundle.refuses(status, code, "Bundle.entry[0].resource.text.div");
    }
    assert_eq!(client.search("Patient?identifier=1").await.len(), 0);
}

/// R4 operationoutcome.html: An issue has line and column of the body, in entries of Bundles, too.
async fn each_issue_names_line_and_column_of_the_body_entries_of_a_bundle_too(server: TestServer) {
    let client = server.everyone();
    let place = |issue: &serde_json::Value| {
        let of = |name: &str| {
            let url = format!("http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-{name}");
            issue["extension"].as_array()?.iter().find(|e| e["url"] == url.as_str())?["valueInteger"].as_u64()
        };
        (issue["expression"][0].as_str().unwrap_or_default().to_owned(), of("line"), of("col"))
    };
    let places = |issues: &serde_json::Value| issues.as_array().expect("issues").iter().map(place).collect::<Vec<_>>();
    let bad = "{\n  \"resourceType\": \"Patient\",\n  \"gender\": \"femal\",\n  \"name\": [{\"famly\": \"x\"}]\n}";
    let answer = client.send("POST", "Patient", bad, &[]).await.is(400);
    let expected =
        [("Patient.gender".to_owned(), Some(3), Some(3)), ("Patient.name[0].famly".to_owned(), Some(4), Some(13))];
    let mut found = places(&answer.body["issue"]);
    found.sort();
    assert_eq!(found, expected);
    for kind in ["transaction", "batch"] {
        let bundle = format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\",\"entry\":[\n{{\"resource\":{bad},\"request\":{{\"method\":\"POST\",\"url\":\"Patient\"}}}}]}}"
        );
        let answer = client.send("POST", "", &bundle, &[]).await;
        let issues = match kind {
            "batch" => &answer.body["entry"][0]["response"]["outcome"]["issue"],
            _ => &answer.body["issue"],
        };
        assert!(
            places(issues).contains(&("Bundle.entry[0].resource.gender".to_owned(), Some(4), Some(3))),
            "{answer:?}"
        );
    }
}
