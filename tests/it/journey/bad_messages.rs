//! The bad cases of messages, and what the same is by the other doors. One test a case.

use super::doors::{bundle, in_a_batch};
use super::message::{News, V2, send};
use crate::harness::TestServer;
use serde_json::{Value, json};

/// A change of a good message, the status (0: 400 or 422), and where it must be told.
type Row = (&'static str, fn(&mut Value), u16, &'static str);

fn entries(message: &mut Value) -> &mut Vec<Value> {
    message["entry"].as_array_mut().expect("entries")
}

/// Each fault of a discharge is refused where it is, the message alone or in a batch, and nothing is stored.
async fn refused(server: &TestServer, rows: &[Row]) {
    let hospital = server.hospital();
    let good = News::discharge(1).message(server);
    let before = server.versions().await;
    for (what, change, status, at) in rows {
        let mut message = good.clone();
        change(&mut message);
        let answer = send(&hospital, &message).await;
        let fits = |got: u16| got == *status || (*status == 0 && matches!(got, 400 | 422));
        assert!(fits(answer.status), "{what}: {} {}", answer.status, answer.body);
        let issues = answer.body["issue"].as_array().cloned().unwrap_or_default();
        let is_named = |i: &Value| i["expression"][0].as_str().is_some_and(|e| e.starts_with(at));
        assert!(issues.iter().any(is_named), "{what}: `{at}` in {}", answer.body);
        let entry = json!({"request": {"method": "POST", "url": "$process-message"}, "resource": message});
        let answer = in_a_batch(&hospital, entry).await;
        assert!(fits(answer.status), "{what} in a batch: {} {}", answer.status, answer.body);
    }
    assert_eq!(server.versions().await, before, "nothing is stored");
    // The same without a fault is taken.
    send(&hospital, &good).await.is(200);
}

both_databases!(case_1_what_is_no_message_is_refused_where_it_is);
/// case 1: Each is refused at its entry, alone and in a batch, and nothing is stored.
async fn case_1_what_is_no_message_is_refused_where_it_is(server: TestServer) {
    let rows: [Row; 5] = [
        ("the header second", |m| entries(m).swap(0, 1), 0, "Bundle"),
        (
            "two headers",
            |m| {
                let mut header = m["entry"][0].clone();
                header["fullUrl"] = "urn:uuid:header-2".into();
                entries(m).push(header);
            },
            0,
            "Bundle.entry[5].resource",
        ),
        (
            "no fullUrl",
            |m| drop(m["entry"][2].as_object_mut().expect("an entry").remove("fullUrl")),
            0,
            "Bundle.entry[2].fullUrl",
        ),
        ("a fullUrl twice", |m| m["entry"][4]["fullUrl"] = m["entry"][3]["fullUrl"].clone(), 0, "Bundle"),
        ("a collection", |m| m["type"] = "collection".into(), 0, "Bundle.type"),
    ];
    refused(&server, &rows).await;
}

both_databases!(case_2_an_event_that_is_none_is_refused);
/// case 2: Each is 422 at the event, and the events that are taken are named.
async fn case_2_an_event_that_is_none_is_refused(server: TestServer) {
    let at = "Bundle.entry[0].resource.eventCoding";
    let rows: [Row; 3] = [
        ("unknown", |m| m["entry"][0]["resource"]["eventCoding"]["code"] = "notification-birth".into(), 422, at),
        ("of a wrong system", |m| m["entry"][0]["resource"]["eventCoding"]["system"] = V2.into(), 422, at),
        (
            "as a URI",
            |m| {
                let header = m["entry"][0]["resource"].as_object_mut().expect("a header");
                header.remove("eventCoding");
                header.insert("eventUri".into(), "http://lakeside.example/discharged".into());
            },
            422,
            at,
        ),
    ];
    refused(&server, &rows).await;
}

both_databases!(case_3_a_focus_that_is_no_stay_of_the_message_is_refused);
/// case 3: Each is 422 at the focus.
async fn case_3_a_focus_that_is_no_stay_of_the_message_is_refused(server: TestServer) {
    let at = "Bundle.entry[0].resource.focus";
    let rows: [Row; 4] = [
        ("missing", |m| drop(m["entry"][0]["resource"].as_object_mut().expect("a header").remove("focus")), 422, at),
        (
            "not in the message",
            |m| m["entry"][0]["resource"]["focus"][0]["reference"] = "urn:uuid:stay-9".into(),
            422,
            at,
        ),
        ("the patient", |m| m["entry"][0]["resource"]["focus"][0]["reference"] = "urn:uuid:patient-1".into(), 422, at),
        (
            "two of them",
            |m| {
                m["entry"][0]["resource"]["focus"] =
                    json!([{"reference": "urn:uuid:stay-1"}, {"reference": "urn:uuid:pill-1"}]);
            },
            422,
            at,
        ),
    ];
    refused(&server, &rows).await;
}

