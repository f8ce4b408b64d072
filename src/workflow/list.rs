//! Medication lists around a stay: what was taken at home, what was given, what was prescribed at discharge.
//!
//! For: the working list of an episode, and telling "no medicines" from "list not sent". Not for: comparing the lists line
//! by line (`reconcile/`).
//! Source: own rules in `profiles/protocol/README.md`; LOINC document codes; <https://hl7.org/fhir/R4/list.html>.

mod named;

use super::discharge::Stay;
use super::element::{self, encounter_of, has_code, leads_to, patient_of};
use super::guard::Findings;
use super::{Programme, task};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use jiff::tz::TimeZone;
use named::Kind;
pub use named::speaks_of_medicines;
use std::collections::BTreeMap;

const EMPTY: &str = "http://terminology.hl7.org/CodeSystem/list-empty-reason";

/// LOINC's code of what the patient takes: the working list, and lists of the hospital that say so.
pub const WORKING: &str = "10160-0";

/// FHIR's own codes of what changed on a list, and those by which a medicine is not to be taken: cancelled, ceased, suspended.
const CHANGES: &str = "urn:oid:1.2.36.1.2001.1001.101.104.16592";
const CEASED: [&str; 3] = ["03", "05", "06"];

/// R4's categories of orders and of statements. A code of any other system, or of none, says nothing about a list. Statements have
/// no category for the discharge of their own: guides give them that of the orders.
const CATEGORIES: [&str; 2] = [
    "http://terminology.hl7.org/CodeSystem/medicationrequest-category",
    "http://terminology.hl7.org/CodeSystem/medication-statement-category",
];

/// What an order or a statement says by its category: codes of R4's systems.
pub(super) fn categories(resource: &Json) -> Vec<&str> {
    let all = element::codings(&resource["category"]).into_iter();
    all.filter(|(system, _)| CATEGORIES.contains(system)).map(|(_, code)| code).collect()
}

/// Which of the lists a line belongs to. The order is that of the working list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Taken at home before the stay.
    Home,
    /// Given in the stay.
    Stay,
    /// Prescribed at discharge.
    Discharge,
    /// Handed out by a pharmacy after the discharge.
    Dispensed,
    /// Taken after the discharge, as the patient or a relative says.
    Told,
}

impl Group {
    /// The code of `list-line`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Stay => "stay",
            Self::Discharge => "discharge",
            Self::Dispensed => "dispensed",
            Self::Told => "told",
        }
    }
}

/// What the hospital says about medicines at discharge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// These.
    Some,
    /// None, and it says so.
    NoneKnown,
    /// Nothing. That is not the same as none.
    Nothing,
}

/// One medication resource on one of the lists. The order is that of the working list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Which list.
    pub group: Group,
    /// Name, for order.
    pub name: String,
    /// The resource.
    pub target: Target,
    /// Whether it says that the medicine is not to be taken any more.
    pub is_ended: bool,
    /// Why it stands on that list, for people.
    pub why: &'static str,
}

/// The lines of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Sorted, each resource once.
    pub lines: Vec<Entry>,
    /// What is known about the discharge list.
    pub sent: Sent,
}

impl Lines {
    /// How many medicines the patient went home with, as far as known.
    #[must_use]
    pub fn at_discharge(&self) -> usize {
        self.lines.iter().filter(|e| e.group == Group::Discharge && !e.is_ended).count()
    }
}

