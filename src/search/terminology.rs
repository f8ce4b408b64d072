//! Value sets and code systems, as far as `:in`, `:not-in`, `:above` and `:below` need them.
//!
//! For: the codes of a value set (lists, filters, imports, exclusions) and what a code subsumes, worked out of the
//! ValueSet and CodeSystem resources of this server. Not for: reading them (`interaction/search/terms.rs` does), or a
//! whole terminology service.
//!
//! An expansion asks for one resource after the other ([`Stop::Wanted`]) until it has all or cannot have them.
//! Source: <https://hl7.org/fhir/R4/valueset.html#compositions>, <https://hl7.org/fhir/R4/codesystem.html#hierarchy>.
//! Own rules: several `valueSet` of one include are intersected (R4 says both; R5 settled on that); without
//! `hierarchyMeaning` a hierarchy is is-a; a value set that cannot be worked out is read from its stored `expansion`.

pub mod expand;
mod spelling;
pub mod system;
pub mod translate;

use crate::fhir::{Json, Target};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use system::System;

/// Codes of one need at most (own limit: each is a key of the search).
pub const MAX_CODES: usize = 1_000;
/// Members of one List at most.
const MAX_MEMBERS: usize = 10_000;
/// Value sets inside value sets at most.
const MAX_DEPTH: usize = 16;

/// What a query cannot say by itself: it is in a resource of this server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// The codes of a value set, by its canonical URL or as `ValueSet/id`.
    ValueSet(String),
    /// A code and all that it subsumes.
    Below(String, String),
    /// A code and all that subsume it.
    Above(String, String),
    /// System and code: the code as it may be spelt, where its system does not tell cases apart.
    Spelled(String, String),
    /// The members of a List, by its id.
    List(String),
}

impl Need {
    /// Whether a search holds without it, as it was written.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        matches!(self, Self::Spelled(..))
    }
}

/// What a need turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Of a value set or a hierarchy.
    Codes(Codes),
    /// Of a List.
    Members(Vec<Target>),
}

/// Answers to needs.
pub type Terms = HashMap<Need, Result<Known, Stop>>;

/// A set of codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// Systems of which every code belongs to it.
    pub systems: BTreeSet<String>,
    /// System and code.
    pub codes: BTreeSet<(String, String)>,
}

/// A resource that an expansion reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// By canonical URL (with `|version` or without), or `ValueSet/id`.
    ValueSet(String),
    /// By canonical URL (with `|version` or without), or `CodeSystem/id`.
    CodeSystem(String),
    /// By canonical URL (with `|version` or without), or `ConceptMap/id`.
    ConceptMap(String),
    /// By id.
    List(String),
}

/// What was read; `None`: it is not on this server, or not for this caller.
pub type Library = HashMap<Wanted, Option<Arc<Json>>>;

/// Why there is no answer (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Read this and ask again.
    Wanted(Wanted),
    /// Something is not on this server.
    Unknown(String),
    /// Over a limit.
    Costly(String),
}

/// An answer, or why there is none yet.
pub type Made<T> = Result<T, Stop>;

/// Works out a need.
///
/// # Errors
/// [`Stop::Wanted`] as long as the library lacks something; the others are final.
pub fn answer(need: &Need, library: &Library) -> Made<Known> {
    let codes = match need {
        Need::ValueSet(url) => value_set(url, library, &mut Vec::new())?,
        Need::Below(system, code) | Need::Above(system, code) => {
            let found = System::read(system, library)?;
            let at = found.find(code)?;
            let all = if matches!(need, Need::Below(..)) { found.below(at) } else { found.above(at) };
            found.codes(all)
        }
        Need::Spelled(system, code) => spelling::spelled(system, code, library)?,
        Need::List(id) => return members(id, library).map(Known::Members),
    };
    if codes.codes.len() > MAX_CODES {
        return Err(Stop::Costly(format!(
            "it stands for {} codes; at most {MAX_CODES} are searched",
            codes.codes.len()
        )));
    }
    Ok(Known::Codes(codes))
}

/// Looks into the library.
fn look(library: &Library, wanted: Wanted) -> Made<Option<&Json>> {
    match library.get(&wanted) {
        Some(found) => Ok(found.as_deref()),
        None => Err(Stop::Wanted(wanted)),
    }
}

/// Members of a List that are resources of this server and not marked as deleted.
fn members(id: &str, library: &Library) -> Made<Vec<Target>> {
    let list =
        look(library, Wanted::List(id.into()))?.ok_or_else(|| Stop::Unknown(format!("List/{id} is not known here")))?;
    if list["entry"].items().len() > MAX_MEMBERS {
        return Err(Stop::Costly(format!("List/{id} has more than {MAX_MEMBERS} entries")));
    }
    let there = list["entry"].items().iter().filter(|e| e["deleted"].as_bool() != Some(true));
    // The reader of the library has made references to this server relative.
    Ok(there.filter_map(|e| Target::parse(e["item"]["reference"].text())).collect())
}

impl Codes {
    /// Whether a code belongs to it.
    #[must_use]
    pub fn has(&self, system: &str, code: &str) -> bool {
        self.systems.contains(system) || self.codes.contains(&(system.to_string(), code.to_string()))
    }

    fn add(&mut self, other: Self) {
        self.systems.extend(other.systems);
        self.codes.extend(other.codes);
    }

