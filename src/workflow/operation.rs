//! The programme's operations: `$claim`, `$release`, `$attempt`, `$resolve`.
//!
//! Each makes the resources that a client could have written itself, passes them through the same guard, and lets the same
//! reactions follow; everything is written once, at the end. The dispatcher has already seen that the caller may know of
//! the resource.
//! Not for: HTTP or `If-Match` headers (`interaction/operation`).
//! Source: own operations, described in `profiles/protocol/README.md`.

mod params;

#[cfg(test)]
mod tests;

use super::build::offer;
use super::element::{self, ACT_CODE, leads_to_a, patient_of, reference};
use super::outreach::{MODE, NOT_DONE};
use super::react::run_staged;
use super::records::{Books, Held, Records, lock_names};
use super::{Change, Programme, dtp, guard, stamp, task};
use crate::access::Ctx;
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::Tx;
use params::Params;
use serde_json::json;

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
    claim_in(ctx, &mut Books::new(tx, programme), programme, task_id, params, if_match).await
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
    release_in(ctx, &mut Books::new(tx, programme), programme, task_id, params, if_match).await
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
    attempt_in(ctx, &mut Books::new(tx, programme), programme, task_id, params, if_match).await
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
    resolve_in(ctx, &mut Books::new(tx, programme), programme, dtp_id, params, if_match).await
}

/// Reads a resource behind the locks of its patient.
async fn behind_locks<R: Records>(records: &mut R, programme: &Programme, at: &Target) -> Result<Held> {
    let missing = || Error::not_found(format!("{at} is not known here"));
    let seen = records.fetch(std::slice::from_ref(at)).await?.into_iter().flatten().next().ok_or_else(missing)?;
    let names = lock_names(&records.keys(), [&seen.json], &programme.env.base);
    records.lock(&names).await?;
    records.fetch(std::slice::from_ref(at)).await?.into_iter().flatten().next().ok_or_else(missing)
}

fn at_version(held: &Held, if_match: Option<i64>) -> Result<()> {
    match if_match {
        Some(want) if want != held.version => {
            let owner = task::owner(&held.json);
            let who = if owner.is_empty() { String::new() } else { format!(", owned by {owner}") };
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
async fn task_of<R: Records>(records: &mut R, programme: &Programme, id: &str, if_match: Option<i64>) -> Result<Held> {
    let held = behind_locks(records, programme, &Target::new(known("Task"), id)).await?;
    if !task::is_handoff(&held.json) {
        let text = format!("{} is no Task of the programme: change it by PUT or PATCH", held.target);
        return Err(Error::business_rule(text).at("Task.identifier"));
    }
    at_version(&held, if_match)?;
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

pub(super) async fn claim_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["owner"])?;
    if if_match.is_none() {
        let text = "$claim needs If-Match with the version of the Task that was read, such as If-Match: W/\"1\"";
        return Err(Error::precondition_required(text));
    }
    let held = task_of(records, programme, id, if_match).await?;
    let asked = params.reference("owner");
    let own = ctx.principal.organization();
    if let (Some(asked), Some(own)) = (&asked, &own)
        && asked != own
    {
        let text = "a Task is claimed for the caller's own organisation only (rule task-claim)";
        return Err(Error::new(Kind::Forbidden, text).at("Parameters.parameter.where(name='owner')"));
    }
    let Some(owner) = own.or(asked) else {
        let text = "the caller has no organisation: say in the parameter owner for whom the Task is claimed";
        return Err(Error::business_rule(text).at("Parameters.parameter.where(name='owner')"));
    };
    let mut after = held.json.clone();
    let holder = task::owner(&after).to_string();
    if !holder.is_empty() && holder != owner {
        return Err(Error::conflict(format!("the Task is taken already, by {holder}")).at("Task.owner"));
    }
    after.set("owner", Json::from(json!({"reference": owner})));
    after.set("status", "accepted");
    after.remove("statusReason");
    let change = judged(ctx, programme, &held, after)?;
    carry_out(ctx, records, programme, vec![change], &held.target).await
}

pub(super) async fn release_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["reason"])?;
    let held = task_of(records, programme, id, if_match).await?;
    let mut after = held.json.clone();
    after.set("status", "requested");
    after.remove("owner");
    after.remove("statusReason");
    if let Some(reason) = params.concept("reason", "") {
        after.set("statusReason", reason);
    }
    let issues = programme.policy.breaches(ctx.principal.role, Some(&held.json), Some(&after));
    if !issues.is_empty() {
        return Err(Error::with_issues(Kind::Forbidden, issues));
    }
    if !task::is_owner(ctx, &held.json) {
        let text = "only the organisation that owns the Task gives it back (rule task-owner)";
        return Err(Error::forbidden(text).at("Task.owner"));
    }
    let status = held.json["status"].text();
    let waits = status == "requested" && !task::owner(&held.json).is_empty();
    if !matches!(status, "received" | "accepted") && !waits {
        let text = format!("a Task that is {status} is not given back; once work has begun it is completed or fails");
        return Err(Error::business_rule(text).at("Task.status"));
    }
    after.set("lastModified", ctx.now.to_seconds_text());
    let change = Change { target: held.target.clone(), before: Some(held.json.clone()), after: Some(after) };
    carry_out(ctx, records, programme, vec![(change, held.org)], &held.target).await
}

