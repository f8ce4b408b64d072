//! Two hospitals with near-identical data, one pointer planted across the wall, and every route that could tell: whatever
//! the other one owns is answered like what never was (leak paths 1 to 12 and 17 of the security contract).

use crate::harness::{Answer, Client, TestServer};
use serde_json::{Value, json};

both_databases!(what_another_organisation_owns_is_answered_like_what_never_was);

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// Texts that only the other hospital's rows hold.
const MARKS: [&str; 3] = ["Zebrowski", "zebra-code", "z-4711"];

/// What stands for `{p}` Patient, `{o}` Observation, `{t}` Task, `{n}` number, `{f}` family, `{c}` code in a route.
struct Names {
    patient: String,
    observation: String,
    task: String,
    number: &'static str,
    family: &'static str,
    code: &'static str,
}

impl Names {
    fn put(&self, text: &str) -> String {
        text.replace("{p}", &self.patient)
            .replace("{o}", &self.observation)
            .replace("{t}", &self.task)
            .replace("{n}", self.number)
            .replace("{f}", self.family)
            .replace("{c}", self.code)
    }

    /// An answer without them: what is left must not differ.
    fn out(&self, answer: &Answer) -> String {
        let mut text = String::from_utf8_lossy(&answer.bytes).into_owned();
        for name in [&self.patient, &self.observation, &self.task, self.number, self.family, self.code] {
            text = text.replace(name, "NAME");
        }
        text
    }
}

fn id(answer: &Answer) -> String {
    answer.reference().rsplit('/').next().expect("an id").to_owned()
}

/// A Patient and an Observation of a hospital; their ids.
async fn own(client: &Client, family: &str, number: &str, code: &str) -> (String, String) {
    let patient = json!({"resourceType": "Patient", "name": [{"family": family}],
        "identifier": [{"system": "http://walls.example/n", "value": number}]});
    let patient = id(&client.create(&patient).await.is(201));
    let seen = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": code}]},
        "subject": {"reference": format!("Patient/{patient}")}});
    let seen = id(&client.create(&seen).await.is(201));
    (patient, seen)
}

