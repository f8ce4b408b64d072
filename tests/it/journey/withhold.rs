//! A Consent keeps pharmacies out of a hand-off, by every door.

use super::consent::{posted, task};
use crate::harness::client::reference;
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

fn actors(orgs: &[&str]) -> Value {
    let actor = |id: &&str| {
        json!({"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": format!("Organization/{id}")}})
    };
    orgs.iter().map(actor).collect()
}

fn denial(patient: &str, orgs: &[&str]) -> Value {
    json!({"resourceType": "Consent", "status": "active", "dateTime": "2020-01-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "policy": [{"uri": "http://northgate.example/privacy"}],
        "provision": {"type": "deny", "actor": actors(orgs)}})
}

fn bundle(kind: &str, method: &str, url: &str, resource: &Value) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource, "request": {"method": method, "url": url}}]})
}

/// Whether each of the two sees the call, by search and by id.
async fn seen(by: [&Client; 2], patient: &str, call: &str) -> [bool; 2] {
    let mut out = [false; 2];
    for (slot, client) in out.iter_mut().zip(by) {
        let found = client.search(&format!("Task?patient={patient}&code=first-call")).await.len();
        let read = client.read(call).await.status;
        assert_eq!(read, if found == 1 { 200 } else { 404 });
        *slot = found == 1;
    }
    out
}

both_databases!(a_consent_keeps_pharmacies_out_by_whatever_door_it_comes);
async fn a_consent_keeps_pharmacies_out_by_whatever_door_it_comes(server: TestServer) {
    let patient = posted(&server).await;
    let call = reference(&task(&server, &patient, "first-call").await);
    let (hospital, elm, harbour) = (server.other_hospital(), server.pharmacy(), server.other_pharmacy());
    let who = [&elm, &harbour];
    assert_eq!(seen(who, &patient, &call).await, [true, true]);

    let at = hospital.create(&denial(&patient, &["elm-street"])).await.ok().reference();
    assert_eq!(seen(who, &patient, &call).await, [false, true], "POST");
    elm.operation(&format!("{call}/$claim"), &Value::Null, Some("1")).await.is(404);

    let id = at.rsplit('/').next().expect("an id");
    let with = |change: Value| {
        let mut out = denial(&patient, &["harbour"]);
        out["id"] = id.into();
        for (name, value) in change.as_object().expect("an object") {
            out[name] = value.clone();
        }
        out
    };
    hospital.update(&with(json!({}))).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, false], "PUT");

    let both = json!([{"op": "replace", "path": "/provision/actor", "value": actors(&["elm-street", "harbour"])}]);
    hospital.patch(&at, &both).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [false, false], "PATCH");
    let waits = server.read(&call).await;
    assert_eq!(waits["businessStatus"]["coding"][0]["code"], "consent-withheld");
    let told = hospital.search(&format!("Communication?subject=Patient/{patient}&category=notification")).await;
    let texts: Vec<&str> = told.iter().filter_map(|c| c["payload"][0]["contentString"].as_str()).collect();
    assert!(texts.iter().any(|t| t.contains("every pharmacy that could take it")), "{texts:?}");
    let episode = server.everyone().search(&format!("EpisodeOfCare?patient={patient}")).await.remove(0);
    assert!(episode["extension"].to_string().contains(&at), "{episode}");

    let but_elm = with(
        json!({"provision": {"type": "deny", "provision": [{"type": "permit", "actor": actors(&["elm-street"])}]}}),
    );
    hospital.post(&bundle("transaction", "PUT", &at, &but_elm)).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, false], "a transaction");

    let later = with(
        json!({"provision": {"type": "deny", "actor": actors(&["elm-street"]), "period": {"start": "2999-01-01"}}}),
    );
    hospital.update(&later).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, true], "not yet");
    hospital.patch(&at, &json!([{"op": "remove", "path": "/provision/period"}])).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [false, true], "now");

    let inactive = with(json!({"status": "inactive"}));
    hospital.post(&bundle("batch", "PUT", &at, &inactive)).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, true], "revoked");
    let other = denial(&patient, &["harbour"]);
    hospital.post(&bundle("batch", "POST", "Consent", &other)).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, false], "another one");

    // Taken, and then kept out: the patient is out of sight by every door.
    let version = server.read(&call).await["meta"]["versionId"].as_str().map(String::from);
    elm.operation(&format!("{call}/$claim"), &Value::Null, version.as_deref()).await.ok();
    elm.read(&format!("Patient/{patient}")).await.ok();
    assert!(
        elm.search(&format!("Consent?patient={patient}")).await.is_empty(),
        "whom it names is the hospital's to know"
    );
    hospital.update(&with(json!({"provision": {"type": "deny", "actor": actors(&["elm-street"])}}))).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [false, false]);
    for path in
        [format!("Patient/{patient}"), format!("Patient/{patient}/_history"), format!("Patient/{patient}/$everything")]
    {
        elm.read(&path).await.is(404);
    }
    for query in [
        format!("List?subject={patient}"),
        format!("MedicationRequest?patient={patient}"),
        format!("Task?patient={patient}"),
    ] {
        assert!(elm.search(&query).await.is_empty(), "{query}");
    }
    hospital.patch(&at, &json!([{"op": "replace", "path": "/status", "value": "entered-in-error"}])).await.ok();
    assert_eq!(seen(who, &patient, &call).await, [true, false], "and in again");
}
