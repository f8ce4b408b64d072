//! Consent, death and the end of work that has begun, over HTTP.

use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

/// Northgate posts the sample whose pharmacies are candidates; returns the Patient's id.
pub(super) async fn posted(server: &TestServer) -> String {
    let discharge = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string()
}

pub(super) async fn task(server: &TestServer, patient: &str, code: &str) -> Value {
    let found = server.everyone().search(&format!("Task?patient={patient}&code={code}")).await;
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found[0].clone()
}

/// The first call, claimed by Elm Street and begun by Mara.
async fn called(server: &TestServer, patient: &str, outcome: &str) -> Value {
    let call = task(server, patient, "first-call").await;
    let version = call["meta"]["versionId"].as_str();
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, version).await.ok();
    attempt(&server.technician(), &call, outcome).await.ok();
    server.read(&reference(&call)).await
}

async fn attempt(client: &Client, call: &Value, outcome: &str) -> crate::harness::Answer {
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]});
    client.operation(&format!("{}/$attempt", reference(call)), &params, None).await
}

async fn open(server: &TestServer, patient: &str) -> Vec<String> {
    let found = server.everyone().search(&format!("Task?patient={patient}&status=requested&_count=100")).await;
    let mut codes: Vec<String> =
        found.iter().map(|t| t["code"]["coding"][0]["code"].as_str().expect("a code").into()).collect();
    codes.retain(|c| c != "review-dtp");
    codes.sort();
    codes
}

async fn reasons(server: &TestServer, patient: &str) -> Vec<String> {
    let found = server.everyone().search(&format!("Observation?patient={patient}&code=decision")).await;
    let components = found.iter().flat_map(|o| o["component"].as_array().cloned().unwrap_or_default());
    components.map(|c| c["valueCodeableConcept"]["coding"][0]["code"].as_str().expect("a code").into()).collect()
}

fn refusal(patient: &str) -> Value {
    json!({"resourceType": "Consent", "status": "active", "dateTime": "2020-01-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny"}})
}

const PLAN: [&str; 6] =
    ["check-pickup", "close-episode", "first-call", "follow-up-contact", "follow-up-contact", "pharmacist-check"];

both_databases!(a_withdrawn_consent_ends_the_follow_up_and_a_mistaken_one_lets_it_begin_anew);
async fn a_withdrawn_consent_ends_the_follow_up_and_a_mistaken_one_lets_it_begin_anew(server: TestServer) {
    server.at("2026-03-06T16:00:00Z"); // patients are called in daytime
    let patient = posted(&server).await;
    let call = called(&server, &patient, "no-answer").await;
    let hospital = server.other_hospital();
    let letter = to_the_carer(&server, &patient, &call).await;
    let consent = hospital.create(&refusal(&patient)).await.ok().reference();
    for recipient in [letter["recipient"].clone(), json!([{"display": "her daughter"}]), Value::Null] {
        let mut again = letter.clone();
        again["recipient"] = recipient;
        again.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        server.technician().create(&again).await.refuses(422, "business-rule", "Communication.recipient");
    }
    assert_eq!(open(&server, &patient).await, ["abort"]);
    assert_eq!(reasons(&server, &patient).await, ["consent-refused"]);
    let cancelled = task(&server, &patient, "check-pickup").await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["statusReason"]["coding"][0]["code"], "consent-withdrawn");
    assert_eq!(server.read(&reference(&call)).await["status"], "on-hold");
    attempt(&server.technician(), &call, "reached").await.refuses(422, "business-rule", "Communication.subject");
    let mut wrong = server.read(&consent).await;
    wrong["status"] = "entered-in-error".into();
    hospital.update(&wrong).await.ok();
    let mut expected: Vec<&str> = PLAN.to_vec();
    expected.insert(0, "abort");
    assert_eq!(open(&server, &patient).await, expected, "the discharge is decided anew");
    assert_eq!(reasons(&server, &patient).await, Vec::<String>::new());
}

/// The patient's daughter is called, written to and answers, as the patient would; answers the letter.
async fn to_the_carer(server: &TestServer, patient: &str, call: &Value) -> Value {
    let (hospital, technician) = (server.other_hospital(), server.technician());
    let of = json!({"reference": format!("Patient/{patient}")});
    let carer = json!({"resourceType": "RelatedPerson", "patient": of, "name": [{"text": "Ann Rivera"}]});
    let carer = hospital.create(&carer).await.ok().reference();
    technician.read(&carer).await.ok();
    server.user("tomas").read(&carer).await.is(404);
    let to = json!({"reference": carer});
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}, {"name": "recipient", "valueReference": to}]});
    let attempt = technician.operation(&format!("{}/$attempt", reference(call)), &params, None).await.ok().body;
    assert_eq!(attempt["recipient"][0], to);
    let form = format!("Questionnaire/first-call/$populate?subject=Patient/{patient}");
    let mut answers = technician.read(&form).await.ok().body;
    answers["source"] = to.clone();
    answers["status"] = "in-progress".into();
    technician.create(&answers).await.is(201);
    let letter = json!({"resourceType": "Communication", "status": "completed", "subject": of, "recipient": [to],
        "sender": {"reference": "Practitioner/mara-lind"}, "payload": [{"contentString": "We call again on Friday."}]});
    technician.create(&letter).await.is(201);
    server.user("tomas").create(&letter).await.is(422);
    letter
}

