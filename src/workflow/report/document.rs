//! The report as a FHIR document: a Composition with narrative, and what it refers to.
//!
//! Source: <https://hl7.org/fhir/R4/documents.html>, <https://hl7.org/fhir/R4/composition.html>.

use super::page::{escaped, facts, table};
use super::table::DISCHARGE;
use super::{Report, sections};
use crate::access::Ctx;
use crate::fhir::{Json, Target, meta};
use crate::workflow::Programme;
use crate::workflow::element::{self, extension_url, sid};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where the Composition of a working List is.
#[must_use]
pub fn address(programme: &Programme, list: &str) -> Target {
    Target::new(crate::fhir::resource::known("Composition"), programme.id(&["report", list]))
}

fn narrative(content: &str) -> Value {
    json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{content}</div>")})
}

/// The Composition, by who prepared the stored one; else by Baton.
///
/// Attested where the stored one is, and the list still what was attested.
#[must_use]
pub fn composition(programme: &Programme, report: &Report) -> Json {
    let list = report.list["id"].text();
    let at = address(programme, list);
    let stored = &report.composition;
    let is_signed = report.signature.as_ref().is_some_and(|s| s.is_current);
    let updated = [report.list["meta"]["lastUpdated"].text(), report.encounter["period"]["end"].text()];
    let date = [stored["date"].text()].into_iter().chain(updated).find(|d| !d.is_empty()).unwrap_or("1970-01-01");
    let heads: String = facts(report).iter().map(|(n, v)| format!("<p>{}: {}</p>", escaped(n), escaped(v))).collect();
    let author = stored["author"][0]["reference"].as_str();
    let mut out = json!({
        "resourceType": "Composition",
        "id": at.id,
        "text": narrative(&heads),
        "identifier": {"system": sid("report"), "value": list},
        "status": if is_signed { stored["status"].text() } else { "preliminary" },
        "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5", "display": "Discharge summary"}],
            "text": "Medicines after a hospital stay"},
        "subject": {"reference": report.encounter["subject"]["reference"].text()},
        "encounter": {"reference": format!("Encounter/{}", report.encounter["id"].text())},
        "date": date,
        "author": [author.map_or_else(|| json!({"display": "Baton"}), |a| json!({"reference": a}))],
        "title": "Medicines after a hospital stay",
    });
    if let Some(signature) = report.signature.as_ref().filter(|s| s.is_current) {
        out["attester"] =
            json!([{"mode": "professional", "time": signature.at, "party": {"reference": signature.who}}]);
    }
    let known: BTreeSet<String> =
        parts(report).iter().filter_map(|r| Report::address(r)).map(|t| t.to_string()).collect();
    let section = |s: &super::Section| {
        let mut out = json!({
            "title": s.title,
            "code": {"coding": [{"system": s.code.0, "code": s.code.1}]},
            "text": narrative(&table(s)),
        });
        let entries: Vec<Value> =
            s.entries.iter().filter(|e| known.contains(*e)).map(|e| json!({"reference": e})).collect();
        if !entries.is_empty() {
            out["entry"] = Value::Array(entries);
        } else if s.rows.is_empty() {
            let system = "http://terminology.hl7.org/CodeSystem/list-empty-reason";
            let says_none = s.code.1 == DISCHARGE && report.says_none();
            let code = if says_none { "nilknown" } else { "unavailable" };
            out["emptyReason"] = json!({"coding": [{"system": system, "code": code}]});
        }
        out
    };
    out["section"] = Value::Array(sections(report).iter().map(section).collect());
    out.into()
}

