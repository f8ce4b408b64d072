//! FHIRPath Patch as a table, and what a patch and its inverse make together.

use super::{Patch, prune};
use crate::error::Result;
use crate::fhir::json::{Json, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

mod real;

/// An operation; `parts`: what else it has.
fn operation(kind: &str, path: &str, parts: &[Value]) -> Value {
    let mut all = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": path})];
    all.extend(parts.iter().cloned());
    json!({"name": "operation", "part": all})
}

fn name(name: &str) -> Value {
    json!({"name": "name", "valueString": name})
}

fn number(name: &str, n: usize) -> Value {
    json!({"name": name, "valueInteger": n})
}

fn by_path(document: &str, operations: &[Value]) -> Result<String> {
    let document = parse(document.as_bytes()).expect("a document");
    let patch = Patch::Path(json!({"resourceType": "Parameters", "parameter": operations}).into());
    patch.apply(&document).map(|json| json.to_string())
}

const OBSERVATION: &str = r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":2.50,"unit":"mg"},"code":{"coding":[{"code":"a"},{"code":"b"}]},"note":[{"text":"x"}]}"#;
const PATIENT: &str = r#"{"resourceType":"Patient","name":[{"use":"official","given":["A","B"],"_given":[null,{"id":"b"}]},{"use":"usual","given":["C"]}],"birthDate":"1950-01-01","_birthDate":{"id":"d"},"extension":[{"url":"http://x.example/a","valueDecimal":1.0}]}"#;

/// R4 fhirpatch.html: add, insert, delete, replace and move on elements, lists, choices, extensions and primitives
/// with extensions.
#[test]
fn each_operation_of_a_fhirpath_patch_does_what_r4_says() {
    let value = |v: Value| {
        let mut part = v;
        part["name"] = "value".into();
        part
    };
    let component = value(json!({"part": [
        {"name": "code", "part": [{"name": "text", "valueString": "c"}]},
        {"name": "value", "valueQuantity": {"value": 1, "unit": "kg"}},
        {"name": "interpretation", "valueCodeableConcept": {"text": "i"}},
        {"name": "interpretation", "valueCodeableConcept": {"text": "j"}},
        {"name": "extension", "valueString": "no"}]}));
    let mut good = component.clone();
    good["part"].as_array_mut().expect("parts").pop();
    let cases = [
        (
            OBSERVATION,
            operation("replace", "Observation.status", &[value(json!({"valueCode": "amended"}))]),
            "final",
            "amended",
        ),
        (
            OBSERVATION,
            operation("replace", "Observation.value", &[value(json!({"valueString": "text"}))]),
            r#""valueQuantity":{"value":2.50,"unit":"mg"}"#,
            r#""valueString":"text""#,
        ),
        (
            OBSERVATION,
            operation("replace", "Observation.value.ofType(Quantity).unit", &[value(json!({"valueString": "g"}))]),
            "\"mg\"",
            "\"g\"",
        ),
        (OBSERVATION, operation("delete", "Observation.note[0]", &[]), r#","note":[{"text":"x"}]"#, ""),
        (OBSERVATION, operation("delete", "Observation.note.text", &[]), r#","note":[{"text":"x"}]"#, ""),
        (OBSERVATION, operation("delete", "Observation.bodySite", &[]), "", ""),
        (OBSERVATION, operation("delete", "Observation.code.coding.where(code = 'a')", &[]), r#"{"code":"a"},"#, ""),
        (
            OBSERVATION,
            operation(
                "insert",
                "Observation.code.coding",
                &[number("index", 1), value(json!({"valueCoding": {"code": "n"}}))],
            ),
            r#"{"code":"a"},"#,
            r#"{"code":"a"},{"code":"n"},"#,
        ),
        (
            OBSERVATION,
            operation(
                "insert",
                "Observation.category",
                &[number("index", 0), value(json!({"valueCodeableConcept": {"text": "n"}}))],
            ),
            r#""note":[{"text":"x"}]"#,
            r#""note":[{"text":"x"}],"category":[{"text":"n"}]"#,
        ),
        (
            OBSERVATION,
            operation("move", "Observation.code.coding", &[number("source", 0), number("destination", 1)]),
            r#"{"code":"a"},{"code":"b"}"#,
            r#"{"code":"b"},{"code":"a"}"#,
        ),
        (
            OBSERVATION,
            operation("add", "Observation", &[name("component"), good]),
            r#""note":[{"text":"x"}]"#,
            r#""note":[{"text":"x"}],"component":[{"code":{"text":"c"},"valueQuantity":{"value":1,"unit":"kg"},"interpretation":[{"text":"i"},{"text":"j"}]}]"#,
        ),
        (
            OBSERVATION,
            operation("add", "Observation", &[name("effective[x]"), value(json!({"valueDateTime": "2026"}))]),
            r#""note":[{"text":"x"}]"#,
            r#""note":[{"text":"x"}],"effectiveDateTime":"2026""#,
        ),
        (
            OBSERVATION,
            operation("add", "Observation.note[1]", &[name("text"), value(json!({"valueMarkdown": "y"}))]),
            r#"{"text":"x"}"#,
            r#"{"text":"x"},{"text":"y"}"#,
        ),
        (
            OBSERVATION,
            operation(
                "add",
                "Observation",
                &[name("contained"), value(json!({"resource": {"resourceType": "Patient", "id": "p"}}))],
            ),
            r#""note":[{"text":"x"}]"#,
            r#""note":[{"text":"x"}],"contained":[{"resourceType":"Patient","id":"p"}]"#,
        ),
        (
            PATIENT,
            operation(
                "add",
                "Patient.name.where(use = 'usual')",
                &[name("given"), value(json!({"valueString": "D", "_valueString": {"id": "x"}}))],
            ),
            r#""given":["C"]"#,
            r#""given":["C","D"],"_given":[null,{"id":"x"}]"#,
        ),
        (
            PATIENT,
            operation("delete", "Patient.name[0].given[0]", &[]),
            r#""given":["A","B"],"_given":[null,{"id":"b"}]"#,
            r#""given":["B"],"_given":[{"id":"b"}]"#,
        ),
        (
            PATIENT,
            operation("delete", "Patient.birthDate", &[]),
            r#""birthDate":"1950-01-01","_birthDate":{"id":"d"},"#,
            "",
        ),
        (
            PATIENT,
            operation(
                "add",
                "Patient.birthDate",
                &[
                    name("extension"),
                    value(json!({"part": [
                {"name": "url", "valueUri": "http://x.example/t"}, {"name": "value[x]", "valueDateTime": "1950-01-01T10:00:00Z"}]})),
                ],
            ),
            r#"{"id":"d"}"#,
            r#"{"id":"d","extension":[{"url":"http://x.example/t","valueDateTime":"1950-01-01T10:00:00Z"}]}"#,
        ),
        (
            PATIENT,
            operation("add", "Patient.name[0].given[0]", &[name("id"), value(json!({"valueString": "a"}))]),
            r#"[null,{"id":"b"}]"#,
            r#"[{"id":"a"},{"id":"b"}]"#,
        ),
        (
            PATIENT,
            operation("replace", "Patient.extension('http://x.example/a').value", &[value(json!({"valueDecimal": 2}))]),
            r#""valueDecimal":1.0"#,
            r#""valueDecimal":2"#,
        ),
        (
            PATIENT,
            operation(
                "replace",
                "Patient.extension.where(url = 'http://x.example/a').value",
                &[value(json!({"valueBoolean": true}))],
            ),
            r#""valueDecimal":1.0"#,
            r#""valueBoolean":true"#,
        ),
    ];
    for (document, operation, before, after) in cases {
        let expected = if before.is_empty() { document.to_owned() } else { document.replacen(before, after, 1) };
        let done = by_path(document, std::slice::from_ref(&operation));
        assert_eq!(done.unwrap_or_else(|e| panic!("{operation}: {e}")), expected, "{operation}");
    }
    let refused =
        by_path(OBSERVATION, &[operation("add", "Observation", &[name("component"), component])]).unwrap_err();
    assert_eq!(refused.kind.status(), 422, "an extension is no string");
}

/// R4 fhirpatch.html: An operation that does not fit is refused and named: several matches, wrong type, places out of
/// range, missing parts.
#[test]
fn a_fhirpath_patch_that_does_not_fit_is_refused_and_names_the_operation() {
    let value = json!({"name": "value", "valueString": "x"});
    for (operation, status) in [
        (operation("replace", "Observation.bodySite", std::slice::from_ref(&value)), 422),
        (operation("replace", "Observation.status", &[json!({"name": "value", "valueBoolean": true})]), 422),
        (operation("replace", "Observation.status", &[]), 400),
        (
            operation("replace", "Observation.code.coding", &[json!({"name": "value", "valueCoding": {"code": "c"}})]),
            422,
        ),
        (operation("replace", "Observation", std::slice::from_ref(&value)), 422),
        (operation("add", "Observation", &[name("status"), json!({"name": "value", "valueCode": "final"})]), 422),
        (operation("add", "Observation", &[name("value"), json!({"name": "value", "valueString": "two"})]), 422),
        (operation("add", "Observation", &[name("nonsense"), value.clone()]), 422),
        (operation("add", "Observation", std::slice::from_ref(&value)), 400),
        (operation("add", "Observation.note[7]", &[name("text"), value.clone()]), 422),
        (operation("delete", "Observation.code.coding", &[]), 422),
        (operation("delete", "Observation", &[]), 422),
        (operation("delete", "Observation.status.exists()", &[]), 422),
        (
            operation(
                "insert",
                "Observation.code.coding",
                &[number("index", 3), json!({"name": "value", "valueCoding": {"code": "c"}})],
            ),
            422,
        ),
        (
            operation(
                "insert",
                "Observation.status",
                &[number("index", 0), json!({"name": "value", "valueCode": "final"})],
            ),
            422,
        ),
        (
            operation("insert", "Observation.code.coding", &[json!({"name": "value", "valueCoding": {"code": "c"}})]),
            400,
        ),
        (operation("move", "Observation.code.coding", &[number("source", 2), number("destination", 0)]), 422),
        (operation("move", "Observation.code.coding", &[number("source", 0)]), 400),
        (operation("jump", "Observation.status", &[]), 400),
        (operation("delete", "Observation.((", &[]), 400),
        (operation("delete", "", &[]), 400),
        (operation("delete", "Observation.status", &[json!({"name": "colour", "valueString": "x"})]), 400),
        (json!({"name": "operations"}), 400),
    ] {
        let error = by_path(OBSERVATION, std::slice::from_ref(&operation)).expect_err(&operation.to_string());
        assert_eq!(
            (error.kind.status(), error.issues[0].expression.as_str()),
            (status, "Parameters.parameter[0]"),
            "{operation}: {error}"
        );
    }
    assert_eq!(by_path(OBSERVATION, &[]).unwrap(), OBSERVATION);
    assert!(Patch::Path(json!({"resourceType": "Basic"}).into()).apply(&Json::object()).is_err());
}

#[test]
fn an_emptied_second_half_keeps_the_places_of_the_others() {
    let mut json = parse(br#"{"given":["A","B"],"_given":[{},{"id":"b"}],"_x":[null,{}],"y":[{},{"z":[]}]}"#).unwrap();
    prune(&mut json);
    assert_eq!(json.to_string(), r#"{"given":["A","B"],"_given":[null,{"id":"b"}]}"#);
}

/// Whether two trees say the same: members in any order.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(v, w)| same(v, w)),
        _ => a == b,
    }
}

/// A small document of arrays, objects and numbers with digits.
fn document() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::Bool),
        (0_u32..100, 0_u32..1000).prop_map(|(a, b)| Json::Number(format!("{a}.{b:03}").into())),
        "[a-z~/]{0,3}".prop_map(Json::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map("[ab~/]{1,2}", inner, 0..4).prop_map(|members| {
                let mut object = Json::object();
                for (key, value) in members {
                    object.set(&key, value);
                }
                object
            }),
        ]
    })
}

