//! What became of each medicine between home and discharge: by itself, on demand, and for those who take part.

use super::discharge;
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

/// Posts a sample; answers its Encounter and Patient.
async fn post(server: &TestServer, name: &str) -> (String, String) {
    let sample = discharge(name, server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let entries = answer.body["entry"].as_array().expect("entries");
    let at = |rtype: &str| {
        let location = |e: &Value| e["response"]["location"].as_str().unwrap_or_default().to_string();
        let found = entries.iter().map(location).find(|l| l.contains(&format!("{rtype}/"))).expect("a location");
        let from = found.find(&format!("{rtype}/")).expect("the type");
        found[from..].split("/_history").next().expect("an address").to_string()
    };
    (at("Encounter"), at("Patient"))
}

/// (outcome, name) of each line.
fn lines(list: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let entries = list["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|e| (text(&e["flag"]["coding"][0]["code"]), text(&e["item"]["display"]))).collect()
}

fn expected(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_string(), (*b).to_string())).collect()
}

/// Asks for the list without storing it.
pub(crate) fn preview() -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "preview", "valueBoolean": true}]})
}

async fn reconciled(client: &Client, encounter: &str) -> Value {
    client.operation(&format!("{encounter}/$reconcile"), &preview(), None).await.ok().body
}

both_databases!(the_samples_are_reconciled_as_by_hand);
async fn the_samples_are_reconciled_as_by_hand(server: TestServer) {
    for (name, hand) in [
        (
            "02-anticoagulant-dose-change",
            &[("changed", "Warfarin Sodium 5 MG Oral Tablet"), ("unchanged", "Amlodipine 5 MG Oral Tablet")][..],
        ),
        (
            "03-omitted-home-medicine",
            &[
                ("omitted-without-note", "levothyroxine 75 microgram tablet"),
                ("new", "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet"),
                ("unchanged", "Hydrochlorothiazide 25 MG Oral Tablet"),
                ("unchanged", "Simvastatin 10 MG Oral Tablet"),
            ],
        ),
        (
            "04-duplicate-therapy",
            &[
                ("duplicate", "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet"),
                ("new", "aspirin 81 MG Oral Tablet"),
                ("new", "Clopidogrel 75 MG Oral Tablet"),
                ("new", "rosuvastatin calcium 10 MG Oral Tablet"),
                ("stopped", "Simvastatin 20 MG Oral Tablet"),
            ],
        ),
        (
            "05-unfilled-prescription",
            &[
                (
                    "new",
                    "60 ACTUAT Fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
                ),
                ("new", "predniSONE 5 MG Oral Tablet"),
                ("unchanged", "200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"),
            ],
        ),
        ("07-list-not-sent", &[("unclear", "lisinopril 5 MG Oral Tablet")]),
    ] {
        let (encounter, patient) = post(&server, name).await;
        let list = reconciled(&server.everyone(), &encounter).await;
        assert_eq!(lines(&list), expected(hand), "{name}");
        let stored = server.everyone().search(&format!("List?patient={patient}&code=10160-0")).await;
        let episodes = server.everyone().search(&format!("EpisodeOfCare?patient={patient}")).await;
        if !episodes.is_empty() {
            assert_eq!(lines(&stored[0]), expected(hand), "{name}: it ran by itself");
            let found = server
                .everyone()
                .search(&format!("Provenance?target={}", crate::harness::client::reference(&stored[0])))
                .await;
            assert_eq!(found.len(), 1, "{name}: its sources are named");
        }
    }
}

both_databases!(who_takes_part_may_ask_and_nobody_else_learns_of_the_stay);
async fn who_takes_part_may_ask_and_nobody_else_learns_of_the_stay(server: TestServer) {
    let (encounter, patient) = post(&server, "04-duplicate-therapy").await;
    let path = format!("{encounter}/$reconcile");
    let (hospital, other) = (server.user(discharge("04-duplicate-therapy", server.now()).hospital), server.hospital());
    let call = server.everyone().search(&format!("Task?patient={patient}&code=first-call")).await.remove(0);
    let task = crate::harness::client::reference(&call);
    server.technician().operation(&path, &preview(), None).await.is(404);
    server.pharmacy().operation(&format!("{task}/$claim"), &Value::Null, Some("1")).await.ok();
    for client in [&hospital, &server.technician(), &server.pharmacist()] {
        let read = client.operation(&path, &preview(), None).await.ok().body;
        let stored = client.operation(&path, &Value::Null, None).await.ok().body;
        assert_eq!(lines(&read), lines(&stored));
        assert_eq!(stored["meta"]["versionId"], "1", "asked again, it says the same and is not written again");
    }
    other.operation(&path, &preview(), None).await.is(404);
    let answer = hospital.read(&path).await;
    answer.refuses(405, "not-supported", "");
    assert_eq!(answer.header("allow"), "POST", "it changes something");
    other.operation(&path, &Value::Null, None).await.is(404);
    server
        .everyone()
        .operation(&path, &json!({"resourceType": "Parameters", "parameter": [{"name": "x", "valueCode": "y"}]}), None)
        .await
        .is(400);
    server.everyone().send("PUT", &path, "{}", &[]).await.is(405);
}
