//! What each kind of discharge opens, and what does not open anything: the samples, over HTTP.

use super::{TASK_CODE, discharge};
use crate::harness::client::reference;
use crate::harness::{Client, TestServer, hours};
use serde_json::{Value, json};

/// Posts a sample; returns the Patient's id.
async fn posted(server: &TestServer, name: &str) -> String {
    let discharge = discharge(name, server.now());
    let answer = server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string()
}

/// (status, code) of the patient's Tasks, sorted; reviews of what screening finds apart (`screening.rs`).
async fn tasks(client: &Client, patient: &str) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().expect("a text").to_string();
    let found = client.search(&format!("Task?patient={patient}&_count=100")).await;
    let mut out: Vec<_> = found.iter().map(|t| (text(&t["status"]), text(&t["code"]["coding"][0]["code"]))).collect();
    out.retain(|(_, code)| code != "review-dtp");
    out.sort();
    out
}

async fn reasons(client: &Client, patient: &str) -> Vec<String> {
    let found = client.search(&format!("Observation?patient={patient}&code=decision")).await;
    assert_eq!(found.len(), 1, "one recorded decision: {found:#?}");
    let components = found[0]["component"].as_array().cloned().unwrap_or_default();
    components.iter().map(|c| c["valueCodeableConcept"]["coding"][0]["code"].as_str().expect("a code").into()).collect()
}

const PLAN: [&str; 6] =
    ["check-pickup", "close-episode", "first-call", "follow-up-contact", "follow-up-contact", "pharmacist-check"];

both_databases!(each_sample_opens_what_it_should);
async fn each_sample_opens_what_it_should(server: TestServer) {
    for (name, owner, alert) in [
        ("01-polypharmacy", Some("Organization/elm-street"), false),
        ("02-anticoagulant-dose-change", Some("Organization/elm-street"), false),
        ("03-omitted-home-medicine", None, false),
        ("05-unfilled-prescription", Some("Organization/harbour"), false),
        ("06-no-medicines-known", None, false),
        ("07-list-not-sent", None, true),
    ] {
        let patient = posted(&server, name).await;
        let everyone = server.everyone();
        let mut expected: Vec<(String, String)> = PLAN.iter().map(|c| ("requested".into(), (*c).into())).collect();
        if alert {
            expected.push(("requested".into(), "request-list".into()));
        }
        assert_eq!(tasks(&everyone, &patient).await, expected, "{name}");
        let call = everyone.search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await;
        assert_eq!(call[0]["owner"]["reference"].as_str(), owner, "{name}");
        assert_eq!(reasons(&everyone, &patient).await, Vec::<String>::new());
        let lists = everyone.search(&format!("List?patient={patient}&code=10160-0")).await;
        assert_eq!(lists.len(), 1, "{name}: the working list");
    }
    let child = posted(&server, "08-a-child").await;
    assert_eq!(tasks(&server.everyone(), &child).await, []);
    assert_eq!(reasons(&server.everyone(), &child).await, ["too-young"]);
    let query = "Observation?code=decision&component-value-concept=too-young";
    assert_eq!(server.everyone().search(query).await.len(), 1, "why not is found by R4's own parameters");
}

