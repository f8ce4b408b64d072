//! The sample discharges of `profiles/demo`, made fresh: `{{now-28h}}` becomes an instant, `{{date-2555d}}` a date.

use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::{Json, json};

/// The organisations, people, logins and programs of the demo, as `baton seed` reads them.
pub const SEED: &str = include_str!("../../../profiles/demo/seed.json");

/// One discharge as a hospital posts it.
#[derive(Debug, Clone)]
pub struct Discharge {
    /// The file's name without `.json`.
    pub name: &'static str,
    /// Client id of the hospital's EHR.
    pub client: &'static str,
    /// What is in it, in one line.
    pub about: &'static str,
    text: &'static str,
}

macro_rules! discharges {
    ($($name:literal, $client:literal, $about:literal;)*) => {
        /// All samples, in the order in which they are posted: the last one needs a patient of an earlier one.
        pub const DISCHARGES: &[Discharge] = &[$(Discharge {
            name: $name,
            client: $client,
            about: $about,
            text: include_str!(concat!("../../../profiles/demo/", $name, ".json")),
        }),*];
    };
}

discharges! {
    "01-polypharmacy", "lakeside-ehr", "nine medicines, three of them new";
    "02-anticoagulant-dose-change", "lakeside-ehr", "warfarin halved after a high INR";
    "03-omitted-home-medicine", "northgate-ehr", "levothyroxine of before is on no list and in no note";
    "04-duplicate-therapy", "northgate-ehr", "two kinds of metoprolol at once";
    "05-unfilled-prescription", "lakeside-ehr", "a costly new inhaler, not picked up yet";
    "06-no-medicines-known", "northgate-ehr", "the hospital says: no medicines";
    "07-list-not-sent", "northgate-ehr", "the hospital says nothing about medicines";
    "08-a-child", "lakeside-ehr", "seven years old: recorded, not followed up";
    "09-readmission", "lakeside-ehr", "the patient of the warfarin is back in hospital";
}

impl Discharge {
    /// The Bundle as it is posted at `now`.
    ///
    /// # Errors
    /// A placeholder that is none of the two kinds: a fault in the sample.
    pub fn at(&self, now: Instant) -> Result<String> {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((before, from)) = rest.split_once("{{") {
            out.push_str(before);
            let (name, after) = from.split_once("}}").ok_or_else(|| self.fault("{{"))?;
            out.push_str(&moment(name, now).ok_or_else(|| self.fault(name))?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The Bundle as JSON.
    ///
    /// # Errors
    /// As [`Discharge::at`]; a sample that is no JSON.
    pub fn json(&self, now: Instant) -> Result<Json> {
        json::parse(self.at(now)?.as_bytes())
    }

    fn fault(&self, name: &str) -> Error {
        Error::fault(format!("sample {}: no such moment: {name}", self.name))
    }
}

/// `now-28h` (an instant in UTC, whole seconds) or `date-30d` (a date in UTC).
fn moment(name: &str, now: Instant) -> Option<String> {
    let (kind, span) = name.split_at(name.find('-').unwrap_or(name.len()));
    let seconds = |unit: char, each: i64| span.strip_suffix(unit).and_then(|n| n.parse::<i64>().ok()).map(|n| n * each);
    match kind {
        "now" if span.is_empty() => Some(now.to_seconds_text()),
        "now" => Some(now.plus_seconds(seconds('h', 3600)?).to_seconds_text()),
        "date" => now.plus_seconds(seconds('d', 86_400)?).to_seconds_text().get(..10).map(str::to_string),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DISCHARGES, moment};
    use crate::clock::Instant;

    #[test]
    fn moments_are_counted_back_from_now() {
        let now = Instant::parse("2026-03-01T12:00:30Z").unwrap();
        assert_eq!(moment("now-28h", now).unwrap(), "2026-02-28T08:00:30Z");
        assert_eq!(moment("date-1d", now).unwrap(), "2026-02-28");
        assert_eq!(moment("noon-1d", now), None);
    }

    #[test]
    fn every_sample_is_json_and_makes_nothing_twice() {
        for discharge in DISCHARGES {
            let bundle = discharge.json(Instant::now()).unwrap();
            let entries = bundle["entry"].items();
            assert!(!entries.is_empty(), "{}", discharge.name);
            assert!(entries.iter().all(|e| !e["request"]["ifNoneExist"].text().is_empty()), "{}", discharge.name);
        }
    }
}
