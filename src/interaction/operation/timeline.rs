//! `EpisodeOfCare/{id}/$timeline`: the story of an episode, of what the caller may see.
//!
//! Not for: the sentences (`workflow/timeline.rs`). Reads only.
//! Source: own operation, described in `profiles/protocol/README.md`.

use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::answer::Answer;
use crate::interaction::{Engine, unknown};
use crate::search::{Cond, Plan};
use crate::store::{HistoryQuery, Scope, Version};
use crate::workflow::timeline::{self, Page};
use crate::workflow::{build, element};

/// How many resources of a patient, and versions of one of them, are read: the newest.
const MOST: usize = 500;

impl Engine {
    pub(super) async fn timeline(&self, ctx: &Ctx, at: &Target) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(at.rtype))?;
        let limit = Limit::of(ctx);
        let house = self.house();
        let episode = match house.store.get(&limit, at).await? {
            None => return Err(unknown(at)),
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
            Some(v) => v.json()?,
        };
        if element::own_identifier(&episode, "episode").is_none() {
            return Err(Error::business_rule(format!("{at} is no episode of the programme: it has no story here")));
        }
        let mut parts = self.parts(ctx, &limit, at, &episode).await?;
        let judge = house.policy.judge(&ctx.principal);
        parts.retain(|t| judge.decide(Action::HistoryInstance, Some(t.rtype)) == Decision::Permit);
        let mut pages = Vec::new();
        for target in parts {
            let query = HistoryQuery {
                scope: Scope::Instance(target),
                types: None,
                since: None,
                at: None,
                count: MOST,
                total: false,
                from: None,
            };
            for row in house.store.history(&limit, &query).await?.rows {
                let json = if row.is_deleted() { None } else { Some(row.json()?) };
                pages.push(Page { target: row.target, version: row.version, pk: row.pk, json });
            }
        }
        Ok(Answer::of(timeline::tell(&house.programme, &pages).to_bytes()))
    }

    /// The resources of an episode that the caller may see, each once.
    async fn parts(&self, ctx: &Ctx, limit: &Limit, at: &Target, episode: &Json) -> Result<Vec<Target>> {
        let house = self.house();
        let base = house.active().env.base.clone();
        let mut parts = vec![at.clone()];
        if let Some(stay) = build::index_encounter(episode, &base) {
            parts.push(Target::new(known("Observation"), house.programme.id(&["decision", &stay.id])));
            parts.push(stay);
        }
        let Some(patient) = element::leads_to_a("Patient", &episode["patient"], &base) else { return Ok(parts) };
        let of = self.of_patient(ctx, limit, &patient).await?;
        let of: Vec<(Target, Json)> =
            of.into_iter().map(|v| Ok((v.target.clone(), v.json()?))).collect::<Result<_>>()?;
        let rtype = |t: &Target, name: &str| t.rtype.as_str() == name;
        let tasks: Vec<&(Target, Json)> =
            of.iter().filter(|(t, j)| rtype(t, "Task") && j["groupIdentifier"]["value"].text() == at.id).collect();
        let mut named: Vec<Target> = tasks.iter().map(|(t, _)| t.clone()).collect();
        named.extend(tasks.iter().filter_map(|(_, j)| element::leads_to_a("DetectedIssue", &j["focus"], &base)));
        parts.extend(named.iter().cloned());
        for (target, json) in &of {
            let elements = ["basedOn", "partOf", "about", "reasonReference"];
            let mut refers = elements.iter().flat_map(|n| json[*n].items()).filter_map(|r| element::leads_to(r, &base));
            let belongs = match target.rtype.as_str() {
                "Communication" => refers.any(|t| named.contains(&t)),
                "Consent" | "Flag" => true,
                // The hospital sees a decided problem, and not the pharmacy's review of it.
                "DetectedIssue" => within(episode, json["identifiedDateTime"].text()),
                _ => false,
            };
            if belongs {
                parts.push(target.clone());
            }
        }
        parts.sort();
        parts.dedup();
        Ok(parts)
    }

    /// What is about a patient, of the types that a story is made of.
    async fn of_patient(&self, ctx: &Ctx, limit: &Limit, patient: &Target) -> Result<Vec<Version>> {
        let house = self.house();
        let judge = house.policy.judge(&ctx.principal);
        let may = |t: &ResourceType| judge.decide(Action::SearchType, Some(*t)) == Decision::Permit;
        let types: Vec<ResourceType> =
            ["Communication", "Consent", "DetectedIssue", "Flag", "Task"].into_iter().map(known).filter(may).collect();
        let active = house.active();
        let rows: Vec<i64> =
            types.iter().flat_map(|t| active.registry.reference_keys(&house.keys, *t, "patient", patient)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let plan = Plan { types, cond: Cond::Exact(rows), sort: Vec::new(), count: MOST, total: false };
        Ok(house.store.search(limit, &plan, None).await?.rows)
    }
}

/// Whether a time lies in the period of an episode.
fn within(episode: &Json, time: &str) -> bool {
    let zone = jiff::tz::TimeZone::UTC;
    let period = &episode["period"];
    let Some(at) = element::latest(time, &zone) else { return false };
    let begun = element::earliest(period["start"].text(), &zone).is_none_or(|start| start <= at);
    begun && element::latest(period["end"].text(), &zone).is_none_or(|end| at <= end)
}
