//! The laws, asked of what the store answers.

use crate::harness::client::reference;
use crate::harness::{Client, TestServer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What there is of one patient, as the super-user sees it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub tasks: Vec<Value>,
    pub issues: Vec<Value>,
    pub episodes: Vec<Value>,
    pub stays: Vec<Value>,
    pub spoken: Vec<Value>,
    pub orders: Vec<Value>,
    pub reports: Vec<Value>,
    /// Versions of everything in the store but the audit.
    pub versions: i64,
}

const SEARCHES: [&str; 7] = [
    "Task?patient=",
    "DetectedIssue?patient=",
    "EpisodeOfCare?patient=",
    "Encounter?patient=",
    "Communication?patient=",
    "MedicationRequest?patient=",
    "Composition?patient=",
];

impl Snapshot {
    /// Reads it, in one batch; the resources in an order that two runs of the same steps share.
    pub async fn read(server: &TestServer, patient: &str) -> Self {
        let get = |url: String| json!({"request": {"method": "GET", "url": url}});
        let entries: Vec<Value> = SEARCHES.iter().map(|s| get(format!("{s}{patient}&_count=500"))).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let answer = server.everyone().post(&bundle).await.ok().body;
        let found = |n: usize| {
            let bundle = &answer["entry"][n]["resource"];
            assert_eq!(bundle["type"], "searchset", "{}", answer["entry"][n]);
            assert!(bundle["link"].as_array().is_none_or(|l| l.iter().all(|l| l["relation"] != "next")), "one page");
            let mut all: Vec<Value> =
                bundle["entry"].as_array().into_iter().flatten().map(|e| e["resource"].clone()).collect();
            let key = |r: &Value| {
                let texts = [
                    &r["authoredOn"],
                    &r["sent"],
                    &r["identifiedDateTime"],
                    &r["period"],
                    &r["identifier"][0]["value"],
                ];
                let nth = texts[4].as_str().and_then(|t| t.split_once('/')).map(|(_, rest)| rest.to_owned());
                (
                    texts[..4].iter().map(ToString::to_string).collect::<Vec<_>>(),
                    r["code"].to_string(),
                    nth,
                    r["detail"].to_string(),
                )
            };
            all.sort_by_cached_key(key);
            all
        };
        Self {
            tasks: found(0),
            issues: found(1),
            episodes: found(2),
            stays: found(3),
            spoken: found(4),
            orders: found(5),
            reports: found(6),
            versions: server.versions().await,
        }
    }
}

pub fn status(resource: &Value) -> &str {
    resource["status"].as_str().unwrap_or_default()
}

pub fn owner(task: &Value) -> &str {
    task["owner"]["reference"].as_str().unwrap_or_default()
}

pub fn is_final(task: &Value) -> bool {
    matches!(status(task), "completed" | "cancelled" | "rejected" | "failed" | "entered-in-error")
}

/// Whether somebody has taken it.
fn is_taken(task: &Value) -> bool {
    matches!(status(task), "received" | "accepted" | "in-progress" | "on-hold" | "completed")
}

fn is_open(issue: &Value) -> bool {
    matches!(status(issue), "registered" | "preliminary")
}

fn is_decided(issue: &Value) -> bool {
    matches!(status(issue), "final" | "amended" | "corrected")
}

fn code<'a>(concept: &'a Value, system: &str) -> Option<&'a str> {
    let codings = concept["coding"].as_array()?;
    let own = |c: &&Value| c["system"].as_str().is_some_and(|s| s.ends_with(&format!("/CodeSystem/{system}")));
    codings.iter().find(own)?["code"].as_str()
}

/// (episode, action, number) of a Task of an episode.
fn place(task: &Value) -> Option<(&str, &str, usize)> {
    let identifiers = task["identifier"].as_array()?;
    let own = identifiers.iter().find(|i| i["system"].as_str().is_some_and(|s| s.ends_with("/sid/task")))?;
    let mut parts = own["value"].as_str()?.split('/');
    let out = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(out)
}

fn extension<'a>(resource: &'a Value, name: &str) -> &'a Value {
    let own = |e: &&Value| e["url"].as_str().is_some_and(|u| u.ends_with(&format!("/StructureDefinition/{name}")));
    resource["extension"].as_array().and_then(|all| all.iter().find(own)).unwrap_or(&Value::Null)
}

