//! `EpisodeOfCare/{id}/$timeline`: the story of an episode, of what the caller may see.
//!
//! Not for: the sentences (`workflow/timeline.rs`). Reads only; that it was read is on record.
//! Own rule: an auditor, who reads no clinical type, is told the story of an episode of their organisation, or, without one, of
//! any; an administrator is not.
//! Source: own operation, described in `profiles/protocol/README.md`.

use super::report::HTML;
use crate::access::policy::Decision;
use crate::access::scope::Action;
use crate::access::{Ctx, Limit, Role};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, ResourceType, Target};
use crate::interaction::answer::Answer;
use crate::interaction::{Engine, unknown};
use crate::search::{Cond, Plan};
use crate::store::{HistoryQuery, Scope, Version};
use crate::workflow::react::record_of;
use crate::workflow::timeline::{self, Page};
use crate::workflow::{build, element};
use std::collections::BTreeSet;

/// How many resources of a patient, and versions of one of them, are read: the newest.
const MOST: usize = 500;

/// What a story is made of, beside the episode, its stay, the decision about it and the record of its list.
const TYPES: [&str; 11] = [
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Consent",
    "DetectedIssue",
    "Flag",
    "List",
    "Procedure",
    "QuestionnaireResponse",
    "RiskAssessment",
    "Task",
];

/// Whom the story is told, and how much of it.
struct Reader {
    limit: Limit,
    /// An auditor: reads no clinical type, and the story all the same.
    is_auditor: bool,
    /// Bits of security labels that the reader is not cleared for, where `limit` does not see to that.
    hidden: i64,
}

impl Reader {
    fn of(engine: &Engine, ctx: &Ctx, at: &Target) -> Result<Self> {
        let is_auditor = ctx.principal.role == Role::Auditor;
        if is_auditor {
            engine.permit(ctx, Action::SearchType, Some(known("AuditEvent")))?;
        } else {
            engine.permit(ctx, Action::Read, Some(at.rtype))?;
        }
        let hidden = ctx.principal.sieve.as_ref().filter(|_| is_auditor).map_or(0, |s| s.hidden);
        Ok(Self { limit: Limit::of(ctx), is_auditor, hidden })
    }

    fn may(&self, engine: &Engine, ctx: &Ctx, action: Action, rtype: ResourceType) -> bool {
        let judge = engine.house().policy.judge(&ctx.principal);
        self.is_auditor || judge.decide(action, Some(rtype)) == Decision::Permit
    }
}

