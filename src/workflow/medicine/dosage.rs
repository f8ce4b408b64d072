//! Directions: how much, how often, when, how long - out of Dosage and Timing, and out of their text where they say less.
//!
//! Not for: which medicine (`display.rs`). A dose without a unit counts pieces where the form is one that is taken whole (own
//! rule); otherwise it stays without one and says so.
//! Source: <https://hl7.org/fhir/R4/dosage.html>, <https://hl7.org/fhir/R4/datatypes.html#Timing>.

use super::tables::{Phrase, Tables, plain};
use super::{Amount, Decimal};
use crate::fhir::Json;
use std::fmt;

/// How often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frequency {
    /// Times in a period.
    pub times: Decimal,
    /// Length of the period.
    pub period: Decimal,
    /// Its longest length: every 4 to 6 hours.
    pub longest: Option<Decimal>,
    /// `s`, `min`, `h`, `d`, `wk`, `mo`, `a`.
    pub unit: String,
}

impl Frequency {
    /// (length of the unit, what it is counted in).
    fn base(&self) -> (&'static str, &'static str) {
        match self.unit.as_str() {
            "s" => ("1", "s"),
            "min" => ("60", "s"),
            "h" => ("3600", "s"),
            "d" => ("86400", "s"),
            "wk" => ("604800", "s"),
            "mo" => ("1", "mo"),
            "a" => ("12", "mo"),
            _ => ("1", ""),
        }
    }

    /// Whether both are as often: three times a day is every 8 hours.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        let length = |f: &Self, period: Decimal| period.times(Decimal::parse(f.base().0)?);
        let same = |a: Option<Decimal>, b: Option<Decimal>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let (a, b) = (length(self, a), length(other, b));
                let product = |x: Option<Decimal>, by: Decimal| x.and_then(|x| x.times(by));
                product(a, other.times).is_some() && product(a, other.times) == product(b, self.times)
            }
            _ => false,
        };
        self.base().1 == other.base().1
            && same(Some(self.period), Some(other.period))
            && same(self.longest, other.longest)
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit.as_str() {
            "s" => "second",
            "min" => "minute",
            "h" => "hour",
            "d" => "day",
            "wk" => "week",
            "mo" => "month",
            "a" => "year",
            other => other,
        };
        let is_one = self.period == Decimal::ONE && self.longest.is_none();
        match (self.times == Decimal::ONE, is_one, self.longest) {
            (true, true, _) => write!(f, "once a {unit}"),
            (false, true, _) => write!(f, "{} times a {unit}", self.times),
            (true, false, None) => write!(f, "every {} {unit}s", self.period),
            (true, false, Some(to)) => write!(f, "every {} to {to} {unit}s", self.period),
            (false, false, _) => write!(f, "{} times in {} {unit}s", self.times, self.period),
        }
    }
}

/// How much at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// At least.
    pub value: Decimal,
    /// At most, where it is a range.
    pub to: Option<Decimal>,
    /// `None`: the number came without a unit.
    pub amount: Option<Amount>,
    /// The unit as written, where no table has it.
    pub unit: String,
}

impl Quantity {
    /// Whether both are as much, as far as units tell.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        match (&self.amount, &other.amount) {
            (Some(a), Some(b)) => a.equals(b) && self.to == other.to,
            _ => self.value == other.value && self.to == other.to && self.unit == other.unit,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        let unit = self.amount.as_ref().map_or(self.unit.as_str(), |a| a.unit.as_str());
        if unit.is_empty() { write!(f, " (no unit)") } else { write!(f, " {unit}") }
    }
}

/// One dosage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Direction {
    /// How much at a time.
    pub quantity: Option<Quantity>,
    /// How often.
    pub frequency: Option<Frequency>,
    /// Times of day, codes of event-timing or `HH:MM`, sorted.
    pub when: Vec<String>,
    /// Only when needed.
    pub is_needed: bool,
    /// A single dose.
    pub is_once: bool,
    /// For how long.
    pub lasts: Option<Amount>,
    /// A code of `medicine-route`.
    pub route: Option<String>,
    /// As written.
    pub text: String,
    /// Whether the text says another frequency than the timing does.
    pub is_contradictory: bool,
}

/// All dosages of a resource, in their sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regimen {
    /// In sequence.
    pub directions: Vec<Direction>,
}

impl Regimen {
    /// Reads the dosages of a medication resource. `piece`: the unit that the form is counted in.
    #[must_use]
    pub fn read(tables: &Tables, resource: &Json, piece: Option<&str>) -> Self {
        let dosages = ["dosageInstruction", "dosage"].iter().find_map(|n| resource.get(n)).cloned().unwrap_or_default();
        let list: Vec<Json> = if let Json::Object(_) = dosages { vec![dosages] } else { dosages.items().to_vec() };
        let mut list: Vec<(i64, Direction)> =
            list.iter().map(|d| (d["sequence"].as_i64().unwrap_or_default(), direction(tables, d, piece))).collect();
        list.sort_by_key(|(sequence, _)| *sequence);
        let directions = list.into_iter().map(|(_, d)| d).filter(|d| *d != Direction::default()).collect();
        Self { directions }
    }

