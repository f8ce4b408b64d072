//! The audit against `kill -9`, a disk that takes no more, and time.

use super::*;
use crate::harness::{Database, Settings, with_database};
use std::collections::BTreeSet;

/// security audit durable: After `kill -9` every read that was answered more than a second before is on record, and every write.
async fn a_kill_takes_no_more_than_the_last_second(settings: Settings) {
    let mut server = TestServer::start(settings).await;
    let id = server.hospital().create(&patient(1)).await.is(201).reference();
    let mut answered: Vec<(String, Instant)> = Vec::new();
    let mut written: Vec<String> = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2500) {
        let mark = format!("read-{}", answered.len());
        server.hospital().send("GET", &id, "", &[("X-Request-Id", &mark)]).await.is(200);
        answered.push((mark, Instant::now()));
        if answered.len().is_multiple_of(20) {
            let mark = format!("write-{}", written.len());
            let body = patient(1000 + u32::try_from(written.len()).unwrap()).to_string();
            server.hospital().send("POST", "Patient", body, &[("X-Request-Id", &mark)]).await.is(201);
            written.push(mark);
        }
    }
    let killed = Instant::now();
    server.kill();
    server.restart().await;
    sealed(&server).await;
    let (done, text) = server.settings.run(&["audit", "export"]);
    assert!(done, "{text}");
    let events = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
    let there: BTreeSet<String> =
        events.filter_map(|e| e["entity"][0]["what"]["identifier"]["value"].as_str().map(str::to_owned)).collect();
    let lost: Vec<_> = answered.iter().filter(|(mark, _)| !there.contains(mark)).collect();
    let late = lost.iter().filter(|(_, at)| killed.duration_since(*at) > Duration::from_secs(1)).count();
    assert_eq!(late, 0, "{} of {} are lost: {lost:?}", lost.len(), answered.len());
    assert!(written.iter().all(|mark| there.contains(mark)), "a write is on record with itself");
    assert!(answered.len() > 20 && there.len() > 20, "{} reads", answered.len());
}

#[test]
fn a_kill_takes_no_more_than_the_last_second_on_sqlite() {
    with_database(Database::Sqlite, a_kill_takes_no_more_than_the_last_second);
}

#[test]
fn a_kill_takes_no_more_than_the_last_second_on_postgres() {
    with_database(Database::Postgres, a_kill_takes_no_more_than_the_last_second);
}

/// security A68: A write whose audit cannot be stored is not stored; reads are refused when theirs cannot be written.
async fn nothing_is_done_that_cannot_be_put_on_record(settings: Settings) {
    let mut server = TestServer::start(settings).await;
    let id = server.hospital().create(&patient(1)).await.is(201).reference();
    server.kill();
    let is_sqlite = server.settings.database_url.starts_with("sqlite:");
    let full = if is_sqlite {
        "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk of the audit is full'); END"
    } else {
        "CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''full''; END'; \
         CREATE TRIGGER no_audit BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no_audit()"
    };
    server.settings.execute(full).await;
    server.restart().await;
    let hospital = server.hospital();
    let refused = hospital.create(&patient(2)).await;
    assert!(matches!(refused.status, 500 | 503), "{refused:?}");
    assert!(!String::from_utf8_lossy(&refused.bytes).contains("trigger"), "{refused:?}");
    // The first reads are answered before their rows meet the disk; then it is over.
    let started = Instant::now();
    while hospital.read(&id).await.status != 503 {
        assert!(started.elapsed() < Duration::from_secs(30), "reads go on that nobody records");
    }
    server.kill();
    server.settings.execute(if is_sqlite { "DROP TRIGGER no_audit" } else { "DROP TRIGGER no_audit ON audit" }).await;
    server.restart().await;
    let found = server.hospital().search("Patient?identifier=http://audit.example/mrn|2").await;
    assert!(found.is_empty(), "the write went with its audit: {found:?}");
    server.hospital().create(&patient(2)).await.is(201);
}

#[test]
fn nothing_is_done_that_cannot_be_put_on_record_on_sqlite() {
    with_database(Database::Sqlite, nothing_is_done_that_cannot_be_put_on_record);
}

#[test]
fn nothing_is_done_that_cannot_be_put_on_record_on_postgres() {
    with_database(Database::Postgres, nothing_is_done_that_cannot_be_put_on_record);
}

/// security audit keep: Rows go when their time is over and not before, with their AuditEvents and all that finds them; what is left is verified from there.
async fn rows_go_when_their_time_is_over(settings: Settings) {
    let mut server = TestServer::start(settings).await;
    let (days, text) = server.settings.run(&["serve", "--auth", "off", "--audit-days", "365"]);
    assert!(!days && text.contains("audit-days"), "less than six years is refused: {text}");
    for n in 0..3 {
        server.hospital().create(&patient(n)).await.is(201);
    }
    sealed(&server).await;
    server.kill();
    let own = baton::config::Settings { database_url: server.settings.database_url.clone(), ..Default::default() };
    let opened = baton::cli::open::server(&own, "http://audit.example", false).await.expect("a node");
    let store = opened.store.clone();
    let before = store.verify_audit().await.expect("a verdict");
    assert!(before.broken.is_none() && before.rows >= 3, "{before:?}");
    let rows = store.row_counts().await.expect("counts");
    let now = baton::clock::Instant::now();
    assert_eq!(opened.engine.prune_audit(now.plus_seconds(2_556 * 86_400)).await.expect("a step"), 0, "not yet");
    let gone = opened.engine.prune_audit(now.plus_seconds(2_558 * 86_400)).await.expect("a step");
    assert_eq!(gone as u64, before.rows);
    let after = store.verify_audit().await.expect("a verdict");
    assert!(after.broken.is_none() && after.rows == 0 && after.start == before.end, "{after:?}");
    let left = store.row_counts().await.expect("counts");
    assert!(left[0] < rows[0] && left[2] < rows[2], "what found them goes, too: {rows:?} {left:?}");
    store.close().await;
    server.restart().await;
    let id = server.hospital().create(&patient(9)).await.is(201).reference();
    found(&server, &format!("patient={id}"), |e| e.len() == 1).await;
    sealed(&server).await;
}

#[test]
fn rows_go_when_their_time_is_over_on_sqlite() {
    with_database(Database::Sqlite, rows_go_when_their_time_is_over);
}

#[test]
fn rows_go_when_their_time_is_over_on_postgres() {
    with_database(Database::Postgres, rows_go_when_their_time_is_over);
}
