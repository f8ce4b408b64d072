//! The bad cases that the programme must refuse, by every door that leads to them. One test a case.

use super::doors::{Version, bundle, every_door, refused_at_every_door};
use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// Northgate's discharge without a named pharmacy; returns (patient id, first call).
async fn discharged(server: &TestServer) -> (String, Value) {
    let discharge = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let patient = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string();
    let task = task(server, &patient, "first-call").await;
    (patient, task)
}

async fn task(server: &TestServer, patient: &str, code: &str) -> Value {
    server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|{code}")).await.remove(0)
}

async fn claims(client: &Client, task: &Value, version: Option<&str>) -> Answer {
    client.operation(&format!("{}/$claim", reference(task)), &Value::Null, version).await
}

fn version(resource: &Value) -> Option<&str> {
    resource["meta"]["versionId"].as_str()
}

/// A claim as a plain write: (after, patch).
fn claim(task: &Value, pharmacy: &str) -> (Value, Value) {
    let owner = json!({"reference": format!("Organization/{pharmacy}")});
    let mut after = task.clone();
    after["status"] = "accepted".into();
    after["owner"] = owner.clone();
    let patch =
        json!([{"op": "add", "path": "/status", "value": "accepted"}, {"op": "add", "path": "/owner", "value": owner}]);
    (after, patch)
}

fn says(answer: &Answer, word: &str) -> bool {
    answer.body.to_string().contains(word)
}

both_databases!(case_12_a_claim_without_if_match_is_refused_by_every_door);
/// case 12: A claim without `If-Match` is 428 by every door, with one text.
/// security A57: A Task of the programme is changed by nobody who does not say `If-Match`: 428 by every door.
async fn case_12_a_claim_without_if_match_is_refused_by_every_door(server: TestServer) {
    let (_, call) = discharged(&server).await;
    let (after, patch) = claim(&call, "elm-street");
    let by_operation = claims(&server.pharmacy(), &call, None).await;
    let mut texts = vec![by_operation.body["issue"][0]["diagnostics"].clone()];
    by_operation.refuses(428, "required", "");
    for (door, answer) in every_door(&server.pharmacy(), &call, &after, &patch, Version::Left).await {
        if door == "conditional update" {
            continue; // a pharmacy may not create Tasks, which a conditional update could
        }
        assert_eq!(answer.status, 428, "{door}: {}", answer.body);
        assert!(says(&answer, "If-Match"), "{door}: {}", answer.body);
        texts.push(answer.body["issue"][0]["diagnostics"].clone());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "one text at every door: {texts:?}");
    // The super-user is bound too, and has every door.
    for (door, answer) in every_door(&server.everyone(), &call, &after, &patch, Version::Left).await {
        assert_eq!(answer.status, 428, "{door}: {}", answer.body);
    }
    // A note is no claim, and overwrites no less.
    let mut noted = call.clone();
    noted["note"].as_array_mut().expect("what the follow-up is about").push(json!({"text": "called twice"}));
    let note = json!([{"op": "add", "path": "/note/-", "value": {"text": "called twice"}}]);
    for (door, answer) in every_door(&server.everyone(), &call, &noted, &note, Version::Left).await {
        assert_eq!(answer.status, 428, "{door}: {}", answer.body);
    }
    assert_eq!(server.read(&reference(&call)).await, call, "nothing of it was stored");
    let any = [("Content-Type", "application/json-patch+json"), ("If-Match", "*")];
    server.everyone().send("PATCH", &reference(&call), note.to_string(), &any).await.ok();
}

both_databases!(case_12_a_stale_claim_and_a_lost_race_say_that_another_has_it_and_not_who);
/// case 12: A stale claim is 412 and a lost one 409 by every door; neither tells who has it.
async fn case_12_a_stale_claim_and_a_lost_race_say_that_another_has_it_and_not_who(server: TestServer) {
    let (_, call) = discharged(&server).await;
    claims(&server.pharmacy(), &call, version(&call)).await.ok();
    let harbour = server.other_pharmacy();
    let (after, patch) = claim(&call, "harbour");
    let mut late = every_door(&harbour, &call, &after, &patch, Version::Named).await;
    late.retain(|(door, _)| *door != "conditional update");
    late.push(("$claim", claims(&harbour, &call, version(&call)).await));
    for (door, answer) in late {
        assert_eq!(answer.status, 412, "{door}: {}", answer.body);
        assert!(says(&answer, "another organisation has the Task"), "{door}: {}", answer.body);
        assert!(!says(&answer, "elm"), "{door} tells who: {}", answer.body);
    }
    harbour.read(&reference(&call)).await.is(404);
    let now = server.read(&reference(&call)).await;
    let (after, patch) = claim(&now, "harbour");
    let mut second = every_door(&harbour, &now, &after, &patch, Version::Named).await;
    second.retain(|(door, _)| *door != "conditional update");
    second.push(("$claim", claims(&harbour, &now, version(&now)).await));
    for (door, answer) in second {
        assert_eq!(answer.status, 409, "{door}: {}", answer.body);
        assert!(says(&answer, "taken already, by another organisation"), "{door}: {}", answer.body);
        assert!(!says(&answer, "elm"), "{door} tells who: {}", answer.body);
    }
}

