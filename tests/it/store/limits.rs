//! The time limit of a query on SQLite; PostgreSQL's is told over HTTP (`rest/limits.rs`).

use super::{all, does, puts};
use crate::harness::{Database, with_database};
use baton::access::Limit::Everything;
use baton::search::Plan;
use baton::store::{Settings, Store};

#[test]
fn a_query_that_takes_too_long_is_ended_on_sqlite() {
    with_database(Database::Sqlite, |settings| async move {
        let of = |query_ms| Settings { query_ms, cache_bytes: 0, ..Settings::new(&settings.database_url) };
        let store = Store::open(&of(0)).await.expect("a store");
        let write = does(|tx| {
            Box::pin(async move {
                for n in 0..3_000 {
                    puts(tx, &format!("p-{n}"), "Quick", n).await?;
                }
                Ok(())
            })
        });
        store.write(write).await.expect("a write is not bounded by it");
        let count = Plan { count: 0, total: true, ..all(0) };
        let error = store.search(&Everything, &count, None).await.expect_err("no time at all");
        assert_eq!((error.kind.status(), error.issues[0].code), (422, "too-costly"));
        assert!(error.to_string().contains("limit query-seconds"), "{error}");
        store.close().await;
        let store = Store::open(&of(10_000)).await.expect("a store");
        assert_eq!(store.search(&Everything, &count, None).await.expect("time enough").total, Some(3_000));
        store.close().await;
    });
}
