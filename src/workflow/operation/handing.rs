//! `$claim` and `$release`: a Task changes hands; and what they are told from whose hands it went.

use super::params::Params;
use super::{carry_out, judged, task_of};
use crate::access::{Ctx, Limit};
use crate::error::{Error, Kind, Result};
use crate::fhir::{Json, Target};
use crate::store::Tx;
use crate::workflow::build;
use crate::workflow::records::Records;
use crate::workflow::{Change, Programme, task};
use serde_json::json;

pub async fn claim_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["owner"])?;
    if if_match.is_none() {
        return Err(task::needs_version());
    }
    let held = task_of(ctx, records, programme, id, if_match).await?;
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
        return Err(Error::conflict(task::TAKEN).at("Task.owner"));
    }
    after.set("owner", Json::from(json!({"reference": owner})));
    after.set("status", "accepted");
    after.remove("statusReason");
    let change = judged(ctx, programme, &held, after)?;
    carry_out(ctx, records, programme, vec![change], &held.target).await
}

pub async fn release_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["reason"])?;
    let held = task_of(ctx, records, programme, id, if_match).await?;
    let mut after = held.json.clone();
    after.set("status", "requested");
    after.remove("owner");
    after.remove("statusReason");
    if let Some(reason) = params.concept("reason", "") {
        after.set("statusReason", reason);
    }
    let issues = programme.policy.breaches(&ctx.principal, Some(&held.json), Some(&after));
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
    if task::is_abort(&held.json) || held.json.get("groupIdentifier").is_none() {
        let text = "nobody else could take this Task: it is completed, or let fail";
        return Err(Error::business_rule(text).at("Task.status"));
    }
    after.set("lastModified", ctx.now.to_seconds_text());
    let change = Change { target: held.target.clone(), before: Some(held.json.clone()), after: Some(after) };
    carry_out(ctx, records, programme, vec![(change, held.org)], &held.target).await
}

/// What a caller is told who does not see a Task of the programme any more, because another organisation has claimed it; `None`: it never
/// was offered to theirs. `if_match`: the version that they read.
///
/// # Errors
/// What the database says.
pub async fn lost(ctx: &Ctx, tx: &mut Tx, target: &Target, if_match: Option<i64>) -> Result<Option<Error>> {
    let Some(org) = ctx.principal.org.as_ref().filter(|_| target.rtype.as_str() == "Task") else { return Ok(None) };
    let org = tx.keys().org(org);
    if !tx.has_lost(org, target, &build::offer(target)).await? {
        return Ok(None);
    }
    let now = tx.get(&Limit::Everything, target).await?;
    Ok(now.map(|now| task::lost(if_match, now.version)))
}
