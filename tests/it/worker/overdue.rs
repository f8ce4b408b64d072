//! What waits too long is found by itself: an overdue review, and what only time shows.

use super::*;
use baton::access::Role;

async fn ask_as(
    node: &Node,
    who: (Role, &str),
    now: Instant,
    verb: Verb,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut wire = Wire::new(verb, query);
    if let Some(body) = body {
        wire.body = Body::Raw(body.to_string().into_bytes().into());
    }
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

/// Steps at that time until there is nothing to do.
async fn settle_at(node: &Node, now: Instant) {
    for _ in 0..1_000 {
        if node.worker.step(now).await.expect("a step") == Did::Nothing {
            return;
        }
    }
    panic!("the worker does not come to an end");
}

/// A patient with two medicines leaves Lakeside, whose one pharmacy is Elm; when that is.
async fn discharged(node: &Node) -> Instant {
    let candidate = json!({"url": "http://baton.example/fhir/StructureDefinition/candidate-pharmacy",
        "valueReference": {"reference": "Organization/elm"}});
    let role = json!({"resourceType": "PractitionerRole", "id": "jonas", "practitioner": {"reference": "Practitioner/jonas"},
        "organization": {"reference": "Organization/elm"},
        "code": [{"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "183500000X"}]}]});
    for resource in [
        json!({"resourceType": "Organization", "id": "elm", "name": "Elm"}),
        json!({"resourceType": "Organization", "id": "lakeside", "name": "Lakeside", "extension": [candidate]}),
        json!({"resourceType": "Practitioner", "id": "jonas"}),
        role,
    ] {
        node.put(&resource).await;
    }
    let left = Instant::parse("2026-03-06T15:00:00Z").unwrap();
    let patient = "urn:uuid:0b6a1c1e-0000-4000-8000-000000000001";
    let stay = "urn:uuid:0b6a1c1e-0000-4000-8000-000000000002";
    let order = |n: u8, text: &str| {
        json!({"fullUrl": format!("urn:uuid:0b6a1c1e-0000-4000-8000-00000000001{n}"), "request": {"method": "POST", "url": "MedicationRequest"},
            "resource": {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"reference": patient},
                "encounter": {"reference": stay}, "medicationCodeableConcept": {"text": text}, "authoredOn": "2026-03-06T14:00:00Z",
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
                "dosageInstruction": [{"text": "1 tablet once daily"}]}})
    };
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": patient, "request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient", "birthDate": "1949-01-30"}},
        {"fullUrl": stay, "request": {"method": "POST", "url": "Encounter"},
            "resource": {"resourceType": "Encounter", "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": {"reference": patient}, "serviceProvider": {"reference": "Organization/lakeside"},
                "period": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-06T15:00:00Z"}}},
        order(1, "lisinopril 10 MG Oral Tablet"), order(2, "simvastatin 20 MG Oral Tablet")]});
    let hospital = (Role::HospitalSystem, "lakeside");
    let (status, body) = ask_as(node, hospital, left, Verb::Post, "", Some(&bundle)).await;
    assert_eq!(status, 200, "{body}");
    settle_at(node, left).await;
    left
}

both_nodes!(an_overdue_review_and_a_prescription_that_nobody_collects_are_found_by_the_clock);
async fn an_overdue_review_and_a_prescription_that_nobody_collects_are_found_by_the_clock(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    let left = discharged(&node).await;
    let all = (Role::SuperUser, "");
    let find = async |query: &str, now: Instant| {
        let (_, body) = ask_as(&node, all, now, Verb::Get, query, None).await;
        let entries = body["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|e| e["resource"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(find("DetectedIssue", left).await.len(), 0, "nothing to find yet");
    let at = find("Patient?birthdate=1949-01-30", left).await[0]["id"].as_str().unwrap().to_string();
    let dispense = json!({"resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": {"text": "lisinopril 10 MG Oral Tablet"},
        "subject": {"reference": format!("Patient/{at}")}, "whenHandedOver": "2026-03-07T09:00:00Z"});
    let next = left.plus_seconds(24 * 3_600);
    assert_eq!(ask_as(&node, all, next, Verb::Post, "MedicationDispense", Some(&dispense)).await.0, 201);
    settle_at(&node, next).await;
    assert_eq!(find("DetectedIssue", next).await.len(), 0, "it may still be collected");
    // Four days on nobody has sent anything; the clock alone shows it.
    let late = left.plus_seconds(4 * 86_400);
    settle_at(&node, late).await;
    let found = find("DetectedIssue?status=preliminary", late).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["extension"][0]["extension"][0]["valueCode"], "not-dispensed");
    // Its review is due in 72 hours: then one level up, and the pharmacist hears of it, once.
    let review = find("Task?code=review-dtp", late).await.remove(0);
    assert_eq!(review["priority"], "urgent");
    let overdue = late.plus_seconds(72 * 3_600 + 120);
    settle_at(&node, overdue).await;
    settle_at(&node, overdue.plus_seconds(61)).await;
    let review = find("Task?code=review-dtp", overdue).await.remove(0);
    assert_eq!(review["priority"], "asap");
    let told = find("Communication?category=notification", overdue).await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["sender"]["identifier"]["value"], "screening");
    // Nobody closes the follow-up: asked for twice, it ends, and the hospital hears so.
    for days in [46, 54, 62] {
        settle_at(&node, left.plus_seconds(days * 86_400)).await;
    }
    let end = left.plus_seconds(62 * 86_400);
    assert_eq!(find("EpisodeOfCare", end).await[0]["status"], "finished");
    let told = find("Communication?recipient=Organization/lakeside", end).await;
    let text = |c: &Value| c["topic"]["text"].as_str().unwrap_or_default().to_string();
    assert!(told.iter().any(|c| text(c).contains("Nobody closed the follow-up in time")), "{told:#?}");
    node.stop().await;
}

/// A Consent of a patient with a provision inside two others.
fn consent_with(patient: &str, denial: &Value) -> Value {
    // The outer ones have periods, too: what has begun long ago is no news.
    let middle = json!({"type": "permit", "period": {"start": "2026-01-01"}, "provision": [denial]});
    json!({"resourceType": "Consent", "status": "active", "dateTime": "2026-03-06",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")}, "policy": [{"uri": "http://lakeside.example/privacy"}],
        "provision": {"type": "permit", "period": {"start": "2026-01-01"}, "provision": [middle]}})
}

both_nodes!(a_consent_that_begins_while_rows_are_made_is_heeded_when_they_are_there);
/// security A67: What begins while another node makes the rows anew by which Consents are looked for is not passed over.
async fn a_consent_that_begins_while_rows_are_made_is_heeded_when_they_are_there(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    let left = discharged(&node).await;
    let (_, body) = ask_as(&node, (Role::SuperUser, ""), left, Verb::Get, "Patient", None).await;
    let patient = body["entry"][0]["resource"]["id"].as_str().expect("an id").to_owned();
    let begins = left.plus_seconds(3_600);
    let role =
        json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
    let denial = json!({"type": "deny", "period": {"start": begins.to_string()},
        "actor": [{"role": role, "reference": {"reference": "Organization/elm"}}]});
    let consent = consent_with(&patient, &denial);
    let hospital = (Role::HospitalSystem, "lakeside");
    let (status, body) = ask_as(&node, hospital, left, Verb::Post, "Consent", Some(&consent)).await;
    assert_eq!(status, 201, "{body}");
    settle_at(&node, left).await;
    node.stop().await;
    let opened = baton::cli::open::server(&settings, "http://worker.example", true).await.expect("a node starts");
    let worker = Worker::new(opened.engine.clone(), 60);
    let node = Node { worker, engine: opened.engine, store: opened.store, at: left };
    let busy = begins.plus_seconds(600);
    assert!(node.store.write(Leased(busy)).await.expect("a lease"), "another node makes the rows");
    settle_at(&node, busy).await;
    let elm = (Role::PharmacySystem, "elm");
    let (status, _) = ask_as(&node, elm, busy, Verb::Get, "Task?code=first-call", None).await;
    assert_eq!(status, 503, "the rows are being made");
    let later = begins.plus_seconds(7_200);
    settle_at(&node, later).await;
    let (status, body) = ask_as(&node, elm, later, Verb::Get, "Task?code=first-call", None).await;
    assert_eq!((status, body["entry"].as_array().map_or(0, Vec::len)), (200, 0), "{body}");
    node.stop().await;
}

/// The lease of who makes rows, for another node.
struct Leased(Instant);

impl baton::store::Work for Leased {
    type Out = bool;

    fn run<'a>(
        &'a self,
        tx: &'a mut baton::store::Tx,
    ) -> futures_util::future::BoxFuture<'a, baton::error::Result<bool>> {
        Box::pin(async move { tx.lease("reindex", "another", self.0).await })
    }
}

both_nodes!(a_consent_with_a_provision_inside_that_begins_and_ends_is_heeded_by_the_clock);
/// security A67: A provision inside another that begins, or ends, keeps a pharmacy out, or lets it in, within a minute.
async fn a_consent_with_a_provision_inside_that_begins_and_ends_is_heeded_by_the_clock(settings: Settings) {
    let node = Node::start(&settings).await;
    node.settle().await;
    let left = discharged(&node).await;
    let find = async |query: &str, now: Instant| {
        let (status, body) = ask_as(&node, (Role::SuperUser, ""), now, Verb::Get, query, None).await;
        assert_eq!(status, 200, "{query}: {body}");
        let entries = body["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|e| e["resource"].clone()).collect::<Vec<_>>()
    };
    let patient = find("Patient", left).await[0]["id"].as_str().expect("an id").to_owned();
    let (begins, ends) = (left.plus_seconds(3_600), left.plus_seconds(7_200));
    let role =
        json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
    let denial = json!({"type": "deny", "period": {"start": begins.to_string(), "end": ends.to_string()},
        "actor": [{"role": role, "reference": {"reference": "Organization/elm"}}]});
    let consent = consent_with(&patient, &denial);
    let hospital = (Role::HospitalSystem, "lakeside");
    let (status, body) = ask_as(&node, hospital, left, Verb::Post, "Consent", Some(&consent)).await;
    assert_eq!(status, 201, "{body}");
    let id = body["id"].as_str().expect("an id").to_owned();
    let elm = async |now: Instant| {
        settle_at(&node, now).await;
        let (_, body) =
            ask_as(&node, (Role::PharmacySystem, "elm"), now, Verb::Get, "Task?code=first-call", None).await;
        body["entry"].as_array().map_or(0, Vec::len)
    };
    for (now, seen, what) in [
        (left, 1, "not yet"),
        (begins.plus_seconds(-60), 1, "not yet, a minute before"),
        (begins.plus_seconds(60), 0, "begun"),
        (ends.plus_seconds(-60), 0, "still"),
        (ends.plus_seconds(60), 1, "over"),
        (ends.plus_seconds(3_600), 1, "over"),
    ] {
        assert_eq!(elm(now).await, seen, "{what}");
    }
    let deeds = find(&format!("Consent?_id={id}&provision-period=sa2026-03-06T15:30:00Z"), ends).await;
    assert_eq!(deeds.len(), 1, "found by the innermost");
    assert!(find(&format!("Consent?_id={id}&period=sa2026-03-06T15:30:00Z"), ends).await.is_empty(), "as R4 has it");
    node.stop().await;
}
