//! The screening rules as data: which condition, which thresholds, which words, how severe, in force or not.
//!
//! For: reading `profiles/screening` and refusing what cannot be used, with file and path. Not for: the conditions
//! themselves (`lists.rs`, `pairs.rs`, `patient.rs`, `supply.rs`, `told.rs`).
//! Source: own rules, described in `profiles/screening/README.md`.

use super::classes::{Classes, KINDS};
use crate::fhir::Json;
use crate::workflow::list::Group;
use crate::workflow::policy::SEVERITIES;
use crate::workflow::programme::files::Complaints;
use crate::workflow::reconcile::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What must hold for a rule to fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A line of the reconciled list has one of these outcomes, and needs somebody.
    Outcome(Vec<Kind>),
    /// A line goes on otherwise in one of these respects, and no note says why.
    Changed(Vec<String>),
    /// A line was stopped, and a source of that list goes on with it.
    Still(Group),
    /// A discharge line lacks one of these.
    Incomplete(Vec<String>),
    /// Two medicines are of one class of that kind.
    SameClass(String),
    /// Two medicines are of a pair of classes that must not meet.
    Interaction,
    /// An allergy is on record: against the substance, or against its class.
    Allergy {
        /// Against its class.
        by_class: bool,
    },
    /// The creatinine clearance is below what the substance needs.
    Renal {
        /// How old its measures may be.
        days: i64,
    },
    /// So many medicines, or more.
    Count(usize),
    /// A prescription of the discharge was not handed out in time.
    NotDispensed {
        /// After the discharge.
        hours: i64,
        /// Even where nothing at all was handed out.
        when_none: bool,
    },
    /// What was handed out differs in one of these respects.
    DispensedDiffers(Vec<String>),
    /// What was handed out has run out so many days ago.
    RefillLate(i64),
    /// Two similar medicines come from different prescribers, or pharmacies.
    OtherSource {
        /// From prescribers.
        is_prescriber: bool,
    },
    /// The patient says that a medicine is not taken, for one of these reasons.
    Told(Vec<String>),
    /// A question was answered so.
    Answer {
        /// Ends of linkId.
        links: Vec<String>,
        /// Values, lower case.
        answers: Vec<String>,
    },
    /// A medicine is of a class of the kind high-risk: a Flag, and no problem.
    HighRisk,
}

/// When a problem is reviewed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Never by this rule.
    Never,
    /// Where a high-risk medicine is meant.
    HighRisk,
    /// Where the allergy is a severe one.
    Severe,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its code.
    pub code: String,
    /// What it finds, for people.
    pub title: String,
    /// Raised with every change.
    pub version: String,
    /// The sentence that says why, with `{words}`.
    pub why: String,
    /// The code of its condition.
    pub kind: String,
    /// What must hold.
    pub test: Test,
    /// A code of v3-ActCode.
    pub issue: Option<String>,
    /// A code of `dtp-category`.
    pub category: Option<String>,
    /// A code of `dtp-rationale`.
    pub rationale: Option<String>,
    /// low, moderate, high.
    pub severity: String,
    /// A high-risk medicine makes it one step more severe.
    pub raises: bool,
    /// When it is reviewed at once.
    pub stat: Stat,
    /// Whether it is in force.
    pub is_on: bool,
    /// Hospitals (logical ids) for whose discharges it is not.
    pub off_for: Vec<String>,
    /// Silent where one of these has found the same medicines.
    pub unless: Vec<String>,
}

/// All rules with their tables.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In the order of the file.
    pub rules: Vec<Rule>,
    /// The tables.
    pub classes: Classes,
    /// Problems of one patient that may wait at once.
    pub per_patient: usize,
    /// Problems of one medicine that may wait at once.
    pub per_medicine: usize,
}

