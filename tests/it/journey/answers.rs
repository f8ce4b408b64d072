//! Forms: filled in from the reconciled list, answered by whatever door, and what is made of the answers.

use super::{TASK_CODE, discharge};
use crate::harness::TestServer;
use crate::harness::client::reference;
use serde_json::{Value, json};

const BASE: &str = "http://baton.example/fhir";

/// A discharge, its first call claimed and the patient reached by Mara; the Patient's id and the call.
async fn called(server: &TestServer) -> (String, Value) {
    let sample = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location").to_owned();
    let patient = location.split("Patient/").nth(1).and_then(|l| l.split('/').next()).expect("an id").to_owned();
    let call = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let reached = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
    server.technician().operation(&format!("{}/$attempt", reference(&call)), &reached, None).await.ok();
    (patient, server.read(&reference(&call)).await)
}

fn answer(link: &str, value: Value) -> Value {
    json!({"linkId": link, "answer": [value]})
}

fn coded(code: &str) -> Value {
    json!({"valueCoding": {"system": format!("{BASE}/CodeSystem/answer"), "code": code}})
}

/// The filled form with all that is asked answered: every medicine is taken as written.
fn answered(mut form: Value) -> Value {
    let truth = |yes: bool| json!({"valueBoolean": yes});
    for group in form["item"].as_array_mut().expect("items") {
        let more = match group["linkId"].as_str() {
            Some("medicine") => vec![
                answer("medicine.have", truth(true)),
                answer("medicine.taking", coded("as-written")),
                answer("medicine.side-effect", truth(false)),
            ],
            _ => vec![answer("stopped.still-taking", truth(false))],
        };
        group["item"].as_array_mut().expect("items").extend(more);
    }
    let flags =
        ["bleeding", "low-sugar", "breathing", "fainting"].map(|f| answer(&format!("red-flag.{f}"), truth(false)));
    let items = form["item"].as_array_mut().expect("items");
    items.insert(0, answer("spoke-with", coded("patient")));
    items.insert(1, json!({"linkId": "red-flag", "item": flags}));
    form["status"] = json!("completed");
    form
}

both_databases!(a_call_is_answered_by_the_form_that_it_asks_for);
async fn a_call_is_answered_by_the_form_that_it_asks_for(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let (patient, call) = called(&server).await;
    assert_eq!(call["input"][0]["valueCanonical"], format!("{BASE}/Questionnaire/first-call|1"));
    let technician = server.technician();
    technician.read("Questionnaire/first-call").await.ok();
    let populate = format!("Questionnaire/first-call/$populate?subject=Patient/{patient}");
    let form = technician.read(&populate).await.ok().body;
    let of = |form: &Value, link: &str| {
        form["item"].as_array().into_iter().flatten().filter(|i| i["linkId"] == link).count()
    };
    assert!(of(&form, "medicine") >= 3, "each line of the list: {form}");
    assert_eq!(form["author"]["reference"], "Practitioner/mara-lind");
    let by_canonical =
        format!("Questionnaire/$populate?questionnaire={BASE}/Questionnaire/first-call%7C1&subject=Patient/{patient}");
    assert_eq!(technician.read(&by_canonical).await.ok().body["item"], form["item"]);
    server.other_pharmacy().read(&populate).await.is(404); // who does not see the patient
    technician.read("Questionnaire/nothing/$populate?subject=Patient/x").await.is(404);
    technician.read("Questionnaire/first-call/$populate").await.is(400);

    let whole = answered(form.clone());
    let written = technician.create(&whole).await.ok();
    let at = written.reference();
    // What is made of it: one statement a medicine, told by the patient.
    let made = technician.operation(&format!("{at}/$extract"), &Value::Null, None).await.ok().body;
    let made = made["entry"].as_array().expect("entries").clone();
    assert_eq!(made.len(), of(&whole, "medicine") + of(&whole, "stopped"));
    assert!(made.iter().all(|e| e["resource"]["derivedFrom"][0]["reference"] == at.as_str()), "{made:#?}");
    let told = |status: &'static str| {
        let (everyone, patient) = (server.everyone(), patient.clone());
        async move { everyone.search(&format!("MedicationStatement?patient={patient}&status={status}")).await.len() }
    };
    let (active, not_taken) = (told("active").await, told("not-taken").await);
    technician.operation(&format!("{at}/$extract"), &Value::Null, None).await.ok();
    assert_eq!((told("active").await, told("not-taken").await), (active, not_taken), "asked again it adds nothing");

    // Amended: one medicine is not taken, because of the costs. The same statement changes, and a problem is found.
    let mut amended = server.read(&at).await;
    amended["status"] = json!("amended");
    let medicine = amended["item"].as_array_mut().unwrap().iter_mut().find(|i| i["linkId"] == "medicine").unwrap();
    for item in medicine["item"].as_array_mut().unwrap() {
        if item["linkId"] == "medicine.taking" {
            item["answer"] = json!([coded("not-taking")]);
        }
    }
    let cost = json!({"valueCoding": {"system": format!("{BASE}/CodeSystem/dtp-rationale"), "code": "cost"}});
    medicine["item"].as_array_mut().unwrap().push(answer("medicine.why-not", cost));
    let problems = |server: &TestServer| {
        let (everyone, patient) = (server.everyone(), patient.clone());
        async move { everyone.search(&format!("DetectedIssue?patient={patient}")).await }
    };
    technician.update(&amended).await.ok();
    let said = problems(&server).await;
    let of_costs = |all: &[Value]| all.iter().filter(|d| d.to_string().contains("answered-cost")).count();
    assert_eq!(of_costs(&said), 1, "the answers alone say it: {said:#?}");
    technician.operation(&format!("{at}/$extract"), &Value::Null, None).await.ok();
    assert_eq!((told("active").await, told("not-taken").await), (active - 1, not_taken + 1));
    let found = problems(&server).await;
    assert_eq!((found.len(), of_costs(&found)), (said.len(), 1), "what is made of them says nothing twice: {found:#?}");
    assert!(found.iter().any(|d| d.to_string().contains("\"cost\"")), "{found:#?}");
    let done = json!([{"op": "replace", "path": "/status", "value": "completed"}, {"op": "add", "path": "/output",
        "value": [{"type": {"coding": [{"system": format!("{BASE}/CodeSystem/task-output-type"), "code": "answers"}]},
            "valueReference": {"reference": at}}]}]);
    technician.patch(&reference(&call), &done).await.ok();
}

