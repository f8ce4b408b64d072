//! Rows of what is long dead go; whoever reads sees no difference.

use super::*;
use baton::access::Limit::Everything;
use baton::fhir::resource::known;
use baton::search::{Cond, Plan};

/// Beyond the life of a page, counted from now.
fn later(settings: &Settings) -> Instant {
    Instant::now().plus_seconds(i64::try_from(settings.limits.page_seconds).unwrap() + 600)
}

both_nodes!(rows_of_dead_versions_go_and_nobody_who_reads_sees_a_difference);
async fn rows_of_dead_versions_go_and_nobody_who_reads_sees_a_difference(settings: Settings) {
    let node = Node::start(&settings).await;
    let word = |n: usize, word: &str| {
        let mut patient = contact(n, word);
        patient["name"] = json!([{"family": format!("Family{n}"), "given": [word]}]);
        patient["text"] =
            json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{word}</div>")});
        patient
    };
    for n in 0..30 {
        node.put(&word(n, "former")).await;
    }
    // A page of the first state is under way.
    let plan = Plan { types: vec![known("Patient")], cond: Cond::All(vec![]), sort: vec![], count: 7, total: true };
    let first = node.store.search(&Everything, &plan, None).await.unwrap();
    for n in 0..30 {
        if n % 3 == 0 {
            assert_eq!(node.ask(Verb::Delete, &format!("Patient/p{n}"), None).await.0, 204);
        } else {
            node.put(&word(n, "present")).await;
        }
    }
    let queries = [
        "Patient?given=present",
        "Patient?given=former",
        "Patient?_text=present",
        "Patient?birthdate=1950-01-01&_count=100",
    ];
    let mut before = Vec::new();
    for query in queries {
        before.push(node.ids(query).await);
    }
    assert_eq!((before[0].len(), before[1].len()), (20, 0));
    let rows = node.store.row_counts().await.unwrap();

    // Not yet: somebody may be on his way through the pages.
    assert_eq!(node.worker.step(Instant::now()).await.unwrap(), Did::Nothing);
    assert_eq!(node.store.row_counts().await.unwrap(), rows);
    let mut walked = first.rows.len();
    let mut from = first.next.clone();
    while let Some(cursor) = from {
        let page = node.store.search(&Everything, &plan, Some(&cursor)).await.unwrap();
        walked += page.rows.len();
        from = page.next;
    }
    assert_eq!(walked, 30, "the first state, whole");

    while node.worker.step(later(&settings)).await.unwrap() == Did::Something {}
    for (query, before) in queries.iter().zip(&before) {
        assert_eq!(node.ids(query).await, *before, "{query}");
    }
    let left = node.store.row_counts().await.unwrap();
    for (n, table) in ["idx", "idx_range", "idx_text", "fulltext"].iter().enumerate() {
        assert!(left[n] < rows[n], "{table}: {} of {} rows are left", left[n], rows[n]);
    }
    // Exactly what the living need: a database in which nothing ever died has as many.
    let (status, history) = node.ask(Verb::Get, "Patient/p1/_history", None).await;
    assert_eq!((status, history["entry"].as_array().map(Vec::len)), (200, Some(2)), "history reads on");
    assert_eq!(node.worker.step(later(&settings)).await.unwrap(), Did::Nothing, "once is enough");
    node.stop().await;
}

both_nodes!(no_more_rows_are_left_than_the_living_need);
async fn no_more_rows_are_left_than_the_living_need(settings: Settings) {
    let node = Node::start(&settings).await;
    patients(&node, 0, 5).await;
    let needed = node.store.row_counts().await.unwrap();
    for round in 0..3 {
        for n in 0..5 {
            node.put(&contact(n, if round < 2 { "other" } else { "first" })).await;
        }
    }
    assert!(node.store.row_counts().await.unwrap()[0] > needed[0]);
    while node.worker.step(later(&settings)).await.unwrap() == Did::Something {}
    assert_eq!(node.store.row_counts().await.unwrap(), needed);
    node.stop().await;
}

both_nodes!(of_two_nodes_one_works_and_the_other_takes_over_when_it_is_gone);
async fn of_two_nodes_one_works_and_the_other_takes_over_when_it_is_gone(settings: Settings) {
    let settings =
        Settings { limits: baton::config::Limits { reindex_batch: 1, ..settings.limits.clone() }, ..settings };
    let node = Node::start(&settings).await;
    patients(&node, 0, 10).await;
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
    let other = Worker::new(node.engine.clone(), 60);
    let now = Instant::now();
    for _ in 0..4 {
        assert_ne!(node.worker.step(now).await.unwrap(), Did::Nothing);
    }
    assert_eq!(other.step(now).await.unwrap(), Did::Nothing, "the other has the lease");
    let done = |rows: baton::store::parameter::Parameters| {
        rows.list.iter().find_map(|p| p.walk.as_ref().map(|w| w.done)).expect("it is being built")
    };
    let before = done(node.store.parameters().await.unwrap());
    assert!(before >= 1);
    assert_eq!(other.step(now.plus_seconds(31)).await.unwrap(), Did::Something);
    assert_eq!(done(node.store.parameters().await.unwrap()), before + 1, "it goes on from the mark");
    assert_eq!(node.worker.step(now.plus_seconds(32)).await.unwrap(), Did::Nothing);
    node.stop().await;
}
