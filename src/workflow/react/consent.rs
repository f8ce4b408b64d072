//! Consent: a refusal ends the follow-up, whoever brings it; a refusal taken back lets the discharge be decided anew.
//!
//! Source: own rules in `profiles/protocol/README.md`; what a Consent says is in `consent.rs`.

use super::Round;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build;
use crate::workflow::consent;
use crate::workflow::discharge::{Reason, Stay};
use crate::workflow::element::{self, patient_of, type_of};
use crate::workflow::records::Records;

impl<R: Records> Round<'_, R> {
    /// Whether the patient's Consents refuse the follow-up now.
    pub(super) async fn refuses(&mut self, patient: &Target, is_new: bool) -> Result<bool> {
        let consents = self.consents(patient, is_new).await?;
        Ok(consent::refuses(self.programme, &consents, self.now()))
    }

    /// The patient's Consents, whatever they say. `is_new`: the patient came with this transaction.
    pub(super) async fn consents(&mut self, patient: &Target, is_new: bool) -> Result<Vec<Json>> {
        if is_new {
            let of = |c: &Json| type_of(c) == "Consent" && patient_of(c, self.base()).as_ref() == Some(patient);
            return Ok(self.changes.iter().filter_map(|c| c.after.clone()).filter(of).collect());
        }
        let found = self.desk.referring(&[("Consent", "patient", patient.clone())]).await?;
        Ok(found.iter().filter_map(|t| self.desk.peek(t).cloned()).collect())
    }

    /// The patient does not want it: nobody calls any more, and every discharge says why.
    pub(super) async fn withdraw(&mut self, patient: &Target, episodes: &[Target]) -> Result<()> {
        for episode in episodes {
            if !self.is_live(episode) {
                continue;
            }
            self.retract(episode, "consent-withdrawn").await?;
            let json = self.desk.get(episode).await?.unwrap_or_default();
            if let Some(stay) = self.stay_of(&json).await? {
                let reason = Reason { criterion: "consent".into(), code: "consent-refused".into() };
                self.decided(&stay, &[reason], None, None).await?;
            }
        }
        self.withdraw_problems(patient, "consent-withdrawn").await
    }

    /// What spoke against the follow-up does so no more: the last discharge that was left for that reason, a code of
    /// `not-eligible-reason`, is decided anew. Answers the episode that it opens.
    pub(super) async fn reconsider(
        &mut self,
        patient: &Target,
        record: &Json,
        episodes: &[Target],
        reason: &str,
    ) -> Result<Option<Target>> {
        if episodes.iter().any(|e| self.is_live(e)) {
            return Ok(None);
        }
        let found = self.desk.referring(&[("Encounter", "patient", patient.clone())]).await?;
        let stays = found.iter().filter_map(|t| Stay::of(self.programme, self.desk.peek(t)?));
        let last = stays.filter(Stay::is_discharge).max_by_key(|s| (s.end, s.encounter.clone()));
        let Some(mut stay) = last else { return Ok(None) };
        let decision = self.decision_at(&stay);
        let record_of = self.desk.get(&decision).await?.unwrap_or_default();
        let left = |c: &Json| element::own_code(&c["valueCodeableConcept"], "not-eligible-reason") == Some(reason);
        if !record_of["component"].items().iter().any(left) {
            return Ok(None);
        }
        if let Some(sender) = self.sending_hospital() {
            stay.hospital = Some(sender);
        }
        self.discharged(&stay, patient, record, false, episodes).await
    }

    /// A patient has said in an attempt that they do not want it: that is put on record as their Consent, and ends the
    /// follow-up.
    pub(super) async fn objected(&mut self, attempt: &Target, sent: &str, task: &Json, patient: &Target) -> Result<()> {
        let hospital = element::leads_to_a("Organization", &task["requester"], self.base());
        let at = self.refusal_at(attempt);
        let refusal = build::refusal(&at.id, patient, attempt, sent, hospital.as_ref());
        let episodes = self.episodes(patient).await?;
        let episode = super::handoff::episode_of(task).map(String::from);
        let of = |r: &Self, id: &String| r.desk.org(&Target::new(known("EpisodeOfCare"), id.as_str()));
        let org = episode.as_ref().and_then(|id| of(self, id)).or(self.desk.org(attempt)).unwrap_or_default();
        self.write(&at, refusal, org).await?;
        if let Some(id) = episode {
            let addresses = self.addresses(&Target::new(known("EpisodeOfCare"), id.as_str()));
            let json = self.desk.get(&addresses.episode).await?.unwrap_or_default();
            let tasks = self.tasks_of(&addresses.plan).await?;
            self.share_care(&json, &id, &tasks, std::slice::from_ref(&at)).await?;
        }
        self.withdraw(patient, &episodes).await
    }

    /// The attempt in which a refusal was told was a mistake: so was the refusal.
    pub(super) async fn objection_taken_back(&mut self, attempt: &Target, patient: &Target) -> Result<()> {
        let at = self.refusal_at(attempt);
        if self.desk.get(&at).await?.is_none() {
            return Ok(());
        }
        self.desk.edit(&at, |c| c.set("status", "entered-in-error"));
        let episodes = self.episodes(patient).await?;
        let Some(record) = self.desk.get(patient).await? else { return Ok(()) };
        if !self.refuses(patient, false).await? {
            self.reconsider(patient, &record, &episodes, "consent-refused").await?;
        }
        Ok(())
    }

    fn refusal_at(&self, attempt: &Target) -> Target {
        Target::new(known("Consent"), self.programme.id(&["refusal", &attempt.id]))
    }
}
