//! Rules of search that need more than one resource to be told, as tables over a real server: (query, ids that must match,
//! section of <https://hl7.org/fhir/R4/search.html>). The first row of each is a positive control.

use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

both_databases!(
    tokens_are_looked_up_in_value_sets_and_code_systems,
    a_list_restricts_to_its_members,
    texts_are_found_by_their_words,
    no_words_break_the_full_text,
    a_page_of_looked_up_terms_is_of_its_snapshot,
    one_gram_is_a_thousand_milligrams,
    a_search_over_several_types_looks_into_each,
    a_compartment_is_what_its_published_definition_says,
    everything_that_refers_to_a_match_can_come_along,
    a_summary_has_five_forms,
    of_several_values_the_one_that_comes_first_sorts,
);

pub(super) async fn fill(client: &Client, resources: &[Value]) {
    let entries: Vec<Value> = resources
        .iter()
        .map(|r| {
            let url = format!("{}/{}", r["resourceType"].as_str().unwrap(), r["id"].as_str().unwrap());
            json!({"resource": r, "request": {"method": "PUT", "url": url}})
        })
        .collect();
    client.post(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).await.ok();
}

/// Ids that a query finds, sorted.
async fn found(client: &Client, query: &str) -> String {
    let mut ids: Vec<String> =
        client.search(query).await.iter().map(|r| r["id"].as_str().unwrap().to_string()).collect();
    ids.sort();
    ids.join(" ")
}

pub(super) async fn table(client: &Client, rows: &[(&str, &str, &str)]) {
    for (query, ids, section) in rows {
        assert_eq!(found(client, query).await, *ids, "{query} (#{section})");
    }
}

pub(super) fn condition(id: &str, codes: &[(&str, &str)]) -> Value {
    let coding: Vec<Value> = codes.iter().map(|(s, c)| json!({"system": s, "code": c})).collect();
    let mut r = json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/p"}});
    if !coding.is_empty() {
        r["code"] = json!({"coding": coding});
    }
    r
}

fn terms() -> Vec<Value> {
    vec![
        json!({"resourceType": "CodeSystem", "id": "tree", "url": "http://s/tree", "status": "active", "content": "complete", "concept": [
            {"code": "heart", "concept": [{"code": "failure"}, {"code": "attack", "concept": [{"code": "stemi"}]}]}, {"code": "lung"}]}),
        json!({"resourceType": "ValueSet", "id": "attacks", "url": "http://v/attacks", "version": "1", "status": "active",
            "compose": {"include": [{"system": "http://s/tree", "filter": [{"property": "concept", "op": "is-a", "value": "attack"}]}]}}),
        json!({"resourceType": "ValueSet", "id": "attacks2", "url": "http://v/attacks", "version": "2", "status": "draft",
            "compose": {"include": [{"system": "http://s/tree", "concept": [{"code": "lung"}]}]}}),
        json!({"resourceType": "ValueSet", "id": "both", "url": "http://v/both", "status": "active",
            "compose": {"include": [{"valueSet": ["http://v/attacks"]}, {"system": "http://s/other"}]}}),
    ]
}

