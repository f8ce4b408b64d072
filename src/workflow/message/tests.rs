use super::{Event, read};
use crate::clock::Instant;
use crate::fhir::Json;
use serde_json::{Value, json};

fn now() -> Instant {
    Instant::parse("2026-03-10T12:00:00Z").unwrap()
}

fn discharge() -> Value {
    let entry = |url: &str, resource: Value| json!({"fullUrl": url, "resource": resource});
    json!({
        "resourceType": "Bundle", "type": "message", "timestamp": "2026-03-10T11:00:00Z",
        "entry": [
            entry("urn:uuid:h", json!({"resourceType": "MessageHeader", "id": "m1",
                "eventCoding": {"system": super::ALERTS, "code": "notification-discharge"},
                "source": {"endpoint": "http://lakeside.example/"}, "focus": [{"reference": "urn:uuid:e"}]})),
            entry("urn:uuid:e", json!({"resourceType": "Encounter", "status": "finished",
                "identifier": [{"system": "urn:visit", "value": "1"}], "class": {"code": "IMP"},
                "subject": {"reference": "urn:uuid:p"},
                "period": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-10T10:00:00Z"}})),
            entry("urn:uuid:p", json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]})),
        ]
    })
}

/// What is wrong with the discharge after a change, by place.
fn faults(change: &dyn Fn(&mut Value)) -> Vec<String> {
    let mut bundle = discharge();
    change(&mut bundle);
    match read(&Json::from(bundle), now()) {
        Ok(message) => panic!("{message:?} was taken"),
        Err(error) => error.issues.into_iter().map(|i| i.expression).collect(),
    }
}

#[test]
fn a_message_says_what_happened_when_to_whom_and_under_which_id() {
    let message = read(&Json::from(discharge()), now()).unwrap();
    assert_eq!((message.event, message.focus, message.id), (Event::Discharge, vec![1], "|m1".into()));
    assert_eq!(message.sent, Instant::parse("2026-03-10T11:00:00Z"));
    let mut named = discharge();
    named["identifier"] = json!({"system": "urn:lakeside", "value": "7"});
    assert_eq!(read(&Json::from(named), now()).unwrap().id, "urn:lakeside|7");
}

#[test]
fn links_may_be_addresses_of_the_sender_and_relative_to_them() {
    let mut bundle = discharge();
    bundle["entry"][1]["fullUrl"] = "http://lakeside.example/fhir/Encounter/9".into();
    bundle["entry"][2]["fullUrl"] = "http://lakeside.example/fhir/Patient/8".into();
    bundle["entry"][0]["resource"]["focus"][0]["reference"] = "http://lakeside.example/fhir/Encounter/9".into();
    bundle["entry"][1]["resource"]["subject"]["reference"] = "Patient/8".into();
    assert_eq!(read(&Json::from(bundle), now()).unwrap().focus, [1]);
}

#[test]
fn each_fault_of_a_message_is_named_where_it_is() {
    type Row = (&'static str, fn(&mut Value), &'static str);
    let rows: [Row; 19] = [
        ("a collection", |b| b["type"] = "collection".into(), "Bundle.type"),
        ("no header first", |b| b["entry"].as_array_mut().unwrap().rotate_left(1), "Bundle.entry[0].resource"),
        (
            "two headers",
            |b| {
                let header = b["entry"][0].clone();
                b["entry"].as_array_mut().unwrap().push(header);
            },
            "Bundle.entry[3].resource",
        ),
        ("no fullUrl", |b| b["entry"][2]["fullUrl"] = "".into(), "Bundle.entry[2].fullUrl"),
        (
            "an event of another system",
            |b| b["entry"][0]["resource"]["eventCoding"]["system"] = "urn:x".into(),
            "Bundle.entry[0].resource.eventCoding",
        ),
        (
            "an event that is not known",
            |b| b["entry"][0]["resource"]["eventCoding"]["code"] = "notification-birth".into(),
            "Bundle.entry[0].resource.eventCoding",
        ),
        (
            "an answer",
            |b| b["entry"][0]["resource"]["response"] = json!({"identifier": "1", "code": "ok"}),
            "Bundle.entry[0].resource.response",
        ),
        ("no time", |b| b["timestamp"] = Value::Null, "Bundle.timestamp"),
        ("a time to come", |b| b["timestamp"] = "2026-03-10T12:30:00Z".into(), "Bundle.timestamp"),
        ("no focus", |b| b["entry"][0]["resource"]["focus"] = json!([]), "Bundle.entry[0].resource.focus"),
        (
            "a focus that is not there",
            |b| b["entry"][0]["resource"]["focus"][0]["reference"] = "urn:uuid:x".into(),
            "Bundle.entry[0].resource.focus[0]",
        ),
        (
            "a focus that is no stay",
            |b| b["entry"][0]["resource"]["focus"][0]["reference"] = "urn:uuid:p".into(),
            "Bundle.entry[0].resource.focus[0]",
        ),
        (
            "two patients",
            |b| {
                let other = json!({"fullUrl": "urn:uuid:q", "resource": b["entry"][2]["resource"]});
                b["entry"].as_array_mut().unwrap().push(other);
            },
            "Bundle.entry[3].resource",
        ),
        (
            "a patient without identifier",
            |b| b["entry"][2]["resource"]["identifier"] = json!([{"value": "1"}]),
            "Bundle.entry[2].resource.identifier",
        ),
        (
            "a medicine of somebody else",
            |b| {
                let other = json!({"resourceType": "MedicationRequest", "subject": {"reference": "Patient/other"}});
                b["entry"].as_array_mut().unwrap().push(json!({"fullUrl": "urn:uuid:r", "resource": other}));
            },
            "Bundle.entry[3].resource.subject",
        ),
        (
            "a stay that goes on",
            |b| b["entry"][1]["resource"]["status"] = "in-progress".into(),
            "Bundle.entry[1].resource.status",
        ),
        (
            "a discharge without end",
            |b| b["entry"][1]["resource"]["period"] = json!({"start": "2026-03-01"}),
            "Bundle.entry[1].resource.period.end",
        ),
        (
            "a stay without identifier",
            |b| b["entry"][1]["resource"]["identifier"] = json!([]),
            "Bundle.entry[1].resource.identifier",
        ),
        (
            "a stay of nobody",
            |b| b["entry"][1]["resource"].as_object_mut().unwrap().remove("subject").map_or((), drop),
            "Bundle.entry[1].resource.subject",
        ),
    ];
    for (what, change, place) in rows {
        let found = faults(&change);
        assert!(found.iter().any(|f| f == place), "{what}: {found:?}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let found = faults(&|b| {
        b["timestamp"] = Value::Null;
        b["entry"][1]["resource"]["status"] = "cancelled".into();
        b["entry"][2]["resource"]["identifier"] = json!([]);
    });
    assert_eq!(found.len(), 3, "{found:?}");
}
