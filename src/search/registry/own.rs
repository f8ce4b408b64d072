//! The search parameters that R4 lacks, as SearchParameter resources of `profiles/search`: the embedded ones, and those of
//! a site's directory over them.
//!
//! As with the other profiles, a file `DIR/search/x.json` takes the place of the embedded `x.json`, and further files are
//! added. One that is not `active` is left out.

use crate::error::{Error, Issue, Kind, Result, Severity};
use crate::fhir::{Json, json, validate};
use std::collections::BTreeMap;
use std::path::Path;

/// (file, text).
const FILES: [(&str, &str); 14] = [
    ("communication-attempt-outcome.json", include_str!("../../../profiles/search/communication-attempt-outcome.json")),
    ("consent-provision-period.json", include_str!("../../../profiles/search/consent-provision-period.json")),
    ("detectedissue-episode.json", include_str!("../../../profiles/search/detectedissue-episode.json")),
    (
        "detectedissue-mitigation-action.json",
        include_str!("../../../profiles/search/detectedissue-mitigation-action.json"),
    ),
    ("detectedissue-severity.json", include_str!("../../../profiles/search/detectedissue-severity.json")),
    ("detectedissue-status.json", include_str!("../../../profiles/search/detectedissue-status.json")),
    ("detectedissue-urgency.json", include_str!("../../../profiles/search/detectedissue-urgency.json")),
    (
        "encounter-discharge-disposition.json",
        include_str!("../../../profiles/search/encounter-discharge-disposition.json"),
    ),
    ("list-role.json", include_str!("../../../profiles/search/list-role.json")),
    ("medicationstatement-list.json", include_str!("../../../profiles/search/medicationstatement-list.json")),
    ("task-candidate.json", include_str!("../../../profiles/search/task-candidate.json")),
    ("task-claim-lease.json", include_str!("../../../profiles/search/task-claim-lease.json")),
    ("task-due.json", include_str!("../../../profiles/search/task-due.json")),
    ("task-episode.json", include_str!("../../../profiles/search/task-episode.json")),
];

/// The embedded ones. They are Baton's own texts: a test holds that they read.
pub(in crate::search) fn embedded() -> Vec<Json> {
    FILES.iter().filter_map(|(_, text)| json::parse(text.as_bytes()).ok()).collect()
}

/// (`search/x.json`, resource) of every active one: the embedded files, those of `dir` over them.
///
/// # Errors
/// `Invalid` with all that is wrong, each with file and element.
pub fn files(dir: Option<&Path>) -> Result<Vec<(String, Json)>> {
    let mut issues = Vec::new();
    let mut texts: BTreeMap<String, String> = FILES.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
    for path in dir.map(|d| d.join("search")).and_then(|d| std::fs::read_dir(d).ok()).into_iter().flatten().flatten() {
        let path = path.path();
        let Some(file) = path.file_name().and_then(|n| n.to_str()).filter(|n| n.ends_with(".json")) else { continue };
        match std::fs::read_to_string(&path) {
            Ok(text) => drop(texts.insert(file.into(), text)),
            Err(why) => issues.push(Issue::error("invalid", "", format!("search/{file}: cannot be read: {why}"))),
        }
    }
    let mut out = Vec::new();
    for (file, text) in texts {
        let name = format!("search/{file}");
        let resource = match json::parse(text.as_bytes()) {
            Ok(resource) => resource,
            Err(why) => {
                issues.push(Issue::error("invalid", "", format!("{name}: {why}")));
                continue;
            }
        };
        let wrong = validate::resource(&resource).into_iter().filter(|i| i.severity == Severity::Error);
        let before = issues.len();
        issues.extend(wrong.map(|i| Issue { diagnostics: format!("{name}: {}", i.diagnostics), ..i }));
        if issues.len() == before && (resource["status"].text() == "active" || !is_parameter(&resource)) {
            out.push((name, resource));
        }
    }
    if issues.is_empty() { Ok(out) } else { Err(Error::with_issues(Kind::Invalid, issues)) }
}

/// Anything else is kept, so that reading it as one says what it is.
fn is_parameter(resource: &Json) -> bool {
    resource["resourceType"].text() == "SearchParameter"
}
