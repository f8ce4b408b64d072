use crate::error::{Error, Result};
use crate::fhir::Json;
use crate::workflow::records::Records;
use crate::workflow::world::*;
use serde_json::{Value, json};

fn verdict<T>(result: &Result<T>) -> u16 {
    result.as_ref().map_or_else(|e: &Error| e.kind.status(), |_| 200)
}

fn review(world: &World) -> Json {
    world.json(&world.task("review-dtp")).clone()
}

/// A world in which Jonas has the review in progress.
fn reviewed() -> (World, crate::fhir::Target) {
    let (mut world, dtp) = World::with_problem();
    let at = world.task("review-dtp");
    world.claim_now("jonas", &at).unwrap();
    world.change("jonas", &at, |t| t.set("status", "in-progress")).unwrap();
    (world, dtp)
}

fn resolution(code: &str) -> Value {
    json!([{"url": "http://baton.example/fhir/StructureDefinition/resolution",
        "valueCodeableConcept": {"coding": [{"system": "http://baton.example/fhir/CodeSystem/resolution", "code": code}]}}])
}

fn mitigation(code: &str, author: &str, date: &str) -> Value {
    json!([{"action": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]},
        "date": date, "author": {"reference": author}}])
}

fn with(base: &Value, changes: Value) -> Value {
    let mut out = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            out.as_object_mut().unwrap().remove(name);
        } else {
            out[name] = value.clone();
        }
    }
    out
}

#[test]
fn who_reports_what_as_a_table() {
    for (who, change, answer, at) in [
        ("mara", json!({}), 200, ""),
        ("jonas", json!({"author": {"reference": "Practitioner/jonas"}}), 200, ""),
        ("mara", json!({"status": "final"}), 403, "DetectedIssue.status"),
        ("mara", json!({"status": "cancelled"}), 403, "DetectedIssue.status"),
        ("mara", json!({"author": {"reference": "Practitioner/jonas"}}), 403, "DetectedIssue.author"),
        ("mara", json!({"author": null}), 422, "DetectedIssue.author"),
        ("mara", json!({"patient": null}), 422, "DetectedIssue.patient"),
        ("mara", json!({"code": null}), 422, "DetectedIssue.code"),
        ("mara", json!({"detail": null}), 422, "DetectedIssue.detail"),
        ("mara", json!({"detail": "  twice.  "}), 422, "DetectedIssue.detail"),
        ("mara", json!({"severity": null}), 422, "DetectedIssue.severity"),
        ("mara", json!({"identifiedDateTime": null}), 422, "DetectedIssue.identified"),
        (
            "mara",
            json!({"identifiedDateTime": null, "identifiedPeriod": {"end": "2026-11-25"}}),
            422,
            "DetectedIssue.identified",
        ),
        ("mara", json!({"identifiedDateTime": null, "identifiedPeriod": {"start": "2026-11-25T20:55:00Z"}}), 200, ""),
        ("mara", json!({"implicated": null}), 422, "DetectedIssue.implicated"),
        ("mara", json!({"implicated": [{"reference": "Condition/c"}]}), 422, "DetectedIssue.implicated"),
        (
            "mara",
            json!({"implicated": [{"reference": "Condition/c"}], "code": {"coding": [
                {"system": "http://baton.example/fhir/CodeSystem/dtp-category", "code": "needs-additional"}]}}),
            200,
            "",
        ),
        ("mara", json!({"evidence": null}), 422, "DetectedIssue.evidence"),
        ("mara", json!({"evidence": [{"code": [{"text": "seen"}]}]}), 422, "DetectedIssue.evidence"),
        ("super", json!({"severity": null}), 422, "DetectedIssue.severity"),
        ("mara", json!({"identifiedDateTime": "2026-11-26T00:00:00Z"}), 422, "DetectedIssue.identifiedDateTime"),
        (
            "mara",
            json!({"mitigation": mitigation("13", "Practitioner/mara", "2026-11-25T20:56:00Z")}),
            403,
            "DetectedIssue.mitigation",
        ),
        (
            "jonas",
            json!({"author": {"reference": "Practitioner/jonas"}, "mitigation": mitigation("13", "Practitioner/jonas", "2026-11-25T20:56:00Z")}),
            422,
            "DetectedIssue.mitigation",
        ),
        ("mara", json!({"extension": resolution("resolved")}), 403, "DetectedIssue.extension"),
        ("elm", json!({}), 403, "DetectedIssue"),
        ("hospital", json!({}), 403, "DetectedIssue"),
        ("doctor", json!({}), 403, "DetectedIssue"),
        ("root", json!({}), 403, "DetectedIssue"),
        ("super", json!({}), 200, ""),
        ("super", json!({"status": "final"}), 200, ""), // history of elsewhere
        ("mara", json!({"implicated": [{"reference": "MedicationRequest/other"}]}), 422, "DetectedIssue.implicated[0]"),
    ] {
        let (mut world, _) = World::with_call();
        let mut other = prescription("other", None);
        other["subject"]["reference"] = "Patient/q".into();
        other.as_object_mut().unwrap().remove("encounter");
        world.write("hospital", vec![json!({"resourceType": "Patient", "id": "q"}), other]).unwrap();
        let result = world.write(who, vec![with(&problem(), change.clone())]);
        assert_eq!(verdict(&result), answer, "{who} {change}: {result:?}");
        if let Err(error) = result {
            assert!(error.issues.iter().any(|i| i.expression == at), "{who} {change}: {error}");
        }
    }
}

