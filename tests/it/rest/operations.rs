//! Operations as entries of a Bundle: each by itself in a batch, all or nothing in a transaction.

use super::{patient, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    an_operation_is_an_entry_of_a_batch,
    operations_of_a_transaction_are_done_after_its_writes_or_not_at_all,
    a_reading_operation_that_is_refused_refuses_its_transaction,
    a_document_that_is_kept_is_part_of_its_transaction,
);

/// A discharge is posted; the Tasks of the first call and of the pick-up, as the pharmacy sees them.
async fn tasks(server: &TestServer) -> (Value, Value) {
    let story = crate::journey::discharge("04-duplicate-therapy", server.now());
    server.user(story.hospital).post(&story.bundle).await.ok();
    let pharmacy = server.pharmacy();
    let first = |code: &str| format!("Task?status=requested&code={code}");
    (pharmacy.search(&first("first-call")).await.remove(0), pharmacy.search(&first("check-pickup")).await.remove(0))
}

fn path(resource: &Value) -> String {
    format!("Task/{}", resource["id"].as_str().expect("an id"))
}

fn claim(task: &Value, version: &str) -> Value {
    json!({"request": {"method": "POST", "url": format!("{}/$claim", path(task)), "ifMatch": format!("W/\"{version}\"")}})
}

fn attempt(task: &Value, outcome: &str) -> Value {
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]});
    json!({"resource": parameters, "request": {"method": "POST", "url": format!("{}/$attempt", path(task))}})
}

fn status(bundle: &Value, entry: usize) -> &str {
    super::response(bundle, entry)["status"].as_str().expect("a status").get(..3).expect("a number")
}

/// R4 http.html#transaction: Operations are entries of batches; an unknown one is 404, a wrong method 405.
async fn an_operation_is_an_entry_of_a_batch(server: TestServer) {
    let (call, _) = tasks(&server).await;
    let version = call["meta"]["versionId"].as_str().expect("a version");
    let mut batch = transaction(&[
        claim(&call, version),
        claim(&call, "77"),
        json!({"request": {"method": "GET", "url": path(&call)}}),
        json!({"request": {"method": "POST", "url": format!("{}/$nothing", path(&call))}}),
        json!({"request": {"method": "PUT", "url": format!("{}/$claim", path(&call))}, "resource": patient("x")}),
    ]);
    batch["type"] = "batch".into();
    let answer = server.pharmacy().post(&batch).await.ok().body;
    let statuses: Vec<&str> = (0..5).map(|n| status(&answer, n)).collect();
    assert_eq!(statuses, ["200", "412", "200", "404", "405"], "{answer:#}");
    assert_eq!(answer["entry"][0]["resource"]["status"], "accepted");
    assert_eq!(answer["entry"][2]["resource"]["status"], "accepted");
}

/// R4 http.html#trules: Operations of a transaction are done after its writes; when one fails nothing is stored.
async fn operations_of_a_transaction_are_done_after_its_writes_or_not_at_all(server: TestServer) {
    let (call, pick_up) = tasks(&server).await;
    let pharmacist = server.pharmacist();
    let version = call["meta"]["versionId"].as_str().expect("a version");
    let note = json!({"resourceType": "QuestionnaireResponse", "status": "completed"});
    let post = json!({"resource": note, "request": {"method": "POST", "url": "QuestionnaireResponse"}});
    let notes = || async { pharmacist.search("QuestionnaireResponse").await.len() };

    let stale = pharmacist.post(&transaction(&[post.clone(), claim(&call, "77")])).await;
    stale.refuses(412, "conflict", "Bundle.entry[1]");
    let wrong = pharmacist.post(&transaction(&[claim(&call, version), attempt(&call, "nonsense"), post.clone()])).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let twice = transaction(&[
        claim(&call, version),
        json!({"resource": call, "request": {"method": "PUT", "url": path(&call), "ifMatch": format!("W/\"{version}\"")}}),
    ]);
    pharmacist.post(&twice).await.refuses(400, "duplicate", "Bundle.entry[0]");
    assert_eq!(notes().await, 0);
    assert_eq!(server.read(&path(&call)).await["status"], "requested", "nothing of the refused ones stays");

    let done = transaction(&[
        json!({"request": {"method": "GET", "url": path(&pick_up)}}),
        claim(&call, version),
        attempt(&call, "reached"),
        post,
    ]);
    let done = pharmacist.post(&done).await.ok().body;
    let statuses: Vec<&str> = (0..4).map(|n| status(&done, n)).collect();
    assert_eq!(statuses, ["200", "200", "200", "201"], "{done:#}");
    assert_eq!(done["entry"][1]["resource"]["status"], "accepted");
    assert_eq!(done["entry"][2]["resource"]["resourceType"], "Communication");
    assert_eq!(notes().await, 1);
    assert_eq!(server.read(&path(&call)).await["status"], "in-progress");
}

