//! PATCH in both its forms, alone, by criteria and in Bundles. The operations themselves are a table in `fhir/patch`.
//! Source: <https://hl7.org/fhir/R4/http.html#patch>, <https://hl7.org/fhir/R4/fhirpatch.html>.

use super::{patient, place, response, transaction};
use crate::harness::{Answer, Client, TestServer};
use base64::Engine as _;
use serde_json::{Value, json};

both_databases!(
    both_forms_change_what_they_name_and_nothing_else,
    a_patch_that_does_not_fit_stores_nothing_and_names_its_operation,
    both_forms_are_entries_of_a_batch_and_of_a_transaction,
    a_patch_in_a_transaction_may_refer_to_what_the_transaction_makes,
    a_technician_cannot_decide_by_any_patch,
);

const TEXT: &str = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":2.50,"unit":"mg"},"component":[{"code":{"text":"a"},"valueQuantity":{"value":1E-24}}]}"#;

/// A FHIRPath Patch of one operation.
fn by_path(kind: &str, path: &str, parts: &[Value]) -> Value {
    let mut all = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": path})];
    all.extend(parts.iter().cloned());
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": all}]})
}

fn replace(path: &str, value: Value) -> Value {
    let mut part = value;
    part["name"] = "value".into();
    by_path("replace", path, &[part])
}

/// A JSON Patch as a Bundle carries it.
fn binary(patch: &Value) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
    json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data})
}

fn entry(url: &str, body: Value) -> Value {
    json!({"resource": body, "request": {"method": "PATCH", "url": url}})
}

async fn send(client: &Client, path: &str, parameters: &Value) -> Answer {
    client.send("PATCH", path, parameters.to_string(), &[]).await
}

/// R4 fhirpatch.html: A FHIRPath Patch and a JSON Patch change what they name; the rest keeps order and digits, byte
/// for byte.
/// R4 http.html#patch: A patch by criteria honours `If-Match`.
async fn both_forms_change_what_they_name_and_nothing_else(server: TestServer) {
    let client = server.everyone();
    let amended = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
    for form in ["json", "path"] {
        let path = client.send("POST", "Observation", TEXT, &[]).await.is(201).reference();
        let answer = match form {
            "json" => client.patch(&path, &amended).await,
            _ => send(&client, &path, &replace("Observation.status", json!({"valueCode": "amended"}))).await,
        };
        assert_eq!(answer.is(200).header("etag"), "W/\"2\"");
        let now = String::from_utf8_lossy(&client.read(&path).await.ok().bytes).into_owned();
        let rest = TEXT.split_once("\"final\"").expect("a status").1;
        assert!(now.ends_with(&format!("\"amended\"{rest}")), "{form}: {now}");
        // By criteria, with a precondition.
        let by_id = format!("Observation?_id={}", path.trim_start_matches("Observation/"));
        let back = replace("Observation.status", json!({"valueCode": "final"}));
        client.send("PATCH", &by_id, back.to_string(), &[("If-Match", "W/\"1\"")]).await.refuses(412, "conflict", "");
        client.send("PATCH", &by_id, back.to_string(), &[("If-Match", "*")]).await.is(200);
        assert_eq!(server.read(&path).await["status"], "final");
    }
}