/// The order that the report names as its evidence does not show that it was changed: the decision names that again.
#[test]
fn what_a_report_was_shown_by_does_not_show_what_was_done() {
    for (named, answer) in [(false, 422), (true, 200)] {
        let (mut world, _) = World::with_call();
        let order = json!([{"detail": [{"reference": "MedicationRequest/m"}]}]);
        world.write("mara", vec![with(&problem(), json!({"evidence": order}))]).unwrap();
        let mut params = vec![
            json!({"name": "resolution", "valueCode": "resolved"}),
            json!({"name": "mitigation", "valueCode": "13"}),
        ];
        if named {
            params.push(json!({"name": "evidence", "valueReference": {"reference": "MedicationRequest/m"}}));
        }
        let done = world.resolve("jonas", &target("DetectedIssue/d"), json!(params));
        assert_eq!(verdict(&done), answer, "{done:?}");
    }
}

/// A problem of before the rule that says no severity: it goes on, and what it does say it keeps.
#[test]
fn a_problem_of_before_goes_on_without_what_it_never_said() {
    let (mut world, _) = World::with_call();
    let old = with(&problem(), json!({"severity": null, "evidence": null}));
    let org = world.memory.keys().org("elm");
    world.memory.client(old.into(), org);
    let at = target("DetectedIssue/d");
    let lost = world.change("mara", &at, |d| drop(d.remove("detail")));
    assert_eq!(verdict(&lost), 422);
    world.change("mara", &at, |d| d.set("detail", "More exactly: both in the morning.")).unwrap();
    assert_eq!(review(&world)["priority"].text(), "urgent", "as a moderate one");
    world.change("mara", &at, |d| d.set("severity", "high")).unwrap();
    let lost = world.change("jonas", &at, |d| drop(d.remove("severity")));
    assert_eq!(verdict(&lost), 422);
}

#[test]
fn every_problem_opens_one_review_due_by_its_severity() {
    for (severity, priority, due) in [
        ("high", "asap", "2026-11-27T04:59:00Z"),
        ("moderate", "urgent", "2026-11-28T21:00:00Z"),
        ("low", "routine", "2026-12-03T04:59:00Z"),
    ] {
        let (mut world, _) = World::with_call();
        world.write("mara", vec![with(&problem(), json!({"severity": severity}))]).unwrap();
        let review = review(&world);
        assert_eq!(review["restriction"]["period"]["end"].text(), due, "{severity}");
        assert_eq!(review["priority"].text(), priority);
        assert_eq!(review["owner"]["reference"].text(), "Organization/elm");
        assert_eq!(review["focus"]["reference"].text(), "DetectedIssue/d");
        assert_eq!(review["status"].text(), "requested");
        // Said again, or changed without need: still one.
        world
            .change("mara", &target("DetectedIssue/d"), |d| d.set("detail", "More exactly: both in the morning."))
            .unwrap();
        assert_eq!(world.tasks().iter().filter(|(c, _)| c == "review-dtp").count(), 1);
    }
}

