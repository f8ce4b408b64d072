//! `$resolve`: a pharmacist decides on a drug therapy problem.

use super::params::Params;
use super::{at_version, behind_locks, carry_out, judged};
use crate::access::Ctx;
use crate::error::{Error, Kind, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::offer;
use crate::workflow::element::{self, ACT_CODE, leads_to_a};
use crate::workflow::records::Records;
use crate::workflow::{Change, Programme, dtp, stamp, task};
use serde_json::json;

pub async fn resolve_in<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    id: &str,
    params: Option<&Json>,
    if_match: Option<i64>,
) -> Result<Json> {
    let params = Params::read(params, &["resolution", "acceptance", "mitigation", "note", "evidence", "date"])?;
    let held = behind_locks(records, programme, &Target::new(known("DetectedIssue"), id)).await?;
    at_version(ctx, &held, if_match)?;
    let mut after = held.json.clone();
    after.set("status", "final");
    let mut resolution = Json::object();
    if let Some(code) = params.code("resolution") {
        resolution = programme.coded("resolution", &code);
    }
    if let Some(note) = params.text("note") {
        resolution.set("text", note);
    }
    let acceptance = params.code("acceptance").map_or_else(Json::object, |code| programme.coded("acceptance", &code));
    for (name, concept) in [("resolution", resolution), ("acceptance", acceptance)] {
        if concept.as_object().is_some_and(|r| !r.is_empty()) {
            put(&mut after, name, concept);
        }
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
        let issues = programme.policy.breaches(&ctx.principal, Some(&held.json), Some(&after));
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

/// Writes an extension of a problem in place of the one it has.
fn put(issue: &mut Json, name: &str, concept: Json) {
    let url = element::extension_url(name);
    let kept = issue["extension"].items().iter().filter(|e| e["url"].text() != url).cloned();
    let mut extensions: Vec<Json> = kept.collect();
    let mut extension = Json::object();
    extension.set("url", url);
    extension.set("valueCodeableConcept", concept);
    extensions.push(extension);
    issue.set("extension", Json::Array(extensions));
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
