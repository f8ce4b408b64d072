use crate::workflow::world::*;
use serde_json::{Value, json};

fn call(task: &str) -> Value {
    json!({
        "resourceType": "Communication", "id": "c", "status": "completed",
        "basedOn": [{"reference": task}], "subject": {"reference": "Patient/p"},
        "medium": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}],
        "sent": "2026-11-25T20:58:00Z", "sender": {"reference": "Practitioner/mara"},
        "recipient": [{"reference": "Patient/p"}],
    })
}

#[test]
fn an_attempt_written_as_a_communication_keeps_the_rules_as_a_table() {
    for (who, change, answer, at) in [
        ("mara", json!({}), 200, ""),
        ("mara", json!({"status": "not-done"}), 422, "Communication.statusReason"),
        ("mara", json!({"status": "not-done", "statusReason": {"text": "no answer"}}), 200, ""),
        ("mara", json!({"status": "in-progress"}), 422, "Communication.status"),
        ("mara", json!({"sent": "2026-11-25T21:30:00Z"}), 422, "Communication.sent"),
        ("mara", json!({"sent": "2026-11-25T19:00:00Z"}), 422, "Communication.sent"),
        ("mara", json!({"sent": null}), 422, "Communication.sent"),
        ("mara", json!({"sender": {"reference": "Practitioner/jonas"}}), 403, "Communication.sender"),
        ("mara", json!({"subject": {"reference": "Patient/q"}}), 422, "Communication.subject"),
        ("tomas", json!({"sender": {"reference": "Practitioner/tomas"}}), 403, "Communication.basedOn"),
        ("hospital", json!({}), 403, "Communication"),
        ("elm", json!({}), 403, "Communication"),
    ] {
        let (mut world, task) = World::with_call();
        let mut attempt = call(&task.to_string());
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                attempt.as_object_mut().unwrap().remove(name);
            } else {
                attempt[name] = value.clone();
            }
        }
        let result = world.write(who, vec![attempt]);
        let got = result.as_ref().map_or_else(|e| e.kind.status(), |()| 200);
        assert_eq!(got, answer, "{who} {change}: {result:?}");
        if let Err(error) = result {
            assert!(error.issues.iter().any(|i| i.expression == at), "{who} {change}: {error}");
        }
    }
}

#[test]
fn an_attempt_needs_a_task_in_progress() {
    let mut world = World::with_discharge();
    let task = world.task("first-call");
    assert_eq!(world.write("mara", vec![call(&task.to_string())]).unwrap_err().kind.status(), 403, "not hers");
    world.claim_now("elm", &task).unwrap();
    let error = world.write("mara", vec![call(&task.to_string())]).unwrap_err();
    assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, "Communication.basedOn"));
}

#[test]
fn what_was_said_stays_said() {
    let (mut world, task) = World::with_call();
    world.write("mara", vec![call(&task.to_string())]).unwrap();
    let at = target("Communication/c");
    assert_eq!(world.change("mara", &at, |c| c.set("sent", "2026-11-25T20:59:00Z")).unwrap_err().kind.status(), 422);
    assert_eq!(world.change("mara", &at, |c| c.set("status", "in-progress")).unwrap_err().kind.status(), 422);
    let delete = world.write("mara", vec![json!({"resourceType": "Communication", "id": "c"})]);
    assert_eq!(delete.unwrap_err().kind.status(), 422);
    world.change("mara", &at, |c| c.set("status", "entered-in-error")).unwrap();
}
