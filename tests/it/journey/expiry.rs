//! What was shared for a follow-up is out of sight when its time is over, by every door: the clock alone does it.

use super::consent::{posted, task};
use crate::harness::client::reference;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};
use std::time::Duration;

/// As long as `share-after-close` of the protocol says, after its last Task is due.
const AFTER_DUE_DAYS: i64 = 14;

/// Whether an answer shows something of the patient.
fn shows(answer: &Answer, patient: &str) -> bool {
    match answer.body["type"].as_str() {
        Some("searchset" | "history" | "batch-response") => {
            let entries = answer.body["entry"].as_array().cloned().unwrap_or_default();
            entries.iter().any(|e| e["resource"].to_string().contains(patient))
        }
        _ => answer.status == 200,
    }
}

async fn seen(client: &Client, paths: &[String], bundle: &Value, patient: &str) -> Vec<bool> {
    let mut out = Vec::new();
    for path in paths {
        out.push(shows(&client.read(path).await, patient));
    }
    out.push(shows(&client.post(bundle).await, patient));
    out
}

both_databases!(what_was_shared_is_out_of_sight_when_its_time_is_over);
/// security leak 21: What was shared is out of sight by every door from the moment its time is over.
async fn what_was_shared_is_out_of_sight_when_its_time_is_over(server: TestServer) {
    let p = posted(&server).await;
    let call = task(&server, &p, "first-call").await;
    let pharmacy = server.pharmacy();
    pharmacy.operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let close = task(&server, &p, "close-episode").await;
    let (t, e) = (reference(&close), close["encounter"]["reference"].as_str().expect("a stay").to_string());
    let list = reference(&pharmacy.search(&format!("List?subject={p}")).await[0]);
    let m = reference(&pharmacy.search(&format!("MedicationRequest?patient={p}")).await[0]);
    let episode = reference(&pharmacy.search(&format!("EpisodeOfCare?patient={p}")).await[0]);
    let paths: Vec<String> = [
        "Patient/{p}",
        "Patient/{p}?_summary=true",
        "Patient/{p}/_history",
        "Patient/{p}/_history/1",
        "Patient?_id={p}",
        "Patient?_has:Task:patient:code=first-call",
        "Patient/{p}/$everything",
        "Patient/{p}/Task",
        "{t}",
        "{t}/_history/1",
        "Task?patient={p}",
        "Task?patient.birthdate=gt1900-01-01",
        "Task?code=close-episode&_include=Task:patient",
        "Task/_history?_count=1000",
        "_history?_count=1000",
        "{m}",
        "MedicationRequest?patient={p}",
        "MedicationRequest?_revinclude=List:item",
        "{list}",
        "{episode}",
        "{episode}/$timeline",
        "{e}",
        "{e}/$handoff-report",
        "Encounter?_lastUpdated=gt1900-01-01",
        "Observation?patient={p}",
        "?_type=Patient,Task&_id={p}",
    ]
    .iter()
    .map(|path| {
        path.replace("{p}", &p)
            .replace("{t}", &t)
            .replace("{m}", &m)
            .replace("{list}", &list)
            .replace("{episode}", &episode)
            .replace("{e}", &e)
    })
    .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": format!("Patient/{p}")}}]});
    let due: jiff::Timestamp = close["restriction"]["period"]["end"].as_str().expect("a time").parse().expect("a time");
    let last = due.checked_add(jiff::SignedDuration::from_hours(24 * AFTER_DUE_DAYS)).expect("a time");
    server.at(&last.checked_sub(jiff::SignedDuration::from_secs(60)).expect("a time").to_string());
    let before = seen(&pharmacy, &paths, &bundle, &p).await;
    for (path, seen) in paths.iter().zip(&before) {
        assert!(*seen, "a minute before: {path}");
    }
    server.advance(Duration::from_secs(120));
    let after = seen(&pharmacy, &paths, &bundle, &p).await;
    for (path, seen) in paths.iter().chain([&"a batch".to_string()]).zip(&after) {
        assert!(!*seen, "a minute after: {path}");
    }
    // Nor can it be written to.
    let note = json!([{"op": "add", "path": "/note", "value": [{"text": "late"}]}]);
    pharmacy.patch(&t, &note).await.is(404);
    pharmacy.operation(&format!("{t}/$release"), &Value::Null, None).await.is(404);
    let problem = json!({"resourceType": "DetectedIssue", "status": "preliminary", "patient": {"reference": format!("Patient/{p}")},
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]}, "identifiedDateTime": "2026-03-06",
        "implicated": [{"reference": m}], "severity": "high", "evidence": [{"detail": [{"reference": m}]}], "detail": "taken twice a day",
        "author": {"reference": "Practitioner/mara-lind"}});
    server.technician().create(&problem).await.refuses(422, "not-found", "");
    // The hospital still has it all.
    server.other_hospital().read(&format!("Patient/{p}")).await.ok();
}
