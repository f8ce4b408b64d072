//! Work that has begun and is to stop: its Task waits on hold, and an abort Task asks its owner to end it.
//!
//! Nobody but its owner ends work in progress. The programme asks for it when the work has lost its ground, the hospital by
//! posting a Task of its own with R4's code `abort` and the Task in focus; the same rules then hold for both.
//! Source: <https://hl7.org/fhir/R4/codesystem-task-code.html>; own rules in `profiles/policy/README.md`.

use super::handoff::episode_of;
use super::withhold::is_withheld;
use super::{Round, organization};
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target, meta};
use crate::store::Share;
use crate::workflow::build::{self, care, offer};
use crate::workflow::element::{self, leads_to_a};
use crate::workflow::records::Records;
use crate::workflow::{Change, task};

/// How often the programme may ask for the end of one Task.
const MOST_ABORTS: usize = 8;

/// Days that an abort Task of no episode stays visible to its owner.
const SHOWN_SECONDS: i64 = 45 * 86_400;

impl<R: Records> Round<'_, R> {
    /// Puts work that has begun on hold, and asks its owner to end it.
    pub(super) async fn hold(&mut self, at: &Target, reason: &str) -> Result<()> {
        let Some(task) = self.desk.get(at).await?.filter(task::is_started) else { return Ok(()) };
        let (programme, now) = (self.programme, self.now());
        let is_held = task["status"].text() == "on-hold"
            && element::own_code(&task["statusReason"], "task-status-reason") == Some(reason);
        if !is_held {
            self.desk.edit(at, |t| build::hold_task(programme, t, reason, now));
        }
        let aborts = self.aborts_of(at).await?;
        let is_open = |a: &Target| self.desk.peek(a).is_some_and(|t| !task::is_final(t));
        let Some(action) = programme.abort_work.actions.first().filter(|_| !aborts.iter().any(is_open)) else {
            return Ok(());
        };
        for nth in 0..MOST_ABORTS {
            let target = self.abort_at(at, nth);
            if self.desk.get(&target).await?.is_some() {
                continue;
            }
            let intent = programme.abort_work.intent(action, now);
            let reason = programme.coded("task-status-reason", reason);
            let abort = build::abort(programme, (at, &task), (action, &intent), nth, &reason, now);
            let org = self.desk.org(at).unwrap_or_default();
            self.write(&target, abort, org).await?;
            return self.show_to_owner(&target).await;
        }
        Ok(())
    }

    fn abort_at(&self, held: &Target, nth: usize) -> Target {
        Target::new(known("Task"), self.programme.id(&["abort", &held.id, &nth.to_string()]))
    }

    /// All Tasks that asked for the end of this one, ended ones too.
    async fn aborts_of(&mut self, held: &Target) -> Result<Vec<Target>> {
        let mut found = self.desk.referring(&[("Task", "focus", held.clone())]).await?;
        for nth in 0..MOST_ABORTS {
            let target = self.abort_at(held, nth);
            if self.desk.get(&target).await?.is_none() {
                break;
            }
            if !found.contains(&target) {
                found.push(target);
            }
        }
        found.retain(|a| self.desk.peek(a).is_some_and(task::is_abort));
        Ok(found)
    }

    /// The owner of a Task sees it, whoever's record it is in.
    async fn show_to_owner(&mut self, at: &Target) -> Result<()> {
        let Some(task) = self.desk.peek(at).cloned() else { return Ok(()) };
        let Some(owner) = organization(task::owner(&task)) else { return Ok(()) };
        let key = self.desk.records.keys().org(&owner.id);
        if self.desk.org(at) == Some(key) {
            return Ok(());
        }
        let (handoff, until) = match episode_of(&task) {
            Some(id) => {
                let episode = self.desk.get(&Target::new(known("EpisodeOfCare"), id)).await?.unwrap_or_default();
                (care(id), self.shared_until(&episode))
            }
            None => (offer(at), self.now().plus_seconds(SHOWN_SECONDS)),
        };
        self.desk.records.share(Share { org: key, target: at.clone(), handoff, until }).await
    }

    /// A hospital asks for the end of work that a pharmacy has begun for it.
    pub(super) async fn abort_asked(&mut self, change: &Change) -> Result<()> {
        let Some(asked) = &change.after else { return Ok(()) };
        let Some(held) = leads_to_a("Task", &asked["focus"], self.base()) else { return Ok(()) };
        let Some(task) = self.desk.get(&held).await?.filter(task::is_handoff) else { return Ok(()) };
        if !task::is_requester(self.ctx, &task, "cancelled") {
            let text = "only the organisation that asked for a Task asks for its end (rule task-requester)";
            self.findings.forbid("Task.focus", text);
        }
        if !task::is_started(&task) {
            let status = task["status"].text();
            let what = if task::is_final(&task) { "it needs no end" } else { "cancel it" };
            self.findings.refuse("Task.focus", format!("{held} is {status}: {what}; abort is for work that has begun"));
        }
        if asked["status"].text() != "requested" || asked["intent"].text() != "order" {
            self.findings.refuse("Task.status", "who asks for the end of a Task sends an order with status requested");
        }
        let reason = &asked["reasonCode"];
        if element::codings(reason).is_empty() && reason["text"].text().trim().is_empty() {
            self.findings.refuse("Task.reasonCode", "who asks for the end of a Task says why, as code or text");
        }
        let others = self.aborts_of(&held).await?;
        if others.iter().any(|a| *a != change.target && self.desk.peek(a).is_some_and(|t| !task::is_final(t))) {
            self.findings.conflict("Task.focus", format!("the end of {held} has been asked for already"));
        }
        if !self.findings.is_empty() {
            return Ok(());
        }
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        let (programme, now) = (self.programme, self.now());
        let due = programme.abort_work.actions.first().map(|a| programme.abort_work.intent(a, now).due_at);
        self.desk.edit(&change.target, |abort| {
            build::adopt_abort(programme, abort, &held, &task, others.len());
            if abort.get("authoredOn").is_none() {
                abort.set("authoredOn", now.to_seconds_text());
            }
            abort.set("lastModified", now.to_seconds_text());
            if let (None, Some(due)) = (abort.get("restriction"), due) {
                let period = serde_json::json!({"period": {"end": due.to_seconds_text()}});
                abort.set("restriction", Json::from(period));
            }
            meta::set_id(abort, &change.target.id);
        });
        self.show_to_owner(&change.target).await
    }

    /// An abort Task moved on: once it is completed, what it asked for is done.
    pub(super) async fn abort_moved(&mut self, change: &Change) -> Result<()> {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
        if after["status"].text() != "completed" || before["status"].text() == "completed" {
            return Ok(());
        }
        let Some(held) = leads_to_a("Task", &after["focus"], self.base()) else { return Ok(()) };
        let Some(was) = self.desk.get(&held).await?.filter(|t| !task::is_final(t)) else { return Ok(()) };
        let (programme, now, why) = (self.programme, self.now(), after["reasonCode"].clone());
        self.desk.edit(&held, |t| {
            build::end_task(programme, t, "cancelled", "work-ended", now);
            if !why.is_null() {
                t.set("statusReason", why);
            }
            let mut period = t.get("executionPeriod").cloned().unwrap_or_else(Json::object);
            period.set("end", now.to_seconds_text());
            t.set("executionPeriod", period);
        });
        self.desk.records.unshare(&offer(&held), None).await?;
        if is_withheld(&was) { self.stopped_work_ended(&was).await } else { Ok(()) }
    }

    /// A Task has ended, or goes on after all: nobody needs to ask for its end any more.
    pub(super) async fn settle_aborts(&mut self, held: &Target, reason: &str) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        for abort in self.aborts_of(held).await? {
            // One that the same transaction writes says itself where it stands.
            let is_open = self.desk.peek(&abort).is_some_and(|t| !task::is_final(t));
            if is_open && !self.changes.iter().any(|c| c.target == abort) {
                self.desk.edit(&abort, |t| build::end_task(programme, t, "cancelled", reason, now));
            }
        }
        Ok(())
    }
}
