//! Transactions: order, links, atomicity (corners 3 to 6).
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::{patient, place, response, transaction};
use crate::harness::{Answer, TestServer};
use serde_json::{Value, json};

both_databases!(
    a_reference_that_no_entry_resolves_is_refused,
    all_that_is_wrong_with_a_write_is_told_at_once,
    all_that_is_wrong_with_all_entries_is_told_at_once,
    a_link_leads_to_a_type_that_its_element_allows,
    a_batch_answers_each_entry_for_itself,
    five_thousand_entries_are_one_transaction,
    a_full_url_that_contradicts_its_resource_is_refused,
);

fn post(resource: Value, full_url: &str) -> Value {
    let kind = resource["resourceType"].clone();
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": "POST", "url": kind}})
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

/// R4 http.html#trules: The entries of a transaction are carried out as DELETE, POST, PUT and PATCH, GET, in whatever
/// order they stand.
/// R4 http.html#transaction-response: The answers stand in the order of the entries, with `status`, and `location`,
/// `etag`, `lastModified` where a version was made.
/// R4 http.html#trules: A GET or search in a transaction sees what the transaction wrote.
pub(super) async fn a_shuffled_transaction_deletes_creates_updates_and_reads_in_that_order(server: TestServer) {
    let client = server.everyone();
    let old = client.create(&patient("old")).await.is(201).reference();
    let kept = client.create(&patient("kept")).await.is(201).reference();
    let mut changed = patient("kept");
    changed["id"] = kept.trim_start_matches("Patient/").into();
    changed["active"] = true.into();
    let bundle = transaction(&[
        json!({"request": {"method": "GET", "url": kept}}),
        json!({"resource": changed, "request": {"method": "PUT", "url": kept}}),
        post(patient("new"), "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        json!({"request": {"method": "DELETE", "url": old}}),
        json!({"request": {"method": "GET", "url": "Patient?identifier=http://rest.example/mrn|new"}}),
    ]);
    let answer = client.post(&bundle).await.is(200).body;
    assert_eq!(answer["type"], "transaction-response");
    let status: Vec<&str> = (0..5).filter_map(|n| response(&answer, n)["status"].as_str()).collect();
    assert_eq!(status, ["200 OK", "200 OK", "201 Created", "204 No Content", "200 OK"], "{answer:#}");
    assert_eq!(answer["entry"][0]["resource"]["active"], true, "the GET sees the PUT");
    assert_eq!(response(&answer, 1)["etag"], "W/\"2\"");
    assert!(response(&answer, 2)["lastModified"].is_string() && response(&answer, 2)["location"].is_string());
    assert_eq!(answer["entry"][4]["resource"]["entry"].as_array().map(Vec::len), Some(1), "the search sees the POST");
    client.read(&old).await.is(410);
}

/// R4 http.html#trules: Two entries for one resource, by id or by criteria, fail the transaction.
pub(super) async fn the_same_identity_twice_fails_all(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let mut body = patient("1");
    body["id"] = path.trim_start_matches("Patient/").into();
    let put = json!({"resource": body, "request": {"method": "PUT", "url": path}});
    let delete = json!({"request": {"method": "DELETE", "url": path}});
    let by_query = json!({"resource": patient("1"), "request": {"method": "PUT", "url": "Patient?identifier=http://rest.example/mrn|1"}});
    for pair in [[put.clone(), put.clone()], [put.clone(), delete], [put, by_query]] {
        client.post(&transaction(&pair)).await.refuses(400, "duplicate", "Bundle.entry[1]");
    }
    assert_eq!(client.read(&path).await.body["meta"]["versionId"], "1");
}

/// R4 http.html#trules: When an entry fails, a read among them, nothing of the transaction is stored.
/// R4 http.html#transaction-response: A failed transaction is one OperationOutcome that names the entries.
/// case 9: Of a transaction half of which is valid nothing is stored.
pub(super) async fn after_a_failing_entry_nothing_exists_and_one_outcome_names_every_entry(server: TestServer) {
    let client = server.everyone();
    let bundle = transaction(&[
        post(patient("good"), "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"),
        post(json!({"resourceType": "Patient", "gender": "mal"}), "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2"),
        post(json!({"resourceType": "Patient", "nonsense": 1}), "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e3"),
    ]);
    let answer = client.post(&bundle).await.is(400);
    answer.refuses(400, "code-invalid", "Bundle.entry[1].resource.gender");
    let said = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert!(said.contains("Bundle.entry[2].resource.nonsense"), "{said}");
    assert!(client.search("Patient?identifier=http://rest.example/mrn|good").await.is_empty());
    client.post(&transaction(&[json!({"request": {"method": "GET", "url": "Patient/nobody"}})])).await.is(404);
    let with_search = transaction(&[
        post(patient("good"), "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e4"),
        json!({"request": {"method": "GET", "url": "Patient?nonsense=1"}}),
    ]);
    client.post(&with_search).await.refuses(400, "not-supported", "Bundle.entry[1]");
    assert!(client.search("Patient?identifier=http://rest.example/mrn|good").await.is_empty());
}

/// R4 references.html: What a link of a transaction becomes is of a type that its element allows and `Reference.type` names.
async fn a_link_leads_to_a_type_that_its_element_allows(server: TestServer) {
    let client = server.everyone();
    let (here, there) =
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239541", "urn:uuid:c757873d-ec9a-4326-a141-556f43239542");
    let nurse = json!({"resourceType": "Practitioner", "active": true});
    let wrong = [post(nurse.clone(), here), post(observation(here), there)];
    let at = "Bundle.entry[1].resource.subject.reference";
    client.post(&transaction(&wrong)).await.refuses(400, "value", at);
    let address = "http://elsewhere.example/fhir/Practitioner/77";
    client
        .post(&transaction(&[post(nurse, address), post(observation(address), there)]))
        .await
        .refuses(400, "value", at);
    let mut named = observation(here);
    named["subject"]["type"] = "Group".into();
    let at = "Bundle.entry[1].resource.subject.type";
    client.post(&transaction(&[post(patient("n"), here), post(named.clone(), there)])).await.refuses(400, "value", at);
    assert!(client.search("Observation?status=final").await.is_empty(), "nothing was stored");
    named["subject"]["type"] = "Patient".into();
    let made = client.post(&transaction(&[post(patient("n"), here), post(named, there)])).await.ok().body;
    // The address of a resource names its type, too, and so it does in a patch.
    let path = place(&made, 1);
    let nurse = format!("{}/Practitioner/n", server.base);
    client.create(&observation(&nurse)).await.refuses(400, "value", "Observation.subject.reference");
    let patch = json!([{"op": "replace", "path": "/subject", "value": {"reference": nurse}}]);
    client.patch(&path, &patch).await.refuses(422, "value", "Observation.subject.reference");
    assert_eq!(client.read(&path).await.body["meta"]["versionId"], "1");
}

/// R4 http.html#trules: `urn:uuid` and `urn:oid` links to entries are replaced in references, in `url` elements, and
/// in `src` and `href` of narratives.
/// R4 http.html#trules: Texts that merely mention such an address stay as they are.
pub(super) async fn links_are_rewritten_by_type_and_texts_that_mention_them_stay(server: TestServer) {
    let client = server.everyone();
    let binary = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
    let who = "urn:oid:1.2.3.4.5";
    let document = json!({
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": who},
        "text": {"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">see {binary} <img src=\"{binary}\" alt=\"x\"/></div>")},
        "description": format!("mentions {binary}"),
        "content": [{"attachment": {"url": binary, "title": binary}}]
    });
    let bundle = transaction(&[
        post(document, "urn:uuid:c757873d-ec9a-4326-a141-556f43239521"),
        post(json!({"resourceType": "Binary", "contentType": "text/plain", "data": "QQ=="}), binary),
        post(patient("oid"), who),
    ]);
    let answer = client.post(&bundle).await.is(200).body;
    let stored = client.read(&place(&answer, 0)).await.ok().body;
    assert_eq!(stored["subject"]["reference"], place(&answer, 2).as_str());
    assert_eq!(stored["content"][0]["attachment"]["url"], place(&answer, 1).as_str());
    assert_eq!(stored["content"][0]["attachment"]["title"], binary);
    assert_eq!(stored["description"], format!("mentions {binary}"));
    let div = stored["text"]["div"].as_str().expect("a narrative");
    assert!(div.contains(&format!("see {binary}")) && div.contains(&format!("src=\"{}\"", place(&answer, 1))), "{div}");
}

/// R4 http.html#trules: Entries may refer to each other in circles.
/// R4 references.html#contained: References into `contained` stay fragments.
/// R4 bundle.html#references: A relative reference is resolved by the base of its entry's `fullUrl`.
pub(super) async fn circles_contained_and_fragments_hold(server: TestServer) {
    let client = server.everyone();
    let (a, b) = ("urn:uuid:c757873d-ec9a-4326-a141-556f43239530", "urn:uuid:c757873d-ec9a-4326-a141-556f43239531");
    let task = |other: &str| {
        json!({
            "resourceType": "Task", "status": "draft", "intent": "order", "partOf": [{"reference": other}],
            "contained": [{"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": other.replace("Task", "Patient")}, "type": "seealso"}]}],
            "for": {"reference": "#p"}
        })
    };
    let mut first = task(b);
    first["contained"][0]["link"][0]["other"]["reference"] = "Patient/elsewhere".into();
    let mut second = task(a);
    second["contained"][0]["link"][0]["other"]["reference"] = "Patient/elsewhere".into();
    let answer = client.post(&transaction(&[post(first, a), post(second, b)])).await.is(200).body;
    let one = client.read(&place(&answer, 0)).await.ok().body;
    let two = client.read(&place(&answer, 1)).await.ok().body;
    assert_eq!(one["partOf"][0]["reference"], place(&answer, 1).as_str());
    assert_eq!(two["partOf"][0]["reference"], place(&answer, 0).as_str());
    assert_eq!(one["for"]["reference"], "#p");
    // A fullUrl of another server names the entry for relative references of that server's entries.
    let bundle = transaction(&[
        post(patient("abs"), "http://elsewhere.example/fhir/Patient/77"),
        post(observation("Patient/77"), "http://elsewhere.example/fhir/Observation/78"),
    ]);
    let answer = client.post(&bundle).await.is(200).body;
    let stored = client.read(&place(&answer, 1)).await.ok().body;
    assert_eq!(stored["subject"]["reference"], place(&answer, 0).as_str());
}

