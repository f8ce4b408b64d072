//! Law 1: the same thing posted again, or 64 times in parallel, is there once.

use crate::harness::{Answer, Client, TestServer};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CROWD: usize = 64;

/// Every version there is, as `Type/id/_history/n`.
async fn versions(client: &Client) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut url = "_history?_count=1000".to_string();
    loop {
        let page = client.read(&url).await.ok().body;
        for entry in page["entry"].as_array().into_iter().flatten() {
            let (kind, id) = (&entry["resource"]["resourceType"], &entry["resource"]["id"]);
            found.insert(format!("{kind}/{id}/{}", entry["resource"]["meta"]["versionId"]));
        }
        match next(&page) {
            Some(link) => url = link,
            None => return found,
        }
    }
}

fn next(page: &Value) -> Option<String> {
    let links = page["link"].as_array()?;
    links.iter().find(|l| l["relation"] == "next").and_then(|l| l["url"].as_str()).map(str::to_string)
}

fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

both_databases!(of_64_parallel_conditional_creates_one_makes_the_patient_and_63_find_it);
/// R4 http.html#ccreate: Of 64 conditional creates at once one is 201, 63 are 200 with the same resource.
async fn of_64_parallel_conditional_creates_one_makes_the_patient_and_63_find_it(server: TestServer) {
    let hospital = server.hospital();
    let patient =
        json!({"resourceType": "Patient", "identifier": [{"system": "http://crowd.example/mrn", "value": "1"}]});
    let create = || hospital.create_if_none(&patient, "identifier=http://crowd.example/mrn|1");

    let first = join_all((0..CROWD).map(|_| create())).await;
    assert_eq!(statuses(&first), [(200, CROWD - 1), (201, 1)].into(), "{:?}", first.last());
    let made: BTreeSet<String> = first.iter().map(Answer::reference).collect();
    assert_eq!(made.len(), 1, "all speak of one Patient: {made:?}");
    assert_eq!(hospital.search("Patient?identifier=http://crowd.example/mrn|1").await.len(), 1);

    let again = join_all((0..CROWD).map(|_| create())).await;
    assert_eq!(statuses(&again), [(200, CROWD)].into());
    assert_eq!(again.iter().map(Answer::reference).collect::<BTreeSet<_>>(), made);
}

both_databases!(a_discharge_posted_64_times_in_parallel_leaves_one_of_everything);
/// R4 http.html#trules: Of a transaction of conditional creates that is posted 64 times at once each resource is there
/// once.
async fn a_discharge_posted_64_times_in_parallel_leaves_one_of_everything(server: TestServer) {
    let discharge = crate::journey::discharge("01-polypharmacy", server.now());
    let (hospital, everyone) = (server.user(discharge.hospital), server.everyone());
    let before = versions(&everyone).await;

    let answers = join_all((0..CROWD).map(|_| hospital.post(&discharge.bundle))).await;
    assert_eq!(statuses(&answers), [(200, CROWD)].into(), "{:?}", answers.iter().find(|a| a.status != 200));
    let places = |answer: &Answer| -> Vec<String> {
        let entries = answer.body["entry"].as_array().expect("one entry for each of the request");
        entries.iter().map(|e| e["response"]["location"].as_str().unwrap_or_default().to_string()).collect()
    };
    let ids: BTreeSet<Vec<String>> = answers.iter().map(places).collect();
    assert_eq!(ids.len(), 1, "every answer names the same resources");
    let made = |a: &Answer| a.body["entry"].as_array().expect("entries").iter().filter(|e| is_made(e)).count();
    let sent = discharge.bundle["entry"].as_array().expect("entries").len();
    let total: usize = answers.iter().map(made).sum();
    assert!(total <= sent && total > 0, "each entry was made by at most one of the crowd: {total} of {sent}");

    let after = versions(&everyone).await;
    let added: Vec<_> = after.difference(&before).cloned().collect();
    let count = |kind: &str| added.iter().filter(|v| v.starts_with(&format!("\"{kind}\"/"))).count();
    for kind in ["Patient", "Encounter", "EpisodeOfCare", "CarePlan"] {
        assert_eq!(count(kind), 1, "{kind} in {added:#?}");
    }
    assert!(count("Task") >= 3, "the programme's Tasks: {added:#?}");
    let tasks = everyone.search("Task?_count=1000").await;
    let identifiers: Vec<_> = tasks.iter().map(|t| t["identifier"].to_string()).collect();
    assert_eq!(
        identifiers.iter().collect::<BTreeSet<_>>().len(),
        tasks.len(),
        "no two Tasks are the same: {identifiers:?}"
    );
    every_reference_leads_somewhere(&everyone).await;

    let again = join_all((0..CROWD).map(|_| hospital.post(&discharge.bundle))).await;
    assert_eq!(statuses(&again), [(200, CROWD)].into());
    assert_eq!(versions(&everyone).await, after, "posted again, nothing changes");
}

fn is_made(entry: &Value) -> bool {
    entry["response"]["status"].as_str().is_some_and(|s| s.starts_with("201"))
}

/// Reads all that the system history holds, and each literal reference in it.
async fn every_reference_leads_somewhere(client: &Client) {
    let mut targets = BTreeSet::new();
    let mut url = "_history?_count=1000".to_string();
    loop {
        let page = client.read(&url).await.ok().body;
        for entry in page["entry"].as_array().into_iter().flatten() {
            collect(&entry["resource"], &mut targets);
        }
        match next(&page) {
            Some(link) => url = link,
            None => break,
        }
    }
    assert!(targets.len() > 5, "references were found: {targets:?}");
    for target in targets {
        client.read(&target).await.is(200);
    }
}

fn collect(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(text) if key == "reference" && !text.starts_with('#') => {
                        targets.insert(text.to_string());
                    }
                    _ => collect(value, targets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, targets)),
        _ => {}
    }
}
