//! The programme's rules hold through every door: PUT, PATCH, a Bundle entry, a conditional update, an operation.

use super::doors::{Version, bundle, every_door};
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

async fn claims(client: &Client, task: &Value) -> Answer {
    let version = task["meta"]["versionId"].as_str().expect("a version");
    client.operation(&format!("{}/$claim", reference(task)), &Value::Null, Some(version)).await
}

both_databases!(a_step_that_is_not_allowed_is_refused_at_every_door);
async fn a_step_that_is_not_allowed_is_refused_at_every_door(server: TestServer) {
    let (patient, call) = discharged(&server).await;
    let refused = async |client: &Client, task: &Value, change: Value, status: u16, at: &str| {
        let mut after = task.clone();
        let mut patch = Vec::new();
        for (name, value) in change.as_object().expect("an object") {
            after[name] = value.clone();
            patch.push(json!({"op": "add", "path": format!("/{name}"), "value": value}));
        }
        for (door, answer) in every_door(client, task, &after, &Value::Array(patch), Version::Named).await {
            let text = format!("{door} {change}: {} {}", answer.status, answer.body);
            if door == "conditional update" && answer.status == 403 {
                continue; // who may not create a Task does not get this far
            }
            assert_eq!(answer.status, status, "{text}");
            // In a Bundle the element is named from the Bundle on.
            let element = at.strip_prefix("Task").unwrap_or(at);
            assert!(answer.body.to_string().contains(element), "{text}");
        }
        assert_eq!(server.read(&reference(task)).await, *task, "{change}: nothing of it was stored");
    };
    let (pharmacy, technician) = (server.pharmacy(), server.technician());
    let output = json!([{"type": {"text": "note"}, "valueString": "x"}]);
    // requested
    refused(&pharmacy, &call, json!({"status": "completed", "output": output}), 403, "Task.status").await;
    refused(&technician, &call, json!({"status": "completed", "output": output}), 422, "Task.status").await;
    let other = json!({"reference": "Organization/harbour"});
    refused(&technician, &call, json!({"status": "accepted", "owner": other}), 403, "Task.owner").await;
    // accepted
    claims(&pharmacy, &call).await.ok();
    let call = task(&server, &patient, "first-call").await;
    refused(&technician, &call, json!({"status": "requested"}), 422, "$release").await;
    refused(&technician, &call, json!({"status": "on-hold", "statusReason": {"text": "x"}}), 422, "Task.status").await;
    refused(&technician, &call, json!({"status": "rejected"}), 422, "Task.statusReason").await;
    refused(&technician, &call, json!({"intent": "plan"}), 422, "Task.intent").await;
    refused(&technician, &call, json!({"for": {"reference": "Patient/x"}}), 422, "Task.for").await;
    refused(&technician, &call, json!({"restriction": {"repetitions": 1}}), 403, "task-due").await;
    refused(&technician, &call, json!({"owner": other}), 403, "Task.owner").await;
    // in-progress
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    technician.patch(&reference(&call), &begin).await.ok();
    let call = task(&server, &patient, "first-call").await;
    assert!(call["executionPeriod"]["start"].is_string(), "the server writes when work began");
    refused(&technician, &call, json!({"status": "completed"}), 422, "Task.output").await;
    refused(&technician, &call, json!({"status": "failed"}), 422, "Task.statusReason").await;
    let why = json!({"text": "x"});
    refused(&technician, &call, json!({"status": "cancelled", "statusReason": why}), 403, "task-cancel").await;
    refused(&server.everyone(), &call, json!({"status": "cancelled", "statusReason": why}), 422, "Task.status").await;
    // output of another patient
    let stranger = server.everyone().create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let foreign = json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": stranger}});
    let foreign = server.everyone().create(&foreign).await.ok().reference();
    let output = json!([{"type": {"text": "call"}, "valueReference": {"reference": foreign}}]);
    refused(&server.everyone(), &call, json!({"status": "completed", "output": output}), 422, "another patient").await;
    // completed is the end
    let done = json!([{"op": "replace", "path": "/status", "value": "completed"},
        {"op": "add", "path": "/output", "value": [{"type": {"text": "note"}, "valueString": "well"}]}]);
    technician.patch(&reference(&call), &done).await.ok();
    let call = task(&server, &patient, "first-call").await;
    refused(&technician, &call, json!({"status": "in-progress"}), 422, "Task.status").await;
}

