//! Broken glass: a person who treats sees more of one patient, for a time, for a reason, on record; and changes nothing by it.

use super::labels::{labelled_discharge, seeded};
use crate::audit::found_by;
use crate::harness::client::reference;
use crate::harness::{Client, Database, Settings, TestServer, with_database};
use serde_json::{Value, json};
use std::time::Duration;

mod who_breaks_the_glass_sees_more_of_one_patient_for_a_time {
    use super::{Database, with_database};

    #[test]
    fn sqlite() {
        with_database(Database::Sqlite, super::who_breaks_the_glass_sees_more_of_one_patient_for_a_time);
    }

    #[test]
    fn postgres() {
        with_database(Database::Postgres, super::who_breaks_the_glass_sees_more_of_one_patient_for_a_time);
    }
}

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

fn because(code: &str, note: &str, minutes: Option<i64>) -> Value {
    let mut parameter = vec![
        json!({"name": "reason", "valueCoding": {"system": REASON, "code": code}}),
        json!({"name": "note", "valueString": note}),
    ];
    parameter.extend(minutes.map(|n| json!({"name": "minutes", "valueInteger": n})));
    json!({"resourceType": "Parameters", "parameter": parameter})
}

async fn breaks(client: &Client, patient: &str, params: &Value) -> crate::harness::Answer {
    client.operation(&format!("{patient}/$break-glass"), params, None).await
}

