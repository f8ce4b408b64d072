use super::*;
use crate::fhir::resource::RESOURCE_TYPES;

#[path = "../../../examples/definitions.rs"]
#[allow(dead_code)]
mod tool;

/// R4 structuredefinition.html: The tables of types, elements, codes and constraints are what the official definitions
/// of 4.0.1 give.
#[test]
fn the_tables_are_what_the_tool_makes_of_the_official_definitions() {
    let Ok(data) = std::env::var("BATON_TEST_DATA") else {
        println!("skipped: BATON_TEST_DATA names no data");
        return;
    };
    let tables = tool::tables(std::path::Path::new(&data)).unwrap();
    assert!(tables.elements == include_str!("elements.tsv"), "run cargo run --example definitions");
    assert!(tables.codes == include_str!("codes.tsv"), "run cargo run --example definitions");
    assert!(tables.concepts == include_str!("concepts.tsv"), "run cargo run --example definitions");
    assert!(tables.profiles == include_str!("profiles.ndjson"), "run cargo run --example definitions");
    assert!(tables.invariants == INVARIANTS, "run cargo run --example definitions");
}

#[test]
fn every_type_of_every_element_has_its_structure() {
    for name in RESOURCE_TYPES {
        assert_eq!(structure(name).map(|s| (s.name, s.kind)), Some((name, StructureKind::Resource)));
    }
    for structure in &DEFINITIONS.structures {
        assert!(structure.elements.len() <= 128, "{}", structure.name);
        for element in &structure.elements {
            assert!(!element.types.is_empty());
            for kind in &element.types {
                assert_ne!(kind.name(), "", "{}.{}", structure.name, element.name);
            }
        }
        assert!(structure.members.windows(2).all(|w| w[0].name != w[1].name), "{}", structure.name);
    }
}

#[test]
fn an_element_is_found_by_path_and_by_json_name() {
    let observation = structure("Observation").unwrap();
    let found = observation.member("valueQuantity").unwrap();
    assert_eq!((found.element.name, found.kind.name()), ("value", "Quantity"));
    assert!(observation.member("value").is_none() && observation.member("valueAddress").is_none());
    assert_eq!(element("Patient.contact.name.given").map(|e| e.many), Some(true));
    assert_eq!(element("Bundle.entry.link.url").map(|e| e.min), Some(1));
    assert_eq!(structure("Patient").and_then(|p| p.member("id")).map(|f| f.kind.name()), Some("id"));
    let subject = element("MedicationRequest.subject").unwrap();
    assert_eq!(subject.targets.iter().map(|t| t.as_str()).collect::<Vec<_>>(), ["Group", "Patient"]);
}

/// R4 terminologies.html#required: Codes of required bindings know their system.
#[test]
fn codes_know_their_system() {
    assert_eq!(implicit_system("Task.status"), Some("http://hl7.org/fhir/task-status"));
    assert_eq!(implicit_system("Patient.gender"), Some("http://hl7.org/fhir/administrative-gender"));
    assert_eq!(implicit_system("Attachment.contentType"), None);
    let category = code_set("detectedissue-category").unwrap();
    assert!(category.has("DUPTHPGEN") && category.has("COMPLY") && category.codes().count() == 82);
}

#[test]
fn code_systems_and_value_sets_of_the_tables_are_resources() {
    let gender = code_system("http://hl7.org/fhir/administrative-gender").unwrap();
    assert_eq!(gender["concept"][0]["display"].text(), "Male");
    let act = code_system("http://terminology.hl7.org/CodeSystem/v3-ActCode").unwrap();
    assert_eq!(
        (act["hierarchyMeaning"].text(), act["concept"][0]["property"][0]["code"].text()),
        ("is-a", "notSelectable")
    );
    assert!(!act["concept"][0]["concept"].items().is_empty(), "nested");
    let set = value_set("http://hl7.org/fhir/ValueSet/task-status").unwrap();
    assert_eq!(set["compose"]["include"][0]["system"].text(), "http://hl7.org/fhir/task-status");
    assert!(code_system("http://loinc.org").is_none() && value_set("http://hl7.org/fhir/ValueSet/x").is_none());
    for system in code_systems().filter(|s| *s != "http://unitsofmeasure.org") {
        assert!(code_system(system).is_some(), "{system}");
    }
}
