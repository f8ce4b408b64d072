//! A medication resource as one normalised line: which medicine, how it is taken, what is not clear about it.
//!
//! Not for: which list it stands in (`list.rs`), or what became of it (`reconcile/`).

use super::{Gap, Medicine, Reading, Regimen, Tables, read};
use crate::fhir::Json;
use std::collections::BTreeSet;

const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

/// One medicine on one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// As the sender calls it.
    pub display: String,
    /// (system, code), sorted.
    pub codes: BTreeSet<(String, String)>,
    /// As far as it could be read.
    pub medicine: Medicine,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// How it is taken.
    pub regimen: Regimen,
    /// Why, in the sender's words: note and reason of a status.
    pub note: String,
}

impl Line {
    /// Reads a MedicationRequest, -Statement, -Administration or -Dispense. `medication`: what its reference leads to.
    #[must_use]
    pub fn of(tables: &Tables, resource: &Json, medication: Option<&Json>) -> Self {
        let concept = match resource.get("medicationCodeableConcept") {
            Some(concept) => concept.clone(),
            None => medication.map(|m| m["code"].clone()).unwrap_or_default(),
        };
        let (display, Reading { mut medicine, gaps }) = of_concept(tables, &concept);
        let shown = resource["medicationReference"]["display"].text();
        let display = if display.is_empty() { shown.to_string() } else { display };
        let form = medicine.form.as_deref().and_then(|f| tables.form(f));
        let regimen = Regimen::read(tables, resource, form.and_then(|f| f.piece.as_deref()));
        // Directions say how it is taken where the name does not.
        let told = regimen.directions.iter().find_map(|d| d.route.clone());
        if medicine.route.is_none() {
            medicine.route = told;
        }
        let codes = concept["coding"].items().iter();
        let codes = codes.filter(|c| c["code"].as_str().is_some());
        Self {
            display,
            codes: codes.map(|c| (c["system"].text().to_string(), c["code"].text().to_string())).collect(),
            medicine,
            gaps,
            regimen,
            note: note(resource),
        }
    }

    /// What it is called on a list: the sender's words, else what was read.
    #[must_use]
    pub fn name(&self) -> String {
        if !self.display.is_empty() {
            return self.display.clone();
        }
        let read = self.medicine.to_string();
        let coded = self.codes.first().map(|(_, code)| format!("code {code}"));
        if read.is_empty() { coded.unwrap_or_else(|| "a medicine without a name".into()) } else { read }
    }
}

/// Display and reading of a concept: every text of it is read, and the one that says most is taken.
fn of_concept(tables: &Tables, concept: &Json) -> (String, Reading) {
    let codings = concept["coding"].items();
    let is_rxnorm = |c: &&Json| c["system"].text() == RXNORM;
    let displays = |c: &Json| c["display"].text().to_string();
    let mut texts: Vec<String> = codings.iter().filter(is_rxnorm).map(displays).collect();
    texts.extend(codings.iter().filter(is_rxnorm).filter_map(|c| tables.code(c["code"].text())).map(String::from));
    texts.push(concept["text"].text().to_string());
    texts.extend(codings.iter().filter(|c| !is_rxnorm(c)).map(displays));
    texts.retain(|t| !t.trim().is_empty());
    let shown = [concept["text"].text()].into_iter().find(|t| !t.is_empty()).map(String::from);
    let shown = shown.or_else(|| texts.first().cloned()).unwrap_or_default();
    let readings: Vec<Reading> = texts.iter().map(|t| read(tables, t)).collect();
    let best = readings.iter().enumerate().min_by_key(|(n, r)| (r.gaps.len(), *n)).map(|(_, r)| r.clone());
    let Some(mut best) = best else {
        return (shown, Reading { gaps: vec![Gap::Ingredient], ..Reading::default() });
    };
    let clear = readings.iter().filter(|r| r.gaps.is_empty());
    let other = clear.clone().find(|r| r.medicine.substances() != best.medicine.substances());
    if let Some(other) = other.filter(|_| best.gaps.is_empty()) {
        best.gaps.push(Gap::Contradiction(format!("{} and {}", best.medicine, other.medicine)));
    }
    (shown, best)
}

/// Why, in the sender's words.
fn note(resource: &Json) -> String {
    let reason = &resource["statusReason"];
    let reasons: Vec<&Json> = if let Json::Array(list) = reason { list.iter().collect() } else { vec![reason] };
    let reasons = reasons.into_iter().map(|r| r["text"].as_str().unwrap_or(r["coding"][0]["display"].text()));
    let notes = resource["note"].items().iter().map(|n| n["text"].text());
    let mut out: Vec<&str> = Vec::new();
    for text in reasons.chain(notes).map(str::trim).filter(|t| !t.is_empty()) {
        if !out.contains(&text) {
            out.push(text);
        }
    }
    out.join(" ")
}
