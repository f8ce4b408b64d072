//! `$everything`, `$document`, `$lastn`: what is in them, page by page, and that nothing of another organisation is.
//! Source: <https://hl7.org/fhir/R4/patient-operation-everything.html>, <https://hl7.org/fhir/R4/composition-operation-document.html>,
//! <https://hl7.org/fhir/R4/observation-operation-lastn.html>.

use super::link;
use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};
use std::collections::BTreeSet;

both_databases!(
    everything_of_a_patient_is_the_compartment_and_what_it_refers_to,
    everything_comes_in_pages_of_one_snapshot,
    everything_of_all_patients_and_of_a_stay,
    a_document_holds_what_its_composition_refers_to,
    the_latest_observations_of_each_code,
    nothing_of_another_organisation_is_read_along,
);

/// A patient's record with client ids; `n` makes them differ, `mark` stands in every text.
async fn record(client: &Client, n: &str, mark: &str) {
    let subject = json!({"reference": format!("Patient/p{n}")});
    let coding = |code: &str| json!({"coding": [{"system": "http://loinc.example", "code": code}], "text": mark});
    let observation = |id: &str, code: &str, date: &str| {
        json!({"resourceType": "Observation", "id": format!("{id}{n}"), "status": "final", "subject": subject, "code": coding(code),
            "category": [{"coding": [{"code": "vital-signs"}]}], "effectiveDateTime": date, "encounter": {"reference": format!("Encounter/e{n}")},
            "performer": [{"reference": "Practitioner/mara-lind"}]})
    };
    for resource in [
        json!({"resourceType": "Patient", "id": format!("p{n}"), "name": [{"family": mark}], "managingOrganization": {"reference": "Organization/lakeside"}}),
        json!({"resourceType": "Encounter", "id": format!("e{n}"), "status": "in-progress", "class": {"code": "AMB"}, "subject": subject,
            "period": {"start": "2024-02-01", "end": "2024-02-03"}}),
        json!({"resourceType": "Medication", "id": format!("m{n}"), "code": {"text": mark}}),
        json!({"resourceType": "MedicationRequest", "id": format!("r{n}"), "status": "active", "intent": "order", "subject": subject,
            "medicationReference": {"reference": format!("Medication/m{n}")}, "authoredOn": "2024-03-01"}),
        observation("a", "weight", "2024-01-01"),
        observation("b", "weight", "2024-02-02"),
        observation("c", "pulse", "2024-02-02"),
        json!({"resourceType": "Condition", "id": format!("d{n}"), "subject": subject, "code": {"text": mark}}),
        json!({"resourceType": "List", "id": format!("l{n}"), "status": "current", "mode": "snapshot", "subject": subject,
            "entry": [{"item": {"reference": format!("MedicationRequest/r{n}")}}]}),
        json!({"resourceType": "Composition", "id": format!("k{n}"), "status": "final", "type": {"text": mark}, "date": "2024-02-03", "title": mark,
            "subject": subject, "author": [{"reference": "Practitioner/mara-lind"}], "encounter": {"reference": format!("Encounter/e{n}")},
            "section": [{"title": "Medicines", "entry": [{"reference": format!("List/l{n}")}]}]}),
    ] {
        client.update(&resource).await.is(201);
    }
}

/// `Type/id` of the entries, those of a mode or all.
fn ids(answer: &Value, mode: &str) -> BTreeSet<String> {
    let entries = answer["entry"].as_array().cloned().unwrap_or_default();
    let wanted = entries.iter().filter(|e| mode.is_empty() || e["search"]["mode"] == mode);
    wanted.map(|e| crate::harness::client::reference(&e["resource"])).collect()
}