/// R4 search.html#token: `:in` and `:not-in` look value sets up, by url, version and reference.
/// R4 search.html#token: `:above` and `:below` follow the hierarchy of the code system.
/// R4 search.html#errors: A value set, code system or code that is not known is 400 with its name.
async fn tokens_are_looked_up_in_value_sets_and_code_systems(server: TestServer) {
    let client = server.everyone();
    let mut all = terms();
    all.extend([
        json!({"resourceType": "Patient", "id": "p", "gender": "female"}),
        json!({"resourceType": "Patient", "id": "q"}),
        json!({"resourceType": "Task", "id": "t", "status": "draft", "intent": "order",
            "code": {"coding": [{"system": "http://baton.example/fhir/CodeSystem/task-code", "code": "first-call"}]}}),
        json!({"resourceType": "Task", "id": "u", "status": "draft", "intent": "order", "code": {"text": "first-call"}}),
        condition("a", &[("http://s/tree", "stemi")]),
        condition("b", &[("http://s/tree", "heart")]),
        condition("c", &[("http://s/tree", "lung"), ("http://s/other", "x")]),
        condition("d", &[("http://s/wrong", "stemi")]),
        condition("e", &[]),
    ]);
    fill(&client, &all).await;
    table(
        &client,
        &[
            ("Condition?code:in=http://v/attacks", "a", "token"),
            ("Condition?code:in=http://v/attacks|2", "c", "token"),
            ("Condition?code:in=ValueSet/attacks2", "c", "token"),
            ("Condition?code:in=http://v/both", "a c", "token"),
            ("Condition?code:in=http://v/attacks,http://v/attacks|2", "a c", "combining"),
            ("Condition?code:not-in=http://v/both", "b d e", "token"),
            ("Condition?code:below=http://s/tree|heart", "a b", "token"),
            ("Condition?code:below=http://s/tree|attack", "a", "token"),
            ("Condition?code:above=http://s/tree|stemi", "a b", "token"),
            ("Condition?code:above=http://s/tree|lung", "c", "token"),
            ("Patient?_has:Condition:patient:code:below=http://s/tree|heart", "p", "has"),
            (
                "Condition?patient.gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&code=stemi",
                "a d",
                "chaining",
            ),
            ("Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "p", "token"),
            ("Task?code:in=http://baton.example/fhir/ValueSet/task-code", "t", "token"),
        ],
    )
    .await;
    for (query, words) in [
        ("Condition?code:in=http://v/none", "http://v/none is not known here"),
        ("Condition?code:in=http://v/attacks|3", "http://v/attacks|3 is not known here"),
        ("Condition?code:below=http://s/none|x", "http://s/none is not known here"),
        ("Condition?code:below=http://s/tree|none", "no code 'none'"),
    ] {
        let answer = client.read(query).await;
        let said = answer.body["issue"][0]["diagnostics"].as_str().unwrap_or_default().to_string();
        assert!(answer.status == 400 && said.contains(words) && said.contains("'code:"), "{query}: {answer:?}");
    }
    // A search as a GET entry of a Bundle is the same code.
    let entry = json!({"request": {"method": "GET", "url": "Condition?code:in=http://v/attacks"}});
    let answer = client.post(&json!({"resourceType": "Bundle", "type": "batch", "entry": [entry]})).await.ok().body;
    assert_eq!(answer["entry"][0]["resource"]["entry"][0]["resource"]["id"], "a", "{answer:#}");
}

/// R4 search.html#list: `_list` restricts to the members of a List, in chains and over several types.
async fn a_list_restricts_to_its_members(server: TestServer) {
    let client = server.everyone();
    let item = |reference: &str| json!({"item": {"reference": reference}});
    let mut gone = item("Patient/r");
    gone["deleted"] = true.into();
    fill(
        &client,
        &[
            json!({"resourceType": "Patient", "id": "p", "active": true}),
            json!({"resourceType": "Patient", "id": "q"}),
            json!({"resourceType": "Patient", "id": "r"}),
            condition("p", &[]),
            json!({"resourceType": "List", "id": "l", "status": "current", "mode": "changes",
                "entry": [item("Patient/p"), item("Patient/q"), gone, item(&format!("{}/Condition/p", server.base))]}),
            json!({"resourceType": "List", "id": "m", "status": "current", "mode": "working", "entry": [item("Patient/r")]}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Patient?_list=l", "p q", "list"),
            ("Patient?_list=List/l&active=true", "p", "list"),
            ("Patient?_list=l,m", "p q r", "combining"),
            ("Condition?_list=l", "p", "list"),
            ("Condition?_list=m", "", "list"),
            ("Condition?patient._list=l", "p", "chaining"),
            ("?_list=l&_type=Patient,Condition", "p p q", "list"),
        ],
    )
    .await;
    client.read("Patient?_list=none").await.refuses(400, "invalid", "");
    // A List that the caller may not see is one that is not there.
    server.pharmacy().read("Patient?_list=l").await.refuses(400, "invalid", "");
}

/// R4 search.html#text: `_text` looks into the narrative, with OR, AND, NOT and parentheses.
/// R4 search.html#content: `_content` looks into all text for people.
async fn texts_are_found_by_their_words(server: TestServer) {
    let client = server.hospital();
    let narrated = |mut r: Value, text: &str| {
        r["text"] = json!({"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{text}</p></div>")});
        r
    };
    let who = client.create(&json!({"resourceType": "Patient"})).await.is(201).reference();
    let basic =
        |note: &str| json!({"resourceType": "Condition", "code": {"text": note}, "subject": {"reference": who}});
    let mut ids = Vec::new();
    for r in [
        narrated(basic("liver"), "Bone metastases, d&#233;j&#224; vu"),
        narrated(basic("kidney"), "Liver metastases"),
        basic("Metastasis of the bone marrow"),
        json!({"resourceType": "Condition", "code": {"coding": [{"code": "bone"}]}, "subject": {"reference": who}}),
    ] {
        ids.push(client.create(&r).await.is(201).body["id"].as_str().unwrap().to_string());
    }
    for (query, wanted, section) in [
        ("_text=bone", "0", "text"),
        ("_content=bone", "02", "content"),
        ("_content=BONE marrow", "2", "content"),
        ("_text=(bone OR liver) and metastases", "01", "text"),
        ("_text=liver", "1", "text"),
        ("_content=liver", "01", "content"),
        ("_content=metasta*", "012", "content"),
        ("_text=Déjà", "0", "text"),
        ("_content=not bone", "13", "content"),
        ("_content=bone not marrow", "0", "content"),
        ("_content=marrow,kidney", "12", "combining"),
        ("_content=nothing", "", "content"),
    ] {
        let mut found: Vec<usize> = client
            .search(&format!("Condition?{}", query.replace(' ', "%20").replace('é', "%C3%A9").replace('à', "%C3%A0")))
            .await
            .iter()
            .filter_map(|r| ids.iter().position(|id| r["id"] == **id))
            .collect();
        found.sort_unstable();
        let found: String = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, wanted, "{query} (#{section})");
    }
    // Walled, and by version: the old words are gone with the old version.
    assert!(server.other_hospital().search("Condition?_content=bone").await.is_empty());
    let mut changed = client.read(&format!("Condition/{}", ids[2])).await.ok().body;
    changed["code"]["text"] = "spleen".into();
    client.update(&changed).await.is(200);
    assert!(client.search("Condition?_content=marrow").await.is_empty());
    assert_eq!(client.search("Condition?_content=spleen").await.len(), 1);
    // And pages walk the snapshot of the first.
    let first = client.read("Condition?_content=metastases&_count=1").await.ok().body;
    server.everyone().delete(&format!("Condition/{}", ids[0])).await.is(204);
    let next = super::link(&first, "next").expect("two match");
    let second = client.read(&next).await.ok().body;
    assert_eq!(second["entry"][0]["resource"]["id"], ids[0], "{second:#}");
}

