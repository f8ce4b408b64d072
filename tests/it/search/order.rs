//! In what order, and by what: rows that sort alike, parameters of every kind, several types.
//! Source: <https://hl7.org/fhir/R4/search.html#sort>; that ids break a tie is an own rule, which `search::agree` holds as well.

use super::rules::{fill, table};
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

both_databases!(
    what_sorts_alike_is_in_the_order_of_ids_whatever_is_written,
    each_kind_of_parameter_sorts_one_type_and_several,
    a_resource_without_words_is_found_as_such,
);

/// `Type/id`s of all pages, in their order.
async fn walked(client: &Client, query: &str) -> String {
    let (mut out, mut next) = (Vec::new(), Some(query.to_owned()));
    while let Some(url) = next {
        let page = client.read(&url).await.ok().body;
        for entry in page["entry"].as_array().into_iter().flatten() {
            out.push(crate::harness::client::reference(&entry["resource"]));
        }
        next = super::link(&page, "next");
    }
    out.join(" ")
}

fn task(id: &str, priority: &str, due: &str) -> Value {
    json!({"resourceType": "Task", "id": id, "status": "draft", "intent": "order", "priority": priority, "authoredOn": due,
        "code": {"coding": [{"system": "http://t", "code": "x"}]}})
}

/// R4 search.html#sort: What sorts alike keeps its order when one of it is updated: by id, over pages, over search rows and over
/// versions; without `_sort` the newest comes first.
async fn what_sorts_alike_is_in_the_order_of_ids_whatever_is_written(server: TestServer) {
    let client = server.everyone();
    let ids = ["sc", "sa", "sb", "sd", "se"];
    fill(&client, &ids.map(|id| task(id, if id == "se" { "urgent" } else { "routine" }, "2024-01-01"))).await;
    let alike = "Task/sa Task/sb Task/sc Task/sd Task/se";
    let sorts = [
        ("_sort=authored-on", alike),
        ("_sort=-authored-on", alike),
        ("_sort=priority", alike),
        ("_sort=-priority", "Task/se Task/sa Task/sb Task/sc Task/sd"),
        ("_sort=authored-on,-_id", "Task/se Task/sd Task/sc Task/sb Task/sa"),
        ("_sort=due", alike), // none has one
    ];
    for turn in 0..2 {
        for (sort, wanted) in sorts {
            for of in ["Task?_count=2&", "Task?code=http://t|x&_count=2&", "Task?_id=sa,sb,sc,sd,se&_count=50&"] {
                assert_eq!(walked(&client, &format!("{of}{sort}")).await, wanted, "{of}{sort}, turn {turn}");
            }
        }
        let mut first = server.read("Task/sa").await;
        first["description"] = "changed".into();
        client.update(&first).await.is(200);
    }
    let newest = walked(&client, "Task?_count=2").await;
    assert!(newest.starts_with("Task/sa Task/se"), "without an order the newest comes first: {newest}");
    // The same id in two types: by the type.
    fill(&client, &[json!({"resourceType": "Basic", "id": "sa", "code": {"text": "x"}})]).await;
    let both = walked(&client, "?_type=Task,Basic&_sort=_tag&_count=1").await;
    assert_eq!(both, "Basic/sa Task/sa Task/sb Task/sc Task/sd Task/se");
}

