//! Reviews of problems as Tasks: opened, and kept with whoever cares for the patient.
//!
//! Not for: when a problem needs one (`dtp.rs`, `screen.rs`).

use super::Round;
use super::handoff::episode_of;
use crate::error::Result;
use crate::fhir::{Json, Target};
use crate::workflow::build;
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, task};
use serde_json::json;

impl<R: Records> Round<'_, R> {
    /// Opens a review at `next`. `owner`: whose it is; without one the candidates may claim it.
    pub(super) async fn review_opened(
        &mut self,
        next: &Target,
        dtp: &Target,
        issue: &Json,
        episode: Option<&Target>,
        owner: Option<&Target>,
        candidates: &[Target],
    ) -> Result<()> {
        let Some(patient) = patient_of(issue, self.base()) else { return Ok(()) };
        let (action, because) = self.review_action(issue);
        let intent = self.programme.review.intent(&action, self.now());
        let mut task = build::review(self.programme, dtp, &patient, (&action, &because), &intent, owner, self.now());
        if !candidates.is_empty() {
            build::offer_to(self.programme, &mut task, None, candidates);
        }
        if let Some(at) = episode {
            let group = json!({"system": element::sid("episode"), "value": at.id});
            task.set("groupIdentifier", Json::from(group));
        }
        crate::fhir::meta::set_id(&mut task, &next.id);
        self.desk.load(std::slice::from_ref(dtp)).await?;
        let org = self.desk.org(dtp).unwrap_or_default();
        self.desk.set(next, task, org).await?;
        if let (Some(at), false) = (episode, candidates.is_empty()) {
            let json = self.desk.get(at).await?.unwrap_or_default();
            let until = self.shared_until(&json);
            self.share_offer(next, until).await?;
        }
        Ok(())
    }

    /// A Task of an episode changed hands: reviews that wait go with the patient.
    pub(super) async fn reviews_follow(&mut self, change: &Change) -> Result<()> {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        let Some(episode_id) = episode_of(after).map(String::from) else { return Ok(()) };
        let Some(patient) = patient_of(after, self.base()) else { return Ok(()) };
        let (was, is) = (before["status"].text(), after["status"].text());
        let (old, new) = (task::owner(before), task::owner(after));
        let taken = |s: &str| matches!(s, "received" | "accepted" | "in-progress");
        let claimed = taken(is) && !new.is_empty() && (old != new || !taken(was));
        let given_back = !old.is_empty() && (new.is_empty() || (is == "rejected" && was != is));
        // A Task that nobody else can take stays where it was.
        let stays =
            self.desk.peek(&change.target).is_some_and(|t| !old.is_empty() && task::owner(t) == old && new.is_empty());
        if stays || (!claimed && !given_back) {
            return Ok(());
        }
        let at = self.addresses(&Target::new(crate::fhir::resource::known("EpisodeOfCare"), episode_id.as_str()));
        let tasks = self.tasks_of(&at.plan).await?;
        let still = self.holders(&tasks).iter().any(|o| old == format!("Organization/{o}"));
        if given_back && still {
            return Ok(());
        }
        let base = self.base().to_string();
        let waits = |t: &Json| {
            t["status"].text() == "requested"
                && episode_of(t) == Some(episode_id.as_str())
                && leads_to_a("DetectedIssue", &t["focus"], &base).is_some()
                && task::owner(t) == if claimed { "" } else { old }
        };
        let found = self.desk.referring(&[("Task", "patient", patient)]).await?;
        let reviews: Vec<Target> = found.into_iter().filter(|t| self.desk.peek(t).is_some_and(waits)).collect();
        if reviews.is_empty() {
            return Ok(());
        }
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        if claimed {
            for review in reviews.iter().filter(|r| **r != change.target) {
                self.desk.edit(review, |t| {
                    t.set("owner", Json::from(json!({"reference": new})));
                    t.set("businessStatus", programme.coded("business-status", "assigned"));
                    t.set("lastModified", now.as_str());
                });
            }
            return Ok(());
        }
        let Some(episode) = self.desk.get(&at.episode).await? else { return Ok(()) };
        let candidates = self.candidates_now(&episode).await?;
        let until = self.shared_until(&episode);
        for review in reviews.iter().filter(|r| **r != change.target) {
            self.reopen(review, &candidates, until).await?;
        }
        Ok(())
    }
}
