//! The bad cases of answers, of earlier versions put back, and of texts and times that no sender should send. One test a case.

use super::doors::{bundle, in_a_batch, refused_at_every_door};
use super::{TASK_CODE, discharge};
use crate::harness::TestServer;
use crate::harness::client::reference;
use serde_json::{Value, json};

/// Northgate's discharge, its first call claimed and begun by Elm Street; (patient, first call).
async fn begun(server: &TestServer) -> (String, Value) {
    let sample = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location").to_owned();
    let patient = location.split("Patient/").nth(1).and_then(|l| l.split('/').next()).expect("an id").to_owned();
    let call = server.everyone().search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    server.technician().patch(&reference(&call), &begin).await.ok();
    (patient, server.read(&reference(&call)).await)
}

both_databases!(case_18_bad_answers_are_refused_by_every_door);
/// case 18: Answers that are not whole, to another form, version or patient, or to a question that is not asked, are 422 by POST, PUT,
/// transaction and batch; whole ones do not go back to in-progress by any door.
async fn case_18_bad_answers_are_refused_by_every_door(server: TestServer) {
    let (patient, call) = begun(&server).await;
    let technician = server.technician();
    let form = "http://baton.example/fhir/Questionnaire/red-flags";
    let flag = |name: &str| json!({"linkId": format!("red-flag.{name}"), "answer": [{"valueBoolean": false}]});
    let flags: Vec<Value> = ["bleeding", "low-sugar", "breathing", "fainting"].map(flag).into();
    let whole = json!({"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": format!("{form}|1"),
        "subject": {"reference": format!("Patient/{patient}")}, "author": {"reference": "Practitioner/mara-lind"},
        "authored": server.now().strftime("%FT%TZ").to_string(), "item": [{"linkId": "red-flag", "item": flags}]});
    let with = |name: &str, value: Value| {
        let mut out = whole.clone();
        out[name] = value;
        out
    };
    let item = |items: Vec<Value>| json!([{"linkId": "red-flag", "item": items}]);
    let stranger = server.everyone().create(&json!({"resourceType": "Patient"})).await.ok().reference();
    let mut unasked = flags.clone();
    unasked.push(json!({"linkId": "red-flag.dizzy", "answer": [{"valueBoolean": false}]}));
    let mut typed = flags.clone();
    typed[0]["answer"] = json!([{"valueString": "no"}]);
    for (n, bad) in [
        with("questionnaire", json!(format!("{form}|9"))),
        with("questionnaire", json!("http://baton.example/fhir/Questionnaire/nothing|1")),
        with("item", item(flags[1..].to_vec())),
        with("item", item(unasked)),
        with("item", item(typed)),
    ]
    .iter()
    .enumerate()
    {
        let entry = json!({"request": {"method": "POST", "url": "QuestionnaireResponse"}, "resource": bad});
        let mut named = bad.clone();
        named["id"] = format!("bad-{n}").into();
        for (door, answer) in [
            ("POST", technician.create(bad).await),
            ("transaction", technician.post(&bundle("transaction", vec![entry.clone()])).await),
            ("batch", in_a_batch(&technician, entry).await),
            ("PUT", technician.send("PUT", &format!("QuestionnaireResponse/bad-{n}"), named.to_string(), &[]).await),
        ] {
            // Who may not choose ids does not get as far as the answers.
            assert!(matches!(answer.status, 404 | 422), "{door} of {n}: {} {}", answer.status, answer.body);
            assert!(answer.status == 422 || door == "PUT", "{door} of {n}: {}", answer.body);
        }
    }
    let foreign = with("subject", json!({"reference": stranger}));
    let answer = technician.create(&foreign).await;
    assert!(matches!(answer.status, 403 | 404 | 422), "{}: {}", answer.status, answer.body);
    assert_eq!(server.everyone().search("QuestionnaireResponse").await.len(), 0, "nothing was stored");
    // Whole ones stay whole, and a Task takes none that belong to another form.
    let stored = technician.create(&whole).await.ok().reference();
    let stored = server.read(&stored).await;
    refused_at_every_door(&technician, &stored, &json!({"status": "in-progress"}), 422, "in-progress").await;
    let output = json!([{"type": {"text": "answers"}, "valueReference": {"reference": reference(&stored)}}]);
    let done = json!({"status": "completed", "output": output});
    refused_at_every_door(&technician, &call, &done, 422, "the Task asks for").await;
}

