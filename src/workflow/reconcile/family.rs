//! Lines that belong together - one substance, one place where it works - and what became of them.
//!
//! Not for: what differs between two lines (`compare.rs`).

use super::compare::{Change, compare};
use super::{Kind, Outcome, Source};
use crate::workflow::list::{Group, Sent};
use crate::workflow::medicine::tables::plain;
use crate::workflow::medicine::{Gap, Line, Tables};
use std::collections::BTreeMap;

/// Sources by family, as indexes; each in exactly one.
pub fn families(tables: &Tables, sources: &[Source]) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..sources.len()).collect();
    let root = |parent: &[usize], mut n: usize| {
        while let Some(up) = parent.get(n).copied().filter(|up| *up != n) {
            n = up;
        }
        n
    };
    for (n, a) in sources.iter().enumerate() {
        for (m, b) in sources.iter().enumerate().skip(n + 1) {
            if is_of_one_family(tables, &a.line, &b.line) {
                let (x, y) = (root(&parent, n), root(&parent, m));
                if let Some(slot) = parent.get_mut(x.max(y)) {
                    *slot = x.min(y);
                }
            }
        }
    }
    let mut out: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for n in 0..sources.len() {
        out.entry(root(&parent, n)).or_default().push(n);
    }
    out.into_values().collect()
}

fn is_of_one_family(tables: &Tables, a: &Line, b: &Line) -> bool {
    let (x, y) = (a.medicine.substances(), b.medicine.substances());
    if x.is_empty() || y.is_empty() {
        return is_same_unread(a, b);
    }
    let reach = |l: &Line| l.medicine.route.as_deref().map_or("", |r| tables.reach(r)).to_string();
    let (here, there) = (reach(a), reach(b));
    let meets = here == there || here.is_empty() || there.is_empty();
    meets && x.iter().any(|name| y.contains(name))
}

/// Two lines of which at least one names no substance: the same code or the same words.
fn is_same_unread(a: &Line, b: &Line) -> bool {
    !a.codes.is_disjoint(&b.codes) || !a.display.trim().is_empty() && plain(&a.display) == plain(&b.display)
}

/// One family under comparison.
pub struct Family<'a> {
    pub tables: &'a Tables,
    pub sources: &'a [Source],
    pub sent: Sent,
}