/// Sorts the medication resources and lists around a stay into lines.
///
/// `resources`: whatever refers to the patient or the stay, in any order: the result does not depend on it.
#[must_use]
pub fn lines(programme: &Programme, stay: &Stay, resources: &[&Json]) -> Lines {
    let base = programme.env.base.as_str();
    let ours = |r: &&Json| patient_of(r, base).is_none_or(|p| stay.patient.as_ref().is_none_or(|ours| *ours == p));
    let resources: Vec<&Json> = resources.iter().copied().filter(ours).collect();
    let mut groups: BTreeMap<Target, Place> = BTreeMap::new();
    let mut sent = Sent::Nothing;
    for resource in &resources {
        if let (Some(target), Some(group)) = (element::target_of(resource), group_of(programme, stay, resource)) {
            groups.insert(target, group);
        }
    }
    let by_target: BTreeMap<Target, &Json> =
        resources.iter().filter_map(|r| Some((element::target_of(r)?, *r))).collect();
    // A list names its lines: that outweighs what the resources look like.
    for named in named::those(stay, &resources, base, &programme.env.zone) {
        let list = named.list;
        for entry in list["entry"].items() {
            let Some(item) = leads_to(&entry["item"], base) else { continue };
            let json = by_target.get(&item).copied();
            let own = json.map_or(Own::Goes, own);
            if own == Own::Void {
                continue;
            }
            let ends = entry["deleted"].as_bool() == Some(true)
                || CEASED.iter().any(|code| has_code(&entry["flag"], CHANGES, code));
            let stands = groups.get(&item).map(|place| place.group);
            let put = named.place(stay, json, stands, &programme.env.zone);
            match (groups.get_mut(&item), put) {
                // A list of changes takes away what another list has.
                (Some(place), _) if ends => place.is_ended = true,
                (_, None) => {}
                (Some(place), Some((group, _))) if place.is_ended && place.group == group => {}
                (_, Some((group, _))) if own == Own::Ended && !ends => {
                    let why = "a list of the hospital names it, and it says of itself that it is not taken";
                    groups.insert(item, Place { group, is_ended: true, why });
                }
                _ if entry["deleted"].as_bool() == Some(true) => {}
                (_, Some((group, why))) => drop(groups.insert(item, Place { group, is_ended: ends, why })),
            }
        }
        if named.kind == Kind::Of(Group::Discharge) && has_code(&list["emptyReason"], EMPTY, "nilknown") {
            sent = Sent::NoneKnown;
        }
    }
    let entry = |(target, place): (Target, Place)| Entry {
        group: place.group,
        name: by_target.get(&target).map(|r| name(r)).unwrap_or_default(),
        target,
        is_ended: place.is_ended,
        why: place.why,
    };
    let mut lines: Vec<Entry> = groups.into_iter().map(entry).collect();
    lines.sort();
    if lines.iter().any(|e| e.group == Group::Discharge) {
        sent = Sent::Some;
    }
    Lines { lines, sent }
}

/// Whether a resource is a line of a stay by itself.
#[must_use]
pub fn is_of_stay(programme: &Programme, stay: &Stay, resource: &Json) -> bool {
    group_of(programme, stay, resource).is_some()
}

/// Judges a List by R4's invariants: "no medicines" must never be an empty list by accident.
pub fn judge(list: &Json, findings: &mut Findings) {
    let entries = list["entry"].items();
    if !entries.is_empty() && list.get("emptyReason").is_some() {
        findings.refuse("List.emptyReason", "a list with entries is not empty (lst-1)");
    }
    let mode = list["mode"].text();
    for (n, entry) in entries.iter().enumerate() {
        if entry["deleted"].as_bool() == Some(true) && mode != "changes" {
            findings.refuse(format!("List.entry[{n}].deleted"), "only a list of changes has deleted entries (lst-2)");
        }
        if entry.get("date").is_some() && mode != "working" {
            findings.refuse(format!("List.entry[{n}].date"), "only a working list has dates of entries (lst-3)");
        }
    }
}

/// What a medicine is called, in lower case.
fn name(resource: &Json) -> String {
    let concept = &resource["medicationCodeableConcept"];
    let text = concept["text"].as_str().or(concept["coding"][0]["display"].as_str());
    text.or(resource["medicationReference"]["display"].as_str()).unwrap_or_default().to_lowercase()
}

/// What a medication resource says of itself, whatever list names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Goes,
    /// It is not taken, or not now.
    Ended,
    /// It never was, or is no order yet.
    Void,
}

fn own(resource: &Json) -> Own {
    let is_order = element::type_of(resource) == "MedicationRequest";
    if is_order && (resource["doNotPerform"].as_bool() == Some(true)) {
        return Own::Ended;
    }
    match resource["status"].text() {
        "entered-in-error" | "cancelled" | "draft" => Own::Void,
        _ if is_order && matches!(resource["intent"].text(), "proposal" | "option") => Own::Void,
        "stopped" | "not-taken" | "on-hold" => Own::Ended,
        "completed" if element::type_of(resource) == "MedicationStatement" => Own::Ended,
        _ => Own::Goes,
    }
}

/// Where a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    group: Group,
    is_ended: bool,
    why: &'static str,
}

const fn on(group: Group, why: &'static str) -> Option<Place> {
    Some(Place { group, is_ended: false, why })
}

const fn ended(group: Group, why: &'static str) -> Option<Place> {
    Some(Place { group, is_ended: true, why })
}

