//! Slicing by everything that tells slices.

use super::*;

/// R4 profiling.html#slicing: Slices by value, pattern, exists, type and profile; open, closed, openAtEnd, ordered;
/// slices in slices; the default slice.
/// R4 profiling.html#discriminator: Discriminators by `$this`, `resolve()`, `extension(url)`, `ofType()`.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn what_is_asked_of_slices() {
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
    let bundle = json!({"resourceType": "Bundle", "type": "collection"});
    let list = json!({"resourceType": "List", "status": "current", "mode": "working"});
    good_and_bad(vec![
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
            "Observation.value",
        ),
        (
            "the one type of a closed choice",
            &observation,
            json!([["Observation.value[x]", by("type", "$this", "closed")], ["Observation.value[x]:valueQuantity", {"max": "1"}]]),
            json!({"valueQuantity": {"value": 1}}),
            json!({"valueString": "x"}),
            "Observation.value",
        ),
        (
            "the one type of a closed choice of two",
            &patient,
            json!([
                ["Patient.deceased[x]", by("type", "$this", "closed")],
                ["Patient.deceased[x]:deceasedBoolean", {}]
            ]),
            json!({"deceasedBoolean": true}),
            json!({"deceasedDateTime": "2026-01-01"}),
            "Patient.deceased",
        ),
        (
            "types of a closed choice, by the name of the type and by another",
            &observation,
            json!([["Observation.value[x]", by("type", "$this", "closed")], ["Observation.value[x]:valueQuantity", {}], ["Observation.value[x]:words", {"type": [{"code": "string"}]}]]),
            json!({"valueString": "x"}),
            json!({"valueBoolean": true}),
            "Observation.value",
        ),
        (
            "the one type of a closed choice that has no other",
            &observation,
            json!([
                [
                    "Observation.value[x]",
                    with(&by("type", "$this", "closed"), &json!({"type": [{"code": "Quantity"}]}))
                ],
                ["Observation.value[x]:valueQuantity", {}]
            ]),
            json!({"valueQuantity": {"value": 1}}),
            json!({"valueString": "x"}),
            "Observation.value",
        ),
        (
            "a choice that must be there, and one type of it",
            &observation,
            json!([["Observation.value[x]", with(&by("type", "$this", "closed"), &json!({"min": 1}))], ["Observation.value[x]:valueQuantity", {"min": 1}]]),
            json!({"valueQuantity": {"value": 1}}),
            json!({}),
            "Observation.value",
        ),
        (
            "one type of an open choice",
            &observation,
            json!([["Observation.value[x]", by("type", "$this", "open")], ["Observation.value[x]:valueQuantity", {}], ["Observation.value[x]:valueQuantity.unit", {"min": 1}]]),
            json!({"valueString": "x"}),
            json!({"valueQuantity": {"value": 1}}),
            "Observation.value.unit",
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
    ]);
}

/// R4 profiling.html#slicing: What is missing is one issue: of the slice, where that is all that is missing.
#[test]
fn what_is_missing_is_told_once() {
    let slicing = json!({"discriminator": [{"type": "value", "path": "code"}], "rules": "open"});
    let code = |code: &str| json!({"coding": [{"system": "urn:s", "code": code}]});
    let rows = |min: usize| {
        json!([
            ["Observation.component", {"min": min, "slicing": slicing}],
            ["Observation.component:a", {"min": 1}],
            ["Observation.component:a.code", {"patternCodeableConcept": code("a")}],
            ["Observation.component:b", {"min": 1}],
            ["Observation.component:b.code", {"patternCodeableConcept": code("b")}]
        ])
    };
    let (a, b) = ("'component' of the slice 'a' is missing; add it", "'component' of the slice 'b' is missing; add it");
    for (min, codes, expected) in [
        (0, &[][..], &[a, b][..]),
        (1, &[], &[a, b]),
        (2, &["a"], &[b]),
        (2, &["a", "b"], &[]),
        (2, &["c", "c"], &[a, b]),
        (3, &["a"], &[b, "found 1, expected at least 3; add what is missing"]),
        (3, &["a", "b"], &["found 2, expected at least 3; add what is missing"]),
    ] {
        let profiles = compiled(&[profile("Observation", PROFILE, &r4("Observation"), &rows(min))]);
        let mut body = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
        if !codes.is_empty() {
            body["component"] = codes.iter().map(|c| json!({"code": code(c), "valueString": "x"})).collect();
        }
        let found = profiles.check(&body.into(), &[PROFILE], &|_| None);
        let said: Vec<&str> = found.iter().map(|i| i.diagnostics.as_str()).collect();
        assert_eq!(said, expected, "{min} {codes:?}");
    }
}

fn with_first(rows: &Value, first: &Value) -> Value {
    let mut rows = rows.clone();
    rows[0][1] = first.clone();
    rows
}
