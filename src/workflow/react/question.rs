//! Questions to prescribers: a CommunicationRequest about a problem, the reply to it, and the next question where none comes.
//!
//! Not for: who may ask and who may put a reply on record (`contact.rs`), or when the next step is due (`escalation.rs`).
//! Source: own rules in `profiles/policy/README.md`; <https://hl7.org/fhir/R4/communicationrequest.html>.

use super::Round;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target, meta};
use crate::workflow::Change;
use crate::workflow::element::{self, leads_to, leads_to_a, patient_of};
use crate::workflow::escalation::STEPS;
use crate::workflow::outreach::MODE;
use crate::workflow::records::{Held, Records};
use crate::workflow::task;
use serde_json::json;

/// Seconds that a question without an end of its own is given, where no review is open.
const GIVEN_SECONDS: i64 = 86_400;

impl<R: Records> Round<'_, R> {
    /// A question about a problem is put: it is about that problem's patient, has an end, and its review waits for the answer.
    pub(super) async fn asked(&mut self, change: &Change) -> Result<()> {
        let is_active = |r: &Json| r["status"].text() == "active";
        let Some(request) = change.after.as_ref().filter(|r| is_active(r)) else { return Ok(()) };
        if change.before.as_ref().is_some_and(is_active) {
            return Ok(());
        }
        let base = self.base().to_string();
        let patient = patient_of(request, &base);
        let issues = issues(request, &base);
        self.desk.load(&issues).await?;
        let (mut due, mut priority) = (None, None);
        for issue in &issues {
            let Some(json) = self.desk.peek(issue).cloned() else { continue };
            if patient.is_none() || patient_of(&json, &base) != patient {
                let text = format!("{issue} is about another patient than the question");
                self.findings.refuse("CommunicationRequest.about", text);
            }
            if let Ok(review) = self.open_review(issue).await? {
                let task = self.desk.get(&review).await?.unwrap_or_default();
                let end = task["restriction"]["period"]["end"].text().to_string();
                if due.as_ref().is_none_or(|d| end < *d) && !end.is_empty() {
                    due = Some(end);
                    priority = task["priority"].as_str().map(String::from);
                }
                self.review_stands(&review, "awaiting-prescriber");
            }
        }
        if issues.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let has_end = request.get("occurrenceDateTime").is_some() || request.get("occurrencePeriod").is_some();
        // A review that is overdue already gives the prescriber a day, and no time in the past.
        let due = due.filter(|d| *d > now.to_seconds_text());
        let due = due.unwrap_or_else(|| now.plus_seconds(GIVEN_SECONDS).to_seconds_text());
        let lacks = |name: &str| request.get(name).is_none();
        let (no_priority, no_time) = (lacks("priority"), lacks("authoredOn"));
        if has_end && !no_priority && !no_time {
            return Ok(());
        }
        self.desk.load(std::slice::from_ref(&change.target)).await?;
        self.desk.edit(&change.target, |r| {
            if !has_end {
                r.set("occurrenceDateTime", due);
            }
            if let Some(priority) = priority.filter(|_| no_priority) {
                r.set("priority", priority);
            }
            if no_time {
                r.set("authoredOn", now.to_seconds_text());
            }
            meta::set_id(r, &change.target.id);
        });
        Ok(())
    }

    fn review_stands(&mut self, review: &Target, status: &str) {
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        if self.desk.peek(review).is_some_and(|t| !task::is_final(t) && !task::owner(t).is_empty()) {
            self.desk.edit(review, |t| {
                t.set("businessStatus", programme.coded("business-status", status));
                t.set("lastModified", now);
            });
        }
    }

    /// A prescriber has answered: the question is done, and the review is the pharmacist's again.
    pub(super) async fn replied(&mut self, change: &Change) -> Result<()> {
        let Some(said) = change.after.as_ref().filter(|c| c["status"].text() == "completed") else { return Ok(()) };
        if change.before.as_ref().is_some_and(|b| b["status"].text() == "completed") {
            return Ok(());
        }
        let base = self.base().to_string();
        let parts = said["basedOn"].items().iter();
        let asked: Vec<Target> = parts.filter_map(|r| leads_to_a("CommunicationRequest", r, &base)).collect();
        let Some(patient) = patient_of(said, &base).filter(|_| !asked.is_empty()) else { return Ok(()) };
        let all = self.questions_of(&patient).await?;
        for first in asked {
            let Some(json) = self.desk.get(&first).await? else { continue };
            if !is_reply(said, &json, &base) {
                continue;
            }
            for question in self.chain(&first, &all) {
                if self.desk.peek(&question).is_some_and(|q| q["status"].text() == "active") {
                    self.desk.edit(&question, |q| q.set("status", "completed"));
                }
            }
            for issue in issues(&json, &base) {
                if let Ok(review) = self.open_review(&issue).await? {
                    self.review_stands(&review, "awaiting-pharmacist");
                }
            }
        }
        Ok(())
    }

    async fn questions_of(&mut self, patient: &Target) -> Result<Vec<Target>> {
        self.desk.referring(&[("CommunicationRequest", "patient", patient.clone())]).await
    }

    /// A question, what it was asked again as, and what it repeats itself.
    fn chain(&self, first: &Target, all: &[Target]) -> Vec<Target> {
        let base = self.base();
        let replaces = |t: &Target| {
            let parts = self.desk.peek(t).map(|q| q["replaces"].items()).unwrap_or_default();
            parts.iter().filter_map(|r| leads_to(r, base)).collect::<Vec<_>>()
        };
        let mut chain = vec![first.clone()];
        for _ in 0..=STEPS.len() {
            let more: Vec<Target> = all
                .iter()
                .filter(|t| !chain.contains(t))
                .filter(|t| {
                    replaces(t).iter().any(|r| chain.contains(r)) || chain.iter().any(|c| replaces(c).contains(t))
                })
                .cloned()
                .collect();
            if more.is_empty() {
                break;
            }
            chain.extend(more);
        }
        chain
    }

    /// Whether somebody has answered a question, or one that it repeats.
    pub(super) async fn answered(&mut self, request: &Target, patient: &Target) -> Result<bool> {
        let base = self.base().to_string();
        let all = self.questions_of(patient).await?;
        let chain = self.chain(request, &all);
        let found = self.desk.referring(&[("Communication", "patient", patient.clone())]).await?;
        Ok(found.iter().filter_map(|t| self.desk.peek(t)).filter(|c| c["status"].text() == "completed").any(|said| {
            let parts = ["basedOn", "inResponseTo"].iter().flat_map(|n| said[*n].items());
            let mut to = parts.filter_map(|r| leads_to(r, &base)).filter(|t| chain.contains(t));
            to.any(|t| self.desk.peek(&t).is_none_or(|q| is_reply(said, q, &base)))
        }))
    }

    /// Nobody has answered in time: the question is put again, by phone, to another prescriber, as a request of its own that
    /// replaces it. Answers the new one.
    pub(super) async fn ask_again(&mut self, on: &Held, step: usize, priority: &str) -> Result<Target> {
        let base = self.base().to_string();
        let at = Target::new(known("CommunicationRequest"), self.programme.id(&["asked", &on.target.id]));
        let now = self.now();
        let zone = self.programme.env.zone.clone();
        let ends = [&on.json["occurrenceDateTime"], &on.json["occurrencePeriod"]["end"]];
        let due = ends.iter().find_map(|t| element::latest(t.text(), &zone));
        let asked = element::earliest(on.json["authoredOn"].text(), &zone);
        let given = due.zip(asked).map_or(GIVEN_SECONDS, |(due, asked)| (due.0 - asked.0) / 1_000_000).max(3_600);
        let mut next = self.desk.get(&on.target).await?.unwrap_or_else(|| on.json.clone());
        for name in ["meta", "id", "text", "identifier", "occurrencePeriod", "statusReason", "basedOn"] {
            if name != "basedOn" || issues(&on.json, &base).is_empty() {
                next.remove(name);
            }
        }
        let value = json!([{"system": element::sid("asked"), "value": format!("{}/{step}", on.target.id)}]);
        next.set("identifier", Json::from(value));
        next.set("replaces", Json::Array(vec![element::reference(&on.target)]));
        next.set("status", "active");
        next.set("priority", priority);
        next.set("occurrenceDateTime", now.plus_seconds(given).to_seconds_text());
        next.set("authoredOn", now.to_seconds_text());
        if step >= 1 {
            let phone = json!([{"coding": [{"system": MODE, "code": "PHONE"}]}]);
            next.set("medium", Json::from(phone));
        }
        if step >= 2
            && let Some(other) = self.another_prescriber(&on.json).await?
        {
            next.set("recipient", Json::Array(vec![element::reference(&other)]));
        }
        self.write(&at, next, on.org).await?;
        let why = STEPS.get(step).copied().unwrap_or_default();
        self.desk.edit(&on.target, |r| {
            r.set("status", "revoked");
            r.set("statusReason", Json::from(json!({"text": format!("Not answered in time: {why}, as {at}")})));
        });
        Ok(at)
    }

    /// Who else may know: who ordered the medicines of the problem, the patient's own doctors, the hospital that discharged.
    async fn another_prescriber(&mut self, request: &Json) -> Result<Option<Target>> {
        let base = self.base().to_string();
        let Some(patient) = patient_of(request, &base) else { return Ok(None) };
        let all = self.questions_of(&patient).await?;
        let asked = |r: &Json| r["recipient"].items().iter().filter_map(|r| leads_to(r, &base)).collect::<Vec<_>>();
        let mut known_to: Vec<Target> = asked(request);
        for earlier in &all {
            let json = self.desk.peek(earlier).filter(|q| issues(q, &base) == issues(request, &base));
            known_to.extend(json.map(asked).unwrap_or_default());
        }
        let mut others: Vec<Target> = Vec::new();
        for issue in issues(request, &base) {
            let Some(json) = self.desk.get(&issue).await? else { continue };
            let orders: Vec<Target> = json["implicated"].items().iter().filter_map(|r| leads_to(r, &base)).collect();
            self.desk.load(&orders).await?;
            let requesters = orders.iter().filter_map(|t| leads_to(&self.desk.peek(t)?["requester"], &base));
            others.extend(requesters);
        }
        let record = self.desk.get(&patient).await?.unwrap_or_default();
        others.extend(record["generalPractitioner"].items().iter().filter_map(|r| leads_to(r, &base)));
        if let Some(episode) = self.episode_for(&patient).await? {
            let json = self.desk.get(&episode).await?.unwrap_or_default();
            others.extend(leads_to_a("Organization", &json["managingOrganization"], &base));
        }
        let fits = |t: &Target| matches!(t.rtype.as_str(), "Practitioner" | "PractitionerRole" | "Organization");
        Ok(others.into_iter().find(|t| fits(t) && !known_to.contains(t)))
    }
}

/// The problems that a question is about.
fn issues(request: &Json, base: &str) -> Vec<Target> {
    let parts = ["about", "reasonReference", "basedOn"].iter().flat_map(|n| request[*n].items());
    let mut out: Vec<Target> = parts.filter_map(|r| leads_to_a("DetectedIssue", r, base)).collect();
    out.sort();
    out.dedup();
    out
}

/// Whether it answers the question: what the asker sends is the question itself.
fn is_reply(said: &Json, request: &Json, base: &str) -> bool {
    let sender = leads_to(&said["sender"], base);
    let askers = ["sender", "requester"].map(|n| leads_to(&request[n], base));
    sender.is_none() || !askers.contains(&sender)
}