/// The Composition as the caller leaves it: prepared, or attested.
#[must_use]
pub fn prepared(ctx: &Ctx, programme: &Programme, report: &Report, attests: bool) -> Json {
    let mut report = report.clone();
    report.signature = None;
    let mut out = composition(programme, &report);
    let now = ctx.now.to_seconds_text();
    let who = ctx.principal.practitioner.clone().or_else(|| ctx.principal.organization());
    out.set("date", now.as_str());
    if let Some(who) = &who {
        out.set("author", Json::from(json!([{"reference": who}])));
    }
    let version = report.list["meta"]["versionId"].text();
    let seen = format!("List/{}/_history/{version}", report.list["id"].text());
    out.set(
        "extension",
        Json::from(json!([{"url": extension_url("attested-list"), "valueReference": {"reference": seen}}])),
    );
    if attests {
        out.set("status", "final");
        let mut attester = json!({"mode": "professional", "time": now});
        if let Some(who) = &who {
            attester["party"] = json!({"reference": who});
        }
        out.set("attester", Json::from(json!([attester])));
    }
    out
}

/// Whether a stored Composition is attested: final, or amended by a later attestation.
#[must_use]
pub fn is_attested(composition: &Json) -> bool {
    matches!(composition["status"].text(), "final" | "amended")
}

/// Whether two Compositions say that the same person attested the same list.
#[must_use]
pub fn attests_the_same(a: &Json, b: &Json) -> bool {
    let what = |c: &Json| {
        let list = element::extension(c, "attested-list").map(|e| e["valueReference"]["reference"].text().to_owned());
        (list, c["attester"][0]["party"]["reference"].text().to_owned())
    };
    what(a) == what(b)
}

/// The act of reconciling, done by who attests.
/// Source: QI-Core's code for it, SNOMED CT 430193006.
#[must_use]
pub fn procedure(ctx: &Ctx, programme: &Programme, report: &Report) -> Json {
    let id = programme.id(&["attested", report.list["id"].text(), report.list["meta"]["versionId"].text()]);
    let mut out = json!({
        "resourceType": "Procedure",
        "id": id,
        "identifier": [{"system": sid("attested"), "value": id}],
        "status": "completed",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "430193006", "display": "Medication reconciliation (procedure)"}]},
        "subject": {"reference": report.encounter["subject"]["reference"].text()},
        "encounter": {"reference": format!("Encounter/{}", report.encounter["id"].text())},
        "performedDateTime": ctx.now.to_seconds_text(),
        "report": [{"reference": address(programme, report.list["id"].text()).to_string()}],
    });
    if let Some(who) = &ctx.principal.practitioner {
        out["performer"] = json!([{"actor": {"reference": who}}]);
    }
    out.into()
}

/// Resources of the report beside the Composition.
fn parts(report: &Report) -> Vec<&Json> {
    let mut out: Vec<&Json> = vec![&report.patient, &report.encounter, &report.list];
    out.extend(report.medication.iter().chain(&report.allergies).chain(&report.problems));
    out.retain(|r| element::target_of(r).is_some());
    out
}

/// The document.
#[must_use]
pub fn bundle(programme: &Programme, report: &Report) -> Json {
    let base = &programme.env.base;
    let composition = composition(programme, report);
    let entry = |r: &Json| {
        let at = element::target_of(r).map(|t| t.to_string()).unwrap_or_default();
        let mut entry = Json::object();
        entry.set("fullUrl", format!("{base}/{at}"));
        entry.set("resource", r.clone());
        entry
    };
    let list = report.list["id"].text();
    let version = report.list["meta"]["versionId"].as_str().unwrap_or("0");
    let updated = report.list["meta"]["lastUpdated"].as_str().filter(|u| !u.is_empty());
    let mut out = Json::from(json!({
        "resourceType": "Bundle",
        "identifier": {"system": sid("report"), "value": format!("{list}/{version}")},
        "type": "document",
    }));
    if report.is_limited {
        let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
        let label = json!({"system": system, "code": "REDACTED", "display": super::LIMITED});
        out.set("meta", Json::from(json!({"security": [label]})));
    }
    out.set("timestamp", updated.unwrap_or("1970-01-01T00:00:00Z"));
    let entries = std::iter::once(&composition).chain(parts(report)).map(entry);
    out.set("entry", Json::Array(entries.collect()));
    out
}

/// A resource without what the store wrote into it.
#[must_use]
pub fn bare(mut resource: Json) -> Json {
    meta::clear(&mut resource);
    resource
}