both_databases!(case_16_an_earlier_version_is_no_way_back);
/// case 16: An earlier version of a Task or problem, put back by any door, is judged like any other change.
async fn case_16_an_earlier_version_is_no_way_back(server: TestServer) {
    let (patient, call) = begun(&server).await;
    let done = json!([{"op": "replace", "path": "/status", "value": "completed"},
        {"op": "add", "path": "/output", "value": [{"type": {"text": "note"}, "valueString": "reached"}]}]);
    server.technician().patch(&reference(&call), &done).await.ok();
    let mut issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "moderate",
        "code": {"text": "twice"}, "patient": {"reference": format!("Patient/{patient}")}, "detail": "taken twice",
        "author": {"reference": "Practitioner/mara-lind"}, "identifiedDateTime": server.now().strftime("%FT%TZ").to_string()});
    super::about_an_order(&server, &patient, &mut issue).await;
    let issue = server.technician().create(&issue).await.ok().reference();
    let no_action =
        json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}]});
    let review = server.pharmacist().search(&format!("Task?code={TASK_CODE}|review-dtp&focus={issue}")).await.remove(0);
    let version = review["meta"]["versionId"].as_str();
    server.pharmacist().operation(&format!("{}/$claim", reference(&review)), &Value::Null, version).await.ok();
    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
    server.pharmacist().patch(&reference(&review), &begin).await.ok();
    server.pharmacist().operation(&format!("{issue}/$resolve"), &no_action, None).await.ok();
    for path in [reference(&call), issue] {
        let now = server.read(&path).await;
        let latest: u64 = now["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).expect("a number");
        for n in 1..latest {
            let old = server.read(&format!("{path}/_history/{n}")).await;
            let mut change = json!({});
            for name in ["status", "statusReason", "owner", "output", "mitigation", "extension", "businessStatus"] {
                if old[name] != now[name] {
                    change[name] = old[name].clone();
                }
            }
            for who in ["mara", "jonas", "elm-street-pms"] {
                let client = server.user(who);
                for (door, answer) in super::doors::every_door(
                    &client,
                    &now,
                    &old,
                    &json!([{"op": "replace", "path": "/status", "value": old["status"]}]),
                    super::doors::Version::Named,
                )
                .await
                {
                    assert!(
                        matches!(answer.status, 403 | 404 | 409 | 422 | 428),
                        "{who} by {door} back to {n}: {} {}",
                        answer.status,
                        answer.body
                    );
                }
            }
            refused_at_every_door(&server.everyone(), &now, &change, 422, "status").await;
        }
        assert_eq!(server.read(&path).await, now);
    }
}

both_databases!(case_20_a_role_that_has_ended_ends_the_right);
/// case 20: A PractitionerRole that has ended is 403 by every door, whatever its person did before.
async fn case_20_a_role_that_has_ended_ends_the_right(server: TestServer) {
    let (patient, call) = begun(&server).await;
    let attempt = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
    let admin = server.user("root");
    let role = admin.search("PractitionerRole?practitioner=Practitioner/mara-lind").await.remove(0);
    let ends = json!([{"op": "add", "path": "/period", "value": {"end": "2020-01-01"}}]);
    admin.patch(&reference(&role), &ends).await.ok();
    let technician = server.technician();
    // What was looked up is kept for at most a minute, by the clock of the machine: the right is asked for anew after it.
    server.advance(std::time::Duration::from_secs(61));
    let answer = technician.operation(&format!("{}/$attempt", reference(&call)), &attempt, None).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let note = json!([{"op": "add", "path": "/note", "value": [{"text": "x"}]}]);
    let mut after = call.clone();
    after["note"] = json!([{"text": "x"}]);
    let entry = json!({"request": {"method": "PUT", "url": reference(&call), "ifMatch": "*"}, "resource": after});
    for (door, answer) in [
        ("PUT", technician.update(&after).await),
        ("PATCH", technician.patch(&reference(&call), &note).await),
        ("transaction", technician.post(&bundle("transaction", vec![entry.clone()])).await),
        ("batch", technician.post(&bundle("batch", vec![entry])).await),
    ] {
        assert_eq!(answer.status, 403, "{door}: {}", answer.body);
        assert!(answer.body.to_string().contains("PractitionerRole"), "{door}: {}", answer.body);
    }
    assert_eq!(server.everyone().search(&format!("Communication?patient={patient}")).await.len(), 0);
}

