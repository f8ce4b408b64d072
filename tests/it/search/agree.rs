//! The server and the oracle agree: what is found, in what order, page by page, and what comes along.

use super::generate::{Path, Rng, Search, encoded, search, world};
use super::link;
use super::oracle::{Item, World, kind, name};
use crate::harness::{Client, Database, TestServer, with_database};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// Worlds; `BATON_TEST_SEARCHES` multiplies them (`.ci/nightly`). Searches a world are fewer on PostgreSQL, so that both take
/// about as long. Each database has worlds of its own, and in no world the same is asked twice: 20,440 different searches.
const WORLDS: u64 = 7;
/// Searches that travel in one Bundle.
const BATCH: usize = 100;

/// R4 search.html: 20,440 random searches, none twice in a world, find, sort, page and include what an oracle that shares no code with the
/// server says.
/// Own docs/reading.md: Published value sets are found behind the stored ones, and pages of both have one total.
#[test]
fn random_searches_find_what_the_oracle_finds_on_sqlite() {
    with_database(Database::Sqlite, |settings| agree(settings, "SQLite", 2_100, 0));
}

#[test]
fn random_searches_find_what_the_oracle_finds_on_postgresql() {
    with_database(Database::Postgres, |settings| agree(settings, "PostgreSQL", 820, 1 << 32));
}

