//! Value sets, names, and how profiles are found.

use super::*;

/// R4 terminologies.html#extensible: A required binding is an error, an extensible one a warning, a preferred one
/// nothing, an unknown set an information.
#[test]
fn an_extensible_binding_warns_and_an_unknown_set_informs() {
    for (strength, set, code, severity) in [
        ("extensible", "urn:set", "out", Some(Severity::Warning)),
        ("required", "urn:set", "out", Some(Severity::Error)),
        ("preferred", "urn:set", "out", None),
        ("required", "urn:far", "out", Some(Severity::Information)),
        ("extensible", "urn:set", "in", None),
    ] {
        let row = json!([["Observation.code", {"binding": {"strength": strength, "valueSet": set}}]]);
        let values = json!({"resourceType": "ValueSet", "url": "urn:set", "compose": {"include": [{"system": "urn:s", "concept": [{"code": "in"}]}]}});
        let profiles = compiled(&[profile("Observation", PROFILE, &r4("Observation"), &row), values.into()]);
        let resource = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "urn:s", "code": code}]}});
        let found = profiles.check(&resource.into(), &[PROFILE], &|_| None);
        assert_eq!(found.first().map(|i| i.severity), severity, "{strength} {set} {code}: {found:?}");
    }
}

/// R4 profiling.html: A derived profile narrows its base and reaches into its slices.
#[test]
fn a_derived_profile_narrows_its_base_and_reaches_into_its_slices() {
    let base = profile(
        "Patient",
        PROFILE,
        &r4("Patient"),
        &json!([
        ["Patient.identifier", {"slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}}],
        ["Patient.identifier:a", {}], ["Patient.identifier:a.system", {"fixedUri": "urn:a"}]]),
    );
    let derived = profile(
        "Patient",
        "http://x.example/D",
        &format!("{PROFILE}|1"),
        &json!([
        ["Patient.identifier:a", {"min": 1}], ["Patient.identifier:a.value", {"min": 1}], ["Patient.birthDate", {"min": 1}]]),
    );
    let profiles = compiled(&[derived, base]);
    let resource = json!({"resourceType": "Patient", "identifier": [{"system": "urn:a"}]});
    assert_eq!(errors_of(&profiles, &resource, &[PROFILE]), Vec::<String>::new());
    assert_eq!(
        errors_of(&profiles, &resource, &["http://x.example/D"]),
        ["Patient.identifier[0].value", "Patient.birthDate"]
    );
}

/// R4 profiling.html: A profile that contradicts itself or R4 is refused with its file.
#[test]
fn what_cannot_be_compiled_is_refused_with_its_file() {
    for (rtype, base, rows, says) in [
        (
            "Patient",
            "http://x.example/none".to_owned(),
            json!([["Patient.name", {"min": 1}]]),
            "not known here; add the package",
        ),
        ("Patient", PROFILE.to_owned(), json!([["Patient.name", {"min": 1}]]), "derived from this profile in turn"),
        ("Pation", r4("Patient"), json!([["Pation.name", {"min": 1}]]), "R4 has no type 'Pation'"),
        ("Patient", r4("Patient"), json!([["Group.name", {"min": 1}]]), "'Group.name' is no path from Patient"),
        (
            "Patient",
            r4("Patient"),
            json!([["Patient.name", {"min": 2, "max": "1"}]]),
            "Patient.name: min 2 is over max 1",
        ),
        ("Patient", r4("Patient"), json!([["Patient.name", {"max": "many"}]]), "max 'many' is neither"),
        (
            "Patient",
            r4("Patient"),
            json!([["Patient.name", {"slicing": {"discriminator": [{"type": "luck", "path": "a"}]}}]]),
            "no discriminator 'luck'",
        ),
        (
            "Patient",
            r4("Patient"),
            json!([["Patient.name", {"slicing": {"discriminator": [{"type": "value", "path": "where(a)"}]}}]]),
            "restricted FHIRPath",
        ),
    ] {
        let mut loader = Loader::new();
        loader.add("package.tgz!package/p.json", &profile(rtype, PROFILE, &base, &rows));
        let (profiles, complaints) = loader.compile();
        let fatal = complaints.iter().find(|c| c.is_fatal).unwrap_or_else(|| panic!("{says}"));
        assert!(fatal.text.contains(says) && fatal.file == "package.tgz!package/p.json", "{fatal:?}");
        assert!(profiles.find(PROFILE).is_none(), "what is refused is not in force");
    }
}

/// R4 references.html#canonical: A canonical without version means the highest that is there.
#[test]
fn the_first_of_a_canonical_stays_and_the_highest_version_is_meant() {
    let of = |version: &str, min: u8| {
        let mut one = profile("Patient", PROFILE, &r4("Patient"), &json!([["Patient.name", {"min": min}]]));
        one.set("version", version);
        one
    };
    let mut loader = Loader::new();
    for one in [of("9.0.0", 1), of("10.0.0", 2), of("10.0.0", 0), of("10.0.0-draft", 3)] {
        loader.add("a", &one);
    }
    let (profiles, complaints) = loader.compile();
    assert!(complaints.iter().any(|c| !c.is_fatal && c.text.contains("the first one stays")), "{complaints:?}");
    assert_eq!(profiles.find(PROFILE).and_then(|p| p.version.as_deref()), Some("10.0.0"));
    let one_name = json!({"resourceType": "Patient", "name": [{"text": "a"}]});
    assert_eq!(errors_of(&profiles, &one_name, &[PROFILE]), ["Patient.name"]);
    assert_eq!(errors_of(&profiles, &one_name, &[&format!("{PROFILE}|9.0.0")]), Vec::<String>::new());
    let unknown = format!("{PROFILE}|11");
    let found = profiles.check(&one_name.into(), &[&unknown], &|_| Some(Severity::Error));
    assert!(found[0].diagnostics.contains("known here as version 10.0.0, 10.0.0-draft, 9.0.0 only"), "{found:?}");
}

/// R4 profiling.html: Claims are heard in entries, Parameters and `contained`; a claim of a profile of another type is
/// an error.
#[test]
fn claims_are_heard_wherever_a_resource_stands() {
    let profiles = compiled(&[profile("Patient", PROFILE, &r4("Patient"), &json!([["Patient.name", {"min": 1}]]))]);
    let patient = json!({"resourceType": "Patient", "id": "p", "meta": {"profile": [PROFILE]}});
    let reference = json!({"reference": "#p"});
    for (resource, at) in [
        (patient.clone(), "Patient.name"),
        (
            json!({"resourceType": "Bundle", "type": "collection", "entry": [{}, {"resource": patient}]}),
            "Bundle.entry[1].resource.name",
        ),
        (
            json!({"resourceType": "Parameters", "parameter": [{"name": "a", "resource": patient}]}),
            "Parameters.parameter[0].resource.name",
        ),
        (
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}, "subject": reference, "contained": [patient]}),
            "Observation.contained[0].name",
        ),
        (json!({"resourceType": "Patient", "meta": {"profile": ["urn:nobody"]}}), "Patient.meta.profile[0]"),
        (json!({"resourceType": "Group", "meta": {"profile": [PROFILE]}}), "Group.meta.profile[0]"),
        (json!({"resourceType": "Group", "meta": {"profile": [r4("Patient")]}}), "Group.meta.profile[0]"),
    ] {
        assert_eq!(errors_of(&profiles, &resource, &[]), [at], "{resource}");
    }
    assert_eq!(
        errors_of(&profiles, &json!({"resourceType": "Group", "meta": {"profile": [r4("Group")]}}), &[]),
        Vec::<String>::new()
    );
}

