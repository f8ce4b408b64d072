//! `Prefer: return=…`, of each write by each door.
//! Source: <https://hl7.org/fhir/R4/http.html#ops>.

use super::{patient, transaction};
use crate::harness::{Answer, TestServer};
use base64::Engine as _;
use serde_json::{Value, json};

both_databases!(
    each_write_alone_answers_as_preferred,
    each_entry_of_a_bundle_answers_as_preferred,
    what_was_heeded_is_said,
);

const PREFERENCES: [Option<&str>; 4] = [None, Some("minimal"), Some("representation"), Some("OperationOutcome")];

/// What came back: "" for nothing, else its type.
fn kind(answer: &Answer) -> String {
    if answer.bytes.is_empty() { String::new() } else { answer.body["resourceType"].as_str().unwrap_or("?").to_owned() }
}

fn wanted(prefer: Option<&str>, whole: &str) -> String {
    match prefer {
        Some("minimal") => String::new(),
        Some("OperationOutcome") => "OperationOutcome".into(),
        _ => whole.into(),
    }
}

fn label() -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "s", "code": "a"}]}}]})
}

fn by_path() -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.active"}, {"name": "value", "valueBoolean": true}]}]})
}

/// R4 http.html#ops: Each write, and each operation that writes, answers as `Prefer: return=…` asks; ETag is there in
/// any case.
async fn each_write_alone_answers_as_preferred(server: TestServer) {
    let client = server.everyone();
    for prefer in PREFERENCES {
        let text = prefer.map(|p| format!("return={p}"));
        let mut headers: Vec<(&str, &str)> = text.iter().map(|t| ("Prefer", t.as_str())).collect();
        let mut body = patient("1");
        body["active"] = false.into();
        let made = client.send("POST", "Patient", body.to_string(), &headers).await.is(201);
        assert_eq!(kind(&made), wanted(prefer, "Patient"), "create {prefer:?}");
        let path = made.reference();
        body["id"] = path.trim_start_matches("Patient/").into();
        let by_query = format!("Patient?_id={}", path.trim_start_matches("Patient/"));
        let json_patch = json!([{"op": "replace", "path": "/active", "value": true}]).to_string();
        for (door, method, url, content, whole) in [
            ("update", "PUT", path.clone(), body.to_string(), "Patient"),
            ("by criteria", "PUT", by_query.clone(), body.to_string(), "Patient"),
            ("FHIRPath Patch", "PATCH", path.clone(), by_path().to_string(), "Patient"),
            ("JSON Patch", "PATCH", by_query.clone(), json_patch, "Patient"),
            ("$meta-add", "POST", format!("{path}/$meta-add"), label().to_string(), "Parameters"),
            ("$meta-delete", "POST", format!("{path}/$meta-delete"), label().to_string(), "Parameters"),
        ] {
            let is_json_patch = door == "JSON Patch";
            if is_json_patch {
                headers.push(("Content-Type", "application/json-patch+json"));
            }
            let answer = client.send(method, &url, content, &headers).await.is(200);
            if is_json_patch {
                headers.pop();
            }
            assert_eq!(kind(&answer), wanted(prefer, whole), "{door} {prefer:?}");
            assert!(answer.header("etag").starts_with("W/"), "{door}");
        }
        let status = if prefer == Some("OperationOutcome") { 200 } else { 204 };
        let gone = client.send("DELETE", &path, "", &headers).await.is(status);
        assert_eq!(kind(&gone), wanted(prefer.filter(|p| *p != "representation"), ""), "delete {prefer:?}");
    }
}

