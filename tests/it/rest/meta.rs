//! Profiles, tags and security labels across updates.
//! Source: <https://hl7.org/fhir/R4/resource.html#tag-updates>: labels are merged, profiles replaced.

use super::{patient, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    an_update_keeps_tags_and_security_labels_and_replaces_profiles,
    what_the_server_writes_is_not_the_clients,
);

fn label(code: &str) -> Value {
    json!({"system": "http://x.example", "code": code})
}

fn codes(resource: &Value, set: &str) -> Vec<String> {
    let all = resource["meta"][set].as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|one| one["code"].as_str().or(one.as_str()).map(str::to_owned)).collect()
}

async fn an_update_keeps_tags_and_security_labels_and_replaces_profiles(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["meta"] = json!({"tag": [label("a")], "security": [label("s")]});
    let path = client.create(&body).await.is(201).reference();
    body["id"] = path.trim_start_matches("Patient/").into();
    let mut twin = label("a");
    twin["display"] = "once more".into();
    body["meta"] = json!({"tag": [label("b"), twin]});
    let by_query = "Patient?identifier=http://rest.example/mrn|1";
    let put = json!({"resource": body, "request": {"method": "PUT", "url": path}});
    for door in ["PUT", "conditional", "transaction"] {
        match door {
            "PUT" => drop(client.send("PUT", &path, body.to_string(), &[]).await.is(200)),
            "conditional" => drop(client.send("PUT", by_query, body.to_string(), &[]).await.is(200)),
            _ => drop(client.post(&transaction(std::slice::from_ref(&put))).await.ok()),
        }
        let stored = server.read(&path).await;
        assert_eq!(
            (codes(&stored, "tag"), codes(&stored, "security")),
            (vec!["b".into(), "a".into()], vec!["s".into()]),
            "{door}"
        );
        assert_eq!(stored["meta"]["tag"][1]["display"], "once more", "what is sent goes over what is stored");
    }
    assert_eq!(client.search("Patient?_tag=http://x.example|a").await.len(), 1, "what is kept is found");
    assert_eq!(client.search("Patient?_security=http://x.example|s").await.len(), 1);
    body.as_object_mut().expect("an object").remove("meta");
    client.send("PUT", &path, body.to_string(), &[]).await.is(200);
    let stored = server.read(&path).await;
    assert_eq!((codes(&stored, "tag").len(), codes(&stored, "security").len()), (2, 1));
    // A patch says what it takes away, and what is deleted keeps nothing.
    client.patch(&path, &json!([{"op": "remove", "path": "/meta/tag/0"}])).await.is(200);
    assert_eq!(codes(&server.read(&path).await, "tag"), ["a"]);
    client.delete(&path).await.is(204);
    client.send("PUT", &path, body.to_string(), &[]).await.is(201);
    assert!(codes(&server.read(&path).await, "tag").is_empty());
}

async fn what_the_server_writes_is_not_the_clients(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["meta"] = json!({"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [label("a")]});
    let path = client.create(&body).await.is(201).reference();
    let stored = server.read(&path).await;
    assert_eq!((stored["meta"]["versionId"].as_str(), codes(&stored, "tag")), (Some("1"), vec!["a".into()]));
    assert!(stored["meta"]["lastUpdated"].as_str().is_some_and(|t| t > "2026"));
    let patch = json!([{"op": "replace", "path": "/meta/versionId", "value": "99"}, {"op": "replace", "path": "/meta/lastUpdated", "value": "2001-01-01T00:00:00Z"}]);
    client.patch(&path, &patch).await.is(200);
    let stored = server.read(&path).await;
    assert_eq!(stored["meta"]["versionId"], "2");
    assert!(stored["meta"]["lastUpdated"].as_str().is_some_and(|t| t > "2026"));
}
