//! What is on record of each interaction.

use super::*;
use crate::journey::discharge;
use base64::Engine as _;

both_databases!(
    each_interaction_is_on_record,
    entries_of_a_transaction_are_on_record_each_and_share_their_request_id,
    what_is_refused_is_on_record,
    a_claim_discloses_to_the_pharmacy,
    the_audit_is_found_by_its_search_parameters,
);

/// security audit create: A create is a `PatientCreate` of BALP, with client, server, data and patient, and no value of the resource.
/// security audit read: A read and a vread are a `PatientRead`, the data flowing to the client.
/// security audit update: An update and a patch are a `PatientUpdate`.
/// security audit delete: A delete is a `PatientDelete`, with the patient of what was there before.
/// security audit query: A search is a `PatientQuery` with the raw query; histories and `$everything` are on record in the same way; a count or a search that finds nothing names the patient that it asks for.
async fn each_interaction_is_on_record(server: TestServer) {
    let hospital = server.hospital();
    let id = hospital.create(&patient(1)).await.is(201).reference();
    let weight = hospital.create(&observation(&id)).await.is(201).reference();
    let pump = json!({"resourceType": "Device", "patient": {"reference": id}, "serialNumber": "70.5"});
    let pump = hospital.create(&pump).await.is(201).reference();
    hospital.read(&weight).await.is(200);
    hospital.read(&format!("{weight}/_history/1")).await.is(200);
    hospital.search(&format!("Observation?subject={id}")).await;
    hospital.read(&format!("{weight}/_history")).await.is(200);
    let mut body = hospital.read(&weight).await.is(200).body;
    body["valueQuantity"]["value"] = json!(71);
    hospital.update(&body).await.is(200);
    hospital.patch(&weight, &json!([{"op": "add", "path": "/language", "value": "en"}])).await.is(200);
    server.everyone().delete(&weight).await.is(204);
    hospital.read(&format!("{id}/$everything")).await.is(200);

    let events = found(&server, &format!("patient={id}"), |e| e.len() >= 12).await;
    let (client, server_) = ("110153", "110152");
    for (subtype, action, profile, agents, data, times) in [
        ("create", "C", "PatientCreate", (client, server_), vec![id.as_str(), &weight, &pump], 3),
        ("read", "R", "PatientRead", (server_, client), vec![&weight], 2),
        ("vread", "R", "PatientRead", (server_, client), vec![&weight], 1),
        ("search-type", "E", "PatientQuery", (client, server_), vec![], 1),
        ("history-instance", "E", "", (client, server_), vec![], 1),
        ("update", "U", "PatientUpdate", (client, server_), vec![&weight], 1),
        ("patch", "U", "PatientUpdate", (client, server_), vec![&weight], 1),
        ("delete", "D", "PatientDelete", ("110150", "custodian"), vec![&weight], 1),
        ("operation", "E", "", (client, server_), vec![&id], 1),
    ] {
        let all: Vec<&Value> = events.iter().filter(|e| e["subtype"][0]["code"] == subtype).collect();
        assert_eq!(all.len(), times, "{subtype}: {events:#?}");
        for event in all {
            assert_eq!(event["type"]["code"], "rest", "{event}");
            assert_eq!(event["action"], action, "{event}");
            assert_eq!(event["outcome"], "0", "{event}");
            if !profile.is_empty() {
                assert_eq!(event["meta"]["profile"][0], format!("{BALP}{profile}"), "{event}");
            }
            let codes: Vec<&Value> =
                event["agent"].as_array().expect("agents").iter().map(|a| &a["type"]["coding"][0]["code"]).collect();
            assert!(codes.contains(&&json!(agents.0)) && codes.contains(&&json!(agents.1)), "{event}");
            let sender = event["agent"].as_array().expect("agents").iter().find(|a| a["requestor"] == true);
            let sender = sender.expect("somebody asked");
            assert!(sender["network"]["address"] == "127.0.0.1", "{event}");
            assert_eq!(entities(event, "1"), [id.as_str()], "{event}");
            let named = entities(event, "2");
            assert!(named.iter().all(|n| data.contains(n)) && named.is_empty() == data.is_empty(), "{event}");
            let request = event["entity"][0]["what"]["identifier"]["value"].as_str().expect("X-Request-Id");
            assert!(!request.is_empty());
            let text = event.to_string();
            assert!(!text.contains("Quillfeather") && !text.contains("70.5"), "ids, not values: {text}");
        }
    }
    let query = events.iter().find(|e| e["subtype"][0]["code"] == "search-type").expect("a search");
    let raw = query["entity"].as_array().unwrap().iter().find_map(|e| e["query"].as_str()).expect("the raw query");
    let raw = base64::engine::general_purpose::STANDARD.decode(raw).unwrap();
    assert_eq!(String::from_utf8(raw).unwrap(), format!("Observation?subject={id}"));
    asks_that_show_nobody_name_whom_they_are_about(&server, &id).await;
}

