//! What is told, to whom, and what survives.

use super::*;
use crate::audit::found_by;
use crate::harness::{Database, Settings, with_database};
use crate::journey::discharge;

both_databases_with!(["--subscription-seconds", "1"];
    what_is_written_is_told_once_and_in_order_and_a_crash_loses_nothing,
    nobody_hears_of_what_they_may_not_see,
);

/// security R53: A Subscription is requested, its endpoint shakes hands, it is active; each resource that matches is told once and in order, also after a failure and `kill -9`.
/// case 30: A redirect is not followed: it is a failure.
/// security A39: A redirect is not followed.
/// security A40: A header goes to the endpoint and is never read again: it is shown masked, and what is shown may be sent back.
async fn what_is_written_is_told_once_and_in_order_and_a_crash_loses_nothing(mut server: TestServer) {
    let mut receiver = Receiver::start().await;
    let client = server.hospital();
    let mut asked = hook("Patient?active=true", &receiver.address);
    asked["status"] = "active".into();
    asked["channel"]["header"] = json!(["Authorization: Bearer hush-4711", "X-Colour: grue"]);
    let made = client.create(&asked).await.is(201);
    let path = made.reference();
    assert_eq!(made.body["status"], "requested", "the server says when it is active");
    let first = receiver.next().await;
    assert!(
        first.head.contains("authorization: bearer hush-4711")
            && first.head.contains("content-type: application/fhir+json"),
        "{first:?}"
    );
    assert_eq!(
        (first.says("type"), first.says("subscription")),
        ("handshake".into(), format!("{}/{path}", server.base))
    );
    stands(&server, &path, "active").await;

    let one = client.create(&patient("One", true)).await.is(201).reference();
    client.create(&patient("Sleeper", false)).await.is(201);
    let notice = receiver.event().await;
    assert_eq!((notice.body["resourceType"].as_str(), notice.body["type"].as_str()), (Some("Bundle"), Some("history")));
    assert_eq!(notice.events(), [("1".to_owned(), format!("{}/{one}", server.base))]);
    assert!(!notice.body.to_string().contains("One"), "ids only: {notice:?}");
    assert_eq!(notice.says("status"), "active");

    // A redirect is a failure, and is not followed.
    receiver.answers(302);
    let two = client.create(&patient("Two", true)).await.is(201).reference();
    assert_eq!(receiver.event().await.about(), std::slice::from_ref(&two));
    let failing = status_of(&client, &path, |s| !said(s, "error").is_empty()).await;
    assert!(said(&failing, "error").contains("302"), "{failing:#}");
    assert_eq!(
        (said(&failing, "status"), said(&failing, "events-since-subscription-start")),
        ("active".into(), "1".into())
    );
    server.kill();
    server.settings.execute("UPDATE subscription SET due = 0").await;
    receiver.answers(204);
    server.restart().await;
    let client = server.hospital();
    assert_eq!(receiver.event().await.events()[0], ("2".to_owned(), format!("{}/{two}", server.base.clone())));

    // What is read is sent back: the secret stays, and so does its status.
    let mut shown = client.read(&path).await.ok().body;
    assert_eq!(shown["channel"]["header"], json!(["Authorization: ***", "X-Colour: ***"]));
    shown["reason"] = "another".into();
    assert_eq!(client.update(&shown).await.ok().body["status"], "active");
    let three = client.create(&patient("Three", true)).await.is(201).reference();
    let notice = receiver.event().await;
    assert_eq!((notice.about(), notice.says("events-since-subscription-start")), (vec![three], "3".into()));
    assert!(notice.head.contains("hush-4711"));
    let whole = status_of(&client, &path, |s| said(s, "events-since-subscription-start") == "3").await;
    assert_eq!(said(&whole, "error"), "");
    for url in [format!("{path}/_history"), "Subscription".into(), "_history?_count=1000".into()] {
        let text = String::from_utf8_lossy(&client.read(&url).await.ok().bytes).into_owned();
        assert!(!text.contains("hush-4711") && !text.contains("grue"), "{url}");
    }
    // Not to another endpoint.
    let mut moved = client.read(&path).await.ok().body;
    moved["channel"]["endpoint"] = "https://elsewhere.example/hook".into();
    client.update(&moved).await.refuses(422, "value", "Subscription.channel.header[0]");

    // Off is silent; asked for again it begins anew, with another handshake.
    let mut off = client.read(&path).await.ok().body;
    off["status"] = "off".into();
    client.update(&off).await.ok();
    client.create(&patient("Unheard", true)).await.is(201);
    let mut on = client.read(&path).await.ok().body;
    assert_eq!(on["status"], "off");
    on["status"] = "requested".into();
    client.update(&on).await.ok();
    receiver.shakes_hands().await;
    stands(&server, &path, "active").await;
    let four = client.create(&patient("Four", true)).await.is(201).reference();
    let notice = receiver.event().await;
    assert_eq!((notice.about(), notice.says("events-since-subscription-start")), (vec![four], "1".into()));
    client.delete(&path).await.is(204);
    client.read(&format!("{path}/$status")).await.is(410);
    receiver.heard_nothing();
}

