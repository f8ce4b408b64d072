//! Whether a code is in a value set, as far as the value sets and code systems at hand tell.
//!
//! For: bindings of profiles, and slices that are told by a value set. Nothing is expanded: a code is held against the
//! parts of the set, so that a set with a part that is not known here still answers for its other parts.
//! Not for: `$expand` and searches (`search/terminology`).
//! Source: <https://hl7.org/fhir/R4/valueset.html#compositions>, <https://hl7.org/fhir/R4/codesystem.html#hierarchy>.

use super::canonical;
use crate::fhir::definition::{self, CodeSet};
use crate::fhir::{Json, unit};
use std::collections::{HashMap, HashSet};

/// Value sets inside value sets at most.
const MAX_DEPTH: usize = 16;
/// Concepts of one code system at most; what is over it makes the system a fragment.
const MAX_CONCEPTS: usize = 500_000;

/// What is known about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    In,
    Out,
    /// A set, a system or a filter is not known here.
    Unknown,
}

impl Answer {
    fn of(is_in: bool) -> Self {
        if is_in { Self::In } else { Self::Out }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Out, _) | (_, Self::Out) => Self::Out,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::In,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::In, _) | (_, Self::In) => Self::In,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::Out,
        }
    }

    fn not(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// Value sets and code systems by canonical URL.
#[derive(Debug, Default)]
pub(super) struct Terms {
    sets: HashMap<Box<str>, Set>,
    systems: HashMap<Box<str>, System>,
}

#[derive(Debug)]
struct Set {
    includes: Vec<Part>,
    excludes: Vec<Part>,
    expansion: HashSet<(Box<str>, Box<str>)>,
}

#[derive(Debug)]
struct Part {
    system: Option<Box<str>>,
    concepts: HashSet<Box<str>>,
    filters: Vec<Filter>,
    sets: Vec<Box<str>>,
}

#[derive(Debug)]
struct Filter {
    property: Box<str>,
    op: Box<str>,
    value: Box<str>,
}

#[derive(Debug)]
struct System {
    is_complete: bool,
    concepts: HashMap<Box<str>, Concept>,
}

#[derive(Debug, Default)]
struct Concept {
    parents: Vec<Box<str>>,
    properties: Vec<(Box<str>, Box<str>)>,
}

impl Terms {
    /// Takes a ValueSet or CodeSystem in; `false` when one of its URL is there already, or it is neither.
    pub(super) fn add(&mut self, resource: &Json) -> bool {
        let Some(url) = resource["url"].as_str().filter(|url| !url.is_empty()) else { return false };
        match resource["resourceType"].text() {
            "ValueSet" if !self.sets.contains_key(url) => {
                self.sets.insert(url.into(), Set::read(resource));
                true
            }
            "CodeSystem" if !self.systems.contains_key(url) && resource["content"].text() != "supplement" => {
                self.systems.insert(url.into(), System::read(resource));
                true
            }
            _ => false,
        }
    }

    /// How many value sets and code systems.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.sets.len(), self.systems.len())
    }

    /// Whether a code is in a value set. Without a system (a `code`, `string` or `uri`): whether any system has it there.
    pub(super) fn has(&self, set: &str, system: Option<&str>, code: &str) -> Answer {
        self.in_set(set, system, code, 0)
    }

    fn in_set(&self, set: &str, system: Option<&str>, code: &str, depth: usize) -> Answer {
        let (url, _) = canonical(set);
        if depth > MAX_DEPTH {
            return Answer::Unknown;
        }
        let Some(set) = self.sets.get(url) else {
            return match of_r4(url) {
                None => Answer::Unknown,
                Some(set) => Answer::of(match system {
                    Some(system) => set.has_coding(system, code),
                    None => set.has(code),
                }),
            };
        };
        let listed = set.expansion.iter().any(|(s, c)| system.is_none_or(|system| **s == *system) && **c == *code);
        if set.includes.is_empty() {
            return if set.expansion.is_empty() { Answer::Unknown } else { Answer::of(listed) };
        }
        let any = |parts: &[Part]| {
            parts.iter().fold(Answer::Out, |all, part| match all {
                Answer::In => all,
                _ => all.or(self.in_part(part, system, code, depth)),
            })
        };
        match any(&set.includes).and(any(&set.excludes).not()) {
            Answer::Unknown if listed => Answer::In,
            answer => answer,
        }
    }

    fn in_part(&self, part: &Part, system: Option<&str>, code: &str, depth: usize) -> Answer {
        let mut answer = Answer::In;
        if let Some(own) = &part.system {
            if system.is_some_and(|system| system != &**own) {
                return Answer::Out;
            }
            answer = match (part.concepts.is_empty(), part.filters.is_empty()) {
                (false, _) => Answer::of(part.concepts.contains(code)),
                (true, true) => match self.in_system(own, code) {
                    // A system that is not at hand is taken at its word, unless nobody says that the code is of it.
                    Answer::Unknown if system.is_some() && !self.systems.contains_key(own) => Answer::In,
                    answer => answer,
                },
                (true, false) => part
                    .filters
                    .iter()
                    .fold(self.in_system(own, code), |all, filter| all.and(self.fits(own, filter, code))),
            };
        }
        part.sets.iter().fold(answer, |all, set| all.and(self.in_set(set, system, code, depth + 1)))
    }

    fn in_system(&self, system: &str, code: &str) -> Answer {
        match self.systems.get(system) {
            Some(system) if system.concepts.contains_key(code) => Answer::In,
            Some(system) if system.is_complete => Answer::Out,
            None if system == unit::UCUM => Answer::of(unit::is_code(code)),
            _ => Answer::Unknown,
        }
    }

    fn fits(&self, system: &str, filter: &Filter, code: &str) -> Answer {
        let Some(system) = self.systems.get(system) else { return Answer::Unknown };
        let Some(concept) = system.concepts.get(code) else {
            return if system.is_complete { Answer::Out } else { Answer::Unknown };
        };
        let is_code = matches!(&*filter.property, "concept" | "code");
        let listed = |value: &str| filter.value.split(',').any(|v| v.trim() == value);
        match &*filter.op {
            "is-a" => Answer::of(code == &*filter.value || system.is_below(code, &filter.value)),
            "descendent-of" => Answer::of(system.is_below(code, &filter.value)),
            "is-not-a" => Answer::of(code != &*filter.value && !system.is_below(code, &filter.value)),
            "=" if is_code => Answer::of(code == &*filter.value),
            "in" if is_code => Answer::of(listed(code)),
            "not-in" if is_code => Answer::of(!listed(code)),
            "=" | "in" | "not-in" => {
                let mut values = concept.properties.iter().filter(|(name, _)| *name == filter.property);
                let found =
                    values.any(|(_, value)| if &*filter.op == "=" { *value == filter.value } else { listed(value) });
                Answer::of(found != (&*filter.op == "not-in"))
            }
            "exists" => {
                let there = concept.properties.iter().any(|(name, _)| *name == filter.property);
                Answer::of(there == (&*filter.value == "true"))
            }
            _ => Answer::Unknown,
        }
    }
}

