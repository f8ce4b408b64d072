//! The hand-off report: what the technician of the hospital tells the technician of the pharmacy, read out of the
//! reconciled list and of what else the caller may see.
//!
//! For: the document (`document.rs`), the page for the counter (`page.rs`, `pdf.rs`), the patient's list (`patient.rs`).
//! Pure: the same resources give the same bytes. Not for: comparing (`reconcile/`), or who sees what (`access`).
//! Source: own operation, described in `profiles/protocol/README.md`.

pub mod document;
pub mod page;
pub mod patient;
pub mod pdf;
mod table;
pub mod wording;

#[cfg(test)]
mod tests;

pub use table::{Section, sections};

use super::Programme;
use super::element::{self, own_identifier, patient_of, type_of};
use crate::fhir::{Json, Target};

/// A source of a line, as the list tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// `MedicationRequest/1`.
    pub reference: String,
    /// What it is called there.
    pub name: String,
    /// A code of `list-line`.
    pub list: String,
    /// As written, or what was read of it.
    pub directions: String,
    /// Whether it says that the medicine ended.
    pub is_ended: bool,
}

/// A line of the reconciled list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// A code of `reconcile-outcome`.
    pub outcome: String,
    /// The same for people.
    pub outcome_text: String,
    /// What the medicine is called.
    pub name: String,
    /// (what, from, to).
    pub changes: Vec<(String, String, String)>,
    /// What is unclear or worth knowing.
    pub remarks: Vec<String>,
    /// Why, in the senders' words.
    pub note: String,
    /// Whether it needs nobody.
    pub is_settled: bool,
    /// All sources, the leading one first.
    pub sources: Vec<Source>,
}

impl Row {
    fn read(entry: &Json) -> Self {
        let mut row = Self {
            outcome: element::own_code(&entry["flag"], "reconcile-outcome").unwrap_or_default().into(),
            outcome_text: entry["flag"]["coding"][0]["display"].text().into(),
            name: entry["item"]["display"].text().into(),
            ..Self::default()
        };
        let parts = element::extension(entry, "reconciled-line").map(|e| e["extension"].items()).unwrap_or_default();
        for part in parts {
            let of = |name: &str| part["extension"].items().iter().find(|e| e["url"].text() == name);
            let text = |name: &str| of(name).map(|e| e["valueString"].text().to_string()).unwrap_or_default();
            match part["url"].text() {
                "source" => row.sources.push(Source {
                    reference: of("item").map(|e| e["valueReference"]["reference"].text().into()).unwrap_or_default(),
                    name: of("item").map(|e| e["valueReference"]["display"].text().into()).unwrap_or_default(),
                    list: of("list").map(|e| e["valueCode"].text().into()).unwrap_or_default(),
                    directions: text("directions"),
                    is_ended: of("ended").is_some(),
                }),
                "change" => row.changes.push((text("what"), text("from"), text("to"))),
                "remark" => row.remarks.push(part["valueString"].text().into()),
                "note" => row.note = part["valueString"].text().into(),
                "settled" => row.is_settled = part["valueBoolean"].as_bool() == Some(true),
                _ => {}
            }
        }
        row
    }

    /// The changes in one sentence.
    #[must_use]
    pub fn changed(&self) -> String {
        let one = |(what, from, to): &(String, String, String)| format!("{what}: {from} → {to}");
        self.changes.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// Whether the patient goes on with it, as far as is known.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.sources.iter().any(|s| s.list == "discharge" && !s.is_ended)
    }
}

/// A Task of the follow-up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Step {
    /// Due, as stored.
    pub due: String,
    /// What is to be done.
    pub what: String,
    /// Task.status.
    pub status: String,
    /// `Task/1`.
    pub reference: String,
}

/// Who signed a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// `Practitioner/1`.
    pub who: String,
    /// When.
    pub at: String,
    /// Whether the list still is what was signed.
    pub is_current: bool,
}

impl Report {
    /// Whether the hospital says that the patient went home without medicines: not the same as having said nothing.
    #[must_use]
    pub fn says_none(&self) -> bool {
        self.list["note"].items().iter().any(|n| n["text"].text() == super::build::NONE_KNOWN)
    }
}

/// All that a report tells.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The Patient; null when the caller does not see it.
    pub patient: Json,
    /// The Encounter.
    pub encounter: Json,
    /// The reconciled List.
    pub list: Json,
    /// Its lines.
    pub rows: Vec<Row>,
    /// Allergies and intolerances that are active.
    pub allergies: Vec<Json>,
    /// Problems that are active.
    pub problems: Vec<Json>,
    /// Tasks of the follow-up, by due time.
    pub plan: Vec<Step>,
    /// Medication resources that the lines come from and the caller sees.
    pub medication: Vec<Json>,
    /// The stored Composition.
    pub composition: Json,
    /// Who attested the list.
    pub signature: Option<Signature>,
    /// Whether security labels may keep something from the caller. Says nothing of whether there is anything.
    pub is_limited: bool,
}

