//! Law 6: the order and packing of what a hospital sends do not matter.

use crate::workflow::world::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A notice of the programme that it has taken back.
fn is_taken_back(json: &crate::fhir::Json) -> bool {
    json["resourceType"].text() == "Communication"
        && json["status"].text() == "entered-in-error"
        && crate::workflow::element::own_identifier(json, "notice").is_some()
}

/// What is there in the end, apart from versions.
fn state(world: &World) -> Vec<String> {
    let mut out: Vec<String> = world
        .memory
        .held
        .values()
        // A request for a list that came meanwhile is settled: who sends late causes it, who sends early does not.
        .filter(|h| {
            !(h.json["code"]["coding"][0]["code"].text() == "request-list" && h.json["status"].text() == "cancelled")
        })
        // Nor is what the hospital was told and then heard to be not so: what was said cannot be unsaid, and is marked.
        .filter(|h| !is_taken_back(&h.json))
        .map(|h| {
            let mut json = h.json.clone();
            json.remove("meta");
            if json["resourceType"].text() == "CarePlan" {
                json.remove("activity"); // holds the settled request too
            }
            if json["resourceType"].text() == "Provenance" {
                json.remove("extension"); // what a list said otherwise than the one before is its story
            }
            // The order of elements is no part of the state.
            let mut value: Value = serde_json::from_str(&json.to_string()).unwrap();
            value.sort_all_objects();
            value.to_string()
        })
        .collect();
    out.sort();
    out
}

/// What only one of two states has.
fn apart(a: &[String], b: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |a: &[String], b: &[String]| a.iter().filter(|x| !b.contains(x)).cloned().collect();
    (only(a, b), only(b, a))
}

const fn nothing() -> (Vec<String>, Vec<String>) {
    (Vec::new(), Vec::new())
}

/// What is open in the end, whatever was opened and taken back on the way there.
fn open_state(world: &World) -> Vec<String> {
    let of = |rtype: &str| world.memory.all(rtype).into_iter().cloned().collect::<Vec<_>>();
    let mut out = Vec::new();
    for episode in of("EpisodeOfCare").iter().filter(|e| e["status"].text() != "cancelled") {
        out.push(format!("episode {} {} {}", episode["status"].text(), episode["patient"], episode["period"]));
    }
    for plan in of("CarePlan").iter().filter(|p| p["status"].text() != "revoked") {
        out.push(format!("plan {} {}", plan["status"].text(), plan["period"]));
    }
    for list in of("List").iter().filter(|l| l["mode"].text() == "working" && l["status"].text() == "current") {
        out.push(format!("list {} {} {}", list["entry"], list["emptyReason"], list["date"]));
    }
    for task in of("Task").iter().filter(|t| t["status"].text() != "cancelled") {
        let code = task["code"]["coding"][0]["code"].text();
        out.push(format!(
            "task {code} {} {} {} {}",
            task["status"].text(),
            task["restriction"],
            task["owner"],
            task["for"]
        ));
    }
    for decision in of("Observation") {
        out.push(format!(
            "decision {} {} {}",
            decision["subject"], decision["valueCodeableConcept"], decision["component"]
        ));
    }
    for patient in of("Patient") {
        out.push(format!("patient {} {}", patient["id"].text(), patient["deceasedDateTime"].text()));
    }
    out.sort();
    out
}

/// What the request for a list of the live episode tells: (status, reason), at most one.
fn request_for_a_list(world: &World) -> Option<(String, String)> {
    let episodes = world.memory.all("EpisodeOfCare");
    let live = episodes.iter().find(|e| e["status"].text() == "active")?["id"].text();
    let tasks = world.memory.all("Task");
    let mut found = tasks.iter().filter(|t| {
        t["code"]["coding"][0]["code"].text() == "request-list" && t["groupIdentifier"]["value"].text() == live
    });
    let task = found.next()?;
    assert!(found.next().is_none(), "one request at most");
    Some((task["status"].text().into(), task["statusReason"]["coding"][0]["code"].text().into()))
}

fn stay(change: &Value) -> Value {
    let mut out = encounter();
    for (path, value) in change.as_object().unwrap() {
        *out.pointer_mut(path).unwrap() = value.clone();
    }
    out
}

fn discharge_list() -> Value {
    json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
        "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]},
        "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
        "entry": [{"item": {"reference": "MedicationRequest/m"}}]})
}

