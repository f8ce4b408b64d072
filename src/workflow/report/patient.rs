//! The patient's own list: plain words, large type, one medicine a line, a grid of the day.
//!
//! Wording is data: `profiles/medicine/patient-words.json`, a CodeSystem whose designations are other languages, and
//! `patient-directions.json` for directions (`wording.rs`). What a language has no words for stands in English, marked.
//! The grid is filled where the directions name the time of day, or two, three or four times a day (own rule: morning and
//! evening; morning, noon, evening; all four). "Once a day" alone names no time: the directions stand as they are.

use super::page::{escaped, page};
use super::wording::Wording;
use super::{Report, Row, Source};
use crate::fhir::Json;
use crate::workflow::Programme;
use crate::workflow::element::{self, target_of};
use crate::workflow::medicine::dosage::Direction;
use crate::workflow::medicine::{Decimal, Regimen, read};
use serde_json::json;

const STYLE: &str = "\
body{font:22px/1.35 system-ui,'Segoe UI',Roboto,Arial,sans-serif;color:#000;background:#fff;margin:0 auto;max-width:60rem;padding:1rem}\
h1{font-size:2rem;margin:0}h2{font-size:1.5rem;margin:1.6rem 0 .4rem}p{margin:.4rem 0}ul{padding-left:1.2em}\
table{border-collapse:collapse;width:100%}th,td{border:2px solid #000;padding:.4rem .5rem;text-align:left;vertical-align:top}\
th{background:#eee;font-size:1rem}td.t,th.t{text-align:center;width:11%;font-weight:700}td small{display:block;font-size:.85em}\
td:first-child{font-weight:700}td small{font-weight:400}tr{break-inside:avoid}.stop{border:3px solid #a40000;padding:.2rem 1rem;break-inside:avoid}.stop h2{margin-top:.4rem;color:#a40000}\
@media(max-width:600px){body{font-size:20px;padding:.6rem}table,tbody,tr,td{display:block}thead{display:none}tr{border:2px solid #000;margin-bottom:.6rem}\
td{border:0;padding:.2rem .5rem}td.t{display:inline-block;width:auto;text-align:left;padding-right:.4rem}td.t:empty{display:none}td.t:before{content:attr(data-t) ': ';font-weight:400}}\
@media print{@page{margin:12mm}}";

/// The words of a language, English with a mark where it has none.
struct Words<'a> {
    system: Option<std::sync::Arc<Json>>,
    language: &'a str,
}

impl Words<'_> {
    fn say(&self, code: &str) -> String {
        let concepts = self.system.as_ref().map(|s| s["concept"].items()).unwrap_or_default();
        let Some(concept) = concepts.iter().find(|c| c["code"].text() == code) else { return code.into() };
        let other = concept["designation"].items().iter().find(|d| d["language"].text() == self.language);
        match other {
            Some(wording) => wording["value"].text().to_string(),
            None if self.language == "en" => concept["display"].text().to_string(),
            None => format!("[en] {}", concept["display"].text()),
        }
    }
}

/// The language to write in: the one asked for, else the patient's, else English.
#[must_use]
pub fn language(programme: &Programme, report: &Report, asked: Option<&str>) -> String {
    let url = element::system("patient-words");
    let system = programme.term("CodeSystem", &url, None);
    let concepts = system.as_ref().map(|s| s["concept"].items()).unwrap_or_default();
    let has = |tag: &str| {
        tag == "en" || concepts.iter().any(|c| c["designation"].items().iter().any(|d| d["language"].text() == tag))
    };
    let short = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let spoken = report.patient["communication"].items().iter().filter(|c| c["preferred"].as_bool() == Some(true));
    let spoken = spoken.map(|c| short(c["language"]["coding"][0]["code"].text()));
    let found = asked.map(short).into_iter().chain(spoken).find(|l| has(l));
    found.unwrap_or_else(|| "en".into())
}

/// Morning, noon, evening, night.
fn grid(direction: &Direction) -> [bool; 4] {
    let mut out = [false; 4];
    for when in &direction.when {
        let slot = match when.as_str() {
            "MORN" | "CM" | "ACM" | "PCM" | "WAKE" => Some(0),
            "NOON" | "CD" | "ACD" | "PCD" => Some(1),
            "EVE" | "AFT" | "CV" | "ACV" | "PCV" => Some(2),
            "NIGHT" | "HS" => Some(3),
            clock => match clock.get(..2).and_then(|h| h.parse::<u8>().ok()) {
                Some(4..=10) => Some(0),
                Some(11..=14) => Some(1),
                Some(15..=19) => Some(2),
                Some(_) => Some(3),
                None => None,
            },
        };
        if let Some(slot) = slot.and_then(|n: usize| out.get_mut(n)) {
            *slot = true;
        }
    }
    let daily = direction.frequency.as_ref().filter(|f| f.unit == "d" && f.period == Decimal::ONE);
    if let (true, Some(daily)) = (out == [false; 4] && !direction.is_needed, daily) {
        out = match daily.times.to_string().as_str() {
            "2" => [true, false, true, false],
            "3" => [true, true, true, false],
            "4" => [true; 4],
            _ => out,
        };
    }
    out
}

/// What the discharge prescribes of a line, the same words once.
fn discharged(row: &Row) -> impl Iterator<Item = &Source> {
    let of = |s: &&Source| s.list == "discharge" && !s.is_ended;
    let said = |s: &Source| (s.name.to_lowercase(), s.directions.clone());
    let all: Vec<&Source> = row.sources.iter().filter(of).collect();
    let is_first = |n: usize, s: &Source| !all.iter().take(n).any(|t| said(t) == said(s));
    let kept: Vec<&Source> = all.iter().enumerate().filter(|(n, s)| is_first(*n, s)).map(|(_, s)| *s).collect();
    kept.into_iter()
}