both_databases!(case_12_who_is_no_candidate_or_claims_for_another_is_refused);
/// case 12: Who is no candidate, or claims for another organisation, is 403 by every door.
async fn case_12_who_is_no_candidate_or_claims_for_another_is_refused(server: TestServer) {
    let (patient, call) = discharged(&server).await;
    refused_at_every_door(
        &server.pharmacy(),
        &call,
        &json!({"status": "accepted", "owner": {"reference": "Organization/harbour"}}),
        403,
        "task-claim",
    )
    .await;
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "owner", "valueReference": {"reference": "Organization/harbour"}}]});
    let path = format!("{}/$claim", reference(&call));
    server.pharmacy().operation(&path, &params, version(&call)).await.refuses(403, "forbidden", "");
    // The hospital sees the Task and is none of its candidates.
    let (after, patch) = claim(&call, "northgate");
    for (door, answer) in every_door(&server.other_hospital(), &call, &after, &patch, Version::Named).await {
        assert_eq!(answer.status, 403, "{door}: {}", answer.body);
    }
    claims(&server.other_hospital(), &call, version(&call)).await.refuses(403, "forbidden", "");
    assert_eq!(task(&server, &patient, "first-call").await, call);
}

both_databases!(case_12_of_two_plain_claims_at_once_one_wins);
/// security A57: Of two claims at once one wins.
/// case 12: Of sixteen claims at once one wins.
async fn case_12_of_two_plain_claims_at_once_one_wins(server: TestServer) {
    let (_, call) = discharged(&server).await;
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let rivals = (0..16).map(|n| {
        let (client, pharmacy) = if n % 2 == 0 { (&elm, "elm-street") } else { (&harbour, "harbour") };
        let (after, _) = claim(&call, pharmacy);
        async move { client.update(&after).await }
    });
    let answers = futures_util::future::join_all(rivals).await;
    let statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|s| matches!(s, 200 | 409 | 412)), "{statuses:?}");
}

/// A discharge that is to be refused: the stay with elements changed.
async fn discharge_with(server: &TestServer, change: Value) -> Vec<(&'static str, Answer)> {
    let hospital = server.hospital();
    let patient =
        hospital.create(&json!({"resourceType": "Patient", "birthDate": "1950-02-03"})).await.ok().reference();
    let mut stay = json!({"resourceType": "Encounter", "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": patient}, "period": {"start": "2020-01-01T08:00:00Z"},
        "serviceProvider": {"reference": "Organization/lakeside"}});
    let path = hospital.create(&stay).await.ok().reference();
    let before = server.read(&path).await;
    stay["id"] = before["id"].clone();
    stay["status"] = "finished".into();
    let mut patch = vec![json!({"op": "replace", "path": "/status", "value": "finished"})];
    for (name, value) in change.as_object().expect("an object") {
        stay[name] = value.clone();
        patch.push(json!({"op": "add", "path": format!("/{name}"), "value": value}));
    }
    let mut doors = every_door(&hospital, &before, &stay, &Value::Array(patch), Version::Left).await;
    stay.as_object_mut().expect("an object").remove("id");
    doors.push(("POST", hospital.create(&stay).await));
    let entry = json!({"fullUrl": "urn:uuid:6f0f4b4c-6d5e-4b0e-9a54-6d0a2f5f1c11", "request": {"method": "POST", "url": "Encounter"}, "resource": stay});
    doors.push(("transaction of POST", hospital.post(&bundle("transaction", vec![entry])).await));
    doors
}

