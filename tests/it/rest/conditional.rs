//! Conditional interactions (corner 7).
//! Source: <https://hl7.org/fhir/R4/http.html#ccreate>, `#cond-update`, `#cdelete`, `#cread`.

use super::patient;
use crate::harness::TestServer;
use serde_json::json;

both_databases!(
    a_conditional_create_makes_finds_or_refuses,
    a_conditional_update_creates_updates_or_refuses,
    a_conditional_delete_and_patch_take_one_match_only,
    a_conditional_read_answers_304,
);

const ONE: &str = "identifier=http://rest.example/mrn|1";

async fn a_conditional_create_makes_finds_or_refuses(server: TestServer) {
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

async fn a_conditional_update_creates_updates_or_refuses(server: TestServer) {
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
    client.create(&patient("1")).await.is(201);
    put(patient("1")).await.refuses(412, "multiple-matches", "");
}

async fn a_conditional_delete_and_patch_take_one_match_only(server: TestServer) {
    let client = server.everyone();
    let url = format!("Patient?{ONE}");
    client.delete(&url).await.is(204);
    client.patch(&url, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(404);
    let path = client.create(&patient("1")).await.is(201).reference();
    client.patch(&url, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(200);
    let second = client.create(&patient("1")).await.is(201).reference();
    client.delete(&url).await.refuses(412, "multiple-matches", "");
    client.delete(&second).await.is(204);
    client.delete(&url).await.is(204);
    client.read(&path).await.is(410);
    client.delete("Patient").await.is(400);
}

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
