//! Posted SearchParameters: never partial rows, whatever is written or changed while they are being made.

use super::*;

both_nodes!(while_rows_are_made_a_search_is_refused_and_afterwards_it_knows_what_came_meanwhile);
async fn while_rows_are_made_a_search_is_refused_and_afterwards_it_knows_what_came_meanwhile(settings: Settings) {
    let settings =
        Settings { limits: baton::config::Limits { reindex_batch: 5, ..settings.limits.clone() }, ..settings };
    let node = Node::start(&settings).await;
    patients(&node, 0, 40).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin1", None).await.0, 400);
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
    let mut seen = Vec::new();
    let mut steps = 0;
    while node.worker.step(Instant::now()).await.unwrap() != Did::Nothing {
        steps += 1;
        // Others write on: new ones, changed ones, deleted ones.
        if steps < 10 {
            node.put(&contact(100 + steps, "late")).await;
            node.put(&contact(steps, "changed")).await;
            node.ask(Verb::Delete, &format!("Patient/p{}", 20 + steps), None).await;
        }
        let (status, body) = node.ask(Verb::Get, "Patient?kin=kin", None).await;
        let (_, told) = node.ask(Verb::Get, "$reindex-status", None).await;
        if told["parameter"][0]["valueBoolean"] == json!(true) {
            assert_eq!(status, 200, "{body}");
            continue;
        }
        assert_eq!((status, body["code"].as_str()), (503, Some("transient")), "{body}");
        let percent = told["parameter"][1]["part"][1]["valueInteger"].as_u64().unwrap();
        assert!(body["text"].as_str().unwrap().contains(&format!("({percent} % done)")), "{body} {told}");
        let (status, _) = node.ask(Verb::Post, "Patient", Some(&contact(0, "x"))).await;
        assert_eq!(status, 201, "writes go on");
        seen.push(percent);
        let (_, statement) = node.ask(Verb::Get, "metadata", None).await;
        assert!(!statement.to_string().contains("\"kin\""), "not active yet");
    }
    assert!(seen.is_sorted() && seen.iter().any(|p| (1..99).contains(p)), "{seen:?}");
    let mut expected: Vec<String> = node.ids("Patient?_count=500").await;
    expected.sort();
    assert_eq!(node.ids("Patient?kin=kin&_count=500").await, expected);
    assert_eq!(node.ids("Patient?kin:missing=false&_count=500").await, expected);
    let (_, statement) = node.ask(Verb::Get, "metadata", None).await;
    assert!(statement.to_string().contains("http://worker.example/sp/kin"));
    // Retired: gone at once; active again: the rows are made sure of again.
    let mut retired = parameter("kin", "Patient", "string", "Patient.contact.name");
    retired["status"] = "retired".into();
    node.put(&retired).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin1", None).await.0, 400);
    node.put(&contact(500, "between")).await;
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin500", None).await.0, 503);
    node.settle().await;
    assert_eq!(node.ids("Patient?kin=kin500").await, ["p500"]);
    // Another expression under the same code does not find the rows of the old one.
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name.given")).await;
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin500", None).await.0, 503);
    node.settle().await;
    assert!(node.ids("Patient?kin=kin500").await.is_empty());
    assert_eq!(node.ids("Patient?kin=between").await, ["p500"]);
    assert_eq!(node.ask(Verb::Delete, "SearchParameter/kin", None).await.0, 204);
    assert_eq!(node.ask(Verb::Get, "Patient?kin=between", None).await.0, 400);
    node.stop().await;
}

both_nodes!(what_cannot_be_searched_by_is_refused_with_the_reason_and_nothing_is_stored);
async fn what_cannot_be_searched_by_is_refused_with_the_reason_and_nothing_is_stored(settings: Settings) {
    let node = Node::start(&settings).await;
    let with = |key: &str, value: Value| {
        let mut out = parameter("x", "Patient", "string", "Patient.contact.name");
        out[key] = value;
        out
    };
    for (resource, status, says) in [
        (with("expression", "Patient.contact.nom".into()), 422, "no element Patient.contact.nom"),
        (with("expression", "Patient.contact.name.first(".into()), 422, "SearchParameter.expression"),
        (with("expression", "Patient.contact.name.trace('x')".into()), 422, "no function 'trace'"),
        (with("expression", "Observation.code".into()), 422, "begins with Patient"),
        (with("code", "family".into()), 422, "has a search parameter 'family' already"),
        (with("code", "_id".into()), 422, "already"),
        (with("code", "a b".into()), 422, "a code is"),
        (with("type", "special".into()), 422, "rules of its own"),
        (with("type", "text".into()), 400, "SearchParameter.type"),
        (with("base", json!(["Nurse"])), 400, "SearchParameter.base"),
        (with("type", "composite".into()), 422, "two components"),
    ] {
        let (got, body) = node.ask(Verb::Put, "SearchParameter/x", Some(&resource)).await;
        assert!(got == status && body["text"].as_str().unwrap().contains(says), "{says}: {got} {body}");
        assert_eq!(node.ask(Verb::Get, "SearchParameter/x", None).await.0, 404);
    }
    // Two of one transaction that clash.
    let entry = |id: &str| {
        let mut resource = parameter(id, "Patient", "string", "Patient.contact.name");
        resource["code"] = "same".into();
        json!({"resource": resource, "request": {"method": "PUT", "url": format!("SearchParameter/{id}")}})
    };
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry("a"), entry("b")]});
    let (status, body) = node.ask(Verb::Post, "", Some(&bundle)).await;
    assert!(status == 422 && body["text"].as_str().unwrap().contains("'same' already"), "{body}");
    assert_eq!(node.ask(Verb::Get, "SearchParameter/a", None).await.0, 404);
    // A draft may be as it likes; it is not in force.
    let mut draft = with("expression", "Patient.contact.nom".into());
    draft["status"] = "draft".into();
    node.put(&draft).await;
    assert_eq!(node.ask(Verb::Get, "Patient?x=1", None).await.0, 400);
    assert_eq!(node.settle().await, 0);
    node.stop().await;
}

