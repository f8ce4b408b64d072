//! Business days: which days count, where a day ends, and what "two business days after" means.
//!
//! For: due times. Not for: FHIR's partial dates (`fhir/date.rs`).
//! Source: a HealthcareService in `profiles/protocol/calendar-*.json` (own rule: `availableTime.daysOfWeek` are business
//! days, `notAvailable.during` are holidays, extension `time-zone` is an IANA name).

mod hours;

pub use hours::Hours;

use crate::clock::Instant;
use crate::fhir::{Json, date};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use std::collections::BTreeSet;

/// A calendar of business days in one time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The zone that its days begin and end in.
    pub zone: TimeZone,
    /// Monday first.
    open: [bool; 7],
    holidays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self::plain()
    }
}

/// How far after something a due time lies; before it, where the number is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// So many seconds of the clock.
    Clock(i64),
    /// To the end of the calendar day so many days later.
    Days(i64),
    /// To the end of the so-manieth business day after the day; the day itself does not count, whatever the hour.
    BusinessDays(i64),
}

impl Default for Offset {
    fn default() -> Self {
        Self::Clock(0)
    }
}

impl Offset {
    /// So many times as far: `-1` runs back.
    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        match self {
            Self::Clock(seconds) => Self::Clock(seconds.saturating_mul(n)),
            Self::Days(days) => Self::Days(days.saturating_mul(n)),
            Self::BusinessDays(days) => Self::BusinessDays(days.saturating_mul(n)),
        }
    }
}

/// Weekday codes of `HealthcareService.availableTime.daysOfWeek`, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Calendar {
    /// Monday to Friday in UTC, no holidays.
    #[must_use]
    pub fn plain() -> Self {
        Self { zone: TimeZone::UTC, open: [true, true, true, true, true, false, false], holidays: BTreeSet::new() }
    }

    /// Reads a HealthcareService.
    ///
    /// # Errors
    /// (FHIRPath, what is wrong) of the first element that cannot be used.
    pub fn read(service: &Json) -> Result<Self, (String, String)> {
        let at = |path: &str, why: String| Err((format!("HealthcareService.{path}"), why));
        let name = super::element::extension(service, "time-zone").map_or("", |e| e["valueCode"].text());
        let Ok(zone) = TimeZone::get(name) else {
            return at(
                "extension",
                format!("'{name}' is no time zone of the IANA list; extension time-zone needs one"),
            );
        };
        let mut open = [false; 7];
        for time in service["availableTime"].items() {
            for day in time["daysOfWeek"].items() {
                match DAYS.iter().position(|d| *d == day.text()) {
                    Some(n) => open[n] = true,
                    None => return at("availableTime.daysOfWeek", format!("'{}' is no weekday", day.text())),
                }
            }
        }
        if open == [false; 7] {
            return at("availableTime", "a calendar needs at least one business day".into());
        }
        let mut holidays = BTreeSet::new();
        for (n, closed) in service["notAvailable"].items().iter().enumerate() {
            let during = &closed["during"];
            let (Some(first), Some(last)) = (day(&during["start"]), day(&during["end"])) else {
                return at(&format!("notAvailable[{n}].during"), "a holiday needs start and end, each a day".into());
            };
            // A holiday of more than a year is a mistake, and would make the set huge.
            if last < first || first.until(last).map_or(0, |s: Span| s.get_days()) > 366 {
                return at(
                    &format!("notAvailable[{n}].during"),
                    "the end lies before the start, or years later".into(),
                );
            }
            holidays.extend(first.series(1.day()).take_while(|d| *d <= last));
        }
        Ok(Self { zone, open, holidays })
    }

    /// The day of an instant.
    #[must_use]
    pub fn day_of(&self, at: Instant) -> Date {
        at.timestamp().to_zoned(self.zone.clone()).date()
    }

    /// Whether a day counts.
    #[must_use]
    pub fn is_business_day(&self, day: Date) -> bool {
        let n = match day.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        self.open[n] && !self.holidays.contains(&day)
    }

    /// 23:59 of a day, on this calendar's clocks: the last whole minute.
    #[must_use]
    pub fn end_of(&self, day: Date) -> Instant {
        // Where a clock change leaves 23:59 out, jiff takes the instant the clock would have shown it.
        let wall = day.at(23, 59, 0, 0);
        wall.to_zoned(self.zone.clone()).map_or(Instant(i64::MAX), |z| Instant(z.timestamp().as_microsecond()))
    }

    /// The instant an offset after another.
    #[must_use]
    pub fn after(&self, from: Instant, offset: Offset) -> Instant {
        match offset {
            Offset::Clock(seconds) => from.plus_seconds(seconds),
            Offset::Days(days) => self.end_of(self.day_of(from).saturating_add(days.clamp(-36_500, 36_500).days())),
            Offset::BusinessDays(count) => {
                let mut day = self.day_of(from);
                let mut left = count.clamp(-1_000, 1_000);
                let step = left.signum();
                while left != 0 {
                    day = day.saturating_add(step.days());
                    if self.is_business_day(day) {
                        left -= step;
                    }
                    if day == Date::MAX || day == Date::MIN {
                        break;
                    }
                }
                self.end_of(day)
            }
        }
    }

    /// Days between two instants by the calendar's clocks: the same day is 0, the next morning is 1.
    #[must_use]
    pub fn days_between(&self, from: Instant, to: Instant) -> i64 {
        let (from, to) = (self.day_of(from), self.day_of(to));
        from.until(to).map_or(i64::MAX, |s: Span| i64::from(s.get_days()))
    }
}