/// R4 operationoutcome.html: The profile that complains is named.
#[test]
fn the_profile_that_complains_is_named() {
    let profiles = compiled(&[profile("Patient", PROFILE, &r4("Patient"), &json!([["Patient.name", {"min": 1}]]))]);
    let found = profiles.check(&json!({"resourceType": "Patient"}).into(), &[PROFILE], &|_| None);
    assert_eq!(found.first().and_then(|i| i.profile.as_deref()), Some("http://x.example/P|1"));
}

/// R4 profiling.html: R4's own profiles, vital signs among them, are in force.
#[test]
fn r4s_own_profiles_are_there() {
    let profiles = Profiles::of_r4();
    let bodyweight = r4("bodyweight");
    let mut weight = json!({"resourceType": "Observation", "status": "final", "meta": {"profile": [bodyweight]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}, "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-01-01", "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}});
    assert_eq!(errors_of(&profiles, &weight, &[]), Vec::<String>::new());
    weight["code"]["coding"][0]["code"] = "1-1".into();
    weight["valueQuantity"].as_object_mut().unwrap().remove("code");
    assert_eq!(errors_of(&profiles, &weight, &[]), ["Observation.code.coding", "Observation.value.code"]);
}

/// R4 extensibility.html#context: Extensions of R4's own definitions stand where those have them, and nowhere else.
#[test]
fn what_r4s_own_definitions_carry_may_stand_there() {
    let profiles = Profiles::of_r4();
    let since = json!([{"url": r4("structuredefinition-normative-version"), "valueCode": "4.0.0"}]);
    let comments = json!([{"url": r4("valueset-concept-comments"), "valueString": "x"}]);
    let regex = json!([{"url": r4("regex"), "valueString": "a+"}]);
    let system = json!({"resourceType": "CodeSystem", "status": "draft", "content": "complete"});
    let type_of =
        |extension: &Value| json!([{"id": "X.a", "path": "X.a", "type": [{"extension": extension, "code": "string"}]}]);
    let structure = json!({"resourceType": "StructureDefinition", "url": "http://x.example/X", "name": "X", "status": "draft",
        "kind": "logical", "abstract": false, "type": "http://x.example/X", "baseDefinition": r4("Element"), "derivation": "specialization"});
    let with = |base: &Value, more: Value| {
        let mut out = base.clone();
        for (name, value) in more.as_object().unwrap() {
            out[name] = value.clone();
        }
        out
    };
    let concept = |inner: &Value| json!({"concept": [{"code": "a", "concept": [{"code": "b", "extension": inner}]}]});
    for (resource, wrong) in [
        (with(&system, json!({"extension": since})), vec![]),
        (with(&system, concept(&comments)), vec![]),
        (with(&structure, json!({"differential": {"element": type_of(&regex)}})), vec![]),
        (json!({"resourceType": "Patient", "extension": since}), vec!["Patient.extension[0]"]),
        (with(&system, json!({"extension": regex})), vec!["CodeSystem.extension[0]"]),
        (with(&system, concept(&since)), vec!["CodeSystem.concept[0].concept[0].extension[0]"]),
    ] {
        assert_eq!(errors_of(&profiles, &resource, &[]), wrong, "{resource}");
    }
}
