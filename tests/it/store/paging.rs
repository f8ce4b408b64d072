//! Law 8, first half: the pages of a search are of one snapshot, whatever is written meanwhile.

use super::*;
use baton::access::Limit::Everything;
use baton::search::Sort;
use baton::search::plan::SortBy;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

const ROWS: i64 = 1500;
const FAMILIES: [&str; 5] = ["ahn", "berg", "cole", "diaz", "eder"];

fn family(n: i64) -> &'static str {
    FAMILIES[usize::try_from(n).unwrap() % FAMILIES.len()]
}

async fn fill(store: &Store) {
    for start in (0..ROWS).step_by(250) {
        let work = does(move |tx| {
            Box::pin(async move {
                for n in start..start + 250 {
                    puts(tx, &format!("r{n}"), family(n), n / 3).await?;
                }
                Ok(())
            })
        });
        store.write(work).await.unwrap();
    }
}

/// Inserts, updates and deletes until told to stop; leaves every row alone whose number divides by 4.
async fn disturb(store: Store, stop: Arc<AtomicBool>, offset: i64) {
    let mut n = offset;
    while !stop.load(Ordering::SeqCst) {
        n = (n + 37) % ROWS;
        let victim = if n % 4 == 0 { n + 1 } else { n };
        let work = does(move |tx| {
            Box::pin(async move {
                let id = format!("r{victim}");
                let is_there = tx.get(&Everything, &target(&id)).await?.is_some_and(|v| !v.is_deleted());
                if is_there && victim % 3 == 0 {
                    deletes(tx, &id).await?;
                } else {
                    puts(tx, &id, family(victim + 1), victim).await?;
                }
                puts(tx, &format!("new-{offset}-{victim}"), family(victim), victim).await
            })
        });
        store.write(work).await.expect("a write passes");
    }
}

/// Three conditions, each of which holds for hundreds.
fn many(keys: &baton::search::Keys) -> Cond {
    let (number, name) = (keys.param("Patient", "number"), keys.param("Patient", "family"));
    let of = |family: &str| keys.exact("Patient", "family", "", &[family]);
    let text = |text: &str| Cond::Text { key: name, text: text.into(), anywhere: false };
    Cond::All(vec![
        Cond::Exact(vec![of("ahn"), of("berg")]),
        Cond::Range { key: number, lo: (Some(20), None), hi: (None, Some(350)) },
        Cond::Any(vec![text("be"), text("co"), text("a")]),
    ])
}

both_stores!(conditions_that_hold_for_many_are_joined_and_sorted);
async fn conditions_that_hold_for_many_are_joined_and_sorted(store: Store) {
    fill(&store).await;
    let keys = store.keys();
    let number = keys.param("Patient", "number");
    let mut wanted: Vec<(i64, String)> =
        (0..ROWS).filter(|n| n % 5 < 2 && (20..=350).contains(&(n / 3))).map(|n| (n / 3, format!("r{n}"))).collect();
    assert!(wanted.len() > 300, "{}", wanted.len());
    for descending in [false, true] {
        // Ties: the one written last comes first.
        wanted.sort_by_key(|(number, id)| {
            let written: i64 = id[1..].parse().unwrap();
            (if descending { -number } else { *number }, -written)
        });
        let sort = vec![Sort { by: SortBy::Range(vec![number]), descending }];
        let page = store.search(&Everything, &Plan { sort, count: 1000, ..only(many(&keys)) }, None).await.unwrap();
        let wanted: Vec<&str> = wanted.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(ids(&page.rows), wanted);
    }
    let outsider = baton::access::Limit::Directory;
    let page = store.search(&outsider, &Plan { count: 40, ..only(many(&keys)) }, None).await.unwrap();
    assert_eq!(page.rows.len(), 40, "what belongs to nobody is the directory's");
    store.close().await;
}

