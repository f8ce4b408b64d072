//! The terminology server of the settings: a second Baton on loopback, asked for what is not here; and what is said when it cannot be asked.
//! Source: <https://hl7.org/fhir/R4/terminology-service.html>; own rules in `docs/terminology.md`.

use crate::harness::{Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::io::Read;

/// Own docs/terminology.md: What is not known here is asked of the terminology server of the settings; its answers are
/// kept for a while.
/// Own docs/terminology.md: No write waits for another terminology server.
#[test]
fn what_is_not_here_is_asked_of_the_terminology_server_on_sqlite() {
    with_database(Database::Sqlite, asks);
}

#[test]
fn what_is_not_here_is_asked_of_the_terminology_server_on_postgres() {
    with_database(Database::Postgres, asks);
}

/// Own docs/terminology.md: A terminology server that does not answer in time is a 503 that says so.
#[test]
fn a_terminology_server_that_does_not_answer_is_not_waited_for() {
    with_database(Database::Sqlite, waits_no_longer);
}

#[test]
fn a_terminology_server_is_an_address_of_http() {
    let settings = Settings::new(Database::Sqlite).expect("SQLite is always there");
    for url in ["ftp://tx.example", "tx.example", "https://user:secret@tx.example/fhir"] {
        let (succeeded, text) =
            settings.run(&["serve", "--auth", "off", "--listen", "127.0.0.1:0", "--terminology-server", url]);
        assert!(!succeeded && text.contains("the address of a FHIR server") && !text.contains("secret"), "{text}");
    }
}

async fn put(client: &Client, resource: Value) {
    let answer = client.update(&resource).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

fn given(answer: &Value, name: &str) -> Value {
    let list = answer["parameter"].as_array().cloned().unwrap_or_default();
    let found = list.into_iter().find(|p| p["name"] == name).unwrap_or_default();
    found
        .as_object()
        .and_then(|o| o.iter().find(|(k, _)| k.starts_with("value")))
        .map_or(Value::Null, |(_, v)| v.clone())
}

const FAR: &str = "http://far.example";

/// A server that knows a code system, and one that asks it.
async fn two(mut settings: Settings) -> (TestServer, TestServer) {
    let mut other = Settings::new(Database::Sqlite).expect("SQLite is always there");
    other.seed = None;
    let other = TestServer::start(other).await;
    let far = json!({"resourceType": "CodeSystem", "id": "far", "url": FAR, "name": "Far", "status": "active", "content": "complete",
        "concept": [{"code": "a", "display": "Ay", "concept": [{"code": "b", "display": "Bee"}]}]});
    put(&other.everyone(), far).await;
    let set = json!({"resourceType": "ValueSet", "id": "far", "url": "http://far.example/set", "status": "active", "compose": {"include": [{"system": FAR}]}});
    put(&other.everyone(), set).await;
    let map = json!({"resourceType": "ConceptMap", "id": "far", "url": "http://far.example/map", "status": "active",
        "group": [{"source": FAR, "target": "http://t.example", "element": [{"code": "a", "target": [{"code": "A", "equivalence": "equal"}]}]}]});
    put(&other.everyone(), map).await;
    settings.arguments.extend([
        "--terminology-server".into(),
        other.base.clone(),
        "--terminology-seconds".into(),
        "3".into(),
    ]);
    let near = TestServer::start(settings).await;
    let own = json!({"resourceType": "ValueSet", "id": "near", "url": "http://near.example/set", "status": "active",
        "compose": {"include": [{"system": FAR, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}]}});
    put(&near.everyone(), own).await;
    let whole = json!({"resourceType": "ValueSet", "id": "whole", "url": "http://near.example/whole", "status": "active", "compose": {"include": [{"system": FAR}]}});
    put(&near.everyone(), whole).await;
    (near, other)
}

const QUESTIONS: [(&str, &str, &str); 7] = [
    ("CodeSystem/$lookup?system=http://far.example&code=b", "display", "Bee"),
    ("CodeSystem/$subsumes?system=http://far.example&codeA=a&codeB=b", "outcome", "subsumes"),
    ("CodeSystem/$validate-code?url=http://far.example&code=b", "display", "Bee"),
    ("ValueSet/$validate-code?url=http://far.example/set&code=b&system=http://far.example", "display", "Bee"),
    ("ValueSet/whole/$validate-code?code=b&system=http://far.example", "display", "Bee"),
    ("ValueSet/$validate-code?url=http://near.example/set&code=b&system=http://far.example", "display", "Bee"),
    ("ConceptMap/$translate?url=http://far.example/map&system=http://far.example&code=a", "result", "true"),
];

async fn asks(settings: Settings) {
    let (near, mut other) = two(settings).await;
    let client = near.hospital();
    for (path, name, value) in QUESTIONS {
        let answer = client.read(path).await.ok().body;
        assert_eq!(given(&answer, name).to_string().trim_matches('"'), value, "{path}: {answer}");
    }
    for path in ["ValueSet/$expand?url=http://far.example/set", "ValueSet/near/$expand"] {
        let answer = client.read(path).await.ok().body;
        assert_eq!(answer["expansion"]["total"], 2, "{path}: {answer}");
    }
    // What it does not know either is refused as without it.
    client.read("ValueSet/$expand?url=http://nowhere.example").await.refuses(404, "not-found", "");
    client.read("ValueSet/nobody/$expand").await.refuses(404, "not-found", "");
    // What is here is not asked for: it may differ there.
    let gender =
        client.read("CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male").await.ok().body;
    assert_eq!(given(&gender, "display"), "Male");

    other.kill();
    // Known answers hold for a while; everything else says that it could not be asked.
    let kept = client.read(QUESTIONS[0].0).await.ok().body;
    assert_eq!(given(&kept, "display"), "Bee");
    let lost = client.read("CodeSystem/$lookup?system=http://far.example&code=a").await;
    lost.refuses(503, "transient", "");
    assert!(lost.body.to_string().contains("could not be asked: it cannot be reached"), "{lost:?}");
    assert_eq!(lost.header("retry-after"), "1");
    let unsure = client.read("ValueSet/whole/$validate-code?code=a&system=http://far.example").await.ok().body;
    assert_eq!(given(&unsure, "result"), false);
    assert!(
        given(&unsure, "message")
            .as_str()
            .is_some_and(|m| m.contains("could not be checked") && m.contains("could not be asked")),
        "{unsure}"
    );
    // No write waits for it.
    let coded =
        json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": FAR, "code": "zzz"}]}});
    near.everyone().create(&coded).await.is(201);
}

async fn waits_no_longer(mut settings: Settings) {
    // Takes a connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let holder = std::thread::spawn(move || {
        let (mut connection, _) = silent.accept().expect("a caller");
        let mut all = Vec::new();
        connection.read_to_end(&mut all).ok();
        all.len()
    });
    settings.arguments.extend([
        "--terminology-server".into(),
        format!("http://127.0.0.1:{port}/fhir"),
        "--terminology-seconds".into(),
        "1".into(),
    ]);
    let server = TestServer::start(settings).await;
    let answer = server.everyone().read("CodeSystem/$lookup?system=http://far.example&code=a").await;
    answer.refuses(503, "transient", "");
    assert!(answer.body.to_string().contains("did not answer within 1 s"), "{answer:?}");
    assert!(holder.join().expect("the holder ends when the caller hangs up") > 100, "the question arrived");
}
