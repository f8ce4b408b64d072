//! What one version of a resource says in the story of an episode.
//!
//! Not for: which versions are read, or their order (`timeline.rs`). What changes nothing that a reader would ask for says nothing.

use super::Said;
use crate::fhir::Json;
use crate::workflow::Programme;
use crate::workflow::element::{self, type_of};

/// The event that a version is; `None` when nothing of interest changed.
pub(super) fn event(programme: &Programme, before: Option<&Json>, now: &Json) -> Option<Said> {
    let status = now["status"].text();
    let was = before.map(|b| b["status"].text());
    let moved = was != Some(status);
    match type_of(now) {
        "Task" => task(before, now),
        "Encounter" if moved => Some(match status {
            "finished" => Said::of("The patient left the hospital").at(&now["period"]["end"]),
            "in-progress" | "onleave" => Said::of("The patient is in hospital").at(&now["period"]["start"]),
            other => Said::of(format!("The stay is {other}")),
        }),
        "Encounter" if before.is_some_and(|b| b["period"] != now["period"]) => {
            Some(Said::of("The hospital corrected the time of the stay").at(&now["period"]["end"]))
        }
        "EpisodeOfCare" if moved => Some(Said::of(match status {
            "active" if was.is_none() => "The follow-up began".to_string(),
            "active" => "The follow-up goes on".to_string(),
            "onhold" => "The follow-up is paused: the patient is in hospital again".to_string(),
            "finished" => "The follow-up has ended".to_string(),
            other => format!("The follow-up is {other}"),
        })),
        "DetectedIssue" => problem(programme, before, now),
        "Communication" if moved => Some(communication(now)),
        "CommunicationRequest" if moved => Some(question(was.is_none(), now)),
        "QuestionnaireResponse" if moved => Some(answers(now)),
        "QuestionnaireResponse" if before.is_some_and(|b| b["item"] != now["item"]) => {
            Some(Said::of(format!("Answers were changed: {}", form(now))).by(&now["author"]).at(&now["authored"]))
        }
        "Composition" if moved || before.is_some_and(|b| b["date"] != now["date"]) => Some(report(now)),
        "Procedure" if moved => {
            let performer = now["performer"].items().first().map(|p| p["actor"].clone()).unwrap_or_default();
            let at = if now.get("performedDateTime").is_some() {
                &now["performedDateTime"]
            } else {
                &now["performedPeriod"]["start"]
            };
            let what = match status {
                "completed" => format!("{}: done", words(&now["code"], "A procedure")),
                other => format!("{}: {other}", words(&now["code"], "A procedure")),
            };
            Some(Said::of(what).by(&performer).at(at))
        }
        "RiskAssessment" if moved || before.is_some_and(|b| b["prediction"] != now["prediction"]) => Some(risk(now)),
        "Provenance" => Some(compared(now)),
        "List" if now["mode"].text() != "working" => list(before, now),
        "Consent" if moved => {
            let what = match (status, now["provision"]["type"].text()) {
                ("active", "permit") => "The patient consents".to_string(),
                ("active", _) => "The patient does not want to be followed up, or only in part".to_string(),
                (other, _) => format!("A consent of the patient is {other}"),
            };
            Some(Said::of(what).at(&now["dateTime"]))
        }
        "Flag" if moved => {
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

/// A concept in words: its text, else its first display or code.
fn words(concept: &Json, otherwise: &str) -> String {
    let coding = concept["coding"].items().first();
    let of_coding = || coding.and_then(|c| c["display"].as_str().or(c["code"].as_str()));
    concept["text"].as_str().or_else(of_coding).unwrap_or(otherwise).to_string()
}

/// The name of the form of answers: the end of its canonical, without the version.
fn form(answers: &Json) -> &str {
    let name = answers["questionnaire"].text().rsplit('/').next().unwrap_or_default();
    name.split('|').next().filter(|n| !n.is_empty()).unwrap_or("without a form")
}

fn communication(now: &Json) -> Said {
    let topic = now["topic"]["text"].as_str().or(now["statusReason"]["text"].as_str());
    let what = match (now["status"].text(), topic) {
        ("entered-in-error", Some(topic)) => format!("What was said is marked as an error: {topic}"),
        ("entered-in-error", None) => "What was said is marked as an error".to_string(),
        ("not-done", Some(why)) => format!("The patient was not reached: {why}"),
        ("not-done", None) => "The patient was not reached".to_string(),
        (_, Some(topic)) => topic.to_string(),
        _ => match now["payload"].items().first().and_then(|p| p["contentString"].as_str()) {
            Some(text) => format!("Said: {text}"),
            None => "Something was said".to_string(),
        },
    };
    Said::of(what).by(&now["sender"]).at(&now["sent"])
}

fn question(is_new: bool, now: &Json) -> Said {
    let text = now["payload"].items().first().and_then(|p| p["contentString"].as_str());
    let what = match (now["status"].text(), text) {
        ("active", Some(text)) => format!("A prescriber is asked: {text}"),
        ("active", None) => "A prescriber is asked".to_string(),
        ("completed", _) => "A prescriber has answered".to_string(),
        ("revoked", _) => "The question to a prescriber is taken back, or asked anew".to_string(),
        (other, _) => format!("The question to a prescriber is {other}"),
    };
    let by = if now.get("sender").is_some() { &now["sender"] } else { &now["requester"] };
    let said = Said::of(what).by(by);
    if is_new { said.at(&now["authoredOn"]) } else { said }
}

fn answers(now: &Json) -> Said {
    let what = match now["status"].text() {
        "completed" => format!("Questions were answered: {}", form(now)),
        "in-progress" => format!("Answers were begun: {}", form(now)),
        other => format!("Answers are {other}: {}", form(now)),
    };
    Said::of(what).by(&now["author"]).at(&now["authored"])
}

fn report(now: &Json) -> Said {
    let attester = now["attester"].items().first();
    match (now["status"].text(), attester) {
        ("final", Some(a)) => Said::of("The report of the medicines was attested").by(&a["party"]).at(&a["time"]),
        ("amended", Some(a)) => {
            Said::of("The report of the medicines was attested anew").by(&a["party"]).at(&a["time"])
        }
        ("final" | "preliminary", _) => {
            let author = now["author"].items().first().cloned().unwrap_or_default();
            Said::of("The report of the medicines was prepared").by(&author).at(&now["date"])
        }
        (other, _) => Said::of(format!("The report of the medicines is {other}")).at(&now["date"]),
    }
}

fn risk(now: &Json) -> Said {
    let name = words(&now["method"], "a score");
    let what = match now["prediction"].items().first() {
        Some(p) => format!("Risk by {name}: {} ({})", words(&p["qualitativeRisk"], "see it"), p["rationale"].text()),
        None => format!("Risk by {name}: not all is known that it asks for"),
    };
    Said::of(what)
}

/// The Provenance of the reconciled list: what it says otherwise than before.
fn compared(now: &Json) -> Said {
    let url = element::extension_url("list-change");
    let news = now["extension"].items().iter().filter(|e| e["url"].text() == url);
    let news: Vec<&str> = news.map(|e| e["valueString"].text()).collect();
    let what = if news.is_empty() {
        format!("The medicines were reconciled, from {} sources", now["entity"].items().len())
    } else {
        format!("The medicines were reconciled anew: {}", news.join("; "))
    };
    let who = now["agent"].items().first().map(|a| a["who"].clone()).unwrap_or_default();
    Said::of(what).by(&who)
}

/// A list as somebody sent it.
fn list(before: Option<&Json>, now: &Json) -> Option<Said> {
    let name = now["title"].as_str().map_or_else(|| words(&now["code"], "A list"), String::from);
    let lines = |l: &Json| l["entry"].items().len();
    let what = match before {
        None if now.get("emptyReason").is_some() => {
            format!("A list came: {name}, empty: {}", words(&now["emptyReason"], "no reason given"))
        }
        None => format!("A list came: {name}, {} lines", lines(now)),
        Some(b) if b["status"] != now["status"] => format!("A list is {}: {name}", now["status"].text()),
        Some(b) if b["entry"] != now["entry"] || b["emptyReason"] != now["emptyReason"] => {
            format!("A list came anew: {name}, {} lines, before {}", lines(now), lines(b))
        }
        Some(_) => return None,
    };
    Some(Said::of(what).by(&now["source"]).at(&now["date"]))
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
    let Some(before) = before else {
        let detail = now["detail"].as_str().or(now["code"]["text"].as_str()).unwrap_or("see the resource");
        let severity = now["severity"].as_str().map(|s| format!(" ({s})")).unwrap_or_default();
        let said = Said::of(format!("A problem was reported{severity}: {detail}"));
        return Some(said.by(&now["author"]).at(&now["identifiedDateTime"]));
    };
    let was = before["status"].text();
    let changed = amended(programme, before, now);
    let what = match (was, status) {
        (was, "final") if was != status => format!("The problem was decided: {}", decision(programme, now)),
        (was, "amended" | "corrected") if was != status || !changed.is_empty() => {
            format!(
                "The problem was {status}: {}",
                if changed.is_empty() { "see the resource".into() } else { changed.join("; ") }
            )
        }
        (was, other) if was != other => format!("The problem is {other}"),
        _ if !changed.is_empty() => format!("The problem was changed: {}", changed.join("; ")),
        _ => return None,
    };
    let said = Said::of(what);
    Some(match now["mitigation"].items().last().filter(|_| matches!(status, "final" | "amended" | "corrected")) {
        Some(mitigation) => said.by(&mitigation["author"]).at(&mitigation["date"]),
        None => said,
    })
}

/// How a problem was decided, with the note of who did.
fn decision(programme: &Programme, problem: &Json) -> String {
    let resolution = element::extension(problem, "resolution").map(|e| &e["valueCodeableConcept"]);
    let code = resolution.and_then(|r| element::own_code(r, "resolution")).unwrap_or_default();
    let decided = programme.concept("resolution", code).map_or("", |c| c.display.as_str());
    let note = resolution.and_then(|r| r["text"].as_str()).unwrap_or_default();
    format!("{decided}{}{note}", if note.is_empty() || decided.is_empty() { "" } else { ". " })
}

/// What a version of a problem says otherwise than the one before.
fn amended(programme: &Programme, before: &Json, now: &Json) -> Vec<String> {
    let mut out = Vec::new();
    if before["severity"] != now["severity"] {
        out.push(format!("it is {} now", now["severity"].as_str().unwrap_or("of no stated severity")));
    }
    if before["code"] != now["code"] {
        out.push(format!("it is {}", words(&now["code"], "of another kind")));
    }
    if before["detail"] != now["detail"] {
        out.push(now["detail"].text().to_string());
    }
    let done = now["mitigation"].items();
    for new in done.iter().filter(|m| !before["mitigation"].items().contains(m)) {
        out.push(format!("done: {}", words(&new["action"], "see the resource")));
    }
    if done.len() < before["mitigation"].items().len() {
        out.push("what was done is said otherwise".into());
    }
    let resolution = |i: &Json| element::extension(i, "resolution").cloned();
    if resolution(before).is_some() && resolution(before) != resolution(now) {
        out.push(format!("decided: {}", decision(programme, now)));
    }
    if before["implicated"] != now["implicated"] {
        out.push("it is about other medicines".into());
    }
    out
}
