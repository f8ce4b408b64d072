//! The programme: what a discharge starts, who may take the next step, and what only a pharmacist decides.
//!
//! A write passes three doors: [`guard()`] judges it (pure), [`stamp`] fills in what the server alone writes, and, once
//! per transaction after all entries are put, [`react()`] adds what follows from them. Times, roles, thresholds and codes
//! are FHIR resources in `profiles/`, read into a [`Programme`].
//! Not for: which rows a caller sees (`access`), base structure (`fhir::validate`), SQL (`store`).
//! Source: `profiles/*/README.md`; <https://hl7.org/fhir/R4/workflow.html>.

pub mod answers;
pub mod build;
pub mod calendar;
pub mod consent;
pub mod discharge;
pub mod dtp;
pub mod element;
pub mod eligibility;
pub mod escalation;
pub mod guard;
pub mod ids;
pub mod list;
pub mod medication;
pub mod medicine;
pub mod message;
pub mod operation;
pub mod outreach;
pub mod policy;
pub mod programme;
pub mod protocol;
pub mod react;
pub mod reconcile;
pub mod records;
pub mod report;
pub mod risk;
pub mod screen;
pub mod task;
pub mod timeline;
#[cfg(test)]
pub(crate) mod world;
pub mod zone;

pub use guard::{Condition, condition, guard, stamp};
pub use operation::{
    attempt, claim, escalate, extract, lost, open_protocol, prepare_report, reconcile, release, resolve,
    screen as screen_stay,
};
pub use programme::Programme;
pub use react::react;
pub use task::{needs_match, needs_version, standing};

use crate::fhir::{Json, Target};
use crate::search::Keys;

/// One version that a transaction wrote: what the resource was, and what it is now.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which resource.
    pub target: Target,
    /// The version it replaces; `None` when there was none, or a deletion.
    pub before: Option<Json>,
    /// What was put; `None` when it was deleted.
    pub after: Option<Json>,
}

/// What must not run at the same time as another work that writes these resources (`Work::locks`): their patients and
/// the Tasks and DTPs themselves. References that are not resolved yet give no key; [`react()`] asks for those later.
#[must_use]
pub fn lock_names<'a>(keys: &Keys, resources: impl IntoIterator<Item = &'a Json>) -> Vec<i64> {
    records::lock_names(keys, resources, "")
}
