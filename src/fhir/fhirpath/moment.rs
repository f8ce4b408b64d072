//! Dates, dateTimes and times with the precision they were written in.
//!
//! For: FHIRPath's comparisons, sums and boundaries. Two values that agree as far as both go, and of which one goes further,
//! cannot be compared: neither equal nor different. Seconds and their fractions count as one precision. A time without a
//! zone beside one with a zone may be anywhere from 14 hours before to 12 hours after.
//! Not for: search (`fhir/date.rs`), where a partial date is a span.
//! Source: <http://hl7.org/fhirpath/N1/#date>, <http://hl7.org/fhirpath/N1/#comparison>.

use super::number::{Decimal, Rounding};
use std::cmp::Ordering;
use std::fmt;

/// Which of the three it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MomentKind {
    /// `@2024-02-29`
    Date,
    /// `@2024-02-29T10:00`, `@2024T`
    DateTime,
    /// `@T10:00`
    Time,
}

/// A date, dateTime or time. Fields that were not written are the first of their kind.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Which of the three.
    pub kind: MomentKind,
    /// How many fields were written: year, month, day, hour, minute, second. Of a time, too: 4 is an hour.
    fields: u8,
    /// Year, month, day, hour, minute, second.
    parts: [i64; 6],
    /// Of a second, in 10^-18.
    fraction: u64,
    /// How many digits of it were written.
    places: u8,
    /// Minutes east of UTC.
    offset: Option<i64>,
}

const ATTO: u64 = 1_000_000_000_000_000_000;
const MINUTE: i128 = 60 * 1_000;
const DAY: i128 = 24 * 60 * MINUTE;

/// Units of time that a Moment can be moved by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (taken, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        taken.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    }
}

impl Moment {
    /// Reads a date (`2024-02`).
    #[must_use]
    pub fn date(text: &str) -> Option<Self> {
        Self::parse(text, MomentKind::Date)
    }

    /// Reads a dateTime (`2024-02`, `2024-02T`, `2024-02-29T10:00Z`).
    #[must_use]
    pub fn datetime(text: &str) -> Option<Self> {
        Self::parse(text, MomentKind::DateTime)
    }

    /// Reads a time (`10:00`).
    #[must_use]
    pub fn time(text: &str) -> Option<Self> {
        Self::parse(text, MomentKind::Time)
    }

    /// Reads a literal without its `@`.
    pub(super) fn literal(text: &str) -> Option<Self> {
        match text.strip_prefix('T') {
            Some(time) => Self::time(time),
            None if text.contains('T') => Self::datetime(text),
            None => Self::date(text),
        }
    }

    fn parse(text: &str, kind: MomentKind) -> Option<Self> {
        let mut at = Scan(text.as_bytes());
        let mut out = Self { kind, fields: 0, parts: [1, 1, 1, 0, 0, 0], fraction: 0, places: 0, offset: None };
        if kind == MomentKind::Time {
            out.clock(&mut at)?;
        } else {
            out.put(0, at.number(4)?);
            if at.eat(b'-') {
                out.put(1, at.number(2)?);
                if at.eat(b'-') {
                    out.put(2, at.number(2)?);
                }
            }
            if kind == MomentKind::DateTime && at.eat(b'T') && !at.0.is_empty() {
                if out.fields < 3 {
                    return None;
                }
                out.clock(&mut at)?;
                out.zone(&mut at)?;
            }
        }
        let [year, month, day, hour, minute, second] = out.parts;
        let good = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        (good && at.0.is_empty()).then_some(out)
    }

    fn put(&mut self, field: usize, value: i64) {
        if let Some(part) = self.parts.get_mut(field) {
            *part = value;
        }
        self.fields = u8::try_from(field + 1).unwrap_or(6);
    }

    fn clock(&mut self, at: &mut Scan<'_>) -> Option<()> {
        self.put(3, at.number(2)?);
        if at.eat(b':') {
            self.put(4, at.number(2)?);
            if at.eat(b':') {
                self.put(5, at.number(2)?);
                if at.eat(b'.') {
                    let count = at.0.iter().take_while(|b| b.is_ascii_digit()).count();
                    let (taken, rest) = at.0.split_at_checked(count)?;
                    at.0 = rest;
                    self.places = u8::try_from(count).ok().filter(|n| *n > 0)?;
                    self.fraction =
                        (0..18).fold(0, |sum, n| sum * 10 + taken.get(n).map_or(0, |b| u64::from(b - b'0')));
                }
            }
        }
        Some(())
    }

