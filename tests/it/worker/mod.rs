//! The worker and what it makes: rows of new search parameters, and no rows of what is long dead. Each step is called with a
//! clock of the test's own; only the tests of the whole program wait for it.

mod claims;
mod house;
mod job;
mod overdue;
mod purge;
mod reindex;
mod types;
mod whole;
mod zone;

use crate::harness::{Database, with_database};
use baton::access::{Ctx, Principal};
use baton::clock::Instant;
use baton::config::Settings;
use baton::interaction::{Answer, Body, Engine, Prefer, Request, Verb, Wire, route};
use baton::store::Store;
use baton::worker::{Did, Worker};
use serde_json::{Value, json};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

/// One node in this process: engine, store, worker.
struct Node {
    engine: Engine,
    store: Store,
    worker: Worker,
    /// When it settles: leases of nodes that were stopped before have ended by then.
    at: Instant,
}

/// Nodes started so far.
static NODES: AtomicI64 = AtomicI64::new(0);

/// One test per database: `both_nodes!(a_name);` above `async fn a_name(settings: Settings)`.
macro_rules! both_nodes {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::worker::with_settings($crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                $crate::worker::with_settings($crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}
use both_nodes;

/// Runs a story with the settings of a fresh database.
fn with_settings<F: Future<Output = ()>>(database: Database, story: impl FnOnce(Settings) -> F) {
    with_database(database, |own| async move {
        let settings = Settings { database_url: own.database_url.clone(), ..Settings::default() };
        story(settings).await;
    });
}

impl Node {
    /// Starts one, as `baton serve` does.
    async fn start(settings: &Settings) -> Self {
        let opened = baton::cli::open::server(settings, "http://worker.example", false).await.expect("a node starts");
        let at = Instant::now().plus_seconds(60 * NODES.fetch_add(1, Ordering::Relaxed));
        Self { worker: Worker::new(opened.engine.clone(), 60), engine: opened.engine, store: opened.store, at }
    }

    async fn stop(self) {
        self.store.close().await;
    }

    /// What became of a request: status and body.
    async fn ask(&self, verb: Verb, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut wire = Wire::new(verb, query);
        if let Some(body) = body {
            wire.body = Body::Raw(body.to_string().into_bytes().into());
        }
        wire.prefer = Some(Prefer::Representation);
        let ctx = Ctx {
            principal: Principal::super_user().into(),
            now: Instant::now(),
            request_id: "test".into(),
            base: "http://worker.example/fhir".into(),
            address: None,
        };
        let asked: Request = route(path, wire).expect("a path of the API");
        let read = |answer: &Answer| serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match self.engine.handle(&ctx, asked).await {
            Ok(answer) => (answer.done.status().0, read(&answer)),
            Err(error) => (error.kind.status(), json!({"text": error.to_string(), "code": error.issues[0].code})),
        }
    }

    async fn put(&self, resource: &Value) -> Value {
        let path = format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let (status, body) = self.ask(Verb::Put, &path, Some(resource)).await;
        assert!(status < 300, "{path}: {status} {body}");
        body
    }

    /// Ids that a search finds, sorted.
    async fn ids(&self, query: &str) -> Vec<String> {
        let (status, body) = self.ask(Verb::Get, query, None).await;
        assert_eq!(status, 200, "{query}: {body}");
        let entries = body["entry"].as_array().cloned().unwrap_or_default();
        let matches = entries.iter().filter(|e| e["search"]["mode"] == "match");
        let mut ids: Vec<String> = matches.map(|e| e["resource"]["id"].as_str().unwrap().to_string()).collect();
        ids.sort();
        ids
    }

    /// Steps until there is nothing to do; how many did something.
    async fn settle(&self) -> usize {
        let mut steps = 0;
        for _ in 0..100_000 {
            match self.worker.step(self.at).await.expect("a step") {
                Did::Something => steps += 1,
                Did::Waits => tokio::task::yield_now().await,
                Did::Nothing => return steps,
            }
        }
        panic!("the worker does not come to an end");
    }
}

/// An active SearchParameter `id` with code `id`.
fn parameter(id: &str, base: &str, kind: &str, expression: &str) -> Value {
    json!({"resourceType": "SearchParameter", "id": id, "url": format!("http://worker.example/sp/{id}"), "name": id,
        "status": "active", "description": "of a test", "code": id, "base": [base], "type": kind, "expression": expression})
}

/// Patients p0 … p(n-1) with a contact of their own.
async fn patients(node: &Node, from: usize, to: usize) {
    for n in from..to {
        node.put(&contact(n, "first")).await;
    }
}

fn contact(n: usize, given: &str) -> Value {
    json!({"resourceType": "Patient", "id": format!("p{n}"), "birthDate": "1950-01-01",
        "contact": [{"name": {"family": format!("Kin{n}"), "given": [given]}, "gender": "female"}]})
}

/// Writes a SearchParameter into `DIR/search`.
fn file(dir: &Path, name: &str, resource: &Value) {
    std::fs::create_dir_all(dir.join("search")).unwrap();
    std::fs::write(dir.join("search").join(name), resource.to_string()).unwrap();
}
