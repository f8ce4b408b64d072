//! Conditions on the patient: allergies, and kidneys.
//!
//! Source: Cockcroft and Gault's formula, a fact: (140 - age) × weight / (72 × creatinine), × 0.85 for a woman; creatinine in
//! mg/dL, weight in kg. What is not known is named, never guessed.

use super::{Facts, Hit, Rules};
use crate::clock::Instant;
use crate::fhir::{Json, Target};
use crate::workflow::element;
use crate::workflow::medicine::Line;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// An allergy that counts.
struct Allergy<'a> {
    at: &'a Target,
    /// Substances that it names.
    substances: BTreeSet<String>,
    /// All that it says, as written.
    texts: Vec<String>,
    is_severe: bool,
}

fn recorded<'a>(facts: &'a Facts<'_>) -> Vec<Allergy<'a>> {
    let has = |element: &Json, codes: &[&str]| element::codings(element).iter().any(|(_, c)| codes.contains(c));
    let mut out = Vec::new();
    for (at, allergy) in facts.of_type("AllergyIntolerance") {
        if has(&allergy["clinicalStatus"], &["inactive", "resolved"])
            || has(&allergy["verificationStatus"], &["refuted", "entered-in-error"])
        {
            continue;
        }
        let concepts =
            std::iter::once(&allergy["code"]).chain(allergy["reaction"].items().iter().map(|r| &r["substance"]));
        let (mut substances, mut texts) = (BTreeSet::new(), Vec::new());
        for concept in concepts {
            let mut as_medicine = Json::object();
            as_medicine.set("medicationCodeableConcept", concept.clone());
            let line = Line::of(facts.tables, &as_medicine, None);
            substances.extend(line.medicine.substances().iter().map(|s| (*s).to_string()));
            texts.extend(concept["text"].as_str().map(String::from));
            texts.extend(concept["coding"].items().iter().filter_map(|c| c["display"].as_str()).map(String::from));
        }
        // `Penicillin G allergy`, `Allergy to sulfonamides`: what is left is the name.
        let bare = texts.iter().map(|t| {
            let lower = t.to_lowercase();
            let bare = lower.trim_start_matches("allergy to ").trim_end_matches(" allergy");
            bare.trim_end_matches("(substance)").trim().to_string()
        });
        let bare: Vec<String> = bare.collect();
        substances.extend(bare.iter().cloned());
        texts.extend(bare);
        let is_severe = allergy["criticality"].text() == "high"
            || allergy["reaction"].items().iter().any(|r| r["severity"].text() == "severe");
        out.push(Allergy { at, substances, texts, is_severe });
    }
    out
}

/// Medicines that an allergy is on record against: the substance itself, or one of its class.
pub fn allergies(rules: &Rules, facts: &Facts<'_>, by_class: bool) -> Vec<Hit> {
    let recorded = recorded(facts);
    let mut out = Vec::new();
    for source in facts.current() {
        let substances = source.line.medicine.substances();
        for allergy in &recorded {
            let named = |name: &str| allergy.texts.iter().any(|t| t.eq_ignore_ascii_case(name));
            let matched = if by_class {
                let mut classes = rules.classes.of_kind("allergy");
                let class = classes.find(|(_, c)| {
                    let allergic =
                        allergy.texts.iter().any(|t| c.is_called(t)) || allergy.substances.iter().any(|s| c.holds(s));
                    allergic && substances.iter().any(|s| c.holds(s))
                });
                let what = allergy.texts.first().cloned().unwrap_or_default();
                class.map(|(_, c)| (what, c.display.clone()))
            } else {
                let same = substances.iter().find(|s| allergy.substances.contains(**s) || named(s));
                same.map(|s| ((*s).to_string(), String::new()))
            };
            if let Some((what, class)) = matched {
                let mut hit = Hit::of(source).says("allergy", what).says("class", class);
                hit.evidence.insert(allergy.at.clone());
                hit.is_severe = allergy.is_severe;
                out.push(hit);
            }
        }
    }
    out
}

/// LOINC codes of creatinine in blood.
const CREATININE: [&str; 4] = ["2160-0", "38483-4", "14682-9", "77140-2"];
/// LOINC codes of the body's weight.
const WEIGHT: [&str; 3] = ["29463-7", "3141-9", "8341-0"];

/// Whether an Observation is one that screening looks at.
#[must_use]
pub fn is_measure(observation: &Json) -> bool {
    let codes = element::codings(&observation["code"]);
    codes.iter().any(|(_, c)| CREATININE.contains(c) || WEIGHT.contains(c))
}

struct Measure<'a> {
    at: &'a Target,
    value: f64,
}

