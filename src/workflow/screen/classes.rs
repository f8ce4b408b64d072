//! Classes of substances, pairs of classes that must not meet, and substances that weak kidneys do not bear.
//!
//! Source: own tables in `profiles/screening`, described in its README.

use super::rules::Table;
use crate::fhir::Json;
use crate::workflow::policy::SEVERITIES;
use crate::workflow::programme::files::Complaints;
use std::collections::{BTreeMap, BTreeSet};

/// What a class is for.
pub const KINDS: [&str; 5] = ["mechanism", "benefit", "interaction", "allergy", "high-risk"];

/// One class.
#[derive(Debug, Clone, Default)]
pub struct Class {
    /// For people.
    pub display: String,
    /// Of [`KINDS`].
    pub kind: String,
    /// Lower case; one that ends in `*` stands for all that begin so.
    substances: BTreeSet<String>,
    /// Words by which an allergy names the class, lower case.
    words: BTreeSet<String>,
}

impl Class {
    /// Whether a substance is one of the class.
    #[must_use]
    pub fn holds(&self, substance: &str) -> bool {
        self.substances.contains(substance)
            || self.substances.iter().filter_map(|s| s.strip_suffix('*')).any(|s| substance.starts_with(s))
    }

    /// Whether these words name the class itself.
    #[must_use]
    pub fn is_called(&self, words: &str) -> bool {
        self.words.contains(&words.trim().to_lowercase())
    }
}

/// Two classes that must not meet.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Its code.
    pub code: String,
    /// What happens.
    pub effect: String,
    /// Codes of the classes.
    pub classes: (String, String),
}

/// A substance that weak kidneys do not bear.
#[derive(Debug, Clone)]
pub struct Renal {
    /// Below so many mL/min.
    pub below: i64,
    /// low, moderate, high.
    pub severity: String,
    /// What to think of.
    pub advice: String,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Classes {
    by_code: BTreeMap<String, Class>,
    /// Pairs, in the order of the file.
    pub pairs: Vec<Pair>,
    /// By substance.
    pub renal: BTreeMap<String, Renal>,
}

impl Classes {
    /// Reads the tables; what cannot be used is complained about.
    pub fn read(resources: &BTreeMap<String, Json>, complaints: &mut Complaints) -> Self {
        let mut out = Self { by_code: classes(resources, complaints), ..Self::default() };
        let file = Table::of(resources, "screening/interactions.json");
        for row in file.rows() {
            let [first, second] = ["first", "second"].map(|name| row.text(name).unwrap_or_default().to_string());
            for (name, class) in [("first", &first), ("second", &second)] {
                if !out.by_code.contains_key(class) {
                    complaints.add(file.name, row.at(name), format!("no drug-class is called '{class}'"));
                }
            }
            out.pairs.push(Pair { code: row.code.into(), effect: row.definition.into(), classes: (first, second) });
        }
        let file = Table::of(resources, "screening/renal.json");
        for row in file.rows() {
            let severity = row.text("severity").unwrap_or_default();
            let below = row.number("below").filter(|n| (1..=200).contains(n));
            match below.filter(|_| SEVERITIES.contains(&severity)) {
                Some(below) => {
                    let renal = Renal { below, severity: severity.into(), advice: row.definition.into() };
                    out.renal.insert(row.code.to_lowercase(), renal);
                }
                None => {
                    let why =
                        format!("'{}' needs below (1 to 200 mL/min) and severity (low, moderate, high)", row.code);
                    complaints.add(file.name, row.path(), why);
                }
            }
        }
        out
    }

    /// The classes of a kind that hold a substance: (code, class), by code.
    pub fn of<'a>(&'a self, kind: &'a str, substance: &'a str) -> impl Iterator<Item = (&'a str, &'a Class)> {
        self.of_kind(kind).filter(move |(_, c)| c.holds(substance))
    }

    /// All classes of a kind, by code.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Class)> {
        self.by_code.iter().filter(move |(_, c)| c.kind == kind).map(|(code, c)| (code.as_str(), c))
    }

    /// A class by code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<&Class> {
        self.by_code.get(code)
    }
}

/// What a class says of itself, and which classes it takes in.
type Said<'a> = (Class, Vec<&'a str>, String);

fn classes(resources: &BTreeMap<String, Json>, complaints: &mut Complaints) -> BTreeMap<String, Class> {
    let file = Table::of(resources, "screening/classes.json");
    let mut said: BTreeMap<&str, Said<'_>> = BTreeMap::new();
    for row in file.rows() {
        let kind = row.text("kind").unwrap_or_default();
        if !KINDS.contains(&kind) {
            complaints.add(file.name, row.at("kind"), format!("a class is one of {}", KINDS.join(", ")));
        }
        let substances: BTreeSet<String> = row.texts("substance").map(str::to_lowercase).collect();
        let includes: Vec<&str> = row.texts("includes").collect();
        if substances.is_empty() && includes.is_empty() && !row.is("site") {
            let why =
                format!("the class '{}' is empty: name a substance, a class that it includes, or say site", row.code);
            complaints.add(file.name, row.path(), why);
        }
        let display = if row.display.is_empty() { row.code } else { row.display };
        let words = row.words().chain([display]).map(str::to_lowercase).collect();
        let class = Class { display: display.into(), kind: kind.into(), substances, words };
        said.insert(row.code, (class, includes, row.path()));
    }
    let mut out = BTreeMap::new();
    for (code, (class, includes, path)) in &said {
        let mut class = class.clone();
        // Each class is visited once, so a ring ends; one that leads back to where it began is a mistake.
        let mut todo = includes.clone();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(next) = todo.pop() {
            if next == *code {
                complaints.add(file.name, path, format!("the class '{code}' includes itself"));
            }
            match said.get(next) {
                None => complaints.add(file.name, path, format!("no drug-class is called '{next}'")),
                Some((other, more, _)) if seen.insert(next) => {
                    class.substances.extend(other.substances.iter().cloned());
                    todo.extend(more);
                }
                Some(_) => {}
            }
        }
        out.insert((*code).to_string(), class);
    }
    out
}

/// Severity by its name; the weakest for one that is none.
#[must_use]
pub fn rank(severity: &str) -> usize {
    SEVERITIES.iter().position(|s| *s == severity).unwrap_or_default()
}
