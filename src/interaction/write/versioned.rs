//! References that are to name a version: `resolve-as-version-specific` becomes `/_history/n`, and the mark is taken out.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#trules>,
//! <http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific>.

use crate::fhir::{Json, Target};

const MARK: &str = "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific";

/// The mark.
pub(super) fn mark() -> serde_json::Value {
    serde_json::json!({"url": MARK, "valueBoolean": true})
}

/// Whether any reference of a body bears the mark.
pub(super) fn is_marked(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().any(is_marked),
        Json::Object(members) => has_mark(json) || members.iter().any(|(_, v)| is_marked(v)),
        _ => false,
    }
}

fn has_mark(json: &Json) -> bool {
    json["extension"]
        .items()
        .iter()
        .any(|e| e["url"].as_str() == Some(MARK) && e["valueBoolean"].as_bool() == Some(true))
}

/// What a reference leads to on this server, by `Type/id` or by its address; `None` when it names a version already.
fn lead(json: &Json, base: &str) -> Option<Target> {
    let text = json["reference"].as_str().filter(|r| !r.contains("/_history/"))?;
    Target::parse(text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text))
}

/// What the marked references lead to.
pub(super) fn targets(json: &Json, base: &str, found: &mut Vec<Target>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| targets(item, base, found)),
        Json::Object(members) => {
            if has_mark(json)
                && let Some(target) = lead(json, base)
            {
                found.push(target);
            }
            members.iter().for_each(|(_, v)| targets(v, base, found));
        }
        _ => {}
    }
}

/// Writes the versions in. A reference whose version is not known keeps its mark.
pub(super) fn write(json: &mut Json, base: &str, version: &dyn Fn(&Target) -> Option<i64>) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| write(item, base, version)),
        Json::Object(_) => {
            if has_mark(json)
                && let Some(target) = lead(json, base)
                && let Some(n) = version(&target)
            {
                json.set("reference", format!("{target}/_history/{n}"));
                let left: Vec<Json> =
                    json["extension"].items().iter().filter(|e| e["url"].as_str() != Some(MARK)).cloned().collect();
                if left.is_empty() {
                    json.remove("extension");
                } else {
                    json.set("extension", left);
                }
            }
            if let Some(members) = json.as_object_mut() {
                members.0.iter_mut().for_each(|(_, v)| write(v, base, version));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4 references.html: `resolve-as-version-specific` is followed wherever a reference stands.
    #[test]
    fn a_marked_reference_gets_its_version_and_loses_the_mark() {
        let text = format!(
            r#"{{"target":[{{"extension":[{{"url":"{MARK}","valueBoolean":true}}],"reference":"Patient/1"}},{{"extension":[{{"url":"{MARK}","valueBoolean":true}}],"reference":"http://own/fhir/Patient/2"}},{{"reference":"Patient/1"}}]}}"#
        );
        let mut json = crate::fhir::json::parse(text.as_bytes()).unwrap();
        assert!(is_marked(&json));
        let mut found = Vec::new();
        targets(&json, "http://own/fhir", &mut found);
        assert_eq!(found.len(), 2);
        write(&mut json, "http://own/fhir", &|_| Some(3));
        assert_eq!(
            json.to_string(),
            r#"{"target":[{"reference":"Patient/1/_history/3"},{"reference":"Patient/2/_history/3"},{"reference":"Patient/1"}]}"#
        );
    }
}
