//! Answers to the forms of the programme: what a QuestionnaireResponse must be, and what is made of one.
//!
//! For: [`judge()`], the guard of every QuestionnaireResponse that names one of the forms of `profiles/questionnaire` (any version
//! that was ever in force); [`populate()`] and [`extract()`]. Not for: responses to other forms, which keep R4's base rules.
//! Source: <https://hl7.org/fhir/R4/questionnaire.html>, <https://hl7.org/fhir/R4/questionnaireresponse.html>.

mod check;
mod extract;
mod populate;

pub use extract::extract;
pub use populate::{Asked, populate};

use super::Programme;
use super::element;
use super::guard::Findings;
use super::outreach::SKEW_SECONDS;
use crate::access::Ctx;
use crate::fhir::Json;
use jiff::tz::TimeZone;

/// (from, to). Staying is always allowed.
const STEPS: [(&str, &str); 9] = [
    ("in-progress", "completed"),
    ("in-progress", "stopped"),
    ("in-progress", "entered-in-error"),
    ("stopped", "in-progress"),
    ("stopped", "completed"),
    ("stopped", "entered-in-error"),
    ("completed", "amended"),
    ("completed", "entered-in-error"),
    ("amended", "entered-in-error"),
];

/// Whether the answers count: they are whole.
#[must_use]
pub fn is_whole(response: &Json) -> bool {
    matches!(response["status"].text(), "completed" | "amended")
}

/// The form of a response, where it is one of the programme's.
#[must_use]
pub fn form<'a>(programme: &'a Programme, response: &Json) -> Option<&'a Json> {
    programme.artifact("Questionnaire", response["questionnaire"].text()).map(|form| &**form)
}

/// Whether a response is to a form of the programme, of whatever version.
#[must_use]
pub fn is_ours(programme: &Programme, response: &Json) -> bool {
    let url = response["questionnaire"].text().split('|').next().unwrap_or_default();
    url.starts_with(&format!("{}/Questionnaire/", element::BASE)) || programme.artifact("Questionnaire", url).is_some()
}

/// Judges a create or change of a QuestionnaireResponse.
pub fn judge(ctx: &Ctx, programme: &Programme, before: Option<&Json>, after: &Json, findings: &mut Findings) {
    if !is_ours(programme, after) && !before.is_some_and(|b| is_ours(programme, b)) {
        return;
    }
    if let Some(before) = before {
        change(before, after, findings);
    }
    if after["status"].text() == "entered-in-error" {
        return;
    }
    let canonical = after["questionnaire"].text();
    let Some(form) = form(programme, after).filter(|_| canonical.contains('|')) else {
        let text = format!("'{canonical}' is no form of the programme: name one that was in force, as url|version");
        findings.refuse("QuestionnaireResponse.questionnaire", text);
        return;
    };
    if !after["subject"]["reference"].text().contains("Patient/") {
        findings.refuse("QuestionnaireResponse.subject", "the answers need the patient as subject");
    }
    let author = after["author"]["reference"].text();
    match &ctx.principal.practitioner {
        Some(caller) if author.is_empty() => {
            let text = format!("who writes the answers down is their author: {caller}");
            findings.refuse("QuestionnaireResponse.author", text);
        }
        // Who amends what another has written leaves the author.
        Some(caller) if caller != author && before.is_none_or(|b| b["author"] != after["author"]) => {
            let text = format!("author must be the caller, {caller} (rule answers-author)");
            findings.forbid("QuestionnaireResponse.author", text);
        }
        _ => {}
    }
    let authored = element::earliest(after["authored"].text(), &TimeZone::UTC);
    match authored {
        None if is_whole(after) => {
            findings.refuse("QuestionnaireResponse.authored", "whole answers need the time that they were given at");
        }
        Some(at) if at > ctx.now.plus_seconds(SKEW_SECONDS) => {
            findings.refuse("QuestionnaireResponse.authored", "answers cannot lie in the future");
        }
        _ => {}
    }
    check::items(programme, form, after, is_whole(after), findings);
}

fn change(before: &Json, after: &Json, findings: &mut Findings) {
    let (from, to) = (before["status"].text(), after["status"].text());
    if from != to && !STEPS.contains(&(from, to)) {
        let next: Vec<&str> = STEPS.iter().filter(|(f, _)| *f == from).map(|(_, t)| *t).collect();
        let next = if next.is_empty() { "nothing".into() } else { next.join(", ") };
        let text = format!("answers do not go from {from} to {to}; after {from} comes {next}");
        findings.refuse("QuestionnaireResponse.status", text);
    }
    if from == "completed" && to == "completed" && before["item"] != after["item"] {
        findings.refuse("QuestionnaireResponse.status", "completed answers change with status amended only");
    }
    if from == "entered-in-error" && before["item"] != after["item"] {
        findings.refuse("QuestionnaireResponse.item", "answers that were an error stay as they are");
    }
    for name in ["questionnaire", "subject", "encounter"] {
        if before[name] != after[name] {
            let text = format!("{name} of answers never changes: write new ones");
            findings.refuse(format!("QuestionnaireResponse.{name}"), text);
        }
    }
}

/// An own extension of an item of a form, as code.
fn mark<'a>(item: &'a Json, name: &str) -> &'a str {
    element::extension(item, name).map_or("", |e| e["valueCode"].text())
}

/// The questions of a form whose yes cannot wait, that a response answers with yes: (linkId, text).
#[must_use]
pub fn red_flags<'a>(form: &'a Json, response: &Json) -> Vec<(&'a str, &'a str)> {
    let mut out = Vec::new();
    flags(form, response, &mut out);
    out
}

fn flags<'a>(asked: &'a Json, given: &Json, out: &mut Vec<(&'a str, &'a str)>) {
    for question in asked["item"].items() {
        let link = question["linkId"].text();
        for item in given["item"].items().iter().filter(|i| i["linkId"].text() == link) {
            let is_flag =
                element::extension(question, "red-flag").is_some_and(|e| e["valueBoolean"].as_bool() == Some(true));
            if is_flag && item["answer"].items().iter().any(|a| a["valueBoolean"].as_bool() == Some(true)) {
                out.push((link, question["text"].text()));
            }
            flags(question, item, out);
            for answer in item["answer"].items() {
                flags(question, answer, out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
