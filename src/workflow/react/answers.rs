//! What follows from answers: a sign that cannot wait opens a review at once, and answers belong to the patient of their stay.
//!
//! Not for: what answers must be (`workflow/answers`), or what `$extract` makes of them (`operation/extract.rs`).
//! Source: own rules in `profiles/questionnaire/README.md`.

use super::Round;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::workflow::records::Records;
use crate::workflow::{Change, answers, build, element};
use serde_json::json;

impl<R: Records> Round<'_, R> {
    pub(super) async fn answers_given(&mut self, change: &Change) -> Result<()> {
        let Some(response) = change.after.as_ref().filter(|r| r["status"].text() != "entered-in-error") else {
            return Ok(());
        };
        let Some(form) = answers::form(self.programme, response) else { return Ok(()) };
        let base = self.base().to_string();
        let Some(patient) = element::patient_of(response, &base) else { return Ok(()) };
        if let Some(stay) = element::encounter_of(response, &base)
            && let Some(stay) = self.desk.get(&stay).await?
            && element::patient_of(&stay, &base).is_some_and(|of| of != patient)
        {
            let text = "the stay is about another patient than the answers";
            self.findings.refuse("QuestionnaireResponse.subject", text);
            return Ok(());
        }
        for (link, text) in answers::red_flags(form, response) {
            self.red_flag(&change.target, response, &patient, link, text).await?;
        }
        Ok(())
    }

    /// Opens the problem of a sign that cannot wait, once for each response and question.
    async fn red_flag(
        &mut self,
        response_at: &Target,
        response: &Json,
        patient: &Target,
        link: &str,
        text: &str,
    ) -> Result<()> {
        let at = Target::new(known("DetectedIssue"), self.programme.id(&["red-flag", &response_at.id, link]));
        if self.desk.get(&at).await?.is_some() {
            return Ok(());
        }
        let author = &response["author"];
        let is_person = author["reference"].text().contains("Practitioner");
        let mut issue = Json::from(json!({
            "resourceType": "DetectedIssue",
            "extension": [{"url": element::extension_url("urgency"), "valueCode": "stat"}],
            "identifier": [{"system": element::sid("red-flag"), "value": format!("{}/{link}", response_at.id)}],
            "status": "preliminary",
            "code": {"coding": [{"system": element::system("dtp-category"), "code": "adverse-reaction"}], "text": text},
            "severity": "high",
            "patient": {"reference": patient.to_string()},
            "identifiedDateTime": self.now().to_seconds_text(),
            "author": build::device(),
            "evidence": [{"detail": [{"reference": response_at.to_string()}]}],
            "detail": format!("Answered with yes: {text}"),
        }));
        if is_person {
            issue.set("author", author.clone());
        }
        crate::fhir::meta::set_id(&mut issue, &at.id);
        self.desk.load(std::slice::from_ref(response_at)).await?;
        let org = self.desk.org(response_at).unwrap_or_default();
        self.desk.set(&at, issue.clone(), org).await?;
        self.dtp(&Change { target: at, before: None, after: Some(issue) }).await
    }
}
