//! The programme's operations: `$claim`, `$release`, `$attempt`, `$resolve`, `$reconcile`.
//!
//! Each makes the resources that a client could have written itself, passes them through the same guard, and lets the same
//! reactions follow; everything is written once, at the end. The dispatcher has already seen that the caller may know of
//! the resource.
//! Not for: HTTP or `If-Match` headers (`interaction/operation`).
//! Source: own operations, described in `profiles/protocol/README.md`.

mod attempt;
mod extract;
mod handing;
mod params;
mod resolve;

#[cfg(test)]
mod tests;

use super::protocol::Plan;
use super::react::run_staged;
use super::records::{Books, Held, Records, lock_names};
use super::report::{Report, document};
use super::{Change, Programme, guard, stamp, task};
use crate::access::Ctx;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::Tx;
pub(super) use attempt::attempt_in;
pub(super) use extract::extract_in;
pub use handing::lost;
pub(super) use handing::{claim_in, release_in};
pub(super) use resolve::resolve_in;

/// `Task/{id}/$claim`: the caller's organisation takes a Task. Answers the Task as stored.
///
/// `params`: `owner` (Reference, optional) must be the caller's organisation; only a caller without one needs it.
/// The Task becomes `accepted`; the other open Tasks of its episode wait for the same organisation from then on.
///
/// # Errors
/// 428 without `if_match`, 412 when it is stale, 409 when another has it, 403 when the caller is no candidate.
pub async fn claim(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    task_id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    claim_in(ctx, &mut Books::new(ctx, tx, programme), programme, task_id, params, if_match).await
}

/// `Task/{id}/$release`: the owner gives a Task back that it has not started. Answers the Task as stored.
///
/// `params`: `reason` (string, code or CodeableConcept, optional).
///
/// # Errors
/// 422 when the Task has been started, 403 when the caller does not own it.
pub async fn release(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    task_id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    release_in(ctx, &mut Books::new(ctx, tx, programme), programme, task_id, params, if_match).await
}

/// `Task/{id}/$attempt`: records one attempt to reach the patient. Answers the Communication as stored.
///
/// `params`: `outcome` (a code of `attempt-outcome`), `sent` (dateTime; now), `medium` (a code of
/// v3-ParticipationMode; `PHONE`), `recipient` (Reference; the patient), `note` (string). The first attempt starts an
/// accepted Task. With `sent` a replay adds nothing.
///
/// # Errors
/// 422 when the Task is not accepted or in progress, or the attempt lies in the future or before the discharge.
pub async fn attempt(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    task_id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    attempt_in(ctx, &mut Books::new(ctx, tx, programme), programme, task_id, params, if_match).await
}

/// `DetectedIssue/{id}/$resolve`: a pharmacist's decision on a drug therapy problem. Answers the DetectedIssue as stored.
///
/// `params`: `resolution` (a code of `resolution`), `mitigation` (CodeableConcept or code of v3-ActCode, repeats), `note`
/// (string), `evidence` (Reference, repeats), `date` (dateTime; now). The review is completed with it; one that waits for
/// the caller's organisation is begun with it too.
///
/// # Errors
/// 403 when the caller is no pharmacist, 422 when the problem is not open or the decision lacks something.
pub async fn resolve(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    dtp_id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    resolve_in(ctx, &mut Books::new(ctx, tx, programme), programme, dtp_id, params, if_match).await
}

/// `QuestionnaireResponse/{id}/$extract`: makes MedicationStatements as told and AllergyIntolerances to be confirmed of whole
/// answers to a form of the programme. Answers them as a Bundle. Asked again after an amendment it changes them and adds none.
///
/// # Errors
/// 422 when the answers are not whole, or to another form.
pub async fn extract(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    response_id: &str,
    params: Option<&Json>,
) -> Result<Json> {
    extract_in(ctx, &mut Books::new(ctx, tx, programme), programme, response_id, params).await
}

/// `Encounter/{id}/$reconcile`: compares the medication lists around a stay. Answers the working List: as stored, or, with
/// the parameter `preview`, as it would be stored.
///
/// It runs by itself when a list changes; asked again, it changes nothing.
///
/// # Errors
/// 422 when the Encounter is no stay of the programme.
pub async fn reconcile(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    encounter_id: &str,
    params: Option<&Json>,
) -> Result<Json> {
    let answer = {
        let mut books = books_for(ctx, tx, programme, params);
        let answer = reconcile_in(ctx, &mut books, programme, encounter_id, params).await?;
        (books.met() & hidden(ctx) == 0).then_some(answer)
    };
    match answer {
        Some(answer) => Ok(answer),
        None => {
            let books = &mut Books::new(ctx, tx, programme).seen_by(hidden(ctx));
            reconcile_in(ctx, books, programme, encounter_id, Some(&preview())).await
        }
    }
}

