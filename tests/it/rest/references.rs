//! Where references may lead: to what is there and the writer may see. What another organisation owns is answered like
//! what never was, at every door (leak paths 10 to 12 and 17 of the security contract).

use super::{patient, transaction};
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

both_databases!(
    a_reference_to_what_the_writer_may_not_see_is_answered_like_one_to_nothing,
    an_operation_takes_no_reference_that_its_caller_may_not_see,
    references_inside_one_bundle_and_to_the_directory_need_nothing_stored,
    whoever_sees_everything_may_leave_references_dangling,
    what_only_a_transaction_could_resolve_is_refused_outside_of_one,
    a_reference_to_a_version_leads_to_one_that_is_there,
);

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

/// The answer with the id taken out: what is left must not differ.
fn without(answer: &Answer, id: &str) -> (u16, String) {
    (answer.status, String::from_utf8_lossy(&answer.bytes).replace(id, "ID"))
}

/// Sends a body with this subject through every door; (door, answer, path of the reference).
async fn every_door(server: &TestServer, client: &Client, own: &str, id: &str) -> Vec<(String, Answer, &'static str)> {
    let subject = "Observation.subject.reference";
    let in_bundle = "Bundle.entry[0].resource.subject.reference";
    let made = client.create(&observation(own)).await.is(201);
    let (path, version) = (made.reference(), made.header("etag").to_owned());
    let tag = [("If-Match", version.as_str())];
    let mut answers = Vec::new();
    for text in [
        format!("Patient/{id}"),
        format!("Patient/{id}/_history/1"),
        format!("{}/Patient/{id}", server.base),
        format!("Patient/{id}#x"),
    ] {
        let body = observation(&text);
        answers.push((format!("create {text}"), client.create(&body).await, subject));
        let mut put = body.clone();
        put["id"] = path.trim_start_matches("Observation/").into();
        answers.push((format!("update {text}"), client.send("PUT", &path, put.to_string(), &tag).await, subject));
        let url = format!("Observation?_id={}", path.trim_start_matches("Observation/"));
        answers.push((format!("by criteria {text}"), client.send("PUT", &url, put.to_string(), &[]).await, subject));
        let patch = json!([{"op": "replace", "path": "/subject/reference", "value": text}]);
        answers.push((format!("patch {text}"), client.patch(&path, &patch).await, subject));
        let post = transaction(&[json!({"resource": body, "request": {"method": "POST", "url": "Observation"}})]);
        answers.push((format!("transaction post {text}"), client.post(&post).await, in_bundle));
        let entry = json!({"resource": put, "request": {"method": "PUT", "url": path, "ifMatch": version}});
        answers.push((format!("transaction put {text}"), client.post(&transaction(&[entry])).await, in_bundle));
    }
    let entry = json!({"resource": observation(&format!("Patient?_id={id}")), "request": {"method": "POST", "url": "Observation"}});
    answers.push(("conditional reference".into(), client.post(&transaction(&[entry])).await, in_bundle));
    let mut inside = observation(own);
    inside["contained"] =
        json!([{"resourceType": "Condition", "id": "c", "subject": {"reference": format!("Patient/{id}")}}]);
    inside["extension"] = json!([{"url": "http://x.example/a", "valueReference": {"reference": "#c"}}]);
    answers.push(("contained".into(), client.create(&inside).await, "Observation.contained[0].subject.reference"));
    answers
}

/// R4 references.html#literal: A reference to nothing is 422 with its path, by every door.
/// Own docs/writes.md: A reference to what the writer may not see is answered like one to nothing.
/// security leak 12: A reference to what the writer may not see is refused like one to nothing.
async fn a_reference_to_what_the_writer_may_not_see_is_answered_like_one_to_nothing(server: TestServer) {
    let (client, other) = (server.hospital(), server.other_hospital());
    let own = client.create(&patient("own")).await.is(201).reference();
    let hidden = other.create(&patient("hidden")).await.is(201).reference();
    let hidden = hidden.trim_start_matches("Patient/");
    let gone = client.create(&patient("gone")).await.is(201).reference();
    server.everyone().delete(&gone).await.is(204);
    let gone = gone.trim_start_matches("Patient/");
    let of_nobody = every_door(&server, &client, &own, NOBODY).await;
    let of_hidden = every_door(&server, &client, &own, hidden).await;
    let of_gone = every_door(&server, &client, &own, gone).await;
    for (n, (door, nobody, path)) in of_nobody.iter().enumerate() {
        nobody.refuses(422, "not-found", path);
        let nobody = without(nobody, NOBODY);
        assert_eq!(nobody, without(&of_hidden[n].1, hidden), "{door}: another's");
        assert_eq!(nobody, without(&of_gone[n].1, gone), "{door}: deleted");
    }
    assert_eq!(client.search("Observation?status=final").await.len(), 3, "only what the doors were tried on");
}