/// R4 search.html#content: No text of a query breaks the full-text search.
/// security A54: No text breaks a full-text query.
async fn no_words_break_the_full_text(server: TestServer) {
    let client = server.everyone();
    for (words, status) in [
        ("bone", 200),
        ("\u{a7f8}x \u{1d00}", 200),
        ("Ⅷ ٣ ｆｕｌｌ", 200),
        ("漢字 仮名", 200),
        ("narrative content fulltext rowid", 200),
        ("near NEAR", 200),
        ("a* b* c*", 200),
        ("it's l’eau", 200),
        (&"x".repeat(900), 200),
        ("not not x", 200),
        ("😀", 400),
        ("*", 400),
        ("\"a b\"", 400),
        (":", 400),
        ("() x", 400),
    ] {
        let value = percent_encoding::utf8_percent_encode(words, percent_encoding::NON_ALPHANUMERIC);
        for name in ["_text", "_content"] {
            let answer = client.read(&format!("Condition?{name}={value}")).await;
            assert_eq!(answer.status, status, "{name}={words}: {answer:?}");
        }
    }
}

/// R4 http.html#paging: What a search looked up is of the snapshot of its first page.
async fn a_page_of_looked_up_terms_is_of_its_snapshot(server: TestServer) {
    let client = server.everyone();
    let members = |all: &[&str]| {
        let entries: Vec<Value> =
            all.iter().map(|id| json!({"item": {"reference": format!("Patient/{id}")}})).collect();
        json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": entries})
    };
    let patient = |id: &str| json!({"resourceType": "Patient", "id": id});
    fill(&client, &["a", "b", "c", "d"].map(patient)).await;
    fill(&client, &[members(&["a", "b", "c"])]).await;
    let mut seen = Vec::new();
    let mut url = "Patient?_list=l&_count=1".to_string();
    loop {
        let page = client.read(&url).await.ok().body;
        seen.push(page["entry"][0]["resource"]["id"].as_str().unwrap().to_string());
        fill(&client, &[members(&["d"])]).await;
        match super::link(&page, "next") {
            Some(next) => url = next,
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"], "as the List was at the first page");
    assert_eq!(found(&client, "Patient?_list=l").await, "d");
}

/// R4 search.html#quantity: Quantities of other UCUM units are compared in base units, in composites, too.
async fn one_gram_is_a_thousand_milligrams(server: TestServer) {
    let client = server.everyone();
    let value = |id: &str, value: &str, code: &str| {
        let n: Value = serde_json::from_str(value).unwrap();
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"coding": [{"code": "w"}]},
            "valueQuantity": {"value": n, "system": "http://unitsofmeasure.org", "code": code},
            "component": [{"code": {"coding": [{"code": "x"}]}, "valueQuantity": {"value": n, "system": "http://unitsofmeasure.org", "code": code}}]})
    };
    fill(
        &client,
        &[
            value("g", "1", "g"),
            value("mg", "1000", "mg"),
            value("kg", "2", "kg"),
            value("tbl", "1", "{tablet}"),
            value("cel", "37.0", "Cel"),
            json!({"resourceType": "Observation", "id": "words", "status": "final", "code": {"text": "w"},
                "component": [{"code": {"text": "x"}, "valueQuantity": {"value": 7}}]}),
        ],
    )
    .await;
    let u = "http://unitsofmeasure.org";
    table(
        &client,
        &[
            (&format!("Observation?value-quantity=1|{u}|g"), "g mg", "quantity"),
            (&format!("Observation?value-quantity=1000|{u}|mg"), "g mg", "quantity"),
            (&format!("Observation?value-quantity=gt1500|{u}|mg"), "kg", "prefix"),
            (&format!("Observation?value-quantity=le0.002|{u}|t"), "g kg mg", "prefix"),
            (&format!("Observation?value-quantity=1|{u}|{{tablet}}"), "tbl", "quantity"),
            (&format!("Observation?value-quantity=310.15|{u}|K"), "cel", "quantity"),
            (&format!("Observation?component-code-value-quantity=x$1|{u}|g"), "g mg", "composite"),
            (&format!("Observation?code-value-quantity=w$gt1|{u}|g"), "kg", "composite"),
            ("Observation?_id=words&component-code-value-quantity:missing=false", "words", "a code in words is one"),
            ("Observation?value-quantity=1||g", "g", "quantity"),
        ],
    )
    .await;
}