both_stores!(pages_walk_a_snapshot_while_others_write);
/// R4 http.html#paging: In every sort order pages are of one snapshot and complete, while three writers insert, update
/// and delete.
async fn pages_walk_a_snapshot_while_others_write(store: Store) {
    fill(&store).await;
    let keys = store.keys();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3).map(|k| tokio::spawn(disturb(store.clone(), Arc::clone(&stop), k * 500))).collect();
    let sort = |by: SortBy, descending| vec![Sort { by, descending }];
    let (number, name) = (keys.param("Patient", "number"), keys.param("Patient", "family"));
    let plans = [
        all(37),
        only(Cond::Exact(vec![tag(&keys)])),
        Plan { sort: sort(SortBy::Updated, false), ..all(37) },
        Plan { sort: sort(SortBy::Id, true), ..all(37) },
        Plan { sort: sort(SortBy::Range(vec![number]), false), ..only(Cond::Exact(vec![tag(&keys)])) },
        Plan { sort: sort(SortBy::Text(vec![name]), true), ..all(37) },
        Plan { sort: sort(SortBy::Fact("family".into()), false), ..all(37) },
        only(Cond::Text { key: name, text: "b".into(), anywhere: false }),
        only(Cond::Range { key: number, lo: (Some(100), None), hi: (None, Some(200)) }),
        // Each holds for more than are looked up one by one.
        Plan { sort: sort(SortBy::Range(vec![number]), true), ..only(many(&keys)) },
        only(many(&keys)),
    ];
    for plan in plans {
        let plan = Plan { count: 37, total: true, ..plan };
        walk(&store, &plan).await;
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("the writers wrote");
    }
}

async fn walk(store: &Store, plan: &Plan) {
    let (mut seen, mut from, mut total) = (BTreeSet::new(), None, None);
    let mut newest = i64::MAX;
    let mut rows = Vec::new();
    loop {
        let page = store.search(&Everything, plan, from.as_ref()).await.unwrap();
        total = total.or(page.total);
        assert_eq!(page.total, total, "one total on all pages");
        if from.is_none() {
            newest = now().0;
        }
        for version in page.rows {
            assert!(version.pk <= newest, "written after page one: {}", version.target);
            assert!(seen.insert(version.target.clone()), "twice: {} in {plan:?}", version.target);
            rows.push(version);
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(Some(seen.len() as u64), total, "as many as page one counted: {plan:?}");
    // Rows that nobody touches are there, all of them, when the plan asks for all.
    if plan.cond == Cond::All(Vec::new()) {
        for n in (0..ROWS).step_by(4) {
            assert!(seen.contains(&target(&format!("r{n}"))), "r{n} is missing in {plan:?}");
        }
    }
    assert!(seen.len() > 37, "more than one page: {plan:?}");
    let sorted = match plan.sort.first().map(|s| &s.by) {
        None => rows.is_sorted_by_key(|v| -v.pk),
        Some(SortBy::Updated) => rows.is_sorted_by_key(|v| v.pk),
        Some(SortBy::Id) => rows.is_sorted_by(|a, b| a.target.id > b.target.id),
        Some(SortBy::Text(_)) => {
            rows.is_sorted_by_key(|v| std::cmp::Reverse(v.json().unwrap()["family"].text().to_string()))
        }
        Some(SortBy::Fact(_)) => rows.is_sorted_by_key(|v| v.json().unwrap()["family"].text().to_string()),
        Some(SortBy::Type) => rows.is_sorted_by_key(|v| v.target.rtype),
        Some(SortBy::Range(_)) => true,
    };
    assert!(sorted, "in order: {plan:?}");
}

both_stores!(a_cursor_of_another_query_or_caller_is_refused);
async fn a_cursor_of_another_query_or_caller_is_refused(store: Store) {
    fill(&store).await;
    let next = store.search(&Everything, &all(37), None).await.unwrap().next.expect("more than a page");
    assert!(store.search(&Everything, &all(37), Some(&next)).await.is_ok());
    assert!(store.search(&Everything, &all(38), Some(&next)).await.is_err());
    assert!(store.search(&Limit::Directory, &all(37), Some(&next)).await.is_err());
}
