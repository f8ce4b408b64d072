//! One transaction: what it sees, what it keeps, what it leaves to its neighbours.

use super::*;
use baton::access::Limit::Everything;
use baton::error::{Error, Kind};
use baton::store::{Audit, HistoryQuery, Scope, Share};
use futures_util::future::join_all;

both_stores!(a_put_is_seen_before_it_is_written_and_after_the_commit);
async fn a_put_is_seen_before_it_is_written_and_after_the_commit(store: Store) {
    let keys = store.keys();
    let smith = only(Cond::Exact(vec![keys.exact("Patient", "family", "", &["smith"])]));
    let text = only(Cond::Text { key: keys.param("Patient", "family"), text: "smi".into(), anywhere: false });
    let asked = (smith.clone(), text.clone());
    let made = store
        .write(does(move |tx| {
            let (smith, text) = asked.clone();
            Box::pin(async move {
                assert_eq!(tx.get(&Everything, &target("a")).await?, None);
                let first = puts(tx, "a", "smith", 1).await?;
                assert_eq!(tx.get(&Everything, &target("a")).await?, Some(first.clone()));
                assert_eq!(tx.find(&Everything, std::slice::from_ref(&smith)).await?, [vec![target("a")]]);
                let second = puts(tx, "a", "smithson", 2).await?;
                assert_eq!((second.version, second.pk > first.pk), (2, true));
                assert_eq!(
                    tx.find(&Everything, std::slice::from_ref(&smith)).await?,
                    [vec![]],
                    "it has another name now"
                );
                assert_eq!(
                    tx.find(&Everything, std::slice::from_ref(&text)).await?,
                    [vec![target("a")]],
                    "by a search"
                );
                puts(tx, "b", "smith", 3).await?;
                let third = puts(tx, "a", "smith", 4).await?;
                assert_eq!(
                    tx.find(&Everything, &[smith, text]).await?.iter().map(Vec::len).collect::<Vec<_>>(),
                    [2, 2]
                );
                Ok(third)
            })
        }))
        .await
        .expect("the work passes");
    assert_eq!(made.version, 3);
    assert_eq!(store.get(&Everything, &target("a")).await.unwrap(), Some(made.clone()));
    assert_eq!(store.get(&Everything, &target("a")).await.unwrap(), Some(made), "from the cache as well");
    assert_eq!(ids(&store.search(&Everything, &smith, None).await.unwrap().rows), ["a", "b"]);
    for (number, family) in [(1, "smith"), (2, "smithson"), (3, "smith")] {
        let old = store.get_version(&Everything, &target("a"), number).await.unwrap().expect("all versions are kept");
        assert_eq!(old.json().unwrap()["family"].text(), family);
        assert_eq!(old.json().unwrap()["meta"]["lastUpdated"].text(), baton::clock::Instant(old.pk).to_string());
    }
    assert_eq!(store.search(&Everything, &text, None).await.unwrap().total, Some(2));
}

both_stores!(a_work_that_fails_takes_only_itself_back);
async fn a_work_that_fails_takes_only_itself_back(store: Store) {
    // Works of every kind meet in the same group commits: failing before and after their rows were written out.
    let works = (0..120).map(|n| {
        let store = store.clone();
        async move {
            store
                .write(does(move |tx| {
                    Box::pin(async move {
                        puts(tx, &format!("p{n}"), "x", n).await?;
                        if n % 3 == 0 {
                            let all = super::all(1000);
                            let seen = tx.search(&Everything, &all, None).await?;
                            assert!(ids(&seen.rows).contains(&format!("p{n}").as_str()));
                        }
                        puts(tx, &format!("q{n}"), "x", n).await?;
                        match n % 4 {
                            0 => Err(Error::business_rule("no")),
                            1 if n % 20 == 1 => panic!("a bug in a work"),
                            _ => Ok(()),
                        }
                    })
                }))
                .await
        }
    });
    let outcomes = join_all(works).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let expected = if n % 4 == 0 {
            Some(Kind::BusinessRule)
        } else if n % 20 == 1 {
            Some(Kind::Fault)
        } else {
            None
        };
        assert_eq!(outcome.as_ref().err().map(|e| e.kind), expected, "work {n}: {outcome:?}");
        for id in [format!("p{n}"), format!("q{n}")] {
            let stored = store.get(&Everything, &target(&id)).await.unwrap();
            assert_eq!(stored.is_some(), expected.is_none(), "{id}");
        }
    }
    let kept = outcomes.iter().filter(|o| o.is_ok()).count() * 2;
    let all = Plan { count: 0, ..super::all(0) };
    assert_eq!(store.count(&Everything, &all).await.unwrap(), kept as u64);
}