fn times() -> u64 {
    std::env::var("BATON_TEST_SEARCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// What was done, for the line at the end.
#[derive(Default)]
struct Sum {
    searches: usize,
    rows: usize,
    included: usize,
    pages: usize,
    published: usize,
    waited: f64,
    wrong: Vec<String>,
}

async fn agree(mut settings: crate::harness::Settings, database: &str, searches: usize, first: u64) {
    settings.seed = None; // the world is all there is
    let started = Instant::now();
    let server = TestServer::start(settings).await;
    let client = server.everyone();
    let published = published(&client).await;
    let mut sum = Sum::default();
    for seed in (1..=WORLDS * times()).map(|n| first + n) {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // One world after the other: the same ids are written again, so replaced versions are there to be ignored.
        let world = written(&client, &world(&mut rng)).await;
        let (mut all, mut asked) = (Vec::<Search>::with_capacity(searches), BTreeSet::new());
        while all.len() < searches {
            let search = search(&mut rng);
            if asked.insert(encoded(&search, "").1) {
                all.push(search);
            }
        }
        for (n, batch) in all.chunks(BATCH).enumerate() {
            let entries: Vec<Value> = batch
                .iter()
                .map(|s| json!({"request": {"method": "GET", "url": encoded(s, &server.base).0}}))
                .collect();
            let asked = Instant::now();
            let answer =
                client.post(&json!({"resourceType": "Bundle", "type": "batch", "entry": entries})).await.ok().body;
            sum.waited += asked.elapsed().as_secs_f64();
            for (at, (search, entry)) in batch.iter().zip(answer["entry"].as_array().expect("entries")).enumerate() {
                let shown = format!("world {seed} search {}: {}", n * BATCH + at, encoded(search, &server.base).1);
                judge(&client, (&world, &published), search, entry, &shown, &mut sum).await;
            }
        }
    }
    println!(
        "oracle on {database}: {} searches, {} rows, {} included, {} pages walked, {} disagreements, {:.1} s ({:.1} s for the Bundles)",
        sum.searches,
        sum.rows,
        sum.included,
        sum.pages,
        sum.wrong.len(),
        started.elapsed().as_secs_f64(),
        sum.waited
    );
    assert!(sum.rows > sum.searches && sum.included > 500 && sum.pages > 1_000, "the searches find something");
    assert!(sum.published > 100, "published value sets among it: {}", sum.published);
    assert!(
        sum.wrong.is_empty(),
        "{} disagreements:\n{}",
        sum.wrong.len(),
        sum.wrong[..sum.wrong.len().min(12)].join("\n")
    );
}

/// What the server publishes itself of the types that are searched, by URL: a search of their type finds them behind the stored
/// ones, in whatever order is asked for (docs/reading.md).
async fn published(client: &Client) -> Vec<Item> {
    let mut found = client.search("ValueSet?_count=1000").await;
    assert!(found.len() > 10, "the programme has value sets: {}", found.len());
    found.sort_by(|a, b| a["url"].as_str().cmp(&b["url"].as_str()));
    found.into_iter().map(Item::from).collect()
}

/// Writes a world; answers it as the server holds it.
async fn written(client: &Client, resources: &[Value]) -> World {
    let entries: Vec<Value> =
        resources.iter().map(|r| json!({"resource": r, "request": {"method": "PUT", "url": name(r)}})).collect();
    client.post(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).await.ok();
    let types: BTreeSet<&str> = resources.iter().map(kind).collect();
    let url = format!("?_count=1000&_type={}", types.into_iter().collect::<Vec<_>>().join(","));
    let held = client.search(&url).await;
    assert_eq!(held.len(), resources.len(), "the world is all there is");
    World { items: held.into_iter().map(Item::from).collect() }
}

/// Names of the entries of a mode.
fn of_mode(bundle: &Value, mode: &str) -> Vec<String> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries.filter(|e| e["search"]["mode"] == mode).map(|e| name(&e["resource"])).collect()
}

async fn judge(
    client: &Client,
    (world, published): (&World, &[Item]),
    search: &Search,
    entry: &Value,
    shown: &str,
    sum: &mut Sum,
) {
    sum.searches += 1;
    let bundle = &entry["resource"];
    if bundle["type"] != "searchset" {
        sum.wrong.push(format!("{shown}: {}", entry["response"]));
        return;
    }
    let covers = |i: &Item| match &search.path {
        Path::Type(of) => i.kind == *of,
        Path::System(types) => types.contains(&i.kind),
        Path::Compartment(patient, of) => {
            of.as_ref().is_none_or(|t| i.kind == *t) && world.is_in_compartment(i, &format!("Patient/{patient}"))
        }
    };
    let mut expected: Vec<&Item> =
        world.items.iter().filter(|i| covers(i) && search.criteria.iter().all(|c| world.meets(i, c))).collect();
    expected.sort_by(|a, b| world.order(a, b, &search.sort));
    if let Path::Type(of) = &search.path {
        let meets = |i: &&Item| i.kind == *of && search.criteria.iter().all(|c| world.meets(i, c));
        let own: Vec<&Item> = published.iter().filter(meets).collect();
        sum.published += own.len();
        expected.extend(own);
    }
    let wanted: Vec<String> = expected.iter().map(|i| i.name.clone()).collect();

    let mut found = of_mode(bundle, "match");
    if bundle["total"] != wanted.len() {
        sum.wrong.push(format!("{shown}: total {} and not {}", bundle["total"], wanted.len()));
    }
    if let Some(size) = search.page {
        let mut next = link(bundle, "next");
        while let Some(url) = next {
            let page = client.read(&url).await.ok().body;
            let rows = of_mode(&page, "match");
            if rows.is_empty() || rows.len() > size || page["total"] != wanted.len() {
                sum.wrong.push(format!("{shown}: a page of {} rows, total {}", rows.len(), page["total"]));
            }
            found.extend(rows);
            sum.pages += 1;
            next = link(&page, "next").filter(|_| found.len() <= wanted.len());
        }
    }
    sum.rows += found.len();
    if found != wanted {
        let (f, w): (BTreeSet<_>, BTreeSet<_>) = (found.iter().collect(), wanted.iter().collect());
        let (more, less): (Vec<_>, Vec<_>) = (f.difference(&w).collect(), w.difference(&f).collect());
        let order = if more.is_empty() && less.is_empty() {
            format!(", order {found:?} and not {wanted:?}")
        } else {
            String::new()
        };
        sum.wrong.push(format!("{shown}: too many {more:?}, missing {less:?}{order}"));
        return;
    }
    if !search.includes.is_empty() {
        let included = of_mode(bundle, "include");
        let once: BTreeSet<String> = included.iter().cloned().collect();
        let wanted = world.included(&expected, &search.includes);
        sum.included += included.len();
        if once != wanted || once.len() != included.len() {
            sum.wrong.push(format!("{shown}: included {included:?} and not {wanted:?}"));
        }
    }
}
