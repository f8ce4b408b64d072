//! Two sides with the same story in other names: a hospital, its pharmacy, their people, a discharge that is followed up, records of
//! many kinds - and references planted across the wall, both ways.

use super::request::Names;
use crate::harness::client::reference;
use crate::harness::{Client, Settings, TestServer};
use crate::journey::{TASK_CODE, discharge};
use baton::access::Role;
use baton::access::limit::DIRECTORY;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Who tries the wall: role and name, one each, and those of both houses where it matters.
pub const CALLERS: [(&str, &str); 10] = [
    ("auditor", "lakeside-audit"),
    ("auditor", "elm-street-audit"),
    ("analyst", "lakeside-analyst"),
    ("admin", "root"),
    ("hospital-system", "lakeside-ehr"),
    ("prescriber", "lakeside-doctor"),
    ("patient", "lakeside-patient"),
    ("pharmacy-system", "elm-street-pms"),
    ("technician", "mara"),
    ("pharmacist", "jonas"),
];

/// Who owns what is behind it.
pub const OWNERS: [&str; 4] = ["northgate-ehr", "ines", "harbour-pms", "northgate-audit"];

/// What is behind the wall, and how it is known when it gets out.
pub struct World {
    /// Names of the others, and of the callers' own.
    pub theirs: Names,
    /// Words that only rows of the others hold.
    pub words: Vec<String>,
    /// Their ids, but for the row that rows of the callers' own point to.
    pub ids: BTreeSet<String>,
    /// The word of the entries of the directory that the others brought along, and the ids of those: an administrator sees them.
    pub entry: String,
    pub entries: BTreeSet<String>,
    /// The same of the callers' own, for others who ask.
    pub ours: BTreeMap<String, String>,
    pub our_words: Vec<String>,
    pub our_ids: BTreeSet<String>,
}

struct Side {
    hospital: Client,
    pharmacy: Client,
    technician: Client,
    house: &'static str,
    person: &'static str,
    marks: BTreeMap<&'static str, &'static str>,
    names: BTreeMap<String, String>,
}

/// The seed of the demo, each hospital with one pharmacy of its own, and people of every role.
fn seed() -> Value {
    let mut seed: Value = serde_json::from_str(include_str!("../../../../profiles/demo/seed.json")).expect("JSON");
    seed["organizations"][0]["candidate-pharmacies"] = json!(["elm-street"]);
    seed["organizations"][1]["candidate-pharmacies"] = json!(["harbour"]);
    let person = |id: &str, org: &str| json!({"id": id, "name": {"family": "Doctor", "given": [id]}, "roles": [{"organization": org, "role": "prescriber"}]});
    let people = seed["practitioners"].as_array_mut().expect("people");
    people.extend([person("lakeside-doctor", "lakeside"), person("northgate-doctor", "northgate")]);
    let users = seed["users"].as_array_mut().expect("users");
    for house in ["lakeside", "northgate"] {
        let doctor = format!("{house}-doctor");
        users.push(json!({"name": doctor, "organization": house, "role": "prescriber", "practitioner": doctor}));
        users.push(json!({"name": format!("{house}-analyst"), "organization": house, "role": "analyst"}));
    }
    users.push(json!({"name": "northgate-audit", "organization": "northgate", "role": "auditor"}));
    seed
}

