//! Profiles, tags and security labels across updates.
//! Source: <https://hl7.org/fhir/R4/resource.html#tag-updates>: labels are merged, profiles replaced.

use super::{patient, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    an_update_keeps_tags_and_security_labels_and_replaces_profiles,
    what_the_server_writes_is_not_the_clients,
    labels_are_read_added_and_taken_away_by_operations,
    an_operation_on_meta_passes_the_same_door,
);

fn label(code: &str) -> Value {
    json!({"system": "http://x.example", "code": code})
}

fn codes(resource: &Value, set: &str) -> Vec<String> {
    let all = resource["meta"][set].as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|one| one["code"].as_str().or(one.as_str()).map(str::to_owned)).collect()
}

/// R4 resource.html#tag-updates: An update keeps tags and security labels and replaces profiles, by PUT, by criteria,
/// in transactions.
/// R4 resource.html#tag-updates: A patch may take a tag away; after a delete none is kept.
/// R4 search.html#tag: Kept tags and labels are found by `_tag` and `_security`.
async fn an_update_keeps_tags_and_security_labels_and_replaces_profiles(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["meta"] = json!({"tag": [label("a")], "security": [label("s")]});
    let path = client.create(&body).await.is(201).reference();
    body["id"] = path.trim_start_matches("Patient/").into();
    let mut twin = label("a");
    twin["display"] = "once more".into();
    body["meta"] = json!({"tag": [label("b"), twin]});
    let by_query = "Patient?identifier=http://rest.example/mrn|1";
    let put = json!({"resource": body, "request": {"method": "PUT", "url": path}});
    for door in ["PUT", "conditional", "transaction"] {
        match door {
            "PUT" => drop(client.send("PUT", &path, body.to_string(), &[]).await.is(200)),
            "conditional" => drop(client.send("PUT", by_query, body.to_string(), &[]).await.is(200)),
            _ => drop(client.post(&transaction(std::slice::from_ref(&put))).await.ok()),
        }
        let stored = server.read(&path).await;
        assert_eq!(
            (codes(&stored, "tag"), codes(&stored, "security")),
            (vec!["b".into(), "a".into()], vec!["s".into()]),
            "{door}"
        );
        assert_eq!(stored["meta"]["tag"][1]["display"], "once more", "what is sent goes over what is stored");
    }
    assert_eq!(client.search("Patient?_tag=http://x.example|a").await.len(), 1, "what is kept is found");
    assert_eq!(client.search("Patient?_security=http://x.example|s").await.len(), 1);
    body.as_object_mut().expect("an object").remove("meta");
    client.send("PUT", &path, body.to_string(), &[]).await.is(200);
    let stored = server.read(&path).await;
    assert_eq!((codes(&stored, "tag").len(), codes(&stored, "security").len()), (2, 1));
    // A patch says what it takes away, and what is deleted keeps nothing.
    client.patch(&path, &json!([{"op": "remove", "path": "/meta/tag/0"}])).await.is(200);
    assert_eq!(codes(&server.read(&path).await, "tag"), ["a"]);
    client.delete(&path).await.is(204);
    client.send("PUT", &path, body.to_string(), &[]).await.is(201);
    assert!(codes(&server.read(&path).await, "tag").is_empty());
}

/// R4 resource.html#meta: `versionId` and `lastUpdated` are the server's, whatever a client sends or patches.
/// security A55: Version, time and the like come from the server.
async fn what_the_server_writes_is_not_the_clients(server: TestServer) {
    let client = server.everyone();
    let mut body = patient("1");
    body["meta"] = json!({"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [label("a")]});
    let path = client.create(&body).await.is(201).reference();
    let stored = server.read(&path).await;
    assert_eq!((stored["meta"]["versionId"].as_str(), codes(&stored, "tag")), (Some("1"), vec!["a".into()]));
    assert!(stored["meta"]["lastUpdated"].as_str().is_some_and(|t| t > "2026"));
    let patch = json!([{"op": "replace", "path": "/meta/versionId", "value": "99"}, {"op": "replace", "path": "/meta/lastUpdated", "value": "2001-01-01T00:00:00Z"}]);
    client.patch(&path, &patch).await.is(200);
    let stored = server.read(&path).await;
    assert_eq!(stored["meta"]["versionId"], "2");
    assert!(stored["meta"]["lastUpdated"].as_str().is_some_and(|t| t > "2026"));
}

fn parameters(meta: Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]})
}

/// The Meta of an answer, as a resource that [`codes`] reads.
fn returned(body: &Value) -> Value {
    json!({"meta": body["parameter"][0]["valueMeta"]})
}

