//! The programme: what a discharge starts, who may take the next step, and what only a pharmacist decides.
//!
//! A write passes three doors: [`guard`] judges it (pure), [`stamp`] fills in what the server alone writes, and, once
//! per transaction after all entries are put, [`react`] adds what follows from them. Times, roles, thresholds and codes
//! are FHIR resources in `profiles/`, read into a [`Programme`].
//! Not for: which rows a caller sees (`access`), base structure (`fhir::validate`), SQL (`store`).
//! Source: `profiles/*/README.md`; <https://hl7.org/fhir/R4/workflow.html>.

pub mod calendar;
pub mod element;
pub mod eligibility;
pub mod ids;
pub mod outreach;
pub mod policy;
pub mod programme;
pub mod protocol;

pub use programme::Programme;

use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::{Json, Target};
use crate::search::Keys;
use crate::store::Tx;

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

/// Refuses a write that the caller's role may not make, or that the state of the resource forbids. Pure.
///
/// To be asked for every create (`before` is `None`), update, patch and delete (`after` is `None`), before [`stamp`].
///
/// # Errors
/// `Forbidden` naming the rule of `profiles/policy` when the role may not; else `BusinessRule`; all issues at once.
pub fn guard(_ctx: &Ctx, _programme: &Programme, _before: Option<&Json>, _after: Option<&Json>) -> Result<()> {
    Ok(())
}

/// Fills in what the server alone writes: `Task.lastModified` and the ends of `Task.executionPeriod`. Pure.
pub fn stamp(_ctx: &Ctx, _programme: &Programme, _before: Option<&Json>, _after: &mut Json) {}

/// Does what follows from a transaction's changes, inside it: once, after all entries are put.
///
/// # Errors
/// `BusinessRule` when the changes together break a rule that one of them alone does not show.
pub async fn react(_ctx: &Ctx, _tx: &mut Tx, _programme: &Programme, _changes: &[Change]) -> Result<()> {
    Ok(())
}

/// What must not run at the same time as another work that writes these resources (`Work::locks`): their patients and
/// the Tasks and DTPs themselves. References that are not resolved yet give no key; [`react`] asks for those later.
#[must_use]
pub fn lock_names<'a>(_keys: &Keys, _resources: impl IntoIterator<Item = &'a Json>) -> Vec<i64> {
    Vec::new()
}

/// `Task/{id}/$claim`: the caller's organisation takes a Task. Answers the Task as stored.
///
/// `params`: `owner` (Reference, optional) must be the caller's organisation.
///
/// # Errors
/// 428 without `if_match`, 412 when it is stale, 409 when another has it, 403 when the caller is no candidate.
pub async fn claim(
    _ctx: &Ctx,
    _tx: &mut Tx,
    _programme: &Programme,
    _task_id: &str,
    _params: Option<&Json>,
    _if_match: Option<i64>,
) -> Result<Json> {
    Err(Error::fault("not built yet"))
}

/// `Task/{id}/$release`: the owner gives a Task back that it has not started. Answers the Task as stored.
///
/// # Errors
/// 422 when the Task has been started, 403 when the caller does not own it.
pub async fn release(
    _ctx: &Ctx,
    _tx: &mut Tx,
    _programme: &Programme,
    _task_id: &str,
    _params: Option<&Json>,
    _if_match: Option<i64>,
) -> Result<Json> {
    Err(Error::fault("not built yet"))
}

/// `Task/{id}/$attempt`: records one attempt to reach the patient. Answers the Communication as stored.
///
/// # Errors
/// 422 when the Task is not accepted or in progress, or the attempt lies in the future or before the discharge.
pub async fn attempt(
    _ctx: &Ctx,
    _tx: &mut Tx,
    _programme: &Programme,
    _task_id: &str,
    _params: Option<&Json>,
    _if_match: Option<i64>,
) -> Result<Json> {
    Err(Error::fault("not built yet"))
}

/// `DetectedIssue/{id}/$resolve`: a pharmacist's decision on a drug therapy problem. Answers the DetectedIssue as stored.
///
/// # Errors
/// 403 when the caller is no pharmacist, 422 when the problem is not open or the decision lacks something.
pub async fn resolve(
    _ctx: &Ctx,
    _tx: &mut Tx,
    _programme: &Programme,
    _dtp_id: &str,
    _params: Option<&Json>,
    _if_match: Option<i64>,
) -> Result<Json> {
    Err(Error::fault("not built yet"))
}
