//! The sum at the end: how many were accepted, and what was refused, by reason, with an example place each.

use super::Outcome;
use crate::fhir::Json;
use std::collections::BTreeMap;
use std::fmt;

/// Counts of one load.
#[derive(Debug, Default)]
pub struct Tally {
    /// Items answered 2xx without a refused entry in them.
    pub accepted: u64,
    /// Items that an earlier run had answers for.
    pub known: u64,
    /// Items without an answer.
    pub unanswered: usize,
    refused: u64,
    last_trouble: String,
    /// Reason → (how often, the first place).
    reasons: BTreeMap<String, (u64, String)>,
}

impl Tally {
    /// Counts one outcome. Returns whether the item is done with: accepted, or refused for good.
    pub fn note(&mut self, place: &str, outcome: &Outcome) -> bool {
        let reasons = match outcome {
            Outcome::Accepted(bodies) => bodies.iter().flat_map(|body| refused_entries(body)).collect(),
            Outcome::Known => {
                self.known += 1;
                return true;
            }
            Outcome::Refused(status, body) => reasons(*status, &crate::fhir::json::parse(body).unwrap_or_default()),
            Outcome::Unreadable(sentence) => vec![format!("not sent: {}", general(sentence))],
            Outcome::Unanswered(trouble) => {
                self.unanswered += 1;
                self.last_trouble.clone_from(trouble);
                return false;
            }
        };
        if reasons.is_empty() {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
        for reason in reasons {
            self.reasons.entry(reason).or_insert_with(|| (0, place.to_string())).0 += 1;
        }
        true
    }

    /// Items refused, or accepted with entries refused in them.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// For the progress bar.
    pub fn brief(&self) -> String {
        let known = if self.known > 0 { format!(", {} from before", self.known) } else { String::new() };
        format!("{} accepted, {} refused{known}", self.accepted, self.refused)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}.", self.brief())?;
        let mut sorted: Vec<_> = self.reasons.iter().collect();
        sorted.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (reason, (count, place)) in sorted {
            writeln!(f, "{count:>7} x {reason}\n          first at {place}")?;
        }
        if self.unanswered > 0 {
            writeln!(f, "{} without an answer; the last: {}", self.unanswered, self.last_trouble)?;
        }
        Ok(())
    }
}

/// A batch answers 200 whatever its entries say: look at each.
fn refused_entries(body: &[u8]) -> Vec<String> {
    let Ok(json) = crate::fhir::json::parse(body) else { return Vec::new() };
    let responses = json["entry"].items().iter().map(|e| &e["response"]);
    let refused = responses.filter(|r| r["status"].text().starts_with(['4', '5']));
    refused
        .flat_map(|r| reasons(r["status"].text().get(..3).and_then(|s| s.parse().ok()).unwrap_or(0), &r["outcome"]))
        .collect()
}

/// One text a distinct issue, general enough to be counted.
fn reasons(status: u16, outcome: &Json) -> Vec<String> {
    let issues = outcome["issue"]
        .items()
        .iter()
        .filter(|i| i["severity"].text() != "warning" && i["severity"].text() != "information");
    let text = |issue: &Json| {
        let at = issue["expression"][0].text();
        let at = if at.is_empty() { String::new() } else { format!(" at {}", general(at)) };
        format!("{status} {}{at}: {}", issue["code"].text(), general(issue["diagnostics"].text()))
    };
    let mut texts: Vec<_> = issues.map(text).collect();
    texts.sort();
    texts.dedup();
    if texts.is_empty() {
        texts.push(format!("{status}, without an OperationOutcome"));
    }
    texts
}

/// Takes out what differs from item to item: numbers in brackets, ids, long quotations.
fn general(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find(']').unwrap_or(0);
        let inside = from.get(1..end).unwrap_or_default();
        if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_digit()) {
            out.push('[');
            rest = from.get(1..).unwrap_or_default();
        } else {
            rest = from.get(end + 1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    let word = |w: &str| {
        let bare = w.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if bare.len() >= 32 && bare.bytes().any(|b| b.is_ascii_digit()) { "…".to_string() } else { w.to_string() }
    };
    out.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Tally};

    #[test]
    fn the_same_fault_at_two_places_is_one_reason() {
        let body = |n: u8| {
            let text = format!(
                r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"invalid",
                "expression":["Patient.name[{n}].given"],"diagnostics":"an empty string"}}]}}"#
            );
            Outcome::Refused(400, text.into())
        };
        let mut tally = Tally::default();
        assert!(tally.note("a:1", &body(1)) && tally.note("a:2", &body(2)));
        assert!(!tally.note("a:3", &Outcome::Unanswered("gone".into())));
        let text = tally.to_string();
        assert!(
            text.contains("2 x 400 invalid at Patient.name.given: an empty string\n          first at a:1"),
            "{text}"
        );
        assert_eq!((tally.refused(), tally.unanswered), (2, 1));
    }

    #[test]
    fn a_batch_with_a_refused_entry_counts_as_refused() {
        let body = r#"{"resourceType":"Bundle","entry":[{"response":{"status":"201 Created"}},
            {"response":{"status":"422 Unprocessable","outcome":{"issue":[{"severity":"error","code":"business-rule","diagnostics":"no"}]}}}]}"#;
        let mut tally = Tally::default();
        tally.note("a:1", &Outcome::Accepted(vec![body.into()]));
        assert_eq!((tally.accepted, tally.refused()), (0, 1));
    }
}