    fn and(&self, other: &Self) -> Self {
        let of = |a: &Self, b: &Self| a.codes.iter().filter(|(s, c)| b.has(s, c)).cloned().collect::<Vec<_>>();
        Self {
            systems: self.systems.intersection(&other.systems).cloned().collect(),
            codes: of(self, other).into_iter().chain(of(other, self)).collect(),
        }
    }

    /// Takes the others out. Codes out of a whole system need the system's list.
    fn without(mut self, other: &Self, library: &Library) -> Made<Self> {
        let wholes: Vec<String> = self.systems.iter().filter(|s| !other.systems.contains(*s)).cloned().collect();
        self.systems.clear();
        for system in wholes {
            if other.codes.iter().any(|(s, _)| *s == system) {
                let found = System::read(&system, library)?;
                self.codes.extend(found.codes(found.all()).codes);
            } else {
                self.systems.insert(system);
            }
        }
        self.codes.retain(|(s, c)| !other.has(s, c));
        Ok(self)
    }
}

/// `url` and `version` of a canonical.
pub fn canonical(text: &str) -> (&str, Option<&str>) {
    let text = text.split_once('#').map_or(text, |(url, _)| url);
    text.split_once('|').map_or((text, None), |(url, version)| (url, Some(version)))
}

/// A canonical URL with its version, where there is one.
#[must_use]
pub fn of_address(url: &str, version: Option<&str>) -> String {
    version.map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"))
}

/// The codes of a value set, by canonical URL or `ValueSet/id`.
///
/// # Errors
/// As [`answer`].
pub fn codes_of(url: &str, library: &Library) -> Made<Codes> {
    value_set(url, library, &mut Vec::new())
}

fn value_set(url: &str, library: &Library, inside: &mut Vec<String>) -> Made<Codes> {
    if inside.iter().any(|u| u == url) {
        return Err(Stop::Unknown(format!("the value set {url} contains itself")));
    }
    if inside.len() >= MAX_DEPTH {
        return Err(Stop::Costly(format!("value sets are nested more than {MAX_DEPTH} deep")));
    }
    let Some(found) = look(library, Wanted::ValueSet(url.into()))? else {
        return Err(Stop::Unknown(format!("the value set {url} is not known here")));
    };
    inside.push(url.into());
    let codes = composed(found, library, inside);
    inside.pop();
    match codes {
        Err(Stop::Unknown(why)) => stored(found).ok_or(Stop::Unknown(why)),
        other => other,
    }
}

/// The expansion that stands in the resource.
fn stored(set: &Json) -> Option<Codes> {
    fn walk(contains: &Json, out: &mut Codes, depth: usize) {
        for item in contains.items().iter().filter(|_| depth < 64) {
            if let Some(code) = item["code"].as_str().filter(|_| item["abstract"].as_bool() != Some(true)) {
                out.codes.insert((item["system"].text().into(), code.into()));
            }
            walk(&item["contains"], out, depth + 1);
        }
    }
    let contains = &set["expansion"]["contains"];
    let mut out = Codes::default();
    walk(contains, &mut out, 0);
    (!contains.items().is_empty()).then_some(out)
}

fn composed(set: &Json, library: &Library, inside: &mut Vec<String>) -> Made<Codes> {
    let compose = &set["compose"];
    if compose["include"].items().is_empty() {
        return Err(Stop::Unknown(format!("the value set {} says nowhere what is in it", set["url"].text())));
    }
    let mut parts = |name: &str| {
        compose[name].items().iter().try_fold(Codes::default(), |mut all, part| {
            all.add(included(part, library, inside)?);
            Ok(all)
        })
    };
    let (included, excluded) = (parts("include")?, parts("exclude")?);
    included.without(&excluded, library)
}

/// One `include` or `exclude`: all its conditions hold.
fn included(part: &Json, library: &Library, inside: &mut Vec<String>) -> Made<Codes> {
    let mut out: Option<Codes> = None;
    if let Some(url) = part["system"].as_str() {
        out = Some(of_system(part, url, library)?);
    }
    for url in part["valueSet"].items().iter().filter_map(Json::as_str) {
        let other = value_set(url, library, inside)?;
        out = Some(out.map_or_else(|| other.clone(), |mine| mine.and(&other)));
    }
    out.ok_or_else(|| Stop::Unknown("a part of the value set names neither a code system nor a value set".into()))
}

fn of_system(part: &Json, url: &str, library: &Library) -> Made<Codes> {
    let (concepts, filters) = (part["concept"].items(), part["filter"].items());
    let listed = concepts.iter().filter_map(|c| c["code"].as_str()).map(|code| (url.to_string(), code.to_string()));
    if filters.is_empty() && concepts.is_empty() {
        return Ok(Codes { systems: BTreeSet::from([url.to_string()]), codes: BTreeSet::new() });
    }
    if filters.is_empty() {
        return Ok(Codes { systems: BTreeSet::new(), codes: listed.collect() });
    }
    let system = System::read(&of_address(url, part["version"].as_str()), library)?;
    let mut all = system.all();
    for filter in filters {
        let fits = system.filter(filter["property"].text(), filter["op"].text(), filter["value"].text())?;
        all.retain(|at| fits.contains(at));
    }
    let mut found = system.codes(all);
    if !concepts.is_empty() {
        let listed = Codes { systems: BTreeSet::new(), codes: listed.collect() };
        found = found.and(&listed);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