/// A value set of a required binding of R4: its codes are in the tables.
fn of_r4(url: &str) -> Option<&'static CodeSet> {
    url.strip_prefix("http://hl7.org/fhir/ValueSet/").and_then(definition::code_set)
}

fn boxed(json: &Json) -> Box<str> {
    json.text().into()
}

impl Set {
    fn read(set: &Json) -> Self {
        let parts = |name: &str| set["compose"][name].items().iter().map(Part::read).collect();
        let mut expansion = HashSet::new();
        contained(&set["expansion"]["contains"], &mut expansion, 0);
        Self { includes: parts("include"), excludes: parts("exclude"), expansion }
    }
}

fn contained(list: &Json, out: &mut HashSet<(Box<str>, Box<str>)>, depth: usize) {
    for item in list.items().iter().filter(|_| depth < 64) {
        if item["abstract"].as_bool() != Some(true) && !item["code"].text().is_empty() {
            out.insert((boxed(&item["system"]), boxed(&item["code"])));
        }
        contained(&item["contains"], out, depth + 1);
    }
}

impl Part {
    fn read(part: &Json) -> Self {
        let filter =
            |f: &Json| Filter { property: boxed(&f["property"]), op: boxed(&f["op"]), value: boxed(&f["value"]) };
        Self {
            system: part["system"].as_str().map(Into::into),
            concepts: part["concept"].items().iter().map(|c| boxed(&c["code"])).collect(),
            filters: part["filter"].items().iter().map(filter).collect(),
            sets: part["valueSet"].items().iter().map(boxed).collect(),
        }
    }
}

