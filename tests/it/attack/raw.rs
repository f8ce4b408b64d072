//! Bytes on a socket that no client library would send.

use crate::harness::TestServer;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

both_databases!(
    two_lengths_are_refused_and_no_second_request_is_read_out_of_a_body,
    addresses_come_from_the_configuration_and_never_from_the_request,
    packed_bombs_and_large_heads_are_refused,
    dots_in_a_path_climb_nowhere,
);

fn authority(server: &TestServer) -> String {
    server.base.trim_start_matches("http://").trim_end_matches("/fhir").to_owned()
}

/// All that the server says to these bytes, until it hangs up or says no more.
async fn said(server: &TestServer, bytes: Vec<u8>) -> String {
    let address = authority(server);
    let talk = move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        // The server may hang up in the middle.
        stream.write_all(&bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).ok();
        String::from_utf8_lossy(&said).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.expect("it ends")
}

/// security A60: Two lengths, a length with chunks, negative and folded ones are 400, and what follows is not answered.
async fn two_lengths_are_refused_and_no_second_request_is_read_out_of_a_body(server: TestServer) {
    let second = "GET /fhir/metadata?smuggled=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let body = "{\"resourceType\":\"Patient\"}";
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n";
    for (what, lengths) in [
        ("two lengths", format!("Content-Length: {}\r\nContent-Length: 5\r\n", body.len())),
        ("a length and chunks", format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", body.len())),
        ("chunks and a length", format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", body.len())),
        ("a negative length", "Content-Length: -1\r\n".to_owned()),
        ("a length with a sign", format!("Content-Length: +{}\r\n", body.len())),
        ("a length in hex", "Content-Length: 0x1a\r\n".to_owned()),
        ("a folded length", format!("Content-Length:\r\n {}\r\n", body.len())),
        ("a space before the colon", format!("Content-Length : {}\r\n", body.len())),
        ("chunks that are none", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("chunks twice", "Transfer-Encoding: chunked, identity\r\n".to_owned()),
        ("a chunk without end", "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_owned()),
    ] {
        let text = said(&server, format!("{head}{lengths}\r\n{body}{second}").into_bytes()).await;
        let first = text.lines().next().unwrap_or_default();
        assert!(first.is_empty() || first.contains(" 4"), "{what}: {text}");
        assert!(!text.contains("CapabilityStatement"), "{what}: what followed was answered: {text}");
    }
    // Requests one after another on one connection are fine.
    let two = format!(
        "{}{}",
        second.replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"),
        second.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    );
    let text = said(&server, two.replace("?smuggled=1", "").into_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    let left = server.everyone().read("Patient?_summary=count").await.ok().body;
    assert_eq!(left["total"], 0, "no Patient came of it");
}

/// security A62: `Host` and `X-Forwarded-*` change no link, Location or fullUrl.
async fn addresses_come_from_the_configuration_and_never_from_the_request(server: TestServer) {
    let body = r#"{"resourceType":"Patient","name":[{"family":"x"}]}"#;
    let request = |line: &str, more: &str, body: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\
             Forwarded: host=evil.example;proto=https\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let json = "Content-Type: application/fhir+json\r\n";
    for (line, more, body) in [
        ("POST /fhir/Patient", json, body),
        ("POST /fhir/Patient", json, body),
        ("GET /fhir/Patient?_count=1", "", ""),
        ("GET /fhir/_history?_count=1", "", ""),
        ("GET /fhir/metadata", "", ""),
        ("GET /fhir/.well-known/smart-configuration", "", ""),
        ("GET http://evil.example/fhir/Patient?_count=1", "", ""),
        ("GET /fhir/Nonsense", "", ""),
    ] {
        let text = said(&server, request(line, more, body)).await;
        assert!(text.starts_with("HTTP/1.1 "), "{line}: {text}");
        assert!(!text.contains("evil.example"), "{line}: {text}");
    }
}

/// security A42: What unpacks to more than a body may have is 413; a coding that is not read is 415.
/// security A61: 300 kB of headers and 5,000 of them are refused.
async fn packed_bombs_and_large_heads_are_refused(server: TestServer) {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..64 {
        packer.write_all(&spaces).expect("packed");
    }
    let bomb = packer.finish().expect("packed");
    assert!(bomb.len() < 100_000, "small on the wire");
    let client = server.everyone();
    let headers = [("Content-Encoding", "gzip"), ("Content-Type", "application/fhir+json")];
    client.send("POST", "Patient", &bomb, &headers).await.refuses(413, "too-long", "");
    let twice = [("Content-Encoding", "gzip, gzip"), ("Content-Type", "application/fhir+json")];
    let answer = client.send("POST", "Patient", &bomb, &twice).await;
    assert!(matches!(answer.status, 400 | 415), "{answer:?}");
    for head in [format!("X-Long: {}\r\n", "a".repeat(300_000)), "X-Many: 1\r\n".repeat(5_000)] {
        let text = said(&server, format!("GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n{head}\r\n").into_bytes()).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{}", text.get(..200).unwrap_or_default());
    }
    server.everyone().read("metadata").await.ok();
}

/// security A47: Dots are no id.
/// security A48: Dots in a path, plain or escaped, climb nowhere.
async fn dots_in_a_path_climb_nowhere(server: TestServer) {
    let own = server.everyone().create(&serde_json::json!({"resourceType": "Patient"})).await.is(201).reference();
    for path in [
        "/fhir/Patient/..",
        "/fhir/Patient/.",
        "/fhir/Patient/%2e%2e",
        "/fhir/Patient/../Patient",
        "/fhir/Patient/..%2fPatient",
        "/fhir/../../../../etc/passwd",
        "/../etc/passwd",
        "//etc/passwd",
        "/fhir/Binary/..%5c..%5cetc%5cpasswd",
    ] {
        let text =
            said(&server, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 40"), "{path}: {text}");
        assert!(!text.contains("root:") && !text.contains(&own), "{path}: {text}");
    }
}