both_databases!(case_5_impossible_discharges_are_refused);
/// case 5: A discharge without end, ended before it began, in the future, or at a time without a zone is refused by every door; a stay that goes on is none.
async fn case_5_impossible_discharges_are_refused(server: TestServer) {
    let now = server.now();
    let later = now.checked_add(jiff::Span::new().hours(3)).expect("soon").strftime("%FT%TZ").to_string();
    for (period, status, says) in [
        (json!({"start": "2020-01-01T08:00:00Z"}), 422, "period.end"),
        (json!({"start": "2020-01-01T08:00:00Z", "end": "2019-12-31T08:00:00Z"}), 422, "period"),
        (json!({"start": "2020-01-01T08:00:00Z", "end": later}), 422, "period.end"),
        (json!({"start": "2020-01-01T08:00:00Z", "end": "2020-01-05T08:00:00"}), 400, "period.end"),
        (json!({"start": "2020-01-01T08:00:00Z", "end": "2020-02-30"}), 400, "period.end"),
    ] {
        for (door, answer) in discharge_with(&server, json!({"period": period})).await {
            // R4 answers 422 where it is the result of a patch that is no valid resource.
            let status = if door.starts_with("PATCH") { 422 } else { status };
            assert_eq!(answer.status, status, "{door} {period}: {}", answer.body);
            assert!(answer.body.to_string().contains(says), "{door} {period}: {}", answer.body);
        }
    }
    assert_eq!(server.everyone().search("EpisodeOfCare").await.len(), 0);
    // A stay that is not finished, or never was, is no discharge.
    for status in ["in-progress", "cancelled", "onleave", "planned"] {
        let stay = json!({"resourceType": "Encounter", "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "period": {"start": "2020-01-01T08:00:00Z", "end": "2020-01-02T08:00:00Z"}});
        server.hospital().create(&stay).await.ok();
    }
    assert_eq!(server.everyone().search("EpisodeOfCare").await.len(), 0);
}

both_databases!(case_4_a_medicine_of_another_patient_is_refused_in_a_stay);
/// case 4: A medicine or list of another patient is refused in a stay, made or moved, by every door.
async fn case_4_a_medicine_of_another_patient_is_refused_in_a_stay(server: TestServer) {
    let hospital = server.hospital();
    let create = async |resource: Value| hospital.create(&resource).await.ok().reference();
    let (ann, ben) =
        (create(json!({"resourceType": "Patient"})).await, create(json!({"resourceType": "Patient"})).await);
    let stay = create(json!({"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": ann},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}}))
    .await;
    for (kind, of) in [
        ("MedicationRequest", "encounter"),
        ("MedicationStatement", "context"),
        ("MedicationAdministration", "context"),
        ("List", "encounter"),
    ] {
        let mut resource = json!({"resourceType": kind, "status": if kind == "List" { "current" } else { "active" }, "subject": {"reference": ben}});
        resource[of] = json!({"reference": stay});
        match kind {
            "List" => resource["mode"] = "snapshot".into(),
            "MedicationRequest" => resource["intent"] = "order".into(),
            "MedicationAdministration" => {
                resource["status"] = "completed".into();
                resource["effectiveDateTime"] = "2020-01-01".into();
            }
            _ => {}
        }
        if kind != "List" {
            resource["medicationCodeableConcept"] = json!({"text": "x"});
        }
        hospital.create(&resource).await.refuses(422, "business-rule", &format!("{kind}.subject"));
        let entry = json!({"request": {"method": "POST", "url": kind}, "resource": resource});
        assert_eq!(hospital.post(&bundle("transaction", vec![entry])).await.status, 422, "{kind}");
        // Of the right patient it is taken, and does not move to another afterwards.
        resource["subject"] = json!({"reference": ann});
        let path = create(resource).await;
        let moved = json!({"subject": {"reference": ben}});
        refused_at_every_door(&hospital, &server.read(&path).await, &moved, 422, "subject").await;
    }
}

both_databases!(case_8_a_hospital_does_not_change_the_stay_of_another);
/// case 8: A hospital that changes the stay of another learns not even that there is one.
async fn case_8_a_hospital_does_not_change_the_stay_of_another(server: TestServer) {
    let (patient, _) = discharged(&server).await;
    let stay = server.everyone().search(&format!("Encounter?patient={patient}&class=IMP")).await.remove(0);
    let lakeside = server.hospital();
    let mut after = stay.clone();
    after["status"] = "cancelled".into();
    let patch = json!([{"op": "replace", "path": "/status", "value": "cancelled"}]);
    for (door, answer) in every_door(&lakeside, &stay, &after, &patch, Version::Named).await {
        if door != "conditional update" {
            assert_eq!(answer.status, 404, "{door}: it does not learn that there is one: {}", answer.body);
        }
    }
    lakeside.delete(&reference(&stay)).await;
    assert_eq!(server.read(&reference(&stay)).await, stay);
}

