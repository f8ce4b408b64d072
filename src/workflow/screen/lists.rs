//! Conditions on the reconciled list: outcomes, unexplained changes, stopped medicines, incomplete directions, how many.

use super::{Facts, Hit};
use crate::workflow::list::Group;
use crate::workflow::medicine::{Gap, Line};
use crate::workflow::reconcile::{Kind, Outcome, Source};
use std::collections::BTreeSet;

/// Lines with one of these outcomes that need somebody.
pub fn outcomes(facts: &Facts<'_>, kinds: &[Kind]) -> Vec<Hit> {
    let of = |o: &&Outcome| kinds.contains(&o.kind) && !o.is_settled();
    // While no list was sent, that is what is asked for; each line would only say so again.
    let sent = facts.reconciled.sent != crate::workflow::list::Sent::Nothing;
    let lines = facts.reconciled.outcomes.iter().filter(of).filter(|o| sent || o.kind != Kind::Unclear);
    lines.filter_map(|o| about(facts, o)).collect()
}

/// A hit about what a line is about: the substances of the whole family where it is there twice, else of its first source.
fn about(facts: &Facts<'_>, outcome: &Outcome) -> Option<Hit> {
    let lead = facts.sources(&outcome.sources).next()?;
    let mut hit = Hit::of(lead);
    if outcome.kind == Kind::Duplicate {
        let twice = |s: &&Source| s.group == Group::Discharge && !s.is_ended;
        for source in facts.sources(&outcome.sources).filter(twice) {
            hit.implicated.insert(source.target.clone());
            if !hit.names.contains(&source.line.name()) {
                hit.names.push(source.line.name());
            }
        }
        hit.drugs = shared(facts, outcome);
    }
    let (names, remarks) = (hit.names.join("; "), outcome.remarks.join("; "));
    Some(hit.says("medicines", names).says("remarks", remarks))
}

/// Substances that more than one discharge line of a family has; all of them where none can be read.
fn shared(facts: &Facts<'_>, outcome: &Outcome) -> BTreeSet<String> {
    let lines: Vec<&Source> =
        facts.sources(&outcome.sources).filter(|s| s.group == Group::Discharge && !s.is_ended).collect();
    let count = |name: &str| lines.iter().filter(|s| s.line.medicine.substances().contains(&name)).count();
    let all: BTreeSet<&str> = lines.iter().flat_map(|s| s.line.medicine.substances()).collect();
    let twice: BTreeSet<String> = all.iter().filter(|n| count(n) > 1).map(|n| (*n).to_string()).collect();
    if twice.is_empty() { lines.iter().map(|s| super::drug(s)).collect() } else { twice }
}

/// Lines that go on otherwise, and nobody says why.
pub fn changed(facts: &Facts<'_>, what: &[String]) -> Vec<Hit> {
    let lines = facts.reconciled.outcomes.iter().filter(|o| o.kind == Kind::Changed && !o.is_settled());
    let mut out = Vec::new();
    for outcome in lines {
        let said = outcome.changes.iter().filter(|c| what.iter().any(|w| w == c.what));
        let said: Vec<String> = said.map(|c| format!("{} {} → {}", c.what, c.from, c.to)).collect();
        let Some(lead) = facts.sources(&outcome.sources).next().filter(|_| !said.is_empty()) else { continue };
        let mut hit = Hit::of(lead).says("changes", said.join("; "));
        hit.evidence = facts.sources(&outcome.sources).skip(1).map(|s| s.target.clone()).collect();
        out.push(hit);
    }
    out
}

/// Lines that were stopped by name, and a source of that list goes on with them.
pub fn still(facts: &Facts<'_>, group: Group) -> Vec<Hit> {
    let mut out = Vec::new();
    for outcome in facts.reconciled.outcomes.iter().filter(|o| o.kind == Kind::Stopped) {
        let of: Vec<&Source> = facts.sources(&outcome.sources).collect();
        let stopped = of.iter().find(|s| s.is_ended && s.group != Group::Told);
        let (Some(stopped), Some(goes_on)) = (stopped, of.iter().find(|s| s.group == group && !s.is_ended)) else {
            continue;
        };
        if group == Group::Dispensed && !super::supply::is_after_discharge(facts, &goes_on.target) {
            continue;
        }
        let mut hit = Hit::of(stopped);
        hit.implicated.insert(goes_on.target.clone());
        out.push(hit);
    }
    out
}

/// Discharge lines that do not say how they are taken, or what they are.
pub fn incomplete(facts: &Facts<'_>, what: &[String]) -> Vec<Hit> {
    let discharge = facts.reconciled.sources.iter().filter(|s| s.group == Group::Discharge && !s.is_ended);
    let mut out = Vec::new();
    for source in discharge {
        let lacks: Vec<&str> = what.iter().filter_map(|w| lack(&source.line, w)).collect();
        if !lacks.is_empty() {
            out.push(Hit::of(source).says("missing", lacks.join(", ")));
        }
    }
    out
}

/// What is missing, in words; `None` where it is there.
fn lack(line: &Line, what: &str) -> Option<&'static str> {
    let (regimen, medicine) = (&line.regimen, &line.medicine);
    let text = regimen.directions.iter().any(|d| !d.text.is_empty());
    let (dose, frequency) = (regimen.lacks_dose(), regimen.lacks_frequency());
    match what {
        "dose" => dose.then_some("how much"),
        "frequency" => frequency.then_some("how often"),
        // An inhaler or a cream says by its form where it goes.
        "route" => medicine.route.is_none().then_some("by which way"),
        "plain directions" => (text && dose && frequency).then_some("directions that can be understood"),
        _ => line.gaps.iter().any(|g| matches!(g, Gap::Ingredient)).then_some("which medicine it is"),
    }
}

/// So many medicines at once: one hit, about all of them.
pub fn count(facts: &Facts<'_>, least: usize) -> Vec<Hit> {
    let mut all = Hit::default();
    let mut drugs = BTreeSet::new();
    for source in facts.current() {
        all.add(source);
        drugs.insert(super::drug(source));
    }
    if drugs.len() < least {
        return Vec::new();
    }
    // About no medicine of its own: the same again, whichever they are.
    all.drugs.clear();
    vec![all.says("count", drugs.len().to_string()).says("limit", least.to_string())]
}
