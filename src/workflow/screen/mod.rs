//! Screening: what rules find in the lists, dispenses, allergies and answers around a stay.
//!
//! For: [`screen`], a pure function: the same facts give the same findings, in whatever order they come. What is found is a
//! candidate; a pharmacist decides. Not for: writing DetectedIssues (`react/screen.rs`).
//! Source: `profiles/screening`; <https://hl7.org/fhir/R4/detectedissue.html>.

mod classes;
pub mod count;
mod lists;
pub mod page;
mod pairs;
mod patient;
pub mod rules;
mod supply;
mod told;

#[cfg(test)]
mod tests;

pub use classes::rank;
pub use patient::is_measure;
pub use rules::{Rule, Rules};

use super::list::Group;
use super::medicine::Tables;
use super::medicine::tables::plain;
use super::policy::SEVERITIES;
use super::reconcile::{Reconciled, Source};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use rules::{Stat, Test};
use std::collections::{BTreeMap, BTreeSet};

/// What is known around one stay.
pub struct Facts<'a> {
    /// The words of medicines.
    pub tables: &'a Tables,
    /// What became of each medicine.
    pub reconciled: &'a Reconciled,
    /// Whatever refers to the patient or the stay, as far as it was read.
    pub resources: &'a BTreeMap<Target, &'a Json>,
    /// The Patient.
    pub patient: &'a Json,
    /// Logical id of the Organization that discharged.
    pub hospital: Option<&'a str>,
    /// When the stay began.
    pub admitted_at: Option<Instant>,
    /// When it ended.
    pub discharged_at: Option<Instant>,
    /// The clock.
    pub now: Instant,
    /// This server's base.
    pub base: &'a str,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's code.
    pub rule: String,
    /// The rule's version.
    pub version: String,
    /// low, moderate, high.
    pub severity: &'static str,
    /// Whether it is to be reviewed at once.
    pub is_stat: bool,
    /// What it is about, for de-duplication: substances, or the words of what could not be read; sorted, each once.
    pub drugs: Vec<String>,
    /// What these are called, for people.
    pub names: Vec<String>,
    /// The resources in question; sorted, each once.
    pub implicated: Vec<Target>,
    /// What shows it, the implicated ones apart.
    pub evidence: Vec<Target>,
    /// Why it fired, in a sentence.
    pub why: String,
}

impl Finding {
    /// What makes it the same finding again, of one patient and episode: rule and medicines.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.rule, self.drugs.join("+"))
    }
}

/// All that screening says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Screened {
    /// The most severe first, then by rule and medicine.
    pub findings: Vec<Finding>,
    /// High-risk medicines that are taken: (class, medicine, resource), sorted.
    pub high_risk: Vec<(String, String, Target)>,
    /// What could not be judged, and which input it lacks; sorted, each once.
    pub unjudged: Vec<String>,
}

/// What one condition came upon.
#[derive(Debug, Clone, Default)]
struct Hit {
    drugs: BTreeSet<String>,
    names: Vec<String>,
    implicated: BTreeSet<Target>,
    evidence: BTreeSet<Target>,
    words: Vec<(&'static str, String)>,
    /// A severity of its own, where the table has one.
    severity: Option<String>,
    is_severe: bool,
}

impl Hit {
    /// About a medicine.
    fn of(source: &Source) -> Self {
        let mut hit = Self::default();
        hit.add(source);
        hit.says("medicine", source.line.name())
    }

    fn add(&mut self, source: &Source) {
        self.drugs.insert(drug(source));
        self.implicated.insert(source.target.clone());
        let name = source.line.name();
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    fn says(mut self, word: &'static str, text: impl Into<String>) -> Self {
        self.words.push((word, text.into()));
        self
    }
}

/// What a medicine is, however it is written.
fn drug(source: &Source) -> String {
    let substances = source.line.medicine.substances();
    if substances.is_empty() { plain(&source.line.name()) } else { substances.join("+") }
}

impl Facts<'_> {
    /// Medicines that are taken as far as known: those of the discharge, and what the patient speaks of; where the hospital has
    /// named none, those from home.
    fn current(&self) -> Vec<&Source> {
        let goes_on = |group: Group| self.reconciled.sources.iter().filter(move |s| s.group == group && !s.is_ended);
        let mut out: Vec<&Source> = goes_on(Group::Discharge).collect();
        if out.is_empty() && self.reconciled.sent != super::list::Sent::NoneKnown {
            out.extend(goes_on(Group::Home));
        }
        out.extend(goes_on(Group::Told));
        out
    }

    fn sources<'s>(&'s self, indexes: &'s [usize]) -> impl Iterator<Item = &'s Source> {
        indexes.iter().filter_map(|n| self.reconciled.sources.get(*n))
    }

    fn of_type<'s>(&'s self, rtype: &'s str) -> impl Iterator<Item = (&'s Target, &'s Json)> {
        self.resources.iter().filter(move |(t, _)| t.rtype.as_str() == rtype).map(|(t, json)| (t, *json))
    }
}

