//! The bad cases around lists, calls and drug therapy problems, by every door that leads to them. One test a case.

use super::doors::{bundle, in_a_batch, refused_at_every_door};
use super::{TASK_CODE, about_an_order, discharge};
use crate::harness::client::reference;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// Northgate's discharge, its first call claimed by Elm Street; returns (patient id, first call).
async fn claimed(server: &TestServer) -> (String, Value) {
    claimed_of(server, "04-duplicate-therapy").await
}

/// The same of any sample that is open to both pharmacies.
async fn claimed_of(server: &TestServer, sample: &str) -> (String, Value) {
    let discharge = discharge(sample, server.now());
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let patient = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string();
    let call = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    let version = call["meta"]["versionId"].as_str();
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, version).await.ok();
    let call = server.read(&reference(&call)).await;
    (patient, call)
}

/// A create by every door.
async fn every_create(client: &Client, resource: &Value) -> Vec<(&'static str, Answer)> {
    let kind = resource["resourceType"].as_str().expect("a type");
    let entry = json!({"request": {"method": "POST", "url": kind}, "resource": resource});
    vec![
        ("POST", client.create(resource).await),
        ("transaction", client.post(&bundle("transaction", vec![entry.clone()])).await),
        ("batch", in_a_batch(client, entry).await),
        ("conditional create", client.create_if_none(resource, "_id=nothing-has-this-id").await),
    ]
}

async fn creates_are_refused(client: &Client, resource: &Value, status: u16, says: &str) {
    for (door, answer) in every_create(client, resource).await {
        assert_eq!(answer.status, status, "{door} {resource}: {}", answer.body);
        assert!(answer.body.to_string().contains(says), "`{says}` at {door}: {}", answer.body);
    }
}

fn with(resource: &Value, change: &Value) -> Value {
    let mut out = resource.clone();
    for (name, value) in change.as_object().expect("an object") {
        if value.is_null() {
            out.as_object_mut().expect("an object").remove(name);
        } else {
            out[name] = value.clone();
        }
    }
    out
}

async fn report(server: &TestServer, patient: &str) -> Value {
    let mut issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "moderate",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "patient": {"reference": format!("Patient/{patient}")}, "author": {"reference": "Practitioner/mara-lind"},
        "identifiedDateTime": server.now().strftime("%FT%TZ").to_string(), "detail": "two kinds of metoprolol"});
    about_an_order(server, patient, &mut issue).await;
    issue
}

/// A problem whose review Jonas has in progress.
async fn reviewed(server: &TestServer) -> (String, Value) {
    let (patient, _) = claimed(server).await;
    let path = server.technician().create(&report(server, &patient).await).await.ok().reference();
    let pharmacist = server.pharmacist();
    let review = pharmacist.search(&format!("Task?code={TASK_CODE}|review-dtp&focus={path}")).await.remove(0);
    let version = review["meta"]["versionId"].as_str();
    pharmacist.operation(&format!("{}/$claim", reference(&review)), &Value::Null, version).await.ok();
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    pharmacist.patch(&reference(&review), &begin).await.ok();
    let issue = server.read(&path).await;
    (patient, issue)
}

fn mitigation(code: &str, date: &str) -> Value {
    json!([{"action": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]}, "date": date,
        "author": {"reference": "Practitioner/jonas-adler"}}])
}

fn resolution(code: &str) -> Value {
    json!([{"url": "http://baton.example/fhir/StructureDefinition/resolution", "valueCodeableConcept":
        {"coding": [{"system": "http://baton.example/fhir/CodeSystem/resolution", "code": code}]}}])
}

