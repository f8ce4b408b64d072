//! Law 8, second half: who asks again from the last version seen sees every committed version once.

use super::*;
use baton::access::Limit::Everything;
use baton::store::{HistoryQuery, Scope};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const WRITERS: usize = 16;
const EACH: usize = 25;

both_stores!(a_poller_sees_every_version_once_while_sixteen_write);
/// R4 search.html#lastUpdated: A poller by `_lastUpdated` sees every commit once while sixteen write.
async fn a_poller_sees_every_version_once_while_sixteen_write(store: Store) {
    let running = Arc::new(AtomicUsize::new(WRITERS));
    for writer in 0..WRITERS {
        let (store, running) = (store.clone(), Arc::clone(&running));
        tokio::spawn(async move {
            for n in 0..EACH {
                let id = format!("w{writer}-{n}");
                let pause = Duration::from_micros((writer * 7919 + n * 104_729) as u64 % 6000);
                let work = does(move |tx| {
                    let id = id.clone();
                    Box::pin(async move {
                        puts(tx, &id, "x", 1).await?;
                        // Stamped early, committed late: others overtake.
                        tokio::time::sleep(pause).await;
                        puts(tx, &id, "y", 2).await
                    })
                });
                store.write(work).await.expect("a plain write passes");
            }
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }
    let since = std::time::Instant::now();
    let (mut by_history, mut by_search) = (BTreeMap::new(), BTreeMap::new());
    let (mut mark, mut searched) = (0, 0);
    loop {
        let is_over = running.load(Ordering::SeqCst) == 0;
        mark = poll_history(&store, mark, &mut by_history).await;
        searched = poll_search(&store, searched, &mut by_search).await;
        // PostgreSQL holds rows back while any older transaction of the cluster runs, one of a neighbour test, say.
        let is_complete = by_history.len() >= WRITERS * EACH * 2 && by_search.len() >= WRITERS * EACH;
        if is_over && (is_complete || since.elapsed() > Duration::from_secs(30)) {
            break;
        }
    }
    assert_eq!(by_history.len(), WRITERS * EACH * 2, "both versions of each");
    assert!(by_history.values().all(|seen| *seen == 1));
    assert_eq!(by_search.len(), WRITERS * EACH, "the current one of each");
    assert!(by_search.values().all(|seen| *seen == 1));
}

#[test]
fn who_asks_after_a_commit_finds_it_beside_an_older_write_on_postgres() {
    with_store(Database::Postgres, who_asks_after_a_commit_finds_it_beside_an_older_write);
}

/// R4 http.html#history: What was committed before a history or a search by time was asked for is in it, though an older
/// write is still under way.
async fn who_asks_after_a_commit_finds_it_beside_an_older_write(store: Store) {
    for round in 0..5 {
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let older = tokio::spawn({
            let (store, begun, gate) = (store.clone(), Arc::clone(&begun), Arc::clone(&gate));
            async move {
                let work = does(move |tx| {
                    let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
                    Box::pin(async move {
                        puts(tx, &format!("older-{round}"), "x", 1).await?;
                        begun.notify_one();
                        gate.notified().await;
                        Ok(())
                    })
                });
                store.write(work).await.expect("a plain write passes");
            }
        });
        begun.notified().await;
        let id = format!("newer-{round}");
        let newer = does(move |tx| {
            let id = id.clone();
            Box::pin(async move { puts(tx, &id, "x", 1).await })
        });
        store.write(newer).await.expect("a plain write passes");
        let (mut by_history, mut by_search) = (BTreeMap::new(), BTreeMap::new());
        let asked = async {
            poll_history(&store, 0, &mut by_history).await;
            poll_search(&store, 0, &mut by_search).await;
        };
        // The question is under way when the older write is let go.
        tokio::join!(asked, async { gate.notify_one() });
        assert_eq!((by_history.len(), by_search.len()), (2 * (round + 1), 2 * (round + 1)));
        older.await.expect("it ends");
    }
}

async fn poll_history(store: &Store, mark: i64, seen: &mut BTreeMap<i64, usize>) -> i64 {
    let mut query = HistoryQuery {
        scope: Scope::System,
        types: None,
        since: Some(mark),
        at: None,
        count: 50,
        total: false,
        from: None,
    };
    let mut newest = mark;
    loop {
        let page = store.history(&Everything, &query).await.unwrap();
        for version in &page.rows {
            newest = newest.max(version.pk + 1);
            *seen.entry(version.pk).or_default() += 1;
        }
        query.from = page.next;
        if query.from.is_none() {
            return newest;
        }
    }
}

async fn poll_search(store: &Store, mark: i64, seen: &mut BTreeMap<i64, usize>) -> i64 {
    let plan = Plan { cond: Cond::Updated { from: Some(mark), to: None }, ..all(50) };
    let (mut newest, mut from) = (mark, None);
    loop {
        let page = store.search(&Everything, &plan, from.as_ref()).await.unwrap();
        for version in &page.rows {
            newest = newest.max(version.pk + 1);
            *seen.entry(version.pk).or_default() += 1;
        }
        from = page.next;
        if from.is_none() {
            return newest;
        }
    }
}