both_nodes!(a_crash_costs_one_step_and_the_next_node_goes_on_from_the_mark);
async fn a_crash_costs_one_step_and_the_next_node_goes_on_from_the_mark(settings: Settings) {
    let settings =
        Settings { limits: baton::config::Limits { reindex_batch: 4, ..settings.limits.clone() }, ..settings };
    let node = Node::start(&settings).await;
    patients(&node, 0, 30).await;
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
    let now = Instant::now();
    for _ in 0..6 {
        assert_ne!(node.worker.step(now).await.unwrap(), Did::Nothing);
    }
    let walk = |rows: baton::store::parameter::Parameters| rows.list.iter().find_map(|p| p.walk.clone());
    let before = walk(node.store.parameters().await.unwrap()).expect("not through yet");
    assert!(before.done > 0 && before.done < 30, "{before:?}");
    node.stop().await; // its lease stands: a crash gives nothing back
    let node = Node::start(&settings).await;
    assert_eq!(walk(node.store.parameters().await.unwrap()), Some(before.clone()), "a start does not begin again");
    assert_eq!(node.ask(Verb::Get, "Patient?kin=kin", None).await.0, 503);
    assert_eq!(node.worker.step(now).await.unwrap(), Did::Nothing, "the lease of the dead holds");
    let later = now.plus_seconds(31);
    let mut steps = 0;
    while node.worker.step(later).await.unwrap() == Did::Something {
        steps += 1;
    }
    let left = usize::try_from(30 - before.done).unwrap();
    assert!(steps <= left / 4 + 1, "{steps} steps for {left} versions");
    assert_eq!(node.ids("Patient?kin=kin&_count=100").await.len(), 30);
    node.stop().await;
}

#[test]
fn a_node_that_has_not_heard_of_a_parameter_writes_its_rows_all_the_same() {
    with_settings(Database::Postgres, |settings| async move {
        let (one, other) = (Node::start(&settings).await, Node::start(&settings).await);
        patients(&one, 0, 5).await;
        one.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
        // `other` has not looked since; its write learns of the parameter in its own transaction.
        other.put(&contact(7, "x")).await;
        one.settle().await;
        other.put(&contact(8, "x")).await;
        assert_eq!(one.ids("Patient?kin=kin").await, ["p0", "p1", "p2", "p3", "p4", "p7", "p8"]);
        assert_eq!(other.ids("Patient?kin=kin").await.len(), 7);
        // A change that nobody wrote after: the other's worker hears of it when it looks.
        assert_eq!(one.ask(Verb::Delete, "SearchParameter/kin", None).await.0, 204);
        other.worker.step(Instant::now()).await.unwrap();
        assert_eq!(other.ask(Verb::Get, "Patient?kin=kin", None).await.0, 400);
        one.stop().await;
        other.stop().await;
    });
}

both_nodes!(writers_in_a_crowd_never_lose_a_row_to_a_parameter_that_comes_among_them);
async fn writers_in_a_crowd_never_lose_a_row_to_a_parameter_that_comes_among_them(settings: Settings) {
    let node = std::sync::Arc::new(Node::start(&settings).await);
    let writers: Vec<_> = (0..4)
        .map(|w| {
            let node = node.clone();
            tokio::spawn(async move {
                for n in 0..40 {
                    node.put(&contact(w * 100 + n, "x")).await;
                }
            })
        })
        .collect();
    for n in 0..3 {
        node.put(&contact(900 + n, "x")).await;
    }
    node.put(&parameter("kin", "Patient", "string", "Patient.contact.name")).await;
    node.settle().await;
    node.put(&parameter("kin-sex", "Patient", "token", "Patient.contact.gender")).await;
    for writer in writers {
        writer.await.expect("the writers write");
    }
    node.settle().await;
    for query in
        ["Patient?kin=kin&_count=1000", "Patient?kin-sex=female&_count=1000", "Patient?kin:missing=false&_count=1000"]
    {
        assert_eq!(node.ids(query).await.len(), 163, "{query}");
    }
    node.store.close().await;
}
