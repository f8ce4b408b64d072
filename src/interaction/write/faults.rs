//! All failures of a request's entries in one: each issue with the place of its entry.

use crate::error::{Error, Issue, Kind, Result};

/// Issues that one answer holds at most; a Bundle of 5,000 bad entries does not get an answer longer than itself.
const MAX_ISSUES: usize = 200;

/// Failures collected so far. The first one decides the status.
#[derive(Debug, Default)]
pub(in crate::interaction) struct Faults {
    kind: Option<Kind>,
    issues: Vec<Issue>,
}

impl Faults {
    /// Adds a failure of the entry at `place` (`Bundle.entry[3]`, or "" for a request without a Bundle), each issue once.
    pub(in crate::interaction) fn add(&mut self, error: Error, place: &str) {
        let error = at(error, place);
        self.kind.get_or_insert(error.kind);
        for issue in error.issues {
            let is_told = |i: &Issue| i.expression == issue.expression && i.diagnostics == issue.diagnostics;
            if self.issues.len() < MAX_ISSUES && !self.issues.iter().any(is_told) {
                self.issues.push(issue);
            }
        }
    }

    /// Whether nothing failed.
    pub(in crate::interaction) const fn is_empty(&self) -> bool {
        self.kind.is_none()
    }

    /// Keeps the value, or the failure.
    pub(in crate::interaction) fn keep<T>(&mut self, result: Result<T>, place: &str) -> Option<T> {
        result.map_err(|e| self.add(e, place)).ok()
    }

    /// Fails when anything failed.
    pub(in crate::interaction) fn end(self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.error()) }
    }

    /// What failed, as one error; to be asked where something did.
    pub(super) fn error(self) -> Error {
        match self.kind {
            Some(kind) => Error::with_issues(kind, self.issues),
            None => Error::fault("a failure without a fault"),
        }
    }
}

/// Puts the place of its entry before an error's expressions, which are of the entry's resource: `Patient.name[0]` becomes
/// `Bundle.entry[3].resource.name[0]`, an error of no element blames the entry itself.
pub(crate) fn at(mut error: Error, place: &str) -> Error {
    place_issues(&mut error.issues, place);
    error
}

/// The same of issues that are no failure.
pub(super) fn place_issues(issues: &mut [Issue], place: &str) {
    if place.is_empty() {
        return;
    }
    for issue in issues {
        if issue.expression.starts_with("Patch[") {
            // The operations of a JSON Patch are inside the Binary's data.
            issue.diagnostics = format!("{}: {}", issue.expression, issue.diagnostics);
            issue.expression = format!("{place}.resource.data");
            continue;
        }
        let rest = issue.expression.find(['.', '[']).map_or("", |n| issue.expression.get(n..).unwrap_or_default());
        let inner = if issue.expression.is_empty() { "" } else { ".resource" };
        issue.expression = format!("{place}{inner}{rest}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_names_its_entry() {
        let mut faults = Faults::default();
        faults.add(Error::invalid("a").at("Patient.name[0]"), "Bundle.entry[3]");
        faults.add(Error::not_found("b"), "Bundle.entry[4]");
        // The resource of an entry may be a Bundle.
        faults.add(Error::invalid("d").at("Bundle.entry[5].response"), "Bundle.entry[5]");
        faults.add(Error::not_found("c").at("Patient"), "");
        let error = faults.end().unwrap_err();
        let paths: Vec<&str> = error.issues.iter().map(|i| i.expression.as_str()).collect();
        assert_eq!(
            (error.kind, paths),
            (
                Kind::Invalid,
                vec![
                    "Bundle.entry[3].resource.name[0]",
                    "Bundle.entry[4]",
                    "Bundle.entry[5].resource.entry[5].response",
                    "Patient"
                ]
            )
        );
    }
}
