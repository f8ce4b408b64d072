//! Every limit of the settings takes effect, answers with its status, and is named in the answer.

use super::{link, patient, transaction};
use crate::harness::{Database, Settings, TestServer, postgres, with_database};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One story per database, on a server with these limits.
macro_rules! limited {
    ($($name:ident: $arguments:expr;)+) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::with_limits(crate::harness::Database::Sqlite, &$arguments, super::$name);
            }
            #[test]
            fn postgres() {
                super::with_limits(crate::harness::Database::Postgres, &$arguments, super::$name);
            }
        }
    )+};
}

limited!(
    what_is_too_much_is_refused_and_named: [
        "--json-depth", "8", "--string-bytes", "1024", "--body-bytes", "65536", "--bundle-entries", "3", "--count-default", "2",
        "--count-max", "5", "--included-max", "1", "--chain-depth", "1", "--has-depth", "1", "--search-parameters", "2",
        "--search-values", "3", "--url-bytes", "512", "--header-bytes", "2048"
    ];
    what_is_deep_and_long_by_leave_is_read_again: ["--json-depth", "120", "--string-bytes", "4194304"];
    includes_go_as_many_rounds_as_allowed: ["--include-depth", "1"];
    a_slow_sender_is_not_waited_for: ["--body-seconds", "1", "--header-seconds", "1"];
    an_address_holds_so_many_connections_and_no_more: ["--address-connections", "3"];
    a_full_queue_of_writes_says_when_to_come_again: ["--write-queue", "2"];
);

fn with_limits<F: Future<Output = ()>>(database: Database, limits: &[&str], story: impl FnOnce(TestServer) -> F) {
    with_database(database, |mut settings: Settings| async move {
        settings.arguments.extend(limits.iter().map(ToString::to_string));
        story(TestServer::start(settings).await).await;
    });
}

/// A Patient with extensions inside each other: two levels of JSON each.
fn nested(levels: usize) -> Value {
    let mut extension = json!([{"url": "http://x.example/end", "valueBoolean": true}]);
    for _ in 1..levels {
        extension = json!([{"url": "http://x.example/in", "extension": extension}]);
    }
    let mut body = patient("deep");
    body["extension"] = extension;
    body
}

/// security A41: A Bundle over the limit is 413 before any of it is done.
/// security A43: JSON too deep and strings too long are refused.
/// security A52: Lists of values, parameters, chains and `_has` have caps.
/// security A53: `_count` has a cap.
/// security A61: Heads and URLs over the limit are 431 and 414.
/// case 9: A Bundle over the limits is 413 and names the limit.
async fn what_is_too_much_is_refused_and_named(server: TestServer) {
    let client = server.everyone();
    let mut long = patient("long");
    long["name"] = json!([{"text": "x".repeat(1025)}]);
    let entries = vec![json!({"request": {"method": "GET", "url": "Patient/1"}}); 4];
    let in_bundle = transaction(&[json!({"resource": nested(3), "request": {"method": "POST", "url": "Patient"}})]);
    let url = |n: usize| format!("Patient?name={}", "a".repeat(n));
    for (method, path, body, status, code, limit) in [
        ("POST", "Patient", nested(4).to_string(), 400, "structure", "json-depth"),
        ("POST", "", in_bundle.to_string(), 400, "structure", "json-depth"),
        ("POST", "Patient", long.to_string(), 400, "too-long", "string-bytes"),
        ("POST", "Patient", " ".repeat(65537), 413, "too-long", "body-bytes"),
        ("POST", "", transaction(&entries).to_string(), 413, "too-costly", "bundle-entries"),
        ("GET", "Patient?_count=6", String::new(), 400, "invalid", "count-max"),
        ("GET", "Observation?subject:Patient.organization.name=x", String::new(), 400, "too-costly", "chain-depth"),
        (
            "GET",
            "Patient?_has:Observation:patient:_has:Provenance:target:agent=x",
            String::new(),
            400,
            "too-costly",
            "has-depth",
        ),
        ("GET", "Patient?name=a&name=b&name=c", String::new(), 400, "too-costly", "search-parameters"),
        ("DELETE", "Patient?name=a&name=b&name=c", String::new(), 400, "too-costly", "search-parameters"),
        ("GET", "Patient?name=a,b,c,d", String::new(), 400, "too-costly", "search-values"),
        ("GET", &url(600), String::new(), 414, "too-long", "url-bytes"),
        ("POST", &format!("/auth/token?x={}", "a".repeat(600)), String::new(), 414, "too-long", "url-bytes"),
    ] {
        let answer = client.send(method, path, body, &[]).await;
        answer.refuses(status, code, "");
        let said = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(said.contains(&format!("limit {limit}")), "{method} {path}: {said}");
    }
    let answer = client.send("GET", "Patient", "", &[("X-Much", &"a".repeat(3000))]).await;
    answer.refuses(431, "too-long", "");

    // What is just within is taken.
    let deep = client.create(&nested(3)).await.is(201).reference();
    let deeper = json!([{"op": "add", "path": "/extension/0/extension/0/extension/0/extension",
        "value": [{"url": "http://x.example/more", "valueBoolean": true}]},
        {"op": "remove", "path": "/extension/0/extension/0/extension/0/valueBoolean"}]);
    client.patch(&deep, &deeper).await.refuses(422, "processing", "");
    for n in 0..3 {
        client.create(&patient(&n.to_string())).await.is(201);
    }
    let page = client.read("Patient?name:missing=true").await.ok().body;
    assert_eq!(page["entry"].as_array().map(Vec::len), Some(2), "count-default");
    assert!(link(&page, "next").is_some());
    let past = client.read("Patient/_history").await.ok().body;
    assert_eq!(past["entry"].as_array().map(Vec::len), Some(2), "count-default of a history");
    client.read("Observation?subject:Patient.name=x&code=a,b,c").await.ok();
    client.read("Patient?_has:Observation:patient:code=x").await.ok();
    let of = |n: usize| {
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": deep}, "identifier": [{"value": n.to_string()}]})
    };
    client.create(&of(1)).await.is(201);
    client.read("Patient?_revinclude=Observation:subject&_count=5").await.ok();
    client.create(&of(2)).await.is(201);
    let answer = client.read("Patient?_revinclude=Observation:subject&_count=5").await;
    answer.refuses(422, "too-costly", "");
}

