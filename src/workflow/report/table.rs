//! The sections of a report as tables: what the page, the PDF and the document's narrative all show.

use super::{Report, Row, words};
use crate::fhir::Json;
use crate::workflow::build::NONE_KNOWN;

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// For people.
    pub title: &'static str,
    /// (system, code).
    pub code: (&'static str, &'static str),
    /// Heads of the columns.
    pub heads: Vec<&'static str>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
    /// What to say when there is none.
    pub empty: &'static str,
    /// Resources that it is made of.
    pub entries: Vec<String>,
}

const LOINC: &str = "http://loinc.org";
/// LOINC's code of the discharge medicines.
pub(super) const DISCHARGE: &str = "10183-2";
const OWN: &str = "http://baton.example/fhir/CodeSystem/report-section";

/// The sections, in the order in which they are read at a counter.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let rows = &report.rows;
    let references = |rows: &mut dyn Iterator<Item = &Row>| -> Vec<String> {
        let mut out: Vec<String> = rows.flat_map(|r| r.sources.iter().map(|s| s.reference.clone())).collect();
        out.sort();
        out.dedup();
        out
    };
    let questions: Vec<&Row> = rows.iter().filter(|r| !r.is_settled).collect();
    let changes: Vec<&Row> = rows.iter().filter(|r| r.outcome != "unchanged").collect();
    let mut asked: Vec<Vec<String>> = questions.iter().map(|r| vec![r.name.clone(), question(r)]).collect();
    if let Some(signature) = report.signature.as_ref().filter(|s| !s.is_current) {
        let text = format!("has changed since {} attested it on {}", signature.who, signature.at);
        asked.insert(0, vec!["The list".into(), text]);
    }
    // That there are none is an answer, and no question.
    for note in report.list["note"].items().iter().filter(|n| n["text"].text() != NONE_KNOWN) {
        asked.insert(0, vec!["The list".into(), note["text"].text().into()]);
    }
    let list = |code: &str| -> (Vec<Vec<String>>, Vec<String>) {
        let mut cells = Vec::new();
        let mut references = Vec::new();
        for row in rows {
            for source in row.sources.iter().filter(|s| s.list == code && !s.is_ended) {
                let directions = if source.directions.is_empty() { "not said" } else { source.directions.as_str() };
                cells.push(vec![source.name.clone(), directions.to_string(), row.outcome_text.clone()]);
                references.push(source.reference.clone());
            }
        }
        cells.sort_by_key(|c| c.first().map(|n| n.to_lowercase()));
        (cells, references)
    };
    let medicines = |title, code, list_code: &str, empty| {
        let (rows, entries) = list(list_code);
        Section {
            title,
            code: (LOINC, code),
            heads: vec!["Medicine", "How it is taken", "What became of it"],
            rows,
            empty,
            entries,
        }
    };
    let at = |r: &Json| Report::address(r).map(|t| t.to_string());
    let allergy = |a: &Json| {
        let reactions = a["reaction"].items().iter().flat_map(|r| r["manifestation"].items()).map(words);
        vec![words(&a["code"]), a["criticality"].text().to_string(), reactions.collect::<Vec<_>>().join(", ")]
    };
    let no_discharge = if report.says_none() { NONE_KNOWN } else { "No discharge medicines are known here." };
    vec![
        Section {
            title: "Open questions",
            code: (OWN, "open-questions"),
            heads: vec!["Medicine", "What somebody should find out"],
            rows: asked,
            empty: "None.",
            entries: references(&mut questions.iter().copied()),
        },
        Section {
            title: "Changes and why",
            code: (OWN, "changes"),
            heads: vec!["Medicine", "What became of it", "From → to", "Why"],
            rows: changes
                .iter()
                .map(|r| vec![r.name.clone(), r.outcome_text.clone(), r.changed(), r.note.clone()])
                .collect(),
            empty: "Nothing changed.",
            entries: references(&mut changes.iter().copied()),
        },
        medicines("Medicines at discharge", DISCHARGE, "discharge", no_discharge),
        medicines("Medicines at home before the stay", "42346-7", "home", "No medicines at home are known here."),
        medicines("Medicines in the stay", "29549-3", "stay", "No medicines of the stay are known here."),
        medicines("As told since", "10160-0", "told", "Nothing has been told yet."),
        dispensed(report),
        Section {
            title: "Allergies and intolerances",
            code: (LOINC, "48765-2"),
            heads: vec!["What", "How serious", "What happened"],
            rows: report.allergies.iter().map(allergy).collect(),
            empty: "None are known here. That does not mean none.",
            entries: report.allergies.iter().filter_map(at).collect(),
        },
        Section {
            title: "Problems",
            code: (LOINC, "11450-4"),
            heads: vec!["What", "Since"],
            rows: report
                .problems
                .iter()
                .map(|c| vec![words(&c["code"]), day(c["onsetDateTime"].text()).to_string()])
                .collect(),
            empty: "None are known here.",
            entries: report.problems.iter().filter_map(at).collect(),
        },
        Section {
            title: "Follow-up plan",
            code: (LOINC, "18776-5"),
            heads: vec!["By", "What", "State"],
            rows: report
                .plan
                .iter()
                .map(|s| vec![time(&s.due).to_string(), s.what.clone(), s.status.clone()])
                .collect(),
            empty: "No follow-up is planned.",
            entries: report.plan.iter().map(|s| s.reference.clone()).collect(),
        },
    ]
}

