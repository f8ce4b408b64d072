//! When what waits is escalated: an overdue review of a problem, a question to a prescriber that nobody has answered, and a
//! follow-up that nobody closes.
//!
//! Pure. Not for: whom that is told (`react/escalate.rs`), or looking for it (`worker/overdue.rs`).
//! A step up changes how urgent it is and who hears of it, never whose it is.
//! Source: own rules in `profiles/policy/README.md`.

use super::element::{self, leads_to_a};
use super::policy::PRIORITIES;
use super::{Programme, task};
use crate::clock::Instant;
use crate::fhir::Json;

/// How often one thing is escalated.
pub const MOST: usize = 8;

/// Which steps a question to a prescriber goes through.
pub const STEPS: [&str; 3] = ["asked again", "to be asked by phone", "to be asked of another prescriber"];

/// The steps that were taken, the oldest first.
#[must_use]
pub fn taken(resource: &Json) -> Vec<Instant> {
    let url = element::extension_url("escalated");
    let all = resource["extension"].items().iter().filter(|e| e["url"].text() == url);
    let mut times: Vec<Instant> = all.filter_map(|e| Instant::parse(e["valueDateTime"].text())).collect();
    times.sort();
    times
}

/// One step more urgent.
#[must_use]
pub fn raised(priority: &str) -> &'static str {
    let rank = PRIORITIES.iter().position(|p| *p == priority).unwrap_or_default();
    PRIORITIES.get(rank + 1).or(PRIORITIES.last()).copied().unwrap_or("stat")
}

/// Whether a Task closes its episode.
#[must_use]
pub fn closes(task: &Json) -> bool {
    element::own_code(&task["code"], "task-code") == Some("close-episode")
}

/// Whether the Task that closes an episode has ended without closing it, and nobody else is there who could.
#[must_use]
pub fn nobody_closes(task: &Json) -> bool {
    closes(task)
        && task::is_final(task)
        && task["status"].text() != "completed"
        && element::own_code(&task["businessStatus"], "business-status") == Some("nobody-left")
}

/// When a resource is to be escalated next; `None` where nothing waits, or nobody is left to tell.
///
/// A review: at its due time, and then each time after as long as a review of its urgency may take. A question to a
/// prescriber: at the end of its occurrence; the question that then takes its place is given as long. The close of a follow-up: at
/// its due time, then as often as `choice` says until it ends by itself; where nobody is left who could close it, at its due time.
#[must_use]
pub fn due_at(programme: &Programme, resource: &Json) -> Option<Instant> {
    let steps = taken(resource);
    let base = &programme.env.base;
    let zone = &programme.env.zone;
    match element::type_of(resource) {
        "Task" => {
            let waits =
                task::is_handoff(resource) && !task::is_final(resource) && resource["status"].text() != "on-hold";
            if nobody_closes(resource) {
                return element::latest(resource["restriction"]["period"]["end"].text(), zone);
            }
            if waits && closes(resource) {
                let due = element::latest(resource["restriction"]["period"]["end"].text(), zone)?;
                let again = |last: &Instant| programme.choice.reminded_at(&programme.calendar, *last);
                return Some(steps.last().map_or(due, again));
            }
            leads_to_a("DetectedIssue", &resource["focus"], base).filter(|_| waits && steps.len() < MOST)?;
            let due = element::latest(resource["restriction"]["period"]["end"].text(), zone)?;
            let plan = &programme.review;
            let action = plan.actions.iter().find(|a| a.priority == resource["priority"].text());
            match (steps.last(), action) {
                (None, _) => Some(due),
                (Some(last), Some(action)) => Some(plan.intent(action, *last).due_at),
                (Some(last), None) => Some(last.plus_seconds(86_400)),
            }
        }
        "CommunicationRequest" => {
            let waits = resource["status"].text() == "active" && steps.len() < STEPS.len();
            let about = ["about", "reasonReference", "basedOn"].iter().flat_map(|n| resource[*n].items());
            about.into_iter().find_map(|r| leads_to_a("DetectedIssue", r, base)).filter(|_| waits)?;
            let ends = [&resource["occurrenceDateTime"], &resource["occurrencePeriod"]["end"]];
            let due = ends.iter().find_map(|t| element::latest(t.text(), zone))?;
            let asked = element::earliest(resource["authoredOn"].text(), zone).filter(|a| *a < due);
            let given = asked.map_or(86_400, |a| (due.0 - a.0) / 1_000_000).max(3_600);
            Some(steps.last().map_or(due, |last| last.plus_seconds(given)))
        }
        _ => None,
    }
}