impl System {
    fn read(json: &Json) -> Self {
        let mut system = Self { is_complete: json["content"].text() == "complete", concepts: HashMap::new() };
        system.take(&json["concept"], None, 0);
        system
    }

    fn take(&mut self, list: &Json, parent: Option<&str>, depth: usize) {
        for json in list.items() {
            if depth > 64 || self.concepts.len() >= MAX_CONCEPTS {
                self.is_complete = false;
                return;
            }
            let code = json["code"].text();
            let concept = self.concepts.entry(code.into()).or_default();
            concept.parents.extend(parent.map(Into::into));
            for property in json["property"].items() {
                let name = property["code"].text();
                let value =
                    property.as_object().into_iter().flat_map(|o| o.iter()).find(|(k, _)| k.starts_with("value"));
                let value = value.map_or(String::new(), |(_, v)| match v {
                    Json::Object(coding) => coding.get("code").map_or("", Json::text).to_owned(),
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                });
                if name == "child" {
                    self.concepts.entry(value.into()).or_default().parents.push(code.into());
                } else if let Some(concept) = self.concepts.get_mut(code) {
                    if matches!(name, "parent" | "subsumedBy") {
                        concept.parents.push(value.as_str().into());
                    }
                    concept.properties.push((name.into(), value.into()));
                }
            }
            self.take(&json["concept"], Some(code), depth + 1);
        }
    }

    /// Whether `above` is an ancestor of `code`.
    fn is_below(&self, code: &str, above: &str) -> bool {
        let mut seen = HashSet::new();
        let mut todo = vec![code];
        while let Some(code) = todo.pop() {
            for parent in self.concepts.get(code).map_or(&[][..], |c| &c.parents) {
                if &**parent == above {
                    return true;
                }
                if seen.insert(&**parent) {
                    todo.push(parent);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_code_is_in_out_or_not_known_to_be_either() {
        let mut terms = Terms::default();
        for resource in [
            json!({"resourceType": "CodeSystem", "url": "urn:cs", "content": "complete", "concept": [
                {"code": "a", "concept": [{"code": "b"}], "property": [{"code": "child", "valueCode": "c"}]},
                {"code": "c"}, {"code": "z", "property": [{"code": "kind", "valueString": "last"}]}]}),
            json!({"resourceType": "ValueSet", "url": "urn:below", "compose": {"include": [
                {"system": "urn:cs", "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}],
                "exclude": [{"system": "urn:cs", "concept": [{"code": "b"}]}]}}),
            json!({"resourceType": "ValueSet", "url": "urn:mixed", "compose": {"include": [
                {"system": "urn:far", "filter": [{"property": "concept", "op": "is-a", "value": "1"}]},
                {"system": "urn:whole"}, {"system": "urn:cs", "filter": [{"property": "kind", "op": "=", "value": "last"}]}]}}),
            json!({"resourceType": "ValueSet", "url": "urn:both", "compose": {"include": [
                {"valueSet": ["urn:below", "urn:mixed|1"]}]}}),
        ] {
            assert!(terms.add(&resource.clone().into()), "{resource}");
            assert!(!terms.add(&resource.into()), "the first of a URL stays");
        }
        use Answer::{In, Out, Unknown};
        for (set, system, code, answer) in [
            ("urn:below", "urn:cs", "a", In),
            ("urn:below|1.0", "urn:cs", "c", In),
            ("urn:below", "urn:cs", "b", Out),
            ("urn:below", "urn:cs", "z", Out),
            ("urn:below", "urn:other", "a", Out),
            ("urn:mixed", "urn:far", "9", Unknown),
            ("urn:mixed", "urn:whole", "x", In),
            ("urn:mixed", "urn:cs", "z", In),
            ("urn:mixed", "urn:cs", "a", Out),
            ("urn:mixed", "urn:none", "a", Out),
            ("urn:both", "urn:cs", "a", Out),
            ("urn:nowhere", "urn:cs", "a", Unknown),
            (
                "http://hl7.org/fhir/ValueSet/administrative-gender",
                "http://hl7.org/fhir/administrative-gender",
                "male",
                In,
            ),
            ("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", "urn:x", "male", Out),
        ] {
            assert_eq!(terms.has(set, Some(system), code), answer, "{set} {system} {code}");
        }
        assert_eq!(terms.has("urn:below", None, "c"), In);
    }
}
