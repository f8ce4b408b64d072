//! What a hospital sends by message: admissions, discharges, corrections, cancellations, lists, of two stays of one patient.

use crate::harness::{Answer, Client};
use jiff::Timestamp;
use serde_json::{Value, json};

const ALERTS: &str = "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event";
const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0003";
const UK: &str = "https://fhir.hl7.org.uk//CodeSystem/message-event";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Admission,
    Discharge,
    Correction,
    DischargeCancelled,
    AdmissionCancelled,
    Medicines,
}

/// All of them.
pub const EVENTS: [Event; 6] = [
    Event::Discharge,
    Event::Correction,
    Event::Admission,
    Event::DischargeCancelled,
    Event::AdmissionCancelled,
    Event::Medicines,
];

/// Medicines that have something to do with each other: two of one substance, an anticoagulant with what it does not go with.
pub const MEDICINES: [&str; 8] = [
    "Warfarin Sodium 5 MG Oral Tablet",
    "Ibuprofen 400 MG Oral Tablet",
    "Metoprolol Tartrate 25 MG Oral Tablet",
    "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet",
    "Aspirin 81 MG Oral Tablet",
    "Simvastatin 20 MG Oral Tablet",
    "lisinopril 10 MG Oral Tablet",
    "Insulin glargine 100 UNT/ML Injectable Solution",
];

/// A message to be.
#[derive(Debug, Clone)]
pub struct News {
    /// Part of all ids of the patient's.
    pub key: String,
    /// `lakeside` or `northgate`.
    pub hospital: &'static str,
    /// Id of the message.
    pub id: String,
    pub event: Event,
    /// When it was put together.
    pub at: Timestamp,
    /// Which stay.
    pub stay: usize,
    pub starts: Timestamp,
    pub ends: Timestamp,
    /// (index into [`MEDICINES`], whether it was taken at home, its directions).
    pub medicines: Vec<(usize, bool, &'static str)>,
}

impl News {
    /// The message.
    pub fn message(&self) -> Value {
        let (key, stay) = (&self.key, self.stay);
        let entry = |url: String, resource: Value| json!({"fullUrl": format!("urn:uuid:{url}"), "resource": resource});
        let to = |url: String| json!({"reference": format!("urn:uuid:{url}")});
        let own = |what: &str| format!("http://{}.example/{what}", self.hospital);
        let (status, ends) = match self.event {
            Event::Discharge | Event::Correction | Event::Medicines => ("finished", true),
            Event::Admission | Event::DischargeCancelled => ("in-progress", false),
            Event::AdmissionCancelled => ("cancelled", false),
        };
        let mut period = json!({"start": self.starts.to_string()});
        if ends {
            period["end"] = self.ends.to_string().into();
        }
        let coding = match self.event {
            Event::Admission => (ALERTS, "notification-admit"),
            Event::Discharge => (ALERTS, "notification-discharge"),
            Event::Correction => (V2, "A08"),
            Event::DischargeCancelled => (V2, "A13"),
            Event::AdmissionCancelled => (V2, "A11"),
            Event::Medicines => (UK, "medication-statement"),
        };
        let medicine = |(n, at_home, directions): &(usize, bool, &'static str)| {
            let mut out = json!({"status": "active", "subject": to(format!("p-{key}")),
                "identifier": [{"system": own("medicine"), "value": format!("{key}/{stay}/{n}/{at_home}")}],
                "medicationCodeableConcept": {"text": MEDICINES[*n]}});
            if *at_home {
                out["resourceType"] = "MedicationStatement".into();
                out["category"] = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "community"}]});
                out["dosage"] = json!([{"text": directions}]);
            } else {
                out["resourceType"] = "MedicationRequest".into();
                out["intent"] = "order".into();
                out["encounter"] = to(format!("e-{key}"));
                out["category"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}]);
                out["dosageInstruction"] = json!([{"text": directions}]);
            }
            entry(format!("m-{key}-{n}-{at_home}"), out)
        };
        let medicines: Vec<Value> = self.medicines.iter().map(medicine).collect();
        let focus = match (&self.event, medicines.first()) {
            (Event::Medicines, Some(first)) => json!({"reference": first["fullUrl"]}),
            _ => to(format!("e-{key}")),
        };
        let mut encounter = json!({"resourceType": "Encounter", "status": status, "period": period,
                    "identifier": [{"system": own("visit"), "value": format!("{key}/{stay}")}],
                    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                    "subject": to(format!("p-{key}")), "serviceProvider": to("o".into())});
        if ends {
            let home = json!({"coding": [{"system": "http://www.nubc.org/patient-discharge", "code": "1"}]});
            encounter["hospitalization"] = json!({"dischargeDisposition": home});
        }
        let mut entries = vec![
            entry(
                format!("h-{key}"),
                json!({"resourceType": "MessageHeader", "id": self.id, "eventCoding": {"system": coding.0, "code": coding.1},
                    "source": {"endpoint": own("adt")}, "focus": [focus]}),
            ),
            entry(format!("e-{key}"), encounter),
            entry(
                format!("p-{key}"),
                json!({"resourceType": "Patient", "birthDate": "1950-02-03",
                    "identifier": [{"system": own("mrn"), "value": key}]}),
            ),
            entry(
                "o".into(),
                json!({"resourceType": "Organization", "name": "as it calls itself",
                    "identifier": [{"system": "http://baton.example/demo/organization", "value": self.hospital}]}),
            ),
        ];
        entries.extend(medicines);
        json!({"resourceType": "Bundle", "id": self.id, "type": "message", "timestamp": self.at.to_string(), "entry": entries})
    }

    /// A medication message is about medicines: one without any is none.
    pub fn is_one(&self) -> bool {
        self.event != Event::Medicines || !self.medicines.is_empty()
    }
}

/// Sends a message.
pub async fn send(client: &Client, message: &Value) -> Answer {
    client.operation("$process-message", message, None).await
}

/// The Patient's id, by the hospital's number.
pub async fn patient(client: &Client, hospital: &str, key: &str) -> Option<String> {
    let found = client.search(&format!("Patient?identifier=http://{hospital}.example/mrn|{key}")).await;
    assert!(found.len() < 2, "one patient of each identifier");
    Some(found.first()?["id"].as_str().expect("an id").to_owned())
}
