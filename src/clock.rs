//! Time: microseconds since 1970 in UTC, one type for the whole house.
//!
//! For: `Ctx.now`, `meta.lastUpdated`, due times. Not for: FHIR's partial dates (`fhir/date.rs`) or business days
//! (`workflow/calendar.rs`).

use jiff::Timestamp;
use std::fmt;

/// An instant, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub i64);

impl Instant {
    /// The wall clock now.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    /// Adds whole seconds; saturates.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Reads an RFC 3339 instant; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }

    /// As jiff's type, for calendars. Instants outside the years jiff knows become the epoch.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// FHIR `instant` with whole seconds, `2026-11-25T15:53:00Z`: how Baton writes due times.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// FHIR `instant` with six digits of the second, always 27 characters: `2026-11-25T15:53:00.000001Z`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%dT%H:%M:%S.%6fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn an_instant_reads_back_what_it_writes_to_the_microsecond() {
        let t = Instant(1_795_622_400_000_001);
        assert_eq!(t.to_string().len(), 27);
        assert_eq!(Instant::parse(&t.to_string()), Some(t));
    }
}
