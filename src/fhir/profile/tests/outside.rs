//! Profiles of types and targets, content references, invariants, extensions.

use super::*;

/// R4 elementdefinition.html: Profiles of a type, of a reference's target, content references and invariants are held.
/// R4 extensibility.html: Extensions are held against their definitions and their context; unknown modifier extensions
/// are refused.
/// R4 profiling.html: A derived profile asks what its base asks.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn what_is_asked_through_other_definitions() {
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
    let patient = json!({"resourceType": "Patient"});
    let questionnaire = json!({"resourceType": "Questionnaire", "status": "draft"});
    good_and_bad(vec![
        (
            "the profile of a type",
            &patient,
            json!([["Patient.generalPractitioner", {}], ["Patient.name", {"type": [{"code": "HumanName", "profile": ["http://x.example/Full"]}]}]]),
            json!({"name": [{"family": "a"}]}),
            json!({"name": [{"text": "a"}]}),
            "Patient.name[0].family",
        ),
        (
            "the type of a target",
            &patient,
            json!([["Patient.generalPractitioner", {"type": [{"code": "Reference", "targetProfile": [r4("Organization")]}]}]]),
            json!({"generalPractitioner": [{"reference": "Organization/1"}]}),
            json!({"generalPractitioner": [{"reference": "Practitioner/1"}]}),
            "Patient.generalPractitioner[0]",
        ),
        (
            "the profile of a target",
            &observation,
            json!([["Observation.subject", {"type": [{"code": "Reference", "targetProfile": ["http://x.example/Named"]}]}]]),
            json!({"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": "a"}]}]}),
            json!({"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}),
            "Observation.subject",
        ),
        (
            "a content reference",
            &questionnaire,
            json!([["Questionnaire.item.text", {"min": 1}]]),
            json!({"item": [{"linkId": "1", "type": "group", "text": "a", "item": [{"linkId": "2", "type": "string", "text": "b"}]}]}),
            json!({"item": [{"linkId": "1", "type": "group", "text": "a", "item": [{"linkId": "2", "type": "group", "text": "b", "item": [{"linkId": "3", "type": "string"}]}]}]}),
            "Questionnaire.item[0].item[0].item[0].text",
        ),
        (
            "a content reference that says itself what is inside",
            &json!({"resourceType": "Parameters"}),
            json!([["Parameters.parameter.part", {"min": 1, "slicing": {"discriminator": [{"type": "value", "path": "name"}], "rules": "open"}}], ["Parameters.parameter.part:a", {"min": 1}], ["Parameters.parameter.part:a.name", {"fixedString": "a"}], ["Parameters.parameter.part:a.value[x]", {"min": 1}]]),
            json!({"parameter": [{"name": "x", "part": [{"name": "a", "valueString": "y"}]}]}),
            json!({"parameter": [{"name": "x", "part": [{"name": "b", "valueString": "y"}]}]}),
            "Parameters.parameter[0].part",
        ),
        (
            "an invariant",
            &patient,
            json!([["Patient.contact", {"constraint": [{"key": "x-1", "severity": "error", "human": "Somebody has a name", "expression": "name.exists()"}]}]]),
            json!({"contact": [{"name": {"text": "a"}}]}),
            json!({"contact": [{"gender": "male"}]}),
            "Patient.contact[0]",
        ),
        (
            "an extension that is asked for",
            &patient,
            json!([["Patient.extension:born", {"min": 1, "type": [{"code": "Extension", "profile": [r4("patient-birthPlace")]}]}]]),
            json!({"extension": [{"url": r4("patient-birthPlace"), "valueAddress": {"city": "a"}}]}),
            json!({}),
            "Patient.extension",
        ),
        (
            "an extension by its definition",
            &patient,
            json!([]),
            json!({"extension": [{"url": r4("patient-birthPlace"), "valueAddress": {"city": "a"}}]}),
            json!({"extension": [{"url": r4("patient-birthPlace"), "valueString": "a"}]}),
            "Patient.extension[0].value",
        ),
        (
            "where an extension stands",
            &patient,
            json!([]),
            json!({"extension": [{"url": "urn:own", "valueString": "not known"}]}),
            json!({"name": [{"text": "a", "extension": [{"url": r4("patient-birthPlace"), "valueAddress": {"city": "a"}}]}]}),
            "Patient.name[0].extension[0]",
        ),
        (
            "extensions in extensions",
            &patient,
            json!([]),
            json!({"extension": [{"url": r4("patient-citizenship"), "extension": [{"url": "code", "valueCodeableConcept": {"text": "a"}}]}]}),
            json!({"extension": [{"url": r4("patient-citizenship"), "extension": [{"url": "code", "valueString": "a"}]}]}),
            "Patient.extension[0].extension[0].value",
        ),
        (
            "modifier extensions",
            &patient,
            json!([]),
            json!({}),
            json!({"modifierExtension": [{"url": "urn:not", "valueBoolean": true}]}),
            "Patient.modifierExtension[0]",
        ),
    ]);
}

