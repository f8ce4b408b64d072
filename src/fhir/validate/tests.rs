use super::*;
use crate::fhir::json::parse;

fn issues(text: &str) -> Vec<String> {
    resource(&parse(text.as_bytes()).unwrap()).into_iter().map(|i| format!("{} {}", i.code, i.expression)).collect()
}

/// R4 validation.html: A good resource has no issue: contained, null-padded arrays, extensions of primitives.
#[test]
fn a_good_patient_has_no_issue() {
    let good = r##"{"resourceType":"Patient","id":"a","meta":{"tag":[{"code":"x"}]},
        "contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"},
        "name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://x","valueDecimal":2.50}]}]}],
        "gender":"female","birthDate":"1970-02-28","_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]},
        "deceasedBoolean":false,"generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"urn:uuid:x"},
          {"reference":"http://x.example/fhir/Practitioner/1","type":"Practitioner"},{"reference":"http://x.example/who?id=1","type":"Organization"},
          {"reference":"Organization/1","type":"http://hl7.org/fhir/StructureDefinition/Organization"},{"reference":"Organization/1","type":"Resource"}]}"##;
    assert_eq!(issues(good), Vec::<String>::new());
}

/// R4 validation.html: Structure: unknown elements, arrays where none belong, empty arrays and objects, wrong JSON
/// types, each at its element.
/// R4 validation.html: Cardinality and choices: missing elements, two types of one choice.
/// R4 terminologies.html#required: A code outside a required binding is refused.
/// R4 references.html: References of the wrong type, to unknown types and to contained resources that are not there
/// are refused.
/// R4 references.html#contained: Contained resources: not nested, referred to, without version.
/// R4 extensibility.html: An extension has a url, and a value or extensions, not both.
#[test]
fn each_rule_names_the_element_that_breaks_it() {
    for (body, expected) in [
        (r#""foo":1"#, "structure Patient.foo"),
        (r#""name":[{"famly":"x"}]"#, "structure Patient.name[0].famly"),
        (r#""name":{"family":"x"}"#, "structure Patient.name"),
        (r#""active":[true]"#, "structure Patient.active"),
        (r#""active":"true""#, "structure Patient.active"),
        (r#""gender":"femal""#, "code-invalid Patient.gender"),
        (r#""birthDate":"2024-02-30""#, "value Patient.birthDate"),
        (r#""birthDate":"""#, "value Patient.birthDate"),
        (r#""name":[]"#, "structure Patient.name"),
        (r#""name":[{}]"#, "structure Patient.name[0]"),
        (r#""name":[{"id":"a"}]"#, "invariant Patient.name[0]"),
        (r#""name":[null]"#, "structure Patient.name[0]"),
        (r#""name":[{"given":["a",null]}]"#, "structure Patient.name[0].given[1]"),
        (r#""name":[{"given":["a"],"_given":[{"id":"b"},{"id":"c"}]}]"#, "structure Patient.name[0].given"),
        (r#""name":[{"given":[null],"_given":[null]}]"#, "structure Patient.name[0].given[0]"),
        (r#""_name":{"id":"a"}"#, "structure Patient._name"),
        (r#""deceasedBoolean":true,"deceasedDateTime":"2024""#, "structure Patient.deceased"),
        (r#""deceasedString":"x""#, "structure Patient.deceasedString"),
        (r#""deceased":true"#, "structure Patient.deceased"),
        (r#""link":[{"type":"refer"}]"#, "required Patient.link[0].other"),
        (r#""id":"a_b""#, "value Patient.id"),
        (r#""extension":[{"valueCode":"x"}]"#, "required Patient.extension[0].url"),
        (r#""extension":[{"url":"http://x"}]"#, "invariant Patient.extension[0]"),
        (
            r#""extension":[{"url":"x","valueCode":"x","extension":[{"url":"x","valueCode":"x"}]}]"#,
            "invariant Patient.extension[0]",
        ),
        (r#""managingOrganization":{"reference":"Patient/1"}"#, "value Patient.managingOrganization.reference"),
        (r#""managingOrganization":{"reference":"Patient?a=b"}"#, "value Patient.managingOrganization.reference"),
        (r#""managingOrganization":{"reference":"Organisation/1"}"#, "value Patient.managingOrganization.reference"),
        (r#""managingOrganization":{"reference":"Organization/1/x"}"#, "value Patient.managingOrganization.reference"),
        // Absolute URLs name the type, too; so does Reference.type, with and without a literal.
        (
            r#""managingOrganization":{"reference":"http://x.example/fhir/Patient/1"}"#,
            "value Patient.managingOrganization.reference",
        ),
        (
            r#""managingOrganization":{"reference":"https://x.example/Patient/1/_history/2"}"#,
            "value Patient.managingOrganization.reference",
        ),
        (
            r#""managingOrganization":{"reference":"Organization/1","type":"Group"}"#,
            "value Patient.managingOrganization.type",
        ),
        (
            r#""managingOrganization":{"reference":"urn:uuid:x","type":"Foo"}"#,
            "value Patient.managingOrganization.type",
        ),
        (
            r#""managingOrganization":{"type":"Practitioner","identifier":{"value":"1"}}"#,
            "value Patient.managingOrganization.type",
        ),
        (r##""managingOrganization":{"reference":"#x"}"##, "not-found Patient.managingOrganization.reference"),
        (r#""contained":[{"resourceType":"Organization","id":"o","name":"x"}]"#, "invariant Patient.contained[0]"),
        (
            r##""contained":[{"resourceType":"Organization","id":"o","name":"x","contained":[]}],"managingOrganization":{"reference":"#o"}"##,
            "structure Patient.contained[0].contained",
        ),
        (
            r##""contained":[{"resourceType":"Organization","id":"o","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#o"}"##,
            "invariant Patient.contained[0].meta.versionId",
        ),
        (
            r##""contained":[{"resourceType":"Patient","id":"o","active":true}],"managingOrganization":{"reference":"#o"}"##,
            "value Patient.managingOrganization.reference",
        ),
        (r#""text":{"status":"generated","div":"<p>x</p>"}"#, "invalid Patient.text.div"),
        (r#""text":{"status":"generated"}"#, "required Patient.text.div"),
        (r#""photo":[{"contentType":"jpeg"}]"#, "code-invalid Patient.photo[0].contentType"),
        (r#""multipleBirthInteger":1.5"#, "value Patient.multipleBirth"),
    ] {
        let found = issues(&format!(r#"{{"resourceType":"Patient",{body}}}"#));
        assert!(found.iter().any(|i| i == expected), "{body}: {found:?}");
    }
}

/// R4 validation.html: Resources in Bundles and Parameters are validated, all issues at once.
#[test]
fn all_issues_come_at_once_through_nested_resources() {
    let found = issues(
        r#"{"resourceType":"Bundle","type":"colection","entry":[{"resource":{"resourceType":"Task","status":"done"}},
           {"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"X"}}]}}]}"#,
    );
    assert_eq!(
        found,
        [
            "code-invalid Bundle.type",
            "code-invalid Bundle.entry[0].resource.status",
            "required Bundle.entry[0].resource.intent",
            "structure Bundle.entry[1].resource.parameter[0].resource.resourceType",
        ]
    );
}

/// R4 references.html: In a Bundle a reference leads to the type of the entry that has its address as fullUrl.
#[test]
fn references_inside_a_bundle_lead_to_the_types_of_its_entries() {
    for (url, expected) in [
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", &["value Bundle.entry[1].resource.subject.reference"][..]),
        ("http://x.example/what/1", &["value Bundle.entry[1].resource.subject.reference"]),
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239521", &[]),
    ] {
        let text = r#"{"resourceType":"Bundle","type":"collection","entry":[
            {"fullUrl":"WRONG","resource":{"resourceType":"Practitioner","active":true}},
            {"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239522","resource":{"resourceType":"Observation","status":"final",
              "code":{"text":"x"},"subject":{"reference":"URL"}}},
            {"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239521","resource":{"resourceType":"Patient","active":true}}]}"#;
        let wrong = if expected.is_empty() { "urn:uuid:c757873d-ec9a-4326-a141-556f43239520" } else { url };
        assert_eq!(issues(&text.replace("WRONG", wrong).replace("URL", url)), expected, "{url}");
    }
}

#[test]
fn what_is_no_resource_is_refused() {
    for text in ["{}", "[]", "1", r#"{"resourceType":1}"#, r#"{"resourceType":"Patiemt"}"#] {
        assert_eq!(issues(text).len(), 1, "{text}");
    }
}