    fn zone(&mut self, at: &mut Scan<'_>) -> Option<()> {
        if at.0.is_empty() {
            return Some(());
        }
        let sign = if at.eat(b'Z') {
            self.offset = Some(0);
            return Some(());
        } else if at.eat(b'+') {
            1
        } else if at.eat(b'-') {
            -1
        } else {
            return None;
        };
        let hours = at.number(2)?;
        let minutes = at.eat(b':').then(|| at.number(2)).flatten()?;
        self.offset = Some(sign * (hours * 60 + minutes));
        (minutes < 60 && hours <= 14).then_some(())
    }

    /// A point in time, to the millisecond, in UTC.
    pub(super) fn at(timestamp: jiff::Timestamp) -> Option<Self> {
        Self::datetime(&format!("{timestamp:.3}"))
    }

    /// The day of a dateTime.
    pub(super) fn day(mut self) -> Self {
        self.kind = MomentKind::Date;
        self.fields = self.fields.min(3);
        (self.fraction, self.places, self.offset) = (0, 0, None);
        let [_, _, _, clock @ ..] = &mut self.parts;
        *clock = [0; 3];
        self
    }

    /// The time of a dateTime.
    pub(super) fn time_of_day(mut self) -> Self {
        self.kind = MomentKind::Time;
        self.offset = None;
        let [date @ .., _, _, _] = &mut self.parts;
        *date = [1; 3];
        self
    }

    /// As a dateTime: a date has no time.
    pub(super) fn to_datetime(mut self) -> Self {
        self.kind = MomentKind::DateTime;
        self
    }

