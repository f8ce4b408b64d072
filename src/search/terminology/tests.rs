//! Value sets as a table: what each stands for, over two code systems.

use super::*;
use serde_json::{Value, json};

fn systems() -> Vec<Value> {
    vec![
        json!({"resourceType": "CodeSystem", "url": "http://s/tree", "content": "complete", "concept": [
            {"code": "animal", "display": "Animal", "concept": [
                {"code": "dog", "display": "Dog", "concept": [{"code": "poodle"}], "property": [{"code": "legs", "valueInteger": 4}]},
                {"code": "bird", "display": "Bird", "property": [{"code": "legs", "valueInteger": 2}, {"code": "flies", "valueBoolean": true}]}]},
            {"code": "plant"},
            {"code": "coral", "property": [{"code": "parent", "valueCode": "animal"}]}]}),
        json!({"resourceType": "CodeSystem", "url": "http://s/parts", "content": "complete", "hierarchyMeaning": "part-of",
            "concept": [{"code": "car", "concept": [{"code": "wheel"}]}]}),
        json!({"resourceType": "CodeSystem", "url": "http://s/empty", "content": "not-present"}),
    ]
}

fn set(name: &str, compose: Value) -> Value {
    json!({"resourceType": "ValueSet", "url": format!("http://v/{name}"), "compose": compose})
}

fn tree(filter: &[(&str, &str, &str)]) -> Value {
    let filter: Vec<Value> = filter.iter().map(|(p, op, v)| json!({"property": p, "op": op, "value": v})).collect();
    json!({"include": [{"system": "http://s/tree", "filter": filter}]})
}

fn library(resources: Vec<Value>) -> Library {
    let mut out = Library::new();
    for resource in resources {
        let json: Json = resource.into();
        let url = json["url"].text().to_string();
        let wanted =
            if json["resourceType"].text() == "ValueSet" { Wanted::ValueSet(url) } else { Wanted::CodeSystem(url) };
        out.insert(wanted, Some(Arc::new(json)));
    }
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    out.insert(Wanted::ValueSet(gender.into()), crate::fhir::definition::value_set(gender));
    for absent in ["http://v/none", "http://v/self"] {
        out.entry(Wanted::ValueSet(absent.into())).or_insert(None);
    }
    out.insert(Wanted::CodeSystem("http://s/none".into()), None);
    out
}

/// `code code …`, whole systems as `system|*`; or the reason of a refusal.
fn shown(found: Made<Known>) -> String {
    match found {
        Ok(Known::Codes(codes)) => {
            let all = codes.systems.iter().map(|s| format!("{s}|*"));
            all.chain(codes.codes.iter().map(|(_, c)| c.clone())).collect::<Vec<_>>().join(" ")
        }
        Ok(Known::Members(members)) => members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(Stop::Wanted(wanted)) => format!("wants {wanted:?}"),
        Err(Stop::Unknown(why) | Stop::Costly(why)) => format!("refused: {why}"),
    }
}

