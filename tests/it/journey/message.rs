//! Discharges by message: the same news in another form, as late, as often and as corrected as messages are.

use super::TASK_CODE;
use crate::harness::{Answer, Client, TestServer, data};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ALERTS: &str = "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event";
/// HL7 v2 table 0003.
pub const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0003";

/// News of the stay `n`, put together so many minutes ago.
pub struct News {
    pub n: usize,
    pub id: &'static str,
    pub event: (&'static str, &'static str),
    pub minutes: i64,
    pub status: &'static str,
    /// How many minutes ago the stay ended.
    pub ended: Option<i64>,
}

fn ago(server: &TestServer, minutes: i64) -> String {
    let time = server.now().checked_sub(jiff::Span::new().minutes(minutes)).expect("a time");
    time.strftime("%FT%TZ").to_string()
}

impl News {
    /// A discharge of an hour and a half ago.
    pub fn discharge(n: usize) -> Self {
        let event = (ALERTS, "notification-discharge");
        Self { n, id: "discharge", event, minutes: 60, status: "finished", ended: Some(90) }
    }

    /// The message.
    pub fn message(&self, server: &TestServer) -> Value {
        let n = self.n;
        let entry =
            |url: &str, resource: Value| json!({"fullUrl": format!("urn:uuid:{url}-{n}"), "resource": resource});
        let to = |url: &str| json!({"reference": format!("urn:uuid:{url}-{n}")});
        let mut period = json!({"start": "2026-01-02T08:00:00Z"});
        if let Some(minutes) = self.ended {
            period["end"] = ago(server, minutes).into();
        }
        let mut stay = json!({"resourceType": "Encounter", "id": format!("visit-{n}"), "status": self.status,
            "identifier": [{"system": "http://lakeside.example/visit", "value": format!("{n}, or so|{n}")}],
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "subject": to("patient"), "period": period, "serviceProvider": to("hospital")});
        if self.ended.is_some() {
            stay["hospitalization"] = json!({"dischargeDisposition": {"coding": [{"system": "http://www.nubc.org/patient-discharge", "code": "1"}]}});
        }
        json!({"resourceType": "Bundle", "id": format!("{}-{n}", self.id), "type": "message", "timestamp": ago(server, self.minutes), "entry": [
            entry("header", json!({"resourceType": "MessageHeader", "id": format!("{}-{n}", self.id),
                "eventCoding": {"system": self.event.0, "code": self.event.1},
                "source": {"endpoint": "http://lakeside.example/adt"}, "sender": to("hospital"), "focus": [to("stay")]})),
            entry("stay", stay),
            entry("patient", json!({"resourceType": "Patient", "birthDate": "1950-02-03",
                "identifier": [{"system": "http://lakeside.example/mrn", "value": format!("m{n}")}]})),
            entry("hospital", json!({"resourceType": "Organization", "name": "Lakeside, as it calls itself",
                "identifier": [{"system": "http://baton.example/demo/organization", "value": "lakeside"}]})),
            entry("pill", json!({"resourceType": "MedicationRequest", "id": format!("order-{n}"), "status": "active",
                "intent": "order", "subject": to("patient"), "encounter": to("stay"), "authoredOn": "2026-01-03",
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
            "medicationCodeableConcept": {"text": "Warfarin 2 MG"}}))
        ]})
    }
}

/// Sends a message.
pub async fn send(client: &Client, message: &Value) -> Answer {
    client.send("POST", "$process-message", message.to_string(), &[("content-type", "application/fhir+json")]).await
}

async fn patient(server: &TestServer, n: usize) -> String {
    let query = format!("Patient?identifier=http://lakeside.example/mrn|m{n}");
    let found = server.everyone().search(&query).await;
    assert_eq!(found.len(), 1, "one patient of each identifier");
    found[0]["id"].as_str().expect("an id").into()
}

