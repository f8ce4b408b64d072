//! Consents that keep pharmacies out of a hand-off, and 42 CFR Part 2, which keeps protected records from those whom no Consent
//! lets in: nothing is offered or shown to them, what was is taken back, and the
//! hospital hears why.
//!
//! Work that such a pharmacy has begun is put on hold; it ends it, and sees until then what it saw.
//! Not for: which Consents do (`consent.rs`), or a refusal of the follow-up as a whole (`react/consent.rs`).
//! Source: own rules in `profiles/protocol/README.md`.

use super::entries::entries;
use super::handoff::episode_of;
use super::opening::Scene;
use super::{Round, organization};
use crate::access::Ctx;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::{self, care, offer};
use crate::workflow::consent::{self, Party};
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::guard::Findings;
use crate::workflow::records::{Desk, Held, Records};
use crate::workflow::{Programme, task};
use serde_json::json;
use std::collections::BTreeSet;

/// The code of it: of a Task on hold as its reason, of one that waits as its businessStatus; the extension of the episode.
pub(super) const WITHHELD: &str = "consent-withheld";

/// How far up an organisation is looked for whom it is part of.
const MOST_LEVELS: usize = 4;

/// What time has made of a Consent: the follow-up of its patient goes by it as it is now. Answers it as stored.
///
/// # Errors
/// What the database says.
pub async fn consent_due<R: Records>(ctx: &Ctx, records: &mut R, programme: &Programme, on: &Held) -> Result<Json> {
    let mut round = Round { ctx, programme, desk: Desk::new(records), changes: &[], findings: Findings::default() };
    if let Some(patient) = patient_of(&on.json, round.base())
        && let Some(record) = round.desk.get(&patient).await?
    {
        let mut episodes = round.episodes(&patient).await?;
        round.consent_moved(&patient, &record, &mut episodes).await?;
    }
    round.findings.settle()?;
    round.desk.flush().await?;
    Ok(on.json.clone())
}