async fn what_is_deep_and_long_by_leave_is_read_again(server: TestServer) {
    let client = server.everyone();
    let mut body = nested(50);
    // A string has at most 1 MiB whatever the limit; data may have more.
    body["photo"] = json!([{"contentType": "image/png", "data": "eHh4".repeat(1 << 19)}]);
    let made = client.create(&body).await.is(201);
    client.update(&made.body).await.is(200);
    let path = made.reference();
    client.patch(&path, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(200);
    let part = client.read(&format!("{path}?_elements=active")).await.ok().body;
    assert_eq!(part["active"], true);
}

async fn includes_go_as_many_rounds_as_allowed(server: TestServer) {
    let client = server.everyone();
    let mut above = Value::Null;
    for name in ["d", "c", "b", "a"] {
        let mut body = json!({"resourceType": "Organization", "name": name});
        if let Some(above) = above.as_str() {
            body["partOf"] = json!({"reference": above});
        }
        above = client.create(&body).await.is(201).reference().into();
    }
    let id = above.as_str().expect("a reference").trim_start_matches("Organization/");
    let page = client.read(&format!("Organization?_id={id}&_include:iterate=Organization:partof")).await.ok().body;
    let names =
        page["entry"].as_array().expect("entries").iter().map(|e| e["resource"]["name"].as_str().expect("a name"));
    assert_eq!(names.collect::<String>(), "abc", "the match, what it is part of, and one round more");
}

/// What a server says to someone who sends `text` and then nothing.
async fn half_a_request(server: &TestServer, text: &str) -> String {
    let address = server.base.trim_start_matches("http://").trim_end_matches("/fhir");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    read.expect("the server ends the connection").ok(); // a reset is an end, too
    String::from_utf8_lossy(&said).into_owned()
}

/// security A42: A body that comes too slowly is 408.
/// security A61: A head that does not end is not waited for.
async fn a_slow_sender_is_not_waited_for(server: TestServer) {
    let start = Instant::now();
    let said = half_a_request(
        &server,
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 50\r\n\r\n{",
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("limit body-seconds"), "{said}");
    let said = half_a_request(&server, "GET /fhir/Patient HTTP/1.1\r\nHost: x\r\n").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(8));
}

/// security A61: A connection more than an address may hold is closed unread, and its place is free when another ends.
async fn an_address_holds_so_many_connections_and_no_more(server: TestServer) {
    let address = server.base.trim_start_matches("http://").trim_end_matches("/fhir");
    let ask = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n");
    // What a connection hears: nothing, where it is closed.
    let hears = async |stream: &mut TcpStream| -> String {
        let mut said = vec![0; 512];
        if stream.write_all(ask.as_bytes()).await.is_err() {
            return String::new();
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut said)).await;
        String::from_utf8_lossy(&said[..read.expect("an answer or an end").unwrap_or(0)]).into_owned()
    };
    let start = Instant::now();
    let mut held = Vec::new();
    // The harness' own connections end when they have been idle, or count: three are held in any case.
    while held.len() < 3 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        if hears(&mut stream).await.starts_with("HTTP/1.1 200") {
            held.push(stream);
            continue;
        }
        break;
    }
    assert!(!held.is_empty(), "somebody is let in");
    let mut more = TcpStream::connect(address).await.expect("a connection");
    assert_eq!(hears(&mut more).await, "", "one too many");
    for stream in &mut held {
        assert!(hears(stream).await.starts_with("HTTP/1.1 200"), "who was there stays");
    }
    held.pop();
    loop {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        if hears(&mut stream).await.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the place of who went is free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keeps the database from writing for as long as it is kept itself.
async fn stop_writes(server: &TestServer) -> Box<dyn FnOnce() + Send> {
    use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
    let url = server.settings().database_url.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (held, holds) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        if url.starts_with("sqlite") {
            let mut conn = SqliteConnection::connect(&url).await.expect("a second connection");
            conn.execute("BEGIN IMMEDIATE").await.expect("the write lock");
            held.send(()).expect("somebody waits");
            stopped.await.ok();
            conn.execute("ROLLBACK").await.expect("the lock back");
        } else {
            let mut conn = PgConnection::connect(&url).await.expect("a second connection");
            conn.execute("BEGIN; LOCK TABLE version IN EXCLUSIVE MODE").await.expect("the lock");
            held.send(()).expect("somebody waits");
            stopped.await.ok();
            conn.execute("ROLLBACK").await.expect("the lock back");
        }
    });
    holds.await.expect("the lock");
    Box::new(move || stop.send(()).expect("the lock is held"))
}