both_stores!(of_64_parallel_conditional_creates_one_creates);
async fn of_64_parallel_conditional_creates_one_creates(store: Store) {
    struct Create(i64, usize);
    impl Work for Create {
        type Out = bool;
        fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
            Box::pin(async move {
                let found = tx.find(&Everything, &[only(Cond::Exact(vec![self.0]))]).await?;
                if found[0].is_empty() {
                    puts(tx, &format!("id-{}", self.1), "once", 1).await?;
                }
                Ok(found[0].is_empty())
            })
        }
        fn locks(&self) -> Vec<i64> {
            vec![self.0]
        }
    }
    let key = store.keys().exact("Patient", "family", "", &["once"]);
    let made = join_all((0..64).map(|n| store.write(Create(key, n)))).await;
    assert_eq!(made.iter().filter(|m| *m.as_ref().expect("none fails")).count(), 1);
    assert_eq!(store.search(&Everything, &only(Cond::Exact(vec![key])), None).await.unwrap().rows.len(), 1);
}

both_stores!(parallel_updates_of_one_resource_without_a_lock_lose_nothing);
async fn parallel_updates_of_one_resource_without_a_lock_lose_nothing(store: Store) {
    let update = |n: i64| store.write(does(move |tx| Box::pin(async move { puts(tx, "a", "x", n).await })));
    update(0).await.unwrap();
    let made = join_all((0..24).map(update)).await;
    let mut made: Vec<Version> = made.into_iter().map(|v| v.expect("lost races run again inside")).collect();
    made.sort_by_key(|v| v.pk);
    assert_eq!(made.iter().map(|v| v.version).collect::<Vec<_>>(), (2..26).collect::<Vec<i64>>());
}

both_stores!(a_deletion_is_a_version_and_a_revival_goes_on_counting);
async fn a_deletion_is_a_version_and_a_revival_goes_on_counting(store: Store) {
    store
        .write(does(|tx| {
            Box::pin(async move {
                puts(tx, "a", "x", 1).await?;
                deletes(tx, "a").await
            })
        }))
        .await
        .unwrap();
    let gone = store.get(&Everything, &target("a")).await.unwrap().expect("a deletion is known");
    assert!(gone.is_deleted() && gone.body.is_empty());
    assert!(store.search(&Everything, &all(10), None).await.unwrap().rows.is_empty());
    store.write(does(|tx| Box::pin(async move { puts(tx, "a", "y", 2).await }))).await.unwrap();
    let scope = Scope::Instance(target("a"));
    let query = HistoryQuery { scope, types: None, since: None, at: None, count: 2, total: true, from: None };
    let first = store.history(&Everything, &query).await.unwrap();
    assert_eq!(
        first.rows.iter().map(|v| (v.version, v.method)).collect::<Vec<_>>(),
        [(3, Method::Put), (2, Method::Delete)]
    );
    assert_eq!(first.total, Some(3));
    let rest = store.history(&Everything, &HistoryQuery { from: first.next, ..query }).await.unwrap();
    assert_eq!(rest.rows.iter().map(|v| v.version).collect::<Vec<_>>(), [1]);
    assert!(rest.next.is_none());
}

