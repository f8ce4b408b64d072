//! Numbers: a value of a resource is a point, a value of a query is as wide as its digits are precise.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#number>. `100` is 99.5 up to (not with) 100.5, `100.00` 99.995 to 100.005,
//! `1e2` 95 to 105: there the page counts one digit more than the text has. With `gt`, `lt`, `ge`, `le`, `sa` and `eb` the
//! number is taken as exact.

use super::{Bounds, Prefix, Sink};
use crate::fhir::Json;
use crate::fhir::unit::Unit;
use crate::search::rows::ordered;

/// A decimal as digits and exponent: `5.40` is (540, -2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    exponent: i32,
    /// Written as `1e2`, without a point.
    bare_exponent: bool,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let unsigned = whole.strip_prefix(['-', '+', ' ']).unwrap_or(whole);
        let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        let dangling = mantissa.contains('.') && fraction.is_empty();
        if unsigned.is_empty()
            || dangling
            || !all_digits(unsigned)
            || !all_digits(fraction)
            || unsigned.len() + fraction.len() > 30
        {
            return None;
        }
        let magnitude: i128 = format!("{unsigned}{fraction}").parse().ok()?;
        let power: i32 = match exponent {
            Some(text) => text.trim_start_matches('+').parse().ok().filter(|e| (-300..=300).contains(e))?,
            None => 0,
        };
        Some(Self {
            digits: if whole.starts_with('-') { -magnitude } else { magnitude },
            exponent: power - i32::try_from(fraction.len()).ok()?,
            bare_exponent: exponent.is_some() && fraction.is_empty(),
        })
    }

    /// Half a unit of the last digit below and above, correctly rounded.
    fn around(self, unit: Option<&Unit>) -> Option<(f64, f64)> {
        let (step, power) = if self.bare_exponent { (100, 2) } else { (10, 1) };
        let scaled = self.digits.checked_mul(step)?;
        Some((double(scaled - 5, self.exponent - power, unit)?, double(scaled + 5, self.exponent - power, unit)?))
    }

    /// A tenth of the value (or half a unit, whichever is more) below and above.
    fn about(self, unit: Option<&Unit>) -> Option<(f64, f64)> {
        let (low, high) = self.around(unit)?;
        let scaled = self.digits.checked_mul(10)?;
        let tenth = self.digits.abs();
        let wide = (double(scaled - tenth, self.exponent - 1, unit)?, double(scaled + tenth, self.exponent - 1, unit)?);
        Some((low.min(wide.0), high.max(wide.1)))
    }

    fn exact(self, unit: Option<&Unit>) -> Option<f64> {
        double(self.digits, self.exponent, unit)
    }
}

/// The nearest double; of a value with a unit, in base units.
fn double(digits: i128, exponent: i32, unit: Option<&Unit>) -> Option<f64> {
    let text = format!("{digits}e{exponent}");
    match unit {
        Some(unit) => unit.in_base(&text),
        None => text.parse().ok().filter(|n: &f64| n.is_finite()),
    }
}

/// The number of a JSON text in the order of `idx_range`.
#[must_use]
pub fn point(text: &str) -> Option<i64> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).map(ordered)
}

/// Lowest and highest of a number or Range.
#[must_use]
pub fn of(value: &Json) -> Option<(i64, i64)> {
    match value {
        Json::Number(text) => point(text).map(|n| (n, n)),
        Json::Object(_) => {
            let end = |name: &str| value[name]["value"].as_number().and_then(point);
            let (low, high) = (end("low"), end("high"));
            (low.is_some() || high.is_some()).then(|| (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX)))
        }
        _ => None,
    }
}

pub(in crate::search) fn extract(value: &Json, sink: &mut Sink<'_>) {
    if let Some((lo, hi)) = of(value) {
        sink.rows.range.push((sink.place.key(), lo, hi));
        sink.found.note_range(lo, hi);
    }
}

/// Bounds of one value of a query.
pub(in crate::search) fn bounds(value: &str) -> Result<Vec<Bounds>, String> {
    bounds_in(value, None)
}

/// Bounds of one value of a query; with a unit, in base units.
pub(super) fn bounds_in(value: &str, unit: Option<&Unit>) -> Result<Vec<Bounds>, String> {
    let (prefix, text) = Prefix::split(value)?;
    let bad = || {
        format!(
            "'{}' is no number; write 100, 5.40 or 1e2, with a prefix if you like",
            crate::fhir::resource::printable(text)
        )
    };
    let decimal = Decimal::parse(text).ok_or_else(bad)?;
    let (a, b) = match prefix {
        // The upper end is not part of the range.
        Prefix::Eq | Prefix::Ne => decimal.around(unit).map(|(a, b)| (ordered(a), ordered(b) - 1)),
        Prefix::Ap => decimal.about(unit).map(|(a, b)| (ordered(a), ordered(b))),
        _ => decimal.exact(unit).map(|n| (ordered(n), ordered(n))),
    }
    .ok_or_else(bad)?;
    Ok(Bounds::of(prefix, a, b))
}
