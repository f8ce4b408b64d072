//! The main job: a hospital's discharge becomes a pharmacy's follow-up, a problem found, a problem resolved.

use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// Northgate posts the discharge of the man with two kinds of metoprolol; no pharmacy is named. Returns the Patient's id.
async fn discharged(server: &TestServer) -> String {
    let discharge = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string()
}

/// The Tasks of this code, as the caller sees them.
async fn tasks(client: &Client, patient: &str, code: &str) -> Vec<Value> {
    client.search(&format!("Task?patient={patient}&code={TASK_CODE}|{code}")).await
}

async fn first_call(client: &Client, patient: &str) -> Value {
    let mut found = tasks(client, patient, "first-call").await;
    assert_eq!(found.len(), 1, "one first call: {found:#?}");
    found.remove(0)
}

fn version(resource: &Value) -> &str {
    resource["meta"]["versionId"].as_str().expect("a version")
}

async fn claims(client: &Client, task: &Value) -> Answer {
    client.operation(&format!("{}/$claim", reference(task)), &Value::Null, Some(version(task))).await
}

/// Elm Street has claimed the first call, Mara has reached the patient and reports the problem. Returns it.
async fn reported(server: &TestServer) -> Value {
    let patient = discharged(server).await;
    let task = first_call(&server.pharmacy(), &patient).await;
    claims(&server.pharmacy(), &task).await.ok();
    let technician = server.technician();
    let attempt = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
    technician.operation(&format!("{}/$attempt", reference(&task)), &attempt, None).await.ok();
    let drugs = technician.search(&format!("MedicationRequest?patient={patient}&category=discharge")).await;
    let issue = json!({
        "resourceType": "DetectedIssue", "status": "preliminary", "severity": "moderate",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "patient": {"reference": format!("Patient/{patient}")},
        "identifiedDateTime": server.now().strftime("%FT%TZ").to_string(),
        "author": {"reference": "Practitioner/mara-lind"},
        "implicated": [{"reference": reference(&drugs[0])}],
        "evidence": [{"detail": [{"reference": reference(&drugs[0])}]}],
        "detail": "Hypertension: two kinds of metoprolol are taken together."
    });
    let answer = technician.create(&issue).await.ok();
    server.read(&answer.reference()).await
}

/// Jonas takes the review and begins.
async fn review_begun(server: &TestServer, issue: &Value) -> Value {
    let pharmacist = server.pharmacist();
    let query = format!("Task?code={TASK_CODE}|review-dtp&focus={}", reference(issue));
    let mut task = pharmacist.search(&query).await.remove(0);
    if task["status"] == "requested" {
        task = claims(&pharmacist, &task).await.ok().body;
    }
    if task["status"] != "in-progress" {
        let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
        pharmacist.patch(&reference(&task), &begin).await.ok();
    }
    server.read(&reference(&task)).await
}

fn decision() -> Value {
    json!({"resourceType": "Parameters", "parameter": [
        {"name": "resolution", "valueCode": "resolved"},
        {"name": "mitigation", "valueCodeableConcept": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "8"}]}},
        {"name": "note", "valueString": "Tartrate stopped."}]})
}

both_databases!(a_discharge_opens_its_follow_up_in_the_same_transaction);
async fn a_discharge_opens_its_follow_up_in_the_same_transaction(server: TestServer) {
    let patient = discharged(&server).await;
    let everyone = server.everyone();
    let episodes = everyone.search(&format!("EpisodeOfCare?patient={patient}")).await;
    assert_eq!(episodes.len(), 1);
    assert_eq!(episodes[0]["status"], "active");
    assert_eq!(everyone.search(&format!("CarePlan?subject=Patient/{patient}")).await.len(), 1);
    for (code, count) in [("check-pickup", 1), ("first-call", 1), ("pharmacist-check", 1)] {
        let found = tasks(&everyone, &patient, code).await;
        assert_eq!(found.len(), count, "{code}");
        assert_eq!(found[0]["status"], "requested");
        assert!(found[0]["owner"].is_null(), "no pharmacy was named: open to the candidates");
        assert!(found[0]["restriction"]["period"]["end"].is_string(), "it has a due time");
    }
}