/// What a report says whose caller is not cleared for everything.
pub const LIMITED: &str = "Whatever has a security label that the reader is not cleared for is not looked at.";

/// The name of a thing in the reader's words: text, else display, else code.
#[must_use]
pub fn words(concept: &Json) -> String {
    let coding = &concept["coding"][0];
    [concept["text"].text(), coding["display"].text(), coding["code"].text()]
        .into_iter()
        .find(|t| !t.trim().is_empty())
        .unwrap_or("not said")
        .to_string()
}

impl Report {
    /// What stands below it.
    fn foot(&self, list: &str) -> String {
        let limited = if self.is_limited { format!("{LIMITED} ") } else { String::new() };
        format!("List of {list}. {limited}Baton is no medical device.")
    }

    /// Puts a report together. `around`: what is about the patient and the caller may see, in any order.
    #[must_use]
    pub fn of(programme: &Programme, encounter: Json, list: Json, around: &[Json]) -> Self {
        let base = programme.env.base.as_str();
        let patient = patient_of(&encounter, base);
        let mut all: Vec<&Json> =
            around.iter().filter(|r| patient_of(r, base) == patient || type_of(r) == "Patient").collect();
        all.sort_by_key(|r| element::target_of(r));
        let rows: Vec<Row> = list["entry"].items().iter().map(Row::read).collect();
        let named = |r: &Json| {
            let at = element::target_of(r).map(|t| t.to_string());
            rows.iter().flat_map(|row| &row.sources).any(|s| Some(&s.reference) == at.as_ref())
        };
        let of = |rtype: &'static str| all.iter().copied().filter(move |r| type_of(r) == rtype);
        let is_active = |r: &&Json| {
            let status = |n: &str| r[n]["coding"][0]["code"].text().to_string();
            !matches!(status("verificationStatus").as_str(), "entered-in-error" | "refuted")
                && !matches!(status("clinicalStatus").as_str(), "inactive" | "resolved" | "remission")
        };
        let episode = own_identifier(&list, "list").map(str::to_string).unwrap_or_default();
        let of_episode = |t: &&Json| {
            own_identifier(t, "task").is_some()
                && element::leads_to(&t["encounter"], base) == element::target_of(&encounter)
                && !matches!(t["status"].text(), "cancelled" | "entered-in-error")
        };
        let step = |t: &Json| Step {
            due: t["restriction"]["period"]["end"].text().into(),
            what: words(&t["code"]),
            status: t["status"].text().into(),
            reference: element::target_of(t).map(|t| t.to_string()).unwrap_or_default(),
        };
        let mut plan: Vec<Step> = of("Task").filter(of_episode).map(step).collect();
        plan.sort();
        let composition = of("Composition").find(|c| own_identifier(c, "report") == Some(episode.as_str()));
        let composition = composition.cloned().unwrap_or_default();
        let signature = signature(&composition, &list);
        Self {
            patient: of("Patient").find(|p| element::target_of(p) == patient).cloned().unwrap_or_default(),
            allergies: of("AllergyIntolerance").filter(is_active).cloned().collect(),
            problems: of("Condition").filter(is_active).cloned().collect(),
            medication: all
                .iter()
                .copied()
                .filter(|r| type_of(r).starts_with("Medication") && named(r))
                .cloned()
                .collect(),
            plan,
            rows,
            composition,
            signature,
            is_limited: false,
            encounter,
            list,
        }
    }

    /// The patient's name for people.
    #[must_use]
    pub fn patient_name(&self) -> String {
        let names = self.patient["name"].items();
        let Some(name) = names.iter().find(|n| n["use"].text() == "official").or(names.first()) else {
            return "Name not known here".into();
        };
        if let Some(text) = name["text"].as_str() {
            return text.into();
        }
        let given: Vec<&str> = name["given"].items().iter().map(Json::text).collect();
        format!("{} {}", given.join(" "), name["family"].text()).trim().to_string()
    }

    /// `Type/id` of what the report is about.
    #[must_use]
    pub fn address(resource: &Json) -> Option<Target> {
        element::target_of(resource)
    }

    /// Medicines that the patient goes home with.
    pub fn taken(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| r.is_taken())
    }
}

/// Who attested, and whether the list still is what they saw.
fn signature(composition: &Json, list: &Json) -> Option<Signature> {
    let attester = composition["attester"].items().iter().find(|a| a["mode"].text() == "professional")?;
    let seen = element::extension(composition, "attested-list").map(|e| e["valueReference"]["reference"].text());
    let version = list["meta"]["versionId"].text();
    let is = format!("List/{}/_history/{version}", list["id"].text());
    Some(Signature {
        who: attester["party"]["reference"].text().into(),
        at: attester["time"].text().into(),
        is_current: document::is_attested(composition) && seen == Some(is.as_str()),
    })
}