both_databases!(what_the_patient_says_on_the_phone_is_their_consent);
async fn what_the_patient_says_on_the_phone_is_their_consent(server: TestServer) {
    let patient = posted(&server).await;
    called(&server, &patient, "patient-refused").await;
    let consents = server.technician().search(&format!("Consent?patient={patient}&status=active")).await;
    assert_eq!(consents.len(), 1, "its pharmacy sees it");
    assert_eq!(
        server.other_hospital().search(&format!("Consent?patient={patient}")).await.len(),
        1,
        "and the hospital"
    );
    assert_eq!(open(&server, &patient).await, ["abort"]);
    // A second stay opens nothing as long as it holds.
    let again = server.everyone().search(&format!("Encounter?patient={patient}&class=IMP")).await;
    let mut next = again[0].clone();
    for name in ["id", "meta", "identifier"] {
        next.as_object_mut().expect("an object").remove(name);
    }
    let now = server.now().strftime("%FT%TZ").to_string();
    next["period"] = json!({"start": next["period"]["end"], "end": now});
    server.other_hospital().create(&next).await.ok();
    assert_eq!(open(&server, &patient).await, ["abort"]);
    assert!(reasons(&server, &patient).await.iter().all(|r| r == "consent-refused"));
}

both_databases!(a_death_learnt_later_stops_the_work_and_the_owner_ends_it);
async fn a_death_learnt_later_stops_the_work_and_the_owner_ends_it(server: TestServer) {
    server.at("2026-03-06T16:00:00Z"); // patients are called in daytime
    let patient = posted(&server).await;
    let call = called(&server, &patient, "no-answer").await;
    let died =
        json!([{"op": "add", "path": "/deceasedDateTime", "value": server.now().strftime("%FT%TZ").to_string()}]);
    server.other_hospital().patch(&format!("Patient/{patient}"), &died).await.ok();
    assert_eq!(open(&server, &patient).await, ["abort"]);
    assert_eq!(server.read(&reference(&call)).await["status"], "on-hold");
    let technician = server.technician();
    attempt(&technician, &call, "reached").await.refuses(422, "business-rule", "Communication.subject");
    let resume = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    technician.patch(&reference(&call), &resume).await.refuses(422, "business-rule", "Task.status");

    let abort = technician.search(&format!("Task?patient={patient}&code=abort")).await.remove(0);
    assert_eq!(abort["focus"]["reference"], reference(&call));
    let version = abort["meta"]["versionId"].as_str();
    technician.operation(&format!("{}/$claim", reference(&abort)), &Value::Null, version).await.ok();
    technician.patch(&reference(&abort), &resume).await.ok();
    let done = json!([{"op": "replace", "path": "/status", "value": "completed"},
        {"op": "add", "path": "/output", "value": [{"type": {"text": "note"}, "valueString": "family informed"}]}]);
    technician.patch(&reference(&abort), &done).await.ok();
    let ended = server.read(&reference(&call)).await;
    assert_eq!(
        (ended["status"].as_str(), ended["statusReason"]["coding"][0]["code"].as_str()),
        (Some("cancelled"), Some("deceased"))
    );
    assert_eq!(open(&server, &patient).await, Vec::<String>::new());
}

both_databases!(a_hospital_stops_work_in_progress_by_an_abort_task);
async fn a_hospital_stops_work_in_progress_by_an_abort_task(server: TestServer) {
    server.at("2026-03-06T16:00:00Z"); // patients are called in daytime
    let patient = posted(&server).await;
    let call = called(&server, &patient, "no-answer").await;
    let stop = |focus: &str| {
        json!({"resourceType": "Task", "status": "requested", "intent": "order",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]},
            "focus": {"reference": focus}, "reasonCode": {"text": "the discharge is being corrected"}})
    };
    let check = task(&server, &patient, "check-pickup").await;
    let hospital = server.other_hospital();
    hospital.create(&stop(&reference(&check))).await.refuses(422, "business-rule", "Task.focus");
    server.technician().create(&stop(&reference(&call))).await.refuses(403, "forbidden", "");
    let abort = hospital.create(&stop(&reference(&call))).await.ok().reference();
    hospital.create(&stop(&reference(&call))).await.refuses(409, "conflict", "Task.focus");
    let seen = server.technician().read(&abort).await.ok().body;
    assert_eq!(seen["owner"]["reference"], "Organization/elm-street");
    server.user("tomas").read(&abort).await.is(404);
    let version = seen["meta"]["versionId"].as_str();
    server.technician().operation(&format!("{abort}/$claim"), &Value::Null, version).await.ok();
    for (status, output) in [("in-progress", false), ("completed", true)] {
        let mut patch = vec![json!({"op": "replace", "path": "/status", "value": status})];
        if output {
            patch.push(json!({"op": "add", "path": "/output", "value": [{"type": {"text": "note"}, "valueString": "stopped"}]}));
        }
        server.technician().patch(&abort, &Value::Array(patch)).await.ok();
    }
    assert_eq!(server.read(&reference(&call)).await["status"], "cancelled");
    assert_eq!(task(&server, &patient, &format!("{TASK_CODE}|check-pickup")).await["status"], "requested");
}

both_databases!(a_task_given_back_tells_by_a_provenance_who_did_it);
async fn a_task_given_back_tells_by_a_provenance_who_did_it(server: TestServer) {
    let patient = posted(&server).await;
    let call = task(&server, &patient, "first-call").await;
    let path = reference(&call);
    server.pharmacy().operation(&format!("{path}/$claim"), &Value::Null, Some("1")).await.ok();
    server.technician().operation(&format!("{path}/$release"), &Value::Null, None).await.ok();
    let found = server.other_hospital().search(&format!("Provenance?target={path}")).await;
    assert_eq!(found.len(), 1, "the hospital sees it");
    assert_eq!(found[0]["agent"][0]["who"]["reference"], "Practitioner/mara-lind");
    assert_eq!(found[0]["activity"]["coding"][0]["code"], "release");
    assert_eq!(found[0]["entity"][0]["what"]["reference"], format!("{path}/_history/2"));
}
