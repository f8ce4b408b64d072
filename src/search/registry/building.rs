//! How far the rows of a parameter are, while a reindex makes them.
//!
//! Not for: making them (`worker/reindex.rs`).

use super::{Param, Part, Registry, Slot, Source};
use crate::fhir::ResourceType;
use crate::search::ParamType;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done of how much. Shared: who makes the rows counts, who is asked for a search tells.
#[derive(Debug, Default)]
pub struct Building {
    done: AtomicU64,
    total: AtomicU64,
}

impl Building {
    /// Notes where the work stands. `total` 0: it has not begun.
    pub fn set(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Whole percent, never 100: what is through is no longer here.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        (done * 100).checked_div(total).unwrap_or(0).min(99)
    }
}

/// Which rows of R4's own parameters are to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows4 {
    /// All of a type.
    All,
    /// Those that hold dates.
    Dates,
}

impl Registry {
    /// The same parameters; those of `types` that hold what `part` says count as being built.
    #[must_use]
    pub fn rebuilding(mut self, types: &[ResourceType], part: Rows4, building: &Arc<Building>) -> Self {
        let entries = Arc::make_mut(&mut self.entries);
        for rtype in types {
            let Some(entry) = entries.get_mut(usize::from(rtype.0)) else { continue };
            for param in entry.params.iter_mut().filter(|p| has_rows(p) && (part == Rows4::All || of_dates(p))) {
                param.building.get_or_insert_with(|| Arc::clone(building));
            }
            for slot in entry.slots.iter_mut().filter(|s| part == Rows4::All || holds_dates(s)) {
                slot.is_building = true;
            }
        }
        self
    }

    /// Only the slots whose rows are being made: what a reindex has to extract.
    #[must_use]
    pub fn only_building(&self) -> Self {
        let mut out = self.clone();
        for entry in Arc::make_mut(&mut out.entries) {
            entry.slots.retain(|s| s.is_building);
        }
        out
    }
}

/// `_id` and `_lastUpdated` are columns: nothing is made for them.
fn has_rows(param: &Param) -> bool {
    !param.uses.is_empty() || !param.parts.is_empty() || matches!(param.code.as_str(), "_text" | "_content")
}

fn of_dates(param: &Param) -> bool {
    param.kind == ParamType::Date
        || param.parts.iter().any(|part| match part {
            Part::Whole(components) => components.iter().any(of_dates),
            Part::Element { components, .. } => components.iter().any(|c| c.kind == ParamType::Date),
        })
}

fn holds_dates(slot: &Slot) -> bool {
    slot.kind == ParamType::Date
        || match &slot.source {
            Source::Elements { components, .. } => components.iter().any(|c| c.kind == ParamType::Date),
            Source::Values { .. } => false,
        }
}
