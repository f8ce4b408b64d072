//! What follows from a transaction's changes, inside it.
//!
//! For: [`react`], called once after all entries are put; each subject has its file. Not for: rules that the changed
//! resource alone decides (`guard.rs`).
//! The order of the entries does not matter: stays are taken in the order of their time, everything else by address.

mod abort;
mod answers;
mod apply;
mod consent;
mod contact;
mod correction;
mod dtp;
mod entries;
mod escalate;
mod handoff;
mod lists;
mod opening;
mod outreach;
mod question;
mod readmission;
mod returned;
mod review;
mod screen;
mod stay;
mod told;
mod withhold;

pub use apply::open_protocol;
pub use escalate::escalate;
pub use lists::{reconcile, record_of};
pub use screen::screen;
pub use withhold::consent_due;

#[cfg(test)]
mod tests;

use super::build::{self, Addresses, care};
use super::discharge::Stay;
use super::element::{self, patient_of, type_of};
use super::guard::Findings;
use super::records::{self, Books, Desk, Records};
use super::{Change, Programme, task};
use crate::access::Ctx;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::{Share, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// Does what follows from a transaction's changes, inside it: once, after all entries are put.
///
/// # Errors
/// `BusinessRule` when the changes together break a rule that one of them alone does not show.
pub async fn react(ctx: &Ctx, tx: &mut Tx, programme: &Programme, changes: &[Change]) -> Result<()> {
    // Most writes are none of the programme's business: they cost nothing here.
    if !programme.is_on || !changes.iter().any(concerns) {
        return Ok(());
    }
    let is_labelled = changes.iter().flat_map(|c| c.before.iter().chain(&c.after)).any(|j| tx.labels().of(j) != 0);
    let mut books = Books::new(ctx, tx, programme);
    if is_labelled {
        let seen = books.changes(changes).await?;
        return run(ctx, &mut books, programme, &seen).await;
    }
    run(ctx, &mut books, programme, changes).await
}

/// Types whose changes can have consequences.
fn concerns(change: &Change) -> bool {
    matches!(
        change.target.rtype.as_str(),
        "AllergyIntolerance"
            | "Communication"
            | "CommunicationRequest"
            | "Condition"
            | "Consent"
            | "DetectedIssue"
            | "Encounter"
            | "List"
            | "MedicationAdministration"
            | "MedicationDispense"
            | "MedicationRequest"
            | "MedicationStatement"
            | "Patient"
            | "QuestionnaireResponse"
            | "RelatedPerson"
            | "ServiceRequest"
            | "Task"
    ) || is_measure(change)
}

/// What screening looks at beside the lists.
fn is_measure(change: &Change) -> bool {
    change.target.rtype.as_str() == "Observation"
        && change.before.iter().chain(&change.after).any(super::screen::is_measure)
}

/// The same over any records.
pub async fn run<R: Records>(ctx: &Ctx, records: &mut R, programme: &Programme, changes: &[Change]) -> Result<()> {
    Round { ctx, programme, desk: Desk::new(records), changes, findings: Findings::default() }.run().await
}

/// The same for changes that are not stored yet, each with the hash of its owner: they are written with what follows.
pub async fn run_staged<R: Records>(
    ctx: &Ctx,
    records: &mut R,
    programme: &Programme,
    staged: &[(Change, i64)],
) -> Result<()> {
    let changes: Vec<Change> = staged.iter().map(|(change, _)| change.clone()).collect();
    let mut desk = Desk::new(records);
    for (change, org) in staged {
        if let Some(after) = &change.after {
            desk.set(&change.target, after.clone(), *org).await?;
        }
    }
    Round { ctx, programme, desk, changes: &changes, findings: Findings::default() }.run().await
}

/// One reaction under way.
pub(super) struct Round<'a, R> {
    ctx: &'a Ctx,
    programme: &'a Programme,
    desk: Desk<'a, R>,
    changes: &'a [Change],
    findings: Findings,
}

/// What a transaction changed around one patient.
#[derive(Debug, Default)]
struct Around {
    /// Encounters that are, or were, stays.
    stays: Vec<Target>,
    /// Clinical resources that a pharmacy needs.
    clinical: Vec<Target>,
    /// The Patient itself.
    patient: bool,
    /// Whether the patient wants it.
    consent: bool,
}

