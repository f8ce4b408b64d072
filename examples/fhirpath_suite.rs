//! Runs the HL7 FHIRPath suite for R4 against Baton's engine.
//!
//!     cargo run --example fhirpath_suite -- FOLDER
//!
//! FOLDER: `tests-fhir-r4.json` and `input/*.json`, as the crate `haste-fhirpath` ships them in `tests/hl7` (`.ci/fhirpath-suite`
//! fetches it). A case that fails must stand in [`REASONS`], and one that stands there must fail: the list is honest both ways,
//! and it is the one of `docs/validation.md`. Types and values are compared; decimals by value; a case that is marked invalid
//! passes when parsing, checking or evaluating it ends with an error.

#![allow(clippy::expect_used, reason = "a tool: it stops where its input is not what it should be")]

use baton::fhir::fhirpath::{Decimal, Env, Expression, Items, Kind, MomentKind, Node, PathError, Value};
use baton::fhir::json::{self, Json};
use std::collections::BTreeMap;
use std::path::Path;

/// Case, why it fails.
const REASONS: [(&str, &str); 24] = [
    ("testSimpleFail", STATIC),
    ("testSimpleWithWrongContext", STATIC),
    ("testPolymorphismB", STATIC),
    ("testPolymorphismAsB", STATIC),
    ("isEffectOnLogic3Base", STATIC),
    ("isGuardFnImpliesBad", STATIC),
    ("isGuardImpliesBad", STATIC),
    ("isGuardOrTypesImpliesBad", STATIC),
    ("isGuardOrFnTypesImpliesBad", STATIC),
    ("isGuardOrOtherImpliesBad", STATIC),
    ("isGuardOrOtherImpliesNoParensBad", STATIC),
    ("isGuardOrInnerImpliesBad", STATIC),
    ("isGuardAndBad", STATIC),
    ("isGuardOrBad", STATIC),
    ("isGuardXorBad", STATIC),
    ("isGuardNotImpliesBad", STATIC),
    ("isGuardIifBad", STATIC),
    ("isGuardSupertypeBad", STATIC),
    ("isGuardOtherExpressionBad", STATIC),
    ("testDollarOrderNotAllowed", ORDER),
    ("testIif6", STRICT),
    ("LowBoundaryDecimal15", ROUNDING),
    ("HighBoundaryDecimal15", ROUNDING),
    ("HighBoundaryDecimal16", ROUNDING),
];

const STATIC: &str =
    "asks for a check of types before evaluation; Baton evaluates, and an element that is not there is empty";
const STRICT: &str = "asks for a strict mode, in which a text is no truth value";
const ORDER: &str = "asks for an error where the order of children is used; Baton keeps the order of the JSON";
const ROUNDING: &str = "0.00345 to one place, upwards, is 0.1; the suite has 0.0 here, and rounds upwards elsewhere";

fn main() {
    let folder = std::env::args().nth(1).expect("usage: fhirpath_suite FOLDER");
    let folder = Path::new(&folder);
    let read = |path: &Path| json::parse(&std::fs::read(path).expect("a file of the suite")).expect("JSON");
    let suite = read(&folder.join("tests-fhir-r4.json"));
    let mut inputs: BTreeMap<String, Json> = BTreeMap::new();
    inputs.insert(String::new(), json::parse(br#"{"resourceType":"Patient"}"#).expect("JSON"));
    for case in suite["tests"].items() {
        let name = case["inputfile"].text();
        if !name.is_empty() && !inputs.contains_key(name) {
            inputs.insert(name.into(), read(&folder.join("input").join(name)));
        }
    }
    let (mut passed, mut known, mut wrong) = (0, 0, 0);
    for case in suite["tests"].items() {
        let id = case["id"].text();
        let reason = REASONS.iter().find(|(of, _)| *of == id);
        let input = inputs.get(case["inputfile"].text()).expect("an input");
        match (run(case, input), reason) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some(_)) => {
                wrong += 1;
                println!("{id}: passes now, take it off the list");
            }
            (Err(_), Some(_)) => known += 1,
            (Err(why), None) => {
                wrong += 1;
                println!("{id}: {} : {why}", case["expression"].text().replace('\n', " "));
            }
        }
    }
    let all = suite["tests"].items().len();
    println!("{all} cases: {passed} pass, {known} fail for a known reason, {wrong} differ from the list");
    std::process::exit(i32::from(wrong > 0 || all == 0));
}

fn run(case: &Json, input: &Json) -> Result<(), String> {
    let found = match values(case, input) {
        Err(error) => {
            return if case.get("invalid").is_some() { Ok(()) } else { Err(error.to_string()) };
        }
        Ok(found) if case.get("invalid").is_some() && case["outputs"].items().is_empty() => {
            return Err(format!("should be refused, gives {found:?}"));
        }
        Ok(found) => found,
    };
    let wanted: Vec<(String, String)> =
        case["outputs"].items().iter().map(|o| (o["type"].text().into(), o["value"].text().into())).collect();
    let mut left = found.clone();
    let fits = wanted.len() == found.len()
        && wanted.iter().all(|one| {
            let at = if case["ordered"].as_bool() == Some(false) {
                left.iter().position(|other| same(one, other))
            } else {
                left.first().filter(|other| same(one, other)).map(|_| 0)
            };
            at.map(|at| left.remove(at)).is_some()
        });
    if fits { Ok(()) } else { Err(format!("gives {found:?}, expected {wanted:?}")) }
}

/// Type and value of each result.
fn values(case: &Json, input: &Json) -> Result<Vec<(String, String)>, PathError> {
    let expression = Expression::parse(case["expression"].text())?;
    let env = Env::of(input);
    let context = Expression::parse(case["context"].as_str().unwrap_or("$this"))?;
    let on = context.evaluate(&env)?.iter().find_map(Value::node).unwrap_or(env.context);
    let found = expression.evaluate(&env.on(on))?;
    if case["predicate"].as_bool() == Some(true) {
        let truth = match found.as_slice() {
            [] => false,
            [one] => one.as_bool().unwrap_or(true),
            _ => true,
        };
        return Ok(vec![("boolean".into(), truth.to_string())]);
    }
    Ok(shown(&found))
}

fn shown(found: &Items<'_>) -> Vec<(String, String)> {
    found.iter().map(|value| (kind(value), text(value))).collect()
}

fn kind(value: &Value<'_>) -> String {
    match value {
        Value::Node(Node { kind: Kind::Structure(s), .. }) => s.name.into(),
        Value::Node(Node { kind: Kind::Primitive(p), .. }) => p.as_str().into(),
        Value::Boolean(_) => "boolean".into(),
        Value::Integer(_) => "integer".into(),
        Value::Decimal(_) => "decimal".into(),
        Value::String(_) => "string".into(),
        Value::Quantity(_) => "Quantity".into(),
        Value::Moment(moment) => match moment.kind {
            MomentKind::Date => "date".into(),
            MomentKind::DateTime => "dateTime".into(),
            MomentKind::Time => "time".into(),
        },
        _ => String::new(),
    }
}

fn text(value: &Value<'_>) -> String {
    match value.to_json() {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn same((kind, text): &(String, String), (other_kind, other): &(String, String)) -> bool {
    let plain = |text: &str| text.trim_start_matches('@').trim_start_matches('T').to_owned();
    let equal = match (Decimal::parse(text), Decimal::parse(other)) {
        (Some(a), Some(b)) => a == b,
        _ => plain(text) == plain(other),
    };
    equal && (kind.is_empty() || kind == other_kind)
}