/// (kind, properties that it has beside those of every rule, words of its sentence).
type Shape = (&'static str, &'static [&'static str], &'static [&'static str]);

/// All kinds of conditions.
pub const SHAPES: [Shape; 16] = [
    ("outcome", &["outcome"], &["medicine", "medicines", "remarks"]),
    ("changed", &["what"], &["medicine", "changes"]),
    ("still", &["source"], &["medicine"]),
    ("incomplete", &["what"], &["medicine", "missing"]),
    ("same-class", &["classes"], &["medicine", "other", "class"]),
    ("interaction", &[], &["medicine", "other", "effect"]),
    ("allergy", &["match"], &["medicine", "allergy", "class"]),
    ("renal", &["days"], &["medicine", "value", "limit", "advice"]),
    ("count", &["count"], &["count", "limit"]),
    ("not-dispensed", &["hours", "when-none"], &["medicine", "hours"]),
    ("dispensed-differs", &["what"], &["medicine", "changes"]),
    ("refill-late", &["days"], &["medicine", "date", "days"]),
    ("other-source", &["source"], &["medicine", "other", "first", "second"]),
    ("told", &["reason"], &["medicine", "reason"]),
    ("answer", &["link", "answer"], &["medicine", "answer"]),
    ("high-risk", &[], &["medicine", "class"]),
];

/// Properties of every rule.
const COMMON: [&str; 11] =
    ["kind", "version", "on", "off-for", "issue", "category", "rationale", "severity", "raise", "stat", "unless"];

/// What may differ between two lines, as the comparison names it.
const ASPECTS: [&str; 11] = [
    "strength",
    "form",
    "route",
    "salt",
    "dose",
    "frequency",
    "time of day",
    "when needed",
    "duration",
    "directions",
    "substances",
];

/// What a discharge line may lack.
pub const LACKS: [&str; 5] = ["dose", "route", "frequency", "plain directions", "medicine"];

/// Codes of v3-ActCode that R4's value set for `DetectedIssue.code` has (its `child` property counted), as far as a medicine
/// is meant.
const ISSUES: [&str; 49] = [
    "DRG",
    "FOOD",
    "NHP",
    "NONRX",
    "TPROD",
    "DACT",
    "DUPTHPY",
    "DUPTHPCLS",
    "DUPTHPGEN",
    "COMPLY",
    "ABUSE",
    "PLYDOC",
    "PLYPHRM",
    "DOSE",
    "DOSEH",
    "DOSEL",
    "DOSEHINDA",
    "DOSECOND",
    "DOSEDUR",
    "DOSEIVL",
    "MDOSE",
    "AGE",
    "GEALRT",
    "COND",
    "PREG",
    "LACT",
    "LAB",
    "GEN",
    "CREACT",
    "REACT",
    "ALGY",
    "INT",
    "RALG",
    "RINT",
    "RREACT",
    "PREVINEF",
    "ALRTENDLATE",
    "ALRTSTRTLATE",
    "FULFIL",
    "NOTACTN",
    "TOOLATE",
    "TOOSOON",
    "HELD",
    "ALLDONE",
    "PATPREF",
    "OBSA",
    "DOSELINDA",
    "DOSEHIND",
    "DOSELIND",
];

/// A CodeSystem file as rows.
pub struct Table<'a> {
    /// folder/name.
    pub name: &'static str,
    concepts: &'a [Json],
}

/// One concept.
pub struct Row<'a> {
    n: usize,
    /// Its code.
    pub code: &'a str,
    /// For people.
    pub display: &'a str,
    /// Its sentence.
    pub definition: &'a str,
    json: &'a Json,
}

impl<'a> Table<'a> {
    /// The file; empty where there is none.
    #[must_use]
    pub fn of(resources: &'a BTreeMap<String, Json>, name: &'static str) -> Self {
        Self { name, concepts: resources.get(name).map_or(&[][..], |r| r["concept"].items()) }
    }

    /// Its concepts.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.concepts.iter().enumerate().map(|(n, json)| Row {
            n,
            code: json["code"].text(),
            display: json["display"].text(),
            definition: json["definition"].text(),
            json,
        })
    }
}

impl<'a> Row<'a> {
    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> String {
        format!("CodeSystem.concept[{}]", self.n)
    }

    /// Where a property of it stands; the concept, where it has none.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        let found = self.json["property"].items().iter().position(|p| p["code"].text() == name);
        found.map_or_else(|| self.path(), |m| format!("{}.property[{m}]", self.path()))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a Json> {
        self.json["property"].items().iter().filter(move |p| p["code"].text() == name)
    }

    /// A text or code.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.texts(name).next()
    }

    /// The same of a property that repeats.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).filter_map(|p| ["valueCode", "valueString"].iter().find_map(|v| p[*v].as_str()))
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.all(name).next().and_then(|p| p["valueInteger"].as_i64())
    }

    /// Whether a boolean is true.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.all(name).next().is_some_and(|p| p["valueBoolean"].as_bool() == Some(true))
    }

    /// Its designations.
    pub fn words(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.json["designation"].items().iter().map(|d| d["value"].text())
    }

    fn names(&self) -> impl Iterator<Item = (usize, &'a str)> {
        self.json["property"].items().iter().enumerate().map(|(m, p)| (m, p["code"].text()))
    }
}

