use super::*;
use crate::fhir::profile::Loader;
use serde_json::{Value, json};

const GUIDE: &str = "http://x.example/StructureDefinition/named";

fn profiles() -> Profiles {
    let mut loader = Loader::new();
    let parameter = |name: &str, max: &str, rtype: &str| {
        let id = format!("Parameters.parameter:{name}");
        vec![
            json!({"id": id, "path": "Parameters.parameter", "sliceName": name, "min": 1, "max": max}),
            json!({"id": format!("{id}.name"), "path": "Parameters.parameter.name", "fixedString": name}),
            json!({"id": format!("{id}.resource"), "path": "Parameters.parameter.resource", "type": [{"code": rtype}]}),
        ]
    };
    let mut inside = vec![json!({"id": "Parameters.parameter", "path": "Parameters.parameter",
        "slicing": {"discriminator": [{"type": "value", "path": "name"}], "rules": "open"}})];
    inside.extend(parameter("subject", "1", "Patient"));
    for definition in [
        definition(
            "Patient",
            GUIDE,
            "Patient",
            json!([{"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "2"}]),
        ),
        definition("Parameters", "http://x.example/StructureDefinition/in", "Parameters", json!(inside)),
        json!({"resourceType": "ImplementationGuide", "global": [{"type": "Patient", "profile": GUIDE}]}),
    ] {
        loader.add("test", &definition.into());
    }
    loader.compile().0
}

fn definition(rtype: &str, url: &str, base: &str, elements: Value) -> Value {
    let base =
        if base.contains(':') { base.to_owned() } else { format!("http://hl7.org/fhir/StructureDefinition/{base}") };
    json!({"resourceType": "StructureDefinition", "url": url, "name": "X", "status": "draft", "kind": "resource", "abstract": false,
        "type": rtype, "baseDefinition": base, "derivation": "constraint", "differential": {"element": elements}})
}

fn parameter(url: &str) -> Option<Parameter> {
    let organization = ResourceType::parse("Organization")?;
    (url == "http://hl7.org/fhir/SearchParameter/Organization-name")
        .then(|| Parameter { kind: "string", bases: vec![organization] })
}

/// Key of the rule and place.
fn found(resource: &Value, rules: &Rules) -> Vec<String> {
    let profiles = profiles();
    let known = Known { rules, profiles: &profiles, parameter: &parameter };
    let issues = super::resource(&resource.clone().into(), &known);
    let key = |i: &Issue| match i.rule.split_once(':') {
        Some((key, _)) => key.to_owned(),
        None => i
            .profile
            .as_deref()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .split('|')
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    issues.iter().map(|i| format!("{} {}", key(i), i.expression)).collect()
}

fn document(composition: &Value, url: &str) -> Value {
    let first = json!({"fullUrl": url, "resource": composition});
    let patient = |version: &str| {
        json!({"fullUrl": "http://a.b/Patient/1", "resource": {"resourceType": "Patient", "id": "1",
        "meta": {"versionId": version}, "name": [{"text": "a"}]}})
    };
    json!({"resourceType": "Bundle", "type": "document", "entry": [first, patient("1"),
        {"fullUrl": "http://a.b/Group/1", "resource": {"resourceType": "Group", "id": "1"}},
        {"fullUrl": "http://a.b/Group/1", "resource": {"resourceType": "Group", "id": "1", "meta": {"versionId": "2"}}}]})
}

/// A resource that has nothing to say against it, the same with a fault, and what is said of that.
///
/// R4 bundle.html#references: In a document or message a reference leads to one entry, by the address beside its own.
/// R4 documents.html#bundle: What a Composition refers to is in the Bundle.
/// R4 element.html#id: Ids of elements are unique in their resource.
/// R4 datatypes.html#Attachment: The size of an attachment is that of its data.
/// R4 searchparameter.html: A search parameter agrees with what it is derived from.
/// R4 operationdefinition.html: The profile of an operation's parameters agrees with its list of them.
/// R4 profiling.html: A posted profile that could not be compiled, or widens its base, is told.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn each_rule_passes_a_good_resource_and_names_the_fault_of_a_bad_one() {
    let named = json!([{"text": "a"}]);
    let parameters = |derived: &str, kind: &str, base: &str| json!({"resourceType": "SearchParameter", "type": kind, "base": [base], "derivedFrom": derived});
    let name = "http://hl7.org/fhir/SearchParameter/Organization-name";
    let capability = |kind: &str| {
        json!({"resourceType": "CapabilityStatement", "rest": [{"resource": [{"type": "Organization",
            "searchParam": [{"name": "name", "definition": name, "type": kind}]}]}]})
    };
    let composition = |subject: &str, entry: &str| json!({"resourceType": "Composition", "id": "c", "subject": {"reference": subject}, "section": [{"section": [{"entry": [{"reference": entry}]}]}]});
    let at = "http://a.b/Composition/c";
    let search = |mode: &str, resource: Value| json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"search": {"mode": mode}, "resource": resource}]});
    let links = |kind: &str, relations: &[&str]| {
        let links: Vec<Value> = relations.iter().map(|r| json!({"relation": r, "url": "http://a.b"})).collect();
        json!({"resourceType": "Bundle", "type": kind, "link": links})
    };
    let narrative = |div: &str| json!({"resourceType": "Group", "text": {"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>")}});
    let operation = |min: i32, max: &str, rtype: &str| {
        json!({"resourceType": "OperationDefinition", "inputProfile": "http://x.example/StructureDefinition/in",
            "parameter": [{"name": "subject", "use": "in", "min": min, "max": max, "type": rtype}]})
    };
    let sd = |element: Value| definition("Patient", "http://x.example/d", GUIDE, json!([element]));
    let vital = |value: Value| {
        let mut weight = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2024-01-01"});
        weight["valueQuantity"] = value;
        weight
    };
    for (good, bad, says) in [
        (
            json!({"resourceType": "Patient", "name": [{"id": "a", "text": "a"}, {"id": "b", "text": "a"}]}),
            json!({"resourceType": "Patient", "name": [{"id": "a", "text": "a"}, {"id": "a", "text": "a"}]}),
            "element-id Patient.name[1].id",
        ),
        (
            json!({"resourceType": "Media", "content": {"data": "aGVsbG8=", "size": 5}}),
            json!({"resourceType": "Media", "content": {"data": "aGVsbG8=", "size": 6}}),
            "attachment-size Media.content.size",
        ),
        (
            json!({"resourceType": "Group", "code": {"coding": [{"system": "urn:s", "code": "a"}]}}),
            json!({"resourceType": "Group", "code": {"coding": [{"system": "s", "code": "a"}]}}),
            "code-system Group.code.coding[0].system",
        ),
        (
            json!({"resourceType": "Group", "code": {"coding": [{"system": "http://a.b/CodeSystem/s", "code": "a"}]}}),
            json!({"resourceType": "Group", "code": {"coding": [{"system": "http://a.b/ValueSet/s", "code": "a"}]}}),
            "code-system Group.code.coding[0].system",
        ),
        (
            json!({"resourceType": "Group", "name": "a < b"}),
            json!({"resourceType": "Group", "name": "a <b>b</b>"}),
            "markup Group.name",
        ),
        (
            json!({"resourceType": "ValueSet", "url": "http://a.b/c"}),
            json!({"resourceType": "ValueSet", "url": "http://www.example.com/c"}),
            "example-url ValueSet.url",
        ),
        (
            narrative("<p id=\"x\">a</p><a href=\"#x\">b</a>"),
            narrative("<p id=\"x\">a</p><a href=\"#y\">b</a>"),
            "narrative-link Group.text.div",
        ),
        (links("searchset", &["self", "next"]), links("searchset", &["self", "self"]), "bundle-link Bundle.link[1]"),
        (links("document", &["self"]), links("document", &["first"]), "bundle-link Bundle.link[0].relation"),
        (
            search("match", json!({"resourceType": "Group", "id": "1"})),
            search("match", json!({"resourceType": "Group"})),
            "search-result Bundle.entry[0].resource",
        ),
        (
            search("outcome", json!({"resourceType": "OperationOutcome"})),
            search("outcome", json!({"resourceType": "Group", "id": "1"})),
            "search-result Bundle.entry[0].resource",
        ),
        (
            document(&composition("Patient/1", "Patient/1/_history/1"), at),
            document(&composition("Patient/1", "Patient/1/_history/2"), at),
            "document-reference Bundle.entry[0].resource.section[0].section[0].entry[0]",
        ),
        (
            document(&composition("http://a.b/Patient/1", "Patient/1"), at),
            document(&composition("http://a.c/Patient/1", "Patient/1"), at),
            "document-reference Bundle.entry[0].resource.subject",
        ),
        (
            document(&composition("Patient/1", "Group/1/_history/2"), at),
            document(&composition("Patient/1", "Group/1"), at),
            "ambiguous-reference Bundle.entry[0].resource.section[0].section[0].entry[0]",
        ),
        (
            json!({"resourceType": "SearchParameter", "type": "composite", "component": [{}, {}]}),
            json!({"resourceType": "SearchParameter", "type": "composite", "component": [{}]}),
            "search-parameter SearchParameter.component",
        ),
        (
            parameters(name, "string", "Organization"),
            parameters(name, "token", "Organization"),
            "search-parameter SearchParameter.type",
        ),
        (
            parameters(name, "string", "Organization"),
            parameters(name, "string", "Patient"),
            "search-parameter SearchParameter.base[0]",
        ),
        (
            capability("string"),
            capability("date"),
            "capability-parameter CapabilityStatement.rest[0].resource[0].searchParam[0].type",
        ),
        (
            operation(1, "1", "Patient"),
            operation(0, "1", "Patient"),
            "operation-profile OperationDefinition.inputProfile",
        ),
        (
            operation(1, "1", "Resource"),
            operation(1, "*", "Resource"),
            "operation-profile OperationDefinition.inputProfile",
        ),
        (
            operation(1, "1", "Patient"),
            operation(1, "1", "Group"),
            "operation-profile OperationDefinition.inputProfile",
        ),
        (
            sd(json!({"id": "Patient.name", "path": "Patient.name", "max": "1"})),
            sd(json!({"id": "Patient.name", "path": "Patient.name", "max": "3"})),
            "profile-definition StructureDefinition.differential.element[0]",
        ),
        (
            sd(json!({"id": "Patient.photo", "path": "Patient.photo", "min": 1})),
            sd(json!({"id": "Patient.foto", "path": "Patient.foto", "min": 1})),
            "profile-definition StructureDefinition.differential.element[0]",
        ),
        (
            sd(
                json!({"path": "Patient.name", "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "use"}]}}),
            ),
            sd(
                json!({"path": "Patient.name", "slicing": {"rules": "open", "discriminator": [{"type": "value", "path": "kind"}]}}),
            ),
            "profile-definition StructureDefinition.differential.element[0].slicing.discriminator[0]",
        ),
        (
            json!({"resourceType": "Patient", "name": named}),
            json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}]}),
            "named Bundle.entry[0].resource.name",
        ),
        (
            vital(json!({"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"})),
            vital(json!({"value": 70, "unit": "kg"})),
            "bodyweight Observation.value.system",
        ),
    ] {
        assert_eq!(found(&good, &Rules::default()), Vec::<String>::new(), "{good}");
        let issues = found(&bad, &Rules::default());
        assert!(issues.iter().any(|i| i.starts_with(says)), "{bad}: {issues:?}");
    }
}

#[test]
fn a_site_says_how_bad_a_rule_is() {
    let patient = json!({"resourceType": "Patient", "name": [{"text": "<b>a</b>"}], "extension": [{"url": "http://a.b/not-known", "valueCode": "a"}]});
    let mut rules = Rules::default();
    assert_eq!(found(&patient, &rules), ["markup Patient.name[0].text"]);
    assert!(rules.set("markup", None) && rules.set("unknown-extension", Some(Severity::Error)));
    assert_eq!(found(&patient, &rules), ["unknown-extension Patient.extension[0]"]);
    assert!(!rules.set("no-such-rule", None));
}

#[test]
fn rules_stand_in_the_order_of_their_keys() {
    assert!(RULES.windows(2).all(|pair| pair[0].key < pair[1].key));
}
