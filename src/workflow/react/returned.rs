//! What goes back in a follow-up: what a pharmacy hands out is seen by the hospital that discharged, and a message by whom it is addressed
//! to, as far as they take part.
//!
//! Not for: problems (`dtp.rs`), attempts (`outreach.rs`), or what goes to the pharmacy (`opening.rs`, `handoff.rs`).
//! Source: own rule; security contract section 2 (MedicationDispense, Communication; shares).

use super::Round;
use super::handoff::episode_of;
use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::store::Share;
use crate::workflow::build::care;
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, task};
use std::collections::BTreeSet;

/// Organisations inside each other that are followed.
const DEPTH: usize = 4;

impl<R: Records> Round<'_, R> {
    /// What was handed out: the hospital sees it.
    pub(super) async fn handed_out(&mut self, change: &Change) -> Result<()> {
        let Some(patient) = change.after.as_ref().and_then(|a| patient_of(a, self.base())) else { return Ok(()) };
        let Some(episode) = self.episode_for(&patient).await? else { return Ok(()) };
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        if self.desk.org(&change.target) == self.desk.org(&episode) {
            return Ok(());
        }
        self.show_to_hospital(&episode.id, &change.target).await
    }

    /// A message: whom it is addressed to sees it, of the hospital and the pharmacies that care for the patient.
    pub(super) async fn addressed(&mut self, change: &Change) -> Result<()> {
        let base = self.base().to_string();
        let Some(said) = change.after.as_ref().filter(|s| !s["recipient"].items().is_empty()) else { return Ok(()) };
        let Some(patient) = patient_of(said, &base) else { return Ok(()) };
        let Some(episode) = self.episode_for(&patient).await? else { return Ok(()) };
        let Some(json) = self.desk.get(&episode).await? else { return Ok(()) };
        let tasks = self.tasks_of(&self.addresses(&episode).plan).await?;
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        let (own, hospital) = (self.desk.org(&change.target), self.desk.org(&episode));
        let keys = self.desk.records.keys();
        // Who works on a review alone takes part, too.
        let of = |t: &Json| task::is_handoff(t) && !task::is_abort(t) && episode_of(t) == Some(episode.id.as_str());
        let mut reviews = self.desk.referring(&[("Task", "patient", patient)]).await?;
        reviews.retain(|t| !tasks.contains(t) && self.desk.peek(t).is_some_and(of));
        let work = self.holders(&tasks).into_iter().chain(self.workers(&reviews));
        let mut takes_part: BTreeSet<i64> = work.map(|org| keys.org(&org)).collect();
        takes_part.extend(hospital);
        let until = self.shared_until(&json);
        for at in self.workplaces(said["recipient"].items()).await? {
            let org = keys.org(&at.id);
            if Some(org) != own && takes_part.contains(&org) {
                let share = Share { org, target: change.target.clone(), handoff: care(&episode.id), until };
                self.desk.records.share(share).await?;
            }
        }
        Ok(())
    }

    /// The organisations that these are, or work for, and those that they are parts of.
    async fn workplaces(&mut self, named: &[Json]) -> Result<BTreeSet<Target>> {
        let base = self.base().to_string();
        let (mut out, mut roles): (BTreeSet<Target>, Vec<Target>) = Default::default();
        for at in named.iter().filter_map(|r| element::leads_to(r, &base)) {
            match at.rtype.as_str() {
                "Organization" => drop(out.insert(at)),
                "PractitionerRole" => roles.push(at),
                "Practitioner" => {
                    roles.extend(self.desk.referring(&[("PractitionerRole", "practitioner", at)]).await?);
                }
                _ => {}
            }
        }
        self.desk.load(&roles).await?;
        let held = roles.iter().filter_map(|t| self.desk.peek(t)).filter(|r| r["active"].as_bool() != Some(false));
        out.extend(held.filter_map(|r| leads_to_a("Organization", &r["organization"], &base)));
        let mut next: Vec<Target> = out.iter().cloned().collect();
        for _ in 0..DEPTH {
            self.desk.load(&next).await?;
            let above = next.iter().filter_map(|t| leads_to_a("Organization", &self.desk.peek(t)?["partOf"], &base));
            next = above.collect();
            next.retain(|o| out.insert(o.clone()));
        }
        Ok(out)
    }
}