/// security R28: Who breaks the glass of a patient reads what organisation and label keep back, of that patient alone, until the
/// time is over; nothing is written by it, and not everybody may.
/// security audit alert: The grant, with its reason, and each read under it (purpose of use BTG) are on record, for the auditor of the
/// hospital whose patient it is as well.
async fn who_breaks_the_glass_sees_more_of_one_patient_for_a_time(mut settings: Settings) {
    seeded(&mut settings);
    let mut server = TestServer::start(settings).await;
    let (patient, id, stay) = labelled_discharge(&server).await;
    let medicine = format!("MedicationRequest/{id}");
    let hospital = server.user("northgate-ehr");
    let other = json!({"resourceType": "Patient", "name": [{"family": "Other"}], "meta": {"security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}});
    let other = hospital.create(&other).await.is(201).reference();
    let elsewhere = server.user("lakeside-ehr").create(&json!({"resourceType": "Patient"})).await.is(201).reference();
    let (doctor, jonas, mara) = (server.user("doctor"), server.pharmacist(), server.technician());
    let good = because("ETREAT", "unconscious in the emergency room", None);

    for (params, place) in [
        (because("TREAT", "x", None), "Parameters.parameter[0]"),
        (because("ETREAT", "  ", None), "Parameters.parameter[1]"),
        (because("ETREAT", &"x".repeat(1001), None), "Parameters.parameter[1]"),
        (because("ETREAT", "x", Some(0)), "Parameters.parameter[2]"),
        (because("ETREAT", "x", Some(241)), "Parameters.parameter[2]"),
    ] {
        let refused = breaks(&doctor, &patient, &params).await.is(400);
        assert!(
            refused.body["issue"][0]["expression"][0].as_str().is_some_and(|e| e.starts_with(place)),
            "{}",
            refused.body
        );
    }
    breaks(&doctor, &patient, &json!({"resourceType": "Parameters"})).await.is(400);
    doctor.read(&format!("{patient}/$break-glass")).await.is(405);
    for name in ["mara", "northgate-ehr", "elm-street-pms", "root", "audit"] {
        breaks(&server.user(name), &patient, &good).await.is(403);
    }
    server.everyone().operation(&format!("{patient}/$break-glass"), &good, None).await.is(403);
    // Whom one does not know by organisation or share, one does not learn of.
    let never = "Patient/00000000-0000-4000-8000-000000000000";
    let hidden = breaks(&doctor, &elsewhere, &good).await.is(404).body.to_string().replace(&elsewhere, never);
    assert_eq!(hidden, breaks(&doctor, never, &good).await.is(404).body.to_string());
    let entry = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": good, "request": {"method": "POST", "url": format!("{patient}/$break-glass")}}]});
    doctor.post(&entry).await.is(400);

    for client in [&doctor, &jonas] {
        client.read(&medicine).await.is(404);
    }
    let granted = breaks(&doctor, &patient, &good).await.is(200).body;
    assert_eq!(granted["parameter"][2]["valueCode"], "ETREAT", "{granted}");
    breaks(&jonas, &patient, &because("BTG", "bleeds, and nobody answers", Some(30))).await.is(200);
    for client in [&doctor, &jonas] {
        client.read(&medicine).await.is(200);
        client.read(&format!("{medicine}/_history/1")).await.is(200);
        let found = client.search(&format!("MedicationRequest?patient={patient}&_count=50")).await;
        assert!(found.iter().any(|r| reference(r) == medicine));
        let all = client.read(&format!("{patient}/$everything?_count=300")).await.ok().body.to_string();
        assert!(all.contains(&medicine));
        client.read(&other).await.is(404);
        client.read(&elsewhere).await.is(404);
        // Reading alone.
        client.patch(&medicine, &json!([{"op": "replace", "path": "/status", "value": "stopped"}])).await.is(403);
    }
    let report = doctor.read(&format!("Encounter/{stay}/$handoff-report")).await.ok().body.to_string();
    assert!(report.contains(&medicine), "{report}");
    // A labelled problem: seen, and not changed.
    let issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "high", "detail": "taken twice a day",
        "patient": {"reference": patient}, "identifiedDateTime": "2026-03-06T15:00:00Z",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "author": {"reference": "Practitioner/jonas-adler"}, "implicated": [{"reference": medicine}], "evidence": [{"detail": [{"reference": medicine}]}]});
    jonas.create(&issue).await.is(422);
    mara.read(&medicine).await.is(404);
    server.user("consultant").read(&medicine).await.is(404);

    let auditor = server.user("northgate-audit");
    let of = format!("patient={patient}");
    let is_override = |e: &Value| e["subtype"].to_string().contains("110127");
    let is_read = |e: &Value| e["entity"].to_string().contains(&medicine) && e["subtype"][0]["code"] == "read";
    let is_btg = |e: &Value| e["agent"].to_string().contains("\"BTG\"");
    let enough = |all: &[Value]| {
        all.iter().filter(|e| is_override(e)).count() == 2
            && all.iter().filter(|e| is_read(e) && is_btg(e)).count() == 2
    };
    let events = found_by(&auditor, &of, enough).await;
    for event in events.iter().filter(|e| is_override(e)) {
        assert!(is_btg(event) && event["type"]["code"] == "110113", "{event:#}");
        assert!(["ETREAT", "BTG"].iter().any(|r| event["outcomeDesc"] == *r) && !event.to_string().contains("bleeds"));
    }
    let told = auditor.read(&format!("{patient}/$access-report?_format=html")).await.ok();
    assert!(String::from_utf8_lossy(&told.bytes).contains("broke the glass"));

    // Who broke it ends it: of that patient, by POST, once; to nobody else it says more than of a patient who never was.
    let ends = async |client: &Client, patient: &str| {
        client.send("POST", &format!("/fhir/{patient}/$end-break-glass"), String::new(), &[]).await
    };
    doctor.read(&format!("{patient}/$end-break-glass")).await.is(405);
    let nothing = ends(&mara, &patient).await.is(404).body.to_string();
    assert_eq!(nothing.replace(&patient, never), ends(&mara, never).await.is(404).body.to_string());
    ends(&doctor, &other).await.is(404);
    ends(&server.user("northgate-ehr"), &patient).await.is(404);
    let ended = ends(&doctor, &patient).await.is(200).body;
    assert_eq!(ended["parameter"][0], json!({"name": "ended", "valueInteger": 1}), "{ended}");
    doctor.read(&medicine).await.is(404);
    ends(&doctor, &patient).await.is(404);
    jonas.read(&medicine).await.is(200);
    let is_end =
        |e: &Value| e["subtype"].to_string().contains("110138") && e["agent"].to_string().contains("\"doctor\"");
    found_by(&auditor, &of, |all| all.iter().filter(|e| is_end(e)).count() == 1).await;
    breaks(&doctor, &patient, &good).await.is(200);

    // What a user holds ends when an operator says so, or by itself.
    server.kill();
    let (done, said) = server.settings.run(&["user", "glass", "jonas", "--end"]);
    assert!(done && said.starts_with("1 ended"), "{said}");
    let (done, said) = server.settings.run(&["user", "glass"]);
    assert!(done && said.contains("bleeds, and nobody answers") && said.contains("ETREAT"), "{said}");
    server.restart().await;
    server.pharmacist().read(&medicine).await.is(404);
    let doctor = server.user("doctor");
    doctor.read(&medicine).await.is(200);
    server.advance(Duration::from_secs(50 * 60));
    doctor.read(&medicine).await.is(200);
    server.advance(Duration::from_secs(11 * 60));
    doctor.read(&medicine).await.is(404);
    let found = doctor.search(&format!("MedicationRequest?patient={patient}&_count=50")).await;
    assert!(!found.is_empty() && found.iter().all(|r| reference(r) != medicine));
}
