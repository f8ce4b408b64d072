//! Real data against the rules: what is refused is listed here with the reason, and nothing else is.

use super::*;
use crate::fhir::json::parse;
use std::collections::BTreeMap;
use std::io::Read;

/// Files below the folder of real data.
pub(super) const RESOURCES: [&str; 9] = [
    "r4-examples",
    "discharges-providers",
    "discharges",
    "ig/davinci-alerts",
    "ig/us-core",
    "ig/ips",
    "ig/sdoh",
    "ig/sdc",
    "ig/nhs-eps",
];

/// The JSON values of `name`.ndjson.gz, one a line; `None` without data. Each comes back as it was, digit for digit.
pub(in crate::fhir) fn lines(name: &str) -> Option<Vec<Json>> {
    let Some(data) = std::env::var_os("BATON_TEST_DATA") else {
        println!("skipped: BATON_TEST_DATA names no data");
        return None;
    };
    let file = std::fs::File::open(std::path::Path::new(&data).join(format!("{name}.ndjson.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let values = text.lines().map(|line| {
        let json = parse(line.as_bytes()).unwrap();
        let written = json.to_string();
        // The lines have no white space between tokens: only escapes may differ.
        assert!(written == line || (line.contains('\\') && parse(written.as_bytes()).unwrap() == json));
        json
    });
    Some(values.collect())
}

/// `Type/id` → expressions of its issues, each once.
fn refused(names: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for json in names.iter().filter_map(|name| lines(name)).flatten() {
        for issue in resource(&json) {
            let list = found.entry(format!("{}/{}", json["resourceType"].text(), json["id"].text())).or_default();
            println!("{}: {}", issue.expression, issue.diagnostics);
            if list.last() != Some(&issue.expression) {
                list.push(issue.expression);
            }
        }
    }
    found
}

fn expect(names: &[&str], expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, Vec<String>> =
        expected.iter().map(|(id, at)| ((*id).to_owned(), vec![(*at).to_owned()])).collect();
    if lines(names[0]).is_some() {
        assert_eq!(refused(names), expected);
    }
}

/// R4 validation.html: Official examples, published guides and real discharges are accepted, but for those that break
/// R4.
#[test]
fn official_examples_guides_and_discharges_are_accepted_but_for_the_invalid_ones() {
    expect(
        &RESOURCES,
        &[
            // txt-2: narratives without any content.
            ("ActivityDefinition/heart-valve-replacement", "ActivityDefinition.text.div"),
            ("Questionnaire/zika-virus-exposure-assessment", "Questionnaire.text.div"),
            // The fullUrl names Patient/pat12, the resource is Patient/pat2: R4 says that they shall not disagree.
            ("Bundle/10bb101f-a121-4264-a920-67be9cb82c74", "Bundle.entry[2].fullUrl"),
            // R4 lists no Encounter among the performers of an Observation.
            ("Observation/clinical-gender", "Observation.performer[0].reference"),
        ],
    );
}

/// R4 validation.html: Records of Synthea are accepted.
#[test]
fn synthea_records_are_accepted() {
    expect(&["synthea/providers-2025", "synthea/patients-2019", "synthea/patients-2025"], &[]);
}

/// R4 validation.html: R4's own definitions are accepted.
#[test]
fn the_official_definitions_are_accepted_but_for_the_invalid_ones() {
    const NO_BASE: [&str; 10] = [
        "SearchParameter/codesystem-extensions-CodeSystem-author",
        "SearchParameter/codesystem-extensions-CodeSystem-effective",
        "SearchParameter/codesystem-extensions-CodeSystem-end",
        "SearchParameter/codesystem-extensions-CodeSystem-keyword",
        "SearchParameter/codesystem-extensions-CodeSystem-workflow",
        "SearchParameter/valueset-extensions-ValueSet-author",
        "SearchParameter/valueset-extensions-ValueSet-effective",
        "SearchParameter/valueset-extensions-ValueSet-end",
        "SearchParameter/valueset-extensions-ValueSet-keyword",
        "SearchParameter/valueset-extensions-ValueSet-workflow",
    ];
    let mut expected: Vec<(&str, &str)> = NO_BASE.iter().map(|id| (*id, "SearchParameter.base")).collect();
    // 66 characters.
    expected.push((
        "SearchParameter/questionnaireresponse-extensions-QuestionnaireResponse-item-subject",
        "SearchParameter.id",
    ));
    // Logical models that are not abstract and have no base (sdf-4).
    for id in ["Definition", "Event", "FiveWs", "Request"].map(|name| format!("StructureDefinition/{name}")) {
        expected.push((id.leak(), "StructureDefinition"));
    }
    let names = [
        "searchparameters",
        "operationdefinitions",
        "capabilitystatements",
        "conceptmaps",
        "valuesets",
        "structuredefinitions",
        "codesystems",
        "profiles-extensions",
    ];
    expect(&names.map(|name| format!("r4-definitions/{name}")).each_ref().map(String::as_str), &expected);
}
