//! What the programme tells people by itself: one Communication, sent.
//!
//! Pure. Source: <https://hl7.org/fhir/R4/communication.html>.

use super::{finding::device, identifier, references, resource};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use serde_json::{Value, json};

/// The identifier system of what the programme tells.
pub const NOTICE: &str = "notice";

/// A message that something has happened.
///
/// `value`: what makes it the same message again. `(about, recipients)`, `(priority, text)`.
#[must_use]
pub fn notice(
    value: &str,
    patient: &Target,
    (about, recipients): (&[Target], &[Target]),
    (priority, text): (&str, &str),
    now: Instant,
) -> Json {
    let mut out = json!({
        "resourceType": "Communication",
        "identifier": [identifier(NOTICE, value)],
        "status": "completed",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]}],
        "priority": priority,
        "subject": references(patient),
        "topic": {"text": text},
        "about": about.iter().map(references).collect::<Vec<Value>>(),
        "sent": now.to_seconds_text(),
        "sender": device(),
        "payload": [{"contentString": text}],
    });
    if !recipients.is_empty() {
        out["recipient"] = recipients.iter().map(references).collect();
    }
    resource(out)
}
