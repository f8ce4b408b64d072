//! Security labels: what is labelled is there for who is cleared, and for nobody else anywhere.

use crate::harness::client::reference;
use crate::harness::{Client, Database, Settings, TestServer, with_database};
use crate::journey::discharge;
use serde_json::{Value, json};

mod what_is_labelled_is_there_for_who_is_cleared {
    use super::{Database, with_database};

    #[test]
    fn sqlite() {
        with_database(Database::Sqlite, super::what_is_labelled_is_there_for_who_is_cleared);
    }

    #[test]
    fn postgres() {
        with_database(Database::Postgres, super::what_is_labelled_is_there_for_who_is_cleared);
    }
}

const R: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// Words of the medicine that is labelled, and of no other.
const SECRET: &str = "Clopidogrel";

fn patch_label(op: &str) -> Value {
    match op {
        "add" => json!([{"op": "add", "path": "/meta/security", "value": [{"system": R, "code": "R"}]}]),
        _ => json!([{"op": "remove", "path": "/meta/security"}]),
    }
}

/// The seed of the demo with two doctors of the hospital, one of whom is cleared later, and its auditor.
pub fn seeded(settings: &mut Settings) {
    let file = settings.dir.path().join("seed.json");
    std::fs::write(&file, seed().to_string()).expect("a seed file");
    settings.seed = Some(file);
}

/// A discharge of Northgate with one medicine that is labelled, claimed by Elm Street: the patient, the medicine's id, the stay's.
pub async fn labelled_discharge(server: &TestServer) -> (String, String, String) {
    let mut sample = discharge("04-duplicate-therapy", server.now());
    for entry in sample.bundle["entry"].as_array_mut().expect("entries") {
        if entry["resource"]["medicationCodeableConcept"]["text"].as_str().is_some_and(|t| t.starts_with(SECRET)) {
            entry["resource"]["meta"] = json!({"security": [{"system": R, "code": "R"}]});
        }
    }
    let hospital = server.user(sample.hospital);
    hospital.post(&sample.bundle).await.ok();
    let call = server.pharmacy().search("Task?code=first-call").await.remove(0);
    server.pharmacy().operation(&format!("{}/$claim", reference(&call)), &Value::Null, Some("1")).await.ok();
    let patient = call["for"]["reference"].as_str().expect("a patient").to_owned();
    let found = hospital.search(&format!("MedicationRequest?patient={patient}&code:text={SECRET}")).await;
    let id = found[0]["id"].as_str().expect("an id").to_owned();
    let stay = found[0]["encounter"]["reference"].as_str().expect("a stay").trim_start_matches("Encounter/").to_owned();
    (patient, id, stay)
}

fn seed() -> Value {
    let mut seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
    for name in ["doctor", "consultant"] {
        let roles = json!([{"organization": "northgate", "role": "prescriber"}]);
        let person = json!({"id": name, "name": {"family": "Doctor", "given": [name]}, "roles": roles});
        seed["practitioners"].as_array_mut().expect("people").push(person);
        let user = json!({"name": name, "organization": "northgate", "role": "prescriber", "practitioner": name});
        seed["users"].as_array_mut().expect("users").push(user);
    }
    let auditor = json!({"name": "northgate-audit", "organization": "northgate", "role": "auditor"});
    seed["users"].as_array_mut().expect("users").push(auditor);
    seed
}

/// Where a medicine could be seen: the path, and whether a caller who sees nothing gets 404.
fn paths(id: &str, patient: &str, stay: &str, list: &str) -> Vec<(String, bool)> {
    let path = |text: String| (text, false);
    vec![
        (format!("MedicationRequest/{id}"), true),
        (format!("MedicationRequest/{id}/_history"), true),
        (format!("MedicationRequest/{id}/_history/1"), true),
        (format!("MedicationRequest/{id}/_history/2"), true),
        (format!("MedicationRequest/{id}/$meta"), true),
        path(format!("MedicationRequest?_id={id}")),
        path(format!("MedicationRequest?patient={patient}&_count=50")),
        path(format!("MedicationRequest?_security={R}|R")),
        path(format!("MedicationRequest?code:text={SECRET}")),
        path(format!("MedicationRequest?patient={patient}&_total=accurate&_count=1&_sort=-_lastUpdated")),
        path("MedicationRequest/_history?_count=200".into()),
        path("_history?_count=500".into()),
        path(format!("Patient?_id={patient}&_revinclude=MedicationRequest:patient")),
        path(format!("Patient?_has:MedicationRequest:patient:_id={id}")),
        path(format!("List?patient={patient}&_include=List:item&_count=20")),
        path(format!("List?item=MedicationRequest/{id}")),
        path(format!("List?item:MedicationRequest.code:text={SECRET}")),
        path(format!("List/{list}/_history")),
        path(format!("Provenance?target=List/{list}")),
        path(format!("DetectedIssue?patient={patient}&_include=DetectedIssue:implicated&_count=50")),
        path(format!("Patient/{patient}/$everything?_count=200")),
        path(format!("Patient/{patient}/MedicationRequest")),
        path(format!("Encounter/{stay}/$everything?_count=200")),
        path(format!("Encounter/{stay}/$handoff-report")),
        path(format!("Encounter/{stay}/$handoff-report?_format=html")),
    ]
}

