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

/// The doors of a change of what is there.
pub const DOORS: [&str; 7] =
    ["PUT", "PATCH", "transaction", "batch", "PATCH in a transaction", "PATCH in a batch", "conditional update"];

/// A change of one resource.
pub struct Change<'a> {
    /// The resource in hand.
    pub before: &'a Value,
    /// What it is to be.
    pub after: &'a Value,
    /// The same as a JSON Patch.
    pub patch: &'a Value,
    /// Whether it says which version it is of.
    pub version: Version,
}

impl Change<'_> {
    /// Goes through one door of [`DOORS`]; `None` where that door is not there: without an identifier nothing is found by one.
    pub async fn through(&self, client: &Client, door: &str) -> Option<Answer> {
        let path = reference(self.before);
        let mut bare = self.after.clone();
        bare.as_object_mut().expect("an object").remove("meta");
        let tag = format!("W/\"{}\"", self.before["meta"]["versionId"].as_str().expect("a version"));
        let mut headers = Vec::new();
        let mut request = json!({"method": "PUT", "url": path});
        if self.version == Version::Named {
            headers.push(("If-Match", tag.as_str()));
            request["ifMatch"] = tag.as_str().into();
        }
        let mut entry = json!({"request": request, "resource": bare});
        if door.starts_with("PATCH in") {
            let data = base64::engine::general_purpose::STANDARD.encode(self.patch.to_string());
            entry["request"]["method"] = "PATCH".into();
            entry["resource"] =
                json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data});
        }
        Some(match door {
            "PUT" => client.send("PUT", &path, bare.to_string(), &headers).await,
            "PATCH" => {
                headers.push(("Content-Type", "application/json-patch+json"));
                client.send("PATCH", &path, self.patch.to_string(), &headers).await
            }
            "transaction" | "PATCH in a transaction" => client.post(&bundle("transaction", vec![entry])).await,
            "batch" | "PATCH in a batch" => in_a_batch(client, entry).await,
            _ => {
                let identifier = &self.before["identifier"][0];
                let system = identifier["system"].as_str().filter(|s| !s.is_empty())?;
                let value = identifier["value"].as_str().unwrap_or_default();
                let kind = self.before["resourceType"].as_str().expect("a type");
                let url = format!("{kind}?identifier={system}|{value}");
                client.send("PUT", &url, bare.to_string(), &headers).await
            }
        })
    }
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
    let change = Change { before, after, patch, version };
    let mut answers = Vec::new();
    for door in DOORS {
        answers.extend(change.through(client, door).await.map(|answer| (door, answer)));
    }
    answers
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