fn set(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

const MEMBERS: &str = "Patient/p1 Encounter/e1 MedicationRequest/r1 Observation/a1 Observation/b1 Observation/c1 Condition/d1 List/l1 Composition/k1";
const COMMON: &str = "Practitioner/mara-lind Medication/m1 Organization/lakeside";

/// R4 patient-operation-everything.html: `Patient/$everything` is the compartment and what it refers to that is no
/// other patient's.
/// R4 patient-operation-everything.html: `_since`, `_type`, `start` and `end` narrow it, in the URL and in Parameters;
/// anything else is 400.
async fn everything_of_a_patient_is_the_compartment_and_what_it_refers_to(server: TestServer) {
    let client = server.everyone();
    record(&client, "1", "Adams").await;
    record(&client, "2", "Brown").await;
    let mut odd = server.read("Observation/a1").await;
    odd["focus"] = json!([{"reference": "Patient/p2"}, {"reference": "Observation/a2"}]);
    client.update(&odd).await.is(200);
    let all = client.read("Patient/p1/$everything").await.ok().body;
    assert_eq!((all["type"].as_str(), all["total"].as_u64()), (Some("searchset"), Some(9)));
    assert_eq!(ids(&all, "match"), set(MEMBERS));
    assert_eq!(ids(&all, "include"), set(COMMON), "nothing of the other patient, whatever refers to it");
    for (query, expected) in [
        ("_type=Observation", "Observation/a1 Observation/b1 Observation/c1"),
        ("_type=Observation,Condition", "Observation/a1 Observation/b1 Observation/c1 Condition/d1"),
        ("_type=Condition&_type=Medication", "Condition/d1 Medication/m1"),
        ("_type=Medication", "Medication/m1"),
        ("_type=Practitioner,Organization", "Practitioner/mara-lind Organization/lakeside"),
        ("_type=Practitioner&start=2024-02-10&_since=2999-01-01T00:00:00Z", ""),
        ("_type=MedicationRequest&_type=Medication", "MedicationRequest/r1 Medication/m1"),
        ("_type=Observation&start=2024-02-01", "Observation/b1 Observation/c1"),
        ("_type=Observation&end=2024-01-15", "Observation/a1"),
        (
            "_type=Observation,Condition,MedicationRequest&start=2024-01-15&end=2024-02-15",
            "Observation/b1 Observation/c1 Condition/d1",
        ),
        (
            "start=2024-02-01&end=2024-02-28",
            "Patient/p1 Encounter/e1 Observation/b1 Observation/c1 Condition/d1 List/l1 Composition/k1 Practitioner/mara-lind Organization/lakeside",
        ),
        ("_since=2999-01-01T00:00:00Z", ""),
        ("_type=Binary", ""),
    ] {
        let answer = client.read(&format!("Patient/p1/$everything?{query}")).await.ok().body;
        assert_eq!(ids(&answer, ""), set(expected), "{query}");
    }
    let updated = server.read("Observation/a1").await["meta"]["lastUpdated"].as_str().expect("an instant").to_owned();
    let since = client.read(&format!("Patient/p1/$everything?_since={updated}")).await.ok().body;
    assert_eq!(ids(&since, "match"), set("Observation/a1"), "the one that was changed last");
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Observation"}, {"name": "start", "valueDate": "2024-02-01"}]});
    let posted = client.operation("Patient/p1/$everything", &parameters, None).await.ok().body;
    assert_eq!(ids(&posted, ""), set("Observation/b1 Observation/c1"));
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/p1/$everything?_type=Condition"}},
        {"request": {"method": "GET", "url": "Patient/nobody/$everything"}}]});
    let batch = client.post(&batch).await.ok().body;
    assert_eq!(batch["entry"][0]["resource"]["entry"][0]["resource"]["id"], "d1");
    assert_eq!(batch["entry"][1]["response"]["status"], "404");
    client.read("Patient/nobody/$everything").await.refuses(404, "not-found", "");
    client.read("Patient/p1/$everything?_type=Nothing").await.refuses(400, "value", "");
    client.read("Patient/p1/$everything?start=yesterday").await.refuses(400, "value", "");
    client.read("Patient/p1/$everything?_count=0").await.refuses(400, "value", "");
    client.read("Patient/p1/$everything?name=x").await.refuses(400, "not-supported", "");
    client.update(&json!({"resourceType": "Patient", "id": "p3"})).await.is(201);
    client.delete("Patient/p3").await.is(204);
    client.read("Patient/p3/$everything").await.refuses(410, "deleted", "");
}