/// R4 resource-operation-meta.html: `$meta` of an instance, a type and the system gives profiles, tags and security
/// labels.
/// R4 resource-operation-meta.html: `$meta` of a version gives what that version had.
/// R4 resource-operation-meta-add.html: `$meta-add` adds what is not there yet.
/// R4 resource-operation-meta-delete.html: `$meta-delete` takes away what is there; with `If-Match` it is 412 when
/// stale.
/// R4 http.html#trules: `$meta-add` and `$meta-delete` of one resource in one transaction are two entries for it:
/// refused.
async fn labels_are_read_added_and_taken_away_by_operations(server: TestServer) {
    let client = server.everyone();
    assert_eq!(client.read("Patient/$meta").await.ok().body, json!({"resourceType": "Parameters"}), "there are none");
    let mut body = patient("1");
    body["meta"] = json!({"tag": [label("a")]});
    let path = client.create(&body).await.is(201).reference();
    let add = parameters(
        json!({"tag": [label("a"), label("b")], "profile": ["http://hl7.org/fhir/StructureDefinition/Patient"], "security": [label("s")]}),
    );
    let answer = client.operation(&format!("{path}/$meta-add"), &add, None).await.is(200);
    assert_eq!(answer.header("etag"), "W/\"2\"");
    let meta = returned(&answer.body);
    assert_eq!(
        (codes(&meta, "tag"), codes(&meta, "security"), codes(&meta, "profile")),
        (
            vec!["a".into(), "b".into()],
            vec!["s".into()],
            vec!["http://hl7.org/fhir/StructureDefinition/Patient".into()]
        )
    );
    assert_eq!(meta["meta"]["versionId"], "2");
    assert_eq!(client.search("Patient?_tag=http://x.example|b").await.len(), 1);
    let stale =
        client.operation(&format!("{path}/$meta-delete"), &parameters(json!({"tag": [label("a")]})), Some("1")).await;
    stale.refuses(412, "conflict", "");
    let take = parameters(
        json!({"tag": [label("a"), label("never")], "profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}),
    );
    client.operation(&format!("{path}/$meta-delete"), &take, Some("2")).await.is(200);
    for read in
        [client.read(&format!("{path}/$meta")).await, client.send("POST", &format!("{path}/$meta"), "", &[]).await]
    {
        let meta = returned(&read.ok().body);
        assert_eq!((codes(&meta, "tag"), codes(&meta, "profile")), (vec!["b".into()], vec![]));
    }
    // Of a version: what it had then.
    for (version, tags) in [("1", vec!["a"]), ("2", vec!["a", "b"]), ("3", vec!["b"])] {
        let url = format!("{path}/_history/{version}/$meta");
        for answer in [client.read(&url).await, client.send("POST", &url, "", &[]).await] {
            let meta = returned(&answer.ok().body);
            assert_eq!(
                (codes(&meta, "tag"), meta["meta"]["versionId"].as_str()),
                (tags.iter().map(ToString::to_string).collect(), Some(version))
            );
        }
    }
    client.read(&format!("{path}/_history/4/$meta")).await.refuses(404, "not-found", "");
    client.send("POST", &format!("{path}/_history/1/$meta-add"), add.to_string(), &[]).await.refuses(
        404,
        "not-supported",
        "",
    );
    client
        .create(&json!({"resourceType": "Group", "type": "person", "actual": true, "meta": {"tag": [label("g")]}}))
        .await
        .is(201);
    for (url, tags) in [("Patient/$meta", vec!["b"]), ("Group/$meta", vec!["g"]), ("$meta", vec!["b", "g"])] {
        let mut found = codes(&returned(&client.read(url).await.ok().body), "tag");
        found.sort();
        assert_eq!(found, tags, "{url}");
    }
    for (body, status) in
        [(parameters(json!({"tag": "x"})), 400), (json!({"resourceType": "Parameters"}), 400), (patient("x"), 400)]
    {
        assert_eq!(client.operation(&format!("{path}/$meta-add"), &body, None).await.status, status);
    }
    client.operation("Patient/nobody/$meta-add", &add, None).await.is(404);
    client.read("Patient/nobody/$meta").await.is(404);
    client.read(&format!("{path}/$meta-add")).await.is(405);
    let bad = transaction(&[
        json!({"resource": add, "request": {"method": "POST", "url": format!("{path}/$meta-add")}}),
        json!({"resource": add, "request": {"method": "POST", "url": format!("{path}/$meta-delete")}}),
    ]);
    client.post(&bad).await.refuses(400, "duplicate", "Bundle.entry[1]");
    assert_eq!(server.read(&path).await["meta"]["versionId"], "3");
}

/// Own docs/writes.md: `$meta-add` and `$meta-delete` pass the walls and the roles of a patch.
async fn an_operation_on_meta_passes_the_same_door(server: TestServer) {
    let (hospital, other) = (server.hospital(), server.other_hospital());
    let mut body = patient("1");
    body["meta"] = json!({"security": [label("r")]});
    let path = hospital.create(&body).await.is(201).reference();
    let take = parameters(json!({"security": [label("r")]}));
    other.read(&format!("{path}/$meta")).await.is(404);
    other.read(&format!("{path}/_history/1/$meta")).await.is(404);
    other.operation(&format!("{path}/$meta-delete"), &take, None).await.is(404);
    assert!(codes(&returned(&other.read("Patient/$meta").await.ok().body), "security").is_empty());
    // A technician may not write a Patient at all, whoever's.
    server.technician().operation(&format!("{path}/$meta-delete"), &take, None).await.refuses(403, "forbidden", "");
    let entry = json!({"resource": take, "request": {"method": "POST", "url": format!("{path}/$meta-delete")}});
    server.technician().post(&transaction(&[entry])).await.refuses(403, "forbidden", "Bundle.entry[0]");
    assert_eq!(codes(&server.read(&path).await, "security"), ["r"]);
}