/// What is there in the end, without ids and times of writing.
async fn state(server: &TestServer, n: usize) -> Vec<String> {
    let (all, patient) = (server.everyone(), patient(server, n).await);
    let mut out = Vec::new();
    for stay in all.search(&format!("Encounter?patient={patient}")).await {
        out.push(format!("stay {} {}", stay["status"], stay["period"]));
    }
    for order in all.search(&format!("MedicationRequest?patient={patient}")).await {
        out.push(format!("order {}", order["status"]));
    }
    // What was opened and is cancelled is history: in another order it was never opened.
    for task in all.search(&format!("Task?patient={patient}&status=requested,accepted&_count=100")).await {
        out.push(format!("task {} {}", task["code"]["coding"][0]["code"], task["restriction"]));
    }
    for episode in all.search(&format!("EpisodeOfCare?patient={patient}&status=active")).await {
        out.push(format!("episode {}", episode["period"]));
    }
    out.sort();
    out
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with =
        |order: &Vec<usize>| (0..n).map(|at| [&order[..at], &[n - 1], &order[at..]].concat()).collect::<Vec<_>>();
    shorter.iter().flat_map(with).collect()
}

both_databases!(a_discharge_comes_by_message_once);
/// R4 messaging.html: A message under a known id is taken once: the same again is 200 and changes nothing, another is 409.
/// case 6: The same message again is 200 and writes nothing; another under its id is 409.
async fn a_discharge_comes_by_message_once(server: TestServer) {
    let hospital = server.hospital();
    let message = News::discharge(1).message(&server);
    let answer = send(&hospital, &message).await.is(200);
    assert_eq!(answer.body["resourceType"], "OperationOutcome");
    let before = state(&server, 1).await;
    assert!(before.iter().any(|line| line.starts_with("task \"first-call\"")), "{before:?}");
    let headers = server.everyone().search("MessageHeader?_elements=focus").await;
    let stay = headers[0]["focus"][0]["reference"].as_str().expect("a link").to_string();
    let version = server.read(&stay).await["meta"]["versionId"].clone();

    let again = send(&hospital, &message).await.is(200);
    assert!(again.body.to_string().contains("taken before"), "{}", again.body);
    let wrapped = json!({"resourceType": "Parameters", "parameter": [{"name": "content", "resource": message}]});
    send(&hospital, &wrapped).await.is(200);
    assert_eq!(server.read(&stay).await["meta"]["versionId"], version, "nothing is written again");

    let mut other = message.clone();
    other["entry"][1]["resource"]["period"]["start"] = "2026-01-03".into();
    send(&hospital, &other).await.refuses(409, "duplicate", "Bundle.entry[0].resource.id");
    // Another hospital's ids are its own.
    let organization =
        server.everyone().search("Organization?identifier=http://baton.example/demo/organization|lakeside").await;
    assert_ne!(organization[0]["name"], "Lakeside, as it calls itself", "a message does not change the directory");
    assert_eq!(state(&server, 1).await, before);
}

both_databases!(copies_of_a_message_at_once_are_taken_once);
/// R4 messaging.html: Eight copies of a message at once leave one record and one set of Tasks.
/// case 6: Eight copies at once leave one set of Tasks.
async fn copies_of_a_message_at_once_are_taken_once(server: TestServer) {
    let (hospital, message) = (server.hospital(), News::discharge(1).message(&server));
    for answer in join_all((0..8).map(|_| send(&hospital, &message))).await {
        answer.is(200);
    }
    assert_eq!(server.everyone().search("MessageHeader").await.len(), 1);
    let patient = patient(&server, 1).await;
    let calls = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await;
    assert_eq!(calls.len(), 1);
}