/// Writes pieces in their order, packed as the cuts say; two versions of one resource never share a Bundle.
fn send(world: &mut World, pieces: &[Value], cuts: &[bool]) {
    let mut bundle: Vec<Value> = Vec::new();
    for (n, piece) in pieces.iter().enumerate() {
        if bundle.iter().any(|b| b["resourceType"] == piece["resourceType"] && b["id"] == piece["id"]) {
            world.write("hospital", std::mem::take(&mut bundle)).unwrap();
        }
        bundle.push(piece.clone());
        if cuts.get(n) == Some(&true) {
            world.write("hospital", std::mem::take(&mut bundle)).unwrap();
        }
    }
    if !bundle.is_empty() {
        world.write("hospital", bundle).unwrap();
    }
}

/// Corrections that a hospital makes, one after the other; the last word is the same in all of them.
fn corrections() -> Vec<Vec<Value>> {
    let last = || json!({"/period/end": "2026-11-25T18:30:00Z"});
    let place = |code: &str| json!({"/hospitalization/dischargeDisposition/coding/0/code": code});
    vec![
        vec![last()],
        vec![json!({}), last()],
        vec![json!({"/status": "in-progress"}), json!({}), last()],
        vec![json!({"/period/end": "2026-11-24"}), last()],
        vec![json!({"/class/code": "OBSENC"}), last()],
        vec![place("snf"), last()],
        vec![json!({}), place("snf"), last()],
        vec![json!({}), place("exp"), last()],
        vec![place("exp"), json!({"/status": "in-progress"}), last()],
        vec![json!({}), json!({"/status": "cancelled"}), last()],
        vec![json!({"/class/code": "EMER"}), json!({}), last()],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The same with corrections of the stay between the medicines: it is the last word that counts.
    #[test]
    fn a_corrected_stay_and_its_medicines_end_alike_in_whatever_order(
        which in 0..corrections().len(),
        order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
        places in prop::collection::vec(0..6usize, 3),
        cuts in prop::collection::vec(any::<bool>(), 8),
        with_list in any::<bool>(),
    ) {
        let medicines: Vec<Value> = vec![
            prescription("m", None), home_medicine(), prescription("a", Some("elm")), discharge_list(),
            json!({"resourceType": "AllergyIntolerance", "id": "al", "patient": {"reference": "Patient/p"}}),
        ];
        let mut pieces: Vec<Value> =
            order.iter().filter(|n| with_list || **n != 3).map(|n| medicines[*n].clone()).collect();
        // The versions of the stay keep their order; the medicines come between them wherever.
        let versions: Vec<Value> = corrections()[which].iter().map(stay).collect();
        let mut at: Vec<usize> = places.iter().map(|p| (*p).min(pieces.len())).collect();
        at.sort_unstable();
        for (n, version) in versions.iter().enumerate().rev() {
            pieces.insert(at[n], version.clone());
        }
        let mut expected = World::new();
        let mut all = vec![patient(), versions.last().unwrap().clone()];
        all.extend(pieces.iter().filter(|p| p["resourceType"] != "Encounter").cloned());
        expected.write("hospital", all).unwrap();
        let mut world = World::new();
        world.write("hospital", vec![patient()]).unwrap();
        send(&mut world, &pieces, &cuts);
        prop_assert_eq!(apart(&open_state(&world), &open_state(&expected)), nothing(), "{:?}", pieces);
        if world.episodes() == ["active"] {
            prop_assert_eq!(apart(&state(&world), &state(&expected)), nothing(), "{:?}", pieces);
        }
        // A request for the list that came before the list tells that it has come.
        if let Some((status, reason)) = request_for_a_list(&world) {
            prop_assert_eq!((status.as_str(), reason.as_str()), ("cancelled", "list-arrived"));
        }
    }
}

#[test]
fn a_request_for_a_list_tells_its_story_however_far_it_had_come() {
    for (steps, status, business) in
        [(0, "cancelled", "withdrawn"), (1, "cancelled", "claimed"), (2, "in-progress", "list-arrived")]
    {
        let mut world = World::new();
        world.write("hospital", vec![patient(), encounter()]).unwrap();
        let request = world.task("request-list");
        if steps > 0 {
            world.claim_now("elm", &request).unwrap();
        }
        if steps > 1 {
            world.change("mara", &request, |t| t.set("status", "in-progress")).unwrap();
        }
        world.write("hospital", vec![prescription("m", None), discharge_list()]).unwrap();
        assert_eq!(world.status(&request), status, "{steps}");
        assert_eq!(world.json(&request)["businessStatus"]["coding"][0]["code"].text(), business, "{steps}");
        if status == "cancelled" {
            assert_eq!(world.json(&request)["statusReason"]["coding"][0]["code"].text(), "list-arrived");
        }
        // Who had taken it goes on with the patient, and sees what has come.
        assert_eq!(world.sees("elm", &target("MedicationRequest/m")), steps > 0, "{steps}");
        let puts = world.memory.puts;
        world.write("hospital", vec![discharge_list()]).unwrap();
        assert_eq!(world.memory.puts, puts, "sent again, nothing new");
    }
}

#[test]
fn a_list_taken_back_is_asked_for_again() {
    let mut world = World::new();
    world.write("hospital", vec![patient(), encounter()]).unwrap();
    world.write("hospital", vec![prescription("m", None)]).unwrap();
    world.change("hospital", &target("MedicationRequest/m"), |m| m.set("status", "entered-in-error")).unwrap();
    let requests: Vec<String> =
        world.tasks().into_iter().filter(|(c, _)| c == "request-list").map(|(_, s)| s).collect();
    assert_eq!(requests, ["cancelled", "requested"]);
}

#[test]
fn a_stay_that_moves_to_another_patient_takes_its_follow_up_with_it() {
    let mut world = World::with_discharge();
    world.write("hospital", vec![json!({"resourceType": "Patient", "id": "a", "birthDate": "1951-01-01"})]).unwrap();
    world
        .change("hospital", &target("Encounter/e"), |e| {
            e.set("subject", crate::fhir::Json::from(json!({"reference": "Patient/a"})));
        })
        .unwrap();
    let episodes: Vec<(String, String)> = world
        .memory
        .all("EpisodeOfCare")
        .iter()
        .map(|e| (e["patient"]["reference"].text().to_string(), e["status"].text().to_string()))
        .collect();
    assert!(episodes.contains(&("Patient/p".into(), "cancelled".into())), "{episodes:?}");
    assert!(episodes.contains(&("Patient/a".into(), "active".into())), "{episodes:?}");
    for task in world.memory.all("Task") {
        let of_the_old = task["for"]["reference"].text() == "Patient/p";
        assert_eq!(task["status"].text() == "cancelled", of_the_old, "{task}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Law 6 of the programme: order and packing of what a hospital sends do not matter.
    #[test]
    fn in_whatever_order_and_packing_it_arrives_the_state_is_the_same(
        order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(),
        cuts in prop::collection::vec(any::<bool>(), 7),
        stepwise in any::<bool>(),
    ) {
        let parts = || vec![
            encounter(), home_medicine(), prescription("m", None), prescription("b", None), prescription("a", None),
            json!({"resourceType": "AllergyIntolerance", "id": "al", "patient": {"reference": "Patient/p"}}),
            json!({"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot",
                "code": {"coding": [{"system": "http://loinc.org", "code": "10183-2"}]},
                "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
                "entry": [{"item": {"reference": "MedicationRequest/m"}}]}),
        ];
        let mut expected = World::new();
        let mut all = vec![patient()];
        all.extend(parts());
        expected.write("hospital", all).unwrap();

        let mut world = World::new();
        world.write("hospital", vec![patient()]).unwrap();
        if stepwise {
            let mut admitted = encounter();
            admitted["status"] = "in-progress".into();
            admitted["period"].as_object_mut().unwrap().remove("end");
            world.write("hospital", vec![admitted]).unwrap();
        }
        let mut bundle: Vec<Value> = Vec::new();
        for (n, cut) in order.iter().zip(&cuts) {
            bundle.push(parts()[*n].clone());
            if *cut {
                world.write("hospital", std::mem::take(&mut bundle)).unwrap();
            }
        }
        if !bundle.is_empty() {
            world.write("hospital", bundle).unwrap();
        }
        prop_assert_eq!(state(&world), state(&expected));
        // What a pharmacy will see once it has claimed is the same too.
        let shown = |w: &World| w.memory.shares.keys().filter(|(o, t, _)| *o == 0
            && !(t.rtype.as_str() == "Task" && w.status(t) == "cancelled")).map(|(_, t, _)| t.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(shown(&world), shown(&expected));
    }
}
