//! Patches on the lossless tree: what a patch does not touch keeps its digits and its order.
//!
//! [`json`] JSON Patch · [`path`] FHIRPath Patch, with [`place`] where its paths lead and [`value`] what it brings ·
//! [`meta`] `$meta-add` and `$meta-delete`, which are patches of `meta`.
//! Not for: judging the result (`validate`, `workflow/guard.rs`).
//! Source: <https://hl7.org/fhir/R4/http.html#patch>.

pub mod json;
pub mod meta;
pub mod path;
mod place;
mod value;

#[cfg(test)]
mod tests;

use super::json::Json;
use crate::error::Result;

/// Operations a patch may hold (own rule: a patch is a small change).
pub const MAX_OPERATIONS: usize = 100;

/// One patch, read and not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// JSON Patch: an array of operations.
    Json(Json),
    /// FHIRPath Patch: a Parameters resource.
    Path(Json),
    /// `$meta-add`: a Meta whose profiles, tags and security labels come to the resource's.
    AddMeta(Json),
    /// `$meta-delete`: a Meta whose profiles, tags and security labels are taken away.
    DeleteMeta(Json),
}

impl Patch {
    /// Applies it to a copy of `document`: all of it, or nothing.
    ///
    /// # Errors
    /// `Invalid` when the patch is not what it should be; `Unprocessable` when it does not fit the resource.
    pub fn apply(&self, document: &Json) -> Result<Json> {
        let mut result = match self {
            Self::Json(operations) => json::apply(document, operations)?,
            Self::Path(parameters) => path::apply(document, parameters)?,
            Self::AddMeta(meta) => meta::add(document, meta),
            Self::DeleteMeta(meta) => meta::delete(document, meta),
        };
        prune(&mut result);
        Ok(result)
    }

    /// Whether what it does, or whether it can be done, tells what is there beyond the names of elements: JSON Patch's `test`, `copy` and
    /// `move`, a path of FHIRPath Patch that chooses.
    #[must_use]
    pub fn reads(&self) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']' | '_');
        match self {
            Self::Json(all) => all.items().iter().any(|o| matches!(o["op"].text(), "test" | "copy" | "move")),
            Self::Path(body) => {
                let parts = body["parameter"].items().iter().flat_map(|p| p["part"].items());
                let (path, kind): (Vec<&Json>, Vec<&Json>) = parts.partition(|p| p["name"].text() == "path");
                kind.iter().any(|p| p["name"].text() == "type" && p["valueCode"].text() == "move")
                    || path.iter().any(|p| !p["valueString"].text().chars().all(is_plain))
            }
            Self::AddMeta(_) | Self::DeleteMeta(_) => false,
        }
    }

    /// The patch as it was sent.
    #[must_use]
    pub fn body(&self) -> &Json {
        match self {
            Self::Json(body) | Self::Path(body) | Self::AddMeta(body) | Self::DeleteMeta(body) => body,
        }
    }
}

/// Takes out arrays and objects that a patch left empty: FHIR has none (<https://hl7.org/fhir/R4/json.html>). In the array
/// beside an array of primitives (`_given`) an empty one becomes the null that keeps the others at their places.
pub fn prune(json: &mut Json) {
    match json {
        Json::Array(a) => {
            a.iter_mut().for_each(prune);
            a.retain(|v| !is_empty(v));
        }
        Json::Object(o) => {
            for (key, value) in &mut o.0 {
                match value {
                    Json::Array(halves) if key.starts_with('_') => {
                        for half in halves.iter_mut() {
                            prune(half);
                            if is_empty(half) {
                                *half = Json::Null;
                            }
                        }
                        if halves.iter().all(Json::is_null) {
                            halves.clear();
                        }
                    }
                    value => prune(value),
                }
            }
            o.0.retain(|(_, v)| !is_empty(v));
        }
        _ => {}
    }
}

fn is_empty(json: &Json) -> bool {
    matches!(json, Json::Array(a) if a.is_empty()) || matches!(json, Json::Object(o) if o.is_empty())
}