both_databases!(case_29_texts_and_times_that_no_sender_should_send);
/// case 29: Scripts, control characters, the year 0000, a 31st of February and a 61st second are refused by every door of a create; an hour that
/// clocks leave out is a time like any other, and what is due in it is due.
async fn case_29_texts_and_times_that_no_sender_should_send(server: TestServer) {
    let hospital = server.hospital();
    let patient = |name: &str, value: Value| {
        let mut out = json!({"resourceType": "Patient", "identifier": [{"system": "http://lakeside.example/mrn", "value": "bad"}]});
        out[name] = value;
        out
    };
    let div = |inside: &str| json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inside}</div>")});
    for (n, bad) in [
        patient("text", div("<script>alert(1)</script>")),
        patient("text", div("<img src=\"x\" onerror=\"alert(1)\"/>")),
        patient("text", div("<a href=\"javascript:alert(1)\">x</a>")),
        patient("name", json!([{"family": "a\u{0000}b"}])),
        patient("name", json!([{"family": "a\u{0008}b"}])),
        patient("birthDate", json!("0000-01-01")),
        patient("birthDate", json!("2026-02-31")),
        patient("deceasedDateTime", json!("2016-12-31T23:59:61Z")),
        patient("deceasedDateTime", json!("2026-01-05T24:00:00Z")),
    ]
    .iter()
    .enumerate()
    {
        let entry = json!({"request": {"method": "POST", "url": "Patient"}, "resource": bad});
        for (door, answer) in [
            ("POST", hospital.create(bad).await),
            ("transaction", hospital.post(&bundle("transaction", vec![entry.clone()])).await),
            ("batch", in_a_batch(&hospital, entry).await),
            ("conditional create", hospital.create_if_none(bad, "_id=nothing-has-this-id").await),
        ] {
            if door == "batch" && answer.status == 0 {
                // What is no JSON at all is refused with the whole of the batch.
                let entry = json!({"request": {"method": "POST", "url": "Patient"}, "resource": bad});
                hospital.post(&bundle("batch", vec![entry])).await.is(400);
                continue;
            }
            assert!(matches!(answer.status, 400 | 422), "{door} of {n}: {} {}", answer.status, answer.body);
            assert!(!answer.body.to_string().contains("alert("), "{door} of {n} says it again: {}", answer.body);
        }
    }
    assert_eq!(server.everyone().search("Patient?identifier=bad").await.len(), 0);
    // On 2026-03-08 clocks in New York go from 2 to 3: a discharge in the hour that is left out, and due times across it.
    server.at("2026-03-08T12:00:00Z");
    let ann = hospital.create(&json!({"resourceType": "Patient", "birthDate": "1950-02-03"})).await.ok().reference();
    let stay = json!({"resourceType": "Encounter", "status": "finished", "subject": {"reference": ann},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "period": {"start": "2026-03-01", "end": "2026-03-08T02:30:00-05:00"}, "serviceProvider": {"reference": "Organization/lakeside"}});
    hospital.create(&stay).await.ok();
    let tasks = server.everyone().search(&format!("Task?subject={ann}&code=first-call,check-pickup&_sort=code")).await;
    let mut due: Vec<&str> = tasks.iter().filter_map(|t| t["restriction"]["period"]["end"].as_str()).collect();
    due.sort_unstable();
    // 24 hours by the clock; two business days after Sunday: the end of Tuesday in New York, which is an hour earlier in UTC by then.
    assert_eq!(due, ["2026-03-09T07:30:00Z", "2026-03-11T03:59:00Z"], "{tasks:#?}");
}