both_stores!(a_share_row_opens_one_resource_to_one_organisation_until_its_time);
async fn a_share_row_opens_one_resource_to_one_organisation_until_its_time(store: Store) {
    let (hospital, pharmacy) = (store.org_key("h"), store.org_key("p"));
    let limit =
        |org: &str, now| Limit::Organization { org: org.into(), hooks: baton::access::Hooks::None, now, sieve: None };
    let until = now().plus_seconds(60);
    store
        .write(does(move |tx| {
            Box::pin(async move {
                for id in ["a", "b"] {
                    let (body, rows) = (stamped(id, "x"), rows(&tx.keys(), "x", 1));
                    let put = Put {
                        target: target(id),
                        method: Method::Post,
                        body: Some(&body),
                        rows,
                        before: None,
                        org: hospital,
                        labels: 0,
                    };
                    tx.put(put).await?;
                }
                tx.share(Share { org: 0, target: target("a"), handoff: "h1".into(), until }).await?;
                tx.audit(Audit { client: "test".into(), ..Audit::default() });
                // The template opens it to nobody.
                assert_eq!(
                    tx.get(
                        &Limit::Organization {
                            org: "p".into(),
                            hooks: baton::access::Hooks::None,
                            now: now(),
                            sieve: None
                        },
                        &target("a")
                    )
                    .await?,
                    None
                );
                Ok(())
            })
        }))
        .await
        .unwrap();
    let sees = async |who: &str, at| ids_of(&store, &limit(who, at)).await;
    assert_eq!(sees("h", now()).await, ["b", "a"]);
    assert!(sees("p", now()).await.is_empty());
    store
        .write(does(move |tx| {
            Box::pin(async move {
                for target in tx.shared("h1").await? {
                    tx.share(Share { org: pharmacy, target, handoff: "h1".into(), until }).await?;
                }
                Ok(())
            })
        }))
        .await
        .unwrap();
    assert_eq!(sees("p", now()).await, ["a"]);
    assert!(store.get(&limit("p", now()), &target("a")).await.unwrap().is_some());
    assert!(store.get(&limit("p", now()), &target("b")).await.unwrap().is_none());
    assert!(sees("p", until).await.is_empty(), "expired");
    assert!(sees("q", now()).await.is_empty());
    assert!(ids_of(&store, &Limit::Directory).await.is_empty());
    store.write(does(move |tx| Box::pin(async move { tx.unshare("h1", Some(pharmacy)).await }))).await.unwrap();
    assert!(sees("p", now()).await.is_empty(), "taken back");
}

async fn ids_of(store: &Store, limit: &Limit) -> Vec<String> {
    let page = store.search(limit, &all(10), None).await.unwrap();
    page.rows.into_iter().map(|v| v.target.id).collect()
}

both_stores!(a_work_that_writes_more_than_it_said_runs_with_more_stamps);
async fn a_work_that_writes_more_than_it_said_runs_with_more_stamps(store: Store) {
    let many = does(|tx| {
        Box::pin(async move {
            let before =
                tx.get_many(&Everything, &(0..1500).map(|n| target(&format!("m{n}"))).collect::<Vec<_>>()).await?;
            assert!(before.iter().all(Option::is_none));
            for n in 0..1500 {
                let id = format!("m{n}");
                let (body, rows) = (stamped(&id, "x"), rows(&tx.keys(), "x", n));
                tx.put(Put {
                    target: target(&id),
                    method: Method::Post,
                    body: Some(&body),
                    rows,
                    before: None,
                    org: 0,
                    labels: 0,
                })
                .await?;
            }
            Ok(())
        })
    });
    store.write(many).await.unwrap();
    assert_eq!(store.count(&Everything, &all(0)).await.unwrap(), 1500);
}

both_stores!(a_put_over_a_version_nobody_read_is_refused);
async fn a_put_over_a_version_nobody_read_is_refused(store: Store) {
    let blind = || {
        store.write(does(|tx| {
            Box::pin(async move {
                let (body, rows) = (stamped("a", "x"), rows(&tx.keys(), "x", 1));
                let put = Put {
                    target: target("a"),
                    method: Method::Post,
                    body: Some(&body),
                    rows,
                    before: None,
                    org: 0,
                    labels: 0,
                };
                tx.put(put).await.map(|_| ())
            })
        }))
    };
    blind().await.unwrap();
    let refused = blind().await.expect_err("version 1 is there");
    assert!(matches!(refused.kind, Kind::Conflict | Kind::Busy), "{refused:?}");
}
