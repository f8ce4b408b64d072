//! Versions: update, delete, revive, and the preconditions on them (corners 1 and 2).
//! Source: <https://hl7.org/fhir/R4/http.html#concurrency>, `#read`, `#vread`, `#update`, `#delete`.

use super::patient;
use crate::harness::TestServer;
use futures_util::future::join_all;
use serde_json::json;

both_databases!(a_patch_changes_what_it_names_and_nothing_else,);

/// R4 http.html#concurrency: Of 32 updates at once with the same `If-Match` one is 200, the others are 412; the
/// version goes up by one.
/// R4 http.html#versioning: The ETag is `W/"n"` with the `meta.versionId` of the resource.
/// security A57: Of 32 updates with one ETag one wins.
pub(super) async fn of_32_parallel_updates_with_the_same_etag_one_wins(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let stored = client.read(&path).await.ok().body;
    let answers = join_all((0..32).map(|n| {
        let (client, mut body) = (client.clone(), stored.clone());
        body["gender"] = if n % 2 == 0 { "male".into() } else { "female".into() };
        async move { client.update(&body).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 412).count(), 31);
    let now = client.read(&path).await.ok();
    assert_eq!((now.body["meta"]["versionId"].as_str(), now.header("etag")), (Some("2"), "W/\"2\""));
}

/// R4 http.html#concurrency: PUT and DELETE with an `If-Match` of another version are 412.
/// R4 http.html#concurrency: An `If-Match` that is no ETag, empty, or several is 400.
pub(super) async fn a_stale_if_match_is_412_and_a_malformed_one_400(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let body = client.read(&path).await.body.to_string();
    client.send("PUT", &path, &body, &[("If-Match", "W/\"7\"")]).await.refuses(412, "conflict", "");
    for tag in ["7", "W/7", "", "W/\"1\", W/\"2\""] {
        client.send("PUT", &path, &body, &[("If-Match", tag)]).await.refuses(400, "invalid", "");
    }
    client.send("DELETE", &path, "", &[("If-Match", "W/\"7\"")]).await.refuses(412, "conflict", "");
    client.send("PUT", &path, &body, &[("If-Match", "W/\"1\"")]).await.is(200);
}

/// R4 http.html#read: A read of a deleted resource is 410, of one that never was 404.
/// R4 http.html#vread: A vread of the version that the delete made is 410, of an earlier one 200, of one that is not
/// there 404.
/// R4 http.html#delete: DELETE is 204, again 204, and the second makes no version.
/// R4 http.html#delete: A search does not find what is deleted.
/// R4 http.html#update: A PUT of a deleted id brings the resource back as 201 with the next version.
pub(super) async fn what_is_deleted_answers_410_and_comes_back_with_the_next_version(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let id = path.trim_start_matches("Patient/");
    client.delete(&path).await.is(204);
    client.delete(&path).await.is(204);
    client.read(&path).await.refuses(410, "deleted", "");
    client.read(&format!("{path}/_history/2")).await.refuses(410, "deleted", "");
    client.read(&format!("{path}/_history/1")).await.is(200);
    client.read(&format!("{path}/_history/3")).await.refuses(404, "not-found", "");
    assert!(client.search("Patient?identifier=http://rest.example/mrn|1").await.is_empty());
    let history = client.read(&format!("{path}/_history")).await.ok().body;
    assert_eq!(history["entry"].as_array().map(Vec::len), Some(2), "a second DELETE makes no version: {history:#}");

    let mut back = patient("1");
    back["id"] = id.into();
    let answer = client.send("PUT", &path, back.to_string(), &[]).await.is(201);
    assert_eq!(answer.header("etag"), "W/\"3\"");
    client.read(&path).await.is(200);
    assert_eq!(client.search("Patient?identifier=http://rest.example/mrn|1").await.len(), 1);
    client.read("Patient/never-was").await.refuses(404, "not-found", "");
}

/// R4 http.html#upsert: A PUT of an id that is not there creates the resource under that id: 201 with its Location.
/// R4 http.html#update: PUT with another `id` than the address, without `id`, or of another type is 400.
/// R4 http.html#concurrency: PUT with `If-None-Match: *` is 412 where the resource is there.
pub(super) async fn an_update_as_create_keeps_the_id_and_if_none_match_star_guards_it(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["id"] = "mine".into();
    let text = body.to_string();
    let answer = client.send("PUT", "Patient/mine", &text, &[("If-None-Match", "*")]).await.is(201);
    assert!(answer.header("location").ends_with("/fhir/Patient/mine/_history/1"), "{}", answer.header("location"));
    client.send("PUT", "Patient/mine", &text, &[("If-None-Match", "*")]).await.refuses(412, "conflict", "");
    client.send("PUT", "Patient/other", &text, &[]).await.refuses(400, "invalid", "Patient.id");
    client.send("PUT", "Observation/mine", &text, &[]).await.refuses(400, "invalid", "resourceType");
    client.send("PUT", "Patient/new", patient("2").to_string(), &[]).await.refuses(400, "required", "Patient.id");
}

/// R4 http.html#patch: A patch changes what it names; the rest keeps its digits. A stale `If-Match` is 412, an unknown
/// resource 404.
/// R4 http.html#patch: A patch that would make the resource invalid, or change its `id`, is 422.
/// RFC 6902 section-4.6: A `test` that does not hold refuses the patch.
async fn a_patch_changes_what_it_names_and_nothing_else(server: TestServer) {
    let client = server.everyone();
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":2.50,"unit":"mg"}}"#;
    let path = client.send("POST", "Observation", text, &[]).await.is(201).reference();
    let patch = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
    client.patch(&path, &patch).await.is(200);
    let now = client.read(&path).await.ok();
    let now_text = String::from_utf8_lossy(&now.bytes).into_owned();
    assert!(now_text.contains(r#""status":"amended""#) && now_text.contains(r#""value":2.50"#), "{now_text}");
    let stale = [("If-Match", "W/\"1\""), ("Content-Type", "application/json-patch+json")];
    client.send("PATCH", &path, patch.to_string(), &stale).await.refuses(412, "conflict", "");
    client.patch(&path, &json!([{"op": "replace", "path": "/id", "value": "x"}])).await.is(422);
    client.patch(&path, &json!([{"op": "replace", "path": "/status", "value": "actve"}])).await.is(422);
    client.patch(&path, &json!([{"op": "test", "path": "/status", "value": "final"}])).await.is(422);
    client.patch(&path, &json!({"op": "add"})).await.is(400);
    client.patch("Observation/nobody", &patch).await.is(404);
}
