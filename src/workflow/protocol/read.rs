//! Reading PlanDefinitions: each mistake is told with file and path, and nothing is taken that cannot be used.
//!
//! Source: <https://hl7.org/fhir/R4/plandefinition.html>; own rules in `profiles/protocol/README.md`.

use super::{Action, Condition, Edge, Plan};
use crate::fhir::Json;
use crate::workflow::calendar::{Calendar, Hours, Offset};
use crate::workflow::element;
use crate::workflow::outreach::Attempts;
use crate::workflow::policy::is_performer;
use crate::workflow::programme::files::Complaints;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// R4's action-relationship-type: which moment of the other action counts, and whether the offset runs back from it.
const RELATIONS: [(&str, Edge, i64); 9] = [
    ("after-end", Edge::End, 1),
    ("after", Edge::End, 1),
    ("after-start", Edge::Start, 1),
    ("before-start", Edge::Start, -1),
    ("before", Edge::Start, -1),
    ("before-end", Edge::End, -1),
    ("concurrent-with-start", Edge::Start, 0),
    ("concurrent", Edge::Start, 0),
    ("concurrent-with-end", Edge::End, 0),
];

/// What a plan is read with.
#[derive(Debug, Default)]
pub struct Shelf {
    /// ActivityDefinitions by `url|version`.
    pub activities: BTreeMap<String, Json>,
    /// Questionnaires by `url|version`.
    pub questionnaires: BTreeMap<String, Json>,
    /// Calendars by id.
    pub calendars: HashMap<String, Arc<Calendar>>,
    /// Hours in which patients are called, by id.
    pub hours: HashMap<String, Arc<Hours>>,
    /// The calendar of offsets that name none.
    pub default: Arc<Calendar>,
}

/// Reads a PlanDefinition; what cannot be used is complained about and left out.
pub fn read(file: &str, plan: &Json, shelf: &Shelf, complaints: &mut Complaints) -> Plan {
    let version = plan["version"].text();
    let url = plan["url"].text();
    if url.is_empty() || version.is_empty() {
        complaints.add(file, "PlanDefinition.url", "a protocol needs url and version: running episodes name them");
    }
    let mut actions: Vec<Action> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for (n, action) in plan["action"].items().iter().enumerate() {
        let path = format!("PlanDefinition.action[{n}]");
        let id = action["id"].text();
        if id.is_empty() || ids.contains(&id) {
            complaints.add(file, format!("{path}.id"), "each action needs an id of its own");
        }
        ids.push(id);
        outside(file, &path, action, &CARRIED_OUT, complaints);
        for (n, related) in action["relatedAction"].items().iter().enumerate() {
            outside(file, &format!("{path}.relatedAction[{n}]"), related, &RELATED, complaints);
        }
        if n > 0
            && let Some(action) = read_action(file, &path, action, shelf, complaints)
        {
            actions.push(action);
        }
    }
    if actions.is_empty() {
        complaints.add(
            file,
            "PlanDefinition.action",
            "a protocol needs the anchor as first action and one Task after it",
        );
    }
    for (n, action) in actions.iter().enumerate() {
        if !ids.contains(&action.after.as_str()) {
            let path = format!("PlanDefinition.action[{}].relatedAction[0].actionId", n + 1);
            complaints.add(file, path, format!("no action is called '{}'", action.after));
        }
    }
    if let Some(id) = cycle(&actions) {
        complaints.add(file, "PlanDefinition.action", format!("action '{id}' comes after itself"));
        actions.clear(); // a plan with a cycle must never be asked for times
    }
    Plan {
        canonical: format!("{url}|{version}"),
        id: url.rsplit('/').next().unwrap_or_default().into(),
        title: plan["title"].text().into(),
        anchor: plan["action"][0]["id"].text().into(),
        actions,
        share_seconds: element::extension(plan, "share-after-close")
            .and_then(|e| seconds(&e["valueDuration"]))
            .unwrap_or(14 * 86_400),
    }
}

/// Elements of an action that are carried out, and those that only tell a reader of it.
const CARRIED_OUT: [&str; 14] = [
    "id",
    "extension",
    "title",
    "description",
    "textEquivalent",
    "code",
    "documentation",
    "reason",
    "type",
    "priority",
    "condition",
    "relatedAction",
    "definitionCanonical",
    "participant",
];
const RELATED: [&str; 6] = ["id", "extension", "actionId", "relationship", "offsetDuration", "offsetRange"];

/// What a protocol says and nobody would do is no protocol: better refused than passed over.
fn outside(file: &str, path: &str, part: &Json, known: &[&str], complaints: &mut Complaints) {
    for (name, _) in part.as_object().into_iter().flat_map(|o| o.iter()) {
        if !known.contains(&name) {
            complaints.add(
                file,
                format!("{path}.{name}"),
                "is not among what protocols here can say; see profiles/protocol/README.md",
            );
        }
    }
}

fn cycle(actions: &[Action]) -> Option<&str> {
    actions.iter().find_map(|start| {
        let mut at = start;
        for _ in 0..=actions.len() {
            match actions.iter().find(|a| a.id == at.after) {
                Some(next) => at = next,
                None => return None,
            }
        }
        Some(start.id.as_str())
    })
}

