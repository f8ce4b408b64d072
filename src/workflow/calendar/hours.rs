//! Hours in which patients are called, by their own clocks, and the parts of the day that these make.
//!
//! Source: a HealthcareService in `profiles/protocol` whose `availableTime` has hours (own rule: each pair of start and end is
//! one part of the day; `notAvailable.during` are days without calls).

use crate::clock::Instant;
use crate::fhir::Json;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

/// Weekday codes of `HealthcareService.availableTime.daysOfWeek`, Monday first.
const DAYS: [&str; 7] = super::DAYS;

/// Calling hours.
#[derive(Debug, Clone, Default)]
pub struct Hours {
    /// (weekday, Monday is 0; part of the day; from; before).
    spans: Vec<(usize, usize, Time, Time)>,
    /// The parts of the day: from, before.
    parts: Vec<(Time, Time)>,
    closed: Vec<(Date, Date)>,
}

impl Hours {
    /// Whether a HealthcareService tells hours; else it is a calendar of days.
    #[must_use]
    pub fn tells(service: &Json) -> bool {
        service["availableTime"].items().iter().any(|t| t.get("availableStartTime").is_some())
    }

    /// Reads a HealthcareService.
    ///
    /// # Errors
    /// (FHIRPath, what is wrong) of the first element that cannot be used.
    pub fn read(service: &Json) -> Result<Self, (String, String)> {
        let mut out = Self::default();
        for (n, open) in service["availableTime"].items().iter().enumerate() {
            let path = format!("HealthcareService.availableTime[{n}]");
            let time = |name: &str| open[name].as_str().and_then(|t| t.parse::<Time>().ok());
            let span = (time("availableStartTime"), time("availableEndTime"));
            let (Some(from), Some(to)) = span else {
                return Err((path, "calling hours need availableStartTime and availableEndTime".into()));
            };
            if to <= from {
                return Err((path, "the hours end before they begin: give the part after midnight its own row".into()));
            }
            let part = out.parts.iter().position(|p| *p == (from, to)).unwrap_or_else(|| {
                out.parts.push((from, to));
                out.parts.len() - 1
            });
            for day in open["daysOfWeek"].items() {
                match DAYS.iter().position(|d| *d == day.text()) {
                    Some(day) => out.spans.push((day, part, from, to)),
                    None => return Err((format!("{path}.daysOfWeek"), format!("'{}' is no weekday", day.text()))),
                }
            }
        }
        for (n, closed) in service["notAvailable"].items().iter().enumerate() {
            let during = &closed["during"];
            match (super::day(&during["start"]), super::day(&during["end"])) {
                (Some(first), Some(last)) if first <= last => out.closed.push((first, last)),
                _ => {
                    let path = format!("HealthcareService.notAvailable[{n}].during");
                    return Err((path, "days without calls need start and end, each a day".into()));
                }
            }
        }
        Ok(out)
    }

    /// Which part of the day an instant lies in, by the clocks of `zone`; `None` outside of the hours.
    #[must_use]
    pub fn part(&self, at: Instant, zone: &TimeZone) -> Option<usize> {
        let local = at.timestamp().to_zoned(zone.clone());
        let (day, time, weekday) = (local.date(), local.time(), number(local.weekday()));
        if self.closed.iter().any(|(first, last)| (*first..=*last).contains(&day)) {
            return None;
        }
        let holds = |(on, _, from, to): &&(usize, usize, Time, Time)| *on == weekday && *from <= time && time < *to;
        self.spans.iter().find(holds).map(|(_, part, ..)| *part)
    }

    /// How many parts a day has.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }
}

fn number(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_day_go_by_the_clocks_of_the_patient() {
        let service: Json = serde_json::json!({
            "availableTime": [
                {"daysOfWeek": ["mon", "tue"], "availableStartTime": "09:00:00", "availableEndTime": "12:00:00"},
                {"daysOfWeek": ["mon", "tue", "sat"], "availableStartTime": "12:00:00", "availableEndTime": "18:00:00"},
            ],
            "notAvailable": [{"description": "Christmas", "during": {"start": "2026-12-22", "end": "2026-12-26"}}],
        })
        .into();
        let hours = Hours::read(&service).unwrap();
        assert_eq!(hours.parts(), 2);
        for (at, zone, part) in [
            ("2026-11-30T14:00:00Z", "America/New_York", Some(0)), // Monday, 9 in the morning
            ("2026-11-30T13:59:59Z", "America/New_York", None),
            ("2026-11-30T14:00:00Z", "America/Chicago", None), // there it is 8
            ("2026-11-30T17:00:00Z", "America/New_York", Some(1)),
            ("2026-11-30T23:00:00Z", "America/New_York", None),
            ("2026-11-29T17:00:00Z", "America/New_York", None), // Sunday
            ("2026-11-28T17:00:00Z", "America/New_York", Some(1)), // Saturday has the afternoon only
            ("2026-11-28T15:00:00Z", "America/New_York", None),
            ("2026-12-22T17:00:00Z", "America/New_York", None), // closed
            // Before and after the clocks change: nine o'clock stays nine o'clock.
            ("2026-03-03T14:00:00Z", "America/New_York", Some(0)),
            ("2026-03-10T13:00:00Z", "America/New_York", Some(0)),
            ("2026-03-10T12:59:00Z", "America/New_York", None),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            assert_eq!(hours.part(Instant::parse(at).unwrap(), &zone), part, "{at}");
        }
    }

    #[test]
    fn bad_hours_name_their_element() {
        let open = |from: &str, to: &str, day: &str| {
            let time = serde_json::json!([{"daysOfWeek": [day], "availableStartTime": from, "availableEndTime": to}]);
            Hours::read(&serde_json::json!({"availableTime": time}).into())
        };
        assert!(open("09:00:00", "12:00:00", "mon").is_ok());
        for (from, to, day, at) in [
            ("09:00:00", "08:00:00", "mon", "HealthcareService.availableTime[0]"),
            ("9", "12:00:00", "mon", "HealthcareService.availableTime[0]"),
            ("09:00:00", "12:00:00", "monday", "HealthcareService.availableTime[0].daysOfWeek"),
        ] {
            assert_eq!(open(from, to, day).unwrap_err().0, at);
        }
    }
}
