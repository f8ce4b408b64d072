//! Bundles in the background: `Prefer: respond-async`.
//! Source: <https://hl7.org/fhir/R4/async.html>.

use super::{patient, place, transaction};
use crate::harness::{Answer, Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

both_databases!(
    a_bundle_of_the_background_is_carried_out_once_and_only_its_caller_sees_it,
    one_that_fails_says_so_and_stores_nothing,
    one_that_is_cancelled_is_gone,
    an_answer_is_kept_for_24_hours,
    a_technician_cannot_decide_in_the_background,
);

const ASYNC: [(&str, &str); 1] = [("Prefer", "respond-async")];

async fn start(client: &Client, bundle: &Value) -> String {
    let answer = client.send("POST", "", bundle.to_string(), &ASYNC).await.is(202);
    assert_eq!(answer.body["resourceType"], "OperationOutcome");
    let location = answer.header("content-location").to_owned();
    assert!(location.contains("/fhir/_async/"), "{location}");
    location
}

/// The first answer of the status that is not "still at it".
async fn end(client: &Client, status: &str) -> Answer {
    let started = Instant::now();
    loop {
        let answer = client.read(status).await;
        if answer.status != 202 {
            return answer;
        }
        assert!(
            answer.header("x-progress").contains(" entries") && answer.header("retry-after") == "1",
            "{:?}",
            answer.headers
        );
        assert!(started.elapsed() < Duration::from_secs(60), "the job does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn many(count: usize, number: &str) -> Vec<Value> {
    (0..count).map(|_| json!({"resource": patient(number), "request": {"method": "POST", "url": "Patient"}})).collect()
}

async fn count(client: &Client, number: &str) -> u64 {
    let found = client.read(&format!("Patient?identifier={number}&_summary=count")).await.ok().body;
    found["total"].as_u64().expect("a total")
}

/// R4 async.html: `Prefer: respond-async` answers 202 with Content-Location; the status is 202 with progress, then 200
/// with the output.
/// Own docs/writes.md: A job is seen by its caller only; everybody else gets 404.
/// security leak 14: A job of the background and its result are its caller's own.
async fn a_bundle_of_the_background_is_carried_out_once_and_only_its_caller_sees_it(server: TestServer) {
    let client = server.hospital();
    for kind in ["transaction", "batch"] {
        let mut bundle = transaction(&many(5, kind));
        bundle["type"] = kind.into();
        let status = start(&client, &bundle).await;
        let done = end(&client, &status).await.is(200);
        assert_eq!(done.header("content-type"), "application/json");
        assert!(done.header("expires").ends_with(" GMT"));
        assert!(done.body["transactionTime"].is_string() && done.body["error"] == json!([]), "{:#}", done.body);
        let result = done.body["output"][0]["url"].as_str().expect("an address").to_owned();
        let answer = client.read(&result).await.is(200).body;
        assert_eq!(answer["type"], format!("{kind}-response"));
        client.read(&place(&answer, 4)).await.is(200);
        assert_eq!(count(&client, kind).await, 5);
        for other in [server.other_hospital(), server.everyone(), server.pharmacist()] {
            for url in [&status, &result] {
                other.read(url).await.refuses(404, "not-found", "");
                other.delete(url.trim_end_matches("/result")).await.refuses(404, "not-found", "");
            }
        }
        client.read(&result).await.is(200);
    }
    client.read("_async/1").await.is(404);
    client.read("_async/7d1f7fd0-8c8a-4f0e-9d1b-0f5a3a1f0e55").await.is(404);
    client.send("PUT", "_async/7d1f7fd0-8c8a-4f0e-9d1b-0f5a3a1f0e55", "{}", &[]).await.is(405);
    let inside =
        transaction(&[json!({"request": {"method": "GET", "url": "_async/7d1f7fd0-8c8a-4f0e-9d1b-0f5a3a1f0e55"}})]);
    client.post(&inside).await.is(400);
}

/// R4 async.html: A job that fails answers the status and OperationOutcome that the Bundle would have had.
async fn one_that_fails_says_so_and_stores_nothing(server: TestServer) {
    let client = server.hospital();
    client.send("POST", "", "{", &ASYNC).await.is(400);
    client.send("POST", "", patient("x").to_string(), &ASYNC).await.refuses(400, "value", "Bundle.type");
    let mut entries = many(3, "f");
    entries[2]["resource"]["gender"] = "mal".into();
    let status = start(&client, &transaction(&entries)).await;
    let failed = end(&client, &status).await;
    failed.refuses(400, "code-invalid", "Bundle.entry[2].resource.gender");
    client.read(&format!("{status}/result")).await.is(400);
    assert_eq!(count(&client, "f").await, 0);
}

/// R4 async.html: DELETE of the status address cancels: 202, then 404.
async fn one_that_is_cancelled_is_gone(server: TestServer) {
    let client = server.hospital();
    // The first keeps the worker busy, so that the second waits.
    let first = start(&client, &transaction(&many(2_000, "first"))).await;
    let second = start(&client, &transaction(&many(3, "second"))).await;
    client.delete(&second).await.is(202);
    client.read(&second).await.is(404);
    client.delete(&second).await.is(404);
    end(&client, &first).await.is(200);
    let third = start(&client, &transaction(&many(1, "third"))).await;
    end(&client, &third).await.is(200);
    assert_eq!((count(&client, "first").await, count(&client, "third").await), (2_000, 1));
    let cancelled = count(&client, "second").await;
    assert!(cancelled == 0 || cancelled == 3, "all or nothing");
}

/// Own docs/writes.md: The answer of a job is kept for 24 hours, as `Expires` says, then it is 404.
async fn an_answer_is_kept_for_24_hours(server: TestServer) {
    let client = server.hospital();
    let status = start(&client, &transaction(&many(1, "kept"))).await;
    let result = format!("{status}/result");
    let done = end(&client, &status).await.is(200);
    let expires = jiff::fmt::rfc2822::parse(done.header("expires")).expect("an HTTP date").timestamp();
    server.at(&expires.checked_sub(jiff::SignedDuration::from_secs(1)).expect("a time").to_string());
    for url in [&status, &result] {
        client.read(url).await.is(200);
    }
    server.advance(Duration::from_secs(3));
    for url in [&status, &result] {
        client.read(url).await.refuses(404, "not-found", "");
    }
    client.delete(&status).await.refuses(404, "not-found", "");
    assert_eq!(count(&client, "kept").await, 1, "what it wrote stays");
}

/// Own docs/writes.md: A job is carried out as its caller, by the rules of its caller.
async fn a_technician_cannot_decide_in_the_background(server: TestServer) {
    let dtp = crate::journey::rules::reported(&server).await;
    let mut after = dtp.clone();
    after["status"] = "final".into();
    let path = format!("DetectedIssue/{}", dtp["id"].as_str().expect("an id"));
    let technician = server.technician();
    let status =
        start(&technician, &transaction(&[json!({"resource": after, "request": {"method": "PUT", "url": path}})]))
            .await;
    end(&technician, &status).await.refuses(403, "forbidden", "Bundle.entry[0].resource.status");
    assert_eq!(server.read(&path).await["status"], "preliminary");
}

/// `kill -9` while jobs wait and run: each is carried out once, or says how far it came.
fn killed(database: Database) {
    with_database(database, |settings: Settings| async move {
        let mut server = TestServer::start(settings).await;
        let mut jobs = Vec::new();
        for n in 0..6 {
            let (kind, entries) = if n % 2 == 0 { ("transaction", 800) } else { ("batch", 300) };
            let mut bundle = transaction(&many(entries, &format!("k{n}")));
            bundle["type"] = kind.into();
            let status = start(&server.hospital(), &bundle).await;
            jobs.push((n, entries as u64, status.rsplit('/').next().expect("an id").to_owned()));
        }
        for pause in [30, 150, 400] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            server.kill();
            server.restart().await;
        }
        let client = server.hospital();
        for (n, entries, id) in jobs {
            let answer = end(&client, &format!("_async/{id}")).await;
            let stored = count(&client, &format!("k{n}")).await;
            match answer.status {
                200 => assert_eq!(stored, entries, "job {n}: {}", answer.body),
                500 if n % 2 == 1 => {
                    let text = answer.body["issue"][0]["diagnostics"].as_str().expect("a sentence").to_owned();
                    assert!(text.contains(&format!("the first {stored} of")), "job {n}, {stored} stored: {text}");
                }
                other => panic!("job {n}: {other} {}", answer.body),
            }
        }
    });
}

/// Own docs/writes.md: Over `kill -9` each job is carried out once, or says how far it came.
#[test]
fn killed_while_jobs_run_each_is_done_once_or_says_how_far_it_came_on_sqlite() {
    killed(Database::Sqlite);
}

#[test]
fn killed_while_jobs_run_each_is_done_once_or_says_how_far_it_came_on_postgres() {
    killed(Database::Postgres);
}
