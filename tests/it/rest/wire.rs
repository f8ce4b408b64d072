//! The wire: media types, HEAD, gzip, limits, unknown paths and methods, headers, probes.
//! Source: <https://hl7.org/fhir/R4/http.html#mime-type>, `#general`; limits: own rules.

use super::patient;
use crate::harness::TestServer;
use std::io::{Read, Write};

both_databases!(
    json_is_spoken_in_all_its_names_and_xml_is_refused,
    what_is_too_big_or_too_deep_is_refused,
    gzip_goes_both_ways,
    a_head_is_a_get_without_its_body,
    unknown_paths_and_methods_answer_with_an_outcome,
    metadata_lists_what_is_there,
    probes_and_request_ids,
);

/// R4 http.html#mime-type: JSON is answered for all its media types and `_format`; `_format` goes over `Accept`.
/// R4 http.html#mime-type: XML asked for is 406, XML sent 415, with a sentence.
/// R4 http.html#pretty: `_pretty=true` gives lines.
/// security A49: XML is 415: no parser with a DTD is there.
async fn json_is_spoken_in_all_its_names_and_xml_is_refused(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    for accept in [
        "application/fhir+json; fhirVersion=4.3",
        "application/fhir+json;fhirVersion=4.0",
        "application/json",
        "text/json",
        "*/*",
    ] {
        let answer = client.send("GET", &path, "", &[("Accept", accept)]).await.is(200);
        assert!(answer.header("content-type").starts_with("application/fhir+json"), "{accept}");
    }
    client.send("GET", &path, "", &[("Accept", "application/fhir+xml")]).await.refuses(406, "not-supported", "");
    client.read(&format!("{path}?_format=xml")).await.refuses(406, "not-supported", "");
    client.send("GET", &format!("{path}?_format=json"), "", &[("Accept", "application/fhir+xml")]).await.is(200);
    let body = patient("2").to_string();
    client.send("POST", "Patient", &body, &[("Content-Type", "application/fhir+xml")]).await.refuses(
        415,
        "not-supported",
        "",
    );
    client
        .send("POST", "Patient", &body, &[("Content-Type", "application/fhir+json; charset=utf-8; fhirVersion=4.3")])
        .await
        .is(201);
    let pretty = client.read(&format!("{path}?_pretty=true")).await.ok();
    assert!(String::from_utf8_lossy(&pretty.bytes).contains("\n  \"resourceType\": \"Patient\""));
}

