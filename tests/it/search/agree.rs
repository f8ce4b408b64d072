//! The server and the oracle agree.

use super::generate::{Rng, TYPES, criterion, spell, world};
use super::oracle::{Criterion, meets};
use crate::harness::TestServer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Worlds and queries a world; `BATON_TEST_SEARCHES` multiplies the queries (nightly).
const WORLDS: u64 = 5;
const QUERIES: usize = 500;

fn query(criteria: &[Criterion]) -> String {
    let encode = |s: &str| utf8_percent_encode(s, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = criteria
        .iter()
        .map(|c| {
            let (name, value) = spell(c);
            // A comma parts values: it stays as it is. No pool holds one.
            let value: Vec<String> = value.split(',').map(encode).collect();
            format!("{}={}", encode(&name), value.join(","))
        })
        .collect();
    pairs.join("&")
}

fn times() -> usize {
    std::env::var("BATON_TEST_SEARCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

both_databases!(random_searches_find_what_the_oracle_finds);
async fn random_searches_find_what_the_oracle_finds(server: TestServer) {
    let client = server.everyone();
    let mut wrong = Vec::new();
    let mut found = 0;
    for seed in 1..=WORLDS {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let world = world(&mut rng);
        // One world after the other: the same ids are written again, so replaced versions are there to be ignored.
        let entries: Vec<Value> = world
            .iter()
            .map(|r| {
                let url = format!("{}/{}", r["resourceType"].as_str().unwrap(), r["id"].as_str().unwrap());
                json!({"resource": r, "request": {"method": "PUT", "url": url}})
            })
            .collect();
        client.post(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).await.ok();
        for n in 0..QUERIES * times() {
            let kind = *rng.pick(TYPES);
            let criteria: Vec<Criterion> = (0..1 + rng.below(3)).map(|_| criterion(&mut rng, kind, 1)).collect();
            let expected: BTreeSet<String> = world
                .iter()
                .filter(|r| r["resourceType"] == kind && criteria.iter().all(|c| meets(&world, r, c)))
                .map(|r| r["id"].as_str().unwrap().to_string())
                .collect();
            let url = format!("{kind}?{}&_count=500", query(&criteria));
            let answer = client.read(&url).await;
            assert_eq!(answer.status, 200, "{url}: {}", String::from_utf8_lossy(&answer.bytes));
            let entries = answer.body["entry"].as_array().cloned().unwrap_or_default();
            let seen: Vec<String> = entries.iter().map(|e| e["resource"]["id"].as_str().unwrap().to_string()).collect();
            let set: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!(set.len(), seen.len(), "{url}: a row twice");
            found += seen.len();
            // The seeded directory is there too, and no part of the world.
            let set: BTreeSet<String> = set
                .into_iter()
                .filter(|id| world.iter().any(|r| r["resourceType"] == kind && r["id"] == **id))
                .collect();
            if set != expected {
                let more: Vec<_> = set.difference(&expected).collect();
                let less: Vec<_> = expected.difference(&set).collect();
                wrong.push(format!(
                    "world {seed} query {n}: {kind}?{:?}: too many {more:?}, missing {less:?}",
                    criteria.iter().map(spell).collect::<Vec<_>>()
                ));
            }
        }
    }
    assert!(found > 1000, "the queries find something: {found}");
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}