/// Reasons after which nobody tries again, of `profiles/codes/task-status-reason.json`.
fn endings() -> BTreeSet<String> {
    let text = include_str!("../../../../profiles/codes/task-status-reason.json");
    let system: Value = serde_json::from_str(text).expect("JSON");
    let concepts = system["concept"].as_array().expect("concepts").iter();
    let ends = |c: &&Value| {
        c["property"].as_array().is_some_and(|p| p.iter().any(|p| p["code"] == "ends" && p["valueBoolean"] == true))
    };
    let found: BTreeSet<String> = concepts.filter(ends).filter_map(|c| Some(c["code"].as_str()?.to_owned())).collect();
    assert!(found.contains("unreachable"), "{found:?}");
    found
}

/// What must hold whoever did the last step.
pub fn always(now: &Snapshot) -> Result<(), String> {
    one_owner(now)?;
    one_review(now)?;
    a_successor_or_an_end(now)?;
    let live = now.episodes.iter().filter(|e| matches!(status(e), "active" | "onhold"));
    match live.count() {
        0 | 1 => Ok(()),
        n => Err(format!("L6: {n} episodes go on at the same time: {:?}", now.episodes)),
    }
}

/// L1, in one moment: who has taken a Task is its owner, and of one piece of work there is one Task that goes on.
fn one_owner(now: &Snapshot) -> Result<(), String> {
    let mut open: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for task in &now.tasks {
        if is_taken(task) && owner(task).is_empty() {
            return Err(format!("L1: a Task that is {} has no owner: {task}", status(task)));
        }
        if let Some((episode, action, _)) = place(task)
            && !is_final(task)
            && let Some(other) = open.insert((episode, action), task)
        {
            return Err(format!("L1: two Tasks for one piece of work: {other} and {task}"));
        }
    }
    Ok(())
}

/// L1, over a step: who has taken a Task keeps it until they give it back; an administrator may hand it on.
pub fn kept(before: &Snapshot, now: &Snapshot, who: &str) -> Result<(), String> {
    for old in before.tasks.iter().filter(|t| is_taken(t)) {
        let Some(new) = now.tasks.iter().find(|t| t["id"] == old["id"]) else {
            return Err(format!("L1: a Task is gone: {old}"));
        };
        let is_other = !owner(new).is_empty() && owner(new) != owner(old);
        if is_other && !matches!(who, "root" | "everyone") {
            return Err(format!("L1: {} was taken from {} by {who}", reference(new), owner(old)));
        }
    }
    Ok(())
}

/// L2: a problem that waits has one review that goes on; one that does not wait has none.
fn one_review(now: &Snapshot) -> Result<(), String> {
    for issue in &now.issues {
        let at = reference(issue);
        let of =
            |t: &&Value| t["focus"]["reference"] == at.as_str() && code(&t["code"], "task-code") == Some("review-dtp");
        let going_on = now.tasks.iter().filter(of).filter(|t| !is_final(t));
        // What a pharmacist had begun when the problem went away is held until they end it.
        let counts = |t: &&Value| status(t) != "on-hold" || is_open(issue);
        let reviews = going_on.filter(counts).count();
        if reviews != usize::from(is_open(issue)) {
            return Err(format!("L2: {reviews} open reviews of {issue}"));
        }
    }
    Ok(())
}

/// L3: what was rejected or failed has one successor, or says why nobody follows.
fn a_successor_or_an_end(now: &Snapshot) -> Result<(), String> {
    let ends = endings();
    for task in &now.tasks {
        let reason = &task["statusReason"];
        let is_told = reason["coding"].as_array().is_some_and(|c| !c.is_empty())
            || reason["text"].as_str().is_some_and(|t| !t.is_empty());
        let own = task["identifier"][0]["system"].as_str().is_some_and(|s| s.ends_with("/sid/task"));
        if own && is_final(task) && status(task) != "completed" && !is_told {
            return Err(format!("L3: it ended and nobody says why: {task}"));
        }
        let Some((episode, action, nth)) = place(task) else { continue };
        let going_on = now.episodes.iter().any(|e| e["id"] == episode && status(e) == "active");
        if action == "abort" || !matches!(status(task), "rejected" | "failed") || !going_on {
            continue;
        }
        let followed = now.tasks.iter().filter(|t| place(t) == Some((episode, action, nth + 1))).count();
        let nobody = code(&task["businessStatus"], "business-status") == Some("nobody-left");
        let ended = code(reason, "task-status-reason").is_some_and(|r| status(task) == "failed" && ends.contains(r));
        if followed + usize::from(nobody || ended) != 1 {
            return Err(format!("L3: {followed} successors, nobody left: {nobody}, ended: {ended}: {task}"));
        }
    }
    Ok(())
}