both_databases!(messages_in_any_order_end_alike);
/// case 7: Admission, discharge, correction, cancellation and second discharge end in the same state in whatever order they come.
async fn messages_in_any_order_end_alike(server: TestServer) {
    server.at(&server.now().to_string());
    let news = |n: usize| {
        [
            News {
                id: "admit",
                event: (ALERTS, "notification-admit"),
                minutes: 90,
                status: "in-progress",
                ended: None,
                n,
            },
            News { ended: Some(75), minutes: 70, ..News::discharge(n) },
            News { id: "correction", event: (V2, "A08"), minutes: 50, ended: Some(80), ..News::discharge(n) },
            News { id: "cancel", event: (V2, "A13"), minutes: 40, status: "in-progress", ended: None, n },
            News { id: "second", minutes: 30, ended: Some(35), ..News::discharge(n) },
        ]
    };
    let hospital = server.hospital();
    let mut n = 0;
    // Those of a stay that ends, and those whose last word is that it goes on.
    for (which, status) in [(vec![0, 1, 2], "finished"), (vec![0, 1, 3], "in-progress"), (vec![1, 3, 4], "finished")] {
        let mut expected: Option<Vec<String>> = None;
        for order in orders(which.len()) {
            n += 1;
            let all = news(n);
            for at in &order {
                send(&hospital, &all[which[*at]].message(&server)).await.is(200);
            }
            let now = state(&server, n).await;
            assert!(
                now.iter().any(|line| line.starts_with(&format!("stay \"{status}\""))),
                "{which:?} {order:?}: {now:#?}"
            );
            match &expected {
                None => expected = Some(now),
                Some(first) => assert_eq!(&now, first, "{which:?} {order:?}"),
            }
        }
        let episodes = expected.iter().flatten().filter(|line| line.starts_with("episode")).count();
        assert_eq!(episodes, usize::from(status == "finished"), "{which:?} {expected:#?}");
    }
}

both_databases!(an_older_message_is_told_that_it_came_late);
/// case 7: An older message after a newer one is 200 with a warning, and changes nothing that is there.
async fn an_older_message_is_told_that_it_came_late(server: TestServer) {
    let hospital = server.hospital();
    send(&hospital, &News::discharge(1).message(&server)).await.is(200);
    let late = News { id: "admit", event: (V2, "A01"), minutes: 99, status: "in-progress", ended: None, n: 1 };
    let answer = send(&hospital, &late.message(&server)).await.is(200);
    let warnings =
        answer.body["issue"].as_array().expect("issues").iter().filter(|i| i["severity"] == "warning").count();
    assert_eq!(warnings, 1, "{}", answer.body);
    assert!(state(&server, 1).await.iter().any(|line| line.starts_with("stay \"finished\"")));
}

both_databases!(a_list_of_medicines_comes_by_message);
async fn a_list_of_medicines_comes_by_message(server: TestServer) {
    let hospital = server.hospital();
    send(&hospital, &News::discharge(1).message(&server)).await.is(200);
    let mut message = News::discharge(1).message(&server);
    message["identifier"] =
        json!({"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0f5c4c0b-3c59-4b0c-8b0e-6d1f6a0f9a10"});
    message.as_object_mut().expect("an object").remove("timestamp");
    let header = &mut message["entry"][0]["resource"];
    header["eventCoding"] =
        json!({"system": "https://fhir.hl7.org.uk//CodeSystem/message-event", "code": "medication-statement"});
    header["focus"] = json!([{"reference": "urn:uuid:pill-1"}]);
    message["entry"][4]["resource"] = json!({"resourceType": "MedicationStatement", "status": "active",
        "identifier": [{"system": "http://lakeside.example/statement", "value": "s1"}],
        "subject": {"reference": "urn:uuid:patient-1"}, "context": {"reference": "urn:uuid:stay-1"},
        "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "community"}]},
            "medicationCodeableConcept": {"text": "Aspirin 81 MG"}});
    send(&hospital, &message).await.is(200);
    let patient = patient(&server, 1).await;
    assert_eq!(server.everyone().search(&format!("MedicationStatement?patient={patient}")).await.len(), 1);
    assert_eq!(server.everyone().search(&format!("Encounter?patient={patient}")).await.len(), 1);
}

