//! What is refused, with the parameter and the reason.

use super::*;

fn refusal(registry: &Registry, rtype: &'static str, raw: &str) -> Error {
    let outcome = pairs(raw).and_then(|p| parse(registry, &KEYS, &[known(rtype)], &p, &env(), Handling::Strict));
    match outcome {
        Ok(query) => panic!("{rtype}?{raw} was taken: {:?}", query.plan),
        Err(error) => error,
    }
}

/// R4 search.html#errors: Every unknown parameter, modifier or bad value is 400 with the parameter, the reason and the
/// nearest known name.
#[test]
fn garbage_is_refused_with_the_parameter_and_the_reason() {
    let registry = Registry::builtin();
    let many = format!("status={}", vec!["a"; 10_000].join(","));
    let deep = "focus:Task.focus:Task.focus:Task.focus:Task._id=1";
    for (rtype, raw, status, code, words) in [
        ("Patient", "birthdate=banana", 400, "invalid", "'birthdate'"),
        ("Patient", "birthdate=ge2019-13", 400, "invalid", "no date"),
        ("Patient", "birthdate=2019-02-30", 400, "invalid", "no date"),
        ("Patient", "birthdate=xx2019", 400, "invalid", "no prefix"),
        ("Patient", "birthdate=", 400, "invalid", "empty"),
        ("Patient", "birthdate=2019,", 400, "invalid", "empty"),
        ("Patient", "name=%E9", 400, "invalid", "UTF-8"),
        ("Patient", "name=%2", 400, "invalid", "'%'"),
        ("Patient", "name=%00", 400, "invalid", "NUL"),
        ("Patient", "name=--", 400, "invalid", "no letter"),
        ("Patient", "nmae=x", 400, "not-supported", "did you mean 'name'"),
        ("Patient", "birth-date=2019", 400, "not-supported", "did you mean 'birthdate'"),
        ("Patient", "name:fuzzy=x", 400, "not-supported", "':exact', ':contains', ':missing'"),
        ("Patient", "gender:in=x", 400, "invalid", "no value set"),
        ("Patient", "gender:below=x", 400, "invalid", "system|code"),
        ("Patient", "name:in=x", 400, "not-supported", "':exact', ':contains', ':missing'"),
        ("Patient", "_list=$current-problems", 400, "invalid", "stored Lists only"),
        ("Patient", "_list=a b", 400, "invalid", "no id of a List"),
        ("Patient", "_lst=a", 400, "not-supported", "did you mean '_list'"),
        ("Patient", "name:missing=maybe", 400, "invalid", "true or false"),
        ("Patient", "identifier=|", 400, "invalid", "'identifier'"),
        ("Patient", "identifier=a|b|c", 400, "invalid", "'identifier'"),
        ("Patient", "_id=a/b", 400, "invalid", "no logical id"),
        ("Patient", "_id:exact=a", 400, "not-supported", "':not', ':missing'"),
        ("Patient", "_lastUpdated:exact=2019", 400, "not-supported", "':missing'"),
        ("Patient", "birthdate:exact=2019", 400, "not-supported", "':missing'"),
        ("Patient", "_text=%22x y%22", 400, "invalid", "phrases"),
        ("Patient", "_content=(x", 400, "invalid", "')' is missing"),
        ("Patient", "_content=x or", 400, "invalid", "a word is missing"),
        ("Patient", "_text:exact=x", 400, "not-supported", "no modifier"),
        ("Patient", "_query=x", 400, "not-supported", "no named queries"),
        ("Patient", "_filter=x", 400, "not-supported", "language of filters is not carried out"),
        ("Patient", "_count=-1", 400, "invalid", "'_count'"),
        ("Patient", "_count=1001", 400, "invalid", "1000"),
        ("Patient", "_count=1&_count=2", 400, "invalid", "once"),
        ("Patient", "_sort=nope", 400, "invalid", "'nope'"),
        ("Patient", "_summary=yes", 400, "invalid", "'_summary'"),
        ("Patient", "_total=some", 400, "invalid", "'_total'"),
        ("Patient", "_elements=a-b", 400, "invalid", "'_elements'"),
        ("Patient", "_elements=name,gendr", 400, "not-supported", "'gendr' at its top; did you mean 'gender'?"),
        (
            "Patient",
            "_elements=status&_revinclude=Task:patient&_summary=text",
            400,
            "not-supported",
            "mixed with _summary=text",
        ),
        (
            "Task",
            "_summary=text&_include=Task:patient",
            400,
            "not-supported",
            "'_include': R4 does not let it be mixed",
        ),
        ("Location", "near=1", 400, "invalid", "latitude|longitude|distance|units"),
        ("Location", "near=1|2|3|km|5", 400, "invalid", "latitude|longitude|distance|units"),
        ("Location", "near=91|0", 400, "invalid", "'91' is no latitude"),
        ("Location", "near=1|180.5", 400, "invalid", "'180.5' is no longitude"),
        ("Location", "near=1|NaN", 400, "invalid", "'NaN' is no longitude"),
        ("Location", "near=1|2|-3", 400, "invalid", "'-3' is no distance"),
        ("Location", "near=1|2|3|parsec", 400, "invalid", "'parsec' is no unit of distance"),
        ("Location", "near:exact=1|2", 400, "not-supported", "':missing'"),
        ("Location", "_sort=near", 400, "invalid", "places have no order"),
        ("Patient", "_sort=_text", 400, "invalid", "words have no order"),
        ("Bundle", "_include=Bundle:composition", 400, "invalid", "is a resource in the Bundle itself"),
        ("Group", "_revinclude=AllergyIntolerance:patient", 400, "invalid", "never leads to what is searched"),
        ("Patient", "_contained=true", 400, "invalid", "contained"),
        ("Patient", "_include=Nope:x", 400, "invalid", "'Nope'"),
        ("Patient", "_include=Patient:organisation", 400, "invalid", "did you mean 'organization'"),
        ("Patient", "_include=Task:patient", 400, "invalid", "':iterate'"),
        ("Patient", "_include:recurse=Patient:organization", 400, "not-supported", "':iterate'"),
        ("Patient", "_revinclude=Task:owner:Group", 400, "invalid", "never leads"),
        ("Task", "status.x=1", 400, "invalid", "no reference"),
        ("Task", "patient:Group=1", 400, "invalid", "never leads"),
        ("Task", "patient.nope=1", 400, "not-supported", "Patient has no search parameter"),
        ("Task", "subject.nope=1", 400, "not-supported", "no search parameter"),
        (
            "Observation",
            "subject.nme=a",
            400,
            "not-supported",
            "Patient, Location have no search parameter 'nme'; did you mean 'name'?",
        ),
        ("Task", "patient.birthdate=x", 400, "invalid", "no date"),
        ("Task", "patient=a b", 400, "invalid", "no reference"),
        ("Task", "_has:Observation:code:status=x", 400, "invalid", "no reference"),
        ("Task", "_has:Observation", 400, "invalid", "_has:Type"),
        ("Task", &many, 400, "too-costly", "10000 values"),
        ("Task", deep, 400, "too-costly", "3 steps"),
        ("List", "item._source:below=http://a,http://b", 400, "too-costly", "name the type"),
        ("Observation", "value-quantity=5|mg", 400, "invalid", "number|system|code"),
        ("Observation", "value-quantity=5..4", 400, "invalid", "no number"),
        ("Observation", "code-value-quantity=a", 400, "invalid", "2 parts"),
        ("RiskAssessment", "probability=1e999", 400, "invalid", "no number"),
    ] {
        let error = refusal(&registry, rtype, raw);
        let issue = error.issues.first().unwrap();
        assert_eq!((error.kind.status(), issue.code), (status, code), "{rtype}?{raw:.80}: {error}");
        assert!(issue.diagnostics.contains(words), "{rtype}?{raw:.80}: {error}");
    }
}