fn day(value: &Json) -> Option<Date> {
    date::read(value.as_str()?).filter(|w| w.is_date() && w.precision == date::Precision::Day)?;
    value.text().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        let service: Json = serde_json::json!({
            "extension": [{"url": "http://baton.example/fhir/StructureDefinition/time-zone", "valueCode": "America/New_York"}],
            "availableTime": [{"daysOfWeek": ["mon", "tue", "wed", "thu", "fri"]}],
            "notAvailable": [{"description": "Thanksgiving", "during": {"start": "2026-11-26", "end": "2026-11-26"}}],
        })
        .into();
        Calendar::read(&service).unwrap()
    }

    #[test]
    fn due_times_as_a_table() {
        let calendar = calendar();
        for (from, offset, due) in [
            // Wednesday before Thanksgiving: Friday is the first business day, Monday the second.
            ("2026-11-25T18:00:00Z", Offset::BusinessDays(2), "2026-12-01T04:59:00Z"),
            // Saturday: Monday, Tuesday.
            ("2026-11-28T15:00:00Z", Offset::BusinessDays(2), "2026-12-02T04:59:00Z"),
            // 02:00 UTC on Tuesday is still Monday in New York.
            ("2026-12-01T02:00:00Z", Offset::BusinessDays(1), "2026-12-02T04:59:00Z"),
            ("2026-11-25T18:00:00Z", Offset::Clock(86_400), "2026-11-26T18:00:00Z"),
            ("2026-11-25T18:00:00Z", Offset::Days(14), "2026-12-10T04:59:00Z"),
            // Across the clock change of March 8, 2026: the end of the day is an hour earlier in UTC.
            ("2026-03-07T12:00:00Z", Offset::Days(1), "2026-03-09T03:59:00Z"),
            ("2026-03-07T12:00:00Z", Offset::Clock(86_400), "2026-03-08T12:00:00Z"),
            // Before Monday 30 November come Friday and, past Thanksgiving, Wednesday.
            ("2026-11-30T18:00:00Z", Offset::BusinessDays(2).times(-1), "2026-11-26T04:59:00Z"),
            ("2026-11-30T18:00:00Z", Offset::Days(2).times(-1), "2026-11-29T04:59:00Z"),
            ("2026-11-30T18:00:00Z", Offset::Clock(3_600).times(-1), "2026-11-30T17:00:00Z"),
        ] {
            let at = Instant::parse(from).unwrap();
            assert_eq!(calendar.after(at, offset).to_seconds_text(), due, "{from} {offset:?}");
        }
    }

    #[test]
    fn days_are_counted_by_the_local_calendar() {
        let calendar = calendar();
        for (from, to, days) in [
            ("2026-11-25T12:00:00Z", "2026-11-25T23:00:00Z", 0),
            ("2026-11-25T12:00:00Z", "2026-11-26T04:00:00Z", 0),
            ("2026-11-26T04:00:00Z", "2026-11-26T12:00:00Z", 1),
            ("2026-11-25T12:00:00Z", "2026-12-25T12:00:00Z", 30),
        ] {
            let [from, to] = [from, to].map(|t| Instant::parse(t).unwrap());
            assert_eq!(calendar.days_between(from, to), days);
        }
    }

    #[test]
    fn a_bad_calendar_names_its_element() {
        for (service, at) in [
            (serde_json::json!({}), "HealthcareService.extension"),
            (
                serde_json::json!({"extension": [{"url": "http://baton.example/fhir/StructureDefinition/time-zone", "valueCode": "UTC"}]}),
                "HealthcareService.availableTime",
            ),
            (
                serde_json::json!({
                    "extension": [{"url": "http://baton.example/fhir/StructureDefinition/time-zone", "valueCode": "UTC"}],
                    "availableTime": [{"daysOfWeek": ["mon"]}],
                    "notAvailable": [{"during": {"start": "2026-12-25", "end": "2026-12-24"}}],
                }),
                "HealthcareService.notAvailable[0].during",
            ),
        ] {
            assert_eq!(Calendar::read(&service.into()).unwrap_err().0, at);
        }
    }
}