both_databases!(case_10_a_list_that_is_empty_and_is_not);
/// case 10: A List with entries and emptyReason, or deleted entries in a snapshot, is 422 by every door.
async fn case_10_a_list_that_is_empty_and_is_not(server: TestServer) {
    let hospital = server.hospital();
    let patient = hospital.create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let medicine = json!({"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": patient}, "medicationCodeableConcept": {"text": "x"}});
    let medicine = hospital.create(&medicine).await.ok().reference();
    let list = json!({"resourceType": "List", "status": "current", "mode": "snapshot", "subject": {"reference": patient},
        "entry": [{"item": {"reference": medicine}}]});
    let path = hospital.create(&list).await.ok().reference();
    let stored = server.read(&path).await;
    for (change, says) in [
        (
            json!({"emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]}}),
            "lst-1",
        ),
        (json!({"entry": [{"deleted": true, "item": {"reference": medicine}}]}), "lst-2"),
        (json!({"entry": [{"date": "2020-01-01", "item": {"reference": medicine}}]}), "lst-3"),
    ] {
        creates_are_refused(&hospital, &with(&list, &change), 422, says).await;
        refused_at_every_door(&hospital, &stored, &change, 422, says).await;
    }
}

both_databases!(case_11_a_medicine_that_is_none);
/// case 11: A medicine of an unknown status, without medication, or with two, is refused by every door; so is a dose without a unit that counts no pieces.
async fn case_11_a_medicine_that_is_none(server: TestServer) {
    let hospital = server.hospital();
    let patient = hospital.create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let statement = json!({"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": patient}, "medicationCodeableConcept": {"text": "x"}});
    creates_are_refused(&hospital, &with(&statement, &json!({"status": "taken"})), 400, "status").await;
    creates_are_refused(&hospital, &with(&statement, &json!({"medicationCodeableConcept": null})), 400, "medication")
        .await;
    let both = json!({"medicationReference": {"display": "y"}});
    creates_are_refused(&hospital, &with(&statement, &both), 400, "medication").await;
    let mute =
        json!({"medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm"}]}});
    creates_are_refused(&hospital, &with(&statement, &mute), 422, "medicationCodeableConcept").await;
    let path = hospital.create(&statement).await.ok().reference();
    refused_at_every_door(&hospital, &server.read(&path).await, &mute, 422, "medicationCodeableConcept").await;
    let bare = json!({"dosage": [{"doseAndRate": [{"doseQuantity": {"value": 5}}]}]});
    creates_are_refused(&hospital, &with(&statement, &bare), 422, "dosage[0].doseAndRate[0].doseQuantity").await;
    refused_at_every_door(&hospital, &server.read(&path).await, &bare, 422, "has no unit").await;
    let dispense = json!({"resourceType": "MedicationDispense", "status": "completed", "subject": {"reference": patient},
        "medicationCodeableConcept": {"text": "x"}, "whenPrepared": "2026-01-02", "whenHandedOver": "2026-01-01"});
    creates_are_refused(&server.everyone(), &dispense, 422, "mdd-1").await;
    creates_are_refused(&server.everyone(), &with(&dispense, &json!({"status": "gone"})), 400, "status").await;
}

both_databases!(case_14_an_end_without_what_came_of_it);
/// case 14: An end without output or reason, or with the output of another patient, is 422 by every door.
async fn case_14_an_end_without_what_came_of_it(server: TestServer) {
    let (patient, call) = claimed(&server).await;
    let technician = server.technician();
    refused_at_every_door(&technician, &call, &json!({"status": "rejected"}), 422, "statusReason").await;
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    technician.patch(&reference(&call), &begin).await.ok();
    let call = server.read(&reference(&call)).await;
    refused_at_every_door(&technician, &call, &json!({"status": "completed"}), 422, "output").await;
    for status in ["failed", "on-hold"] {
        refused_at_every_door(&technician, &call, &json!({"status": status}), 422, "statusReason").await;
    }
    // An output of another patient, as the super-user sees it: the technician does not know that patient at all.
    let stranger = server.everyone().create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let foreign = json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": stranger}});
    let foreign = server.everyone().create(&foreign).await.ok().reference();
    let output = json!([{"type": {"text": "call"}, "valueReference": {"reference": foreign}}]);
    let done = json!({"status": "completed", "output": output});
    refused_at_every_door(&server.everyone(), &call, &done, 422, "another patient").await;
    let found = server.everyone().search(&format!("Task?patient={patient}&status=completed")).await;
    assert_eq!(found.len(), 0, "nothing of it was stored");
}