/// R4 search.html: A search over several types by `_type` takes the parameters that all of them have.
async fn a_search_over_several_types_looks_into_each(server: TestServer) {
    let client = server.everyone();
    fill(
        &client,
        &[
            json!({"resourceType": "Observation", "id": "x", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "2024-01-01", "subject": {"reference": "Patient/x"}}),
            json!({"resourceType": "Procedure", "id": "y", "status": "completed", "performedDateTime": "2024-02-01", "subject": {"reference": "Patient/x"}}),
            json!({"resourceType": "Patient", "id": "x", "name": [{"family": "A"}]}),
            json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/none"}}),
            json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Procedure/y"}}]}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("?_type=Observation,Procedure&date=2024", "x y", "date"),
            ("?_type=Observation,Procedure&date=gt2024-01-15", "y", "prefix"),
            ("?_type=Observation,Procedure&date:missing=true", "x", "modifiers"),
            ("?_type=Observation,Procedure&patient.family=a", "x y", "chaining"),
            ("?_type=Observation,Procedure&patient=x", "x y", "reference"),
            ("?_type=Observation,Procedure&_id=y", "y", "id"),
            ("?_type=Observation,Procedure&_id:not=y", "x x", "id"),
            // Found by the oracle: a chain over references to anything, through types that the next step does not fit,
            // and more conditions than SQLite joins.
            ("List?item.patient.family=a", "l", "chaining"),
            ("List?item.subject._has:Observation:patient:date=2024", "l", "chaining"),
            ("List?item.status:not=final", "l", "chaining"),
            ("List?item._tag:missing=true", "l", "modifiers"),
        ],
    )
    .await;
    client.read("List?item._source:below=http://a,http://b").await.refuses(400, "too-costly", "");
}