#[test]
fn severity_goes_up_for_a_technician_and_the_review_hurries() {
    let (mut world, dtp) = World::with_problem();
    let lowered = world.change("mara", &dtp, |d| d.set("severity", "low"));
    assert_eq!(verdict(&lowered), 403);
    world.change("mara", &dtp, |d| d.set("severity", "high")).unwrap();
    assert_eq!(review(&world)["priority"].text(), "asap");
    assert_eq!(review(&world)["restriction"]["period"]["end"].text(), "2026-11-27T04:59:00Z");
    world.change("jonas", &dtp, |d| d.set("severity", "low")).unwrap();
    assert_eq!(review(&world)["restriction"]["period"]["end"].text(), "2026-11-27T04:59:00Z", "never later");
}

#[test]
fn what_a_decision_needs_as_a_table() {
    let jonas = "Practitioner/jonas";
    let good = || mitigation("13", jonas, "2026-11-25T20:58:00Z");
    for (who, change, answer, at) in [
        ("jonas", json!({"extension": resolution("resolved"), "mitigation": good()}), 200, ""),
        ("jonas", json!({"extension": resolution("no-action")}), 200, ""),
        ("jonas", json!({"mitigation": good()}), 422, "DetectedIssue.extension"),
        ("jonas", json!({"extension": resolution("whatever"), "mitigation": good()}), 422, "DetectedIssue.extension"),
        ("jonas", json!({"extension": resolution("resolved")}), 422, "DetectedIssue.mitigation"),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("13", "Device/x", "2026-11-25T20:58:00Z")}),
            422,
            "DetectedIssue.mitigation[0].author",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("13", "Practitioner/ines", "2026-11-25T20:58:00Z")}),
            403,
            "DetectedIssue.mitigation[0].author",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("13", jonas, "2026-11-25T20:50:00Z")}),
            422,
            "DetectedIssue.mitigation[0].date",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("13", jonas, "2026-11-26T20:50:00Z")}),
            422,
            "DetectedIssue.mitigation[0].date",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("5", jonas, "2026-11-25T20:58:00Z")}),
            422,
            "DetectedIssue.mitigation[0]",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": good(), "evidence": [{"detail": [{"reference": "Patient/p"}]}]}),
            422,
            "DetectedIssue.mitigation[0]",
        ),
        (
            "jonas",
            json!({"extension": resolution("resolved"), "mitigation": mitigation("10", jonas, "2026-11-25T20:58:00Z")}),
            422,
            "DetectedIssue.mitigation[0]",
        ),
        ("mara", json!({"extension": resolution("resolved"), "mitigation": good()}), 403, "DetectedIssue.status"),
        ("elm", json!({"extension": resolution("resolved"), "mitigation": good()}), 403, "DetectedIssue.status"),
        ("doctor", json!({"extension": resolution("resolved"), "mitigation": good()}), 403, "DetectedIssue.status"),
        ("root", json!({"extension": resolution("resolved"), "mitigation": good()}), 403, "DetectedIssue.status"),
        ("ines", json!({"extension": resolution("no-action")}), 422, "DetectedIssue.status"), // not her review
    ] {
        let (mut world, _) = reviewed();
        let mut after = with(&problem(), change.clone());
        after["status"] = "final".into();
        if change.get("evidence").is_none() {
            // What was done shows beside what the report was shown by.
            let done = json!({"detail": [{"reference": "MedicationRequest/m"}]});
            after["evidence"].as_array_mut().unwrap().push(done);
        }
        let result = world.write(who, vec![after]);
        assert_eq!(verdict(&result), answer, "{who} {change}: {result:?}");
        match result {
            Err(error) => assert!(error.issues.iter().any(|i| i.expression == at), "{who} {change}: {error}"),
            Ok(()) => {
                assert_eq!(review(&world)["status"].text(), "completed");
                assert_eq!(review(&world)["output"][0]["valueReference"]["reference"].text(), "DetectedIssue/d");
                assert!(world.sees("lakeside", &target("DetectedIssue/d")), "the hospital learns what came of it");
            }
        }
    }
}

/// Own workflow 3.9: Whether harm was avoided is a pharmacist's to judge, of a problem that is decided.
#[test]
fn harm_avoided_is_a_pharmacists_to_judge() {
    let says = |mut all: Value| {
        let harm = json!({"url": "http://baton.example/fhir/StructureDefinition/harm-avoided", "valueBoolean": true});
        all.as_array_mut().unwrap().push(harm);
        all
    };
    for (who, status, extension, answer) in [
        ("jonas", "final", says(resolution("no-action")), 200),
        ("jonas", "preliminary", says(json!([])), 422),
        ("mara", "preliminary", says(json!([])), 403),
    ] {
        let (mut world, _) = reviewed();
        let result = world.write(who, vec![with(&problem(), json!({"status": status, "extension": extension}))]);
        assert_eq!(verdict(&result), answer, "{who} {status}: {result:?}");
        assert_eq!(who == "mara", result.is_err_and(|e| e.to_string().contains("dtp-harm")));
    }
}