/// Own docs/writes.md: The same holds for references in parameters of operations.
/// security leak 17: Operations take no reference that their caller may not see.
async fn an_operation_takes_no_reference_that_its_caller_may_not_see(server: TestServer) {
    let story = crate::journey::discharge("04-duplicate-therapy", server.now());
    server.user(story.hospital).post(&story.bundle).await.ok();
    let hidden = server.hospital().create(&patient("hidden")).await.is(201).reference();
    let pharmacy = server.pharmacy();
    let task = pharmacy.search("Task?status=requested&code=first-call").await.remove(0);
    let path = format!("Task/{}", task["id"].as_str().expect("an id"));
    pharmacy.operation(&format!("{path}/$claim"), &Value::Null, task["meta"]["versionId"].as_str()).await.ok();
    let call = |recipient: String| {
        json!({"resourceType": "Parameters", "parameter": [
            {"name": "outcome", "valueCode": "reached"},
            {"name": "recipient", "valueReference": {"reference": recipient}}]})
    };
    let technician = server.technician();
    let attempt = format!("{path}/$attempt");
    let nobody = technician.operation(&attempt, &call(format!("Patient/{NOBODY}")), None).await;
    nobody.refuses(422, "not-found", "Parameters.parameter[1].value.reference");
    let another = technician.operation(&attempt, &call(hidden.clone()), None).await;
    assert_eq!(without(&nobody, NOBODY), without(&another, hidden.trim_start_matches("Patient/")));
    let patient = task["for"]["reference"].as_str().expect("a patient").to_owned();
    technician.operation(&attempt, &call(patient), None).await.ok();
}

both_databases_with!(["--delete-referenced", "allow"]; what_the_stored_version_said_already_is_not_judged_again);

/// Own docs/writes.md: A reference that the stored version had already is not judged again.
async fn what_the_stored_version_said_already_is_not_judged_again(server: TestServer) {
    let client = server.hospital();
    let own = client.create(&patient("own")).await.is(201).reference();
    let made = client.create(&observation(&own)).await.is(201);
    server.everyone().delete(&own).await.is(204);
    let mut body = made.body.clone();
    body["note"] = json!([{"text": "corrected"}]);
    client.update(&body).await.is(200);
    let patch = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
    client.patch(&made.reference(), &patch).await.is(200);
    client.create(&observation(&own)).await.refuses(422, "not-found", "Observation.subject.reference");
}

/// R4 references.html#literal: References into the same Bundle, to other servers, and by identifier need nothing
/// stored.
async fn references_inside_one_bundle_and_to_the_directory_need_nothing_stored(server: TestServer) {
    let client = server.hospital();
    let mut seen = observation("urn:uuid:6a1f0b1e-0000-4000-8000-000000000000");
    seen["performer"] = json!([{"reference": "Practitioner/of-another-register"}, {"reference": "https://elsewhere.example/fhir/Patient/1"},
        {"identifier": {"value": "1"}, "type": "Patient"}]);
    let bundle = transaction(&[
        json!({"resource": seen, "request": {"method": "POST", "url": "Observation"}}),
        json!({"fullUrl": "urn:uuid:6a1f0b1e-0000-4000-8000-000000000000", "resource": patient("in"), "request": {"method": "POST", "url": "Patient"}}),
    ]);
    let made = client.post(&bundle).await.ok().body;
    let subject = super::place(&made, 1);
    // A resource that the same Bundle takes away is no longer there to be referred to.
    let everyone = server.everyone();
    let gone = transaction(&[
        json!({"resource": observation(&subject), "request": {"method": "POST", "url": "Observation"}}),
        json!({"request": {"method": "DELETE", "url": subject}}),
    ]);
    everyone.post(&gone).await.refuses(409, "conflict", "Bundle.entry[1]");
    let both = transaction(
        &[super::place(&made, 0), subject.clone()].map(|url| json!({"request": {"method": "DELETE", "url": url}})),
    );
    everyone.post(&both).await.ok();
    client.create(&observation(&subject)).await.refuses(422, "not-found", "Observation.subject.reference");
}

