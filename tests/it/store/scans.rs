//! No search reads a table from end to end, on PostgreSQL as its statistics tell it. (SQLite: `store::search::tests`.)

use super::*;
use crate::harness::postgres;
use baton::access::Limit::Everything;
use baton::search::Sort;
use baton::search::plan::{Link, SortBy};

#[test]
fn no_search_scans_a_table_of_postgresql() {
    with_database(Database::Postgres, |settings| async move {
        let store = Store::open(&Settings::new(&settings.database_url)).await.expect("it opens");
        let fill = does(|tx| {
            Box::pin(async move {
                for n in 0..400 {
                    puts(tx, &format!("p{n}"), if n % 2 == 0 { "even" } else { "odd" }, n).await?;
                }
                Ok(())
            })
        });
        store.write(fill).await.unwrap();
        let keys = store.keys();
        let (name, number) = (keys.param("Patient", "family"), keys.param("Patient", "number"));
        let even = Cond::Exact(vec![keys.exact("Patient", "family", "", &["even"])]);
        let text = Cond::Text { key: name, text: "o".into(), anywhere: false };
        let range = Cond::Range { key: number, lo: (Some(10), None), hi: (None, Some(20)) };
        let chain = |by, target: &Cond| Cond::Chain {
            param: 5,
            types: vec![patient()],
            by,
            is_single: true,
            target: Box::new(target.clone()),
        };
        let has = |by| Cond::Has { rtype: patient(), param: 5, by, source: Box::new(even.clone()) };
        let contains = Cond::Text { key: name, text: "ve".into(), anywhere: true };
        let words = Cond::Words { words: vec![("even".into(), false), ("per".into(), true)], narrative: false };
        let near = Cond::Near { keys: (number, number), at: [1, 2, 3], chord: 99 };
        let conditions = [
            Cond::All(vec![]),
            near.clone(),
            Cond::All(vec![near.clone(), even.clone()]),
            Cond::Not(Box::new(near.clone())),
            chain(Link::Id, &near),
            even.clone(),
            Cond::All(vec![even.clone(), text.clone(), range.clone()]),
            Cond::Any(vec![text.clone(), range.clone()]),
            Cond::Not(Box::new(even.clone())),
            Cond::Present { param: "family".into(), present: true },
            Cond::Ids(vec!["p1".into(), "p2".into()]),
            Cond::Updated { from: Some(1), to: None },
            chain(Link::Id, &text),
            chain(Link::Canonical, &text),
            has(Link::Id),
            has(Link::Canonical),
            contains.clone(),
            Cond::All(vec![contains.clone(), range.clone()]),
            chain(Link::Id, &contains),
            words.clone(),
            Cond::All(vec![words.clone(), even.clone()]),
            Cond::Not(Box::new(words.clone())),
            Cond::Any(vec![
                Cond::All(vec![Cond::Type(patient()), Cond::Ids(vec!["p1".into()])]),
                Cond::All(vec![Cond::Type(patient()), range.clone()]),
            ]),
        ];
        let sort = |by, descending| Sort { by, descending };
        let by_id = sort(SortBy::Id, false);
        let sorts = [
            vec![],
            vec![sort(SortBy::Range(vec![number]), true)],
            vec![sort(SortBy::Range(vec![number]), true), by_id.clone(), sort(SortBy::Type, false)],
            vec![sort(SortBy::Fact("family".into()), false), by_id],
        ];
        let own = Limit::Organization { org: "o".into(), hooks: baton::access::Hooks::None, now: now(), sieve: None };
        // Each plan often enough for the server to settle on a plan that serves all values.
        for _ in 0..7 {
            for (cond, sort) in conditions.iter().flat_map(|c| sorts.iter().map(move |s| (c, s))) {
                let plan = Plan { cond: cond.clone(), sort: sort.clone(), count: 5, total: true, ..all(5) };
                let page = store.search(&own, &plan, None).await.unwrap();
                if let Some(next) = page.next {
                    store.search(&own, &plan, Some(&next)).await.unwrap();
                }
            }
        }
        assert_eq!(store.search(&Everything, &only(words), None).await.unwrap().rows.len(), 50);
        assert_eq!(store.search(&Everything, &only(even), None).await.unwrap().rows.len(), 50);
        store.close().await;
        let scans = "DO $$ DECLARE t TEXT; BEGIN
            PERFORM pg_stat_clear_snapshot();
            SELECT string_agg(relname || ' ' || seq_scan, ', ') INTO t FROM pg_stat_user_tables s
            WHERE relname IN ('version', 'idx', 'idx_range', 'idx_text', 'fulltext', 'share')
              -- Making an index counts as one scan.
              AND seq_scan > (SELECT count(*) FROM pg_index i WHERE i.indrelid = s.relid);
            IF t IS NOT NULL THEN RAISE EXCEPTION 'scanned: %', t; END IF; END $$";
        postgres::execute(&settings.database_url, scans);
    });
}
