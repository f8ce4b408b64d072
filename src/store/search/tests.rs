//! Plans of SQLite: no search scans a table. (PostgreSQL: `tests/it/store/scans.rs`.)

use super::*;
use crate::fhir::resource::known;
use crate::search::Sort;
use crate::search::plan::{Link, SortBy};
use crate::store::conn::Arg;
use crate::store::page::SortValue;
use crate::store::{Settings, Store};

/// Whether a line of `EXPLAIN QUERY PLAN` reads a table from end to end. What a `SCAN` may be of: lists made in the
/// query, and `version` in the order of pk where several types are asked for.
fn is_scan(line: &str, plan: &Plan) -> bool {
    let of_lists =
        ["SCAN j", "SCAN d", "SCAN q", "SCAN p", "SCAN t", "SCAN e", "SCAN s", "SCAN json_each", "SCAN CONSTANT"];
    // Full text is read by its words (M) or by one version as well (=).
    let by_words = line.starts_with("SCAN x VIRTUAL TABLE INDEX") && line.contains('M');
    let in_order = plan.types.len() > 1 && line.starts_with("SCAN v");
    line.starts_with("SCAN")
        && !of_lists.iter().any(|l| line == *l || line.starts_with(&format!("{l} ")))
        && !in_order
        && !by_words
}