/// R4 patient-operation-everything.html: `_count` makes pages of one snapshot.
async fn everything_comes_in_pages_of_one_snapshot(server: TestServer) {
    let client = server.everyone();
    record(&client, "1", "Adams").await;
    let mut page = client.read("Patient/p1/$everything?_count=4").await.ok().body;
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        pages += 1;
        found.extend(ids(&page, "match"));
        let Some(next) = link(&page, "next") else { break };
        // Others write meanwhile: the pages are of the first one's moment.
        let late =
            json!({"resourceType": "Condition", "subject": {"reference": "Patient/p1"}, "code": {"text": "late"}});
        client.create(&late).await.is(201);
        client
            .patch("Observation/a1", &json!([{"op": "replace", "path": "/status", "value": "amended"}]))
            .await
            .is(200);
        page = client.read(&next).await.ok().body;
        server.hospital().read(&next).await.refuses(404, "not-found", "");
    }
    assert_eq!((pages, found.len()), (3, 9), "{found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), set(MEMBERS));
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 4}, {"name": "_type", "valueCode": "Condition"}]});
    client.operation("Patient/p1/$everything", &parameters, None).await.refuses(
        400,
        "value",
        "Parameters.parameter[0]",
    );
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "_count", "valuePositiveInt": 2}, {"name": "_type", "valueCode": "Condition"}]});
    let first = client.operation("Patient/p1/$everything", &parameters, None).await.ok().body;
    let second = client.read(&link(&first, "next").expect("a next link that can be read")).await.ok().body;
    assert_eq!((ids(&first, "match").len(), ids(&second, "match").len()), (2, 1));
}

/// R4 patient-operation-everything.html: Without an id it is of all patients.
/// R4 encounter-operation-everything.html: `Encounter/$everything` is the stay, its compartment and what these refer
/// to.
async fn everything_of_all_patients_and_of_a_stay(server: TestServer) {
    let client = server.everyone();
    record(&client, "1", "Adams").await;
    record(&client, "2", "Brown").await;
    let machine = json!({"resourceType": "Observation", "id": "device", "status": "final", "code": {"text": "x"}, "subject": {"reference": "Device/x"},
        "performer": [{"reference": "Practitioner/mara-lind"}]});
    client.update(&machine).await.is(201);
    let all = client.read("Patient/$everything?_type=Patient,Observation").await.ok().body;
    assert_eq!(
        ids(&all, ""),
        set(
            "Patient/p1 Patient/p2 Observation/a1 Observation/b1 Observation/c1 Observation/a2 Observation/b2 Observation/c2"
        )
    );
    let stay = client.read("Encounter/e1/$everything").await.ok().body;
    assert_eq!(ids(&stay, "match"), set("Encounter/e1 Observation/a1 Observation/b1 Observation/c1 Composition/k1"));
    let along =
        set("Patient/p1 Practitioner/mara-lind Organization/lakeside List/l1 MedicationRequest/r1 Medication/m1");
    assert_eq!(ids(&stay, "include"), along);
    client.read("Encounter/$everything").await.refuses(404, "not-supported", "");
    client.read("Encounter/e1/$everything?start=2024-01-01").await.refuses(400, "not-supported", "");
    client.read("Encounter/nobody/$everything").await.refuses(404, "not-found", "");
}

/// R4 composition-operation-document.html: `$document` is a Bundle of type document: the Composition first, what it
/// refers to, identifier and timestamp.
/// R4 composition-operation-document.html: `persist=true` stores the Bundle, by POST only.
/// Own docs/reading.md: A document that would not be whole is 422 with the element that leads nowhere.
async fn a_document_holds_what_its_composition_refers_to(server: TestServer) {
    let client = server.everyone();
    record(&client, "1", "Adams").await;
    let document = client.read("Composition/k1/$document").await.ok().body;
    assert_eq!(
        (document["type"].as_str(), document["entry"][0]["resource"]["id"].as_str()),
        (Some("document"), Some("k1"))
    );
    let expected = set(
        "Composition/k1 Patient/p1 Practitioner/mara-lind Encounter/e1 List/l1 MedicationRequest/r1 Medication/m1 Organization/lakeside",
    );
    assert_eq!(ids(&document, ""), expected);
    assert!(
        document["identifier"]["value"].as_str().is_some_and(|v| v.starts_with("urn:uuid:"))
            && document["timestamp"].is_string()
    );
    for entry in document["entry"].as_array().expect("entries") {
        assert_eq!(
            entry["fullUrl"],
            format!("{}/{}", server.base, crate::harness::client::reference(&entry["resource"]))
        );
    }
    client.read("Composition/k1/$document?persist=false").await.ok();
    client.read("Composition/k1/$document?persist=true").await.refuses(405, "not-supported", "");
    assert_eq!(client.read("Bundle?_summary=count").await.ok().body["total"], 0);
    let kept = client.send("POST", "Composition/k1/$document?persist=true", "", &[]).await.is(200);
    let path = kept.reference();
    assert_eq!(server.read(&path).await["entry"].as_array().map(Vec::len), Some(8));
    let lost = json!([{"op": "replace", "path": "/section/0/entry/0/reference", "value": "List/nobody"}]);
    client.patch("Composition/k1", &lost).await.is(200);
    client.read("Composition/k1/$document").await.refuses(
        422,
        "not-found",
        "Composition.section[0].entry[0].reference",
    );
    client.read("Composition/nobody/$document").await.refuses(404, "not-found", "");
}

