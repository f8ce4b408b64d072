//! Reconciliation: the lists around a stay compared, each source line in exactly one outcome line.
//!
//! For: the working list and the hand-off report. Pure: the same sources give the same outcomes, in whatever order they
//! come. Not for: which list a resource stands in (`list.rs`), reading it (`medicine/`), or writing the list (`build/`).
//! Lines of one substance that work in one place belong together (`family.rs`); two of them are compared in `compare.rs`.
//! Source: own rules, described in `profiles/medicine/README.md`.

mod compare;
mod family;

#[cfg(test)]
mod tests;

pub use compare::{Change, Compared, compare};

use super::list::{Group, Sent};
use super::medicine::{Line, Tables};
use crate::fhir::Target;

/// One line of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which list.
    pub group: Group,
    /// The resource.
    pub target: Target,
    /// Whether it says that the medicine is not to be taken any more.
    pub is_ended: bool,
    /// Why it stands on that list.
    pub why: String,
    /// What it says.
    pub line: Line,
}

/// What became of a medicine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// More than one line of the discharge has the same substance.
    Duplicate,
    /// Taken at home, absent at discharge, and nobody says why.
    Omitted,
    /// Begun in the stay, of those that should end with it, and prescribed at discharge.
    InpatientOnly,
    /// Not to be told.
    Unclear,
    /// Goes on otherwise than before.
    Changed,
    /// Prescribed at discharge, not taken before.
    New,
    /// Not to be taken any more.
    Stopped,
    /// Goes on as before.
    Unchanged,
}

impl Kind {
    /// All, in the order of the list: what needs somebody first.
    pub const ALL: [Self; 8] = [
        Self::Duplicate,
        Self::Omitted,
        Self::InpatientOnly,
        Self::Unclear,
        Self::Changed,
        Self::New,
        Self::Stopped,
        Self::Unchanged,
    ];

    /// The code of `reconcile-outcome`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Omitted => "omitted-without-note",
            Self::InpatientOnly => "inpatient-only-continued",
            Self::Unclear => "unclear",
            Self::Changed => "changed",
            Self::New => "new",
            Self::Stopped => "stopped",
            Self::Unchanged => "unchanged",
        }
    }

    /// The code of what changed on a list that FHIR names (`urn:oid:1.2.36.1.2001.1001.101.104.16592`), where one fits.
    #[must_use]
    pub const fn change_type(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Unchanged => Some(("01", "Unchanged")),
            Self::Changed => Some(("02", "Changed")),
            Self::New => Some(("04", "Prescribed")),
            Self::Stopped => Some(("05", "Ceased")),
            _ => None,
        }
    }
}

/// One line of the reconciled list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub kind: Kind,
    /// What it is called: the discharge's words, else those of the list it is on.
    pub name: String,
    /// Indexes into the sorted sources, the leading one first; never none.
    pub sources: Vec<usize>,
    /// What changed.
    pub changes: Vec<Change>,
    /// Why it is unclear, and what else somebody should know.
    pub remarks: Vec<String>,
    /// Why, in the senders' words.
    pub note: String,
}

impl Outcome {
    /// Whether it needs nobody: it goes on as before, or a note says why it does not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.kind {
            Kind::Unchanged => true,
            Kind::Changed | Kind::New | Kind::Stopped => !self.note.is_empty(),
            _ => false,
        }
    }
}

/// The reconciled list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// Sorted: by list, name, address.
    pub sources: Vec<Source>,
    /// Sorted: what needs somebody first, then by name.
    pub outcomes: Vec<Outcome>,
    /// What is known about the discharge list.
    pub sent: Sent,
}

/// Compares the lists.
///
/// `sources`: in any order, each resource once. Each of them is in exactly one outcome.
#[must_use]
pub fn reconcile(tables: &Tables, mut sources: Vec<Source>, sent: Sent) -> Reconciled {
    let order = |s: &Source| (s.group, s.line.name().to_lowercase(), s.target.clone());
    sources.sort_by_cached_key(order);
    let mut outcomes = Vec::new();
    for members in family::families(tables, &sources) {
        let family = family::Family { tables, sources: &sources, sent };
        outcomes.extend(family.outcomes(members));
    }
    outcomes.sort_by_cached_key(|o: &Outcome| {
        let lead = o.sources.first().and_then(|n| sources.get(*n)).map(|s| s.target.clone());
        (o.kind, o.name.to_lowercase(), lead)
    });
    Reconciled { sources, outcomes, sent }
}
