//! A form with what is known filled in: one repetition of the medicines' group for each line of the reconciled list.
//!
//! Pure. Source: `Questionnaire/$populate`, as in Structured Data Capture; own rules in `profiles/questionnaire/README.md`.

use super::mark;
use crate::clock::Instant;
use crate::fhir::Json;
use crate::workflow::element;
use serde_json::{Value, json};

/// For whom a form is filled in, and by whom.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `Patient/id`.
    pub patient: String,
    /// `Encounter/id`.
    pub encounter: Option<String>,
    /// `Practitioner/id`.
    pub author: Option<String>,
}

/// Outcomes of reconciliation after which the question is whether the medicine is still taken.
const GONE: [&str; 2] = ["stopped", "omitted-without-note"];

/// The response, in progress. `list`: the working list of the stay; without it groups of medicines are empty.
#[must_use]
pub fn populate(form: &Json, asked: &Asked, list: Option<&Json>, now: Instant) -> Json {
    let canonical = format!("{}|{}", form["url"].text(), form["version"].text());
    let mut response = json!({
        "resourceType": "QuestionnaireResponse",
        "questionnaire": canonical,
        "status": "in-progress",
        "subject": {"reference": asked.patient},
    });
    if let Some(encounter) = &asked.encounter {
        response["encounter"] = json!({"reference": encounter});
    }
    response["authored"] = json!(now.to_seconds_text());
    if let Some(author) = &asked.author {
        response["author"] = json!({"reference": author});
    }
    let mut response = Json::from(response);
    let entries = list.map_or(&[][..], |l| l["entry"].items());
    for group in form["item"].items().iter().filter(|i| names_medicines(i)) {
        let asks_still = group["item"].items().iter().any(|i| mark(i, "element") == "still");
        let is_here = |entry: &&Json| {
            let outcome = element::own_code(&entry["flag"], "reconcile-outcome").unwrap_or_default();
            GONE.contains(&outcome) == asks_still
        };
        for entry in entries.iter().filter(is_here) {
            response.push("item", line(group, entry));
        }
    }
    response
}

/// Whether a group asks about the medicines of the list: it has a place for the resource.
fn names_medicines(group: &Json) -> bool {
    group["repeats"].as_bool() == Some(true) && group["item"].items().iter().any(|i| mark(i, "element") == "resource")
}

fn line(group: &Json, entry: &Json) -> Json {
    let lines = element::extension(entry, "reconciled-line");
    let source = lines.and_then(|l| l["extension"].items().iter().find(|e| e["url"].text() == "source"));
    let said = |name: &str| {
        let part = source.and_then(|s| s["extension"].items().iter().find(|e| e["url"].text() == name));
        part.map_or(&Json::Null, |p| if name == "item" { &p["valueReference"] } else { &p["valueString"] })
    };
    let item = if entry["item"].is_null() { said("item") } else { &entry["item"] };
    let name =
        [item["display"].text(), said("item")["display"].text(), said("medicine").text(), "a medicine without a name"];
    let name = name.into_iter().find(|n| !n.is_empty()).unwrap_or_default();
    let mut out = Json::from(json!({"linkId": group["linkId"].text(), "text": name}));
    for question in group["item"].items() {
        let value: Option<Value> = match mark(question, "element") {
            "name" => Some(json!({"valueString": name})),
            "resource" => item["reference"].as_str().map(|r| json!({"valueReference": {"reference": r}})),
            "directions" => said("directions").as_str().map(|d| json!({"valueString": d})),
            _ => None,
        };
        if let Some(value) = value {
            let filled =
                json!({"linkId": question["linkId"].text(), "text": question["text"].text(), "answer": [value]});
            out.push("item", Json::from(filled));
        }
    }
    out
}