/// A count, and a search that finds nothing, are about who is asked for; not where the asker may not know of them.
async fn asks_that_show_nobody_name_whom_they_are_about(server: &TestServer, id: &str) {
    let bare = id.trim_start_matches("Patient/");
    let (hospital, other) = (server.hospital(), server.other_hospital());
    let rows = [
        (&hospital, format!("Condition?patient={id}&_summary=count"), true),
        (&hospital, format!("Observation?patient={bare}&code=nope"), true),
        (&hospital, format!("Observation?subject:Patient={bare},nobody&code=nope"), true),
        (&hospital, format!("{id}/Condition"), true),
        (&hospital, format!("Patient?_id={bare}&_summary=count"), true),
        (&hospital, "Observation?code=nope".to_owned(), false),
        (&hospital, "Observation?subject=Patient/nobody".to_owned(), false),
        (&other, format!("Condition?patient={id}&_summary=count"), false),
    ];
    for (n, (client, query, _)) in rows.iter().enumerate() {
        client.send("GET", query, "", &[("X-Request-Id", &format!("asks-{n}"))]).await.is(200);
    }
    for (n, (_, query, is_about)) in rows.iter().enumerate() {
        let told = found(server, &format!("entity:identifier=asks-{n}"), |e| !e.is_empty()).await;
        let patients: Vec<&str> = told.iter().flat_map(|e| entities(e, "1")).collect();
        assert_eq!((told.len(), patients), (1, if *is_about { vec![id] } else { vec![] }), "{query}: {told:#?}");
    }
}

/// security audit bundle: Each entry is an event of its own, all with one X-Request-Id.
async fn entries_of_a_transaction_are_on_record_each_and_share_their_request_id(server: TestServer) {
    let full = "urn:uuid:6a1f0b1e-0000-4000-8000-000000000001";
    let entry = |resource: Value, full: Option<&str>| {
        let kind = resource["resourceType"].clone();
        let mut entry = json!({"resource": resource, "request": {"method": "POST", "url": kind}});
        if let Some(full) = full {
            entry["fullUrl"] = full.into();
        }
        entry
    };
    let bundle = json!({"resourceType": "Bundle", "type": "transaction",
        "entry": [entry(patient(2), Some(full)), entry(observation(full), None), entry(observation(full), None)]});
    let sent = server.hospital().send("POST", "", bundle.to_string(), &[("X-Request-Id", "visit-4711")]).await.is(200);
    let location = sent.body["entry"][0]["response"]["location"].as_str().unwrap();
    let id = location.split("/_history").next().unwrap().rsplit('/').take(2).collect::<Vec<_>>();
    let id = format!("{}/{}", id[1], id[0]);
    let events = found(&server, &format!("patient={id}"), |e| e.len() >= 3).await;
    assert_eq!(events.len(), 3, "{events:#?}");
    for event in &events {
        assert_eq!(event["entity"][0]["what"]["identifier"]["value"], "visit-4711", "{event}");
        assert_eq!(event["subtype"][0]["code"], "create");
    }
}

