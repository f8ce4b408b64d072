//! What is tried, deed by deed: each answers what it asked and what came back.

use super::act::{Case, SYSTEMS, Step, What, pick, practitioner};
use super::hold::{is_final, status};
use super::news::{self, EVENTS, Event, MEDICINES};
use crate::harness::client::reference;
use crate::harness::{Answer, Client};
use crate::journey::doors::{Change, DOORS, Version, bundle, in_a_batch};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The members in which two differ, as a JSON Patch.
fn patch_of(before: &Value, after: &Value) -> Value {
    let (old, new) = (before.as_object().expect("an object"), after.as_object().expect("an object"));
    let kept = |name: &&String| !matches!(name.as_str(), "id" | "meta" | "resourceType");
    let mut out = Vec::new();
    for name in old.keys().filter(kept).filter(|n| !new.contains_key(*n)) {
        out.push(json!({"op": "remove", "path": format!("/{name}")}));
    }
    for (name, value) in new.iter().filter(|(n, v)| kept(n) && old.get(*n) != Some(v)) {
        out.push(json!({"op": "add", "path": format!("/{name}"), "value": value}));
    }
    Value::Array(out)
}

fn with(resource: &Value, changes: &[(&str, Value)]) -> Value {
    let mut out = resource.clone();
    for (name, value) in changes {
        if value.is_null() {
            out.as_object_mut().expect("an object").shift_remove(*name);
        } else {
            out[*name] = value.clone();
        }
    }
    out
}

fn parameters(list: Vec<Value>) -> Value {
    json!({"resourceType": "Parameters", "parameter": list})
}

fn output() -> Value {
    json!([{"type": {"text": "note"}, "valueString": "what came of it"}])
}

fn own_extension(name: &str, code: &str) -> Value {
    json!({"url": format!("http://baton.example/fhir/StructureDefinition/{name}"), "valueCodeableConcept":
        {"coding": [{"system": format!("http://baton.example/fhir/CodeSystem/{name}"), "code": code}]}})
}

fn version(resource: &Value) -> Option<&str> {
    resource["meta"]["versionId"].as_str()
}