#[test]
fn no_decision_without_a_review_in_progress() {
    let (mut world, _) = World::with_problem();
    let after = with(&problem(), json!({"status": "final", "extension": resolution("no-action")}));
    let error = world.write("jonas", vec![after]).unwrap_err();
    assert_eq!((error.kind.status(), error.issues[0].expression.as_str()), (422, "DetectedIssue.status"));
}

#[test]
fn a_bundle_may_hold_the_decision_and_the_completed_review_in_any_order() {
    for reversed in [false, true] {
        let (mut world, _) = reviewed();
        let mut task: Value = serde_json::from_slice(&review(&world).to_bytes()).unwrap();
        task["status"] = "completed".into();
        task["output"] = json!([{"type": {"text": "decision"}, "valueReference": {"reference": "DetectedIssue/d"}}]);
        task.as_object_mut().unwrap().remove("meta");
        let mut both = vec![with(&problem(), json!({"status": "final", "extension": resolution("no-action")})), task];
        if reversed {
            both.reverse();
        }
        world.write("jonas", both).unwrap();
    }
}

#[test]
fn a_review_is_not_completed_without_the_decision_and_a_declined_one_has_a_successor() {
    let (mut world, _) = reviewed();
    let at = world.task("review-dtp");
    let done = world.change("jonas", &at, |t| {
        t.set("status", "completed");
        t.set("output", Json::from(json!([{"type": {"text": "x"}, "valueString": "x"}])));
    });
    assert_eq!(verdict(&done), 422);
    world
        .change("jonas", &at, |t| {
            t.set("status", "failed");
            t.set("statusReason", Json::from(json!({"text": "went home"})));
        })
        .unwrap();
    let reviews: Vec<String> = world.tasks().into_iter().filter(|(c, _)| c == "review-dtp").map(|(_, s)| s).collect();
    assert_eq!(reviews, ["failed", "requested"], "law 6: an open problem has exactly one open review");
}

#[test]
fn the_life_of_a_problem_as_a_table() {
    let decided = |status: &str| with(&problem(), json!({"status": status, "extension": resolution("no-action")}));
    for (from, to, who, answer) in [
        ("final", "preliminary", "jonas", 422),
        ("final", "registered", "jonas", 422),
        ("final", "cancelled", "jonas", 422),
        ("final", "entered-in-error", "jonas", 422),
        ("final", "amended", "jonas", 200),
        ("final", "corrected", "jonas", 200),
        ("final", "amended", "mara", 403),
        ("cancelled", "preliminary", "jonas", 422),
        ("cancelled", "final", "jonas", 422),
        ("entered-in-error", "preliminary", "mara", 422),
        ("preliminary", "cancelled", "jonas", 200),
        ("preliminary", "cancelled", "mara", 403),
        ("preliminary", "entered-in-error", "mara", 200),
        ("preliminary", "entered-in-error", "jonas", 403), // not the author
        ("preliminary", "entered-in-error", "super", 200),
    ] {
        let (mut world, dtp) = World::with_problem();
        if from != "preliminary" {
            // As if it had got there: the way is not the subject here.
            let org = world.memory.held[&dtp].org;
            let mut there: Json =
                if from == "final" { decided("final") } else { with(&problem(), json!({"status": from})) }.into();
            there.set("meta", Json::from(json!({"versionId": "2"})));
            world.memory.client(there, org);
        }
        let result = world.change(who, &dtp, |d| d.set("status", to));
        // Reopening also needs what a report needs: the state is what counts here.
        assert_eq!(verdict(&result), answer, "{from} > {to} by {who}: {result:?}");
        if from == "preliminary" && answer == 200 {
            assert_eq!(review(&world)["status"].text(), "cancelled", "{to}");
        }
    }
}