/// R4 http.html#patch: A patch that does not fit the resource is 422, one that cannot be read 400; the operation is
/// named and nothing is stored.
/// R4 http.html#patch: XML Patch and other media types are 415.
/// security A56: A patch that does not fit, or has more than 100 operations, stores nothing.
async fn a_patch_that_does_not_fit_stores_nothing_and_names_its_operation(server: TestServer) {
    let client = server.everyone();
    let path = client.send("POST", "Observation", TEXT, &[]).await.is(201).reference();
    for (patch, status, code, at) in [
        (replace("Observation.bodySite", json!({"valueString": "x"})), 422, "processing", "Parameters.parameter[0]"),
        (replace("Observation.status", json!({"valueBoolean": true})), 422, "value", "Parameters.parameter[0]"),
        (replace("Observation.status", json!({"valueCode": "done"})), 422, "code-invalid", "Observation.status"),
        (by_path("delete", "Observation.status", &[]), 422, "required", "Observation.status"),
        (by_path("delete", "Observation.component[", &[]), 400, "invalid", "Parameters.parameter[0]"),
        (
            replace("Observation.effective", json!({"valueDateTime": "soon"})),
            400,
            "value",
            "Parameters.parameter[0].part[2].value",
        ),
        (json!({"resourceType": "Parameters", "nonsense": 1}), 400, "structure", "Parameters.nonsense"),
        (patient("x"), 400, "invalid", "resourceType"),
        (json!([{"op": "replace", "path": "/status", "value": "amended"}]), 400, "invalid", "resourceType"),
    ] {
        send(&client, &path, &patch).await.refuses(status, code, at);
    }
    let json = json!([{"op": "replace", "path": "/status", "value": "amended"}, {"op": "remove", "path": "/nope"}]);
    client.patch(&path, &json).await.refuses(422, "processing", "Patch[1]");
    let many = |n: usize| Value::Array(vec![json!({"op": "test", "path": "/status", "value": "final"}); n]);
    client.patch(&path, &many(101)).await.refuses(422, "too-costly", "");
    let one = replace("Observation.status", json!({"valueCode": "amended"}))["parameter"][0].clone();
    let all = json!({"resourceType": "Parameters", "parameter": vec![one; 101]});
    send(&client, &path, &all).await.refuses(422, "too-costly", "");
    client.send("PATCH", &path, "<x/>", &[("Content-Type", "application/xml-patch+xml")]).await.refuses(
        415,
        "not-supported",
        "",
    );
    client.send("PATCH", &path, "x", &[("Content-Type", "text/plain")]).await.refuses(415, "not-supported", "");
    for id in [replace("Observation.id", json!({"valueId": "x"})), by_path("delete", "Observation.id", &[])] {
        send(&client, &path, &id).await.refuses(422, "processing", "Observation.id");
    }
    assert_eq!(server.read(&path).await["meta"]["versionId"], "1");
    send(&client, "Observation/nobody", &replace("Observation.status", json!({"valueCode": "final"}))).await.is(404);
}

