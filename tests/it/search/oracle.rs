//! What a search must find, worked out slowly from the resources themselves.
//!
//! `values.rs` says what a parameter sees in a resource, `compare.rs` whether a value of a query meets it, this file how
//! criteria, chains, sorts, compartments and includes come together. Nothing here is shared with the server.
//! Source: <https://hl7.org/fhir/R4/search.html>.

mod compare;
mod terms;
mod values;

pub use compare::{micros, span};
pub use values::{PARAMS, Values};

use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// A full text query.
#[derive(Debug, Clone)]
pub enum Tree {
    /// A word, or the beginning of one.
    Word(String, bool),
    /// `a b`
    And(Box<Tree>, Box<Tree>),
    /// `a OR b`
    Or(Box<Tree>, Box<Tree>),
    /// `NOT a`
    Not(Box<Tree>),
}

/// One criterion of a query.
#[derive(Debug, Clone)]
pub enum Criterion {
    /// `code:modifier=value,…`; values as they stand in the query, with their escapes.
    Plain { code: String, modifier: String, values: Vec<String> },
    /// `code:missing=true|false`
    Missing { code: String, missing: bool },
    /// `reference.criterion`, `reference:Type.criterion`
    Chain { code: String, kind: Option<String>, then: Box<Criterion> },
    /// `_has:Type:reference:criterion`
    Has { kind: String, code: String, then: Box<Criterion> },
    /// `_list=id`
    List(String),
    /// `_text`, `_content`
    Text { narrative: bool, tree: Tree },
}

/// One `_include` or `_revinclude`.
#[derive(Debug, Clone)]
pub struct Include {
    pub reverse: bool,
    /// `*` for any.
    pub source: String,
    /// `*` for any.
    pub code: String,
    pub target: Option<String>,
    pub iterate: bool,
}

/// One resource, and what each parameter sees in it.
pub struct Item {
    pub value: Value,
    pub kind: String,
    pub name: String,
    /// Canonicals that lead to it.
    known_by: Vec<String>,
    seen: HashMap<&'static str, Values>,
}

impl From<Value> for Item {
    fn from(value: Value) -> Self {
        let seen = values::params(kind(&value)).map(|p| (p.code, (p.values)(&value))).collect();
        let url = value["url"].as_str().map(str::to_string);
        let versioned = url.as_ref().zip(value["version"].as_str()).map(|(url, version)| format!("{url}|{version}"));
        let known_by = url.into_iter().chain(versioned).collect();
        Self { kind: kind(&value).into(), name: name(&value), known_by, value, seen }
    }
}

/// All resources of a world.
pub struct World {
    pub items: Vec<Item>,
}

/// `resourceType` of a resource.
pub fn kind(resource: &Value) -> &str {
    resource["resourceType"].as_str().expect("resourceType")
}

/// `Type/id` of a resource.
pub fn name(resource: &Value) -> String {
    format!("{}/{}", kind(resource), resource["id"].as_str().expect("id"))
}

/// What a reference of data leads to, without a version.
fn leads(reference: &values::Reference) -> &str {
    reference.text.split("/_history/").next().unwrap_or_default()
}

impl World {
    /// Whether a resource meets a criterion.
    pub fn meets(&self, item: &Item, criterion: &Criterion) -> bool {
        match criterion {
            Criterion::Plain { code, modifier, values } => {
                let Some(seen) = item.seen.get(code.as_str()) else { return false };
                let any = values.iter().any(|value| compare::one(self, seen, modifier, value));
                if matches!(modifier.as_str(), "not" | "not-in") { !any } else { any }
            }
            Criterion::Missing { code, missing } => {
                item.seen.get(code.as_str()).is_some_and(|seen| seen.is_empty() == *missing)
            }
            Criterion::Chain { code, kind: wanted, then } => self.items.iter().any(|other| {
                wanted.as_ref().is_none_or(|w| other.kind == *w)
                    && item.refers_to(code, other)
                    && self.meets(other, then)
            }),
            Criterion::Has { kind: source, code, then } => self
                .items
                .iter()
                .any(|other| other.kind == *source && other.refers_to(code, item) && self.meets(other, then)),
            Criterion::List(id) => {
                let list = self.items.iter().find(|i| i.kind == "List" && i.value["id"] == **id).expect("a list");
                list.value["entry"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|e| e["deleted"] != true && e["item"]["reference"] == *item.name)
            }
            Criterion::Text { narrative, tree } => {
                let text = item.value["text"]["div"].as_str().unwrap_or_default();
                let mut words = compare::words(&compare::without_tags(text));
                if !*narrative {
                    words.extend(values::human_texts(&item.value).iter().flat_map(|t| compare::words(t)));
                }
                compare::holds(tree, &words)
            }
        }
    }

