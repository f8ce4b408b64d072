//! The reconciled list as a List, and the Provenance that names what it was made of.
//!
//! Pure. One entry an outcome: the leading source is its `item`, all sources with their list stand in the extension
//! `reconciled-line`, the outcome in the flag.
//! Source: <https://hl7.org/fhir/R4/list.html>, <https://hl7.org/fhir/R4/provenance.html>; own extension, described in
//! `profiles/protocol/README.md`.

use super::{Addresses, identifier, record, references, resource};
use crate::access::Ctx;
use crate::fhir::{Json, Target};
use crate::workflow::Programme;
use crate::workflow::discharge::Stay;
use crate::workflow::element::{self, extension_url, system};
use crate::workflow::list::{Sent, WORKING};
use crate::workflow::reconcile::{Kind, Outcome, Reconciled, Source};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The note of a list where the hospital says that there are no medicines.
pub const NONE_KNOWN: &str = "The hospital says that the patient went home without medicines.";

/// The working medication list.
#[must_use]
pub fn list(programme: &Programme, at: &Addresses, stay: &Stay, patient: &Target, reconciled: &Reconciled) -> Json {
    let mut list = json!({
        "resourceType": "List",
        "identifier": [identifier("list", &at.list.id)],
        "status": "current",
        "mode": "working",
        "title": "Medicines around the stay, reconciled",
        "code": {"coding": [{"system": "http://loinc.org", "code": WORKING}], "text": "Medicines"},
        "subject": references(patient),
        "encounter": references(&stay.encounter),
    });
    if !stay.end_text.is_empty() {
        list["date"] = json!(stay.end_text);
    }
    match reconciled.sent {
        Sent::Some => {}
        Sent::NoneKnown => {
            list["note"] = json!([{"text": NONE_KNOWN}]);
        }
        Sent::Nothing => {
            list["note"] = json!([{"text": "The hospital has not said which medicines the patient went home with. That does not mean none."}]);
        }
    }
    if reconciled.outcomes.is_empty() {
        let reason = if reconciled.sent == Sent::NoneKnown { "nilknown" } else { "unavailable" };
        let system = "http://terminology.hl7.org/CodeSystem/list-empty-reason";
        list["emptyReason"] = json!({"coding": [{"system": system, "code": reason}]});
    } else {
        let entries = reconciled.outcomes.iter().map(|o| entry(programme, o, &reconciled.sources));
        list["entry"] = Value::Array(entries.collect());
    }
    resource(list)
}

fn entry(programme: &Programme, outcome: &Outcome, sources: &[Source]) -> Value {
    let of: Vec<&Source> = outcome.sources.iter().filter_map(|n| sources.get(*n)).collect();
    let mut parts: Vec<Value> = Vec::new();
    for source in &of {
        let mut said = vec![
            json!({"url": "item", "valueReference": {"reference": source.target.to_string(), "display": source.line.name()}}),
            json!({"url": "list", "valueCode": source.group.code()}),
            json!({"url": "why", "valueString": source.why}),
        ];
        if source.is_ended {
            said.push(json!({"url": "ended", "valueBoolean": true}));
        }
        let read = source.line.medicine.to_string();
        if !source.line.medicine.ingredients.is_empty() {
            said.push(json!({"url": "medicine", "valueString": read}));
        }
        let taken = source.line.regimen.text();
        if !taken.trim().is_empty() {
            said.push(json!({"url": "directions", "valueString": taken}));
        }
        parts.push(json!({"url": "source", "extension": said}));
    }
    for change in &outcome.changes {
        let text = |t: &str| if t.is_empty() { "not said".to_string() } else { t.to_string() };
        parts.push(json!({"url": "change", "extension": [
            {"url": "what", "valueString": change.what},
            {"url": "from", "valueString": text(&change.from)},
            {"url": "to", "valueString": text(&change.to)},
        ]}));
    }
    parts.extend(outcome.remarks.iter().map(|r| json!({"url": "remark", "valueString": r})));
    if !outcome.note.is_empty() {
        parts.push(json!({"url": "note", "valueString": outcome.note}));
    }
    parts.push(json!({"url": "settled", "valueBoolean": outcome.is_settled()}));
    let code = outcome.kind.code();
    let display = programme.concept("reconcile-outcome", code).map_or(code, |c| c.display.as_str());
    let mut codings = vec![json!({"system": system("reconcile-outcome"), "code": code, "display": display})];
    if let Some((code, display)) = outcome.kind.change_type() {
        codings.push(json!({"system": "urn:oid:1.2.36.1.2001.1001.101.104.16592", "code": code, "display": display}));
    }
    let mut entry = json!({
        "extension": [{"url": extension_url("reconciled-line"), "extension": parts}],
        "flag": {"coding": codings, "text": sentence(display, outcome)},
    });
    if let Some(lead) = of.first() {
        entry["item"] = json!({"reference": lead.target.to_string(), "display": outcome.name});
    }
    entry
}

