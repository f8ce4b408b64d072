//! Two lines of one medicine, before and after: what changed, and what is not to be told.
//!
//! Not for: which two lines belong together (`family.rs`). A dose is compared as what the patient takes: one tablet of 5 mg
//! is two of 2.5 mg.

use crate::workflow::medicine::dosage::{Direction, Quantity};
use crate::workflow::medicine::{Amount, Decimal, Line, Medicine};

/// What changed, from what to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `strength`, `form`, `route`, `salt`, `dose`, `frequency`, `time of day`, `when needed`, `duration`, `directions`,
    /// `substances`.
    pub what: &'static str,
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What differs.
    pub changes: Vec<Change>,
    /// What cannot be told: with these it is not known to be unchanged.
    pub unknown: Vec<String>,
    /// Said by neither list.
    pub silent: Vec<String>,
}

impl Compared {
    fn change(&mut self, what: &'static str, from: impl Into<String>, to: impl Into<String>) {
        self.changes.push(Change { what, from: from.into(), to: to.into() });
    }

    /// One list says it, the other does not.
    fn one_sided(&mut self, what: &str, is_before: bool) {
        let which = if is_before { "only the home list says the" } else { "the home list does not say the" };
        self.unknown.push(format!("{which} {what}"));
    }
}

/// Compares the same medicine before and after the stay.
pub fn compare(before: &Line, after: &Line) -> Compared {
    let mut out = Compared::default();
    products(&before.medicine, &after.medicine, &mut out);
    directions(before, after, &mut out);
    out
}

fn products(a: &Medicine, b: &Medicine, out: &mut Compared) {
    let has = |m: &Medicine| !m.parts.is_empty() || m.ingredients.iter().all(|i| i.strength.is_some());
    match (has(a), has(b)) {
        (true, true) if !a.has_strength_of(b) => out.change("strength", a.strength(), b.strength()),
        (true, true) => {}
        (false, false) => out.silent.push("no list says the strength".into()),
        (is_before, _) => out.one_sided("strength", is_before),
    }
    let salts = |m: &Medicine| m.ingredients.iter().map(|i| i.salt.clone()).collect::<Vec<_>>();
    for (a, b) in salts(a).into_iter().zip(salts(b)) {
        if let (Some(a), Some(b)) = (a, b)
            && a != b
        {
            out.change("salt", a, b);
        }
    }
    match (&a.form, &b.form) {
        (Some(x), Some(y)) if x != y || a.qualities != b.qualities => out.change("form", a.form_text(), b.form_text()),
        (Some(_), Some(_)) => {}
        (x, _) if a.qualities != b.qualities => out.one_sided("form", x.is_some()),
        _ => {}
    }
    if let (Some(x), Some(y)) = (&a.route, &b.route)
        && x != y
    {
        out.change("route", x.as_str(), y.as_str());
    }
}

fn directions(before: &Line, after: &Line, out: &mut Compared) {
    let (a, b) = (&before.regimen, &after.regimen);
    if a.directions.iter().chain(&b.directions).any(|d| d.is_contradictory) {
        out.unknown.push("the text of the directions and their timing say different things".into());
    }
    let ([x], [y]) = (a.directions.as_slice(), b.directions.as_slice()) else {
        if a.directions.is_empty() && b.directions.is_empty() {
            out.silent.push("no list says how it is taken".into());
        } else if a.directions.is_empty() || b.directions.is_empty() {
            out.one_sided("directions", b.directions.is_empty());
        } else if a.text() != b.text() {
            out.change("directions", a.text(), b.text());
        }
        return;
    };
    doses((before, x), (after, y), out);
    match (&x.frequency, &y.frequency) {
        (Some(f), Some(g)) if !f.equals(g) => out.change("frequency", f.to_string(), g.to_string()),
        (Some(_), Some(_)) => {}
        // What is taken when needed needs no frequency.
        (None, None) if x.is_needed && y.is_needed => {}
        (None, None) if x.text == y.text && !x.text.is_empty() => {}
        (None, None) => out.silent.push("no list says how often".into()),
        (f, _) if x.is_needed == y.is_needed => out.one_sided("frequency", f.is_some()),
        _ => {}
    }
    if x.is_needed != y.is_needed {
        let words = |d: &Direction| match (d.is_needed, &d.frequency) {
            (true, _) => "when needed".to_string(),
            (false, Some(f)) => f.to_string(),
            (false, None) => "regularly".to_string(),
        };
        out.change("when needed", words(x), words(y));
    }
    let same_rate = matches!((&x.frequency, &y.frequency), (Some(f), Some(g)) if f.equals(g));
    if same_rate && !x.when.is_empty() && !y.when.is_empty() && x.when != y.when {
        out.change("time of day", x.when.join(", "), y.when.join(", "));
    }
    let lasts = |d: &Direction| d.lasts.as_ref().map(ToString::to_string);
    if x.lasts.as_ref().map(|l| &l.base) != y.lasts.as_ref().map(|l| &l.base) {
        let words = |d| lasts(d).unwrap_or_else(|| "without an end".into());
        out.change("duration", words(x), words(y));
    }
}

