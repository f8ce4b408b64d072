//! Who asks very often: with a token, and without one.

use crate::harness::{Database, TestServer, with_arguments};
use serde_json::Value;

const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

/// security A41: A client that asks faster than it may gets 429 with Retry-After and an OperationOutcome that names the limit; health and metrics do not count.
/// security A68: Of a flood without tokens some refusals are on record, each, and the others as a count.
async fn a_flood_is_refused_and_leaves_little_on_record(server: TestServer) {
    let client = server.everyone();
    let form = "grant_type=client_credentials&client_id=lakeside-ehr&client_secret=for-the-demo-on-loopback-only-lakeside-ehr-0001&scope=system/Patient.rs";
    let token = client.send("POST", "/auth/token", form, &FORM).await.is(200).body;
    let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
    let ask = async || client.send("GET", "Patient?_count=1", "", &[("Authorization", &bearer)]).await;
    // Ten seconds' worth of one a second, and what came in by then.
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(ask().await);
    }
    let passed = answers.iter().filter(|a| a.status == 200).count();
    assert!((10..60).contains(&passed), "{passed}");
    let last = answers.iter().rfind(|a| a.status != 200).expect("a refusal");
    last.refuses(429, "throttled", "");
    assert_eq!(last.header("retry-after"), "1");
    assert!(last.body.to_string().contains("client-rate"), "{last:?}");
    for _ in 0..30 {
        client.read("/livez").await.is(200);
        client.read("Patient?_count=1").await.is(401);
    }
    let rows = async || {
        let (done, text) = server.settings.run(&["audit", "export"]);
        assert!(done, "{text}");
        let events = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        events.filter(|e| e["outcomeDesc"].as_str().is_some_and(|why| why.starts_with("no caller"))).count()
    };
    for _ in 0..600 {
        if rows().await >= 20 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rows().await, 20, "of 30");
}

#[test]
fn a_flood_is_refused_and_leaves_little_on_record_on_sqlite() {
    let arguments = ["--auth", "embedded", "--client-rate", "1"];
    with_arguments(Database::Sqlite, &arguments, a_flood_is_refused_and_leaves_little_on_record);
}
