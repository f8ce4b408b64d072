//! Medication lists around a stay: what was taken at home, what was given, what was prescribed at discharge.
//!
//! For: the working list of an episode, and telling "no medicines" from "list not sent". Not for: comparing the lists line
//! by line (reconciliation comes later).
//! Source: own rules in `profiles/protocol/README.md`; LOINC document codes; <https://hl7.org/fhir/R4/list.html>.

use super::discharge::Stay;
use super::element::{self, encounter_of, has_code, leads_to, patient_of};
use super::guard::Findings;
use super::{Programme, task};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use std::collections::BTreeMap;

const LOINC: &str = "http://loinc.org";
const EMPTY: &str = "http://terminology.hl7.org/CodeSystem/list-empty-reason";

/// LOINC codes of lists that hospitals send, and the group their entries belong to.
const LISTS: [(&str, Group); 5] = [
    ("42346-7", Group::Home),
    ("29549-3", Group::Stay),
    ("104207-6", Group::Stay),
    ("10183-2", Group::Discharge),
    ("75311-1", Group::Discharge),
];

/// LOINC's code of the working list: what the patient takes.
pub const WORKING: &str = "10160-0";

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

/// The lines of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// (group, name for order, resource); sorted, each once.
    pub lines: Vec<(Group, String, Target)>,
    /// What is known about the discharge list.
    pub sent: Sent,
}

impl Lines {
    /// How many medicines the patient went home with, as far as known.
    #[must_use]
    pub fn at_discharge(&self) -> usize {
        self.lines.iter().filter(|(g, ..)| *g == Group::Discharge).count()
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
    let mut groups: BTreeMap<Target, Group> = BTreeMap::new();
    let mut sent = Sent::Nothing;
    for resource in &resources {
        if let (Some(target), Some(group)) = (element::target_of(resource), group_of(programme, stay, resource)) {
            groups.insert(target, group);
        }
    }
    // A list names its lines: that outweighs what the resources look like.
    for list in resources.iter().filter(|r| element::type_of(r) == "List") {
        let Some(group) = list_group(stay, list, base) else { continue };
        for entry in list["entry"].items().iter().filter(|e| e["deleted"].as_bool() != Some(true)) {
            if let Some(item) = leads_to(&entry["item"], base) {
                groups.insert(item, group);
            }
        }
        if group == Group::Discharge && has_code(&list["emptyReason"], EMPTY, "nilknown") {
            sent = Sent::NoneKnown;
        }
    }
    let by_target: BTreeMap<Target, &Json> =
        resources.iter().filter_map(|r| Some((element::target_of(r)?, *r))).collect();
    let mut lines: Vec<(Group, String, Target)> = groups
        .into_iter()
        .map(|(target, group)| (group, by_target.get(&target).map(|r| name(r)).unwrap_or_default(), target))
        .collect();
    lines.sort();
    if lines.iter().any(|(g, ..)| *g == Group::Discharge) {
        sent = Sent::Some;
    }
    Lines { lines, sent }
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

fn list_group(stay: &Stay, list: &Json, base: &str) -> Option<Group> {
    if element::is_of_programme(list)
        || list["status"].text() == "entered-in-error"
        || encounter_of(list, base).as_ref() != Some(&stay.encounter)
    {
        return None;
    }
    LISTS.iter().find(|(code, _)| has_code(&list["code"], LOINC, code)).map(|(_, group)| *group)
}

/// Which group a medication resource belongs to by itself; `None` when it has nothing to do with the stay.
fn group_of(programme: &Programme, stay: &Stay, resource: &Json) -> Option<Group> {
    let base = programme.env.base.as_str();
    let zone = &programme.env.zone;
    let at = |name: &str| element::earliest(resource[name].text(), zone);
    let of_stay = encounter_of(resource, base).map(|e| e == stay.encounter);
    let status = resource["status"].text();
    let category = |codes: &[&str]| element::codings(&resource["category"]).iter().any(|(_, c)| codes.contains(c));
    let no_category = element::codings(&resource["category"]).is_empty();
    let in_time = |written: Option<Instant>| match (written, stay.start, stay.end) {
        (Some(at), Some(start), Some(end)) => start <= at && at <= end.plus_seconds(3 * 86_400),
        _ => false,
    };
    let before = |written: Option<Instant>| match (written, stay.end) {
        (Some(at), Some(end)) => at <= end,
        _ => true,
    };
    match element::type_of(resource) {
        "MedicationRequest" => {
            if matches!(status, "cancelled" | "entered-in-error" | "draft" | "stopped") {
                return None;
            }
            let written = at("authoredOn");
            if category(&["discharge"]) {
                let ours = of_stay.unwrap_or_else(|| in_time(written));
                return ours.then_some(Group::Discharge);
            }
            if category(&["inpatient"]) {
                return (of_stay == Some(true)).then_some(Group::Stay);
            }
            // Without a category, an order of this stay that goes on is a discharge order; others are from home.
            if no_category && of_stay == Some(true) {
                return (status == "active").then_some(Group::Discharge);
            }
            (matches!(status, "active" | "on-hold" | "unknown") && before(written)).then_some(Group::Home)
        }
        "MedicationStatement" => {
            if matches!(status, "entered-in-error" | "not-taken" | "stopped" | "completed") || of_stay == Some(false) {
                return None;
            }
            if category(&["discharge"]) {
                return Some(Group::Discharge);
            }
            if category(&["inpatient"]) {
                return (of_stay == Some(true)).then_some(Group::Stay);
            }
            before(at("dateAsserted")).then_some(Group::Home)
        }
        "MedicationAdministration" => {
            (of_stay == Some(true) && !matches!(status, "entered-in-error" | "not-done")).then_some(Group::Stay)
        }
        "MedicationDispense" => {
            let after = matches!((at("whenHandedOver"), stay.end), (Some(at), Some(end)) if at >= end);
            (status == "completed" && (of_stay == Some(true) || after)).then_some(Group::Dispensed)
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
            element::type_of(r) == "MedicationRequest" && group_of(programme, stay, r) == Some(Group::Discharge)
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
