//! The leaves of a resource: primitives, codes of required bindings, values of extensions.
//!
//! Source: <https://hl7.org/fhir/R4/datatypes.html#primitive>, <https://hl7.org/fhir/R4/terminologies.html#required>.

use super::nearest::nearest;
use super::walk::{Walk, describe};
use crate::fhir::definition::{CodeSet, Element};
use crate::fhir::json::{Json, Object};
use crate::fhir::path::Path;
use crate::fhir::primitive::Primitive;
use crate::fhir::resource::printable;

/// Characters of a string: <https://hl7.org/fhir/R4/datatypes.html#string>.
const MAX_STRING: usize = 1 << 20;
const EXT_1: &str = "ext-1: an extension has a value or extensions, not both";

impl Walk<'_> {
    pub(super) fn primitive(&mut self, value: &Json, primitive: Primitive, element: &Element, path: &Path<'_>) {
        if !primitive.accepts(value) {
            let code = if json_type_fits(value, primitive) { "value" } else { "structure" };
            let what = format!("found {}, expected {} ({})", describe(value), primitive.as_str(), primitive.shape());
            let rule = format!("{} is {}", primitive.as_str(), primitive.shape());
            return self.error(code, rule, path, what);
        }
        match (primitive, value) {
            (Primitive::Code, Json::String(code)) => {
                if let Some(set) = element.codes()
                    && !set.has(code)
                {
                    let what = format!("found '{}', expected {}", printable(code), one_of(set, code));
                    self.error("code-invalid", bound(set), path, what);
                }
            }
            (Primitive::String | Primitive::Markdown, Json::String(text)) if text.len() > MAX_STRING => {
                let length = text.chars().count();
                if length > MAX_STRING {
                    let what = format!("found {length} characters, expected at most {MAX_STRING}; shorten it");
                    self.error("too-long", "a string has at most 1,048,576 characters", path, what);
                }
            }
            (Primitive::Uri | Primitive::Url | Primitive::Canonical, Json::String(text)) => self.link(text),
            _ => {}
        }
    }

    /// A required binding of a CodeableConcept or Coding: one coding at least is of the value set.
    pub(super) fn coded(&mut self, type_name: &str, members: &Object, set: &CodeSet, path: &Path<'_>) {
        let fits = |coding: &Json| set.has_coding(coding["system"].text(), coding["code"].text());
        let (fits, code) = match type_name {
            "CodeableConcept" => {
                let codings = members.get("coding").map_or(&[][..], Json::items);
                (codings.iter().any(fits), codings.first().map_or("", |c| c["code"].text()))
            }
            "Coding" => {
                let text = |name: &str| members.get(name).map_or("", Json::text);
                (set.has_coding(text("system"), text("code")), text("code"))
            }
            _ => return,
        };
        if !fits {
            let systems: Vec<&str> = set.systems.iter().map(|(system, _)| *system).collect();
            let what = format!("found no coding of {}, expected {}", systems.join(" or "), one_of(set, code));
            self.error("code-invalid", bound(set), path, what);
        }
    }

    /// Value or extensions, not both and not neither (ext-1).
    pub(super) fn extension(&mut self, members: &Object, path: &Path<'_>) {
        let nested = members.get("extension").is_some();
        let valued = members.iter().any(|(name, _)| !matches!(name, "id" | "url" | "extension"));
        match (nested, valued) {
            (true, true) => self.broken(EXT_1, path, "found a value and extensions (ext-1); send one of them only"),
            (false, false) => self.broken(EXT_1, path, "found neither value nor extensions (ext-1); add one"),
            _ => {}
        }
    }
}

fn bound(set: &CodeSet) -> String {
    format!("the code is of the value set {}, as the binding is required", set.name)
}

fn json_type_fits(value: &Json, primitive: Primitive) -> bool {
    match value {
        Json::String(_) => !matches!(
            primitive,
            Primitive::Boolean
                | Primitive::Decimal
                | Primitive::Integer
                | Primitive::UnsignedInt
                | Primitive::PositiveInt
        ),
        Json::Number(_) => matches!(primitive, Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt),
        _ => false,
    }
}

fn one_of(set: &CodeSet, typed: &str) -> String {
    let all: Vec<&str> = set.codes().collect();
    if all.is_empty() {
        return format!("a code of {}", set.systems.iter().map(|(system, _)| *system).collect::<Vec<_>>().join(" or "));
    }
    if all.len() <= 16 {
        return format!("one of {}", all.join(", "));
    }
    let near = nearest(typed, all.into_iter()).map_or(String::new(), |near| format!("; '{near}' may be meant"));
    format!("a code of the value set {}{near}", set.name)
}
