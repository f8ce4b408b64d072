//! The profile files: built in, and read from a directory that goes over them.
//!
//! A file `DIR/protocol/x.json` takes the place of the built-in `protocol/x.json`; further files are added. Nothing is
//! taken until everything has been read: one bad file, and what was in force stays in force.

use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::{Json, json, validate};
use std::collections::BTreeMap;
use std::path::Path;

/// The folders that hold FHIR resources of the programme.
const FOLDERS: [&str; 8] =
    ["codes", "medicine", "policy", "protocol", "questionnaire", "risk", "screening", "structure"];

/// Files of these folders that other rooms read in shapes of their own.
const OTHERS: [&str; 2] = ["policy/access.json", "policy/labels.json"];

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// (folder/name, text) of every built-in file.
        pub const BUILT_IN: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../../profiles/", $name)))),*];
    };
}

built_in! {
    "codes/acceptance.json",
    "codes/answer.json",
    "codes/attempt-outcome.json",
    "codes/business-status.json",
    "codes/conceptmap-acceptance-pcne.json",
    "codes/conceptmap-business-status-bser.json",
    "codes/conceptmap-disposition-nubc.json",
    "codes/conceptmap-dtp-category-act.json",
    "codes/conceptmap-event-v2.json",
    "codes/destination.json",
    "codes/dtp-category.json",
    "codes/dtp-rationale.json",
    "codes/eligibility.json",
    "codes/flag.json",
    "codes/list-line.json",
    "codes/mitigation-evidence.json",
    "codes/not-eligible-reason.json",
    "codes/protocol.json",
    "codes/provenance-activity.json",
    "codes/readmission-class.json",
    "codes/reconcile-outcome.json",
    "codes/report-section.json",
    "codes/resolution.json",
    "codes/risk-score.json",
    "codes/task-code.json",
    "codes/task-output-type.json",
    "codes/task-status-reason.json",
    "codes/valueset-acceptance.json",
    "codes/valueset-answer.json",
    "codes/valueset-attempt-outcome.json",
    "codes/valueset-business-status.json",
    "codes/valueset-destination.json",
    "codes/valueset-dtp-category.json",
    "codes/valueset-dtp-rationale.json",
    "codes/valueset-eligibility.json",
    "codes/valueset-flag.json",
    "codes/valueset-list-line.json",
    "codes/valueset-not-eligible-reason.json",
    "codes/valueset-protocol.json",
    "codes/valueset-provenance-activity.json",
    "codes/valueset-readmission-class.json",
    "codes/valueset-reconcile-outcome.json",
    "codes/valueset-report-section.json",
    "codes/valueset-resolution.json",
    "codes/valueset-risk-score.json",
    "codes/valueset-task-code.json",
    "codes/valueset-task-output-type.json",
    "codes/valueset-task-status-reason.json",
    "medicine/brand.json",
    "medicine/dosing.json",
    "medicine/form.json",
    "medicine/inpatient-only.json",
    "medicine/patient-directions.json",
    "medicine/patient-words.json",
    "medicine/quality.json",
    "medicine/route.json",
    "medicine/rxnorm.json",
    "medicine/salt.json",
    "medicine/substance.json",
    "medicine/unit.json",
    "policy/profiles.json",
    "policy/rules.json",
    "protocol/abort-work.json",
    "protocol/activity-abort-work.json",
    "protocol/activity-check-pickup.json",
    "protocol/activity-close-episode.json",
    "protocol/activity-contact-day-14.json",
    "protocol/activity-contact-day-28.json",
    "protocol/activity-contact-prescriber.json",
    "protocol/activity-education.json",
    "protocol/activity-first-call.json",
    "protocol/activity-home-visit.json",
    "protocol/activity-letter.json",
    "protocol/activity-pharmacist-check.json",
    "protocol/activity-report-to-hospital.json",
    "protocol/activity-request-list.json",
    "protocol/activity-review-dtp.json",
    "protocol/ask-contact-prescriber.json",
    "protocol/ask-education.json",
    "protocol/ask-home-visit.json",
    "protocol/ask-report-to-hospital.json",
    "protocol/calendar-us-federal.json",
    "protocol/choice.json",
    "protocol/disposition.json",
    "protocol/dms-3-stage.json",
    "protocol/dtp-review.json",
    "protocol/eligibility.json",
    "protocol/hours-calling.json",
    "protocol/list-not-sent.json",
    "protocol/one-call.json",
    "protocol/safemed-45-day.json",
    "protocol/tcm-30-day.json",
    "protocol/unreachable.json",
    "protocol/zone.json",
    "questionnaire/first-call.json",
    "questionnaire/follow-up.json",
    "questionnaire/home-visit.json",
    "questionnaire/pharmacist-review.json",
    "questionnaire/red-flags.json",
    "risk/hospital.json",
    "risk/lace.json",
    "screening/classes.json",
    "screening/interactions.json",
    "screening/limits.json",
    "screening/renal.json",
    "screening/rules.json",
    "structure/acceptance.json",
    "structure/attempt.json",
    "structure/attempts.json",
    "structure/attested-list.json",
    "structure/calendar-offset.json",
    "structure/candidate-pharmacy.json",
    "structure/candidate-problem.json",
    "structure/claim-lease.json",
    "structure/close-reminder.json",
    "structure/consent-withheld.json",
    "structure/criterion.json",
    "structure/deceased-by.json",
    "structure/decided-problem.json",
    "structure/discharge-encounter.json",
    "structure/element.json",
    "structure/episode.json",
    "structure/escalated.json",
    "structure/extract.json",
    "structure/followup-episode.json",
    "structure/followup-task.json",
    "structure/handoff-report.json",
    "structure/harm-avoided.json",
    "structure/index-encounter.json",
    "structure/list-change.json",
    "structure/message-received.json",
    "structure/offer-lease.json",
    "structure/paused-by.json",
    "structure/preferred-pharmacy.json",
    "structure/previous-episode.json",
    "structure/protocol.json",
    "structure/reconciled-line.json",
    "structure/red-flag.json",
    "structure/resolution.json",
    "structure/returned.json",
    "structure/review-task.json",
    "structure/rule-fired.json",
    "structure/share-after-close.json",
    "structure/stopped-firing.json",
    "structure/stopped-order.json",
    "structure/stopped-statement.json",
    "structure/teach-back.json",
    "structure/time-zone.json",
    "structure/told-in.json",
    "structure/urgency.json",
    "structure/valueset-attempt-status.json",
    "structure/valueset-decided-status.json",
    "structure/valueset-teach-back.json",
}