    /// Whether nothing is said about how much: a number of nobody knows what says nothing.
    #[must_use]
    pub fn lacks_dose(&self) -> bool {
        let says = |q: &Quantity| q.amount.is_some() || !q.unit.is_empty();
        !self.directions.iter().filter_map(|d| d.quantity.as_ref()).any(says)
    }

    /// Whether nothing is said about how often.
    #[must_use]
    pub fn lacks_frequency(&self) -> bool {
        self.directions.iter().all(|d| d.frequency.is_none() && !d.is_needed && !d.is_once)
    }

    /// The directions for people.
    #[must_use]
    pub fn text(&self) -> String {
        self.directions.iter().map(Direction::sentence).collect::<Vec<_>>().join("; then ")
    }
}

impl Direction {
    /// As written, else made of what is known.
    #[must_use]
    pub fn sentence(&self) -> String {
        if !self.text.is_empty() {
            return self.text.clone();
        }
        let mut words: Vec<String> = Vec::new();
        words.extend(self.quantity.as_ref().map(ToString::to_string));
        words.extend(self.frequency.as_ref().map(ToString::to_string));
        if self.is_needed {
            words.push("when needed".into());
        }
        if let Some(lasts) = &self.lasts {
            words.push(format!("for {lasts}"));
        }
        words.join(" ")
    }
}

fn number(json: &Json) -> Option<Decimal> {
    json.as_number().and_then(Decimal::parse)
}

/// A quantity; `piece` stands in for a unit that was not sent.
fn quantity(tables: &Tables, low: &Json, high: &Json, piece: Option<&str>) -> Option<Quantity> {
    let value = number(&low["value"]).or_else(|| number(&high["value"]))?;
    let to = number(&high["value"]).filter(|to| *to != value);
    let names = [low["code"].text(), low["unit"].text(), high["code"].text(), high["unit"].text()];
    let named = names.iter().filter(|n| !n.is_empty());
    let unit = named.clone().find_map(|n| tables.unit(n));
    let written = named.clone().next().map_or("", |n| *n);
    let unit = if written.is_empty() { piece.and_then(|p| tables.unit(p)) } else { unit };
    let amount = unit.and_then(|u| Amount::of(value, u));
    Some(Quantity { value, to, amount, unit: written.to_lowercase() })
}

fn direction(tables: &Tables, dosage: &Json, piece: Option<&str>) -> Direction {
    let instructions = dosage["additionalInstruction"].items().iter();
    let instructions = instructions.filter_map(|i| i["text"].as_str().or(i["coding"][0]["display"].as_str()));
    let text = [dosage["text"].text(), dosage["patientInstruction"].text()].into_iter().find(|t| !t.trim().is_empty());
    let told = text.map(String::from).unwrap_or_else(|| instructions.collect::<Vec<_>>().join(", "));
    let spoken = from_text(tables, &told, piece);
    let rate = dosage["doseAndRate"].items();
    let dose = rate.iter().find_map(|r| {
        let range = &r["doseRange"];
        quantity(tables, &r["doseQuantity"], &Json::Null, piece)
            .or_else(|| quantity(tables, &range["low"], &range["high"], piece))
    });
    let dose = dose.or_else(|| quantity(tables, &dosage["dose"], &Json::Null, piece));
    let repeat = &dosage["timing"]["repeat"];
    let coded = codes(&dosage["timing"]["code"]).iter().find_map(|c| tables.dosing.get(c).cloned());
    let coded = coded.unwrap_or_default();
    let mut when: Vec<String> = ["when", "timeOfDay"]
        .iter()
        .flat_map(|n| repeat[*n].items())
        .map(|w| w.text().get(..5).filter(|t| t.contains(':')).unwrap_or(w.text()).to_string())
        .collect();
    let timed = frequency(repeat, when.len()).or_else(|| coded.frequency.as_ref().map(of_phrase));
    if when.is_empty() {
        when = if coded.when.is_empty() { spoken.when.clone() } else { coded.when.clone() };
    }
    when.sort();
    when.dedup();
    let is_contradictory = match (&timed, &spoken.frequency) {
        (Some(a), Some(b)) => !a.equals(b),
        _ => false,
    };
    let bounds = &repeat["boundsDuration"];
    let lasts = number(&bounds["value"]).zip(tables.unit(bounds["code"].as_str().unwrap_or(bounds["unit"].text())));
    let route = std::iter::once(dosage["route"]["text"].text()).chain(codes(&dosage["route"]));
    let route = route.filter(|r| !r.is_empty()).find_map(|r| tables.route(r)).map(String::from);
    Direction {
        quantity: dose.or(spoken.quantity),
        frequency: timed.or(spoken.frequency),
        when,
        is_needed: dosage["asNeededBoolean"].as_bool() == Some(true)
            || dosage.get("asNeededCodeableConcept").is_some()
            || coded.is_needed
            || spoken.is_needed,
        is_once: coded.is_once || spoken.is_once,
        lasts: lasts.and_then(|(value, unit)| Amount::of(value, unit)).or(spoken.lasts),
        route,
        text: told,
        is_contradictory,
    }
}