/// Own docs/settings.md: A body over the limit is 413, a URL over it 414, JSON too deep 400; the server stays up.
/// security A42: A body over the limit is 413.
/// security A43: 200,000 levels are 400, and the server stays up.
async fn what_is_too_big_or_too_deep_is_refused(server: TestServer) {
    let client = server.everyone();
    let huge = vec![b' '; (16 << 20) + 1];
    let answer = client.try_send("POST", "Patient", &huge, &[]).await;
    // The server may close before all of it was sent; what it says, if it can, is 413.
    assert!(answer.is_err() || answer.is_ok_and(|a| a.status == 413));
    let long = format!("Patient?identifier={}", "a".repeat(20 << 10));
    assert_eq!(client.read(&long).await.status, 414);
    let deep = format!("{{\"resourceType\":\"Patient\",\"extension\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    client.send("POST", "Patient", &deep, &[]).await.is(400);
    client.create(&patient("still there")).await.is(201);
}

/// RFC 7231 section-3.1.2.2: Bodies with `Content-Encoding: gzip` are read and answers are packed for who accepts it;
/// another coding is 415.
async fn gzip_goes_both_ways(server: TestServer) {
    let client = server.everyone();
    let mut big = patient("z");
    big["name"] = serde_json::json!([{"text": "x".repeat(5000)}]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(big.to_string().as_bytes()).expect("packs");
    let packed = packed.finish().expect("packs");
    let path = client.send("POST", "Patient", packed, &[("Content-Encoding", "gzip")]).await.is(201).reference();
    let answer = client.send("GET", &path, "", &[("Accept-Encoding", "gzip")]).await.is(200);
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_string(&mut text).expect("gzip");
    assert!(text.contains("xxxxx") && answer.bytes.len() < 1000);
    client.send("POST", "Patient", "no gzip", &[("Content-Encoding", "gzip")]).await.is(400);
    client.send("POST", "Patient", "x", &[("Content-Encoding", "br")]).await.is(415);
}

/// R4 http.html#head: HEAD answers what GET would, without the body.
async fn a_head_is_a_get_without_its_body(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let get = client.read(&path).await.ok();
    let head = client.send("HEAD", &path, "", &[]).await.is(200);
    assert!(head.bytes.is_empty());
    assert_eq!(head.header("etag"), get.header("etag"));
    assert_eq!(head.header("content-length"), get.bytes.len().to_string());
    client.send("HEAD", "Patient/nobody", "", &[]).await.is(404);
}

/// R4 http.html#summary: An unknown path is 404, a method that the path does not take 405 with `Allow`, an unknown
/// operation 404; each with an OperationOutcome.
/// security A59: TRACE and methods that a path does not take are 405.
async fn unknown_paths_and_methods_answer_with_an_outcome(server: TestServer) {
    let client = server.everyone();
    client.read("Nonsense/1").await.refuses(404, "not-found", "");
    client.read("/nowhere").await.refuses(404, "not-found", "");
    client.send("PUT", "metadata", "{}", &[]).await.refuses(405, "not-supported", "");
    client.send("TRACE", "Patient", "", &[]).await.refuses(405, "not-supported", "");
    for (method, path, allow) in [
        ("POST", "metadata", "GET, HEAD"),
        ("PUT", "", "GET, HEAD, POST"),
        ("TRACE", "Patient/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("OPTIONS", "Patient", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("POST", "Patient/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("DELETE", "Patient/1/_history/1", "GET, HEAD"),
        ("PUT", "Patient/_search", "POST"),
        ("GET", "Task/1/$claim", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/auth/jwks", "GET, HEAD"),
        ("POST", ".well-known/smart-configuration", "GET, HEAD"),
    ] {
        let answer = client.send(method, path, if method == "POST" { "{}" } else { "" }, &[]).await;
        answer.refuses(405, "not-supported", "");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let answer = client.read("/auth/token").await.is(405);
    assert_eq!((answer.header("allow"), answer.header("cache-control")), ("POST", "no-store"));
    assert_eq!(answer.body["error"], "invalid_request");
    client.read("Patient/a%20b").await.refuses(400, "invalid", "");
    client.read("Patient/..%2f..").await.refuses(400, "invalid", "");
    client.send("POST", "Patient/$nonsense", "", &[]).await.refuses(404, "not-supported", "");
}

/// R4 http.html#capabilities: `metadata` lists each type with its search parameters and operations, of FHIR 4.0.1.
async fn metadata_lists_what_is_there(server: TestServer) {
    let statement = server.everyone().read("metadata").await.ok().body;
    assert_eq!(
        (statement["resourceType"].as_str(), statement["fhirVersion"].as_str()),
        (Some("CapabilityStatement"), Some("4.0.1"))
    );
    let resources = statement["rest"][0]["resource"].as_array().expect("types");
    assert_eq!(resources.len(), 146);
    let task = resources.iter().find(|r| r["type"] == "Task").expect("Task");
    assert!(task["operation"].as_array().is_some_and(|o| o.iter().any(|o| o["name"] == "claim")));
    assert!(task["searchParam"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == "status")));
}

/// R4 http.html#custom: `X-Request-Id` comes back; one that is unsafe is replaced.
/// security A64: A request id that could break a log line is replaced.
async fn probes_and_request_ids(server: TestServer) {
    let client = server.everyone();
    client.read("/livez").await.is(200);
    client.read("/readyz").await.is(200);
    let counters = client.read("/metrics").await.is(200);
    assert!(String::from_utf8_lossy(&counters.bytes).contains("baton_http_requests_total"));
    let answer = client.send("GET", "metadata", "", &[("X-Request-Id", "abc-1")]).await.is(200);
    assert_eq!((answer.header("x-request-id"), answer.header("x-content-type-options")), ("abc-1", "nosniff"));
    let answer = client.send("GET", "metadata", "", &[("X-Request-Id", "a b<script>")]).await.is(200);
    assert_eq!(answer.header("x-request-id").len(), 32);
}