impl Engine {
    /// `page`: what `report::page_of` says.
    pub(super) async fn timeline(&self, ctx: &Ctx, at: &Target, page: Option<&'static str>) -> Result<Answer> {
        let reader = Reader::of(self, ctx, at)?;
        if page.is_some_and(|page| page != HTML) {
            return Err(Error::not_acceptable("the story is a page or JSON: ask for text/html and print it"));
        }
        let house = self.house();
        let episode = match house.store.get(&reader.limit, at).await? {
            None => return Err(unknown(at)),
            Some(v) if v.labels & reader.hidden != 0 => return Err(unknown(at)),
            Some(v) if v.is_deleted() => return Err(Error::gone(format!("{at} is deleted"))),
            Some(v) => v.json()?,
        };
        if element::own_identifier(&episode, "episode").is_none() {
            return Err(Error::business_rule(format!("{at} is no episode of the programme: it has no story here")));
        }
        let mut parts = self.parts(ctx, &reader, at, &episode).await?;
        parts.retain(|t| reader.may(self, ctx, Action::HistoryInstance, t.rtype));
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
            for row in house.store.history(&reader.limit, &query).await?.rows {
                if row.labels & reader.hidden != 0 {
                    continue;
                }
                let json = if row.is_deleted() { None } else { Some(row.json()?) };
                pages.push(Page { target: row.target, version: row.version, pk: row.pk, json });
            }
        }
        let story = timeline::tell(&house.programme, &pages);
        Ok(match page {
            Some(media) => Answer { media: Some(media), ..Answer::of(timeline::page::html(&story).into_bytes()) },
            None => Answer::of(story.to_bytes()),
        })
    }

    /// The resources of an episode that the caller may see, each once.
    async fn parts(&self, ctx: &Ctx, reader: &Reader, at: &Target, episode: &Json) -> Result<Vec<Target>> {
        let house = self.house();
        let base = house.active().env.base.clone();
        let programme = &house.programme;
        let list = build::Addresses::of_episode(programme, &at.id).list;
        let mut parts = vec![at.clone(), record_of(programme, &list)];
        let stay = build::index_encounter(episode, &base);
        if let Some(stay) = &stay {
            parts.push(Target::new(known("Observation"), programme.id(&["decision", &stay.id])));
            parts.push(stay.clone());
        }
        let Some(patient) = element::leads_to_a("Patient", &episode["patient"], &base) else { return Ok(parts) };
        let of = self.of_patient(ctx, reader, &patient).await?;
        let of: Vec<(Target, Json)> =
            of.into_iter().map(|v| Ok((v.target.clone(), v.json()?))).collect::<Result<_>>()?;
        let rtype = |t: &Target, name: &str| t.rtype.as_str() == name;
        let tasks: Vec<&(Target, Json)> =
            of.iter().filter(|(t, j)| rtype(t, "Task") && j["groupIdentifier"]["value"].text() == at.id).collect();
        // What others of the story refer to: the episode, its Tasks, what these put out, and its problems.
        let mut named: BTreeSet<Target> = tasks.iter().map(|(t, _)| t.clone()).collect();
        named.insert(at.clone());
        named.extend(tasks.iter().filter_map(|(_, j)| element::leads_to_a("DetectedIssue", &j["focus"], &base)));
        let outputs = tasks.iter().flat_map(|(_, j)| j["output"].items());
        named.extend(outputs.filter_map(|o| element::leads_to(&o["valueReference"], &base)));
        // The hospital sees a decided problem, and not the pharmacy's review of it.
        let problems =
            of.iter().filter(|(t, j)| rtype(t, "DetectedIssue") && within(episode, j["identifiedDateTime"].text()));
        named.extend(problems.map(|(t, _)| t.clone()));
        let refers = |json: &Json| {
            let elements = ["basedOn", "partOf", "about", "reasonReference", "inResponseTo"];
            let all = elements.iter().flat_map(|n| json[*n].items()).filter_map(|r| element::leads_to(r, &base));
            all.collect::<Vec<_>>()
        };
        // Questions to a prescriber before what answers them.
        let (questions, others): (Vec<_>, Vec<_>) = of.iter().partition(|(t, _)| rtype(t, "CommunicationRequest"));
        for (target, json) in questions.into_iter().chain(others) {
            let of_stay = || stay.is_some() && element::encounter_of(json, &base) == stay;
            let refers = || refers(json).iter().any(|t| named.contains(t) || stay.as_ref() == Some(t));
            let belongs = named.contains(target)
                || match target.rtype.as_str() {
                    "Communication" | "CommunicationRequest" => refers(),
                    "Composition" | "List" | "RiskAssessment" => of_stay(),
                    "Consent" | "Flag" => true,
                    "Procedure" => refers() || json["report"].items().iter().any(|_| of_stay()),
                    "QuestionnaireResponse" => of_stay() || refers() || within(episode, json["authored"].text()),
                    _ => false,
                };
            if belongs {
                named.insert(target.clone());
                parts.push(target.clone());
            }
        }
        parts.sort();
        parts.dedup();
        Ok(parts)
    }

    /// What is about a patient, of the types that a story is made of.
    async fn of_patient(&self, ctx: &Ctx, reader: &Reader, patient: &Target) -> Result<Vec<Version>> {
        let house = self.house();
        let types: Vec<ResourceType> =
            TYPES.into_iter().map(known).filter(|t| reader.may(self, ctx, Action::SearchType, *t)).collect();
        let active = house.active();
        let rows: Vec<i64> =
            types.iter().flat_map(|t| active.registry.reference_keys(&house.keys, *t, "patient", patient)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let plan = Plan { types, cond: Cond::Exact(rows), sort: Vec::new(), count: MOST, total: false };
        let mut rows = house.store.search(&reader.limit, &plan, None).await?.rows;
        rows.retain(|v| v.labels & reader.hidden == 0);
        Ok(rows)
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
