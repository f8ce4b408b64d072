//! Where places are, and in what case codes are written.

use super::rules::{condition, fill, table};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(places_are_near_or_not, codes_of_systems_that_do_not_tell_cases_apart_are_found_in_every_case);

/// R4 search.html: `near` of Location finds by distance, in several units, over the date line and the pole, in chains and with `:missing`;
/// what is no place is 400.
async fn places_are_near_or_not(server: TestServer) {
    let client = server.everyone();
    let place = |id: &str, latitude: f64, longitude: f64| {
        json!({"resourceType": "Location", "id": id,
        "position": {"latitude": latitude, "longitude": longitude}})
    };
    let visit = |id: &str, at: &str| {
        json!({"resourceType": "Encounter", "id": id, "status": "planned", "class": {"code": "AMB"},
        "location": [{"location": {"reference": format!("Location/{at}")}}]})
    };
    fill(
        &client,
        &[
            place("berlin", 52.52, 13.405),
            place("potsdam", 52.4, 13.066), // 26.5 km from berlin
            place("paris", 48.857, 2.352),  // 877.5 km
            place("east", -17.0, 179.99),   // 2.1 km from west
            place("west", -17.0, -179.99),
            place("pole", 90.0, 0.0),
            place("ice", 89.9, 120.0), // 11.1 km from pole
            json!({"resourceType": "Location", "id": "nowhere", "name": "Nowhere"}),
            visit("v", "potsdam"),
            visit("w", "paris"),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Location?near=52.52|13.405|30|km", "berlin potsdam", "near"),
            ("Location?near=52.52|13.405|26|km", "berlin", "near"),
            ("Location?near=52.52|13.405|30", "berlin potsdam", "near"),
            ("Location?near=52.52|13.405|27000|m", "berlin potsdam", "near"),
            ("Location?near=52.52|13.405|17|[mi_i]", "berlin potsdam", "near"),
            ("Location?near=52.52|13.405|16|[mi_i]", "berlin", "near"),
            ("Location?near=52.52|13.405", "berlin", "near"),
            ("Location?near=52.52|13.405||km", "berlin", "near"),
            ("Location?near=52.52|13.405|0", "berlin", "near"),
            // In the box around it, and out of the circle.
            ("Location?near=52.52|13.405|870", "berlin potsdam", "near"),
            ("Location?near=52.52|13.405|885", "berlin paris potsdam", "near"),
            ("Location?near=-17.0|179.995|3", "east west", "near"),
            ("Location?near=90|77|20", "ice pole", "near"),
            ("Location?near=0|0|1e9", "berlin east ice paris pole potsdam west", "near"),
            ("Location?near=52.52|13.405|1,48.857|2.352|1", "berlin paris", "combining"),
            ("Location?near=52.52|13.405|30&_id=potsdam", "potsdam", "combining"),
            ("Location?near:missing=true&name=nowhere", "nowhere", "modifiers"),
            ("Location?near:missing=false&near=90|0|1", "pole", "modifiers"),
            ("Encounter?location.near=52.52|13.405|30", "v", "chaining"),
            ("Location?near=52.52|13.405|30&_has:Encounter:location:status=planned", "potsdam", "has"),
        ],
    )
    .await;
    let moved = place("berlin", 0.0, 0.0);
    client.update(&moved).await.is(200);
    table(&client, &[("Location?near=52.52|13.405|30", "potsdam", "near"), ("Location?near=0|0", "berlin", "near")])
        .await;
    for wrong in ["x|1", "1", "1|", "1|2|x", "1|2|3|mg", "91|0", "0|181", "1|2|3|km|4"] {
        client.read(&format!("Location?near={wrong}")).await.refuses(400, "invalid", "");
    }
    client.read("Patient?near=1|2").await.refuses(400, "not-supported", "");
}

/// R4 search.html#token: A code of a system that does not tell cases apart is found in every case, and one of another system in its own.
async fn codes_of_systems_that_do_not_tell_cases_apart_are_found_in_every_case(server: TestServer) {
    let client = server.everyone();
    let system = |id: &str, caseless: Value, codes: &[&str]| {
        let concepts: Vec<Value> = codes.iter().map(|code| json!({"code": code})).collect();
        let mut r = json!({"resourceType": "CodeSystem", "id": id, "url": format!("http://s/{id}"), "status": "active", "content": "complete",
            "concept": concepts});
        if !caseless.is_null() {
            r["caseSensitive"] = caseless;
        }
        r
    };
    let seen = |id: &str, code: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
        "component": [{"code": {"coding": [{"system": "http://s/free", "code": code}]}, "valueQuantity": {"value": 5}}]})
    };
    fill(
        &client,
        &[
            system("free", false.into(), &["AbC", "LabOratory"]),
            system("strict", true.into(), &["AbC"]),
            system("silent", Value::Null, &["AbC"]),
            condition("lower", &[("http://s/free", "abc")]),
            condition("own", &[("http://s/free", "AbC")]),
            condition("odd", &[("http://s/free", "aBc")]),
            condition("long", &[("http://s/free", "LabOratory")]),
            condition("strict", &[("http://s/strict", "abc")]),
            condition("silent", &[("http://s/silent", "abc")]),
            condition("none", &[]),
            seen("o", "aBC"),
            json!({"resourceType": "Patient", "id": "p", "identifier": [{"system": "http://s/free", "value": "abc"}]}),
        ],
    )
    .await;
    table(
        &client,
        &[
            ("Condition?code=http://s/free|AbC", "lower odd own", "token"),
            ("Condition?code=http://s/free|ABC", "lower odd own", "token"),
            ("Condition?code=http://s/free|abc", "lower odd own", "token"),
            ("Condition?code=http://s/free|LABORATORY", "long", "token"),
            ("Condition?code=http://s/free|x", "", "token"),
            ("Condition?code=http://s/strict|ABC", "", "token"),
            ("Condition?code=http://s/strict|abc", "strict", "token"),
            ("Condition?code=http://s/silent|ABC", "", "token"),
            ("Condition?code=ABC", "", "token"),
            ("Condition?code:not=http://s/free|ABC", "long none silent strict", "modifiers"),
            ("Condition?code=http://s/free|ABC,http://s/strict|abc", "lower odd own strict", "combining"),
            ("Patient?_has:Condition:patient:code=http://s/free|ABC", "p", "has"),
            ("Patient?identifier=http://s/free|ABC", "", "token"),
            ("Observation?component-code=http://s/free|abc", "o", "token"),
            ("Observation?component-code-value-quantity=http://s/free|abc$gt4", "o", "composite"),
            ("Observation?component-code-value-quantity=http://s/free|abc$gt6", "", "composite"),
        ],
    )
    .await;
    // Conditional interactions read their criteria likewise.
    let another = json!({"resourceType": "Condition", "subject": {"reference": "Patient/p"}});
    client.create_if_none(&another, "code=http://s/free|LABORATORY").await.is(200);
    // And it is as the code system says now.
    fill(&client, &[system("free", true.into(), &["AbC"])]).await;
    table(
        &client,
        &[("Condition?code=http://s/free|ABC", "", "token"), ("Condition?code=http://s/free|AbC", "own", "token")],
    )
    .await;
}