/// When a statement was made.
fn said(statement: &Json, zone: &TimeZone) -> Option<Instant> {
    let at = |name: &str| element::earliest(statement[name].text(), zone);
    at("dateAsserted").or_else(|| at("effectiveDateTime"))
}

/// Whether something was written in a stay, or in the three days after it.
fn around(stay: &Stay, written: Option<Instant>) -> bool {
    match (written, stay.start, stay.end) {
        (Some(at), Some(start), Some(end)) => start <= at && at <= end.plus_seconds(3 * 86_400),
        _ => false,
    }
}

/// Whether a time, a day or a period overlaps a stay. One that goes on has no end yet.
fn is_during(stay: &Stay, time: &Json, zone: &TimeZone) -> bool {
    let (from, until) = match time.as_str() {
        Some(text) => (text, text),
        None => (time["start"].text(), time["end"].text()),
    };
    let begin = element::earliest(from, zone).or_else(|| element::earliest(until, zone));
    let end = element::latest(until, zone).or_else(|| element::latest(from, zone));
    let (Some(begin), Some(end), Some(start)) = (begin, end, stay.start) else { return false };
    start <= end && stay.end.is_none_or(|left| begin <= left)
}

/// Which list a medication resource belongs to by itself; `None` when it has nothing to do with the stay.
fn group_of(programme: &Programme, stay: &Stay, resource: &Json) -> Option<Place> {
    let base = programme.env.base.as_str();
    let zone = &programme.env.zone;
    let at = |name: &str| element::earliest(resource[name].text(), zone);
    let of_stay = encounter_of(resource, base).map(|e| e == stay.encounter);
    let status = resource["status"].text();
    let categories = categories(resource);
    let category = |codes: &[&str]| categories.iter().any(|c| codes.contains(c));
    let no_category = categories.is_empty();
    let in_time = |written: Option<Instant>| around(stay, written);
    // What names no stay is known by its date; a day counts where a part of it lies in the stay.
    let during = |names: &[&str]| of_stay.is_none() && names.iter().any(|name| is_during(stay, &resource[*name], zone));
    let before = |written: Option<Instant>| match (written, stay.end) {
        (Some(at), Some(end)) => at <= end,
        _ => true,
    };
    match element::type_of(resource) {
        "MedicationRequest" => {
            let own = own(resource);
            if own == Own::Void {
                return None;
            }
            let written = at("authoredOn");
            if category(&["discharge"]) {
                let why = if of_stay.is_some() {
                    "its category is discharge"
                } else {
                    "a discharge order written around the end of the stay"
                };
                let ours = of_stay.unwrap_or_else(|| in_time(written));
                return match status {
                    _ if !ours => None,
                    "stopped" => ended(Group::Discharge, "a discharge order that was stopped"),
                    "on-hold" => ended(Group::Discharge, "a discharge order that is on hold"),
                    _ if own == Own::Ended => ended(Group::Discharge, "a discharge order not to give it"),
                    _ => on(Group::Discharge, why),
                };
            }
            if status == "stopped" {
                let ours = of_stay == Some(true) && category(&["community"]);
                return ours.then_some(Place { group: Group::Home, is_ended: true, why: "the stay stopped it" });
            }
            if resource["doNotPerform"].as_bool() == Some(true) {
                let why = "an order of the stay not to take it";
                return if of_stay == Some(true) { ended(Group::Home, why) } else { None };
            }
            if category(&["inpatient"]) {
                let why = "an inpatient order that names no stay, written during this one";
                return match of_stay {
                    Some(true) => on(Group::Stay, "its category is inpatient"),
                    _ if during(&["authoredOn"]) => on(Group::Stay, why),
                    _ => None,
                };
            }
            // Without a category, an order of this stay that goes on is a discharge order; others are from home.
            if no_category && of_stay == Some(true) {
                let goes_on = status == "active";
                return if goes_on { on(Group::Discharge, "an order of the stay that goes on") } else { None };
            }
            let goes_on = matches!(status, "active" | "on-hold" | "unknown") && before(written);
            let why = if no_category {
                "an order from before the discharge, of no stay"
            } else if category(&["community"]) {
                "its category is community"
            } else {
                "its category is outpatient"
            };
            if goes_on { on(Group::Home, why) } else { None }
        }
        "MedicationStatement" => {
            let by = ["Patient", "RelatedPerson"];
            let told = by.iter().any(|t| element::leads_to_a(t, &resource["informationSource"], base).is_some());
            if status == "entered-in-error" || of_stay == Some(false) {
                return None;
            }
            let said = said(resource, zone);
            if told && !before(said) && !category(&["discharge", "inpatient"]) {
                let why = "told by the patient or a relative after the discharge";
                let stops = matches!(status, "not-taken" | "stopped" | "completed");
                return if stops { ended(Group::Told, why) } else { on(Group::Told, why) };
            }
            if status == "stopped" && of_stay == Some(true) {
                let group = if category(&["discharge"]) { Group::Discharge } else { Group::Home };
                return ended(group, "a statement of the stay that it was stopped");
            }
            if matches!(status, "not-taken" | "stopped" | "completed") {
                return None;
            }
            if category(&["discharge"]) {
                return on(Group::Discharge, "its category is discharge");
            }
            if category(&["inpatient"]) {
                let why = "an inpatient statement that names no stay, dated during this one";
                return match of_stay {
                    Some(true) => on(Group::Stay, "its category is inpatient"),
                    _ if during(&["effectiveDateTime", "effectivePeriod", "dateAsserted"]) => on(Group::Stay, why),
                    _ => None,
                };
            }
            // What the patient took until a day before the stay is no medicine of home any more.
            let until = element::latest(resource["effectivePeriod"]["end"].text(), zone);
            let is_past = until.zip(stay.start).is_some_and(|(until, start)| until < start);
            if before(said) && !is_past { on(Group::Home, "stated before the discharge") } else { None }
        }
        "MedicationAdministration" => {
            let why = "names no stay, and was given during this one";
            match of_stay {
                _ if matches!(status, "entered-in-error" | "not-done") => None,
                Some(true) => on(Group::Stay, "given in the stay"),
                _ if during(&["effectiveDateTime", "effectivePeriod"]) => on(Group::Stay, why),
                _ => None,
            }
        }
        "MedicationDispense" => {
            let after = matches!((at("whenHandedOver"), stay.end), (Some(at), Some(end)) if at >= end);
            let why = if after { "handed out after the discharge" } else { "handed out for the stay" };
            if status == "completed" && (of_stay == Some(true) || after) { on(Group::Dispensed, why) } else { None }
        }
        _ => None,
    }
}

