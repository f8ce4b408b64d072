use crate::fhir::Json;
use crate::workflow::answers::{Asked, populate};
use crate::workflow::element;
use crate::workflow::world::*;
use serde_json::{Value, json};

const FORM: &str = "http://baton.example/fhir/Questionnaire/first-call|1";

fn coded(code: &str) -> Value {
    json!({"valueCoding": {"system": element::system("answer"), "code": code}})
}

fn reason(code: &str) -> Value {
    json!({"valueCoding": {"system": element::system("dtp-rationale"), "code": code}})
}

fn item(link: &str, answer: Value) -> Value {
    json!({"linkId": link, "answer": [answer]})
}

fn flags(bleeding: bool) -> Value {
    let of = |name: &str, yes: bool| item(&format!("red-flag.{name}"), json!({"valueBoolean": yes}));
    json!({"linkId": "red-flag", "item": [of("bleeding", bleeding), of("low-sugar", false), of("breathing", false), of("fainting", false)]})
}

/// A medicine of the list, with further answers.
fn medicine(name: &str, taking: &str, more: &[Value]) -> Value {
    let mut items = vec![
        item("medicine.name", json!({"valueString": name})),
        item("medicine.have", json!({"valueBoolean": true})),
        item("medicine.taking", coded(taking)),
        item("medicine.side-effect", json!({"valueBoolean": false})),
    ];
    items.extend(more.iter().cloned());
    json!({"linkId": "medicine", "item": items})
}