both_databases!(a_claim_by_plain_put_keeps_the_rules_of_a_claim);
async fn a_claim_by_plain_put_keeps_the_rules_of_a_claim(server: TestServer) {
    let (patient, call) = discharged(&server).await;
    let take = |task: &Value, owner: &str| {
        let mut after = task.clone();
        after["status"] = "accepted".into();
        after["owner"] = json!({"reference": format!("Organization/{owner}")});
        after
    };
    server.hospital().update(&take(&call, "lakeside")).await.refuses(404, "not-found", "");
    server.other_hospital().update(&take(&call, "northgate")).await.refuses(403, "forbidden", "Task.owner");
    server.pharmacy().update(&take(&call, "elm-street")).await.ok();
    // Too late by the version that was read; too late by the version that is.
    server.other_pharmacy().update(&take(&call, "harbour")).await.refuses(412, "conflict", "");
    server.other_pharmacy().read(&reference(&call)).await.is(404);
    let now = server.read(&reference(&call)).await;
    server.other_pharmacy().update(&take(&now, "harbour")).await.refuses(409, "conflict", "Task.owner");
    // The claim shows the patient, and keeps the other Tasks for the same pharmacy.
    server.technician().read(&format!("Patient/{patient}")).await.ok();
    server.other_pharmacy().read(&format!("Patient/{patient}")).await.is(404);
    let check = task(&server, &patient, "check-pickup").await;
    assert_eq!(check["owner"]["reference"], "Organization/elm-street");
    claims(&server.other_pharmacy(), &check).await.refuses(409, "conflict", "Task.owner");
    // Given back, the patient is out of sight, and Harbour may.
    let path = reference(&call);
    let taken = server.other_pharmacy().operation(&format!("{path}/$release"), &Value::Null, None).await;
    taken.refuses(409, "conflict", "Task.owner");
    server.pharmacy().operation(&format!("{path}/$release"), &Value::Null, None).await.ok();
    server.technician().read(&format!("Patient/{patient}")).await.is(404);
    let call = task(&server, &patient, "first-call").await;
    assert!(call["owner"].is_null());
    claims(&server.other_pharmacy(), &call).await.ok();
    server.user("tomas").read(&format!("Patient/{patient}")).await.ok();
}

both_databases!(attempts_are_recorded_under_the_same_rules_by_operation_and_by_post);
async fn attempts_are_recorded_under_the_same_rules_by_operation_and_by_post(server: TestServer) {
    server.at("2026-03-06T16:00:00Z"); // patients are called in daytime
    let (patient, call) = discharged(&server).await;
    let technician = server.technician();
    let attempt = |more: Value| {
        let mut parameter = vec![json!({"name": "outcome", "valueCode": "no-answer"})];
        parameter.extend(more.as_array().cloned().unwrap_or_default());
        json!({"resourceType": "Parameters", "parameter": parameter})
    };
    let operation = format!("{}/$attempt", reference(&call));
    claims(&server.pharmacy(), &call).await.ok();
    let later = server.now().checked_add(jiff::Span::new().hours(2)).expect("soon").strftime("%FT%TZ").to_string();
    for (params, status) in [
        (attempt(json!([{"name": "sent", "valueDateTime": later}])), 422),
        (attempt(json!([{"name": "sent", "valueDateTime": "2020-01-01T00:00:00Z"}])), 422),
        (json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "?"}]}), 400),
    ] {
        assert_eq!(technician.operation(&operation, &params, None).await.status, status, "{params}");
    }
    let communication = |sent: &str| {
        json!({"resourceType": "Communication", "status": "completed", "basedOn": [{"reference": reference(&call)}],
            "subject": {"reference": format!("Patient/{patient}")}, "sent": sent, "sender": {"reference": "Practitioner/mara-lind"},
            "medium": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}]})
    };
    let now = server.now().strftime("%FT%TZ").to_string();
    technician.create(&communication(&now)).await.refuses(422, "business-rule", "Communication.basedOn");
    let made = technician.operation(&operation, &attempt(json!([])), None).await.ok();
    assert_eq!(made.body["resourceType"], "Communication");
    assert_eq!(made.body["status"], "not-done");
    assert_eq!(
        task(&server, &patient, "first-call").await["status"],
        "in-progress",
        "the first attempt starts the Task"
    );
    technician.create(&communication(&now)).await.ok();
    technician.create(&communication(&later)).await.refuses(422, "business-rule", "Communication.sent");
    let mut forged = communication(&now);
    forged["sender"]["reference"] = "Practitioner/jonas-adler".into();
    technician.create(&forged).await.refuses(403, "forbidden", "Communication.sender");
    let known = server.everyone().search(&format!("Communication?patient={patient}")).await;
    assert_eq!(known.len(), 2, "one Communication an attempt");
}