both_databases!(case_4_a_message_is_about_one_patient);
/// case 4: A message with two Patients, or about somebody else, is 422 at the entry.
async fn case_4_a_message_is_about_one_patient(server: TestServer) {
    let rows: [Row; 4] = [
        (
            "two patients",
            |m| {
                let mut other = m["entry"][2].clone();
                other["fullUrl"] = "urn:uuid:patient-2".into();
                entries(m).push(other);
            },
            422,
            "Bundle.entry[5].resource",
        ),
        (
            "a stay of another",
            |m| m["entry"][1]["resource"]["subject"]["reference"] = "Patient/other".into(),
            422,
            "Bundle.entry[1].resource.subject",
        ),
        (
            "a medicine of another",
            |m| m["entry"][4]["resource"]["subject"]["reference"] = "Patient/other".into(),
            422,
            "Bundle.entry[4].resource.subject",
        ),
        (
            "a patient by name alone",
            |m| m["entry"][2]["resource"]["identifier"] = json!([{"value": "m1"}]),
            422,
            "Bundle.entry[2].resource.identifier",
        ),
    ];
    refused(&server, &rows).await;
}

both_databases!(case_5_impossible_discharges_are_refused_by_message);
/// case 5: The same by message.
async fn case_5_impossible_discharges_are_refused_by_message(server: TestServer) {
    let at = "Bundle.entry[1].resource.period";
    let rows: [Row; 6] = [
        (
            "goes on",
            |m| m["entry"][1]["resource"]["status"] = "in-progress".into(),
            422,
            "Bundle.entry[1].resource.status",
        ),
        (
            "cancelled",
            |m| m["entry"][1]["resource"]["status"] = "cancelled".into(),
            422,
            "Bundle.entry[1].resource.status",
        ),
        ("no end", |m| m["entry"][1]["resource"]["period"] = json!({"start": "2026-01-02"}), 422, at),
        ("ended before it began", |m| m["entry"][1]["resource"]["period"]["start"] = "2100-01-01".into(), 422, at),
        ("in the future", |m| m["entry"][1]["resource"]["period"]["end"] = "2100-01-01T08:00:00Z".into(), 422, at),
        ("without a zone", |m| m["entry"][1]["resource"]["period"]["end"] = "2026-01-05T08:00:00".into(), 400, at),
    ];
    refused(&server, &rows).await;
}

both_databases!(a_notification_that_its_profiles_do_not_allow_is_refused);
/// Own docs/messages.md: What Da Vinci's profiles of a notification ask is asked element by element, what a discharge says, too; the same as a
/// transaction stays as tolerant as it was.
async fn a_notification_that_its_profiles_do_not_allow_is_refused(server: TestServer) {
    let at = "Bundle.entry[1].resource";
    let rows: [Row; 11] = [
        (
            "no disposition",
            |m| drop(m["entry"][1]["resource"].as_object_mut().expect("a stay").remove("hospitalization")),
            422,
            at,
        ),
        (
            "no hospital",
            |m| drop(m["entry"][1]["resource"].as_object_mut().expect("a stay").remove("serviceProvider")),
            422,
            at,
        ),
        (
            "no begin",
            |m| drop(m["entry"][1]["resource"]["period"].as_object_mut().expect("a period").remove("start")),
            422,
            "Bundle.entry[1].resource.period.start",
        ),
        (
            "two destinations",
            |m| {
                m["entry"][0]["resource"]["destination"] =
                    json!([{"endpoint": "http://a.example/"}, {"endpoint": "http://b.example/"}]);
            },
            422,
            "Bundle.entry[0].resource.destination",
        ),
        (
            "a participant who is not in it",
            |m| {
                m["entry"][1]["resource"]["participant"] =
                    json!([{"individual": {"reference": "Practitioner/mara-lind"}}]);
            },
            422,
            "Bundle.entry[1].resource.participant[0].individual",
        ),
        ("no id", |m| drop(m.as_object_mut().expect("a Bundle").remove("id")), 422, "Bundle.id"),
        (
            "no id of the header",
            |m| drop(m["entry"][0]["resource"].as_object_mut().expect("a header").remove("id")),
            422,
            "Bundle.entry[0].resource.id",
        ),
        ("a total", |m| m["total"] = 5.into(), 0, "Bundle"),
        ("a search", |m| m["entry"][1]["search"] = json!({"mode": "match"}), 0, "Bundle"),
        ("a request", |m| m["entry"][1]["request"] = json!({"method": "POST", "url": "Encounter"}), 0, "Bundle"),
        ("a response", |m| m["entry"][1]["response"] = json!({"status": "200"}), 0, "Bundle"),
    ];
    refused(&server, &rows).await;
    // As a transaction: without disposition, hospital and begin it is taken.
    let mut message = News::discharge(2).message(&server);
    for name in ["hospitalization", "serviceProvider"] {
        message["entry"][1]["resource"].as_object_mut().expect("a stay").remove(name);
    }
    message["entry"][1]["resource"]["period"].as_object_mut().expect("a period").remove("start");
    let kept = entries(&mut message)
        .iter()
        .filter(|e| !matches!(e["resource"]["resourceType"].as_str(), Some("MessageHeader" | "Organization")));
    let asked = |e: &Value| {
        let mut e = e.clone();
        e["request"] = json!({"method": "POST", "url": e["resource"]["resourceType"]});
        e
    };
    let all: Vec<Value> = kept.map(asked).collect();
    server.hospital().post(&bundle("transaction", all)).await.ok();
}