/// security audit alert: A refusal is a Security Alert with outcome 4, a reason code and what was refused, by whom as issuer and `sub`; what is unknown is on record as asked for.
async fn what_is_refused_is_on_record(server: TestServer) {
    let id = server.hospital().create(&patient(3)).await.is(201).reference();
    server.technician().delete(&id).await.is(403);
    server.other_hospital().read(&id).await.is(404);
    let denied = found(&server, "type=110113", |e| !e.is_empty()).await;
    assert_eq!(denied.len(), 1, "{denied:#?}");
    assert_eq!(denied[0]["outcome"], "4");
    assert_eq!(denied[0]["outcomeDesc"], "role");
    let subtypes = denied[0]["subtype"].to_string();
    assert!(subtypes.contains("\"delete\"") && subtypes.contains("AuthZ-Role"), "{subtypes}");
    assert_eq!(entities(&denied[0], "2"), [id.as_str()]);
    let who = denied[0]["agent"].as_array().unwrap().iter().find(|a| a["requestor"] == true).unwrap();
    assert_eq!(who["who"]["reference"], "Practitioner/mara-lind", "{}", denied[0]);
    assert_eq!(who["role"][0]["coding"][0]["code"], "technician");
    assert_eq!((&who["altId"], &who["name"]), (&json!("mara"), &json!("mara")), "{who}");
    let (issuer, sub) = (&who["who"]["identifier"]["system"], &who["who"]["identifier"]["value"]);
    assert!(
        issuer.as_str().is_some_and(|i| i.starts_with("http")) && sub.as_str().is_some_and(|s| s != "mara"),
        "{who}"
    );
    let query = format!("entity={id}&subtype=read&outcome=4");
    let missed = found(&server, &query, |e| !e.is_empty()).await;
    assert_eq!(missed[0]["outcomeDesc"], "not-found", "{}", missed[0]);
    assert!(entities(&missed[0], "1").is_empty(), "who may not know of a patient touched none");
    let forged = json!({"resourceType": "Communication", "status": "completed", "sender": {"reference": "Practitioner/jonas-adler"}});
    server.technician().create(&forged).await.is(403);
    let denied = found(&server, "type=110113&agent-name=mara", |e| e.len() >= 2).await;
    assert!(denied.iter().any(|e| e["outcomeDesc"] == "rule Communication.sender"), "{denied:#?}");
    // No caller at all.
    server.user("nobody-known").read(&id).await.is(401);
    found(&server, "type=110113&agent-name=unknown", |e| e.len() == 1).await;
}

