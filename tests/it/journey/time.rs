//! The programme and the calendar: due times, the horizon, attempts one after the other. The clock is the test's own.

use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{TestServer, hours};
use serde_json::{Value, json};

async fn posted(server: &TestServer, name: &str, at: jiff::Timestamp) -> String {
    let discharge = discharge(name, at);
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location").to_string();
    location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string()
}

async fn task(server: &TestServer, patient: &str, code: &str) -> Value {
    let found = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|{code}")).await;
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found[0].clone()
}

both_databases!(history_being_loaded_opens_nothing_and_says_so_but_is_replayed_as_of_its_day);
async fn history_being_loaded_opens_nothing_and_says_so_but_is_replayed_as_of_its_day(server: TestServer) {
    let old: jiff::Timestamp = "2024-05-14T15:00:00Z".parse().expect("an instant");
    let patient = posted(&server, "04-duplicate-therapy", old).await;
    let everyone = server.everyone();
    for kind in ["EpisodeOfCare", "Task"] {
        assert_eq!(everyone.search(&format!("{kind}?patient={patient}")).await.len(), 0, "{kind}");
    }
    let decisions = everyone.search(&format!("Observation?patient={patient}")).await;
    assert!(
        decisions.iter().any(|d| d.to_string().contains("too-old-discharge")),
        "the reason is on record: {decisions:#?}"
    );

    server.at("2024-05-14T15:00:00Z");
    let patient = posted(&server, "01-polypharmacy", old).await;
    assert_eq!(everyone.search(&format!("EpisodeOfCare?patient={patient}")).await.len(), 1);
}

both_databases!(two_business_days_from_a_thursday_pass_over_the_weekend);
async fn two_business_days_from_a_thursday_pass_over_the_weekend(server: TestServer) {
    // The sample's stay ends a day before: on Thursday, 5 March 2026.
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy", server.now()).await;
    let due = |task: &Value| task["restriction"]["period"]["end"].as_str().expect("a due time").to_string();
    let call = due(&task(&server, &patient, "first-call").await);
    assert!(("2026-03-09T12:00:00Z".."2026-03-10T12:00:00Z").contains(&call.as_str()), "at the end of Monday: {call}");
    let pickup = due(&task(&server, &patient, "check-pickup").await);
    assert_eq!(pickup, "2026-03-06T16:00:00Z", "24 hours after the discharge");
    let check = due(&task(&server, &patient, "pharmacist-check").await);
    assert_eq!(check, "2026-03-08T16:00:00Z", "72 hours after the discharge, weekend or not");
}

both_databases!(each_attempt_to_reach_the_patient_is_one_communication);
async fn each_attempt_to_reach_the_patient_is_one_communication(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let patient = posted(&server, "04-duplicate-therapy", server.now()).await;
    let call = reference(&task(&server, &patient, "first-call").await);
    server.pharmacy().operation(&format!("{call}/$claim"), &Value::Null, Some("1")).await.ok();
    let attempt =
        |outcome: &str| json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]});
    for outcome in ["no-answer", "reached"] {
        server.technician().operation(&format!("{call}/$attempt"), &attempt(outcome), None).await.ok();
        server.advance(hours(3));
    }
    let attempts = server.everyone().search(&format!("Communication?based-on={call}&_sort=sent")).await;
    let seen: Vec<_> =
        attempts.iter().map(|c| (c["status"].as_str().unwrap_or(""), c["sent"].as_str().unwrap_or(""))).collect();
    assert_eq!(seen, [("not-done", "2026-03-06T16:00:00Z"), ("completed", "2026-03-06T19:00:00Z")]);
    let wrong = server.technician().operation(&format!("{call}/$attempt"), &attempt("hung-up"), None).await;
    assert!((400..500).contains(&wrong.status), "an outcome that is none of the list: {wrong:?}");
}