impl Case<'_> {
    pub(super) async fn send_news(&mut self, client: &Client, (_, _, which, how, _): Step) -> Vec<(String, Answer)> {
        let event = EVENTS[how % EVENTS.len()];
        // Of the second stay a third; a message is up to two hours old.
        let stay = if how % 5 < 2 { 2 } else { 1 };
        let news = self.news(event, stay, [0, 0, 7, 119][how / 6 % 4], which);
        if !news.is_one() {
            return Vec::new();
        }
        let message = news.message();
        let answer = news::send(client, &message).await;
        if answer.status == 200 {
            self.sent.push(message);
        }
        vec![(format!("{event:?} of stay {stay}"), answer)]
    }

    /// A copy is 200; something else under the same id is 409. Neither changes anything, as `judge` sees.
    pub(super) async fn send_again(&mut self, client: &Client, (_, _, which, how, _): Step) -> Vec<(String, Answer)> {
        let Some(message) = pick(&self.sent, which).cloned() else { return Vec::new() };
        let is_other = how % 3 == 0;
        let changed = match is_other {
            true => with(&message, &[("timestamp", json!(self.now()))]),
            false => message,
        };
        vec![(if is_other { "another under its id" } else { "a copy" }.to_owned(), news::send(client, &changed).await)]
    }

    pub(super) async fn send_at_once(&mut self, client: &Client, (_, _, which, ..): Step) -> Vec<(String, Answer)> {
        let message = self.news(Event::Correction, 1, 0, which).message();
        let answers = join_all((0..4).map(|_| news::send(client, &message))).await;
        if answers.iter().any(|a| a.status == 200) {
            self.sent.push(message);
        }
        answers.into_iter().map(|a| ("one of four copies".to_owned(), a)).collect()
    }

    /// What `src/worker` asks for: claims given back whose time is over, what waits too long, what only time shows.
    pub(super) async fn worker(&mut self) -> Vec<(String, Answer)> {
        let everyone = self.server.everyone();
        let mut out = Vec::new();
        let query = format!("Task?patient={}&claim-lease=lt{}&status=received,accepted", self.patient, self.now());
        for task in everyone.search(&query).await {
            let reason = json!({"coding": [{"system": "http://baton.example/fhir/CodeSystem/task-status-reason", "code": "lease-ended"}]});
            let given = parameters(vec![json!({"name": "reason", "valueCodeableConcept": reason})]);
            let path = format!("{}/$release", reference(&task));
            out.push((path.clone(), everyone.operation(&path, &given, version(&task)).await));
        }
        let reviews = self.last.tasks.iter().filter(|t| !is_final(t) && t["code"].to_string().contains("review-dtp"));
        for review in reviews {
            let path = format!("{}/$escalate", reference(review));
            out.push((path.clone(), everyone.operation(&path, &Value::Null, None).await));
        }
        for episode in self.last.episodes.iter().filter(|e| status(e) == "active") {
            let path = format!("{}/$screen", reference(episode));
            out.push((path.clone(), everyone.operation(&path, &Value::Null, None).await));
        }
        out
    }

    /// A new resource, by a door.
    async fn create(&self, client: &Client, resource: &Value, door: usize) -> (String, Answer) {
        let kind = resource["resourceType"].as_str().expect("a type");
        let entry = json!({"request": {"method": "POST", "url": kind}, "resource": resource});
        let (name, answer) = match door % 5 {
            0 => ("POST", client.create(resource).await),
            1 => ("transaction", client.post(&bundle("transaction", vec![entry])).await),
            2 => ("batch", in_a_batch(client, entry).await),
            3 => ("conditional create", client.create_if_none(resource, "_id=nothing-has-this-id").await),
            _ => {
                let id = format!("{}-{}", self.key, self.log.len());
                let named = with(resource, &[("id", json!(id))]);
                ("PUT", client.send("PUT", &format!("{kind}/{id}"), named.to_string(), &[]).await)
            }
        };
        (format!("{name} of a {kind}"), answer)
    }

    /// A change, by a door.
    async fn change(&self, client: &Client, before: &Value, after: &Value, step: Step) -> Vec<(String, Answer)> {
        let version = if step.3 % 8 == 7 { Version::Left } else { Version::Named };
        let patch = patch_of(before, after);
        let change = Change { before, after, patch: &patch, version };
        let door = DOORS[step.4 % DOORS.len()];
        let name = format!("{door} {} {patch}", before["code"]["coding"][0]["code"].as_str().unwrap_or("thing"));
        change.through(client, door).await.map(|a| (name, a)).into_iter().collect()
    }

    pub(super) async fn medicine(&mut self, client: &Client, (_, _, which, how, door): Step) -> Vec<(String, Answer)> {
        if let (Some(order), 0) = (pick(&self.last.orders, which), how % 3) {
            let to = ["stopped", "entered-in-error", "active"][how / 3 % 3];
            let after = with(order, &[("status", json!(to))]);
            return self.change(client, order, &after, (0, 0, which, how, door)).await;
        }
        let Some(stay) = pick(&self.last.stays, which) else { return Vec::new() };
        let order = json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "subject": {"reference": format!("Patient/{}", self.patient)}, "encounter": {"reference": reference(stay)},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "discharge"}]}],
            "medicationCodeableConcept": {"text": MEDICINES[how % MEDICINES.len()]}});
        vec![self.create(client, &order, door).await]
    }

    pub(super) async fn about_the_patient(
        &mut self,
        what: What,
        client: &Client,
        who: &str,
        step: Step,
    ) -> Vec<(String, Answer)> {
        let (_, _, which, how, door) = step;
        let subject = json!({"reference": format!("Patient/{}", self.patient)});
        match what {
            What::Stay => {
                let Some(stay) = pick(&self.last.stays, which) else { return Vec::new() };
                let to = ["finished", "in-progress", "cancelled", "entered-in-error", "finished"][how % 5];
                let mut after = with(stay, &[("status", json!(to))]);
                if to == "finished" {
                    after["period"]["end"] = json!(self.ago(i64::try_from(how % 4).expect("small")).to_string());
                }
                self.change(client, stay, &after, step).await
            }
            What::Patient if how % 2 == 0 => {
                let patient = self.server.read(&format!("Patient/{}", self.patient)).await;
                let after = with(&patient, &[("deceasedBoolean", json!(how % 4 == 0))]);
                self.change(client, &patient, &after, step).await
            }
            What::Patient => {
                let kind = ["deny", "permit"][how / 2 % 2];
                let consent = json!({"resourceType": "Consent", "status": "active", "dateTime": self.now(), "patient": subject,
                    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "treatment"}]},
                    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
                    "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
                    "provision": {"type": kind}});
                vec![self.create(client, &consent, door).await]
            }
            What::Abort => {
                let Some(task) = pick(&self.last.tasks, which) else { return Vec::new() };
                let stop = json!({"resourceType": "Task", "status": "requested", "intent": "order",
                    "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]},
                    "focus": {"reference": reference(task)}, "reasonCode": {"text": "it is being corrected"}});
                vec![self.create(client, &stop, door).await]
            }
            _ => {
                let flag = json!({"linkId": "red-flag.breathing", "answer": [{"valueBoolean": how % 2 == 0}]});
                let answers = json!({"resourceType": "QuestionnaireResponse", "status": "in-progress",
                    "questionnaire": "http://baton.example/fhir/Questionnaire/red-flags|1", "subject": subject,
                    "author": {"reference": practitioner(who)}, "authored": self.now(),
                    "item": [{"linkId": "red-flag", "item": [flag]}]});
                vec![self.create(client, &answers, door).await]
            }
        }
    }

    pub(super) async fn about_a_problem(
        &mut self,
        what: What,
        client: &Client,
        who: &str,
        step: Step,
    ) -> Vec<(String, Answer)> {
        let (_, _, which, how, door) = step;
        let subject = json!({"reference": format!("Patient/{}", self.patient)});
        if what == What::Report {
            let Some(order) = pick(&self.last.orders, which).map(reference) else { return Vec::new() };
            let order = json!([{"reference": order}]);
            let mut issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "implicated": order, "evidence": [{"detail": order}],
                "severity": (["low", "moderate", "high"][how % 3]), "patient": subject,
                "code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DUPTHPGEN"}]},
                "author": {"reference": practitioner(who)}, "identifiedDateTime": self.now(), "detail": "taken twice"});
            match how / 3 % 6 {
                0 => issue["status"] = "final".into(),
                1 => issue["mitigation"] = self.mitigation(who, how),
                _ => {}
            }
            return vec![self.create(client, &issue, door).await];
        }
        let Some(issue) = pick(&self.last.issues, which).cloned() else { return Vec::new() };
        let path = reference(&issue);
        match what {
            What::Resolve => {
                // Mostly with the review in hand, as a pharmacist would.
                let review = self.last.tasks.iter().find(|t| t["focus"]["reference"] == path.as_str() && !is_final(t));
                let mut out = Vec::new();
                if let Some(review) = review.filter(|_| how % 5 > 0) {
                    if status(review) == "requested" {
                        let claim = format!("{}/$claim", reference(review));
                        out.push((
                            "$claim of the review".to_owned(),
                            client.operation(&claim, &Value::Null, version(review)).await,
                        ));
                    }
                    let begin = json!([{"op": "replace", "path": "/status", "value": "in-progress"}]);
                    out.push(("the review begins".to_owned(), client.patch(&reference(review), &begin).await));
                }
                let mut list =
                    vec![json!({"name": "resolution", "valueCode": (["no-action", "resolved"][how / 5 % 2])})];
                if how / 5 % 2 == 1 {
                    list.push(json!({"name": "mitigation", "valueCode": (["1", "2", "5", "13"][how / 10 % 4])}));
                    let evidence = self.last.orders.first().map(reference);
                    list.extend(evidence.map(|r| json!({"name": "evidence", "valueReference": {"reference": r}})));
                }
                let answer = client.operation(&format!("{path}/$resolve"), &parameters(list), None).await;
                out.push(("$resolve".to_owned(), answer));
                out
            }
            What::ChangeProblem => {
                let after = match how % 9 {
                    0 => with(&issue, &[("severity", json!(["low", "moderate", "high"][how / 9 % 3]))]),
                    1 => with(&issue, &[("status", json!("cancelled"))]),
                    2 => with(&issue, &[("status", json!("entered-in-error"))]),
                    3 => with(&issue, &[("mitigation", self.mitigation(who, how))]),
                    4 => with(&issue, &[("status", json!("preliminary"))]),
                    5 => with(&issue, &[("status", json!("amended")), ("detail", json!("and so it was"))]),
                    6 => with(&issue, &[("mitigation", Value::Null), ("extension", Value::Null)]),
                    7 => with(&issue, &[("detail", json!("said more clearly"))]),
                    _ => {
                        let mut extensions = issue["extension"].as_array().cloned().unwrap_or_default();
                        extensions.push(own_extension("resolution", "no-action"));
                        with(&issue, &[("status", json!("final")), ("extension", json!(extensions))])
                    }
                };
                self.change(client, &issue, &after, step).await
            }
            _ => {
                let about = json!([{"reference": path}]);
                let letter = match how % 3 {
                    0 => {
                        json!({"resourceType": "CommunicationRequest", "status": "active", "subject": subject, "about": about,
                        "occurrenceDateTime": self.now(), "recipient": [{"reference": "Practitioner/dora-klein"}]})
                    }
                    1 => {
                        json!({"resourceType": "Communication", "status": "completed", "subject": subject, "about": about,
                        "sent": self.now(), "sender": {"reference": practitioner(who)}, "recipient": [{"reference": "Practitioner/dora-klein"}]})
                    }
                    _ => {
                        let Some(stay) = pick(&self.last.stays, which) else { return Vec::new() };
                        let path = format!("{}/$handoff-report", reference(stay));
                        let attest = parameters(vec![json!({"name": "attest", "valueBoolean": how % 2 == 0})]);
                        return vec![("$handoff-report".to_owned(), client.operation(&path, &attest, None).await)];
                    }
                };
                vec![self.create(client, &letter, door).await]
            }
        }
    }

    fn mitigation(&self, who: &str, how: usize) -> Value {
        json!([{"action": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": (["1", "6", "13"][how % 3])}]},
            "date": self.now(), "author": {"reference": practitioner(who)}}])
    }

    pub(super) async fn about_a_task(&mut self, what: What, client: &Client, step: Step) -> Vec<(String, Answer)> {
        let how = step.3;
        let Some(task) = self.task(step).cloned() else { return Vec::new() };
        let path = reference(&task);
        let claim = format!("{path}/$claim");
        let why = json!({"text": "because"});
        match what {
            What::Claim => {
                let tag = if how % 7 == 6 { None } else { version(&task) };
                vec![("$claim".to_owned(), client.operation(&claim, &Value::Null, tag).await)]
            }
            What::ClaimByWrite => {
                let to = json!({"reference": format!("Organization/{}", SYSTEMS[how % 3])});
                let after = with(&task, &[("status", json!(["accepted", "received"][how / 3 % 2])), ("owner", to)]);
                self.change(client, &task, &after, step).await
            }
            What::ClaimAtOnce => {
                let rivals = ["elm-street-pms", "harbour-pms", "meadow-pms"].map(|who| self.client(who));
                let answers = join_all(rivals.iter().map(|c| c.operation(&claim, &Value::Null, version(&task)))).await;
                let won = answers.iter().filter(|a| a.status < 300).count();
                assert!(won < 2, "L1: {won} pharmacies have claimed {task} at the same time");
                answers.into_iter().map(|a| ("one of three claims".to_owned(), a)).collect()
            }
            What::Release => {
                vec![("$release".to_owned(), client.operation(&format!("{path}/$release"), &Value::Null, None).await)]
            }
            What::Attempt => {
                let outcome =
                    ["reached", "no-answer", "voicemail", "wrong-number", "no-answer", "patient-refused"][how % 6];
                let list = vec![json!({"name": "outcome", "valueCode": outcome})];
                let answer = client.operation(&format!("{path}/$attempt"), &parameters(list), None).await;
                vec![(format!("$attempt {outcome}"), answer)]
            }
            What::Hand => {
                let to = json!({"reference": format!("Organization/{}", SYSTEMS[how % 3])});
                let after = with(&task, &[("owner", to)]);
                self.change(client, &task, &after, step).await
            }
            What::GoOn => {
                let next = match status(&task) {
                    "requested" => {
                        return vec![(
                            "$claim".to_owned(),
                            client.operation(&claim, &Value::Null, version(&task)).await,
                        )];
                    }
                    "received" => vec![("status", json!("accepted"))],
                    "accepted" => vec![("status", json!("in-progress"))],
                    "in-progress" => match how % 4 {
                        0 => vec![("status", json!("failed")), ("statusReason", why)],
                        1 => vec![("status", json!("on-hold")), ("statusReason", why)],
                        _ => vec![("status", json!("completed")), ("output", output())],
                    },
                    "on-hold" => vec![("status", json!(["in-progress", "failed"][how % 2])), ("statusReason", why)],
                    _ => vec![("note", json!([{"text": "a word more"}]))],
                };
                self.change(client, &task, &with(&task, &next), step).await
            }
            _ => {
                const STATUSES: [&str; 10] = [
                    "requested",
                    "received",
                    "accepted",
                    "in-progress",
                    "on-hold",
                    "completed",
                    "rejected",
                    "failed",
                    "cancelled",
                    "entered-in-error",
                ];
                let mut changes = vec![("status", json!(STATUSES[how % 10]))];
                if !(how / 10).is_multiple_of(3) {
                    changes.extend([("statusReason", why), ("output", output())]);
                }
                self.change(client, &task, &with(&task, &changes), step).await
            }
        }
    }

    /// An earlier version put back, or something deleted.
    pub(super) async fn history(&mut self, what: What, client: &Client, step: Step) -> Vec<(String, Answer)> {
        let (_, _, which, how, door) = step;
        let lists = [&self.last.tasks, &self.last.issues, &self.last.stays, &self.last.spoken, &self.last.episodes];
        let Some(now) = pick(lists[how % 5], which).cloned() else { return Vec::new() };
        let path = reference(&now);
        if what == What::Restore {
            let latest = version(&now).and_then(|v| v.parse::<usize>().ok()).unwrap_or(1);
            let old = self.server.everyone().read(&format!("{path}/_history/{}", 1 + which % latest)).await;
            if old.status != 200 {
                return Vec::new(); // it was deleted then
            }
            return self.change(client, &now, &old.body, step).await;
        }
        let entry = json!({"request": {"method": "DELETE", "url": path}});
        let (name, answer) = match door % 4 {
            0 => ("DELETE", client.delete(&path).await),
            1 => ("DELETE in a transaction", client.post(&bundle("transaction", vec![entry])).await),
            2 => ("DELETE in a batch", in_a_batch(client, entry).await),
            _ => {
                let (kind, id) = path.split_once('/').expect("a type");
                ("conditional DELETE", client.delete(&format!("{kind}?_id={id}")).await)
            }
        };
        vec![(format!("{name} of a {}", now["resourceType"]), answer)]
    }
}