/// `PlanDefinition/$apply` with persist: opens the Tasks that a protocol asks for in the episode of a stay, those that are not
/// there yet. Answers the episode's CarePlan.
///
/// # Errors
/// 422 when nobody follows the stay up.
pub async fn open_protocol(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    encounter_id: &str,
    plan: &Plan,
) -> Result<Json> {
    let records = &mut Books::new(ctx, tx, programme);
    let held = behind_locks(records, programme, &Target::new(known("Encounter"), encounter_id)).await?;
    super::react::open_protocol(ctx, records, programme, &held, plan).await
}

/// `Encounter/{id}/$handoff-report` by POST: puts the report on record, prepared, or, with `attests`, attested by the caller.
///
/// `report`: as the caller saw it. Answers the Composition as stored.
///
/// # Errors
/// 403 when the caller may not attest, 409 when the list has changed since the report was read.
pub async fn prepare_report(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    report: &Report,
    attests: bool,
) -> Result<Json> {
    prepare_report_in(ctx, &mut Books::new(ctx, tx, programme), programme, report, attests).await
}

/// `Task/{id}/$escalate`, `CommunicationRequest/{id}/$escalate`: takes the next step for an overdue review, or for a question
/// that no prescriber answered: one level more urgent, and the next pharmacist hears of it. Whose it is stays. Asked before its
/// time it changes nothing; a worker asks by itself. `Consent/{id}/$escalate`: the follow-up of its patient goes by the patient's
/// Consents as they are in force now. Answers the resource as stored.
///
/// # Errors
/// 400 for parameters: it takes none; 403 for another organisation than the owner.
pub async fn escalate(
    ctx: &Ctx,
    tx: &mut Tx,
    programme: &Programme,
    on: &Target,
    params: Option<&Json>,
) -> Result<Json> {
    escalate_in(ctx, &mut Books::new(ctx, tx, programme), programme, on, params).await
}

/// The books of an operation that, with `preview`, stores nothing: then it is made of what the caller is cleared for.
fn books_for<'a>(ctx: &Ctx, tx: &'a mut Tx, programme: &'a Programme, params: Option<&Json>) -> Books<'a> {
    let is_preview = params::Params::read(params, &["preview"]).and_then(|p| p.is("preview")).unwrap_or_default();
    let books = Books::new(ctx, tx, programme);
    if is_preview { books.seen_by(hidden(ctx)) } else { books }
}

/// Security labels that the caller is not cleared for. Where an operation has met one, its answer is made again for the caller.
fn hidden(ctx: &Ctx) -> i64 {
    ctx.principal.sieve.as_ref().map_or(0, |s| s.hidden)
}

fn preview() -> Json {
    let on = serde_json::json!({"name": "preview", "valueBoolean": true});
    serde_json::json!({"resourceType": "Parameters", "parameter": [on]}).into()
}

pub(super) async fn escalate_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    on: &Target,
    params: Option<&Json>,
) -> Result<Json> {
    params::Params::read(params, &[])?;
    let held = behind_locks(records, programme, on).await?;
    if on.rtype == known("Consent") {
        return super::react::consent_due(ctx, records, programme, &held).await;
    }
    let works_there = task::owner(&held.json).is_empty() || task::is_owner(ctx, &held.json);
    if task::is_handoff(&held.json) && !works_there && ctx.principal.org.is_some() {
        let text = "only the organisation that owns a review asks for its next step (rule task-owner)";
        return Err(Error::forbidden(text).at("Task.owner"));
    }
    super::react::escalate(ctx, records, programme, &held).await
}

/// `Encounter/{id}/$screen`, `EpisodeOfCare/{id}/$screen`: asks the screening rules. Answers Parameters, the findings of one
/// medicine together; stores what is new, or, with `preview`, nothing.
///
/// `params`: `preview`. It runs by itself when lists are reconciled; asked again, it changes nothing.
///
/// # Errors
/// 422 when it is no stay of the programme, or, to store, one that nobody follows up.
pub async fn screen(ctx: &Ctx, tx: &mut Tx, programme: &Programme, on: &Target, params: Option<&Json>) -> Result<Json> {
    let answer = {
        let mut books = books_for(ctx, tx, programme, params);
        let answer = screen_in(ctx, &mut books, programme, on, params).await?;
        (books.met() & hidden(ctx) == 0).then_some(answer)
    };
    match answer {
        Some(answer) => Ok(answer),
        None => {
            let books = &mut Books::new(ctx, tx, programme).seen_by(hidden(ctx));
            screen_in(ctx, books, programme, on, Some(&preview())).await
        }
    }
}

pub(super) async fn screen_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    on: &Target,
    params: Option<&Json>,
) -> Result<Json> {
    let is_preview = params::Params::read(params, &["preview"])?.is("preview")?;
    let held = behind_locks(records, programme, on).await?;
    super::react::screen(ctx, records, programme, &held, !is_preview).await
}