/// Mara has reported a problem on her patient.
pub async fn reported(server: &TestServer) -> Value {
    let (patient, call) = discharged(server).await;
    claims(&server.pharmacy(), &call).await.ok();
    let drugs = server.technician().search(&format!("MedicationRequest?patient={patient}&category=discharge")).await;
    let issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "moderate",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "patient": {"reference": format!("Patient/{patient}")}, "author": {"reference": "Practitioner/mara-lind"},
        "identifiedDateTime": server.now().strftime("%FT%TZ").to_string(), "implicated": [{"reference": reference(&drugs[0])}],
        "evidence": [{"detail": [{"reference": reference(&drugs[0])}]}], "detail": "two kinds of metoprolol are taken"});
    let answer = server.technician().create(&issue).await.ok();
    server.read(&answer.reference()).await
}

both_databases!(what_a_report_must_not_be);
async fn what_a_report_must_not_be(server: TestServer) {
    let issue = reported(&server).await;
    let with = |name: &str, value: Value| {
        let mut out = issue.clone();
        out.as_object_mut().expect("an object").remove("id");
        out.as_object_mut().expect("an object").remove("meta");
        match value {
            Value::Null => drop(out.as_object_mut().expect("an object").remove(name)),
            value => out[name] = value,
        }
        out
    };
    let technician = server.technician();
    let stranger = server.everyone().create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let other = json!({"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": stranger}, "medicationCodeableConcept": {"text": "x"}});
    let other = server.everyone().create(&other).await.ok().reference();
    let mitigation = json!([{"action": {"text": "x"}, "author": {"reference": "Practitioner/mara-lind"}}]);
    for (resource, status, code, at) in [
        (with("status", json!("mitigated")), 400, "code-invalid", "DetectedIssue.status"),
        (with("status", json!("final")), 403, "forbidden", "DetectedIssue.status"),
        (with("patient", Value::Null), 422, "business-rule", "DetectedIssue.patient"),
        (with("author", json!({"reference": "Practitioner/jonas-adler"})), 403, "forbidden", "DetectedIssue.author"),
        (with("mitigation", mitigation), 403, "forbidden", "DetectedIssue.mitigation"),
    ] {
        technician.create(&resource).await.refuses(status, code, at);
    }
    // Seen by the super-user only: for the technician the reference leads nowhere.
    let foreign = with("implicated", json!([{"reference": other}]));
    assert_eq!(server.everyone().create(&foreign).await.status, 422);
    server.hospital().create(&with("detail", json!("x"))).await.refuses(403, "forbidden", "");
    technician.delete(&reference(&issue)).await.refuses(403, "forbidden", "");
    server.everyone().delete(&reference(&issue)).await.refuses(422, "business-rule", "DetectedIssue");
}