/// What is wrong with the files, collected: each issue names its file and the element.
#[derive(Debug, Default)]
pub struct Complaints(Vec<Issue>);

impl Complaints {
    /// Adds one.
    pub fn add(&mut self, file: &str, path: impl Into<String>, why: impl AsRef<str>) {
        self.0.push(Issue::error("invalid", path, format!("{file}: {}", why.as_ref())));
    }

    /// An error when there is any.
    ///
    /// # Errors
    /// `Invalid` with all complaints.
    pub fn settle(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::with_issues(Kind::Invalid, self.0)) }
    }
}

/// Texts by folder/name: the built-in ones, those of `dir` over them.
fn texts(dir: Option<&Path>, complaints: &mut Complaints) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BUILT_IN.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
    let Some(dir) = dir else { return texts };
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { continue };
        for path in entries.flatten().map(|e| e.path()) {
            let Some(file) = path.file_name().and_then(|n| n.to_str()).filter(|n| n.ends_with(".json")) else {
                continue;
            };
            let name = format!("{folder}/{file}");
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(texts.insert(name, text)),
                Err(why) => complaints.add(&name, "", format!("cannot be read: {why}")),
            }
        }
    }
    texts
}

/// All resources by folder/name, each one valid R4.
pub fn read(dir: Option<&Path>, complaints: &mut Complaints) -> BTreeMap<String, Json> {
    let mut resources = BTreeMap::new();
    for (name, text) in texts(dir, complaints) {
        let resource = match json::parse(text.as_bytes()) {
            Ok(resource) => resource,
            Err(why) => {
                complaints.add(&name, "", why.to_string());
                continue;
            }
        };
        for issue in validate::resource(&resource).iter().filter(|i| i.severity == crate::error::Severity::Error) {
            complaints.add(&name, &issue.expression, &issue.diagnostics);
        }
        resources.insert(name, resource);
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folders_is_built_in_and_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut complaints = Complaints::default();
        let on_disk = texts(Some(&root), &mut complaints);
        let built_in: Vec<&str> = BUILT_IN.iter().map(|(n, _)| *n).collect();
        assert_eq!(on_disk.keys().map(String::as_str).collect::<Vec<_>>(), built_in, "BUILT_IN lists them in order");
        read(None, &mut complaints);
        complaints.settle().unwrap();
    }
}
