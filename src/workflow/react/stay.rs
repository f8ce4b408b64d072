//! Stays: a discharge opens an episode, a new stay pauses one, a discharge taken back ends it.

use super::opening::Scene;
use super::{Around, Round};
use crate::access::Role;
use crate::error::Result;
use crate::fhir::meta;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::{self, Addresses};
use crate::workflow::discharge::{Decision, Known, Reason, Stay, decide, is_dead};
use crate::workflow::eligibility::{self, Need};
use crate::workflow::records::Records;
use crate::workflow::{Change, consent, element};
use serde_json::json;
use std::collections::BTreeSet;

/// How often one stay may be followed up anew.
const MOST_EPISODES: usize = 64;

impl<R: Records> Round<'_, R> {
    /// All that changed around one patient.
    pub(super) async fn patient(&mut self, patient: &Target, around: &Around) -> Result<()> {
        let mut stays: Vec<(Target, Option<Stay>)> = Vec::new();
        let mut first: Vec<Target> = around.stays.iter().chain([patient]).cloned().collect();
        first.extend(self.hospitals(&around.stays));
        self.desk.load(&first).await?;
        for at in &around.stays {
            let mut stay = self.desk.peek(at).and_then(|e| Stay::of(self.programme, e));
            if let (Some(stay), Some(sender)) = (&mut stay, self.sending_hospital()) {
                stay.hospital = Some(sender);
            }
            stays.push((at.clone(), stay));
        }
        self.own_site(&stays).await?;
        stays.sort_by_key(|(at, s)| (s.as_ref().map(|s| (s.start, s.end)), at.clone()));
        let Some(record) = self.desk.get(patient).await? else { return Ok(()) };
        // A patient who came with this transaction has no past here: nothing to look up.
        let is_new = record["meta"]["versionId"].text() == "1"
            && self.changes.iter().any(|c| c.target == *patient && c.before.is_none());
        let mut episodes = if is_new { Vec::new() } else { self.episodes(patient).await? };
        if stays.is_empty() && !around.consent && !episodes.iter().any(|e| self.is_live(e)) {
            return Ok(());
        }
        let mut opened = BTreeSet::new();
        for (at, stay) in stays {
            // A stay that has moved to another patient is taken back here.
            let stay = stay.filter(|s| s.patient.as_ref() == Some(patient));
            if stay.as_ref().is_none_or(|s| !s.is_discharge() || !s.is_death(self.programme)) {
                self.unmark_deceased(&at, patient);
            }
            let record = self.desk.get(patient).await?.unwrap_or_default();
            match stay {
                Some(stay) if stay.is_discharge() => {
                    self.admitted(&stay, patient, &episodes).await?;
                    if let Some(new) = self.discharged(&stay, patient, &record, is_new, &episodes).await? {
                        if !is_new {
                            self.overtaken(&stay, patient, &new).await?;
                        }
                        opened.insert(new.clone());
                        episodes.push(new);
                    }
                    self.supersede(&stay, &episodes).await?;
                    if stay.is_death(self.programme) {
                        self.mark_deceased(&stay, patient);
                        self.died(patient, &episodes).await?;
                    }
                }
                stay => {
                    self.taken_back(&at, stay.as_ref(), &episodes).await?;
                    if !is_new {
                        self.go_back(&at, stay.as_ref(), (patient, &record), &episodes).await?;
                        let new = self.reconsider(patient, &record, &episodes, "later-stay-known").await?;
                        opened.extend(new.clone());
                        episodes.extend(new);
                    }
                    if let Some(stay) = stay.filter(Stay::is_admission) {
                        self.admitted(&stay, patient, &episodes).await?;
                    }
                }
            }
        }
        if around.patient && is_dead(&record, self.now()) {
            self.died(patient, &episodes).await?;
        }
        if around.consent {
            if is_new {
                if self.refuses(patient, true).await? {
                    self.withdraw(patient, &episodes).await?;
                }
            } else {
                opened.extend(self.consent_moved(patient, &record, &mut episodes).await?);
            }
        }
        let has_news = !around.clinical.is_empty() || self.is_relabelled();
        for episode in episodes {
            if self.is_live(&episode) && !opened.contains(&episode) && has_news {
                self.refresh(&episode, patient, &record, Some(&around.clinical)).await?;
            }
        }
        Ok(())
    }

    /// Whether a stay or a patient became protected by 42 CFR Part 2, or is no more.
    fn is_relabelled(&self) -> bool {
        let of = |r: &Option<Json>| r.as_ref().is_some_and(consent::is_part_2);
        let is_whole = |c: &&Change| matches!(c.target.rtype.as_str(), "Encounter" | "Patient") && c.before.is_some();
        self.changes.iter().filter(is_whole).any(|c| of(&c.before) != of(&c.after))
    }

    /// A stay has ended: decides, records the decision, and opens an episode where there is none. Answers the new one.
    pub(super) async fn discharged(
        &mut self,
        stay: &Stay,
        patient: &Target,
        record: &Json,
        is_new: bool,
        episodes: &[Target],
    ) -> Result<Option<Target>> {
        let base = self.base().to_string();
        let of_stay = |r: &Self, e: &Target| {
            r.desk.peek(e).and_then(|e| build::index_encounter(e, &base)).as_ref() == Some(&stay.encounter)
        };
        let own: Vec<&Target> = episodes.iter().filter(|e| of_stay(self, e)).collect();
        let others: Vec<&Target> =
            episodes.iter().filter(|e| !of_stay(self, e) && self.status_of(e) != "cancelled").collect();
        let live = own.iter().find(|e| self.is_live(e)).map(|e| (*e).clone());
        let earlier: Vec<Target> = own.iter().map(|e| (*e).clone()).collect();
        if live.is_none() && own.iter().any(|e| self.status_of(e) == "finished") {
            return Ok(None); // it has been followed up to its end
        }
        let hospital = stay.hospital.as_ref().map(ToString::to_string).unwrap_or_default();
        let same = |e: &&Target| {
            let hospital_of = self.desk.peek(e).map(|e| e["managingOrganization"]["reference"].text().to_string());
            self.discharged_at(e) == stay.end && hospital_of.as_deref().unwrap_or_default() == hospital
        };
        let mut known = Known {
            patient: Some(record.clone()),
            medicines: usize::MAX,
            is_duplicate: others.iter().any(same),
            has_later_stay: others.iter().any(|e| self.discharged_at(e) > stay.end),
            is_followed: live.is_some(),
            refuses: false,
            unmet: Vec::new(),
        };
        let mut nth = own.len();
        // Under the ids of a stay that was another patient's before there is an episode already.
        while live.is_none() && !self.is_new_stay(stay) && nth < MOST_EPISODES {
            let next = Addresses::of_stay(self.programme, &stay.encounter, nth).episode;
            if self.desk.get(&next).await?.is_none() {
                break;
            }
            nth += 1;
        }
        self.prepare(stay, nth).await?;
        let previous = others.iter().rfind(|e| self.status_of(e) == "onhold").map(|e| (*e).clone());
        // Only a stay that may be followed up is worth reading the lists for.
        let mut decision = decide(self.programme, stay, &known, self.now());
        let (mut scene, mut unknown) = (None, Vec::new());
        if decision == Decision::Follow && live.is_none() {
            let found = self.scene(stay, patient, record, is_new).await?;
            known.medicines = found.lines.at_discharge();
            let consents = found.resources.iter().filter(|r| element::type_of(r) == "Consent");
            known.refuses = consent::refuses(self.programme, consents, self.now());
            (known.unmet, unknown) = self.needs(stay, &found);
            decision = decide(self.programme, stay, &known, self.now());
            scene = Some(found);
        }
        let at = Addresses::of_stay(self.programme, &stay.encounter, nth);
        match (decision, live, scene) {
            (Decision::Follow, None, Some(scene)) => {
                let (plan, because) = self.chosen(stay, &scene);
                let record = self.decided(stay, &[], Some(&plan.canonical), Some(&unknown)).await?;
                self.open(stay, &at, &scene, (&plan, &because), previous.as_ref(), record).await?;
                self.left_taken_back(&stay.encounter).await?;
                for episode in &earlier {
                    self.outcome_taken_back(episode).await?;
                }
                if !scene.withheld.is_empty() {
                    self.withhold(&at.episode, &scene, true).await?;
                }
                Ok(Some(at.episode))
            }
            (Decision::Follow, live, _) => {
                let episode = live.as_ref().and_then(|e| self.desk.peek(e)).cloned().unwrap_or_default();
                let plan = self.programme.plan_of(&episode).canonical.clone();
                self.decided(stay, &[], Some(&plan), None).await?;
                if let Some(live) = live.filter(|_| self.is_corrected(stay)) {
                    self.correct(&live, stay, patient, record).await?;
                }
                Ok(None)
            }
            (Decision::Leave { reasons }, live, _) => {
                self.decided(stay, &reasons, None, None).await?;
                if let Some(live) = live {
                    let dead = reasons.iter().any(|r| r.code == "deceased");
                    self.retract(&live, if dead { "deceased" } else { "not-eligible" }).await?;
                } else if earlier.is_empty() {
                    // Of one that was followed up the hospital has heard.
                    self.left_alone(stay, patient, &reasons).await?;
                }
                Ok(None)
            }
        }
    }

    /// Criteria of the site's own that a case does not meet, and those that what is known does not tell, with what lacks: those
    /// leave nobody out.
    fn needs(&self, stay: &Stay, scene: &Scene) -> (Vec<Reason>, Vec<String>) {
        let needs = &self.programme.criteria.needs;
        if needs.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let risks = self.risks(stay, scene);
        let mut case = scene.case(self.desk.peek(&stay.encounter), self.now());
        case.risk = risks.iter().collect();
        if needs.iter().any(Need::asks_high_risk) {
            case.high_risk = Some(eligibility::high_risk(self.programme, &scene.lines, &scene.resources));
        }
        let (mut unmet, mut unknown) = (Vec::new(), Vec::new());
        for need in needs {
            match need.is_met(&case) {
                Some(true) => {}
                Some(false) => {
                    unmet.push(Reason { criterion: need.criterion.clone().into(), code: need.reason.clone() });
                }
                None => {
                    let display =
                        self.programme.concept("eligibility", &need.criterion).map_or("", |c| c.display.as_str());
                    unknown.push(format!(
                        "Not known, and not guessed: {display} ({}): {}",
                        need.criterion,
                        need.missing(&case)
                    ));
                }
            }
        }
        (unmet, unknown)
    }

    /// Brings all that a stay's episode may write to the desk at once; nothing of a stay that was just made is there yet.
    async fn prepare(&mut self, stay: &Stay, nth: usize) -> Result<()> {
        let at = Addresses::of_stay(self.programme, &stay.encounter, nth);
        let programme = self.programme;
        // Which protocol it will be is not known yet; what none of them writes is not there either.
        let of_stays = programme.plans.values().filter(|p| !p.is_asked_for());
        let actions = of_stays.flat_map(|p| &p.actions).chain(&programme.list_not_sent.actions);
        let mut all: Vec<Target> = actions.map(|a| at.task(programme, &a.id, 0)).collect();
        all.push(super::lists::record_of(programme, &at.list));
        all.extend([at.episode, at.plan, at.list, self.decision_at(stay), self.left_at(&stay.encounter)]);
        all.extend(programme.scores.iter().map(|s| s.address(programme, &stay.encounter)));
        if self.is_new_stay(stay) {
            self.desk.assume_absent(&all);
            return Ok(());
        }
        self.desk.load(&all).await
    }

    /// Whether the stay came with this transaction.
    fn is_new_stay(&self, stay: &Stay) -> bool {
        self.desk.peek(&stay.encounter).is_some_and(|e| e["meta"]["versionId"].text() == "1")
            && self.changes.iter().any(|c| c.target == stay.encounter && c.before.is_none())
    }

    /// The hospitals that changed stays come from.
    fn hospitals(&self, stays: &[Target]) -> Vec<Target> {
        let of = self.changes.iter().filter(|c| stays.contains(&c.target)).filter_map(|c| c.after.as_ref());
        let named = of.filter_map(|e| element::leads_to_a("Organization", &e["serviceProvider"], self.base()));
        named.chain(self.sending_hospital()).collect()
    }

    /// A hospital's system discharges for itself and its parts, and for nobody else who discharges here.
    async fn own_site(&mut self, stays: &[(Target, Option<Stay>)]) -> Result<()> {
        let Some(sender) = self.sending_hospital() else { return Ok(()) };
        for stay in stays.iter().filter_map(|(_, s)| s.as_ref()) {
            let mut next = stay.site.clone();
            let mut discharges = false;
            for _ in 0..4 {
                let Some(at) = next.filter(|t| *t != sender) else {
                    discharges = false;
                    break;
                };
                let Some(organization) = self.desk.get(&at).await? else { break };
                discharges |= element::extension(&organization, "candidate-pharmacy").is_some();
                next = element::leads_to_a("Organization", &organization["partOf"], self.base());
                if next.is_none() {
                    break;
                }
            }
            if discharges {
                let text =
                    "the stay is of another hospital of this server, whose own system sends it (rule stay-sender)";
                self.findings.forbid("Encounter.serviceProvider", text);
            }
        }
        Ok(())
    }

    /// The hospital whose system sends this.
    pub(super) fn sending_hospital(&self) -> Option<Target> {
        let principal = &self.ctx.principal;
        let own = principal.organization().filter(|_| principal.role == Role::HospitalSystem);
        own.and_then(|o| super::organization(&o))
    }

    pub(super) fn decision_at(&self, stay: &Stay) -> Target {
        Target::new(known("Observation"), self.programme.id(&["decision", &stay.encounter.id]))
    }

    /// Records the decision about a stay, and the protocol that it is followed up by; answers where. `unknown`: what could not be
    /// judged for want of input; without it what was said about that stays.
    pub(super) async fn decided(
        &mut self,
        stay: &Stay,
        reasons: &[Reason],
        plan: Option<&str>,
        unknown: Option<&[String]>,
    ) -> Result<Target> {
        let at = self.decision_at(stay);
        let mut record = build::decision(self.programme, &at.id, stay, (reasons, plan), self.now());
        for text in unknown.unwrap_or_default() {
            record.push("note", Json::from(json!({"text": text})));
        }
        if let (None, Some(old)) = (unknown, self.desk.get(&at).await?)
            && old["valueCodeableConcept"] == record["valueCodeableConcept"]
            && old.get("note").is_some()
        {
            record.set("note", old["note"].clone());
        }
        let org = self.desk.org(&stay.encounter).unwrap_or_default();
        self.write(&at, record, org).await?;
        Ok(at)
    }

    /// Sets a resource of ours, what the store wrote into the old one kept out of the comparison.
    pub(super) async fn write(&mut self, at: &Target, mut json: Json, org: i64) -> Result<()> {
        meta::set_id(&mut json, &at.id);
        self.desk.set(at, json, org).await
    }

    /// A stay is no discharge (any more): its episode ends. Where it never was, an episode that it paused goes on.
    async fn taken_back(&mut self, encounter: &Target, stay: Option<&Stay>, episodes: &[Target]) -> Result<()> {
        if self.changes.iter().any(|c| c.target == *encounter && c.before.is_some()) {
            self.left_taken_back(encounter).await?;
        }
        for episode in episodes {
            let Some(json) = self.desk.peek(episode).cloned() else { continue };
            if build::index_encounter(&json, self.base()).as_ref() == Some(encounter) && self.is_live(episode) {
                self.retract(episode, "discharge-cancelled").await?;
                if let Some(stay) = stay {
                    let reason = Reason { criterion: "episode".into(), code: "cancelled".into() };
                    self.decided(stay, &[reason], None, None).await?;
                }
            }
            let is_void = stay.is_none_or(Stay::is_void);
            if is_void && self.status_of(episode) == "onhold" && self.paused_by(episode).as_ref() == Some(encounter) {
                self.resume(episode, encounter).await?;
            }
        }
        Ok(())
    }

    /// An episode ends because the discharge is not one to follow up (any more).
    pub(super) async fn retract(&mut self, episode: &Target, reason: &str) -> Result<()> {
        let at = self.addresses(episode);
        self.end_tasks(&at.plan, reason, "on-hold", None).await?;
        let now = self.now();
        self.desk.edit(episode, |e| build::move_episode(e, "cancelled", now));
        self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
        self.desk.load(std::slice::from_ref(&at.list)).await?;
        self.desk.edit(&at.list, |l| l.set("status", "retired"));
        if let Some(patient) = self.desk.peek(episode).and_then(|e| element::patient_of(e, self.base())) {
            self.withdraw_findings(episode, &patient).await?;
            if matches!(reason, "consent-withdrawn" | "deceased") {
                self.withdraw_problems(&patient, reason).await?;
            }
        }
        self.ended_early(episode, reason).await
    }

    /// The patient has died: nobody calls any more.
    async fn died(&mut self, patient: &Target, episodes: &[Target]) -> Result<()> {
        let now = self.now();
        let live: Vec<Target> = episodes.iter().filter(|e| self.is_live(e)).cloned().collect();
        for episode in &live {
            let at = self.addresses(episode);
            self.end_tasks(&at.plan, "deceased", "on-hold", None).await?;
            self.desk.edit(episode, |e| build::move_episode(e, "finished", now));
            self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
        }
        self.withdraw_problems(patient, "deceased").await?;
        for episode in &live {
            self.ended_early(episode, "deceased").await?;
        }
        Ok(())
    }
}
