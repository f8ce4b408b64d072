//! The whole program: who may post parameters, `kill -9` in the middle of a reindex, and `baton reindex`.

use super::parameter;
use crate::harness::{Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn transaction(from: usize, to: usize) -> Value {
    let entry = |n: usize| {
        let patient = super::contact(n, "x");
        json!({"resource": patient, "request": {"method": "PUT", "url": format!("Patient/p{n}")}})
    };
    json!({"resourceType": "Bundle", "type": "transaction", "entry": (from..to).map(entry).collect::<Vec<_>>()})
}

/// (complete, versions looked at).
async fn progress(client: &Client) -> (bool, u64) {
    let told = client.read("$reindex-status").await.ok().body;
    let job = &told["parameter"][1];
    (told["parameter"][0]["valueBoolean"] == true, job["part"][2]["valueInteger"].as_u64().unwrap_or(0))
}

/// Looks until the reindex is through, or has looked at so many versions.
async fn watch(client: &Client, until: u64) -> (bool, u64) {
    let start = Instant::now();
    loop {
        let (is_complete, done) = progress(client).await;
        if is_complete || done >= until {
            return (is_complete, done);
        }
        assert!(start.elapsed() < Duration::from_secs(120), "the reindex stands at {done}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn kill_and_go_on(mut settings: Settings) {
    settings.arguments = ["--reindex-batch", "1"].map(String::from).to_vec();
    let mut server = TestServer::start(settings).await;
    for n in 0..4 {
        server.everyone().post(&transaction(n * 150, n * 150 + 150)).await.is(200);
    }
    let client = server.everyone();
    client.update(&parameter("kin", "Patient", "string", "Patient.contact.name")).await.is(201);
    client.read("Patient?kin=kin1").await.refuses(503, "transient", "");
    assert_eq!(client.read("Patient?kin=kin1").await.header("retry-after"), "1");
    let (is_complete, done) = watch(&client, 20).await;
    assert!(!is_complete, "600 versions, one a step, and it was through before anybody looked");
    server.kill();
    server.restart().await;
    let client = server.everyone();
    let (_, again) = progress(&client).await;
    assert!(again >= done, "it goes on from {done}, not from {again}");
    client.read("Patient?kin=kin1").await.refuses(503, "transient", "");
    // The lease of the dead process ends by itself.
    let (is_complete, _) = watch(&client, u64::MAX).await;
    assert!(is_complete);
    assert_eq!(client.search("Patient?kin=kin&_count=1000").await.len(), 600);
    let (succeeded, text) = server.settings().run(&["reindex"]);
    assert!(succeeded && text.contains("All rows of the search are there"), "{text}");
}

#[test]
fn a_reindex_goes_on_from_its_mark_after_kill_9_on_sqlite() {
    with_database(Database::Sqlite, kill_and_go_on);
}

#[test]
fn a_reindex_goes_on_from_its_mark_after_kill_9_on_postgres() {
    with_database(Database::Postgres, kill_and_go_on);
}

both_databases!(only_who_may_write_search_parameters_changes_them);
async fn only_who_may_write_search_parameters_changes_them(server: TestServer) {
    let kin = parameter("kin", "Patient", "string", "Patient.contact.name");
    for user in ["lakeside-ehr", "elm-street-pms", "mara", "jonas"] {
        server.user(user).update(&kin).await.refuses(403, "forbidden", "");
        server.user(user).read("$reindex-status").await.is(200);
    }
    let admin = server.user("root");
    admin.update(&kin).await.is(201);
    server.hospital().read("SearchParameter/kin").await.is(200);
    let told = server.everyone().read("metadata").await.ok().body;
    assert!(told["rest"][0]["operation"].as_array().unwrap().iter().any(|o| o["name"] == "reindex-status"));
    let (is_complete, _) = watch(&server.everyone(), u64::MAX).await;
    assert!(is_complete);
    server.hospital().read("Patient?kin=x").await.is(200);
    let mut retired = kin.clone();
    retired["status"] = "retired".into();
    admin.update(&retired).await.is(200);
    server.hospital().read("Patient?kin=x").await.refuses(400, "not-supported", "");
}

async fn reindex_by_hand(settings: Settings) {
    {
        let mut server = TestServer::start(settings).await;
        server.everyone().post(&transaction(0, 20)).await.is(200);
        server.kill();
        let (succeeded, text) = server.settings().run(&["reindex", "--all"]);
        assert!(succeeded && text.contains("All rows of the search are there"), "{text}");
        server.restart().await;
        let client = server.everyone();
        let (is_complete, _) = watch(&client, u64::MAX).await;
        assert!(is_complete);
        assert_eq!(client.search("Patient?birthdate=1950-01-01").await.len(), 20);
        assert_eq!(client.search("Patient?birthdate:missing=true").await.len(), 0);
    }
}

#[test]
fn baton_reindex_all_makes_every_row_again_on_sqlite() {
    with_database(Database::Sqlite, reindex_by_hand);
}

#[test]
fn baton_reindex_all_makes_every_row_again_on_postgres() {
    with_database(Database::Postgres, reindex_by_hand);
}
