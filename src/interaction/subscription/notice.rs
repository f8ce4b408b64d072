//! What is sent: a Bundle of type history whose first entry says how the Subscription stands.
//!
//! Source: <https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html>, profiles backport-subscription-notification-r4 and
//! backport-subscription-status-r4.

use super::channel::Content;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::store::{Method, Version};
use serde_json::{Value, json};
use uuid::Uuid;

const PROFILE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

/// How a Subscription stands.
#[derive(Debug, Clone)]
pub(super) struct Standing<'a> {
    pub(super) base: &'a str,
    pub(super) at: &'a Target,
    pub(super) topic: Option<&'a str>,
    pub(super) status: &'a str,
    /// `handshake`, `event-notification`, `query-status`.
    pub(super) kind: &'static str,
    /// Events since it was asked for, with these.
    pub(super) events: i64,
    /// What the last failure was; "".
    pub(super) error: &'a str,
}

/// The Parameters of it. `told`: what is told of, without what `content` leaves out.
pub(super) fn status(standing: &Standing<'_>, told: &[Version], content: Content) -> Value {
    let Standing { base, at, .. } = standing;
    let mut list = vec![json!({"name": "subscription", "valueReference": {"reference": format!("{base}/{at}")}})];
    if let Some(topic) = standing.topic {
        list.push(json!({"name": "topic", "valueCanonical": topic}));
    }
    list.push(json!({"name": "status", "valueCode": standing.status}));
    list.push(json!({"name": "type", "valueCode": standing.kind}));
    list.push(json!({"name": "events-since-subscription-start", "valueString": standing.events.to_string()}));
    let first = standing.events - i64::try_from(told.len()).unwrap_or(0);
    for (n, version) in (1_i64..).zip(told) {
        let mut part = vec![json!({"name": "event-number", "valueString": (first + n).to_string()})];
        if content != Content::Empty {
            part.push(json!({"name": "timestamp", "valueInstant": Instant(version.pk).to_string()}));
            part.push(json!({"name": "focus", "valueReference": {"reference": format!("{base}/{}", version.target)}}));
        }
        list.push(json!({"name": "notification-event", "part": part}));
    }
    if !standing.error.is_empty() {
        list.push(json!({"name": "error", "valueCodeableConcept": {"text": standing.error}}));
    }
    json!({
        "resourceType": "Parameters",
        "id": Uuid::new_v4().to_string(),
        "meta": {"profile": [format!("{PROFILE}backport-subscription-status-r4")]},
        "parameter": list,
    })
}

/// The Bundle of a notification.
///
/// # Errors
/// `Fault` for a stored body that does not parse.
pub(super) fn bundle(standing: &Standing<'_>, told: &[Version], content: Content, now: Instant) -> Result<Json> {
    let Standing { base, at, .. } = standing;
    let status = status(standing, told, content);
    let name = format!("urn:uuid:{}", status["id"].as_str().unwrap_or_default());
    let first = json!({
        "fullUrl": name,
        "resource": status,
        "request": {"method": "GET", "url": format!("{at}/$status")},
        "response": {"status": "200"},
    });
    let mut entries = vec![Json::from(first)];
    for version in told.iter().filter(|_| content != Content::Empty) {
        let is_new = version.method == Method::Post || version.version == 1;
        let (method, url) = match is_new {
            true => ("POST", version.target.rtype.to_string()),
            false => ("PUT", version.target.to_string()),
        };
        let mut entry: Json = json!({
            "fullUrl": format!("{base}/{}", version.target),
            "request": {"method": method, "url": url},
            "response": {"status": if is_new { "201" } else { "200" }},
        })
        .into();
        if content == Content::Full {
            entry.set("resource", version.json()?);
        }
        entries.push(entry);
    }
    let mut out: Json = json!({
        "resourceType": "Bundle",
        "id": Uuid::new_v4().to_string(),
        "meta": {"profile": [format!("{PROFILE}backport-subscription-notification-r4")]},
        "type": "history",
        "timestamp": now.to_string(),
    })
    .into();
    out.set("entry", entries);
    Ok(out)
}
