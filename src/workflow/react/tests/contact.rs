//! Who speaks with whom about a problem, and what that means for the problem.

use crate::fhir::Json;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn with_people() -> World {
    let (mut world, _) = World::with_problem();
    for (person, organization) in [("doctor", "lakeside"), ("jonas", "elm"), ("mara", "elm")] {
        let role = json!({"resourceType": "PractitionerRole", "id": person, "practitioner": {"reference": format!("Practitioner/{person}")},
            "organization": {"reference": format!("Organization/{organization}")}});
        world.memory.client(role.into(), 0);
    }
    world
}

fn letter(to: &str) -> Value {
    json!({"resourceType": "Communication", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"},
        "about": [{"reference": "DetectedIssue/d"}], "recipient": [{"reference": to}]})
}

fn status(result: &crate::error::Result<()>) -> u16 {
    result.as_ref().map_or_else(|e| e.kind.status(), |()| 200)
}

#[test]
fn only_a_pharmacist_asks_a_prescriber_about_a_problem_as_a_table() {
    for (who, to, answer) in [
        ("mara", "Practitioner/doctor", 403),
        ("mara", "PractitionerRole/doctor", 403),
        ("mara", "Organization/lakeside", 403),
        ("mara", "Practitioner/unknown", 403),
        ("elm", "Practitioner/doctor", 403),
        ("mara", "Practitioner/jonas", 200),
        ("mara", "PractitionerRole/jonas", 200),
        ("mara", "Organization/elm", 200),
        ("mara", "Patient/p", 200),
        ("jonas", "Practitioner/doctor", 200),
    ] {
        let mut world = with_people();
        let result = world.write(who, vec![letter(to)]);
        assert_eq!(status(&result), answer, "{who} to {to}: {result:?}");
        if let Err(error) = result {
            assert!(error.issues[0].diagnostics.contains("rule prescriber-contact"), "{error}");
        }
    }
    // What is not about a problem is not about the therapy: asking the hospital for the list is a technician's work.
    let mut ask = letter("Organization/lakeside");
    ask.as_object_mut().unwrap().remove("about");
    assert_eq!(status(&with_people().write("mara", vec![ask])), 200);
}

#[test]
fn only_a_pharmacist_puts_a_prescribers_answer_on_record_as_a_table() {
    for (who, change, answer, at) in [
        ("mara", json!({"sender": {"reference": "Practitioner/doctor"}}), 403, "Communication.sender"),
        ("mara", json!({"sender": {"reference": "Practitioner/mara"}}), 200, ""),
        ("mara", json!({"basedOn": [{"reference": "CommunicationRequest/q"}]}), 403, "Communication.basedOn"),
        ("elm", json!({"basedOn": [{"reference": "CommunicationRequest/q"}]}), 403, "Communication.basedOn"),
        (
            "jonas",
            json!({"sender": {"reference": "Practitioner/doctor"}, "basedOn": [{"reference": "CommunicationRequest/q"}]}),
            200,
            "",
        ),
    ] {
        let mut world = with_people();
        let mut reply = letter("Organization/elm");
        for (name, value) in change.as_object().unwrap() {
            reply[name] = value.clone();
        }
        let result = world.write(who, vec![reply]);
        assert_eq!(status(&result), answer, "{who} {change}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.issues[0].expression, at, "{who} {change}");
        }
    }
}