/// R4 bundle.html#references: A `urn:` reference that no entry resolves is 422 with its path; nothing is stored.
async fn a_reference_that_no_entry_resolves_is_refused(server: TestServer) {
    let client = server.everyone();
    let bundle = transaction(&[
        post(patient("x"), "urn:uuid:c757873d-ec9a-4326-a141-556f43239540"),
        post(
            observation("urn:uuid:c757873d-ec9a-4326-a141-55600000dead"),
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239541",
        ),
    ]);
    client.post(&bundle).await.refuses(422, "not-found", "Bundle.entry[1].resource.subject.reference");
    assert!(client.search("Patient?identifier=http://rest.example/mrn|x").await.is_empty());
}

/// `code expression` of each issue, in order.
#[track_caller]
fn told(answer: &Answer) -> Vec<String> {
    let issues = answer.body["issue"].as_array().expect("issues");
    issues.iter().map(|i| format!("{} {}", i["code"], i["expression"][0]).replace('"', "")).collect()
}

/// R4 http.html#update: A wrong or missing id, and all that is wrong with the body, come in one answer.
async fn all_that_is_wrong_with_a_write_is_told_at_once(server: TestServer) {
    let client = server.everyone();
    let bad = json!({"resourceType": "Patient", "foo": 1, "gender": "q", "managingOrganization": {"reference": "Organization?name"}});
    let mut other = bad.clone();
    other["id"] = "b6".into();
    let faults =
        ["structure Patient.foo", "code-invalid Patient.gender", "invalid Patient.managingOrganization.reference"];
    for (body, first) in [(&other, "invalid Patient.id"), (&bad, "required Patient.id")] {
        let answer = client.send("PUT", "Patient/b5", body.to_string(), &[]).await.is(400);
        let mut expected = vec![first];
        expected.extend(faults);
        let (mut told, first_told) = (told(&answer), told(&answer).swap_remove(0));
        assert_eq!(first_told, first, "the most useful first");
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
    }
    let answer = client.send("POST", "Patient", bad.to_string(), &[("if-none-exist", "nonsense=1")]).await.is(400);
    assert_eq!(told(&answer).len(), 4, "and of the criteria: {answer:?}");
    client.read("Patient/b5").await.is(404);
}