/// (method, path, body, header); the same for what is another's and for what is nobody's.
const ROUTES: [(&str, &str, &str, (&str, &str)); 51] = [
    ("GET", "Patient/{p}", "", ("", "")),
    ("HEAD", "Patient/{p}", "", ("", "")),
    ("GET", "Patient/{p}", "", ("If-None-Match", "W/\"1\"")),
    ("GET", "Patient/{p}?_summary=true", "", ("", "")),
    ("GET", "Patient/{p}?_elements=name", "", ("", "")),
    ("GET", "Patient/{p}/_history", "", ("", "")),
    ("GET", "Patient/{p}/_history/1", "", ("", "")),
    ("GET", "Patient/{p}/_history/2", "", ("", "")),
    ("GET", "Patient/{p}/Observation", "", ("", "")),
    ("GET", "Patient/{p}/*", "", ("", "")),
    ("GET", "Patient?_id={p}", "", ("", "")),
    ("GET", "Patient?_id={p}&_total=accurate", "", ("", "")),
    ("GET", "Patient?_id={p}&_summary=count", "", ("", "")),
    ("GET", "Patient?identifier=http://walls.example/n|{n}", "", ("", "")),
    ("GET", "Patient?identifier={n}&_total=accurate&_count=0", "", ("", "")),
    ("GET", "Patient?name={f}", "", ("", "")),
    ("GET", "Patient?name:exact={f}", "", ("", "")),
    ("GET", "Patient?name:contains={f}", "", ("", "")),
    ("GET", "?_type=Patient,Observation&_id={p}", "", ("", "")),
    ("GET", "Observation?subject=Patient/{p}", "", ("", "")),
    ("GET", "Observation?patient={p}&_include=Observation:patient", "", ("", "")),
    ("GET", "Observation?patient.name={f}", "", ("", "")),
    ("GET", "Observation?subject:Patient.identifier={n}", "", ("", "")),
    ("GET", "Observation?performer:Patient.identifier={n}", "", ("", "")),
    ("GET", "Observation?performer:Patient.name={f}", "", ("", "")),
    ("GET", "Observation?code={c}", "", ("", "")),
    ("GET", "Patient?_has:Observation:patient:code={c}", "", ("", "")),
    ("GET", "Patient?_has:Observation:performer:code={c}", "", ("", "")),
    ("GET", "Patient?_id={p}&_revinclude=Observation:patient", "", ("", "")),
    ("GET", "Task?_id={t}", "", ("", "")),
    ("GET", "Task/{t}", "", ("", "")),
    ("GET", "Task?patient={p}", "", ("", "")),
    ("POST", "Task/{t}/$claim", "", ("If-Match", "W/\"1\"")),
    ("POST", "Task/{t}/$claim", "", ("", "")),
    ("POST", "Task/{t}/$release", "", ("", "")),
    (
        "POST",
        "Task/{t}/$attempt",
        r#"{"resourceType":"Parameters","parameter":[{"name":"outcome","valueCode":"reached"}]}"#,
        ("", ""),
    ),
    ("POST", "DetectedIssue/{o}/$resolve", "", ("", "")),
    ("PUT", "Patient/{p}", r#"{"resourceType":"Patient","id":"{p}"}"#, ("", "")),
    ("PUT", "Patient/{p}", r#"{"resourceType":"Patient","id":"{p}"}"#, ("If-Match", "W/\"1\"")),
    ("PUT", "Patient/{p}", r#"{"resourceType":"Patient","id":"{p}"}"#, ("If-None-Match", "*")),
    ("PUT", "Patient?_id={p}", r#"{"resourceType":"Patient","id":"{p}"}"#, ("", "")),
    ("PATCH", "Patient/{p}", r#"[{"op":"test","path":"/name/0/family","value":"Zebrowski"}]"#, ("", "")),
    ("PATCH", "Patient?identifier={n}", r#"[{"op":"add","path":"/active","value":true}]"#, ("", "")),
    ("DELETE", "Task/{t}", "", ("", "")),
    ("DELETE", "Task/{t}", "", ("If-Match", "W/\"1\"")),
    (
        "POST",
        "",
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/{p}"}},{"request":{"method":"GET","url":"Patient?name={f}"}}]}"#,
        ("", ""),
    ),
    (
        "POST",
        "",
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/{p}"}}]}"#,
        ("", ""),
    ),
    (
        "POST",
        "",
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"{p}"},"request":{"method":"PUT","url":"Patient/{p}"}}]}"#,
        ("", ""),
    ),
    (
        "POST",
        "",
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier={n}"}},"request":{"method":"POST","url":"Observation"}}]}"#,
        ("", ""),
    ),
    (
        "POST",
        "",
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Task/{t}/$claim","ifMatch":"W/\"1\""}}]}"#,
        ("", ""),
    ),
    (
        "POST",
        "Observation",
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/{p}"}}"#,
        ("", ""),
    ),
];

