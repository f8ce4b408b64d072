//! One CodeSystem: its concepts, their hierarchy, and filters over them.
//!
//! Source: <https://hl7.org/fhir/R4/codesystem.html#hierarchy>, <https://hl7.org/fhir/R4/valueset-filter-operator.html>.

use super::{Codes, Library, Made, Stop, Wanted, canonical, look};
use crate::fhir::Json;
use regex::RegexBuilder;
use std::collections::{BTreeSet, HashMap};

/// Concepts of one code system at most.
const MAX_CONCEPTS: usize = 200_000;

/// A code system that was read.
pub struct System<'a> {
    url: &'a str,
    resource: &'a Json,
    concepts: Vec<Concept<'a>>,
    by_code: HashMap<&'a str, usize>,
    /// `caseSensitive` is false.
    caseless: bool,
}

struct Concept<'a> {
    code: &'a str,
    json: &'a Json,
    parents: Vec<usize>,
    children: Vec<usize>,
}

/// Positions of concepts.
pub type Set = BTreeSet<usize>;

impl<'a> System<'a> {
    /// The code system of that address.
    ///
    /// # Errors
    /// [`Stop::Wanted`] as long as it has not been looked for, `Unknown` where it or its codes are not here.
    pub fn read(address: &str, library: &'a Library) -> Made<Self> {
        let json = look(library, Wanted::CodeSystem(address.into()))?
            .ok_or_else(|| Stop::Unknown(format!("the code system {address} is not known here")))?;
        let content = json["content"].text();
        if !matches!(content, "complete" | "fragment") {
            return Err(Stop::Unknown(format!("the codes of the code system {address} are not here ({content})")));
        }
        let url = json["url"].as_str().unwrap_or_else(|| json["id"].text());
        let by_code = HashMap::new();
        let caseless = json["caseSensitive"].as_bool() == Some(false);
        let mut system = Self { url, resource: json, concepts: Vec::new(), by_code, caseless };
        system.gather(&json["concept"], None)?;
        if !matches!(json["hierarchyMeaning"].as_str(), None | Some("is-a")) {
            // The nesting means something else: no code subsumes another.
            system.concepts.iter_mut().for_each(|c| {
                c.parents.clear();
                c.children.clear();
            });
        }
        system.link();
        Ok(system)
    }

    fn gather(&mut self, list: &'a Json, parent: Option<usize>) -> Made<()> {
        // The reader of JSON bounds the depth.
        for json in list.items() {
            let Some(code) = json["code"].as_str() else { continue };
            if self.concepts.len() >= MAX_CONCEPTS {
                let url = self.url;
                return Err(Stop::Costly(format!("the code system {url} has more than {MAX_CONCEPTS} codes")));
            }
            let at = self.concepts.len();
            self.concepts.push(Concept { code, json, parents: Vec::new(), children: Vec::new() });
            self.by_code.entry(code).or_insert(at);
            if let Some(parent) = parent {
                self.relate(parent, at);
            }
            self.gather(&json["concept"], Some(at))?;
        }
        Ok(())
    }

    /// Relations that stand as properties: `parent`, `subsumedBy`, `child`.
    fn link(&mut self) {
        let mut found = Vec::new();
        for (at, concept) in self.concepts.iter().enumerate() {
            for property in concept.json["property"].items() {
                let other = property["valueCode"].as_str().and_then(|code| self.by_code.get(code));
                match (property["code"].text(), other) {
                    ("parent" | "subsumedBy", Some(parent)) => found.push((*parent, at)),
                    ("child", Some(child)) => found.push((at, *child)),
                    _ => {}
                }
            }
        }
        found.into_iter().for_each(|(parent, child)| self.relate(parent, child));
    }

    fn relate(&mut self, parent: usize, child: usize) {
        if let Some(concept) = self.concepts.get_mut(child) {
            concept.parents.push(parent);
        }
        if let Some(concept) = self.concepts.get_mut(parent) {
            concept.children.push(child);
        }
    }

