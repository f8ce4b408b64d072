//! Runs the public suites of patches against Baton's.
//!
//!     cargo run --example patch_suite -- json tests.json spec_tests.json
//!     cargo run --example patch_suite -- fhirpath cases.json
//!
//! `json`: files of the JSON Patch suite, as the npm package `json-patch-test-suite` ships them. `fhirpath`: HL7's FHIR Patch
//! cases as JSON, as `tests/clients/fhirpatch.py` makes them of `r4/patch` of FHIR/fhir-test-cases. `.ci/patch-suite` fetches and runs
//! both. A case that fails must stand in [`REASONS`], and one that stands there must fail: the list is honest both ways.

#![allow(clippy::expect_used, reason = "a tool: it stops where its input is not what it should be")]

use baton::fhir::Json;
use baton::fhir::patch::{Patch, json};
use serde_json::Value;

/// Case, why it fails.
const REASONS: [(&str, &str); 0] = [];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().expect("usage: patch_suite json|fhirpath FILE…");
    let (mut passed, mut wrong, mut known) = (0, Vec::new(), 0);
    for file in arguments {
        // Not Baton's own reader: of two members with one name, which it refuses, a case may mean the last.
        let cases: Vec<Value> =
            serde_json::from_slice(&std::fs::read(&file).expect("a file of the suite")).expect("an array of cases");
        for (n, case) in cases.iter().enumerate().filter(|(_, case)| case["disabled"] != true) {
            let named = [&case["name"], &case["comment"]].into_iter().find_map(Value::as_str);
            let name = named.map_or_else(|| format!("case {n}"), str::to_owned);
            let result = if kind == "json" { of_json(case) } else { of_fhirpath(case) };
            let reason = REASONS.iter().find(|(case, _)| *case == name).map(|(_, why)| *why);
            match (result, reason) {
                (Ok(()), None) => passed += 1,
                (Err(_), Some(_)) => known += 1,
                (Ok(()), Some(_)) => wrong.push(format!("{name}: passes, and is listed as failing")),
                (Err(why), None) => wrong.push(format!("{name}: {why}")),
            }
        }
    }
    println!("{kind}: {passed} passed, {} failed, {known} known to fail", wrong.len());
    for line in &wrong {
        println!("  {line}");
    }
    if !wrong.is_empty() || passed == 0 {
        std::process::exit(1);
    }
}

fn of_json(case: &Value) -> Result<(), String> {
    let (document, patch) = (Json::from(case["doc"].clone()), Json::from(case["patch"].clone()));
    let done = json::apply(&document, &patch);
    match (done, case.get("expected"), case.get("error")) {
        (Ok(_), None, None) | (Err(_), None, Some(_)) => Ok(()),
        (Ok(done), Some(expected), _) => compare(&done, expected),
        (Ok(done), None, Some(error)) => Err(format!("gives {done} and should be refused: {error}")),
        (Err(error), ..) => Err(format!("is refused: {error}")),
    }
}

fn of_fhirpath(case: &Value) -> Result<(), String> {
    let patch = Patch::Path(Json::from(case["diff"].clone()));
    match patch.apply(&Json::from(case["input"].clone())) {
        Ok(done) => compare(&done, &case["output"]),
        Err(error) => Err(format!("is refused: {error}")),
    }
}

/// Members in any order.
fn compare(done: &Json, expected: &Value) -> Result<(), String> {
    let value: Value = serde_json::from_str(&done.to_string()).expect("JSON");
    if value == *expected { Ok(()) } else { Err(format!("gives {done} and should give {expected}")) }
}
