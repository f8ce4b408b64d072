//! What is found without anybody looking: candidates with their reviews, on request and by itself.

use super::reconcile::preview;
use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Client, TestServer, hours};
use serde_json::{Value, json};

/// Posts a sample; answers its Patient.
async fn post(server: &TestServer, name: &str) -> String {
    let sample = discharge(name, server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let id = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string();
    format!("Patient/{id}")
}

/// The rules of a patient's problems that wait, sorted.
async fn rules(client: &Client, patient: &str) -> Vec<String> {
    let issues = client.search(&format!("DetectedIssue?patient={patient}&status=preliminary")).await;
    let rule = |i: &Value| i["extension"][0]["extension"][0]["valueCode"].as_str().expect("a rule").to_string();
    let mut out: Vec<String> = issues.iter().map(rule).collect();
    out.sort();
    out
}

both_databases!(the_samples_are_screened_as_by_hand);
async fn the_samples_are_screened_as_by_hand(server: TestServer) {
    for (name, expected) in [
        ("02-anticoagulant-dose-change", &[][..]),
        ("03-omitted-home-medicine", &["home-omitted"]),
        ("04-duplicate-therapy", &["same-substance"]),
    ] {
        let patient = post(&server, name).await;
        assert_eq!(rules(&server.everyone(), &patient).await, expected, "{name}");
        let issues = server.everyone().search(&format!("DetectedIssue?patient={patient}")).await;
        for issue in &issues {
            let reviews = server.everyone().search(&format!("Task?focus={}", reference(issue))).await;
            assert_eq!(reviews.len(), 1, "{name}: one review for each");
            assert_eq!(issue["author"]["identifier"]["value"], "screening");
        }
    }
}

both_databases!(who_cares_for_the_patient_may_ask_and_asking_again_changes_nothing);
async fn who_cares_for_the_patient_may_ask_and_asking_again_changes_nothing(server: TestServer) {
    let patient = post(&server, "04-duplicate-therapy").await;
    let episode = server.everyone().search(&format!("EpisodeOfCare?patient={patient}")).await.remove(0);
    let (pharmacy, other) = (server.technician(), server.user("tomas"));
    let path = format!("{}/$screen", reference(&episode));
    pharmacy.operation(&path, &preview(), None).await.is(404);
    let call = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let stay = format!("{}/$screen", episode["extension"][0]["valueReference"]["reference"].as_str().expect("a stay"));
    let told = pharmacy.operation(&path, &preview(), None).await.ok().body;
    let finding = &told["parameter"][0]["part"][1]["part"];
    assert_eq!(finding[0]["valueCode"], "same-substance", "{told}");
    assert_eq!(finding[4]["valueCode"], "open");
    for (client, path) in [(&pharmacy, &path), (&pharmacy, &stay), (&server.pharmacist(), &stay)] {
        assert_eq!(client.operation(path, &Value::Null, None).await.ok().body, told);
    }
    let issues = server.everyone().search(&format!("DetectedIssue?patient={patient}")).await;
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0]["meta"]["versionId"], "1");
    other.operation(&path, &preview(), None).await.is(404);
    pharmacy.read(&path).await.is(405);
    let odd = json!({"resourceType": "Parameters", "parameter": [{"name": "x", "valueCode": "y"}]});
    pharmacy.operation(&path, &odd, None).await.is(400);
    // Its review came with the patient, and is the pharmacist's to decide.
    let issue = reference(&issues[0]);
    let params = json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}]});
    server.technician().operation(&format!("{issue}/$resolve"), &params, None).await.is(403);
    server.pharmacist().operation(&format!("{issue}/$resolve"), &params, None).await.ok();
    pharmacy.operation(&path, &Value::Null, None).await.ok();
    assert_eq!(rules(&server.everyone(), &patient).await.len(), 0, "decided, it is not raised again");
    // What became of the rule's findings, of those that the caller may see.
    for (client, fired) in [(&server.pharmacist(), 1), (&other, 0)] {
        let report = client.read("DetectedIssue/$rule-report?start=2020-01-01").await.ok().body;
        let rules = report["parameter"].as_array().expect("rules");
        let rule = rules.iter().find(|r| r["part"][0]["valueCode"] == "same-substance").expect("the rule");
        let of = |name: &str| rule["part"].as_array().expect("parts").iter().find(|p| p["name"] == name).cloned();
        assert_eq!(of("fired").expect("a count")["valueInteger"], fired, "{rule}");
        assert_eq!(of("decided").expect("a count")["valueInteger"], fired);
        assert_eq!(of("acted-on").expect("a count")["valueInteger"], 0, "nothing had to change");
    }
    pharmacy.read("DetectedIssue/$rule-report?start=never").await.is(400);
}

both_databases!(a_review_that_is_overdue_is_escalated_by_whoever_asks_and_stays_with_its_owner);
async fn a_review_that_is_overdue_is_escalated_by_whoever_asks_and_stays_with_its_owner(server: TestServer) {
    let patient = post(&server, "04-duplicate-therapy").await;
    let call = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let find = async || {
        server.pharmacist().search(&format!("Task?patient={patient}&code={TASK_CODE}|review-dtp")).await.remove(0)
    };
    let review = find().await;
    let path = format!("{}/$escalate", reference(&review));
    // Its pharmacy was asked, too, and did not get it.
    server.user("tomas").operation(&path, &Value::Null, None).await.refuses(409, "conflict", "Task.owner");
    let same = server.technician().operation(&path, &Value::Null, None).await.ok().body;
    assert_eq!(same["meta"]["versionId"], review["meta"]["versionId"], "before its time nothing changes");
    server.advance(hours(73));
    let raised = server.technician().operation(&path, &Value::Null, None).await.ok().body;
    assert_eq!((&raised["priority"], &raised["owner"]), (&json!("asap"), &review["owner"]));
    let told = server.pharmacist().search(&format!("Communication?patient={patient}&category=notification")).await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["recipient"][0]["reference"], "Practitioner/jonas-adler");
}