async fn a_full_queue_of_writes_says_when_to_come_again(server: TestServer) {
    let client = server.everyone();
    crate::audit::sealed(&server).await; // or that takes a place in the queue, too
    let go_on = stop_writes(&server).await;
    let writes: Vec<_> = (0..8)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.create(&patient(&n.to_string())).await })
        })
        .collect();
    // Those that do not fit are answered at once, while the others wait.
    let start = Instant::now();
    while writes.iter().filter(|w| w.is_finished()).count() < 5 {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", writes.iter().map(|w| w.is_finished()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.read("Patient?_count=1").await.ok(); // readers do not wait
    go_on();
    let mut made = 0;
    for write in writes {
        let answer = write.await.expect("an answer");
        if answer.status == 201 {
            made += 1;
        } else {
            answer.refuses(503, "transient", "");
            assert_eq!(answer.header("retry-after"), "1");
            assert!(String::from_utf8_lossy(&answer.bytes).contains("limit write-queue"));
        }
    }
    assert!((2..=3).contains(&made), "{made}");
    assert_eq!(client.search("Patient?_count=50").await.len(), made);
    client.create(&patient("later")).await.is(201);
}

#[test]
fn a_query_that_takes_too_long_is_ended_on_postgres() {
    with_limits(Database::Postgres, &["--query-seconds", "1"], |server| async move {
        let client = server.everyone();
        let url = server.settings().database_url.clone();
        let slow = "BEGIN; LOCK TABLE version IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT";
        let lock = tokio::task::spawn_blocking(move || postgres::execute(&url, slow));
        let start = Instant::now();
        let answer = loop {
            let answer = client.read("Patient?name=x").await;
            if answer.status != 200 {
                break answer;
            }
            assert!(start.elapsed() < Duration::from_secs(4), "nothing was locked");
        };
        answer.refuses(422, "too-costly", "");
        assert!(String::from_utf8_lossy(&answer.bytes).contains("limit query-seconds"));
        lock.await.expect("the lock");
        client.read("Patient?name=x").await.ok();
    });
}
