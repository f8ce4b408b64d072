//! Deleting what others refer to.
//! Source: <https://hl7.org/fhir/R4/http.html#delete>; who counts as a referrer is an own rule.

use super::{patient, place, transaction};
use crate::harness::TestServer;
use serde_json::{Value, json};

both_databases!(
    what_others_refer_to_is_not_deleted_alone,
    a_reference_holds_back_wherever_it_stands,
    in_a_transaction_the_end_counts,
    a_referrer_that_the_caller_may_not_see_is_none,
);

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

fn delete(path: &str) -> Value {
    json!({"request": {"method": "DELETE", "url": path}})
}

/// R4 http.html#delete: What others refer to is not deleted: 409 that names who refers.
async fn what_others_refer_to_is_not_deleted_alone(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let first = client.create(&observation(&path)).await.is(201).reference();
    // By the server's address, and by version, are references, too.
    let second = client.create(&observation(&format!("{}/{path}", server.base))).await.is(201).reference();
    let third = client.create(&observation(&format!("{path}/_history/1"))).await.is(201).reference();
    let answer = client.delete(&path).await;
    answer.refuses(409, "conflict", "");
    let said = answer.body["issue"][0]["diagnostics"].as_str().expect("a sentence").to_owned();
    for referrer in [&first, &second, &third] {
        assert!(said.contains(referrer.as_str()), "{said}");
    }
    client.delete("Patient?identifier=http://rest.example/mrn|1").await.refuses(409, "conflict", "");
    client.post(&transaction(&[delete(&path)])).await.refuses(409, "conflict", "Bundle.entry[0]");
    let mut batch = transaction(&[delete(&path)]);
    batch["type"] = "batch".into();
    let answer = client.post(&batch).await.ok().body;
    assert_eq!(super::response(&answer, 0)["status"].as_str().and_then(|s| s.get(..3)), Some("409"));
    assert_eq!(client.read(&path).await.ok().body["meta"]["versionId"], "1", "nothing was stored");

    // One that refers no longer, and one that is deleted, are none.
    client.patch(&first, &json!([{"op": "remove", "path": "/subject"}])).await.is(200);
    client.delete(&second).await.is(204);
    client.delete(&path).await.refuses(409, "conflict", "");
    client.delete(&third).await.is(204);
    client.delete(&path).await.is(204);
    // To refer to oneself holds nobody.
    let mut own = patient("2");
    own["id"] = "self".into();
    own["link"] = json!([{"other": {"reference": "Patient/self"}, "type": "seealso"}]);
    client.send("PUT", "Patient/self", own.to_string(), &[]).await.is(201);
    client.delete("Patient/self").await.is(204);
}

