//! Dates as intervals: a date, dateTime, instant or Period as the microseconds it may mean, first to last.
//!
//! For: search rows and search values, due times, checking that a date exists.
//! Not for: business days (`workflow/calendar.rs`) or the clock (`clock.rs`).
//! Source: <https://hl7.org/fhir/R4/datatypes.html#dateTime>, <https://hl7.org/fhir/R4/search.html#date>.

use super::Json;
use jiff::civil;
use jiff::tz::TimeZone;

/// An inclusive span of microseconds since 1970 in UTC. An open end is `i64::MIN` or `i64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First microsecond.
    pub lo: i64,
    /// Last microsecond.
    pub hi: i64,
}

/// How much of a date was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-02`
    Month,
    /// `2024-02-29`
    Day,
    /// `2024-02-29T10:00`: search values only.
    Minute,
    /// `2024-02-29T10:00:00`
    Second,
    /// With a fraction of so many digits, one at least.
    Fraction(u8),
}

/// A date or time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How much of it was written; what was not is the first of its kind.
    pub precision: Precision,
    year: i64,
    month: i64,
    day: i64,
    /// Microseconds of the day.
    time: i64,
    /// Minutes east of UTC, where written.
    offset: Option<i64>,
    leap: bool,
    midnight_24: bool,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// The span of a `date`, `dateTime` or `instant` as data hold it. Without a zone of its own it is read in `zone`.
/// `None` when it is none of them, or no day of the calendar.
///
/// A leap second `23:59:60` is taken as the last second of its minute.
#[must_use]
pub fn span(text: &str, zone: &TimeZone) -> Option<Span> {
    read(text).filter(Written::is_datetime).map(|w| w.span(zone))
}

/// The span of a search value: as [`span`], and minutes without seconds, times without a zone, `24:00`, and a space where
/// a URL lost its `+`.
#[must_use]
pub fn search_span(text: &str, zone: &TimeZone) -> Option<Span> {
    read(text).map(|w| w.span(zone))
}

/// The span of a Period: open where an end is absent. `None` when it has neither, or one is no date.
#[must_use]
pub fn period(period: &Json, zone: &TimeZone) -> Option<Span> {
    let end = |name: &str| match &period[name] {
        Json::Null => Some(None),
        Json::String(text) => span(text, zone).map(Some),
        _ => None,
    };
    match (end("start")?, end("end")?) {
        (None, None) => None,
        (start, end) => Some(Span { lo: start.map_or(i64::MIN, |s| s.lo), hi: end.map_or(i64::MAX, |e| e.hi) }),
    }
}

/// A `time`, `hh:mm:ss` with or without fraction, as the microseconds of a day it may mean.
#[must_use]
pub fn time_of_day(text: &str) -> Option<Span> {
    let mut at = Scan(text.as_bytes());
    let mut written = Written::day(1, 1, 1);
    clock(&mut at, &mut written)?;
    (at.0.is_empty() && written.precision > Precision::Minute && !written.midnight_24)
        .then(|| Span { lo: written.time, hi: written.time + written.width() - 1 })
}

/// Reads a date or time of any precision; `None` when it is none, or no day of the calendar.
#[must_use]
pub fn read(text: &str) -> Option<Written> {
    let mut at = Scan(text.as_bytes());
    let mut w = Written::day(at.number(4)?, 1, 1);
    w.precision = Precision::Year;
    if at.eat(b'-') {
        w.month = at.number(2)?;
        w.precision = Precision::Month;
        if at.eat(b'-') {
            w.day = at.number(2)?;
            w.precision = Precision::Day;
            if at.eat(b'T') {
                clock(&mut at, &mut w)?;
                w.offset = offset(&mut at)?;
            }
        }
    }
    let good =
        (1..=9999).contains(&w.year) && (1..=12).contains(&w.month) && (1..=days_in(w.year, w.month)).contains(&w.day);
    (good && at.0.is_empty()).then_some(w)
}

