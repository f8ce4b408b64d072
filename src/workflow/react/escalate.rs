//! Escalation inside a transaction: one level up, and the next pharmacist hears of it.
//!
//! Not for: when (`escalation.rs`).

use super::Round;
use crate::access::Ctx;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::guard::Findings;
use crate::workflow::records::{Desk, Held, Records};
use crate::workflow::{Programme, build, escalation, task};
use serde_json::json;

/// (system, code) of those who review.
pub(super) const PHARMACISTS: [(&str, &str); 2] = [
    ("http://nucc.org/provider-taxonomy", "183500000X"),
    ("http://terminology.hl7.org/CodeSystem/practitioner-role", "pharmacist"),
];

/// Takes the next step for what waits too long; anything else stays as it is. Answers the resource as stored.
///
/// # Errors
/// What the database says.
pub async fn escalate<R: Records>(ctx: &Ctx, records: &mut R, programme: &Programme, on: &Held) -> Result<Json> {
    if escalation::due_at(programme, &on.json).is_none_or(|due| due > ctx.now) {
        return Ok(on.json.clone());
    }
    let mut round = Round { ctx, programme, desk: Desk::new(records), changes: &[], findings: Findings::default() };
    round.desk.load(std::slice::from_ref(&on.target)).await?;
    round.step_up(on).await?;
    round.desk.flush().await?;
    let stored = records.fetch(std::slice::from_ref(&on.target)).await?.into_iter().flatten().next();
    Ok(stored.map_or_else(|| on.json.clone(), |h| h.json))
}

impl<R: Records> Round<'_, R> {
    async fn step_up(&mut self, on: &Held) -> Result<()> {
        let Some(patient) = patient_of(&on.json, self.base()) else { return Ok(()) };
        let steps = escalation::taken(&on.json).len();
        let is_review = on.target.rtype.as_str() == "Task";
        let is_close = is_review && escalation::closes(&on.json);
        let most = self.programme.choice.most_reminders();
        if is_close && (steps >= most || escalation::nobody_closes(&on.json)) {
            return self.not_closed(on, &patient).await;
        }
        if !is_review && self.answered(&on.target, &patient).await? {
            return Ok(());
        }
        let owner = if is_review {
            super::organization(task::owner(&on.json))
        } else {
            let sender = element::leads_to(&on.json["sender"], self.base());
            sender.or_else(|| element::leads_to(&on.json["requester"], self.base()))
        };
        let heard = self.next_to_hear(owner.as_ref(), &on.json, steps).await?;
        let now = self.now().to_seconds_text();
        let was = on.json["priority"].as_str().unwrap_or("routine").to_string();
        let priority = escalation::raised(&was);
        let url = element::extension_url("escalated");
        self.desk.edit(&on.target, |r| {
            r.push("extension", Json::from(json!({"url": url, "valueDateTime": now})));
            if is_review {
                let due = r["restriction"]["period"]["end"].text().to_string();
                let why =
                    format!("Priority {priority} in place of {was}: due by {due}, it waits (step {}).", steps + 1);
                build::explain(r, &why);
                r.set("priority", priority);
                r.set("lastModified", now.as_str());
            }
        });
        let mut about = vec![on.target.clone()];
        if !is_review {
            about.insert(0, self.ask_again(on, steps, priority).await?);
        }
        let text = if is_close {
            let due = on.json["restriction"]["period"]["end"].text();
            format!(
                "The follow-up was to be closed by {due}: complete close-episode; a follow-up that nobody closes ends by itself."
            )
        } else if is_review {
            let due = on.json["restriction"]["period"]["end"].text();
            format!("A review of a drug therapy problem was due by {due} and waits: it is {priority} now.")
        } else {
            let step = escalation::STEPS.get(steps).copied().unwrap_or("to be asked of another prescriber");
            format!("A prescriber has not answered in time: the question is {step}.")
        };
        let parts = ["about", "reasonReference", "basedOn"].iter().flat_map(|n| on.json[*n].items());
        about.extend(parts.chain([&on.json["focus"]]).filter_map(|r| leads_to_a("DetectedIssue", r, self.base())));
        let at =
            Target::new(known("Communication"), self.programme.id(&["escalated", &on.target.id, &steps.to_string()]));
        let notice = build::notice(
            &format!("escalated/{}/{steps}", on.target.id),
            &patient,
            (&about, &heard),
            (priority, &text),
            self.now(),
        );
        let org = match owner.filter(|o| o.rtype.as_str() == "Organization") {
            Some(owner) => self.desk.records.keys().org(&owner.id),
            None => on.org,
        };
        self.write(&at, notice, org).await
    }

    /// Nobody has closed a follow-up for weeks, or nobody is left who could: it ends, and the hospital hears so.
    async fn not_closed(&mut self, closing: &Held, patient: &Target) -> Result<()> {
        let Some(id) = super::handoff::episode_of(&closing.json) else { return Ok(()) };
        if escalation::nobody_closes(&closing.json) {
            let withdrawn = self.programme.coded("business-status", "withdrawn");
            self.desk.edit(&closing.target, |t| t.set("businessStatus", withdrawn));
        }
        let episode = Target::new(known("EpisodeOfCare"), id);
        let at = self.addresses(&episode);
        self.desk.load(&[episode.clone(), at.plan.clone()]).await?;
        if !self.is_live(&episode) {
            return Ok(());
        }
        self.end_tasks(&at.plan, "not-closed", "failed", None).await?;
        let now = self.now();
        self.desk.edit(&episode, |e| build::move_episode(e, "finished", now));
        self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
        self.withdraw_findings(&episode, patient).await?;
        self.ended_early(&episode, "not-closed").await
    }

    /// Who hears of the next step: of the owner's pharmacists each in turn, else the owner; without one those who may take it.
    async fn next_to_hear(&mut self, owner: Option<&Target>, on: &Json, steps: usize) -> Result<Vec<Target>> {
        let Some(owner) = owner else {
            return Ok(task::candidates(on).into_iter().filter_map(super::organization).collect());
        };
        if owner.rtype.as_str() != "Organization" {
            return Ok(vec![owner.clone()]);
        }
        let roles = self.desk.referring(&[("PractitionerRole", "organization", owner.clone())]).await?;
        let is_one = |r: &&Json| {
            r["active"].as_bool() != Some(false) && PHARMACISTS.iter().any(|(s, c)| element::has_code(&r["code"], s, c))
        };
        let base = self.base();
        let mut people: Vec<Target> = roles
            .iter()
            .filter_map(|t| self.desk.peek(t))
            .filter(is_one)
            .filter_map(|r| leads_to_a("Practitioner", &r["practitioner"], base))
            .collect();
        people.sort();
        people.dedup();
        let next = people.get(steps % people.len().max(1)).cloned();
        Ok(vec![next.unwrap_or_else(|| owner.clone())])
    }
}
