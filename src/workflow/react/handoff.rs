//! What follows when a Task of the programme changes hands: shares, the other Tasks of the episode, successors, the close.

use super::withhold::is_withheld;
use super::{Round, organization};
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::build::{self, Addresses, care, offer};
use crate::workflow::element::{self, own_identifier, patient_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, task};

/// How many pharmacies a Task may go to one after another.
const MOST_SUCCESSORS: usize = 8;

impl<R: Records> Round<'_, R> {
    pub(super) async fn handoff(&mut self, change: &Change) -> Result<()> {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        if after["status"].text() == "completed" && before["status"].text() != "completed" {
            self.check_output(after).await?;
        }
        if self.stays_with_its_pharmacy(change).await? {
            return Ok(());
        }
        self.on_record(change).await?;
        if task::is_final(after) && !task::is_final(before) {
            self.settle_aborts(&change.target, "work-ended").await?;
        }
        if task::is_final(after) && is_withheld(before) {
            self.stopped_work_ended(before).await?;
        }
        if task::is_abort(after) {
            return self.abort_moved(change).await;
        }
        let Some(episode_id) = episode_of(after) else { return Ok(()) };
        let at = Addresses::of_episode(self.programme, episode_id);
        let tasks = self.tasks_of(&at.plan).await?;
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        let (was, is) = (before["status"].text(), after["status"].text());
        let (old, new) = (task::owner(before), task::owner(after));
        let taken = |s: &str| matches!(s, "received" | "accepted");
        let takes = taken(is) && (old != new || !taken(was));
        let goes_on = is == "in-progress" && was == "on-hold";
        if (takes || (goes_on && is_withheld(before)))
            && let Some(patient) = patient_of(after, self.base())
            && self.is_kept_out(&patient, new).await?
        {
            if takes {
                // What time has made of a Consent, the worker has not come to yet.
                let text = "the Task is not open to the caller's organisation (rule task-claim)";
                self.findings.forbid("Task.owner", text);
            } else {
                self.findings.refuse("Task.status", "what the patient has put on hold does not go on; let it fail");
            }
            return Ok(());
        }
        if takes {
            self.claimed(&at, &tasks, new).await?;
        }
        if goes_on && tasks.contains(&change.target) {
            self.desk.load(std::slice::from_ref(&at.episode)).await?;
            let status = self.status_of(&at.episode).to_string();
            if status != "active" {
                let text = format!("the episode is {status}: what was put on hold with it does not go on; let it fail");
                self.findings.refuse("Task.status", text);
            }
        }
        if is == "failed" && was != is && tasks.contains(&change.target) {
            self.enough_tried(&change.target, after).await?;
            self.failed(&at, change).await?;
        }
        if !old.is_empty() && (new.is_empty() || (is == "rejected" && was != is)) {
            self.given_back(&at, &tasks, change, old).await?;
        }
        if is == "in-progress" && was != is {
            self.desk.records.unshare(&offer(&change.target), None).await?;
        }
        if action_of(after) == Some("close-episode") && was != is {
            match is {
                "completed" => self.closed(&at, &tasks, &change.target).await?,
                _ if task::is_final(after) => self.not_to_be_closed(&at, &change.target).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The Task that closes an episode has ended without closing it: where no other is open, it says so, and at its due time the
    /// follow-up ends by itself (`escalate.rs`).
    async fn not_to_be_closed(&mut self, at: &Addresses, closing: &Target) -> Result<()> {
        let closes = |t: &Json| action_of(t) == Some("close-episode") && !task::is_final(t);
        let tasks = self.tasks_of(&at.plan).await?;
        self.desk.load(std::slice::from_ref(&at.episode)).await?;
        let mut others = tasks.iter().filter(|t| *t != closing).filter_map(|t| self.desk.peek(t));
        if self.is_live(&at.episode) && !others.any(closes) {
            let nobody = self.programme.coded("business-status", "nobody-left");
            self.desk.edit(closing, |t| t.set("businessStatus", nobody));
        }
        Ok(())
    }

    /// A pharmacy has taken a Task: it sees the patient, and the episode's other open Tasks wait for it alone.
    async fn claimed(&mut self, at: &Addresses, tasks: &[Target], owner: &str) -> Result<()> {
        let Some(org) = organization(owner) else { return Ok(()) };
        let episode = self.desk.get(&at.episode).await?.unwrap_or_default();
        let until = self.shared_until(&episode);
        let key = self.desk.records.keys().org(&org.id);
        self.show_all(&at.episode, key, until).await?;
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        for at in tasks {
            let open = |t: &Json| t["status"].text() == "requested" && task::owner(t).is_empty();
            // What was sent to it with this one is accepted for the patient: it waits for its time.
            let sent = |t: &Json| {
                t["status"].text() == "requested"
                    && task::owner(t) == owner
                    && element::extension(t, task::LEASE).is_some()
            };
            if self.desk.peek(at).is_some_and(sent) {
                self.desk.edit(at, |t| {
                    task::end_lease(t);
                    t.set("businessStatus", programme.coded("business-status", "assigned"));
                    t.set("lastModified", now.as_str());
                });
            }
            if self.desk.peek(at).is_some_and(open) {
                self.desk.edit(at, |t| {
                    t.set("owner", element::reference(&org));
                    t.set("businessStatus", programme.coded("business-status", "assigned"));
                    t.set("lastModified", now.as_str());
                });
            }
        }
        Ok(())
    }

    /// A pharmacy has given a Task back or declined it: it, or its successor, is open to the candidates again.
    async fn given_back(&mut self, at: &Addresses, tasks: &[Target], change: &Change, owner: &str) -> Result<()> {
        let Some(episode) = self.desk.get(&at.episode).await? else { return Ok(()) };
        let declined = change.after.as_ref().is_some_and(|t| t["status"].text() == "rejected");
        let lapsed = change.after.as_ref().is_some_and(task::has_lapsed);
        let mut candidates = self.candidates_now(&episode).await?;
        if candidates.is_empty() && lapsed {
            // Nobody else is known: it is open to the one that had it, and the hospital hears of it.
            candidates.extend(organization(owner));
            self.nobody_known(&at.episode, &change.target, "not-answered").await?;
        }
        let until = self.shared_until(&episode);
        if declined {
            self.succeed(at, &change.target, candidates.clone(), &episode).await?;
        } else {
            self.reopen(&change.target, &candidates, until).await?;
            if lapsed {
                self.desk.edit(&change.target, task::count_return);
                self.comes_back_too_often(at, &change.target).await?;
            }
        }
        // What was only kept for the pharmacy goes back with it.
        for other in tasks {
            let kept = |t: &Json| t["status"].text() == "requested" && task::owner(t) == owner;
            if *other != change.target && self.desk.peek(other).is_some_and(kept) {
                self.reopen(other, &candidates, until).await?;
            }
        }
        let still = self.workers(tasks).iter().any(|o| owner == format!("Organization/{o}"));
        if let (false, Some(org)) = (still, organization(owner)) {
            let key = self.desk.records.keys().org(&org.id);
            self.desk.records.unshare(&care(&at.episode.id), Some(key)).await?;
        }
        Ok(())
    }

    /// A pharmacy has not answered in time, and nobody else is known who could take the Task: it stays with it, says so, and the
    /// hospital hears of it. Nothing is left without an owner.
    async fn stays_with_its_pharmacy(&mut self, change: &Change) -> Result<bool> {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(false) };
        let owner = task::owner(before).to_string();
        let was_offer = before["status"].text() == "requested" && !owner.is_empty();
        if !was_offer || !task::has_lapsed(after) || !task::owner(after).is_empty() {
            return Ok(false);
        }
        let Some(episode_id) = episode_of(after).map(String::from) else { return Ok(false) };
        let at = Addresses::of_episode(self.programme, &episode_id);
        let Some(episode) = self.desk.get(&at.episode).await? else { return Ok(false) };
        let candidates = self.candidates_now(&episode).await?;
        if candidates.iter().any(|c| c.to_string() != owner) {
            return Ok(false);
        }
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        let mut all = self.tasks_of(&at.plan).await?;
        if !all.contains(&change.target) {
            all.push(change.target.clone());
        }
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        let reason = after["statusReason"].clone();
        for task in all {
            let is_sent = |t: &Json| t["status"].text() == "requested" && task::owner(t) == owner;
            if task != change.target && !self.desk.peek(&task).is_some_and(is_sent) {
                continue;
            }
            self.desk.edit(&task, |t| {
                task::end_lease(t);
                t.set("owner", Json::from(serde_json::json!({"reference": owner})));
                t.set("statusReason", reason.clone());
                t.set("businessStatus", programme.coded("business-status", "not-answered"));
                t.set("lastModified", now.as_str());
            });
        }
        self.nobody_known(&at.episode, &change.target, "not-answered").await?;
        Ok(true)
    }

    /// A Task that comes back again and again: it stays open, and the hospital hears of it, once.
    async fn comes_back_too_often(&mut self, at: &Addresses, task: &Target) -> Result<()> {
        let is_enough = self.desk.peek(task).is_some_and(|t| task::returns(t) == self.programme.choice.most_returns());
        if is_enough { self.nobody_known(&at.episode, task, "returned").await } else { Ok(()) }
    }

    pub(super) async fn reopen(
        &mut self,
        at: &Target,
        candidates: &[Target],
        until: crate::clock::Instant,
    ) -> Result<()> {
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        let status = if candidates.is_empty() { "nobody-left" } else { "returned" };
        self.desk.edit(at, |t| {
            build::offer_to(programme, t, None, candidates);
            t.set("businessStatus", programme.coded("business-status", status));
            t.set("lastModified", now);
        });
        if candidates.is_empty()
            && let Some(id) = self.desk.peek(at).and_then(episode_of).map(String::from)
        {
            let episode = Target::new(known("EpisodeOfCare"), id);
            self.nobody_known(&episode, &episode, "nobody").await?;
        }
        self.desk.records.unshare(&offer(at), None).await?;
        self.share_offer(at, until).await
    }

    /// Pharmacies that may claim the Tasks of an episode as the data are now, without those that a Consent keeps out.
    pub(super) async fn candidates_now(&mut self, episode: &Json) -> Result<Vec<Target>> {
        let Some(stay) = self.stay_of(episode).await? else { return Ok(Vec::new()) };
        let mut candidates = self.candidates_of(&stay).await?;
        if let Some(patient) = patient_of(episode, self.base()) {
            let consents = self.consents(&patient, false).await?;
            self.keep_out(&consents, &mut candidates).await?;
        }
        Ok(candidates)
    }

    /// An owner has let a Task fail: unless the reason ends the matter, the others may try.
    async fn failed(&mut self, at: &Addresses, change: &Change) -> Result<()> {
        let Some(episode) = self.desk.get(&at.episode).await? else { return Ok(()) };
        let reason = change.after.as_ref().and_then(|t| element::own_code(&t["statusReason"], "task-status-reason"));
        let concept = reason.and_then(|code| self.programme.concept("task-status-reason", code));
        let ends = concept.is_some_and(|c| c.properties.get("ends").is_some_and(|v| v == "true"));
        if ends || episode["status"].text() != "active" {
            return Ok(());
        }
        let candidates = self.candidates_now(&episode).await?;
        self.succeed(at, &change.target, candidates, &episode).await
    }

    /// Opens the Task that takes a declined or failed one's place: same due time, offered to those who have not had it. Where
    /// nobody is left, the old one says so.
    async fn succeed(
        &mut self,
        at: &Addresses,
        old: &Target,
        mut candidates: Vec<Target>,
        episode: &Json,
    ) -> Result<()> {
        let Some(task) = self.desk.peek(old).cloned() else { return Ok(()) };
        let Some((action, nth)) = own_identifier(&task, "task").and_then(parts) else { return Ok(()) };
        let (action, nth) = (action.to_string(), nth + 1);
        for earlier in 0..nth {
            if let Some(had) = self.desk.get(&at.task(self.programme, &action, earlier)).await? {
                let refused = matches!(had["status"].text(), "rejected" | "failed");
                candidates.retain(|c| !refused || c.to_string() != task::owner(&had));
            }
        }
        if nth >= MOST_SUCCESSORS || candidates.is_empty() {
            let nobody = self.programme.coded("business-status", "nobody-left");
            self.desk.edit(old, |t| t.set("businessStatus", nobody));
            return self.nobody_known(&at.episode, old, "nobody-left").await;
        }
        let target = at.task(self.programme, &action, nth);
        if self.desk.get(&target).await?.is_some() {
            return Ok(());
        }
        let org = self.desk.org(old).unwrap_or_default();
        let mut next = task;
        let priority = next["priority"].text().to_string();
        for name in ["statusReason", "executionPeriod", "output", "note", "meta", "id", "extension", "text"] {
            next.remove(name);
        }
        next.set("status", "requested");
        let value = format!("{}/{action}/{nth}", at.episode.id);
        let identifier = serde_json::json!([{"system": element::sid("task"), "value": value}]);
        next.set("identifier", Json::from(identifier));
        let replaces = serde_json::json!([{"url": task::REPLACES, "valueReference": {"reference": old.to_string()}}]);
        next.set("extension", Json::from(replaces));
        let now = self.now().to_seconds_text();
        next.set("authoredOn", now.as_str());
        next.set("lastModified", now);
        if !priority.is_empty() {
            build::explain(
                &mut next,
                &format!("Priority {priority} and due time as those of {old}, whose place it takes."),
            );
        }
        build::offer_to(self.programme, &mut next, None, &candidates);
        crate::fhir::meta::set_id(&mut next, &target.id);
        self.desk.set(&target, next, org).await?;
        self.add_activity(&at.plan, &target);
        let until = self.shared_until(episode);
        self.share_offer(&target, until).await?;
        let tasks = self.tasks_of(&at.plan).await?;
        self.share_care(episode, &at.episode.id, &tasks, std::slice::from_ref(&target)).await
    }

    /// The last Task is done: the episode ends. What has begun must have ended before.
    async fn closed(&mut self, at: &Addresses, tasks: &[Target], closing: &Target) -> Result<()> {
        for other in tasks.iter().filter(|t| *t != closing) {
            if self.desk.peek(other).is_some_and(task::is_started) {
                let text = format!("{other} of the episode is still in progress: complete it or let it fail first");
                self.findings.refuse("Task.status", text);
            }
        }
        self.end_tasks(&at.plan, "episode-closed", "failed", Some(closing)).await?;
        let now = self.now();
        self.desk.load(std::slice::from_ref(&at.episode)).await?;
        self.desk.edit(&at.episode, |e| build::move_episode(e, "finished", now));
        self.desk.edit(&at.plan, |p| p.set("status", "completed"));
        Ok(())
    }

    /// What a Provenance tells of: a Task given back, and a note on one that has ended.
    async fn on_record(&mut self, change: &Change) -> Result<()> {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        let given_back =
            !task::owner(before).is_empty() && task::owner(after).is_empty() && after["status"].text() == "requested";
        let annotated = task::is_final(before) && before["note"] != after["note"];
        let (activity, reason) = match (given_back, annotated) {
            (true, _) => ("release", after["statusReason"].clone()),
            (_, true) => ("annotate", Json::Null),
            _ => return Ok(()),
        };
        let version = before["meta"]["versionId"].text();
        let id = self.programme.id(&["provenance", &change.target.id, version]);
        let at = Target::new(known("Provenance"), id);
        let json = build::provenance(self.ctx, self.programme, &change.target, before, activity, &reason);
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        let org = self.desk.org(&change.target).unwrap_or_default();
        self.write(&at, json, org).await
    }

    /// Answers that a Task puts out are whole, and to the form that it asked for.
    fn check_answers(&mut self, task: &Json, resource: &Json, at: &str) {
        if element::type_of(resource) != "QuestionnaireResponse" {
            return;
        }
        let asked: Vec<&str> =
            task["input"].items().iter().map(|i| i["valueCanonical"].text()).filter(|c| !c.is_empty()).collect();
        let given = resource["questionnaire"].text();
        if !asked.is_empty() && !asked.contains(&given) {
            let text = format!("the Task asks for {}, and these are answers to {given}", asked.join(", "));
            self.findings.refuse(at, text);
        }
        if !crate::workflow::answers::is_whole(resource) {
            self.findings.refuse(at, format!("the answers are {}: complete them first", resource["status"].text()));
        }
    }

    /// What a Task puts out belongs to its patient.
    async fn check_output(&mut self, task: &Json) -> Result<()> {
        let base = self.base().to_string();
        let patient = element::leads_to_a("Patient", &task["for"], &base);
        for (n, output) in task["output"].items().iter().enumerate() {
            let Some(target) = element::leads_to(&output["valueReference"], &base) else { continue };
            let at = format!("Task.output[{n}].valueReference");
            match self.desk.get(&target).await? {
                None => self.findings.refuse(at, format!("{target} is not known here")),
                Some(resource) => {
                    self.check_answers(task, &resource, &at);
                    let of = patient_of(&resource, &base);
                    if of.is_some() && of != patient {
                        self.findings.refuse(at, "the output belongs to another patient than the Task");
                    }
                }
            }
        }
        Ok(())
    }
}

/// The episode that a Task of the programme belongs to.
pub(super) fn episode_of(task: &Json) -> Option<&str> {
    let group = &task["groupIdentifier"];
    (group["system"].text() == element::sid("episode")).then(|| group["value"].text())
}

/// Action and number of a Task's identifier, `episode/action/number`.
fn parts(identifier: &str) -> Option<(&str, usize)> {
    let mut parts = identifier.rsplit('/');
    let nth = parts.next()?.parse().ok()?;
    Some((parts.next()?, nth))
}

/// The protocol's action that a Task carries out.
pub(super) fn action_of(task: &Json) -> Option<&str> {
    own_identifier(task, "task").and_then(parts).map(|(action, _)| action)
}
