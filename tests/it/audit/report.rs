//! Who saw what of a patient, as an auditor and as the patient ask it.

use super::*;

both_databases!(an_access_report_tells_who_saw_what);

/// security audit log: Who asks for a report on a patient, by HTTP or by command, is on record as a look at the audit.
/// security audit report: `$access-report` tells an auditor, and the patient, who saw and changed what of the patient and to whom it was disclosed; nobody else, and of nobody else.
async fn an_access_report_tells_who_saw_what(mut server: TestServer) {
    let hospital = server.hospital();
    let id = hospital.create(&patient(1)).await.is(201).reference();
    let other = hospital.create(&patient(2)).await.is(201).reference();
    // A patient's login names the Patient, who must be there before; and no command works beside a server on SQLite.
    server.kill();
    let number = id.trim_start_matches("Patient/");
    let add = ["user", "add", "amira", "--role", "patient", "--organization", "lakeside", "--patient", number];
    let (added, text) = server.settings.run(&add);
    assert!(added, "{text}");
    server.restart().await;
    let hospital = server.hospital();
    hospital.read(&id).await.is(200);
    let seen = hospital.create(&observation(&id)).await.is(201).reference();
    found(&server, &format!("patient={id}"), |e| e.len() == 3).await;

    let path = format!("{id}/$access-report");
    for name in ["lakeside-ehr", "elm-street-pms", "mara", "jonas", "root"] {
        server.user(name).read(&path).await.is(403);
    }
    server.everyone().read(&path).await.is(403);
    let bundle = server.user("audit").read(&path).await.is(200).body;
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(3)), "{bundle:#}");
    assert!(bundle.to_string().contains("\"address\":\"127.0.0.1\""));
    let theirs = server.user("elm-street-audit").read(&path).await.is(200).body;
    assert_eq!(theirs["total"], 0, "of another organisation: {theirs:#}");
    let none = server.user("audit").read(&format!("{path}?end=2020-01-01")).await.is(200).body;
    assert_eq!(none["total"], 0);
    server.user("audit").read(&format!("{path}?start=yesterday")).await.is(400);
    let none = server.user("audit").read(&format!("{path}?disclosures=true")).await.is(200).body;
    assert_eq!(none["total"], 0);

    // The patient: of all organisations, and without what is the staff's.
    let amira = server.user("amira");
    let own = amira.read(&path).await.is(200).body;
    assert!(own["total"].as_u64() >= Some(3), "{own:#}");
    let text = own.to_string();
    assert!(text.contains(&seen) && text.contains("Organization/lakeside"), "{text}");
    assert!(!text.contains("address") && !text.contains("lakeside-ehr") && !text.contains("urn:ietf"), "{text}");
    amira.read(&format!("{other}/$access-report")).await.is(404);
    amira.read("AuditEvent").await.is(403);
    // Whose token it is, is in context of all that it asks.
    amira.send("GET", "Observation?code=nope", "", &[("X-Request-Id", "of-amira")]).await.is(200);
    found(&server, "entity:identifier=of-amira", |e| e.len() == 1 && entities(&e[0], "1") == [id.as_str()]).await;

    let page = amira.send("GET", &path, "", &[("Accept", "text/html")]).await.is(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let text = String::from_utf8(page.bytes).unwrap();
    assert!(text.contains("Everything") && text.contains("wrote it") && text.contains("read it"), "{text}");

    let (done, text) = server.settings.run(&["audit", "report", "--patient", number]);
    assert!(
        done && text.starts_with("\"When (UTC)\"") && text.contains("\"wrote it\"") && text.contains(&seen),
        "{text}"
    );
    let (done, text) =
        server.settings.run(&["audit", "report", "--patient", number, "--disclosures", "--format", "ndjson"]);
    assert!(done && text.starts_with("0 AuditEvents"), "{text}");
    assert!(!server.settings.run(&["audit", "report", "--patient", "Patient/1"]).0);
    // That somebody asked is on record, too, by HTTP and on the machine.
    let looks = found(&server, &format!("type=110101&patient={id}"), |e| e.len() >= 9).await;
    let of = |code: &str| looks.iter().filter(|e| e["subtype"].to_string().contains(&format!("\"{code}\""))).count();
    assert_eq!((of("operation"), of("audit-used")), (7, 2), "{looks:#?}");
}
