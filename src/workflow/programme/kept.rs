//! Versions that were in force: a running episode keeps the protocol, the activities and the forms that it began by.
//!
//! For: reading them beside the files. Not for: where they are kept (`cli/open.rs`, in the database).
//! Source: own rule; <https://hl7.org/fhir/R4/references.html#canonical>: a version, once published, does not change.

use super::files::Complaints;
use crate::fhir::Json;
use std::collections::BTreeMap;

/// Types that are kept.
pub(super) const KINDS: [&str; 3] = ["PlanDefinition", "ActivityDefinition", "Questionnaire"];

/// What the names of kept resources begin with: no file's does, and they come after all of them.
const NAME: &str = "~kept/";

/// Whether running episodes go by a version of it. Rules about what happens now (the choice, reviews) change at once.
pub(super) fn is_versioned(resource: &Json) -> bool {
    let is_plan = resource["resourceType"].text() == "PlanDefinition";
    !is_plan || super::element_is(&resource["type"], "workflow-definition")
}

/// Whether a resource is not of a file.
pub(super) fn is_kept(name: &str) -> bool {
    name.starts_with(NAME)
}

/// `url|version`.
pub(super) fn canonical(resource: &Json) -> String {
    format!("{}|{}", resource["url"].text(), resource["version"].text())
}

/// Adds what was in force and is not among the files any more. A version that says something else than before is complained
/// about.
pub(super) fn add(resources: &mut BTreeMap<String, Json>, kept: &[Json], complaints: &mut Complaints) {
    let is_of = |r: &Json, old: &Json| r["resourceType"] == old["resourceType"] && canonical(r) == canonical(old);
    for old in kept.iter().filter(|k| KINDS.contains(&k["resourceType"].text()) && is_versioned(k)) {
        let Some((file, now)) = resources.iter().find(|(_, r)| is_of(r, old)) else {
            let name = format!("{NAME}{}/{}", old["resourceType"].text(), canonical(old));
            resources.insert(name, old.clone());
            continue;
        };
        if now != old {
            let why = format!(
                "version {} has been in force and said something else: give the changed one a new version; running episodes keep the old one",
                old["version"].text()
            );
            complaints.add(file, format!("{}.version", old["resourceType"].text()), why);
        }
    }
}
