//! The same law on resources that nobody here wrote: a patch and its inverse leave each official example as it was.

use super::*;
use crate::fhir::ResourceType;
use crate::fhir::definition::{self, Type};
use crate::fhir::validate::corpus::lines;

fn examples() -> Vec<Json> {
    let all = lines("r4-examples").unwrap_or_default();
    all.into_iter().filter(|json| json.to_string().len() < 200_000).collect()
}

/// RFC 6902 section-4: A patch and its inverse leave every official example as it was.
#[test]
fn a_json_patch_and_its_inverse_leave_each_official_example() {
    let mut tried = 0;
    let examples = examples();
    for (n, json) in examples.iter().enumerate() {
        let mut all = Vec::new();
        pointers(json, "", &mut all);
        for pick in 0..24 {
            let place = (n * 31 + pick * 97) % all.len();
            let (path, _) = &all[place];
            // What loses its last member goes, too: that is another patch's inverse.
            let parent = at(json, path.rsplit_once('/').expect("a slash").0);
            let is_last = parent.as_object().map_or(parent.items().len(), |members| members.len()) < 2;
            if is_last || path.starts_with("/resourceType") {
                continue;
            }
            let Some((forth, back)) = undoable(json, pick, place, &"x".into()) else { continue };
            let apply = |json: &Json, operation: &Json| Patch::Json(Json::Array(vec![operation.clone()])).apply(json);
            let done = apply(json, &forth).unwrap_or_else(|e| panic!("{}: {forth}: {e}", json["id"]));
            let undone = apply(&done, &back).unwrap_or_else(|e| panic!("{}: {back}: {e}", json["id"]));
            assert!(same(&undone, json), "{}: {forth} and {back}", json["id"]);
            tried += 1;
        }
    }
    println!("{tried} patches of {} examples", examples.len());
    assert!(examples.is_empty() || tried > 2_000, "{tried}");
}

/// The type's name as Parameters have it: `valueCodeableConcept`; `None` of a type that a parameter cannot have.
fn value_key(kind: Type) -> Option<String> {
    let open = definition::structure("Extension").expect("R4 has extensions").element("value").expect("a value");
    let (first, rest) = kind.name().split_at(1);
    open.types.iter().any(|t| t.name() == kind.name()).then(|| format!("value{}{rest}", first.to_ascii_uppercase()))
}

/// Patches with their inverses: each element at the top of a resource is taken away, moved and brought back.
fn there_and_back(json: &Json) -> Vec<(Json, Json)> {
    let rtype = json["resourceType"].text();
    let structure = definition::of_resource(ResourceType::parse(rtype).expect("a type")).expect("a structure");
    let operation = |kind: &str, path: &str, parts: Vec<Json>| {
        let mut all: Vec<Json> = vec![
            json!({"name": "type", "valueCode": kind}).into(),
            json!({"name": "path", "valueString": path}).into(),
        ];
        all.extend(parts);
        let mut operation: Json = json!({"name": "operation"}).into();
        operation.set("part", Json::Array(all));
        operation
    };
    let number = |name: &str, n: usize| Json::from(json!({"name": name, "valueInteger": n}));
    let mut out = Vec::new();
    for (key, value) in json.as_object().expect("an object").iter() {
        let Some(member) = structure.member(key).filter(|_| !matches!(key, "id" | "meta")) else { continue };
        let Some(value_key) = value_key(member.kind).filter(|_| !key.starts_with('_')) else { continue };
        let path = format!("{rtype}.{}", member.element.name);
        let halves = &json[format!("_{key}").as_str()];
        let brought = |value: &Json, half: &Json| {
            let mut part: Json = json!({"name": "value"}).into();
            if !value.is_null() {
                part.set(&value_key, value.clone());
            }
            if !half.is_null() {
                part.set(&format!("_{value_key}"), half.clone());
            }
            part
        };
        if !member.element.many {
            let name: Json = json!({"name": "name", "valueString": member.element.name}).into();
            let add = operation("add", rtype, vec![name, brought(value, halves)]);
            out.push((operation("delete", &path, Vec::new()), add));
            continue;
        }
        let last = value.items().len() - 1;
        for n in [0, last] {
            let insert = operation("insert", &path, vec![number("index", n), brought(&value[n], &halves[n])]);
            out.push((operation("delete", &format!("{path}[{n}]"), Vec::new()), insert));
        }
        let shift = |from, to| operation("move", &path, vec![number("source", from), number("destination", to)]);
        out.push((shift(0, last), shift(last, 0)));
    }
    out
}

/// R4 fhirpatch.html: A patch and its inverse leave every official example as it was, element by element.
#[test]
fn a_fhirpath_patch_and_its_inverse_leave_each_official_example() {
    let mut tried = 0;
    let examples = examples();
    for json in &examples {
        for (forth, back) in there_and_back(json) {
            let apply = |json: &Json, operation: &Json| {
                let mut parameters: Json = json!({"resourceType": "Parameters"}).into();
                parameters.set("parameter", Json::Array(vec![operation.clone()]));
                Patch::Path(parameters).apply(json)
            };
            let done = apply(json, &forth).unwrap_or_else(|e| panic!("{}: {forth}: {e}", json["id"]));
            let undone = apply(&done, &back).unwrap_or_else(|e| panic!("{}: {back}: {e}", json["id"]));
            assert!(same(&undone, json), "{}: {forth} and {back}: {undone}", json["id"]);
            tried += 1;
        }
    }
    println!("{tried} patches of {} examples", examples.len());
    assert!(examples.is_empty() || tried > 2_000, "{tried}");
}
