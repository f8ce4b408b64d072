//! Operations as entries of a Bundle: each by itself in a batch, all or nothing in a transaction.

use super::{patient, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    an_operation_is_an_entry_of_a_batch,
    operations_of_a_transaction_are_done_after_its_writes_or_not_at_all,
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
