//! R4's code systems and value sets of the tables, as resources: what the terminology operations and `:in` read.
//!
//! For: the systems of required bindings, whole, with displays and hierarchy. Not for: what a site stores or loads.
//! Source: <https://hl7.org/fhir/R4/terminologies-systems.html>; `concepts.tsv` is made by `examples/definitions.rs`.

use super::{DEFINITIONS, outside};
use crate::fhir::Json;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

const CONCEPTS: &str = include_str!("concepts.tsv");
/// Version of R4's own value sets.
const VERSION: &str = "4.0.1";

static SYSTEMS: LazyLock<HashMap<&'static str, Arc<Json>>> = LazyLock::new(|| {
    let mut out = HashMap::new();
    let mut lines = CONCEPTS.lines().peekable();
    while let Some(head) = lines.next() {
        let mut cells = head.trim_start_matches('@').split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (url, name, version, meaning) = (cell(), cell(), cell(), cell());
        let mut rows = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('@')) {
            rows.push(line);
        }
        let mut system = json!({
            "resourceType": "CodeSystem", "url": url, "version": version, "name": name, "status": "active",
            "content": "complete", "caseSensitive": true, "concept": nested(&mut rows.iter().copied().peekable(), 0),
        });
        if !meaning.is_empty() {
            system["hierarchyMeaning"] = meaning.into();
        }
        out.insert(url, Arc::new(Json::from(system)));
    }
    out
});

/// The concepts of one depth and what is under them.
fn nested<'a>(rows: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, depth: usize) -> Vec<Value> {
    let depth_of = |row: &str| row.split('\t').next().and_then(|d| d.parse::<usize>().ok()).unwrap_or(0);
    let mut out = Vec::new();
    while let Some(row) = rows.next_if(|row| depth_of(row) >= depth) {
        let mut cells = row.split('\t').skip(1);
        let mut cell = || cells.next().unwrap_or_default();
        let (code, display, marks) = (cell(), cell(), cell());
        let mut concept = json!({"code": code});
        if !display.is_empty() {
            concept["display"] = display.into();
        }
        let property = |mark: &str| match (mark, mark.strip_prefix('>')) {
            ("abstract", _) => json!({"code": "notSelectable", "valueBoolean": true}),
            (_, Some(child)) => json!({"code": "child", "valueCode": child}),
            _ => json!({"code": "status", "valueCode": mark}),
        };
        let properties: Vec<Value> = marks.split(' ').filter(|m| !m.is_empty()).map(property).collect();
        if !properties.is_empty() {
            concept["property"] = properties.into();
        }
        let inner = nested(rows, depth + 1);
        if !inner.is_empty() {
            concept["concept"] = inner.into();
        }
        out.push(concept);
    }
    out
}

static SETS: LazyLock<HashMap<String, Arc<Json>>> = LazyLock::new(|| {
    let set = |set: &super::CodeSet| {
        let url = format!("http://hl7.org/fhir/ValueSet/{}", set.name);
        let concepts = |codes: &[&str]| codes.iter().map(|code| json!({"code": code})).collect::<Vec<_>>();
        let include: Vec<Value> =
            set.systems.iter().map(|(system, codes)| json!({"system": system, "concept": concepts(codes)})).collect();
        let resource = json!({
            "resourceType": "ValueSet", "url": url, "version": VERSION, "name": set.name, "status": "active",
            "compose": {"include": include},
        });
        (url, Arc::new(Json::from(resource)))
    };
    DEFINITIONS.sets.iter().filter(|s| !outside::holds(s)).map(set).collect()
});

/// A code system of R4's required bindings, by its canonical URL.
#[must_use]
pub fn code_system(url: &str) -> Option<Arc<Json>> {
    SYSTEMS.get(url).cloned()
}

/// A value set of R4's required bindings, by its canonical URL.
#[must_use]
pub fn value_set(url: &str) -> Option<Arc<Json>> {
    SETS.get(url).cloned()
}