/// R4 security.html: What another organisation owns is answered like what never was, by every route, count and
/// criterion.
/// security A31: Another's id is answered like one that never was, on 51 routes.
/// security A32: Chains and `_has` over another's rows find nothing.
/// security A33: Includes bring nothing of another's.
/// security A34: Conditional writes find nothing of another's.
/// security leak 1: Read, vread, history, HEAD, conditional read and parts.
/// security leak 3: Totals and counts count what can be seen.
/// security leak 4: Includes of every shape.
/// security leak 5: Chains and `_has`.
/// security leak 6: Sorting, `:missing` and `:not`.
/// security leak 8: Histories of type and system.
/// security leak 10: Conditional writes.
/// security leak 11: Entries of batch and transaction.
/// security leak 20: Ids are random, versions are a resource's own, no header and no request id counts, and an id of another's takes as long as one that never was.
async fn what_another_organisation_owns_is_answered_like_what_never_was(server: TestServer) {
    let (client, other) = (server.hospital(), server.other_hospital());
    let (_, seen) = own(&client, "Abelson", "a-4711", "ape-code").await;
    let (patient, observation) = own(&other, "Zebrowski", "z-4711", "zebra-code").await;
    let story = crate::journey::discharge("04-duplicate-therapy", server.now());
    server.user(story.hospital).post(&story.bundle).await.ok();
    let task =
        server.everyone().search("Task?code=first-call").await.remove(0)["id"].as_str().expect("an id").to_owned();
    let (first, second) = (client.read("Patient").await.ok(), client.read("Patient").await.ok());
    let (first, second) = (first.header("x-request-id").to_owned(), second.header("x-request-id").to_owned());
    let same = first.chars().zip(second.chars()).filter(|(a, b)| a == b).count();
    assert!(first.len() == 32 && second.len() == 32 && same < 16, "{first} {second}");
    // The pointer: it stands in a row of the caller's own, so its text may be read; what it leads to may not.
    let mut pointing = server.read(&format!("Observation/{seen}")).await;
    pointing["performer"] = json!([{"reference": format!("Patient/{patient}")}]);
    server.everyone().update(&pointing).await.is(200);

    let hidden = Names { patient, observation, task, number: "z-4711", family: "Zebrowski", code: "zebra-code" };
    let nobody = || NOBODY.to_owned();
    let never = Names {
        patient: nobody(),
        observation: nobody(),
        task: nobody(),
        number: "n-0",
        family: "Nobodyson",
        code: "no-code",
    };
    for (method, path, body, (name, value)) in ROUTES {
        let headers: Vec<(&str, &str)> = [
            (name, value),
            ("Content-Type", if method == "PATCH" { "application/json-patch+json" } else { "application/fhir+json" }),
        ]
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .collect();
        let mut answers = Vec::new();
        for names in [&hidden, &never] {
            let answer = client.send(method, &names.put(path), names.put(body), &headers).await;
            answers.push((answer.status, names.out(&answer)));
        }
        assert_eq!(answers[0], answers[1], "{method} {path} {body} {name} {value}");
    }
    // Routes that name nothing: no mark of the other hospital in anything that they answer.
    for path in [
        "Patient",
        "Observation?_include=Observation:performer",
        "Observation?_include=*",
        "Patient?_revinclude=Observation:performer",
        "Observation?_sort=patient&_total=accurate",
        "Observation?performer:Patient.name:missing=false",
        "Patient?name:missing=false",
        "Patient?_sort=family",
        "Patient?gender:not=male",
        "_history?_count=1000",
        "Patient/_history",
        "?_type=Patient,Observation",
        "Patient?_lastUpdated=ge2000",
    ] {
        let answer = client.read(path).await.ok();
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        for mark in MARKS {
            assert!(!text.contains(mark), "{path}: {text}");
        }
    }
    let total = |page: Value| page["total"].as_u64();
    let count = client.read("Patient?_summary=count").await.ok().body;
    assert_eq!(total(count), Some(1), "a count counts what can be seen");
    // Conditional writes find nothing of it: each makes a row of the caller's own.
    let body =
        json!({"resourceType": "Patient", "identifier": [{"system": "http://walls.example/n", "value": "z-4711"}]});
    let made = client.create_if_none(&body, "identifier=z-4711").await.is(201);
    assert_ne!(id(&made), hidden.patient);
    let put = client.send("PUT", "Patient?identifier=y-4711", body.to_string().replace('z', "y"), &[]).await;
    assert_eq!(put.status, 201, "{put:?}");
    let theirs = other.read(&format!("Patient/{}", hidden.patient)).await.ok().body;
    assert_eq!(
        (theirs["meta"]["versionId"].as_str(), theirs["name"][0]["family"].as_str()),
        (Some("1"), Some("Zebrowski"))
    );
    nothing_is_told_by_ids_versions_and_time(&client, &other, &hidden.patient).await;
}

/// Answers of each kind that are timed; two hundred requests take about a second.
const TIMED: usize = 100;

async fn nothing_is_told_by_ids_versions_and_time(client: &Client, other: &Client, hidden: &str) {
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Abelson"}]});
    let mut starts = std::collections::BTreeSet::new();
    for _ in 0..4 {
        other.create(&patient).await.is(201);
        let answer = client.create(&patient).await.is(201);
        let made = id(&answer);
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'), "a random UUID: {made}");
        starts.insert(made[..8].to_owned());
        assert_eq!(answer.header("etag"), "W/\"1\"", "counted by the resource, not by the server");
        let names = answer.headers.keys().map(|n| n.as_str().to_ascii_lowercase());
        assert!(!names.into_iter().any(|n| n.contains("ratelimit") || n.contains("rate-limit")));
    }
    assert_eq!(starts.len(), 4, "no order, no common beginning");
    let (mut of_hidden, mut of_nobody) = (Vec::new(), Vec::new());
    for _ in 0..TIMED {
        for (id, times) in [(hidden, &mut of_hidden), (NOBODY, &mut of_nobody)] {
            let started = std::time::Instant::now();
            client.read(&format!("Patient/{id}")).await.is(404);
            times.push(started.elapsed());
        }
    }
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort();
        times[TIMED / 2]
    };
    let (hidden, nobody) = (median(&mut of_hidden), median(&mut of_nobody));
    let slack = std::time::Duration::from_millis(5);
    assert!(hidden < nobody * 3 + slack && nobody < hidden * 3 + slack, "{hidden:?} and {nobody:?}");
}
