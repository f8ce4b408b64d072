//! Issues in the order of their use, each fault once.

use crate::error::{Issue, Severity};

/// Codes of issues about the form of an element: what follows from them at the same element is the same fault.
const FORM: [&str; 6] = ["structure", "required", "value", "code-invalid", "not-found", "invalid"];

/// Errors before warnings; of these the rules of R4's structure before invariants, and both before profiles, each in the
/// order of the text. Issues that say of an element what was said of it before are left out: a profile that asks again for
/// what R4 asks, an invariant that fails because the element is malformed, two profiles of the same mind.
#[must_use]
pub fn tidy(mut issues: Vec<Issue>) -> Vec<Issue> {
    let rank = |i: &Issue| match (&i.profile, i.code) {
        (Some(_), _) => 2,
        (None, "invariant") => 1,
        _ => 0,
    };
    issues.sort_by_key(|i| (i.severity, rank(i)));
    let mut kept: Vec<Issue> = Vec::with_capacity(issues.len());
    for issue in issues {
        if !kept.iter().any(|k| says(k, &issue)) {
            kept.push(issue);
        }
    }
    kept
}

/// Whether `known` says what `issue` says, or what it comes from.
fn says(known: &Issue, issue: &Issue) -> bool {
    if known.expression != issue.expression {
        return false;
    }
    let is_form = |i: &Issue| i.severity == Severity::Error && FORM.contains(&i.code);
    let follows = is_form(known)
        && known.profile.is_none()
        && (issue.code == "invariant" || (issue.profile.is_some() && is_form(issue)));
    follows || known.diagnostics == issue.diagnostics
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 operationoutcome.html: A fault is told once, the most useful issue first.
    #[test]
    fn a_fault_is_told_once_and_what_it_comes_from_goes_first() {
        let issues = vec![
            Issue::warning("informational", "Patient", "no narrative"),
            Issue::error("invariant", "Patient.contact[0]", "pat-1"),
            Issue::error("required", "Patient.name", "missing").of_profile("http://x.example/P"),
            Issue::error("required", "Patient.name", "missing").of_profile("http://x.example/Q"),
            Issue::error("structure", "Patient.gender", "found [], expected one value"),
            Issue::error("code-invalid", "Patient.gender", "found no code").of_profile("http://x.example/P"),
            Issue::error("invariant", "Patient.gender", "ele-1"),
            Issue::error("required", "Observation.component", "no slice a").of_profile("http://x.example/P"),
            Issue::error("required", "Observation.component", "no slice b").of_profile("http://x.example/P"),
        ];
        let told: Vec<String> = tidy(issues).iter().map(|i| format!("{} {}", i.expression, i.diagnostics)).collect();
        assert_eq!(
            told,
            [
                "Patient.gender found [], expected one value",
                "Patient.contact[0] pat-1",
                "Patient.name missing",
                "Observation.component no slice a",
                "Observation.component no slice b",
                "Patient no narrative",
            ]
        );
    }
}
