//! Who may read the audit, and that nobody writes it.

use super::*;

both_databases!(
    only_an_auditor_reads_the_audit_and_nobody_writes_it,
    an_auditor_sees_the_own_organisation_and_what_others_did_with_its_patients,
    reading_the_audit_is_on_record,
    an_audited_resource_can_be_deleted,
);

const CALLERS: [&str; 9] =
    ["lakeside-ehr", "northgate-ehr", "elm-street-pms", "harbour-pms", "mara", "jonas", "tomas", "ines", "root"];

/// security audit role: Over FHIR nobody creates, updates, patches or deletes an AuditEvent, whatever the role or the way.
/// security audit role: Only an auditor reads or searches AuditEvents; an admin is no auditor, and an auditor reads nothing clinical.
async fn only_an_auditor_reads_the_audit_and_nobody_writes_it(server: TestServer) {
    let id = server.hospital().create(&patient(1)).await.is(201).reference();
    let events = found(&server, &format!("patient={id}"), |e| e.len() == 1).await;
    let event = crate::harness::client::reference(&events[0]);
    let auditors = ["audit", "lakeside-audit", "elm-street-audit"];
    let mut callers: Vec<Client> = CALLERS.iter().map(|name| server.user(name)).collect();
    callers.push(server.everyone());
    for caller in &callers {
        for path in [
            event.clone(),
            format!("{event}/_history/1"),
            format!("{event}/_history"),
            "AuditEvent/_history".into(),
            "AuditEvent".into(),
            format!("AuditEvent?patient={id}"),
            format!("{id}/AuditEvent"),
            format!("Patient?_has:AuditEvent:patient:action=C&_id={}", id.trim_start_matches("Patient/")),
            "Patient?_revinclude=AuditEvent:patient".into(),
            "?_type=AuditEvent".into(),
        ] {
            let answer = caller.read(&path).await;
            let text = String::from_utf8_lossy(&answer.bytes);
            assert!(answer.status != 200 || !text.contains("\"AuditEvent\""), "{answer:?}");
            assert!(matches!(answer.status, 200 | 400 | 403 | 404), "{answer:?}");
        }
    }
    let whole = server.everyone().read("_history?_count=1000").await.is(200).body.to_string();
    assert!(!whole.contains("\"AuditEvent\""), "the history of the system is without it");
    callers.extend(auditors.map(|name| server.user(name)));
    for caller in &callers {
        let mut forged = events[0].clone();
        forged["action"] = "D".into();
        caller.create(&forged).await.is(403);
        caller.update(&forged).await.is(403);
        caller.patch(&event, &json!([{"op": "replace", "path": "/action", "value": "D"}])).await.is(403);
        caller.delete(&event).await.is(403);
        caller.delete("AuditEvent?action=C").await.is(403);
        let batch = json!({"resourceType": "Bundle", "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": event}}]});
        caller.post(&batch).await.is(403);
    }
    for name in auditors {
        for path in ["Patient", &id, "Task", "Encounter?_count=1", "Communication"] {
            server.user(name).read(path).await.is(403);
        }
        // What the matrix does not let a role read is in no history and no search of the system either, however far the role sees.
        for path in
            ["_history?_count=1000", "_history?_since=2000&_count=1000", "?_lastUpdated=ge2000&_count=1000", "$meta"]
        {
            let all = server.user(name).read(path).await;
            let text = String::from_utf8_lossy(&all.bytes);
            assert!(!text.contains(&id) || text.contains("\"AuditEvent\""), "{name} {path}: {text}");
            for entry in all.body["entry"].as_array().into_iter().flatten() {
                let rtype = entry["resource"]["resourceType"].as_str().unwrap_or_default();
                let is_free = rtype == "AuditEvent" || baton::access::limit::DIRECTORY.contains(&rtype);
                assert!(is_free, "{name} {path} has {entry}");
            }
            assert_eq!(all.status, 200, "{name} {path}: {text}");
        }
        let counted = server.user(name).read("_history?_summary=count").await.ok().body["total"].clone();
        let listed = server.user(name).read("_history?_count=1000").await.ok().body;
        let listed = listed["entry"].as_array().map_or(0, Vec::len);
        assert!(counted.as_u64().is_some_and(|n| n <= listed as u64), "{name}: {counted} of {listed}");
        server.user(name).read("AuditEvent?patient.name=quill").await.is(403);
        server.user(name).read("AuditEvent?_include=AuditEvent:patient:Patient").await.is(403);
    }
    let all = server.user("audit").read(&event).await.is(200);
    assert_eq!(all.body, events[0], "as it was written");
}

/// security audit role: An auditor of an organisation sees what its own people did, and what others did with what it owns.
async fn an_auditor_sees_the_own_organisation_and_what_others_did_with_its_patients(server: TestServer) {
    let lakeside = server.hospital().create(&patient(1)).await.is(201).reference();
    let northgate = server.other_hospital().create(&patient(1)).await.is(201).reference();
    found(&server, "action=C&patient:missing=false", |e| e.len() == 2).await;
    let auditor = server.user("lakeside-audit");
    assert_eq!(auditor.search(&format!("AuditEvent?patient={lakeside}")).await.len(), 1);
    let foreign = auditor.read(&format!("AuditEvent?patient={northgate}&_total=accurate")).await.is(200).body;
    assert_eq!((foreign["total"].as_u64(), foreign["entry"].as_array()), (Some(0), None), "{foreign}");
    let theirs = server.user("audit").search(&format!("AuditEvent?patient={northgate}")).await;
    let theirs = crate::harness::client::reference(&theirs[0]);
    auditor.read(&theirs).await.is(404);
    auditor.read(&format!("{theirs}/_history")).await.is(404);
    let all = auditor.read("AuditEvent/_history?_count=1000").await.is(200).body.to_string();
    assert!(!all.contains(&northgate) && all.contains(&lakeside), "{all}");
}

/// security audit log: Whoever reads the audit is on record there, as 110101.
async fn reading_the_audit_is_on_record(server: TestServer) {
    server.user("lakeside-audit").search("AuditEvent?action=D").await;
    let events = found(&server, "type=110101&agent-name=lakeside-audit", |e| !e.is_empty()).await;
    assert_eq!(events[0]["type"]["display"], "Audit Log Used");
    assert!(events[0]["entity"].as_array().unwrap().iter().any(|e| e["query"].is_string()), "{}", events[0]);
}

/// security audit role: That something is on record does not keep it from being deleted.
async fn an_audited_resource_can_be_deleted(server: TestServer) {
    let id = server.hospital().create(&patient(1)).await.is(201).reference();
    found(&server, &format!("patient={id}"), |e| e.len() == 1).await;
    server.everyone().delete(&id).await.is(204);
    let events = found(&server, &format!("patient={id}&action=D"), |e| e.len() == 1).await;
    assert_eq!(entities(&events[0], "2"), [id.as_str()]);
}