/// The newest value of one of these codes, not older than `days`, in a unit that is known.
fn measure<'a>(facts: &'a Facts<'_>, codes: &[&str], days: i64, units: &[(&str, f64)]) -> Option<Measure<'a>> {
    let since = facts.now.plus_seconds(-days * 86_400);
    let mut found: Vec<(Instant, Measure<'a>)> = Vec::new();
    for (at, observation) in facts.of_type("Observation") {
        let is_it = element::codings(&observation["code"]).iter().any(|(_, c)| codes.contains(c));
        let counts = matches!(observation["status"].text(), "final" | "amended" | "corrected" | "preliminary");
        let when = ["effectiveDateTime", "effectiveInstant", "issued"]
            .iter()
            .find_map(|n| element::latest(observation[*n].text(), &TimeZone::UTC));
        let quantity = &observation["valueQuantity"];
        let unit = quantity["code"].as_str().or(quantity["unit"].as_str()).unwrap_or_default();
        let times = units.iter().find(|(u, _)| *u == unit).map(|(_, times)| *times);
        let value = quantity["value"].as_number().and_then(|v| v.parse::<f64>().ok());
        if let (true, Some(when), Some(times), Some(value)) = (is_it && counts, when, times, value)
            && when >= since
            && value > 0.0
        {
            found.push((when, Measure { at, value: value * times }));
        }
    }
    found.sort_by(|a, b| (a.0, a.1.at).cmp(&(b.0, b.1.at)));
    found.pop().map(|(_, m)| m)
}

/// Whole years, by the calendar of UTC; `None` where the birth date is no whole day.
fn age(facts: &Facts<'_>) -> Option<i64> {
    let born: jiff::civil::Date = facts.patient["birthDate"].text().parse().ok()?;
    let today = facts.now.timestamp().to_zoned(TimeZone::UTC).date();
    let years = i64::from(today.year()) - i64::from(born.year());
    let had = (today.month(), today.day()) >= (born.month(), born.day());
    Some(if had { years } else { years - 1 })
}

/// Medicines that the kidneys may not bear. What could not be judged is added to `unjudged`.
pub fn kidneys(rules: &Rules, facts: &Facts<'_>, days: i64, unjudged: &mut BTreeSet<String>) -> Vec<Hit> {
    let current = facts.current();
    let rows = current.iter().flat_map(|s| {
        let substances = s.line.medicine.substances();
        substances.into_iter().filter_map(|n| Some((*s, rules.classes.renal.get(n)?))).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Vec::new();
    }
    // 88.42 µmol/L are 1 mg/dL.
    let creatinine = measure(
        facts,
        &CREATININE,
        days,
        &[("mg/dL", 1.0), ("mg/dl", 1.0), ("umol/L", 1.0 / 88.42), ("µmol/L", 1.0 / 88.42)],
    );
    let weight = measure(facts, &WEIGHT, days, &[("kg", 1.0), ("g", 0.001), ("[lb_av]", 0.453_592), ("lb", 0.453_592)]);
    let factor = match facts.patient["gender"].text() {
        "female" => Some(0.85),
        "male" => Some(1.0),
        _ => None,
    };
    let (Some(creatinine), Some(weight), Some(factor), Some(age)) =
        (&creatinine, &weight, factor, age(facts).filter(|a| (18..140).contains(a)))
    else {
        let mut lacks = Vec::new();
        let known = [
            ("creatinine", creatinine.is_some()),
            ("weight", weight.is_some()),
            ("sex", factor.is_some()),
            ("birth date of an adult", age(facts).is_some_and(|a| (18..140).contains(&a))),
        ];
        lacks.extend(known.iter().filter(|(_, is)| !is).map(|(name, _)| *name));
        for (source, _) in rows {
            unjudged.insert(format!("{}: renal dose, not known: {}", source.line.name(), lacks.join(", ")));
        }
        return Vec::new();
    };
    #[allow(clippy::cast_precision_loss, reason = "an age is a small number")]
    let clearance = (140 - age) as f64 * weight.value / (72.0 * creatinine.value) * factor;
    let mut out = Vec::new();
    for (source, renal) in rows {
        #[allow(clippy::cast_precision_loss, reason = "at most 200")]
        if clearance < renal.below as f64 {
            let hit = Hit::of(source).says("value", format!("{clearance:.0}"));
            let mut hit = hit.says("limit", renal.below.to_string()).says("advice", renal.advice.clone());
            hit.evidence = [creatinine.at.clone(), weight.at.clone()].into();
            hit.severity = Some(renal.severity.clone());
            out.push(hit);
        }
    }
    out
}
