//! Security labels that need clearance: which there are, what a resource has of them, and who is cleared for what.
//!
//! For: the number that each stored version has (`version.labels`), and what a caller is not cleared for
//! ([`super::Sieve::hidden`]). Both are sets of the labels' bits, so that the database compares two numbers.
//! Not for: what a label means; a label that is not in the file protects nothing.
//! Source: <https://hl7.org/fhir/R4/security-labels.html>; `profiles/policy/labels.json`; own rules.

use super::Role;
use super::limit::DIRECTORY;
use crate::error::{Error, Result};
use crate::fhir::bundle::{Link, each_reference};
use crate::fhir::{Json, Target};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const BUILT_IN: &str = include_str!("../../profiles/policy/labels.json");

/// Types that hold a case together. They would take the whole case along if each label of a part became theirs: they are as
/// protected as who and what stay they are about.
const CASES: [&str; 9] =
    ["Account", "CarePlan", "CareTeam", "Coverage", "Encounter", "EpisodeOfCare", "Group", "Patient", "Task"];

/// By these elements.
const ABOUT: [&str; 6] = ["beneficiary", "encounter", "focus", "for", "patient", "subject"];

/// Where the references lead by which a resource gets the labels of others: all, but of a case those that say whose it is; never
/// to the directory: what is everybody's has no labels, and an entry that somebody brought along has its own.
#[must_use]
pub fn passing(resource: &Json, base: &str) -> Vec<Target> {
    let rtype = resource["resourceType"].text();
    let is_case = CASES.contains(&rtype);
    let mut found = Vec::new();
    each_reference(resource, &mut |path, text| {
        let target = match Link::parse(text.split_once('#').map_or(text, |(before, _)| before)) {
            Link::Relative(target, _) => Some(target),
            Link::Absolute(url) => url.strip_prefix(base).and_then(|p| p.strip_prefix('/')).and_then(Target::parse),
            _ => None,
        };
        let Some(target) = target.filter(|t| !DIRECTORY.contains(&t.rtype.as_str())) else { return };
        if is_case {
            let place = path.to_string();
            // `Task.focus.reference`
            let element = place.split(['.', '[']).nth(1).unwrap_or_default();
            // The call about a list says nothing of what is on it.
            if !ABOUT.contains(&element) || target.rtype.as_str() == "List" {
                return;
            }
        }
        found.push(target);
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// Roles that may break the glass where the policy says so: persons who treat. Never patients, programs, or who has no clinical read.
const PERSONS: [Role; 3] = [Role::Technician, Role::Pharmacist, Role::Prescriber];

/// The labels of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    known: Vec<Label>,
    cleared: Vec<(Role, i64)>,
    takes_away: Vec<Role>,
    breaking: Vec<(Role, Breaking)>,
    reasons: Vec<Reason>,
}

/// How far a role sees that has broken the glass of a patient, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaking {
    /// Minutes, where none are asked for.
    pub minutes: i64,
    /// The most.
    pub most_minutes: i64,
    /// Labels that do not count.
    pub lifts: i64,
    /// Whether what other organisations have of the patient is seen.
    pub crosses: bool,
}

/// A reason to break the glass.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    system: String,
    code: String,
    #[serde(rename = "what")]
    _what: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct BreakGlass {
    minutes: i64,
    most_minutes: i64,
    reasons: Vec<Reason>,
    roles: BTreeMap<String, BreakRole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakRole {
    lifts: Vec<String>,
    crosses: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Label {
    bit: u8,
    system: String,
    code: String,
    #[serde(rename = "what")]
    _what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "title")]
    _title: String,
    labels: Vec<Label>,
    cleared: BTreeMap<String, Vec<String>>,
    takes_away: Vec<String>,
    #[serde(default)]
    break_glass: BreakGlass,
}

impl Labels {
    /// The built-in ones.
    ///
    /// # Errors
    /// `Fault`: a test reads the same text.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN).map_err(|e| Error::fault("the built-in labels.json does not read").caused_by(e))
    }

    /// No labels: nothing is protected.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            known: Vec::new(),
            cleared: Vec::new(),
            takes_away: Vec::new(),
            breaking: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// `DIR/policy/labels.json` when it is there, else the built-in ones.
    ///
    /// # Errors
    /// `Invalid` with one sentence that names the file and what is wrong in it.
    pub fn load(profiles: Option<&Path>) -> Result<Self> {
        let Some(path) = profiles.map(|d| d.join("policy/labels.json")).filter(|p| p.is_file()) else {
            return Self::built_in();
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::invalid(format!("{} cannot be read: {e}", path.display())).caused_by(e))?;
        Self::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// `Invalid`: not JSON of that shape, a bit or label twice, a role or label that does not exist.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = serde_json::from_str(text).map_err(|e| Error::invalid(format!("no list of labels: {e}")))?;
        for (n, label) in file.labels.iter().enumerate() {
            let same = |l: &Label| l.bit == label.bit || l.code == label.code;
            if label.bit > 61 || file.labels.iter().take(n).any(same) {
                return Err(Error::invalid(format!("the label '{}' has a bit of its own, 0 to 61", label.code)));
            }
        }
        let mut labels = Self { known: file.labels, ..Self::none() };
        let role = |name: &str| Role::parse(name).ok_or_else(|| Error::invalid(format!("no role is called '{name}'")));
        for (name, codes) in &file.cleared {
            labels.cleared.push((role(name)?, labels.set(codes.iter().map(String::as_str))?));
        }
        labels.takes_away = file.takes_away.iter().map(|name| role(name)).collect::<Result<_>>()?;
        let (minutes, most_minutes) = (file.break_glass.minutes, file.break_glass.most_minutes);
        for (name, what) in file.break_glass.roles {
            let role = role(&name)?;
            if !PERSONS.contains(&role) {
                return Err(Error::invalid(format!("break-glass: '{name}' is no role of a person who treats")));
            }
            if !(1..=most_minutes).contains(&minutes)
                || most_minutes > 7 * 24 * 60
                || file.break_glass.reasons.is_empty()
            {
                return Err(Error::invalid("break-glass has reasons, minutes, and most-minutes up to a week"));
            }
            let lifts = labels.set(what.lifts.iter().map(String::as_str))?;
            labels.breaking.push((role, Breaking { minutes, most_minutes, lifts, crosses: what.crosses }));
        }
        labels.reasons = file.break_glass.reasons;
        Ok(labels)
    }

    /// The set of these codes.
    ///
    /// # Errors
    /// `Invalid` for one that is no label of the site.
    pub fn set<'a>(&self, codes: impl IntoIterator<Item = &'a str>) -> Result<i64> {
        codes.into_iter().try_fold(0, |set, code| {
            let found = self.known.iter().find(|l| l.code == code);
            let label = found.ok_or_else(|| {
                let all: Vec<&str> = self.known.iter().map(|l| l.code.as_str()).collect();
                Error::invalid(format!("no label is called '{code}'; there are {}", all.join(", ")))
            })?;
            Ok(set | (1 << label.bit))
        })
    }

    /// What a resource has of them, by its `meta.security`.
    #[must_use]
    pub fn of(&self, resource: &Json) -> i64 {
        let codings = resource["meta"]["security"].items();
        let is = |l: &Label, c: &Json| {
            let (system, code) = (c["system"].text(), c["code"].text());
            // A label without its system is one of those that could be meant.
            code == l.code && (system == l.system || system.is_empty())
        };
        let found = self.known.iter().filter(|l| codings.iter().any(|c| is(l, c)));
        found.fold(0, |set, l| set | (1 << l.bit))
    }

    /// What a role is not cleared for, nor the caller by name (`own`: codes, divided by spaces; unknown ones clear nothing).
    #[must_use]
    pub fn hidden(&self, role: Role, own: &str) -> i64 {
        let by_role = self.cleared.iter().find(|(r, _)| *r == role).map_or(0, |(_, set)| *set);
        let by_name = own.split_whitespace().filter_map(|code| self.set([code]).ok()).fold(0, |a, b| a | b);
        self.all() & !(by_role | by_name)
    }

    /// All of them: what is hidden from who is cleared for nothing.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.known.iter().fold(0, |set, l| set | (1 << l.bit))
    }

    /// What a role sees that has broken the glass; `None`: it may not.
    #[must_use]
    pub fn breaking(&self, role: Role) -> Option<&Breaking> {
        self.breaking.iter().find(|(r, _)| *r == role).map(|(_, breaking)| breaking)
    }

    /// The code of a reason to break the glass; `None`: it is none.
    #[must_use]
    pub fn reason(&self, system: &str, code: &str) -> Option<&str> {
        self.reasons.iter().find(|r| r.system == system && r.code == code).map(|r| r.code.as_str())
    }

    /// All reasons, `system|code`.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.iter().map(|r| format!("{}|{}", r.system, r.code)).collect()
    }

    /// Whether a role may take a label from a resource of its own organisation.
    #[must_use]
    pub fn may_take_away(&self, role: Role) -> bool {
        matches!(role, Role::SuperUser | Role::RuleEngine) || self.takes_away.contains(&role)
    }

    /// A resource with the labels of a set that it has not yet; `None`: it has all of them.
    #[must_use]
    pub fn put_on(&self, set: i64, resource: &Json) -> Option<Json> {
        let missing = set & !self.of(resource);
        let more = self.known.iter().filter(|l| missing & (1 << l.bit) != 0);
        let more = more.map(|l| serde_json::json!({"system": l.system, "code": l.code}).into());
        let codings: Vec<Json> = resource["meta"]["security"].items().iter().cloned().chain(more).collect();
        (missing != 0).then(|| {
            let (mut out, mut meta) = (resource.clone(), resource.get("meta").cloned().unwrap_or_else(Json::object));
            meta.set("security", Json::Array(codings));
            out.set("meta", meta);
            out
        })
    }

    /// Codes of a set, for people.
    #[must_use]
    pub fn names(&self, set: i64) -> Vec<&str> {
        self.known.iter().filter(|l| set & (1 << l.bit) != 0).map(|l| l.code.as_str()).collect()
    }

    /// Tells one list from another: stored numbers are made of it.
    #[must_use]
    pub fn print(&self) -> String {
        self.known.iter().map(|l| format!("{} {}|{};", l.bit, l.system, l.code)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_clear_by_role_and_by_name() {
        let labels = Labels::built_in().unwrap();
        let of = |security: serde_json::Value| labels.of(&json!({"meta": {"security": security}}).into());
        let confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
        let r = of(json!([{"system": confidentiality, "code": "R"}]));
        assert_eq!(labels.names(r), ["R"]);
        assert_eq!(of(json!([{"system": confidentiality, "code": "N"}, {"system": "other", "code": "V"}])), 0);
        assert_eq!(labels.names(of(json!([{"code": "V"}]))), ["V"]);
        assert_eq!(labels.hidden(Role::HospitalSystem, ""), 0);
        assert!(labels.hidden(Role::Pharmacist, "") & r == r);
        assert_eq!(labels.hidden(Role::Pharmacist, "R nothing") & r, 0);
        assert!(labels.may_take_away(Role::HospitalSystem) && !labels.may_take_away(Role::Pharmacist));
    }

    #[test]
    fn a_list_with_a_fault_is_refused() {
        for (from, to) in [
            ("\"bit\": 1,", "\"bit\": 0,"),
            ("\"bit\": 1,", "\"bit\": 62,"),
            ("\"patient\":", "\"patent\":"),
            ("[\"R\", \"ETH\",", "[\"R\", \"ETHX\","),
            ("\"title\"", "\"titel\""),
            ("\"minutes\": 60", "\"minutes\": 600"),
            ("\"pharmacist\": {\"lifts\"", "\"patient\": {\"lifts\""),
            ("\"pharmacist\": {\"lifts\"", "\"pharmacy-system\": {\"lifts\""),
        ] {
            assert!(BUILT_IN.contains(from), "{from}");
            assert!(Labels::parse(&BUILT_IN.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
