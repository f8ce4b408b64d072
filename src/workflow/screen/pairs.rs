//! Conditions on two medicines: of one class, of classes that must not meet, from different hands.

use super::{Facts, Hit, Rules};
use crate::fhir::Target;
use crate::workflow::element;
use crate::workflow::reconcile::Source;
use std::collections::BTreeSet;

/// Every two medicines that are taken, of different substances, each two once.
fn couples<'a>(facts: &'a Facts<'_>) -> Vec<(&'a Source, &'a Source)> {
    let mut all = facts.current();
    all.sort_by_cached_key(|s| (super::drug(s), s.target.clone()));
    let mut out = Vec::new();
    for (n, a) in all.iter().enumerate() {
        for b in all.iter().skip(n + 1) {
            let (x, y) = (a.line.medicine.substances(), b.line.medicine.substances());
            if !x.is_empty() && !y.is_empty() && !x.iter().any(|s| y.contains(s)) {
                out.push((*a, *b));
            }
        }
    }
    out
}

fn both(a: &Source, b: &Source) -> Hit {
    let mut hit = Hit::of(a);
    hit.add(b);
    hit.says("other", b.line.name())
}

/// Whether both work in the same place, as far as is known: drops for the eye are no second tablet.
fn meet(facts: &Facts<'_>, a: &Source, b: &Source) -> bool {
    let reach = |s: &Source| s.line.medicine.route.as_deref().map_or("", |r| facts.tables.reach(r)).to_string();
    let (x, y) = (reach(a), reach(b));
    x.is_empty() || y.is_empty() || x == y
}

/// The name of a class of that kind that both belong to.
fn common(rules: &Rules, kind: &str, a: &Source, b: &Source) -> Option<String> {
    let (x, y) = (a.line.medicine.substances(), b.line.medicine.substances());
    let holds = |names: &[&str], class: &super::classes::Class| names.iter().any(|s| class.holds(s));
    let mut classes = rules.classes.of_kind(kind);
    classes.find(|(_, c)| holds(&x, c) && holds(&y, c)).map(|(_, c)| c.display.clone())
}

/// Two medicines of one class.
pub fn same_class(rules: &Rules, facts: &Facts<'_>, kind: &str) -> Vec<Hit> {
    let couples = couples(facts).into_iter().filter(|(a, b)| meet(facts, a, b));
    couples.filter_map(|(a, b)| Some(both(a, b).says("class", common(rules, kind, a, b)?))).collect()
}

/// Two medicines of a pair of classes that must not meet.
pub fn interactions(rules: &Rules, facts: &Facts<'_>) -> Vec<Hit> {
    let mut out = Vec::new();
    for (a, b) in couples(facts) {
        let holds = |class: &str, s: &Source| {
            let substances = s.line.medicine.substances();
            rules.classes.get(class).is_some_and(|c| substances.iter().any(|name| c.holds(name)))
        };
        let fits = |(x, y): &(String, String)| holds(x, a) && holds(y, b) || holds(x, b) && holds(y, a);
        let effects: Vec<&str> =
            rules.classes.pairs.iter().filter(|p| fits(&p.classes)).map(|p| p.effect.as_str()).collect();
        if !effects.is_empty() {
            out.push(both(a, b).says("effect", effects.join(" ")));
        }
    }
    out
}

/// Whether two medicines are similar: a mechanism or a purpose in common.
fn similar(rules: &Rules, a: &Source, b: &Source) -> bool {
    ["mechanism", "benefit"].iter().any(|kind| common(rules, kind, a, b).is_some())
}

/// Similar medicines that different prescribers ordered.
pub fn prescribers(rules: &Rules, facts: &Facts<'_>) -> Vec<Hit> {
    let by = |s: &Source| {
        let requester = &facts.resources.get(&s.target)?["requester"];
        element::leads_to(requester, facts.base).filter(|t| t.rtype.as_str() != "Organization")
    };
    let mut out = Vec::new();
    for (a, b) in couples(facts).into_iter().filter(|(a, b)| meet(facts, a, b) && similar(rules, a, b)) {
        if let (Some(x), Some(y)) = (by(a), by(b))
            && x != y
        {
            out.push(both(a, b).says("first", x.to_string()).says("second", y.to_string()));
        }
    }
    out
}

/// Medicines, the same or similar, that different pharmacies handed out after the discharge.
pub fn pharmacies(rules: &Rules, facts: &Facts<'_>) -> Vec<Hit> {
    let by = |s: &Source| -> BTreeSet<Target> {
        let dispense = facts.resources.get(&s.target);
        let performers = dispense.map(|d| d["performer"].items()).unwrap_or_default();
        let actors = performers.iter().filter_map(|p| element::leads_to(&p["actor"], facts.base));
        actors.filter(|t| t.rtype.as_str() == "Organization").collect()
    };
    let group = crate::workflow::list::Group::Dispensed;
    let handed: Vec<&Source> = facts
        .reconciled
        .sources
        .iter()
        .filter(|s| s.group == group && super::supply::is_after_discharge(facts, &s.target))
        .collect();
    let mut out = Vec::new();
    for (n, a) in handed.iter().enumerate() {
        for b in handed.iter().skip(n + 1) {
            let (x, y) = (by(a), by(b));
            let is_same = a.line.medicine.substances().iter().any(|s| b.line.medicine.substances().contains(s));
            if let (Some(one), Some(two)) = (x.first(), y.first())
                && x.is_disjoint(&y)
                && (is_same || similar(rules, a, b))
            {
                out.push(both(a, b).says("first", one.to_string()).says("second", two.to_string()));
            }
        }
    }
    out
}