/// R4 http.html#patch: Both forms are entries of batches and transactions, by id and by criteria.
async fn both_forms_are_entries_of_a_batch_and_of_a_transaction(server: TestServer) {
    let client = server.everyone();
    let path = client.send("POST", "Observation", TEXT, &[]).await.is(201).reference();
    let amended = || replace("Observation.status", json!({"valueCode": "amended"}));
    let unit = json!([{"op": "replace", "path": "/valueQuantity/unit", "value": "g"}]);
    let mut batch = transaction(&[
        entry(&path, amended()),
        entry(&path, binary(&unit)),
        entry(&path, binary(&json!([{"op": "remove", "path": "/nope"}]))),
        entry(&path, replace("Observation.nope", json!({"valueString": "x"}))),
        entry(&path, patient("x")),
    ]);
    batch["type"] = "batch".into();
    let answer = client.post(&batch).await.ok().body;
    let status: Vec<&str> = (0..5).filter_map(|n| response(&answer, n)["status"].as_str()?.get(..3)).collect();
    assert_eq!(status, ["200", "200", "422", "422", "400"], "{answer:#}");
    let at = |n: usize| response(&answer, n)["outcome"]["issue"][0]["expression"][0].clone();
    assert_eq!(at(2), "Bundle.entry[2].resource.data");
    assert_eq!(at(3), "Bundle.entry[3].resource.parameter[0]");
    let now = client.read(&path).await.ok();
    let text = String::from_utf8_lossy(&now.bytes).into_owned();
    assert!(text.contains(r#""status":"amended""#) && text.contains(r#""value":2.50,"unit":"g""#), "{text}");

    let bad = transaction(&[entry(&path, amended()), entry("Observation/nobody", amended())]);
    client.post(&bad).await.refuses(404, "not-found", "Bundle.entry[1]");
    let twice = transaction(&[entry(&path, amended()), entry(&path, binary(&unit))]);
    client.post(&twice).await.refuses(400, "duplicate", "Bundle.entry[1]");
    assert_eq!(server.read(&path).await["meta"]["versionId"], "3");
    let by_query = format!("Observation?_id={}", path.trim_start_matches("Observation/"));
    client
        .post(&transaction(&[entry(&by_query, replace("Observation.status", json!({"valueCode": "final"})))]))
        .await
        .ok();
    assert_eq!(server.read(&path).await["status"], "final");
}

/// R4 http.html#trules: What a patch brings may refer to entries of the transaction, and by criteria.
async fn a_patch_in_a_transaction_may_refer_to_what_the_transaction_makes(server: TestServer) {
    let client = server.everyone();
    let path = client.send("POST", "Observation", TEXT, &[]).await.is(201).reference();
    let known = client.create(&patient("known")).await.is(201).reference();
    let new = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e9";
    let subject = |text: &str| {
        by_path(
            "add",
            "Observation",
            &[
                json!({"name": "name", "valueString": "subject"}),
                json!({"name": "value", "valueReference": {"reference": text}}),
            ],
        )
    };
    let made = || json!({"fullUrl": new, "resource": patient("new"), "request": {"method": "POST", "url": "Patient"}});
    let json = |text: &str| binary(&json!([{"op": "add", "path": "/subject", "value": {"reference": text}}]));
    let again = by_path("delete", "Observation.subject", &[]);
    for body in [subject(new), json(new)] {
        let answer = client.post(&transaction(&[made(), entry(&path, body)])).await.ok().body;
        assert_eq!(server.read(&path).await["subject"]["reference"], place(&answer, 0).as_str());
        send(&client, &path, &again).await.is(200);
    }
    let criteria = "Patient?identifier=http://rest.example/mrn|known";
    for body in [subject(criteria), json(criteria)] {
        client.post(&transaction(&[entry(&path, body)])).await.ok();
        assert_eq!(server.read(&path).await["subject"]["reference"], known.as_str());
        send(&client, &path, &again).await.is(200);
    }
    client.patch(&path, &json!([{"op": "add", "path": "/subject", "value": {"reference": criteria}}])).await.is(200);
    assert_eq!(server.read(&path).await["subject"]["reference"], known.as_str());
    send(&client, &path, &again).await.is(200);
    let dead = "urn:uuid:0c3151bd-1cbf-4d64-b04d-00000000dead";
    for body in [subject(dead), json(dead)] {
        client.post(&transaction(&[entry(&path, body)])).await.refuses(
            422,
            "not-found",
            "Bundle.entry[0].resource.subject.reference",
        );
    }
}

/// Own docs/writes.md: The rules of the programme hold for every form of a patch.
/// security A56: A patch reaches nothing that its caller may not change.
async fn a_technician_cannot_decide_by_any_patch(server: TestServer) {
    let dtp = crate::harness::client::reference(&crate::journey::rules::reported(&server).await);
    let technician = server.technician();
    let path = replace("DetectedIssue.status", json!({"valueCode": "final"}));
    let json = json!([{"op": "replace", "path": "/status", "value": "final"}]);
    let by_query = format!("DetectedIssue?_id={}", dtp.trim_start_matches("DetectedIssue/"));
    technician.patch(&dtp, &json).await.refuses(403, "forbidden", "DetectedIssue.status");
    for url in [&dtp, &by_query] {
        send(&technician, url, &path).await.refuses(403, "forbidden", "DetectedIssue.status");
        for body in [path.clone(), binary(&json)] {
            let in_bundle = technician.post(&transaction(&[entry(url, body)])).await;
            in_bundle.refuses(403, "forbidden", "Bundle.entry[0].resource.status");
        }
    }
    assert_eq!(server.read(&dtp).await["status"], "preliminary");
}
