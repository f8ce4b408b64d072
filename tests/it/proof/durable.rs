//! Law 2: an acknowledged write survives `kill -9`; what was not acknowledged is there whole or not at all.

use crate::harness::{Client, Database, Settings, TestServer, postgres, required, skipped, with_database};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ROUNDS: u64 = 20;
const WRITERS: u64 = 8;
/// Observations beside the Patient of each transaction.
const PARTS: usize = 4;

/// What the writers of one round did.
#[derive(Default)]
struct Round {
    acknowledged: Mutex<BTreeSet<u64>>,
    /// Answered that nothing of it is stored.
    refused: Mutex<BTreeSet<u64>>,
    /// Counter resource → (last value acknowledged, last value sent).
    counters: Mutex<BTreeMap<u64, (u64, u64)>>,
    is_over: AtomicBool,
}

fn tag(round: u64) -> Value {
    json!({"tag": [{"system": "http://crash.example/round", "code": round.to_string()}]})
}

/// One Patient and its Observations, all or nothing.
fn transaction(round: u64, number: u64) -> Value {
    let patient = json!({"fullUrl": "urn:uuid:6a1f0b1e-0000-4000-8000-000000000000", "request": {"method": "POST", "url": "Patient"},
        "resource": {"resourceType": "Patient", "meta": tag(round), "identifier": [{"system": "http://crash.example/n", "value": number.to_string()}]}});
    let part = |k: usize| {
        json!({"fullUrl": format!("urn:uuid:6a1f0b1e-0000-4000-8000-00000000000{}", k + 1), "request": {"method": "POST", "url": "Observation"},
        "resource": {"resourceType": "Observation", "meta": tag(round), "status": "final", "code": {"text": "part"},
            "identifier": [{"system": "http://crash.example/n", "value": number.to_string()}],
            "subject": {"reference": "urn:uuid:6a1f0b1e-0000-4000-8000-000000000000"}, "valueQuantity": {"value": 2.5, "unit": "mg"}}})
    };
    let entries: Vec<_> = std::iter::once(patient).chain((0..PARTS).map(part)).collect();
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

/// Writes until the server is gone: transactions, and updates of one counter resource of its own.
async fn write(client: Client, round: u64, writer: u64, next: Arc<AtomicU64>, log: Arc<Round>) {
    let counter = format!("Basic/counter-{round}-{writer}");
    for value in 1.. {
        if log.is_over.load(Ordering::Relaxed) {
            return;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        match client.try_send("POST", "", transaction(round, number).to_string(), &[]).await {
            Ok(answer) if answer.status == 200 => {
                log.acknowledged.lock().expect("not poisoned").insert(number);
            }
            Ok(answer) if answer.status == 503 => {
                answer.refuses(503, "transient", "");
                if !answer.body.to_string().contains("is unknown") {
                    log.refused.lock().expect("not poisoned").insert(number);
                }
            }
            Ok(answer) => panic!("refused: {} {}", answer.status, answer.body),
            Err(_) if log.is_over.load(Ordering::Relaxed) => return,
            Err(_) => {}
        }
        let body = json!({"resourceType": "Basic", "id": counter.trim_start_matches("Basic/"), "meta": tag(round),
            "code": {"text": "counter"}, "identifier": [{"system": "http://crash.example/counter", "value": value.to_string()}]});
        log.counters.lock().expect("not poisoned").entry(writer).or_default().1 = value;
        if client.try_send("PUT", &counter, body.to_string(), &[]).await.is_ok_and(|a| a.status < 300) {
            log.counters.lock().expect("not poisoned").entry(writer).or_default().0 = value;
        }
    }
}

/// number → resources found with it, of one round.
async fn found(client: &Client, round: u64) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for kind in ["Patient", "Observation"] {
        let mut url = format!("{kind}?_tag=http://crash.example/round|{round}&_count=1000");
        loop {
            let page = client.read(&url).await.ok().body;
            for entry in page["entry"].as_array().into_iter().flatten() {
                let number = entry["resource"]["identifier"][0]["value"].as_str().expect("an identifier");
                *counts.entry(number.parse().expect("a number")).or_default() += 1;
            }
            let links = page["link"].as_array().cloned().unwrap_or_default();
            match links.iter().find(|l| l["relation"] == "next").and_then(|l| l["url"].as_str()) {
                Some(link) => url = link.to_string(),
                None => break,
            }
        }
    }
    counts
}

async fn check(server: &TestServer, round: u64, log: &Round) {
    let client = server.everyone();
    let counts = found(&client, round).await;
    let acknowledged = log.acknowledged.lock().expect("not poisoned").clone();
    for (number, count) in &counts {
        assert_eq!(*count, PARTS + 1, "round {round}: transaction {number} is there by half");
    }
    let lost: Vec<_> = acknowledged.iter().filter(|n| !counts.contains_key(n)).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    let refused = log.refused.lock().expect("not poisoned").clone();
    let kept: Vec<_> = refused.iter().filter(|n| counts.contains_key(n)).collect();
    assert!(kept.is_empty(), "round {round}: refused with 503 and stored: {kept:?}");
    let counters = log.counters.lock().expect("not poisoned").clone();
    for (writer, (acknowledged, sent)) in counters {
        let answer = client.read(&format!("Basic/counter-{round}-{writer}")).await;
        if acknowledged == 0 && answer.status == 404 {
            continue;
        }
        let basic = answer.ok().body;
        let value: u64 = basic["identifier"][0]["value"].as_str().and_then(|v| v.parse().ok()).expect("a number");
        assert!(
            (acknowledged..=sent).contains(&value),
            "round {round}: counter {writer} is {value}, not {acknowledged} to {sent}"
        );
        let versions: u64 = basic["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).expect("a number");
        assert!(versions <= value, "round {round}: {versions} versions of {value} updates: one was done twice");
    }
}

/// One round: writers write, `crash` comes, `recover` brings the server back; then everything is looked at.
async fn round(
    server: &TestServer,
    round: u64,
    next: &Arc<AtomicU64>,
) -> (Arc<Round>, Vec<tokio::task::JoinHandle<()>>) {
    let log = Arc::new(Round::default());
    let writers =
        (0..WRITERS).map(|w| tokio::spawn(write(server.everyone(), round, w, next.clone(), log.clone()))).collect();
    // Some acknowledged writes first, then a moment that differs from round to round.
    let start = Instant::now();
    while log.acknowledged.lock().expect("not poisoned").len() < 10 {
        assert!(start.elapsed() < Duration::from_secs(60), "round {round}: nothing gets written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(round * 37 % 250)).await;
    (log, writers)
}

async fn kill_the_server_again_and_again(settings: Settings) {
    let mut server = TestServer::start(settings).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut logs = Vec::new();
    for n in 0..ROUNDS {
        let (log, writers) = round(&server, n, &next).await;
        log.is_over.store(true, Ordering::Relaxed);
        server.kill();
        for writer in writers {
            writer.await.expect("the writers end with the server");
        }
        server.restart().await;
        check(&server, n, &log).await;
        logs.push(log);
    }
    for (n, log) in logs.iter().enumerate() {
        check(&server, n as u64, log).await;
    }
    let total: usize = logs.iter().map(|l| l.acknowledged.lock().expect("not poisoned").len()).sum();
    println!("{ROUNDS} kills, {total} acknowledged transactions, none lost");
}

/// R4 http.html#transaction: An acknowledged write survives `kill -9`, whole: 20 kills under load.
#[test]
fn every_acknowledged_write_survives_20_kills_of_the_server_on_sqlite() {
    with_database(Database::Sqlite, kill_the_server_again_and_again);
}

#[test]
fn every_acknowledged_write_survives_20_kills_of_the_server_on_postgres() {
    with_database(Database::Postgres, kill_the_server_again_and_again);
}

#[test]
fn every_acknowledged_write_survives_a_kill_of_postgresql_and_baton_finds_back() {
    let Some(mut cluster) = postgres::Cluster::start(true) else {
        assert!(!required("postgres"), "BATON_TEST_REQUIRE asks for postgres");
        return skipped("PostgreSQL", "no `initdb` on this machine");
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = TestServer::start(Settings::on(&cluster)).await;
        let next = Arc::new(AtomicU64::new(0));
        for n in 0..3 {
            let (log, writers) = round(&server, n, &next).await;
            cluster.kill();
            log.is_over.store(true, Ordering::Relaxed);
            cluster.boot();
            for writer in writers {
                writer.await.expect("the writers end");
            }
            // Baton is not started again: it must find its database back by itself.
            let start = Instant::now();
            while server.everyone().read("Patient?_count=1").await.status != 200 {
                assert!(start.elapsed() < Duration::from_secs(30), "Baton did not find PostgreSQL back");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            check(&server, n, &log).await;
        }
    });
}