fn read_action(file: &str, path: &str, action: &Json, shelf: &Shelf, complaints: &mut Complaints) -> Option<Action> {
    let canonical = action["definitionCanonical"].text();
    let Some(activity) = shelf.activities.get(canonical) else {
        let why = format!("no ActivityDefinition with the canonical '{canonical}' (url|version) is among the profiles");
        complaints.add(file, format!("{path}.definitionCanonical"), why);
        return None;
    };
    let related = &action["relatedAction"][0];
    let relation = RELATIONS.iter().find(|(code, ..)| *code == related["relationship"].text());
    let (1, Some((_, edge, sign))) = (action["relatedAction"].items().len(), relation) else {
        let known: Vec<&str> = RELATIONS.iter().map(|(code, ..)| *code).collect();
        let why = format!("an action needs one relatedAction; its relationship is one of {}", known.join(", "));
        complaints.add(file, format!("{path}.relatedAction"), why);
        return None;
    };
    let rule = element::extension(related, "calendar-offset");
    let part = |name: &str| rule.and_then(|r| r["extension"].items().iter().find(|e| e["url"].text() == name));
    let count = part("count").map_or("", |e| e["valueCode"].text());
    let calendar = match part("calendar").map(|e| e["valueString"].text()) {
        None => shelf.default.clone(),
        Some(id) => match shelf.calendars.get(id) {
            Some(calendar) => calendar.clone(),
            None => {
                complaints.add(
                    file,
                    format!("{path}.relatedAction[0].extension"),
                    format!("no calendar is called '{id}'"),
                );
                return None;
            }
        },
    };
    let mut offset = |element: &str, duration: &Json| {
        let read = read_offset(count, duration).map(|o| o.times(*sign));
        if read.is_none() {
            let why =
                "a duration needs a whole value of at least 0 and a UCUM code: min, h or d (only d with a calendar)";
            complaints.add(file, format!("{path}.relatedAction[0].{element}"), why);
        }
        read
    };
    let (opens, due) = match related.get("offsetRange") {
        Some(range) => {
            let (low, high) = (offset("offsetRange.low", &range["low"])?, offset("offsetRange.high", &range["high"])?);
            // So long before: the larger span is the earlier moment.
            if *sign < 0 { (Some(high), low) } else { (Some(low), high) }
        }
        None if *sign == 0 => (None, Offset::Clock(0)),
        None => (None, offset("offsetDuration", &related["offsetDuration"])?),
    };
    let questionnaire = read_questionnaire(file, path, activity, shelf, complaints);
    let attempts = element::extension(activity, "attempts").and_then(|rule| {
        let read = Attempts::read(rule, &shelf.hours);
        read.map_err(|why| complaints.add(file, format!("{path}.definitionCanonical"), why)).ok()
    });
    let conditions = action["condition"].items().iter().enumerate();
    let conditions = conditions
        .filter_map(|(n, c)| Condition::read(file, &format!("{path}.condition[{n}]"), c, complaints))
        .collect();
    let role = |of: &Json| of["participant"][0].get("role").cloned();
    let performer = role(action).or_else(|| role(activity)).unwrap_or_default();
    if !performer.is_null() && !is_performer(&performer) {
        let why = "whose work it is must be a pharmacist's (NUCC 183500000X) or a technician's (183700000X): by that the server knows who may do it";
        complaints.add(file, format!("{path}.participant[0].role"), why);
        return None;
    }
    let text = |name: &str| action[name].as_str().or(activity[name].as_str()).unwrap_or_default().to_string();
    let priority = text("priority");
    Some(Action {
        id: action["id"].text().into(),
        title: text("title"),
        description: text("description"),
        code: activity["code"].clone(),
        performer,
        priority: if priority.is_empty() { "routine".into() } else { priority },
        canonical: canonical.into(),
        questionnaire,
        conditions,
        attempts,
        after: related["actionId"].text().into(),
        edge: *edge,
        opens,
        due,
        calendar,
    })
}

pub(super) fn read_offset(count: &str, duration: &Json) -> Option<Offset> {
    let value = duration["value"].as_i64().filter(|v| (0..=36_500).contains(v))?;
    match (count, duration["code"].text()) {
        ("business-days", "d") => Some(Offset::BusinessDays(value)),
        ("days", "d") => Some(Offset::Days(value)),
        ("", _) => seconds(duration).map(Offset::Clock),
        _ => None,
    }
}

/// A UCUM duration of whole minutes, hours or days, in seconds.
pub fn seconds(duration: &Json) -> Option<i64> {
    let value = duration["value"].as_i64().filter(|v| (0..=1_000_000).contains(v))?;
    match duration["code"].text() {
        "min" => Some(value * 60),
        "h" => Some(value * 3_600),
        "d" => Some(value * 86_400),
        _ => None,
    }
}

/// The form that an activity asks for: its `relatedArtifact` of type depends-on that names a Questionnaire.
fn read_questionnaire(
    file: &str,
    path: &str,
    activity: &Json,
    shelf: &Shelf,
    complaints: &mut Complaints,
) -> Option<String> {
    let artifacts = activity["relatedArtifact"].items().iter();
    let mut named = artifacts.filter(|a| a["type"].text() == "depends-on").map(|a| a["resource"].text());
    let canonical = named.find(|c| c.contains("/Questionnaire/"))?;
    if !shelf.questionnaires.contains_key(canonical) {
        let why = format!(
            "its {} names the Questionnaire '{canonical}' (url|version), which is not among the profiles",
            activity["url"].text()
        );
        complaints.add(file, format!("{path}.definitionCanonical"), why);
    }
    Some(canonical.into())
}