both_databases!(case_17_attempts_that_cannot_have_been);
/// case 17: An attempt that cannot have been is refused by every door and by `$attempt`.
async fn case_17_attempts_that_cannot_have_been(server: TestServer) {
    let (patient, call) = claimed(&server).await;
    let technician = server.technician();
    let moment = |hours: i64| {
        server.now().checked_add(jiff::Span::new().hours(hours)).expect("a time").strftime("%FT%TZ").to_string()
    };
    let attempt = json!({"resourceType": "Communication", "status": "completed", "basedOn": [{"reference": reference(&call)}],
        "subject": {"reference": format!("Patient/{patient}")}, "sent": moment(0), "sender": {"reference": "Practitioner/mara-lind"},
        "medium": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}]});
    creates_are_refused(&technician, &attempt, 422, "in progress").await;
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    technician.patch(&reference(&call), &begin).await.ok();
    for (change, status, says) in [
        (json!({"sent": moment(3)}), 422, "Communication.sent"),
        (json!({"sent": "2020-01-01T00:00:00Z"}), 422, "before the discharge"),
        (json!({"sent": null}), 422, "sent"),
        (json!({"status": "not-done"}), 422, "statusReason"),
        (
            json!({"status": "not-done", "statusReason": {"text": "voicemail"}, "payload": [{"contentString": "your warfarin"}]}),
            422,
            "payload",
        ),
        (json!({"sender": {"reference": "Practitioner/jonas-adler"}}), 403, "attempt-sender"),
        (json!({"subject": null}), 422, "subject"),
    ] {
        let says = says.strip_prefix("Communication").unwrap_or(says);
        creates_are_refused(&technician, &with(&attempt, &change), status, says).await;
    }
    let operation = format!("{}/$attempt", reference(&call));
    for sent in [moment(3), "2020-01-01T00:00:00Z".to_string()] {
        let params = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}, {"name": "sent", "valueDateTime": sent}]});
        technician.operation(&operation, &params, None).await.refuses(422, "business-rule", "Communication.sent");
    }
    assert_eq!(server.everyone().search(&format!("Communication?patient={patient}")).await.len(), 0);
}

both_databases!(case_19_a_technician_does_not_do_a_pharmacists_work);
/// case 19: A technician's try at a pharmacist's work is 403 by every door and by `$resolve`, naming the rule.
async fn case_19_a_technician_does_not_do_a_pharmacists_work(server: TestServer) {
    let (patient, issue) = reviewed(&server).await;
    let technician = server.technician();
    let now = server.now().strftime("%FT%TZ").to_string();
    for change in [
        json!({"status": "final", "extension": resolution("no-action")}),
        json!({"mitigation": mitigation("1", &now)}),
        json!({"severity": "low"}),
        json!({"severity": null}),
        json!({"status": "cancelled"}),
        json!({"extension": resolution("no-action")}),
    ] {
        refused_at_every_door(&technician, &issue, &change, 403, "(rule dtp-").await;
    }
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}]});
    let path = format!("{}/$resolve", reference(&issue));
    technician.operation(&path, &params, None).await.refuses(403, "forbidden", "");
    assert_eq!(server.read(&reference(&issue)).await, issue, "nothing of it was stored");
    // Not in somebody else's name, not by asking the prescriber, not by billing.
    let forged = with(&report(&server, &patient).await, &json!({"author": {"reference": "Practitioner/jonas-adler"}}));
    creates_are_refused(&technician, &forged, 403, "dtp-author").await;
    let subject = json!({"reference": format!("Patient/{patient}")});
    let asks = json!({"resourceType": "CommunicationRequest", "status": "active", "subject": subject, "about": [{"reference": reference(&issue)}]});
    creates_are_refused(&technician, &asks, 403, "forbidden").await;
    let tells = json!({"resourceType": "Communication", "status": "completed", "subject": subject, "about": [{"reference": reference(&issue)}],
        "recipient": [{"reference": "Organization/northgate"}]});
    creates_are_refused(&technician, &tells, 403, "prescriber-contact").await;
    let bills = json!({"resourceType": "ChargeItem", "status": "billable", "subject": subject, "code": {"text": "x"}});
    creates_are_refused(&technician, &bills, 403, "forbidden").await;
    // A raised severity is a technician's to say.
    let raise = json!([{"op": "replace", "path": "/severity", "value": "high"}]);
    technician.patch(&reference(&issue), &raise).await.ok();
}

both_databases!(case_20_a_pharmacist_of_another_pharmacy_decides_nothing_here);
/// case 20: A pharmacist of another pharmacy is 404 by every door and by `$resolve`.
async fn case_20_a_pharmacist_of_another_pharmacy_decides_nothing_here(server: TestServer) {
    let (_, issue) = reviewed(&server).await;
    let ines = server.user("ines");
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}]});
    ines.operation(&format!("{}/$resolve", reference(&issue)), &params, None).await.refuses(404, "not-found", "");
    let change = json!({"status": "final", "extension": resolution("no-action")});
    refused_at_every_door(&ines, &issue, &change, 404, "not-found").await;
    assert_eq!(server.read(&reference(&issue)).await, issue);
}

