//! What a broken rule says: what was found, what was expected, how to mend it.
//!
//! For: the constraints of R4 (`validate/invariant.rs`) and of profiles (`profile/invariant.rs`).

use super::footprint::Footprint;
use super::is_datatype;
use super::value::{Kind, Node};
use crate::fhir::Json;
use crate::fhir::definition::Structure;
use crate::fhir::resource::printable;

/// Elements that are told of at most.
const MAX_TOLD: usize = 8;

/// One sentence for the sender.
pub(super) fn told(footprint: &Footprint<'_>, key: &str, human: &str, element: Node<'_>) -> String {
    let mut found: Vec<String> = described("", element.json).into_iter().collect();
    let mut missing = Vec::new();
    for name in footprint.members.iter().take(MAX_TOLD) {
        let choice = |key: &str| key.strip_prefix(name).is_some_and(is_datatype);
        let is_element = |structure: &Structure| structure.element(name).is_some();
        let member = element.json.as_object().and_then(|o| o.iter().find(|(key, _)| key == name || choice(key)));
        match member {
            Some((key, value)) => found.push(described(key, value).unwrap_or_else(|| key.to_owned())),
            // What the rule reads further inside is not an element of this one.
            None if matches!(element.kind, Kind::Structure(s) if is_element(s)) => missing.push(*name),
            None => {}
        }
    }
    let mut what = String::new();
    if !found.is_empty() || !missing.is_empty() {
        what.push_str("found ");
        what.push_str(&if found.is_empty() { "nothing of it".to_owned() } else { found.join(", ") });
        if !missing.is_empty() {
            what.push_str(&format!(", without {}", missing.join(", ")));
        }
        what.push_str("; ");
    }
    let human = human.trim().trim_end_matches('.');
    what + &format!("expected: {human} ({key}); change the element so that this holds")
}

/// A primitive with its name.
fn described(key: &str, value: &Json) -> Option<String> {
    let text = match value {
        Json::String(text) => format!("{key} \"{}\"", printable(text)),
        Json::Number(text) => format!("{key} {}", printable(text)),
        Json::Bool(b) => format!("{key} {b}"),
        _ => return None,
    };
    Some(text.trim_start().to_owned())
}