/// R4 search.html#sort: Tokens, references, uris, numbers, quantities, strings, dates and composites sort; several types by what
/// all of them have.
async fn each_kind_of_parameter_sorts_one_type_and_several(server: TestServer) {
    let client = server.everyone();
    let seen = |id: &str, code: &str, value: f64, date: &str, subject: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"code": code}]}, "effectiveDateTime": date,
            "valueQuantity": {"value": value}, "subject": {"reference": subject}, "meta": {"source": format!("http://p/{code}")},
            "component": [{"code": {"coding": [{"code": format!("{code}2")}]}, "valueQuantity": {"value": value}}]})
    };
    fill(
        &client,
        &[
            json!({"resourceType": "Patient", "id": "p", "name": [{"family": "Zed"}]}),
            json!({"resourceType": "Patient", "id": "q", "name": [{"family": "abel"}]}),
            seen("a", "m", 3.0, "2024-03", "Patient/p"),
            seen("b", "n", 1.0, "2024-01", "Patient/q"),
            seen("c", "k", 2.0, "2024-02", "Patient/p"),
            json!({"resourceType": "Procedure", "id": "d", "status": "completed", "performedDateTime": "2024-02-15", "subject": {"reference": "Patient/q"}}),
            json!({"resourceType": "RiskAssessment", "id": "r", "status": "final", "subject": {"reference": "Patient/p"}, "prediction": [{"probabilityDecimal": 0.5}]}),
            json!({"resourceType": "RiskAssessment", "id": "s", "status": "final", "subject": {"reference": "Patient/p"}, "prediction": [{"probabilityDecimal": 0.25}]}),
        ],
    )
    .await;
    for (query, wanted) in [
        ("Observation?_sort=code", "Observation/c Observation/a Observation/b"),
        ("Observation?_sort=subject", "Observation/a Observation/c Observation/b"),
        ("Observation?_sort=-subject", "Observation/b Observation/a Observation/c"),
        ("Observation?_sort=_source", "Observation/c Observation/a Observation/b"),
        ("Observation?_sort=value-quantity", "Observation/b Observation/c Observation/a"),
        ("Observation?_sort=date", "Observation/b Observation/c Observation/a"),
        ("Observation?_sort=code-value-quantity", "Observation/c Observation/a Observation/b"),
        ("Observation?_sort=-code-value-quantity", "Observation/b Observation/a Observation/c"),
        ("Observation?_sort=component-code-value-quantity", "Observation/c Observation/a Observation/b"),
        ("RiskAssessment?_sort=probability", "RiskAssessment/s RiskAssessment/r"),
        ("Patient?_sort=family&_id=p,q", "Patient/q Patient/p"),
        ("?_type=Observation,Procedure&_sort=date", "Observation/b Observation/c Procedure/d Observation/a"),
        ("?_type=Observation,Procedure&_sort=-date&_count=2", "Observation/a Observation/c Procedure/d Observation/b"),
        ("?_type=Observation,Procedure&_sort=subject", "Observation/a Observation/c Observation/b Procedure/d"),
        ("?_type=Observation,Procedure&_sort=-status,_id", "Observation/a Observation/b Observation/c Procedure/d"),
    ] {
        assert_eq!(walked(&client, query).await, wanted, "{query} (#sort)");
    }
    client.read("?_type=Observation,Patient&_sort=date").await.refuses(400, "invalid", "");
}

/// R4 search.html#modifiers: `_text:missing` and `_content:missing` tell who has a narrative, and who has words at all.
async fn a_resource_without_words_is_found_as_such(server: TestServer) {
    let client = server.everyone();
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">told</div>";
    fill(
        &client,
        &[
            json!({"resourceType": "Basic", "id": "told", "code": {"coding": [{"code": "x"}]}, "text": {"status": "generated", "div": div}}),
            json!({"resourceType": "Basic", "id": "named", "code": {"text": "words"}}),
            json!({"resourceType": "Basic", "id": "mute", "code": {"coding": [{"code": "x"}]}}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Basic?_text=told", "told", "text"),
            ("Basic?_text:missing=false", "told", "modifiers"),
            ("Basic?_text:missing=true", "mute named", "modifiers"),
            ("Basic?_content:missing=false", "named told", "modifiers"),
            ("Basic?_content:missing=true", "mute", "modifiers"),
            ("Basic?_content:missing=true&code=x", "mute", "modifiers"),
        ],
    )
    .await;
    client.read("Basic?_text:missing=perhaps").await.refuses(400, "invalid", "");
}
