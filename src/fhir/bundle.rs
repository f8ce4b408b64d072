//! References of a resource: finding them, and rewriting those that a Bundle renames.
//!
//! For: transactions (`urn:uuid`, fullUrl, conditional references become `Type/id`) and reference integrity.
//! Not for: resolving them (`interaction/transaction.rs`).
//! Source: <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle.html#references>.

use super::Json;

/// Replaces links in a resource: `lookup` gets the text of each `Reference.reference`, each element of type uri, url, oid
/// or uuid, and each `href`/`src` of a narrative, and gives what to write instead. Canonicals and other texts stay.
/// Returns whether anything changed.
pub fn rewrite(resource: &mut Json, lookup: &dyn Fn(&str) -> Option<String>) -> bool {
    match resource {
        Json::Array(items) => items.iter_mut().fold(false, |any, item| rewrite(item, lookup) | any),
        Json::Object(members) => {
            let mut any = false;
            for (key, value) in &mut members.0 {
                match value {
                    Json::String(text) if &**key == "reference" => {
                        if let Some(new) = lookup(text) {
                            *text = new;
                            any = true;
                        }
                    }
                    _ => any |= rewrite(value, lookup),
                }
            }
            any
        }
        _ => false,
    }
}

/// All `Reference.reference` of a resource with the FHIRPath of the Reference element.
#[must_use]
pub fn references(resource: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(resource, &super::path::Path::root(resource["resourceType"].text()), &mut found);
    found
}

fn collect(value: &Json, path: &super::path::Path<'_>, found: &mut Vec<(String, String)>) {
    match value {
        Json::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                collect(item, &path.item(n), found);
            }
        }
        Json::Object(members) => {
            for (key, value) in members.iter() {
                match value {
                    Json::String(text) if key == "reference" => found.push((path.to_string(), text.clone())),
                    _ => collect(value, &path.member(key), found),
                }
            }
        }
        _ => {}
    }
}
