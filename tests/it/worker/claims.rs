//! Claims whose work has not begun in time: open to the others again.

use super::*;
use baton::access::Role;

/// What becomes of a request of that caller at that time.
async fn ask_as(
    node: &Node,
    who: (Role, &str),
    now: Instant,
    verb: Verb,
    path: &str,
    body: Option<&Value>,
    version: Option<&str>,
) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut wire = Wire::new(verb, query);
    if let Some(body) = body {
        wire.body = Body::Raw(body.to_string().into_bytes().into());
    }
    wire.if_match = version.map(|v| format!("W/\"{v}\""));
    wire.prefer = Some(Prefer::Representation);
    let principal = match who {
        (Role::SuperUser, _) => Principal::super_user(),
        (role, org) => Principal { role, org: Some(org.into()), client: org.into(), ..Principal::super_user() },
    };
    let ctx = Ctx {
        principal: principal.into(),
        now,
        request_id: "test".into(),
        base: "http://worker.example/fhir".into(),
        address: None,
    };
    match node.engine.handle(&ctx, route(path, wire).expect("a path of the API")).await {
        Ok(answer) => (answer.done.status().0, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
        Err(error) => (error.kind.status(), json!({"text": error.to_string()})),
    }
}

both_nodes!(a_claim_that_is_not_begun_in_time_is_open_to_the_others_again);
async fn a_claim_that_is_not_begun_in_time_is_open_to_the_others_again(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    let candidate = |id: &str| {
        json!({"url": "http://baton.example/fhir/StructureDefinition/candidate-pharmacy",
        "valueReference": {"reference": format!("Organization/{id}")}})
    };
    for organization in [
        json!({"resourceType": "Organization", "id": "elm", "name": "Elm"}),
        json!({"resourceType": "Organization", "id": "harbour", "name": "Harbour"}),
        json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside", "extension": [candidate("elm"), candidate("harbour")]}),
    ] {
        node.put(&organization).await;
    }
    // Friday, 6 March 2026, 11 in the morning in New York: one business day is until the end of Monday.
    let friday = Instant::parse("2026-03-06T16:00:00Z").unwrap();
    let hospital = (Role::HospitalSystem, "lakeside");
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000001", "request": {"method": "POST", "url": "Patient"},
            "resource": {"resourceType": "Patient", "birthDate": "1949-01-30"}},
        {"fullUrl": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000002", "request": {"method": "POST", "url": "Encounter"},
            "resource": {"resourceType": "Encounter", "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": {"reference": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000001"},
                "serviceProvider": {"reference": "Organization/lakeside"},
                "period": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-06T15:00:00Z"}}}]});
    let (status, body) = ask_as(&node, hospital, friday, Verb::Post, "", Some(&bundle), None).await;
    assert_eq!(status, 200, "{body}");
    let open = |code: &str| format!("Task?code={code}");
    let find = async |code: &str| {
        let (_, body) = ask_as(&node, (Role::SuperUser, ""), friday, Verb::Get, &open(code), None, None).await;
        body["entry"][0]["resource"].clone()
    };
    let (call, check) = (find("first-call").await, find("check-pickup").await);
    let path = |task: &Value, what: &str| format!("Task/{}{what}", task["id"].as_str().unwrap());
    let elm = (Role::PharmacySystem, "elm");
    for task in [&call, &check] {
        let version = find(task["code"]["coding"][0]["code"].as_str().unwrap()).await["meta"]["versionId"].clone();
        let (status, body) =
            ask_as(&node, elm, friday, Verb::Post, &path(task, "/$claim"), None, version.as_str()).await;
        assert_eq!(status, 200, "{body}");
        let lease = body["extension"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|e| e["url"].as_str().unwrap().ends_with("claim-lease"));
        assert_eq!(lease.map(|e| e["valueDateTime"].clone()), Some(json!("2026-03-10T03:59:00Z")), "{body}");
    }
    // The pick-up is begun; the call is not.
    let begun = find("check-pickup").await;
    let mut begin = begun.clone();
    begin["status"] = json!("in-progress");
    let technician = (Role::SuperUser, "");
    let seen = begun["meta"]["versionId"].as_str();
    let (status, body) = ask_as(&node, technician, friday, Verb::Put, &path(&begun, ""), Some(&begin), seen).await;
    assert_eq!(status, 200, "{body}");
    assert!(!body.to_string().contains("claim-lease"), "what has begun has no lease: {body}");

    let step = async |at: &str| {
        while node.worker.step(Instant::parse(at).unwrap()).await.expect("a step") == Did::Something {}
    };
    step("2026-03-10T03:58:00Z").await;
    assert_eq!(find("first-call").await["status"], "accepted", "a minute before");
    step("2026-03-10T04:00:00Z").await;
    let back = find("first-call").await;
    assert_eq!((back["status"].as_str(), back["owner"].is_null()), (Some("requested"), true), "{back}");
    assert_eq!(back["statusReason"]["coding"][0]["code"], "lease-ended");
    assert_eq!(back["restriction"], call["restriction"], "due as before");
    assert_eq!(find("check-pickup").await["status"], "in-progress", "work is left alone");
    let harbour = (Role::PharmacySystem, "harbour");
    let version = back["meta"]["versionId"].as_str();
    let tuesday = Instant::parse("2026-03-10T12:00:00Z").unwrap();
    let (status, body) = ask_as(&node, harbour, tuesday, Verb::Post, &path(&call, "/$claim"), None, version).await;
    assert_eq!(status, 200, "{body}");
    let version = body["meta"]["versionId"].clone();
    step("2026-03-10T12:05:00Z").await;
    assert_eq!(find("first-call").await["meta"]["versionId"], version, "looked at again, nothing changes");
    node.stop().await;
}

both_nodes!(an_offer_that_is_not_answered_in_time_is_open_to_all_candidates);
async fn an_offer_that_is_not_answered_in_time_is_open_to_all_candidates(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    let extension = |name: &str, id: &str| {
        json!({"url": format!("http://baton.example/fhir/StructureDefinition/{name}"),
            "valueReference": {"reference": format!("Organization/{id}")}})
    };
    let candidates = [extension("candidate-pharmacy", "elm"), extension("candidate-pharmacy", "harbour")];
    for organization in [
        json!({"resourceType": "Organization", "id": "elm", "name": "Elm"}),
        json!({"resourceType": "Organization", "id": "harbour", "name": "Harbour"}),
        json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside", "extension": candidates}),
    ] {
        node.put(&organization).await;
    }
    let friday = Instant::parse("2026-03-06T16:00:00Z").unwrap();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000001", "request": {"method": "POST", "url": "Patient"},
            "resource": {"resourceType": "Patient", "birthDate": "1949-01-30", "extension": [extension("preferred-pharmacy", "elm")]}},
        {"fullUrl": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000002", "request": {"method": "POST", "url": "Encounter"},
            "resource": {"resourceType": "Encounter", "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": {"reference": "urn:uuid:0b6a1c1e-0000-4000-8000-000000000001"},
                "serviceProvider": {"reference": "Organization/lakeside"},
                "period": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-06T15:00:00Z"}}}]});
    let (status, body) =
        ask_as(&node, (Role::HospitalSystem, "lakeside"), friday, Verb::Post, "", Some(&bundle), None).await;
    assert_eq!(status, 200, "{body}");
    let all = async || {
        let (_, body) =
            ask_as(&node, (Role::SuperUser, ""), friday, Verb::Get, "Task?status=requested", None, None).await;
        let entries = body["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|e| e["resource"].clone()).collect::<Vec<_>>()
    };
    let step = async |at: &str| {
        while node.worker.step(Instant::parse(at).unwrap()).await.expect("a step") == Did::Something {}
    };
    let before = all().await;
    assert!(before.len() > 3 && before.iter().all(|t| t["owner"]["reference"] == "Organization/elm"), "{before:?}");
    step("2026-03-10T03:58:00Z").await;
    assert_eq!(all().await, before, "a minute before");
    step("2026-03-10T04:00:00Z").await;
    let after = all().await;
    assert_eq!(after.len(), before.len());
    for task in &after {
        assert!(task["owner"].is_null() && task.to_string().contains("Organization/harbour"), "{task}");
        let same = before.iter().find(|t| t["id"] == task["id"]).unwrap();
        assert_eq!(task["restriction"], same["restriction"], "due as before");
    }
    assert!(after.iter().any(|t| t["statusReason"]["coding"][0]["code"] == "offer-ended"), "{after:?}");
    let call = after.iter().find(|t| t["code"]["coding"][0]["code"] == "first-call").unwrap();
    let path = format!("Task/{}/$claim", call["id"].as_str().unwrap());
    let tuesday = Instant::parse("2026-03-10T12:00:00Z").unwrap();
    let version = call["meta"]["versionId"].as_str();
    let harbour = (Role::PharmacySystem, "harbour");
    let (status, body) = ask_as(&node, harbour, tuesday, Verb::Post, &path, None, version).await;
    assert_eq!(status, 200, "{body}");
    node.stop().await;
}
