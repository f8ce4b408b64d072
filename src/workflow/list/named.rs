//! Lists that speak of a stay's medicines, and where they put what they name.
//!
//! For: [`those`], [`Named::place`]. Not for: what a medicine's resource says by itself (`list.rs`).
//! Source: own rules in `profiles/protocol/README.md`; LOINC document codes; <https://hl7.org/fhir/R4/list.html>.

use super::{Group, WORKING, said};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::discharge::Stay;
use crate::workflow::element::{self, encounter_of, has_code};
use jiff::tz::TimeZone;

const LOINC: &str = "http://loinc.org";

/// LOINC codes of lists that hospitals send, and what they say.
const LISTS: [(&str, Kind); 6] = [
    ("42346-7", Kind::Of(Group::Home)),
    ("29549-3", Kind::Of(Group::Stay)),
    ("104207-6", Kind::Of(Group::Stay)),
    ("10183-2", Kind::Of(Group::Discharge)),
    ("75311-1", Kind::Of(Group::Discharge)),
    (WORKING, Kind::Taken),
];

/// What a List says of its lines; the later outweighs the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// That they are taken: at home before the stay, or as told after it, by when that was said.
    Taken,
    /// That they belong to this group.
    Of(Group),
}

/// A List that speaks of a stay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) kind: Kind,
    at: Option<Target>,
    pub(super) list: &'a Json,
    date: Option<Instant>,
    /// Whether it is of after the discharge.
    is_late: bool,
}

/// The Lists of a stay, the weaker first; without those that a newer one replaces.
pub(super) fn those<'a>(stay: &Stay, resources: &[&'a Json], base: &str, zone: &TimeZone) -> Vec<Named<'a>> {
    let lists = resources.iter().copied().filter(|r| element::type_of(r) == "List");
    let mut all: Vec<Named<'a>> = lists.filter_map(|list| Named::of(stay, list, base, zone)).collect();
    all.sort_by(|a, b| (a.kind, &a.at).cmp(&(b.kind, &b.at)));
    let is_old: Vec<bool> = all.iter().map(|list| all.iter().any(|other| other.replaces(list))).collect();
    let mut is_old = is_old.into_iter();
    all.retain(|_| !is_old.next().unwrap_or_default());
    all
}

/// Whether a List is one of medicines around a stay, by its code.
#[must_use]
pub fn speaks_of_medicines(list: &Json) -> bool {
    kind_of(list).is_some()
}

fn kind_of(list: &Json) -> Option<Kind> {
    LISTS.iter().find(|(code, _)| has_code(&list["code"], LOINC, code)).map(|(_, kind)| *kind)
}

impl<'a> Named<'a> {
    fn of(stay: &Stay, list: &'a Json, base: &str, zone: &TimeZone) -> Option<Self> {
        if element::is_of_programme(list) || matches!(list["status"].text(), "entered-in-error" | "retired") {
            return None;
        }
        let kind = kind_of(list)?;
        let date = element::earliest(list["date"].text(), zone);
        let is_ours = match encounter_of(list, base) {
            Some(encounter) => encounter == stay.encounter,
            // One that names no stay is known by its date; what is taken is taken, in whichever stay.
            None => kind == Kind::Taken || super::around(stay, date),
        };
        let is_late = date.zip(stay.end).is_some_and(|(date, end)| date > end);
        is_ours.then(|| Self { kind, at: element::target_of(list), list, date, is_late })
    }

    /// Whether it takes the place of another: both say all there is, by the same code, and it is newer by its own date. What is taken
    /// after the discharge does not replace what was taken before.
    fn replaces(&self, older: &Self) -> bool {
        let is_whole = |named: &Self| named.list["mode"].text() != "changes";
        let same = || {
            self.list["code"]["coding"] == older.list["code"]["coding"]
                && (self.kind != Kind::Taken || self.is_late == older.is_late)
        };
        is_whole(self) && is_whole(older) && same() && self.date.zip(older.date).is_some_and(|(new, old)| new > old)
    }

    /// Where it puts a line, and why; `None` where the line stays where it is. `own`: where it stands without this List.
    pub(super) fn place(
        &self,
        stay: &Stay,
        item: Option<&Json>,
        own: Option<Group>,
        zone: &TimeZone,
    ) -> Option<(Group, &'static str)> {
        if let Kind::Of(group) = self.kind {
            return Some((group, "a list of the hospital names it"));
        }
        let statement = item.filter(|i| element::type_of(i) == "MedicationStatement");
        if own.is_some_and(|own| own != Group::Home || statement.is_none()) {
            return None;
        }
        let when = statement.and_then(|s| said(s, zone)).or(self.date);
        if when.zip(stay.end).is_some_and(|(when, end)| when > end) {
            return Some((Group::Told, "a list of what the patient takes names it, said after the discharge"));
        }
        Some((Group::Home, "a list of what the patient takes names it, said before the discharge"))
    }
}