both_databases!(a_decision_in_one_bundle_with_its_review);
async fn a_decision_in_one_bundle_with_its_review(server: TestServer) {
    let issue = reported(&server).await;
    let pharmacist = server.pharmacist();
    let review =
        pharmacist.search(&format!("Task?code={TASK_CODE}|review-dtp&focus={}", reference(&issue))).await.remove(0);
    let review = claims(&pharmacist, &review).await.ok().body;
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    pharmacist.patch(&reference(&review), &begin).await.ok();
    let mut done = server.read(&reference(&review)).await;
    done["status"] = "completed".into();
    done["output"] = json!([{"type": {"text": "decision"}, "valueReference": {"reference": reference(&issue)}}]);
    let mut decided = issue.clone();
    decided["status"] = "final".into();
    let put = |r: &Value| json!({"request": {"method": "PUT", "url": reference(r), "ifMatch": "*"}, "resource": r});
    // Without a resolution nothing of it is stored, the completed review neither.
    pharmacist.post(&bundle("transaction", vec![put(&done), put(&decided)])).await.refuses(422, "business-rule", "");
    assert_eq!(server.read(&reference(&review)).await["status"], "in-progress");
    // The review alone is not completed while the problem is open.
    pharmacist.update(&done).await.refuses(422, "business-rule", "Task.status");
    decided["extension"] = json!([{"url": "http://baton.example/fhir/StructureDefinition/resolution", "valueCodeableConcept":
        {"coding": [{"system": "http://baton.example/fhir/CodeSystem/resolution", "code": "no-action"}]}}]);
    pharmacist.post(&bundle("transaction", vec![put(&decided), put(&done)])).await.ok();
    assert_eq!(server.read(&reference(&review)).await["status"], "completed");
    assert_eq!(server.read(&reference(&issue)).await["status"], "final");
    let hospital = server.user("northgate-ehr");
    hospital.read(&reference(&issue)).await.ok();
}

both_databases!(sixteen_claims_on_different_tasks_of_one_episode_end_with_one_pharmacy);
async fn sixteen_claims_on_different_tasks_of_one_episode_end_with_one_pharmacy(server: TestServer) {
    let (patient, _) = discharged(&server).await;
    let tasks = server.everyone().search(&format!("Task?patient={patient}")).await;
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let rivals = (0..16).map(|n| claims(if n % 2 == 0 { &elm } else { &harbour }, &tasks[n / 2 % tasks.len()]));
    for answer in futures_util::future::join_all(rivals).await {
        assert!(matches!(answer.status, 200 | 409 | 412), "{} {}", answer.status, answer.body);
    }
    let mut owners: Vec<String> = server
        .everyone()
        .search(&format!("Task?patient={patient}"))
        .await
        .iter()
        .map(|t| t["owner"]["reference"].to_string())
        .collect();
    owners.dedup();
    assert_eq!(owners.len(), 1, "no episode has two pharmacies: {owners:?}");
}

