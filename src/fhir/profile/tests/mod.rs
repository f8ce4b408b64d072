//! Each feature of profiles by a good and a bad sample, and how profiles are found.

mod element;
mod library;
mod outside;
mod slices;

use super::*;
use serde_json::{Value, json};

const PROFILE: &str = "http://x.example/P";

/// A differential on a type. `rows`: (id, members).
fn profile(rtype: &str, url: &str, base: &str, rows: &Value) -> Json {
    let root = json!([rtype, {}]);
    let rows = std::iter::once(&root).chain(rows.as_array().unwrap()).map(|row| {
        let id = row[0].as_str().unwrap();
        let path: Vec<&str> = id.split('.').map(|part| part.split(':').next().unwrap()).collect();
        let mut element = row[1].clone();
        element["id"] = id.into();
        element["path"] = path.join(".").into();
        if let Some((_, slice)) = id.rsplit('.').next().unwrap().split_once(':') {
            element["sliceName"] = slice.into();
        }
        element
    });
    json!({"resourceType": "StructureDefinition", "url": url, "version": "1", "kind": "resource", "type": rtype,
        "baseDefinition": base, "derivation": "constraint", "differential": {"element": rows.collect::<Vec<_>>()}})
    .into()
}

fn r4(name: &str) -> String {
    format!("http://hl7.org/fhir/StructureDefinition/{name}")
}

fn compiled(definitions: &[Json]) -> Profiles {
    let mut loader = Loader::new();
    for definition in definitions {
        loader.add("test", definition);
    }
    let (profiles, complaints) = loader.compile();
    let fatal: Vec<_> = complaints.iter().filter(|c| c.is_fatal).collect();
    assert!(fatal.is_empty(), "{fatal:?}");
    profiles
}

/// Severity, place and profile of all issues but information.
fn issues(profiles: &Profiles, resource: &Value, asked: &[&str]) -> Vec<(Severity, String)> {
    let found = profiles.check(&resource.clone().into(), asked, &|_| Some(Severity::Error));
    let said = found.into_iter().filter(|i| i.severity != Severity::Information);
    said.map(|i| (i.severity, i.expression)).collect()
}

fn errors_of(profiles: &Profiles, resource: &Value, asked: &[&str]) -> Vec<String> {
    issues(profiles, resource, asked).into_iter().filter(|(s, _)| *s == Severity::Error).map(|(_, e)| e).collect()
}

fn with(base: &Value, more: &Value) -> Value {
    let mut all = base.clone();
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

/// What is asked, the resource, rows of the profile, what a good and a bad one has in addition, the element to blame.
type Sample<'a> = (&'a str, &'a Value, Value, Value, Value, &'a str);

/// Holds the good and the bad one against the profile and against one that is derived from it.
fn good_and_bad(samples: Vec<Sample<'_>>) {
    let set = json!({"resourceType": "ValueSet", "url": "urn:set", "compose": {"include": [{"system": "urn:s", "concept": [{"code": "in"}]}]}});
    let others = [
        profile("Patient", "http://x.example/Named", &r4("Patient"), &json!([["Patient.name", {"min": 1}]])),
        profile("HumanName", "http://x.example/Full", &r4("HumanName"), &json!([["HumanName.family", {"min": 1}]])),
        set.into(),
    ];
    for (feature, base, rows, good, bad, at) in samples {
        let rtype = base["resourceType"].as_str().unwrap();
        let mut definitions = others.to_vec();
        definitions.push(profile(rtype, PROFILE, &r4(rtype), &rows));
        let profiles = compiled(&definitions);
        let good = with(base, &good);
        assert_eq!(errors_of(&profiles, &good, &[PROFILE]), Vec::<String>::new(), "{feature}: {good}");
        let bad = with(base, &bad);
        assert_eq!(errors_of(&profiles, &bad, &[PROFILE]), [at], "{feature}: {bad}");
        // What is derived from it asks the same.
        definitions.push(profile(rtype, "http://x.example/D", PROFILE, &json!([])));
        let derived = compiled(&definitions);
        assert_eq!(errors_of(&derived, &bad, &["http://x.example/D"]), [at], "{feature}, derived: {bad}");
    }
}
