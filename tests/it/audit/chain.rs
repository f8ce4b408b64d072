//! The hash chain against somebody with a hand in the database.

use super::*;
use crate::harness::{Database, Settings, with_database};

/// A database with some history, and nobody who uses it.
async fn with_history(settings: Settings) -> TestServer {
    let mut server = TestServer::start(settings).await;
    let writers = (0..16).map(|n| {
        let hospital = server.hospital();
        async move {
            let id = hospital.create(&patient(n)).await.is(201).reference();
            hospital.create(&observation(&id)).await.is(201);
            hospital.read(&id).await.is(200);
        }
    });
    futures_util::future::join_all(writers).await;
    sealed(&server).await;
    server.kill();
    server
}

/// security audit chain: Sixteen writers at a time leave a whole chain; a row or AuditEvent that is changed, taken away or put in afterwards is named, with exit code 3.
async fn what_is_changed_afterwards_is_named(settings: Settings) {
    let server = with_history(settings).await;
    let settings = &server.settings;
    let (whole, text) = settings.run(&["audit", "verify"]);
    assert!(whole && text.contains("The audit is whole"), "{text}");
    let kept = text.lines().find_map(|l| l.strip_prefix("Keep this elsewhere: ")).expect("a last hash").to_owned();
    let (through, text) = settings.run(&["audit", "verify", "--through", &kept]);
    assert!(through, "{text}");
    let (through, text) = settings.run(&["audit", "verify", "--through", &format!("{}0", &kept[..kept.len() - 1])]);
    assert!(through == kept.ends_with('0'), "{text}");

    let event = "(SELECT max(pk) FROM version WHERE id LIKE 'a%-0')";
    for (change, back, says) in [
        (
            "UPDATE audit SET client = client || 'x' WHERE seq = 7",
            "UPDATE audit SET client = replace(client, 'x', '') WHERE seq = 7",
            "BROKEN at 7 ",
        ),
        (
            "UPDATE audit SET outcome = 500 WHERE seq = 9",
            "UPDATE audit SET outcome = 200 WHERE seq = 9",
            "BROKEN at 9 ",
        ),
        (
            "UPDATE audit SET seq = -5 WHERE seq = 5",
            "UPDATE audit SET seq = 5 WHERE seq = -5",
            "BROKEN at 5: the row is missing",
        ),
        (
            "UPDATE audit SET detail = replace(detail, '127.0.0.1', '127.0.0.2')",
            "UPDATE audit SET detail = replace(detail, '127.0.0.2', '127.0.0.1')",
            "is not as it was sealed",
        ),
        (
            "UPDATE version SET id = 'b' || id WHERE pk = EVENT",
            "UPDATE version SET id = substr(id, 2) WHERE id LIKE 'ba%'",
            "AuditEvent",
        ),
        (
            "UPDATE audit SET seq = -seq WHERE seq > 20",
            "UPDATE audit SET seq = -seq WHERE seq < 0",
            "BROKEN at 21: the row is missing, and all that follow",
        ),
    ] {
        settings.execute(&change.replace("EVENT", event)).await;
        let (whole, text) = settings.run(&["audit", "verify"]);
        assert!(!whole && text.contains(says), "{change}: {text}");
        assert_eq!(settings.code(&["audit", "verify"]), Some(3), "{change}");
        settings.execute(back).await;
        let (whole, text) = settings.run(&["audit", "verify"]);
        assert!(whole, "after {back}: {text}");
    }
}

#[test]
fn what_is_changed_afterwards_is_named_on_sqlite() {
    with_database(Database::Sqlite, what_is_changed_afterwards_is_named);
}

#[test]
fn what_is_changed_afterwards_is_named_on_postgres() {
    with_database(Database::Postgres, what_is_changed_afterwards_is_named);
}

/// security audit keep: The audit comes out as NDJSON beside the running server, of a time, and on from where an export ended.
async fn the_audit_is_exported(server: TestServer) {
    let id = server.hospital().create(&patient(1)).await.is(201).reference();
    sealed(&server).await;
    let lines = |text: &str| -> Vec<Value> { text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect() };
    let of_patient = |all: &[Value]| all.iter().filter(|e| entities(e, "1") == [id.as_str()]).count();
    let (done, text) = server.settings.run(&["audit", "export"]);
    assert!(done, "{text}");
    let all = lines(&text);
    assert_eq!(of_patient(&all), 1, "{text}");
    let (_, after) = text.rsplit_once("--after ").expect("where to go on");
    let (done, text) = server.settings.run(&["audit", "export", "--after", after.trim()]);
    let is_look = |e: &Value| e["subtype"].to_string().contains("audit-used");
    assert!(
        done && lines(&text).iter().all(is_look),
        "that it was written out is on record, and nothing else is new: {text}"
    );
    server.hospital().read(&id).await.is(200);
    found(&server, &format!("patient={id}&action=R"), |e| e.len() == 1).await;
    sealed(&server).await;
    let (_, text) = server.settings.run(&["audit", "export", "--after", after.trim()]);
    assert_eq!(of_patient(&lines(&text)), 1, "only what is new: {text}");
    let (_, text) = server.settings.run(&["audit", "export", "--until", "2020-01-01T00:00:00Z"]);
    assert!(lines(&text).is_empty(), "{text}");
    let (_, text) = server.settings.run(&["audit", "export", "--from", "2020-01-01T00:00:00Z"]);
    assert_eq!(of_patient(&lines(&text)), 2, "{text}");
    let (done, text) = server.settings.run(&["audit", "export", "--from", "yesterday"]);
    assert!(!done && text.contains("--from is an instant"), "{text}");
}
both_databases!(the_audit_is_exported);
