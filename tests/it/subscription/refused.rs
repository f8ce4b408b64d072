//! What is not done is not promised.

use super::*;
use crate::harness::{Database, Settings, with_database};

mod what_cannot_be_kept_is_refused_with_its_element {
    #[test]
    fn sqlite() {
        super::in_public(super::Database::Sqlite);
    }
    #[test]
    fn postgres() {
        super::in_public(super::Database::Postgres);
    }
}

/// A server that serves others than its own machine: with secrets that are not published.
fn in_public(database: Database) {
    with_database(database, |mut settings: Settings| async move {
        let mut seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
        let clients = seed["clients"].as_array_mut().expect("clients");
        clients.retain(|c| c["secret"].is_string());
        for (n, client) in clients.iter_mut().enumerate() {
            client["secret"] = format!("known-to-this-test-alone-and-long-enough-to-be-taken-{n}").into();
        }
        let file = settings.dir.path().join("seed.json");
        std::fs::write(&file, seed.to_string()).expect("a file");
        settings.seed = Some(file);
        settings.arguments.extend(["--base-url", "https://baton.example"].map(String::from));
        what_cannot_be_kept_is_refused_with_its_element(TestServer::start(settings).await).await;
    });
}

both_databases_with!(["--subscription-seconds", "1", "--subscriptions", "2"]; a_client_has_so_many_and_one_that_is_silent_holds_up_nobody);