/// R4 http.html#delete: A reference holds back wherever it stands: in an element without search parameter, in an extension, in a
/// section inside another, in a contained resource.
async fn a_reference_holds_back_wherever_it_stands(server: TestServer) {
    let client = server.everyone();
    let condition = json!({"resourceType": "Condition", "subject": {"display": "x"}});
    let organization = json!({"resourceType": "Organization", "name": "x"});
    let order = |more: &str| {
        format!(
            r#"{{"resourceType":"MedicationRequest","status":"draft","intent":"order","subject":{{"display":"x"}},{more}}}"#
        )
    };
    let observation =
        |more: &str| format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},{more}}}"#);
    for (target, referrer) in [
        (&condition, order(r#""medicationCodeableConcept":{"text":"x"},"reasonReference":[{"reference":"REF"}]"#)),
        (&condition, r#"{"resourceType":"Task","status":"draft","intent":"order","reasonReference":{"reference":"REF"}}"#.into()),
        (
            &condition,
            r#"{"resourceType":"Task","status":"draft","intent":"order","input":[{"type":{"text":"x"},"valueReference":{"reference":"REF"}}]}"#.into(),
        ),
        (&patient("1"), observation(r#""note":[{"authorReference":{"reference":"REF"},"text":"x"}]"#)),
        (&patient("2"), observation(r#""extension":[{"url":"http://x.example/e","valueReference":{"reference":"REF"}}]"#)),
        (&patient("3"), observation(r#""_status":{"extension":[{"url":"http://x.example/e","valueReference":{"reference":"BASE/REF/_history/1"}}]}"#)),
        (&organization, r#"{"resourceType":"Patient","identifier":[{"value":"9","assigner":{"reference":"REF"}}]}"#.into()),
        (
            &condition,
            r#"{"resourceType":"Composition","status":"final","type":{"text":"x"},"date":"2026-01-01","author":[{"display":"x"}],"title":"x","section":[{"title":"x","section":[{"title":"x","entry":[{"reference":"REF"}]}]}]}"#.into(),
        ),
        (
            &organization,
            order(r##""contained":[{"resourceType":"Medication","id":"m","manufacturer":{"reference":"REF"}}],"medicationReference":{"reference":"#m"}"##),
        ),
    ] {
        let path = client.create(target).await.is(201).reference();
        let referrer: Value =
            serde_json::from_str(&referrer.replace("BASE", &server.base).replace("REF", &path)).expect("JSON");
        let holds = client.create(&referrer).await.is(201).reference();
        let answer = client.delete(&path).await;
        answer.refuses(409, "conflict", "");
        assert!(answer.body.to_string().contains(&holds), "{referrer}: {}", answer.body);
        client.delete(&holds).await.is(204);
        client.delete(&path).await.is(204);
    }
}

/// R4 http.html#trules: Whether something is still referred to is judged at the end of a transaction.
async fn in_a_transaction_the_end_counts(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    let other = client.create(&patient("2")).await.is(201).reference();
    let first = client.create(&observation(&path)).await.is(201).reference();
    let second = client.create(&observation(&path)).await.is(201).reference();
    client.post(&transaction(&[delete(&path), delete(&first)])).await.refuses(409, "conflict", "Bundle.entry[0]");
    assert!(client.read(&first).await.status == 200);
    let mut moved = observation(&other);
    moved["id"] = second.trim_start_matches("Observation/").into();
    let put = json!({"resource": moved, "request": {"method": "PUT", "url": second}});
    client.post(&transaction(&[delete(&path), put, delete(&first)])).await.ok();
    client.read(&path).await.is(410);
    // Several at once, all or nothing.
    let made = transaction(
        &(0..3)
            .map(|_| json!({"resource": patient("3"), "request": {"method": "POST", "url": "Patient"}}))
            .collect::<Vec<_>>(),
    );
    let made = client.post(&made).await.ok().body;
    let held = client.create(&observation(&place(&made, 1))).await.is(201).reference();
    let all = "Patient?identifier=http://rest.example/mrn|3";
    client.delete(all).await.refuses(409, "conflict", "");
    assert_eq!(client.search(all).await.len(), 3);
    client.delete(&held).await.is(204);
    client.delete(all).await.is(204);
    assert!(client.search(all).await.is_empty());
}

/// Own docs/writes.md: A referrer that the caller may not see holds nothing back and is not named.
async fn a_referrer_that_the_caller_may_not_see_is_none(server: TestServer) {
    let (client, everyone) = (server.hospital(), server.everyone());
    let subscription = json!({"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Patient?active=true",
        "channel": {"type": "rest-hook", "endpoint": "https://x.example/hook"}});
    let about = |path: &str| json!({"resourceType": "Provenance", "recorded": "2026-11-25T15:53:00Z", "agent": [{"who": {"display": "x"}}], "target": [{"reference": path}]});
    let own = client.create(&subscription).await.is(201).reference();
    let hidden = everyone.create(&about(&own)).await.is(201).reference();
    client.read(&hidden).await.is(404);
    everyone.delete(&own).await.refuses(409, "conflict", "");
    // The answer is the one of a resource that nobody refers to: it tells nothing.
    client.delete(&own).await.is(204);
    let other = client.create(&subscription).await.is(201).reference();
    let seen = client.create(&about(&other)).await.is(201).reference();
    let answer = client.delete(&other).await;
    answer.refuses(409, "conflict", "");
    assert!(answer.body.to_string().contains(&seen));
}

both_databases_with!(["--delete-referenced", "allow"]; a_site_may_allow_it);

/// Own docs/settings.md: With `delete-referenced = allow` referrers hold nothing back.
async fn a_site_may_allow_it(server: TestServer) {
    let client = server.everyone();
    let path = client.create(&patient("1")).await.is(201).reference();
    client.create(&observation(&path)).await.is(201);
    client.delete(&path).await.is(204);
}