both_databases!(nobody_says_what_others_did);
/// security A58: Who did it is the caller, or of the caller's organisation, in Communications, answers, dispenses, Provenances and Tasks; another's person, role or organisation is 403, a time of long ago or to come 422; the element is named and nothing is stored.
async fn nobody_says_what_others_did(server: TestServer) {
    let issue = reported(&server).await;
    let patient = issue["patient"].clone();
    let at = |path: &str| json!({"reference": path});
    let role_of = async |person: &str| {
        let found = server.everyone().search(&format!("PractitionerRole?practitioner=Practitioner/{person}")).await;
        at(&reference(&found[0]))
    };
    let (of_mara, of_ines) = (role_of("mara-lind").await, role_of("ines-moreau").await);
    let hospital = server.other_hospital();
    let named = json!({"resourceType": "Practitioner", "name": [{"family": "Amsel"}]});
    let doctor = at(&hospital.create(&named).await.is(201).reference());
    let now = server.now().strftime("%FT%TZ").to_string();
    let letter = |sender: Value| {
        json!({"resourceType": "Communication", "status": "completed", "subject": patient, "sent": now, "sender": sender,
            "recipient": [at("Organization/elm-street")]})
    };
    let about = |sender: Value| {
        let mut heard = letter(sender);
        heard["about"] = json!([at(&reference(&issue))]);
        heard
    };
    let dispense = |who: Value| {
        json!({"resourceType": "MedicationDispense", "status": "preparation", "subject": patient,
            "medicationCodeableConcept": {"text": "metoprolol"}, "performer": [{"actor": who}]})
    };
    let answers = |who: Value| {
        json!({"resourceType": "QuestionnaireResponse", "status": "in-progress", "subject": patient, "author": who,
            "questionnaire": "http://baton.example/fhir/Questionnaire/first-call|1"})
    };
    let provenance = |who: Value, recorded: &str| json!({"resourceType": "Provenance", "recorded": recorded, "target": [patient.clone()], "agent": [{"who": who}]});
    let order = |who: Value, authored: &str| json!({"resourceType": "Task", "status": "requested", "intent": "order", "for": patient, "requester": who, "authoredOn": authored});
    let dated = |sent: &str| {
        let mut letter = letter(at("Practitioner/mara-lind"));
        letter["sent"] = sent.into();
        letter
    };
    let (mara, jonas, pharmacy) = (server.technician(), server.pharmacist(), server.pharmacy());
    let before = server.versions().await;
    let (jonas_is, mara_is, ines_is) =
        (at("Practitioner/jonas-adler"), at("Practitioner/mara-lind"), at("Practitioner/ines-moreau"));
    for (client, said, status, element) in [
        (&mara, letter(jonas_is.clone()), 403, "Communication.sender"),
        (&mara, letter(ines_is.clone()), 403, "Communication.sender"),
        (&mara, letter(of_ines.clone()), 403, "Communication.sender"),
        (&mara, letter(at("Organization/northgate")), 403, "Communication.sender"),
        (&mara, letter(patient.clone()), 403, "Communication.sender"),
        (&mara, letter(json!({"display": "Jonas"})), 403, "Communication.sender"),
        (&mara, dated("2020"), 422, "Communication.sent"),
        (&mara, dated("2090-01-01T00:00:00Z"), 422, "Communication.sent"),
        (&mara, dispense(jonas_is.clone()), 403, "MedicationDispense.performer[0].actor"),
        (&mara, answers(jonas_is.clone()), 403, "QuestionnaireResponse.author"),
        (&jonas, letter(mara_is.clone()), 403, "Communication.sender"),
        (&jonas, letter(doctor.clone()), 403, "Communication.sender"),
        (&jonas, about(mara_is.clone()), 403, "Communication.sender"),
        (&pharmacy, letter(ines_is.clone()), 403, "Communication.sender"),
        (&pharmacy, letter(of_ines.clone()), 403, "Communication.sender"),
        (&pharmacy, dispense(ines_is.clone()), 403, "MedicationDispense.performer[0].actor"),
        (&pharmacy, provenance(ines_is, &now), 403, "Provenance.agent[0].who"),
        (&pharmacy, provenance(jonas_is.clone(), "2001-01-01T00:00:00Z"), 422, "Provenance.recorded"),
        (&hospital, order(at("Organization/lakeside"), &now), 403, "Task.requester"),
        (&hospital, order(at("Organization/northgate"), "2001-01-01T00:00:00Z"), 422, "Task.authoredOn"),
    ] {
        let code = if status == 403 { "forbidden" } else { "business-rule" };
        client.create(&said).await.refuses(status, code, element);
        let kind = said["resourceType"].clone();
        let entry = json!({"resource": said, "request": {"method": "POST", "url": kind}});
        let place = element.replacen(kind.as_str().expect("a type"), "Bundle.entry[0].resource", 1);
        client.post(&bundle("transaction", vec![entry])).await.refuses(status, code, &place);
    }
    assert_eq!(server.versions().await, before, "nothing of it was stored");
    for (client, said) in [
        (&mara, letter(mara_is.clone())),
        (&mara, letter(of_mara)),
        (&mara, letter(at("Organization/elm-street"))),
        (&mara, dispense(mara_is.clone())),
        (&jonas, about(doctor.clone())),
        (&pharmacy, letter(jonas_is.clone())),
        (&pharmacy, letter(json!({"display": "Counter 2"}))),
        (&pharmacy, dispense(mara_is)),
        (&pharmacy, provenance(jonas_is, &now)),
        (&hospital, provenance(doctor.clone(), "2001-01-01T00:00:00Z")),
        (&hospital, order(doctor, &now)),
    ] {
        client.create(&said).await.is(201);
    }
    // What is stored already is not said again; what takes its place is.
    let made = hospital.create(&order(at("Organization/northgate"), &now)).await.is(201).reference();
    server.advance(std::time::Duration::from_secs(3 * 86_400));
    let patch = |element: &str, value: Value| json!([{"op": "replace", "path": format!("/{element}"), "value": value}]);
    hospital.patch(&made, &patch("status", json!("cancelled"))).await.is(200);
    let forged = patch("requester", at("Organization/lakeside"));
    hospital.patch(&made, &forged).await.refuses(403, "forbidden", "Task.requester");
    hospital.patch(&made, &patch("authoredOn", json!("2001"))).await.refuses(422, "business-rule", "Task.authoredOn");
}
