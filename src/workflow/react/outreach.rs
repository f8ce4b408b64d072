//! What an attempt to reach the patient needs of its Task, and does to it.

use super::Round;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::discharge::is_dead;
use crate::workflow::element::{self, patient_of};
use crate::workflow::outreach::{Attempts, Tally, is_attempt, is_objection, is_reached, refusal, task_of};
use crate::workflow::protocol::Action;
use crate::workflow::records::Records;
use crate::workflow::{Change, build, task};
use jiff::tz::TimeZone;

impl<R: Records> Round<'_, R> {
    pub(super) async fn outreach(&mut self, change: &Change) -> Result<()> {
        let base = self.base().to_string();
        if let (Some(before), Some(after)) = (&change.before, &change.after)
            && is_attempt(before)
            && is_objection(before)
            && after["status"].text() == "entered-in-error"
            && let Some(patient) = patient_of(before, &base)
        {
            return self.objection_taken_back(&change.target, &patient).await;
        }
        let Some(attempt) = change.after.as_ref().filter(|a| change.before.is_none() && is_attempt(a)) else {
            return Ok(());
        };
        let Some(at) = task_of(attempt, &base) else { return Ok(()) };
        let Some(task) = self.desk.get(&at).await? else { return Ok(()) };
        if !task::is_handoff(&task) {
            return Ok(());
        }
        if task["status"].text() != "in-progress" {
            let text = format!(
                "{at} is {}: an attempt belongs to a Task in progress; start it, or call $attempt",
                task["status"].text()
            );
            self.findings.refuse("Communication.basedOn", text);
        }
        if !task::is_owner(self.ctx, &task) {
            let text = "only the organisation that owns the Task records attempts on it (rule task-owner)";
            self.findings.forbid("Communication.basedOn", text);
        }
        let patient = patient_of(&task, &base);
        if patient_of(attempt, &base) != patient {
            self.findings.refuse("Communication.subject", "the attempt is about another patient than the Task");
        }
        for carer in attempt["recipient"].items().iter().filter_map(|r| element::leads_to_a("RelatedPerson", r, &base))
        {
            let of = self.desk.get(&carer).await?.and_then(|c| patient_of(&c, &base));
            if of != patient {
                self.findings.refuse("Communication.recipient", format!("{carer} is no carer of the Task's patient"));
            }
        }
        if let Some(patient) = &patient
            && let Some(record) = self.desk.get(patient).await?
        {
            if is_dead(&record, self.now()) {
                self.findings.refuse("Communication.subject", "the patient has died: nobody is called");
            }
            if self.refuses(patient, false).await? {
                let text = "the patient does not want to be followed up (a Consent in force says so): nobody is called";
                self.findings.refuse("Communication.subject", text);
            }
        }
        self.not_before_discharge(attempt, &task).await?;
        let counted = self.counted(&change.target, attempt, &at, &task).await?;
        // A Task that the client wrote in the same transaction says itself where it stands.
        if !self.changes.iter().any(|c| c.target == at) {
            let status = if is_reached(attempt) { "reached" } else { "no-answer" };
            let (status, now) = (self.programme.coded("business-status", status), self.now().to_seconds_text());
            self.desk.edit(&at, |t| {
                t.set("businessStatus", status);
                t.set("lastModified", now);
            });
        }
        if self.findings.is_empty()
            && let Some((rule, tally)) = counted
            && tally.is_enough(&rule)
        {
            self.unreachable(&at, &task, &tally.missing(&rule)).await?;
        }
        if let Some(id) = super::handoff::episode_of(&task) {
            self.show_to_hospital(id, &change.target).await?;
        }
        if let Some(patient) = patient.filter(|_| is_objection(attempt) && self.findings.is_empty()) {
            self.objected(&change.target, attempt["sent"].text(), &task, &patient).await?;
        }
        Ok(())
    }

    /// The rule that a Task is called by, and what the attempts on it amount to with this one. One that the rule does not take
    /// is refused.
    async fn counted(
        &mut self,
        new: &Target,
        attempt: &Json,
        at: &Target,
        task: &Json,
    ) -> Result<Option<(Attempts, Tally)>> {
        let Some(rule) = self.attempts_of(task).await? else { return Ok(None) };
        let zone = self.zone_of(task).await?;
        let asks = [("Communication", "based-on", at.clone()), ("Communication", "part-of", at.clone())];
        let mut found = self.desk.referring(&asks).await?;
        found.retain(|t| t != new);
        let mut all: Vec<&Json> = found.iter().filter_map(|t| self.desk.peek(t)).filter(|c| is_attempt(c)).collect();
        // Those of the same transaction are not in the index yet.
        let here = self.changes.iter().filter(|c| c.target != *new && !found.contains(&c.target));
        let here = here.filter_map(|c| c.after.as_ref());
        all.extend(here.filter(|c| is_attempt(c) && task_of(c, self.base()).as_ref() == Some(at)));
        if let Some(why) = refusal(&rule, attempt, &all, &zone) {
            self.findings.refuse("Communication.sent", why);
            return Ok(None);
        }
        all.push(attempt);
        let tally = Tally::of(&rule, &all, &zone);
        Ok(Some((rule, tally)))
    }

    /// How a Task's patient is called, by the protocol of its episode, or by what was asked for beside it.
    pub(super) async fn attempts_of(&mut self, task: &Json) -> Result<Option<Attempts>> {
        let Some(id) = super::handoff::episode_of(task) else { return Ok(None) };
        let episode = self.desk.get(&Target::new(known("EpisodeOfCare"), id)).await?.unwrap_or_default();
        let action = super::handoff::action_of(task).unwrap_or_default();
        let of_episode = self.programme.plan_of(&episode).action(action);
        // What was asked for beside the protocol goes by its own plan.
        let asks = |a: &&Action| a.canonical == task["instantiatesCanonical"].text();
        let beside =
            || self.programme.plans.values().filter(|p| p.is_asked_for()).find_map(|p| p.action(action).filter(asks));
        Ok(of_episode.or_else(beside).and_then(|a| a.attempts.clone()))
    }

    /// The clock that a Task's patient lives by; where nothing tells it, that of the programme's calendar.
    pub(super) async fn zone_of(&mut self, task: &Json) -> Result<TimeZone> {
        let patient = match patient_of(task, self.base()) {
            Some(at) => self.desk.get(&at).await?,
            None => None,
        };
        let told = patient.as_ref().and_then(|p| self.programme.zones.of(p));
        Ok(told.unwrap_or_else(|| self.programme.calendar.zone.clone()))
    }

    /// Who says that nobody could be reached has tried as often as the protocol asks; the hospital hears of it.
    pub(super) async fn enough_tried(&mut self, at: &Target, task: &Json) -> Result<()> {
        if element::own_code(&task["statusReason"], "task-status-reason") != Some("unreachable") {
            return Ok(());
        }
        let Some(rule) = self.attempts_of(task).await? else { return Ok(()) };
        let zone = self.zone_of(task).await?;
        let asks = [("Communication", "based-on", at.clone()), ("Communication", "part-of", at.clone())];
        let found = self.desk.referring(&asks).await?;
        let all: Vec<&Json> = found.iter().filter_map(|t| self.desk.peek(t)).filter(|c| is_attempt(c)).collect();
        let tally = Tally::of(&rule, &all, &zone);
        if !tally.is_enough(&rule) {
            let text = format!("the patient is not unreachable yet: {}", tally.missing(&rule));
            self.findings.refuse("Task.statusReason", text);
            return Ok(());
        }
        self.written_to(task).await?;
        self.tell_hospital(at, task, &tally.missing(&rule)).await
    }

    /// Enough was tried: the Task has failed, and the hospital that asked for it hears so.
    async fn unreachable(&mut self, at: &Target, task: &Json, tried: &str) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        self.desk.edit(at, |t| {
            build::end_task(programme, t, "failed", "unreachable", now);
            t.set("businessStatus", programme.coded("business-status", "unreachable"));
        });
        self.settle_aborts(at, "work-ended").await?;
        self.written_to(task).await?;
        self.tell_hospital(at, task, tried).await
    }

    /// Who could not be reached is written to: the Task for that goes to who cares for the patient, once in a follow-up.
    async fn written_to(&mut self, task: &Json) -> Result<()> {
        let Some(id) = super::handoff::episode_of(task) else { return Ok(()) };
        let episode = Target::new(known("EpisodeOfCare"), id);
        let Some(json) = self.desk.get(&episode).await?.filter(|e| e["status"].text() == "active") else {
            return Ok(());
        };
        let Some(stay) = self.stay_of(&json).await? else { return Ok(()) };
        let Some(patient) = stay.patient.clone() else { return Ok(()) };
        let Some(record) = self.desk.get(&patient).await? else { return Ok(()) };
        let at = self.addresses(&episode);
        let scene = self.scene(&stay, &patient, &record, false).await?;
        let (programme, now) = (self.programme, self.now());
        let plan = &programme.unreachable;
        for action in &plan.actions {
            self.open_task(plan, &action.id, &stay, &at, (&scene, now)).await?;
        }
        let tasks = self.tasks_of(&at.plan).await?;
        self.share_care(&json, id, &tasks, &tasks.clone()).await
    }

    /// A Communication to the hospital: what became of a Task that it asked for.
    pub(super) async fn tell_hospital(&mut self, at: &Target, task: &Json, tried: &str) -> Result<()> {
        let Some(episode) = super::handoff::episode_of(task).map(String::from) else { return Ok(()) };
        let Some(hospital) = element::leads_to_a("Organization", &task["requester"], self.base()) else {
            return Ok(());
        };
        let told = Target::new(known("Communication"), self.programme.id(&["unreachable", &at.id]));
        let json = build::unreachable(self.programme, at, task, &hospital, tried, self.now());
        let org = self.desk.org(at).unwrap_or_default();
        self.write(&told, json, org).await?;
        self.show_to_hospital(&episode, &told).await
    }

    async fn not_before_discharge(&mut self, attempt: &Json, task: &Json) -> Result<()> {
        let zone = self.programme.env.zone.clone();
        let Some(encounter) = element::leads_to_a("Encounter", &task["encounter"], self.base()) else { return Ok(()) };
        let Some(encounter) = self.desk.get(&encounter).await? else { return Ok(()) };
        let end = element::earliest(encounter["period"]["end"].text(), &zone);
        let sent = element::latest(attempt["sent"].text(), &zone);
        if let (Some(end), Some(sent)) = (end, sent)
            && sent < end
        {
            self.findings.refuse("Communication.sent", "the attempt lies before the discharge");
        }
        Ok(())
    }
}
