//! The story of an episode: what happened, one sentence each, in the order in which it was written down.
//!
//! For: [`tell`], a pure function of the versions that a caller may see. Not for: which these are (`interaction`).
//! Source: own rule, `profiles/protocol/README.md`.

mod events;
pub mod page;

use super::Programme;
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use serde_json::json;

/// One version of a resource of the episode.
#[derive(Debug, Clone)]
pub struct Page {
    /// Which resource.
    pub target: Target,
    /// `meta.versionId`.
    pub version: i64,
    /// Commit time in microseconds: the order of the story.
    pub pk: i64,
    /// As stored; `None` for a deletion.
    pub json: Option<Json>,
}

/// Tells the story as Parameters: one `event` each, with `recorded`, `at`, `what`, `who` and `resource`.
///
/// `pages`: all versions, in any order. What changes nothing that a reader would ask for is left out. The same pages give the
/// same story.
#[must_use]
pub fn tell(programme: &Programme, pages: &[Page]) -> Json {
    let mut pages: Vec<&Page> = pages.iter().collect();
    pages.sort_by_key(|p| p.pk);
    pages.dedup_by_key(|p| p.pk);
    let mut events = Vec::new();
    for (n, page) in pages.iter().enumerate() {
        let before = pages.iter().take(n).rev().find(|p| p.target == page.target).and_then(|p| p.json.as_ref());
        let said = match &page.json {
            None => Some(Said::of("was deleted")),
            Some(now) => events::event(programme, before, now),
        };
        events.extend(said.map(|s| s.part(page)));
    }
    let parameters = json!({"resourceType": "Parameters", "parameter": events});
    let mut out: Json = parameters.into();
    if events_are_none(&out) {
        out.remove("parameter"); // FHIR knows no empty lists
    }
    out
}

fn events_are_none(out: &Json) -> bool {
    out["parameter"].items().is_empty()
}

/// What one event says.
#[derive(Debug, Default)]
struct Said {
    what: String,
    who: String,
    at: String,
}

impl Said {
    fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    fn by(self, reference: &Json) -> Self {
        Self { who: reference["reference"].text().into(), ..self }
    }

    fn at(self, time: &Json) -> Self {
        Self { at: time.text().into(), ..self }
    }

