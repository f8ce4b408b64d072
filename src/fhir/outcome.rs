//! OperationOutcome: what a failure, or a list of issues, looks like on the wire.
//!
//! For: every answer that is not a resource, and entries of a batch. Not for: HTTP status codes (`error.rs`).
//! Source: <https://hl7.org/fhir/R4/operationoutcome.html>.

use super::json::{Json, Object};
use crate::error::{Error, Issue, Severity};
use std::borrow::Cow;

/// Extensions of an issue: line and column of the body, and who complains.
/// Source: <https://hl7.org/fhir/R4/extension-operationoutcome-issue-source.html>; `-line` and `-col` as HL7's validator writes them.
const ISSUE: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-";

/// The outcome of a failure. The cause stays inside the house.
#[must_use]
pub fn of_error(error: &Error) -> Json {
    of_issues(&error.issues)
}

/// The outcome of issues. None at all gives one information issue: an OperationOutcome needs one.
#[must_use]
pub fn of_issues(issues: &[Issue]) -> Json {
    if issues.is_empty() {
        return all_ok("Nothing to report.");
    }
    outcome(issues.iter().map(issue).collect())
}

/// An outcome that says all is well: `Prefer: return=OperationOutcome`.
#[must_use]
pub fn all_ok(text: &str) -> Json {
    all_ok_but(text, &[])
}

/// The same with what was noticed beside it: warnings that blocked nothing.
#[must_use]
pub fn all_ok_but(text: &str, noticed: &[Issue]) -> Json {
    let done = Issue { severity: Severity::Information, ..Issue::error("informational", "", text) };
    outcome(std::iter::once(&done).chain(noticed).map(issue).collect())
}

fn outcome(rows: Vec<Json>) -> Json {
    object([("resourceType", "OperationOutcome".into()), ("issue", Json::Array(rows))])
}

fn issue(issue: &Issue) -> Json {
    let rule = if issue.rule.is_empty() { issue.diagnostics.as_str() } else { &issue.rule };
    let expression = clean(&issue.expression);
    let mut extensions = Vec::new();
    if let Some((line, column)) = issue.position {
        for (name, n) in [("line", line), ("col", column)] {
            extensions.push(object([("url", format!("{ISSUE}{name}").into()), ("valueInteger", i64::from(n).into())]));
        }
    }
    if let Some(profile) = &issue.profile {
        extensions.push(object([("url", format!("{ISSUE}source").into()), ("valueString", (&**profile).into())]));
    }
    let mut row = object([
        ("severity", issue.severity.as_str().into()),
        ("code", issue.code.into()),
        ("details", object([("text", clean(rule).as_ref().into())])),
        ("diagnostics", clean(&issue.diagnostics).as_ref().into()),
    ]);
    if !expression.is_empty() {
        row.push("expression", expression.as_ref());
    }
    if let (false, Json::Object(members)) = (extensions.is_empty(), &mut row) {
        members.insert_at(0, "extension", Json::Array(extensions));
    }
    row
}

/// What a client wrote may be quoted in a text, and a FHIR string holds no control characters but tab and ends of lines.
///
/// Source: <https://hl7.org/fhir/R4/datatypes.html#string>.
fn clean(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    if text.contains(is_bad) { text.replace(is_bad, "").into() } else { text.into() }
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

    // `fuzz/found/query-1129-25038`
    #[test]
    fn a_control_character_of_the_client_is_not_quoted() {
        let outcome = of_error(&Error::invalid("the value set a\u{2}b is not known here").at("Patient.x\u{1}"));
        assert_eq!(outcome["issue"][0]["diagnostics"].text(), "the value set ab is not known here");
        assert_eq!(super::super::validate::resource(&outcome), []);
    }

    /// R4 operationoutcome.html: An issue has severity, code, `details.text`, `diagnostics`, `expression`, line and
    /// column, and the profile that complains.
    #[test]
    fn an_issue_says_the_rule_the_place_in_the_body_and_the_profile_that_complains() {
        let mut issue = Issue::error("value", "Patient.birthDate", "found \"1970-02-30\", expected a date")
            .rule("birthDate is a date")
            .of_profile("http://x.example/P|1");
        issue.position = Some((3, 5));
        let row = &of_issues(&[issue])["issue"][0];
        assert_eq!(
            row.to_string(),
            r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line","valueInteger":3},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col","valueInteger":5},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-source","valueString":"http://x.example/P|1"}],"severity":"error","code":"value","details":{"text":"birthDate is a date"},"diagnostics":"found \"1970-02-30\", expected a date","expression":["Patient.birthDate"]}"#
        );
        assert!(super::super::validate::resource(&of_issues(&[])).is_empty());
    }
}