/// security audit disclose: What a handoff opens to another organisation is a disclosure of the hospital's, one event for each recipient, with exactly what it lets them see, its custodian and who did it; both auditors see it.
async fn a_claim_discloses_to_the_pharmacy(server: TestServer) {
    let discharge = discharge("04-duplicate-therapy", server.now());
    server.user(discharge.hospital).post(&discharge.bundle).await.ok();
    let hospital = server.user("audit").search("Organization?name=Northgate").await;
    assert_eq!(hospital[0]["id"], "northgate", "the sample is Northgate's");
    let (elm, harbour) = (server.pharmacy(), server.other_pharmacy());
    let to = |org: &str| format!("type=110106&subtype=disclose&agent=Organization/{org}");
    let agent = |event: &Value, code: &str| {
        let all = event["agent"].as_array().expect("agents").iter();
        let mut of = all.filter(|a| a["type"]["coding"][0]["code"] == code);
        of.next().unwrap_or_else(|| panic!("no {code}: {event}")).clone()
    };
    // The offer: each candidate sees the Tasks, and nothing else.
    for (org, client) in [("elm-street", &elm), ("harbour", &harbour)] {
        let events = found(&server, &to(org), |e| !e.is_empty()).await;
        assert_eq!(events.len(), 1, "{events:#?}");
        let event = &events[0];
        assert_eq!(event["meta"]["profile"][0], format!("{BALP}PrivacyDisclosure.Source"), "{event}");
        let mut seen: Vec<String> = client.search("Task").await.iter().map(crate::harness::client::reference).collect();
        let mut told = entities(event, "2");
        seen.sort();
        told.sort_unstable();
        assert_eq!(told, seen, "{event}");
        assert_eq!(agent(event, "110153")["who"]["reference"], "Organization/northgate", "{event}");
        assert_eq!(agent(event, "custodian")["who"]["reference"], "Organization/northgate", "{event}");
        assert_eq!(agent(event, "authorizer")["who"]["reference"], "Organization/northgate", "{event}");
        assert_eq!(agent(event, "110152")["who"]["reference"], format!("Organization/{org}"), "{event}");
        assert_eq!(agent(event, "110150")["name"], "northgate-ehr", "{event}");
    }
    let tasks = elm.search("Task?status=requested&owner:missing=true").await;
    let task = tasks.first().expect("an open Task");
    let version = task["meta"]["versionId"].as_str();
    let path = format!("{}/$claim", crate::harness::client::reference(task));
    server.pharmacist().operation(&path, &Value::Null, version).await.ok();
    // The claim opens the record, to who claimed alone.
    let events = found(&server, &to("elm-street"), |e| e.len() >= 2).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    let patient = task["for"]["reference"].as_str().unwrap();
    assert!(events.iter().all(|e| entities(e, "1") == [patient]), "{events:#?}");
    let claim = events.iter().find(|e| e.to_string().contains("Encounter/")).expect("the record");
    assert_eq!(agent(claim, "IRCP")["who"]["reference"], "Practitioner/jonas-adler", "{claim}");
    let told = entities(claim, "2");
    for kind in ["Encounter/", "MedicationRequest/", "Condition/", "List/"] {
        assert!(told.iter().any(|t| t.starts_with(kind)), "{kind}: {claim}");
    }
    for at in told {
        elm.read(at).await.is(200);
    }
    found_by(&server.user("elm-street-audit"), &to("elm-street"), |e| e.len() == events.len()).await;
    assert_eq!(server.user("audit").search(&format!("AuditEvent?{}", to("harbour"))).await.len(), 1);
    let other = server.user("lakeside-audit").search(&format!("AuditEvent?{}", to("elm-street"))).await;
    assert!(other.is_empty(), "Lakeside has no part in it");
}

/// security audit role: The auditor finds by date, patient, agent, role, action, outcome, type, subtype, address and entity.
async fn the_audit_is_found_by_its_search_parameters(server: TestServer) {
    let id = server.hospital().create(&patient(4)).await.is(201).reference();
    found(&server, &format!("patient={id}"), |e| e.len() == 1).await;
    let today = server.now().strftime("%F").to_string();
    let auditor = server.user("audit");
    for (query, finds) in [
        (format!("date={today}"), true),
        ("date=lt2020-01-01".into(), false),
        (format!("entity={id}"), true),
        (format!("patient={id}"), true),
        ("patient=Patient/nobody".into(), false),
        ("action=C".into(), true),
        ("action=D".into(), false),
        ("outcome=0".into(), true),
        ("outcome=8".into(), false),
        ("type=rest".into(), true),
        ("type=110106".into(), false),
        ("subtype=create".into(), true),
        ("subtype=delete".into(), false),
        ("agent-name=lakeside-ehr".into(), true),
        ("agent-name=harbour-pms".into(), false),
        ("agent=Organization/lakeside".into(), true),
        ("agent=Organization/northgate".into(), false),
        ("agent-role=hospital-system".into(), true),
        ("agent-role=pharmacist".into(), false),
        ("address=127.0.0.1".into(), true),
        ("address=192.0.2.1".into(), false),
        ("entity:identifier=nobody".into(), false),
    ] {
        let all = auditor.search(&format!("AuditEvent?{query}&_count=1000")).await;
        let has = all.iter().any(|e| entities(e, "1") == [id.as_str()]);
        assert_eq!(has, finds, "{query}: {all:#?}");
    }
    for query in ["entity-role=1", "_content=rest", "type:text=rest", "source=Device/1"] {
        auditor.read(&format!("AuditEvent?{query}")).await.is(400);
    }
}
