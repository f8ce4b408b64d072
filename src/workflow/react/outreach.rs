//! What an attempt to reach the patient needs of its Task, and does to it.

use super::Round;
use crate::error::Result;
use crate::fhir::Json;
use crate::workflow::discharge::is_dead;
use crate::workflow::element::{self, patient_of};
use crate::workflow::outreach::{is_attempt, is_objection, is_reached, task_of};
use crate::workflow::records::Records;
use crate::workflow::{Change, task};

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
        // A Task that the client wrote in the same transaction says itself where it stands.
        if !self.changes.iter().any(|c| c.target == at) {
            let status = if is_reached(attempt) { "reached" } else { "no-answer" };
            let (status, now) = (self.programme.coded("business-status", status), self.now().to_seconds_text());
            self.desk.edit(&at, |t| {
                t.set("businessStatus", status);
                t.set("lastModified", now);
            });
        }
        if let Some(id) = super::handoff::episode_of(&task) {
            self.show_to_hospital(id, &change.target).await?;
        }
        if let Some(patient) = patient.filter(|_| is_objection(attempt) && self.findings.is_empty()) {
            self.objected(&change.target, attempt["sent"].text(), &task, &patient).await?;
        }
        Ok(())
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
