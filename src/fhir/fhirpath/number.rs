//! Decimals that are exact: what was written, digit for digit.
//!
//! For: numbers of FHIRPath. Sums, differences, products and comparisons are exact as long as the result has at most 38
//! digits; a quotient has at least 19 significant digits. Roots, logarithms and fractional powers pass through doubles,
//! as their results have no end anyway.
//! Source: <http://hl7.org/fhirpath/N1/#decimal>, <https://hl7.org/fhir/R4/datatypes.html#decimal>.

use std::cmp::Ordering;
use std::fmt;

/// `digits` × 10^-`scale`. The scale is what was written: `1.50` has 2, `9.5e2` has -1.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    pub(super) digits: i128,
    pub(super) scale: i32,
}

/// 10^38 does not fit with a sign and room to carry; 38 digits always fit.
const MOST_DIGITS: u32 = 38;
/// Exponents beyond are no measurement.
const MOST_SCALE: i32 = 10_000;

/// How to lose digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    HalfUp,
    Down,
    Floor,
    Ceiling,
}

fn ten(n: u32) -> Option<i128> {
    10_i128.checked_pow(n)
}

impl Decimal {
    pub(super) fn new(digits: i128, scale: i32) -> Self {
        Self { digits, scale }
    }

    /// Reads `1.50`, `-2`, `9.5e2`; `None` for anything else, or more than 38 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, exponent) = match text.split_once(['e', 'E']) {
            Some((body, exponent)) => (body, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, body) = match body.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, body.strip_prefix('+').unwrap_or(body)),
        };
        let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
        if whole.is_empty() || (fraction.is_empty() && body.contains('.')) {
            return None;
        }
        let mut digits = 0_i128;
        for b in whole.bytes().chain(fraction.bytes()) {
            if !b.is_ascii_digit() {
                return None;
            }
            digits = digits.checked_mul(10)?.checked_add(i128::from(b - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let out = Self::new(if negative { -digits } else { digits }, scale);
        (scale.abs() <= MOST_SCALE && out.count() <= MOST_DIGITS).then_some(out)
    }

    /// The nearest decimal of 15 significant digits.
    pub(super) fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{value:.14e}");
        Self::parse(&text).map(Self::trimmed)
    }

    pub(super) fn to_f64(self) -> f64 {
        format!("{}e{}", self.digits, -i64::from(self.scale)).parse().unwrap_or(f64::NAN)
    }

    /// How many digits it has.
    fn count(self) -> u32 {
        self.digits.unsigned_abs().checked_ilog10().map_or(1, |n| n + 1)
    }

    /// Digits as written, for `precision()`: `1.58700` has 5 after the point.
    pub(super) fn places(self) -> u32 {
        u32::try_from(self.scale).unwrap_or(0)
    }

    /// The same value without zeros at its end.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The same value with at least so many places after the point.
    fn stretched(self, scale: i32) -> Option<Self> {
        let more = u32::try_from(scale.checked_sub(self.scale)?).unwrap_or(0);
        Some(Self::new(self.digits.checked_mul(ten(more)?)?, self.scale.max(scale)))
    }

    /// With `scale` places after the point, losing what does not fit.
    pub(super) fn rounded(self, scale: i32, how: Rounding) -> Option<Self> {
        if scale >= self.scale {
            return self.stretched(scale);
        }
        let drop = u32::try_from(self.scale.checked_sub(scale)?).ok()?;
        let Some(unit) = ten(drop) else {
            // All digits go.
            let digits = match how {
                Rounding::Ceiling if self.digits > 0 => 1,
                Rounding::Floor if self.digits < 0 => -1,
                _ => 0,
            };
            return Some(Self::new(digits, scale));
        };
        let (quotient, rest) = (self.digits / unit, self.digits % unit);
        let away = self.digits.signum();
        let carry = match how {
            Rounding::Down => 0,
            Rounding::HalfUp if rest.unsigned_abs() * 2 >= unit.unsigned_abs() => away,
            Rounding::Floor if rest < 0 => -1,
            Rounding::Ceiling if rest > 0 => 1,
            _ => 0,
        };
        Some(Self::new(quotient + carry, scale))
    }

    /// Rounded to so many significant digits, where it has more.
    fn significant(self, digits: u32) -> Option<Self> {
        let over = i32::try_from(self.count().saturating_sub(digits)).ok()?;
        self.rounded(self.scale.checked_sub(over)?, Rounding::HalfUp)
    }

    fn checked(self) -> Option<Self> {
        (self.count() <= MOST_DIGITS && self.scale.abs() <= MOST_SCALE).then_some(self)
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.stretched(scale)?, other.stretched(scale)?);
        Self::new(a.digits.checked_add(b.digits)?, scale).checked()
    }

    pub(super) fn negated(self) -> Self {
        Self::new(-self.digits, self.scale)
    }

    pub(super) fn sub(self, other: Self) -> Option<Self> {
        self.add(other.negated())
    }

    pub(super) fn mul(self, other: Self) -> Option<Self> {
        let exact =
            |a: Self, b: Self| Self::new(a.digits.checked_mul(b.digits)?, a.scale.checked_add(b.scale)?).checked();
        exact(self, other).or_else(|| exact(self.significant(19)?, other.significant(19)?))
    }

    pub(super) fn div(self, other: Self) -> Option<Self> {
        if other.digits == 0 {
            return None;
        }
        let other = other.significant(19)?;
        let room = MOST_DIGITS.saturating_sub(self.count());
        let (top, scale) = (self.digits.checked_mul(ten(room)?)?, self.scale.checked_add(i32::try_from(room).ok()?)?);
        let (mut quotient, rest) = (top / other.digits, top % other.digits);
        if rest.unsigned_abs() * 2 >= other.digits.unsigned_abs() {
            quotient += if (top < 0) == (other.digits < 0) { 1 } else { -1 };
        }
        let mut out = Self::new(quotient, scale.checked_sub(other.scale)?);
        if rest != 0 {
            out = out.significant(28)?;
        }
        out = out.trimmed();
        if out.scale < 0 { out.stretched(0)?.checked() } else { out.checked() }
    }

    /// How often the other fits, without the rest.
    pub(super) fn whole_div(self, other: Self) -> Option<Self> {
        if other.digits == 0 {
            return None;
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.stretched(scale)?, other.stretched(scale)?);
        Some(Self::new(a.digits / b.digits, 0))
    }

    /// What is left of [`Decimal::whole_div`].
    pub(super) fn rest(self, other: Self) -> Option<Self> {
        if other.digits == 0 {
            return None;
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.stretched(scale)?, other.stretched(scale)?);
        Some(Self::new(a.digits % b.digits, scale))
    }

    /// A whole power, exactly.
    pub(super) fn power(self, exponent: i64) -> Option<Self> {
        let mut out = Self::new(1, 0);
        for _ in 0..u8::try_from(exponent.unsigned_abs()).ok()? {
            out = out.mul(self)?;
        }
        if exponent < 0 { Self::new(1, 0).div(out) } else { Some(out) }
    }

    /// As a whole number, where it is one.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        let whole = self.rounded(0, Rounding::Down)?;
        (self.cmp(&whole) == Ordering::Equal).then(|| i64::try_from(whole.digits).ok()).flatten()
    }

    /// Half of the unit of the last digit: what was written stands for everything that close.
    pub(super) fn half_unit(self) -> Self {
        Self::new(5, self.scale + 1)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.digits.signum().cmp(&other.digits.signum());
        if signs != Ordering::Equal || self.digits == 0 {
            return signs;
        }
        // Where the first digit stands decides, unless both stand at the same place.
        let first = |d: &Self| i64::from(d.count()) - i64::from(d.scale);
        match first(self).cmp(&first(other)) {
            Ordering::Equal => {}
            order if self.digits < 0 => return order.reverse(),
            order => return order,
        }
        let scale = self.scale.max(other.scale);
        match (self.stretched(scale), other.stretched(scale)) {
            (Some(a), Some(b)) => a.digits.cmp(&b.digits),
            _ => Ordering::Equal, // cannot be: both have at most 38 digits from the same first place on
        }
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self::new(i128::from(n), 0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let Ok(places) = usize::try_from(self.scale) else {
            let zeros = if self.digits == 0 { 0 } else { usize::try_from(-self.scale).unwrap_or(0) };
            return write!(f, "{sign}{digits}{:0<zeros$}", "");
        };
        if places == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn what_is_written_comes_back() {
        for text in ["0", "1.50", "-0.0034", "0.00000001", "1234567890987654321.0", "-12"] {
            assert_eq!(d(text).to_string(), text);
        }
        assert_eq!((d("9.5e2").to_string(), d("1E-24").to_string().len()), ("950".into(), 26));
        for text in ["", "1.", ".5", "1e", "a", "1.2.3", "１", "1e99999", &"9".repeat(39)] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    /// FHIRPath #math-2: Arithmetic of decimals is exact up to 38 digits.
    #[test]
    fn arithmetic_is_exact() {
        for (a, op, b, wanted) in [
            ("0.1", '+', "0.2", "0.3"),
            ("1.8", '-', "1.2", "0.6"),
            ("1.2", '*', "1.8", "2.16"),
            ("1", '/', "8", "0.125"),
            ("1", '/', "3", "0.3333333333333333333333333333"),
            ("4.0", '/', "2.0", "2"),
            ("100", '/', "0.5", "200"),
            ("12345678901234567890.123456789", '+', "0.000000000000000001", "12345678901234567890.123456789000000001"),
        ] {
            let out = match op {
                '+' => d(a).add(d(b)),
                '-' => d(a).sub(d(b)),
                '*' => d(a).mul(d(b)),
                _ => d(a).div(d(b)),
            };
            assert_eq!(out.unwrap().to_string(), wanted, "{a} {op} {b}");
        }
        assert_eq!((d("1").div(d("0")), d("5").rest(d("0.0"))), (None, None));
        assert_eq!(d("2.2").rest(d("1.8")).unwrap().to_string(), "0.4");
        assert_eq!(d("2").power(10).unwrap().to_string(), "1024");
        assert_eq!((d("10").power(200).map(|n| n == d("1e200")), d("2").power(300)), (Some(true), None));
    }

    #[test]
    fn order_looks_at_the_value_and_not_at_the_text() {
        assert!(d("1.10") == d("1.1") && d("950") == d("9.5e2") && d("-0.0") == d("0"));
        for (less, more) in
            [("1", "1.0000000000000000000000000001"), ("-2", "1"), ("-2", "-1.99"), ("1e-900", "1e900"), ("9", "10")]
        {
            assert!(d(less) < d(more), "{less} {more}");
        }
    }
}
