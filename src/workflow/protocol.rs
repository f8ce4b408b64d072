//! Protocols: which Tasks follow something, for whom, and when each is due.
//!
//! For: PlanDefinitions of `profiles/protocol` and the ActivityDefinitions they name. Not for: who is followed up at all
//! (`eligibility.rs`), or writing Tasks (`build/`).
//! Source: <https://hl7.org/fhir/R4/plandefinition.html>; own rules in `profiles/protocol/README.md`.

use super::calendar::{Calendar, Offset};
use super::element;
use super::programme::files::Complaints;
use crate::clock::Instant;
use crate::fhir::Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A PlanDefinition, read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `url|version`: what Tasks and care plans say they come from.
    pub canonical: String,
    /// The part of the URL that names it.
    pub id: String,
    /// For people.
    pub title: String,
    /// In the order of the file, without the anchor.
    pub actions: Vec<Action>,
    /// Seconds that shares outlive the last due time.
    pub share_seconds: i64,
}

/// One action: a Task to be.
#[derive(Debug, Clone)]
pub struct Action {
    /// `PlanDefinition.action.id`.
    pub id: String,
    /// For people.
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// `Task.code`.
    pub code: Json,
    /// `Task.performerType`.
    pub performer: Json,
    /// `Task.priority`.
    pub priority: String,
    /// The ActivityDefinition's `url|version`.
    pub canonical: String,
    /// The action or anchor its times count from.
    pub after: String,
    /// When it may begin; absent: at once.
    pub opens: Option<Offset>,
    /// When it must be done.
    pub due: Offset,
    /// Whose days count.
    pub calendar: Arc<Calendar>,
}

/// A Task that follows: when it opens and when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// `Action::id`.
    pub action: String,
    /// From when.
    pub opens_at: Instant,
    /// Until when, UTC.
    pub due_at: Instant,
}

impl Plan {
    /// The action of that id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|a| a.id == id)
    }

    /// The Tasks that follow the anchor, in plan order. Pure: the same instant gives the same intents.
    #[must_use]
    pub fn intents(&self, anchor: Instant) -> Vec<Intent> {
        self.actions.iter().map(|a| self.intent(a, anchor)).collect()
    }

    /// One action's times.
    #[must_use]
    pub fn intent(&self, action: &Action, anchor: Instant) -> Intent {
        // `read` refuses cycles, so this ends.
        let from = self.action(&action.after).map_or(anchor, |a| self.intent(a, anchor).due_at);
        let opens_at = action.opens.map_or(from, |o| action.calendar.after(from, o));
        Intent { action: action.id.clone(), opens_at, due_at: action.calendar.after(from, action.due) }
    }

    /// When the last Task is due.
    #[must_use]
    pub fn ends_at(&self, anchor: Instant) -> Instant {
        self.intents(anchor).into_iter().map(|i| i.due_at).max().unwrap_or(anchor)
    }
}

/// What a plan is read with.
pub struct Shelf<'a> {
    /// ActivityDefinitions by `url|version`.
    pub activities: &'a BTreeMap<String, Json>,
    /// Calendars by id.
    pub calendars: &'a HashMap<String, Arc<Calendar>>,
    /// The calendar of offsets that name none.
    pub default: Arc<Calendar>,
}

/// Reads a PlanDefinition; what cannot be used is complained about and left out.
pub fn read(file: &str, plan: &Json, shelf: &Shelf<'_>, complaints: &mut Complaints) -> Plan {
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
        actions,
        share_seconds: element::extension(plan, "share-after-close")
            .and_then(|e| seconds(&e["valueDuration"]))
            .unwrap_or(14 * 86_400),
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

fn read_action(
    file: &str,
    path: &str,
    action: &Json,
    shelf: &Shelf<'_>,
    complaints: &mut Complaints,
) -> Option<Action> {
    let canonical = action["definitionCanonical"].text();
    let Some(activity) = shelf.activities.get(canonical) else {
        let why = format!("no ActivityDefinition with the canonical '{canonical}' (url|version) is among the profiles");
        complaints.add(file, format!("{path}.definitionCanonical"), why);
        return None;
    };
    let related = &action["relatedAction"][0];
    if action["relatedAction"].items().len() != 1 || related["relationship"].text() != "after-end" {
        complaints.add(
            file,
            format!("{path}.relatedAction"),
            "an action needs one relatedAction of relationship after-end",
        );
        return None;
    }
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
        let read = read_offset(count, duration);
        if read.is_none() {
            let why =
                "a duration needs a whole value of at least 0 and a UCUM code: min, h or d (only d with a calendar)";
            complaints.add(file, format!("{path}.relatedAction[0].{element}"), why);
        }
        read
    };
    let (opens, due) = match related.get("offsetRange") {
        Some(range) => (Some(offset("offsetRange.low", &range["low"])?), offset("offsetRange.high", &range["high"])?),
        None => (None, offset("offsetDuration", &related["offsetDuration"])?),
    };
    let text = |name: &str| action[name].as_str().or(activity[name].as_str()).unwrap_or_default().to_string();
    let priority = text("priority");
    Some(Action {
        id: action["id"].text().into(),
        title: text("title"),
        description: text("description"),
        code: activity["code"].clone(),
        performer: activity["participant"][0]["role"].clone(),
        priority: if priority.is_empty() { "routine".into() } else { priority },
        canonical: canonical.into(),
        after: related["actionId"].text().into(),
        opens,
        due,
        calendar,
    })
}

fn read_offset(count: &str, duration: &Json) -> Option<Offset> {
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