/// What an answer shows of it, without what was asked for: that comes back in the self link of a search.
fn shows(body: &str, path: &str, id: &str) -> bool {
    let asked = [path, &format!("_id={id}"), &format!("MedicationRequest/{id} "), &format!("code:text={SECRET}")]
        .iter()
        .fold(body.to_owned(), |text, asked| text.replace(asked, ""));
    let asked = asked
        .replace(&format!("item=MedicationRequest/{id}"), "")
        .replace(&format!("item=MedicationRequest%2F{id}"), "");
    asked.contains(SECRET) || asked.contains(&SECRET.to_lowercase()) || asked.contains(id)
}

fn preview() -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "preview", "valueBoolean": true}]})
}

/// security R28: What a role, an organisation and a scope allow, a label takes away again.
/// Own docs/access.md: A resource with a label that needs clearance is unknown to who is not cleared, with its old versions, and so
/// is what was made of it before the label came; what Baton makes does not speak of it, unless a Consent names it; a report for who is cleared does.
async fn what_is_labelled_is_there_for_who_is_cleared(mut settings: Settings) {
    seeded(&mut settings);
    let mut server = TestServer::start(settings).await;
    server.at("2026-03-06T16:00:00Z");
    let (patient, id, stay) = labelled_discharge(&server).await;
    let patient = patient.trim_start_matches("Patient/").to_owned();
    let call = server.pharmacy().search("Task?code=first-call").await.remove(0);
    let list = call["focus"]["reference"].as_str().expect("a list").trim_start_matches("List/").to_owned();
    let hospital = server.user("northgate-ehr");
    let path = format!("MedicationRequest/{id}");
    let other = server.technician().search(&format!("MedicationRequest?patient={patient}&code:text=aspirin")).await;
    let later = reference(&other[0]);
    hospital.patch(&path, &json!([{"op": "replace", "path": "/status", "value": "on-hold"}])).await.ok();

    server.kill();
    for name in ["consultant", "jonas"] {
        let (done, said) = server.settings.run(&["user", "clear", name, "R"]);
        assert!(done && said.contains("cleared for R"), "{said}");
    }
    let (done, said) = server.settings.run(&["user", "clear", "jonas", "Q"]);
    assert!(!done && said.contains("no label is called 'Q'"), "{said}");
    server.restart().await;
    let (mara, jonas) = (server.technician(), server.pharmacist());
    let (doctor, consultant) = (server.user("doctor"), server.user("consultant"));
    let hospital = server.user("northgate-ehr");
    let text = async |client: &Client, path: &str| {
        let answer = client.read(path).await;
        (answer.status, String::from_utf8_lossy(&answer.bytes).into_owned())
    };
    for (path, is_absent) in paths(&id, &patient, &stay, &list) {
        // A handoff takes nothing to another organisation that has a label, whoever is cleared there.
        for (name, client) in [("doctor", &doctor), ("mara", &mara), ("jonas", &jonas)] {
            let (status, hidden) = text(client, &path).await;
            assert_eq!(status, if is_absent { 404 } else { 200 }, "{name} {path}: {hidden}");
            assert!(!shows(&hidden, &path, &id), "{name} {path}: {hidden}");
        }
        for cleared in [&consultant, &hospital] {
            let (status, seen) = text(cleared, &path).await;
            assert_eq!(status, 200, "{path}: {seen}");
            let is_made_by_baton =
                path.starts_with("List") || path.starts_with("Provenance") || path.starts_with("Detected");
            // Histories of types end before the oldest write that still runs, and a chain finds the patient alone.
            let is_unsure = path.contains("_history?") || path.starts_with("Patient?_has");
            let told = is_unsure || shows(&seen, "-", &id) || seen.contains("\"R\"");
            assert!(is_made_by_baton || told, "{path}: {seen}");
        }
    }
    for (client, sees) in [(&doctor, false), (&mara, false), (&consultant, true)] {
        let told = client.operation(&format!("Encounter/{stay}/$reconcile"), &preview(), None).await.ok();
        assert_eq!(shows(&String::from_utf8_lossy(&told.bytes), "-", &id), sees);
        let told = client.operation(&format!("Encounter/{stay}/$screen"), &preview(), None).await.ok();
        assert!(sees || !shows(&String::from_utf8_lossy(&told.bytes), "-", &id));
    }
    let count = async |client: &Client| {
        let body = client.read(&format!("MedicationRequest?patient={patient}&_summary=count")).await.ok().body;
        body["total"].as_u64().expect("a total")
    };
    assert_eq!(count(&doctor).await + 1, count(&consultant).await, "totals count what can be seen");
    let held = [("If-None-Match", "W/\"2\"")];
    assert_eq!(doctor.send("GET", &format!("/fhir/{path}"), "", &held).await.status, 404);
    assert_eq!(consultant.send("GET", &format!("/fhir/{path}"), "", &held).await.status, 304);

    let_through(&server, &hospital, (&patient, &list), &path).await;
    // A Device can be a patient's: it has an owner, labels, and is in the patient's compartment.
    let pump = json!({"resourceType": "Device", "patient": {"reference": format!("Patient/{patient}")},
        "meta": {"security": [{"system": R, "code": "R"}]}, "note": [{"text": SECRET}]});
    let pump = hospital.create(&pump).await.is(201).reference();
    for (name, client, status) in [("consultant", &consultant, 200), ("doctor", &doctor, 404), ("jonas", &jonas, 404)] {
        assert_eq!(client.read(&pump).await.status, status, "{name}");
        let found = client.search(&format!("Device?patient={patient}")).await.len();
        let inside = client.read(&format!("Patient/{patient}/Device")).await.ok().body["total"].clone();
        assert_eq!((found, inside), (usize::from(status == 200), json!(u8::from(status == 200))), "{name}");
    }

    comes_later(&server, &hospital, (&patient, &list, &stay), &later).await;
}

