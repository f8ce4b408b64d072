use super::{ParamType, Part, Registry, Source, own};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType};
use std::time::Instant;

/// R4 searchparameter.html: Every search parameter of R4 is there for its types and can be evaluated.
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
    assert_eq!(list, ["_filter", "_query", "age", "birthOrderBoolean", "part-agree"]);
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
    // Own names for what R4 has rows of: they cost none.
    for (rtype, own, of_r4) in
        [("Task", "episode", "group-identifier"), ("List", "role", "code"), ("MedicationStatement", "list", "category")]
    {
        assert_eq!(slots(rtype, own), slots(rtype, of_r4), "{rtype}.{own}");
    }
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
        ("Task", "candidate"),
        ("Encounter", "discharge-disposition"),
        ("DetectedIssue", "urgency"),
        ("DetectedIssue", "episode"),
        ("DetectedIssue", "mitigation-action"),
        ("Communication", "attempt-outcome"),
        ("Task", "episode"),
        ("List", "role"),
        ("MedicationStatement", "list"),
    ] {
        assert!(
            registry.param(known(rtype), code).unwrap().url.starts_with("http://baton.example/fhir/"),
            "{rtype}.{code}"
        );
    }
}

/// R4 search.html#modifiers: docs/search.md names every modifier that is taken.
#[test]
fn the_page_on_search_names_every_modifier() {
    let page = include_str!("../../../docs/search.md");
    for (kind, name) in ParamType::ALL {
        let Some(row) = page.lines().find(|l| l.starts_with(&format!("| {name} |"))) else {
            assert_eq!(kind, ParamType::Special, "docs/search.md has no row for {name}");
            continue;
        };
        let cell = row.split('|').nth(2).unwrap();
        let named: Vec<&str> = cell.split('`').filter_map(|m| m.strip_prefix(':')).filter(|m| *m != "Type").collect();
        assert_eq!(named, kind.modifiers(), "docs/search.md, {name}");
    }
}

/// R4 searchparameter.html: A SearchParameter that cannot be used is refused with the reason.
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
        (with("expression", "Task.intent.upper()".into()), "no function 'upper'"),
        (with("expression", "Task.indent".into()), "no element Task.indent"),
        (with("expression", "Task.restriction.recipients".into()), "no element Task.restriction.recipients"),
    ] {
        let error = Registry::with_profiles(std::slice::from_ref(&bad)).unwrap_err().to_string();
        assert!(error.contains(reason), "{bad}: {error}");
    }
}

/// What is refused as unknown in a site's expression must not be what R4 itself writes.
#[test]
fn every_path_of_r4_s_own_parameters_is_known() {
    for definition in super::table::r4() {
        for rtype in definition.bases() {
            for alternative in definition.alternatives_of(rtype) {
                assert_eq!(super::added::unknown_path(&alternative, rtype), None, "{rtype}.{}", definition.code);
            }
        }
    }
}

fn composite(expression: &str, components: &[(&str, &str)]) -> Json {
    let url = |name: &str| format!("http://hl7.org/fhir/SearchParameter/{name}");
    let component = |(name, expr): &(&str, &str)| serde_json::json!({"definition": url(name), "expression": expr});
    let components: Vec<_> = components.iter().map(component).collect();
    serde_json::json!({"resourceType": "SearchParameter", "url": "http://x/pair", "code": "pair", "base": ["Observation"],
        "type": "composite", "expression": expression, "component": components})
    .into()
}