impl<R: Records> Round<'_, R> {
    /// A patient's Consents are others than before, or time has passed. Answers the episode that it opens.
    pub(super) async fn consent_moved(
        &mut self,
        patient: &Target,
        record: &Json,
        episodes: &mut Vec<Target>,
    ) -> Result<Option<Target>> {
        if self.refuses(patient, false).await? {
            self.withdraw(patient, episodes).await?;
            return Ok(None);
        }
        let live: Vec<Target> = episodes.iter().filter(|e| self.is_live(e)).cloned().collect();
        for episode in live {
            let Some(json) = self.desk.get(&episode).await? else { continue };
            let Some(stay) = self.stay_of(&json).await? else { continue };
            let scene = self.scene(&stay, patient, record, false).await?;
            self.withhold(&episode, &scene, false).await?;
            let by_row = {
                let mut said =
                    self.changes.iter().flat_map(|c| c.before.iter().chain(&c.after)).chain(&scene.resources);
                said.any(consent::names_rows)
            };
            if scene.has_part_2 || by_row {
                // What was kept from the lists, or is from now on.
                self.refresh(&episode, patient, record, None).await?;
            }
        }
        let new = self.reconsider(patient, record, episodes, "consent-refused").await?;
        episodes.extend(new.clone());
        Ok(new)
    }

    /// Leaves out of a list whom the patient's Consents keep out; answers those Consents.
    pub(super) async fn keep_out(&mut self, consents: &[Json], orgs: &mut Vec<Target>) -> Result<Vec<Target>> {
        let mut by = Vec::new();
        if consents.is_empty() {
            return Ok(by);
        }
        let mut let_in = Vec::new();
        for org in std::mem::take(orgs) {
            let party = self.lineage(&org).await?;
            match consent::keeps_out(self.programme, consents, self.now(), Party(&party)) {
                Some(consent) => by.extend(element::target_of(consent)),
                None => let_in.push(org),
            }
        }
        *orgs = let_in;
        by.sort();
        by.dedup();
        Ok(by)
    }

    /// Whether the patient's Consents keep an organisation out.
    pub(super) async fn is_kept_out(&mut self, patient: &Target, owner: &str) -> Result<bool> {
        let Some(org) = organization(owner) else { return Ok(false) };
        let consents = self.consents(patient, false).await?;
        Ok(!self.keep_out(&consents, &mut vec![org]).await?.is_empty())
    }

    /// Whether all who have, or could have, the hand-off may see what 42 CFR Part 2 protects. `whole`: the stay itself is
    /// protected; then the others are left out.
    pub(super) async fn lets_part_2(
        &mut self,
        consents: &[Json],
        resources: &[Json],
        named: &mut Vec<Target>,
        whole: bool,
    ) -> Result<bool> {
        let taken = |t: &&Json| element::type_of(t) == "Task" && task::is_handoff(t) && !task::owner(t).is_empty();
        let owners: BTreeSet<Target> =
            resources.iter().filter(taken).filter_map(|t| organization(task::owner(t))).collect();
        let all: BTreeSet<Target> = named.iter().chain(&owners).cloned().collect();
        let mut out = BTreeSet::new();
        for org in &all {
            let party = self.lineage(org).await?;
            if !consent::lets_part_2(self.programme, consents, self.now(), Party(&party)) {
                out.insert(org.clone());
            }
        }
        if whole {
            named.retain(|org| !out.contains(org));
            return Ok(!named.is_empty() && owners.is_disjoint(&out));
        }
        Ok(!all.is_empty() && out.is_empty())
    }

    /// What 42 CFR Part 2 protects, and was shown before it was labelled or while the patient let it, is shown no more.
    pub(super) async fn hide_held_back(&mut self, episode: &Target, scene: &Scene) -> Result<()> {
        if scene.held_back.is_empty() {
            return Ok(());
        }
        let tasks = self.tasks_of(&self.addresses(episode).plan).await?;
        // Entries that a protected resource alone names say what it is about.
        let owner = self.desk.org(episode).unwrap_or_default();
        let kept = entries(scene.shown().chain([&scene.patient]), self.base());
        let kept = self.showable(owner, kept).await?;
        let held = entries(scene.held_back.iter().filter_map(|t| self.desk.peek(t)), self.base());
        let held = self.showable(owner, held).await?;
        let hidden: Vec<Target> = scene.held_back.iter().chain(held.difference(&kept)).cloned().collect();
        for target in &hidden {
            self.desk.records.unshare_one(&care(&episode.id), target).await?;
            for task in tasks.iter().filter(|_| !self.programme.before_claim.is_empty()) {
                self.desk.records.unshare_one(&offer(task), target).await?;
            }
        }
        Ok(())
    }

    /// An organisation and those that it is part of.
    async fn lineage(&mut self, org: &Target) -> Result<Vec<Json>> {
        let mut out = Vec::new();
        let mut next = Some(org.clone());
        while let Some(at) = next.filter(|_| out.len() < MOST_LEVELS) {
            let Some(json) = self.desk.get(&at).await? else { break };
            next = leads_to_a("Organization", &json["partOf"], self.base());
            out.push(json);
        }
        Ok(out)
    }

    /// Brings an episode to what the patient's Consents say: its Tasks, its shares, and why. `scene`: with those let in only.
    /// `is_new`: it has just been opened so.
    pub(super) async fn withhold(&mut self, episode: &Target, scene: &Scene, is_new: bool) -> Result<()> {
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let patient = &scene.at_patient;
        let tasks = self.all_tasks(episode, patient).await?;
        let consents: Vec<Json> =
            scene.resources.iter().filter(|r| element::type_of(r) == "Consent").cloned().collect();
        let owners: BTreeSet<Target> =
            tasks.iter().filter_map(|t| organization(task::owner(self.desk.peek(t)?))).collect();
        let (mut out, mut by) = (BTreeSet::new(), scene.withheld.clone());
        for owner in owners {
            let mut found = self.keep_out(&consents, &mut vec![owner.clone()]).await?;
            if scene.is_protected {
                let party = self.lineage(&owner).await?;
                if !consent::lets_part_2(self.programme, &consents, self.now(), Party(&party)) {
                    found.extend(build::index_encounter(&json, self.base()));
                }
            }
            if !found.is_empty() {
                out.insert(owner);
                by.extend(found);
            }
        }
        by.sort();
        by.dedup();
        let until = self.shared_until(&json);
        let mut has_moved = is_new;
        for at in &tasks {
            has_moved |= self.withhold_task(at, scene, &out, until).await?;
        }
        for org in &out {
            let reference = org.to_string();
            let begun = |t: &Json| task::owner(t) == reference && task::is_started(t);
            if !tasks.iter().filter_map(|t| self.desk.peek(t)).any(begun) {
                let key = self.desk.records.keys().org(&org.id);
                self.desk.records.unshare(&care(&episode.id), Some(key)).await?;
            }
        }
        self.say_why(episode, &by);
        let nobody = scene.owner.is_none() && scene.candidates.is_empty();
        if has_moved && !by.is_empty() {
            self.tell_withheld(episode, patient, nobody).await?;
        }
        Ok(())
    }

    /// Tasks of an episode that have not ended, reviews too, all on the desk.
    async fn all_tasks(&mut self, episode: &Target, patient: &Target) -> Result<Vec<Target>> {
        let mut tasks = self.tasks_of(&self.addresses(episode).plan).await?;
        for at in self.desk.referring(&[("Task", "patient", patient.clone())]).await? {
            let of = |t: &Json| task::is_handoff(t) && episode_of(t) == Some(episode.id.as_str());
            if !tasks.contains(&at) && self.desk.peek(&at).is_some_and(of) {
                tasks.push(at);
            }
        }
        tasks.retain(|t| self.desk.peek(t).is_some_and(|t| !task::is_final(t) && !task::is_abort(t)));
        Ok(tasks)
    }

    /// One Task: stopped, offered to others, or going on. Answers whether it moved.
    async fn withhold_task(
        &mut self,
        at: &Target,
        scene: &Scene,
        out: &BTreeSet<Target>,
        until: Instant,
    ) -> Result<bool> {
        let Some(task) = self.desk.peek(at).cloned() else { return Ok(false) };
        let is_out = organization(task::owner(&task)).is_some_and(|o| out.contains(&o));
        let is_held = is_withheld(&task);
        if task::is_started(&task) {
            match (is_out, is_held) {
                (true, false) => self.hold(at, WITHHELD).await?,
                (false, true) => self.settle_aborts(at, "consent-lifted").await?,
                _ => return Ok(false),
            }
            return Ok(true);
        }
        let named: Vec<&str> = task::candidates(&task);
        // One that takes the place of another is offered to fewer: those that have had it are left out.
        let is_successor = task["extension"].items().iter().any(|e| e["url"].text() == task::REPLACES);
        let mut candidates = scene.candidates.clone();
        candidates.retain(|c| !is_successor || named.is_empty() || named.contains(&c.to_string().as_str()));
        let owner = scene.owner.as_ref().filter(|_| !is_successor);
        let nobody = owner.is_none() && candidates.is_empty();
        let status = element::own_code(&task["businessStatus"], "business-status");
        let is_offer = task["status"].text() == "requested"
            && task::owner(&task).is_empty()
            && matches!(status, Some("offered" | "returned" | WITHHELD));
        let waits = status == Some(WITHHELD);
        let wanted: BTreeSet<String> = candidates.iter().map(ToString::to_string).collect();
        let differs = named.iter().map(|n| (*n).to_string()).collect::<BTreeSet<String>>() != wanted;
        let is_stale = differs || (waits && !nobody) || (nobody && !waits && !scene.withheld.is_empty());
        let moves = is_out || (is_offer && is_stale);
        if !moves {
            return Ok(false);
        }
        let (programme, now) = (self.programme, self.now());
        self.desk.edit(at, |t| {
            t.set("status", "requested");
            build::offer_to(programme, t, owner, &candidates);
            if owner.is_some() {
                task::lease_offer(programme, t, now);
            }
            if nobody {
                t.set("businessStatus", programme.coded("business-status", WITHHELD));
            }
            t.set("lastModified", now.to_seconds_text());
        });
        self.desk.records.unshare(&offer(at), None).await?;
        self.share_offer(at, until).await?;
        Ok(true)
    }

    /// The episode says why: the Consents that keep pharmacies out, without saying whom.
    fn say_why(&mut self, episode: &Target, by: &[Target]) {
        let url = element::extension_url(WITHHELD);
        let text = "Keeps the hand-off from one or more pharmacies";
        let why = by
            .iter()
            .map(|c| Json::from(json!({"url": url, "valueReference": {"reference": c.to_string(), "display": text}})));
        let why: Vec<Json> = why.collect();
        self.desk.edit(episode, |e| {
            let others = e["extension"].items().iter().filter(|x| x["url"].text() != url).cloned();
            let all: Vec<Json> = others.chain(why).collect();
            if all.is_empty() {
                e.remove("extension");
            } else {
                e.set("extension", Json::Array(all));
            }
        });
    }

    /// The hospital hears that a Consent keeps pharmacies out; `nobody`: all that could take it.
    async fn tell_withheld(&mut self, episode: &Target, patient: &Target, nobody: bool) -> Result<()> {
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let text = if nobody {
            "A Consent of the patient, or the want of one for a protected stay, keeps the follow-up from every pharmacy that could take it: nobody is asked. Name one that the patient agrees to, or have the Consent changed."
        } else {
            "A Consent of the patient keeps the follow-up from one or more pharmacies: what was offered or shown there is taken back, what had begun there waits for its end."
        };
        self.tell_of_consent(episode, &json, patient, text).await
    }

    /// Tells the hospital of an episode what a Consent did to it: one Communication, the last word.
    pub(super) async fn tell_of_consent(
        &mut self,
        episode: &Target,
        json: &Json,
        patient: &Target,
        text: &str,
    ) -> Result<()> {
        let Some(hospital) = leads_to_a("Organization", &json["managingOrganization"], self.base()) else {
            return Ok(());
        };
        let at = Target::new(known("Communication"), self.programme.id(&["consent", &episode.id]));
        let parts = format!("consent/{}", episode.id);
        let about = [episode.clone()];
        let notice = build::notice(&parts, patient, (&about, &[hospital]), ("urgent", text), self.now());
        let org = self.desk.org(episode).unwrap_or_default();
        self.write(&at, notice, org).await?;
        self.show_to_hospital(&episode.id, &at).await
    }

    /// Work that a Consent had stopped has ended: its pharmacy sees no more, unless it has other work of it, and what is left
    /// goes to those who are let in.
    pub(super) async fn stopped_work_ended(&mut self, task: &Json) -> Result<()> {
        let (Some(id), Some(patient)) = (episode_of(task), patient_of(task, self.base())) else { return Ok(()) };
        let episode = Target::new(known("EpisodeOfCare"), id);
        let others = self.all_tasks(&episode, &patient).await?;
        let begun = |t: &Json| task::owner(t) == task::owner(task) && task::is_started(t);
        let has_others = others.iter().filter_map(|t| self.desk.peek(t)).any(begun);
        if let (Some(org), false) = (organization(task::owner(task)), has_others) {
            let key = self.desk.records.keys().org(&org.id);
            self.desk.records.unshare(&care(&episode.id), Some(key)).await?;
        }
        self.desk.load(std::slice::from_ref(&episode)).await?;
        match self.desk.get(&patient).await? {
            Some(record) if self.status_of(&episode) == "active" => {
                self.refresh(&episode, &patient, &record, Some(&[])).await
            }
            _ => Ok(()),
        }
    }
}

/// Whether a Consent stopped work on a Task.
pub(super) fn is_withheld(task: &Json) -> bool {
    task["status"].text() == "on-hold"
        && element::own_code(&task["statusReason"], "task-status-reason") == Some(WITHHELD)
}