both_databases!(case_21_what_a_problem_and_its_decision_must_not_be);
/// case 21: A problem or decision that contradicts itself is refused by every door.
async fn case_21_what_a_problem_and_its_decision_must_not_be(server: TestServer) {
    let (patient, issue) = reviewed(&server).await;
    let technician = server.technician();
    let fine = report(&server, &patient).await;
    creates_are_refused(&technician, &with(&fine, &json!({"status": "mitigated"})), 400, "status").await;
    creates_are_refused(&technician, &with(&fine, &json!({"patient": null})), 422, "patient").await;
    for name in ["severity", "identifiedDateTime", "implicated", "evidence", "detail"] {
        let element = name.trim_end_matches("DateTime");
        let says = format!("{element}\"");
        creates_are_refused(&technician, &with(&fine, &json!({(name): null})), 422, &says).await;
        if !matches!(name, "severity" | "identifiedDateTime") {
            refused_at_every_door(&technician, &issue, &json!({(name): null}), 422, &says).await;
        }
    }
    creates_are_refused(
        &technician,
        &with(&fine, &json!({"mitigation": mitigation("1", "2026-01-01")})),
        403,
        "mitigation",
    )
    .await;
    let stranger = server.everyone().create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let other = json!({"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": stranger}, "medicationCodeableConcept": {"text": "x"}});
    let other = server.everyone().create(&other).await.ok().reference();
    let foreign = with(&fine, &json!({"implicated": [{"reference": other}]}));
    creates_are_refused(&server.everyone(), &foreign, 422, "another patient").await;
    let pharmacist = server.pharmacist();
    let (now, early) = (server.now().strftime("%FT%TZ").to_string(), "2020-01-01T00:00:00Z");
    for (change, says) in [
        (json!({"status": "final"}), "resolution"),
        (json!({"status": "final", "extension": resolution("resolved")}), "mitigation"),
        (
            json!({"status": "final", "extension": resolution("resolved"), "mitigation": mitigation("1", early)}),
            "before the problem",
        ),
        (json!({"mitigation": mitigation("1", &now)}), "mitigation"),
        (json!({"extension": resolution("no-action")}), "resolution"),
    ] {
        refused_at_every_door(&pharmacist, &issue, &change, 422, says).await;
    }
    assert_eq!(server.read(&reference(&issue)).await, issue, "nothing of it was stored");
}

both_databases!(case_22_what_is_decided_or_acted_on_stays);
/// case 22: A decided problem is not opened again, one that was acted on is no error, and none is deleted, by every door.
async fn case_22_what_is_decided_or_acted_on_stays(server: TestServer) {
    let (patient, issue) = reviewed(&server).await;
    let path = reference(&issue);
    let said = json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": format!("Patient/{patient}")},
        "about": [{"reference": path}], "recipient": [{"reference": format!("Patient/{patient}")}]});
    server.pharmacist().create(&said).await.ok();
    refused_at_every_door(&server.technician(), &issue, &json!({"status": "entered-in-error"}), 422, "Communication/")
        .await;
    server.everyone().delete(&path).await.refuses(422, "business-rule", "DetectedIssue");
    let entry = json!({"request": {"method": "DELETE", "url": path}});
    assert_eq!(server.everyone().post(&bundle("transaction", vec![entry.clone()])).await.status, 422);
    assert_eq!(in_a_batch(&server.everyone(), entry).await.status, 422);
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}]});
    server.pharmacist().operation(&format!("{path}/$resolve"), &params, None).await.ok();
    let decided = server.read(&path).await;
    for status in ["preliminary", "registered", "cancelled", "entered-in-error"] {
        refused_at_every_door(&server.pharmacist(), &decided, &json!({"status": status}), 422, "status").await;
    }
    server.pharmacist().operation(&format!("{path}/$resolve"), &params, None).await.refuses(422, "business-rule", "");
    assert_eq!(server.read(&path).await, decided);
}

