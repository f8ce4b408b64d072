//! The laws of the programme under a random actor: whoever tries whatever, in whatever order.

use crate::fhir::{Json, Target};
use crate::workflow::element::{leads_to_a, target_of};
use crate::workflow::world::*;
use crate::workflow::{dtp, element, task};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

const WHO: [&str; 8] = ["hospital", "elm", "harbour", "mara", "jonas", "tomas", "ines", "super"];

const STATUSES: [&str; 9] =
    ["requested", "received", "accepted", "in-progress", "on-hold", "completed", "rejected", "failed", "cancelled"];

/// What an actor tries: (what, who, which Task or problem, a choice).
type Step = (u8, usize, usize, usize);

fn pick<T: Clone>(all: &[T], n: usize) -> Option<T> {
    all.get(n % all.len().max(1)).cloned()
}

fn of_type(world: &World, rtype: &str) -> Vec<Target> {
    world.memory.all(rtype).into_iter().filter_map(target_of).collect()
}

fn outcome(choice: usize) -> &'static str {
    ["reached", "no-answer", "voicemail", "patient-refused"][choice % 4]
}

/// Tries one thing; whether it is allowed is the programme's to say.
fn act(world: &mut World, (what, who, which, choice): Step) -> crate::error::Result<()> {
    let who = WHO[who % WHO.len()];
    let (tasks, issues) = (of_type(world, "Task"), of_type(world, "DetectedIssue"));
    let (task, issue) = (pick(&tasks, which), pick(&issues, which));
    let reason = || Json::from(json!({"text": "because"}));
    match (what, task, issue) {
        (0, Some(task), _) => drop(world.claim_now(who, &task)?),
        (1, Some(task), _) => drop(world.release(who, &task)?),
        (2, Some(task), _) => {
            drop(world.attempt(who, &task, json!([{"name": "outcome", "valueCode": outcome(choice)}]))?);
        }
        (3 | 4, Some(task), _) => world.change(who, &task, |t| {
            t.set("status", STATUSES[choice % STATUSES.len()]);
            if choice % 2 == 0 {
                t.set("statusReason", reason());
                t.set("output", Json::from(json!([{"type": {"text": "note"}, "valueString": "x"}])));
            }
            if what == 4 {
                let to = ["elm", "harbour"][choice % 2];
                t.set("owner", Json::from(json!({"reference": format!("Organization/{to}")})));
            }
        })?,
        (5, ..) => {
            let mut report = problem();
            report["id"] = format!("d{}", choice % 3).into();
            report["author"]["reference"] = format!("Practitioner/{who}").into();
            report["severity"] = ["low", "moderate", "high"][choice % 3].into();
            world.write(who, vec![report])?;
        }
        (6, _, Some(issue)) => drop(world.resolve(who, &issue, decision())?),
        (7, _, Some(issue)) => world.change(who, &issue, |d| match choice % 4 {
            0 => d.set("status", "cancelled"),
            1 => d.set("status", "entered-in-error"),
            2 => d.set("severity", ["low", "moderate", "high"][choice % 3]),
            _ => d.set(
                "mitigation",
                Json::from(json!([{"action": {"text": "x"}, "author": {"reference": format!("Practitioner/{who}")}}])),
            ),
        })?,
        (8, ..) => world.change(who, &target("Encounter/e"), |e| {
            e.set("status", ["finished", "in-progress", "cancelled", "finished"][choice % 4]);
        })?,
        (9, ..) if choice % 5 == 0 => world.change(who, &target("Patient/p"), |p| {
            p.set("deceasedBoolean", Json::from(json!(choice % 2 == 0)));
        })?,
        (10, ..) => {
            world.write(who, vec![prescription(["m", "a", "b"][choice % 3], [None, Some("harbour")][choice % 2])])?;
        }
        (11, Some(task), _) => world.write(
            who,
            vec![
                json!({"resourceType": "Task", "id": format!("stop{choice}"), "status": "requested", "intent": "order",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]},
            "focus": {"reference": task.to_string()}, "reasonCode": {"text": "x"}}),
            ],
        )?,
        (12, ..) => world.now = world.now.plus_seconds(3_600 * i64::try_from(choice % 48).unwrap()),
        (13, Some(task), _) => drop(world.lapse(&task)?),
        _ => {}
    }
    Ok(())
}