/// R4 http.html#transaction-response: What is wrong with the entries of a transaction comes in one answer: their content, links that
/// no entry resolves, conditional references that match nothing, requests that cannot be read; what refers to a bad entry is no
/// fault of its own.
async fn all_that_is_wrong_with_all_entries_is_told_at_once(server: TestServer) {
    let client = server.everyone();
    let url = |n: u8| format!("urn:uuid:c757873d-ec9a-4326-a141-5564000000{n:02}");
    let dead = "urn:uuid:c757873d-ec9a-4326-a141-55600000dead";
    let mut lost = observation(&url(0));
    lost["performer"] = json!([{"reference": dead}]);
    let mut stay = observation(&url(0));
    stay["encounter"] = json!({"reference": "Encounter?identifier=http://rest.example/v|nobody"});
    let bad_patient = json!({"resourceType": "Patient", "gender": "mal"});
    let mut entries =
        vec![post(bad_patient, &url(0)), post(lost, &url(1)), post(stay, &url(2)), post(patient("good"), &url(3))];
    let faults = [
        "code-invalid Bundle.entry[0].resource.gender",
        "not-found Bundle.entry[1].resource.performer[0].reference",
        "not-found Bundle.entry[2].resource.encounter.reference",
    ];
    let answer = client.post(&transaction(&entries)).await.is(400);
    let mut all = told(&answer);
    all.sort_unstable_by_key(|line| line.split(' ').next_back().map(str::to_owned));
    assert_eq!(all, faults);
    // An entry that cannot be read: what it would bring is not known.
    entries[3]["request"]["method"] = "FETCH".into();
    entries.push(post(observation(&url(3)), &url(4)));
    let answer = client.post(&transaction(&entries)).await.is(400);
    let mut all = told(&answer);
    all.sort_unstable_by_key(|line| line.split(' ').next_back().map(str::to_owned));
    assert_eq!(all, [faults[0], faults[1], "value Bundle.entry[3].request.method"]);
    assert!(client.search("Patient?identifier=http://rest.example/mrn|good").await.is_empty());
}

