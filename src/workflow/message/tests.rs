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
        "resourceType": "Bundle", "id": "b1", "type": "message", "timestamp": "2026-03-10T11:00:00Z",
        "entry": [
            entry("urn:uuid:h", json!({"resourceType": "MessageHeader", "id": "m1",
                "eventCoding": {"system": super::ALERTS, "code": "notification-discharge"},
                "source": {"endpoint": "http://lakeside.example/"}, "focus": [{"reference": "urn:uuid:e"}]})),
            entry("urn:uuid:e", json!({"resourceType": "Encounter", "status": "finished",
                "identifier": [{"system": "urn:visit", "value": "1"}], "class": {"code": "IMP"},
                "subject": {"reference": "urn:uuid:p"},
                "period": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-10T10:00:00Z"},
                "hospitalization": {"dischargeDisposition": {"coding": [{"system": "http://www.nubc.org/patient-discharge", "code": "1"}]}},
                "serviceProvider": {"reference": "Organization/lakeside"}})),
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

/// Da Vinci davinci-alerts 1.1.0: What the profiles of a notification ask is asked element by element; of v2's events and of messages about
/// medicines it is not.
#[test]
fn the_profiles_of_a_notification_are_asked_element_by_element() {
    type Row = (&'static str, fn(&mut Value), &'static str);
    const CONDITION: &str =
        "http://hl7.org/fhir/us/davinci-alerts/StructureDefinition/adt-notification-condition|1.1.0";
    let rows: [Row; 11] = [
        ("no id of the Bundle", |b| b["id"] = Value::Null, "Bundle.id"),
        ("no id of the header", |b| b["entry"][0]["resource"]["id"] = Value::Null, "Bundle.entry[0].resource.id"),
        (
            "two destinations",
            |b| {
                b["entry"][0]["resource"]["destination"] =
                    json!([{"endpoint": "http://a.example/"}, {"endpoint": "http://b.example/"}]);
            },
            "Bundle.entry[0].resource.destination",
        ),
        (
            "a sender who is not there",
            |b| b["entry"][0]["resource"]["sender"] = json!({"reference": "Organization/lakeside"}),
            "Bundle.entry[0].resource.sender",
        ),
        (
            "an author who is not there",
            |b| b["entry"][0]["resource"]["author"] = json!({"reference": "urn:uuid:dr"}),
            "Bundle.entry[0].resource.author",
        ),
        (
            "responsible by name alone",
            |b| b["entry"][0]["resource"]["responsible"] = json!({"display": "Lakeside"}),
            "Bundle.entry[0].resource.responsible",
        ),
        (
            "a participant who is not there",
            |b| {
                b["entry"][1]["resource"]["participant"] =
                    json!([{}, {"individual": {"reference": "Practitioner/dr"}}]);
            },
            "Bundle.entry[1].resource.participant[1].individual",
        ),
        (
            "a participant by name alone",
            |b| b["entry"][1]["resource"]["participant"] = json!([{"individual": {"display": "Dr. Who"}}]),
            "Bundle.entry[1].resource.participant[0].individual",
        ),
        (
            "a place that is not there",
            |b| b["entry"][1]["resource"]["location"] = json!([{"location": {"reference": "Location/ward"}}]),
            "Bundle.entry[1].resource.location[0].location",
        ),
        ("a diagnosis of no stay", |b| condition(b, json!({})), "Bundle.entry[3].resource.encounter"),
        (
            "a diagnosis of something else",
            |b| condition(b, json!({"reference": "urn:uuid:p"})),
            "Bundle.entry[3].resource.encounter",
        ),
    ];
    fn condition(bundle: &mut Value, encounter: Value) {
        let condition = json!({"resourceType": "Condition", "meta": {"profile": [CONDITION]}, "encounter": encounter,
            "subject": {"reference": "urn:uuid:p"}});
        bundle["entry"].as_array_mut().unwrap().push(json!({"fullUrl": "urn:uuid:c", "resource": condition}));
    }
    for (what, change, place) in rows {
        assert_eq!(faults(&change), [place], "{what}");
        if place == "Bundle.entry[0].resource.id" {
            continue; // by which a message without an id of the Bundle's would be known
        }
        let mut by_v2 = discharge();
        change(&mut by_v2);
        by_v2["entry"][0]["resource"]["eventCoding"] = json!({"system": super::V2, "code": "A03"});
        read(&Json::from(by_v2), now()).unwrap_or_else(|e| panic!("{what}, by a v2 event: {e}"));
    }
    // All of it at its place is taken.
    let whole = |b: &mut Value| {
        condition(b, json!({"reference": "urn:uuid:e"}));
        for (url, rtype) in [("urn:uuid:dr", "Practitioner"), ("urn:uuid:ward", "Location")] {
            b["entry"].as_array_mut().unwrap().push(json!({"fullUrl": url, "resource": {"resourceType": rtype}}));
        }
        b["entry"][0]["resource"]["destination"] = json!([{"endpoint": "http://a.example/"}]);
        b["entry"][0]["resource"]["author"] = json!({"reference": "urn:uuid:dr"});
        b["entry"][0]["resource"]["sender"] = json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/alternate-reference",
            "valueReference": {"reference": "Device/adt"}}]});
        b["entry"][1]["resource"]["participant"] = json!([{}, {"individual": {"reference": "urn:uuid:dr"}}]);
        b["entry"][1]["resource"]["location"] = json!([{"location": {"reference": "urn:uuid:ward"}}]);
    };
    let mut good = discharge();
    whole(&mut good);
    read(&Json::from(good), now()).unwrap();
}