/// R4 search.html#errors: All faults of a query are told at once.
#[test]
fn all_faults_of_a_query_are_told_at_once() {
    let error = refusal(&Registry::builtin(), "Patient", "birthdate=banana&nope=1&_count=x&name=ok");
    assert_eq!(error.issues.len(), 3);
}

#[test]
fn too_many_parameters_cost_too_much() {
    let raw = vec!["name=a"; env().caps.parameters + 1].join("&");
    assert_eq!(refusal(&Registry::builtin(), "Patient", &raw).kind.status(), 400);
}

/// R4 search.html#errors: `handling=lenient` leaves out the unknown with a warning, never a wrong value.
#[test]
fn lenient_handling_leaves_the_unknown_out_with_a_warning_but_never_a_wrong_value() {
    let registry = Registry::builtin();
    let read =
        |raw: &str| parse(&registry, &KEYS, &[known("Patient")], &pairs(raw).unwrap(), &env(), Handling::Lenient);
    let query = read("name=a&nope=1&gender:within=x").unwrap();
    assert_eq!(query.used, strings(&[("name", "a")]));
    assert_eq!(query.warnings.len(), 2);
    let query = read("_elements=name,foo&_revinclude=Task:patient&_summary=text").unwrap();
    assert_eq!(query.used, strings(&[("_summary", "text"), ("_elements", "name")]));
    assert!(query.revincludes.is_empty() && query.elements == ["name"] && query.warnings.len() == 2);
    assert!(read("birthdate=banana").is_err());
}

/// No text of a query makes the parser panic.
///
/// R4 search.html#errors: No text of a query makes the server panic.
#[test]
fn no_query_panics() {
    use proptest::prelude::*;
    let registry = Registry::builtin();
    let names = prop_oneof![
        "[a-z_]{1,8}",
        Just("_has:Task:patient:status".to_string()),
        "(_text|_content|_list|gender:in|gender:not-in|gender:below|language:above)",
        "(name|birthdate|identifier|_sort|_count|_include|_lastUpdated|organization|deceased|telecom)(:[a-zA-Z-]{1,9})?(\\.[a-z]{1,9})?",
    ];
    proptest!(ProptestConfig::with_cases(2_000), |(name in names, value in "[a-zA-Z0-9|,$\\\\.:/%é -]{0,24}", raw in ".{0,40}")| {
        for rtype in ["Patient", "Observation"] {
            let result = parse(&registry, &KEYS, &[known(rtype)], &[(name.clone(), value.clone())], &env(), Handling::Strict);
            prop_assert!(result.is_ok() || result.is_err());
        }
        prop_assert!(pairs(&raw).is_ok() || pairs(&raw).is_err());
    });
}
