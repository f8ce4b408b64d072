//! The terminology operations as tables: on what is stored, on the programme's own, and on R4's required bindings.
//! Source: <https://hl7.org/fhir/R4/terminology-service.html>.

use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

both_databases!(
    a_value_set_is_expanded_in_order_and_in_pages,
    a_code_is_in_a_value_set_or_it_is_said_why_not,
    a_code_system_says_what_it_knows_of_a_code,
    two_codes_relate_in_one_of_four_ways,
    a_code_is_translated_there_and_back,
    terminology_is_asked_in_every_form,
);

const TREE: &str = "http://terms.example/tree";

/// A code system with two hierarchies, value sets over it, and maps.
async fn shelf(server: &TestServer) -> Client {
    let client = server.everyone();
    let tree = json!({"resourceType": "CodeSystem", "id": "tree", "url": TREE, "version": "7", "name": "Tree", "status": "active",
        "content": "complete", "caseSensitive": true, "hierarchyMeaning": "is-a",
        "property": [{"code": "legs", "type": "integer", "description": "How many."}],
        "concept": [
            {"code": "animal", "display": "Animal", "property": [{"code": "notSelectable", "valueBoolean": true}], "concept": [
                {"code": "dog", "display": "Dog", "definition": "It barks.", "property": [{"code": "legs", "valueInteger": 4}],
                    "designation": [{"language": "de-CH", "value": "Hund"}, {"language": "fr", "value": "Chien"}],
                    "concept": [{"code": "poodle", "display": "Poodle dog"}]},
                {"code": "bird", "display": "Bird", "property": [{"code": "legs", "valueInteger": 2}]}]},
            {"code": "pet", "display": "Pet", "property": [{"code": "child", "valueCode": "dog"}]},
            {"code": "dodo", "display": "Dodo", "property": [{"code": "parent", "valueCode": "bird"}, {"code": "status", "valueCode": "retired"}]},
            {"code": "robin", "display": "Robin", "property": [{"code": "subsumedBy", "valueCode": "bird"}]}]});
    let set = |id: &str, compose: Value| {
        json!({"resourceType": "ValueSet", "id": id, "url": format!("http://terms.example/{id}"), "version": "1",
        "status": "active", "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}, "compose": compose})
    };
    let all = json!({"include": [{"system": TREE}]});
    let listed = json!({"include": [{"system": TREE, "concept": [{"code": "robin", "display": "Redbreast"}, {"code": "dog"}]},
        {"system": "http://elsewhere.example", "concept": [{"code": "x", "display": "Ex"}]}]});
    let under = json!({"include": [{"system": TREE, "filter": [{"property": "concept", "op": "is-a", "value": "bird"}]}],
        "exclude": [{"system": TREE, "concept": [{"code": "robin"}]}]});
    let imports = json!({"include": [{"valueSet": ["http://terms.example/listed"]}, {"valueSet": ["http://terms.example/under"]}]});
    let foreign = json!({"include": [{"system": "http://nowhere.example"}]});
    let broken = json!({"include": [{"valueSet": ["http://nowhere.example/set"]}]});
    let map = json!({"resourceType": "ConceptMap", "id": "map", "url": "http://terms.example/map", "status": "active",
        "sourceUri": "http://terms.example/all", "targetUri": "http://other.example/set",
        "group": [{"source": TREE, "target": "http://other.example", "element": [
            {"code": "dog", "target": [{"code": "D", "display": "Canine", "equivalence": "equal"}]},
            {"code": "poodle", "target": [{"code": "D", "equivalence": "wider"}]},
            {"code": "bird", "target": [{"equivalence": "unmatched"}]},
            {"code": "robin", "target": [{"code": "R", "equivalence": "narrower", "comment": "Robins of the old world.", "dependsOn": [{"property": "http://terms.example/season", "value": "winter"}],
                "product": [{"property": "http://terms.example/colour", "system": "http://c.example", "value": "red"}]}]}],
            "unmapped": {"mode": "other-map", "url": "http://terms.example/rest"}}]});
    let rest = |mode: Value| {
        json!({"resourceType": "ConceptMap", "id": "rest", "url": "http://terms.example/rest", "status": "active",
        "group": [{"source": TREE, "target": "http://other.example", "element": [{"code": "none", "target": [{"code": "N", "equivalence": "equal"}]}], "unmapped": mode}]})
    };
    for resource in [
        tree,
        set("all", all),
        set("listed", listed),
        set("under", under),
        set("imports", imports),
        set("foreign", foreign),
        set("broken", broken),
        map,
        rest(json!({"mode": "fixed", "code": "OTHER", "display": "Something else"})),
    ] {
        client.update(&resource).await.is(201);
    }
    client
}

/// `code code …` of an expansion.
fn codes(answer: Answer) -> String {
    let answer = answer.ok().body;
    let contains = answer["expansion"]["contains"].as_array().cloned().unwrap_or_default();
    contains.iter().map(|c| c["code"].as_str().expect("a code")).collect::<Vec<_>>().join(" ")
}

/// A parameter of the answer; of `match` and the like the first one's parts by name.
fn given<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let list = answer["parameter"].as_array().expect("parameters");
    let found = list.iter().find(|p| p["name"] == name).unwrap_or(&Value::Null);
    found
        .as_object()
        .and_then(|o| o.iter().find(|(k, _)| k.starts_with("value") || *k == "part"))
        .map_or(&Value::Null, |(_, v)| v)
}

/// R4 valueset-operation-expand.html: `$expand` by url, version and id: lists, filters, imports and exclusions, in
/// order.
/// R4 valueset-operation-expand.html: `filter`, `count`, `offset`, `activeOnly`, `includeDesignations`,
/// `displayLanguage` do what they say.
/// R4 valueset-operation-expand.html: What is not known is 404, what cannot be worked out 422, too many codes
/// `too-costly`.
async fn a_value_set_is_expanded_in_order_and_in_pages(server: TestServer) {
    let client = shelf(&server).await;
    for (query, expected) in [
        ("url=http://terms.example/all", "animal dog poodle bird pet dodo robin"),
        ("url=http://terms.example/all|1", "animal dog poodle bird pet dodo robin"),
        ("url=http://terms.example/all&valueSetVersion=1", "animal dog poodle bird pet dodo robin"),
        ("url=http://terms.example/all&activeOnly=true", "animal dog poodle bird pet robin"),
        ("url=http://terms.example/all&filter=DOG", "dog poodle"),
        ("url=http://terms.example/all&filter=hu", "dog"),
        ("url=http://terms.example/all&filter=poo do", "poodle"),
        ("url=http://terms.example/all&filter=og", ""),
        ("url=http://terms.example/all&count=2&offset=3", "bird pet"),
        ("url=http://terms.example/all&count=0", ""),
        ("url=http://terms.example/listed", "robin dog x"),
        ("url=http://terms.example/under", "bird dodo"),
        ("url=http://terms.example/imports", "robin dog x bird dodo"),
        ("url=http://hl7.org/fhir/ValueSet/administrative-gender", "female male other unknown"),
        ("url=http://baton.example/fhir/ValueSet/destination&count=1", "home"),
    ] {
        assert_eq!(codes(client.read(&format!("ValueSet/$expand?{query}")).await), expected, "{query}");
    }
    assert_eq!(codes(client.read("ValueSet/under/$expand").await), "bird dodo");
    let answer =
        client.read("ValueSet/listed/$expand?includeDesignations=true&displayLanguage=de&offset=0").await.ok().body;
    let expansion = &answer["expansion"];
    assert_eq!((&expansion["total"], &expansion["offset"]), (&json!(3), &json!(0)));
    assert!(answer["compose"].is_null() && answer["text"].is_null() && answer["url"] == "http://terms.example/listed");
    assert_eq!(expansion["contains"][0]["display"], "Redbreast", "the value set's word goes over the code system's");
    assert_eq!(expansion["contains"][1]["display"], "Hund");
    assert_eq!(expansion["contains"][1]["version"], "7");
    assert_eq!(expansion["contains"][1]["designation"][1]["value"], "Chien");
    assert_eq!(expansion["contains"][2]["display"], "Ex", "of a system that is not here");
    let heading = client.read("ValueSet/all/$expand?includeDefinition=true").await.ok().body;
    assert!(heading["compose"].is_object() && heading["expansion"]["contains"][0]["abstract"] == true);
    assert_eq!(heading["expansion"]["contains"][5]["inactive"], true);

    let ask = |query: &'static str| {
        let client = client.clone();
        async move { client.read(&format!("ValueSet/$expand?{query}")).await }
    };
    ask("url=http://nowhere.example/set").await.refuses(404, "not-found", "");
    ask("url=http://terms.example/all|2").await.refuses(404, "not-found", "");
    ask("url=http://terms.example/broken").await.refuses(422, "not-supported", "");
    ask("url=http://terms.example/foreign").await.refuses(422, "not-supported", "");
    ask("").await.refuses(400, "required", "");
    ask("url=http://terms.example/all&count=-1").await.refuses(400, "value", "");
    ask("url=http://terms.example/all&count=x").await.refuses(400, "value", "");
    ask("url=http://terms.example/all&contextDirection=incoming").await.refuses(400, "not-supported", "");
    ask("url=http://terms.example/all&url=http://terms.example/under").await.refuses(400, "invalid", "");
    client.read("ValueSet/nobody/$expand").await.refuses(404, "not-found", "");
    let many: Vec<Value> = (0..1500).map(|n| json!({"code": format!("c{n}")})).collect();
    let big = json!({"resourceType": "CodeSystem", "url": "http://terms.example/big", "status": "active", "content": "complete", "concept": many});
    client.create(&big).await.is(201);
    let whole = json!({"resourceType": "ValueSet", "id": "big", "status": "active", "compose": {"include": [{"system": "http://terms.example/big"}]}});
    client.update(&whole).await.is(201);
    client.read("ValueSet/big/$expand").await.refuses(422, "too-costly", "");
    assert_eq!(codes(client.read("ValueSet/big/$expand?offset=1499&count=10").await), "c1499");
}