both_databases!(both_pharmacies_see_an_open_task_and_one_claims_it);
async fn both_pharmacies_see_an_open_task_and_one_claims_it(server: TestServer) {
    let patient = discharged(&server).await;
    let task = first_call(&server.pharmacy(), &patient).await;
    let same = first_call(&server.other_pharmacy(), &patient).await;
    assert_eq!(reference(&task), reference(&same));

    server
        .pharmacy()
        .operation(&format!("{}/$claim", reference(&task)), &Value::Null, None)
        .await
        .refuses(428, "required", "");
    claims(&server.pharmacy(), &task).await.ok();
    let late = claims(&server.other_pharmacy(), &task).await;
    assert!(matches!(late.status, 409 | 412 | 404), "too late: {} {}", late.status, late.body);
    let task = server.read(&reference(&task)).await;
    assert_eq!(task["owner"]["reference"], "Organization/elm-street");
}

both_databases!(who_lost_a_claim_sees_nothing_of_the_tasks_any_more);
/// security leak 21: What is claimed is out of the sight of all other candidates, with the episode's other Tasks, their old versions and
/// what is written later; given back, it is offered to them as before.
async fn who_lost_a_claim_sees_nothing_of_the_tasks_any_more(server: TestServer) {
    let patient = discharged(&server).await;
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let offered = harbour.search("Task?_count=50").await;
    assert!(offered.len() > 2, "{offered:#?}");
    let call = first_call(&elm, &patient).await;
    claims(&elm, &call).await.ok();
    let check = tasks(&elm, &patient, "pharmacist-check").await.remove(0);
    let note = json!([{"op": "add", "path": "/note/-", "value": {"text": "Marker hiv"}}]);
    server.pharmacist().patch(&reference(&check), &note).await.ok();
    let nothing = async |path: &str| {
        let answer = harbour.read(path).await.ok();
        assert_eq!(answer.body["total"], 0, "{path}: {}", answer.body);
        assert!(answer.body["entry"].is_null(), "{path}: {}", answer.body);
    };
    for path in
        ["Task", "Task?_content=hiv", "Task?owner=Organization/elm-street", "?_type=Task", "Task?_summary=count"]
    {
        nothing(path).await;
    }
    nothing(&format!("Task?patient={patient}&_total=accurate&_count=1")).await;
    for task in &offered {
        for path in ["", "/_history", "/_history/1", "/$meta"].map(|end| format!("{}{end}", reference(task))) {
            let answer = harbour.read(&path).await.is(404);
            assert_eq!(answer.body["issue"][0]["code"], "not-found", "{path}: {}", answer.body);
        }
    }
    elm.operation(&format!("{}/$release", reference(&call)), &Value::Null, None).await.ok();
    assert_eq!(harbour.search("Task?_count=50").await.len(), offered.len(), "all of them are open again");
    claims(&harbour, &first_call(&harbour, &patient).await).await.ok();
    assert!(elm.search("Task").await.is_empty());
}

both_databases!(a_binary_is_read_by_who_may_read_what_it_is_about);
/// security leak 16: A Binary is judged by what its `securityContext` names: who has no part in that learns nothing of it, old versions too.
async fn a_binary_is_read_by_who_may_read_what_it_is_about(server: TestServer) {
    let patient = discharged(&server).await;
    let hospital = server.user(discharge("04-duplicate-therapy", server.now()).hospital);
    let binary = |context: &str| json!({"resourceType": "Binary", "contentType": "text/plain", "data": "QQ==", "securityContext": {"reference": context}});
    let about = hospital.create(&binary(&format!("Patient/{patient}"))).await.is(201).reference();
    let open = hospital.create(&binary("Organization/northgate")).await.is(201).reference();
    let (elm, other) = (server.pharmacy(), server.hospital());
    let paths = |binary: &str| [binary.to_owned(), format!("{binary}/_history/1")];
    claims(&elm, &first_call(&elm, &patient).await).await.ok();
    for path in paths(&about) {
        assert_eq!(elm.read(&path).await.ok().body["data"], "QQ==");
        other.read(&path).await.is(404);
        server.other_pharmacy().read(&path).await.is(404);
    }
    for path in paths(&open) {
        elm.read(&path).await.is(404);
    }
    // It is about something else now: what it was goes with it.
    let stay = hospital.search("Encounter").await.remove(0);
    let mut mine = server.read(&about).await;
    mine["securityContext"]["reference"] = "Organization/northgate".into();
    hospital.update(&mine).await.ok();
    for path in paths(&about) {
        elm.read(&path).await.is(404);
    }
    mine["securityContext"]["reference"] = reference(&stay).into();
    mine["meta"]["versionId"] = "2".into();
    hospital.update(&mine).await.ok();
    assert_eq!(elm.read(&about).await.status, elm.read(&reference(&stay)).await.status);
    assert!(elm.search("Binary").await.is_empty());
}