/// R4 http.html#trules: A reading operation whose input is refused refuses its transaction, before anything is written.
async fn a_reading_operation_that_is_refused_refuses_its_transaction(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("here")).await.is(201).reference();
    let coding = json!({"resourceType": "Parameters", "parameter": [{"name": "nonsense", "valueCode": "x"}]});
    let get = |url: String| json!({"request": {"method": "GET", "url": url}});
    let post = |url: &str, body: &Value| json!({"resource": body, "request": {"method": "POST", "url": url}});
    for (entry, status, code) in [
        (get(format!("{path}/$everything?_count=0")), 400, "value"),
        (get(format!("{path}/$everything?_type=Nothing")), 400, "value"),
        (get(format!("{path}/$everything?name=x")), 400, "not-supported"),
        (get("Observation/$lastn?patient=1".into()), 400, "required"),
        (get("ValueSet/$expand".into()), 400, "required"),
        (get("ValueSet/$expand?url=http://x.example&count=-1".into()), 400, "value"),
        (get("CodeSystem/$lookup?code=x".into()), 400, "required"),
        (post("ValueSet/$validate-code", &coding), 400, "not-supported"),
        (post("Patient/$validate?mode=merge", &patient("v")), 400, ""),
        (get("Patient/nobody/$everything".into()), 404, "not-found"),
        (get("ValueSet/nobody/$expand".into()), 404, "not-found"),
        (get("Encounter/nobody/$handoff-report?audience=x".into()), 400, ""),
        (get("Composition/nobody/$document?persist=true".into()), 405, "not-supported"),
    ] {
        let made = post("Patient", &patient("new"));
        let answer = client.post(&transaction(&[entry.clone(), made])).await.is(status);
        let issue = &answer.body["issue"][0];
        assert!(code.is_empty() || issue["code"] == code, "{entry}: {answer:?}");
        assert!(client.search("Patient?identifier=http://rest.example/mrn|new").await.is_empty(), "{entry}");
    }
    // What is fine is answered, of what the transaction wrote and of what the server publishes itself.
    let mut other = patient("other");
    other["id"] = "other".into();
    let good = transaction(&[
        get("Patient/other/$everything".into()),
        get("ValueSet/task-code/$expand?count=1".into()),
        get("ValueSet/task-code".into()),
        json!({"resource": other, "request": {"method": "PUT", "url": "Patient/other"}}),
    ]);
    let answer = client.post(&good).await.ok().body;
    assert_eq!(answer["entry"][0]["resource"]["entry"][0]["resource"]["id"], "other", "{answer:#}");
    assert_eq!(answer["entry"][1]["resource"]["expansion"]["contains"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["entry"][2]["resource"]["id"], "task-code");
}

/// R4 composition-operation-document.html: A document that a transaction keeps holds what the transaction wrote, and is
/// stored with it or not at all.
async fn a_document_that_is_kept_is_part_of_its_transaction(server: TestServer) {
    let client = server.everyone();
    let composition = |title: &str| {
        json!({"resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "x"}, "date": "2026-11-25", "title": title,
            "subject": {"reference": "Patient/p"}, "author": [{"reference": "Practitioner/mara-lind"}]})
    };
    let mut who = patient("p");
    who["id"] = "p".into();
    client.update(&who).await.is(201);
    let put =
        |title: &str| json!({"resource": composition(title), "request": {"method": "PUT", "url": "Composition/c"}});
    let keep = json!({"request": {"method": "POST", "url": "Composition/c/$document?persist=true"}});
    let by_parameters = json!({"request": {"method": "POST", "url": "Composition/c/$document"},
        "resource": {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": true}]}});
    let bundles = || async { client.read("Bundle?_summary=count").await.ok().body["total"].as_u64() };

    for (n, (entry, title)) in [(&keep, "first"), (&by_parameters, "second")].into_iter().enumerate() {
        let answer = client.post(&transaction(&[entry.clone(), put(title)])).await.ok().body;
        let kept = server.read(&super::place(&answer, 0)).await;
        assert_eq!(
            (kept["type"].as_str(), kept["entry"][0]["resource"]["title"].as_str()),
            (Some("document"), Some(title))
        );
        assert_eq!(answer["entry"][0]["resource"]["id"], kept["id"], "{answer:#}");
        assert_eq!(bundles().await, Some(n as u64 + 1));
    }
    let lost = json!({"resource": {"resourceType": "Patient", "id": "q", "gender": "x"}, "request": {"method": "PUT", "url": "Patient/q"}});
    client.post(&transaction(&[keep.clone(), put("third"), lost])).await.is(400);
    let mut broken = put("fourth");
    broken["resource"]["author"][0]["reference"] = "Practitioner/nobody".into();
    let refused = client.post(&transaction(&[keep.clone(), broken])).await;
    refused.refuses(422, "not-found", "Bundle.entry[0].resource.author[0].reference");
    assert_eq!(server.read("Composition/c").await["title"], "second", "nothing of the refused ones stays");
    assert_eq!(bundles().await, Some(2));
    // Who may store no Bundle keeps no document.
    let technician = server.technician().post(&transaction(&[keep])).await;
    assert!(matches!(technician.status, 403 | 404), "{technician:?}");
}
