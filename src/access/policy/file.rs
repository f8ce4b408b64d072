//! From `profiles/policy/access.json` to the matrix.
//!
//! In a role's row a group comes first, a smaller group goes over a bigger one, and a type named by itself over every group.
//! Not for: what the matrix decides (`policy.rs`).

use super::{Cell, Law, Policy, is_unbound};
use crate::access::Role;
use crate::access::redaction::{self, Redactions};
use crate::access::scope::Rights;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::fhir::resource::RESOURCE_TYPES;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The matrix that is built in.
pub(super) const BUILT_IN: &str = include_str!("../../../profiles/policy/access.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "letters")]
    _letters: String,
    groups: BTreeMap<String, Vec<String>>,
    roles: BTreeMap<String, BTreeMap<String, String>>,
    person_codes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    jurisdictions: BTreeMap<String, LawFile>,
    #[serde(default)]
    redactions: redaction::File,
    #[serde(default = "offered")]
    before_claim: BTreeMap<String, String>,
}

/// Who could claim a Task sees the Task.
fn offered() -> BTreeMap<String, String> {
    BTreeMap::from([(TASK.into(), "the one that is offered".into())])
}

const TASK: &str = "Task";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LawFile {
    title: String,
    country: Vec<String>,
    state: Vec<String>,
    #[serde(default)]
    roles: BTreeMap<String, BTreeMap<String, String>>,
}

impl Policy {
    /// The built-in matrix.
    ///
    /// # Errors
    /// `Fault`: a test reads the same text.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN).map_err(|e| Error::fault("the built-in access.json does not read").caused_by(e))
    }

    /// `DIR/policy/access.json` when it is there, else the built-in matrix.
    ///
    /// # Errors
    /// `Invalid` with one sentence that names the file and what is wrong in it.
    pub fn load(profiles: Option<&Path>) -> Result<Self> {
        let Some(path) = profiles.map(|d| d.join("policy/access.json")).filter(|p| p.is_file()) else {
            return Self::built_in();
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", path.display())).caused_by(e))?;
        Self::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
    }

    /// Reads and checks a matrix. In a role's row a group comes first and a type named by itself goes over it.
    ///
    /// # Errors
    /// `Invalid`: not JSON of that shape, a role, type, group or letter that does not exist, a role without a row.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File =
            serde_json::from_str(text).map_err(|e| Error::invalid(format!("not an access matrix: {e}")))?;
        for types in file.groups.values() {
            types.iter().try_for_each(|t| known_type(t).map(|_| ()))?;
        }
        let of_laws = file.jurisdictions.values().flat_map(|l| l.roles.keys());
        for name in file.roles.keys().chain(file.person_codes.keys()).chain(of_laws) {
            if Role::parse(name).is_none_or(is_unbound) {
                return Err(Error::invalid(format!("'{name}' is not a role of the matrix")));
            }
        }
        let mut roles = Vec::new();
        for (role, name) in Role::ALL.into_iter().filter(|(r, _)| !is_unbound(*r)) {
            let row = file.roles.get(name).ok_or_else(|| Error::invalid(format!("the role '{name}' has no row")))?;
            roles.push((role, cells(Vec::new(), row, &file.groups)?));
        }
        let mut laws = Vec::new();
        for (code, law) in file.jurisdictions {
            let mut rows = Vec::new();
            for (role, base) in &roles {
                if let Some(row) = law.roles.get(role.as_str()) {
                    let row = cells(base.clone(), row, &file.groups)
                        .map_err(|e| Error::invalid(format!("jurisdiction '{code}': {e}")))?;
                    rows.push((*role, row));
                }
            }
            let capitals = |words: &[String]| words.iter().map(|w| w.to_uppercase()).collect();
            let (countries, states) = (capitals(&law.country), capitals(&law.state));
            laws.push(Law { code, title: law.title, countries, states, roles: rows });
        }
        let codes = file.person_codes.into_iter().filter_map(|(n, c)| Some((Role::parse(&n)?, c))).collect();
        let redactions = Redactions::read(&file.redactions)?;
        if !file.before_claim.contains_key(TASK) {
            return Err(Error::invalid("before-claim: without Task nobody sees an offer, and nobody claims it"));
        }
        let before_claim = file.before_claim.into_iter().map(|(name, what)| {
            let rtype = ResourceType::parse(&name);
            rtype
                .map(|t| (t, what))
                .ok_or_else(|| Error::invalid(format!("before-claim: R4 has no resource type '{name}'")))
        });
        let before_claim = before_claim.collect::<Result<_>>()?;
        Ok(Self { roles, codes, laws, redactions, before_claim })
    }
}

fn known_type(name: &str) -> Result<usize> {
    RESOURCE_TYPES.binary_search(&name).map_err(|_| Error::invalid(format!("R4 has no resource type '{name}'")))
}

/// The cells of a row, over `base`.
fn cells(base: Vec<Cell>, row: &BTreeMap<String, String>, groups: &BTreeMap<String, Vec<String>>) -> Result<Vec<Cell>> {
    let mut cells = base;
    cells.resize(RESOURCE_TYPES.len(), Cell::default());
    let mut put = |name: &str, letters: &str| -> Result<()> {
        let at = known_type(name)?;
        if let Some(slot) = cells.get_mut(at) {
            *slot = read_cell(letters)?;
        }
        Ok(())
    };
    // A smaller group goes over a bigger one, a single type over every group: the order of the file does not matter.
    let mut named: Vec<(&Vec<String>, &String)> =
        row.iter().filter_map(|(n, letters)| Some((groups.get(n)?, letters))).collect();
    named.sort_by_key(|(types, _)| std::cmp::Reverse(types.len()));
    for (types, letters) in named {
        types.iter().try_for_each(|t| put(t, letters))?;
    }
    for (name, letters) in row.iter().filter(|(n, _)| !groups.contains_key(*n)) {
        put(name, letters)?;
    }
    Ok(cells)
}

fn read_cell(letters: &str) -> Result<Cell> {
    let mut cell = Cell::default();
    for letter in letters.chars() {
        let (right, is_shared) = match letter {
            'c' => (Rights::C, false),
            'r' => (Rights::R, false),
            'u' => (Rights::U, false),
            'U' => (Rights::U, true),
            'd' => (Rights::D, false),
            'D' => (Rights::D, true),
            's' => (Rights::S, false),
            other => return Err(Error::invalid(format!("'{other}' is not one of the letters c r u U d D s"))),
        };
        cell.own = cell.own.and(right);
        if is_shared {
            cell.shared = cell.shared.and(right);
        }
    }
    Ok(cell)
}