/// A Consent lets the programme look at one row behind a label: what is made of it is read by all, the row as ever.
async fn let_through(server: &TestServer, hospital: &Client, (patient, list): (&str, &str), path: &str) {
    let (mara, jonas, consultant) = (server.technician(), server.pharmacist(), server.user("consultant"));
    let names = async |client: &Client| client.read(&format!("List/{list}")).await.ok().body.to_string().contains(path);
    let consent = |change: Value| {
        let mut out = json!({"resourceType": "Consent", "status": "active", "dateTime": "2026-03-06T10:00:00Z",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": format!("Patient/{patient}")}, "policy": [{"uri": "http://northgate.example/privacy"}],
            "provision": {"type": "permit", "data": [{"meaning": "instance", "reference": {"reference": path}}]}});
        for (name, value) in change.as_object().expect("an object") {
            out["provision"][name] = value.clone();
        }
        out
    };
    assert!(!names(&mara).await && !names(&consultant).await);
    let role =
        json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]});
    let elm = json!({"actor": [{"role": role, "reference": {"reference": "Organization/elm-street"}}]});
    hospital.create(&consent(elm)).await.is(201);
    assert!(!names(&mara).await, "the List is read by all, so a permit to one lets nothing through");
    let at = hospital.create(&consent(json!({}))).await.is(201).reference();
    mara.read(&at).await.is(404); // it speaks of what is labelled
    for client in [&mara, &jonas, &consultant] {
        assert!(names(client).await, "the List has it, and not its label");
    }
    for client in [&mara, &server.user("doctor")] {
        client.read(path).await.is(404);
        let found = client.search(&format!("List?_id={list}&_include=List:item")).await;
        assert!(found.iter().all(|r| reference(r) != path), "the row itself is as protected as it was");
    }
    let made = mara.search(&format!("Provenance?target=List/{list}")).await;
    assert!(!made.is_empty(), "nor has the record of how the List was made");
    let reconcile = format!("Encounter/{}/$reconcile", stay_of(&mara, list).await);
    mara.operation(&reconcile, &Value::Null, None).await.ok();
    assert!(names(&mara).await, "made again it still has it");
    hospital.patch(&at, &json!([{"op": "replace", "path": "/status", "value": "inactive"}])).await.ok();
    assert!(!names(&mara).await && !names(&consultant).await, "over");
    hospital.patch(&at, &json!([{"op": "replace", "path": "/status", "value": "active"}])).await.ok();
    assert!(names(&mara).await);
    let mut later = consent(json!({"type": "deny"}));
    later["dateTime"] = "2026-03-06T11:00:00Z".into();
    hospital.create(&later).await.is(201);
    assert!(!names(&mara).await, "the latest counts");
    mara.read(&format!("List/{list}")).await.ok();
}