impl<R: Records> Round<'_, R> {
    async fn run(mut self) -> Result<()> {
        let around = self.around();
        let of = |rtype: &str| self.changes.iter().filter(|c| c.target.rtype.as_str() == rtype).collect::<Vec<_>>();
        let (issues, communications, tasks) = (of("DetectedIssue"), of("Communication"), of("Task"));
        let questions = of("CommunicationRequest");
        let asks = |c: &&Change| c.before.is_none() && c.after.as_ref().is_some_and(task::asks_abort);
        let aborts: Vec<&Change> = tasks.iter().copied().filter(asks).collect();
        let tasks: Vec<&Change> = tasks.into_iter().filter(|c| is_handoff(c)).collect();
        let is_quiet = [&issues, &communications, &questions, &tasks, &aborts].iter().all(|changes| changes.is_empty());
        if around.is_empty() && is_quiet {
            return Ok(());
        }
        // Nobody else knows a patient who came with this transaction: no lock for what is about them alone.
        let base = &self.programme.env.base;
        let is_new = |t: &Target| {
            self.changes.iter().any(|c| c.target == *t && c.before.is_none() && t.rtype.as_str() == "Patient")
        };
        let resources = self.changes.iter().flat_map(|c| c.before.iter().chain(&c.after));
        let resources = resources.filter(|r| !patient_of(r, base).is_some_and(|p| is_new(&p)));
        let names = records::lock_names(&self.desk.records.keys(), resources, base);
        self.desk.records.lock(&names).await?;
        self.one_patient_a_stay().await?;
        for (patient, around) in around {
            self.patient(&patient, &around).await?;
        }
        for change in &aborts {
            self.abort_asked(change).await?;
        }
        for change in &tasks {
            self.handoff(change).await?;
        }
        for change in &tasks {
            self.reviews_follow(change).await?;
            self.outcome(change).await?;
        }
        for change in communications.iter().chain(&questions) {
            self.no_outreach(change).await?;
        }
        for change in &communications {
            self.spoken(change).await?;
            self.outreach(change).await?;
            self.replied(change).await?;
            self.addressed(change).await?;
        }
        for change in of("MedicationDispense") {
            self.handed_out(change).await?;
        }
        for change in of("QuestionnaireResponse") {
            self.answers_given(change).await?;
        }
        for change in &issues {
            self.dtp(change).await?;
        }
        for change in &questions {
            self.asked(change).await?;
        }
        for change in &tasks {
            self.review_task(change).await?;
        }
        std::mem::take(&mut self.findings).settle()?;
        self.end_offers().await?;
        self.desk.flush().await?;
        Ok(())
    }

    /// The changes, by patient. A resource that moved to another patient counts for both.
    fn around(&self) -> BTreeMap<Target, Around> {
        let mut out: BTreeMap<Target, Around> = BTreeMap::new();
        let base = &self.programme.env.base;
        for change in self.changes {
            let patients: BTreeSet<Target> =
                change.before.iter().chain(&change.after).filter_map(|r| about(change, r, base)).collect();
            for patient in patients {
                match change.target.rtype.as_str() {
                    "Encounter" if self.is_stay(change) => {
                        out.entry(patient).or_default().stays.push(change.target.clone());
                    }
                    "Patient" if change.before.is_some() => out.entry(patient).or_default().patient = true,
                    "Consent" => out.entry(patient).or_default().consent = true,
                    "AllergyIntolerance"
                    | "Condition"
                    | "List"
                    | "MedicationAdministration"
                    | "MedicationDispense"
                    | "MedicationRequest"
                    | "MedicationStatement"
                    | "QuestionnaireResponse"
                    | "RelatedPerson"
                    | "ServiceRequest" => {
                        out.entry(patient).or_default().clinical.push(change.target.clone());
                    }
                    "Observation" if is_measure(change) => {
                        out.entry(patient).or_default().clinical.push(change.target.clone());
                    }
                    _ => {}
                }
            }
        }
        out
    }

    /// What was taken, given or prescribed in a stay belongs to the patient of that stay.
    async fn one_patient_a_stay(&mut self) -> Result<()> {
        let base = self.base().to_string();
        let mut named: Vec<(&Change, Target, Option<Target>)> = Vec::new();
        for change in self.changes {
            let of = |r: &Json| Some((element::encounter_of(r, &base)?, patient_of(r, &base)));
            let typed = MEDICATION.contains(&change.target.rtype.as_str());
            if let Some((encounter, patient)) = change.after.as_ref().filter(|_| typed).and_then(of) {
                named.push((change, encounter, patient));
            }
        }
        let mut patients: BTreeMap<Target, Option<Target>> = BTreeMap::new();
        let mut elsewhere: BTreeSet<Target> = named.iter().map(|(_, e, _)| e.clone()).collect();
        for change in self.changes.iter().filter(|c| elsewhere.contains(&c.target)) {
            if let Some(json) = change.after.as_ref().filter(|j| self.is_stay_json(&change.target, j)) {
                patients.insert(change.target.clone(), patient_of(json, &base));
            }
        }
        elsewhere.retain(|e| !self.changes.iter().any(|c| c.target == *e));
        let elsewhere: Vec<Target> = elsewhere.into_iter().collect();
        self.desk.load(&elsewhere).await?;
        for encounter in elsewhere {
            if let Some(json) = self.desk.peek(&encounter).filter(|j| self.is_stay_json(&encounter, j)) {
                patients.insert(encounter, patient_of(json, &base));
            }
        }
        for (change, encounter, patient) in named {
            if patients.get(&encounter).is_some_and(|of| of.is_some() && patient.is_some() && *of != patient) {
                let at = format!("{}.subject", change.target.rtype);
                self.findings.refuse(at, format!("{} is about another patient than {encounter}", change.target));
            }
        }
        Ok(())
    }

    fn is_stay_json(&self, at: &Target, encounter: &Json) -> bool {
        let mut encounter = encounter.clone();
        crate::fhir::meta::set_id(&mut encounter, &at.id);
        Stay::of(self.programme, &encounter).is_some()
    }

    fn is_stay(&self, change: &Change) -> bool {
        change.before.iter().chain(&change.after).any(|e| self.is_stay_json(&change.target, e))
    }

    fn base(&self) -> &str {
        &self.programme.env.base
    }

    fn now(&self) -> Instant {
        self.ctx.now
    }

    /// Addresses of the Tasks of an episode, as its care plan lists them; all are on the desk afterwards.
    async fn tasks_of(&mut self, plan: &Target) -> Result<Vec<Target>> {
        self.desk.load(std::slice::from_ref(plan)).await?;
        let Some(plan) = self.desk.peek(plan) else { return Ok(Vec::new()) };
        let base = self.base();
        let tasks: Vec<Target> = plan["activity"]
            .items()
            .iter()
            .filter_map(|a| element::leads_to_a("Task", &a["reference"], base))
            .collect();
        self.desk.load(&tasks).await?;
        Ok(tasks)
    }

    /// Until when an episode's shares hold.
    fn shared_until(&self, episode: &Json) -> Instant {
        let plan = self.programme.plan_of(episode);
        let start = element::latest(episode["period"]["start"].text(), &self.programme.env.zone);
        plan.ends_at(start.unwrap_or(self.now())).plus_seconds(plan.share_seconds)
    }

    /// Organisations that care for the patient of an episode: they work on a Task of it, or had taken one that the list then
    /// made needless, and the other Tasks wait for them.
    fn holders(&self, tasks: &[Target]) -> BTreeSet<String> {
        let settled = |t: &Json| {
            t["status"].text() == "cancelled"
                && element::own_code(&t["statusReason"], "task-status-reason") == Some("list-arrived")
                && element::own_code(&t["businessStatus"], "business-status") == Some("claimed")
        };
        let waits = |owner: &str| {
            let of = |t: &Json| t["status"].text() == "requested" && task::owner(t) == owner;
            tasks.iter().filter_map(|t| self.desk.peek(t)).any(of)
        };
        let had = tasks.iter().filter_map(|t| self.desk.peek(t)).filter(|t| settled(t) && waits(task::owner(t)));
        let had = had.filter_map(|t| task::owner(t).strip_prefix("Organization/").map(String::from));
        had.chain(self.workers(tasks)).collect()
    }

    /// Organisations that own a Task which they have taken, and that no Consent has stopped.
    fn workers(&self, tasks: &[Target]) -> BTreeSet<String> {
        let is_none = |status: &str| matches!(status, "draft" | "requested" | "rejected" | "cancelled");
        let taken = |t: &Json| !is_none(t["status"].text()) && !withhold::is_withheld(t);
        let owned = tasks.iter().filter_map(|t| self.desk.peek(t)).filter(|t| taken(t));
        owned.filter_map(|t| task::owner(t).strip_prefix("Organization/").map(String::from)).collect()
    }

    /// Shows resources to those who care for an episode's patient, now and later.
    async fn share_care(&mut self, episode: &Json, id: &str, tasks: &[Target], targets: &[Target]) -> Result<()> {
        self.show_before(&Target::new(known("EpisodeOfCare"), id), tasks, targets).await?;
        self.share_with(episode, id, &self.holders(tasks), targets).await
    }

    /// Shows resources to these organisations, and to those who care for the patient later.
    async fn share_with(
        &mut self,
        episode: &Json,
        id: &str,
        holders: &BTreeSet<String>,
        targets: &[Target],
    ) -> Result<()> {
        let until = self.shared_until(episode);
        for target in targets {
            let share = Share { org: 0, target: target.clone(), handoff: care(id), until };
            self.desk.records.share(share).await?;
        }
        if holders.is_empty() {
            return Ok(());
        }
        let at = Target::new(known("EpisodeOfCare"), id);
        self.desk.load(std::slice::from_ref(&at)).await?;
        let owner = self.desk.org(&at).unwrap_or_default();
        let (keys, shown) = (self.desk.records.keys(), self.showable(owner, targets.iter().cloned()).await?);
        for target in shown {
            for org in holders {
                let share = Share { org: keys.org(org), target: target.clone(), handoff: care(id), until };
                self.desk.records.share(share).await?;
            }
        }
        Ok(())
    }

    /// Offers a Task to those who may take it: they see it, and what the site shows before a claim: by default nothing else.
    async fn share_offer(&mut self, task_at: &Target, until: Instant) -> Result<()> {
        let Some(task) = self.desk.peek(task_at) else { return Ok(()) };
        let keys = self.desk.records.keys();
        for org in entries::asked(task) {
            let share = Share { org: keys.org(&org), target: task_at.clone(), handoff: build::offer(task_at), until };
            self.desk.records.share(share).await?;
        }
        self.offer_more(task_at, until).await
    }

    /// Tasks that have got an owner in this transaction are offered to nobody else any more: who could have claimed one sees no more
    /// of it than that it is gone.
    async fn end_offers(&mut self) -> Result<()> {
        let sent = self.changes.iter().filter_map(|c| Some((&c.target, c.before.as_ref()?)));
        let edited = self.desk.changed().map(|(target, was, _)| (target, was));
        let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (target, was) in sent.chain(edited).filter(|(t, _)| t.rtype.as_str() == "Task") {
            let owner = self.desk.peek(target).map_or("", task::owner);
            if !owner.is_empty() && owner != task::owner(was) {
                taken.entry(owner.to_owned()).or_default().insert(build::offer(target));
            }
        }
        for (owner, offers) in taken {
            let Some(owner) = organization(&owner) else { continue };
            let key = self.desk.records.keys().org(&owner.id);
            let offers: Vec<String> = offers.into_iter().collect();
            self.desk.records.end_shares(&offers, key).await?;
        }
        Ok(())
    }

    /// Programme's episodes of a patient, all on the desk: (address, as it is now), by the time of their discharge.
    async fn episodes(&mut self, patient: &Target) -> Result<Vec<Target>> {
        let found = self.desk.referring(&[("EpisodeOfCare", "patient", patient.clone())]).await?;
        let mut own: Vec<Target> = found
            .into_iter()
            .filter(|t| self.desk.peek(t).is_some_and(|e| element::own_identifier(e, "episode").is_some()))
            .collect();
        own.sort_by_key(|t| (self.discharged_at(t), t.clone()));
        Ok(own)
    }

    /// When the stay of an episode on the desk ended.
    fn discharged_at(&self, episode: &Target) -> Option<Instant> {
        let start = self.desk.peek(episode)?["period"]["start"].text().to_string();
        element::latest(&start, &self.programme.env.zone)
    }

    fn status_of(&self, target: &Target) -> &str {
        self.desk.peek(target).map_or("", |r| r["status"].text())
    }

    fn is_live(&self, episode: &Target) -> bool {
        matches!(self.status_of(episode), "planned" | "active" | "onhold")
    }

    fn addresses(&self, episode: &Target) -> Addresses {
        Addresses::of_episode(self.programme, &episode.id)
    }

    /// Ends the Tasks of an episode: those not begun are cancelled, those begun get `started`. On hold, their owners are asked
    /// to end them.
    async fn end_tasks(&mut self, plan: &Target, reason: &str, started: &str, except: Option<&Target>) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        for at in self.tasks_of(plan).await? {
            if Some(&at) == except {
                continue;
            }
            let Some(task) = self.desk.peek(&at).filter(|t| !task::is_final(t)) else { continue };
            let status = if task::is_started(task) { started } else { "cancelled" };
            if status == "on-hold" {
                self.hold(&at, reason).await?;
                continue;
            }
            let was_started = task::is_started(task);
            self.desk.edit(&at, |t| build::end_task(programme, t, status, reason, now));
            self.desk.records.unshare(&build::offer(&at), None).await?;
            if was_started {
                self.settle_aborts(&at, reason).await?;
            }
        }
        Ok(())
    }
}

/// Types that say what a patient takes, of a stay.
const MEDICATION: [&str; 5] =
    ["List", "MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"];

fn is_handoff(change: &Change) -> bool {
    change.before.iter().chain(&change.after).any(task::is_handoff)
}

/// The patient a changed resource is about.
fn about(change: &Change, resource: &Json, base: &str) -> Option<Target> {
    match type_of(resource) {
        "Patient" => Some(change.target.clone()),
        _ => patient_of(resource, base),
    }
}

/// An Organization's address.
fn organization(reference: &str) -> Option<Target> {
    Target::parse(reference).filter(|t| t.rtype == known("Organization"))
}