/// A complaint about one row.
struct Reader<'a> {
    row: &'a Row<'a>,
    complaints: &'a mut Complaints,
}

const FILE: &str = "screening/rules.json";

impl Reader<'_> {
    fn complain(&mut self, at: &str, why: impl AsRef<str>) {
        let path = self.row.at(at);
        self.complaints.add(FILE, path, format!("rule '{}': {}", self.row.code, why.as_ref()));
    }

    /// Texts of a property, each one of `known`; at least one.
    fn some_of(&mut self, name: &str, known: &[&str]) -> Vec<String> {
        let texts: Vec<String> = self.row.texts(name).map(String::from).collect();
        if texts.is_empty() || texts.iter().any(|t| !known.contains(&t.as_str())) {
            self.complain(name, format!("{name} needs one or more of {}", known.join(", ")));
        }
        texts
    }

    fn one_of(&mut self, name: &str, known: &[&str]) -> String {
        let texts = self.some_of(name, known);
        if texts.len() > 1 {
            self.complain(name, format!("{name} is said once"));
        }
        texts.into_iter().next().unwrap_or_default()
    }

    fn within(&mut self, name: &str, from: i64, to: i64) -> i64 {
        match self.row.number(name).filter(|n| (from..=to).contains(n)) {
            Some(n) => n,
            None => {
                self.complain(name, format!("{name} needs a whole number from {from} to {to}"));
                from
            }
        }
    }

    fn test(&mut self, kind: &str, rationales: &[&str]) -> Test {
        match kind {
            "outcome" => {
                let known: Vec<&str> = Kind::ALL.iter().map(|k| k.code()).collect();
                let codes = self.some_of("outcome", &known);
                Test::Outcome(Kind::ALL.into_iter().filter(|k| codes.iter().any(|c| c == k.code())).collect())
            }
            "changed" => Test::Changed(self.some_of("what", &ASPECTS)),
            "still" => {
                let told = self.one_of("source", &["told", "dispensed"]) == "told";
                Test::Still(if told { Group::Told } else { Group::Dispensed })
            }
            "incomplete" => Test::Incomplete(self.some_of("what", &LACKS)),
            "same-class" => Test::SameClass(self.one_of("classes", &KINDS)),
            "interaction" => Test::Interaction,
            "allergy" => Test::Allergy { by_class: self.one_of("match", &["substance", "class"]) == "class" },
            "renal" => Test::Renal { days: self.within("days", 1, 3_650) },
            "count" => Test::Count(usize::try_from(self.within("count", 2, 1_000)).unwrap_or_default()),
            "not-dispensed" => {
                Test::NotDispensed { hours: self.within("hours", 1, 8_760), when_none: self.row.is("when-none") }
            }
            "dispensed-differs" => Test::DispensedDiffers(self.some_of("what", &ASPECTS)),
            "refill-late" => Test::RefillLate(self.within("days", 0, 365)),
            "other-source" => {
                Test::OtherSource { is_prescriber: self.one_of("source", &["prescriber", "pharmacy"]) == "prescriber" }
            }
            "told" => {
                let known: Vec<&str> = rationales.iter().copied().chain(["any"]).collect();
                Test::Told(self.some_of("reason", &known))
            }
            "answer" => {
                let lower = |name: &str| self.row.texts(name).map(str::to_lowercase).collect::<Vec<_>>();
                let (links, answers) = (lower("link"), lower("answer"));
                if links.is_empty() || answers.is_empty() {
                    self.complain("link", "an answer needs link and answer");
                }
                Test::Answer { links, answers }
            }
            _ => Test::HighRisk,
        }
    }

    fn rule(&mut self, known: &BTreeSet<&str>, lists: &Lists<'_>) -> Rule {
        let row = self.row;
        let kind = row.text("kind").unwrap_or_default();
        let shape = SHAPES.iter().find(|(k, ..)| *k == kind);
        if shape.is_none() {
            let kinds: Vec<&str> = SHAPES.iter().map(|(k, ..)| *k).collect();
            self.complain("kind", format!("'{kind}' is no kind of condition; there are {}", kinds.join(", ")));
        }
        let (_, properties, words) = shape.copied().unwrap_or(("", &[], &[]));
        for (m, name) in row.names() {
            if shape.is_some() && !COMMON.contains(&name) && !properties.contains(&name) {
                let path = format!("{}.property[{m}]", row.path());
                self.complaints.add(FILE, path, format!("rule '{}': a rule of kind {kind} has no '{name}'", row.code));
            }
        }
        for word in placeholders(row.definition) {
            if shape.is_some() && !words.contains(&word) {
                let path = format!("{}.definition", row.path());
                let why =
                    format!("rule '{}': {{{word}}} is no word of {kind}; there are {}", row.code, words.join(", "));
                self.complaints.add(FILE, path, why);
            }
        }
        if row.display.is_empty() || row.definition.is_empty() {
            self.complain("display", "a rule needs display (what it finds) and definition (why it fired)");
        }
        let version = row.text("version").unwrap_or_default();
        if version.is_empty() {
            self.complain("version", "a rule needs a version: each problem names the one it came from");
        }
        let test = if shape.is_some() { self.test(kind, &lists.rationales) } else { Test::HighRisk };
        let finds = kind != "high-risk";
        let code = |of: &mut Self, name: &str, known: &[&str]| -> Option<String> {
            let said = of.row.text(name)?;
            if !known.contains(&said) {
                of.complain(name, format!("'{said}' is no code for {name} here"));
            }
            Some(said.to_string())
        };
        let issue = code(self, "issue", &ISSUES);
        let category = code(self, "category", &lists.categories);
        let rationale = code(self, "rationale", &lists.rationales);
        if finds && issue.is_none() && category.is_none() {
            self.complain("issue", "a problem needs a code: issue (v3-ActCode) or category (dtp-category)");
        }
        let severity = if finds { self.one_of("severity", &SEVERITIES) } else { "low".into() };
        let stat = match row.text("stat") {
            None => Stat::Never,
            Some("high-risk") => Stat::HighRisk,
            Some("severe") => Stat::Severe,
            Some(_) => {
                self.complain("stat", "stat is high-risk or severe");
                Stat::Never
            }
        };
        let unless: Vec<String> = row.texts("unless").map(String::from).collect();
        if let Some(unknown) = unless.iter().find(|u| !known.contains(u.as_str()) || u.as_str() == row.code) {
            self.complain("unless", format!("unless names no other rule: '{unknown}'"));
        }
        Rule {
            code: row.code.into(),
            title: row.display.into(),
            version: version.into(),
            why: row.definition.into(),
            kind: kind.into(),
            test,
            issue,
            category,
            rationale,
            severity,
            raises: row.is("raise"),
            stat,
            is_on: row.is("on"),
            off_for: row.texts("off-for").map(String::from).collect(),
            unless,
        }
    }
}

