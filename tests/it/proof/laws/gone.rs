//! L9: what is left to reach of a patient who is deleted.
//!
//! R4 deletes a resource, and nobody's history: versions stay readable for those who could read them. A patient whom others refer to
//! is not deleted, one with an episode never is. No operation merges patients, so of the law's other half there is nothing to test.

use super::{laws, news, play};
use crate::harness::{Client, TestServer};
use crate::journey::doors::{bundle, in_a_batch};
use proptest::prelude::*;
use serde_json::{Value, json};

laws!(a_deleted_patient_leaves_nothing_to_reach);

/// Records of a patient: (type, element that leads to the patient, the rest).
fn records() -> [(&'static str, &'static str, Value); 7] {
    let text = json!({"text": "x"});
    [
        ("Observation", "subject", json!({"status": "final", "code": text})),
        ("Condition", "subject", json!({"code": text})),
        (
            "AllergyIntolerance",
            "patient",
            json!({"code": text, "clinicalStatus": {"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}}),
        ),
        ("MedicationStatement", "subject", json!({"status": "active", "medicationCodeableConcept": text})),
        ("Encounter", "subject", json!({"status": "finished", "class": {"code": "AMB"}})),
        ("DocumentReference", "subject", json!({"status": "current", "content": [{"attachment": {"title": "x"}}]})),
        ("Flag", "subject", json!({"status": "inactive", "code": text})),
    ]
}

async fn delete(client: &Client, path: &str, door: usize) -> u16 {
    let entry = json!({"request": {"method": "DELETE", "url": path}});
    let (kind, id) = path.split_once('/').expect("a type");
    match door % 4 {
        0 => client.delete(path).await.status,
        1 => client.post(&bundle("transaction", vec![entry])).await.status,
        2 => in_a_batch(client, entry).await.status,
        _ => client.delete(&format!("{kind}?_id={id}")).await.status,
    }
}

/// Own docs/programme.md: L9: a patient is deleted when nothing leads to them, and then nothing does; one who is followed up stays.
async fn a_deleted_patient_leaves_nothing_to_reach(server: TestServer) {
    let any = (
        prop::collection::vec(0..7usize, 0..6),
        prop::collection::vec((0..8usize, 0..4usize), 1..14),
        prop::bool::weighted(0.25),
    );
    play(20, &any, |(have, tries, is_followed), n| {
        let server = &server;
        async move { story(server, n, &have, &tries, is_followed).await }
    });
}

async fn story(
    server: &TestServer,
    n: usize,
    have: &[usize],
    tries: &[(usize, usize)],
    is_followed: bool,
) -> Result<(), String> {
    server.at(super::BEGINS);
    let all = server.everyone();
    let key = format!("gone-{n}");
    let patient = if is_followed {
        let now = server.now();
        let ago = |h: i64| now - jiff::SignedDuration::from_hours(h);
        let message = news::News {
            key: key.clone(),
            hospital: "lakeside",
            id: key.clone(),
            event: news::Event::Discharge,
            at: now,
            stay: 1,
            starts: ago(50),
            ends: ago(2),
            medicines: vec![(0, false, "1 tablet daily")],
        };
        news::send(&server.hospital(), &message.message()).await.ok();
        news::patient(&all, "lakeside", &key).await.expect("a patient")
    } else {
        let identifier = json!([{"system": "http://lakeside.example/mrn", "value": key}]);
        let made = all.create(&json!({"resourceType": "Patient", "identifier": identifier})).await.ok().reference();
        made.trim_start_matches("Patient/").to_owned()
    };
    let at = format!("Patient/{patient}");
    let mut left = Vec::new();
    for which in have {
        let (kind, element, rest) = &records()[*which];
        let mut record = rest.clone();
        record["resourceType"] = (*kind).into();
        record[*element] = json!({"reference": at});
        left.push(all.create(&record).await.ok().reference());
    }
    let mut is_gone = false;
    for (which, door) in tries {
        // One of the records, or the patient.
        let path = left.get(*which).cloned().unwrap_or_else(|| at.clone());
        let status = delete(&all, &path, *door).await;
        let deleted = status < 300;
        if path == at {
            let expected = left.is_empty() && !is_followed;
            if deleted != expected {
                return Err(format!(
                    "L9: deleting {at} is {status} while {left:?} refer to it, followed up: {is_followed}"
                ));
            }
            is_gone = is_gone || deleted;
        } else if deleted {
            left.retain(|p| *p != path);
        } else if !is_followed {
            // What the list of one who is followed up was made of stays with it.
            return Err(format!("L9: {path} could not be deleted: {status}"));
        }
        reachable(&all, &patient, &key, &left, is_gone, is_followed).await?;
    }
    Ok(())
}

async fn reachable(
    all: &Client,
    patient: &str,
    key: &str,
    left: &[String],
    is_gone: bool,
    is_followed: bool,
) -> Result<(), String> {
    let at = format!("Patient/{patient}");
    for path in left {
        if all.read(path).await.status != 200 {
            return Err(format!("L9: {path} is gone, and nobody deleted it"));
        }
    }
    let mut found = Vec::new();
    for (kind, element, _) in records() {
        for query in [format!("{kind}?{element}={at}"), format!("{kind}?{element}:Patient.identifier={key}")] {
            found.extend(all.search(&query).await.iter().map(crate::harness::client::reference));
        }
    }
    found.retain(|f| !is_followed || left.contains(f));
    found.sort();
    found.dedup();
    let mut expected = left.to_vec();
    expected.sort();
    if found != expected {
        return Err(format!("L9: searches find {found:?}, and there are {expected:?}"));
    }
    let here = [
        all.read(&at).await.status == 200,
        all.read(&format!("{at}/$everything")).await.status == 200,
        !all.search(&format!("Patient?identifier={key}")).await.is_empty(),
        !all.search(&format!("Patient?_id={patient}&_revinclude=*")).await.is_empty(),
    ];
    if here != [!is_gone; 4] {
        return Err(format!("L9: read, $everything, by identifier, by id: {here:?}, gone: {is_gone}"));
    }
    Ok(())
}