/// R4 valueset-operation-validate-code.html: `$validate-code` says whether a code is in a value set, or why not:
/// unknown, abstract, wrong display.
/// R4 codesystem-operation-validate-code.html: `$validate-code` of a code system tells case, display and abstract
/// codes.
async fn a_code_is_in_a_value_set_or_it_is_said_why_not(server: TestServer) {
    let client = shelf(&server).await;
    for (query, result, says) in [
        ("url=http://terms.example/under&code=bird&system=http://terms.example/tree", true, ""),
        ("url=http://terms.example/under&code=bird", true, ""),
        ("url=http://terms.example/under&code=robin&system=http://terms.example/tree", false, "not in the value set"),
        ("url=http://terms.example/under&code=bird&system=http://other.example", false, "not in the value set"),
        ("url=http://terms.example/all&code=nothing&system=http://terms.example/tree", false, "has no code 'nothing'"),
        ("url=http://terms.example/all&code=dog&system=http://terms.example/tree&display=dog", true, ""),
        ("url=http://terms.example/all&code=dog&system=http://terms.example/tree&display=Hund", true, ""),
        ("url=http://terms.example/all&code=dog&system=http://terms.example/tree&display=Cat", false, "it is 'Dog'"),
        ("url=http://terms.example/all&code=animal&system=http://terms.example/tree", false, "a heading"),
        ("url=http://terms.example/all&code=animal&system=http://terms.example/tree&abstract=true", true, ""),
        ("url=http://terms.example/listed&code=robin&system=http://terms.example/tree&display=Redbreast", true, ""),
        ("url=http://terms.example/listed&code=x&system=http://elsewhere.example&display=Ex", true, ""),
        ("url=http://terms.example/foreign&code=x&system=http://nowhere.example", false, "could not be checked"),
        (
            "url=http://hl7.org/fhir/ValueSet/task-status&code=requested&system=http://hl7.org/fhir/task-status",
            true,
            "",
        ),
        (
            "url=http://hl7.org/fhir/ValueSet/task-status&code=asked&system=http://hl7.org/fhir/task-status",
            false,
            "not in",
        ),
    ] {
        let answer = client.read(&format!("ValueSet/$validate-code?{query}")).await.ok().body;
        assert_eq!(given(&answer, "result"), &json!(result), "{query}: {answer}");
        assert!(given(&answer, "message").as_str().unwrap_or_default().contains(says), "{query}: {answer}");
    }
    for (query, result, says) in [
        ("url=http://terms.example/tree&code=dog", true, ""),
        ("url=http://terms.example/tree&code=Dog", false, "not in the code system"),
        ("url=http://terms.example/tree&code=dog&display=Cat", false, "it is 'Dog'"),
        ("url=http://terms.example/tree&code=animal", false, "a heading"),
        ("url=http://hl7.org/fhir/administrative-gender&code=male&display=Male", true, ""),
    ] {
        let answer = client.read(&format!("CodeSystem/$validate-code?{query}")).await.ok().body;
        assert_eq!(given(&answer, "result"), &json!(result), "{query}: {answer}");
        assert!(given(&answer, "message").as_str().unwrap_or_default().contains(says), "{query}: {answer}");
    }
    client.read("CodeSystem/$validate-code?url=http://nowhere.example&code=x").await.refuses(404, "not-found", "");
    client.read("ValueSet/$validate-code?url=http://nowhere.example&code=x").await.refuses(404, "not-found", "");
    client.read("ValueSet/$validate-code?url=http://terms.example/all").await.refuses(400, "required", "");
    client.read("ValueSet/$validate-code?url=http://terms.example/all&coding=x").await.refuses(400, "value", "");
}