both_databases!(case_23_a_prescriber_was_asked_only_where_a_communication_shows_it);
/// case 23: Mitigations that a prescriber was asked need the Communication that shows it; no Device is their author.
async fn case_23_a_prescriber_was_asked_only_where_a_communication_shows_it(server: TestServer) {
    let (patient, issue) = reviewed(&server).await;
    let pharmacist = server.pharmacist();
    let now = server.now().strftime("%FT%TZ").to_string();
    let decision = |code: &str| json!({"status": "final", "extension": resolution("resolved"), "mitigation": mitigation(code, &now)});
    for code in ["5", "6", "10", "11", "12", "13"] {
        refused_at_every_door(&pharmacist, &issue, &decision(code), 422, "evidence.detail").await;
    }
    let mut by_device = decision("1");
    by_device["mitigation"][0]["author"] = json!({"reference": "Device/x"});
    // A Device is no R4 author of a mitigation, whoever says so; whether it exists does not matter.
    for (door, answer) in super::doors::every_door(
        &pharmacist,
        &issue,
        &with(&issue, &by_device),
        &json!([{"op": "add", "path": "/status", "value": "final"}, {"op": "add", "path": "/extension", "value": by_device["extension"]},
            {"op": "add", "path": "/mitigation", "value": by_device["mitigation"]}]),
        super::doors::Version::Named,
    )
    .await
    {
        assert!(matches!(answer.status, 400 | 422), "{door}: {} {}", answer.status, answer.body);
    }
    let letter = |recipient: &str| {
        json!({"resourceType": "Communication", "status": "completed", "about": [{"reference": reference(&issue)}], "subject": {"reference": format!("Patient/{patient}")},
            "sender": {"reference": "Practitioner/jonas-adler"}, "recipient": [{"reference": recipient}]})
    };
    let resolve = |evidence: &str| {
        json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "resolved"}, {"name": "mitigation", "valueCode": "5"},
            {"name": "evidence", "valueReference": {"reference": evidence}}]})
    };
    let to_the_patient = pharmacist.create(&letter(&format!("Patient/{patient}"))).await.ok().reference();
    let path = format!("{}/$resolve", reference(&issue));
    let answer = pharmacist.operation(&path, &resolve(&to_the_patient), None).await;
    answer.refuses(422, "business-rule", "DetectedIssue.mitigation[0]");
    let mut elsewhere = letter("Organization/northgate");
    elsewhere.as_object_mut().expect("an object").remove("about");
    let elsewhere = pharmacist.create(&elsewhere).await.ok().reference();
    let answer = pharmacist.operation(&path, &resolve(&elsewhere), None).await;
    answer.refuses(422, "business-rule", "DetectedIssue.mitigation[0]");
    let to_the_hospital = pharmacist.create(&letter("Organization/northgate")).await.ok().reference();
    pharmacist.operation(&path, &resolve(&to_the_hospital), None).await.ok();
}

both_databases!(case_28_nobody_calls_who_has_died_or_does_not_want_it);
/// case 28: Attempts to reach somebody who has died, or refuses, are 422 by every door; what was held does not go on.
async fn case_28_nobody_calls_who_has_died_or_does_not_want_it(server: TestServer) {
    for (sample, refuses) in [("04-duplicate-therapy", false), ("03-omitted-home-medicine", true)] {
        let (patient, call) = claimed_of(&server, sample).await;
        let technician = server.technician();
        let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
        technician.patch(&reference(&call), &begin).await.ok();
        let hospital = server.user(discharge(sample, server.now()).hospital);
        if refuses {
            let consent = json!({"resourceType": "Consent", "status": "active", "patient": {"reference": format!("Patient/{patient}")},
                "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]},
                "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
                "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}});
            hospital.create(&consent).await.ok();
        } else {
            let died = json!([{"op": "add", "path": "/deceasedBoolean", "value": true}]);
            hospital.patch(&format!("Patient/{patient}"), &died).await.ok();
        }
        let attempt = json!({"resourceType": "Communication", "status": "completed", "basedOn": [{"reference": reference(&call)}],
            "subject": {"reference": format!("Patient/{patient}")}, "sent": server.now().strftime("%FT%TZ").to_string(),
            "sender": {"reference": "Practitioner/mara-lind"},
            "medium": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}]});
        creates_are_refused(&technician, &attempt, 422, "nobody is called").await;
        let params = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
        let answer = technician.operation(&format!("{}/$attempt", reference(&call)), &params, None).await;
        answer.refuses(422, "business-rule", "Communication.subject");
        let held = server.read(&reference(&call)).await;
        assert_eq!(held["status"], "on-hold");
        refused_at_every_door(&technician, &held, &json!({"status": "in-progress"}), 422, "let it fail").await;
    }
}

both_databases!(case_8_a_hospital_does_not_discharge_for_another_one);
/// case 8: A discharge for another hospital is 403 by every door.
async fn case_8_a_hospital_does_not_discharge_for_another_one(server: TestServer) {
    let hospital = server.hospital();
    let patient = hospital.create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let now = server.now().strftime("%FT%TZ").to_string();
    let stay = json!({"resourceType": "Encounter", "status": "finished", "subject": {"reference": patient},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "period": {"start": "2020-01-01", "end": now}, "serviceProvider": {"reference": "Organization/northgate"}});
    creates_are_refused(&hospital, &stay, 403, "stay-sender").await;
    assert_eq!(server.everyone().search("EpisodeOfCare").await.len(), 0);
    hospital.create(&with(&stay, &json!({"serviceProvider": {"reference": "Organization/lakeside"}}))).await.ok();
    assert_eq!(server.everyone().search("EpisodeOfCare").await.len(), 1);
}
