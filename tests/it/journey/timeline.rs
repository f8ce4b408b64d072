//! The story of an episode, as each of those who take part may read it.

use super::{TASK_CODE, discharge};
use crate::audit::found_by;
use crate::harness::client::reference;
use crate::harness::{Answer, TestServer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn sentences(answer: &Answer) -> Vec<String> {
    let events = answer.body["parameter"].as_array().cloned().unwrap_or_default();
    let part = |e: &Value| {
        let parts = e["part"].as_array().cloned().unwrap_or_default();
        parts
            .iter()
            .find(|p| p["name"] == "what")
            .and_then(|p| p["valueString"].as_str())
            .expect("a sentence")
            .to_string()
    };
    events.iter().map(part).collect()
}

both_databases!(an_episode_tells_its_story_to_those_who_take_part);
/// security audit read: A story that is told is on record with its patient, also where it is told to an auditor.
async fn an_episode_tells_its_story_to_those_who_take_part(server: TestServer) {
    let sample = discharge("04-duplicate-therapy", server.now());
    let answer = server.user(sample.hospital).post(&sample.bundle).await.ok();
    let location = answer.body["entry"][0]["response"]["location"].as_str().expect("a location");
    let patient = location.split("/_history").next().and_then(|l| l.rsplit('/').next()).expect("an id").to_string();
    let everyone = server.everyone();
    let call = everyone.search(&format!("Task?patient={patient}&code={TASK_CODE}|first-call")).await.remove(0);
    let path = reference(&call);
    let (pharmacy, technician, pharmacist) = (server.pharmacy(), server.technician(), server.pharmacist());
    pharmacy.operation(&format!("{path}/$claim"), &Value::Null, Some("1")).await.ok();
    let attempt = json!({"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": "reached"}]});
    technician.operation(&format!("{path}/$attempt"), &attempt, None).await.ok();
    let mut issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "severity": "moderate", "code": {"text": "twice the same"},
        "patient": {"reference": format!("Patient/{patient}")}, "author": {"reference": "Practitioner/mara-lind"},
        "identifiedDateTime": server.now().strftime("%FT%TZ").to_string(), "detail": "two kinds of metoprolol"});
    super::about_an_order(&server, &patient, &mut issue).await;
    let issue = technician.create(&issue).await.ok().reference();
    let answers = json!({"resourceType": "QuestionnaireResponse", "status": "in-progress", "authored": server.now().strftime("%FT%TZ").to_string(),
        "questionnaire": "http://baton.example/fhir/Questionnaire/first-call|1", "subject": {"reference": format!("Patient/{patient}")}, "author": {"reference": "Practitioner/mara-lind"}});
    technician.create(&answers).await.is(201);
    let decision = json!({"resourceType": "Parameters", "parameter": [{"name": "resolution", "valueCode": "no-action"}, {"name": "note", "valueString": "intended"}]});
    pharmacist.operation(&format!("{issue}/$resolve"), &decision, None).await.ok();

    let episode = reference(&everyone.search(&format!("EpisodeOfCare?patient={patient}")).await[0]);
    let story = format!("{episode}/$timeline");
    let expected = [
        "The patient left the hospital",
        "The follow-up began",
        "First call after discharge: to be done by",
        "First call after discharge: taken",
        // Written together: the attempt that began the Task, and the Task.
        "Spoke with the patient or the carer",
        "First call after discharge: begun",
        "A problem was reported (moderate): two kinds of metoprolol",
        "The problem was decided: ",
    ];
    let (auditor, hospital) = (server.user("audit"), server.other_hospital());
    for (client, is_of_pharmacy) in [(&everyone, true), (&pharmacist, true), (&hospital, false), (&auditor, true)] {
        let answer = client.read(&story).await.ok();
        assert_eq!(answer.body["resourceType"], "Parameters");
        let told = sentences(&answer);
        for beside in ["The medicines were reconciled, from", "Risk by "] {
            assert!(told.iter().any(|t| t.starts_with(beside)), "`{beside}`: {told:#?}");
        }
        assert_eq!(told.iter().any(|t| t == "Answers were begun: first-call"), is_of_pharmacy, "{told:#?}");
        let mut at = told.iter();
        for sentence in expected {
            assert!(at.any(|t| t.starts_with(sentence)), "`{sentence}` in its place: {told:#?}");
        }
    }
    let by_post = pharmacist.operation(&story, &Value::Null, None).await.ok();
    assert_eq!(by_post.body, pharmacist.read(&story).await.body, "the same by GET and POST");
    let page = pharmacist.send("GET", &story, "", &[("Accept", "text/html")]).await.is(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let page = String::from_utf8(page.bytes).expect("UTF-8");
    assert!(page.contains("<td>A problem was reported (moderate): two kinds of metoprolol</td>"), "{page}");
    pharmacist.send("GET", &story, "", &[("Accept", "application/pdf")]).await.is(406);
    // Whoever is told it is on record with the patient, an auditor too, who reads nothing that it is made of; an administrator is not told.
    let of = format!("patient=Patient/{patient}&agent-name=audit");
    let asked = STANDARD.encode(&story);
    let is_it = |e: &Value| e["entity"].to_string().contains(&asked) && e["entity"].to_string().contains(&episode);
    let events = found_by(&auditor, &of, |all| all.iter().any(is_it)).await;
    assert!(
        events
            .iter()
            .filter(|e| is_it(e))
            .all(|e| e["outcome"] == "0" && e["agent"].to_string().contains("\"auditor\"")),
        "{events:#?}"
    );
    auditor.read(&episode).await.is(403);
    server.user("root").read(&story).await.is(403);
    // Who has no part in it does not learn that there is one.
    for stranger in [server.hospital(), server.other_pharmacy(), server.user("lakeside-audit")] {
        stranger.read(&story).await.refuses(404, "not-found", "");
    }
    everyone.read("EpisodeOfCare/00000000-0000-4000-8000-000000000000/$timeline").await.refuses(404, "not-found", "");
    let other = json!({"resourceType": "EpisodeOfCare", "status": "active", "patient": {"reference": format!("Patient/{patient}")}});
    let other = everyone.create(&other).await.ok().reference();
    everyone.read(&format!("{other}/$timeline")).await.refuses(422, "business-rule", "");
}
