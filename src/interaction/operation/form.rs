//! `Questionnaire/$populate`: a form of the programme, filled in with what the caller may see.
//!
//! Not for: what is filled in (`workflow/answers/populate.rs`). Reads only.
//! Source: as in Structured Data Capture; own rules in `profiles/questionnaire/README.md`.

use super::Input;
use crate::access::Ctx;
use crate::access::scope::Action;
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::interaction::answer::Answer;
use crate::interaction::request::Scope;
use crate::interaction::{Engine, unknown};
use crate::workflow::answers::{Asked, populate};
use crate::workflow::element;
use std::sync::Arc;

impl Engine {
    pub(super) async fn populate(&self, ctx: &Ctx, on: &Scope, input: &Input) -> Result<Answer> {
        self.permit(ctx, Action::Read, Some(known("Questionnaire")))?;
        let form = self.form(on, input)?;
        let patient = self.named(input, "subject", &["Patient"])?.ok_or_else(|| Error::fault("subject is required"))?;
        self.visible(ctx, &patient).await?;
        let encounter = self.named(input, "encounter", &["Encounter"])?;
        let base = self.house().active().env.base.clone();
        if let Some(at) = &encounter {
            let stay = self.visible(ctx, at).await?;
            if element::patient_of(&stay, &base).as_ref() != Some(&patient) {
                return Err(Error::business_rule("the encounter is about another patient than subject").at("encounter"));
            }
        }
        let lists = self.of_the_patient(ctx, &patient, &["List"]).await?;
        let mut lists: Vec<&Json> = lists.iter().filter(|l| element::own_identifier(l, "list").is_some()).collect();
        lists.retain(|l| encounter.is_none() || element::encounter_of(l, &base) == encounter);
        // The newest word: a list that was retired with its episode gives way to the one in force.
        lists.sort_by_key(|l| (l["status"].text() == "current", l["date"].text(), l["meta"]["lastUpdated"].text()));
        let list = lists.last().copied();
        let stay = encounter.or_else(|| list.and_then(|l| element::encounter_of(l, &base)));
        let asked = Asked {
            patient: patient.to_string(),
            encounter: stay.map(|s: Target| s.to_string()),
            author: ctx.principal.practitioner.clone(),
        };
        Ok(Answer::of(populate(&form, &asked, list, ctx.now).to_bytes()))
    }

    /// The form that a call is about.
    fn form(&self, on: &Scope, input: &Input) -> Result<Arc<Json>> {
        let programme = &self.house().programme;
        match (on, input.text("questionnaire")) {
            (Scope::Instance(at), None) => {
                let is_it =
                    |r: &&Arc<Json>| r["resourceType"].text() == "Questionnaire" && r["id"].text() == at.id.as_str();
                programme.artifacts().iter().find(is_it).cloned().ok_or_else(|| unknown(at))
            }
            (Scope::Instance(_), Some(_)) => {
                Err(input.wrong("questionnaire", "the call is about the instance: leave questionnaire out"))
            }
            (_, Some(canonical)) => programme.artifact("Questionnaire", canonical).cloned().ok_or_else(|| {
                input.wrong("questionnaire", "no form of the programme has that canonical (url|version)")
            }),
            (_, None) => {
                let text = "questionnaire is needed, or the call is made on an instance";
                Err(Error::invalid(text).code("required"))
            }
        }
    }
}
