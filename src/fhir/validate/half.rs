//! The `_x` half of a primitive: id and extensions beside its value.
//!
//! Source: <https://hl7.org/fhir/R4/json.html#primitive>.

use super::walk::{Walk, describe};
use crate::fhir::definition::{self, Element, Structure, StructureKind};
use crate::fhir::json::Json;
use crate::fhir::path::Path;

const HALVES: &str = "values and their extensions lie in arrays of the same length, with null where there is none";

impl<'j> Walk<'j> {
    /// The `_x` half of a primitive: id and extensions, aligned with the values.
    pub(super) fn extensions(&mut self, values: Option<&Json>, value: &'j Json, element: &Element, path: &Path<'_>) {
        let Some(structure) = definition::structure("Element") else { return };
        if !element.many {
            if values.is_none() || !is_only_an_id(value) {
                self.complex(value, structure, path);
            }
            return;
        }
        let Json::Array(items) = value else {
            let what = format!("found {}, expected an array beside the array of values", describe(value));
            return self.error("structure", HALVES, path, what);
        };
        if items.iter().all(Json::is_null) {
            return self.error("structure", HALVES, path, "found an array without extensions; leave it out");
        }
        if let Some(Json::Array(values)) = values
            && values.len() != items.len()
        {
            let what = format!("found {} entries beside {} values; fill up with null", items.len(), values.len());
            self.error("structure", HALVES, path, what);
        }
        for (n, item) in items.iter().enumerate() {
            let here = path.item(n);
            if !item.is_null() {
                let has_value = values.is_some_and(|v| v.items().get(n).is_some_and(|v| !v.is_null()));
                if !has_value || !is_only_an_id(item) {
                    self.complex(item, structure, &here);
                }
            } else if values.is_none_or(|v| v.items().get(n).is_none_or(Json::is_null)) {
                self.error("structure", HALVES, &here, "found null where the value is absent, too; remove both");
            }
        }
    }
}

/// `id` of an element and `url` of an Extension are attributes in XML: they take no extensions.
pub(super) fn has_extensions(structure: &Structure, name: &str) -> bool {
    match name {
        "id" => structure.kind == StructureKind::Resource,
        "url" => structure.name != "Extension",
        _ => true,
    }
}

/// Whether the `_x` half of a primitive holds an id alone: allowed beside a value (ele-1 counts both halves).
fn is_only_an_id(json: &Json) -> bool {
    json.as_object().is_some_and(|o| o.len() == 1) && json["id"].as_str().is_some_and(|id| !id.is_empty())
}