/// R4 http.html#trules: A conditional reference becomes the reference to its one match; none or several fail the
/// transaction.
pub(super) async fn a_conditional_reference_resolves_inside_and_0_or_2_matches_fail_all(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("one")).await.is(201).reference();
    let bundle = |criteria: &str| {
        transaction(&[post(
            observation(&format!("Patient?{criteria}")),
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239550",
        )])
    };
    let answer = client.post(&bundle("identifier=http://rest.example/mrn|one")).await.is(200).body;
    let stored = client.read(&place(&answer, 0)).await.ok().body;
    assert_eq!(stored["subject"]["reference"], path.as_str());
    client.post(&bundle("identifier=http://rest.example/mrn|none")).await.refuses(
        422,
        "not-found",
        "Bundle.entry[0].resource.subject.reference",
    );
    client.create(&patient("one")).await.is(201);
    client.post(&bundle("identifier=http://rest.example/mrn|one")).await.refuses(
        412,
        "multiple-matches",
        "Bundle.entry[0].resource.subject.reference",
    );
    assert_eq!(client.search("Observation").await.len(), 1);
}

/// R4 http.html#trules: A conditional reference may find a resource that the same transaction creates.
pub(super) async fn a_conditional_reference_may_name_a_resource_of_the_same_bundle(server: TestServer) {
    let client = server.everyone();
    let bundle = transaction(&[
        post(
            observation("Patient?identifier=http://rest.example/mrn|here"),
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239560",
        ),
        post(patient("here"), "urn:uuid:c757873d-ec9a-4326-a141-556f43239561"),
    ]);
    let answer = client.post(&bundle).await.is(200).body;
    let stored = client.read(&place(&answer, 0)).await.ok().body;
    assert_eq!(stored["subject"]["reference"], place(&answer, 1).as_str());
}