/// What a pharmacist alone writes of each problem.
fn pharmacists(world: &World) -> BTreeMap<String, String> {
    let of = |d: &Json| {
        let resolution = element::extension(d, "resolution").map(ToString::to_string).unwrap_or_default();
        format!("{} {} {resolution}", d["mitigation"], matches!(d["status"].text(), "final" | "amended" | "corrected"))
    };
    world.memory.all("DetectedIssue").into_iter().map(|d| (d["id"].text().to_string(), of(d))).collect()
}

fn laws(world: &World) -> Result<(), String> {
    let base = &world.programme.env.base;
    let tasks = world.memory.all("Task");
    let action = |t: &Json| element::own_identifier(t, "task").unwrap_or_default().to_string();
    for issue in world.memory.all("DetectedIssue") {
        let at = target_of(issue);
        let open = tasks.iter().filter(|t| {
            !task::is_final(t)
                && leads_to_a("DetectedIssue", &t["focus"], base) == at
                && t["status"].text() != "on-hold"
        });
        let held = tasks
            .iter()
            .filter(|t| t["status"].text() == "on-hold" && leads_to_a("DetectedIssue", &t["focus"], base) == at);
        let reviews = open.count() + if dtp::is_open(issue) { held.count() } else { 0 };
        if reviews != usize::from(dtp::is_open(issue)) {
            return Err(format!("law 2: {reviews} open reviews of {issue}"));
        }
    }
    for task in &tasks {
        let (status, owner) = (task["status"].text(), task::owner(task));
        if matches!(status, "received" | "accepted" | "in-progress" | "on-hold" | "completed") && owner.is_empty() {
            return Err(format!("law 1: a Task that is {status} has no owner: {task}"));
        }
        let priority = task["priority"].text();
        let says = |n: &Json| n["text"].text().starts_with(&format!("Priority {priority}"));
        if !priority.is_empty() && !task["note"].items().iter().any(says) {
            return Err(format!("a Task does not say why it is {priority}: {task}"));
        }
        let nobody = element::own_code(&task["businessStatus"], "business-status") == Some("nobody-left");
        if status == "requested" && owner.is_empty() && task::candidates(task).is_empty() && !nobody {
            return Err(format!("neither an owner nor an open offer, and nobody says so: {task}"));
        }
        if task::is_final(task)
            && status != "completed"
            && element::codings(&task["statusReason"]).is_empty()
            && task["statusReason"]["text"].text().is_empty()
        {
            return Err(format!("law 3: it ended and nobody says why: {task}"));
        }
        let mut key: Vec<String> = action(task).split('/').map(String::from).collect();
        let Some(nth) = key.pop().and_then(|n| n.parse::<usize>().ok()) else { continue };
        if task::is_abort(task) || !matches!(status, "rejected" | "failed") {
            continue;
        }
        let next = format!("{}/{}", key.join("/"), nth + 1);
        let followed = tasks.iter().filter(|t| action(t) == next).count();
        let episode = world.memory.all("EpisodeOfCare").into_iter().find(|e| e["id"].text() == key[0]).cloned();
        let goes_on = episode.is_some_and(|e| e["status"].text() == "active");
        if goes_on && followed + usize::from(nobody) != 1 {
            return Err(format!("law 3: {followed} successors and no word that nobody is left: {task}"));
        }
    }
    let live =
        world.memory.all("EpisodeOfCare").into_iter().filter(|e| matches!(e["status"].text(), "active" | "onhold"));
    if live.count() > 1 {
        return Err("one discharge, one live episode".into());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whoever_tries_whatever_the_laws_hold(steps in prop::collection::vec((0..14u8, 0..8usize, 0..12usize, 0..40usize), 1..60), begun in any::<bool>()) {
        let mut world = if begun { World::with_problem_and_call().0 } else { World::with_discharge() };
        for step in steps {
            let before = pharmacists(&world);
            let who = WHO[step.1 % WHO.len()];
            let result = act(&mut world, step);
            if let Err(error) = &result {
                prop_assert!(error.kind.status() < 500, "{step:?} by {who}: {error}");
            }
            prop_assert_eq!(laws(&world), Ok(()), "after {:?} by {}: {:?}", step, who, result.err().map(|e| e.to_string()));
            let after = pharmacists(&world);
            if !["jonas", "ines", "super"].contains(&who) {
                for (id, now) in &after {
                    let then = before.get(id).map_or("null false ", String::as_str);
                    prop_assert_eq!(now.as_str(), then, "law 4: {} by {}", id, who);
                }
            }
        }
    }
}
