use super::{Part, Registry, Source, own};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType};
use std::time::Instant;

#[test]
fn every_type_has_its_parameters_and_each_can_be_evaluated() {
    let started = Instant::now();
    let registry = Registry::with_profiles(&own::embedded()).unwrap();
    println!("registry built in {:?}", started.elapsed());
    let mut slots = 0;
    let mut params = 0;
    let mut unsupported = std::collections::BTreeSet::new();
    for rtype in ResourceType::all() {
        assert!(registry.param(rtype, "_tag").is_some(), "{rtype}");
        let entry = registry.entry(rtype).unwrap();
        assert!(entry.params.windows(2).all(|w| w[0].code < w[1].code), "{rtype}: sorted, each code once");
        let mut names: Vec<_> = entry.slots.iter().map(|s| (s.kind, s.name.clone())).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), entry.slots.len(), "{rtype}: slot names are unique");
        slots += entry.slots.len();
        params += entry.params.len();
        for param in &entry.params {
            if !param.is_supported() {
                unsupported.insert(param.code.clone());
            }
            for part in &param.parts {
                match part {
                    Part::Whole(components) => {
                        assert!(components.iter().all(|c| !c.uses.is_empty()), "{rtype}.{}", param.code);
                    }
                    Part::Element { components, .. } => assert!(components.len() >= 2),
                }
            }
        }
    }
    println!("{params} parameters in {slots} slots");
    // Those without an expression, and the special ones.
    let list: Vec<&str> = unsupported.iter().map(String::as_str).collect();
    assert_eq!(list, ["_filter", "_query", "age", "birthOrderBoolean", "near", "part-agree"]);
}

#[test]
fn what_several_parameters_find_by_is_stored_once() {
    let registry = Registry::builtin();
    let slots = |rtype: &'static str, code: &str| -> Vec<String> {
        let param = registry.param(known(rtype), code).unwrap();
        param
            .uses
            .iter()
            .map(|u| format!("{}{}", u.slot, u.restrict.map(|t| format!(":{t}")).unwrap_or_default()))
            .collect()
    };
    assert_eq!(slots("Patient", "phonetic"), slots("Patient", "name"));
    assert_eq!(slots("Patient", "name"), ["name", "family", "given"]);
    assert_eq!(
        slots("Organization", "address"),
        ["address", "address-city", "address-state", "address-postalcode", "address-country"]
    );
    assert_eq!(slots("Observation", "subject"), ["subject"]);
    assert_eq!(slots("Observation", "patient"), ["subject:Patient"]);
    assert_eq!(slots("Observation", "combo-code"), ["code", "component-code"]);
    assert_eq!(slots("Task", "patient"), ["subject:Patient"]);
    assert_eq!(slots("Task", "due"), ["due"]);
    let entry = registry.entry(known("Patient")).unwrap();
    let elsewhere = entry.slots.iter().find(|s| &*s.name == "name").map(|s| match &s.source {
        Source::Values { elsewhere, .. } => elsewhere.iter().map(|e| e.to_string()).collect::<Vec<_>>(),
        Source::Elements { .. } => vec![],
    });
    assert_eq!(elsewhere.unwrap(), ["family", "given"]);
}

#[test]
fn every_own_parameter_is_embedded_and_good() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/search");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"));
    assert_eq!(files.count(), own::embedded().len());
    let registry = Registry::with_profiles(&own::embedded()).unwrap();
    for (rtype, code) in [
        ("DetectedIssue", "status"),
        ("DetectedIssue", "severity"),
        ("Task", "due"),
        ("Encounter", "discharge-disposition"),
    ] {
        assert!(
            registry.param(known(rtype), code).unwrap().url.starts_with("http://baton.example/fhir/"),
            "{rtype}.{code}"
        );
    }
}

#[test]
fn a_bad_search_parameter_is_refused_with_the_reason() {
    let good = serde_json::json!({"resourceType": "SearchParameter", "url": "http://x/sp", "code": "x", "base": ["Task"],
        "type": "token", "expression": "Task.intent"});
    let with = |key: &str, value: serde_json::Value| -> Json {
        let mut changed = good.clone();
        changed[key] = value;
        changed.into()
    };
    assert!(Registry::with_profiles(&[good.clone().into()]).is_ok());
    for (bad, reason) in [
        (with("resourceType", "Patient".into()), "no SearchParameter"),
        (with("code", "a b".into()), "a code is"),
        (with("code", "status".into()), "already"),
        (with("base", serde_json::json!(["Nope"])), "each base"),
        (with("type", "banana".into()), "no type"),
        (with("type", "special".into()), "special"),
        (with("expression", "Task.".into()), "name is missing"),
        (with("expression", "Patient.id".into()), "begins with Task"),
    ] {
        let error = Registry::with_profiles(std::slice::from_ref(&bad)).unwrap_err().to_string();
        assert!(error.contains(reason), "{bad}: {error}");
    }
}

/// The table in the repository is what the tool makes of the official definitions.
#[test]
fn the_table_is_what_the_official_definitions_give() {
    if std::env::var_os("BATON_TEST_DATA").is_none() {
        println!("skipped: BATON_TEST_DATA is not set");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let status = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "search_parameters", "--"])
        .arg(out.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success());
    for name in ["r4.tsv", "compartments.tsv"] {
        let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/search/registry").join(name);
        assert!(
            std::fs::read(out.path().join(name)).unwrap() == std::fs::read(kept).unwrap(),
            "{name} differs: run `cargo run --example search_parameters`"
        );
    }
}