both_databases!(case_13_forbidden_steps_are_refused_by_every_door);
/// security A58: Steps that are not allowed are refused by every door.
/// case 13: Each step that a Task does not take is 422 by every door.
/// case 16: PATCH, conditional update, transaction and batch reach no step that PUT does not.
async fn case_13_forbidden_steps_are_refused_by_every_door(server: TestServer) {
    let (patient, call) = discharged(&server).await;
    let everyone = server.everyone();
    let why = json!({"text": "x"});
    let output = json!([{"type": {"text": "note"}, "valueString": "x"}]);
    refused_at_every_door(
        &everyone,
        &call,
        &json!({"status": "completed", "output": output}),
        422,
        "requested to completed",
    )
    .await;
    claims(&server.pharmacy(), &call, version(&call)).await.ok();
    let accepted = task(&server, &patient, "first-call").await;
    refused_at_every_door(&everyone, &accepted, &json!({"status": "requested", "owner": null}), 422, "$release").await;
    refused_at_every_door(
        &everyone,
        &accepted,
        &json!({"status": "on-hold", "statusReason": why}),
        422,
        "accepted to on-hold",
    )
    .await;
    let technician = server.technician();
    let patch = |status: &str| json!([{"op": "replace", "path": "/status", "value": status}]);
    technician.patch(&reference(&call), &patch("in-progress")).await.ok();
    let begun = task(&server, &patient, "first-call").await;
    refused_at_every_door(
        &everyone,
        &begun,
        &json!({"status": "cancelled", "statusReason": why}),
        422,
        "in-progress to cancelled",
    )
    .await;
    refused_at_every_door(&technician, &begun, &json!({"status": "completed"}), 422, "output").await;
    for status in ["failed", "on-hold"] {
        refused_at_every_door(&technician, &begun, &json!({"status": status}), 422, "statusReason").await;
    }
    let end = json!([{"op": "replace", "path": "/status", "value": "completed"}, {"op": "add", "path": "/output", "value": output}]);
    technician.patch(&reference(&call), &end).await.ok();
    let done = task(&server, &patient, "first-call").await;
    refused_at_every_door(&everyone, &done, &json!({"status": "in-progress"}), 422, "completed to in-progress").await;
    // rejected stays rejected
    let check = task(&server, &patient, "check-pickup").await;
    let reject = json!([{"op": "replace", "path": "/status", "value": "rejected"}, {"op": "add", "path": "/statusReason", "value": why}]);
    server.pharmacy().patch(&reference(&check), &reject).await.ok();
    let rejected = server.read(&reference(&check)).await;
    refused_at_every_door(&everyone, &rejected, &json!({"status": "accepted"}), 422, "rejected to accepted").await;
}

both_databases!(case_15_what_a_task_is_about_never_changes);
/// security A58: What a Task is about never changes.
/// security leak 21: A Task is not moved to another patient.
/// case 15: What a Task is about, and for whom, never changes, by every door.
async fn case_15_what_a_task_is_about_never_changes(server: TestServer) {
    let (patient, call) = discharged(&server).await;
    let elsewhere = json!({"reference": format!("Patient/{patient}")});
    for (element, value) in [
        ("focus", elsewhere.clone()),
        ("for", json!({"reference": "Organization/harbour"})),
        ("encounter", Value::Null),
        ("requester", json!({"reference": "Organization/harbour"})),
        ("intent", json!("plan")),
        ("code", json!({"text": "x"})),
        ("authoredOn", json!("2020-01-01")),
        ("groupIdentifier", Value::Null),
        ("performerType", Value::Null),
        ("basedOn", Value::Null),
    ] {
        refused_at_every_door(&server.everyone(), &call, &json!({element: value}), 422, element).await;
    }
    refused_at_every_door(
        &server.everyone(),
        &call,
        &json!({"lastModified": "2020-01-01T00:00:00Z"}),
        422,
        "lastModified",
    )
    .await;
}

both_databases!(case_12_a_claim_by_operation_in_a_bundle_keeps_the_same_rules);
/// case 12: `$claim` as an entry of a Bundle keeps the same rules.
async fn case_12_a_claim_by_operation_in_a_bundle_keeps_the_same_rules(server: TestServer) {
    let (_, call) = discharged(&server).await;
    let pharmacy = server.pharmacy();
    let url = format!("{}/$claim", reference(&call));
    let entry = |tag: Option<&str>| {
        let mut request = json!({"method": "POST", "url": url});
        if let Some(tag) = tag {
            request["ifMatch"] = tag.into();
        }
        json!({"request": request, "resource": {"resourceType": "Parameters"}})
    };
    for (tag, status) in [(None, 428), (Some("W/\"7\""), 412)] {
        let answer = pharmacy.post(&bundle("transaction", vec![entry(tag)])).await;
        assert_eq!(answer.status, status, "transaction {tag:?}: {}", answer.body);
        assert_eq!(super::doors::in_a_batch(&pharmacy, entry(tag)).await.status, status, "batch {tag:?}");
    }
    let tag = format!("W/\"{}\"", version(&call).expect("a version"));
    pharmacy.post(&bundle("transaction", vec![entry(Some(&tag))])).await.ok();
    let late = server.other_pharmacy().post(&bundle("transaction", vec![entry(Some(&tag))])).await;
    assert_eq!(late.status, 412, "{}", late.body);
    assert!(says(&late, "another organisation has the Task"), "{}", late.body);
}
