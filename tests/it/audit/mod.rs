//! The audit as a security officer meets it: what is on record of each interaction, who may read it, and that it holds
//! against `kill -9`, a full disk and somebody with a hand in the database.
//! Source: the security contract, section 4; IHE BALP.

mod chain;
mod durable;
mod record;
mod report;
mod roles;

use crate::harness::{Client, TestServer};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";

/// What the auditor of the site finds, once it is `enough`: rows are sealed within about a second.
async fn found(server: &TestServer, query: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    found_by(&server.user("audit"), query, enough).await
}

/// Asks until enough is on record.
pub async fn found_by(auditor: &Client, query: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let events = auditor.search(&format!("AuditEvent?{query}&_count=1000")).await;
        if enough(&events) {
            return events;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "not on record: {query}: {events:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all rows that are there have their place in the chain.
pub async fn sealed(server: &TestServer) {
    let started = Instant::now();
    loop {
        let (whole, text) = server.settings.run(&["audit", "verify"]);
        assert!(whole, "{text}");
        if text.contains(" 0 rows wait") {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Of the entities those with this code of `audit-entity-type`: what they lead to.
fn entities<'a>(event: &'a Value, kind: &str) -> Vec<&'a str> {
    let all = event["entity"].as_array().into_iter().flatten();
    let some = all.filter(|e| {
        e["type"]["code"] == kind && e["type"]["system"] == "http://terminology.hl7.org/CodeSystem/audit-entity-type"
    });
    some.filter_map(|e| e["what"]["reference"].as_str()).collect()
}

fn patient(number: u32) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": "Quillfeather"}],
        "identifier": [{"system": "http://audit.example/mrn", "value": number.to_string()}]})
}

fn observation(patient: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "weight"}, "subject": {"reference": patient},
        "valueQuantity": {"value": 70.5, "unit": "kg"}})
}