    /// Whether the two are of kinds that compare: dates with dateTimes, times with times.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.kind == MomentKind::Time) == (other.kind == MomentKind::Time)
    }

    fn fields(&self) -> u8 {
        self.fields
    }

    /// Milliseconds since year 1 of what is written, and 10^-18 seconds below them; the zone taken off.
    fn point(&self) -> (i128, u64) {
        let [year, month, day, hour, minute, second] = self.parts;
        let minutes = i128::from(hour) * 60 + i128::from(minute) - i128::from(self.offset.unwrap_or(0));
        let whole = i128::from(days(year, month, day)) * DAY + minutes * MINUTE + i128::from(second) * 1_000;
        (whole, self.fraction)
    }

    /// First and last millisecond that it may mean.
    fn reach(&self, uncertain: bool) -> (i128, i128) {
        let (first, fraction) = self.point();
        let last = match self.end() {
            Some(next) => next.point().0 - 1,
            None => first,
        };
        let first = first + i128::from(fraction / (ATTO / 1_000));
        if uncertain {
            (first - 14 * 60 * MINUTE, last.max(first) + 12 * 60 * MINUTE)
        } else {
            (first, last.max(first))
        }
    }

    /// The first moment after everything that it may mean, of what is coarser than a second.
    fn end(&self) -> Option<Self> {
        let step = [Step::Year, Step::Month, Step::Day, Step::Hour, Step::Minute];
        let step = step.get(usize::from(self.fields).checked_sub(1)?)?;
        Self { fields: 6, ..*self }.plus(1, *step)
    }

    /// How they compare; `None` when their precision leaves it open.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        let zones =
            self.kind != MomentKind::Time && self.fields > 3 || other.kind != MomentKind::Time && other.fields > 3;
        let (zoned, other_zoned) = (self.offset.is_some(), other.offset.is_some());
        if zones && zoned != other_zoned {
            let (a, b) = (self.reach(!zoned), other.reach(!other_zoned));
            return if a.1 < b.0 {
                Some(Ordering::Less)
            } else if a.0 > b.1 {
                Some(Ordering::Greater)
            } else {
                None
            };
        }
        let (a, b) =
            if zoned && self.offset != other.offset { (self.in_utc()?, other.in_utc()?) } else { (*self, *other) };
        let both = usize::from(a.fields().min(b.fields()));
        for (x, y) in a.parts.iter().zip(&b.parts).take(both) {
            match x.cmp(y) {
                Ordering::Equal => {}
                order => return Some(order),
            }
        }
        if a.fields != b.fields { None } else { Some(a.fraction.cmp(&b.fraction)) }
    }

    fn in_utc(&self) -> Option<Self> {
        let minutes = self.offset.unwrap_or(0);
        let mut out = Self { offset: None, fields: 6, ..*self }.plus(-minutes, Step::Minute)?;
        (out.fields, out.offset) = (self.fields, Some(0));
        Some(out)
    }

    /// Whether both are written to the same precision.
    pub(super) fn same_precision(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// The smallest unit that it is written in.
    pub(super) fn finest(&self) -> Step {
        match self.fields {
            0 | 1 => Step::Year,
            2 => Step::Month,
            3 => Step::Day,
            4 => Step::Hour,
            5 => Step::Minute,
            _ => Step::Millisecond,
        }
    }

    /// Moved by so many of a unit that it is written in, or of a coarser one. `None` outside the years 1 to 9999.
    pub(super) fn plus(mut self, count: i64, unit: Step) -> Option<Self> {
        let is_time = self.kind == MomentKind::Time;
        let [year, month, day, ..] = self.parts;
        let (year, month, day) = match unit {
            Step::Year | Step::Month => {
                let months = if unit == Step::Year { count.checked_mul(12)? } else { count };
                let at = (year * 12 + month - 1).checked_add(months)?;
                let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
                (year, month, day.min(days_in(year, month)))
            }
            _ => {
                let width: i128 = match unit {
                    Step::Week => 7 * DAY,
                    Step::Day => DAY,
                    Step::Hour => 60 * MINUTE,
                    Step::Minute => MINUTE,
                    Step::Second => 1_000,
                    _ => 1,
                };
                let zone = self.offset.take();
                let (whole, below) = self.point();
                let moved = whole + i128::from(below / (ATTO / 1_000)) + width.checked_mul(i128::from(count))?;
                let (mut day, of_day) = (moved.div_euclid(DAY), moved.rem_euclid(DAY));
                if is_time {
                    day = i128::from(days(1, 1, 1)); // the clock goes round
                }
                let of_day = i64::try_from(of_day).ok()?;
                self.fraction = u64::try_from(of_day % 1_000).ok()? * (ATTO / 1_000) + below % (ATTO / 1_000);
                if self.fraction != 0 && self.places == 0 && self.fields == 6 {
                    self.places = 3;
                }
                let [_, _, _, clock @ ..] = &mut self.parts;
                *clock = [of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60];
                self.offset = zone;
                civil(i64::try_from(day).ok()?)
            }
        };
        let [date @ .., _, _, _] = &mut self.parts;
        *date = [year, month, day];
        // What was not written stays the first of its kind.
        for (n, part) in self.parts.iter_mut().enumerate().skip(usize::from(self.fields)) {
            *part = i64::from(n < 3);
        }
        (1..=9999).contains(&year).then_some(self)
    }

    /// Digits of its fields, as `precision()` counts them: `2014` has 4, a full dateTime 17, `T10:30` 4.
    pub(super) fn digits(&self) -> i64 {
        let of_time = i64::from(self.fields.max(3) - 3) * 2 + i64::from(self.places);
        match self.kind {
            MomentKind::Time => of_time,
            _ if self.fields <= 3 => 2 + 2 * i64::from(self.fields),
            _ => 8 + of_time,
        }
    }

    /// The first or last moment that it may mean, written to `digits` (17 and 9 at most: milliseconds).
    pub(super) fn boundary(&self, digits: Option<i64>, low: bool) -> Option<Self> {
        let (most, base) = match self.kind {
            MomentKind::Date => (8, 0),
            MomentKind::DateTime => (17, 0),
            MomentKind::Time => (9, 8),
        };
        let digits = digits.unwrap_or(most);
        if digits > most {
            return None;
        }
        let (fields, places) = match digits + base {
            4 => (1, 0),
            6 => (2, 0),
            8 if base == 0 => (3, 0),
            10 => (4, 0),
            12 => (5, 0),
            14 => (6, 0),
            17 => (6, 3),
            _ => return None,
        };
        let mut out = *self;
        let from = usize::from(self.fields);
        if !low {
            let [year, month, ..] = self.parts;
            let month = if from < 2 { 12 } else { month };
            let last = [0, month, days_in(year, month), 23, 59, 59];
            for (part, last) in out.parts.iter_mut().zip(last).skip(from) {
                *part = last;
            }
            if self.places == 0 {
                out.fraction = 999 * (ATTO / 1_000);
            }
            // A whole hour reaches to its last minute, as the HL7 suite has it: only seconds fill up.
            if self.fields == 4
                && let Some(minute) = out.parts.get_mut(4)
            {
                *minute = 0;
            }
        }
        if self.kind == MomentKind::DateTime && self.offset.is_none() && fields > 3 {
            out.offset = Some(if low { 14 * 60 } else { -12 * 60 });
        }
        (out.fields, out.places) = (fields, places);
        if fields <= 3 {
            out.offset = None;
        }
        for (n, part) in out.parts.iter_mut().enumerate().skip(usize::from(fields)) {
            *part = i64::from(n < 3);
        }
        if places == 0 {
            out.fraction = 0;
        }
        Some(out)
    }
}