/// What a pharmacist alone writes of a problem.
fn pharmacists(issue: &Value) -> String {
    format!("{} {} {}", issue["mitigation"], extension(issue, "resolution"), is_decided(issue))
}

fn rank(severity: &Value) -> usize {
    ["low", "moderate", "high"].iter().position(|s| severity == *s).map_or(0, |n| n + 1)
}

/// L4: what only a pharmacist may write is as it was after a step of anybody else.
pub fn only_pharmacists(before: &Snapshot, now: &Snapshot, who: &str) -> Result<(), String> {
    if matches!(who, "jonas" | "ines" | "paul" | "everyone") {
        return Ok(());
    }
    for issue in &now.issues {
        let old = before.issues.iter().find(|i| i["id"] == issue["id"]).unwrap_or(&Value::Null);
        if pharmacists(issue) != pharmacists(old) {
            return Err(format!("L4: {who} wrote what a pharmacist writes: {old} → {issue}"));
        }
        // Screening says itself how severe it is what it finds.
        if extension(issue, "rule-fired").is_null() && rank(&issue["severity"]) < rank(&old["severity"]) {
            return Err(format!("L4: {who} made it less severe: {old} → {issue}"));
        }
    }
    for task in now.tasks.iter().filter(|t| matches!(status(t), "in-progress" | "completed")) {
        let old = before.tasks.iter().find(|t| t["id"] == task["id"]).map_or("", status);
        let asks = task["performerType"].to_string().contains("\"pharmacist\"");
        if asks && old != status(task) {
            return Err(format!("L4: {who} did a pharmacist's work ({old}): {task}"));
        }
    }
    let attested = |s: &Snapshot| s.reports.iter().filter(|r| !r["attester"].is_null()).count();
    if attested(now) > attested(before) && who != "dora" {
        return Err(format!("L4: {who} attested a report"));
    }
    Ok(())
}

/// L8, as far as there are counts yet: `$rule-report` says what a count by hand of all problems says.
pub async fn the_rules_are_counted_right(everyone: &Client) {
    let report = everyone.read("DetectedIssue/$rule-report").await.ok().body;
    let mut by_hand: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    let mut page = everyone.read("DetectedIssue?_count=200").await.ok().body;
    loop {
        for issue in page["entry"].as_array().into_iter().flatten().map(|e| &e["resource"]) {
            let fired = extension(issue, "rule-fired")["extension"].as_array().cloned().unwrap_or_default();
            let Some(rule) = fired.iter().find(|e| e["url"] == "rule").and_then(|e| e["valueCode"].as_str()) else {
                continue;
            };
            let count = by_hand.entry(rule.to_owned()).or_default();
            count[0] += 1;
            count[1] += u64::from(is_open(issue));
            let resolved = code(&extension(issue, "resolution")["valueCodeableConcept"], "resolution");
            count[2] += u64::from(is_decided(issue) && resolved != Some("no-action"));
        }
        let links = page["link"].as_array().cloned().unwrap_or_default();
        let Some(next) = links.iter().find(|l| l["relation"] == "next").and_then(|l| l["url"].as_str()) else { break };
        page = everyone.read(next).await.ok().body;
    }
    let mut told: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for count in report["parameter"].as_array().into_iter().flatten() {
        let part = |name: &str| {
            let parts = count["part"].as_array().into_iter().flatten();
            parts.into_iter().find(|p| p["name"] == name).cloned().unwrap_or_default()
        };
        let number = |name: &str| part(name)["valueInteger"].as_u64().unwrap_or_default();
        let Some(rule) = part("rule")["valueCode"].as_str().map(String::from) else { continue };
        told.insert(rule, ["fired", "open", "acted-on"].map(number));
    }
    told.retain(|_, count| count[0] > 0);
    assert!(by_hand.len() > 1, "the steps made rules fire: {by_hand:?}");
    assert_eq!(told, by_hand, "L8: {report}");
}