/// `Goes on otherwise than before: dose 5 mg → 2.5 mg`.
fn sentence(display: &str, outcome: &Outcome) -> String {
    let changes = outcome.changes.iter().map(|c| format!("{} {} → {}", c.what, c.from, c.to));
    let said: Vec<String> = match outcome.kind {
        Kind::Changed => changes.collect(),
        _ => outcome.remarks.clone(),
    };
    if said.is_empty() { display.to_string() } else { format!("{display}: {}", said.join("; ")) }
}

/// What a new version of the list says otherwise than the one before, in sentences.
#[must_use]
pub fn news(before: &Json, after: &Json) -> Vec<String> {
    type Lines = BTreeMap<String, (String, String)>;
    // By source: what it is called, what became of it.
    let lines = |list: &Json| -> Lines {
        let mut out = Lines::new();
        for entry in list["entry"].items() {
            let said = (entry["item"]["display"].text().to_string(), entry["flag"]["text"].text().to_string());
            for source in sources(entry) {
                out.insert(source["valueReference"]["reference"].text().to_string(), said.clone());
            }
        }
        out
    };
    let (was, is) = (lines(before), lines(after));
    let mut out: Vec<String> = Vec::new();
    for (source, (name, now)) in &is {
        match was.get(source) {
            None => out.push(format!("{name}: new on the lists. {now}")),
            Some((_, then)) if then != now => out.push(format!("{name}: {then} → {now}")),
            _ => {}
        }
    }
    let gone = was.iter().filter(|(source, _)| !is.contains_key(*source));
    out.extend(gone.map(|(_, (name, _))| format!("{name}: no longer on the lists")));
    out.sort();
    out.dedup();
    out
}

/// The references to the sources of an entry, as parts of its extension.
pub fn sources(entry: &Json) -> impl Iterator<Item = &Json> {
    let line = element::extension(entry, "reconciled-line").map(|e| e["extension"].items()).unwrap_or_default();
    let sources = line.iter().filter(|e| e["url"].text() == "source");
    sources.flat_map(|s| s["extension"].items()).filter(|e| e["url"].text() == "item")
}

/// Who made the list out of what, and what it says otherwise than before.
#[must_use]
pub fn reconciliation(
    ctx: &Ctx,
    programme: &Programme,
    list: &Target,
    reconciled: &Reconciled,
    news: &[String],
) -> Json {
    let mut out = json!({
        "resourceType": "Provenance",
        "target": [references(list)],
        "recorded": ctx.now.to_seconds_text(),
        "activity": Value::Null,
        "agent": [record::agent(ctx)],
    });
    let news: Vec<Value> =
        news.iter().map(|n| json!({"url": extension_url("list-change"), "valueString": n})).collect();
    if !news.is_empty() {
        out["extension"] = Value::Array(news);
    }
    let mut sources: Vec<String> = reconciled.sources.iter().map(|s| s.target.to_string()).collect();
    sources.sort();
    if !sources.is_empty() {
        let entity = |s: &String| json!({"role": "source", "what": {"reference": s}});
        out["entity"] = Value::Array(sources.iter().map(entity).collect());
    }
    let mut out = resource(out);
    out.set("activity", programme.coded("provenance-activity", "reconcile"));
    out
}
