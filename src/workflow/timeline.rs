//! The story of an episode: what happened, one sentence each, in the order in which it was written down.
//!
//! For: [`tell`], a pure function of the versions that a caller may see. Not for: which these are (`interaction`).
//! Source: own rule, `profiles/protocol/README.md`.

use super::Programme;
use super::element::{self, type_of};
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
            Some(now) => event(programme, before, now),
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

/// The event that a version is; `None` when nothing of interest changed.
fn event(programme: &Programme, before: Option<&Json>, now: &Json) -> Option<Said> {
    let status = now["status"].text();
    let was = before.map(|b| b["status"].text());
    match type_of(now) {
        "Task" => task(before, now),
        "Encounter" if was != Some(status) => Some(match status {
            "finished" => Said::of("The patient left the hospital").at(&now["period"]["end"]),
            "in-progress" | "onleave" => Said::of("The patient is in hospital").at(&now["period"]["start"]),
            other => Said::of(format!("The stay is {other}")),
        }),
        "Encounter" if before.is_some_and(|b| b["period"] != now["period"]) => {
            Some(Said::of("The hospital corrected the time of the stay").at(&now["period"]["end"]))
        }
        "EpisodeOfCare" if was != Some(status) => Some(Said::of(match status {
            "active" if was.is_none() => "The follow-up began".to_string(),
            "active" => "The follow-up goes on".to_string(),
            "onhold" => "The follow-up is paused: the patient is in hospital again".to_string(),
            "finished" => "The follow-up has ended".to_string(),
            other => format!("The follow-up is {other}"),
        })),
        "DetectedIssue" => problem(programme, before, now),
        "Communication" if was != Some(status) => {
            let topic = now["topic"]["text"].as_str().or(now["statusReason"]["text"].as_str());
            let what = match (status, topic) {
                ("entered-in-error", _) => "What was said is marked as an error".to_string(),
                ("not-done", Some(why)) => format!("The patient was not reached: {why}"),
                ("not-done", None) => "The patient was not reached".to_string(),
                (_, Some(topic)) => topic.to_string(),
                _ => "Something was said".to_string(),
            };
            Some(Said::of(what).by(&now["sender"]).at(&now["sent"]))
        }
        "Consent" if was != Some(status) => {
            let what = match (status, now["provision"]["type"].text()) {
                ("active", "permit") => "The patient consents".to_string(),
                ("active", _) => "The patient does not want to be followed up, or only in part".to_string(),
                (other, _) => format!("A consent of the patient is {other}"),
            };
            Some(Said::of(what).at(&now["dateTime"]))
        }
        "Flag" if was != Some(status) => {
            let what = now["code"]["text"].as_str().unwrap_or("A warning");
            Some(Said::of(if status == "active" { what.to_string() } else { format!("{what}: {status}") }))
        }
        "Observation" if before.is_none_or(|b| b["component"] != now["component"]) => {
            let reasons: Vec<&str> =
                now["component"].items().iter().map(|c| c["valueCodeableConcept"]["text"].text()).collect();
            let outcome = now["valueCodeableConcept"]["text"].as_str().unwrap_or("Decided");
            let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            Some(Said::of(format!("{outcome}{because}")))
        }
        _ => None,
    }
}

fn task(before: Option<&Json>, now: &Json) -> Option<Said> {
    let name = now["code"]["text"].as_str().unwrap_or("A Task");
    let owner = |t: &Json| t["owner"]["reference"].text().to_string();
    let status = now["status"].text();
    let why = &now["statusReason"];
    let reason = why["text"].as_str().filter(|r| !r.is_empty()).map(|r| format!(": {r}")).unwrap_or_default();
    let due = now["restriction"]["period"]["end"].text();
    let (was, had) = (before.map(|b| b["status"].text()), before.map(owner).unwrap_or_default());
    let what = match (was, status) {
        (None, _) => format!("{name}: to be done by {due}"),
        (Some(was), "requested") if was != "requested" => format!("{name}: given back{reason}"),
        (Some("requested"), "requested") if had != owner(now) && owner(now).is_empty() => format!("{name}: open again"),
        (Some("requested"), "requested") if had != owner(now) => format!("{name}: waits for its pharmacy"),
        (Some(was), "received" | "accepted") if was != status => format!("{name}: taken"),
        (Some("on-hold"), "in-progress") => format!("{name}: goes on"),
        (Some(was), "in-progress") if was != status => format!("{name}: begun"),
        (Some(was), "completed") if was != status => format!("{name}: done"),
        (Some(was), other) if was != other => format!("{name}: {other}{reason}"),
        _ if before.is_some_and(|b| b["restriction"] != now["restriction"]) => format!("{name}: now due by {due}"),
        _ if before.is_some_and(|b| b["priority"] != now["priority"]) => {
            format!("{name}: now {}", now["priority"].text())
        }
        _ if before.is_some_and(|b| b["note"] != now["note"]) => format!("{name}: a note was added"),
        _ => return None,
    };
    Some(Said::of(what).by(&now["owner"]).at(&now["lastModified"]))
}

fn problem(programme: &Programme, before: Option<&Json>, now: &Json) -> Option<Said> {
    let status = now["status"].text();
    let severity = now["severity"].text();
    let resolution = element::extension(now, "resolution").map(|e| &e["valueCodeableConcept"]);
    let code = resolution.and_then(|r| element::own_code(r, "resolution")).unwrap_or_default();
    let decided = programme.concept("resolution", code).map_or("", |c| c.display.as_str());
    let note = resolution.and_then(|r| r["text"].as_str()).unwrap_or_default();
    let last = now["mitigation"].items().last();
    let what = match before.map(|b| b["status"].text()) {
        None => {
            let detail = now["detail"].as_str().or(now["code"]["text"].as_str()).unwrap_or("see the resource");
            return Some(
                Said::of(format!("A problem was reported ({severity}): {detail}"))
                    .by(&now["author"])
                    .at(&now["identifiedDateTime"]),
            );
        }
        Some(was) if was != status => match status {
            "final" => format!("The problem was decided: {decided}{}{note}", if note.is_empty() { "" } else { ". " }),
            other => format!("The problem is {other}"),
        },
        Some(_) if before.is_some_and(|b| b["severity"] != now["severity"]) => format!("The problem is now {severity}"),
        _ => return None,
    };
    let said = Said::of(what);
    Some(match last.filter(|_| status == "final") {
        Some(mitigation) => said.by(&mitigation["author"]).at(&mitigation["date"]),
        None => said,
    })
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
        assert!(crate::fhir::validate::resource(&story).is_empty(), "{story}");
        pages.reverse();
        assert_eq!(tell(&programme, &pages), story);
        assert!(crate::fhir::validate::resource(&tell(&programme, &[])).is_empty());
    }
}