impl Family<'_> {
    fn at(&self, n: usize) -> Option<&Source> {
        self.sources.get(n)
    }

    fn of(&self, members: &[usize], group: Group, is_ended: bool) -> Vec<usize> {
        let is = |n: &&usize| self.at(**n).is_some_and(|s| s.group == group && s.is_ended == is_ended);
        members.iter().filter(is).copied().collect()
    }

    fn line(&self, n: usize) -> Option<&Line> {
        self.at(n).map(|s| &s.line)
    }

    /// What became of the family's medicines.
    pub fn outcomes(&self, members: Vec<usize>) -> Vec<Outcome> {
        let home = self.of(&members, Group::Home, false);
        let discharge = self.of(&members, Group::Discharge, false);
        if self.is_duplicate(&discharge) {
            let text = "the discharge list has the same substance more than once";
            return vec![self.outcome(Kind::Duplicate, discharge.first().copied(), members, vec![text.into()])];
        }
        let names = |list: &[usize]| -> Vec<String> {
            let lines = list.iter().filter_map(|n| self.line(*n));
            let mut names: Vec<String> = lines.map(|l| l.medicine.substances().join(" + ")).collect();
            names.sort();
            names.dedup();
            names
        };
        let (before, after) = (names(&home), names(&discharge));
        if !before.is_empty() && !after.is_empty() && (before != after || before.len() > 1) {
            // Other substances than before: one tablet for two, or one of two left out.
            let mut out = self.outcome(Kind::Changed, discharge.first().copied(), members, Vec::new());
            out.changes.push(Change { what: "substances", from: before.join("; "), to: after.join("; ") });
            return vec![out];
        }
        if discharge.is_empty() {
            let anchors = if home.is_empty() { members.clone() } else { home };
            let groups = self.gather(&anchors, &members, |a, b| self.is_same_product(a, b));
            return groups.into_iter().map(|g| self.without_discharge(g)).collect();
        }
        let shares = |a, b| {
            let (Some(a), Some(b)) = (self.line(a), self.line(b)) else { return false };
            let (x, y) = (a.medicine.substances(), b.medicine.substances());
            x.iter().any(|name| y.contains(name)) || x.is_empty() && y.is_empty()
        };
        let groups = self.gather(&discharge, &members, shares);
        groups.into_iter().flat_map(|g| self.with_discharge(g)).collect()
    }

    /// Anchors that are alike, each with the other members that are like it; what is like none goes to the first.
    fn gather(&self, anchors: &[usize], members: &[usize], alike: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for n in anchors {
            match groups.iter_mut().find(|g| g.first().is_some_and(|a| alike(*a, *n))) {
                Some(group) => group.push(*n),
                None => groups.push(vec![*n]),
            }
        }
        for n in members.iter().filter(|n| !anchors.contains(n)) {
            let found = groups.iter().position(|g| g.first().is_some_and(|a| alike(*a, *n))).unwrap_or_default();
            if let Some(group) = groups.get_mut(found) {
                group.push(*n);
            }
        }
        groups
    }

    /// Two lines of the discharge with a substance in common, unless they are one line that was sent in two types.
    fn is_duplicate(&self, discharge: &[usize]) -> bool {
        let mut told: BTreeMap<(String, String), BTreeMap<&str, usize>> = BTreeMap::new();
        for n in discharge {
            let Some(source) = self.at(*n) else { continue };
            let line = &source.line;
            let what =
                if line.medicine.ingredients.is_empty() { plain(&line.name()) } else { line.medicine.to_string() };
            let taken = line.regimen.directions.iter().map(|d| format!("{:?}{:?}", d.quantity, d.frequency)).collect();
            *told.entry((what, taken)).or_default().entry(source.target.rtype.as_str()).or_default() += 1;
        }
        let distinct: usize = told.values().map(|by_type| by_type.values().copied().max().unwrap_or_default()).sum();
        if distinct < 2 {
            return false;
        }
        discharge.iter().enumerate().any(|(k, n)| {
            discharge.iter().skip(k + 1).any(|m| {
                let (Some(a), Some(b)) = (self.line(*n), self.line(*m)) else { return false };
                let (x, y) = (a.medicine.substances(), b.medicine.substances());
                x.iter().any(|name| y.contains(name)) || x.is_empty() && y.is_empty()
            })
        })
    }

    /// The medicine goes on. The home line that is most like it is what it was before; others of the substance stand alone.
    fn with_discharge(&self, members: Vec<usize>) -> Vec<Outcome> {
        let home = self.of(&members, Group::Home, false);
        let Some(after) = self.of(&members, Group::Discharge, false).first().copied() else { return Vec::new() };
        let mut out = Vec::new();
        let mut taken = members;
        let stops: Vec<usize> =
            [Group::Home, Group::Discharge].iter().flat_map(|g| self.of(&taken, *g, true)).collect();
        // What was stopped by name stands alone, unless the same product goes on.
        let stopped = stops.iter().copied().filter(|n| !self.is_same_product(*n, after));
        let stopped: Vec<usize> = stopped.collect();
        let mut partners: Vec<usize> = Vec::new();
        for n in &home {
            match stopped.iter().find(|s| self.is_same_product(*n, **s) && !self.is_same_product(*n, after)) {
                Some(_) => {}
                None => partners.push(*n),
            }
        }
        let likeness = |n: &usize| {
            let same = |f: &dyn Fn(&Line) -> String| self.line(*n).map(f) != self.line(after).map(f);
            (!self.is_same_product(*n, after), same(&|l| l.medicine.form_text()), *n)
        };
        partners.sort_by_key(likeness);
        let before = partners.first().copied();
        let repeats = |n: &usize| before.is_some_and(|b| self.is_same_product(*n, b));
        let others: Vec<usize> = home.iter().copied().filter(|n| Some(*n) != before && !repeats(n)).collect();
        let mut alone: Vec<usize> = others.into_iter().chain(stopped).collect();
        alone.sort_unstable();
        taken.retain(|n| !alone.contains(n));
        while let Some(first) = alone.first().copied() {
            let (same, rest): (Vec<usize>, Vec<usize>) =
                alone.into_iter().partition(|n| self.is_same_product(*n, first));
            alone = rest;
            out.push(self.without_discharge(same));
        }
        out.push(self.goes_on(taken, before, after));
        out
    }

    fn goes_on(&self, members: Vec<usize>, before: Option<usize>, after: usize) -> Outcome {
        let mut remarks = self.gaps(after);
        self.told_and_dispensed(&members, after, &mut remarks);
        let Some((was, is)) = before.and_then(|n| self.line(n)).zip(self.line(after)) else {
            let started = members.iter().filter_map(|n| self.at(*n)).any(|s| s.group == Group::Stay);
            let names = self.line(after).map(|l| l.medicine.substances()).unwrap_or_default();
            let ends = started && names.iter().any(|n| self.tables.inpatient_only.contains(*n));
            let unread = names.is_empty();
            let kind = match (unread, ends) {
                (true, _) => Kind::Unclear,
                (_, true) => Kind::InpatientOnly,
                _ => Kind::New,
            };
            if ends {
                remarks.push("the stay began it, and it usually ends with the stay".into());
            }
            self.unsaid(after, &mut remarks);
            return self.outcome(kind, Some(after), members, remarks);
        };
        let compared = compare(was, is);
        let unread = was.medicine.ingredients.is_empty() || is.medicine.ingredients.is_empty();
        let contradicts = [was, is].iter().any(|l| l.gaps.iter().any(|g| matches!(g, Gap::Contradiction(_))));
        let kind = match (&compared.changes, &compared.unknown) {
            _ if contradicts => Kind::Unclear,
            _ if unread && !is_same_unread(was, is) => Kind::Unclear,
            (changes, _) if !changes.is_empty() => Kind::Changed,
            (_, unknown) if !unknown.is_empty() => Kind::Unclear,
            _ => Kind::Unchanged,
        };
        remarks.extend(compared.unknown);
        remarks.extend(compared.silent);
        let mut out = self.outcome(kind, Some(after), members, remarks);
        out.changes = compared.changes;
        out
    }

    /// No discharge line goes on with it.
    fn without_discharge(&self, members: Vec<usize>) -> Outcome {
        let home = self.of(&members, Group::Home, false);
        let has = |group| members.iter().filter_map(|n| self.at(*n)).any(|s| s.group == group);
        let ends = members.iter().filter_map(|n| self.at(*n)).any(|s| s.is_ended && s.group != Group::Told);
        let still_told = !self.of(&members, Group::Told, false).is_empty();
        let mut remarks = home.first().map(|n| self.gaps(*n)).unwrap_or_default();
        let lead = home.first().copied();
        let kind = if ends {
            if still_told {
                remarks.push("stopped, but the patient says that it is taken".into());
            }
            if has(Group::Dispensed) {
                remarks.push("stopped, but a pharmacy handed it out".into());
            }
            Kind::Stopped
        } else if !home.is_empty() && self.sent == Sent::Nothing {
            remarks.push("the discharge list was not sent".into());
            Kind::Unclear
        } else if !home.is_empty() {
            if still_told {
                remarks.push("the patient says that it is taken".into());
            }
            Kind::Omitted
        } else if still_told || has(Group::Told) || has(Group::Dispensed) {
            let what = if has(Group::Told) { "the patient speaks of it" } else { "a pharmacy handed it out" };
            remarks.push(format!("{what}, and no list has it"));
            Kind::Unclear
        } else if self.sent == Sent::Nothing {
            remarks.push("given in the stay; whether it goes on is not known: the discharge list was not sent".into());
            Kind::Unclear
        } else {
            remarks.push("given in the stay only: it ended there".into());
            Kind::Stopped
        };
        let mut out = self.outcome(kind, lead, members, remarks);
        if out.note.is_empty() && kind == Kind::Stopped && lead.is_none() && !ends {
            out.note = "It was for the stay.".into();
        }
        out
    }

    /// What the patient and pharmacies say about a medicine that goes on.
    fn told_and_dispensed(&self, members: &[usize], after: usize, remarks: &mut Vec<String>) {
        for n in self.of(members, Group::Told, false).into_iter().chain(self.of(members, Group::Dispensed, false)) {
            let (Some(source), Some(is)) = (self.at(n), self.line(after)) else { continue };
            let who = if source.group == Group::Told { "the patient takes it" } else { "a pharmacy handed it out" };
            for change in compare(is, &source.line).changes {
                remarks.push(format!(
                    "{who} otherwise than prescribed: {} {} for {}",
                    change.what, change.to, change.from
                ));
            }
        }
        if !self.of(members, Group::Told, true).is_empty() {
            remarks.push("the patient says that it is not taken".into());
        }
    }

    /// What a new line does not say.
    fn unsaid(&self, n: usize, remarks: &mut Vec<String>) {
        let Some(line) = self.line(n) else { return };
        if line.regimen.lacks_dose() {
            remarks.push("the discharge does not say the dose".into());
        }
        if line.regimen.lacks_frequency() {
            remarks.push("the discharge does not say how often".into());
        }
    }

    /// What was not to be read of a line, as far as it matters: a missing form alone does not.
    fn gaps(&self, n: usize) -> Vec<String> {
        let Some(line) = self.line(n) else { return Vec::new() };
        line.gaps.iter().filter(|g| !matches!(g, Gap::Form | Gap::Strength)).map(ToString::to_string).collect()
    }

    fn is_same_product(&self, n: usize, m: usize) -> bool {
        let (Some(a), Some(b)) = (self.line(n), self.line(m)) else { return false };
        if a.medicine.ingredients.is_empty() || b.medicine.ingredients.is_empty() {
            return is_same_unread(a, b);
        }
        a.medicine.is_same_product(&b.medicine)
    }

    fn outcome(&self, kind: Kind, lead: Option<usize>, mut members: Vec<usize>, mut remarks: Vec<String>) -> Outcome {
        members.sort_unstable();
        if let Some(at) = lead.and_then(|lead| members.iter().position(|n| *n == lead)) {
            let lead = members.remove(at);
            members.insert(0, lead);
        }
        let name = members.first().and_then(|n| self.line(*n)).map(Line::name).unwrap_or_default();
        let mut notes: Vec<&str> = Vec::new();
        let counts = |s: &&Source| s.group == Group::Discharge || s.is_ended;
        for source in members.iter().filter_map(|n| self.at(*n)).filter(counts) {
            let note = source.line.note.as_str();
            if !note.is_empty() && !notes.contains(&note) {
                notes.push(note);
            }
        }
        remarks.sort();
        remarks.dedup();
        Outcome { kind, name, sources: members, changes: Vec::new(), remarks, note: notes.join(" ") }
    }
}
