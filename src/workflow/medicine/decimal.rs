//! Exact decimals of strengths and doses: 2.50 is 2.5, and a third of a tablet never becomes 0.33333.
//!
//! Not for: what a resource stores (that stays text, digit for digit), or searching (`search/param/number.rs`).

use std::cmp::Ordering;
use std::fmt;

/// A number of at most 18 digits with at most 18 of them behind the point, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Without zeros at the end where there is a fraction.
    digits: i128,
    /// How many of the digits stand behind the point.
    scale: u32,
}

const MOST: i128 = 1_000_000_000_000_000_000;
const DEEPEST: u32 = 18;

impl Decimal {
    /// One.
    pub const ONE: Self = Self { digits: 1, scale: 0 };

    /// Reads `12`, `0.5`, `.5`, `1,000`, `2.50e1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok().filter(|e| (-18..=18).contains(e))?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_grouped = whole.contains(',');
        if is_grouped
            && !whole
                .split(',')
                .enumerate()
                .all(|(n, g)| if n == 0 { (1..=3).contains(&g.len()) } else { g.len() == 3 })
        {
            return None;
        }
        let whole = whole.replace(',', "");
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        let mut digits: i128 = digits.parse().ok()?;
        if scale < 0 {
            digits = digits.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?;
        }
        Self::new(digits, u32::try_from(scale.max(0)).ok()?)
    }

    fn new(mut digits: i128, mut scale: u32) -> Option<Self> {
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        (digits < MOST && scale <= DEEPEST).then_some(Self { digits, scale })
    }

    /// The product; `None` where it has too many digits.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        Self::new(self.digits.checked_mul(other.digits)?, self.scale + other.scale)
    }

    /// The sum; `None` where it has too many digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let of = |d: Self| d.digits.checked_mul(10i128.checked_pow(scale - d.scale)?);
        Self::new(of(self)?.checked_add(of(other)?)?, scale)
    }

    /// Whether it is nought.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Both products stay below 10^36, which an i128 holds.
        let scale = self.scale.max(other.scale);
        let of = |d: &Self| d.digits.saturating_mul(10i128.saturating_pow(scale - d.scale));
        of(self).cmp(&of(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.digits);
        }
        let width = usize::try_from(self.scale).unwrap_or_default();
        let digits = format!("{:0>width$}", self.digits, width = width + 1);
        let (whole, fraction) = digits.split_at(digits.len() - width);
        write!(f, "{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn a_decimal_is_exact_and_written_without_zeros_at_the_end() {
        for (text, written) in [
            ("2.50", Some("2.5")),
            (".5", Some("0.5")),
            ("1,000", Some("1000")),
            ("1e-3", Some("0.001")),
            ("2.5e2", Some("250")),
            ("0.000", Some("0")),
            ("100", Some("100")),
            ("10,00", None),
            ("1.2.3", None),
            ("-1", None),
            ("", None),
            ("1234567890123456789", None),
        ] {
            assert_eq!(Decimal::parse(text).map(|d| d.to_string()).as_deref(), written, "{text}");
        }
        let d = |t| Decimal::parse(t).unwrap();
        assert_eq!(d("0.1").times(d("3")), Some(d("0.3")));
        assert_eq!(d("0.1").plus(d("0.2")), Some(d("0.3")));
        assert!(d("0.25") < d("0.3") && d("10") > d("9.999"));
        assert_eq!(d("999999999999999999").times(d("999999999999999999")), None);
    }
}
