//! Whether a resource is what R4 asks for: every issue, each with its element and its cure.
//!
//! For: the gate that each resource passes before it is stored. Structure, cardinality, primitive formats, required codes,
//! choices, extensions, reference targets, contained resources, narrative.
//! Not for: profiles, FHIRPath invariants beyond the native ones (ele-1, ext-1, dom-2 to dom-5, ref-1, txt-1, txt-2, sqty-1),
//! or whether a reference leads somewhere.
//! Source: <https://hl7.org/fhir/R4/validation.html>, <https://hl7.org/fhir/R4/json.html>; tables of [`super::definition`].

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod mutation;
mod nearest;
mod reference;
#[cfg(test)]
mod tests;
mod walk;

use super::Json;
use super::path::Path;
use crate::error::{Error, Issue, Kind, Result, Severity};

/// Code of an issue about a narrative that is XHTML and holds what may not be in one.
const FORBIDDEN: &str = "business-rule";

/// All issues of a resource; at most a hundred.
#[must_use]
pub fn resource(resource: &Json) -> Vec<Issue> {
    let mut walk = walk::Walk::default();
    let name = resource["resourceType"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
    walk.resource(resource, &Path::root(name), walk::Place::Own);
    walk.issues
}

/// Refuses a resource that is not valid.
///
/// # Errors
/// `Invalid` with all issues; `BusinessRule` when all that is wrong is a narrative with what runs or calls out.
pub fn check(resource: &Json) -> Result<()> {
    let issues = self::resource(resource);
    let mut errors = issues.iter().filter(|i| i.severity == Severity::Error).peekable();
    if errors.peek().is_none() {
        return Ok(());
    }
    let kind = if errors.all(|i| i.code == FORBIDDEN) { Kind::BusinessRule } else { Kind::Invalid };
    Err(Error::with_issues(kind, issues))
}