/// Pointers to everything below the root, with whether what is around it is an array.
fn pointers(json: &Json, at: &str, out: &mut Vec<(String, bool)>) {
    match json {
        Json::Array(items) => items.iter().enumerate().for_each(|(n, item)| {
            out.push((format!("{at}/{n}"), true));
            pointers(item, &format!("{at}/{n}"), out);
        }),
        Json::Object(members) => members.iter().for_each(|(key, value)| {
            let path = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            out.push((path.clone(), false));
            pointers(value, &path, out);
        }),
        _ => {}
    }
}

fn at<'a>(json: &'a Json, pointer: &str) -> &'a Json {
    pointer.split('/').skip(1).fold(json, |here, token| match here {
        Json::Array(items) => &items[token.parse::<usize>().expect("a place")],
        here => here.get(&token.replace("~1", "/").replace("~0", "~")).expect("a member"),
    })
}

fn op(kind: &str, path: &str, value: Option<&Json>) -> Json {
    let mut op: Json = json!({"op": kind, "path": path}).into();
    if let Some(value) = value {
        op.set("value", value.clone());
    }
    op
}

/// A random operation on a document, and the one that takes it back.
fn undoable(json: &Json, kind: usize, pick: usize, value: &Json) -> Option<(Json, Json)> {
    let mut all = Vec::new();
    pointers(json, "", &mut all);
    let (path, is_item) = all.get(pick % all.len().max(1))?.clone();
    let old = at(json, &path);
    Some(match kind % 4 {
        0 => (op("remove", &path, None), op("add", &path, Some(old))),
        1 => (op("replace", &path, Some(value)), op("replace", &path, Some(old))),
        2 if is_item => (op("add", &path, Some(value)), op("remove", &path, None)),
        2 => (op("add", &path, Some(value)), op("add", &path, Some(old))),
        _ => {
            let to = format!("{}/moved", path.rsplit_once('/')?.0);
            if is_item || all.iter().any(|(other, _)| *other == to) {
                return None;
            }
            let shift = |from: &str, to: &str| Json::from(json!({"op": "move", "from": from, "path": to}));
            (shift(&path, &to), shift(&to, &path))
        }
    })
}