pub(super) async fn prepare_report_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    report: &Report,
    attests: bool,
) -> Result<Json> {
    let Some(list) = super::element::target_of(&report.list) else {
        return Err(
            Error::business_rule("there is no reconciled list to report; POST $reconcile first").at("Encounter")
        );
    };
    let held = behind_locks(records, programme, &list).await?;
    if held.json["meta"]["versionId"] != report.list["meta"]["versionId"] {
        return Err(Error::conflict(format!("{list} has changed meanwhile: read the report again")).at("List"));
    }
    let at = document::address(programme, &list.id);
    let before = records.fetch(std::slice::from_ref(&at)).await?.into_iter().flatten().next();
    let mut composition = document::prepared(ctx, programme, report, attests);
    // What was attested stays on record until somebody attests what has changed since; the same attestation again adds nothing.
    if let Some(signed) = before.as_ref().map(|b| &b.json).filter(|c| document::is_attested(c)) {
        if !attests || document::attests_the_same(signed, &composition) {
            return Ok(signed.clone());
        }
        composition.set("status", "amended");
    }
    guard(ctx, programme, before.as_ref().map(|b| &b.json), Some(&composition))?;
    let mut written = vec![composition];
    if attests {
        written.push(document::procedure(ctx, programme, report));
    }
    let org = records.keys().org(ctx.principal.org.as_deref().unwrap_or_default());
    let mut desk = super::records::Desk::new(records);
    let mut shown = Vec::new();
    for json in written {
        if let Some(target) = super::element::target_of(&json) {
            desk.set(&target, json, org).await?;
            shown.push(target);
        }
    }
    desk.flush().await?;
    // Those who see the list see its report: who cares for the patient, and the hospital whose list it is.
    let until = ctx.now.plus_seconds(REPORT_SECONDS);
    if held.org != org {
        for target in &shown {
            let share = crate::store::Share {
                org: held.org,
                target: target.clone(),
                handoff: format!("report/{}", list.id),
                until,
            };
            records.share(share).await?;
        }
    }
    let stored = records.fetch(std::slice::from_ref(&at)).await?.into_iter().flatten().next();
    stored.map(|h| h.json).ok_or_else(|| Error::fault("the report is not there after it was written"))
}

/// How long the hospital sees the report: a year and what a protocol shares beside.
const REPORT_SECONDS: i64 = 379 * 86_400;

pub(super) async fn reconcile_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
) -> Result<Json> {
    let is_preview = params::Params::read(params, &["preview"])?.is("preview")?;
    let held = behind_locks(records, programme, &Target::new(known("Encounter"), id)).await?;
    super::react::reconcile(ctx, records, programme, &held, !is_preview).await
}

/// Reads a resource behind the locks of its patient.
async fn behind_locks<R: Records>(records: &mut R, programme: &Programme, at: &Target) -> Result<Held> {
    let missing = || Error::not_found(format!("{at} is not known here"));
    let seen = records.fetch(std::slice::from_ref(at)).await?.into_iter().flatten().next().ok_or_else(missing)?;
    let names = lock_names(&records.keys(), [&seen.json], &programme.env.base);
    records.lock(&names).await?;
    records.fetch(std::slice::from_ref(at)).await?.into_iter().flatten().next().ok_or_else(missing)
}

fn at_version(ctx: &Ctx, held: &Held, if_match: Option<i64>) -> Result<()> {
    match if_match {
        Some(want) if want != held.version => {
            let who = task::standing(ctx, &held.json).map(|s| format!("; {s}")).unwrap_or_default();
            let text = format!(
                "If-Match asks for version {want} and {} is at version {}, {}{who}; read it again",
                held.target,
                held.version,
                held.json["status"].text()
            );
            Err(Error::version_mismatch(text))
        }
        _ => Ok(()),
    }
}

/// The Task of an operation: the programme's.
async fn task_of<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    if_match: Option<i64>,
) -> Result<Held> {
    let held = behind_locks(records, programme, &Target::new(known("Task"), id)).await?;
    if !task::is_handoff(&held.json) {
        let text = format!("{} is no Task of the programme: change it by PUT or PATCH", held.target);
        return Err(Error::business_rule(text).at("Task.identifier"));
    }
    at_version(ctx, &held, if_match)?;
    Ok(held)
}

/// Judges and writes changes, with what follows from them. Answers the resource `want` as stored.
async fn carry_out<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    changes: Vec<(Change, i64)>,
    want: &Target,
) -> Result<Json> {
    run_staged(ctx, records, programme, &changes).await?;
    let stored = records.fetch(std::slice::from_ref(want)).await?.into_iter().flatten().next();
    stored.map(|h| h.json).ok_or_else(|| Error::fault("what an operation wrote is not there"))
}

fn judged(ctx: &Ctx, programme: &Programme, before: &Held, mut after: Json) -> Result<(Change, i64)> {
    guard(ctx, programme, Some(&before.json), Some(&after))?;
    if after != before.json {
        stamp(ctx, programme, Some(&before.json), &mut after);
    }
    let change = Change { target: before.target.clone(), before: Some(before.json.clone()), after: Some(after) };
    Ok((change, before.org))
}
