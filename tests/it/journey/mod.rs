//! The programme, told as stories.

mod access;
mod answers;
mod bad_cases;
mod bad_forms;
mod bad_messages;
mod bad_problems;
mod consent;
mod demo;
pub mod doors;
mod entries;
mod expiry;
mod follow_up;
mod handoff;
mod load;
pub mod message;
mod order;
mod patient;
mod protocol;
pub mod reconcile;
mod reload;
mod report;
pub mod rules;
mod screening;
mod time;
mod timeline;
mod withhold;

use baton::cli::demo::DISCHARGES;
use baton::clock::Instant;
use serde_json::Value;

/// A sample discharge of `profiles/demo`, as its hospital would post it now.
pub struct Discharge {
    /// Client id of the hospital's EHR.
    pub hospital: &'static str,
    /// The transaction Bundle.
    pub bundle: Value,
}

/// The sample with this file name.
pub fn discharge(name: &str, now: jiff::Timestamp) -> Discharge {
    let sample = DISCHARGES.iter().find(|d| d.name == name).expect("a sample of that name");
    let text = sample.at(Instant(now.as_microsecond())).expect("a sample without faults");
    Discharge { hospital: sample.client, bundle: serde_json::from_str(&text).expect("JSON") }
}

/// The code system of the programme's Tasks.
pub const TASK_CODE: &str = "http://baton.example/fhir/CodeSystem/task-code";

/// What a report of a problem is about, and what shows it: an order of the patient's.
pub async fn about_an_order(server: &crate::harness::TestServer, patient: &str, issue: &mut serde_json::Value) {
    let order = server.everyone().search(&format!("MedicationRequest?patient={patient}&_count=1")).await.remove(0);
    let order = serde_json::json!([{"reference": crate::harness::client::reference(&order)}]);
    issue["evidence"] = serde_json::json!([{"detail": order}]);
    issue["implicated"] = order;
}
