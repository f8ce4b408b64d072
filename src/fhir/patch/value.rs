//! What an operation of a FHIRPath Patch brings: a data type, a resource, or an element without a type of its own, part by
//! part. Each is held against the element that it is for.
//!
//! Source: <https://hl7.org/fhir/R4/fhirpatch.html>.

use super::place::{self, Both};
use crate::error::{Error, Result};
use crate::fhir::definition::{Element, Structure, Type};
use crate::fhir::json::Json;
use crate::fhir::resource::printable;

/// Values inside values (own limit; the nesting of JSON is limited, too).
const MAX_DEPTH: usize = 32;

/// A value for an element: its JSON name (of a choice with the type in it), and both halves.
pub(super) struct Brought {
    pub(super) key: Box<str>,
    pub(super) both: Both,
}

/// Reads the value of a `part` for an element.
///
/// # Errors
/// `Unprocessable` when the type is not one of the element's, `Invalid` when the part has no value or several.
pub(super) fn read(part: &Json, element: &'static Element) -> Result<Brought> {
    at_depth(part, element, 0)
}

fn at_depth(part: &Json, element: &'static Element, depth: usize) -> Result<Brought> {
    if depth > MAX_DEPTH {
        return Err(Error::unprocessable("the value has too many parts inside each other"));
    }
    let members = part.as_object().ok_or_else(|| Error::invalid("a part is an object"))?;
    let mut typed: Option<(&str, Json, Option<Json>)> = None;
    for (key, value) in members.iter() {
        let (suffix, is_half) = match (key.strip_prefix("value"), key.strip_prefix("_value")) {
            (Some(suffix), _) => (suffix, false),
            (_, Some(suffix)) => (suffix, true),
            _ => continue,
        };
        let slot = typed.get_or_insert((suffix, Json::Null, None));
        if slot.0 != suffix {
            return Err(Error::invalid("a part has one value, not two"));
        }
        if is_half {
            slot.2 = Some(value.clone());
        } else {
            slot.1 = value.clone();
        }
    }
    let parts = part["part"].items();
    match (typed, part.get("resource"), parts) {
        (Some((suffix, json, half)), None, []) => {
            let kind = kind_of(element, suffix).ok_or_else(|| wrong_type(element, &format!("value{suffix}")))?;
            Ok(Brought { key: key(element, kind), both: Both { json, half } })
        }
        (None, Some(resource), []) => match element.types.as_slice() {
            [Type::Resource] => {
                Ok(Brought { key: element.name.into(), both: Both { json: resource.clone(), half: None } })
            }
            _ => Err(wrong_type(element, "a resource")),
        },
        (None, None, [_, ..]) => {
            let structure = element.types.iter().find_map(Type::structure).filter(|_| !element.choice);
            let structure = structure.ok_or_else(|| wrong_type(element, "parts"))?;
            Ok(Brought { key: element.name.into(), both: Both { json: built(parts, structure, depth)?, half: None } })
        }
        (None, None, []) => {
            Err(Error::invalid("the operation needs a part 'value' with value[x], a resource, or parts"))
        }
        _ => Err(Error::invalid("a part has a value[x], a resource, or parts: one of them")),
    }
}

/// An element without a type of its own, of its parts.
fn built(parts: &[Json], structure: &'static Structure, depth: usize) -> Result<Json> {
    let mut object = Json::object();
    for part in parts {
        let name = part["name"].as_str().unwrap_or_default();
        let element = element(structure, name)?;
        let Brought { key, both } = at_depth(part, element, depth + 1)?;
        if element.many {
            let end = place::count(&object, &key);
            place::insert(&mut object, &key, end, both);
        } else if is_there(&object, structure, element) {
            return Err(Error::unprocessable(format!("'{}' stands there once only", printable(name))));
        } else {
            place::set(&mut object, &key, None, both);
        }
    }
    Ok(object)
}

/// The element of a structure that an operation names: `birthDate`, `value`, `value[x]` or `valueQuantity`.
pub(super) fn element(structure: &'static Structure, name: &str) -> Result<&'static Element> {
    let by_json = || structure.member(name).map(|found| found.element);
    let no_such = || {
        let text = format!("{} has no element '{}'; name one that it has", structure.name, printable(name));
        Error::unprocessable(text).code("structure")
    };
    if name.starts_with('_') {
        return Err(no_such());
    }
    structure.element(name).or_else(by_json).ok_or_else(no_such)
}

/// Whether an object has an element already, in any type of a choice.
pub(super) fn is_there(object: &Json, structure: &'static Structure, element: &Element) -> bool {
    object.as_object().is_some_and(|members| {
        members.iter().any(|(key, _)| {
            let name = key.strip_prefix('_').unwrap_or(key);
            structure.member(name).is_some_and(|found| std::ptr::eq(found.element, element))
        })
    })
}

/// The type of the element that a value of `value<suffix>` fits.
fn kind_of(element: &Element, suffix: &str) -> Option<Type> {
    let exact = element.types.iter().find(|kind| capital(kind.name()) == suffix);
    let wider = || match element.types.as_slice() {
        // A value of a narrower type fits, as each code is a string; the other way round it does not.
        [one] => Some(one).filter(|kind| narrower(kind.name()).contains(&suffix)),
        _ => None,
    };
    exact.or_else(wider).copied()
}

/// Types, as they stand in `value[x]`, whose values are values of this type, too.
fn narrower(name: &str) -> &'static [&'static str] {
    match name {
        "string" => &["Code", "Id", "Markdown"],
        "uri" => &["Url", "Canonical", "Oid", "Uuid"],
        "integer" => &["PositiveInt", "UnsignedInt"],
        "xhtml" => &["String", "Markdown"],
        "Quantity" => &["Age", "Count", "Distance", "Duration"],
        _ => &[],
    }
}

fn key(element: &Element, kind: Type) -> Box<str> {
    if element.choice { format!("{}{}", element.name, capital(kind.name())).into() } else { element.name.into() }
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + chars.as_str())
}

fn wrong_type(element: &Element, found: &str) -> Error {
    let wanted: Vec<String> = element.types.iter().take(8).map(wanted).collect();
    let more = if element.types.len() > 8 { ", …" } else { "" };
    let text = format!(
        "'{}' takes {}{more} and the operation brings {}; send the value as the type that stands there",
        element.name,
        wanted.join(" or "),
        printable(found)
    );
    Error::unprocessable(text).code("value")
}

fn wanted(kind: &Type) -> String {
    match kind {
        Type::Resource => "a resource".into(),
        Type::Xhtml => "valueString".into(),
        kind if kind.name().contains('.') => "parts".into(),
        kind => format!("value{}", capital(kind.name())),
    }
}