both_databases!(bad_answers_are_refused_by_every_door);
/// case 18: Answers to another version, with an unknown question, of a wrong type or choice, or of another patient, are 422.
async fn bad_answers_are_refused_by_every_door(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let (patient, _) = called(&server).await;
    let technician = server.technician();
    let form =
        technician.read(&format!("Questionnaire/first-call/$populate?subject=Patient/{patient}")).await.ok().body;
    let whole = answered(form);
    let changed = |pointer: &str, value: Value| {
        let mut out = whole.clone();
        *out.pointer_mut(pointer).expect("a place") = value;
        out
    };
    for (bad, at) in [
        (
            changed("/questionnaire", json!(format!("{BASE}/Questionnaire/first-call|9"))),
            "QuestionnaireResponse.questionnaire",
        ),
        (changed("/item/0/linkId", json!("spoke-to")), "QuestionnaireResponse.item[0].linkId"),
        (
            changed("/item/1/item/0/answer", json!([{"valueString": "no"}])),
            "QuestionnaireResponse.item[1].item[0].answer[0].value",
        ),
        (changed("/item/0/answer", json!([coded("dog")])), "QuestionnaireResponse.item[0].answer[0].value"),
    ] {
        technician.create(&bad).await.refuses(422, "business-rule", at);
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": bad, "request": {"method": "POST", "url": "QuestionnaireResponse"}}]});
        let answer = technician.post(&bundle).await.is(422);
        let inside = at.replace("QuestionnaireResponse", "Bundle.entry[0].resource");
        assert!(answer.body.to_string().contains(&inside), "{inside}: {answer:?}");
    }
    let stored = technician.create(&whole).await.ok().reference();
    let back = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    technician.patch(&stored, &back).await.refuses(422, "business-rule", "QuestionnaireResponse.status");
    let mut put = server.read(&stored).await;
    put["status"] = json!("in-progress");
    technician.update(&put).await.refuses(422, "business-rule", "QuestionnaireResponse.status");
    assert_eq!(server.read(&stored).await["meta"]["versionId"], "1", "nothing was stored");
    // Another patient's stay.
    let other = discharge("01-polypharmacy", server.now());
    server.user(other.hospital).post(&other.bundle).await.ok();
    let stays = server.hospital().search("Encounter?status=finished").await;
    let mut mixed = whole.clone();
    mixed["encounter"] = json!({"reference": reference(&stays[0])});
    server.everyone().create(&mixed).await.refuses(422, "business-rule", "QuestionnaireResponse.subject");
}

both_databases!(a_red_flag_opens_a_stat_review_while_the_call_goes_on);
async fn a_red_flag_opens_a_stat_review_while_the_call_goes_on(server: TestServer) {
    server.at("2026-03-06T16:00:00Z");
    let (patient, _) = called(&server).await;
    let response = json!({"resourceType": "QuestionnaireResponse", "status": "in-progress",
        "questionnaire": format!("{BASE}/Questionnaire/red-flags|1"), "subject": {"reference": format!("Patient/{patient}")},
        "author": {"reference": "Practitioner/mara-lind"}, "authored": "2026-03-06T16:00:00Z",
        "item": [{"linkId": "red-flag", "item": [answer("red-flag.breathing", json!({"valueBoolean": true}))]}]});
    server.technician().create(&response).await.ok();
    let reviews = server.pharmacist().search(&format!("Task?patient={patient}&priority=stat")).await;
    assert_eq!(reviews.len(), 1, "{reviews:#?}");
    assert_eq!(reviews[0]["restriction"]["period"]["end"], "2026-03-06T17:00:00Z");
    let issue = server.pharmacist().read(reviews[0]["focus"]["reference"].as_str().unwrap()).await.ok().body;
    assert_eq!((issue["status"].as_str(), issue["severity"].as_str()), (Some("preliminary"), Some("high")));
}
