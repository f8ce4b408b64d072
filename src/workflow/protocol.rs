//! Protocols: which Tasks follow something, for whom, and when each is due.
//!
//! For: PlanDefinitions of `profiles/protocol` and the ActivityDefinitions they name: [`read()`] checks them, [`Condition`] says
//! whether an action is called for, [`Choice`] which protocol is. Not for: who is followed up at all (`eligibility.rs`), or
//! writing Tasks (`build/`).
//! Source: <https://hl7.org/fhir/R4/plandefinition.html>; own rules in `profiles/protocol/README.md`.

mod apply;
mod choice;
mod condition;
mod read;

pub use apply::{Compared, Subject, simulation};
pub use choice::{Choice, Chosen};
pub use condition::{Case, Condition, evaluate, parse};
pub use read::{Shelf, read, seconds};

use super::calendar::{Calendar, Offset};
use super::outreach::Attempts;
use crate::clock::Instant;
use crate::fhir::Json;
use std::sync::Arc;

/// A PlanDefinition, read.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `url|version`: what Tasks and care plans say they come from.
    pub canonical: String,
    /// The part of the URL that names it.
    pub id: String,
    /// For people.
    pub title: String,
    /// What the first action, the anchor, is called.
    pub anchor: String,
    /// In the order of the file, without the anchor.
    pub actions: Vec<Action>,
    /// Seconds that shares outlive the last due time.
    pub share_seconds: i64,
}

/// One action: a Task to be.
#[derive(Debug, Clone, Default)]
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
    /// The Questionnaire that is filled in with it, `url|version`.
    pub questionnaire: Option<String>,
    /// What must hold of the case; none: always.
    pub conditions: Vec<Condition>,
    /// How often, and when, the patient is called.
    pub attempts: Option<Attempts>,
    /// The action or anchor its times count from.
    pub after: String,
    /// Which moment of that action they count from.
    pub edge: Edge,
    /// When it may begin; absent: at once.
    pub opens: Option<Offset>,
    /// When it must be done.
    pub due: Offset,
    /// Whose days count.
    pub calendar: Arc<Calendar>,
}

/// A moment of an action that another one's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edge {
    /// When it may begin.
    Start,
    /// When it is due.
    #[default]
    End,
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

impl Action {
    /// Whether the case calls for it. What an expression cannot say counts as called for: a Task too many is seen.
    #[must_use]
    pub fn is_called_for(&self, case: &Case<'_>) -> bool {
        self.conditions.iter().all(|c| c.holds(case).unwrap_or(true))
    }
}

impl Plan {
    /// Whether its times count from when somebody asks for it, not from the discharge.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.anchor == "asked"
    }

    /// The action of that id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|a| a.id == id)
    }

    /// The Tasks that follow the anchor, in plan order, whatever their conditions. Pure: the same instant gives the same intents.
    #[must_use]
    pub fn intents(&self, anchor: Instant) -> Vec<Intent> {
        self.actions.iter().map(|a| self.intent(a, anchor)).collect()
    }

    /// One action's times.
    #[must_use]
    pub fn intent(&self, action: &Action, anchor: Instant) -> Intent {
        // `read` refuses cycles, so this ends.
        let from = self.action(&action.after).map_or(anchor, |a| {
            let intent = self.intent(a, anchor);
            if action.edge == Edge::Start { intent.opens_at } else { intent.due_at }
        });
        let due_at = action.calendar.after(from, action.due);
        let opens_at = action.opens.map_or(from, |o| action.calendar.after(from, o));
        // What is due before something may begin at once; nothing is due before it may begin.
        Intent {
            action: action.id.clone(),
            opens_at: opens_at.max(anchor).min(due_at.max(anchor)),
            due_at: due_at.max(anchor),
        }
    }

    /// When the last Task is due.
    #[must_use]
    pub fn ends_at(&self, anchor: Instant) -> Instant {
        self.intents(anchor).into_iter().map(|i| i.due_at).max().unwrap_or(anchor)
    }
}

#[cfg(test)]
mod tests;