/// R4 http.html#ops: `Prefer: return=…` of a batch or transaction holds for each entry.
async fn each_entry_of_a_bundle_answers_as_preferred(server: TestServer) {
    let client = server.everyone();
    for kind in ["batch", "transaction"] {
        for prefer in PREFERENCES {
            let path = |n: usize| format!("Patient/{kind}-{n}");
            for n in 0..5 {
                let mut body = patient("x");
                (body["id"], body["active"]) = (format!("{kind}-{n}").into(), false.into());
                client.send("PUT", &path(n), body.to_string(), &[]).await.ok();
            }
            let data = base64::engine::general_purpose::STANDARD
                .encode(json!([{"op": "replace", "path": "/active", "value": true}]).to_string());
            let mut put = patient("x");
            put["id"] = format!("{kind}-0").into();
            let entry = |method: &str, url: String, body: Value| json!({"resource": body, "request": {"method": method, "url": url}});
            let mut bundle = transaction(&[
                entry("POST", "Patient".into(), patient("y")),
                entry("PUT", path(0), put),
                entry("PATCH", path(1), by_path()),
                entry(
                    "PATCH",
                    path(2),
                    json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}),
                ),
                json!({"request": {"method": "DELETE", "url": path(3)}}),
                entry("POST", format!("{}/$meta-add", path(4)), label()),
                json!({"request": {"method": "GET", "url": path(4)}}),
                json!({"request": {"method": "GET", "url": format!("{}/$meta", path(4))}}),
            ]);
            bundle["type"] = kind.into();
            let text = prefer.map(|p| format!("return={p}"));
            let headers: Vec<(&str, &str)> = text.iter().map(|t| ("Prefer", t.as_str())).collect();
            let answer = client.send("POST", "", bundle.to_string(), &headers).await.is(200).body;
            for n in 0..8 {
                let entry = &answer["entry"][n];
                let status = entry["response"]["status"].as_str().unwrap_or_default();
                assert!(status.starts_with("20"), "{kind} {n}: {entry:#}");
                let whole = match (n, prefer) {
                    (6, _) => "Patient",
                    (7, _) => "Parameters",
                    (5, None | Some("representation")) => "Parameters",
                    (0..=3, Some("representation")) => "Patient",
                    _ => "",
                };
                assert_eq!(
                    entry["resource"]["resourceType"].as_str().unwrap_or_default(),
                    whole,
                    "{kind} {n} {prefer:?}"
                );
                let is_outcome = n < 6 && prefer == Some("OperationOutcome");
                assert_eq!(entry["response"]["outcome"].is_object(), is_outcome, "{kind} {n} {prefer:?}");
            }
        }
    }
}

/// RFC 7240 section-3: `Preference-Applied` names the preferences that were heeded, and no others.
/// RFC 7240 section-2: Of a preference that stands twice the first one counts; names know no case, values may be quoted.
async fn what_was_heeded_is_said(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let put = {
        let mut body = patient("1");
        body["id"] = path.trim_start_matches("Patient/").into();
        body.to_string()
    };
    let bundle = transaction(&[json!({"request": {"method": "GET", "url": path}})]).to_string();
    let add = format!("{path}/$meta-add");
    for (method, url, body, prefer, applied) in [
        ("PUT", path.as_str(), put.as_str(), "return=minimal", "return=minimal"),
        ("PUT", path.as_str(), put.as_str(), "return=representation", "return=representation"),
        ("PUT", path.as_str(), put.as_str(), "RETURN=\"minimal\", return=representation", "return=minimal"),
        (
            "PUT",
            path.as_str(),
            put.as_str(),
            "respond-async, handling=strict, wait=10, return = OperationOutcome",
            "return=OperationOutcome",
        ),
        ("PUT", path.as_str(), put.as_str(), "return=everything", ""),
        ("POST", "Patient", put.as_str(), "return=minimal; x=y", "return=minimal"),
        ("POST", add.as_str(), &label().to_string(), "return=minimal", "return=minimal"),
        ("POST", "", bundle.as_str(), "return=minimal", "return=minimal"),
        ("POST", "", bundle.as_str(), "respond-async,return=minimal", "respond-async"),
        ("GET", path.as_str(), "", "return=minimal, handling=lenient, respond-async", ""),
        ("GET", "Patient?nonsense=1", "", "handling=lenient", "handling=lenient"),
        ("GET", "Patient", "", "handling=strict, handling=lenient", "handling=strict"),
        ("GET", "Patient/$meta", "", "return=minimal", ""),
        ("DELETE", path.as_str(), "", "return=representation", ""),
        ("DELETE", path.as_str(), "", "return=OperationOutcome", "return=OperationOutcome"),
    ] {
        let answer = client.send(method, url, body, &[("Prefer", prefer)]).await;
        assert!(answer.status < 300, "{method} {url}: {answer:?}");
        let said = answer.headers.get("preference-applied").map_or("", |v| v.to_str().expect("ASCII"));
        assert_eq!(said, applied, "{method} {url} {prefer}");
    }
    let refused = client.send("GET", "Patient?nonsense=1", "", &[("Prefer", "handling=strict")]).await.is(400);
    assert!(refused.headers.get("preference-applied").is_none());
}
