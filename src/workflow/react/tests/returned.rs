//! What goes back, and to whom.

use crate::workflow::world::*;
use serde_json::json;

fn letter(to: &str) -> serde_json::Value {
    json!({"resourceType": "Communication", "id": format!("to-{to}"), "status": "completed", "subject": {"reference": "Patient/p"},
        "sender": {"reference": "Organization/lakeside"}, "recipient": [{"reference": format!("Organization/{to}")}],
        "payload": [{"contentString": "The list follows."}]})
}

/// A pharmacy that has taken nothing but the review of a problem takes part, and hears what is addressed to it; another does not.
#[test]
fn who_works_on_a_review_alone_hears_what_is_addressed_to_it() {
    let mut world = World::screening();
    let mut second = prescription("n", None);
    second["medicationCodeableConcept"] = json!({
        "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "866412"}],
        "text": "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet"
    });
    let mut all = discharge();
    all.push(second);
    world.write("hospital", all).unwrap();
    let is_review = |t: &&crate::fhir::Json| t["code"]["coding"][0]["code"].text() == "review-dtp";
    let review = world.memory.all("Task").into_iter().find(is_review).and_then(crate::workflow::element::target_of);
    let review = review.unwrap();
    assert_eq!(world.status(&review), "requested");
    world.write("hospital", vec![letter("harbour")]).unwrap();
    assert!(!world.sees("harbour", &target("Communication/to-harbour")), "nobody takes part yet");
    world.claim_now("harbour", &review).unwrap();
    world.write("hospital", vec![letter("harbour"), letter("elm")]).unwrap();
    assert!(world.sees("harbour", &target("Communication/to-harbour")));
    assert!(!world.sees("elm", &target("Communication/to-elm")), "it has taken nothing");
}