proptest! {
    /// RFC 6902 section-4: A patch and its inverse leave the document as it was.
    #[test]
    fn a_json_patch_and_its_inverse_are_no_patch(
        start in document(),
        steps in prop::collection::vec((0_usize..4, any::<usize>(), document()), 1..8),
    ) {
        let (mut now, mut there, mut back) = (start.clone(), Vec::new(), Vec::new());
        for (kind, pick, value) in &steps {
            let Some((forth, inverse)) = undoable(&now, *kind, *pick, value) else { continue };
            now = super::json::apply(&now, &Json::Array(vec![forth.clone()])).expect("an operation that fits");
            there.push(forth);
            back.insert(0, inverse);
        }
        let done = super::json::apply(&start, &Json::Array(there)).expect("all of them");
        prop_assert_eq!(&done, &now);
        let undone = super::json::apply(&done, &Json::Array(back)).expect("all of them, backwards");
        prop_assert!(same(&undone, &start), "{undone} was {start}");
    }

    /// R4 fhirpatch.html: A patch and its inverse leave the resource as it was.
    #[test]
    fn a_fhirpath_patch_and_its_inverse_are_no_patch(
        givens in prop::collection::vec("[A-Z][a-z]{0,3}", 1..6),
        steps in prop::collection::vec((0_usize..4, any::<usize>(), any::<usize>(), "[A-Z]{1,3}"), 1..8),
    ) {
        let mut start: Json = json!({"resourceType": "Patient", "name": [{"given": givens}], "active": true}).into();
        // One of them has a second half, which has to go where it goes.
        if let Some(name) = start.get_mut("name").and_then(|n| n.items_mut().first_mut()) {
            let mut halves = vec![Json::Null; givens.len()];
            *halves.last_mut().expect("one") = json!({"id": "h"}).into();
            name.set("_given", halves);
        }
        let list = "Patient.name[0].given";
        let apply = |json: &Json, operations: &[Value]| {
            Patch::Path(json!({"resourceType": "Parameters", "parameter": operations}).into()).apply(json)
        };
        let value = |text: &str, half: Option<&Json>| {
            let mut part = json!({"name": "value", "valueString": text});
            if let Some(half) = half.filter(|h| !h.is_null()) {
                part["_valueString"] = serde_json::from_str(&half.to_string()).expect("JSON");
            }
            part
        };
        let (mut now, mut there, mut back) = (start.clone(), Vec::new(), Vec::new());
        for (kind, a, b, text) in &steps {
            let len = now["name"][0]["given"].items().len();
            let (i, j) = (a % len, b % len);
            let one = format!("{list}[{i}]");
            let old = value(now["name"][0]["given"][i].text(), now["name"][0]["_given"].items().get(i));
            let (forth, inverse) = match kind {
                0 => (
                    operation("insert", list, &[number("index", i), value(text, None)]),
                    operation("delete", &one, &[]),
                ),
                1 if len > 1 => (
                    operation("delete", &one, &[]),
                    operation("insert", list, &[number("index", i), old]),
                ),
                2 => (operation("replace", &one, &[value(text, None)]), operation("replace", &one, &[old])),
                _ => (
                    operation("move", list, &[number("source", i), number("destination", j)]),
                    operation("move", list, &[number("source", j), number("destination", i)]),
                ),
            };
            now = apply(&now, std::slice::from_ref(&forth)).expect("an operation that fits");
            there.push(forth);
            back.insert(0, inverse);
        }
        let done = apply(&start, &there).expect("all of them");
        prop_assert_eq!(&done, &now);
        let undone = apply(&done, &back).expect("all of them, backwards");
        prop_assert!(same(&undone, &start), "{undone} was {start}");
    }
}
