//! ConceptMaps: which codes of another system stand for a code.
//!
//! Source: <https://hl7.org/fhir/R4/conceptmap.html>, <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>.

use super::{Library, Made, Stop, Wanted, canonical, look};
use crate::fhir::Json;

/// Maps that lead to other maps (`unmapped.mode = other-map`) at most.
const MAX_MAPS: usize = 5;

/// What is to be translated.
#[derive(Debug, Clone, Default)]
pub struct Question<'a> {
    /// Code system; `None`: any.
    pub system: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// The system to come to; `None`: any.
    pub target_system: Option<&'a str>,
    /// From target to source.
    pub reverse: bool,
    /// What else is known: (element, value as code or text).
    pub dependencies: &'a [(String, String)],
}

/// One translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// `ConceptMap.group.element.target.equivalence`, turned round for a reverse one.
    pub equivalence: String,
    /// The Coding; empty for one that says that there is none.
    pub concept: Json,
    /// `target.product`, as in the map.
    pub products: Vec<Json>,
    /// URL of the map.
    pub source: String,
    /// The map lists the code; else it is what the map says of codes that it does not list.
    pub is_listed: bool,
}

impl Match {
    /// Whether it is a translation, and not the word that there is none.
    #[must_use]
    pub fn is_one(&self) -> bool {
        !matches!(self.equivalence.as_str(), "unmatched" | "disjoint") && self.concept.get("code").is_some()
    }
}

/// All translations that a map has.
///
/// # Errors
/// [`Stop::Wanted`] as long as the library lacks a map that it leads to; `Unknown` where that is not here, `Costly` where maps lead
/// to maps too often.
pub fn translate(map: &Json, question: &Question<'_>, library: &Library) -> Made<Vec<Match>> {
    in_map(map, question, library, 0)
}

fn in_map(map: &Json, question: &Question<'_>, library: &Library, depth: usize) -> Made<Vec<Match>> {
    let mut out = Vec::new();
    for group in map["group"].items() {
        let (source, target) = (group["source"].as_str(), group["target"].as_str());
        let (from, to) = if question.reverse { (target, source) } else { (source, target) };
        let is_same = |has: Option<&str>, want: Option<&str>| match (has, want) {
            (Some(has), Some(want)) => canonical(has).0 == canonical(want).0,
            _ => true,
        };
        if !is_same(from, question.system) || !is_same(to, question.target_system) {
            continue;
        }
        let before = out.len();
        let mut is_listed = false;
        for element in group["element"].items() {
            is_listed |= !question.reverse && element["code"].text() == question.code;
            for found in element["target"].items() {
                let fits =
                    if question.reverse { found["code"].text() } else { element["code"].text() } == question.code;
                if fits && depends(found, question.dependencies) {
                    let (coded, equivalence) =
                        (if question.reverse { element } else { found }, found["equivalence"].text());
                    out.push(Match {
                        equivalence: if question.reverse { turned(equivalence) } else { equivalence }.into(),
                        concept: coding(to, coded),
                        products: if question.reverse { Vec::new() } else { found["product"].items().to_vec() },
                        source: map["url"].text().into(),
                        is_listed: true,
                    });
                }
            }
        }
        if out.len() == before && !is_listed && !question.reverse {
            unmapped(map, group, question, library, depth, &mut out)?;
        }
    }
    Ok(out)
}

/// What a group says of codes that it does not list.
fn unmapped(
    map: &Json,
    group: &Json,
    question: &Question<'_>,
    library: &Library,
    depth: usize,
    out: &mut Vec<Match>,
) -> Made<()> {
    let rule = &group["unmapped"];
    let made = |equivalence: &str, coded: &Json| Match {
        equivalence: equivalence.into(),
        concept: coding(group["target"].as_str(), coded),
        products: Vec::new(),
        source: map["url"].text().into(),
        is_listed: false,
    };
    match rule["mode"].text() {
        // The same code in the target system.
        "provided" => {
            let mut same = Json::object();
            same.set("code", question.code);
            out.push(made("equal", &same));
        }
        "fixed" => out.push(made("inexact", rule)),
        "other-map" => {
            if depth >= MAX_MAPS {
                return Err(Stop::Costly(format!("maps lead to other maps more than {MAX_MAPS} times")));
            }
            let url = rule["url"].text();
            let other = look(library, Wanted::ConceptMap(url.into()))?
                .ok_or_else(|| Stop::Unknown(format!("the concept map {url} is not known here")))?;
            out.extend(in_map(other, question, library, depth + 1)?);
        }
        _ => {}
    }
    Ok(())
}

/// Whether all that a target depends on is said to be so.
fn depends(target: &Json, said: &[(String, String)]) -> bool {
    target["dependsOn"]
        .items()
        .iter()
        .all(|on| said.iter().any(|(element, value)| *element == on["property"].text() && *value == on["value"].text()))
}

fn coding(system: Option<&str>, coded: &Json) -> Json {
    let mut out = Json::object();
    let Some(code) = coded["code"].as_str() else { return out };
    if let Some(system) = system {
        out.set("system", canonical(system).0);
    }
    out.set("code", code);
    if let Some(display) = coded["display"].as_str() {
        out.set("display", display);
    }
    out
}

/// The equivalence seen from the other side.
fn turned(equivalence: &str) -> &str {
    match equivalence {
        "wider" => "narrower",
        "narrower" => "wider",
        "subsumes" => "specializes",
        "specializes" => "subsumes",
        same => same,
    }
}