pub(super) async fn attempt_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["outcome", "sent", "medium", "recipient", "note"])?;
    let code = params.code("outcome").unwrap_or_default();
    let Some(outcome) = programme.concept("attempt-outcome", &code) else {
        let known = programme.code_list("attempt-outcome");
        return Err(params.wrong("outcome", &format!("outcome is one of: {known}")));
    };
    let property = |name: &str| outcome.properties.get(name).map_or("", String::as_str);
    let held = task_of(records, programme, id, if_match).await?;
    let given = params.text("sent");
    let sent = given.clone().unwrap_or_else(|| ctx.now.to_seconds_text());
    let own = ctx.principal.practitioner.clone();
    let sender = own.unwrap_or_else(|| task::owner(&held.json).to_string());
    let patient = patient_of(&held.json, &programme.env.base);
    let name = if given.is_some() { sent.clone() } else { format!("{}/{}", ctx.now.0, ctx.request_id) };
    let at = Target::new(known("Communication"), programme.id(&["attempt", id, &name, &sender]));
    if let Some(done) = records.fetch(std::slice::from_ref(&at)).await?.into_iter().flatten().next() {
        return Ok(done.json);
    }
    let mut communication = Json::from(json!({
        "resourceType": "Communication",
        "id": at.id,
        "basedOn": [{"reference": held.target.to_string()}],
        "status": property("status"),
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}]}],
        "medium": [{"coding": [{"system": MODE, "code": params.code("medium").unwrap_or_else(|| "PHONE".into())}]}],
        "topic": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-topic", "code": "phone-consult"}],
            "text": outcome.display,
        },
        "sent": sent,
    }));
    if !property("reason").is_empty() {
        let reason = json!({"coding": [{"system": NOT_DONE, "code": property("reason")}], "text": outcome.display});
        communication.set("statusReason", Json::from(reason));
    }
    if let Some(patient) = &patient {
        communication.set("subject", reference(patient));
        let recipient = params.reference("recipient").unwrap_or_else(|| patient.to_string());
        communication.set("recipient", Json::from(json!([{"reference": recipient}])));
    }
    if held.json.get("encounter").is_some() {
        communication.set("encounter", held.json["encounter"].clone());
    }
    if !sender.is_empty() {
        communication.set("sender", Json::from(json!({"reference": sender})));
    }
    if let Some(note) = params.text("note") {
        communication.set("note", Json::from(json!([{"time": sent, "text": note}])));
    }
    guard(ctx, programme, None, Some(&communication))?;
    let mut changes = Vec::new();
    let mut task = held.json.clone();
    if task["status"].text() == "accepted" {
        task.set("status", "in-progress");
    }
    let (change, org) = if task == held.json {
        (Change { target: held.target.clone(), before: Some(held.json.clone()), after: Some(task) }, held.org)
    } else {
        judged(ctx, programme, &held, task)?
    };
    if let Some(mut task) = change.after.clone().filter(|t| t["status"].text() == "in-progress") {
        task.set("businessStatus", programme.coded("business-status", property("business-status")));
        task.set("lastModified", ctx.now.to_seconds_text());
        changes.push((Change { after: Some(task), ..change }, org));
    }
    let org = records.keys().org(ctx.principal.org.as_deref().unwrap_or_default());
    changes.push((Change { target: at.clone(), before: None, after: Some(communication) }, org));
    carry_out(ctx, records, programme, changes, &at).await
}