/// R4 http.html#trules: Outside a transaction nothing resolves `urn:uuid:` and `urn:oid:`: 422, alone and in a batch.
async fn what_only_a_transaction_could_resolve_is_refused_outside_of_one(server: TestServer) {
    let urn = "urn:uuid:6a1f0b1e-0000-4000-8000-000000000001";
    let post = |resource: Value, url: &str| json!({"fullUrl": url, "request": {"method": "POST", "url": resource["resourceType"]}, "resource": resource});
    for client in [server.hospital(), server.everyone()] {
        for urn in [urn, "urn:oid:1.2.3"] {
            let answer = client.create(&observation(urn)).await;
            answer.refuses(422, "not-found", "Observation.subject.reference");
            assert!(answer.body.to_string().contains("transaction"), "names the cure: {}", answer.body);
        }
        let path = client.create(&observation("https://elsewhere.example/fhir/Patient/1")).await.is(201).reference();
        let patch = json!([{"op": "replace", "path": "/subject/reference", "value": urn}]);
        client.patch(&path, &patch).await.refuses(422, "not-found", "Observation.subject.reference");
        let mut batch = transaction(&[
            post(patient("batch"), urn),
            post(observation(urn), "urn:uuid:6a1f0b1e-0000-4000-8000-000000000002"),
        ]);
        batch["type"] = "batch".into();
        let answer = client.post(&batch).await.ok().body;
        let status = |n| super::response(&answer, n)["status"].as_str().and_then(|s| s.get(..3)).map(str::to_owned);
        assert_eq!([status(0), status(1)], [Some("201".into()), Some("422".into())], "{answer}");
    }
}

/// Own docs/writes.md: A reference by version leads to a version that is there.
async fn a_reference_to_a_version_leads_to_one_that_is_there(server: TestServer) {
    let client = server.hospital();
    let made = client.create(&patient("own")).await.is(201);
    let own = made.reference();
    client.create(&observation(&format!("{own}/_history/1"))).await.is(201);
    for none in ["2", "9", "0", "x", "99999999999999999999"] {
        let answer = client.create(&observation(&format!("{own}/_history/{none}"))).await;
        answer.refuses(422, "not-found", "Observation.subject.reference");
    }
    // The one that the same transaction makes is there after it.
    let entries = |version: &str| {
        let put = json!({"resource": made.body, "request": {"method": "PUT", "url": own, "ifMatch": "W/\"1\""}});
        let seen = observation(&format!("{own}/_history/{version}"));
        transaction(&[put, json!({"resource": seen, "request": {"method": "POST", "url": "Observation"}})])
    };
    client.post(&entries("3")).await.refuses(422, "not-found", "Bundle.entry[1].resource.subject.reference");
    client.post(&entries("2")).await.ok();
}

async fn whoever_sees_everything_may_leave_references_dangling(server: TestServer) {
    let client = server.everyone();
    client.create(&observation("Patient/nobody")).await.is(201);
    let entry = json!({"resource": observation("Patient/nobody"), "request": {"method": "POST", "url": "Observation"}});
    client.post(&transaction(&[entry])).await.ok();
}

both_databases_with!(["--references", "strict"]; a_strict_site_wants_every_reference_to_lead_to_something);

/// Own docs/settings.md: With `references = strict` every relative reference must lead to something.
async fn a_strict_site_wants_every_reference_to_lead_to_something(server: TestServer) {
    let client = server.everyone();
    client.create(&observation("Patient/nobody")).await.refuses(422, "not-found", "Observation.subject.reference");
    let own = client.create(&patient("own")).await.is(201).reference();
    let mut seen = observation(&own);
    seen["performer"] = json!([{"reference": "Practitioner/mara-lind"}, {"reference": "Practitioner/nobody"}]);
    client.create(&seen).await.refuses(422, "not-found", "Observation.performer[1].reference");
    seen["performer"] = json!([{"reference": "Practitioner/mara-lind"}]);
    client.create(&seen).await.is(201);
    let gone = transaction(&[
        json!({"resource": observation(&own), "request": {"method": "POST", "url": "Observation"}}),
        json!({"request": {"method": "DELETE", "url": own}}),
    ]);
    client.post(&gone).await.refuses(422, "not-found", "Bundle.entry[0].resource.subject.reference");
}