/// Codes that rules may name.
struct Lists<'a> {
    categories: Vec<&'a str>,
    rationales: Vec<&'a str>,
}

/// The words in braces of a sentence.
fn placeholders(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or(rest))
}

fn codes(resource: &Json) -> Vec<&str> {
    let mut out = Vec::new();
    for concept in resource["concept"].items() {
        out.push(concept["code"].text());
        out.extend(codes(concept));
    }
    out
}

impl Rules {
    /// Reads rules and tables out of the profiles, by folder/name. What cannot be used is complained about.
    pub fn read(resources: &BTreeMap<String, Json>, complaints: &mut Complaints) -> Self {
        let classes = Classes::read(resources, complaints);
        let none = Json::Null;
        let of = |name: &str| codes(resources.get(name).unwrap_or(&none));
        let lists = Lists { categories: of("codes/dtp-category.json"), rationales: of("codes/dtp-rationale.json") };
        let file = Table::of(resources, FILE);
        let known: BTreeSet<&str> = file.rows().map(|r| r.code).collect();
        let rules = file.rows().map(|row| Reader { row: &row, complaints }.rule(&known, &lists)).collect();
        let file = Table::of(resources, "screening/limits.json");
        let mut limit = |code: &str| {
            let row = file.rows().find(|r| r.code == code);
            let count = row.as_ref().and_then(|r| r.number("count")).and_then(|n| usize::try_from(n).ok());
            if count.is_none_or(|n| n == 0) {
                let path = row.map_or_else(|| "CodeSystem.concept".into(), |r| r.at("count"));
                complaints.add(file.name, path, format!("the limit '{code}' needs a count of at least 1"));
            }
            count.unwrap_or(1)
        };
        let (per_patient, per_medicine) = (limit("open-per-patient"), limit("open-per-medicine"));
        Self { rules, classes, per_patient, per_medicine }
    }

    /// The rule of a code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.code == code)
    }
}
