//! A hospital corrects a stay that is being followed up: its episode goes by the last word.
//!
//! Not for: a correction after which the stay is followed up no more (`stay.rs`).
//! Source: own rules in `profiles/protocol/README.md`.

use super::Round;
use crate::error::Result;
use crate::fhir::{Json, Target, meta};
use crate::workflow::discharge::{Stay, is_dead};
use crate::workflow::element::{self, own_identifier, reference};
use crate::workflow::records::Records;
use crate::workflow::task;
use serde_json::json;

impl<R: Records> Round<'_, R> {
    /// Whether this transaction says something else about a stay than was known, as far as its follow-up goes.
    pub(super) fn is_corrected(&self, stay: &Stay) -> bool {
        let Some(before) = self.changes.iter().find(|c| c.target == stay.encounter).and_then(|c| c.before.as_ref())
        else {
            return false;
        };
        let mut before = before.clone();
        meta::set_id(&mut before, &stay.encounter.id);
        // Whose system sends it is no part of the stay.
        let of = |s: &Stay| Stay { hospital: s.site.clone(), ..s.clone() };
        Stay::of(self.programme, &before).is_none_or(|was| of(&was) != of(stay))
    }

    /// Times, list and pharmacies of a live episode follow the corrected stay.
    pub(super) async fn correct(
        &mut self,
        episode: &Target,
        stay: &Stay,
        patient: &Target,
        record: &Json,
    ) -> Result<()> {
        let at = self.addresses(episode);
        self.desk.load(&[at.episode.clone(), at.plan.clone()]).await?;
        let (programme, now) = (self.programme, self.now().to_seconds_text());
        let Some(end) = stay.end else { return Ok(()) };
        let follow_up = programme.plan_of(&self.desk.get(&at.episode).await?.unwrap_or_default()).clone();
        let hospital = stay.hospital.as_ref().map(reference);
        self.desk.edit(&at.episode, |e| {
            let mut period = e["period"].clone();
            period.set("start", stay.end_text.as_str());
            e.set("period", period);
            if let Some(hospital) = hospital {
                e.set("managingOrganization", hospital);
            }
        });
        self.desk.edit(&at.plan, |p| {
            let period = json!({"start": stay.end_text, "end": follow_up.ends_at(end).to_seconds_text()});
            p.set("period", Json::from(period));
        });
        for target in self.tasks_of(&at.plan).await? {
            let Some(task) = self.desk.peek(&target).filter(|t| !task::is_final(t)) else { continue };
            let action = own_identifier(task, "task").and_then(|v| v.split('/').nth(1)).unwrap_or_default();
            let plans = [&*follow_up, &programme.list_not_sent];
            let Some(intent) = plans.iter().find_map(|p| p.action(action).map(|a| p.intent(a, end))) else { continue };
            let period = json!({"start": intent.opens_at.to_seconds_text(), "end": intent.due_at.to_seconds_text()});
            let restriction = Json::from(json!({"period": period}));
            if task["restriction"] != restriction {
                self.desk.edit(&target, |t| {
                    t.set("restriction", restriction);
                    t.set("lastModified", now.as_str());
                });
            }
        }
        self.refresh(episode, patient, record, None).await
    }

    /// The patient left by dying: that is marked on the Patient, where the hospital has not said it there. Answers the Patient
    /// as it is now.
    pub(super) fn mark_deceased(&mut self, stay: &Stay, patient: &Target) {
        let now = self.now();
        if stay.end_text.is_empty() || self.desk.peek(patient).is_none_or(|p| is_dead(p, now) || says_more(p)) {
            return;
        }
        let by = json!({"url": element::extension_url("deceased-by"), "valueReference": {"reference": stay.encounter.to_string()}});
        self.desk.edit(patient, |p| {
            p.push("extension", Json::from(by));
            p.set("deceasedDateTime", stay.end_text.as_str());
        });
    }

    /// The mark of a stay that is no death (any more) is taken off.
    pub(super) fn unmark_deceased(&mut self, encounter: &Target, patient: &Target) {
        let url = element::extension_url("deceased-by");
        let encounter = encounter.to_string();
        let is_mark = |e: &Json| e["url"].text() == url && e["valueReference"]["reference"].text() == encounter;
        if !self.desk.peek(patient).is_some_and(|p| p["extension"].items().iter().any(is_mark)) {
            return;
        }
        self.desk.edit(patient, |p| {
            let kept: Vec<Json> = p["extension"].items().iter().filter(|e| !is_mark(e)).cloned().collect();
            if kept.is_empty() {
                p.remove("extension");
            } else {
                p.set("extension", Json::Array(kept));
            }
            p.remove("deceasedDateTime");
        });
    }
}

/// Whether the hospital has said something of its own about the patient's death.
fn says_more(patient: &Json) -> bool {
    ["deceasedBoolean", "deceasedDateTime", "_deceasedBoolean", "_deceasedDateTime"]
        .iter()
        .any(|n| patient.get(n).is_some())
}
