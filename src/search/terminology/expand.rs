//! The members of a value set in order, with what is shown of them.
//!
//! Which codes belong to it is worked out by `value_set` of the parent; here they are put in the order in which the value set and
//! its code systems list them. A display or designation of the value set goes over that of the code system.
//! Source: <https://hl7.org/fhir/R4/valueset.html#expansion>.

use super::system::System;
use super::{Codes, Library, MAX_DEPTH, Made, Stop, Wanted, look, of_address, stored, value_set};
use crate::fhir::Json;
use std::collections::{BTreeMap, BTreeSet};

/// Members of one expansion at most (own limit); more is too costly.
pub const MAX_MEMBERS: usize = 10_000;

/// A code of a value set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Its code system.
    pub system: String,
    /// Version of the code system, where it is known.
    pub version: Option<String>,
    /// The code.
    pub code: String,
    /// For people.
    pub display: Option<String>,
    /// `designation` of the code system or the value set, as there.
    pub designations: Vec<Json>,
    /// Retired or inactive.
    pub is_inactive: bool,
    /// Not for use by itself.
    pub is_abstract: bool,
}

impl Member {
    /// The display in a language, where there is one; else the usual one.
    #[must_use]
    pub fn display_in(&self, language: Option<&str>) -> Option<&str> {
        let speaks = |d: &&Json| language.is_some_and(|want| is_language(d["language"].text(), want));
        let own = self.designations.iter().find(speaks).and_then(|d| d["value"].as_str());
        own.or(self.display.as_deref())
    }
}

/// Whether a language is the wanted one or a form of it: `de-CH` is `de`.
#[must_use]
pub fn is_language(has: &str, want: &str) -> bool {
    let (has, want) = (has.to_ascii_lowercase(), want.to_ascii_lowercase());
    has == want || has.strip_prefix(&want).is_some_and(|rest| rest.starts_with('-'))
}

/// All members of a value set, by canonical URL or `ValueSet/id`.
///
/// # Errors
/// As [`super::answer`]; `Costly` over [`MAX_MEMBERS`].
pub fn members(url: &str, library: &Library) -> Made<Vec<Member>> {
    let codes = value_set(url, library, &mut Vec::new())?;
    let mut found = Gathered { library, codes: &codes, seen: BTreeSet::new(), members: Vec::new() };
    found.set(url, 0)?;
    // What only an expansion in the resource lists, or an import that has no order of its own.
    for (system, code) in &codes.codes {
        found.push(system, code, None)?;
    }
    Ok(found.members)
}

struct Gathered<'a> {
    library: &'a Library,
    codes: &'a Codes,
    seen: BTreeSet<(String, String)>,
    members: Vec<Member>,
}

impl<'a> Gathered<'a> {
    fn set(&mut self, url: &str, depth: usize) -> Made<()> {
        let Some(set) = look(self.library, Wanted::ValueSet(url.into()))? else { return Ok(()) };
        if depth > MAX_DEPTH {
            return Err(Stop::Costly(format!("value sets are nested more than {MAX_DEPTH} deep")));
        }
        if set["compose"]["include"].items().is_empty() || stored(set).is_some_and(|s| s == *self.codes) {
            self.contains(&set["expansion"]["contains"], 0)?;
        }
        for part in set["compose"]["include"].items() {
            for url in part["valueSet"].items().iter().filter_map(Json::as_str) {
                self.set(url, depth + 1)?;
            }
            let Some(url) = part["system"].as_str() else { continue };
            for concept in part["concept"].items() {
                self.push(url, concept["code"].text(), Some(concept))?;
            }
            if part["concept"].items().is_empty() {
                self.system(&of_address(url, part["version"].as_str()), url)?;
            }
        }
        Ok(())
    }

    fn contains(&mut self, list: &'a Json, depth: usize) -> Made<()> {
        for item in list.items().iter().filter(|_| depth < 64) {
            if let Some(code) = item["code"].as_str().filter(|_| item["abstract"].as_bool() != Some(true)) {
                self.push(item["system"].text(), code, Some(item))?;
            }
            self.contains(&item["contains"], depth + 1)?;
        }
        Ok(())
    }

    /// The members of one system, in its order.
    fn system(&mut self, address: &str, url: &str) -> Made<()> {
        let system = System::read(address, self.library)?;
        for code in system.in_order() {
            if self.codes.has(url, code) {
                self.push(url, code, None)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, system: &str, code: &str, listed: Option<&Json>) -> Made<()> {
        if !self.codes.has(system, code) || !self.seen.insert((system.into(), code.into())) {
            return Ok(());
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(Stop::Costly(format!(
                "it has more than {MAX_MEMBERS} members; narrow it by a filter of its own"
            )));
        }
        self.members.push(Member { system: system.into(), code: code.into(), ..Member::default() });
        if let (Some(listed), Some(member)) = (listed, self.members.last_mut()) {
            member.display = listed["display"].as_str().map(Into::into);
            member.designations = listed["designation"].items().to_vec();
            member.version = listed["version"].as_str().map(Into::into);
            member.is_inactive = listed["inactive"].as_bool() == Some(true);
        }
        Ok(())
    }
}

/// Fills in what the code systems say of members, where they are here.
///
/// # Errors
/// [`Stop::Wanted`] as long as the library lacks a code system.
pub fn describe(members: &mut [Member], library: &Library) -> Made<()> {
    let mut systems: BTreeMap<String, Option<System<'_>>> = BTreeMap::new();
    for member in members {
        if !systems.contains_key(&member.system) {
            let read = match System::read(&member.system, library) {
                Ok(system) => Some(system),
                Err(Stop::Unknown(_)) => None,
                Err(stop) => return Err(stop),
            };
            systems.insert(member.system.clone(), read);
        }
        let Some(system) = systems.get(&member.system).and_then(Option::as_ref) else { continue };
        let Ok(at) = system.find(&member.code) else { continue };
        let Some(concept) = system.json(at) else { continue };
        member.version = member.version.take().or_else(|| system.version().map(Into::into));
        member.display = member.display.take().or_else(|| concept["display"].as_str().map(Into::into));
        let known: Vec<Json> =
            concept["designation"].items().iter().filter(|d| !member.designations.contains(d)).cloned().collect();
        member.designations.extend(known);
        member.is_inactive |= system.is_inactive(at);
        member.is_abstract |= system.is_abstract(at);
    }
    Ok(())
}

/// The member of one code, with what the value set itself says of it.
///
/// # Errors
/// As [`super::answer`].
pub fn listed(url: &str, system: &str, code: &str, library: &Library) -> Made<Vec<Member>> {
    let codes = Codes { codes: BTreeSet::from([(system.to_owned(), code.to_owned())]), systems: BTreeSet::new() };
    let mut found = Gathered { library, codes: &codes, seen: BTreeSet::new(), members: Vec::new() };
    match found.set(url, 0) {
        // Where a code system is not here, the code alone is what there is to say.
        Ok(()) | Err(Stop::Unknown(_)) => {}
        Err(stop) => return Err(stop),
    }
    found.push(system, code, None)?;
    Ok(found.members)
}