/// Pharmacies that the data name for this stay: orders and Tasks of the hospital first, else the discharge prescriptions,
/// else the patient's own choice. Sorted, each once.
#[must_use]
pub fn named_pharmacies(programme: &Programme, stay: &Stay, patient: &Json, resources: &[&Json]) -> Vec<Target> {
    const PREFERRED: [&str; 2] = [
        "http://baton.example/fhir/StructureDefinition/preferred-pharmacy",
        "http://hl7.org/fhir/StructureDefinition/patient-preferredPharmacy",
    ];
    let base = programme.env.base.as_str();
    let pharmacy = |r: &Json| element::leads_to_a("Organization", r, base);
    let of_stay = |r: &Json| encounter_of(r, base).as_ref() == Some(&stay.encounter);
    let live =
        |r: &Json| !matches!(r["status"].text(), "revoked" | "cancelled" | "rejected" | "entered-in-error" | "draft");
    let orders = resources.iter().filter(|r| live(r) && of_stay(r)).flat_map(|r| match element::type_of(r) {
        "ServiceRequest" => r["performer"].items().iter().filter_map(pharmacy).collect::<Vec<_>>(),
        "Task" if !task::is_handoff(r) => pharmacy(&r["owner"]).into_iter().collect(),
        _ => Vec::new(),
    });
    let prescriptions = resources
        .iter()
        .filter(|r| {
            element::type_of(r) == "MedicationRequest"
                && group_of(programme, stay, r).is_some_and(|p| p.group == Group::Discharge && !p.is_ended)
        })
        .filter_map(|r| pharmacy(&r["dispenseRequest"]["performer"]));
    let preferred = patient["extension"]
        .items()
        .iter()
        .filter(|e| PREFERRED.contains(&e["url"].text()))
        .filter_map(|e| pharmacy(&e["valueReference"]));
    let mut named: Vec<Target> = orders.collect();
    if named.is_empty() {
        named = prescriptions.collect();
    }
    if named.is_empty() {
        named = preferred.collect();
    }
    named.sort();
    named.dedup();
    named
}

#[cfg(test)]
mod tests;