both_databases!(a_readmission_pauses_the_follow_up);
async fn a_readmission_pauses_the_follow_up(server: TestServer) {
    let patient = posted(&server, "02-anticoagulant-dose-change").await;
    server.advance(hours(24 * 6));
    let again = discharge("09-readmission", server.now());
    let answer = server.user(again.hospital).post(&again.bundle).await.ok();
    let everyone = server.everyone();
    let episodes = everyone.search(&format!("EpisodeOfCare?patient={patient}")).await;
    assert_eq!(episodes[0]["status"], "onhold");
    assert!(tasks(&everyone, &patient).await.iter().all(|(status, _)| status == "cancelled"));
    assert_eq!(
        everyone
            .search(&format!("Flag?patient={patient}"))
            .await
            .iter()
            .filter(|f| f["code"]["coding"][0]["code"] == "readmission")
            .count(),
        1
    );

    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location").to_string();
    let stay = location.split("/_history").next().map(|l| l.rsplit('/').take(2).collect::<Vec<_>>()).expect("a path");
    let stay = format!("{}/{}", stay[1], stay[0]);
    server.advance(hours(48));
    let end = server.now().strftime("%FT%TZ").to_string();
    let left = json!([
        {"op": "replace", "path": "/status", "value": "finished"},
        {"op": "add", "path": "/period/end", "value": end},
        {"op": "add", "path": "/hospitalization", "value": {"dischargeDisposition": {"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "home"}]}}}
    ]);
    server.user(again.hospital).patch(&stay, &left).await.ok();
    let mut episodes: Vec<Value> = everyone.search(&format!("EpisodeOfCare?patient={patient}")).await;
    episodes.sort_by_key(|e| e["status"].to_string());
    assert_eq!(episodes.iter().map(|e| e["status"].clone()).collect::<Vec<_>>(), [json!("active"), json!("finished")]);
    let open = tasks(&everyone, &patient).await.into_iter().filter(|(s, _)| s == "requested").count();
    assert_eq!(open, 7, "the plan anew, and the question for the list that did not come");
    let previous = episodes[0]["extension"].as_array().expect("extensions");
    let link = json!({"reference": reference(&episodes[1])});
    assert!(previous.iter().any(|e| e["valueReference"] == link), "{previous:#?}");
}

both_databases!(medicines_may_come_before_with_or_after_the_stay_and_in_pieces);
async fn medicines_may_come_before_with_or_after_the_stay_and_in_pieces(server: TestServer) {
    let hospital = server.hospital();
    let create = async |resource: Value| hospital.create(&resource).await.ok().reference();
    let mut lists = Vec::new();
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let patient = create(json!({"resourceType": "Patient", "birthDate": "1950-02-03"})).await;
        let end = server.now().strftime("%FT%TZ").to_string();
        let stay = json!({"resourceType": "Encounter", "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "subject": {"reference": patient}, "period": {"start": "2020-01-01"},
            "serviceProvider": {"reference": "Organization/lakeside"}});
        let stay = create(stay).await;
        for step in order {
            match step {
                0 => {
                    let mut finished = server.read(&stay).await;
                    finished["status"] = "finished".into();
                    finished["period"]["end"] = end.clone().into();
                    hospital.update(&finished).await.ok();
                }
                1 => drop(create(json!({"resourceType": "MedicationStatement", "status": "active", "subject": {"reference": patient},
                    "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "community"}]},
            "medicationCodeableConcept": {"text": "Aspirin 81 MG"}})).await),
                _ => drop(create(json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
                    "subject": {"reference": patient}, "encounter": {"reference": stay}, "authoredOn": end,
                    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
            "medicationCodeableConcept": {"text": "Warfarin 2 MG"}})).await),
            }
        }
        let id = patient.trim_start_matches("Patient/");
        let found = server.everyone().search(&format!("List?patient={id}&code=10160-0")).await;
        let flags: Vec<String> = found[0]["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|e| e["flag"]["coding"][0]["code"].to_string())
            .collect();
        lists.push(flags);
        let open: Vec<_> =
            tasks(&server.everyone(), id).await.into_iter().filter(|(s, _)| s == "requested").map(|(_, c)| c).collect();
        assert_eq!(open, PLAN, "{order:?}");
    }
    assert!(lists.iter().all(|l| *l == ["\"omitted-without-note\"", "\"new\""]), "{lists:?}");
}

both_databases!(history_opens_nothing_and_is_replayed_as_of_its_day);
async fn history_opens_nothing_and_is_replayed_as_of_its_day(server: TestServer) {
    let now = server.now();
    server.at("2024-02-08T12:00:00Z");
    let old = discharge("03-omitted-home-medicine", server.now());
    server.at(&now.to_string());
    let answer = server.user(old.hospital).post(&old.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let patient = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string();
    assert_eq!(reasons(&server.everyone(), &patient).await, ["too-old-discharge"]);
    assert_eq!(tasks(&server.everyone(), &patient).await, []);

    server.at("2024-02-08T12:00:00Z");
    let mut fresh: Value =
        serde_json::from_str(&old.bundle.to_string().replace("/visit\"", "/visit-as-of-its-day\"")).expect("JSON");
    for entry in fresh["entry"].as_array_mut().expect("entries") {
        if entry["resource"]["resourceType"] == "Encounter" {
            entry["request"].as_object_mut().expect("a request").remove("ifNoneExist");
        }
    }
    server.user(old.hospital).post(&fresh).await.ok();
    let episodes = server.everyone().search(&format!("EpisodeOfCare?patient={patient}")).await;
    assert_eq!(episodes.len(), 1, "as of its day, the discharge is followed up");
}