/// R4 observation-operation-lastn.html: `$lastn` gives the latest `max` of each code, where subject and category or
/// code are asked for.
async fn the_latest_observations_of_each_code(server: TestServer) {
    let client = server.everyone();
    record(&client, "1", "Adams").await;
    record(&client, "2", "Brown").await;
    let both = json!({"resourceType": "Observation", "id": "both", "status": "final", "subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2023-01-01",
        "category": [{"coding": [{"code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.example", "code": "weight"}, {"system": "http://other.example", "code": "W"}]}});
    let text = |id: &str, text: &str, date: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": date, "category": [{"coding": [{"code": "vital-signs"}]}], "code": {"text": text}})
    };
    for resource in [both, text("t1", "Mood", "2024-01-01"), text("t2", " mood", "2024-01-02")] {
        client.update(&resource).await.is(201);
    }
    for (query, expected) in [
        ("patient=p1&category=vital-signs", "b1 c1 t2"),
        ("patient=Patient/p1&category=vital-signs&max=2", "b1 a1 c1 t2 t1"),
        ("patient=p1&category=vital-signs&max=9", "b1 a1 both c1 t2 t1"),
        ("subject=Patient/p1&code=http://loinc.example|weight", "b1"),
        ("patient=p1&code=http://other.example|W", "both"),
        ("patient=p1&code=weight,pulse&date=lt2024-02-01&max=1", "a1"),
        ("patient=p1&category=none", ""),
        ("patient.name=Brown&category=vital-signs", "b2 c2"),
    ] {
        let answer = client.read(&format!("Observation/$lastn?{query}")).await.ok().body;
        let entries = answer["entry"].as_array().cloned().unwrap_or_default();
        let mut found: Vec<_> = entries.iter().map(|e| e["resource"]["id"].as_str().expect("an id")).collect();
        let mut expected: Vec<_> = expected.split_whitespace().collect();
        assert_eq!(answer["total"].as_u64(), u64::try_from(expected.len()).ok(), "{query}");
        if query.contains("max=") {
            // Within a group in order; which of two groups of one date is first is not said.
            let at = |list: &[&str], id: &str| list.iter().position(|f| *f == id);
            assert!(at(&found, "a1") >= at(&found, "b1") || !query.contains("vital"), "{query}: {found:?}");
        }
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "max", "valuePositiveInt": 1},
        {"name": "patient", "valueReference": {"reference": "Patient/p1"}}, {"name": "code", "valueCoding": {"system": "http://loinc.example", "code": "pulse"}}]});
    let posted = client.operation("Observation/$lastn", &parameters, None).await.ok().body;
    assert_eq!(ids(&posted, "match"), set("Observation/c1"));
    client.read("Observation/$lastn?patient=p1").await.refuses(400, "required", "");
    client.read("Observation/$lastn?category=vital-signs").await.refuses(400, "required", "");
    client.read("Observation/$lastn?patient=p1&code=x&max=0").await.refuses(400, "value", "");
    client.read("Observation/$lastn?patient=p1&code=x&_sort=date").await.refuses(400, "not-supported", "");
    client.read("Observation/$lastn?patient=p1&code=x&nonsense=1").await.refuses(400, "not-supported", "");
}

/// What of another organisation must never be read.
const MARK: &str = "Zebrowski";

