//! Conditions on what the patient says: not taken and why, and answers to questions.
//!
//! Source: <https://hl7.org/fhir/R4/medicationstatement.html>; US Core's extension for adherence, whose codes are SNOMED's.

use super::{Facts, Hit};
use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::list::Group;
use crate::workflow::reconcile::Kind;
use std::collections::BTreeSet;

/// US Core's adherence: does not comply; does not take the medicine.
const NOT_TAKEN: [&str; 2] = ["702565001", "715036001"];

/// Reasons (codes of `dtp-rationale`) that a statement gives.
fn reasons(statement: &Json) -> BTreeSet<String> {
    let mut concepts: Vec<&Json> = statement["statusReason"].items().iter().collect();
    concepts.extend(adherence(statement).flat_map(|e| e["extension"].items()).map(|e| &e["valueCodeableConcept"]));
    let own = concepts.iter().flat_map(|c| element::codings(c));
    let system = element::system("dtp-rationale");
    own.filter(|(s, _)| *s == system).map(|(_, code)| code.to_string()).collect()
}

fn adherence(statement: &Json) -> impl Iterator<Item = &Json> {
    statement["extension"].items().iter().filter(|e| e["url"].text().ends_with("/us-core-medication-adherence"))
}

fn is_not_taken(statement: &Json) -> bool {
    let said = adherence(statement).flat_map(|e| e["extension"].items());
    let mut codes = said.flat_map(|e| element::codings(&e["valueCodeableConcept"]));
    matches!(statement["status"].text(), "not-taken" | "on-hold") || codes.any(|(_, c)| NOT_TAKEN.contains(&c))
}

/// Medicines that the hospital wants taken, and of which the patient says otherwise for one of these reasons; `any`: for
/// whatever reason, or none.
pub fn not_taken(facts: &Facts<'_>, wanted: &[String]) -> Vec<Hit> {
    let any = wanted.iter().any(|w| w == "any");
    let goes_on =
        |n: &[usize]| facts.sources(n).any(|s| matches!(s.group, Group::Discharge | Group::Home) && !s.is_ended);
    let mut out = Vec::new();
    for outcome in &facts.reconciled.outcomes {
        for source in facts.sources(&outcome.sources).filter(|s| s.group == Group::Told) {
            let Some(statement) = facts.resources.get(&source.target) else { continue };
            let given = reasons(statement);
            // An unwanted effect is one whether the medicine is taken on or not.
            let fits = if any {
                // What the hospital stopped is rightly not taken.
                is_not_taken(statement) && outcome.kind != Kind::Stopped && goes_on(&outcome.sources)
            } else {
                given.iter().any(|r| wanted.contains(r))
            };
            if fits {
                out.push(Hit::of(source).says("reason", source.line.note.clone()));
            }
        }
    }
    out
}

/// Items of a response whose linkId ends so, with their answers, and the text of the group that they stand in.
fn items<'a>(item: &'a Json, group: &'a str, out: &mut Vec<(&'a str, &'a str, &'a Json)>) {
    for inner in item["item"].items() {
        let text = inner["text"].as_str().unwrap_or(group);
        for answer in inner["answer"].items() {
            out.push((inner["linkId"].text(), group, answer));
            items(answer, text, out);
        }
        items(inner, text, out);
    }
}

/// An answer in words.
fn words(answer: &Json) -> String {
    let coding = &answer["valueCoding"];
    let texts = [answer["valueString"].text(), coding["display"].text(), coding["code"].text()];
    match answer["valueBoolean"].as_bool() {
        Some(is) => is.to_string(),
        None => texts.iter().find(|t| !t.is_empty()).map(|t| (*t).to_string()).unwrap_or_default(),
    }
}

/// Answers of one of these values to questions whose linkId ends so. The newest response of a questionnaire counts.
pub fn answered(facts: &Facts<'_>, links: &[String], answers: &[String]) -> Vec<Hit> {
    let counts = |r: &Json| matches!(r["status"].text(), "completed" | "amended");
    let mut responses: Vec<(&Target, &Json)> =
        facts.of_type("QuestionnaireResponse").filter(|(_, r)| counts(r)).collect();
    responses.sort_by_key(|(t, r)| (r["authored"].text().to_string(), (*t).clone()));
    let mut out = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (at, response) in responses.into_iter().rev().filter(|(_, r)| seen.insert(r["questionnaire"].text())) {
        let mut found = Vec::new();
        items(response, "", &mut found);
        for (link, group, answer) in found {
            let said = words(answer);
            let lower = said.to_lowercase();
            let is_no = matches!(lower.as_str(), "" | "no" | "none" | "false");
            let fits = answers.iter().any(|a| if a == "*" { !is_no } else { *a == lower });
            if fits && links.iter().any(|l| link.to_lowercase().ends_with(l.as_str())) {
                let mut hit = Hit::default().says("answer", said).says("medicine", group);
                hit.drugs.insert(if group.is_empty() { link.to_string() } else { group.to_lowercase() });
                hit.names.push(if group.is_empty() { link.to_string() } else { group.to_string() });
                hit.evidence.insert(at.clone());
                out.push(hit);
            }
        }
    }
    out
}