/// Whole answers with one medicine that is taken as written.
fn response() -> Value {
    json!({
        "resourceType": "QuestionnaireResponse", "id": "q", "questionnaire": FORM, "status": "completed",
        "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/e"},
        "authored": "2026-11-25T20:50:00Z", "author": {"reference": "Practitioner/mara"},
        "item": [item("spoke-with", coded("patient")), flags(false), medicine("m 100 MG", "as-written", &[])],
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut out = response();
    change(&mut out);
    out
}

fn with_medicine(medicine: Value) -> Value {
    with(|r| r["item"][2] = medicine)
}

/// (what is written, status, element) by a technician; 200: taken.
#[test]
fn answers_against_their_form_as_a_table() {
    let extra = |item: Value| with(|r| r["item"].as_array_mut().unwrap().push(item));
    let how = |text: &str| item("medicine.how", json!({"valueString": text}));
    let mut no_flags = response();
    no_flags["item"].as_array_mut().unwrap().remove(1);
    let at = "QuestionnaireResponse";
    let cases: Vec<(&str, Value, u16, String)> = vec![
        ("whole", response(), 200, String::new()),
        (
            "unknown form",
            with(|r| r["questionnaire"] = json!("http://baton.example/fhir/Questionnaire/no|1")),
            422,
            format!("{at}.questionnaire"),
        ),
        (
            "unknown version",
            with(|r| r["questionnaire"] = json!("http://baton.example/fhir/Questionnaire/first-call|7")),
            422,
            format!("{at}.questionnaire"),
        ),
        (
            "no version",
            with(|r| r["questionnaire"] = json!("http://baton.example/fhir/Questionnaire/first-call")),
            422,
            format!("{at}.questionnaire"),
        ),
        (
            "another form",
            with(|r| r["questionnaire"] = json!("http://elsewhere.example/Questionnaire/x")),
            200,
            String::new(),
        ),
        (
            "another patient",
            with(|r| r["subject"] = json!({"reference": "Patient/other"})),
            422,
            format!("{at}.subject"),
        ),
        (
            "no patient",
            with(|r| {
                r.as_object_mut().unwrap().remove("subject");
            }),
            422,
            format!("{at}.subject"),
        ),
        (
            "another author",
            with(|r| r["author"] = json!({"reference": "Practitioner/jonas"})),
            403,
            format!("{at}.author"),
        ),
        (
            "no author",
            with(|r| {
                r.as_object_mut().unwrap().remove("author");
            }),
            422,
            format!("{at}.author"),
        ),
        ("the future", with(|r| r["authored"] = json!("2026-11-25T22:00:00Z")), 422, format!("{at}.authored")),
        ("unknown linkId", extra(item("shoe-size", json!({"valueInteger": 43}))), 422, format!("{at}.item[3].linkId")),
        (
            "unknown linkId inside",
            with_medicine(medicine("m", "as-written", &[item("colour", json!({"valueString": "red"}))])),
            422,
            format!("{at}.item[2].item[4].linkId"),
        ),
        ("required group is missing", no_flags.clone(), 422, format!("{at}.item")),
        (
            "required answer is missing",
            with(|r| {
                r["item"][2]["item"].as_array_mut().unwrap().remove(2);
            }),
            422,
            format!("{at}.item[2].item"),
        ),
        (
            "the same in progress",
            {
                no_flags["status"] = json!("in-progress");
                no_flags
            },
            200,
            String::new(),
        ),
        ("required once enabled", with_medicine(medicine("m", "differently", &[])), 422, format!("{at}.item[2].item")),
        ("enabled and answered", with_medicine(medicine("m", "differently", &[how("half of it")])), 200, String::new()),
        (
            "disabled and answered",
            with_medicine(medicine("m", "as-written", &[how("half of it")])),
            422,
            format!("{at}.item[2].item[4]"),
        ),
        (
            "each repetition by itself",
            with(|r| {
                r["item"] = json!([
                    r["item"][0],
                    r["item"][1],
                    medicine("a", "differently", &[how("x")]),
                    medicine("b", "as-written", &[how("x")])
                ]);
            }),
            422,
            format!("{at}.item[3].item[4]"),
        ),
        (
            "another type",
            with(|r| r["item"][2]["item"][1]["answer"] = json!([{"valueString": "yes"}])),
            422,
            format!("{at}.item[2].item[1].answer[0].value"),
        ),
        (
            "none of the options",
            with_medicine(medicine("m", "sometimes", &[])),
            422,
            format!("{at}.item[2].item[2].answer[0].value"),
        ),
        (
            "in the value set",
            with_medicine(medicine("m", "not-taking", &[item("medicine.why-not", reason("cost"))])),
            200,
            String::new(),
        ),
        (
            "not in the value set",
            with_medicine(medicine("m", "not-taking", &[item("medicine.why-not", reason("weather"))])),
            422,
            format!("{at}.item[2].item[4].answer[0].value"),
        ),
        (
            "two answers to one question",
            with(|r| r["item"][2]["item"][1]["answer"] = json!([{"valueBoolean": true}, {"valueBoolean": false}])),
            422,
            format!("{at}.item[2].item[1].answer"),
        ),
        ("an item twice", extra(item("spoke-with", coded("carer"))), 422, format!("{at}.item[3]")),
        (
            "too long",
            with_medicine(medicine(&"m".repeat(401), "as-written", &[])),
            422,
            format!("{at}.item[2].item[0].answer[0].value"),
        ),
        (
            "an answer without a value",
            with(|r| r["item"][2]["item"][1]["answer"] = json!([{"item": []}])),
            422,
            format!("{at}.item[2].item[1].answer[0]"),
        ),
    ];
    for (name, resource, status, place) in cases {
        let (mut world, _) = World::with_call();
        let result = world.write("mara", vec![resource]);
        let got = result.as_ref().map_or_else(|e| e.kind.status(), |()| 200);
        assert_eq!(got, status, "{name}: {result:?}");
        if let Err(error) = result {
            assert!(error.issues.iter().any(|i| i.expression == place), "{name}: {place}: {:?}", error.issues);
        }
    }
}

#[test]
fn the_life_of_answers_as_a_table() {
    let said = |status: &str, name: &str| {
        with(|r| {
            r["status"] = json!(status);
            r["item"][2] = medicine(name, "as-written", &[]);
        })
    };
    for (from, to, taken) in [
        (said("in-progress", "m"), said("completed", "n"), true),
        (said("in-progress", "m"), said("in-progress", "n"), true),
        (said("in-progress", "m"), said("amended", "n"), false),
        (said("completed", "m"), said("completed", "m"), true),
        (said("completed", "m"), said("completed", "n"), false),
        (said("completed", "m"), said("amended", "n"), true),
        (said("completed", "m"), said("in-progress", "m"), false),
        (said("completed", "m"), said("entered-in-error", "m"), true),
        (said("stopped", "m"), said("in-progress", "n"), true),
        (said("entered-in-error", "m"), said("completed", "m"), false),
        (said("entered-in-error", "m"), said("entered-in-error", "n"), false),
    ] {
        let (mut world, _) = World::with_call();
        world.write("mara", vec![from.clone()]).unwrap();
        let result = world.write("mara", vec![to.clone()]);
        assert_eq!(result.is_ok(), taken, "{} to {}: {result:?}", from["status"], to["status"]);
    }
    let (mut world, _) = World::with_call();
    world.write("mara", vec![response()]).unwrap();
    let moved = with(|r| r["questionnaire"] = json!("http://baton.example/fhir/Questionnaire/follow-up|1"));
    let error = world.write("mara", vec![moved]).unwrap_err();
    assert!(error.issues.iter().any(|i| i.expression == "QuestionnaireResponse.questionnaire"));
}

#[test]
fn a_sign_that_cannot_wait_opens_a_stat_review_at_once() {
    let (mut world, _) = World::with_call();
    let before = world.tasks().iter().filter(|(code, _)| code == "review-dtp").count();
    let flagged = with(|r| {
        r["status"] = json!("in-progress");
        r["item"] = json!([flags(true)]);
    });
    world.write("mara", vec![flagged.clone()]).unwrap();
    let reviews: Vec<&Json> = world.memory.all("Task").into_iter().filter(|t| t["priority"].text() == "stat").collect();
    assert_eq!(reviews.len(), 1, "while the call is still going on");
    assert_eq!(reviews[0]["restriction"]["period"]["end"].text(), "2026-11-25T22:00:00Z", "within the hour");
    assert_eq!(reviews[0]["performerType"][0]["coding"][0]["code"].text(), "183500000X");
    let issue = element::leads_to(&reviews[0]["focus"], "").unwrap();
    let issue = world.json(&issue);
    assert_eq!((issue["status"].text(), issue["severity"].text()), ("preliminary", "high"));
    assert_eq!(issue["evidence"][0]["detail"][0]["reference"].text(), "QuestionnaireResponse/q");
    // The same answer again, and then completed, opens no second one.
    world.write("mara", vec![flagged]).unwrap();
    world.write("mara", vec![with(|r| r["item"][1] = flags(true))]).unwrap();
    let after = world.tasks().iter().filter(|(code, _)| code == "review-dtp").count();
    assert_eq!(after, before + 1);
    let (mut calm, _) = World::with_call();
    calm.write("mara", vec![response()]).unwrap();
    assert!(calm.memory.all("Task").iter().all(|t| t["priority"].text() != "stat"), "no flag, no review");
}

fn told(world: &World) -> Vec<(String, String, Vec<String>)> {
    let mut out: Vec<_> = world
        .memory
        .all("MedicationStatement")
        .into_iter()
        .filter(|s| !s["derivedFrom"].items().is_empty())
        .map(|s| {
            let reasons = s["statusReason"].items().iter().map(|r| r["coding"][0]["code"].text().to_string());
            (
                s["medicationCodeableConcept"]["text"].text().to_string(),
                s["status"].text().to_string(),
                reasons.collect(),
            )
        })
        .collect();
    out.sort();
    out
}

/// (answers about one medicine, status and reasons of the statement)
#[test]
fn what_is_made_of_answers_as_a_table() {
    let have = |is: bool| {
        let mut out = medicine("m 100 MG", "as-written", &[]);
        out["item"][1]["answer"][0]["valueBoolean"] = json!(is);
        out
    };
    let effect = {
        let mut out =
            medicine("m 100 MG", "as-written", &[item("medicine.side-effect-what", json!({"valueString": "dizzy"}))]);
        out["item"][3]["answer"][0]["valueBoolean"] = json!(true);
        out
    };
    let group = |link: &str, items: Value| json!({"linkId": link, "item": items});
    let still = |yes: bool| {
        group(
            "stopped",
            json!([
                item("stopped.name", json!({"valueString": "m 100 MG"})),
                item("stopped.still-taking", json!({"valueBoolean": yes}))
            ]),
        )
    };
    for (said, status, reasons) in [
        (medicine("m 100 MG", "as-written", &[]), "active", vec![]),
        (
            medicine("m 100 MG", "differently", &[item("medicine.how", json!({"valueString": "at night"}))]),
            "active",
            vec![],
        ),
        (medicine("m 100 MG", "not-taking", &[item("medicine.why-not", reason("cost"))]), "not-taken", vec!["cost"]),
        (have(false), "not-taken", vec!["supply"]),
        (effect, "active", vec!["side-effect"]),
        (
            medicine("m 100 MG", "as-written", &[item("medicine.barrier", reason("technique"))]),
            "active",
            vec!["technique"],
        ),
        (still(true), "active", vec![]),
        (still(false), "not-taken", vec![]),
        (group("other", json!([item("other.name", json!({"valueString": "m 100 MG"}))])), "active", vec![]),
    ] {
        let (mut world, _) = World::with_call();
        world.write("mara", vec![with_medicine(said.clone())]).unwrap();
        world.extract("mara", "q").unwrap();
        let reasons: Vec<String> = reasons.into_iter().map(String::from).collect();
        assert_eq!(told(&world), [("m 100 MG".to_string(), status.to_string(), reasons)], "{said}");
    }
}

#[test]
fn amended_answers_change_what_was_made_and_add_nothing() {
    let (mut world, _) = World::with_call();
    let allergy = json!({"linkId": "allergy", "item": [
        item("allergy.substance", json!({"valueString": "penicillin"})), item("allergy.reaction", json!({"valueString": "rash"}))]});
    let two = |taking: &str| {
        with(|r| {
            r["item"] = json!([
                r["item"][0],
                r["item"][1],
                medicine("a 5 MG", taking, &[]),
                medicine("b 5 MG", "as-written", &[]),
                allergy
            ]);
        })
    };
    world.write("mara", vec![two("as-written")]).unwrap();
    let made = world.extract("mara", "q").unwrap();
    assert_eq!(made["entry"].items().len(), 3);
    let allergies = world.memory.all("AllergyIntolerance");
    assert_eq!(allergies.len(), 1);
    assert_eq!(allergies[0]["verificationStatus"]["coding"][0]["code"].text(), "unconfirmed");
    let puts = world.memory.puts;
    world.extract("mara", "q").unwrap();
    assert_eq!(world.memory.puts, puts, "asked again it changes nothing");
    let mut amended = two("not-taking");
    amended["status"] = json!("amended");
    amended["item"].as_array_mut().unwrap().truncate(3);
    world.write("mara", vec![amended]).unwrap();
    world.extract("mara", "q").unwrap();
    let expected = [("a 5 MG", "not-taken"), ("b 5 MG", "entered-in-error")];
    let expected = expected.map(|(n, s)| (n.to_string(), s.to_string(), Vec::<String>::new()));
    assert_eq!(told(&world), expected);
    let allergies = world.memory.all("AllergyIntolerance");
    assert_eq!(
        (allergies.len(), allergies[0]["verificationStatus"]["coding"][0]["code"].text()),
        (1, "entered-in-error")
    );
    // What is not whole, or answers another form, makes nothing.
    let mut other = with(|r| r["id"] = json!("x"));
    other["questionnaire"] = json!("http://elsewhere.example/Questionnaire/x");
    let mut open = with(|r| r["id"] = json!("y"));
    open["status"] = json!("in-progress");
    world.write("mara", vec![other, open]).unwrap();
    for id in ["x", "y"] {
        assert_eq!(world.extract("mara", id).unwrap_err().kind.status(), 422, "{id}");
    }
}

#[test]
fn a_form_is_filled_in_from_the_reconciled_list() {
    let world = World::with_discharge();
    let list = world.memory.all("List")[0];
    let form = world.programme.artifact("Questionnaire", FORM).unwrap();
    let asked = Asked {
        patient: "Patient/p".into(),
        encounter: Some("Encounter/e".into()),
        author: Some("Practitioner/mara".into()),
    };
    let filled = populate(form, &asked, Some(list), world.now);
    let groups: Vec<(&str, &str, &str)> = filled["item"]
        .items()
        .iter()
        .map(|i| {
            (
                i["linkId"].text(),
                i["item"][0]["answer"][0]["valueString"].text(),
                i["item"][1]["answer"][0]["valueReference"]["reference"].text(),
            )
        })
        .collect();
    // What was taken at home and is not prescribed any more is asked for as such.
    let expected = [
        ("medicine", "m 100 MG", "MedicationRequest/m"),
        ("stopped", "metoprolol tartrate 25 MG Oral Tablet", "MedicationStatement/home"),
    ];
    assert_eq!(groups, expected, "{filled}");
    // It can be written as it is, and is valid R4.
    assert!(crate::fhir::validate::resource(&filled).is_empty());
    let mut world = world;
    let mut written: Value = serde_json::from_str(&filled.to_string()).unwrap();
    written["id"] = json!("q");
    world.write("mara", vec![written]).unwrap();
}

#[test]
fn a_task_ends_with_the_answers_that_it_asked_for() {
    for (change, status) in [
        (json!({}), 200),
        (json!({"questionnaire": "http://baton.example/fhir/Questionnaire/red-flags|1", "item": [flags(false)]}), 422),
        (json!({"status": "in-progress"}), 422),
    ] {
        let (mut world, call) = World::with_call();
        assert_eq!(world.json(&call)["input"][0]["valueCanonical"].text(), FORM);
        let answers = with(|r| {
            for (name, value) in change.as_object().unwrap() {
                r[name] = value.clone();
            }
        });
        world.write("mara", vec![answers]).unwrap();
        let done = world.change("mara", &call, |t| {
            t.set("status", "completed");
            let output =
                json!([{"type": {"text": "answers"}, "valueReference": {"reference": "QuestionnaireResponse/q"}}]);
            t.set("output", Json::from(output));
        });
        assert_eq!(done.as_ref().map_or_else(|e| e.kind.status(), |()| 200), status, "{change}: {done:?}");
    }
}

/// Rules that have found something that stands.
fn found(world: &World) -> Vec<String> {
    let rule = |d: &Json| {
        let parts = element::extension(d, "rule-fired")?["extension"].items();
        parts.iter().find(|e| e["url"].text() == "rule").map(|e| e["valueCode"].text().to_string())
    };
    let stands = |d: &&Json| d["status"].text() == "preliminary";
    let mut out: Vec<String> = world.memory.all("DetectedIssue").into_iter().filter(stands).filter_map(rule).collect();
    out.sort();
    out
}

/// A call of a patient with one readable medicine.
fn call() -> World {
    let mut world = World::screening();
    let mut all = discharge();
    all.retain(|r| r["id"] != "home");
    all[2]["medicationCodeableConcept"]["text"] = "lisinopril 10 MG Oral Tablet".into();
    all[2]["dosageInstruction"] = json!([{"text": "1 tablet once daily"}]);
    world.write("hospital", all).unwrap();
    let call = world.task("first-call");
    world.claim_now("elm", &call).unwrap();
    world.attempt("mara", &call, json!([{"name": "outcome", "valueCode": "reached"}])).unwrap();
    world
}

fn lisinopril(taking: &str, side_effect: bool, more: &[Value]) -> Value {
    let mut items = vec![item("medicine.resource", json!({"valueReference": {"reference": "MedicationRequest/m"}}))];
    if side_effect {
        items.push(item("medicine.side-effect-what", json!({"valueString": "a dry cough"})));
    }
    items.extend(more.iter().cloned());
    let mut out = medicine("lisinopril 10 MG Oral Tablet", taking, &items);
    for item in out["item"].as_array_mut().unwrap() {
        if item["linkId"] == "medicine.side-effect" {
            item["answer"] = json!([{"valueBoolean": side_effect}]);
        }
    }
    out
}

#[test]
fn what_is_answered_is_found_at_once_as_a_table() {
    let teach_back = |code: &str| item("medicine.teach-back", coded(code));
    let barrier = |code: &str| item("medicine.barrier", reason(code));
    for (medicine, rules) in [
        (lisinopril("as-written", false, &[teach_back("right")]), vec![]),
        (lisinopril("as-written", true, &[]), vec!["answered-side-effect"]),
        (lisinopril("as-written", false, &[teach_back("partly")]), vec!["answered-teach-back"]),
        (lisinopril("as-written", false, &[barrier("cost")]), vec!["answered-cost"]),
        (lisinopril("as-written", false, &[barrier("technique")]), vec!["answered-technique"]),
        (lisinopril("as-written", false, &[barrier("supply")]), vec!["answered-supply"]),
        (lisinopril("not-taking", false, &[]), vec!["answered-not-taking"]),
        (lisinopril("not-taking", false, &[barrier("cost")]), vec!["answered-cost"]),
        (
            lisinopril("as-written", true, &[teach_back("not"), barrier("cost")]),
            vec!["answered-cost", "answered-side-effect", "answered-teach-back"],
        ),
    ] {
        let mut world = call();
        let mut begun = with_medicine(medicine.clone());
        begun["status"] = json!("in-progress");
        world.write("mara", vec![begun]).unwrap();
        assert_eq!(found(&world), [""; 0], "what is not whole says nothing yet");
        world.write("mara", vec![with_medicine(medicine.clone())]).unwrap();
        assert_eq!(found(&world), rules, "{medicine}");
        for issue in world.memory.all("DetectedIssue") {
            assert!(issue["detail"].text().contains("lisinopril"), "{issue}");
            assert!(issue.to_string().contains("QuestionnaireResponse/q"), "the answers show it: {issue}");
            assert!(issue["implicated"].to_string().contains("MedicationRequest/m"), "{issue}");
        }
        // What is made of the answers says the same: it is found once.
        let (issues, reviews) = (world.memory.all("DetectedIssue").len(), world.tasks().len());
        world.extract("mara", "q").unwrap();
        assert_eq!(found(&world), rules, "after $extract: {medicine}");
        assert_eq!((world.memory.all("DetectedIssue").len(), world.tasks().len()), (issues, reviews), "{medicine}");
        // Amended, so that nothing is wrong any more: what nobody has begun is withdrawn.
        let mut amended = with_medicine(lisinopril("as-written", false, &[]));
        amended["status"] = json!("amended");
        world.write("mara", vec![amended]).unwrap();
        world.extract("mara", "q").unwrap();
        assert_eq!(found(&world), [""; 0], "amended: {medicine}");
    }
}

#[test]
fn a_stopped_medicine_that_is_still_taken_is_found() {
    let mut world = call();
    let mut answers = response();
    answers["item"][2] = lisinopril("as-written", false, &[]);
    let stopped = json!({"linkId": "stopped", "item": [item("stopped.name", json!({"valueString": "metoprolol tartrate 25 MG Oral Tablet"})),
        item("stopped.still-taking", json!({"valueBoolean": true}))]});
    answers["item"].as_array_mut().unwrap().push(stopped);
    world.write("mara", vec![answers]).unwrap();
    assert_eq!(found(&world), ["answered-still-taking"]);
}

#[test]
fn what_came_of_teach_back_is_told_by_the_statement() {
    let mut world = call();
    world
        .write(
            "mara",
            vec![with_medicine(lisinopril("as-written", false, &[item("medicine.teach-back", coded("partly"))]))],
        )
        .unwrap();
    world.extract("mara", "q").unwrap();
    let statement = world.memory.all("MedicationStatement")[0];
    let told = element::extension(statement, "teach-back").unwrap();
    assert_eq!(told["valueCodeableConcept"]["coding"][0]["code"].text(), "partly", "{statement}");
    let adherence = &statement["extension"][1];
    assert!(adherence["url"].text().ends_with("/us-core-medication-adherence"), "{statement}");
    assert_eq!(adherence["extension"][0]["valueCodeableConcept"]["coding"][0]["code"].text(), "1156699004");
}
