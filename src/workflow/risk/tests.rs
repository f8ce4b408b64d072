use crate::fhir::Json;
use crate::workflow::Programme;
use crate::workflow::protocol::Case;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn score(id: &str, encounter: Value, around: Vec<Value>) -> super::Scored {
    let programme = Programme::for_tests();
    let score = programme.scores.iter().find(|s| s.id == id).unwrap();
    let (encounter, patient): (Json, Json) = (encounter.into(), patient().into());
    let around: Vec<Json> = around.into_iter().map(Json::from).collect();
    let now = crate::clock::Instant::parse(NOW).unwrap();
    score.of(&Case::of(Some(&encounter), &patient, None, around.iter(), 0, now))
}

fn stay(days: i64, urgent: Option<bool>) -> Value {
    let mut out = encounter();
    out["period"]["start"] = json!(format!("2026-11-{:02}T08:00:00Z", 25 - days));
    if let Some(urgent) = urgent {
        let system = "http://terminology.hl7.org/CodeSystem/v3-ActPriority";
        out["priority"] = json!({"coding": [{"system": system, "code": if urgent { "EM" } else { "EL" }}]});
    }
    out
}

fn diagnosis(id: &str, code: &str) -> Value {
    json!({"resourceType": "Condition", "id": id, "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}})
}

fn visit(id: &str, class: &str, day: &str) -> Value {
    json!({"resourceType": "Encounter", "id": id, "status": "finished", "class": {"code": class},
        "subject": {"reference": "Patient/p"}, "period": {"start": format!("{day}T08:00:00Z")}})
}

/// (days, urgent, diagnoses, emergency visits, points, level)
#[test]
fn lace_as_a_table() {
    for (days, urgent, codes, visits, points, level) in [
        (0, false, vec!["Z00.0"], vec!["2026-01-05"], 0, "low"),
        (1, false, vec!["Z00.0"], vec!["2026-01-05"], 1, "low"),
        (3, false, vec!["Z00.0"], vec!["2026-01-05"], 3, "low"),
        (6, false, vec!["Z00.0"], vec!["2026-01-05"], 4, "low"),
        (7, false, vec!["Z00.0"], vec!["2026-01-05"], 5, "moderate"),
        (13, false, vec!["Z00.0"], vec!["2026-01-05"], 5, "moderate"),
        (14, false, vec!["Z00.0"], vec!["2026-01-05"], 7, "moderate"),
        (3, true, vec!["Z00.0"], vec!["2026-01-05"], 6, "moderate"),
        (3, true, vec!["I50.9"], vec!["2026-01-05"], 8, "moderate"),
        // Two diagnoses of one kind count once; four points and more give five.
        (3, true, vec!["I50.9", "I42.0"], vec!["2026-01-05"], 8, "moderate"),
        (3, true, vec!["I50.9", "J44.9"], vec!["2026-01-05"], 11, "high"),
        (3, true, vec!["I50.9"], vec!["2026-06-01", "2026-10-01", "2026-11-01"], 11, "high"),
        (
            3,
            true,
            vec!["Z00.0"],
            vec!["2026-07-01", "2026-08-01", "2026-09-01", "2026-10-01", "2026-11-01"],
            10,
            "high",
        ),
    ] {
        let mut around: Vec<Value> = codes.iter().enumerate().map(|(n, c)| diagnosis(&format!("c{n}"), c)).collect();
        around.extend(visits.iter().enumerate().map(|(n, day)| visit(&format!("v{n}"), "EMER", day)));
        let scored = score("lace", stay(days, Some(urgent)), around);
        assert_eq!(scored.total, Some((points, level.to_string())), "{days} {urgent} {codes:?} {visits:?}: {scored:?}");
    }
}

#[test]
fn what_is_not_known_is_named_and_never_guessed() {
    let all = || vec![diagnosis("c", "I50.9"), visit("v", "EMER", "2026-10-01")];
    for (encounter, around, missing) in [
        (stay(3, Some(true)), all(), vec![]),
        (stay(3, None), all(), vec!["(A)"]),
        (stay(3, Some(true)), vec![visit("v", "EMER", "2026-10-01")], vec!["(C)"]),
        (stay(3, Some(true)), vec![diagnosis("c", "I50.9")], vec!["(E)"]),
        (stay(3, None), vec![], vec!["(A)", "(C)", "(E)"]),
    ] {
        let scored = score("lace", encounter, around);
        assert_eq!(scored.total.is_some(), missing.is_empty(), "{scored:?}");
        assert_eq!(scored.missing.len(), missing.len(), "{scored:?}");
        assert!(missing.iter().zip(&scored.missing).all(|(code, said)| said.ends_with(code)), "{scored:?}");
    }
}

#[test]
fn hospital_takes_the_last_values_of_the_stay() {
    let lab = |id: &str, code: &str, value: f64, at: &str| {
        json!({"resourceType": "Observation", "id": id, "encounter": {"reference": "Encounter/e"},
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "effectiveDateTime": at,
            "valueQuantity": {"value": value, "unit": if code == "718-7" { "g/dL" } else { "mmol/L" }}})
    };
    let procedure = json!({"resourceType": "Procedure", "id": "x", "encounter": {"reference": "Encounter/e"}});
    for (haemoglobin, sodium, days, points, level) in [
        (13.1, 140.0, 3, 2, "low"),
        (11.9, 140.0, 3, 3, "low"),
        (11.9, 134.0, 3, 4, "low"),
        (11.9, 134.0, 5, 6, "moderate"),
    ] {
        let around = vec![
            lab("a", "718-7", haemoglobin, "2026-11-25T06:00:00Z"),
            lab("b", "718-7", 20.0 - haemoglobin, "2026-11-23T06:00:00Z"),
            lab("c", "2951-2", sodium, "2026-11-25T06:00:00Z"),
            procedure.clone(),
            visit("v", "AMB", "2026-10-01"),
        ];
        let mut encounter = stay(days, Some(true));
        encounter["serviceType"] = json!({"text": "Cardiology"});
        let scored = score("hospital", encounter, around);
        assert_eq!(scored.total, Some((points, level.to_string())), "{scored:?}");
    }
    // 95 g/L is 9.5 g/dL: a value in another unit, or in none, is not known, and is not taken for what it is not.
    for quantity in
        [json!({"value": 95, "unit": "g/L"}), json!({"value": 8.7, "unit": "mmol/L"}), json!({"value": 9.5})]
    {
        let mut haemoglobin = lab("a", "718-7", 0.0, "2026-11-25T06:00:00Z");
        haemoglobin["valueQuantity"] = quantity;
        let scored = score("hospital", stay(3, Some(true)), vec![haemoglobin]);
        assert!(scored.missing.iter().any(|m| m.ends_with("(H)")), "{scored:?}");
    }
}

#[test]
fn what_never_was_counts_for_no_score() {
    let condition = |rest: Value| {
        let mut out = json!({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I50.9"}]}});
        for (name, value) in rest.as_object().unwrap() {
            out[name] = value.clone();
        }
        out
    };
    let verified = |code: &str| json!({"verificationStatus": {"coding": [{"code": code}]}});
    let comorbidity = |around: Vec<Value>| {
        let scored = score("lace", stay(3, Some(true)), around);
        scored.known.iter().find(|(name, ..)| name.starts_with("Comorbid")).map(|(_, _, points)| *points)
    };
    let confirmed = comorbidity(vec![condition(verified("confirmed"))]);
    assert!(confirmed.is_some_and(|points| points > 0), "{confirmed:?}");
    for code in ["refuted", "entered-in-error"] {
        assert_eq!(comorbidity(vec![condition(verified(code))]), comorbidity(vec![]), "{code}");
    }
    let mut called_off = visit("v", "EMER", "2026-10-01");
    called_off["status"] = "cancelled".into();
    let of = |around: Vec<Value>| score("lace", stay(3, Some(true)), around).known;
    assert_eq!(of(vec![called_off]), of(vec![]));
}

#[test]
fn a_discharge_gets_its_scores_and_a_high_one_makes_its_tasks_more_urgent() {
    let world = World::with_discharge();
    let risks = world.memory.all("RiskAssessment");
    assert_eq!(risks.len(), 2);
    assert!(risks.iter().all(|r| r["status"].text() == "preliminary" && r["prediction"].is_null()), "{risks:?}");
    assert!(risks.iter().all(|r| r["note"].items().iter().any(|n| n["text"].text().contains("not guessed"))));
    let calm = world.json(&world.task("first-call"))["priority"].text().to_string();
    assert_eq!(calm, "urgent");
    assert!(
        world.json(&world.task("first-call"))["note"][0]["text"]
            .text()
            .starts_with("Priority urgent and due as the protocol says.")
    );

    let mut world = World::new();
    let mut resources = discharge();
    resources[1] = stay(14, Some(true));
    resources.extend([diagnosis("c", "I50.9"), diagnosis("c2", "J44.9"), visit("v", "EMER", "2026-10-01")]);
    resources[4]["clinicalStatus"] =
        json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]});
    world.write("hospital", resources).unwrap();
    let call = world.json(&world.task("first-call"));
    assert_eq!(call["priority"].text(), "asap");
    let note = call["note"][0]["text"].text();
    assert!(note.starts_with("Priority asap in place of urgent: LACE: high, 16 points."), "{note}");
    let lace = world.memory.all("RiskAssessment").into_iter().find(|r| r["status"].text() == "final").unwrap();
    assert_eq!(lace["prediction"][0]["qualitativeRisk"]["coding"][0]["code"].text(), "high");
    let puts = world.memory.puts;
    world.change("hospital", &target("Encounter/e"), |_| {}).unwrap();
    assert_eq!(world.memory.puts, puts, "a replay adds nothing");

    // The same when the diagnoses come later.
    let mut world = World::new();
    let mut resources = discharge();
    resources[1] = stay(14, Some(true));
    resources.push(visit("v", "EMER", "2026-10-01"));
    world.write("hospital", resources).unwrap();
    let at = world.task("first-call");
    assert_eq!(world.json(&at)["priority"].text(), "urgent");
    world.claim_now("elm", &at).unwrap();
    world
        .change("mara", &at, |t| t.push("note", Json::from(json!({"text": "Only after ten: works nights."}))))
        .unwrap();
    world.write("hospital", vec![diagnosis("c", "I50.9"), diagnosis("c2", "J44.9")]).unwrap();
    let task = world.json(&at);
    assert_eq!(task["priority"].text(), "asap");
    let notes: Vec<&str> = task["note"].items().iter().map(|n| n["text"].text()).collect();
    assert_eq!(notes.len(), 3, "what was noted stays: {notes:?}");
    assert!(notes[0].starts_with("Priority urgent and due as the protocol says."), "{notes:?}");
    assert_eq!(notes[1], "Only after ten: works nights.");
    assert!(notes[2].starts_with("Priority asap in place of urgent: LACE: high"), "{notes:?}");
}

#[test]
fn a_bad_score_names_its_element() {
    let good: Json = json!({"id": "x", "title": "X", "concept": [
        {"code": "a", "display": "A", "property": [{"code": "value", "valueString": "%days"}, {"code": "points", "valueString": "1:1"}]},
        {"code": "low", "property": [{"code": "from", "valueInteger": 0}]}]})
    .into();
    let read = |change: &dyn Fn(&mut Value)| {
        let mut codes: Value = serde_json::from_str(&good.to_string()).unwrap();
        change(&mut codes);
        let mut complaints = super::Complaints::default();
        super::Score::read("risk/x.json", &codes.into(), &mut complaints);
        complaints.settle().map_err(|e| e.issues[0].expression.clone())
    };
    assert_eq!(read(&|_| {}), Ok(()));
    for (pointer, value, at) in [
        ("/concept/0/property/0/valueString", json!("%day"), "CodeSystem.concept[0].property"),
        ("/concept/0/property/1/valueString", json!("one"), "CodeSystem.concept[0].property"),
        ("/concept/1/property/0/valueInteger", json!(5), "CodeSystem.concept"),
    ] {
        assert_eq!(read(&|c| *c.pointer_mut(pointer).unwrap() = value.clone()), Err(at.to_string()), "{pointer}");
    }
}