fn doses((before, x): (&Line, &Direction), (after, y): (&Line, &Direction), out: &mut Compared) {
    match (&x.quantity, &y.quantity) {
        (None, None) if x.text == y.text && !x.text.is_empty() => {}
        (None, None) => out.silent.push("no list says the dose".into()),
        (Some(_), None) => out.one_sided("dose", true),
        (None, Some(_)) => out.one_sided("dose", false),
        (Some(p), Some(q)) => {
            let taken = taken(&before.medicine, p).zip(taken(&after.medicine, q));
            let words = |line: &Line, q: &Quantity| match mass(&line.medicine, q) {
                Some(mass) => format!("{q} ({mass})"),
                None => q.to_string(),
            };
            let is_same = match &taken {
                Some((a, b)) => {
                    a == b && p.to == q.to || p.equals(q) && before.medicine.has_strength_of(&after.medicine)
                }
                None => p.equals(q),
            };
            let comparable = match (&taken, &p.amount, &q.amount) {
                (Some((a, b)), ..) => a.1 == b.1,
                (None, Some(a), Some(b)) => a.base.1 == b.base.1,
                (None, None, None) => true,
                _ => false,
            };
            if is_same {
                if p.amount.is_none() {
                    out.silent.push("the dose has no unit".into());
                }
            } else if comparable {
                out.change("dose", words(before, p), words(after, q));
            } else {
                let text = format!("the doses are in units that do not compare: {p} and {q}");
                out.unknown.push(text);
            }
        }
    }
}

/// What is taken at a time, in a base unit: of one substance as its mass, else as pieces or volume.
fn taken(medicine: &Medicine, quantity: &Quantity) -> Option<(Decimal, String)> {
    let amount = quantity.amount.as_ref()?;
    let [one] = medicine.ingredients.as_slice() else { return Some(amount.base.clone()) };
    let Some(strength) = &one.strength else { return Some(amount.base.clone()) };
    let of = &strength.amount.base;
    match (&strength.per, amount.kind.as_str()) {
        (None, "piece") => Some((amount.base.0.times(of.0)?, of.1.clone())),
        (Some(per), _) if per.base.1 == amount.base.1 && per.base.0 == Decimal::ONE => {
            Some((amount.base.0.times(of.0)?, of.1.clone()))
        }
        _ => Some(amount.base.clone()),
    }
}

/// The same for people, where it says more than the dose itself.
fn mass(medicine: &Medicine, quantity: &Quantity) -> Option<String> {
    let [one] = medicine.ingredients.as_slice() else { return None };
    let strength: &Amount = &one.strength.as_ref()?.amount;
    let (value, unit) = taken(medicine, quantity)?;
    let is_other = quantity.amount.as_ref().is_some_and(|a| a.base.1 != unit);
    let unit = if unit == strength.base.1 && strength.base.1 == "unt" { "units".to_string() } else { unit };
    is_other.then(|| format!("{value} {unit}"))
}