/// What a pharmacy has handed out since, the last first: it shows what was not fetched, and what was fetched in place of it.
fn dispensed(report: &Report) -> Section {
    let mut found: Vec<(String, Vec<String>, String)> = Vec::new();
    for row in &report.rows {
        for source in row.sources.iter().filter(|s| s.list == "dispensed") {
            let at = |r: &&Json| Report::address(r).is_some_and(|t| t.to_string() == source.reference);
            let dispense = report.medication.iter().find(at);
            let when = dispense.map(handed_over).unwrap_or_default();
            let what = match (dispense, source.is_ended) {
                (Some(dispense), false) => given(dispense),
                (None, false) => "not said".into(),
                (_, true) => "not handed out".into(),
            };
            let cells = vec![source.name.clone(), what, row.outcome_text.clone()];
            found.push((when.to_string(), cells, source.reference.clone()));
        }
    }
    found.sort_by(|a, b| (&b.0, &a.1, &a.2).cmp(&(&a.0, &b.1, &b.2)));
    Section {
        title: "Handed out since",
        code: (OWN, "dispensed"),
        heads: vec!["Medicine", "When, how much, by whom", "What became of it"],
        rows: found.iter().map(|(_, cells, _)| cells.clone()).collect(),
        empty: "No pharmacy has said that it handed anything out.",
        entries: found.iter().map(|(.., reference)| reference.clone()).collect(),
    }
}

fn handed_over(dispense: &Json) -> &str {
    ["whenHandedOver", "whenPrepared"].iter().map(|n| dispense[*n].text()).find(|t| !t.is_empty()).unwrap_or_default()
}

/// `2026-11-26, 30 tablet, for 30 days, by Organization/elm-street`
fn given(dispense: &Json) -> String {
    let amount = |q: &Json| {
        let value = q["value"].as_number().map(str::to_string)?;
        Some(format!("{value} {}", q["unit"].text()).trim().to_string())
    };
    let actor = &dispense["performer"][0]["actor"];
    let by = [actor["display"].text(), actor["reference"].text()].into_iter().find(|t| !t.is_empty());
    let mut out = vec![day(handed_over(dispense)).to_string()];
    out.extend(amount(&dispense["quantity"]));
    out.extend(amount(&dispense["daysSupply"]).map(|days| format!("for {days}")));
    out.extend(by.map(|who| format!("by {who}")));
    out.retain(|t| !t.is_empty());
    if out.is_empty() { "not said".into() } else { out.join(", ") }
}

/// What to find out about a line.
fn question(row: &Row) -> String {
    let remarks = row.remarks.join("; ");
    let ask = match row.outcome.as_str() {
        "omitted-without-note" => "Taken at home, not on the discharge list, and no note says why: to be taken or not?",
        "duplicate" => "The same substance more than once: which one is meant?",
        "inpatient-only-continued" => "Begun in the stay: is it still needed?",
        "changed" => "Changed, and no note says why: is it meant?",
        "new" => "New, and no note says why: what is it for?",
        "stopped" => "Stopped, and no note says why: is it meant?",
        _ => "Unclear.",
    };
    if remarks.is_empty() { ask.to_string() } else { format!("{ask} ({remarks})") }
}

/// The day of a date or time.
pub fn day(text: &str) -> &str {
    text.get(..10).unwrap_or(text)
}

/// Day and minute, as stored.
pub fn time(text: &str) -> String {
    match text.get(..16) {
        Some(head) => format!("{}{}", head.replace('T', " "), if text.ends_with('Z') { " UTC" } else { "" }),
        None => text.to_string(),
    }
}