#[test]
fn a_composite_of_a_site_is_of_an_element_or_of_the_whole_resource() {
    let whole =
        composite("Observation", &[("clinical-code", "code"), ("Observation-value-quantity", "value.as(Quantity)")]);
    let element = composite(
        "Observation.component",
        &[("clinical-code", "code"), ("Observation-value-quantity", "value.as(Quantity)")],
    );
    for (resource, parts) in [(whole, "whole"), (element, "element")] {
        let registry = Registry::with_profiles(&[resource]).unwrap();
        let param = registry.param(known("Observation"), "pair").unwrap();
        let found = match &param.parts[0] {
            Part::Whole(components) => {
                let slots: Vec<_> = components.iter().map(|c| c.uses[0].slot.to_string()).collect();
                assert_eq!(slots[0], "code", "R4's own rows");
                assert!(slots[1].starts_with("pair.1~"), "R4's value-quantity is SampledData, too: {slots:?}");
                "whole"
            }
            Part::Element { slot, .. } => {
                assert!(slot.starts_with("pair~"), "{slot}");
                "element"
            }
        };
        assert_eq!(found, parts);
    }
    for (bad, reason) in [
        (composite("Observation.component", &[("nope", "code"), ("clinical-code", "code")]), "no search parameter"),
        (
            composite("Observation.component", &[("Observation-value-quantity", "value"), ("clinical-code", "code")]),
            "first component is a token",
        ),
        (composite("Observation.component", &[("clinical-code", "code")]), "at least two"),
    ] {
        let error = Registry::with_profiles(&[bad]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn rows_of_another_definition_have_another_name() {
    let of = |expression: &str| {
        let resource = serde_json::json!({"resourceType": "SearchParameter", "url": "http://x/sp", "code": "x",
            "base": ["Patient"], "type": "string", "expression": expression});
        let extra = super::Extra { name: "x".into(), resource: resource.into(), building: None };
        Registry::with_extras(&[extra]).slots.remove(0)
    };
    assert_eq!(of("Patient.contact.name"), of("Patient.contact.name"));
    assert_ne!(of("Patient.contact.name"), of("Patient.contact.address"));
    assert_eq!(of("Patient.birthDate").len(), 1);
    assert!(of("Patient.name.given").is_empty(), "R4 has these rows");
}

#[test]
fn a_parameter_that_is_being_built_is_extracted_and_cannot_be_searched() {
    use crate::search::query::{self, Handling};
    use crate::search::{Env, Keys};
    let building = std::sync::Arc::new(super::Building::default());
    building.set(42, 100);
    let resource = serde_json::json!({"resourceType": "SearchParameter", "url": "http://x/sp", "code": "x",
        "base": ["Patient"], "type": "reference", "target": ["Organization"], "expression": "Patient.contact.organization"});
    let extra = super::Extra { name: "x".into(), resource: resource.into(), building: Some(building) };
    let registry = Registry::with_extras(&[extra]).registry;
    let (keys, env) = (Keys(1, 2), Env::utc("http://own.example/fhir"));
    let ask = |rtype, name: &str, value: &str| {
        let pairs = [(name.to_string(), value.to_string())];
        query::parse(&registry, &keys, &[known(rtype)], &pairs, &env, Handling::Lenient).map(|_| ())
    };
    for (rtype, name, value) in [
        ("Patient", "x", "1"),
        ("Patient", "x:missing", "true"),
        ("Patient", "_sort", "-x"),
        ("Patient", "x.name", "a"),
        ("Organization", "_has:Patient:x:name", "a"),
        ("Organization", "_revinclude", "Patient:x"),
        ("Organization", "_revinclude", "Patient:*"),
    ] {
        let error = ask(rtype, name, value).unwrap_err();
        assert_eq!((error.kind.status(), error.issues[0].code), (503, "transient"), "{name}={value}: {error}");
        assert!(error.to_string().contains("42 %"), "{error}");
    }
    assert!(ask("Patient", "_include", "Patient:x").is_ok(), "that is read out of the resource");
    assert_eq!(ask("Patient", "nonsense", "1").map_err(|e| e.kind.status()), Ok(()), "lenient");
    let patient: Json = serde_json::json!({"resourceType": "Patient", "name": [{"family": "a"}],
        "contact": [{"organization": {"reference": "Organization/1"}}]})
    .into();
    let all = registry.extract(&keys, &patient, &env);
    let new = registry.only_building().extract(&keys, &patient, &env);
    assert!(new.exact.iter().all(|k| all.exact.contains(k)));
    assert!(new.text.is_empty() && new.exact.len() > 1 && all.exact.len() > new.exact.len());
}

/// The table in the repository is what the tool makes of the official definitions.
///
/// R4 searchparameter.html: The table of search parameters is what the official definitions give.
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