/// R4 compartmentdefinition.html: `Type/id/Other` and `Type/id/*` search a compartment as its definition says.
async fn a_compartment_is_what_its_published_definition_says(server: TestServer) {
    let client = server.everyone();
    fill(
        &client,
        &[
            json!({"resourceType": "Patient", "id": "p"}),
            json!({"resourceType": "Patient", "id": "other"}),
            json!({"resourceType": "Task", "id": "p", "status": "draft", "intent": "order", "for": {"reference": "Patient/other"}}),
            json!({"resourceType": "Task", "id": "t", "status": "draft", "intent": "order", "for": {"reference": "Patient/p"}}),
            json!({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "performer": [{"reference": "Patient/p"}]}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Patient/p/Task", "t", "compartment"),
            ("Patient/p/Observation", "o", "compartment"),
            ("Patient/p/Observation?status=amended", "", "compartment"),
            ("Patient/p/*", "o p t", "compartment"),
        ],
    )
    .await;
    let metadata = client.read("metadata").await.ok().body;
    let named = metadata["rest"][0]["compartment"].as_array().unwrap().clone();
    assert_eq!(named.len(), 5);
    for url in named {
        let path = url.as_str().unwrap().rsplit('/').next().unwrap().to_string();
        let definition = server.technician().read(&format!("CompartmentDefinition/{path}")).await.ok().body;
        assert_eq!(definition["url"], url);
        assert_eq!(definition["resource"].as_array().map(Vec::len), Some(146), "every type is named");
        if path == "patient" {
            let tasks = definition["resource"].as_array().unwrap().iter().find(|r| r["code"] == "Task").unwrap();
            assert_eq!(tasks["param"], json!(["patient"]));
        }
    }
}

/// R4 search.html#revinclude: `_include` and `_revinclude` by parameter, target type, `Type:*` and `*`.
/// R4 search.html#include: `:iterate` goes on from what was included.
async fn everything_that_refers_to_a_match_can_come_along(server: TestServer) {
    let client = server.everyone();
    fill(
        &client,
        &[
            json!({"resourceType": "Organization", "id": "o", "name": "O"}),
            json!({"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": "Organization/o"}}),
            json!({"resourceType": "Observation", "id": "b", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/p"},
                "performer": [{"reference": "Patient/p"}, {"reference": "Organization/o"}]}),
            json!({"resourceType": "Observation", "id": "c", "status": "final", "code": {"text": "x"}, "hasMember": [{"reference": "Observation/b"}]}),
            json!({"resourceType": "Task", "id": "t", "status": "draft", "intent": "order", "for": {"reference": "Patient/p"}, "focus": {"reference": "Observation/b"}}),
        ],
    )
    .await;
    for (query, wanted) in [
        ("Patient?_id=p&_revinclude=*", "Observation/b Task/t"),
        ("Patient?_id=p&_revinclude=Task:*", "Task/t"),
        (
            "Patient?_id=p&_revinclude=*&_revinclude:iterate=Observation:has-member",
            "Observation/b Observation/c Task/t",
        ),
        ("Observation?_id=b&_include=*", "Organization/o Patient/p"),
        ("Observation?_id=b&_include=Observation:performer", "Organization/o Patient/p"),
        ("Observation?_id=b&_include=Observation:performer:Organization", "Organization/o"),
        ("Observation?_id=b&_include=Observation:*", "Organization/o Patient/p"),
        ("Observation?_id=c&_include:iterate=*", "Observation/b Organization/o Patient/p"),
        (
            "Observation?_id=c&_include:iterate=Observation:has-member&_include:iterate=Observation:subject&_include:iterate=Patient:organization",
            "Observation/b Organization/o Patient/p",
        ),
        ("Observation?_id=b,c&_include=Observation:has-member", ""),
    ] {
        let page = client.read(query).await.ok().body;
        let mut included: Vec<String> = page["entry"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["search"]["mode"] == "include")
            .map(|e| {
                format!("{}/{}", e["resource"]["resourceType"].as_str().unwrap(), e["resource"]["id"].as_str().unwrap())
            })
            .collect();
        included.sort();
        assert_eq!(included.join(" "), wanted, "{query} (#include)");
    }
}

