//! What a message must be: all that is wrong comes at once.

use super::{ALERTS, EVENTS, Event, Message, UK, V2, has_key};
use crate::clock::Instant;
use crate::error::Issue;
use crate::fhir::Json;
use crate::fhir::resource::printable;

/// Seconds that a message may come from the future: clocks differ.
const SKEW_SECONDS: i64 = 600;

/// What says what a patient takes.
const MEDICINES: [&str; 5] =
    ["List", "MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"];

/// A stay that goes on.
const PRESENT: [&str; 4] = ["arrived", "triaged", "in-progress", "onleave"];

/// The message, as far as it can be read, and what is wrong with it; one of them says something.
pub(super) fn judge(bundle: &Json, now: Instant) -> (Option<Message>, Vec<Issue>) {
    let mut judge = Judge { entries: bundle["entry"].items(), issues: Vec::new() };
    let message = judge.message(bundle, now);
    (message, judge.issues)
}

pub(super) struct Judge<'a> {
    pub(super) entries: &'a [Json],
    issues: Vec<Issue>,
}

impl<'a> Judge<'a> {
    pub(super) fn say(&mut self, code: &'static str, at: impl Into<String>, text: impl Into<String>) {
        self.issues.push(Issue::error(code, at, text));
    }

    pub(super) fn resource(&self, n: usize) -> &'a Json {
        self.entries.get(n).map_or(&Json::Null, |e| &e["resource"])
    }

    fn message(&mut self, bundle: &Json, now: Instant) -> Option<Message> {
        self.entries();
        let header = self.resource(0);
        if header["resourceType"].text() != "MessageHeader" {
            return None; // said by `entries`
        }
        let event = self.event(header)?;
        if header.get("response").is_some() {
            let text = "found a response; news is taken here, no answers: leave it out";
            self.say("not-supported", "Bundle.entry[0].resource.response", text);
        }
        let sent = self.sent(bundle, event, now);
        let focus = self.focus(header, event);
        self.one_patient();
        if event != Event::Medicines
            && let [stay] = focus[..]
        {
            self.stay(stay, event);
        }
        if header["eventCoding"]["system"].text() == ALERTS {
            self.davinci(bundle, header, focus.first().copied());
        }
        let id = self.id(bundle, header)?;
        Some(Message { id, event, sent, focus })
    }

    /// The first entry is the MessageHeader and the only one; each has a `fullUrl`, which is what links lead to.
    fn entries(&mut self) {
        if self.resource(0)["resourceType"].text() != "MessageHeader" {
            let text = "the first entry of a message is its MessageHeader (bdl-12); put it there";
            self.say("invariant", "Bundle.entry[0].resource", text);
        }
        for (n, entry) in self.entries.iter().enumerate() {
            if n > 0 && entry["resource"]["resourceType"].text() == "MessageHeader" {
                let text = "a message has one MessageHeader; send two messages";
                self.say("invariant", format!("Bundle.entry[{n}].resource"), text);
            }
            if entry["fullUrl"].text().is_empty() {
                let text = "an entry of a message needs a fullUrl: urn:uuid:… will do";
                self.say("required", format!("Bundle.entry[{n}].fullUrl"), text);
            }
            if entry.get("resource").is_none() {
                self.say("required", format!("Bundle.entry[{n}].resource"), "an entry of a message brings a resource");
            }
        }
    }

    fn event(&mut self, header: &Json) -> Option<Event> {
        let at = "Bundle.entry[0].resource.eventCoding";
        let coding = &header["eventCoding"];
        if let Some(event) = Event::of(coding) {
            return Some(event);
        }
        let codes = |system: &str| {
            let of = EVENTS.iter().filter(|(s, ..)| *s == system).map(|(_, code, _)| *code);
            of.collect::<Vec<_>>().join(", ")
        };
        let known = format!("{} of {ALERTS}; {} of {V2}; {} of {UK}", codes(ALERTS), codes(V2), codes(UK));
        let found = match coding {
            Json::Null => "found no eventCoding (eventUri names no event here)".to_owned(),
            c => format!("found '{}' of '{}'", printable(c["code"].text()), printable(c["system"].text())),
        };
        self.say("not-supported", at, format!("{found}; events that are taken: {known}"));
        None
    }

    fn sent(&mut self, bundle: &Json, event: Event, now: Instant) -> Option<Instant> {
        let sent = Instant::parse(bundle["timestamp"].text());
        if sent.is_none() && event != Event::Medicines {
            let text = "a notification says when it was put together: of two about one stay the newer counts";
            self.say("required", "Bundle.timestamp", text);
        }
        if sent.is_some_and(|sent| sent > now.plus_seconds(SKEW_SECONDS)) {
            let text = "found a time that is still to come; see to the clock of the sender";
            self.say("value", "Bundle.timestamp", text);
        }
        sent
    }

    fn id(&mut self, bundle: &Json, header: &Json) -> Option<String> {
        let identifier = &bundle["identifier"];
        let names = [identifier["value"].text(), header["id"].text(), self.entries.first()?["fullUrl"].text()];
        let id = names.into_iter().find(|n| !n.is_empty())?;
        Some(format!("{}|{id}", if id == names[0] { identifier["system"].text() } else { "" }))
    }

    /// What the message is about, by entry: a stay, or medicines.
    fn focus(&mut self, header: &Json, event: Event) -> Vec<usize> {
        let mut out = Vec::new();
        for (n, focus) in header["focus"].items().iter().enumerate() {
            let at = format!("Bundle.entry[0].resource.focus[{n}]");
            let Some(entry) = self.find(0, focus["reference"].text()) else {
                let text = "the focus is not in the message; put it in, with the fullUrl that is named here";
                self.say("not-found", at, text);
                continue;
            };
            let rtype = self.resource(entry)["resourceType"].text();
            let (fits, wanted) = match event {
                Event::Medicines => (MEDICINES.contains(&rtype), "what the patient takes: a MedicationStatement, say"),
                _ => (rtype == "Encounter", "the Encounter"),
            };
            if !fits {
                self.say("value", at, format!("found a {}; such a message is about {wanted}", printable(rtype)));
                continue;
            }
            out.push(entry);
        }
        out.sort_unstable();
        out.dedup();
        if header["focus"].items().is_empty() || (event != Event::Medicines && out.len() > 1) {
            let wanted = if event == Event::Medicines { "at least one" } else { "one, the Encounter" };
            let found = header["focus"].items().len();
            self.say(
                "required",
                "Bundle.entry[0].resource.focus",
                format!("found {found} resources in focus; expected {wanted}"),
            );
        }
        out
    }

    /// The entry that a reference of entry `from` leads to.
    pub(super) fn find(&self, from: usize, reference: &str) -> Option<usize> {
        let url = |n: usize| self.entries.get(n).map_or("", |e| e["fullUrl"].text());
        let by_url = (0..self.entries.len()).find(|n| !reference.is_empty() && url(*n) == reference);
        by_url.or_else(|| {
            // `Patient/1` beside `http://elsewhere/fhir/Encounter/2` means `http://elsewhere/fhir/Patient/1`.
            let mut parts = url(from).rsplitn(3, '/');
            let root = parts.nth(2).filter(|root| root.starts_with("http"))?;
            let absolute = format!("{root}/{reference}");
            (0..self.entries.len()).find(|n| url(*n) == absolute)
        })
    }

    /// A message is about one patient, who is in it.
    fn one_patient(&mut self) {
        let is_patient = |n: &usize| self.resource(*n)["resourceType"].text() == "Patient";
        let patients: Vec<usize> = (0..self.entries.len()).filter(is_patient).collect();
        let [patient] = patients[..] else {
            let text = format!("found {} Patients; a message is about one, who is in it", patients.len());
            let at = patients.get(1).map_or("Bundle.entry".into(), |n| format!("Bundle.entry[{n}].resource"));
            return self.say("invariant", at, text);
        };
        if !self.resource(patient)["identifier"].items().iter().any(has_key) {
            let text = "a patient is known by an identifier with system and value, never by name; send one";
            self.say("required", format!("Bundle.entry[{patient}].resource.identifier"), text);
        }
        for n in 0..self.entries.len() {
            let resource = self.resource(n);
            for element in ["subject", "patient", "beneficiary"] {
                let Some(reference) = resource.get(element).filter(|r| r.as_object().is_some()) else { continue };
                let led = self.find(n, reference["reference"].text());
                if led != Some(patient) {
                    let what = if led.is_none() { "is not in the message" } else { "is not its Patient" };
                    let text = format!("who this is about {what}; a message is about one patient, by fullUrl");
                    self.say("invariant", format!("Bundle.entry[{n}].resource.{element}"), text);
                }
            }
        }
    }

    /// What the Encounter must say for the event.
    fn stay(&mut self, n: usize, event: Event) {
        let stay = self.resource(n);
        let here = format!("Bundle.entry[{n}].resource");
        if stay.get("subject").is_none() {
            self.say("required", format!("{here}.subject"), "whose stay it is must be said");
        }
        if !stay["identifier"].items().iter().any(has_key) {
            let text = "later news of the stay finds it by an identifier with system and value; send one";
            self.say("required", format!("{here}.identifier"), text);
        }
        let status = stay["status"].text();
        let wanted: &[&str] = match event {
            Event::Discharge => &["finished"],
            Event::Admit | Event::Transfer | Event::CancelDischarge => &PRESENT,
            Event::CancelAdmit => &["cancelled", "entered-in-error"],
            Event::Update | Event::Medicines => &[],
        };
        if !wanted.is_empty() && !wanted.contains(&status) {
            let text = format!(
                "found '{}'; after the news of a {} an Encounter is {}",
                printable(status),
                event.name(),
                wanted.join(", ")
            );
            self.say("value", format!("{here}.status"), text);
        }
        if event == Event::Discharge {
            self.discharge(stay, &here);
        }
    }

    /// What only a discharge says.
    fn discharge(&mut self, stay: &Json, here: &str) {
        for (name, what) in [("start", "when the patient came"), ("end", "when the patient left")] {
            if stay["period"][name].text().is_empty() {
                self.say("required", format!("{here}.period.{name}"), format!("{what} must be said"));
            }
        }
        let went = &stay["hospitalization"]["dischargeDisposition"];
        if went["text"].text().is_empty() && !went["coding"].items().iter().any(|c| !c["code"].text().is_empty()) {
            let text = "where the patient went must be said: a code of discharge-disposition or of NUBC; where nothing fits, 'oth'";
            self.say("required", format!("{here}.hospitalization.dischargeDisposition"), text);
        }
        let hospital = &stay["serviceProvider"];
        if hospital["reference"].text().is_empty() && !has_key(&hospital["identifier"]) {
            let text = "which hospital it was must be said: a reference to the Organization, best one in the message";
            self.say("required", format!("{here}.serviceProvider"), text);
        }
    }
}
