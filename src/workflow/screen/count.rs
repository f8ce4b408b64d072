//! What became of each rule's findings: how often it fired, and how often somebody acted on it.
//!
//! A rule that nobody acts on asks pharmacists for time and gives nothing back: it is to be changed or switched off.
//! Pure. Not for: which problems are counted (`interaction/operation/rules.rs`).

use super::Rules;
use crate::fhir::Json;
use crate::workflow::dtp::{is_decided, is_open};
use crate::workflow::element::{self, own_code};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The count of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Count {
    fired: u64,
    open: u64,
    acted_on: u64,
    withdrawn: u64,
    cancelled: u64,
    resolutions: BTreeMap<String, u64>,
}

/// Counts, by rule.
#[derive(Debug, Clone, Default)]
pub struct Counts(BTreeMap<String, Count>);

impl Counts {
    /// Adds a DetectedIssue; one that no rule has found is left out.
    pub fn add(&mut self, issue: &Json) {
        let Some(fired) = element::extension(issue, "rule-fired") else { return };
        let rule = fired["extension"].items().iter().find(|e| e["url"].text() == "rule");
        let Some(rule) = rule.map(|e| e["valueCode"].text()).filter(|r| !r.is_empty()) else { return };
        let count = self.0.entry(rule.to_string()).or_default();
        count.fired += 1;
        if is_open(issue) {
            count.open += 1;
        } else if is_decided(issue) {
            let resolution = element::extension(issue, "resolution").map(|e| &e["valueCodeableConcept"]);
            let code = resolution.and_then(|r| own_code(r, "resolution")).unwrap_or("unknown");
            *count.resolutions.entry(code.to_string()).or_default() += 1;
            count.acted_on += u64::from(code != "no-action");
        } else if element::extension(issue, "stopped-firing").is_some() {
            count.withdrawn += 1;
        } else {
            count.cancelled += 1;
        }
    }

    /// The counts as Parameters: rules in force first in their order, those that never fired too, then those that are no more.
    #[must_use]
    pub fn told(&self, rules: &Rules) -> Json {
        let known = rules.rules.iter().map(|r| (r.code.as_str(), r.title.as_str(), r.is_on));
        let gone = self.0.keys().filter(|code| rules.get(code).is_none()).map(|code| (code.as_str(), "", false));
        let none = Count::default();
        let one = |(code, title, is_on): (&str, &str, bool)| {
            let count = self.0.get(code).unwrap_or(&none);
            let mut part = vec![json!({"name": "rule", "valueCode": code})];
            if !title.is_empty() {
                part.push(json!({"name": "title", "valueString": title}));
            }
            part.push(json!({"name": "on", "valueBoolean": is_on}));
            let decided: u64 = count.resolutions.values().sum();
            for (name, n) in [
                ("fired", count.fired),
                ("open", count.open),
                ("decided", decided),
                ("acted-on", count.acted_on),
                ("withdrawn", count.withdrawn),
                ("cancelled", count.cancelled),
            ] {
                part.push(json!({"name": name, "valueInteger": n}));
            }
            for (code, n) in &count.resolutions {
                let parts = [json!({"name": "code", "valueCode": code}), json!({"name": "count", "valueInteger": n})];
                part.push(json!({"name": "resolution", "part": parts}));
            }
            json!({"name": "rule", "part": part})
        };
        let parameters: Vec<Value> = known.chain(gone).map(one).collect();
        json!({"resourceType": "Parameters", "parameter": parameters}).into()
    }
}