#[tokio::test]
async fn no_search_scans_a_table_of_sqlite() {
    let dir = tempfile::tempdir().expect("a folder");
    let store =
        Store::open(&Settings::new(format!("sqlite:{}", dir.path().join("a.db").display()))).await.expect("opens");
    let (task, patient) = (known("Task"), known("Patient"));
    let exact = Cond::Exact(vec![1]);
    let several = Cond::Exact(vec![1, 2]);
    let text = Cond::Text { key: 3, text: "a".into(), anywhere: false };
    let range = Cond::Range { key: 4, lo: (Some(1), None), hi: (None, Some(9)) };
    let until = Cond::Range { key: 4, lo: (None, None), hi: (None, Some(9)) };
    let linked = |by, target: &Cond| Cond::Chain {
        param: 5,
        types: vec![patient],
        by,
        is_single: true,
        target: Box::new(target.clone()),
    };
    let chain = |target: &Cond| linked(Link::Id, target);
    let by_canonical = |target: &Cond| linked(Link::Canonical, target);
    let held = |by, source: &Cond| Cond::Has { rtype: task, param: 6, by, source: Box::new(source.clone()) };
    let has = |source: &Cond| held(Link::Id, source);
    let contains = Cond::Text { key: 3, text: "a".into(), anywhere: true };
    let ids = Cond::Ids(vec!["a".into(), "b".into()]);
    let words = Cond::Words { words: vec![("a".into(), false), ("b".into(), true)], narrative: true };
    let near = Cond::Near { keys: (7, 8), at: [1, 2, 3], chord: 9 };
    let conditions = [
        Cond::All(vec![]),
        near.clone(),
        Cond::All(vec![near.clone(), exact.clone()]),
        Cond::Not(Box::new(near.clone())),
        chain(&near),
        exact.clone(),
        several.clone(),
        text.clone(),
        range.clone(),
        until,
        Cond::All(vec![exact.clone(), text.clone(), range.clone(), several.clone()]),
        Cond::Any(vec![exact.clone(), text.clone()]),
        Cond::Any(vec![Cond::All(vec![text.clone(), range.clone()]), several.clone()]),
        Cond::Not(Box::new(exact.clone())),
        Cond::Present { param: "status".into(), present: false },
        ids.clone(),
        Cond::Updated { from: Some(1), to: Some(2) },
        chain(&exact),
        chain(&text),
        chain(&Cond::All(vec![exact.clone(), range.clone()])),
        chain(&ids),
        by_canonical(&exact),
        by_canonical(&Cond::Not(Box::new(exact.clone()))),
        Cond::any(vec![chain(&text), by_canonical(&text)]),
        held(Link::Canonical, &exact),
        held(Link::Canonical, &by_canonical(&text)),
        contains.clone(),
        Cond::All(vec![contains.clone(), exact.clone()]),
        chain(&contains),
        Cond::Not(Box::new(contains)),
        chain(&Cond::Not(Box::new(exact.clone()))),
        has(&exact),
        has(&range),
        Cond::All(vec![has(&chain(&text)), exact.clone()]),
        words.clone(),
        Cond::All(vec![words.clone(), exact.clone()]),
        Cond::Not(Box::new(words.clone())),
        chain(&words),
        Cond::Any(vec![
            Cond::All(vec![Cond::Type(task), ids.clone()]),
            Cond::All(vec![Cond::Type(patient), range.clone()]),
        ]),
    ];
    let sorts = [
        vec![],
        vec![Sort { by: SortBy::Updated, descending: false }],
        vec![
            Sort { by: SortBy::Text(vec![3]), descending: true },
            Sort { by: SortBy::Fact("a".into()), descending: false },
        ],
        vec![
            Sort { by: SortBy::Range(vec![4]), descending: true },
            Sort { by: SortBy::Id, descending: false },
            Sort { by: SortBy::Type, descending: false },
        ],
        vec![
            Sort { by: SortBy::Range(vec![4]), descending: true },
            Sort { by: SortBy::Text(vec![3]), descending: false },
        ],
    ];
    let view = View::At("9".into());
    let limit =
        Limit::Organization { org: "o".into(), hooks: crate::access::Hooks::None, now: Instant(1), sieve: None };
    let sight = Sight { dialect: Dialect::Sqlite, keys: store.keys(), limit: &limit, view: &view };
    let mut looked_at = 0;
    for types in [vec![task], vec![task, patient]] {
        for (cond, sort) in conditions.iter().flat_map(|c| sorts.iter().map(move |s| (c, s))) {
            let plan = Plan { types: types.clone(), cond: cond.clone(), sort: sort.clone(), count: 10, total: false };
            let mut all = Vec::new();
            flatten(&plan.cond, &mut all);
            let named = all.iter().find(|c| matches!(c, Cond::Ids(_))).map(|c| Driver::Listed(c));
            let mut drivers: Vec<Driver<'_>> = all.into_iter().filter(|c| is_set(c)).map(as_driver).collect();
            drivers.push(Driver::Types);
            if let Some(named) = named {
                drivers = vec![named]; // ids are never looked up row by row
            }
            let after = plan.sort.iter().map(|s| match s.by {
                SortBy::Range(_) | SortBy::Type => SortValue::Int(5),
                _ => SortValue::Text("x".into()),
            });
            let place = Place { query: 1, made: 1, snapshot: "9".into(), total: None, after: after.collect(), pk: 7 };
            let mut sets = Vec::new();
            flatten(&plan.cond, &mut sets);
            sets.retain(|c| is_set(c) && is_whole_set(c));
            let cases = drivers.iter().flat_map(|d| {
                let ways = [(None, &[][..]), (Some(&place), &[][..]), (None, &sets[..]), (Some(&place), &sets[..])];
                ways.map(|(place, sets)| (*d, place, sets))
            });
            for (driver, place, sets) in cases {
                let query = Query { sight, plan: &plan, driver, sets, place };
                for sql in [query.page(), query.count()] {
                    let lines = explain(&store, &sql).await;
                    let sorts = lines.iter().filter(|l| l.contains("TEMP B-TREE FOR ORDER BY")).count();
                    assert!(!query.is_narrow() || sorts <= 1, "sorted once: {lines:#?}\n{}", sql.text);
                    for line in lines {
                        assert!(!is_scan(&line, &plan), "{line}\n{}\n{plan:?}", sql.text);
                        let is_sorted_late = query.is_direct() && line.contains("TEMP B-TREE FOR ORDER BY");
                        assert!(!is_sorted_late, "a walk is in order: {line}\n{}", sql.text);
                        looked_at += 1;
                    }
                }
            }
        }
    }
    assert!(looked_at > 1000, "{looked_at} lines");
    for targets in [1, 3] {
        let targets: Vec<_> = (0..targets).map(|n| crate::fhir::Target::new(task, format!("t{n}"))).collect();
        for line in explain(&store, &crate::store::read::current(&store.inner.shared, &limit, &targets)).await {
            assert!(!line.starts_with("SCAN v") && !line.starts_with("SCAN m"), "{line}");
        }
    }
    let found = matches(&store.inner.shared, &limit, &[(0, task, 1), (1, task, 2)]);
    for line in explain(&store, &found).await {
        assert!(!line.starts_with("SCAN v") && !line.starts_with("SCAN x") && !line.starts_with("SCAN w"), "{line}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_condition_that_was_many_is_not_counted_again_and_not_begun_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", dir.path().join("a.db").display());
    let store = Store::open(&Settings::new(url)).await.expect("opens");
    let view = View::At("9".into());
    let sight = Sight { dialect: Dialect::Sqlite, keys: store.keys(), limit: &Limit::Everything, view: &view };
    let (one, two, pair) = (Cond::Exact(vec![1]), Cond::Exact(vec![2]), Cond::Exact(vec![1, 2]));
    let plan = |list: &[&Cond]| Plan {
        types: vec![known("Task")],
        cond: Cond::All(list.iter().copied().cloned().collect()),
        sort: Vec::new(),
        count: 10,
        total: false,
    };
    // What is known to be many; the conditions; the key whose rows are walked, or none: a list.
    let rows = [
        (vec![], plan(&[&one, &two]), Some(1)),
        (vec![vec![1]], plan(&[&one, &two]), Some(2)),
        (vec![vec![1], vec![2]], plan(&[&one, &two]), Some(1)),
        (vec![vec![1]], plan(&[&one, &pair]), None),
        (vec![vec![1, 2]], plan(&[&pair, &one]), Some(1)),
    ];
    for (known, plan, walked) in rows {
        let many = Many::new();
        known.iter().for_each(|keys| many.learn(keys, std::time::Instant::now()));
        let mut reading = store.reading().await.expect("a connection");
        let choice = choose(reading.conn().expect("a connection"), &many, sight, &plan).await.expect("chooses");
        let found = match choice.driver {
            Driver::Walk(key, _) => Some(key),
            _ => None,
        };
        assert_eq!(found, walked, "{known:?} {plan:?}");
    }
    store.close().await;
}

async fn explain(store: &Store, sql: &Sql) -> Vec<String> {
    let args: Vec<Arg> = sql.args.clone();
    let rows = store.fetch(&format!("EXPLAIN QUERY PLAN {}", sql.text), args).await.expect("it is SQL");
    rows.iter().map(|row| row.text(3).expect("a detail")).collect()
}