/// R4 http.html#trules: References to an entry with `ifNoneExist` that had a match lead to the match.
/// R4 http.html#ccreate: A transaction of conditional creates that is posted again creates nothing.
/// security A57: A Bundle sent again creates nothing.
pub(super) async fn the_same_bundle_again_creates_nothing_and_points_at_the_same(server: TestServer) {
    let client = server.everyone();
    let mut who = post(patient("again"), "urn:uuid:c757873d-ec9a-4326-a141-556f43239570");
    who["request"]["ifNoneExist"] = "identifier=http://rest.example/mrn|again".into();
    let mut what = post(
        observation("urn:uuid:c757873d-ec9a-4326-a141-556f43239570"),
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239572",
    );
    what["resource"]["identifier"] = json!([{"system": "http://rest.example/obs", "value": "1"}]);
    what["request"]["ifNoneExist"] = "identifier=http://rest.example/obs|1".into();
    let bundle = transaction(&[who, what]);
    let first = client.post(&bundle).await.is(200).body;
    let second = client.post(&bundle).await.is(200).body;
    let status = |b: &Value| -> Vec<String> {
        (0..2).map(|n| response(b, n)["status"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(status(&first), ["201 Created", "201 Created"], "{first:#}");
    assert_eq!(status(&second), ["200 OK", "200 OK"]);
    for n in 0..2 {
        assert_eq!(place(&first, n), place(&second, n));
    }
    let stored = client.read(&place(&second, 1)).await.ok().body;
    assert_eq!(stored["subject"]["reference"], place(&first, 0).as_str());
}

/// R4 references.html: The extension `resolve-as-version-specific` makes a reference one to the version; the extension
/// goes.
pub(super) async fn a_reference_may_ask_for_its_version(server: TestServer) {
    let client = server.everyone();
    let mark =
        json!([{"url": "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific", "valueBoolean": true}]);
    let who = "urn:uuid:c757873d-ec9a-4326-a141-556f43239580";
    let provenance = json!({
        "resourceType": "Provenance", "recorded": "2026-11-25T15:53:00Z", "agent": [{"who": {"display": "x"}}],
        "target": [{"reference": who, "extension": mark}, {"reference": who}]
    });
    let bundle =
        transaction(&[post(patient("v"), who), post(provenance, "urn:uuid:c757873d-ec9a-4326-a141-556f43239581")]);
    let answer = client.post(&bundle).await.is(200).body;
    let stored = client.read(&place(&answer, 1)).await.ok().body;
    let path = place(&answer, 0);
    assert_eq!(stored["target"], json!([{"reference": format!("{path}/_history/1")}, {"reference": path}]));
}

/// R4 http.html#patch: A JSON Patch is an entry of a Bundle as a Binary; `ifMatch` holds there.
pub(super) async fn a_patch_and_an_if_match_work_in_a_bundle(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("p")).await.is(201).reference();
    // [{"op":"add","path":"/active","value":true}]
    let patch = json!({"resourceType": "Binary", "contentType": "application/json-patch+json",
        "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="});
    let entry = |tag: &str| json!({"resource": patch, "request": {"method": "PATCH", "url": path, "ifMatch": tag}});
    client.post(&transaction(&[entry("W/\"9\"")])).await.refuses(412, "conflict", "Bundle.entry[0]");
    let answer = client.post(&transaction(&[entry("W/\"1\"")])).await.is(200).body;
    assert_eq!(response(&answer, 0)["etag"], "W/\"2\"");
    assert_eq!(client.read(&path).await.body["active"], true);
}

/// R4 http.html#transaction: Each entry of a batch answers for itself, errors with their OperationOutcome; searches
/// are searchsets.
async fn a_batch_answers_each_entry_for_itself(server: TestServer) {
    let client = server.everyone();
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"resource": patient("b"), "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "Patient", "gender": "x"}, "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
        {"request": {"method": "GET", "url": "Patient?identifier=http://rest.example/mrn|b"}},
        {"request": {"method": "GET", "url": "http://elsewhere.example/fhir/Patient/1"}},
    ]});
    let answer = client.post(&batch).await.is(200).body;
    assert_eq!(answer["type"], "batch-response");
    let status: Vec<&str> = (0..5).filter_map(|n| response(&answer, n)["status"].as_str()?.get(..3)).collect();
    assert_eq!(status, ["201", "400", "404", "200", "400"], "{answer:#}");
    assert_eq!(response(&answer, 1)["outcome"]["issue"][0]["expression"][0], "Bundle.entry[1].resource.gender");
    assert_eq!(answer["entry"][3]["resource"]["type"], "searchset");
}