/// `hh:mm[:ss[.f]]`.
fn clock(at: &mut Scan<'_>, w: &mut Written) -> Option<()> {
    let hour = at.number(2)?;
    let minute = at.eat(b':').then(|| at.number(2)).flatten()?;
    w.precision = Precision::Minute;
    let (mut second, mut fraction) = (0, 0);
    if at.eat(b':') {
        second = at.number(2)?;
        w.precision = Precision::Second;
        if at.eat(b'.') {
            let digits = at.0.iter().take_while(|b| b.is_ascii_digit()).count();
            let (taken, rest) = at.0.split_at_checked(digits)?;
            at.0 = rest;
            w.precision = Precision::Fraction(u8::try_from(digits).ok().filter(|n| *n > 0)?);
            fraction = (0..6).fold(0, |sum, n| sum * 10 + taken.get(n).map_or(0, |b| i64::from(b - b'0')));
        }
    }
    w.leap = second == 60;
    w.midnight_24 = hour == 24 && minute == 0 && second == 0 && fraction == 0;
    w.time = (hour * 60 + minute) * MINUTE + second.min(59) * SECOND + fraction;
    ((hour < 24 || w.midnight_24) && minute < 60 && second <= 60).then_some(())
}

/// `Z`, `+hh:mm`, `-hh:mm` or nothing; the outer `None` is for anything else. At most 14 hours.
fn offset(at: &mut Scan<'_>) -> Option<Option<i64>> {
    let sign = match at.0.first() {
        None => return Some(None),
        Some(b'Z') if at.eat(b'Z') => return Some(Some(0)),
        Some(b'-') if at.eat(b'-') => -1,
        Some(b'+') if at.eat(b'+') => 1,
        Some(b' ') if at.eat(b' ') => 1, // a '+' that a URL turned into a space
        _ => return None,
    };
    let hours = at.number(2)?;
    let minutes = at.eat(b':').then(|| at.number(2)).flatten()?;
    (minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(Some(sign * (hours * 60 + minutes)))
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let Some((first, rest)) = self.0.split_first().filter(|(first, _)| **first == byte) else { return false };
        debug_assert_eq!(*first, byte);
        self.0 = rest;
        true
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (taken, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        taken.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Counted from 1 March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Written {
    fn day(year: i64, month: i64, day: i64) -> Self {
        Self { precision: Precision::Day, year, month, day, time: 0, offset: None, leap: false, midnight_24: false }
    }

    /// Whether it is a FHIR `date`.
    #[must_use]
    pub fn is_date(&self) -> bool {
        self.precision <= Precision::Day
    }

    /// Whether it is a FHIR `dateTime`: with a time it has seconds and a zone.
    #[must_use]
    pub fn is_datetime(&self) -> bool {
        self.is_date() || self.is_instant()
    }

    /// Whether it is a FHIR `instant`.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        self.precision > Precision::Minute && self.offset.is_some() && !self.midnight_24
    }

    /// Microseconds that its precision leaves open, for what is shorter than a day.
    fn width(&self) -> i64 {
        match self.precision {
            Precision::Fraction(digits) => 10_i64.pow(6_u32.saturating_sub(u32::from(digits))),
            Precision::Second => SECOND,
            _ => MINUTE,
        }
    }

    /// First and last microsecond.
    #[must_use]
    pub fn span(&self, zone: &TimeZone) -> Span {
        let (next_year, next_month, next_day) = match self.precision {
            Precision::Year => (self.year + 1, 1, 1),
            Precision::Month if self.month == 12 => (self.year + 1, 1, 1),
            Precision::Month => (self.year, self.month + 1, 1),
            Precision::Day if self.day < days_in(self.year, self.month) => (self.year, self.month, self.day + 1),
            Precision::Day if self.month < 12 => (self.year, self.month + 1, 1),
            Precision::Day => (self.year + 1, 1, 1),
            _ => {
                let lo = instant(self.year, self.month, self.day, self.time, self.offset, zone);
                return Span { lo, hi: lo + self.width() - 1 };
            }
        };
        let lo = instant(self.year, self.month, self.day, 0, self.offset, zone);
        Span { lo, hi: instant(next_year, next_month, next_day, 0, self.offset, zone) - 1 }
    }
}

/// The instant of a civil time (`time` in microseconds of the day) at an offset, else in a zone. In a gap of the zone
/// the time after the gap is meant, in a fold the first of the two. Outside jiff's years the zone counts as UTC.
fn instant(year: i64, month: i64, day: i64, time: i64, offset: Option<i64>, zone: &TimeZone) -> i64 {
    let utc = days(year, month, day) * DAY + time;
    if let Some(minutes) = offset {
        return utc - minutes * MINUTE;
    }
    if *zone == TimeZone::UTC {
        return utc;
    }
    let civil = (|| {
        let midnight = civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let midnight = midnight.ok()?.to_datetime(civil::Time::midnight());
        let local = midnight.checked_add(jiff::SignedDuration::from_micros(time)).ok()?;
        zone.to_ambiguous_timestamp(local).compatible().ok()
    })();
    civil.map_or(utc, |t| t.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    /// R4 datatypes.html#date: A date or time stands for the interval of its precision; a leap second is the last of
    /// its minute.
    #[test]
    fn a_span_is_as_wide_as_its_precision() {
        let utc = TimeZone::UTC;
        for (text, lo, next) in [
            ("2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-12-31", "2024-12-31T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
            ("2015-02-07T13:28:17-05:00", "2015-02-07T18:28:17Z", "2015-02-07T18:28:18Z"),
            ("2015-02-07T13:28:17.239-05:00", "2015-02-07T18:28:17.239Z", "2015-02-07T18:28:17.240Z"),
            ("2015-02-07T13:28:17.1234567Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123457Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", "2017-01-01T00:00:00Z"),
        ] {
            assert_eq!(span(text, &utc), Some(Span { lo: at(lo), hi: at(next) - 1 }), "{text}");
        }
        assert_eq!(span("9999-12-31", &utc).map(|s| (s.hi + 1 - s.lo) / DAY), Some(1));
    }

    /// R4 datatypes.html#dateTime: Days that are not, times without zone, zones out of range and 24:00 are no dates.
    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0000",
            "24",
            "2024-13",
            "2024-00",
            "2024-02-30",
            "2023-02-29",
            "1900-02-29",
            "2024-2-1",
            "2024-01-01T",
            "2024-01-01T10:00Z",
            "2024-01-01T10:00:00",
            "2024-01-01T24:00:00Z",
            "2024-01-01T10:61:00Z",
            "2024-01-01T10:00:61Z",
            "2024-01-01T10:00:00+15:00",
            "2024-01-01T10:00:00.Z",
            "2024-01-01 10:00:00Z",
            "2024-01-01T10:00:00Zx",
            " 2024",
            "２０２４",
            "-2024",
            "2024-01-01Z",
        ] {
            assert_eq!(span(text, &TimeZone::UTC), None, "{text}");
        }
    }

    /// R4 search.html#date: In a search minutes without seconds and 24:00 are taken.
    #[test]
    fn a_search_value_may_be_short() {
        let utc = TimeZone::UTC;
        for (text, lo, next) in [
            ("2024-01-01T10:00", "2024-01-01T10:00:00Z", "2024-01-01T10:01:00Z"),
            ("2024-01-01T10:00Z", "2024-01-01T10:00:00Z", "2024-01-01T10:01:00Z"),
            ("2024-01-01T24:00:00Z", "2024-01-02T00:00:00Z", "2024-01-02T00:00:01Z"),
            ("2024-01-01T10:00:00 02:00", "2024-01-01T08:00:00Z", "2024-01-01T08:00:01Z"),
        ] {
            assert_eq!(search_span(text, &utc), Some(Span { lo: at(lo), hi: at(next) - 1 }), "{text}");
        }
    }

    /// Own docs/search.md: A date without a zone is the day of the site's zone, also where summer time begins.
    #[test]
    fn a_day_without_a_zone_is_the_sites_day() {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        let summer_begins = span("2024-03-10", &zone).unwrap();
        assert_eq!((summer_begins.lo, summer_begins.hi + 1), (at("2024-03-10T08:00:00Z"), at("2024-03-11T07:00:00Z")));
        assert_eq!(span("9999-12-31", &zone).map(|s| s.lo < s.hi), Some(true));
        assert_eq!(span("0001", &zone).map(|s| s.lo < s.hi), Some(true));
    }

    /// R4 datatypes.html#Period: A Period without start or end is open there.
    #[test]
    fn a_period_may_be_open() {
        let period_of = |text: &str| period(&crate::fhir::json::parse(text.as_bytes()).unwrap(), &TimeZone::UTC);
        assert_eq!(period_of("{}"), None);
        assert_eq!(period_of(r#"{"start":"2024"}"#).map(|s| s.hi), Some(i64::MAX));
        assert_eq!(
            period_of(r#"{"end":"2024"}"#).map(|s| (s.lo, s.hi)),
            Some((i64::MIN, at("2025-01-01T00:00:00Z") - 1))
        );
        assert_eq!(period_of(r#"{"start":"2024-02-30"}"#), None);
    }

    #[test]
    fn a_time_of_day_has_seconds() {
        assert_eq!(time_of_day("10:00:00.5"), Some(Span { lo: 36_000_500_000, hi: 36_000_599_999 }));
        for text in ["10:00", "24:00:00", "10:00:00Z", "1:00:00"] {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }
}
