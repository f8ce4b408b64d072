//! Messages: what a hospital says in a Bundle of type message, read and judged before anything is stored.
//!
//! For: [`read`], pure. [`Event`] which kinds of news there are · `rules` what a message must be · `davinci` what that guide's profiles
//! ask beyond that.
//! Not for: storing what it brings (`interaction/message.rs`), or what follows from it: an Encounter that comes by message is
//! the same as one that comes by PUT (`react/`).
//! Source: <https://hl7.org/fhir/R4/messaging.html>; Da Vinci Unsolicited Notifications 1.1.0 (`notifications-bundle`,
//! `adt-notification-encounter`); HL7 v2 table 0003 for what that guide has no event for.

mod davinci;
mod rules;
#[cfg(test)]
mod tests;

use crate::clock::Instant;
use crate::error::{Error, Kind, Result};
use crate::fhir::Json;
use crate::fhir::resource::printable;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The patient came in.
    Admit,
    /// The patient was moved inside the hospital.
    Transfer,
    /// The patient left.
    Discharge,
    /// The discharge did not happen: the patient is still there.
    CancelDischarge,
    /// The admission did not happen.
    CancelAdmit,
    /// What was said before is now said better.
    Update,
    /// What a patient takes.
    Medicines,
}

const ALERTS: &str = "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event";
const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0003";
const UK: &str = "https://fhir.hl7.org.uk//CodeSystem/message-event";

/// System, code, what it means here.
const EVENTS: [(&str, &str, Event); 10] = [
    (ALERTS, "notification-admit", Event::Admit),
    (ALERTS, "notification-transfer", Event::Transfer),
    (ALERTS, "notification-discharge", Event::Discharge),
    (V2, "A01", Event::Admit),
    (V2, "A02", Event::Transfer),
    (V2, "A03", Event::Discharge),
    (V2, "A08", Event::Update),
    (V2, "A11", Event::CancelAdmit),
    (V2, "A13", Event::CancelDischarge),
    (UK, "medication-statement", Event::Medicines),
];

/// A message that may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What its sender calls it: of two messages with one id the second is a copy, or wrong.
    pub id: String,
    /// What happened.
    pub event: Event,
    /// When the sender put it together; `None` where messages of its kind need not say.
    pub sent: Option<Instant>,
    /// Entries that it is about.
    pub focus: Vec<usize>,
}

impl Event {
    fn of(coding: &Json) -> Option<Self> {
        let (system, code) = (coding["system"].text(), coding["code"].text());
        EVENTS.iter().find(|(s, c, _)| *s == system && *c == code).map(|(.., event)| *event)
    }

    /// In a word, for a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admit => "admission",
            Self::Transfer => "transfer",
            Self::Discharge => "discharge",
            Self::CancelDischarge => "cancelled discharge",
            Self::CancelAdmit => "cancelled admission",
            Self::Update => "update",
            Self::Medicines => "medication",
        }
    }
}

/// Whether an identifier tells one thing from another.
fn has_key(identifier: &Json) -> bool {
    !identifier["system"].text().is_empty() && !identifier["value"].text().is_empty()
}

/// Reads a message. `bundle`: a Bundle that R4 allows. `now`: no message comes from later than that.
///
/// # Errors
/// `Invalid` for what is no message; `Unprocessable` with all that is wrong with one.
pub fn read(bundle: &Json, now: Instant) -> Result<Message> {
    if bundle["type"].text() != "message" {
        let text = format!(
            "found type '{}'; $process-message takes a Bundle of type message",
            printable(bundle["type"].text())
        );
        return Err(Error::invalid(text).code("value").at("Bundle.type"));
    }
    let (message, issues) = rules::judge(bundle, now);
    match message {
        Some(message) if issues.is_empty() => Ok(message),
        _ => Err(Error::with_issues(Kind::Unprocessable, issues)),
    }
}
