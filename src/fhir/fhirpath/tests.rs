use super::*;
use crate::fhir::json::parse;

fn texts(expression: &str, resource: &str) -> Vec<String> {
    let resource = parse(resource.as_bytes()).unwrap();
    let expression = Expression::parse(expression).unwrap();
    let found = expression.evaluate(&Env::of(&resource)).unwrap();
    found.iter().map(|v| v.to_json().to_string()).collect()
}

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"A","given":["B",null,"C"],
    "_given":[null,{"extension":[{"url":"u","valueString":"x"}]},null]},{"given":["D"]}],"deceasedDateTime":"2020-02",
    "contained":[{"resourceType":"Organization","id":"o","name":"O"}],"managingOrganization":{"reference":"#o"},
    "generalPractitioner":[{"reference":"Practitioner/1"}],"birthDate":"1970-01-31","multipleBirthInteger":2}"##;

/// R4 fhirpath.html: Choices, primitives with extensions, `resolve()`, `extension()`, `%resource`, types.
#[test]
fn elements_and_values_are_found() {
    for (expression, wanted) in [
        ("Patient.name.given", vec![r#""B""#, "null", r#""C""#, r#""D""#]),
        ("name.given.where(hasValue().not()).extension('u').value", vec![r#""x""#]),
        ("deceased is dateTime and (deceased as boolean).empty()", vec!["true"]),
        ("deceased.ofType(dateTime)", vec![r#""2020-02""#]),
        ("deceasedDateTime", vec![]),
        ("managingOrganization.resolve().name", vec![r#""O""#]),
        ("generalPractitioner.resolve() is Practitioner", vec!["true"]),
        ("generalPractitioner.resolve() is Patient", vec!["false"]),
        ("birthDate + 1 month", vec![r#""1970-02-28""#]),
        ("multipleBirth + 0.10", vec!["2.10"]),
        ("%resource.id & '-' & %context.id", vec![r#""p-p""#]),
        ("descendants().where($this is Reference).count()", vec!["2"]),
        ("name[1].given", vec![r#""D""#]),
        ("contained.type().name", vec![r#""Organization""#]),
    ] {
        assert_eq!(texts(expression, PATIENT), wanted, "{expression}");
    }
}

/// FHIRPath #: Expressions that are too long, too deep or broken end with an error.
#[test]
fn what_is_hostile_ends_with_an_error() {
    let resource = parse(PATIENT.as_bytes()).unwrap();
    let depth = 20_000 / 2 - 10;
    for text in [
        "(".repeat(10_000),
        format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
        "-".repeat(19_000) + "1",
        "1+".repeat(9_000) + "1",
        "1 is ".repeat(3_000) + "Integer",
        "true xor ".repeat(2_000) + "true",
        "a.where(".repeat(2_000),
        "a[".repeat(5_000),
        "x".repeat(30_000),
        "'".into(),
        "@".into(),
        "%`".into(),
        "1e".into(),
        "/*".into(),
        "iif(".into(),
        "é".into(),
    ] {
        assert!(Expression::parse(&text).is_err(), "{}", &text[..text.len().min(20)]);
    }
    // Nested and chained as far as the parser lets, to the other.
    let mut nested = "1".to_owned();
    for _ in 0..40 {
        nested = format!("({nested}{})", " + 1".repeat(20));
    }
    let mut doubling = "'0123456789'".to_owned();
    for _ in 0..40 {
        doubling = format!("{doubling}.replace('0', '0123456789012345678901234567890123456789')");
    }
    let product = "descendants()".to_owned() + &".select(%resource.descendants())".repeat(12) + ".count()";
    let regex = "'a'.matches('(((a{1,100}){1,100}){1,100}){1,100}')";
    let again = "name.aggregate($total.combine(%resource.descendants()).combine($total).combine($total)).count()"
        .replace("name", "descendants()");
    for text in
        [nested, doubling, product, regex.into(), again, "%nobody".into(), "(1|2) and true".into(), "1 + 'a'".into()]
    {
        if let Ok(expression) = Expression::parse(&text) {
            assert!(expression.evaluate(&Env::of(&resource)).is_err(), "{text}");
        }
    }
}

#[test]
fn a_found_element_is_found_again_by_its_place() {
    let resource = parse(PATIENT.as_bytes()).unwrap();
    let expression = Expression::parse("name.given[2]").unwrap();
    let found = expression.evaluate(&Env::of(&resource)).unwrap();
    let place = found.iter().next().and_then(Value::node).and_then(|node| locate(&resource, &node)).unwrap();
    let member = |name: &str| Place::Member(name.into());
    assert_eq!(place, [member("name"), Place::Item(0), member("given"), Place::Item(2)]);
}
