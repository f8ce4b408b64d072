//! UCUM units: a value in base units, so that 1 g is found as 1000 mg.
//!
//! Exact decimals all the way: what is equal on paper is the same number in the index.
//! Source: <https://hl7.org/fhir/R4/search.html#quantity>, <https://ucum.org>. Own rules: a unit with an annotation
//! (`{tablets}`) equals only the very same text, and so does one on a logarithmic scale.

use lru::LruCache;
pub use octofhir_ucum::Number;
use octofhir_ucum::get_canonical_units;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The system of UCUM codes.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Characters of a code that is looked at, and codes that are remembered.
const LONGEST: usize = 60;
/// Characters of a code that may be one at all: annotations are free text.
const LONGEST_CODE: usize = 1_000;
const REMEMBERED: usize = 1_024;

/// What a unit is in base units.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The base units: `g.m-3`.
    pub base: Arc<str>,
    factor: Number,
    offset: Number,
}

type Memory = LruCache<Box<str>, Option<Unit>>;

static KNOWN: LazyLock<Mutex<Memory>> =
    LazyLock::new(|| Mutex::new(LruCache::new(NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN))));

/// The unit of a UCUM code; `None` for what is none, or has no linear base.
#[must_use]
pub fn of(code: &str) -> Option<Unit> {
    if code.is_empty() || code.len() > LONGEST || code.contains(['{', '}']) {
        return None;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(unit) = known.get(code) {
        return unit.clone();
    }
    let unit = get_canonical_units(code).ok();
    let unit = unit.map(|u| Unit { base: u.unit.as_str().into(), factor: u.factor, offset: u.offset });
    known.put(code.into(), unit.clone());
    unit
}

/// Whether UCUM's grammar and tables have a code, annotations and logarithmic units among them.
#[must_use]
pub fn is_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= LONGEST_CODE && octofhir_ucum::validate(code).is_ok()
}

impl Unit {
    /// A decimal in this unit (`5.40`, `1e2`), exactly, in base units; 28 significant digits.
    #[must_use]
    pub fn exactly(&self, decimal: &str) -> Option<Number> {
        Number::parse(decimal)?.checked_mul(self.factor)?.checked_add(self.offset)
    }

    /// What one of this unit is in base units, without the offset of a temperature.
    #[must_use]
    pub fn factor(&self) -> Number {
        self.factor
    }

    /// A decimal in this unit (`5.40`, `1e2`) as the nearest double in base units.
    #[must_use]
    pub fn in_base(&self, decimal: &str) -> Option<f64> {
        Some(self.exactly(decimal)?.to_f64()).filter(|n| n.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 search.html#quantity: UCUM units of one dimension are exactly comparable; annotations and logarithmic units
    /// are not converted.
    #[test]
    fn equal_quantities_are_the_same_number() {
        for (a, unit, b, other) in [
            ("1", "g", "1000", "mg"),
            ("0.0054", "g", "5.40", "mg"),
            ("1", "mg/dL", "10", "mg/L"),
            ("120", "min", "2", "h"),
            ("37", "Cel", "310.15", "K"),
            ("32", "[degF]", "0", "Cel"),
            ("5", "10*3/uL", "5", "10*9/L"),
            ("1", "[lb_av]", "0.45359237", "kg"),
            ("-1.5", "mmol/L", "-1500", "umol/L"),
        ] {
            let (one, two) = (of(unit).unwrap(), of(other).unwrap());
            assert_eq!(one.base, two.base, "{unit} {other}");
            assert_eq!(one.in_base(a), two.in_base(b), "{a} {unit} = {b} {other}");
        }
        for none in
            ["", "mgg", "{tablets}", "mg{a}", "[pH]", "dB", &"(".repeat(50), &"m.".repeat(30), "10*999999999999", "é"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