fn codes(concept: &Json) -> Vec<&str> {
    let codings = concept["coding"].items().iter().flat_map(|c| [c["code"].text(), c["display"].text()]);
    codings.chain([concept["text"].text()]).filter(|c| !c.is_empty()).collect()
}

/// Timing.repeat; times of day alone count once a day each.
fn frequency(repeat: &Json, moments: usize) -> Option<Frequency> {
    let unit = repeat["periodUnit"].text();
    let of = |name: &str| number(&repeat[name]);
    if let (Some(period), false) = (of("period"), unit.is_empty()) {
        let times = of("frequency").or_else(|| Decimal::parse(&moments.max(1).to_string()))?;
        return (!period.is_zero()).then(|| Frequency { times, period, longest: of("periodMax"), unit: unit.into() });
    }
    let days = repeat["dayOfWeek"].items().len();
    let (times, unit) = match (moments, days) {
        (0, 0) => return None,
        (moments, 0) => (moments, "d"),
        (moments, days) => (moments.max(1) * days, "wk"),
    };
    Some(Frequency {
        times: Decimal::parse(&times.to_string())?,
        period: Decimal::ONE,
        longest: None,
        unit: unit.into(),
    })
}

fn of_phrase(frequency: &(Decimal, Decimal, Option<Decimal>, String)) -> Frequency {
    let (times, period, longest, unit) = frequency.clone();
    Frequency { times, period, longest, unit }
}

/// What a text of directions says: `half a tablet (2.5 mg) every evening for 5 days`.
fn from_text(tables: &Tables, text: &str, piece: Option<&str>) -> Direction {
    let mut out = Direction::default();
    let mut bare = String::new();
    let mut depth = 0usize;
    for c in text.chars().take(1000) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(if matches!(c, ';' | ':') { ' ' } else { c }),
            _ => {}
        }
    }
    let words: Vec<String> =
        plain(&bare).split(' ').map(|w| w.trim_end_matches('.').to_string()).filter(|w| !w.is_empty()).collect();
    let mut rest: &[String] = &words;
    let mut number: Option<Decimal> = None;
    while let Some(word) = rest.first() {
        let every = if word == "every" { rest.get(1).zip(rest.get(2)) } else { None };
        let every = every.and_then(|(n, u)| Decimal::parse(n).zip(tables.unit(u))).filter(|(_, u)| u.kind == "time");
        if let Some((n, unit)) = every {
            let unit = match unit.code.as_str() {
                "hr" => "h",
                "day" => "d",
                _ => "wk",
            };
            let every = Frequency { times: Decimal::ONE, period: n, longest: None, unit: unit.into() };
            out.frequency = out.frequency.or(Some(every));
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        let found: Option<(usize, &Phrase)> = tables.dosing.first(rest);
        if let Some((n, phrase)) = found.filter(|(n, p)| p.number.is_none() || *n < rest.len()) {
            if phrase.number.is_some() {
                number = phrase.number;
            } else {
                out.frequency = out.frequency.or_else(|| phrase.frequency.as_ref().map(of_phrase));
                out.when.extend(phrase.when.iter().cloned());
                out.is_needed |= phrase.is_needed;
                out.is_once |= phrase.is_once;
            }
            rest = rest.get(n..).unwrap_or_default();
            continue;
        }
        rest = rest.get(1..).unwrap_or_default();
        let split = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|at| *at > 0).unwrap_or(word.len());
        let (digits, glued) = word.split_at_checked(split).unwrap_or((word, ""));
        if let Some(value) = Decimal::parse(digits) {
            number = Some(value);
        }
        let unit = if glued.is_empty() || Decimal::parse(digits).is_none() { word.as_str() } else { glued };
        let Some((value, unit)) = number.zip(tables.unit(unit)).filter(|_| Decimal::parse(unit).is_none()) else {
            continue;
        };
        number = None;
        let Some(amount) = Amount::of(value, unit) else { continue };
        if unit.kind == "time" {
            out.lasts = out.lasts.or(Some(amount));
        } else if out.quantity.is_none() {
            out.quantity = Some(Quantity { value, to: None, amount: Some(amount), unit: unit.code.clone() });
        }
    }
    // `two every morning` of a tablet: two tablets.
    if let (None, Some(value), Some(unit)) = (&out.quantity, number, piece.and_then(|p| tables.unit(p))) {
        out.quantity =
            Amount::of(value, unit).map(|a| Quantity { value, to: None, amount: Some(a), unit: unit.code.clone() });
    }
    out
}
