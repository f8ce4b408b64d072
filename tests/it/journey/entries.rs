//! Entries of the directory that hospitals bring along: people, medicines, places.

use super::discharge;
use crate::harness::TestServer;
use crate::harness::client::reference;
use serde_json::{Value, json};

both_databases!(what_a_hospital_brings_along_of_the_directory_is_its_own);
/// security leak 13: Entries of the directory that a discharge brings along are the hospital's, and are seen with the hand-off that names them: not before a
/// claim, not by who lost it, and to another hospital's conditional create they are not there; what an administrator wrote is everybody's.
async fn what_a_hospital_brings_along_of_the_directory_is_its_own(server: TestServer) {
    let sample = discharge("04-duplicate-therapy", server.now());
    let hospital = server.user(sample.hospital);
    let other = server.hospital();
    let person = |number: &str| {
        json!({"resourceType": "Practitioner", "name": [{"family": "Amsel"}],
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": number}]})
    };
    let criteria = |number: &str| format!("identifier=http://hl7.org/fhir/sid/us-npi|{number}");
    let published = server.user("root").create(&person("7")).await.is(201).reference();
    let mut bundle = sample.bundle;
    let all = bundle["entry"].as_array_mut().expect("entries");
    let order = all.iter_mut().find(|e| e["resource"]["resourceType"] == "MedicationRequest").expect("an order");
    order["resource"]["requester"] = json!({"reference": format!("Practitioner?{}", criteria("4711"))});
    order["resource"]["recorder"] = json!({"reference": format!("Practitioner?{}", criteria("7"))});
    // As Synthea sends its own: first the people, each where there is none.
    let people = json!({"resourceType": "Bundle", "type": "transaction", "entry": (["4711", "7"].map(|number| json!({"resource": person(number),
        "request": {"method": "POST", "url": "Practitioner", "ifNoneExist": criteria(number)}})))});
    for statuses in [["201 Created", "200 OK"], ["200 OK", "200 OK"]] {
        let answer = hospital.post(&people).await.ok().body;
        for (n, status) in statuses.iter().enumerate() {
            assert_eq!(answer["entry"][n]["response"]["status"], *status, "{answer}");
        }
    }
    hospital.post(&bundle).await.ok();
    let own = reference(&hospital.search(&format!("Practitioner?{}", criteria("4711"))).await[0]);
    let theirs = other.create_if_none(&person("4711"), &criteria("4711")).await.is(201).reference();
    assert_ne!(own, theirs);
    assert_eq!(other.create_if_none(&person("7"), &criteria("7")).await.is(200).reference(), published);
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let names = |number: &str| format!("MedicationRequest?requester:Practitioner.identifier={number}");
    for unseen in [&elm, &harbour, &other] {
        unseen.read(&own).await.is(404);
        assert!(unseen.search("Practitioner?identifier=4711").await.iter().all(|p| reference(p) != own));
        unseen.read(&published).await.is(200);
    }
    let call = elm.search("Task?code=first-call").await.remove(0);
    let version = call["meta"]["versionId"].as_str();
    elm.operation(&format!("{}/$claim", reference(&call)), &Value::Null, version).await.ok();
    elm.read(&own).await.is(200);
    server.technician().read(&own).await.is(200);
    assert_eq!(elm.search(&names("4711")).await.len(), 1);
    elm.patch(&own, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(403);
    for unseen in [&harbour, &other] {
        unseen.read(&own).await.is(404);
        unseen.read(&format!("{own}/_history/1")).await.is(404);
    }
    // Who keeps the directory sees all of it.
    server.user("root").read(&own).await.is(200);
}
