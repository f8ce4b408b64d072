//! What a hospital sends, in pieces, corrected, and in any order: the last word counts.

use super::TASK_CODE;
use crate::harness::TestServer;
use serde_json::{Value, json};

/// Pieces that come in any order, but for the stay before its correction.
const PIECES: [&str; 4] = ["stay", "corrected", "prescription", "home"];

fn orders() -> Vec<Vec<usize>> {
    let mut out = Vec::new();
    for a in 0..4 {
        for b in 0..4 {
            for c in 0..4 {
                let order: Vec<usize> = vec![a, b, c, 6_usize.wrapping_sub(a + b + c)];
                let mut sorted = order.clone();
                sorted.sort_unstable();
                let place = |n: usize| order.iter().position(|o| *o == n);
                if sorted == [0, 1, 2, 3] && place(0) < place(1) {
                    out.push(order);
                }
            }
        }
    }
    out
}

/// One of the pieces of patient `n`.
fn piece(name: &str, n: usize, ends: &[String; 2]) -> Value {
    let patient = json!({"reference": format!("Patient/o{n}")});
    match name {
        "stay" | "corrected" => json!({"resourceType": "Encounter", "id": format!("o{n}"), "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}, "subject": patient,
            "period": {"start": "2020-01-01", "end": ends[usize::from(name == "corrected")]},
            "serviceProvider": {"reference": "Organization/lakeside"}}),
        "prescription" => {
            json!({"resourceType": "MedicationRequest", "id": format!("o{n}"), "status": "active", "intent": "order",
            "subject": patient, "encounter": {"reference": format!("Encounter/o{n}")}, "authoredOn": ends[1],
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
            "medicationCodeableConcept": {"text": "Warfarin 2 MG"}})
        }
        _ => {
            json!({"resourceType": "MedicationStatement", "id": format!("o{n}"), "status": "active", "subject": patient,
            "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medication-statement-category", "code": "community"}]},
            "medicationCodeableConcept": {"text": "Aspirin 81 MG"}})
        }
    }
}

/// What is there in the end, without ids.
async fn state(server: &TestServer, n: usize) -> Vec<String> {
    let all = server.everyone();
    let mut out = Vec::new();
    for task in all.search(&format!("Task?patient=Patient/o{n}&_count=100")).await {
        let code = task["code"]["coding"][0]["code"].as_str().expect("a code").to_string();
        if code != "request-list" {
            out.push(format!("{code} {} {}", task["status"], task["restriction"]));
        }
    }
    for episode in all.search(&format!("EpisodeOfCare?patient=Patient/o{n}")).await {
        out.push(format!("episode {} {}", episode["status"], episode["period"]));
    }
    for plan in all.search(&format!("CarePlan?subject=Patient/o{n}")).await {
        out.push(format!("plan {} {}", plan["status"], plan["period"]));
    }
    for list in all.search(&format!("List?patient=Patient/o{n}&code=10160-0")).await {
        let entries = list["entry"].as_array().cloned().unwrap_or_default();
        let flags: Vec<String> = entries.iter().map(|e| e["flag"]["coding"][0]["code"].to_string()).collect();
        out.push(format!("list {} {} {flags:?}", list["status"], list["date"]));
    }
    for decision in all.search(&format!("Observation?patient=Patient/o{n}&code=decision")).await {
        out.push(format!("decision {} {}", decision["valueCodeableConcept"], decision["effectiveDateTime"]));
    }
    out.sort();
    out
}

both_databases!(pieces_in_any_order_alone_or_bundled_end_alike);
async fn pieces_in_any_order_alone_or_bundled_end_alike(server: TestServer) {
    let now = server.now();
    // The clock stands: a review is due so long after its problem was found.
    server.at(&now.to_string());
    let ago =
        |hours: i64| now.checked_sub(jiff::Span::new().hours(hours)).expect("a time").strftime("%FT%TZ").to_string();
    let ends = [ago(30), ago(3)];
    let everyone = server.everyone();
    let mut expected: Option<Vec<String>> = None;
    let mut n = 0;
    for order in orders() {
        for cut in 0..4 {
            n += 1;
            let names: Vec<&str> = order.iter().map(|o| PIECES[*o]).collect();
            everyone
                .update(&json!({"resourceType": "Patient", "id": format!("o{n}"), "birthDate": "1950-02-03"}))
                .await
                .ok();
            // The first `cut` pieces come alone, the others in one Bundle: two, where both versions of the stay are left.
            let (alone, rest) = names.split_at(cut);
            for name in alone {
                everyone.update(&piece(name, n, &ends)).await.ok();
            }
            let late =
                rest.iter().position(|p| *p == "corrected").filter(|_| rest.contains(&"stay")).unwrap_or(rest.len());
            let (first, second) = rest.split_at(late);
            for part in [first, second].into_iter().filter(|p| !p.is_empty()) {
                let entries: Vec<Value> = part
                    .iter()
                    .map(|name| {
                        let resource = piece(name, n, &ends);
                        let url = format!("{}/o{n}", resource["resourceType"].as_str().expect("a type"));
                        json!({"request": {"method": "PUT", "url": url}, "resource": resource})
                    })
                    .collect();
                everyone.post(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).await.ok();
            }
            let state = state(&server, n).await;
            match &expected {
                None => expected = Some(state),
                Some(expected) => assert_eq!(&state, expected, "{names:?}, {cut} alone"),
            }
            // A discharge that came before its medicines asked for them; the request tells that they have come.
            for request in everyone.search(&format!("Task?patient=Patient/o{n}&code={TASK_CODE}|request-list")).await {
                assert_eq!(request["status"], "cancelled", "{names:?}");
                assert_eq!(request["statusReason"]["coding"][0]["code"], "list-arrived", "{names:?}");
                assert_eq!(request["businessStatus"]["coding"][0]["code"], "withdrawn", "{names:?}");
            }
        }
    }
    let expected = expected.expect("a state");
    assert_eq!(expected.len(), 12, "six Tasks, two reviews and what they belong to: {expected:#?}");
}

both_databases!(a_discharge_that_arrives_after_the_next_admission_waits_like_any_other);
async fn a_discharge_that_arrives_after_the_next_admission_waits_like_any_other(server: TestServer) {
    let now = server.now();
    server.at(&now.to_string());
    let ago = |hours: i64| now.checked_sub(jiff::SignedDuration::from_hours(hours)).expect("a time").to_string();
    let everyone = server.everyone();
    let mut expected = Vec::new();
    for (n, order) in [[0, 1], [1, 0]].into_iter().enumerate() {
        everyone
            .update(&json!({"resourceType": "Patient", "id": format!("o{n}"), "birthDate": "1950-02-03"}))
            .await
            .ok();
        let mut stays = [piece("stay", n, &[ago(30), ago(30)]), piece("stay", n, &[ago(30), ago(30)])];
        stays[1]["id"] = format!("next{n}").into();
        stays[1]["status"] = "in-progress".into();
        stays[1]["period"] = json!({"start": ago(5)});
        for at in order {
            everyone.update(&stays[at]).await.ok();
        }
        let mut state = state(&server, n).await;
        let flags = everyone.search(&format!("Flag?patient=Patient/o{n}")).await;
        state.push(format!("{} flags", flags.iter().filter(|f| f["status"] == "active").count()));
        assert!(state.iter().any(|line| line.starts_with("episode \"onhold\"")), "{order:?}: {state:#?}");
        match n {
            0 => expected = state,
            _ => assert_eq!(state, expected),
        }
    }
}