/// Own docs/reading.md: No operation that reads along gives what the caller may not read, and none tells that it is
/// there.
/// security leak 7: Compartments, `$everything` and their like bring nothing of another's.
/// security leak 16: A document holds only what its caller may read.
async fn nothing_of_another_organisation_is_read_along(server: TestServer) {
    let (own, other) = (server.hospital(), server.other_hospital());
    // The hospital's own ids; a server gives each organisation's writes their owner.
    let made = |answer: Answer| answer.is(201).reference();
    let patient = |name: &str| json!({"resourceType": "Patient", "name": [{"family": name}]});
    let theirs = made(other.create(&patient(MARK)).await);
    let ours = made(own.create(&patient("Abelson")).await);
    let seen = |subject: &str, performer: &str, text: &str| {
        json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "w"}], "text": text},
        "subject": {"reference": subject}, "performer": [{"reference": performer}], "category": [{"coding": [{"code": "v"}]}]})
    };
    let hidden = made(other.create(&seen(&theirs, "Practitioner/mara-lind", MARK)).await);
    made(own.create(&seen(&ours, "Practitioner/mara-lind", "fine")).await);
    // Pointers across the wall, both ways, as only the super-user can plant them.
    let everyone = server.everyone();
    let list = json!({"resourceType": "List", "status": "current", "mode": "working", "subject": {"reference": ours}});
    let list = made(own.create(&list).await);
    let mut pointing = server.read(&list).await;
    pointing["entry"] = json!([{"item": {"reference": hidden}}, {"item": {"reference": theirs}}]);
    everyone.update(&pointing).await.is(200);
    let mut inside = server.read(&hidden).await;
    inside["performer"] = json!([{"reference": ours}]);
    everyone.update(&inside).await.is(200);
    let composition = json!({"resourceType": "Composition", "status": "final", "type": {"text": "x"}, "date": "2024-02-03", "title": "x",
        "subject": {"reference": ours}, "author": [{"reference": "Practitioner/mara-lind"}], "section": [{"entry": [{"reference": list}]}]});
    let composition = made(own.create(&composition).await);
    let stay = json!({"resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"}, "subject": {"reference": ours}});
    let stay = made(own.create(&stay).await);
    let id = ours.trim_start_matches("Patient/");
    for path in [
        format!("{ours}/$everything"),
        "Patient/$everything".into(),
        format!("{ours}/$everything?_type=Observation,Patient,List"),
        format!("{stay}/$everything"),
        format!("Observation/$lastn?patient={id}&category=v&max=9"),
        "Observation/$lastn?patient:missing=false&category=v&max=9".into(),
        "Observation/$lastn?subject:Patient.name=Zebrowski&code=w&max=9".into(),
    ] {
        let answer = own.read(&path).await.ok();
        // The self link repeats what was asked.
        let text = answer.body["entry"].to_string();
        assert!(!text.contains(MARK), "{path}: {text}");
        assert_eq!(answer.body["resourceType"], "Bundle", "{path}");
    }
    // What is another's is answered like what never was.
    let never = "00000000-0000-4000-8000-000000000000";
    let hidden_id = theirs.trim_start_matches("Patient/");
    for (path, method) in [
        ("Patient/{}/$everything", "GET"),
        ("Patient/{}/$everything", "POST"),
        ("Encounter/{}/$everything", "GET"),
        ("Observation/$lastn?patient={}&code=w", "GET"),
    ] {
        let ask = |id: &str| path.replace("{}", id);
        let (one, two) =
            (own.send(method, &ask(hidden_id), "", &[]).await, own.send(method, &ask(never), "", &[]).await);
        let plain =
            |a: &Answer| (a.status, String::from_utf8_lossy(&a.bytes).replace(hidden_id, "ID").replace(never, "ID"));
        assert_eq!(plain(&one), plain(&two), "{path}");
    }
    // A document that would not be whole says where, in the words for what never was.
    let refused = own.read(&format!("{composition}/$document")).await;
    refused.refuses(422, "not-found", "List.entry[0].item.reference");
    assert!(!String::from_utf8_lossy(&refused.bytes).contains(MARK));
    let control = own.read(&format!("{ours}/$everything")).await.ok().body;
    assert!(ids(&control, "match").len() >= 5, "the positive control: {control}");
}
