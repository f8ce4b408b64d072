//! Conditional interactions (corner 7).
//! Source: <https://hl7.org/fhir/R4/http.html#ccreate>, `#cond-update`, `#cdelete`, `#cread`.

use super::patient;
use super::{place, response, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    a_conditional_patch_takes_one_match_and_a_conditional_delete_all_of_them,
    a_conditional_delete_over_the_limit_takes_nothing,
    if_match_star_asks_that_there_is_a_version,
    criteria_may_chain_and_look_up,
    a_conditional_read_answers_304,
);

const ONE: &str = "identifier=http://rest.example/mrn|1";

/// R4 http.html#ccreate: `If-None-Exist`: no match 201; one match 200, the body ignored; several 412.
/// R4 http.html#ccreate: Criteria that are empty or unknown are 400: they never match by accident.
pub(super) async fn a_conditional_create_makes_finds_or_refuses(server: TestServer) {
    let client = server.everyone();
    let made = client.create_if_none(&patient("1"), ONE).await.is(201);
    let mut other = patient("1");
    other["gender"] = "male".into();
    let found = client.create_if_none(&other, ONE).await.is(200);
    assert_eq!(found.reference(), made.reference());
    assert!(found.body["gender"].is_null(), "the body of a match is ignored");
    assert_eq!(found.header("etag"), "W/\"1\"");
    client.create(&patient("1")).await.is(201);
    client.create_if_none(&patient("1"), ONE).await.refuses(412, "multiple-matches", "");
    client.create_if_none(&patient("2"), "identifer=http://rest.example/mrn|2").await.is(400);
    client.create_if_none(&patient("2"), "").await.is(400);
}

/// R4 http.html#cond-update: PUT by criteria: no match creates, one updates, several 412; a body with another `id`
/// than the match 400.
/// Own docs/writes.md: PUT by criteria that match none, with the `id` of what is there: 409 (R5's rule; R4 is silent).
pub(super) async fn a_conditional_update_creates_updates_or_refuses(server: TestServer) {
    let client = server.everyone();
    let put = |body: serde_json::Value| {
        let client = client.clone();
        async move { client.send("PUT", &format!("Patient?{ONE}"), body.to_string(), &[]).await }
    };
    let path = put(patient("1")).await.is(201).reference();
    assert_eq!(put(patient("1")).await.is(200).reference(), path);
    let mut wrong = patient("1");
    wrong["id"] = "another".into();
    put(wrong).await.refuses(400, "invalid", "Patient.id");
    // No match, under an id that is another's: nobody asked for that one.
    let mut new = patient("new");
    new["id"] = path.trim_start_matches("Patient/").into();
    let url = "Patient?identifier=http://rest.example/mrn|new";
    client.send("PUT", url, new.to_string(), &[]).await.refuses(409, "conflict", "Patient.id");
    let entry = json!({"resource": new, "request": {"method": "PUT", "url": url}});
    client.post(&transaction(&[entry])).await.refuses(409, "conflict", "Bundle.entry[0].resource.id");
    assert_eq!(client.read(&path).await.body["meta"]["versionId"], "2");
    new["id"] = "free".into();
    client.send("PUT", url, new.to_string(), &[]).await.is(201);
    client.create(&patient("1")).await.is(201);
    put(patient("1")).await.refuses(412, "multiple-matches", "");
}

