use super::{Expr, Item};
use crate::fhir::Json;

fn json(value: serde_json::Value) -> Json {
    value.into()
}

/// What an expression gives, as JSON texts.
fn values(expression: &str, resource: &Json) -> Vec<String> {
    let expr = Expr::parse(expression).unwrap();
    let mut out = Vec::new();
    expr.each(resource, resource, &mut |item| {
        out.push(match item {
            Item::Node { json, .. } => json.to_string(),
            Item::Bool(b) => b.to_string(),
            other => format!("{other:?}"),
        });
    });
    out
}

/// R4 searchparameter.html: Every form of expression that R4's search parameters use is evaluated.
#[test]
fn every_form_that_r4_parameters_use_gives_its_values() {
    let patient = json(serde_json::json!({
        "resourceType": "Patient", "id": "p",
        "name": [{"family": "A", "given": ["B", null, "C"]}],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
        "deceasedDateTime": "2020", "status": null, "statusReason": "no choice",
        "link": [{"other": {"reference": "Patient/2"}}, {"other": {"reference": "http://x/fhir/RelatedPerson/3/_history/1"}}],
        "extension": [{"url": "u", "valueCode": "x"}],
        "contained": [{"resourceType": "Device", "id": "d"}], "managing": {"reference": "#d"},
        "part": [{"n": 1, "part": [{"n": 2, "part": [{"n": 4}]}, {"n": 3}]}],
        "useContext": [{"valueQuantity": {"value": 5}}, {"valueRange": {"low": {}}}],
    }));
    for (expression, wanted) in [
        ("Patient.name.given", vec![r#""B""#, r#""C""#]),
        ("Person.name.given | Patient.name.family", vec![r#""A""#]),
        ("DomainResource.id", vec![r#""p""#]),
        ("Patient.telecom.where(system = 'email').value", vec![r#""2""#]),
        ("Patient.deceased.exists() and Patient.deceased != false", vec!["true"]),
        ("Patient.active.exists() and Patient.active != false", vec!["false"]),
        ("(Patient.deceased as dateTime)", vec![r#""2020""#]),
        ("Patient.deceased.as(DateTime)", vec![r#""2020""#]),
        ("Patient.deceased.ofType(boolean)", vec![]),
        ("Patient.status", vec![]),
        (
            "Patient.link.other.where(resolve() is RelatedPerson).reference",
            vec![r#""http://x/fhir/RelatedPerson/3/_history/1""#],
        ),
        ("Patient.managing.where(resolve() is Device).reference", vec![r##""#d""##]),
        ("Patient.link[1].other.reference", vec![r#""http://x/fhir/RelatedPerson/3/_history/1""#]),
        ("Patient.extension('u').value", vec![r#""x""#]),
        ("Patient.useContext.value as Quantity", vec![r#"{"value":5}"#]),
        ("Patient.where(hasExtension('u')).id", vec![r#""p""#]),
        ("%resource.id", vec![r#""p""#]),
        ("Patient.name.exists(family = 'A')", vec!["true"]),
        ("Patient.part.repeat(part).n", vec!["2", "4", "3"]),
        ("Patient.repeat(part).n", vec!["1", "2", "4", "3"]),
        ("Patient.repeat(nope).n", vec![]),
        ("Patient.photo.empty()", vec!["true"]),
        ("Patient.name.empty().not()", vec!["true"]),
    ] {
        assert_eq!(values(expression, &patient), wanted, "{expression}");
    }
}

#[test]
fn a_bad_expression_is_refused_with_its_place() {
    for (text, at) in
        [("Patient.", 8), ("Patient.name.nope()", 18), ("a 'b", 2), ("a ~ b", 2), ("a b", 2), ("", 0), ("a[x]", 2)]
    {
        assert_eq!(Expr::parse(text).unwrap_err().at, at, "{text}");
    }
    assert!(Expr::parse(&"(".repeat(10_000)).is_err());
}

#[test]
fn a_union_splits_into_alternatives_with_their_root_types() {
    let parts = Expr::parse("(A.x as Quantity) | B.y.where(resolve() is Patient) | C").unwrap().alternatives();
    assert_eq!(parts.iter().map(|p| p.root()).collect::<Vec<_>>(), [Some("A"), Some("B"), Some("C")]);
}