    fn part(self, page: &Page) -> serde_json::Value {
        let mut part = vec![json!({"name": "recorded", "valueInstant": Instant(page.pk).to_string()})];
        if !self.at.is_empty() {
            part.push(json!({"name": "at", "valueDateTime": self.at}));
        }
        part.push(json!({"name": "what", "valueString": self.what}));
        if !self.who.is_empty() {
            part.push(json!({"name": "who", "valueReference": {"reference": self.who}}));
        }
        let resource = format!("{}/_history/{}", page.target, page.version);
        part.push(json!({"name": "resource", "valueReference": {"reference": resource}}));
        json!({"name": "event", "part": part})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::element::target_of;

    fn page(pk: i64, version: i64, json: serde_json::Value) -> Page {
        let json: Json = json.into();
        Page { target: target_of(&json).unwrap(), version, pk, json: Some(json) }
    }

    fn sentences(story: &Json) -> Vec<String> {
        let what = |e: &Json| {
            let part = e["part"].items().iter().find(|p| p["name"].text() == "what");
            part.map(|p| p["valueString"].text().to_string()).unwrap_or_default()
        };
        story["parameter"].items().iter().map(what).collect()
    }

    #[test]
    fn the_story_is_told_in_the_order_of_writing_whatever_the_order_of_reading() {
        let programme = Programme::for_tests();
        let task = |status: &str, owner: &str| {
            json!({"resourceType": "Task", "id": "t", "status": status, "code": {"text": "First call"},
            "owner": {"reference": owner}, "restriction": {"period": {"end": "2026-12-01"}}, "lastModified": "2026-11-25T21:00:00Z"})
        };
        let mut pages = vec![
            page(
                1,
                1,
                json!({"resourceType": "Encounter", "id": "e", "status": "finished", "period": {"end": "2026-11-25"}}),
            ),
            page(2, 1, json!({"resourceType": "EpisodeOfCare", "id": "x", "status": "active"})),
            page(3, 1, task("requested", "")),
            page(4, 2, task("accepted", "Organization/elm")),
            page(5, 3, task("accepted", "Organization/elm")),
            page(6, 4, task("in-progress", "Organization/elm")),
            page(
                7,
                1,
                json!({"resourceType": "Communication", "id": "c", "status": "not-done", "topic": {"text": "Nobody answered"}}),
            ),
            page(8, 2, json!({"resourceType": "EpisodeOfCare", "id": "x", "status": "onhold"})),
        ];
        let expected = [
            "The patient left the hospital",
            "The follow-up began",
            "First call: to be done by 2026-12-01",
            "First call: taken",
            "First call: begun",
            "The patient was not reached: Nobody answered",
            "The follow-up is paused: the patient is in hospital again",
        ];
        let story = tell(&programme, &pages);
        assert_eq!(sentences(&story), expected);
        let html = page::html(&story);
        assert!(html.contains("<td>The patient was not reached: Nobody answered</td>"), "{html}");
        assert!(html.contains("<td>2026-11-25 21:00 UTC</td><td>Organization/elm</td>"), "{html}");
        assert!(crate::fhir::validate::resource(&story).is_empty(), "{story}");
        pages.reverse();
        assert_eq!(tell(&programme, &pages), story);
        assert!(crate::fhir::validate::resource(&tell(&programme, &[])).is_empty());
    }

    /// A version after another, or the first, and what it says; "" for nothing.
    #[test]
    fn each_kind_of_resource_says_what_happened_as_a_table() {
        let programme = Programme::for_tests();
        let with = |mut base: serde_json::Value, change: serde_json::Value| {
            for (name, value) in change.as_object().unwrap() {
                base[name] = value.clone();
            }
            base
        };
        let issue = json!({"resourceType": "DetectedIssue", "id": "d", "status": "final", "severity": "moderate", "detail": "twice the same",
            "code": {"text": "duplicate"}, "mitigation": [{"action": {"text": "Prescriber called"}}]});
        let list = json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot", "code": {"text": "Discharge medicines"},
            "entry": [{"item": {"reference": "MedicationRequest/a"}}]});
        let ask = json!({"resourceType": "CommunicationRequest", "id": "q", "status": "active", "payload": [{"contentString": "Stop one?"}]});
        let form = json!({"resourceType": "QuestionnaireResponse", "id": "r", "status": "completed",
            "questionnaire": "http://baton.example/fhir/Questionnaire/first-call|1", "item": [{"linkId": "a"}]});
        let record = json!({"resourceType": "Provenance", "id": "p", "entity": [{"what": {"reference": "List/l"}}]});
        let change = json!({"extension": [{"url": "http://baton.example/fhir/StructureDefinition/list-change", "valueString": "warfarin: changed"}]});
        let report = json!({"resourceType": "Composition", "id": "c", "status": "preliminary", "date": "2026-11-26", "author": [{"reference": "Practitioner/mara"}]});
        let attested = json!({"status": "final", "attester": [{"mode": "professional", "party": {"reference": "Practitioner/jonas"}}]});
        let risk = json!({"resourceType": "RiskAssessment", "id": "k", "status": "final", "method": {"text": "LACE"},
            "prediction": [{"qualitativeRisk": {"coding": [{"code": "high"}]}, "rationale": "12 points"}]});
        let rows = [
            (
                None,
                with(issue.clone(), json!({"status": "preliminary", "severity": null})),
                "A problem was reported: twice the same",
            ),
            (
                None,
                with(issue.clone(), json!({"status": "preliminary"})),
                "A problem was reported (moderate): twice the same",
            ),
            (
                Some(issue.clone()),
                with(issue.clone(), json!({"status": "amended", "severity": "high"})),
                "The problem was amended: it is high now",
            ),
            (
                Some(issue.clone()),
                with(
                    issue.clone(),
                    json!({"status": "corrected", "detail": "thrice", "mitigation": [{"action": {"text": "Prescriber called"}}, {"action": {"text": "One stopped"}}]}),
                ),
                "The problem was corrected: thrice; done: One stopped",
            ),
            (Some(issue.clone()), issue.clone(), ""),
            (None, list.clone(), "A list came: Discharge medicines, 1 lines"),
            (
                Some(list.clone()),
                with(list.clone(), json!({"entry": []})),
                "A list came anew: Discharge medicines, 0 lines, before 1",
            ),
            (None, with(list.clone(), json!({"mode": "working"})), ""),
            (None, record.clone(), "The medicines were reconciled, from 1 sources"),
            (Some(record.clone()), with(record, change), "The medicines were reconciled anew: warfarin: changed"),
            (None, ask.clone(), "A prescriber is asked: Stop one?"),
            (Some(ask.clone()), with(ask, json!({"status": "completed"})), "A prescriber has answered"),
            (None, form.clone(), "Questions were answered: first-call"),
            (Some(form.clone()), with(form, json!({"status": "amended"})), "Answers are amended: first-call"),
            (None, report.clone(), "The report of the medicines was prepared"),
            (Some(report.clone()), with(report, attested), "The report of the medicines was attested"),
            (None, risk.clone(), "Risk by LACE: high (12 points)"),
            (
                None,
                with(risk, json!({"status": "preliminary", "prediction": null})),
                "Risk by LACE: not all is known that it asks for",
            ),
            (
                None,
                json!({"resourceType": "Procedure", "id": "x", "status": "completed", "code": {"text": "Education"}}),
                "Education: done",
            ),
        ];
        for (before, mut now, says) in rows {
            let mut pages = Vec::new();
            let had_before = before.is_some();
            pages.extend(before.map(|b| page(1, 1, b)));
            now.as_object_mut().unwrap().retain(|_, v| !v.is_null());
            pages.push(page(2, 2, now.clone()));
            let told = sentences(&tell(&programme, &pages));
            let new = told.get(usize::from(had_before)).map_or("", String::as_str);
            assert_eq!(new, says, "{now}: {told:?}");
        }
    }
}
