//! What is not offered: its addresses are refused like any other that is not there, and say nothing.

use crate::harness::{Database, Settings, TestServer, with_database};
use serde_json::{Value, json};

/// Where a bulk export would be, by FHIR's own names for it.
const EXPORTS: [&str; 5] =
    ["$export", "Patient/$export", "Group/1/$export", "$export?_type=Patient&_outputFormat=ndjson", "$bulkdata-status"];

fn on_a_server_with_tokens<F: Future<Output = ()>>(story: impl FnOnce(TestServer) -> F) {
    with_database(Database::Sqlite, |mut settings: Settings| async move {
        settings.arguments.extend(["--auth", "embedded"].map(String::from));
        story(TestServer::start(settings).await).await;
    });
}

async fn token(server: &TestServer) -> String {
    let seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
    let clients = seed["clients"].as_array().expect("clients");
    let secret = clients.iter().find(|c| c["id"] == "lakeside-ehr").expect("a client")["secret"].as_str();
    let form = format!(
        "grant_type=client_credentials&client_id=lakeside-ehr&client_secret={}&scope=system/*.rs",
        secret.expect("a secret")
    );
    let client = server.everyone();
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = client.send("POST", "/auth/token", &form, &headers).await.is(200);
    format!("Bearer {}", answer.body["access_token"].as_str().expect("a token"))
}

/// security R52: Bulk export is not offered: its addresses are 401 without a token, and refused with one.
/// security A38: There are no export jobs: nobody finds one of others, whatever its address.
/// security audit export: Nothing is exported over FHIR, so nothing of it is to be put on record; the audit's own export is the operator's.
#[test]
fn there_is_no_bulk_export_to_ask_for() {
    on_a_server_with_tokens(|server| async move {
        let client = server.everyone();
        let bearer = token(&server).await;
        let bearer = [("Authorization", bearer.as_str()), ("Prefer", "respond-async")];
        for path in EXPORTS {
            for method in ["GET", "POST"] {
                client.send(method, path, "", &[]).await.refuses(401, "login", "");
                let answer = client.send(method, path, "", &bearer).await;
                assert!(matches!(answer.status, 400 | 404 | 405), "{method} {path}: {}", answer.status);
                assert_eq!(answer.body["resourceType"], "OperationOutcome", "{method} {path}");
            }
        }
        let metadata = client.read("metadata").await.ok().body.to_string();
        assert!(!metadata.contains("$export") && !metadata.contains("bulk"), "nor does metadata speak of it");
    });
}

/// security A70: CDS Hooks are not offered: a caller's JWT opens nothing there, and the `fhirServer` of its body is not called.
#[test]
fn there_are_no_hooks_to_call() {
    on_a_server_with_tokens(|server| async move {
        let client = server.everyone();
        let lure = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        lure.set_nonblocking(true).expect("a listener that does not wait");
        let lured = format!("http://{}/fhir", lure.local_addr().expect("an address"));
        let body = json!({"hook": "patient-view", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fhirServer": lured,
            "context": {"patientId": "1"}});
        let bearer = token(&server).await;
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        for path in ["/cds-services", "/cds-services/patient-view", "/fhir/cds-services/patient-view"] {
            for (method, text) in [("GET", String::new()), ("POST", body.to_string())] {
                let answer = client.send(method, path, text, &headers).await;
                assert!(matches!(answer.status, 400 | 404 | 405), "{method} {path}: {}", answer.status);
            }
        }
        assert!(lure.accept().is_err(), "nobody called back");
    });
}