async fn stay_of(client: &Client, list: &str) -> String {
    let list = client.read(&format!("List/{list}")).await.ok().body;
    list["encounter"]["reference"].as_str().expect("a stay").trim_start_matches("Encounter/").to_owned()
}

/// A label that comes when lists and problems are made.
async fn comes_later(server: &TestServer, hospital: &Client, (patient, list, stay): (&str, &str, &str), later: &str) {
    let (mara, jonas, doctor) = (server.technician(), server.pharmacist(), server.user("doctor"));
    let before = mara.read(&format!("List/{list}")).await.ok().body;
    assert!(before.to_string().contains(later), "{before}");
    let issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "high",
        "patient": {"reference": format!("Patient/{patient}")}, "identifiedDateTime": "2026-03-06T15:00:00Z", "detail": "d",
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "author": {"reference": "Practitioner/jonas-adler"}, "implicated": [{"reference": later}]});
    let issue = jonas.create(&issue).await.is(201).reference();
    let review = jonas.search(&format!("Task?focus={issue}")).await.remove(0);
    mara.read(&issue).await.is(200);
    hospital.patch(later, &patch_label("add")).await.ok();
    for hidden in [
        later.to_owned(),
        format!("{later}/_history/1"),
        format!("{later}/_history/2"),
        format!("{later}/_history"),
        format!("List/{list}/_history/{}", before["meta"]["versionId"].as_str().expect("a version")),
        issue.clone(),
        format!("{issue}/_history/1"),
        reference(&review),
    ] {
        for client in [&mara, &doctor] {
            client.read(&hidden).await.is(404);
        }
        jonas.read(&hidden).await.is(200);
    }
    for path in [
        format!("List/{list}"),
        format!("List/{list}/_history"),
        format!("Provenance?target=List/{list}"),
        format!("DetectedIssue?patient={patient}"),
        format!("Patient/{patient}/$everything?_count=300"),
        format!("Encounter/{stay}/$handoff-report"),
        "_history?_count=500".into(),
    ] {
        let shown = mara.read(&path).await.ok().body.to_string();
        assert!(!shown.contains(later) && !shown.contains(&issue), "{path}: {shown}");
    }
    for operation in ["$reconcile", "$screen"] {
        let told = mara.operation(&format!("Encounter/{stay}/{operation}"), &Value::Null, None).await.ok();
        let told = String::from_utf8_lossy(&told.bytes).into_owned();
        assert!(!told.contains(later) && !told.contains(&issue), "{operation}: {told}");
    }
    // The call goes on, about a list that says nothing of it.
    assert_eq!(mara.search(&format!("Task?patient={patient}&code=first-call")).await.len(), 1);

    // Who is not cleared puts no label on; what refers to a labelled row gets its label; nobody but the owner takes one away.
    let flag = |text: &str, about: &str| {
        json!({"resourceType": "Communication", "status": "completed", "subject": {"reference": format!("Patient/{patient}")},
        "about": [{"reference": about}], "sent": "2026-03-06T15:30:00Z", "sender": {"reference": "Practitioner/jonas-adler"},
        "recipient": [{"reference": "Organization/northgate"}], "payload": [{"contentString": text}]})
    };
    let said = jonas.create(&flag("about it", &issue)).await.is(201).reference();
    jonas.read(&said).await.is(200);
    mara.read(&said).await.is(404);
    let plain = mara.search(&format!("DetectedIssue?patient={patient}")).await;
    if let Some(plain) = plain.first() {
        mara.patch(&reference(plain), &patch_label("add")).await.refuses(403, "forbidden", "Resource.meta.security");
    }
    mara.patch(&issue, &patch_label("remove")).await.is(404);
    jonas.patch(&issue, &json!([{"op": "replace", "path": "/detail", "value": "e"}])).await.ok();
    jonas.patch(&issue, &patch_label("remove")).await.refuses(403, "forbidden", "Resource.meta.security");
    hospital.patch(later, &patch_label("remove")).await.ok();
    for (version, status) in [("1", 200), ("2", 404), ("3", 200)] {
        assert_eq!(mara.read(&format!("{later}/_history/{version}")).await.status, status, "{version}");
    }
}
