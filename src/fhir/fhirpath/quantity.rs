//! Quantities: a decimal and its unit, compared and calculated with across units.
//!
//! Source: <http://hl7.org/fhirpath/N1/#quantity>, <https://hl7.org/fhir/R4/fhirpath.html#quantity>, <https://ucum.org>.
//! Years and months of the calendar equal those of UCUM (`a`, `mo`) never, and are equivalent to them.

use super::moment::Step;
use super::number::Decimal;
use crate::fhir::Json;
use crate::fhir::unit::{self, Number, UCUM};
use std::cmp::Ordering;
use std::fmt;

/// A value with a unit.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// How much.
    pub value: Decimal,
    /// Of what.
    pub unit: Unit,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A word of the calendar: `year`, `day`; in the singular.
    Calendar(&'static str),
    /// A UCUM code; `1` is no unit.
    Ucum(Box<str>),
    /// Anything else, by system and code, or by its text alone.
    Other(Box<str>, Box<str>),
}

/// The calendar's words, what UCUM calls them, and how a date is moved by them.
const CALENDAR: [(&str, &str, Step); 8] = [
    ("year", "a", Step::Year),
    ("month", "mo", Step::Month),
    ("week", "wk", Step::Week),
    ("day", "d", Step::Day),
    ("hour", "h", Step::Hour),
    ("minute", "min", Step::Minute),
    ("second", "s", Step::Second),
    ("millisecond", "ms", Step::Millisecond),
];

/// The calendar's word, singular, of `year` or `years`.
pub(super) fn calendar(word: &str) -> Option<&'static str> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    CALENDAR.iter().map(|(name, ..)| *name).find(|name| *name == word || *name == singular)
}

impl Unit {
    /// The unit of a quoted text: UCUM, or a word of the calendar.
    pub(super) fn of_text(text: &str) -> Self {
        calendar(text).map_or_else(|| Self::Ucum(text.into()), Self::Calendar)
    }

    fn one() -> Self {
        Self::Ucum("1".into())
    }

    /// The UCUM code that means the same; of years and months not exactly.
    fn ucum(&self) -> Option<&str> {
        match self {
            Self::Calendar(word) => CALENDAR.iter().find(|(name, ..)| name == word).map(|(_, code, _)| *code),
            Self::Ucum(code) => Some(code),
            Self::Other(..) => None,
        }
    }

    /// Whether one is a year or month of the calendar and the other of UCUM.
    fn mixes_calendars(&self, other: &Self) -> bool {
        let vague = |unit: &Self| matches!(unit, Self::Calendar("year" | "month"));
        (vague(self) || vague(other)) && matches!(self, Self::Calendar(_)) != matches!(other, Self::Calendar(_))
    }

    /// How a date moves by it: exact durations of UCUM only, years and months only of the calendar.
    pub(super) fn step(&self) -> Option<Step> {
        match self {
            Self::Calendar(word) => CALENDAR.iter().find(|(name, ..)| name == word).map(|(.., step)| *step),
            Self::Ucum(code) => {
                CALENDAR.iter().find(|(_, ucum, step)| *ucum == &**code && *step > Step::Month).map(|(.., step)| *step)
            }
            Self::Other(..) => None,
        }
    }
}

impl Quantity {
    /// So many of nothing.
    pub(super) fn plain(value: Decimal) -> Self {
        Self { value, unit: Unit::one() }
    }

    /// A FHIR Quantity; `None` without a value.
    pub(super) fn of(json: &Json) -> Option<Self> {
        let value = Decimal::parse(json["value"].as_number()?)?;
        let (system, code, text) = (json["system"].text(), json["code"].text(), json["unit"].text());
        let unit = match (system, code) {
            (UCUM, code) if !code.is_empty() => Unit::Ucum(code.into()),
            (_, "") if text.is_empty() => Unit::one(),
            (_, "") => Unit::Other("".into(), text.into()),
            (system, code) => Unit::Other(system.into(), code.into()),
        };
        Some(Self { value, unit })
    }

