//! `X-Provenance`: who says so of what is written.
//! Source: <https://hl7.org/fhir/R4/provenance.html> (HTTP header).

use super::{patient, place, transaction};
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

both_databases!(a_provenance_in_the_header_is_stored_with_the_write);

fn said() -> Value {
    json!({"resourceType": "Provenance", "recorded": "2026-11-25T09:00:00Z",
        "agent": [{"who": {"display": "Ward 3"}}]})
}

async fn of(client: &Client, target: &str) -> Vec<String> {
    let found = client.search(&format!("Provenance?target={target}")).await;
    let targets = found.iter().flat_map(|p| p["target"].as_array().unwrap());
    targets.map(|t| t["reference"].as_str().unwrap().to_owned()).collect()
}

/// R4 provenance.html#6.4.4.2: A Provenance without target in `X-Provenance` is stored in the write's transaction; its targets are what was written, each with its version.
/// R4 provenance.html#6.4.4.2: A header that is none is 400 and names the element; nothing is stored. Scope and role must allow it.
async fn a_provenance_in_the_header_is_stored_with_the_write(server: TestServer) {
    let client = server.hospital();
    let header = said().to_string();
    let with = |method: &'static str, path: String, body: Value, header: String| {
        let client = client.clone();
        async move { client.send(method, &path, body.to_string(), &[("X-Provenance", &header)]).await }
    };
    let made = with("POST", "Patient".into(), patient("p1"), header.clone()).await.is(201);
    let id = made.reference();
    assert_eq!(of(&client, &id).await, [format!("{id}/_history/1")]);
    let mut body = made.body.clone();
    body["gender"] = "female".into();
    with("PUT", id.clone(), body, header.clone()).await.is(200);
    let patch = json!([{"op": "add", "path": "/active", "value": true}]);
    let headers = [("X-Provenance", header.as_str()), ("Content-Type", "application/json-patch+json")];
    client.send("PATCH", &id, patch.to_string(), &headers).await.is(200);
    let mut all = of(&client, &id).await;
    all.sort();
    assert_eq!(all, [1, 2, 3].map(|n| format!("{id}/_history/{n}")));

    // All that a transaction writes, and what its conditional create found; once more, and it writes nothing.
    let post = |number: &str, query: Option<&str>| {
        let mut request = json!({"method": "POST", "url": "Patient"});
        if let Some(query) = query {
            request["ifNoneExist"] = query.into();
        }
        json!({"resource": patient(number), "request": request})
    };
    let only = |n: &str| format!("identifier=http://rest.example/mrn|{n}");
    let bundle = transaction(&[post("p1", Some(&only("p1"))), post("p2", Some(&only("p2")))]);
    let done = with("POST", String::new(), bundle.clone(), header.clone()).await.is(200);
    let new = place(&done.body, 1);
    let mut both = of(&client, &new).await;
    both.sort();
    let mut expected = vec![format!("{id}/_history/3"), format!("{new}/_history/1")];
    expected.sort();
    assert_eq!(both, expected);
    with("POST", String::new(), bundle, header.clone()).await.is(200);
    assert_eq!(of(&client, &new).await.len(), 2, "nothing was written that it could tell of");

    let refuses = |answer: Answer, status: u16, at: &str| {
        assert_eq!(answer.status, status, "{:#}", answer.body);
        assert_eq!(answer.body["issue"][0]["expression"][0].as_str().unwrap_or_default(), at, "{:#}", answer.body);
    };
    let mut targeted = said();
    targeted["target"] = json!([{"reference": id}]);
    let mut unsigned = said();
    unsigned.as_object_mut().unwrap().remove("agent");
    let mut dangling = said();
    dangling["agent"][0]["who"] = json!({"reference": "Patient/not-there"});
    for (header, status, at) in [
        ("nothing".to_owned(), 400, ""),
        ("{}".to_owned(), 400, "Provenance.resourceType"),
        (targeted.to_string(), 400, "Provenance.target"),
        (unsigned.to_string(), 400, "Provenance.agent"),
        (dangling.to_string(), 422, "Provenance.agent[0].who.reference"),
    ] {
        refuses(with("POST", "Patient".into(), patient("p3"), header.clone()).await, status, at);
    }
    assert!(client.search(&format!("Patient?{}", only("p3"))).await.is_empty());
    // Who may not write a Provenance may not send one along; a read of the header goes nowhere else.
    let technician = server.technician();
    let task = json!({"resourceType": "DetectedIssue", "status": "preliminary", "patient": {"reference": id}});
    let answer = technician.send("POST", "DetectedIssue", task.to_string(), &[("X-Provenance", &header)]).await;
    refuses(answer, 403, "");
    refuses(with("DELETE", id.clone(), Value::Null, header.clone()).await, 400, "");
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [post("p4", None)]});
    refuses(with("POST", String::new(), batch, header).await, 400, "");
}