#[test]
fn what_was_done_stays_on_record_and_nothing_is_deleted() {
    let (mut world, dtp) = reviewed();
    world.resolve("jonas", &dtp, decision()).unwrap();
    let silent = world.change("jonas", &dtp, |d| d.set("mitigation", Json::Array(vec![])));
    assert_eq!(verdict(&silent), 422);
    let erased = world.change("jonas", &dtp, |d| {
        d.set("status", "corrected");
        d.set("mitigation", Json::from(mitigation("1", "Practitioner/jonas", "2026-11-25T20:59:00Z")));
    });
    assert_eq!(verdict(&erased), 422, "old mitigations are kept");
    world
        .change("jonas", &dtp, |d| {
            d.set("status", "amended");
            d.push("mitigation", Json::from(mitigation("9", "Practitioner/jonas", "2026-11-25T20:59:00Z"))[0].clone());
        })
        .unwrap();
    for who in ["jonas", "mara", "super"] {
        let deleted = world.write(who, vec![json!({"resourceType": "DetectedIssue", "id": "d"})]);
        assert_ne!(verdict(&deleted), 200, "{who}");
    }
    for (name, value) in
        [("patient", json!({"reference": "Patient/q"})), ("author", json!({"reference": "Practitioner/jonas"}))]
    {
        let (mut world, dtp) = World::with_problem();
        assert_ne!(verdict(&world.change("mara", &dtp, |d| d.set(name, Json::from(value)))), 200, "{name}");
    }
}

#[test]
fn what_screening_found_stays_known_and_what_is_decided_changes_aloud() {
    let fired = json!([{"url": "http://baton.example/fhir/StructureDefinition/rule-fired",
        "extension": [{"url": "rule", "valueCode": "duplicate"}]}]);
    let found = json!([{"system": "http://baton.example/fhir/sid/finding", "value": "e1/duplicate/aspirin/0"}]);
    let decided = json!({"status": "final", "extension": resolution("no-action"), "identifier": found});
    let open = json!({"extension": fired, "identifier": found});
    let done = |who: &str| mitigation("1", &format!("Practitioner/{who}"), "2026-11-25T20:59:00Z");
    for (there, who, change, answer, at) in [
        (&open, "mara", json!({"identifier": null}), 422, "DetectedIssue.identifier"),
        (&open, "jonas", json!({"extension": null}), 422, "DetectedIssue.extension"),
        (&open, "mara", json!({"detail": "Both in the morning."}), 200, ""),
        (&decided, "jonas", json!({"identifier": null}), 422, "DetectedIssue.identifier"),
        (&decided, "mara", json!({"detail": "Otherwise."}), 422, "DetectedIssue.detail"),
        (&decided, "mara", json!({"implicated": null}), 422, "DetectedIssue.implicated"),
        (&decided, "mara", json!({"evidence": [{"detail": [{"reference": "List/x"}]}]}), 422, "DetectedIssue.evidence"),
        (&decided, "jonas", json!({"mitigation": done("jonas")}), 422, "DetectedIssue.mitigation"),
        (&decided, "jonas", json!({"status": "amended", "mitigation": done("jonas")}), 200, ""),
    ] {
        let (mut world, dtp) = World::with_problem();
        let org = world.memory.held[&dtp].org;
        let mut stored: Json = with(&problem(), there.clone()).into();
        stored.set("meta", Json::from(json!({"versionId": "2"})));
        world.memory.client(stored, org);
        let result = world.change(who, &dtp, |d| {
            for (name, value) in change.as_object().unwrap() {
                if value.is_null() {
                    d.remove(name);
                } else {
                    d.set(name, Json::from(value.clone()));
                }
            }
        });
        assert_eq!(verdict(&result), answer, "{who} {change}: {result:?}");
        if let Err(error) = &result {
            assert!(error.issues.iter().any(|i| i.expression == at), "{who} {change}: {error}");
            continue;
        }
        if change["status"] == "amended" {
            // Once more, with what more was done; never by taking away.
            let more = |n: usize| mitigation("1", "Practitioner/jonas", &format!("2026-11-25T20:5{n}:30Z"))[0].clone();
            world.change("jonas", &dtp, |d| d.push("mitigation", Json::from(more(9)))).unwrap();
            assert_eq!(verdict(&world.change("jonas", &dtp, |d| d.set("detail", "x"))), 422, "in silence");
            assert_eq!(verdict(&world.change("mara", &dtp, |d| d.push("mitigation", Json::from(more(8))))), 403);
        }
    }
    let (mut world, _) = World::with_problem();
    let mut forged = with(&problem(), json!({"extension": fired}));
    forged["id"] = "forged".into();
    assert_eq!(verdict(&world.write("mara", vec![forged])), 422, "nobody speaks for screening");
}
