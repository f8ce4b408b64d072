//! What the hospital hears of each discharge it sent: how the follow-up ended, and when a patient came back before a problem was
//! decided.
//!
//! A Communication of the hospital's own, to be polled; the Task that closed the episode names it as output.
//! Source: own rules in `profiles/protocol/README.md`.

use super::Round;
use super::handoff::episode_of;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::discharge::{Reason, Stay};
use crate::workflow::dtp::{is_decided, is_open};
use crate::workflow::element::{self, leads_to_a, own_code};
use crate::workflow::records::Records;
use crate::workflow::{Change, build, outreach};
use std::collections::{BTreeMap, BTreeSet};

/// What a hospital hears about an episode.
#[derive(Debug, Clone, Copy)]
enum Heard<'a> {
    /// How it ended, and, before its time, why.
    Outcome(Option<&'a str>),
    /// The patient is in hospital again, in this stay, while problems wait.
    MissedWindow(&'a Target),
}

impl<R: Records> Round<'_, R> {
    /// A Task of the programme was completed: when it closed its episode, the hospital hears how it went.
    pub(super) async fn outcome(&mut self, change: &Change) -> Result<()> {
        let Some(after) = change.after.as_ref().filter(|t| t["status"].text() == "completed") else { return Ok(()) };
        let was = change.before.as_ref().map_or("", |b| b["status"].text());
        let closes = own_code(&after["code"], "task-code") == Some("close-episode");
        let Some(id) = episode_of(after).map(String::from).filter(|_| closes && was != "completed") else {
            return Ok(());
        };
        let episode = Target::new(known("EpisodeOfCare"), id);
        let Some(at) = self.hospital_hears(&episode, Heard::Outcome(None)).await? else { return Ok(()) };
        let kind = self.programme.coded("task-output-type", "outcome");
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        self.desk.edit(&change.target, |task| {
            let mut output = Json::object();
            output.set("type", kind);
            output.set("valueReference", element::reference(&at));
            task.push("output", output);
        });
        Ok(())
    }

    /// The patient is in hospital again: where a problem waits undecided, the window to solve it was missed, and the hospital
    /// that discharged hears of it.
    pub(super) async fn window_missed(&mut self, episode: &Target, stay: &Target) -> Result<()> {
        self.hospital_hears(episode, Heard::MissedWindow(stay)).await.map(drop)
    }

    /// A follow-up has ended before its time, for a reason of `task-status-reason`: the hospital hears its outcome all the same.
    pub(super) async fn ended_early(&mut self, episode: &Target, reason: &str) -> Result<()> {
        let why =
            self.programme.concept("task-status-reason", reason).map_or(reason, |c| c.display.as_str()).to_string();
        self.hospital_hears(episode, Heard::Outcome(Some(&why))).await.map(drop)
    }

    /// A follow-up goes on after all, or begins anew: what was said of its outcome holds no more.
    pub(super) async fn outcome_taken_back(&mut self, episode: &Target) -> Result<()> {
        let at = Target::new(known("Communication"), self.programme.id(&["outcome", &episode.id]));
        self.unsay(&at).await
    }

    /// A discharge is not followed up: the hospital hears why, unless one of the reasons is `silent` in the codes.
    pub(super) async fn left_alone(&mut self, stay: &Stay, patient: &Target, reasons: &[Reason]) -> Result<()> {
        let programme = self.programme;
        let known_as = |r: &Reason| programme.concept("not-eligible-reason", &r.code);
        let is_silent =
            |r: &Reason| known_as(r).is_some_and(|c| c.properties.get("silent").is_some_and(|v| v == "true"));
        let Some(hospital) = stay.hospital.clone().filter(|_| !reasons.iter().any(is_silent)) else {
            return self.left_taken_back(&stay.encounter).await;
        };
        let why: Vec<&str> =
            reasons.iter().map(|r| known_as(r).map_or(r.code.as_str(), |c| c.display.as_str())).collect();
        let text = format!("The discharge is not followed up: {}.", why.join("; "));
        let at = self.left_at(&stay.encounter);
        let parts = ["not-followed", stay.encounter.id.as_str()].join("/");
        let about = [stay.encounter.clone()];
        let mut notice = build::notice(&parts, patient, (&about, &[hospital]), ("routine", &text), self.now());
        // Said again, it is the same.
        if let Some(said) = self.desk.get(&at).await?.filter(|s| s["topic"] == notice["topic"]) {
            notice.set("sent", said["sent"].clone());
        }
        let org = self.desk.org(&stay.encounter).unwrap_or_default();
        self.write(&at, notice, org).await
    }

    /// The discharge is followed up after all, or is none any more.
    pub(super) async fn left_taken_back(&mut self, encounter: &Target) -> Result<()> {
        self.unsay(&self.left_at(encounter)).await
    }

    /// Where [`Self::left_alone`] writes.
    pub(super) fn left_at(&self, encounter: &Target) -> Target {
        Target::new(known("Communication"), self.programme.id(&["not-followed", &encounter.id]))
    }

    async fn unsay(&mut self, at: &Target) -> Result<()> {
        self.desk.load(std::slice::from_ref(at)).await?;
        self.desk.edit(at, |said| said.set("status", "entered-in-error"));
        Ok(())
    }

    /// The patient is in hospital again: the pharmacies that care for the patient and the hospital that discharged hear of it.
    pub(super) async fn in_hospital_again(
        &mut self,
        (episode, stay, patient): (&Target, &Target, &Target),
        pharmacies: &BTreeSet<String>,
        days: i64,
        class: Option<&str>,
    ) -> Result<()> {
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let base = self.base().to_string();
        let mut all: Vec<Target> =
            pharmacies.iter().map(|id| Target::new(known("Organization"), id.as_str())).collect();
        all.extend(leads_to_a("Organization", &json["managingOrganization"], &base));
        let at = self.told_again(episode, stay);
        let when = match days {
            0 => "on the day of the discharge".to_string(),
            1 => "a day after the discharge".to_string(),
            days => format!("{days} days after the discharge"),
        };
        let how = match class {
            None => ", as one stay with the last (a transfer)".to_string(),
            Some("not-told") => String::new(),
            Some(class) => {
                let said = self.programme.concept("readmission-class", class).map_or(class, |c| c.display.as_str());
                format!(" ({})", said.to_lowercase())
            }
        };
        let text = format!(
            "The patient is in hospital again, {when}{how}. The follow-up is paused: what had not begun is cancelled, what had begun waits."
        );
        let about = [episode.clone(), stay.clone()];
        let parts = ["again", episode.id.as_str(), stay.id.as_str()].join("/");
        let notice = build::notice(&parts, patient, (&about, &all), ("urgent", &text), self.now());
        let org = self.desk.org(episode).unwrap_or_default();
        self.write(&at, notice, org).await?;
        self.share_with(&json, &episode.id, pharmacies, std::slice::from_ref(&at)).await?;
        self.show_to_hospital(&episode.id, &at).await
    }

    /// Where [`Self::in_hospital_again`] writes.
    pub(super) fn told_again(&self, episode: &Target, stay: &Target) -> Target {
        Target::new(known("Communication"), self.programme.id(&["again", &episode.id, &stay.id]))
    }

    /// The hospital hears that no pharmacy takes what it asked for. `what`: `nobody` is known; the only one has `not-answered`; it
    /// was `returned` too often.
    pub(super) async fn nobody_known(&mut self, episode: &Target, about: &Target, what: &str) -> Result<()> {
        let Some(json) = self.desk.get(episode).await? else { return Ok(()) };
        let base = self.base().to_string();
        let hospital = leads_to_a("Organization", &json["managingOrganization"], &base);
        let patient = leads_to_a("Patient", &json["patient"], &base);
        let (Some(hospital), Some(patient)) = (hospital, patient) else { return Ok(()) };
        let text = match what {
            "nobody" => {
                "No pharmacy is known that could take the follow-up: name one in the patient's record, or those that the hospital works with."
            }
            "not-answered" => {
                "The pharmacy that was named has neither accepted nor declined in time, and no other is known: call it, or name another."
            }
            "nobody-left" => {
                "No pharmacy is left that could take a Task of the follow-up: those that were asked have declined, or let it fail."
            }
            _ => {
                "Pharmacies have taken a Task, or were sent it, and let the time pass again and again: it is open, and somebody should ask."
            }
        };
        let at = Target::new(known("Communication"), self.programme.id(&[what, &about.id]));
        let parts = [what, about.id.as_str()].join("/");
        let all = if about == episode { vec![episode.clone()] } else { vec![about.clone(), episode.clone()] };
        let notice = build::notice(&parts, &patient, (&all, &[hospital]), ("urgent", text), self.now());
        let org = self.desk.org(episode).unwrap_or_default();
        if self.desk.get(&at).await?.is_none() {
            self.write(&at, notice, org).await?;
            self.show_to_hospital(&episode.id, &at).await?;
        }
        Ok(())
    }

    /// Writes what the hospital hears. Answers where; `None` where there is nobody or nothing to tell.
    async fn hospital_hears(&mut self, episode: &Target, heard: Heard<'_>) -> Result<Option<Target>> {
        let (what, stay) = match heard {
            Heard::Outcome(_) => ("outcome", None),
            Heard::MissedWindow(stay) => ("missed-window", Some(stay)),
        };
        let Some(json) = self.desk.get(episode).await? else { return Ok(None) };
        let base = self.base().to_string();
        let hospital = leads_to_a("Organization", &json["managingOrganization"], &base);
        let patient = leads_to_a("Patient", &json["patient"], &base);
        let (Some(hospital), Some(patient)) = (hospital, patient) else { return Ok(None) };
        let asks = [("DetectedIssue", "patient", patient.clone()), ("Communication", "patient", patient.clone())];
        let found = self.desk.referring(&asks).await?;
        let since = element::earliest(json["period"]["start"].text(), &self.programme.env.zone);
        let in_time = |time: &str| element::latest(time, &self.programme.env.zone) >= since;
        let of = |rtype: &str| found.iter().filter(move |t| t.rtype.as_str() == rtype).cloned().collect::<Vec<_>>();
        let mut issues: Vec<Target> = of("DetectedIssue");
        issues.retain(|t| self.desk.peek(t).is_some_and(|i| in_time(i["identifiedDateTime"].text())));
        let attempts = of("Communication").into_iter().filter(|t| {
            let said = self.desk.peek(t).filter(|c| outreach::is_attempt(c) && in_time(c["sent"].text()));
            said.is_some_and(|c| c["status"].text() != "entered-in-error")
        });
        let attempts: Vec<Target> = attempts.collect();
        let reached = attempts.iter().filter_map(|t| self.desk.peek(t)).filter(|c| outreach::is_reached(c)).count();
        let (decided, open): (Vec<Target>, Vec<Target>) = issues
            .into_iter()
            .filter(|t| self.desk.peek(t).is_some_and(|i| is_decided(i) || is_open(i)))
            .partition(|t| self.desk.peek(t).is_some_and(is_decided));
        if stay.is_some() && open.is_empty() {
            return Ok(None);
        }
        let mut how: BTreeMap<String, usize> = BTreeMap::new();
        for issue in decided.iter().filter_map(|t| self.desk.peek(t)) {
            let resolution = element::extension(issue, "resolution").map(|e| &e["valueCodeableConcept"]);
            let code = resolution.and_then(|r| own_code(r, "resolution")).unwrap_or_default();
            let display = self.programme.concept("resolution", code).map_or(code, |c| c.display.as_str());
            *how.entry(display.to_string()).or_default() += 1;
        }
        let how: Vec<String> = how.into_iter().map(|(how, n)| format!("{how}: {n}")).collect();
        let text = match heard {
            Heard::Outcome(why) => format!(
                "The follow-up has ended{}. Calls: {}, the patient was reached in {reached}. Drug therapy problems: {} decided{}{}, {} still open.",
                why.map(|why| format!(" before its time: {why}")).unwrap_or_default(),
                attempts.len(),
                decided.len(),
                if how.is_empty() { "" } else { " - " },
                how.join(", "),
                open.len()
            ),
            Heard::MissedWindow(_) => format!(
                "The patient is in hospital again while {} drug therapy problem{} still waited for a decision.",
                open.len(),
                if open.len() == 1 { "" } else { "s" }
            ),
        };
        let parts: Vec<&str> = [what, episode.id.as_str()].into_iter().chain(stay.map(|s| s.id.as_str())).collect();
        let at = Target::new(known("Communication"), self.programme.id(&parts));
        let mut about = vec![episode.clone()];
        about.extend(stay.cloned());
        // What is open is the pharmacy's until it is decided; of a missed window the hospital hears which they were.
        about.extend(if stay.is_some() { open } else { decided });
        let priority = if stay.is_some() { "urgent" } else { "routine" };
        let mut notice =
            build::notice(&parts.join("/"), &patient, (&about, &[hospital]), (priority, &text), self.now());
        if let Some(said) = self.desk.get(&at).await?.filter(|s| s["topic"] == notice["topic"]) {
            notice.set("sent", said["sent"].clone());
        }
        let org = self.desk.org(episode).unwrap_or_default();
        self.write(&at, notice, org).await?;
        let addresses = self.addresses(episode);
        let tasks = self.tasks_of(&addresses.plan).await?;
        self.share_care(&json, &episode.id, &tasks, std::slice::from_ref(&at)).await?;
        for issue in about.iter().filter(|t| t.rtype.as_str() == "DetectedIssue") {
            self.show_to_hospital(&episode.id, issue).await?;
        }
        Ok(Some(at))
    }
}
