//! What a patient sees of the follow-up.

use crate::harness::{Client, TestServer};
use serde_json::{Value, json};

/// Words of a note that no patient reads.
const NOTE: &str = "Zimtbaumrinde";

both_databases!(a_patient_reads_tasks_without_their_notes);
/// security R28: Of organisations and practitioners a patient reads names, and finds none by what is left out.
/// security R28: A patient reads the own Tasks without notes, marked as incomplete, by id, in old versions, searches, includes, histories, `$everything` and Bundles, and no search finds by a note; others' Tasks are unknown.
async fn a_patient_reads_tasks_without_their_notes(mut server: TestServer) {
    let hospital = server.hospital();
    let made = async |body: Value| hospital.create(&body).await.is(201).reference();
    let of = made(json!({"resourceType": "Patient", "name": [{"family": "Haddad"}]})).await;
    let other = made(json!({"resourceType": "Patient", "name": [{"family": "Other"}]})).await;
    let task = |of: &str| {
        json!({"resourceType": "Task", "status": "requested", "intent": "order", "for": {"reference": of},
            "description": "Call the ward", "note": [{"text": NOTE}]})
    };
    let (own, foreign) = (made(task(&of)).await, made(task(&other)).await);
    hospital.patch(&own, &json!([{"op": "add", "path": "/note/-", "value": {"text": NOTE}}])).await.is(200);
    // A patient's login names the Patient, who must be there before; and no command works beside a server on SQLite.
    server.kill();
    let id = of.trim_start_matches("Patient/");
    let add = ["user", "add", "amira", "--role", "patient", "--organization", "lakeside", "--patient", id];
    let (added, text) = server.settings.run(&add);
    assert!(added, "{text}");
    server.restart().await;
    let amira = server.user("amira");
    let hospital = server.hospital();
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": own}}, {"request": {"method": "GET", "url": "Task"}}]});
    let ways = |client: &Client| {
        let (client, own, of, batch) = (client.clone(), own.clone(), of.clone(), batch.clone());
        async move {
            let mut all = Vec::new();
            for path in [
                own.clone(),
                format!("{own}/_history/1"),
                format!("{own}/_history"),
                format!("{own}?_elements=note"),
                "Task".into(),
                "Task?_elements=note,status".into(),
                "Task/_history".into(),
                format!("{of}/Task"),
                format!("{of}/$everything"),
                format!("Patient?_id={}&_revinclude=Task:patient", of.trim_start_matches("Patient/")),
                "?_type=Task,Patient".into(),
                "_history".into(),
            ] {
                all.push((path.clone(), client.read(&path).await.is(200).body.to_string()));
            }
            all.push(("batch".into(), client.post(&batch).await.is(200).body.to_string()));
            all
        }
    };
    for (path, text) in ways(&hospital).await {
        assert!(text.contains(NOTE), "the hospital reads it by {path}: {text}");
    }
    for (path, text) in ways(&amira).await {
        assert!(!text.contains(NOTE) && !text.contains(&foreign), "{path}: {text}");
        assert!(text.contains(&own) || text.contains(own.trim_start_matches("Task/")), "{path}: {text}");
        assert!(text.contains("SUBSETTED"), "{path}: {text}");
    }
    // Of who works where, names.
    for (path, kept, left_out) in [
        ("Organization/lakeside", "Lakeside General Hospital", "candidate-pharmacy"),
        ("Organization/elm-street", "Elm Street Pharmacy", "555-0143"),
        ("Organization?name=elm", "Elm Street Pharmacy", "555-0143"),
        ("Organization/_history?_count=50", "Elm Street Pharmacy", "555-0143"),
    ] {
        let all = hospital.read(path).await.is(200).body.to_string();
        assert!(all.contains(left_out), "the hospital reads it by {path}: {all}");
        let names = amira.read(path).await.is(200).body.to_string();
        assert!(names.contains(kept) && !names.contains(left_out) && names.contains("SUBSETTED"), "{path}: {names}");
    }
    for query in [
        "Organization?identifier=elm-street",
        "Organization?_content=elm",
        "Practitioner?telecom=555-0143",
        "Encounter?service-provider.identifier=lakeside",
        "PractitionerRole?organization.address=x",
    ] {
        amira.read(query).await.is(403);
    }
    assert_eq!(amira.read(&own).await.body["description"], "Call the ward");
    amira.read(&foreign).await.is(404);
    for query in ["Task?_content=", "Task?_text=", "Patient?_has:Task:patient:_content="] {
        amira.read(&format!("{query}{NOTE}")).await.is(403);
    }
    let found = amira.read(&format!("?_content={NOTE}")).await.is(200).body;
    assert!(!found.to_string().contains(&own), "{found}");
    amira.patch(&own, &json!([{"op": "replace", "path": "/status", "value": "cancelled"}])).await.is(403);
}