    /// Codes in the order of the resource.
    pub fn in_order(&self) -> impl Iterator<Item = &'a str> {
        self.concepts.iter().map(|c| c.code)
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &'a Json {
        self.resource
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Option<&'a str> {
        self.resource["version"].as_str()
    }

    /// The code of a concept.
    #[must_use]
    pub fn code(&self, at: usize) -> Option<&'a str> {
        self.concepts.get(at).map(|c| c.code)
    }

    /// A concept as it stands in the resource.
    #[must_use]
    pub fn json(&self, at: usize) -> Option<&'a Json> {
        self.concepts.get(at).map(|c| c.json)
    }

    /// Codes right above (`parent`) or below (`child`) a concept.
    #[must_use]
    pub fn next(&self, at: usize, property: &str) -> Vec<&str> {
        self.concepts.get(at).map(|c| self.values(c, property)).unwrap_or_default()
    }

    fn says(&self, at: usize, property: &str, values: &[&str]) -> bool {
        self.concepts.get(at).is_some_and(|c| self.values(c, property).iter().any(|v| values.contains(v)))
    }

    /// Whether a concept is no longer in use.
    #[must_use]
    pub fn is_inactive(&self, at: usize) -> bool {
        self.says(at, "inactive", &["true"]) || self.says(at, "status", &["retired", "inactive"])
    }

    /// Whether a concept is a heading only.
    #[must_use]
    pub fn is_abstract(&self, at: usize) -> bool {
        self.says(at, "notSelectable", &["true"]) || self.says(at, "abstract", &["true"])
    }

    /// The position of a code.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn find(&self, code: &str) -> Made<usize> {
        let caseless = || self.concepts.iter().position(|c| self.caseless && c.code.eq_ignore_ascii_case(code));
        let at = self.by_code.get(code).copied().or_else(caseless);
        at.ok_or_else(|| Stop::Unknown(format!("the code system {} has no code '{code}' here", self.url)))
    }

    /// All concepts.
    #[must_use]
    pub fn all(&self) -> Set {
        (0..self.concepts.len()).collect()
    }

    /// The concept and all under it.
    #[must_use]
    pub fn below(&self, at: usize) -> Set {
        self.reach(at, |c| &c.children)
    }

    /// The concept and all over it.
    #[must_use]
    pub fn above(&self, at: usize) -> Set {
        self.reach(at, |c| &c.parents)
    }

    fn reach(&self, from: usize, next: for<'c> fn(&'c Concept<'a>) -> &'c Vec<usize>) -> Set {
        let mut seen = Set::from([from]);
        let mut waiting = vec![from];
        while let Some(at) = waiting.pop() {
            for other in self.concepts.get(at).map(next).into_iter().flatten() {
                if seen.insert(*other) {
                    waiting.push(*other);
                }
            }
        }
        seen
    }

    /// Codes of concepts.
    #[must_use]
    pub fn codes(&self, set: Set) -> Codes {
        let codes = set.into_iter().filter_map(|at| self.concepts.get(at));
        let (url, _) = canonical(self.url);
        Codes { systems: BTreeSet::new(), codes: codes.map(|c| (url.to_string(), c.code.to_string())).collect() }
    }

    /// Values of a property of a concept.
    fn values<'s>(&'s self, concept: &'s Concept<'a>, property: &str) -> Vec<&'s str> {
        let code = |at: &usize| self.concepts.get(*at).map(|c| c.code);
        match property {
            "concept" | "code" => vec![concept.code],
            "display" | "definition" => concept.json[property].as_str().into_iter().collect(),
            "parent" => concept.parents.iter().filter_map(code).collect(),
            "child" => concept.children.iter().filter_map(code).collect(),
            _ => {
                let held = concept.json["property"].items().iter().filter(|p| p["code"].text() == property);
                held.filter_map(value).collect()
            }
        }
    }

    /// The concepts that meet one filter.
    ///
    /// # Errors
    /// `Unknown` for a filter that is not understood, or names a code that is not here.
    pub fn filter(&self, property: &str, op: &str, value: &str) -> Made<Set> {
        let of_concept = matches!(property, "concept" | "code" | "parent" | "child");
        let among = |set: &[&str]| {
            let set: Vec<&str> = set.to_vec();
            self.those(property, move |v| v.iter().any(|v| set.contains(v)))
        };
        match op {
            "is-a" if of_concept => Ok(self.below(self.find(value)?)),
            "descendent-of" if of_concept => {
                let at = self.find(value)?;
                Ok(self.below(at).into_iter().filter(|n| *n != at).collect())
            }
            "is-not-a" if of_concept => {
                let below = self.below(self.find(value)?);
                Ok(self.all().difference(&below).copied().collect())
            }
            "generalizes" if of_concept => Ok(self.above(self.find(value)?)),
            "=" => Ok(among(&[value])),
            "in" => Ok(among(&value.split(',').map(str::trim).collect::<Vec<_>>())),
            "not-in" => {
                let found = among(&value.split(',').map(str::trim).collect::<Vec<_>>());
                Ok(self.all().difference(&found).copied().collect())
            }
            "exists" => Ok(self.those(property, |v| v.is_empty() != (value == "true"))),
            "regex" => {
                // Linear in the text, and bounded in size: a pattern cannot be made to run long.
                let pattern = RegexBuilder::new(&format!("^(?:{value})$")).size_limit(1 << 20).build();
                let pattern = pattern.map_err(|_| {
                    Stop::Unknown("a filter of the value set is no regular expression that is understood here".into())
                })?;
                Ok(self.those(property, |v| v.iter().any(|v| pattern.is_match(v))))
            }
            _ => Err(Stop::Unknown(format!(
                "the filter '{property} {op} {value}' of the value set is not understood here"
            ))),
        }
    }

    fn those(&self, property: &str, fits: impl Fn(&[&str]) -> bool) -> Set {
        let fitting = self.concepts.iter().enumerate().filter(|(_, c)| fits(&self.values(c, property)));
        fitting.map(|(at, _)| at).collect()
    }
}

/// The value of a property as text.
fn value(property: &Json) -> Option<&str> {
    let names = ["valueCode", "valueString", "valueDateTime"];
    let text = names.iter().find_map(|name| property[*name].as_str());
    text.or_else(|| property["valueCoding"]["code"].as_str())
        .or_else(|| property["valueBoolean"].as_bool().map(|b| if b { "true" } else { "false" }))
        .or_else(|| property["valueInteger"].as_number())
        .or_else(|| property["valueDecimal"].as_number())
}