/// Own docs/settings.md: A transaction of 5,000 entries is carried out; more is 413.
async fn five_thousand_entries_are_one_transaction(server: TestServer) {
    let client = server.everyone();
    let entry = |n: usize| post(patient(&n.to_string()), &format!("urn:uuid:c757873d-ec9a-4326-a141-{n:012x}"));
    let bundle = transaction(&(0..5000).map(entry).collect::<Vec<_>>());
    let answer = client.post(&bundle).await.is(200).body;
    assert_eq!(answer["entry"].as_array().map(Vec::len), Some(5000));
    let more = transaction(&(0..5001).map(entry).collect::<Vec<_>>());
    client.post(&more).await.is(413);
    let count = client.read("Patient?_summary=count").await.ok().body;
    assert!(count["total"].as_u64() >= Some(5000), "{count}");
}

/// R4 bundle.html#bundle-unique: A `fullUrl` that names another resource than the entry holds is refused; so is one
/// with a version.
async fn a_full_url_that_contradicts_its_resource_is_refused(server: TestServer) {
    let client = server.everyone();
    let entry = |url: &str, id: &str, method: &str| {
        let mut body = patient("f");
        body["id"] = id.into();
        let to = if method == "PUT" { format!("Patient/{id}") } else { "Patient".into() };
        json!({"fullUrl": url, "resource": body, "request": {"method": method, "url": to}})
    };
    let elsewhere = "http://elsewhere.example/fhir";
    for kind in ["transaction", "batch"] {
        for (url, refused) in [
            (format!("{elsewhere}/Patient/a"), false),
            (format!("{}/Patient/a", server.base), false),
            ("urn:uuid:c757873d-ec9a-4326-a141-556f43239590".into(), false),
            (format!("{elsewhere}/Patient/b"), true),
            (format!("{elsewhere}/Person/a"), true),
            (format!("{elsewhere}/Patient/a/_history/1"), true),
        ] {
            for method in ["PUT", "POST"] {
                let mut bundle = transaction(&[entry(&url, "a", method)]);
                bundle["type"] = kind.into();
                let answer = client.post(&bundle).await;
                let said = answer.body.to_string();
                assert_eq!(said.contains("Bundle.entry[0].fullUrl"), refused, "{kind} {method} {url}: {said}");
            }
        }
    }
}
