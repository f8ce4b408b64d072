//! What Da Vinci's profiles of a notification ask beyond R4, element by element.
//!
//! For: the three events of that guide (admit, transfer, discharge). Not for: v2 events, medication messages, or a discharge that
//! comes as a transaction, which stay as tolerant as they were.
//! Source: Da Vinci Unsolicited Notifications 1.1.0: `notifications-bundle`, `notifications-messageheader` and those of the events,
//! `adt-notification-encounter`, `adt-notification-condition`. The base of these, US Core, is checked where its package is loaded.

use super::rules::Judge;
use crate::fhir::Json;

const CONDITION: &str = "http://hl7.org/fhir/us/davinci-alerts/StructureDefinition/adt-notification-condition";

impl Judge<'_> {
    /// Judges a notification by its profiles. `stay`: the entry that is its focus.
    pub(super) fn davinci(&mut self, bundle: &Json, header: &Json, stay: Option<usize>) {
        let needs_id = "its profile asks for it (1..1): give it one of the sender's own";
        if bundle["id"].text().is_empty() {
            self.say("required", "Bundle.id", format!("a notification has an id; {needs_id}"));
        }
        if header["id"].text().is_empty() {
            let at = "Bundle.entry[0].resource.id";
            self.say("required", at, format!("the MessageHeader of a notification has an id; {needs_id}"));
        }
        let found = header["destination"].items().len();
        if found > 1 {
            let text =
                format!("found {found} destinations; a notification goes to one at most (0..1): send each its own");
            self.say("structure", "Bundle.entry[0].resource.destination", text);
        }
        for name in ["sender", "author", "responsible"] {
            let Some(who) = header.get(name) else { continue };
            // A sender or author may be a Device, named in an extension; who is responsible is always a reference.
            if name == "responsible" || who.get("reference").is_some() {
                self.bundled(0, who, format!("Bundle.entry[0].resource.{name}"));
            }
        }
        for n in 0..self.entries.len() {
            let condition = self.resource(n);
            let claims = condition["meta"]["profile"].items().iter().any(|p| p.text().starts_with(CONDITION));
            if !claims || condition["resourceType"].text() != "Condition" {
                continue;
            }
            let at = format!("Bundle.entry[{n}].resource.encounter");
            let led = self.bundled(n, &condition["encounter"], at.as_str());
            if stay.is_some() && led.is_some() && led != stay {
                self.say(
                    "value",
                    at,
                    "found another resource than the stay that the notification is about; name that one",
                );
            }
        }
        let Some(n) = stay else { return };
        let encounter = self.resource(n);
        for (m, participant) in encounter["participant"].items().iter().enumerate() {
            if let Some(individual) = participant.get("individual") {
                self.bundled(n, individual, format!("Bundle.entry[{n}].resource.participant[{m}].individual"));
            }
        }
        for (m, location) in encounter["location"].items().iter().enumerate() {
            self.bundled(n, &location["location"], format!("Bundle.entry[{n}].resource.location[{m}].location"));
        }
    }

    /// Says where a reference of entry `from` does not lead to an entry; answers where it does.
    fn bundled(&mut self, from: usize, reference: &Json, at: impl Into<String>) -> Option<usize> {
        let to = reference["reference"].text();
        let led = self.find(from, to);
        if led.is_none() {
            let (code, why) = match to {
                "" => ("required", "found no reference; its profile asks for one (1..1)"),
                _ => ("not-found", "found a reference that leads out of the message; its profile wants it bundled"),
            };
            self.say(code, at, format!("{why}: put the resource in, and name its fullUrl here"));
        }
        led
    }
}
