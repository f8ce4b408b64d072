//! The same change by every door that a client has.

use crate::harness::client::reference;
use crate::harness::{Answer, Client};
use base64::Engine as _;
use serde_json::{Value, json};

/// Whether a change says which version it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `If-Match` with the version of the resource in hand.
    Named,
    /// No `If-Match`.
    Left,
}

/// A Bundle of these entries.
pub fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

/// A batch of one entry, answered as if it had been sent alone.
pub async fn in_a_batch(client: &Client, entry: Value) -> Answer {
    let mut answer = client.post(&bundle("batch", vec![entry])).await;
    let response = answer.body["entry"][0]["response"].clone();
    let status = response["status"].as_str().unwrap_or("0").to_string();
    answer.status = status.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0);
    answer.body = response["outcome"].clone();
    answer
}

/// The change from `before` to `after` (and as a JSON Patch) by PUT, PATCH, transaction, batch and, where the resource has
/// an identifier, conditional update.
pub async fn every_door(
    client: &Client,
    before: &Value,
    after: &Value,
    patch: &Value,
    version: Version,
) -> Vec<(&'static str, Answer)> {
    let path = reference(before);
    let mut bare = after.clone();
    bare.as_object_mut().expect("an object").remove("meta");
    let tag = format!("W/\"{}\"", before["meta"]["versionId"].as_str().expect("a version"));
    let mut headers = Vec::new();
    let mut request = json!({"method": "PUT", "url": path});
    if version == Version::Named {
        headers.push(("If-Match", tag.as_str()));
        request["ifMatch"] = tag.as_str().into();
    }
    let entry = json!({"request": request.clone(), "resource": bare});
    let mut patch_headers = headers.clone();
    patch_headers.push(("Content-Type", "application/json-patch+json"));
    let mut doors = vec![
        ("PUT", client.send("PUT", &path, bare.to_string(), &headers).await),
        ("PATCH", client.send("PATCH", &path, patch.to_string(), &patch_headers).await),
        ("transaction", client.post(&bundle("transaction", vec![entry.clone()])).await),
        ("batch", in_a_batch(client, entry).await),
    ];
    let data = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
    let mut request = request;
    request["method"] = "PATCH".into();
    let binary = json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data});
    let entry = json!({"request": request, "resource": binary});
    doors.push(("PATCH in a transaction", client.post(&bundle("transaction", vec![entry.clone()])).await));
    doors.push(("PATCH in a batch", in_a_batch(client, entry).await));
    let system = before["identifier"][0]["system"].as_str().unwrap_or_default();
    if !system.is_empty() {
        let value = before["identifier"][0]["value"].as_str().unwrap_or_default();
        let kind = before["resourceType"].as_str().expect("a type");
        let url = format!("{kind}?identifier={system}|{value}");
        doors.push(("conditional update", client.send("PUT", &url, bare.to_string(), &headers).await));
    }
    doors
}

/// The change of some elements of `before` by every door: all must be refused alike, and nothing be stored.
pub async fn refused_at_every_door(client: &Client, before: &Value, change: &Value, status: u16, says: &str) {
    let mut after = before.clone();
    let mut patch = Vec::new();
    for (name, value) in change.as_object().expect("an object") {
        let path = format!("/{name}");
        if value.is_null() {
            after.as_object_mut().expect("an object").remove(name);
            patch.push(json!({"op": "remove", "path": path}));
        } else {
            after[name] = value.clone();
            patch.push(json!({"op": "add", "path": path, "value": value}));
        }
    }
    for (door, answer) in every_door(client, before, &after, &Value::Array(patch), Version::Named).await {
        let text = format!("{door} {change}: {} {}", answer.status, answer.body);
        if door == "conditional update" && matches!(answer.status, 403 | 404) {
            continue; // who may not create the type does not get this far
        }
        assert_eq!(answer.status, status, "{text}");
        assert!(answer.body.to_string().contains(says), "`{says}` in {text}");
    }
}
