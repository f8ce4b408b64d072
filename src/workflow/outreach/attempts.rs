//! How often, and when, a patient is called before a Task may say that nobody could be reached.
//!
//! For: the rule of an ActivityDefinition, and what the attempts so far amount to. Pure. Not for: writing the Task
//! (`react/outreach.rs`).
//! Source: extension `attempts` of an ActivityDefinition; own rules in `profiles/protocol/README.md`.

use super::{is_reached, not_done_for};
use crate::clock::Instant;
use crate::fhir::Json;
use crate::workflow::calendar::Hours;
use crate::workflow::element;
use crate::workflow::protocol::seconds;
use jiff::tz::TimeZone;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The rule.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// After so many in vain the patient counts as unreachable.
    pub most: usize,
    /// Seconds between two in vain.
    pub gap_seconds: i64,
    /// In how many parts of the day it must have been tried.
    pub parts: usize,
    /// When patients are called, by their clocks.
    pub hours: Arc<Hours>,
}

impl Attempts {
    /// Reads the extension: `most` (valueInteger), `gap` (valueDuration), `dayparts` (valueInteger), `hours` (valueString, the id
    /// of a HealthcareService with hours).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(rule: &Json, hours: &HashMap<String, Arc<Hours>>) -> Result<Self, String> {
        let part = |name: &str| rule["extension"].items().iter().find(|e| e["url"].text() == name);
        let number = |name: &str| {
            let value = part(name).and_then(|e| e["valueInteger"].as_i64()).filter(|v| (1..=100).contains(v));
            value.and_then(|v| usize::try_from(v).ok()).ok_or(format!("attempts.{name} is a number from 1 to 100"))
        };
        let gap = part("gap").and_then(|e| seconds(&e["valueDuration"]));
        let id = part("hours").map_or("", |e| e["valueString"].text());
        let hours = hours.get(id).ok_or(format!("attempts.hours: no calling hours are called '{id}'"))?;
        let read = Self {
            most: number("most")?,
            gap_seconds: gap.ok_or("attempts.gap is a duration in whole min, h or d")?,
            parts: number("dayparts")?,
            hours: hours.clone(),
        };
        if read.parts > read.hours.parts() || read.parts > read.most {
            return Err("attempts.dayparts asks for more parts of the day than there are hours, or attempts".into());
        }
        Ok(read)
    }
}

/// What the attempts on a Task amount to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Those in vain that count.
    pub vain: usize,
    /// Parts of the day they were made in.
    pub parts: BTreeSet<usize>,
    /// Whether somebody was reached.
    pub is_reached: bool,
}

impl Tally {
    /// Counts attempts: those in vain within the hours; a line that did not work is nobody's absence.
    #[must_use]
    pub fn of(rule: &Attempts, attempts: &[&Json], zone: &TimeZone) -> Self {
        let mut out = Self::default();
        for attempt in attempts.iter().filter(|a| a["status"].text() != "entered-in-error") {
            out.is_reached |= is_reached(attempt);
            let counts = attempt["status"].text() == "not-done" && !not_done_for(attempt, "system-error");
            let Some(sent) = sent(attempt).filter(|_| counts) else { continue };
            out.vain += 1;
            out.parts.extend(rule.hours.part(sent, zone));
        }
        out
    }

    /// Whether the patient counts as unreachable.
    #[must_use]
    pub fn is_enough(&self, rule: &Attempts) -> bool {
        !self.is_reached && self.vain >= rule.most && self.parts.len() >= rule.parts
    }

    /// What is still missing, as a sentence.
    #[must_use]
    pub fn missing(&self, rule: &Attempts) -> String {
        format!(
            "{} of {} attempts in vain, in {} of {} parts of the day",
            self.vain.min(rule.most),
            rule.most,
            self.parts.len().min(rule.parts),
            rule.parts
        )
    }
}

/// When an attempt was made.
#[must_use]
pub fn sent(attempt: &Json) -> Option<Instant> {
    element::earliest(attempt["sent"].text(), &TimeZone::UTC)
}

/// Why an attempt in vain cannot be taken: outside of the hours, or too soon after or before another one.
#[must_use]
pub fn refusal(rule: &Attempts, attempt: &Json, others: &[&Json], zone: &TimeZone) -> Option<String> {
    // Who was reached was reached; what is recorded then is what happened.
    if attempt["status"].text() != "not-done" || not_done_for(attempt, "patient-objection") {
        return None;
    }
    let at = sent(attempt)?;
    if rule.hours.part(at, zone).is_none() {
        let local = at.timestamp().to_zoned(zone.clone()).strftime("%A %H:%M").to_string();
        let zone = zone.iana_name().unwrap_or("the patient's zone");
        return Some(format!("at {local} in {zone} nobody is called: an attempt in vain counts in calling hours only"));
    }
    let near = others
        .iter()
        .filter(|o| o["status"].text() == "not-done" && o["id"] != attempt["id"])
        .filter_map(|o| sent(o))
        .find(|other| (at.0 - other.0).abs() < rule.gap_seconds.saturating_mul(1_000_000))?;
    let minutes = rule.gap_seconds / 60;
    let near = near.to_seconds_text();
    Some(format!("another attempt in vain was made at {near}: there are {minutes} minutes between two"))
}

#[cfg(test)]
mod tests;