both_databases!(a_worklist_brings_patient_and_focus_of_what_is_claimed);
async fn a_worklist_brings_patient_and_focus_of_what_is_claimed(server: TestServer) {
    let patient = discharged(&server).await;
    let task = first_call(&server.pharmacy(), &patient).await;
    let worklist = "Task?code=first-call&_include=Task:patient&_include=Task:focus";
    let brought = |bundle: &Value| {
        let entries = bundle["entry"].as_array().expect("entries");
        let included = entries.iter().filter(|e| e["search"]["mode"] == "include");
        let mut types: Vec<_> =
            included.map(|e| e["resource"]["resourceType"].as_str().expect("a type").to_string()).collect();
        types.sort();
        types
    };
    // A focus may be of any type; that a pharmacy may not read some of them is no reason to refuse the others.
    let open = server.pharmacy().read(worklist).await.ok();
    assert_eq!(brought(&open.body), [""; 0], "who has not claimed it does not see the patient");
    claims(&server.pharmacy(), &task).await.ok();
    let claimed = server.pharmacy().read(worklist).await.ok();
    assert_eq!(brought(&claimed.body), ["List", "Patient"]);
    server.pharmacy().read("Task?_include=Task:focus:AuditEvent").await.is(403);
}

both_databases!(of_two_pharmacies_that_claim_at_once_one_wins);
async fn of_two_pharmacies_that_claim_at_once_one_wins(server: TestServer) {
    let patient = discharged(&server).await;
    let task = first_call(&server.pharmacy(), &patient).await;
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let rivals = (0..16).map(|n| claims(if n % 2 == 0 { &elm } else { &harbour }, &task));
    let answers = futures_util::future::join_all(rivals).await;
    assert_eq!(
        answers.iter().filter(|a| a.status == 200).count(),
        1,
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    assert!(
        answers.iter().all(|a| matches!(a.status, 200 | 404 | 409 | 412)),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
}

both_databases!(a_reported_problem_has_one_open_review_with_a_due_time);
async fn a_reported_problem_has_one_open_review_with_a_due_time(server: TestServer) {
    let issue = reported(&server).await;
    assert_eq!(issue["status"], "preliminary");
    let reviews = server.everyone().search(&format!("Task?focus={}", reference(&issue))).await;
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["code"]["coding"][0]["code"], "review-dtp");
    assert!(reviews[0]["restriction"]["period"]["end"].is_string());
}

both_databases!(a_technician_cannot_decide_by_any_door);
async fn a_technician_cannot_decide_by_any_door(server: TestServer) {
    let issue = reported(&server).await;
    review_begun(&server, &issue).await;
    let (technician, path) = (server.technician(), reference(&issue));
    let before = server.read(&path).await;
    let mut decided = issue.clone();
    decided["status"] = "final".into();
    decided["mitigation"] =
        json!([{"action": {"text": "stopped it"}, "author": {"reference": "Practitioner/jonas-adler"}}]);
    let entry = |request: Value, resource: Value| json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request, "resource": resource}]});
    for answer in [
        technician.operation(&format!("{path}/$resolve"), &decision(), None).await,
        technician.update(&decided).await,
        technician.patch(&path, &json!([{"op": "replace", "path": "/status", "value": "final"}])).await,
        technician.patch(&path, &json!([{"op": "replace", "path": "/severity", "value": "low"}])).await,
        technician.post(&entry(json!({"method": "PUT", "url": path}), decided.clone())).await,
    ] {
        answer.refuses(403, "forbidden", "");
    }
    assert_eq!(server.read(&path).await, before, "nothing of it was stored");
}

both_databases!(a_pharmacist_resolves_the_problem_and_its_review_is_done);
async fn a_pharmacist_resolves_the_problem_and_its_review_is_done(server: TestServer) {
    let issue = reported(&server).await;
    let review = review_begun(&server, &issue).await;
    let path = reference(&issue);
    server.pharmacist().operation(&format!("{path}/$resolve"), &decision(), None).await.ok();
    let decided = server.read(&path).await;
    assert_eq!(decided["status"], "final");
    assert_eq!(decided["mitigation"][0]["author"]["reference"], "Practitioner/jonas-adler");
    assert_eq!(server.read(&reference(&review)).await["status"], "completed");
    let again = json!([{"op": "replace", "path": "/status", "value": "preliminary"}]);
    server.pharmacist().patch(&path, &again).await.refuses(422, "business-rule", "");
}