/// Asks every rule in force.
#[must_use]
pub fn screen(rules: &Rules, facts: &Facts<'_>) -> Screened {
    let mut out = Screened::default();
    let asked = |r: &&Rule| r.is_on && facts.hospital.is_none_or(|h| !r.off_for.iter().any(|off| off == h));
    let mut found: Vec<Finding> = Vec::new();
    let mut unjudged = BTreeSet::new();
    for rule in rules.rules.iter().filter(asked) {
        let hits = match &rule.test {
            Test::Outcome(kinds) => lists::outcomes(facts, kinds),
            Test::Changed(what) => lists::changed(facts, what),
            Test::Still(group) => lists::still(facts, *group),
            Test::Incomplete(what) => lists::incomplete(facts, what),
            Test::Count(count) => lists::count(facts, *count),
            Test::SameClass(kind) => pairs::same_class(rules, facts, kind),
            Test::Interaction => pairs::interactions(rules, facts),
            Test::OtherSource { is_prescriber: true } => pairs::prescribers(rules, facts),
            Test::OtherSource { is_prescriber: false } => pairs::pharmacies(rules, facts),
            Test::Allergy { by_class } => patient::allergies(rules, facts, *by_class),
            Test::Renal { days } => patient::kidneys(rules, facts, *days, &mut unjudged),
            Test::NotDispensed { hours, when_none } => supply::not_dispensed(facts, *hours, *when_none),
            Test::DispensedDiffers(what) => supply::differs(facts, what),
            Test::RefillLate(days) => supply::late(facts, *days),
            Test::Told(reasons) => told::not_taken(facts, reasons),
            Test::Answer { links, answers } => told::answered(facts, links, answers),
            Test::HighRisk => {
                out.high_risk.extend(high_risk(rules, facts));
                Vec::new()
            }
        };
        for hit in hits {
            let finding = finish(rules, rule, hit);
            // Two lines of one medicine are one finding: it names both.
            match found.iter_mut().find(|f| f.key() == finding.key()) {
                Some(same) => merge(same, finding),
                None => found.push(finding),
            }
        }
    }
    let silent = |f: &Finding| {
        let unless = rules.get(&f.rule).map(|r| r.unless.as_slice()).unwrap_or_default();
        found.iter().any(|other| unless.contains(&other.rule) && f.drugs.iter().all(|d| concerns(other, d)))
    };
    let mut findings: Vec<Finding> = found.iter().filter(|f| !silent(f)).cloned().collect();
    findings.sort_by_key(|f| (!f.is_stat, std::cmp::Reverse(rank(f.severity)), f.key()));
    out.findings = findings;
    out.high_risk.sort();
    out.high_risk.dedup();
    out.unjudged = unjudged.into_iter().collect();
    out
}

/// Whether a finding is about that medicine, or about all.
fn concerns(finding: &Finding, drug: &str) -> bool {
    let parts = |d: &str| d.split('+').map(String::from).collect::<BTreeSet<_>>();
    finding.drugs.is_empty() || finding.drugs.iter().any(|d| !parts(d).is_disjoint(&parts(drug)))
}

fn merge(into: &mut Finding, other: Finding) {
    into.implicated.extend(other.implicated);
    into.implicated.sort();
    into.implicated.dedup();
    into.evidence.extend(other.evidence);
    into.evidence.sort();
    into.evidence.dedup();
    into.is_stat |= other.is_stat;
    if rank(other.severity) > rank(into.severity) {
        into.severity = other.severity;
    }
}

fn finish(rules: &Rules, rule: &Rule, hit: Hit) -> Finding {
    let risky = hit.drugs.iter().flat_map(|d| d.split('+')).any(|s| rules.classes.of("high-risk", s).next().is_some());
    let severity = rank(hit.severity.as_deref().unwrap_or(&rule.severity)) + usize::from(rule.raises && risky);
    let is_stat = match rule.stat {
        Stat::Never => false,
        Stat::HighRisk => risky,
        Stat::Severe => hit.is_severe,
    };
    let mut why = rule.why.clone();
    for (word, text) in &hit.words {
        why = why.replace(&format!("{{{word}}}"), text);
    }
    Finding {
        rule: rule.code.clone(),
        version: rule.version.clone(),
        severity: SEVERITIES.get(severity).or(SEVERITIES.last()).copied().unwrap_or("high"),
        is_stat,
        drugs: hit.drugs.into_iter().collect(),
        names: hit.names,
        implicated: hit.implicated.into_iter().collect(),
        evidence: hit.evidence.into_iter().collect(),
        why: why.trim().to_string(),
    }
}

fn high_risk(rules: &Rules, facts: &Facts<'_>) -> Vec<(String, String, Target)> {
    let mut out = Vec::new();
    for source in facts.current() {
        for substance in source.line.medicine.substances() {
            for (_, class) in rules.classes.of("high-risk", substance) {
                out.push((class.display.clone(), source.line.name(), source.target.clone()));
            }
        }
    }
    out
}
