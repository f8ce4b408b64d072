//! Discharge Bundles straight into the store: Bundles a second and CPU a Bundle, without HTTP and validation.
//!
//! `cargo run --release --example ingest -- URL FILE.ndjson.gz [SECONDS] [CONCURRENCY]`; URL as `--database-url`, an empty
//! database. Each Bundle is one work: a look-up of its first identifiers, all entries put, one commit. What is parsed and
//! extracted ahead is not counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measuring program")]

use baton::access::Limit;
use baton::error::Result;
use baton::fhir::json::parse;
use baton::fhir::meta::Stampable;
use baton::fhir::{Json, ResourceType, Target};
use baton::search::{Cond, Env, Plan, Registry, Rows};
use baton::store::{Audit, Method, Put, Settings, Store, Tx, Work};
use futures_util::future::BoxFuture;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Entry {
    target: Target,
    body: Stampable,
    rows: Arc<Rows>,
}

struct Bundle(Arc<Vec<Entry>>, Vec<i64>);

impl Work for Bundle {
    type Out = i64;
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            let criteria: Vec<Plan> = self.1.iter().map(|key| criterion(*key)).collect();
            tx.find(&Limit::Everything, &criteria).await?;
            let mut last = 0;
            for e in self.0.iter() {
                let (target, rows) = (e.target.clone(), Arc::clone(&e.rows));
                let put =
                    Put { target, method: Method::Post, body: Some(&e.body), rows, before: None, org: 7, labels: 0 };
                last = tx.put(put).await?.pk;
            }
            tx.audit(Audit { action: "transaction".into(), outcome: 200, ..Audit::default() });
            Ok(last)
        })
    }
    fn locks(&self) -> Vec<i64> {
        self.1.clone()
    }
    fn entries(&self) -> usize {
        self.0.len()
    }
}

fn criterion(key: i64) -> Plan {
    let types = vec![ResourceType::parse("Patient").unwrap()];
    Plan { types, cond: Cond::Exact(vec![key]), sort: Vec::new(), count: 2, total: false }
}

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap().split(' ').map(|f| f.parse().unwrap_or(0.0)).collect();
    (fields[12] + fields[13]) * 10.0
}

fn bundles(path: &str) -> Vec<Json> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| parse(line.as_bytes()).unwrap()).collect()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, or: u64| arguments.get(n).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (seconds, concurrency) = (number(2, 5), number(3, 8));
    let store = Store::open(&Settings::new(&arguments[0])).await.expect("the database opens");
    let (registry, env) = (Registry::builtin(), Env::utc("http://localhost/fhir"));
    let bundles: Arc<Vec<Json>> = Arc::new(bundles(&arguments[1]));
    let keys = store.keys();
    let prepare = move |bundle: &Json, n: usize| -> Bundle {
        let entries = bundle["entry"].items().iter().enumerate().map(|(at, entry)| {
            let resource = &entry["resource"];
            let rtype = ResourceType::parse(resource["resourceType"].text()).unwrap();
            let id = uuid::Uuid::new_v4().to_string();
            let body = Stampable::new(resource, &id);
            let mut rows = registry.extract(&keys, resource, &env);
            rows.exact.push(keys.hash(&["an identifier of its own", &format!("{n} {at}")]));
            rows.finish();
            Entry { target: Target::new(rtype, id), body, rows: Arc::new(rows) }
        });
        let entries: Vec<Entry> = entries.collect();
        let identifiers = (0..3).map(|k| keys.hash(&["an identifier of its own", &format!("{n} {k} not yet")]));
        Bundle(Arc::new(entries), identifiers.collect())
    };
    let prepare = Arc::new(prepare);
    let sample = prepare(&bundles[0], 0);
    let (exact, range, text) = sample
        .0
        .iter()
        .fold((0, 0, 0), |n, e| (n.0 + e.rows.exact.len(), n.1 + e.rows.range.len(), n.2 + e.rows.text.len()));
    println!("first Bundle: {} entries, rows: {exact} exact, {range} range, {text} text", sample.0.len());

    // Preparing alone, to be subtracted: it runs beside the store in the measured loop.
    let start = cpu();
    for n in 0..120 {
        prepare(&bundles[n % bundles.len()], n);
    }
    let preparing = (cpu() - start) / 120.0;

    let (next, begin, before) = (Arc::new(AtomicUsize::new(0)), Instant::now(), cpu());
    let workers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (store, next, bundles, prepare) =
                (store.clone(), Arc::clone(&next), Arc::clone(&bundles), Arc::clone(&prepare));
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                while begin.elapsed() < Duration::from_secs(seconds) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let work = prepare(&bundles[n % bundles.len()], n);
                    let start = Instant::now();
                    store.write(work).await.expect("a write passes");
                    slowest = slowest.max(start.elapsed());
                }
                slowest
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for worker in workers {
        slowest = slowest.max(worker.await.unwrap());
    }
    let done = next.load(Ordering::Relaxed) as f64;
    let each = (cpu() - before) / done;
    println!(
        "{:.0} Bundles/s at {concurrency}; CPU {each:.2} ms a Bundle, of it preparing {preparing:.2}; slowest {slowest:.0?}",
        done / begin.elapsed().as_secs_f64()
    );
    let target = prepare(&bundles[0], usize::MAX);
    let target = {
        let t = target.0[0].target.clone();
        store.write(target).await.unwrap();
        t
    };
    let (start, c0) = (Instant::now(), cpu());
    for _ in 0..200_000 {
        std::hint::black_box(store.get(&Limit::Everything, &target).await.unwrap());
    }
    println!(
        "GET by id, the same again and again: {:.2} µs, CPU {:.2} µs",
        start.elapsed().as_secs_f64() * 5.0,
        (cpu() - c0) / 200.0
    );
    store.close().await;
}
