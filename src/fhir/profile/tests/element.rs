//! Cardinality, types, values, codes.

use super::*;

/// R4 profiling.html#cardinality: min and max, inside data types and choices, are held.
/// R4 elementdefinition.html: Fixed values and patterns, least and greatest value, length, types of a choice are held.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn what_is_asked_of_an_element() {
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
    let patient = json!({"resourceType": "Patient"});
    let coding = |code: &str| json!({"coding": [{"system": "urn:s", "code": code}]});
    good_and_bad(vec![
        (
            "min",
            &patient,
            json!([["Patient.name", {"min": 1}]]),
            json!({"name": [{"text": "a"}]}),
            json!({}),
            "Patient.name",
        ),
        (
            "min 2",
            &patient,
            json!([["Patient.name", {"min": 2}]]),
            json!({"name": [{"text": "a"}, {"text": "b"}]}),
            json!({"name": [{"text": "a"}]}),
            "Patient.name",
        ),
        (
            "max",
            &patient,
            json!([["Patient.name", {"max": "1"}]]),
            json!({"name": [{"text": "a"}]}),
            json!({"name": [{"text": "a"}, {"text": "b"}]}),
            "Patient.name",
        ),
        (
            "max 0",
            &patient,
            json!([["Patient.photo", {"max": "0"}]]),
            json!({}),
            json!({"photo": [{"url": "urn:a"}]}),
            "Patient.photo[0]",
        ),
        (
            "min inside",
            &patient,
            json!([["Patient.contact.name", {"min": 1}]]),
            json!({"contact": [{"name": {"text": "a"}}]}),
            json!({"contact": [{"gender": "male"}]}),
            "Patient.contact[0].name",
        ),
        (
            "inside a data type",
            &patient,
            json!([["Patient.name.family", {"min": 1}]]),
            json!({"name": [{"family": "a"}]}),
            json!({"name": [{"text": "a"}]}),
            "Patient.name[0].family",
        ),
        (
            "a primitive of extensions alone is there",
            &patient,
            json!([["Patient.birthDate", {"min": 1}]]),
            json!({"_birthDate": {"extension": [{"url": "urn:a", "valueCode": "b"}]}}),
            json!({}),
            "Patient.birthDate",
        ),
        (
            "fixed",
            &patient,
            json!([["Patient.gender", {"fixedCode": "male"}]]),
            json!({"gender": "male"}),
            json!({"gender": "female"}),
            "Patient.gender",
        ),
        (
            "fixed complex",
            &observation,
            json!([["Observation.code", {"fixedCodeableConcept": coding("a")}]]),
            json!({"code": coding("a")}),
            json!({"code": with(&coding("a"), &json!({"text": "more"}))}),
            "Observation.code",
        ),
        (
            "pattern",
            &observation,
            json!([["Observation.code", {"patternCodeableConcept": coding("a")}]]),
            json!({"code": with(&coding("a"), &json!({"text": "more"}))}),
            json!({"code": coding("b")}),
            "Observation.code.coding",
        ),
        (
            "types of a choice",
            &observation,
            json!([["Observation.value[x]", {"type": [{"code": "Quantity"}]}]]),
            json!({"valueQuantity": {"value": 1}}),
            json!({"valueString": "a"}),
            "Observation.value",
        ),
        (
            "min of a choice",
            &observation,
            json!([["Observation.value[x]", {"min": 1}]]),
            json!({"valueString": "a"}),
            json!({}),
            "Observation.value",
        ),
        (
            "one type of a choice",
            &observation,
            json!([["Observation.value[x]:valueQuantity", {}], ["Observation.value[x]:valueQuantity.code", {"min": 1}]]),
            json!({"valueQuantity": {"value": 1, "code": "g"}}),
            json!({"valueQuantity": {"value": 1}}),
            "Observation.value.code",
        ),
        (
            "least",
            &observation,
            json!([["Observation.value[x]", {"type": [{"code": "integer"}], "minValueInteger": 3}]]),
            json!({"valueInteger": 3}),
            json!({"valueInteger": 2}),
            "Observation.value",
        ),
        (
            "most",
            &patient,
            json!([["Patient.birthDate", {"maxValueDate": "2020-01-01"}]]),
            json!({"birthDate": "2020"}),
            json!({"birthDate": "2020-01-02"}),
            "Patient.birthDate",
        ),
        (
            "length",
            &patient,
            json!([["Patient.name.family", {"maxLength": 3}]]),
            json!({"name": [{"family": "äöü"}]}),
            json!({"name": [{"family": "abcd"}]}),
            "Patient.name[0].family",
        ),
        (
            "required code",
            &observation,
            json!([["Observation.code", {"binding": {"strength": "required", "valueSet": "urn:set"}}]]),
            json!({"code": coding("in")}),
            json!({"code": coding("out")}),
            "Observation.code",
        ),
        (
            "an additional binding",
            &observation,
            json!([["Observation.code", {"binding": {"strength": "example", "valueSet": "urn:any", "extension": [{
                "url": "http://hl7.org/fhir/tools/StructureDefinition/additional-binding", "extension": [
                    {"url": "purpose", "valueCode": "required"}, {"url": "valueSet", "valueCanonical": "urn:set"}]}]}}]]),
            json!({"code": coding("in")}),
            json!({"code": coding("out")}),
            "Observation.code",
        ),
        (
            "required, words alone",
            &observation,
            json!([["Observation.code", {"binding": {"strength": "required", "valueSet": "urn:set"}}]]),
            json!({"code": coding("in")}),
            json!({"code": {"text": "a"}}),
            "Observation.code",
        ),
    ]);
}
