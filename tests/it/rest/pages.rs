//! Pages (corner 13).
//! Source: <https://hl7.org/fhir/R4/search.html#Paging>, `#include`, `#total`, `#errors`.

use super::{link, patient};
use crate::harness::TestServer;
use serde_json::{Value, json};
use std::collections::BTreeSet;

both_databases!(a_part_of_a_resource_is_marked_as_such, a_page_link_is_good_for_its_time,);

both_databases_with!(["--delete-referenced", "allow"]; includes_come_once_are_marked_and_do_not_count);

fn ids(page: &Value, mode: &str) -> Vec<String> {
    let entries = page["entry"].as_array().cloned().unwrap_or_default();
    let of_mode = entries.iter().filter(|e| e["search"]["mode"] == mode);
    of_mode
        .map(|e| {
            format!(
                "{}/{}",
                e["resource"]["resourceType"].as_str().unwrap_or_default(),
                e["resource"]["id"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

/// R4 http.html#paging: Pages walk a snapshot: nothing twice, nothing missing, while others insert and delete.
pub(super) async fn pages_walk_a_snapshot_while_others_write(server: TestServer) {
    let client = server.everyone();
    let batch: Vec<Value> = (0..100)
        .map(|n| json!({"resource": patient(&n.to_string()), "request": {"method": "POST", "url": "Patient"}}))
        .collect();
    client.post(&super::transaction(&batch)).await.is(200);
    for sort in ["", "&_sort=_id", "&_sort=identifier"] {
        let all = client.read("Patient?_count=1000").await.ok().body;
        let there: BTreeSet<String> = ids(&all, "match").into_iter().collect();
        assert!(there.len() >= 50, "{all:#}");
        let mut url = format!("Patient?_count=7{sort}");
        let mut seen = Vec::new();
        let mut round = 0;
        loop {
            let page = client.read(&url).await.ok().body;
            seen.extend(ids(&page, "match"));
            // Someone inserts and deletes between the pages.
            client.create(&patient(&format!("late-{round}"))).await.is(201);
            if let Some(gone) = seen.get(round) {
                client.delete(gone).await.is(204);
            }
            if let Some(gone) = there.iter().nth(round * 3) {
                client.delete(gone).await.is(204);
            }
            round += 1;
            match link(&page, "next") {
                Some(next) => url = next,
                None => break,
            }
        }
        let unique: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(unique.len(), seen.len(), "no row twice{sort}");
        assert_eq!(unique, there, "no row missing{sort}");
    }
}

/// R4 http.html#paging: The `next` link of a search by POST can be read by GET.
/// Own docs/search.md: A page link works for its caller only and cannot be changed: 404.
/// security A37: A page link of another, or a changed one, is 404.
/// security leak 9: A page link is bound to its caller.
pub(super) async fn a_page_link_is_its_callers_own_and_cannot_be_changed(server: TestServer) {
    let client = server.hospital();
    for n in 0..3 {
        client.create(&patient(&n.to_string())).await.is(201);
    }
    let page = client
        .send("POST", "Patient/_search", "_count=1", &[("Content-Type", "application/x-www-form-urlencoded")])
        .await
        .is(200)
        .body;
    let next = link(&page, "next").expect("a next page");
    client.read(&next).await.is(200);
    server.other_hospital().read(&next).await.refuses(404, "not-found", "");
    client.read(&next.replace("_count=1", "_count=2")).await.refuses(404, "not-found", "");
    client.read(&next.replace("_page=", "_page=x")).await.refuses(404, "not-found", "");
}

/// R4 search.html#include: Included resources come once, marked `include`, and count neither for `total` nor for
/// `_count`; deleted ones do not come.
async fn includes_come_once_are_marked_and_do_not_count(server: TestServer) {
    let client = server.everyone();
    let who = client.create(&patient("inc")).await.is(201).reference();
    for _ in 0..3 {
        let what = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": who}});
        client.create(&what).await.is(201);
    }
    let page = client.read("Observation?_include=Observation:subject&_total=accurate&_count=2").await.ok().body;
    assert_eq!((page["total"].as_u64(), ids(&page, "match").len()), (Some(3), 2), "{page:#}");
    assert_eq!(ids(&page, "include"), std::slice::from_ref(&who));
    let page = client.read("Patient?identifier=inc&_revinclude=Observation:subject").await.ok().body;
    assert_eq!((ids(&page, "match").len(), ids(&page, "include").len()), (1, 3));
    client.delete(&who).await.is(204);
    let page = client.read("Observation?_include=Observation:subject").await.ok().body;
    assert!(ids(&page, "include").is_empty(), "what is deleted is not included");
}

/// R4 search.html#errors: An unknown parameter is 400; with `Prefer: handling=lenient` it is left out with a warning
/// as an `outcome` entry.
/// R4 search.html#conformance: The `self` link shows the parameters that were used.
/// R4 search.html#count: `_count=0` only counts.
/// security A36: An unknown parameter is 400, or left out of search and self link.
pub(super) async fn a_search_says_what_it_did(server: TestServer) {
    let client = server.everyone();
    client.create(&patient("s")).await.is(201);
    client.read("Patient?nonsense=1").await.refuses(400, "not-supported", "");
    let page =
        client.send("GET", "Patient?nonsense=1&identifier=s", "", &[("Prefer", "handling=lenient")]).await.is(200).body;
    assert_eq!(ids(&page, "match").len(), 1);
    let outcome = page["entry"].as_array().and_then(|e| e.last()).expect("an outcome");
    assert_eq!(
        (outcome["search"]["mode"].as_str(), outcome["resource"]["issue"][0]["severity"].as_str()),
        (Some("outcome"), Some("warning"))
    );
    let own = link(&page, "self").expect("a self link");
    assert!(own.contains("identifier=s") && !own.contains("nonsense"), "{own}");
    let count = client.read("Patient?_count=0").await.ok().body;
    assert!(count["total"].as_u64() >= Some(1) && count.get("entry").is_none(), "{count:#}");
}

/// R4 search.html#elements: `_elements` of a search and a read gives a part that is marked SUBSETTED; what is stored
/// is not.
async fn a_part_of_a_resource_is_marked_as_such(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("e");
    body["gender"] = "female".into();
    body["birthDate"] = "1950-01-01".into();
    let path = client.create(&body).await.is(201).reference();
    for url in [format!("{path}?_elements=gender"), "Patient?identifier=e&_elements=gender".to_owned()] {
        let answer = client.read(&url).await.ok().body;
        let part = if answer["resourceType"] == "Bundle" { answer["entry"][0]["resource"].clone() } else { answer };
        assert!(part["gender"] == "female" && part.get("birthDate").is_none(), "{part:#}");
        assert_eq!(part["meta"]["tag"][0]["code"], "SUBSETTED");
    }
    assert!(client.read(&path).await.body["meta"].get("tag").is_none());
}

/// Own docs/settings.md: A page link is good for `page-seconds`; after that it is 410 with what to do.
/// security A37: An old page link is 410.
async fn a_page_link_is_good_for_its_time(server: TestServer) {
    let client = server.everyone();
    for n in 0..3 {
        client.create(&patient(&n.to_string())).await.is(201);
    }
    let first = |url: &'static str| {
        let client = client.clone();
        async move { link(&client.read(url).await.ok().body, "next").expect("a next page") }
    };
    let links = [
        first("Patient?_count=1").await,
        first("_history?_count=1").await,
        first("Patient/$everything?_count=1").await,
    ];
    server.advance(std::time::Duration::from_secs(3_590));
    for next in &links {
        client.read(next).await.ok();
    }
    server.advance(std::time::Duration::from_secs(20));
    for next in &links {
        let answer = client.read(next).await;
        answer.refuses(410, "not-found", "");
        assert!(answer.body.to_string().contains("too old; start the search again"), "{answer:?}");
    }
}