    /// Whether a resource is in the compartment of a patient.
    pub fn is_in_compartment(&self, item: &Item, patient: &str) -> bool {
        let codes: &[&str] = match item.kind.as_str() {
            "Observation" => &["subject", "performer"],
            "Task" | "Encounter" => &["patient"],
            "Condition" => &["patient", "asserter"],
            "RiskAssessment" => &["subject"],
            "QuestionnaireResponse" => &["subject", "author"],
            "List" => &["subject", "source"],
            "Patient" => &["link"],
            _ => &[],
        };
        let owner = self.items.iter().find(|i| i.name == patient).expect("the patient");
        item.name == patient || codes.iter().any(|code| item.refers_to(code, owner))
    }

    /// The order of two resources: by each criterion, without a value last, then the newer first.
    pub fn order(&self, a: &Item, b: &Item, sort: &[(String, bool)]) -> Ordering {
        for (code, descending) in sort {
            let by = match code.as_str() {
                "_id" => a.value["id"].as_str().cmp(&b.value["id"].as_str()),
                "_lastUpdated" => updated(&a.value).cmp(&updated(&b.value)),
                _ => {
                    let key = |i: &Item| i.seen.get(code.as_str()).and_then(|s| compare::sort_key(s, *descending));
                    match (key(a), key(b)) {
                        (None, None) => Ordering::Equal,
                        (None, _) => return Ordering::Greater,
                        (_, None) => return Ordering::Less,
                        (Some(a), Some(b)) => a.cmp(&b),
                    }
                }
            };
            let by = if *descending { by.reverse() } else { by };
            if by != Ordering::Equal {
                return by;
            }
        }
        // Without an order the newest first; what sorts alike by its id, then by its type.
        if sort.is_empty() {
            return updated(&b.value).cmp(&updated(&a.value));
        }
        let id = |i: &Item| i.value["id"].as_str().map(str::to_owned);
        id(a).cmp(&id(b)).then_with(|| a.kind.cmp(&b.kind))
    }

    /// What includes add to matches, at most six rounds deep.
    pub fn included(&self, matches: &[&Item], includes: &[Include]) -> BTreeSet<String> {
        let mut seen: BTreeSet<&str> = matches.iter().map(|i| i.name.as_str()).collect();
        let mut out = BTreeSet::new();
        let mut from: Vec<&Item> = matches.to_vec();
        for round in 0..=5 {
            let mut next = Vec::new();
            for include in includes.iter().filter(|i| round == 0 || i.iterate) {
                for other in &self.items {
                    let hit = from
                        .iter()
                        .any(|i| if include.reverse { include.leads(other, i) } else { include.leads(i, other) });
                    if hit && seen.insert(&other.name) {
                        out.insert(other.name.clone());
                        next.push(other);
                    }
                }
            }
            from = next;
        }
        out
    }
}

impl Item {
    /// Whether it refers to another by a parameter (`*`: any).
    fn refers_to(&self, code: &str, other: &Self) -> bool {
        let to = |r: &values::Reference| leads(r) == other.name || other.known_by.contains(&r.text);
        let leads = |seen: &Values| matches!(seen, Values::Reference(refs) if refs.iter().any(to));
        if code == "*" { self.seen.values().any(leads) } else { self.seen.get(code).is_some_and(leads) }
    }
}

impl Include {
    /// Whether it leads from `a` to `b`.
    fn leads(&self, a: &Item, b: &Item) -> bool {
        (self.source == "*" || self.source == a.kind)
            && self.target.as_ref().is_none_or(|t| b.kind == *t)
            && a.refers_to(&self.code, b)
    }
}

/// When a resource was written, µs.
pub fn updated(resource: &Value) -> i64 {
    micros(resource["meta"]["lastUpdated"].as_str().expect("lastUpdated")).expect("an instant")
}