/// security R53: Topics, filters, channels, payloads and searches that are not there are refused, each at its element.
/// case 30: An endpoint that leads inside, and whole resources for a client that may not have them, are refused.
/// security A39: An endpoint that is no public https address is refused, in every spelling; its text is not repeated.
/// security A40: Headers that the connection or the server sets, and broken ones, are refused.
async fn what_cannot_be_kept_is_refused_with_its_element(server: TestServer) {
    let client = server.hospital();
    let good = hook("Observation?code=http://loinc.org|1975-2", "https://hook.example/x");
    let made = client.create(&good).await.is(201);
    assert_eq!(made.body["status"], "requested");
    for endpoint in [
        "",
        "http://hook.example/x",
        "file:///etc/passwd",
        "gopher://hook.example/",
        "ftp://hook.example/",
        "hook.example",
        "https://",
        "https://user:hush@hook.example/",
        "https://user@hook.example/",
        "https://hook.example/#x",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
    ] {
        let answer = client.create(&hook("Task", endpoint)).await;
        assert_eq!(answer.status, if endpoint.is_empty() { 400 } else { 422 }, "{endpoint}: {answer:?}");
        if !endpoint.is_empty() {
            answer.refuses(422, "value", "Subscription.channel.endpoint");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("hush"), "{answer:?}");
        }
    }
    let extension =
        |name: &str, key: &str, value: Value| json!({"extension": [{"url": format!("{BACKPORT}{name}"), key: value}]});
    let topic = "http://baton.example/fhir/SubscriptionTopic/task-open";
    for (pointer, value, code, element) in [
        ("/criteria", json!("http://other.example/SubscriptionTopic/x"), "not-supported", "Subscription.criteria"),
        (
            "/criteria",
            json!("http://baton.example/fhir/SubscriptionTopic/none"),
            "not-supported",
            "Subscription.criteria",
        ),
        ("/criteria", json!("Nonsense?x=1"), "value", "Subscription.criteria"),
        ("/criteria", json!("whatever"), "value", "Subscription.criteria"),
        ("/criteria", json!("Observation?colour=red"), "not-supported", "Subscription.criteria"),
        ("/criteria", json!("Observation?_include=Observation:subject"), "not-supported", "Subscription.criteria"),
        ("/criteria", json!("Observation?code=1&_sort=date"), "not-supported", "Subscription.criteria"),
        ("/criteria", json!("Observation?_count=1"), "not-supported", "Subscription.criteria"),
        ("/channel/type", json!("websocket"), "not-supported", "Subscription.channel.type"),
        ("/channel/type", json!("email"), "not-supported", "Subscription.channel.type"),
        ("/channel/type", json!("sms"), "not-supported", "Subscription.channel.type"),
        ("/channel/type", json!("message"), "not-supported", "Subscription.channel.type"),
        ("/channel/payload", json!("application/fhir+xml"), "not-supported", "Subscription.channel.payload"),
        ("/channel/payload", json!("text/plain"), "not-supported", "Subscription.channel.payload"),
        (
            "/channel/_payload",
            extension("backport-payload-content", "valueCode", json!("full-resource")),
            "not-supported",
            "Subscription.channel.payload.extension",
        ),
        (
            "/channel/_payload",
            extension("backport-payload-content", "valueCode", json!("most")),
            "value",
            "Subscription.channel.payload.extension",
        ),
        (
            "/channel/extension",
            extension("backport-heartbeat-period", "valueUnsignedInt", json!(60))["extension"].clone(),
            "not-supported",
            "Subscription.channel.extension",
        ),
        (
            "/channel/extension",
            extension("backport-timeout", "valueUnsignedInt", json!(600))["extension"].clone(),
            "not-supported",
            "Subscription.channel.extension",
        ),
        ("/channel/header", json!(["Host: inner.example"]), "value", "Subscription.channel.header[0]"),
        ("/channel/header", json!(["X: a", "Content-Length: 0"]), "value", "Subscription.channel.header[1]"),
        ("/channel/header", json!(["X: a\r\nEvil: b"]), "value", "Subscription.channel.header[0]"),
        ("/channel/header", json!(["X: ***"]), "value", "Subscription.channel.header[0]"),
        (
            "/_criteria",
            extension("backport-filter-criteria", "valueString", json!("Observation?code=x")),
            "not-supported",
            "Subscription.criteria.extension",
        ),
    ] {
        let mut bad = good.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        bad.pointer_mut(parent).expect("an object")[name] = value;
        client.create(&bad).await.refuses(422, code, element);
    }
    for (filter, is_good) in
        [("Task?priority=stat", true), ("Task?owner=x", false), ("Patient?name=x", false), ("x", false)]
    {
        let mut by_topic = hook(topic, "https://hook.example/x");
        by_topic["_criteria"] = extension("backport-filter-criteria", "valueString", json!(filter));
        let answer = client.create(&by_topic).await;
        assert_eq!(answer.status, if is_good { 201 } else { 422 }, "{filter}: {answer:?}");
    }
    // What its owner may not search it is not told of: the matrix, not the rows.
    client.create(&hook("AuditEvent?action=R", "https://hook.example/x")).await.refuses(403, "forbidden", "");
    client.create(&hook("Task?_has:AuditEvent:entity:action=R", "https://hook.example/x")).await.refuses(
        403,
        "forbidden",
        "",
    );
    // The same by PUT, PATCH and in a Bundle.
    let path = made.reference();
    let operation = json!([{"op": "replace", "path": "/channel/endpoint", "value": "https://127.0.0.1/"}]);
    client.patch(&path, &operation).await.refuses(422, "value", "Subscription.channel.endpoint");
    let mut moved = client.read(&path).await.ok().body;
    moved["channel"]["type"] = "email".into();
    client.update(&moved).await.refuses(422, "not-supported", "Subscription.channel.type");
    let entry =
        json!({"resource": hook("Task", "https://[::1]/"), "request": {"method": "POST", "url": "Subscription"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    client.post(&bundle).await.refuses(422, "value", "Bundle.entry[0].resource.channel.endpoint");
    // One that asks for nothing may be kept; and one whose end is over is.
    let mut off = hook("Task", "https://127.0.0.1/");
    off["status"] = "off".into();
    client.create(&off).await.is(201);
    let mut over = good.clone();
    over["end"] = "2021-01-01T00:00:00Z".into();
    assert_eq!(client.create(&over).await.is(201).body["status"], "off");
    let says = client.read("metadata").await.ok().body;
    assert!(says.to_string().contains(topic), "topics are published");
}

/// security A40: A client has so many Subscriptions and no more; an endpoint that does not answer is waited for so long, tried again later, and holds up no other.
async fn a_client_has_so_many_and_one_that_is_silent_holds_up_nobody(server: TestServer) {
    let (mut silent, mut quick) = (Receiver::start().await, Receiver::start().await);
    let client = server.hospital();
    silent.answers(0);
    let mut slow = hook("Patient?active=true", &silent.address);
    slow["channel"]["extension"] = json!([{"url": format!("{BACKPORT}backport-timeout"), "valueUnsignedInt": 1}]);
    let slow = client.create(&slow).await.is(201).reference();
    let other = subscribed(&server, &client, "Patient?active=true", &mut quick).await;
    let one_more = hook("Task", &quick.address);
    client.create(&one_more).await.refuses(422, "too-costly", "Subscription.status");
    let entry = json!({"resource": one_more, "request": {"method": "POST", "url": "Subscription"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]});
    client.post(&bundle).await.refuses(422, "too-costly", "Bundle.entry[0].resource.status");
    server.other_hospital().post(&bundle).await.ok();

    let one = client.create(&patient("One", true)).await.is(201).reference();
    let mut told = quick.next().await;
    while told.says("type") == "handshake" {
        told = quick.next().await; // of the other client
    }
    assert_eq!(told.about(), [one]);
    silent.shakes_hands().await;
    let status = status_of(&client, &slow, |s| !said(s, "error").is_empty()).await;
    assert!(said(&status, "error").contains("did not answer within 1 s"), "{status:#}");
    assert_eq!(said(&status, "status"), "requested", "it is asked again later");
    // It is turned off to make room.
    let mut off = client.read(&slow).await.ok().body;
    off["status"] = "off".into();
    client.update(&off).await.ok();
    client.create(&one_more).await.is(201);
    client.delete(&other).await.is(204);
}