    /// Reads `1.5`, `1 'mg'`, `2 days`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
        let (number, rest) = text.split_at_checked(end)?;
        let value = Decimal::parse(number)?;
        let unit = rest.trim_start();
        if unit.is_empty() {
            return rest.is_empty().then(|| Self::plain(value));
        }
        let quoted = unit.strip_prefix('\'').and_then(|u| u.strip_suffix('\'')).filter(|u| !u.is_empty());
        let unit = match quoted {
            Some(code) => Unit::of_text(code),
            None => Unit::Calendar(calendar(unit)?),
        };
        Some(Self { value, unit })
    }

    fn in_base(&self) -> Option<(std::sync::Arc<str>, Number)> {
        let unit = unit::of(self.unit.ucum()?)?;
        let value = unit.exactly(&format!("{}e{}", self.value.digits, -i64::from(self.value.scale)))?;
        Some((unit.base, value))
    }

    /// Whether the units measure the same.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        self.unit == other.unit || matches!((self.in_base(), other.in_base()), (Some((a, _)), Some((b, _))) if a == b)
    }

    /// How they compare; `None` when units differ in kind.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.unit == other.unit {
            return Some(self.value.cmp(&other.value));
        }
        if self.unit.mixes_calendars(&other.unit) {
            return None;
        }
        let ((a, x), (b, y)) = (self.in_base()?, other.in_base()?);
        (a == b).then(|| x.cmp(&y))
    }

    /// Whether they are the same as far as the less precise of the two goes.
    pub(super) fn is_equivalent(&self, other: &Self) -> bool {
        if self.unit == other.unit {
            return super::equality::decimals_equivalent(self.value, other.value);
        }
        let (Some(a), Some(b)) = (self.unit.ucum().and_then(unit::of), other.unit.ucum().and_then(unit::of)) else {
            return false;
        };
        if a.base != b.base {
            return false;
        }
        // In the larger of the two units.
        let (large, small, ratio) = if a.factor() >= b.factor() {
            (self.value, other.value, b.factor().checked_div(a.factor()))
        } else {
            (other.value, self.value, a.factor().checked_div(b.factor()))
        };
        let ratio = ratio.and_then(|ratio| Decimal::parse(&ratio.to_string()));
        ratio.and_then(|r| small.mul(r)).is_some_and(|small| super::equality::decimals_equivalent(large, small))
    }

    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let unit = self.combined(other, |a, b| match (a, b) {
            ("1", b) => b.to_owned(),
            (a, "1") => a.to_owned(),
            (a, b) => format!("{}.{}", grouped(a), grouped(b)),
        })?;
        Some(Self { value: self.value.mul(other.value)?, unit })
    }

    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        let unit = self.combined(other, |a, b| match (a, b) {
            (a, "1") => a.to_owned(),
            (a, b) if a == b => "1".to_owned(),
            (a, b) => format!("{}/{}", grouped(a), grouped(b)),
        })?;
        Some(Self { value: self.value.div(other.value)?, unit })
    }

    fn combined(&self, other: &Self, with: impl Fn(&str, &str) -> String) -> Option<Unit> {
        match (&self.unit, &other.unit) {
            // A multiple of a year is a year.
            (unit, Unit::Ucum(one)) if &**one == "1" => Some(unit.clone()),
            (a, b) => {
                let code = with(a.ucum()?, b.ucum()?);
                (code == "1" || unit::of(&code).is_some()).then(|| Unit::Ucum(code.into()))
            }
        }
    }

    /// The sum, in the unit of the first.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let value = if self.unit == other.unit {
            other.value
        } else {
            if self.unit.mixes_calendars(&other.unit) {
                return None;
            }
            let (a, b) = (unit::of(self.unit.ucum()?)?, unit::of(other.unit.ucum()?)?);
            let ratio = (a.base == b.base).then(|| b.factor().checked_div(a.factor())).flatten()?;
            other.value.mul(Decimal::parse(&ratio.to_string())?)?
        };
        Some(Self { value: self.value.add(value)?, unit: self.unit.clone() })
    }

    pub(super) fn negated(&self) -> Self {
        Self { value: self.value.negated(), unit: self.unit.clone() }
    }
}

/// A unit as part of a larger one.
fn grouped(unit: &str) -> String {
    if unit.contains(['/', '.']) { format!("({unit})") } else { unit.to_owned() }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.value == Decimal::from(1) { "" } else { "s" };
        match &self.unit {
            Unit::Calendar(word) => write!(f, "{} {word}{plural}", self.value),
            Unit::Ucum(code) => write!(f, "{} '{code}'", self.value),
            Unit::Other(_, code) => write!(f, "{} '{code}'", self.value),
        }
    }
}
