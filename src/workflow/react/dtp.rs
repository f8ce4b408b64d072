//! Drug therapy problems and their reviews: every open problem has exactly one open review, and none is ended without it.

use super::Round;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::Share;
use crate::workflow::build::{self, care};
use crate::workflow::dtp::{asks_prescriber, is_decided, is_open};
use crate::workflow::element::{self, leads_to_a, patient_of};
use crate::workflow::medicine::Line;
use crate::workflow::policy::{PRIORITIES, SEVERITIES};
use crate::workflow::protocol::Action;
use crate::workflow::records::Records;
use crate::workflow::{Change, task};

/// How often a problem's review may be opened anew.
const MOST_REVIEWS: usize = 16;

impl<R: Records> Round<'_, R> {
    /// What follows from a changed problem.
    pub(super) async fn dtp(&mut self, change: &Change) -> Result<()> {
        let Some(after) = &change.after else { return Ok(()) };
        let before = change.before.as_ref();
        let named = self.one_patient(after).await?;
        let newly = before.is_none_or(|b| b["status"] != after["status"]);
        if newly && is_decided(after) && self.ctx.principal.role != crate::access::Role::SuperUser {
            self.prescriber_asked(&change.target, after, &named).await?;
        }
        if is_open(after) {
            self.ensure_review(&change.target, after).await?;
            if before.is_some_and(is_open) {
                self.hurry(&change.target, after).await?;
            }
        } else if before.is_some_and(is_open) {
            if after["status"].text() == "entered-in-error" {
                self.nothing_was_done(&change.target, after).await?;
            }
            self.end_review(&change.target, after).await?;
        }
        Ok(())
    }

    /// What shows that a prescriber was asked is a Communication with one.
    async fn prescriber_asked(&mut self, dtp: &Target, issue: &Json, named: &[Target]) -> Result<()> {
        let Some(n) = issue["mitigation"].items().iter().position(asks_prescriber) else { return Ok(()) };
        let at = format!("DetectedIssue.mitigation[{n}]");
        if !self.shows_contact(named) {
            let text = "a mitigation that a prescriber was asked needs, in evidence.detail, a Communication that names the prescriber as \
                        sender or recipient";
            self.findings.refuse(at, text);
            return Ok(());
        }
        let mut about = Vec::new();
        for said in named.iter().filter(|t| t.rtype.as_str() == "Communication") {
            if self.shows_contact(std::slice::from_ref(said)) && self.is_about_problem(said, dtp).await? {
                about.push(said);
            }
        }
        if about.is_empty() {
            let text = format!(
                "one contact decides only the problems that it names: {dtp} stands in its about, or in that of the request it answers"
            );
            self.findings.refuse(at, text);
        }
        Ok(())
    }

    /// Whether a Communication, or the request or message that it answers, names a problem.
    async fn is_about_problem(&mut self, said: &Target, dtp: &Target) -> Result<bool> {
        let base = self.base().to_string();
        let json = self.desk.get(said).await?.unwrap_or_default();
        let names = |r: &Json| {
            let parts = ["about", "reasonReference", "basedOn"].iter().flat_map(|n| r[*n].items());
            parts.into_iter().any(|r| element::leads_to(r, &base).as_ref() == Some(dtp))
        };
        if names(&json) {
            return Ok(true);
        }
        let earlier = ["basedOn", "inResponseTo"].iter().flat_map(|n| json[*n].items());
        let earlier: Vec<Target> = earlier.filter_map(|r| element::leads_to(r, &base)).collect();
        self.desk.load(&earlier).await?;
        Ok(earlier.iter().filter_map(|t| self.desk.peek(t)).any(names))
    }

    /// Only a report that nobody acted on is a mere error; otherwise it is cancelled, and what was done stays told.
    async fn nothing_was_done(&mut self, dtp: &Target, issue: &Json) -> Result<()> {
        let mut reviews = Vec::new();
        for nth in 0..MOST_REVIEWS {
            let at = self.review_at(dtp, nth);
            if self.desk.get(&at).await?.is_none() {
                break;
            }
            reviews.push(at);
        }
        if let Some(act) = self.acts_about(dtp, issue, &reviews).await?.first() {
            let text =
                format!("{act} shows that something was done about the problem: a pharmacist cancels it instead");
            self.findings.refuse("DetectedIssue.status", text);
        }
        Ok(())
    }

    /// All that a problem names is about its patient. Answers what it names.
    async fn one_patient(&mut self, issue: &Json) -> Result<Vec<Target>> {
        let base = self.base().to_string();
        let Some(patient) = patient_of(issue, &base) else { return Ok(Vec::new()) };
        let mut named: Vec<(String, Target)> = Vec::new();
        for (n, item) in issue["implicated"].items().iter().enumerate() {
            named.extend(element::leads_to(item, &base).map(|t| (format!("DetectedIssue.implicated[{n}]"), t)));
        }
        for (n, evidence) in issue["evidence"].items().iter().enumerate() {
            for (m, detail) in evidence["detail"].items().iter().enumerate() {
                let at = format!("DetectedIssue.evidence[{n}].detail[{m}]");
                named.extend(element::leads_to(detail, &base).map(|t| (at, t)));
            }
        }
        let targets: Vec<Target> = named.iter().map(|(_, t)| t.clone()).collect();
        self.desk.load(&targets).await?;
        for (at, target) in named {
            let of = self.desk.peek(&target).and_then(|r| patient_of(r, &base));
            if of.is_some_and(|of| of != patient) {
                self.findings.refuse(at, "it belongs to another patient than the problem");
            }
        }
        Ok(targets)
    }

    pub(super) fn review_at(&self, dtp: &Target, nth: usize) -> Target {
        Target::new(known("Task"), self.programme.id(&["review", &dtp.id, &nth.to_string()]))
    }

    /// The open review of a problem, or the address of the next one.
    pub(super) async fn open_review(&mut self, dtp: &Target) -> Result<Result<Target, Option<Target>>> {
        for nth in 0..MOST_REVIEWS {
            let at = self.review_at(dtp, nth);
            match self.desk.get(&at).await? {
                None => return Ok(Err(Some(at))),
                Some(task) if !task::is_final(&task) => return Ok(Ok(at)),
                Some(_) => {}
            }
        }
        Ok(Err(None))
    }

    /// Opens the review of an open problem, unless one is open.
    async fn ensure_review(&mut self, dtp: &Target, issue: &Json) -> Result<()> {
        let next = match self.open_review(dtp).await? {
            Ok(_) => return Ok(()),
            Err(Some(next)) => next,
            Err(None) => {
                let text = "the reviews of this problem were declined too often; decide it or report it anew";
                self.findings.refuse("DetectedIssue", text);
                return Ok(());
            }
        };
        let Some(patient) = patient_of(issue, self.base()) else { return Ok(()) };
        let episode = self.episode_for(&patient).await?;
        let mut owner = self.ctx.principal.organization().and_then(|o| super::organization(&o));
        let mut holder = None;
        if let Some(at) = &episode {
            let tasks = self.tasks_of(&self.addresses(at).plan).await?;
            holder = self.holders(&tasks).into_iter().next().map(|id| Target::new(known("Organization"), id));
        }
        let reports = matches!(
            self.ctx.principal.role,
            crate::access::Role::Technician | crate::access::Role::Pharmacist | crate::access::Role::PharmacySystem
        );
        if !reports {
            owner.clone_from(&holder);
        }
        // Nobody cares for the patient yet: whom the episode was sent to reviews, else those that it is offered to.
        let mut candidates = Vec::new();
        if let (None, Some(at)) = (&owner, &episode) {
            let tasks = self.tasks_of(&self.addresses(at).plan).await?;
            let sent = tasks
                .iter()
                .filter_map(|t| self.desk.peek(t))
                .find(|t| t["status"].text() == "requested" && !task::owner(t).is_empty());
            owner = sent.and_then(|t| super::organization(task::owner(t)));
            if owner.is_none() {
                let json = self.desk.get(at).await?.unwrap_or_default();
                candidates = self.candidates_now(&json).await?;
            }
        }
        self.review_opened(&next, dtp, issue, episode.as_ref(), owner.as_ref(), &candidates).await?;
        // Who reviews sees the problem and the Task, whoever reported it.
        let org = self.desk.org(dtp).unwrap_or_default();
        if let (Some(owner), Some(at)) = (owner, &episode) {
            let key = self.desk.records.keys().org(&owner.id);
            let json = self.desk.get(at).await?.unwrap_or_default();
            let until = self.shared_until(&json);
            if key != org {
                for target in [next, dtp.clone()] {
                    self.desk.records.share(Share { org: key, target, handoff: care(&at.id), until }).await?;
                }
            }
        }
        Ok(())
    }

    /// The episode that a patient's problems belong to: the live one, else the last.
    pub(super) async fn episode_for(&mut self, patient: &Target) -> Result<Option<Target>> {
        let episodes = self.episodes(patient).await?;
        let live = episodes.iter().rev().find(|e| self.is_live(e));
        Ok(live.or(episodes.last()).cloned())
    }

    /// Whether a problem that somebody reported is about a high-risk medicine. Rules have counted that in already.
    fn is_risky(&self, issue: &Json) -> bool {
        let classes = &self.programme.screening.classes;
        let named =
            issue["implicated"].items().iter().filter_map(|r| self.desk.peek(&element::leads_to(r, self.base())?));
        element::extension(issue, "rule-fired").is_none()
            && named
                .map(|r| Line::of(&self.programme.medicines, r, None))
                .any(|line| line.medicine.substances().into_iter().any(|s| classes.of("high-risk", s).next().is_some()))
    }

    /// The action of the problem's urgency, where it says one, else of its severity; one step more where a high-risk medicine
    /// is meant. And why.
    pub(super) fn review_action(&self, issue: &Json) -> (Action, String) {
        let plan = &self.programme.review;
        let urgency = element::extension(issue, "urgency").map_or("", |e| e["valueCode"].text());
        let said = issue["severity"].as_str();
        let severity = said.unwrap_or("moderate");
        let rank = SEVERITIES.iter().position(|s| *s == severity);
        let next = rank.filter(|_| self.is_risky(issue)).and_then(|n| SEVERITIES.get(n + 1));
        let because = match (plan.action(urgency), next, said) {
            (Some(_), ..) => format!("the problem says how urgent it is ({urgency})"),
            (_, Some(_), _) => format!("its severity is {severity}, and one step more for a high-risk medicine"),
            (.., Some(_)) => format!("its severity is {severity}"),
            (.., None) => "it says no severity, and counts as moderate".into(),
        };
        let by = plan.action(urgency).or_else(|| plan.action(next.copied().unwrap_or(severity)));
        let by = by.or_else(|| plan.action("moderate"));
        // `Programme::load` refuses a plan without `moderate`.
        let action = by.or(plan.actions.first()).cloned().unwrap_or_else(|| Action {
            id: "moderate".into(),
            title: String::new(),
            description: String::new(),
            code: self.programme.coded("task-code", "review-dtp"),
            performer: Json::Null,
            priority: "urgent".into(),
            canonical: String::new(),
            after: String::new(),
            opens: None,
            due: crate::workflow::calendar::Offset::Clock(259_200),
            calendar: self.programme.calendar.clone(),
            ..Action::default()
        });
        (action, because)
    }

    /// A raised severity makes the review more urgent and due earlier, never later.
    async fn hurry(&mut self, dtp: &Target, issue: &Json) -> Result<()> {
        let Ok(at) = self.open_review(dtp).await? else { return Ok(()) };
        let rank = |ladder: &[&str], value: &str| ladder.iter().position(|v| *v == value);
        let (action, because) = self.review_action(issue);
        let due = self.programme.review.intent(&action, self.now()).due_at.to_seconds_text();
        let now = self.now().to_seconds_text();
        let raised = self.changes.iter().any(|c| {
            let of = |r: &Option<Json>| r.as_ref().and_then(|r| rank(&SEVERITIES, r["severity"].text()));
            let urgent = |r: &Option<Json>| {
                let said = r.as_ref().and_then(|r| element::extension(r, "urgency"));
                said.and_then(|e| rank(&PRIORITIES, e["valueCode"].text()))
            };
            c.target == *dtp && (of(&c.after) > of(&c.before) || urgent(&c.after) > urgent(&c.before))
        });
        if !raised {
            return Ok(());
        }
        self.desk.edit(&at, |task| {
            if rank(&PRIORITIES, &action.priority) > rank(&PRIORITIES, task["priority"].text()) {
                let was = task["priority"].text().to_string();
                build::explain(task, &format!("Priority {} in place of {was}: {because}.", action.priority));
                task.set("priority", action.priority.as_str());
            }
            // Both texts are whole seconds in UTC: they compare as times.
            if due.as_str() < task["restriction"]["period"]["end"].text() {
                let mut restriction = task["restriction"].clone();
                let mut period = restriction["period"].clone();
                period.set("end", due.as_str());
                restriction.set("period", period);
                task.set("restriction", restriction);
            }
            task.set("lastModified", now);
        });
        Ok(())
    }

    /// A problem was decided or withdrawn: its review ends with it.
    async fn end_review(&mut self, dtp: &Target, issue: &Json) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        let open = self.open_review(dtp).await?;
        if is_decided(issue) {
            match open {
                Ok(at) => {
                    let task = self.desk.get(&at).await?.unwrap_or_default();
                    if task["status"].text() != "in-progress" || !task::is_owner(self.ctx, &task) {
                        let text = format!(
                            "{at}, the review of this problem, is {}{}: the pharmacist who decides has it in progress",
                            task["status"].text(),
                            if task::is_owner(self.ctx, &task) { "" } else { " and not the caller's" },
                        );
                        self.findings.refuse("DetectedIssue.status", text);
                        return Ok(());
                    }
                    let decision = programme.coded("task-output-type", "decision");
                    self.desk.edit(&at, |task| {
                        let mut output = Json::object();
                        output.set("type", decision);
                        output.set("valueReference", element::reference(dtp));
                        task.push("output", output);
                        task.set("status", "completed");
                        task.set("businessStatus", programme.coded("business-status", "done"));
                        let mut period = task.get("executionPeriod").cloned().unwrap_or_else(Json::object);
                        period.set("end", now.to_seconds_text());
                        task.set("executionPeriod", period);
                        task.set("lastModified", now.to_seconds_text());
                    });
                }
                // Completed by the client in the same transaction: fine. Otherwise there is nothing to decide on.
                Err(_) if self.completed_here(dtp) => {}
                Err(_) => self.findings.refuse("DetectedIssue.status", "the problem has no open review"),
            }
            if let Some(id) = self.episode_id(issue).await? {
                self.show_to_hospital(&id, dtp).await?;
            }
        } else if let Ok(at) = open {
            self.desk.edit(&at, |t| build::end_task(programme, t, "cancelled", "problem-withdrawn", now));
        }
        Ok(())
    }

    fn completed_here(&self, dtp: &Target) -> bool {
        self.changes.iter().any(|c| {
            let of = |r: &Json| leads_to_a("DetectedIssue", &r["focus"], self.base()).as_ref() == Some(dtp);
            let is = |r: &Option<Json>, status: &str| r.as_ref().is_some_and(|r| of(r) && r["status"].text() == status);
            is(&c.before, "in-progress") && is(&c.after, "completed")
        })
    }

    async fn episode_id(&mut self, issue: &Json) -> Result<Option<String>> {
        let Some(patient) = patient_of(issue, self.base()) else { return Ok(None) };
        Ok(self.episode_for(&patient).await?.map(|e| e.id))
    }

    /// The hospital whose discharge it was sees what came of it.
    pub(super) async fn show_to_hospital(&mut self, episode_id: &str, target: &Target) -> Result<()> {
        let at = self.addresses(&Target::new(known("EpisodeOfCare"), episode_id));
        let Some(episode) = self.desk.get(&at.episode).await? else { return Ok(()) };
        let Some(org) = self.desk.org(&at.episode).filter(|o| *o != 0) else { return Ok(()) };
        let until = self.shared_until(&episode);
        self.desk.records.share(Share { org, target: target.clone(), handoff: care(episode_id), until }).await
    }

    /// A review that ends without a decision leaves an open problem: that needs the next review, or is refused.
    pub(super) async fn review_task(&mut self, change: &Change) -> Result<()> {
        let Some(after) = change.after.as_ref().filter(|t| task::is_final(t)) else { return Ok(()) };
        let Some(dtp) = leads_to_a("DetectedIssue", &after["focus"], self.base()) else { return Ok(()) };
        if change.before.as_ref().is_some_and(task::is_final) {
            return Ok(());
        }
        let Some(issue) = self.desk.get(&dtp).await?.filter(is_open) else { return Ok(()) };
        if after["status"].text() == "completed" {
            let text = format!("{dtp} waits for its decision: $resolve it, and its review is completed with it");
            self.findings.refuse("Task.status", text);
            return Ok(());
        }
        self.ensure_review(&dtp, &issue).await
    }

    /// The patient has died, or does not want it: open problems are not decided any more.
    pub(super) async fn withdraw_problems(&mut self, patient: &Target, reason: &str) -> Result<()> {
        let (programme, now) = (self.programme, self.now());
        for dtp in self.desk.referring(&[("DetectedIssue", "patient", patient.clone())]).await? {
            if !self.desk.peek(&dtp).is_some_and(is_open) {
                continue;
            }
            self.desk.edit(&dtp, |d| d.set("status", "cancelled"));
            if let Ok(at) = self.open_review(&dtp).await? {
                if self.desk.peek(&at).is_some_and(task::is_started) {
                    self.hold(&at, reason).await?;
                } else {
                    self.desk.edit(&at, |t| build::end_task(programme, t, "cancelled", reason, now));
                }
            }
        }
        Ok(())
    }
}