/// R4 search.html#summary: `_summary` true, false, text, data and count; what is a part is marked SUBSETTED.
async fn a_summary_has_five_forms(server: TestServer) {
    let client = server.everyone();
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>";
    fill(
        &client,
        &[json!({"resourceType": "Condition", "id": "c", "text": {"status": "generated", "div": div}, "subject": {"reference": "Patient/p"},
            "code": {"text": "x"}, "note": [{"text": "n"}], "bodySite": [{"text": "b"}]})],
    )
    .await;
    for (form, wanted) in [
        ("false", "bodySite code id meta note resourceType subject text"),
        ("true", "bodySite code id meta resourceType subject"),
        ("text", "id meta resourceType subject text"),
        ("data", "bodySite code id meta note resourceType subject"),
    ] {
        let found = client.search(&format!("Condition?_summary={form}")).await;
        let mut names: Vec<&str> = found[0].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), wanted, "_summary={form}");
        let is_marked = found[0]["meta"]["tag"][0]["code"] == "SUBSETTED";
        assert_eq!(is_marked, form != "false", "_summary={form}");
    }
    let count = client.read("Condition?_summary=count").await.ok().body;
    assert!(count["total"] == 1 && count.get("entry").is_none(), "{count:#}");
}

/// Found by the oracle: downwards, too, the lowest of several values counted.
///
/// R4 search.html#sort: Of several values the one that comes first in that order sorts; without a value last.
async fn of_several_values_the_one_that_comes_first_sorts(server: TestServer) {
    let client = server.everyone();
    let patient = |id: &str, values: &[&str], families: &[&str]| {
        let identifier: Vec<Value> = values.iter().map(|v| json!({"value": v})).collect();
        let name: Vec<Value> = families.iter().map(|f| json!({"family": f})).collect();
        let mut r = json!({"resourceType": "Patient", "id": id});
        if !identifier.is_empty() {
            r["identifier"] = identifier.into();
            r["name"] = name.into();
        }
        r
    };
    fill(
        &client,
        &[
            patient("wide", &["a", "z"], &["A", "Z"]),
            patient("mid", &["m"], &["M"]),
            patient("low", &["b", "c"], &["B", "C"]),
            patient("none", &[], &[]),
        ],
    )
    .await;
    for (sort, wanted) in [
        ("identifier", "wide low mid none"),
        ("-identifier", "wide mid low none"),
        ("family", "wide low mid none"),
        ("-family", "wide mid low none"),
        ("-name", "wide mid low none"),
        ("_id", "low mid none wide"),
        ("-_lastUpdated", "none low mid wide"),
        ("_lastUpdated", "wide mid low none"),
    ] {
        let rows = client.search(&format!("Patient?_sort={sort}&_id=wide,mid,low,none")).await;
        let ids: Vec<&str> = rows.iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert_eq!(ids.join(" "), wanted, "_sort={sort} (#sort)");
    }
}