/// Own workflow 3.1: A discharge by message says when the patient came and left, where they went, and from which hospital; by whichever event.
#[test]
fn a_discharge_by_message_is_told_whole() {
    type Row = (fn(&mut Value), &'static str);
    let rows: [Row; 6] = [
        (|e| drop(e["period"].as_object_mut().unwrap().remove("start")), "period.start"),
        (|e| drop(e["period"].as_object_mut().unwrap().remove("end")), "period.end"),
        (|e| drop(e.as_object_mut().unwrap().remove("hospitalization")), "hospitalization.dischargeDisposition"),
        (
            |e| e["hospitalization"]["dischargeDisposition"] = json!({"coding": [{"display": "Home"}]}),
            "hospitalization.dischargeDisposition",
        ),
        (|e| drop(e.as_object_mut().unwrap().remove("serviceProvider")), "serviceProvider"),
        (|e| e["serviceProvider"] = json!({"display": "Lakeside"}), "serviceProvider"),
    ];
    for (change, place) in rows {
        for event in [(super::ALERTS, "notification-discharge"), (super::V2, "A03")] {
            let found = faults(&|b| {
                change(&mut b["entry"][1]["resource"]);
                b["entry"][0]["resource"]["eventCoding"] = json!({"system": event.0, "code": event.1});
            });
            assert_eq!(found, [format!("Bundle.entry[1].resource.{place}")], "{event:?}");
        }
        // Who is only coming has not gone anywhere.
        let mut admission = discharge();
        admission["entry"][0]["resource"]["eventCoding"]["code"] = "notification-admit".into();
        admission["entry"][1]["resource"]["status"] = "in-progress".into();
        change(&mut admission["entry"][1]["resource"]);
        read(&Json::from(admission), now()).unwrap();
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

/// Own workflow 6: The map between events of HL7 v2 and Da Vinci says what is carried out.
#[test]
fn the_map_of_events_says_what_is_carried_out() {
    let programme = crate::workflow::Programme::for_tests();
    let map = programme.term("ConceptMap", "http://baton.example/fhir/ConceptMap/event-v2", None).unwrap();
    let event = |system: &str, code: &str| {
        let row = super::EVENTS.iter().find(|(s, c, _)| *s == system && *c == code);
        row.map(|(.., event)| *event).unwrap_or_else(|| panic!("{system}|{code} is no event here"))
    };
    let mut codes = 0;
    for group in map["group"].items() {
        for element in group["element"].items() {
            let (meant, target) = (event(group["source"].text(), element["code"].text()), &element["target"][0]);
            codes += 1;
            match target["code"].as_str() {
                Some(code) => assert_eq!(event(group["target"].text(), code), meant, "{code}"),
                None => assert_eq!(target["equivalence"].text(), "unmatched"),
            }
        }
    }
    assert_eq!(codes, 9, "all but the medication messages of the UK");
}