both_databases!(case_7_a_cancellation_may_come_before_what_it_cancels);
/// case 7: A cancellation of an unknown discharge is taken: the stay goes on; the discharge that it cancels, coming later, opens nothing, and
/// one that is newer does.
async fn case_7_a_cancellation_may_come_before_what_it_cancels(server: TestServer) {
    let hospital = server.hospital();
    let cancel = News { id: "cancel", event: (V2, "A13"), minutes: 40, status: "in-progress", ended: None, n: 1 };
    send(&hospital, &cancel.message(&server)).await.is(200);
    let answer = send(&hospital, &News::discharge(1).message(&server)).await.is(200);
    assert!(answer.body.to_string().contains("\"warning\""), "it came late: {}", answer.body);
    let everyone = server.everyone();
    assert_eq!(everyone.search("Encounter?status=in-progress").await.len(), 1);
    assert_eq!(everyone.search("EpisodeOfCare").await.len(), 0);
    let again = News { id: "again", minutes: 30, ended: Some(35), ..News::discharge(1) };
    send(&hospital, &again.message(&server)).await.is(200);
    assert_eq!(everyone.search("EpisodeOfCare?status=active").await.len(), 1);
}

both_databases!(case_8_a_hospital_sends_no_messages_for_another);
/// case 8: A message about a stay of another hospital is 403, and nothing is stored.
async fn case_8_a_hospital_sends_no_messages_for_another(server: TestServer) {
    let message = News::discharge(1).message(&server);
    let before = server.versions().await;
    for who in ["northgate-ehr", "elm-street-pms", "mara", "jonas"] {
        let answer = send(&server.user(who), &message).await;
        assert_eq!(answer.status, 403, "{who}: {}", answer.body);
    }
    assert_eq!(server.versions().await, before);
}

both_databases!(case_9_of_a_message_that_is_half_valid_nothing_is_stored);
/// case 9: Of a message whose last entry is not valid nothing is stored.
async fn case_9_of_a_message_that_is_half_valid_nothing_is_stored(server: TestServer) {
    let rows: [Row; 2] = [
        (
            "an unknown status",
            |m| m["entry"][4]["resource"]["status"] = "swallowed".into(),
            400,
            "Bundle.entry[4].resource.status",
        ),
        (
            "a link that leads nowhere",
            |m| m["entry"][4]["resource"]["requester"] = json!({"reference": "urn:uuid:nobody"}),
            422,
            "Bundle.entry[4].resource.requester",
        ),
    ];
    refused(&server, &rows).await;
}

both_databases!(case_10_a_list_that_was_not_sent_is_not_taken_for_no_medicines);
/// case 10: A discharge without a list opens a Task that asks for it, one with an empty list by nilknown does not; by message and by transaction.
async fn case_10_a_list_that_was_not_sent_is_not_taken_for_no_medicines(server: TestServer) {
    let hospital = server.hospital();
    for (n, by_message, says_none) in [(1, true, false), (2, true, true), (3, false, false), (4, false, true)] {
        let mut message = News::discharge(n).message(&server);
        entries(&mut message).pop();
        if says_none {
            let to = |what: &str| json!({"reference": format!("urn:uuid:{what}-{n}")});
            let list = json!({"resourceType": "List", "status": "current", "mode": "snapshot", "subject": to("patient"), "encounter": to("stay"),
                "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]},
                "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]}});
            entries(&mut message).push(json!({"fullUrl": format!("urn:uuid:list-{n}"), "resource": list}));
        }
        if by_message {
            send(&hospital, &message).await.is(200);
        } else {
            // The same as a transaction: without header and directory.
            let kept = entries(&mut message)
                .iter()
                .filter(|e| !matches!(e["resource"]["resourceType"].as_str(), Some("MessageHeader" | "Organization")));
            let with_request = |e: &Value| {
                let mut e = e.clone();
                e["request"] = json!({"method": "POST", "url": e["resource"]["resourceType"]});
                if e["resource"]["resourceType"] == "Encounter" {
                    e["resource"]["serviceProvider"] = json!({"reference": "Organization/lakeside"});
                }
                e
            };
            let all: Vec<Value> = kept.map(with_request).collect();
            hospital.post(&bundle("transaction", all)).await.ok();
        }
        let patient = format!("Patient.identifier=http://lakeside.example/mrn|m{n}");
        let asked = server.everyone().search(&format!("Task?subject:{patient}&code=request-list")).await;
        assert_eq!(asked.len(), usize::from(!says_none), "{n}: by message {by_message}, says none {says_none}");
    }
}
