//! Attempts to reach the patient.

use crate::fhir::Json;

/// Whether a Communication records an attempt: it belongs to a Task.
#[must_use]
pub fn is_attempt(communication: &Json) -> bool {
    let refers = |name: &str| communication[name].items().iter().any(|r| r["reference"].text().contains("Task/"));
    refers("basedOn") || refers("partOf")
}
