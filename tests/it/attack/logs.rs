//! What the server writes about itself: no data of patients, no secrets, no lines of the caller's making.

use crate::harness::{Database, TestServer, with_database};
use serde_json::json;

/// Stands in names, values, queries, ids, tokens and headers of all that is sent.
const MARK: &str = "Qzxmarker";

mod nothing_of_a_patient_and_no_secret_reaches_log_or_metrics {
    use super::*;
    #[test]
    fn sqlite() {
        run(Database::Sqlite);
    }
    #[test]
    fn postgres() {
        run(Database::Postgres);
    }
}

/// On a server that logs as much as it can.
fn run(database: Database) {
    with_database(database, |mut settings| async move {
        settings.environment.push(("RUST_LOG", "info,baton=trace"));
        nothing_of_a_patient_and_no_secret_reaches_log_or_metrics(TestServer::start(settings).await).await;
    });
}

/// security A21: No token and no secret is in the log, after good and bad requests.
/// security A64: Names, values, queries, ids and headers of callers are in no line of the log, at its most talkative, and in no metric.
/// security leak 19: The log and the metrics tell nothing of a patient.
async fn nothing_of_a_patient_and_no_secret_reaches_log_or_metrics(server: TestServer) {
    let sample = crate::journey::discharge("04-duplicate-therapy", server.now());
    let hospital = server.user(sample.hospital);
    // A discharge with the mark in each name, text and identifier.
    let text = sample.bundle.to_string();
    let family =
        sample.bundle["entry"].as_array().and_then(|e| e.first()).map(|e| e["resource"]["name"][0]["family"].clone());
    let family = family.and_then(|f| f.as_str().map(str::to_owned)).expect("the Patient comes first");
    let marked = text.replace(&family, MARK);
    hospital.send("POST", "", &marked, &[]).await.ok();
    let everyone = server.everyone();
    let patient = everyone.search(&format!("Patient?name={MARK}")).await.remove(0);
    let id = patient["id"].as_str().expect("an id");
    let token = format!("Bearer {MARK}.{MARK}.{MARK}");
    let secret = format!("grant_type=client_credentials&client_id={MARK}&client_secret={MARK}");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let issue = json!({"resourceType": "DetectedIssue", "status": MARK, "detail": MARK}).to_string();
    for (method, path, body, headers) in [
        ("GET", format!("Patient?name={MARK}&_count=x"), "", vec![]),
        ("GET", format!("Patient?{MARK}=1"), "", vec![]),
        ("GET", format!("Patient/{MARK}"), "", vec![]),
        ("GET", format!("Patient/{MARK}%0d%0a2026-01-01 ERROR forged"), "", vec![]),
        ("GET", format!("{MARK}/1"), "", vec![]),
        (
            "GET",
            format!("Patient/{id}"),
            "",
            vec![("Authorization", token.as_str()), ("User-Agent", MARK), ("Referer", MARK)],
        ),
        ("GET", format!("Patient/{id}"), "", vec![("X-Request-Id", "Qzxmarker [31m; ERROR forged"), ("Cookie", MARK)]),
        ("GET", format!("Patient/{id}/$everything"), "", vec![]),
        ("POST", "Patient/_search".into(), "name=Qzxmarker", vec![form]),
        ("POST", "DetectedIssue".into(), &issue, vec![]),
        ("POST", "Patient".into(), "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Qzxmarker\"", vec![]),
        ("POST", "/auth/token".into(), &secret, vec![form]),
        ("POST", "/auth/token?secret=Qzxmarker".into(), &secret, vec![form]),
        (
            "PATCH",
            format!("Patient/{id}"),
            "[{\"op\":\"test\",\"path\":\"/Qzxmarker\",\"value\":1}]",
            vec![("Content-Type", "application/json-patch+json")],
        ),
        ("DELETE", format!("Patient/{id}"), "", vec![]),
        ("PUT", format!("Patient/{MARK}"), "{}", vec![]),
    ] {
        let sent = everyone.try_send(method, &path, body, &headers).await;
        assert!(sent.is_ok_and(|a| a.status < 500), "{method} {path}");
    }
    let metrics = everyone.send("GET", "/metrics", "", &[]).await;
    let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
    assert!(!metrics.is_empty());
    for (what, text) in [("the metrics", metrics), ("the log", server.log())] {
        let told: Vec<&str> = text.lines().filter(|l| l.contains(MARK) || l.contains("forged")).collect();
        assert!(told.is_empty(), "{what}: {told:#?}");
        assert!(!text.contains('\u{1b}'), "{what} has control characters");
    }
}