/// The Tasks of a discharge that was posted, which a client sees.
async fn discharged(server: &TestServer, client: &Client, name: &str) -> Vec<String> {
    let sample = discharge(name, server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let patient = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id");
    let seen = client.search(&format!("Task?status=requested&owner:missing=true&patient={patient}")).await;
    seen.iter().map(crate::harness::client::reference).collect()
}

/// security leak 15: An organisation hears nothing of another's, not even a number; what a share showed is not told once it is taken back; another client's Subscription is not there.
/// security R53: Who is disabled hears nothing more, and the Subscription says so.
async fn nobody_hears_of_what_they_may_not_see(mut server: TestServer) {
    let (mut elm, mut harbour, mut lakeside) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let (mut northgate, mut of_topic) = (Receiver::start().await, Receiver::start().await);
    let open = "http://baton.example/fhir/SubscriptionTopic/task-open";
    let at_elm = subscribed(&server, &server.pharmacy(), "Task", &mut elm).await;
    let at_harbour = subscribed(&server, &server.other_pharmacy(), "Task", &mut harbour).await;
    let at_lakeside = subscribed(&server, &server.hospital(), "Patient?active=true", &mut lakeside).await;
    let by_topic = subscribed(&server, &server.pharmacy(), open, &mut of_topic).await;
    subscribed(&server, &server.other_hospital(), "Task?status=requested", &mut northgate).await;

    // Northgate's discharge is offered to both pharmacies.
    let tasks = discharged(&server, &server.pharmacy(), "04-duplicate-therapy").await;
    assert!(!tasks.is_empty());
    for receiver in [&mut elm, &mut harbour] {
        let mut told = receiver.event().await.about();
        told.sort();
        let mut all = tasks.clone();
        all.sort();
        assert_eq!(told, all);
    }
    let by_name = of_topic.event().await;
    assert_eq!((by_name.about().len(), by_name.says("topic")), (tasks.len(), open.to_owned()));
    northgate.event().await;

    // The share is taken back, and the Task changes: who owns it hears of that, and nobody else.
    server.settings.execute("UPDATE share SET until = 1").await;
    let change = json!([{"op": "add", "path": "/description", "value": "Another"}]);
    server.everyone().patch(&tasks[0], &change).await.ok();
    server.pharmacy().read(&tasks[0]).await.is(404);
    assert_eq!(northgate.event().await.about(), [tasks[0].clone()]);
    // The command has the database to itself.
    server.kill();
    let (disabled, text) = server.settings.run(&["client", "disable", "harbour-pms"]);
    assert!(disabled, "{text}");
    let add = ["client", "add", "elm-backup", "--kind", "symmetric", "--organization", "elm-street"];
    let as_system = ["--role", "pharmacy-system", "--scopes", "system/*.cruds"];
    let (added, text) = server.settings.run(&[&add[..], &as_system[..]].concat());
    assert!(added, "{text}");
    server.restart().await;
    let more = discharged(&server, &server.pharmacy(), "03-omitted-home-medicine").await;
    assert!(!more.is_empty());
    let told = elm.event().await;
    assert!(!told.about().contains(&tasks[0]) && told.about().iter().all(|t| more.contains(t)), "{told:?}");
    assert_eq!(told.events()[0].0, (tasks.len() + 1).to_string(), "numbers count what was seen");
    let off = stands(&server, &at_harbour, "off").await;
    assert!(off["error"].as_str().is_some_and(|e| e.contains("ask for it again")), "{off:#}");
    harbour.heard_nothing();

    // Of all this Lakeside has heard nothing: the first that it hears is of its own.
    let own = server.hospital().create(&patient("Own", true)).await.is(201).reference();
    let heard = lakeside.event().await;
    assert_eq!((heard.about(), heard.says("events-since-subscription-start")), (vec![own], "1".into()));

    for (client, path) in [
        (server.hospital(), &at_elm),
        (server.hospital(), &by_topic),
        (server.pharmacy(), &at_lakeside),
        (server.user("elm-backup"), &at_elm),
        (server.other_hospital(), &at_lakeside),
    ] {
        client.read(path).await.refuses(404, "not-found", "");
        client.read(&format!("{path}/$status")).await.refuses(404, "not-found", "");
        client.delete(path).await.is(204);
        assert!(client.search("Subscription").await.iter().all(|s| s["id"] != path[13..]));
    }
    stands(&server, &at_elm, "active").await;
    // An administrator sees and deletes all of them, and asks for none.
    let admin = server.user("root");
    assert_eq!(admin.search("Subscription").await.len(), 5);
    admin.delete(&at_elm).await.is(204);
}

mod each_payload_says_as_much_as_was_asked_for {
    #[test]
    fn sqlite() {
        super::with_site(super::Database::Sqlite);
    }
    #[test]
    fn postgres() {
        super::with_site(super::Database::Postgres);
    }
}

/// A site that lets Lakeside be sent whole resources.
fn with_site(database: Database) {
    with_database(database, |mut settings: Settings| async move {
        let site = settings.dir.path().join("site");
        std::fs::create_dir_all(site.join("subscription")).expect("a folder");
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/subscription/topics.json");
        let topics = std::fs::read_to_string(file).expect("a file");
        let topics = topics.replace(r#""full-resource": []"#, r#""full-resource": ["lakeside-ehr"]"#);
        std::fs::write(site.join("subscription/topics.json"), topics).expect("a file");
        settings.arguments.extend(["--profiles".into(), site.display().to_string()]);
        settings.arguments.extend(["--subscription-seconds", "1", "--subscription-entries", "2"].map(String::from));
        each_payload_says_as_much_as_was_asked_for(TestServer::start(settings).await).await;
    });
}

/// security R53: `empty` says that something was written, `id-only` which, `full-resource` what; the last is for clients that the site names.
/// security audit disclose: Each notification is on record with source, recipient, patient and data.
async fn each_payload_says_as_much_as_was_asked_for(server: TestServer) {
    let client = server.hospital();
    let mut receivers = Vec::new();
    for content in [None, Some("empty"), Some("id-only"), Some("full-resource")] {
        let mut receiver = Receiver::start().await;
        let mut asked = hook("Patient?active=true", &receiver.address);
        match content {
            None => drop(asked["channel"].as_object_mut().expect("an object").remove("payload")),
            Some(code) => {
                asked["channel"]["_payload"] =
                    json!({"extension": [{"url": format!("{BACKPORT}backport-payload-content"), "valueCode": code}]});
            }
        }
        if content == Some("full-resource") {
            let element = "Subscription.channel.payload.extension";
            server.other_hospital().create(&asked).await.refuses(422, "not-supported", element);
        }
        let path = client.create(&asked).await.is(201).reference();
        receiver.shakes_hands().await;
        stands(&server, &path, "active").await;
        receivers.push((content, receiver, path));
    }
    let entries: Vec<Value> = ["Quincy", "Quill", "Quartz"]
        .iter()
        .map(|name| json!({"resource": patient(name, true), "request": {"method": "POST", "url": "Patient"}}))
        .collect();
    let made = client.post(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).await.ok().body;
    let made: Vec<String> = made["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|e| {
            let location = e["response"]["location"].as_str().expect("a location");
            let path = location.split("/_history").next().expect("a path");
            path.split_once("/fhir/").map_or(path, |(_, rest)| rest).to_owned()
        })
        .collect();
    for (content, receiver, path) in &mut receivers {
        // Two, and one with the next.
        let (first, second) = (receiver.event().await, receiver.event().await);
        assert_eq!(first.says("events-since-subscription-start"), "2", "{content:?}");
        assert_eq!(second.says("events-since-subscription-start"), "3", "{content:?}");
        let text = first.body.to_string() + &second.body.to_string();
        assert_eq!(text.contains("Quill"), *content == Some("full-resource"), "{content:?}: {text}");
        let names_them = matches!(content, Some("id-only" | "full-resource"));
        assert!(made.iter().all(|id| text.contains(id) == names_them), "{content:?}: {text}");
        let told: Vec<String> = first.about().into_iter().chain(second.about()).filter(|a| !a.is_empty()).collect();
        assert_eq!(told.len(), if names_them { 3 } else { 0 }, "{content:?}");
        if *content == Some("full-resource") {
            let query = format!("entity={path}&patient={}", made[0]);
            let events = found_by(&server.user("audit"), &query, |found| {
                found.iter().any(|e| e["subtype"][0]["code"] == "disclose")
            })
            .await;
            let event = events.iter().find(|e| e["subtype"][0]["code"] == "disclose").expect("one");
            assert_eq!(event["type"]["code"], "110106");
            let roles: Vec<&str> = event["agent"]
                .as_array()
                .expect("agents")
                .iter()
                .filter_map(|a| a["type"]["coding"][0]["code"].as_str())
                .collect();
            assert!(roles.contains(&"110153") && roles.contains(&"110152"), "{event:#}");
            let text = event.to_string();
            assert!(text.contains("lakeside-ehr") && text.contains(&made[0]) && !text.contains("Quincy"), "{event:#}");
            assert!(
                event["meta"]["profile"][0].as_str().is_some_and(|p| p.ends_with("PrivacyDisclosure.Source")),
                "{event:#}"
            );
        }
    }
}