/// R4 fhirpath.html#variables: `%resource` is the resource that holds the element, `%rootResource` the one that contains that; a rule on
/// `Bundle.entry.resource` is a rule of the Bundle.
#[test]
fn an_invariant_knows_the_resource_around_and_the_one_around_that() {
    let rule = |types: [&str; 3]| {
        let [context, resource, root] = types;
        let expression = format!(
            "%context.type().name = '{context}' and %resource.type().name = '{resource}' and %rootResource.type().name = '{root}'"
        );
        json!({"constraint": [{"key": "x-1", "severity": "error", "human": "h", "expression": expression}]})
    };
    let doctor = json!({"resourceType": "Practitioner", "id": "d", "name": [{"text": "a"}]});
    let patient =
        json!({"resourceType": "Patient", "contained": [doctor], "generalPractitioner": [{"reference": "#d"}]});
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]});
    let named = profile(
        "Patient",
        "http://x.example/Own",
        &r4("Patient"),
        &json!([["Patient", rule(["Patient", "Patient", "Patient"])]]),
    );
    for (rtype, rows, resource) in [
        (
            "Bundle",
            json!([
                ["Bundle.entry.resource", rule(["Patient", "Bundle", "Bundle"])],
                ["Bundle.entry.resource.generalPractitioner", rule(["Reference", "Patient", "Patient"])]
            ]),
            &bundle,
        ),
        (
            "Bundle",
            json!([["Bundle.entry.resource", {"type": [{"code": "Patient", "profile": ["http://x.example/Own"]}]}]]),
            &bundle,
        ),
        (
            "Patient",
            json!([["Patient.contained", {"type": [{"code": "Practitioner"}], "constraint": rule(["Practitioner", "Patient", "Patient"])["constraint"]}],
                ["Patient.contained.name", rule(["HumanName", "Practitioner", "Patient"])],
                ["Patient.generalPractitioner", rule(["Reference", "Patient", "Patient"])]]),
            &patient,
        ),
    ] {
        let profiles = compiled(&[named.clone(), profile(rtype, PROFILE, &r4(rtype), &rows)]);
        assert_eq!(errors_of(&profiles, resource, &[PROFILE]), Vec::<String>::new(), "{rows}");
    }
    let wrong = profile(
        "Bundle",
        PROFILE,
        &r4("Bundle"),
        &json!([["Bundle.entry.resource", rule(["Patient", "Patient", "Bundle"])]]),
    );
    assert_eq!(errors_of(&compiled(&[wrong]), &bundle, &[PROFILE]), ["Bundle.entry[0].resource"]);
}

/// R4 elementdefinition.html: A broken invariant of a profile says what was found, what it asks for and what to do.
#[test]
fn a_broken_invariant_says_what_was_found() {
    let rows = json!([["Patient.contact", {"constraint": [{"key": "x-1", "severity": "error", "human": "Somebody has a name.", "expression": "name.exists() or gender = 'other'"}]}]]);
    let profiles = compiled(&[profile("Patient", PROFILE, &r4("Patient"), &rows)]);
    let body = json!({"resourceType": "Patient", "contact": [{"gender": "male", "organization": {"display": "x"}}]});
    let found = profiles.check(&body.into(), &[PROFILE], &|_| None);
    let said: Vec<_> = found.iter().map(|i| (&*i.expression, &*i.rule, &*i.diagnostics)).collect();
    let told = "found gender \"male\", without name; expected: Somebody has a name (x-1); change the element so that this holds";
    assert_eq!(said, [("Patient.contact[0]", "x-1: Somebody has a name.", told)]);
}