/// R4 valueset.html: A value set is its lists, filters, imports and exclusions.
#[test]
fn a_value_set_is_its_lists_filters_imports_and_exclusions() {
    let listed = json!({"system": "http://s/other", "concept": [{"code": "a"}, {"code": "b"}]});
    let rows = [
        (json!({"include": [listed]}), "a b"),
        (json!({"include": [{"system": "http://s/tree"}]}), "http://s/tree|*"),
        (json!({"include": [listed, {"system": "http://s/tree"}]}), "http://s/tree|* a b"),
        (tree(&[("concept", "is-a", "dog")]), "dog poodle"),
        (tree(&[("concept", "is-a", "animal")]), "animal bird coral dog poodle"),
        (tree(&[("concept", "descendent-of", "animal")]), "bird coral dog poodle"),
        (tree(&[("concept", "is-not-a", "animal")]), "plant"),
        (tree(&[("concept", "generalizes", "poodle")]), "animal dog poodle"),
        (tree(&[("concept", "in", "dog, plant")]), "dog plant"),
        (tree(&[("concept", "not-in", "dog,plant,poodle")]), "animal bird coral"),
        (tree(&[("legs", "=", "4")]), "dog"),
        (tree(&[("flies", "=", "true")]), "bird"),
        (tree(&[("legs", "exists", "true")]), "bird dog"),
        (tree(&[("legs", "exists", "false")]), "animal coral plant poodle"),
        (tree(&[("parent", "=", "animal")]), "bird coral dog"),
        (tree(&[("code", "regex", "p.*")]), "plant poodle"),
        (tree(&[("display", "regex", "D|Dog")]), "dog"),
        (tree(&[("concept", "is-a", "animal"), ("legs", "exists", "true")]), "bird dog"),
        (json!({"include": [{"valueSet": ["http://v/dogs"]}]}), "dog poodle"),
        (json!({"include": [{"valueSet": ["http://v/dogs", "http://v/legs"]}]}), "dog"),
        (json!({"include": [{"system": "http://s/tree", "valueSet": ["http://v/dogs"]}]}), "dog poodle"),
        (json!({"include": [listed], "exclude": [{"system": "http://s/other", "concept": [{"code": "a"}]}]}), "b"),
        (json!({"include": [listed], "exclude": [{"system": "http://s/other"}]}), ""),
        (
            json!({"include": [{"system": "http://s/tree"}], "exclude": [{"valueSet": ["http://v/dogs"]}]}),
            "animal bird coral plant",
        ),
        (
            json!({"include": [{"system": "http://s/other"}], "exclude": [{"valueSet": ["http://v/dogs"]}]}),
            "http://s/other|*",
        ),
        (tree(&[("concept", "is-a", "cat")]), "refused: the code system http://s/tree has no code 'cat' here"),
        (
            tree(&[("concept", "likes", "dog")]),
            "refused: the filter 'concept likes dog' of the value set is not understood here",
        ),
        (
            json!({"include": [{"system": "http://s/none", "filter": [{"property": "concept", "op": "is-a", "value": "x"}]}]}),
            "refused: the code system http://s/none is not known here",
        ),
        (
            json!({"include": [{"system": "http://s/empty", "filter": [{"property": "concept", "op": "is-a", "value": "x"}]}]}),
            "refused: the codes of the code system http://s/empty are not here (not-present)",
        ),
        (
            json!({"include": [{"valueSet": ["http://v/none"]}]}),
            "refused: the value set http://v/none is not known here",
        ),
        (json!({"include": [{"valueSet": ["http://v/it"]}]}), "refused: the value set http://v/it contains itself"),
        (json!({"include": [{"valueSet": ["http://v/other"]}]}), "wants ValueSet(\"http://v/other\")"),
        (json!({"include": [{}]}), "refused: a part of the value set names neither a code system nor a value set"),
        (json!({}), "refused: the value set http://v/it says nowhere what is in it"),
    ];
    for (compose, wanted) in rows {
        let mut all = systems();
        all.push(set("dogs", tree(&[("concept", "is-a", "dog")])));
        all.push(set("legs", tree(&[("legs", "exists", "true")])));
        all.push(set("it", compose.clone()));
        assert_eq!(shown(answer(&Need::ValueSet("http://v/it".into()), &library(all))), wanted, "{compose}");
    }
}

/// R4 codesystem.html: Hierarchies by nesting, `parent`, `child` and `subsumedBy` are followed, several parents too.
#[test]
fn what_is_above_and_below_a_code() {
    let library = library(systems());
    let need = |below, system: &str, code: &str| {
        let (system, code) = (system.to_string(), code.to_string());
        shown(answer(&if below { Need::Below(system, code) } else { Need::Above(system, code) }, &library))
    };
    assert_eq!(need(true, "http://s/tree", "animal"), "animal bird coral dog poodle");
    assert_eq!(need(false, "http://s/tree", "poodle"), "animal dog poodle");
    assert_eq!(need(false, "http://s/tree", "coral"), "animal coral");
    assert_eq!(need(true, "http://s/parts", "car"), "car", "a part is no kind");
    assert!(need(true, "http://s/none", "x").starts_with("refused"));
}

/// R4 valueset.html: A stored expansion serves where the definition cannot be worked out.
#[test]
fn a_stored_expansion_serves_where_the_definition_does_not() {
    let held = json!({"resourceType": "ValueSet", "url": "http://v/it",
        "compose": {"include": [{"system": "http://s/none", "filter": [{"property": "a", "op": "=", "value": "b"}]}]},
        "expansion": {"contains": [{"system": "http://s/none", "code": "x", "abstract": true, "contains": [{"system": "http://s/none", "code": "y"}]}]}});
    assert_eq!(shown(answer(&Need::ValueSet("http://v/it".into()), &library(vec![held]))), "y");
    let gender = Need::ValueSet("http://hl7.org/fhir/ValueSet/administrative-gender".into());
    assert_eq!(shown(answer(&gender, &library(vec![]))), "female male other unknown", "R4's own");
}

#[test]
fn a_list_has_members() {
    let list: Json = json!({"resourceType": "List", "entry": [{"item": {"reference": "Patient/1"}},
        {"item": {"reference": "Patient/2"}, "deleted": true}, {"item": {"reference": "http://elsewhere/Patient/3"}}]})
    .into();
    let library = Library::from([(Wanted::List("l".into()), Some(Arc::new(list))), (Wanted::List("m".into()), None)]);
    assert_eq!(shown(answer(&Need::List("l".into()), &library)), "Patient/1");
    assert_eq!(shown(answer(&Need::List("m".into()), &library)), "refused: List/m is not known here");
}

#[test]
fn what_stands_for_too_many_codes_is_too_costly() {
    let concepts: Vec<Value> = (0..=MAX_CODES).map(|n| json!({"code": n.to_string()})).collect();
    let big = set("big", json!({"include": [{"system": "http://s/other", "concept": concepts}]}));
    assert!(matches!(answer(&Need::ValueSet("http://v/big".into()), &library(vec![big])), Err(Stop::Costly(_))));
}