/// R4 http.html#patch: PATCH by criteria takes the one match; none is 404, several 412.
/// R4 http.html#delete: DELETE by criteria takes all matches or none; without criteria it is 400.
/// R4 capabilitystatement.html: `conditionalDelete` says multiple where several may be deleted.
async fn a_conditional_patch_takes_one_match_and_a_conditional_delete_all_of_them(server: TestServer) {
    let client = server.everyone();
    let url = format!("Patient?{ONE}");
    client.delete(&url).await.is(204);
    client.patch(&url, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(404);
    let path = client.create(&patient("1")).await.is(201).reference();
    client.patch(&url, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(200);
    let second = client.create(&patient("1")).await.is(201).reference();
    client.patch(&url, &json!([{"op": "add", "path": "/active", "value": true}])).await.refuses(
        412,
        "multiple-matches",
        "",
    );
    // A version names one of them: with several it cannot hold.
    client.send("DELETE", &url, "", &[("If-Match", "W/\"1\"")]).await.refuses(412, "multiple-matches", "");
    let outcome = client.send("DELETE", &url, "", &[("Prefer", "return=OperationOutcome")]).await.is(200);
    assert_eq!(outcome.body["issue"][0]["diagnostics"], "2 resources were deleted");
    for gone in [&path, &second] {
        client.read(gone).await.is(410);
    }
    client.delete(&url).await.is(204);
    client.delete("Patient").await.is(400);
    // In a transaction, beside an entry that brings a new match.
    client.create(&patient("1")).await.is(201);
    client.create(&patient("1")).await.is(201);
    let bundle = transaction(&[
        json!({"resource": patient("1"), "request": {"method": "POST", "url": "Patient"}}),
        json!({"request": {"method": "DELETE", "url": url}}),
    ]);
    let answer = client.post(&bundle).await.ok().body;
    assert_eq!(response(&answer, 1)["status"], "204 No Content");
    assert_eq!(client.search(&url).await.len(), 1, "the new one");
    let statement = client.read("metadata").await.ok().body;
    assert_eq!(statement["rest"][0]["resource"][0]["conditionalDelete"], "multiple");
}

/// Own docs/writes.md: A conditional delete of more than `delete-max` resources is 412 and deletes nothing.
async fn a_conditional_delete_over_the_limit_takes_nothing(server: TestServer) {
    let client = server.everyone();
    let entries: Vec<Value> =
        (0..101).map(|_| json!({"resource": patient("1"), "request": {"method": "POST", "url": "Patient"}})).collect();
    let made = client.post(&transaction(&entries)).await.ok().body;
    let url = format!("Patient?{ONE}");
    let answer = client.delete(&url).await;
    answer.refuses(412, "multiple-matches", "");
    assert!(answer.body.to_string().contains("delete-max"), "{}", answer.body);
    assert_eq!(client.read(&format!("{url}&_summary=count")).await.body["total"], 101);
    client.delete(&place(&made, 0)).await.is(204);
    client.delete(&url).await.is(204);
    assert_eq!(client.read(&format!("{url}&_summary=count")).await.body["total"], 0);
}

/// R4 http.html#trules: Entries that come to the same resource by whatever criteria are refused, not merged.
pub(super) async fn two_entries_for_one_resource_are_refused(server: TestServer) {
    let client = server.everyone();
    let create = |number: &str, criteria: &str| json!({"resource": patient(number), "request": {"method": "POST", "url": "Patient", "ifNoneExist": criteria}});
    let by_query = |method: &str| {
        let body = if method == "PUT" { patient("1") } else { Value::Null };
        let mut entry = json!({"resource": body, "request": {"method": method, "url": format!("Patient?{ONE}")}});
        if method == "DELETE" {
            entry.as_object_mut().expect("an object").remove("resource");
        }
        entry
    };
    let plain = || json!({"resource": patient("1"), "request": {"method": "POST", "url": "Patient"}});
    let wide = "identifier=http://rest.example/mrn|1&active:missing=true";
    // Nothing is there yet: two would create the same.
    for (pair, at) in [
        ([create("1", ONE), create("1", ONE)], 1),
        ([create("1", ONE), by_query("PUT")], 1),
        ([by_query("PUT"), by_query("PUT")], 1),
        ([create("1", ONE), plain()], 0),
        ([plain(), create("2", ONE)], 1),
        ([plain(), create("1", wide)], 1),
        ([create("1", wide), create("1", ONE)], 0),
    ] {
        client.post(&transaction(&pair)).await.refuses(400, "duplicate", &format!("Bundle.entry[{at}]"));
    }
    assert!(client.search(&format!("Patient?{ONE}")).await.is_empty());
    client.post(&transaction(&[create("1", ONE), create("2", "identifier=http://rest.example/mrn|2")])).await.ok();
    let path = format!("Patient/{}", client.search(&format!("Patient?{ONE}")).await[0]["id"].as_str().expect("an id"));
    // It is there: each way to name it twice.
    let mut put = patient("1");
    put["id"] = path.trim_start_matches("Patient/").into();
    let by_id = || json!({"resource": put, "request": {"method": "PUT", "url": path}});
    let delete = || json!({"request": {"method": "DELETE", "url": path}});
    for pair in [
        [create("1", ONE), create("1", ONE)],
        [create("1", ONE), create("1", wide)],
        [create("1", ONE), by_id()],
        [by_id(), create("1", ONE)],
        [create("1", ONE), delete()],
        [by_query("PUT"), by_query("DELETE")],
        [by_query("DELETE"), by_id()],
    ] {
        client.post(&transaction(&pair)).await.refuses(400, "duplicate", "Bundle.entry[1]");
    }
    assert_eq!(client.read(&path).await.ok().body["meta"]["versionId"], "1");
}

/// RFC 7232 section-3.1: `If-Match: *` asks that there is a version, alone and in Bundles; else 412.
/// Own docs/writes.md: A create with `If-Match` is 400; with `If-None-Match: *` a match of its criteria is 412.
async fn if_match_star_asks_that_there_is_a_version(server: TestServer) {
    let client = server.everyone();
    let star = [("If-Match", "*")];
    let mut body = patient("1");
    body["id"] = "a".into();
    client.send("PUT", "Patient/a", body.to_string(), &star).await.refuses(412, "conflict", "");
    client.send("DELETE", "Patient/a", "", &star).await.refuses(412, "conflict", "");
    client.send("PUT", "Patient/a", body.to_string(), &[("If-None-Match", "*")]).await.is(201);
    client.send("PUT", "Patient/a", body.to_string(), &star).await.is(200);
    let entry = |url: &str| json!({"resource": body, "request": {"method": "PUT", "url": url, "ifMatch": "*"}});
    client.post(&transaction(&[entry("Patient/a")])).await.ok();
    client.send("DELETE", "Patient/a", "", &star).await.is(204);
    client.send("DELETE", "Patient/a", "", &star).await.refuses(412, "conflict", "");
    client.post(&transaction(&[entry("Patient/a")])).await.refuses(412, "conflict", "Bundle.entry[0]");
    client.send("PUT", "Patient/a", body.to_string(), &star).await.refuses(412, "conflict", "");
    // On a create: If-Match says nothing, If-None-Match: * turns a match into a refusal.
    client.send("POST", "Patient", body.to_string(), &star).await.refuses(400, "invalid", "");
    client.send("POST", "Patient", body.to_string(), &[("If-None-Match", "W/\"1\"")]).await.refuses(400, "invalid", "");
    let none = [("If-None-Match", "*"), ("If-None-Exist", ONE)];
    client.send("POST", "Patient", body.to_string(), &none).await.is(201);
    client.send("POST", "Patient", body.to_string(), &none).await.refuses(412, "conflict", "");
}

/// R4 http.html#ccreate: Criteria may chain and look value sets up; who may not search what they look into is refused.
async fn criteria_may_chain_and_look_up(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": path}});
    let chain = "subject:Patient.identifier=http://rest.example/mrn|1";
    client.create_if_none(&observation, chain).await.is(201);
    client.create_if_none(&observation, chain).await.is(200);
    let set = json!({"resourceType": "ValueSet", "url": "http://rest.example/rates", "status": "active",
        "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "8867-4"}]}]}});
    client.create(&set).await.is(201);
    let within = "code:in=http://rest.example/rates";
    client.create_if_none(&observation, within).await.is(200);
    client
        .send(
            "PATCH",
            &format!("Observation?{within}"),
            json!([{"op": "replace", "path": "/status", "value": "amended"}]).to_string(),
            &[("Content-Type", "application/json-patch+json")],
        )
        .await
        .is(200);
    client.create_if_none(&observation, "code:in=http://rest.example/unknown").await.is(400);
    let mut refers = observation.clone();
    refers["subject"] = json!({"reference": format!("Patient?_has:Observation:subject:{within}")});
    let made = client.create(&refers).await.is(201);
    assert_eq!(made.body["subject"]["reference"], path.as_str());
    // Who may not search what criteria look into may not ask by them.
    let analyst = server.technician();
    analyst.create_if_none(&observation, "subject:Patient.general-practitioner.name=x").await.is(403);
}

both_databases_with!(["--delete-max", "1"]; a_site_may_let_a_conditional_delete_take_one_only);

/// R4 capabilitystatement.html: A site may let a conditional delete take one only; `conditionalDelete` then says
/// single.
async fn a_site_may_let_a_conditional_delete_take_one_only(server: TestServer) {
    let client = server.everyone();
    client.create(&patient("1")).await.is(201);
    let second = client.create(&patient("1")).await.is(201).reference();
    client.delete(&format!("Patient?{ONE}")).await.refuses(412, "multiple-matches", "");
    client.delete(&second).await.is(204);
    client.delete(&format!("Patient?{ONE}")).await.is(204);
    let statement = client.read("metadata").await.ok().body;
    assert_eq!(statement["rest"][0]["resource"][0]["conditionalDelete"], "single");
}

/// R4 http.html#cread: A read with `If-None-Match` of the version, or `If-Modified-Since` its time, is 304 without a
/// body.
async fn a_conditional_read_answers_304(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let read = client.read(&path).await.ok();
    let modified = read.header("last-modified").to_owned();
    assert!(modified.ends_with(" GMT"), "{modified}");
    let not = client.send("GET", &path, "", &[("If-None-Match", "W/\"1\"")]).await.is(304);
    assert!(not.bytes.is_empty() && not.header("etag") == "W/\"1\"");
    client.send("GET", &path, "", &[("If-None-Match", "W/\"2\"")]).await.is(200);
    client.send("GET", &path, "", &[("If-Modified-Since", &modified)]).await.is(304);
    client.send("GET", &path, "", &[("If-Modified-Since", "Wed, 01 Jan 2020 00:00:00 GMT")]).await.is(200);
}
