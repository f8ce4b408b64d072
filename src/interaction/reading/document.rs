//! `Composition/{id}/$document`: a document Bundle.
//!
//! Source: <https://hl7.org/fhir/R4/documents.html#bundle>, <https://hl7.org/fhir/R4/composition-operation-document.html>. In it are the Composition, all that it refers to on
//! this server, the items of Lists among these, and what any of them refers to that is no patient's (practitioners, medications …). Own
//! rules: what the Composition names and the caller cannot read makes no document (422), for a document says that it is whole.

use super::{Follow, Shelf, is_common, local};
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::bundle::references;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Answer;
use crate::interaction::subset::redact;
use crate::interaction::{Engine, House, unknown};
use crate::store::Version;
use serde_json::json;
use std::collections::HashSet;

impl Engine {
    /// `$document` that is not kept.
    pub(in crate::interaction) async fn document(&self, ctx: &Ctx, at: &Target) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        let bundle = assembled(self.house(), ctx, &mut Shelf::Store(&self.house().store), at).await?;
        Ok(Answer::of(bundle.to_bytes()))
    }
}

/// The document of a Composition that the caller may read.
pub(in crate::interaction) async fn assembled(
    house: &House,
    ctx: &Ctx,
    shelf: &mut Shelf<'_>,
    at: &Target,
) -> Result<Json> {
    let (active, limit) = (house.active(), Limit::of(ctx));
    let judge = house.policy.judge(&ctx.principal);
    let composition = match shelf.get_many(&limit, std::slice::from_ref(at)).await?.pop().flatten() {
        None => return Err(unknown(at)),
        Some(v) if v.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
        Some(v) => v,
    };
    let follow = Follow { house, active: &active, limit: &limit, judge: &judge, patient: None };
    let mut parts = vec![composition];
    let mut seen = HashSet::from([at.clone()]);
    // The Composition's own, then what its Lists hold.
    for round in 0..2 {
        let mut wanted = Vec::new();
        for part in parts.iter().filter(|p| round == 0 || p.target.rtype == known("List")) {
            for (place, text) in references(&part.json()?) {
                match local(&text, &active.env.base) {
                    Some(target) if seen.insert(target.clone()) => wanted.push((place, target)),
                    _ => {}
                }
            }
        }
        parts.extend(readable(&follow, shelf, wanted).await?);
    }
    let mut found = follow.all(shelf, &parts, seen).await?;
    found.retain(|v| is_common(v.target.rtype));
    parts.extend(found);
    redact(&judge, &mut parts)?;
    let mut bundle = Json::from(json!({
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": uuid::Uuid::new_v4().urn().to_string()},
        "type": "document",
        "timestamp": ctx.now.to_seconds_text(),
    }));
    for part in &parts {
        let mut entry = Json::object();
        entry.set("fullUrl", format!("{}/{}", ctx.base, part.target));
        entry.set("resource", part.json()?);
        bundle.push("entry", entry);
    }
    Ok(bundle)
}

/// Reads what a document names.
async fn readable(follow: &Follow<'_>, shelf: &mut Shelf<'_>, wanted: Vec<(String, Target)>) -> Result<Vec<Version>> {
    let most = usize::try_from(follow.house.limits.included_max).unwrap_or(usize::MAX);
    if wanted.len() > most {
        return Err(Error::too_costly(format!("the document has more than {most} resources (limit included-max)")));
    }
    let targets: Vec<Target> = wanted.iter().map(|(_, t)| t.clone()).collect();
    let found = shelf.get_many(follow.limit, &targets).await?;
    let mut issues = Vec::new();
    let mut out = Vec::new();
    for ((place, target), version) in wanted.into_iter().zip(found) {
        match version.filter(|v| !v.is_deleted() && follow.may(v.target.rtype)) {
            Some(version) => out.push(version),
            None => {
                let text = format!("{target} is not known here, so the document would not be whole");
                issues.push(Issue::error("not-found", place, text));
            }
        }
    }
    if issues.is_empty() { Ok(out) } else { Err(Error::with_issues(Kind::Unprocessable, issues)) }
}
