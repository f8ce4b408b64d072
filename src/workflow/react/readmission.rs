//! A new stay during a follow-up: pauses it, ends it when the next discharge comes, and lets it go on when it never was.
//!
//! Source: own rules in `profiles/protocol/README.md`.

use super::Round;
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build;
use crate::workflow::consent;
use crate::workflow::discharge::{Stay, is_dead};
use crate::workflow::element;
use crate::workflow::records::Records;

impl<R: Records> Round<'_, R> {
    /// The patient is in hospital again: what has not begun is cancelled, what has begun waits.
    pub(super) async fn admitted(&mut self, stay: &Stay, patient: &Target, episodes: &[Target]) -> Result<()> {
        let Some(start) = stay.start.filter(|_| self.programme.criteria.followed.contains(&stay.class)) else {
            return Ok(());
        };
        for episode in episodes {
            let (Some(json), Some(left)) = (self.desk.peek(episode).cloned(), self.discharged_at(episode)) else {
                continue;
            };
            let days = self.programme.calendar.days_between(left, start);
            let class = self.class_of(stay, patient);
            if self.paused_by(episode).as_ref() == Some(&stay.encounter) {
                self.reclassified(episode, (stay, patient), (days, class)).await?;
            }
            let same = build::index_encounter(&json, self.base()).as_ref() == Some(&stay.encounter);
            // A date without a time counts until its end: the same day is no contradiction.
            let is_after = self.programme.calendar.days_between(left, start) > 0 || start >= left;
            if same || !is_after || json["status"].text() != "active" {
                continue;
            }
            let at = self.addresses(episode);
            // Who cares for the patient now; a Task that is cancelled has nobody.
            let before = self.tasks_of(&at.plan).await?;
            let holders = self.holders(&before);
            self.end_tasks(&at.plan, "readmitted", "on-hold", None).await?;
            let now = self.now();
            let encounter = &stay.encounter;
            self.desk.edit(episode, |e| {
                build::move_episode(e, "onhold", now);
                let url = element::extension_url("paused-by");
                let paused = serde_json::json!({"url": url, "valueReference": {"reference": encounter.to_string()}});
                e.push("extension", Json::from(paused));
            });
            self.desk.edit(&at.plan, |p| p.set("status", "on-hold"));
            let (first, last) = self.programme.criteria.readmission_days;
            let transfer = self.is_transfer(stay, &json, left, start);
            let is_protected = self.desk.peek(encounter).is_some_and(consent::is_part_2);
            let mut shown = if is_protected { Vec::new() } else { vec![encounter.clone()] };
            if (first..=last).contains(&days) && !transfer {
                let flag = self.flag_at(episode, encounter);
                let org = self.desk.org(episode).unwrap_or_default();
                self.write(&flag, build::flag(self.programme, &flag.id, stay, patient, (days, class)), org).await?;
                shown.push(flag);
            }
            self.share_with(&json, &episode.id, &holders, &shown).await?;
            let how = if transfer { None } else { Some(class) };
            self.in_hospital_again((episode, encounter, patient), &holders, days, how).await?;
            if !transfer {
                self.window_missed(episode, encounter).await?;
            }
        }
        Ok(())
    }

    /// Whether a new stay had been planned: a code of `readmission-class`.
    fn class_of(&self, stay: &Stay, patient: &Target) -> &'static str {
        let json = self.desk.peek(&stay.encounter).cloned().unwrap_or_default();
        self.programme.criteria.readmission_class(&json, self.desk.peek(patient))
    }

    /// A stay that pauses a follow-up says otherwise now whether it was planned: the warning follows.
    async fn reclassified(
        &mut self,
        episode: &Target,
        (stay, patient): (&Stay, &Target),
        (days, class): (i64, &str),
    ) -> Result<()> {
        let at = self.flag_at(episode, &stay.encounter);
        if self.desk.get(&at).await?.is_some_and(|flag| flag["status"].text() == "active") {
            let code = build::flag(self.programme, &at.id, stay, patient, (days, class))["code"].clone();
            self.desk.edit(&at, |flag| flag.set("code", code));
        }
        Ok(())
    }

    /// Whether a new stay goes on where the old one ended: in the same hospital, where the patient came from another ward or house
    /// by what it says (`transfer-source`), or, where it does not say, within hours (`transfer-gap`).
    fn is_transfer(&self, stay: &Stay, episode: &Json, left: Instant, start: Instant) -> bool {
        let hospital = stay.hospital.as_ref().map(ToString::to_string);
        if hospital.as_deref() != episode["managingOrganization"]["reference"].as_str() {
            return false;
        }
        let criteria = &self.programme.criteria;
        let said = self.desk.peek(&stay.encounter).map(|e| element::codings(&e["hospitalization"]["admitSource"]));
        match said.filter(|codes| !codes.is_empty()) {
            Some(codes) => {
                let is_one =
                    |(s, c): &(&str, &str)| criteria.transfer_sources.iter().any(|(of, code)| of == s && code == c);
                self.programme.calendar.days_between(left, start) == 0 && codes.iter().any(is_one)
            }
            // A day without a time tells nothing of hours.
            None => start >= left && start <= left.plus_seconds(criteria.transfer_hours * 3_600),
        }
    }

    /// A discharge that comes late: stays that began after it are on record already, and do to its episode what they would have
    /// done had it come in time.
    pub(super) async fn overtaken(&mut self, stay: &Stay, patient: &Target, episode: &Target) -> Result<()> {
        let found = self.desk.referring(&[("Encounter", "patient", patient.clone())]).await?;
        // Those of this transaction have their turn after this one.
        let others = found.iter().filter(|at| **at != stay.encounter && !self.changes.iter().any(|c| c.target == **at));
        let read = others.filter_map(|at| Stay::of(self.programme, self.desk.peek(at)?));
        let mut later: Vec<Stay> = read.filter(|s| s.is_admission() && s.patient.as_ref() == Some(patient)).collect();
        later.sort_by_key(|s| (s.start, s.end, s.encounter.clone()));
        for later in later {
            self.admitted(&later, patient, std::slice::from_ref(episode)).await?;
            if later.is_discharge() {
                self.supersede(&later, std::slice::from_ref(episode)).await?;
            }
        }
        Ok(())
    }

    pub(super) fn flag_at(&self, episode: &Target, encounter: &Target) -> Target {
        Target::new(known("Flag"), self.programme.id(&["flag", &episode.id, &encounter.id]))
    }

    /// A later stay has ended: episodes that it paused are over; what comes now counts from the last discharge.
    pub(super) async fn supersede(&mut self, stay: &Stay, episodes: &[Target]) -> Result<()> {
        for episode in episodes {
            if self.status_of(episode) == "onhold" && self.paused_by(episode).as_ref() == Some(&stay.encounter) {
                let at = self.addresses(episode);
                self.end_tasks(&at.plan, "readmitted", "failed", None).await?;
                let now = self.now();
                self.desk.edit(episode, |e| build::move_episode(e, "finished", now));
                self.desk.edit(&at.plan, |p| p.set("status", "revoked"));
                // The next episode finds anew what still holds.
                if let Some(patient) = &stay.patient {
                    self.withdraw_findings(episode, patient).await?;
                }
                self.ended_early(episode, "readmitted").await?;
            }
        }
        Ok(())
    }

    /// A later stay is no discharge (any more): episodes that it had finished wait for it again, or go on where it never was.
    pub(super) async fn go_back(
        &mut self,
        encounter: &Target,
        stay: Option<&Stay>,
        (patient, record): (&Target, &Json),
        episodes: &[Target],
    ) -> Result<()> {
        let of = |r: &Self, e: &Target| r.status_of(e) == "finished" && r.paused_by(e).as_ref() == Some(encounter);
        let over: Vec<Target> = episodes.iter().filter(|e| of(self, e)).cloned().collect();
        if over.is_empty() || is_dead(record, self.now()) || self.refuses(patient, false).await? {
            return Ok(());
        }
        for episode in over {
            let later =
                |e: &&Target| self.status_of(e) != "cancelled" && self.discharged_at(e) > self.discharged_at(&episode);
            if episodes.iter().any(|e| later(&e)) {
                continue;
            }
            // Its own stay may have been taken back, or moved, since it was over.
            let json = self.desk.get(&episode).await?.unwrap_or_default();
            let own = self.stay_of(&json).await?;
            let Some(own) = own.filter(|s| s.is_discharge() && s.patient.as_ref() == Some(patient)) else { continue };
            if stay.is_none_or(Stay::is_void) {
                self.resume(&episode, encounter).await?;
                self.overtaken(&own, patient, &episode).await?;
            } else {
                let now = self.now();
                self.desk.edit(&episode, |e| build::move_episode(e, "onhold", now));
                let plan = self.addresses(&episode).plan;
                self.desk.load(std::slice::from_ref(&plan)).await?;
                self.desk.edit(&plan, |p| p.set("status", "on-hold"));
            }
            self.outcome_taken_back(&episode).await?;
            // What was found for it had been withdrawn.
            self.refresh(&episode, patient, record, None).await?;
        }
        Ok(())
    }

    pub(super) fn paused_by(&self, episode: &Target) -> Option<Target> {
        let extension = element::extension(self.desk.peek(episode)?, "paused-by")?;
        element::leads_to_a("Encounter", &extension["valueReference"], self.base())
    }

    /// The new stay never was: the episode goes on with new Tasks in place of the cancelled ones.
    pub(super) async fn resume(&mut self, episode: &Target, encounter: &Target) -> Result<()> {
        let now = self.now();
        self.desk.edit(episode, |e| {
            build::move_episode(e, "active", now);
            let url = element::extension_url("paused-by");
            let kept = e["extension"].items().iter().filter(|x| x["url"].text() != url).cloned().collect();
            e.set("extension", Json::Array(kept));
        });
        let at = self.addresses(episode);
        self.desk.load(std::slice::from_ref(&at.plan)).await?;
        self.desk.edit(&at.plan, |p| p.set("status", "active"));
        let flag = self.flag_at(episode, encounter);
        let told = self.told_again(episode, encounter);
        for warning in [flag, told] {
            self.desk.load(std::slice::from_ref(&warning)).await?;
            self.desk.edit(&warning, |w| w.set("status", "entered-in-error"));
        }
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let Some(stay) = self.stay_of(&json).await? else { return Ok(()) };
        let Some(patient) = stay.patient.clone() else { return Ok(()) };
        let Some(record) = self.desk.get(&patient).await? else { return Ok(()) };
        let scene = self.scene(&stay, &patient, &record, false).await?;
        let programme = self.programme;
        for task in self.tasks_of(&at.plan).await? {
            if self.status_of(&task) == "on-hold" {
                self.settle_aborts(&task, "stay-cancelled").await?;
            }
        }
        let plan = programme.plan_of(&json).clone();
        self.open_tasks(&plan, &stay, &at, &scene).await?;
        let tasks = self.tasks_of(&at.plan).await?;
        self.share_care(&json, &episode.id, &tasks, &tasks.clone()).await
    }
}