#[test]
fn a_technician_repeats_to_a_patient_what_a_pharmacist_has_taught_as_a_table() {
    let category = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "instruction"}]}]);
    let teach = |based_on: Option<&str>| {
        let mut out = letter("Patient/p");
        out.as_object_mut().unwrap().remove("about");
        out["category"] = category.clone();
        if let Some(based_on) = based_on {
            out["basedOn"] = json!([{"reference": based_on}]);
        }
        out
    };
    let by = |person: &str| json!({"reference": format!("Practitioner/{person}")});
    let subject = |id: &str| json!({"reference": format!("Patient/{id}")});
    let procedure = |id: &str, who: &str, patient: &str| json!({"resourceType": "Procedure", "id": id, "status": "completed", "subject": subject(patient), "performer": [{"actor": by(who)}]});
    let said = |id: &str, who: &str, kind: bool| {
        let mut out = json!({"resourceType": "Communication", "id": id, "status": "completed", "subject": subject("p"), "sender": by(who)});
        if kind {
            out["category"] = category.clone();
        }
        out
    };
    for (who, based_on, answer, says) in [
        ("mara", None, 403, "name a Procedure"),
        ("elm", None, 403, "name a Procedure"),
        ("mara", Some("Task/1"), 403, "name a Procedure"),
        ("mara", Some("Procedure/taught"), 200, ""),
        ("mara", Some("Communication/taught"), 200, ""),
        ("mara", Some("DocumentReference/taught"), 200, ""),
        ("mara", Some("Procedure/nowhere"), 403, "not known"),
        ("mara", Some("Procedure/of-a-technician"), 403, "not made by a pharmacist"),
        ("mara", Some("Procedure/of-another-patient"), 403, "no education of this patient"),
        ("mara", Some("Procedure/never"), 403, "no education of this patient"),
        ("mara", Some("Communication/of-a-technician"), 403, "not made by a pharmacist"),
        ("mara", Some("Communication/small-talk"), 403, "no education of this patient"),
        ("jonas", None, 200, ""),
    ] {
        let mut world = with_people();
        for role in ["jonas", "mara"] {
            let code = if role == "jonas" { "183500000X" } else { "183700000X" };
            let json = json!({"resourceType": "PractitionerRole", "id": role, "practitioner": by(role), "organization": {"reference": "Organization/elm"},
                "code": [{"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": code}]}]});
            world.memory.client(json.into(), 0);
        }
        let mut never = procedure("never", "jonas", "p");
        never["status"] = "not-done".into();
        for material in [
            procedure("taught", "jonas", "p"),
            procedure("of-a-technician", "mara", "p"),
            procedure("of-another-patient", "jonas", "other"),
            never,
            said("taught", "jonas", true),
            said("of-a-technician", "mara", true),
            said("small-talk", "jonas", false),
            json!({"resourceType": "DocumentReference", "id": "taught", "status": "current", "subject": subject("p"), "author": [by("jonas")]}),
        ] {
            world.memory.client(material.into(), 0);
        }
        let result = world.write(who, vec![teach(based_on)]);
        assert_eq!(status(&result), answer, "{who} {based_on:?}: {result:?}");
        if let Err(error) = result {
            assert!(
                error.to_string().contains(says) && error.to_string().contains("rule education"),
                "{says}: {error}"
            );
        }
        // The side door: what was no instruction becomes one.
        let mut plain = teach(based_on);
        plain.as_object_mut().unwrap().remove("category");
        plain["id"] = "later".into();
        world.write(who, vec![plain]).unwrap();
        let result =
            world.change(who, &target("Communication/later"), |c| c.set("category", Json::from(category.clone())));
        assert_eq!(status(&result), answer, "by change: {who} {based_on:?}: {result:?}");
    }
}

#[test]
fn a_problem_that_somebody_acted_on_is_no_mere_error() {
    for (act, answer) in [
        (None, 200),
        (
            Some(
                json!({"resourceType": "Communication", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}, "about": [{"reference": "DetectedIssue/d"}]}),
            ),
            422,
        ),
        (
            Some(
                json!({"resourceType": "Communication", "id": "x", "status": "entered-in-error", "subject": {"reference": "Patient/p"}, "about": [{"reference": "DetectedIssue/d"}]}),
            ),
            200,
        ),
        (
            Some(
                json!({"resourceType": "CommunicationRequest", "id": "x", "status": "active", "subject": {"reference": "Patient/p"}, "basedOn": [{"reference": "DetectedIssue/d"}]}),
            ),
            422,
        ),
        (
            Some(
                json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}, "reasonReference": [{"reference": "DetectedIssue/d"}]}),
            ),
            422,
        ),
        (
            Some(
                json!({"resourceType": "Procedure", "id": "x", "status": "completed", "subject": {"reference": "Patient/p"}}),
            ),
            200,
        ),
    ] {
        let mut world = with_people();
        if let Some(act) = &act {
            world.write("jonas", vec![act.clone()]).unwrap();
        }
        let result = world.change("mara", &target("DetectedIssue/d"), |d| d.set("status", "entered-in-error"));
        assert_eq!(status(&result), answer, "{act:?}: {result:?}");
        if answer == 422 {
            world.change("jonas", &target("DetectedIssue/d"), |d| d.set("status", "cancelled")).unwrap();
        }
    }
}

#[test]
fn a_hospitals_system_discharges_for_itself_and_its_parts() {
    for (organization, answer) in [
        (json!({"resourceType": "Organization", "id": "site"}), 200),
        (json!({"resourceType": "Organization", "id": "site", "partOf": {"reference": "Organization/lakeside"}}), 200),
        (json!({"resourceType": "Organization", "id": "site", "partOf": {"reference": "Organization/northgate"}}), 403),
        (
            json!({"resourceType": "Organization", "id": "site", "extension": [{"url": "http://baton.example/fhir/StructureDefinition/candidate-pharmacy", "valueReference": {"reference": "Organization/elm"}}]}),
            403,
        ),
    ] {
        let mut world = World::new();
        let candidates: Json = json!({"resourceType": "Organization", "id": "northgate", "extension": [{"url": "http://baton.example/fhir/StructureDefinition/candidate-pharmacy", "valueReference": {"reference": "Organization/elm"}}]}).into();
        world.memory.client(candidates, 0);
        world.memory.client(organization.clone().into(), 0);
        let mut sent = discharge();
        sent[1]["serviceProvider"]["reference"] = "Organization/site".into();
        let result = world.write("hospital", sent.clone());
        assert_eq!(status(&result), answer, "{organization}: {result:?}");
        assert_eq!(status(&world.write("super", sent)), 200, "history is loaded by the super-user");
    }
}