/// A server with both sides.
pub async fn start(mut settings: Settings) -> (TestServer, World) {
    let roles: BTreeSet<&str> = CALLERS.iter().map(|(role, _)| *role).collect();
    let all = Role::ALL.iter().map(|(_, name)| *name).filter(|n| !matches!(*n, "super-user" | "rule-engine"));
    assert_eq!(roles, all.collect(), "each role of the matrix tries the wall");
    let file = settings.dir.path().join("seed.json");
    std::fs::write(&file, seed().to_string()).expect("a seed file");
    settings.seed = Some(file);
    let mut server = TestServer::start(settings).await;
    server.at("2026-03-06T16:00:00Z");
    let marks = |f, n, k, w, tag, d| BTreeMap::from([("f", f), ("n", n), ("k", k), ("w", w), ("tag", tag), ("d", d)]);
    let mut ours = Side {
        hospital: server.hospital(),
        pharmacy: server.pharmacy(),
        technician: server.technician(),
        house: "lakeside",
        person: "mara-lind",
        marks: marks("Abelson", "a-4711", "ape-code", "apricots", "ape-tag", "Dragonfly"),
        names: BTreeMap::new(),
    };
    let mut theirs = Side {
        hospital: server.other_hospital(),
        pharmacy: server.other_pharmacy(),
        technician: server.user("tomas"),
        house: "northgate",
        person: "tomas-reyes",
        marks: marks("Zebrowski", "z-4711", "zebra-code", "zucchini", "zebra-tag", "Quagga"),
        names: BTreeMap::new(),
    };
    story(&server, &mut ours).await;
    story(&server, &mut theirs).await;
    let (words, x) = plant(&server, &ours, &mut theirs).await;

    let (mut all, mut ids, entries) = owned(&theirs).await;
    all.remove(&x);
    let (mut our_ids, ..) = owned(&ours).await;
    for rtype in BROUGHT {
        assert!(ids.contains_key(rtype), "what a hospital brings along is behind the wall: {rtype}");
    }
    for pointed in ["p", "e"] {
        our_ids.remove(&ours.names[pointed]);
    }
    let our_words = ["f", "n", "k", "w", "tag", "d"].iter().map(|k| ours.marks[k].to_owned()).collect();
    assert!(ids.len() > 20, "many kinds of rows are behind the wall: {:?}", ids.keys());
    all.insert(theirs.names["j"].clone());
    // The audit is made of what is done: its ids are not known before.
    ids.insert("AuditEvent".into(), audited(&server).await);
    let own = ours.names.iter().map(|(k, v)| (format!("a{k}"), v.clone())).collect::<BTreeMap<_, _>>();
    let own = own.into_iter().filter(|(k, _)| ["ap", "ae", "ao", "ac", "al", "as", "at"].contains(&k.as_str()));
    let mut named = theirs.names.clone();
    named.extend(theirs.marks.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let entry = theirs.marks["d"].to_owned();
    let names = Names { named, ids, own: own.collect() };

    let patient = ours.names["p"].clone();
    server.kill();
    let add =
        ["user", "add", "lakeside-patient", "--role", "patient", "--organization", "lakeside", "--patient", &patient];
    let (done, said) = server.settings.run(&add);
    assert!(done, "{said}");
    server.restart().await;
    (server, World { theirs: names, words, ids: all, entry, entries, ours: ours.names, our_words, our_ids })
}

/// Types of the directory of which a hospital brings entries along.
const BROUGHT: [&str; 5] = ["Location", "Medication", "Organization", "Practitioner", "Substance"];

/// Ids of all that a side has, of each type one, and of the directory those that it brought along; what is everybody's apart.
async fn owned(side: &Side) -> (BTreeSet<String>, BTreeMap<String, String>, BTreeSet<String>) {
    let (mut all, mut ids, mut entries) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for client in [&side.hospital, &side.pharmacy] {
        let history = client.read("_history?_count=1000").await.ok().body;
        for entry in history["entry"].as_array().expect("entries") {
            let url = entry["fullUrl"].as_str().expect("an address");
            let mut parts = url.rsplit('/');
            let (id, rtype) = (parts.next().expect("an id").to_owned(), parts.next().expect("a type").to_owned());
            let is_entry = DIRECTORY.contains(&rtype.as_str());
            if !is_entry || entry["resource"].to_string().contains(side.marks["d"]) {
                all.insert(id.clone());
                if is_entry {
                    entries.insert(id.clone());
                }
                let is_plain = ["g", "x"].iter().all(|n| side.names.get(*n) != Some(&id));
                if is_plain && entry["request"]["method"] != "DELETE" {
                    ids.entry(rtype).or_insert(id);
                }
            }
        }
    }
    (all, ids, entries)
}

async fn audited(server: &TestServer) -> String {
    for _ in 0..200 {
        let found = server.user("northgate-audit").search("AuditEvent?_count=1").await;
        if let Some(event) = found.first() {
            return event["id"].as_str().expect("an id").to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the audit is not sealed")
}

fn id_of(reference: &str) -> String {
    reference.rsplit('/').next().expect("an id").to_owned()
}

async fn make(client: &Client, resource: Value) -> String {
    id_of(&client.create(&resource).await.ok().reference())
}

/// Entries of the directory in a discharge, as hospitals send them, named by the stay and an order, and by each other.
fn bring(sample: &mut Value, d: &str) {
    let all = sample["entry"].as_array_mut().expect("entries");
    let urn = |n: usize| format!("urn:uuid:5d1f7a10-0000-4000-8000-00000000000{n}");
    let at = |n: usize| json!({"reference": urn(n)});
    let stay = all.iter_mut().find(|e| e["resource"]["resourceType"] == "Encounter").expect("a stay");
    stay["resource"]["location"] = json!([{"location": at(1)}]);
    for order in all.iter_mut().filter(|e| e["resource"]["resourceType"] == "MedicationRequest") {
        order["resource"]["requester"] = at(2);
        order["resource"]["supportingInformation"] = json!([at(3)]);
    }
    for (n, resource) in [
        json!({"resourceType": "Organization", "name": d}),
        json!({"resourceType": "Location", "name": d, "managingOrganization": at(0)}),
        json!({"resourceType": "Practitioner", "name": [{"family": d}]}),
        json!({"resourceType": "Medication", "code": {"text": d}, "ingredient": [{"itemReference": at(4)}]}),
        json!({"resourceType": "Substance", "code": {"text": d}}),
    ]
    .into_iter()
    .enumerate()
    {
        let request = json!({"method": "POST", "url": resource["resourceType"]});
        all.push(json!({"fullUrl": urn(n), "resource": resource, "request": request}));
    }
}

/// One side's discharge, followed up, and records of many kinds.
async fn story(server: &TestServer, side: &mut Side) {
    let (f, n, k, w, tag) = (side.marks["f"], side.marks["n"], side.marks["k"], side.marks["w"], side.marks["tag"]);
    let d = side.marks["d"];
    let sample = discharge("04-duplicate-therapy", server.now()).bundle.to_string();
    let sample = sample.replace("northgate", side.house).replace("Haddad", f).replace("Chest pain, stent", w);
    let mut sample: Value = serde_json::from_str(&sample).expect("JSON");
    let tags = json!([{"system": "http://walls.example/tag", "code": tag}]);
    let number = |n: &str| json!({"system": "http://walls.example/n", "value": n});
    for at in [0, 1] {
        sample["entry"][at]["resource"]["identifier"].as_array_mut().expect("identifiers").push(number(n));
        sample["entry"][at]["resource"]["meta"] = json!({"tag": tags});
    }
    sample["entry"][0]["resource"]["text"] = json!({"status": "additional",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{w}</div>")});
    bring(&mut sample, d);
    let hospital = &side.hospital;
    let answer = hospital.post(&sample).await.ok().body;
    let made = |n: usize| {
        let location = answer["entry"][n]["response"]["location"].as_str().expect("a location");
        id_of(location.split("/_history").next().expect("a path"))
    };
    let (p, e) = (made(0), made(1));
    let (patient, stay) =
        (json!({"reference": format!("Patient/{p}")}), json!({"reference": format!("Encounter/{e}")}));
    let code = json!({"coding": [{"system": "http://walls.example/c", "code": k}], "text": w});
    let seen = json!({"resourceType": "Observation", "status": "final", "code": code, "subject": patient, "encounter": stay,
        "meta": {"tag": tags}, "identifier": [number(n)]});
    let o = make(hospital, seen.clone()).await;
    let g = make(hospital, seen.clone()).await;
    server.everyone().delete(&format!("Observation/{g}")).await.ok();
    // A second version of the patient, with another name in the first.
    let mut second = server.read(&format!("Patient/{p}")).await;
    second["birthDate"] = json!("1950-02-03");
    hospital.update(&second).await.ok();
    let l = make(
        hospital,
        json!({"resourceType": "List", "status": "current", "mode": "working", "title": w, "subject": patient,
        "identifier": [number(n)], "entry": [{"item": {"reference": format!("Observation/{o}")}}]}),
    )
    .await;
    let c = make(
        hospital,
        json!({"resourceType": "Composition", "status": "final", "type": {"text": w}, "subject": patient,
        "date": "2026-03-06", "author": [{"display": w}], "title": w, "encounter": stay,
        "section": [{"title": w, "entry": [{"reference": format!("Observation/{o}")}]}]}),
    )
    .await;
    let b = make(
        hospital,
        json!({"resourceType": "Binary", "contentType": "text/plain", "data": "emVicmE=",
        "securityContext": {"reference": format!("Patient/{p}")}}),
    )
    .await;
    for more in [
        json!({"resourceType": "AllergyIntolerance", "patient": patient, "code": {"text": w}, "identifier": [number(n)],
            "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}}),
        json!({"resourceType": "DocumentReference", "status": "current", "subject": patient, "description": w,
            "content": [{"attachment": {"url": format!("Binary/{b}"), "title": w}}]}),
        json!({"resourceType": "RelatedPerson", "patient": patient, "name": [{"family": f}]}),
        json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": w}, "subject": patient,
            "result": [{"reference": format!("Observation/{o}")}],
            "contained": [{"resourceType": "Practitioner", "id": "who", "name": [{"family": f}]}],
            "performer": [{"reference": "#who"}]}),
        json!({"resourceType": "Group", "type": "person", "actual": true, "name": w, "member": [{"entity": patient}]}),
        json!({"resourceType": "Device", "patient": patient, "identifier": [number(n)], "serialNumber": n, "note": [{"text": w}],
            "deviceName": [{"name": w, "type": "user-friendly-name"}]}),
    ] {
        make(hospital, more).await;
    }
    let v = make(
        hospital,
        json!({"resourceType": "Consent", "status": "inactive", "patient": patient, "dateTime": "2026-03-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        "category": [{"text": w}], "policyRule": {"text": w}}),
    )
    .await;
    let call = side.pharmacy.search(&format!("Task?patient={p}&code={TASK_CODE}|first-call")).await.remove(0);
    let t = id_of(&reference(&call));
    side.pharmacy.operation(&format!("Task/{t}/$claim"), &Value::Null, Some("1")).await.ok();
    let reached = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "no-answer"}, {"name": "note", "valueString": w}]});
    side.technician.operation(&format!("Task/{t}/$attempt"), &reached, None).await.ok();
    let m = id_of(&reference(&side.technician.search(&format!("MedicationRequest?patient={p}")).await[0]));
    let i = make(&side.technician, json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "high", "patient": patient,
        "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
        "identifiedDateTime": "2026-03-06T15:00:00Z", "implicated": [{"reference": format!("MedicationRequest/{m}")}], "detail": format!("taken twice: {w}"),
        "evidence": [{"detail": [{"reference": format!("MedicationRequest/{m}")}]}],
        "author": {"reference": format!("Practitioner/{}", side.person)}})).await;
    let q = make(&side.technician, json!({"resourceType": "QuestionnaireResponse", "status": "in-progress", "subject": patient, "item": [{"linkId": "1", "text": w}],
        "questionnaire": "http://walls.example/form"})).await;
    make(&side.pharmacy, json!({"resourceType": "MedicationDispense", "status": "completed", "subject": patient,
        "medicationCodeableConcept": {"text": w}, "authorizingPrescription": [{"reference": format!("MedicationRequest/{m}")}]})).await;
    let r = make(hospital, json!({"resourceType": "CommunicationRequest", "status": "active", "subject": patient, "payload": [{"contentString": w}]})).await;
    let s = id_of(&reference(&hospital.search(&format!("EpisodeOfCare?patient={p}")).await[0]));
    let later = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": format!("Patient/{p}")}}]});
    let started = hospital.send("POST", "", later.to_string(), &[("Prefer", "respond-async")]).await.is(202);
    let j = id_of(started.header("content-location"));
    for (name, id) in [
        ("p", p),
        ("e", e),
        ("o", o),
        ("g", g),
        ("l", l),
        ("c", c),
        ("b", b),
        ("t", t),
        ("m", m),
        ("i", i),
        ("q", q),
        ("r", r),
        ("s", s),
        ("v", v),
        ("j", j),
    ] {
        side.names.insert(name.into(), id);
    }
}

/// References across the wall, written past it: of the callers' rows to one Patient and Observation of the others, of the others' to the callers'.
/// Answers the words of the others, and the id that may be read as a reference.
async fn plant(server: &TestServer, ours: &Side, theirs: &mut Side) -> (Vec<String>, String) {
    let everyone = server.everyone();
    let x = make(
        &theirs.hospital,
        json!({"resourceType": "Patient", "name": [{"family": "Zyzzyva"}],
        "identifier": [{"system": "http://walls.example/n", "value": "x-z-4711"}]}),
    )
    .await;
    theirs.names.insert("x".into(), x.clone());
    theirs.names.insert("xf".into(), "Zyzzyva".into());
    let at_them = json!([{"reference": format!("Patient/{x}")}]);
    for (path, element, value) in [
        (format!("Observation/{}", ours.names["o"]), "performer", at_them.clone()),
        (format!("Observation/{}", ours.names["o"]), "focus", at_them.clone()),
        (format!("Composition/{}", ours.names["c"]), "author", at_them.clone()),
        (
            format!("Patient/{}", ours.names["p"]),
            "link",
            json!([{"other": {"reference": format!("Patient/{x}")}, "type": "seealso"}]),
        ),
        (
            format!("Observation/{}", theirs.names["o"]),
            "performer",
            json!([{"reference": format!("Patient/{}", ours.names["p"])}]),
        ),
    ] {
        let mut row = server.read(&path).await;
        row[element] = value;
        everyone.update(&row).await.is(200);
    }
    // A row of the others whose subject is the callers' patient, and whose stay is theirs, too.
    let tied = json!({"resourceType": "Observation", "status": "final", "code": {"text": theirs.marks["w"]}});
    let tied = make(&theirs.hospital, tied).await;
    let mut row = server.read(&format!("Observation/{tied}")).await;
    row["subject"] = json!({"reference": format!("Patient/{}", ours.names["p"])});
    row["encounter"] = json!({"reference": format!("Encounter/{}", ours.names["e"])});
    row["performer"] = at_them;
    everyone.update(&row).await.is(200);
    let mut words: Vec<String> = ["f", "n", "k", "w", "tag", "d"].iter().map(|k| theirs.marks[k].to_owned()).collect();
    words.push("Zyzzyva".into());
    (words, x)
}