both_databases!(who_has_no_part_in_a_discharge_does_not_learn_that_it_exists);
async fn who_has_no_part_in_a_discharge_does_not_learn_that_it_exists(server: TestServer) {
    let patient = discharged(&server).await;
    let path = format!("Patient/{patient}");
    server.other_hospital().read(&path).await.is(200);
    let hidden = server.hospital().read(&path).await.is(404);
    let unknown = server.hospital().read("Patient/00000000-0000-4000-8000-000000000000").await.is(404);
    let text = |a: &Answer| {
        String::from_utf8_lossy(&a.bytes).replace(&patient, "X").replace("00000000-0000-4000-8000-000000000000", "X")
    };
    assert_eq!(text(&hidden), text(&unknown), "hidden and unknown look the same");
    for query in [format!("Patient?_id={patient}"), "Task".into(), "Encounter?_include=Encounter:subject".into()] {
        assert_eq!(server.hospital().search(&query).await.len(), 0, "{query}");
    }
}

both_databases!(the_digits_of_a_dose_stay_what_they_were);
async fn the_digits_of_a_dose_stay_what_they_were(server: TestServer) {
    let hospital = server.hospital();
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"dose"},"valueQuantity":{"value":2.50,"unit":"mg"}}"#;
    let created = hospital.send("POST", "Observation", text, &[("Prefer", "return=representation")]).await.is(201);
    let path = created.reference();
    let shows =
        |answer: &Answer| assert!(String::from_utf8_lossy(&answer.bytes).contains("\"value\":2.50"), "{}", answer.body);
    shows(&created);
    shows(&hospital.read(&path).await.ok());
    shows(&hospital.read(&format!("Observation?_id={}", path.trim_start_matches("Observation/"))).await.ok());
    hospital.patch(&path, &json!([{"op": "add", "path": "/code/coding", "value": [{"code": "x"}]}])).await.ok();
    shows(&hospital.read(&path).await.ok());
    shows(&hospital.read(&format!("{path}/_history")).await.ok());
}

both_databases!(what_a_pharmacy_hands_out_and_says_goes_back_to_the_hospital);
/// What a pharmacy hands out is seen by the hospital that discharged, and a message by those it is addressed to who take part; by nobody else.
async fn what_a_pharmacy_hands_out_and_says_goes_back_to_the_hospital(server: TestServer) {
    let discharge = discharge("04-duplicate-therapy", server.now());
    let hospital = server.user(discharge.hospital);
    let answer = hospital.post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let id = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id");
    let (pharmacy, mara, jonas) = (server.pharmacy(), server.technician(), server.pharmacist());
    let call = first_call(&pharmacy, id).await;
    pharmacy.operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some(version(&call))).await.ok();
    let patient = call["for"].clone();
    let dispense = json!({"resourceType": "MedicationDispense", "status": "completed", "subject": patient,
        "medicationCodeableConcept": {"text": "metoprolol"}, "performer": [{"actor": {"reference": "Practitioner/jonas-adler"}}]});
    let message = |to: &str| {
        json!({"resourceType": "Communication", "status": "completed", "subject": patient, "recipient": [{"reference": to}],
            "sender": {"reference": "Practitioner/mara-lind"}, "payload": [{"contentString": "Please send the list."}]})
    };
    let made = [
        (jonas.create(&dispense).await.is(201).reference(), true),
        (pharmacy.create(&dispense).await.is(201).reference(), true),
        (mara.create(&message("Organization/northgate")).await.is(201).reference(), true),
        (mara.create(&message("Organization/harbour")).await.is(201).reference(), false),
        (mara.create(&message("Organization/lakeside")).await.is(201).reference(), false),
        (mara.create(&message("Practitioner/jonas-adler")).await.is(201).reference(), false),
    ];
    for (at, goes_back) in &made {
        assert_eq!(hospital.read(at).await.status, if *goes_back { 200 } else { 404 }, "{at}");
        for other in [server.other_pharmacy(), server.hospital()] {
            other.read(at).await.is(404);
        }
        jonas.read(at).await.is(200);
    }
    let patient = patient["reference"].as_str().expect("a patient");
    assert_eq!(hospital.search(&format!("MedicationDispense?patient={patient}")).await.len(), 2);
    // The answer goes to whom it is addressed.
    let answer = json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": patient},
        "sender": {"reference": "Organization/northgate"}, "recipient": [{"reference": "Organization/elm-street"}],
        "inResponseTo": [{"reference": made[2].0}]});
    let answer = hospital.create(&answer).await.is(201).reference();
    mara.read(&answer).await.is(200);
    server.other_pharmacy().read(&answer).await.is(404);
}