/// How many of the coarser unit, when something coarser is moved: 24 months are 2 years. `None` when the unit is no finer.
pub(super) fn coarsen(count: Decimal, from: Step, to: Step) -> Option<Decimal> {
    let width = |step: Step| -> i64 {
        match step {
            Step::Year => 12 * 30 * 24 * 3_600_000,
            Step::Month => 30 * 24 * 3_600_000,
            Step::Week => 7 * 24 * 3_600_000,
            Step::Day => 24 * 3_600_000,
            Step::Hour => 3_600_000,
            Step::Minute => 60_000,
            Step::Second => 1_000,
            Step::Millisecond => 1,
        }
    };
    let days_of_year = Decimal::from(365_i64 * 24 * 3_600_000);
    let to_width = if to == Step::Year && from > Step::Month { days_of_year } else { width(to).into() };
    count.rounded(0, Rounding::Down)?.mul(width(from).into())?.div(to_width)?.rounded(0, Rounding::Down)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, counted from 1 March so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.parts;
        if self.kind != MomentKind::Time {
            write!(f, "{year:04}")?;
            for part in [month, day].iter().take(usize::from(self.fields).saturating_sub(1)) {
                write!(f, "-{part:02}")?;
            }
        }
        if self.fields <= 3 {
            return Ok(());
        }
        if self.kind == MomentKind::DateTime {
            f.write_str("T")?;
        }
        write!(f, "{hour:02}")?;
        for part in [minute, second].iter().take(usize::from(self.fields) - 4) {
            write!(f, ":{part:02}")?;
        }
        if self.places > 0 {
            let digits = format!("{:018}", self.fraction);
            write!(f, ".{}", digits.get(..usize::from(self.places.min(18))).unwrap_or(&digits))?;
        }
        match self.offset {
            Some(0) => f.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back_and_what_is_none_does_not() {
        for text in [
            "2014",
            "2014-02",
            "2014-02-28",
            "2015-02-04T14",
            "2015-02-04T14:34Z",
            "2015-02-04T14:34:28.1230+10:00",
            "T10:30",
        ] {
            let moment = Moment::literal(text).unwrap();
            assert_eq!(moment.to_string(), text.trim_start_matches('T'), "{text}");
        }
        for text in
            ["", "24", "2014-13", "2023-02-29", "2014-01T10", "T24:00", "T1", "2014-01-01T10:00+15:00", "T10:00Z"]
        {
            assert!(Moment::literal(text).is_none(), "{text}");
        }
    }

    /// FHIRPath #comparison: Dates of different precision are not compared where precision leaves it open.
    #[test]
    fn what_precision_leaves_open_is_not_compared() {
        for (a, b, wanted) in [
            ("2018-03", "2018-03-01", None),
            ("2018-03", "2018-04-01", Some(Ordering::Less)),
            ("2012-04-15T15:30:31", "2012-04-15T15:30:31.0", Some(Ordering::Equal)),
            ("2012-04-15T15:00:00+02:00", "2012-04-15T16:00:00+03:00", Some(Ordering::Equal)),
            ("2012-04-15T15:00:00Z", "2012-04-15T10:00:00", None),
            ("2012-04-15T15:00:00Z", "2012-04-17T10:00:00", Some(Ordering::Less)),
            ("2012-04-15", "2012-04-17T10:00:00Z", Some(Ordering::Less)),
            ("2012-04-15", "2012-04-15T10:00:00Z", None),
            ("T10:30", "T10:30:00", None),
            ("T10:30", "T11:00:00", Some(Ordering::Less)),
        ] {
            let (a, b) = (Moment::literal(a).unwrap(), Moment::literal(b).unwrap());
            assert_eq!((a.compare(&b), b.compare(&a)), (wanted, wanted.map(Ordering::reverse)), "{a} {b}");
        }
    }

    /// FHIRPath #datetime-arithmetic: Arithmetic of dates follows the calendar.
    #[test]
    fn a_month_later_is_a_day_of_the_calendar() {
        for (from, count, unit, wanted) in [
            ("2024-01-31", 1, Step::Month, "2024-02-29"),
            ("2024-02-29", 1, Step::Year, "2025-02-28"),
            ("2024-03-01", -1, Step::Day, "2024-02-29"),
            ("1973-12-25", 1, Step::Week, "1974-01-01"),
            ("2015-02-04T10:00Z", 1, Step::Hour, "2015-02-04T11:00Z"),
            ("2015-02-04T23:30:00.000-05:00", 3_600_000, Step::Millisecond, "2015-02-05T00:30:00.000-05:00"),
            ("T23:30", 1, Step::Hour, "00:30"),
        ] {
            assert_eq!(Moment::literal(from).unwrap().plus(count, unit).unwrap().to_string(), wanted, "{from}");
        }
        assert!(Moment::literal("9999-12-31").unwrap().plus(1, Step::Day).is_none());
        assert!(Moment::literal("2024").unwrap().plus(i64::MAX, Step::Year).is_none());
    }
}
