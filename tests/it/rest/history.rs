//! History (corner 14).
//! Source: <https://hl7.org/fhir/R4/http.html#history>.

use super::{link, patient};
use crate::harness::TestServer;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

both_databases!(a_page_of_the_systems_history_is_full_whatever_its_reader_may_not_read,);

/// R4 http.html#history: A history is newest first, with `request` and `response` of each version; deletions have no
/// resource.
/// R4 http.html#history: `_since` is inclusive, `_at` shows what was current then, `_count` makes pages; there are
/// histories of instance, type and system.
/// R4 http.html#history: The history of what never was is 404; a bad `_since` is 400.
pub(super) async fn a_history_is_newest_first_and_shows_deletions_without_a_resource(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let body = client.read(&path).await.body;
    client.send("PUT", &path, body.to_string(), &[]).await.is(200);
    client.delete(&path).await.is(204);
    let history = client.read(&format!("{path}/_history")).await.ok().body;
    assert_eq!((history["type"].as_str(), history["total"].as_u64()), (Some("history"), Some(3)), "{history:#}");
    let entries = history["entry"].as_array().expect("entries");
    let methods: Vec<&str> = entries.iter().filter_map(|e| e["request"]["method"].as_str()).collect();
    assert_eq!(methods, ["DELETE", "PUT", "POST"]);
    assert!(entries[0].get("resource").is_none() && entries[0]["fullUrl"].is_string());
    assert_eq!(entries[2]["request"]["url"], "Patient");
    assert_eq!(entries[1]["response"]["etag"], "W/\"2\"");
    // _since is inclusive
    let at = entries[1]["response"]["lastModified"].as_str().expect("a time");
    let since = client.read(&format!("{path}/_history?_since={at}")).await.ok().body;
    assert_eq!(since["entry"].as_array().map(Vec::len), Some(2));
    let then = client.read(&format!("{path}/_history?_at={at}")).await.ok().body;
    assert!(then["entry"].as_array().is_some_and(|e| e.iter().any(|e| e["response"]["etag"] == "W/\"2\"")));
    let first = client.read("_history?_count=2").await.ok().body;
    assert_eq!(first["entry"].as_array().map(Vec::len), Some(2));
    assert!(link(&first, "next").is_some());
    client.read("Patient/nobody/_history").await.refuses(404, "not-found", "");
    client.read(&format!("{path}/_history?_since=yesterday")).await.is(400);
    client.read("Patient/_history").await.is(200);
}

/// R4 http.html#history: Who polls by `_since` while others write sees each version once.
pub(super) async fn a_since_poller_sees_each_version_once_while_others_write(server: TestServer) {
    let client = server.everyone();
    let start = client.create(&patient("start")).await.is(201);
    let mut mark = start.body["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
    let done = Arc::new(AtomicBool::new(false));
    let writers = (0..6).map(|w| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut made = Vec::new();
            for n in 0..15 {
                made.push(client.create(&patient(&format!("{w}-{n}"))).await.is(201).reference());
            }
            made
        })
    });
    let writers: Vec<_> = writers.collect();
    let watch = done.clone();
    let poller = client.clone();
    let polled = tokio::spawn(async move {
        let mut seen: Vec<String> = Vec::new();
        let mut last_round = false;
        loop {
            let mut url = format!("Patient/_history?_since={mark}&_count=1000");
            let mut newest = mark.clone();
            loop {
                let page = poller.read(&url).await.ok().body;
                for entry in page["entry"].as_array().into_iter().flatten() {
                    let at = entry["resource"]["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
                    if at > mark {
                        seen.push(format!("Patient/{}", entry["resource"]["id"].as_str().expect("an id")));
                    }
                    newest = newest.max(at);
                }
                match link(&page, "next") {
                    Some(next) => url = next,
                    None => break,
                }
            }
            mark = newest;
            if last_round {
                return seen;
            }
            last_round = watch.load(Ordering::SeqCst);
        }
    });
    let mut made = BTreeSet::new();
    for writer in writers {
        made.extend(writer.await.expect("a writer"));
    }
    done.store(true, Ordering::SeqCst);
    let seen = polled.await.expect("the poller");
    assert_eq!(seen.len(), made.len(), "each once");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
}

/// R4 http.html#history: What the reader may not read is neither in pages nor in the total, and pages are full all the
/// same.
/// security leak 3: A page of a history is full whatever stands between.
/// security leak 8: A page of the system's history holds what its reader may read.
async fn a_page_of_the_systems_history_is_full_whatever_its_reader_may_not_read(server: TestServer) {
    let pharmacy = server.pharmacy();
    for n in 0..6 {
        let hook = json!({"resourceType": "Subscription", "status": "requested", "reason": n.to_string(), "criteria": "Task",
            "channel": {"type": "rest-hook", "endpoint": "https://hook.example/x"}});
        pharmacy.create(&hook).await.is(201);
        pharmacy.create(&json!({"resourceType": "QuestionnaireResponse", "status": "completed"})).await.is(201);
    }
    // The technician reads no Subscription; the directory is everybody's.
    let technician = server.technician();
    let mut url = "_history?_count=4&_total=accurate".to_owned();
    let (mut sizes, mut total, mut notes) = (Vec::new(), 0, 0);
    loop {
        let page = technician.read(&url).await.ok().body;
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        assert!(entries.iter().all(|e| e["resource"]["resourceType"] != "Subscription"), "{page:#}");
        notes += entries.iter().filter(|e| e["resource"]["resourceType"] == "QuestionnaireResponse").count();
        sizes.push(entries.len());
        total = page["total"].as_u64().unwrap_or(total);
        match link(&page, "next") {
            Some(next) => url = next,
            None => break,
        }
    }
    assert_eq!(notes, 6);
    let (_, full) = sizes.split_last().expect("pages");
    assert!(full.len() > 1 && full.iter().all(|n| *n == 4), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>() as u64, total);
}
