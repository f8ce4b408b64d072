//! Whether a resource is what R4 asks for: every issue, each with its element and its cure.
//!
//! For: the gate that each resource passes before it is stored. Structure, cardinality, primitive formats, required codes,
//! choices, extensions, reference targets, contained resources, narrative, Bundles by type, and the constraints of every type.
//! Not for: profiles, or whether a reference leads somewhere.
//! Source: <https://hl7.org/fhir/R4/validation.html>, <https://hl7.org/fhir/R4/json.html>; tables of [`super::definition`].

mod bundle;
#[cfg(test)]
pub(super) mod corpus;
mod half;
mod invariant;
#[cfg(test)]
mod invariants;
mod leaf;
#[cfg(test)]
mod mutation;
mod nearest;
mod reference;
#[cfg(test)]
mod tests;
mod tidy;
mod walk;

pub use reference::{Misled, misled};
pub use tidy::tidy;

use super::Json;
use super::path::Path;
use crate::error::{Error, Issue, Kind, Result, Severity};

/// Code of an issue about a narrative that is XHTML and holds what may not be in one.
const FORBIDDEN: &str = "business-rule";

/// All errors of a resource, the most useful first; at most a hundred.
#[must_use]
pub fn resource(resource: &Json) -> Vec<Issue> {
    walked(resource, false)
}

/// As [`resource`], and what R4 marks as a warning: dom-6 (a narrative is wanted), names for machines and the like. They never
/// block, and a write does not ask for them.
#[must_use]
pub fn with_warnings(resource: &Json) -> Vec<Issue> {
    walked(resource, true)
}

/// As [`resource`], without the constraints that are FHIRPath: for measuring what those cost (`examples/validate.rs`).
#[must_use]
pub fn structure_only(resource: &Json) -> Vec<Issue> {
    walk(resource, walk::Walk { structure_only: true, ..walk::Walk::default() })
}

fn walked(resource: &Json, warnings: bool) -> Vec<Issue> {
    walk(resource, walk::Walk { warnings, ..walk::Walk::default() })
}

fn walk<'j>(resource: &'j Json, mut walk: walk::Walk<'j>) -> Vec<Issue> {
    let name = resource["resourceType"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
    walk.resource(resource, &Path::root(name), walk::Place::Own);
    tidy(walk.issues)
}

/// Refuses a resource that is not valid. What is returned blocks nothing: warnings and remarks.
///
/// # Errors
/// `Invalid` (400) with all issues; `BusinessRule` (422) when the resource has the form that R4 asks for, and all that is wrong are
/// constraints between its elements, or a narrative with what runs or calls out.
pub fn check(resource: &Json) -> Result<Vec<Issue>> {
    let issues = self::resource(resource);
    match kind(&issues) {
        Some(kind) => Err(Error::with_issues(kind, issues)),
        None => Ok(issues),
    }
}

/// How a resource of these issues is refused, as [`check`] says; a fault against a profile is one of form. `None`: no issue is an error.
#[must_use]
pub fn kind(issues: &[Issue]) -> Option<Kind> {
    let mut errors = issues.iter().filter(|i| i.severity == Severity::Error).peekable();
    errors.peek()?;
    let is_rule = |i: &Issue| i.profile.is_none() && (i.code == FORBIDDEN || invariant::is_told_by(i));
    Some(if errors.all(is_rule) { Kind::BusinessRule } else { Kind::Invalid })
}