/// A medicine in plain words: its substances and strength, else its name.
fn plain_name(programme: &Programme, name: &str) -> String {
    let medicine = read(&programme.medicines, name).medicine;
    if medicine.ingredients.is_empty() {
        return name.to_string();
    }
    let names = medicine.substances().join(" + ");
    let strength = medicine.strength();
    let brand = medicine.brand.map(|b| format!(" ({b})")).unwrap_or_default();
    if strength.is_empty() || !medicine.parts.is_empty() {
        format!("{names}{brand}")
    } else {
        format!("{names} {strength}{brand}")
    }
}

/// Directions of a discharge source: of the resource where the caller sees it, else of its words.
fn regimen(programme: &Programme, report: &Report, source: &Source) -> Regimen {
    let found = report.medication.iter().find(|r| target_of(r).is_some_and(|t| t.to_string() == source.reference));
    let form = read(&programme.medicines, &source.name).medicine.form;
    let piece = form.and_then(|f| programme.medicines.form(&f).and_then(|f| f.piece.clone()));
    let words = Json::from(json!({"dosage": [{"text": source.directions}]}));
    Regimen::read(&programme.medicines, found.unwrap_or(&words), piece.as_deref())
}

/// The patient's list as a page.
#[must_use]
pub fn html(programme: &Programme, report: &Report, language: &str) -> String {
    let words = Words { system: programme.term("CodeSystem", &element::system("patient-words"), None), language };
    let say = |code: &str| escaped(&words.say(code));
    let directions = programme.term("CodeSystem", &element::system("patient-directions"), None);
    let wording = Wording::read(directions.as_deref(), language);
    // In the patient's language, or as written and said so.
    let told = |regimen: &Regimen| {
        let written = regimen.text();
        match (written.trim().is_empty(), language, wording.of(&written)) {
            (true, ..) => String::new(),
            (_, "en", _) => format!("<small>{}</small>", escaped(&written)),
            (.., Some(said)) => format!("<small>{}</small>", escaped(&said)),
            (.., None) => {
                format!("<small>{} <span lang=\"en\">{}</span></small>", say("as-written"), escaped(&written))
            }
        }
    };
    let mut out = format!("<h1>{}</h1><p><b>{}</b></p>", say("title"), escaped(&report.patient_name()));
    let times = ["morning", "noon", "evening", "night"];
    // Where nothing is known of before the stay, nothing is said to be new.
    let knows_home = report.rows.iter().any(|r| r.sources.iter().any(|s| s.list == "home"));
    if report.taken().next().is_none() {
        let code = if report.says_none() { "no-medicines" } else { "none" };
        out.push_str(&format!("<p>{}</p>", say(code)));
    } else {
        out.push_str(&format!("<p>{}</p><table><thead><tr><th>{}</th>", say("take"), say("medicine")));
        for time in times {
            out.push_str(&format!("<th class=\"t\">{}</th>", say(time)));
        }
        out.push_str("</tr></thead><tbody>");
        // A line with the same substance twice is two lines here: the patient has both at home.
        for (row, source) in report.taken().flat_map(|r| discharged(r).map(move |s| (r, s))) {
            let regimen = regimen(programme, report, source);
            let mut cells = [(); 4].map(|()| String::new());
            for direction in &regimen.directions {
                let amount = direction.quantity.as_ref().map_or_else(|| "✓".into(), |q| q.value.to_string());
                for (cell, is_taken) in cells.iter_mut().zip(grid(direction)) {
                    if is_taken {
                        cell.push_str(&amount);
                    }
                }
            }
            let needed = regimen.directions.iter().any(|d| d.is_needed);
            let mut below: Vec<String> = Vec::new();
            below.extend(needed.then(|| words.say("needed")));
            below.extend((row.outcome == "new" && knows_home).then(|| words.say("new")));
            below.extend((row.outcome == "changed").then(|| words.say("changed")));
            below.extend(
                (!row.is_settled && !matches!(row.outcome.as_str(), "new" | "changed")).then(|| words.say("ask")),
            );
            below.retain(|t| !t.trim().is_empty());
            let small =
                told(&regimen) + &below.iter().map(|t| format!("<small>{}</small>", escaped(t))).collect::<String>();
            out.push_str(&format!("<tr><td>{}{small}</td>", escaped(&plain_name(programme, &source.name))));
            for (cell, time) in cells.iter().zip(times) {
                out.push_str(&format!("<td class=\"t\" data-t=\"{}\">{}</td>", say(time), escaped(cell)));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table>");
    }
    let list = |title: &str, rows: &mut dyn Iterator<Item = &Row>, class: &str| {
        let items: String = rows.map(|r| format!("<li>{}</li>", escaped(&plain_name(programme, &r.name)))).collect();
        if items.is_empty() {
            String::new()
        } else {
            format!("<div class=\"{class}\"><h2>{}</h2><ul>{items}</ul></div>", say(title))
        }
    };
    let from_home = |r: &&Row| r.sources.iter().any(|s| s.list == "home" || s.is_ended);
    out.push_str(&list(
        "stopped",
        &mut report.rows.iter().filter(|r| r.outcome == "stopped").filter(from_home),
        "stop",
    ));
    let open = |r: &&Row| !r.is_taken() && matches!(r.outcome.as_str(), "omitted-without-note" | "unclear");
    out.push_str(&list("ask-about", &mut report.rows.iter().filter(open), "ask"));
    out.push_str(&format!("<p>{}</p><p>{}</p>", say("call"), say("emergency")));
    page(language, &words.say("title"), STYLE, &out)
}
