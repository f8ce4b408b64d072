//! The store by itself, without HTTP: what the laws rest on, on both databases.

mod limits;
mod paging;
mod polling;
mod roles;
mod scans;
mod transaction;

use crate::harness::{Database, with_database};
use baton::access::Limit;
use baton::clock::Instant;
use baton::error::Result;
use baton::fhir::meta::Stampable;
use baton::fhir::resource::known;
use baton::fhir::{Json, ResourceType, Target};
use baton::search::{Cond, Plan, Rows};
use baton::store::{Method, Put, Settings, Store, Tx, Version, Work};
use futures_util::future::BoxFuture;
use std::future::Future;
use std::sync::Arc;

/// One test per database: `both_stores!(a_name);` above `async fn a_name(store: Store)`.
macro_rules! both_stores {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::store::with_store($crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                $crate::store::with_store($crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}
use both_stores;

/// Runs a story on an empty store.
fn with_store<F: Future<Output = ()>>(database: Database, story: impl FnOnce(Store) -> F) {
    with_database(database, |settings| async move {
        let store = Store::open(&Settings::new(&settings.database_url)).await.expect("an empty database opens");
        story(store.clone()).await;
        store.close().await;
    });
}

/// A write that is a closure: `store.write(Does(…))`.
struct Does<F>(F);

impl<T, F> Work for Does<F>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
{
    type Out = T;
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<T>> {
        (self.0)(tx)
    }
}

/// A closure that boxes its future, with the lifetimes that [`Does`] asks for.
fn does<T, F>(f: F) -> Does<F>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>>,
{
    Does(f)
}

fn patient() -> ResourceType {
    known("Patient")
}

fn target(id: &str) -> Target {
    Target::new(patient(), id)
}

/// A Patient with a family name, found by it and by `tag`.
fn stamped(id: &str, family: &str) -> Stampable {
    let mut patient = Json::object();
    patient.set("resourceType", "Patient");
    patient.set("family", family);
    Stampable::new(&patient, id)
}

fn rows(store: &baton::search::Keys, family: &str, number: i64) -> Arc<Rows> {
    let mut rows = Rows {
        exact: vec![tag(store), store.exact("Patient", "family", "", &[family])],
        range: vec![(store.param("Patient", "number"), number, number)],
        text: vec![(store.param("Patient", "family"), family.into())],
        facts: format!("{{\"family\":\"{family}\"}}"),
        words: baton::search::rows::Words { narrative: family.into(), content: "person".into() },
    };
    rows.finish();
    Arc::new(rows)
}

/// A key that every Patient of these tests has.
fn tag(keys: &baton::search::Keys) -> i64 {
    keys.exact("Patient", "_tag", "", &["test"])
}

/// Puts a Patient, new or again.
async fn puts(tx: &mut Tx, id: &str, family: &str, number: i64) -> Result<Version> {
    let before = tx.get(&Limit::Everything, &target(id)).await?;
    let (keys, body) = (tx.keys(), stamped(id, family));
    let method = if before.is_some() { Method::Put } else { Method::Post };
    let rows = rows(&keys, family, number);
    tx.put(Put { target: target(id), method, body: Some(&body), rows, before: before.as_ref(), org: 0, labels: 0 })
        .await
}

async fn deletes(tx: &mut Tx, id: &str) -> Result<Version> {
    let before = tx.get(&Limit::Everything, &target(id)).await?;
    let rows = Arc::default();
    tx.put(Put {
        target: target(id),
        method: Method::Delete,
        body: None,
        rows,
        before: before.as_ref(),
        org: 0,
        labels: 0,
    })
    .await
}

fn all(count: usize) -> Plan {
    Plan { types: vec![patient()], cond: Cond::All(Vec::new()), sort: Vec::new(), count, total: false }
}

fn only(cond: Cond) -> Plan {
    Plan { cond, ..all(50) }
}

fn ids(rows: &[Version]) -> Vec<&str> {
    rows.iter().map(|v| v.target.id.as_str()).collect()
}

fn now() -> Instant {
    Instant::now()
}