both_databases!(a_list_of_medicines_leaves_the_stay_as_notifications_say_it_is);
/// Own docs/messages.md: What a medication message says of its stay counts only where no notification says anything, whichever came first.
async fn a_list_of_medicines_leaves_the_stay_as_notifications_say_it_is(server: TestServer) {
    let hospital = server.hospital();
    let discharge = News::discharge(1).message(&server);
    let mut medicines = News { minutes: 30, ended: Some(50), ..News::discharge(1) }.message(&server);
    let header = &mut medicines["entry"][0]["resource"];
    header["id"] = "medicines-1".into();
    header["eventCoding"] =
        json!({"system": "https://fhir.hl7.org.uk//CodeSystem/message-event", "code": "medication-statement"});
    header["focus"] = json!([{"reference": "urn:uuid:pill-1"}]);
    let (mut first, mut second) = (discharge.clone(), medicines.clone());
    for (message, id) in [(&mut first, "another-1"), (&mut second, "another-2")] {
        message["entry"][1]["resource"]["identifier"][0]["value"] = "another stay".into();
        message["entry"][0]["resource"]["id"] = id.into();
    }
    for message in [&discharge, &medicines, &second, &first] {
        send(&hospital, message).await.is(200);
    }
    let stays = server.everyone().search("Encounter").await;
    let ends: Vec<&Value> = stays.iter().map(|s| &s["period"]["end"]).collect();
    let end = &discharge["entry"][1]["resource"]["period"]["end"];
    assert_eq!(ends, [end, end], "{stays:#?}");
}

both_databases!(what_is_no_message_is_refused_and_stores_nothing);
async fn what_is_no_message_is_refused_and_stores_nothing(server: TestServer) {
    let hospital = server.hospital();
    let message = News::discharge(1).message(&server);
    let mut half = message.clone();
    half["entry"][4]["resource"]["status"] = "swallowed".into();
    send(&hospital, &half).await.refuses(400, "code-invalid", "Bundle.entry[4].resource.status");
    let mut open = message.clone();
    open["entry"][4]["resource"]["requester"] = json!({"reference": "urn:uuid:nobody"});
    send(&hospital, &open).await.refuses(422, "not-found", "Bundle.entry[4].resource.requester.reference");
    let mut early = message.clone();
    early["entry"][1]["resource"]["status"] = "in-progress".into();
    send(&hospital, &early).await.refuses(422, "value", "Bundle.entry[1].resource.status");
    send(&hospital, &message["entry"][2]["resource"]).await.refuses(400, "invalid", "resourceType");
    let get = hospital.send("GET", "$process-message", "", &[]).await;
    assert_eq!(get.status, 405, "{}", get.body);
    let inside = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "POST", "url": "$process-message"}, "resource": message}]});
    hospital.post(&inside).await.refuses(400, "not-supported", "Bundle.entry[0]");
    send(&server.pharmacy(), &message).await.is(403);
    send(&server.technician(), &message).await.is(403);
    assert_eq!(server.everyone().search("MessageHeader").await.len(), 0);
    assert_eq!(server.everyone().search("Patient?identifier=http://lakeside.example/mrn|m1").await.len(), 0);
}

both_databases!(the_examples_of_da_vinci_are_taken_in_either_order);
async fn the_examples_of_da_vinci_are_taken_in_either_order(server: TestServer) {
    let Some(lines) = data::lines("ig/davinci-alerts.ndjson.gz") else { return };
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let messages: Vec<Value> = all.filter(|r| r["resourceType"] == "Bundle" && r["type"] == "message").collect();
    assert_eq!(messages.len(), 2, "an admission and a transfer");
    for message in messages.iter().rev() {
        let answer = send(&server.everyone(), message).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let stays = server.everyone().search("Encounter").await;
    assert_eq!(stays.len(), 1);
    assert_eq!(stays[0]["class"]["code"], "IMP", "the transfer is newer than the admission that came after it");
}
