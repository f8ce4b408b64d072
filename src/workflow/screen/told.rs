//! Conditions on what the patient says: not taken and why, and answers to questions.
//!
//! Source: <https://hl7.org/fhir/R4/medicationstatement.html>; US Core's extension for adherence, whose codes are SNOMED's.

use super::{Facts, Hit};
use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::list::Group;
use crate::workflow::medicine::tables::plain;
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

/// A question that was answered.
struct Answered<'a> {
    link: &'a str,
    answer: &'a Json,
    /// The text of the group that it stands in.
    group: &'a str,
    /// What else was answered in that group.
    beside: &'a [Json],
}

/// All questions of a response that were answered.
fn items<'a>(item: &'a Json, group: &'a str, out: &mut Vec<Answered<'a>>) {
    let beside = item["item"].items();
    for inner in beside {
        let text = inner["text"].as_str().unwrap_or(group);
        for answer in inner["answer"].items() {
            out.push(Answered { link: inner["linkId"].text(), answer, group, beside });
            items(answer, text, out);
        }
        items(inner, text, out);
    }
}

/// An answer in words, the best for people first.
fn words(answer: &Json) -> Vec<String> {
    let coding = &answer["valueCoding"];
    let texts = [answer["valueString"].text(), coding["display"].text(), coding["code"].text()];
    match answer["valueBoolean"].as_bool() {
        Some(is) => vec![is.to_string()],
        None => texts.into_iter().filter(|t| !t.is_empty()).map(String::from).collect(),
    }
}

/// The medicine that a question was about: what another answer of its group leads to, or names.
fn about(facts: &Facts<'_>, asked: &Answered<'_>) -> Hit {
    let all = || asked.beside.iter().flat_map(|i| i["answer"].items().iter().map(move |a| (i["linkId"].text(), a)));
    let named = all().find(|(link, _)| link.ends_with("name")).map_or("", |(_, a)| a["valueString"].text());
    let leads_to = |a: &Json| element::leads_to(&a["valueReference"], facts.base);
    let sources = &facts.reconciled.sources;
    let by_reference = all().find_map(|(_, a)| leads_to(a)).and_then(|t| sources.iter().find(|s| s.target == t));
    let by_name = || sources.iter().find(|s| !named.is_empty() && plain(&s.line.name()) == plain(named));
    if let Some(source) = by_reference.or_else(by_name) {
        return Hit::of(source);
    }
    let name = [named, asked.group, asked.link].into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    let mut hit = Hit::default().says("medicine", name);
    hit.drugs.insert(plain(name));
    hit.names.push(name.to_string());
    hit
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
        for asked in found {
            let said = words(asked.answer);
            let is_no = said.iter().all(|w| matches!(w.to_lowercase().as_str(), "" | "no" | "none" | "false"));
            let is_it = |a: &String| if a == "*" { !is_no } else { said.iter().any(|w| w.to_lowercase() == *a) };
            let link = asked.link.to_lowercase();
            if answers.iter().any(is_it) && links.iter().any(|l| link.ends_with(l.as_str())) {
                let mut hit = about(facts, &asked).says("answer", said.first().cloned().unwrap_or_default());
                hit.evidence.insert(at.clone());
                out.push(hit);
            }
        }
    }
    out
}
