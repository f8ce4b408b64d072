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

/// What is asked, a resource that has it, one that has it not, and the element to blame.
///
/// R4 profiling.html#cardinality: min and max, inside data types and choices, are held.
/// R4 elementdefinition.html: Fixed values and patterns, least and greatest value, length, types of a choice are held.
/// R4 profiling.html#slicing: Slices by value, pattern, exists, type and profile; open, closed, openAtEnd, ordered;
/// slices in slices; the default slice.
/// R4 profiling.html#discriminator: Discriminators by `$this`, `resolve()`, `extension(url)`, `ofType()`.
/// R4 elementdefinition.html: Profiles of a type, of a reference's target, content references and invariants are held.
/// R4 extensibility.html: Extensions are held against their definitions and their context; unknown modifier extensions
/// are refused.
/// R4 profiling.html: A derived profile asks what its base asks.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn each_feature_has_a_good_and_a_bad_sample() {
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
    let patient = json!({"resourceType": "Patient"});
    let coding = |code: &str| json!({"coding": [{"system": "urn:s", "code": code}]});
    let by = |kind: &str, path: &str, rules: &str| json!({"slicing": {"discriminator": [{"type": kind, "path": path}], "rules": rules}});
    let ids = |codes: &[&str]| json!({"identifier": codes.iter().map(|c| json!({"system": format!("urn:{c}"), "value": "1"})).collect::<Vec<_>>()});
    let by_system = |rules: &str, more: &[Value]| {
        let mut rows = vec![
            json!(["Patient.identifier", by("value", "system", rules)]),
            json!(["Patient.identifier:a", {"min": 1, "max": "1"}]),
            json!(["Patient.identifier:a.system", {"fixedUri": "urn:a"}]),
            json!(["Patient.identifier:b", {}]),
            json!(["Patient.identifier:b.system", {"fixedUri": "urn:b"}]),
        ];
        rows.extend(more.iter().cloned());
        Value::Array(rows)
    };
    let ordered =
        json!({"slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open", "ordered": true}});
    let questionnaire = json!({"resourceType": "Questionnaire", "status": "draft"});
    let bundle = json!({"resourceType": "Bundle", "type": "collection"});
    let list = json!({"resourceType": "List", "status": "current", "mode": "working"});
    let rows: Vec<(&str, &Value, Value, Value, Value, &str)> = vec![
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
            "Observation.valueString",
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
            "Observation.valueQuantity.code",
        ),
        (
            "least",
            &observation,
            json!([["Observation.value[x]", {"type": [{"code": "integer"}], "minValueInteger": 3}]]),
            json!({"valueInteger": 3}),
            json!({"valueInteger": 2}),
            "Observation.valueInteger",
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
            "required, words alone",
            &observation,
            json!([["Observation.code", {"binding": {"strength": "required", "valueSet": "urn:set"}}]]),
            json!({"code": coding("in")}),
            json!({"code": {"text": "a"}}),
            "Observation.code",
        ),
        ("slices by value", &patient, by_system("open", &[]), ids(&["a", "c"]), ids(&["b"]), "Patient.identifier"),
        ("max of a slice", &patient, by_system("open", &[]), ids(&["a"]), ids(&["a", "a"]), "Patient.identifier"),
        ("closed", &patient, by_system("closed", &[]), ids(&["a", "b"]), ids(&["a", "c"]), "Patient.identifier[1]"),
        (
            "open at the end",
            &patient,
            by_system("openAtEnd", &[]),
            ids(&["a", "b", "c"]),
            ids(&["c", "a"]),
            "Patient.identifier[1]",
        ),
        (
            "ordered",
            &patient,
            with_first(&by_system("open", &[]), &ordered),
            ids(&["a", "c", "b"]),
            ids(&["b", "a"]),
            "Patient.identifier[1]",
        ),
        (
            "inside a slice",
            &patient,
            by_system("open", &[json!(["Patient.identifier:b.use", {"min": 1}])]),
            ids(&["a", "c"]),
            ids(&["a", "b"]),
            "Patient.identifier[1].use",
        ),
        (
            "of all items beside slices",
            &patient,
            by_system("open", &[json!(["Patient.identifier.type", {"max": "0"}])]),
            ids(&["a"]),
            json!({"identifier": [{"system": "urn:a", "type": {"text": "x"}}]}),
            "Patient.identifier[0].type",
        ),
        (
            "the default slice",
            &patient,
            by_system(
                "closed",
                &[json!(["Patient.identifier:@default", {}]), json!(["Patient.identifier:@default.use", {"min": 1}])],
            ),
            ids(&["a"]),
            ids(&["a", "c"]),
            "Patient.identifier[1].use",
        ),
        (
            "slices by pattern",
            &observation,
            json!([["Observation.category", by("pattern", "$this", "open")], ["Observation.category:lab", {"min": 1, "patternCodeableConcept": coding("lab")}]]),
            json!({"category": [coding("x"), coding("lab")]}),
            json!({"category": [coding("x")]}),
            "Observation.category",
        ),
        (
            "slices by a code below",
            &observation,
            json!([["Observation.component", by("value", "code", "open")], ["Observation.component:a", {}], ["Observation.component:a.code", {"patternCodeableConcept": coding("a")}], ["Observation.component:a.value[x]", {"min": 1}]]),
            json!({"component": [{"code": coding("b")}, {"code": coding("a"), "valueString": "x"}]}),
            json!({"component": [{"code": coding("a")}]}),
            "Observation.component[0].value",
        ),
        (
            "slices by a value set",
            &observation,
            json!([["Observation.category", by("value", "$this", "open")], ["Observation.category:a", {"min": 1, "binding": {"strength": "required", "valueSet": "urn:set"}}]]),
            json!({"category": [coding("in")]}),
            json!({"category": [coding("out")]}),
            "Observation.category",
        ),
        (
            "slices by what is there",
            &patient,
            json!([["Patient.name", by("exists", "period", "open")], ["Patient.name:old", {}], ["Patient.name:old.period", {"min": 1}], ["Patient.name:old.text", {"min": 1}], ["Patient.name:now", {"max": "1"}], ["Patient.name:now.period", {"max": "0"}]]),
            json!({"name": [{"family": "a"}, {"text": "b", "period": {"start": "2000"}}]}),
            json!({"name": [{"family": "a", "period": {"start": "2000"}}]}),
            "Patient.name[0].text",
        ),
        (
            "slices by type",
            &observation,
            json!([["Observation.value[x]", by("type", "$this", "closed")], ["Observation.value[x]:words", {"type": [{"code": "string"}], "maxLength": 2}]]),
            json!({"valueString": "ab"}),
            json!({"valueInteger": 1}),
            "Observation.valueInteger",
        ),
        (
            "slices by the type of a target",
            &list,
            json!([["List.entry", by("type", "item.resolve()", "closed")], ["List.entry:p", {"max": "1"}], ["List.entry:p.item", {"type": [{"code": "Reference", "targetProfile": [r4("Patient")]}]}]]),
            json!({"entry": [{"item": {"reference": "Patient/1"}}]}),
            json!({"entry": [{"item": {"reference": "Group/1"}}]}),
            "List.entry[0]",
        ),
        (
            "slices by profile",
            &bundle,
            json!([["Bundle.entry", by("profile", "resource", "closed")], ["Bundle.entry:named", {}], ["Bundle.entry:named.resource", {"type": [{"code": "Patient", "profile": ["http://x.example/Named"]}]}]]),
            json!({"entry": [{"resource": {"resourceType": "Patient", "name": [{"text": "a"}]}}]}),
            json!({"entry": [{"resource": {"resourceType": "Patient"}}]}),
            "Bundle.entry[0]",
        ),
        (
            "slices by an extension",
            &patient,
            json!([["Patient.name", by("value", "extension('urn:e').value", "closed")], ["Patient.name:a", {}], ["Patient.name:a.extension:e", {"type": [{"code": "Extension", "profile": ["urn:e"]}]}], ["Patient.name:a.extension:e.value[x]", {"fixedCode": "x"}]]),
            json!({"name": [{"extension": [{"url": "urn:e", "valueCode": "x"}]}]}),
            json!({"name": [{"extension": [{"url": "urn:e", "valueCode": "y"}]}]}),
            "Patient.name[0]",
        ),
        (
            "slices by one type of a choice",
            &observation,
            json!([["Observation.component", by("value", "value.ofType(Quantity).code", "closed")], ["Observation.component:g", {}], ["Observation.component:g.value[x]", {"type": [{"code": "Quantity"}]}], ["Observation.component:g.value[x].code", {"fixedCode": "g"}]]),
            json!({"component": [{"code": {"text": "a"}, "valueQuantity": {"value": 1, "code": "g"}}]}),
            json!({"component": [{"code": {"text": "a"}, "valueString": "g"}]}),
            "Observation.component[0]",
        ),
        (
            "slices in a slice",
            &patient,
            by_system(
                "open",
                &[
                    json!(["Patient.identifier:b", by("value", "use", "closed")]),
                    json!(["Patient.identifier:b/old", {}]),
                    json!(["Patient.identifier:b/old.use", {"fixedCode": "old"}]),
                ],
            ),
            json!({"identifier": [{"system": "urn:a"}, {"system": "urn:b", "use": "old"}]}),
            json!({"identifier": [{"system": "urn:a"}, {"system": "urn:b", "use": "usual"}]}),
            "Patient.identifier[1]",
        ),
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
            "Patient.extension[0].valueString",
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
            "Patient.extension[0].extension[0].valueString",
        ),
        (
            "modifier extensions",
            &patient,
            json!([]),
            json!({}),
            json!({"modifierExtension": [{"url": "urn:not", "valueBoolean": true}]}),
            "Patient.modifierExtension[0]",
        ),
    ];
    let set = json!({"resourceType": "ValueSet", "url": "urn:set", "compose": {"include": [{"system": "urn:s", "concept": [{"code": "in"}]}]}});
    let others = [
        profile("Patient", "http://x.example/Named", &r4("Patient"), &json!([["Patient.name", {"min": 1}]])),
        profile("HumanName", "http://x.example/Full", &r4("HumanName"), &json!([["HumanName.family", {"min": 1}]])),
        set.into(),
    ];
    for (feature, base, rows, good, bad, at) in rows {
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

fn with_first(rows: &Value, first: &Value) -> Value {
    let mut rows = rows.clone();
    rows[0][1] = first.clone();
    rows
}

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
    assert_eq!(errors_of(&profiles, &weight, &[]), ["Observation.code.coding", "Observation.valueQuantity.code"]);
}
