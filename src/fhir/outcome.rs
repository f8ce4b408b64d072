//! OperationOutcome: what a failure, or a list of issues, looks like on the wire.
//!
//! For: every answer that is not a resource, and entries of a batch. Not for: HTTP status codes (`error.rs`).
//! Source: <https://hl7.org/fhir/R4/operationoutcome.html>.

use super::json::{Json, Object};
use crate::error::{Error, Issue};

/// The outcome of a failure. The cause stays inside the house.
#[must_use]
pub fn of_error(error: &Error) -> Json {
    of_issues(&error.issues)
}

/// The outcome of issues. None at all gives one information issue: an OperationOutcome needs one.
#[must_use]
pub fn of_issues(issues: &[Issue]) -> Json {
    let rows = if issues.is_empty() {
        vec![issue("information", "informational", "", "Nothing to report.")]
    } else {
        issues.iter().map(|i| issue(i.severity.as_str(), i.code, &i.expression, &i.diagnostics)).collect()
    };
    object([("resourceType", "OperationOutcome".into()), ("issue", Json::Array(rows))])
}

/// An outcome that says all is well: `Prefer: return=OperationOutcome`.
#[must_use]
pub fn all_ok(text: &str) -> Json {
    let rows = vec![issue("information", "informational", "", text)];
    object([("resourceType", "OperationOutcome".into()), ("issue", Json::Array(rows))])
}

fn issue(severity: &str, code: &str, expression: &str, text: &str) -> Json {
    let mut row = object([
        ("severity", severity.into()),
        ("code", code.into()),
        ("details", object([("text", text.into())])),
        ("diagnostics", text.into()),
    ]);
    if !expression.is_empty() {
        row.push("expression", expression);
    }
    row
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_an_outcome_with_all_its_issues() {
        let error = Error::invalid("found 1, expected a string").at("Patient.id");
        assert_eq!(
            of_error(&error).to_string(),
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","details":{"text":"found 1, expected a string"},"diagnostics":"found 1, expected a string","expression":["Patient.id"]}]}"#
        );
        assert_eq!(of_issues(&[])["issue"].items().len(), 1);
    }
}