pub(super) async fn resolve_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["resolution", "mitigation", "note", "evidence", "date"])?;
    let held = behind_locks(records, programme, &Target::new(known("DetectedIssue"), id)).await?;
    at_version(&held, if_match)?;
    let mut after = held.json.clone();
    after.set("status", "final");
    let mut resolution = Json::object();
    if let Some(code) = params.code("resolution") {
        resolution = programme.coded("resolution", &code);
    }
    if let Some(note) = params.text("note") {
        resolution.set("text", note);
    }
    if resolution.as_object().is_some_and(|r| !r.is_empty()) {
        let url = element::extension_url("resolution");
        let kept = after["extension"].items().iter().filter(|e| e["url"].text() != url).cloned();
        let mut extensions: Vec<Json> = kept.collect();
        let mut extension = Json::object();
        extension.set("url", url);
        extension.set("valueCodeableConcept", resolution);
        extensions.push(extension);
        after.set("extension", Json::Array(extensions));
    }
    let date = params.text("date").unwrap_or_else(|| ctx.now.to_seconds_text());
    for action in params.concepts("mitigation", ACT_CODE) {
        let mut mitigation = Json::object();
        mitigation.set("action", action);
        mitigation.set("date", date.as_str());
        if let Some(caller) = &ctx.principal.practitioner {
            mitigation.set("author", Json::from(json!({"reference": caller})));
        }
        after.push("mitigation", mitigation);
    }
    let evidence = params.references("evidence");
    if !evidence.is_empty() {
        let details: Vec<serde_json::Value> = evidence.iter().map(|r| json!({"reference": r})).collect();
        after.push("evidence", Json::from(json!({"detail": details})));
    }
    if !dtp::is_open(&held.json) {
        let issues = programme.policy.breaches(ctx.principal.role, Some(&held.json), Some(&after));
        if !issues.is_empty() {
            return Err(Error::with_issues(Kind::Forbidden, issues));
        }
        let text = format!("{} is {} and waits for no decision", held.target, held.json["status"].text());
        return Err(Error::business_rule(text).at("DetectedIssue.status"));
    }
    let mut changes = vec![judged(ctx, programme, &held, after)?];
    if let Some(review) = begin_review(ctx, records, programme, &held.target).await? {
        changes.insert(0, review);
    }
    carry_out(ctx, records, programme, changes, &held.target).await
}

/// The review of a problem, begun by the caller, when it waits for the caller's organisation (or for anybody).
async fn begin_review<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    dtp: &Target,
) -> Result<Option<(Change, i64)>> {
    let found = records.referring(&[("Task", "focus", dtp.clone())]).await?;
    let base = &programme.env.base;
    let review = found.into_iter().find(|h| {
        task::is_handoff(&h.json)
            && !task::is_final(&h.json)
            && leads_to_a("DetectedIssue", &h.json["focus"], base).as_ref() == Some(dtp)
    });
    let Some(review) = review else { return Ok(None) };
    let waits = matches!(review.json["status"].text(), "requested" | "received" | "accepted");
    let free = task::owner(&review.json).is_empty();
    if !waits || !(free || task::is_owner(ctx, &review.json)) {
        return Ok(None);
    }
    let mut after = review.json.clone();
    if free && let Some(own) = ctx.principal.organization() {
        after.set("owner", Json::from(json!({"reference": own})));
    }
    after.set("status", "in-progress");
    stamp(ctx, programme, Some(&review.json), &mut after);
    records.unshare(&offer(&review.target), None).await?;
    let change = Change { target: review.target.clone(), before: Some(review.json), after: Some(after) };
    Ok(Some((change, review.org)))
}