/// R4 codesystem-operation-lookup.html: `$lookup` gives name, version, display, definition, designations, properties,
/// parents and children.
/// R4 codesystem-operation-lookup.html: `property` and `displayLanguage` narrow it; an unknown code is 404.
async fn a_code_system_says_what_it_knows_of_a_code(server: TestServer) {
    let client = shelf(&server).await;
    let answer = client.read(&format!("CodeSystem/$lookup?system={TREE}&code=dog")).await.ok().body;
    assert_eq!(
        (given(&answer, "name"), given(&answer, "version"), given(&answer, "display")),
        (&json!("Tree"), &json!("7"), &json!("Dog"))
    );
    let text = answer.to_string();
    for part in [
        r#"[{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"animal"}]"#,
        r#"[{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"pet"}]"#,
        r#"[{"name":"code","valueCode":"child"},{"name":"value","valueCode":"poodle"}]"#,
        r#"[{"name":"code","valueCode":"legs"},{"name":"value","valueInteger":4},{"name":"description","valueString":"How many."}]"#,
        r#"[{"name":"language","valueCode":"fr"},{"name":"value","valueString":"Chien"}]"#,
        r#"{"name":"value","valueString":"It barks."}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let some = client
        .read(&format!("CodeSystem/$lookup?system={TREE}&code=dog&property=legs&displayLanguage=de"))
        .await
        .ok()
        .body;
    assert_eq!(given(&some, "display"), "Hund");
    assert!(some.to_string().contains("legs") && !some.to_string().contains("parent"), "{some}");
    let act = client
        .read("CodeSystem/$lookup?system=http://terminology.hl7.org/CodeSystem/v3-ActCode&code=DUPTHPGEN")
        .await
        .ok()
        .body;
    assert_eq!(given(&act, "display"), "duplicate generic alert");
    client.read(&format!("CodeSystem/$lookup?system={TREE}&code=cat")).await.refuses(404, "not-found", "");
    client.read("CodeSystem/$lookup?system=http://nowhere.example&code=cat").await.refuses(404, "not-found", "");
    client.read("CodeSystem/$lookup?code=cat").await.refuses(400, "required", "");
    client.read(&format!("CodeSystem/$lookup?system={TREE}&version=6&code=dog")).await.refuses(404, "not-found", "");
}

/// R4 codesystem-operation-subsumes.html: `$subsumes` answers equivalent, subsumes, subsumed-by or not-subsumed, over
/// several hierarchies.
async fn two_codes_relate_in_one_of_four_ways(server: TestServer) {
    let client = shelf(&server).await;
    for (a, b, outcome) in [
        ("dog", "dog", "equivalent"),
        ("animal", "poodle", "subsumes"),
        ("poodle", "animal", "subsumed-by"),
        ("pet", "poodle", "subsumes"),
        ("poodle", "pet", "subsumed-by"),
        ("bird", "dog", "not-subsumed"),
        ("animal", "robin", "subsumes"),
        ("dodo", "bird", "subsumed-by"),
        ("pet", "animal", "not-subsumed"),
    ] {
        for path in [
            format!("CodeSystem/$subsumes?system={TREE}&codeA={a}&codeB={b}"),
            format!("CodeSystem/tree/$subsumes?codeA={a}&codeB={b}"),
        ] {
            let answer = client.read(&path).await.ok().body;
            assert_eq!(given(&answer, "outcome"), outcome, "{path}");
        }
    }
    client.read(&format!("CodeSystem/$subsumes?system={TREE}&codeA=dog&codeB=cat")).await.refuses(404, "not-found", "");
    client.read("CodeSystem/$subsumes?codeA=dog&codeB=bird").await.refuses(400, "required", "");
    client.read(&format!("CodeSystem/$subsumes?system={TREE}&codeA=dog")).await.refuses(400, "required", "");
}

/// R4 conceptmap-operation-translate.html: `$translate` by map, by value sets or by target system gives equivalence
/// and concept; `reverse` turns it round.
/// R4 conceptmap-operation-translate.html: `dependsOn`, `product` and the three modes of `unmapped` are followed; a
/// circle of maps ends.
async fn a_code_is_translated_there_and_back(server: TestServer) {
    let client = shelf(&server).await;
    // (query, result, equivalence, code)
    for (query, result, equivalence, code) in [
        ("url=http://terms.example/map&system=http://terms.example/tree&code=dog", true, "equal", "D"),
        ("url=http://terms.example/map&system=http://terms.example/tree&code=poodle", true, "wider", "D"),
        ("url=http://terms.example/map&system=http://terms.example/tree&code=bird", false, "unmatched", ""),
        ("url=http://terms.example/map&system=http://terms.example/tree&code=pet", true, "inexact", "OTHER"),
        ("url=http://terms.example/map&system=http://terms.example/tree&code=robin", false, "", ""),
        ("url=http://terms.example/map&system=http://wrong.example&code=dog", false, "", ""),
        (
            "url=http://terms.example/map&system=http://terms.example/tree&code=dog&targetsystem=http://wrong.example",
            false,
            "",
            "",
        ),
        ("url=http://terms.example/map&system=http://other.example&code=D&reverse=true", true, "equal", "dog"),
        (
            "target=http://other.example/set&source=http://terms.example/all&system=http://terms.example/tree&code=dog",
            true,
            "equal",
            "D",
        ),
        ("targetsystem=http://other.example&system=http://terms.example/tree&code=dog", true, "equal", "D"),
        ("target=http://nobody.example/set&system=http://terms.example/tree&code=dog", false, "", ""),
    ] {
        let answer = client.read(&format!("ConceptMap/$translate?{query}")).await.ok().body;
        assert_eq!(given(&answer, "result"), &json!(result), "{query}: {answer}");
        assert_eq!(given(&answer, "message").is_string(), !result, "{query}: {answer}");
        let parts = given(&answer, "match");
        assert_eq!(parts[0]["valueCode"].as_str().unwrap_or_default(), equivalence, "{query}: {answer}");
        assert_eq!(parts[1]["valueCoding"]["code"].as_str().unwrap_or_default(), code, "{query}: {answer}");
    }
    let back = client
        .read("ConceptMap/map/$translate?system=http://other.example&code=D&reverse=true")
        .await
        .ok()
        .body
        .to_string();
    assert!(
        back.contains(
            r#""narrower"},{"name":"concept","valueCoding":{"system":"http://terms.example/tree","code":"poodle"}}"#
        ),
        "turned round: {back}"
    );
    let winter = json!({"resourceType": "Parameters", "parameter": [
        {"name": "coding", "valueCoding": {"system": TREE, "code": "robin"}},
        {"name": "dependency", "part": [{"name": "element", "valueUri": "http://terms.example/season"},
            {"name": "concept", "valueCodeableConcept": {"text": "winter"}}]}]});
    let answer = client.operation("ConceptMap/map/$translate", &winter, None).await.ok().body.to_string();
    assert!(
        answer.contains(r#""code":"R""#)
            && answer.contains(r#""valueCoding":{"code":"red","system":"http://c.example"}"#),
        "{answer}"
    );
    // The other ways of what is not listed.
    for (mode, code) in
        [(json!({"mode": "provided"}), "pet"), (json!({"mode": "other-map", "url": "http://terms.example/map"}), "")]
    {
        let mut rest = server.read("ConceptMap/rest").await;
        rest["group"][0]["unmapped"] = mode;
        client.update(&rest).await.is(200);
        let answer = client.read(&format!("ConceptMap/rest/$translate?system={TREE}&code=pet")).await;
        match code {
            "" => answer.refuses(422, "too-costly", ""),
            code => assert!(answer.ok().body.to_string().contains(&format!(r#""code":"{code}""#))),
        }
    }
    client.read("ConceptMap/$translate?code=dog").await.refuses(400, "required", "");
    client.read("ConceptMap/$translate?url=http://nowhere.example&code=dog").await.refuses(404, "not-found", "");
}

/// R4 operations.html: Parameters come in the URL, as a Parameters resource, or as the one resource; each faulty one
/// is 400 at its place.
/// R4 operations.html: Operations that read are entries of batches and transactions.
/// R4 valueset-operation-expand.html: A value set may be sent along.
async fn terminology_is_asked_in_every_form(server: TestServer) {
    shelf(&server).await;
    // Any caller who may read terminology may ask.
    let client = server.pharmacy();
    let parameters = |list: Value| json!({"resourceType": "Parameters", "parameter": list});
    let coding = json!({"name": "coding", "valueCoding": {"system": TREE, "code": "dog"}});
    let concept = json!({"name": "codeableConcept", "valueCodeableConcept": {"coding": [{"system": TREE, "code": "robin"}, {"system": TREE, "code": "bird"}]}});
    let url = |url: &str| json!({"name": "url", "valueUri": url});
    for (path, list, result) in [
        ("ValueSet/all/$validate-code", json!([coding]), true),
        ("ValueSet/under/$validate-code", json!([coding]), false),
        ("ValueSet/under/$validate-code", json!([concept]), true),
        ("ValueSet/$validate-code", json!([concept, url("http://terms.example/under")]), true),
        ("CodeSystem/$validate-code", json!([coding]), true),
        ("CodeSystem/tree/$validate-code", json!([concept]), true),
    ] {
        let answer = client.operation(path, &parameters(list), None).await.ok().body;
        assert_eq!(given(&answer, "result"), &json!(result), "{path}: {answer}");
    }
    let inline = json!({"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": TREE, "filter": [{"property": "concept", "op": "descendent-of", "value": "animal"}]}]}});
    let expanded = client
        .operation("ValueSet/$expand", &parameters(json!([{"name": "valueSet", "resource": inline}])), None)
        .await;
    assert_eq!(codes(expanded), "dog poodle bird dodo robin");
    let body = client.operation("ValueSet/$expand?filter=bird", &inline, None).await;
    assert_eq!(
        codes(body),
        "bird",
        "the only parameter that is a resource may be the body, the others stand in the URL"
    );
    let subsumes = json!([{"name": "codingA", "valueCoding": {"system": TREE, "code": "animal"}}, {"name": "codingB", "valueCoding": {"system": TREE, "code": "dog"}}]);
    let answer = client.operation("CodeSystem/$subsumes", &parameters(subsumes), None).await.ok().body;
    assert_eq!(given(&answer, "outcome"), "subsumes");
    let system = json!({"resourceType": "CodeSystem", "status": "draft", "content": "complete", "url": "http://own.example", "concept": [{"code": "a"}]});
    let own = json!([{"name": "codeSystem", "resource": system}, {"name": "code", "valueCode": "a"}]);
    let answer = client.operation("CodeSystem/$validate-code", &parameters(own), None).await.ok().body;
    assert_eq!(given(&answer, "result"), true);

    let batch = |kind: &str| {
        json!({"resourceType": "Bundle", "type": kind, "entry": [
        {"request": {"method": "GET", "url": "ValueSet/under/$expand"}},
        {"request": {"method": "POST", "url": "ValueSet/all/$validate-code"}, "resource": parameters(json!([coding]))}]})
    };
    for kind in ["batch", "transaction"] {
        let answer = client.post(&batch(kind)).await.ok().body;
        assert_eq!(answer["entry"][0]["resource"]["expansion"]["total"], 2, "{answer}");
        assert_eq!(given(&answer["entry"][1]["resource"], "result"), true);
    }
    for (list, code, at) in [
        (json!([{"name": "nonsense", "valueString": "x"}]), "not-supported", "Parameters.parameter[0].name"),
        (json!([coding, {"name": "abstract", "valueString": "x"}]), "value", "Parameters.parameter[1]"),
        (json!([coding, coding]), "invalid", "Parameters.parameter[1]"),
    ] {
        client.operation("ValueSet/all/$validate-code", &parameters(list), None).await.refuses(400, code, at);
    }
    client.operation("ValueSet/all/$validate-code", &json!({"resourceType": "Patient"}), None).await.is(400);
}
