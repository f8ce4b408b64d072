//! Types: what a type name in an expression means, and what is of it.
//!
//! Source: <http://hl7.org/fhirpath/N1/#types>, <https://hl7.org/fhir/R4/fhirpath.html#types>. An element of FHIR is of no System
//! type and the other way round; `string` and `String` differ.

use super::moment::MomentKind;
use super::value::{Kind, Value};
use crate::fhir::definition::{self, Structure, StructureKind};
use crate::fhir::primitive::Primitive;
use std::borrow::Cow;

/// A type name, looked up.
#[derive(Debug, Clone)]
pub(super) struct TypeName {
    /// As it was written, without namespace.
    pub name: Box<str>,
    fhir: Option<Fhir>,
    system: bool,
}

#[derive(Debug, Clone, Copy)]
enum Fhir {
    Structure(&'static Structure),
    Primitive(Primitive),
    Xhtml,
}

const SYSTEM: [&str; 9] = ["Any", "Boolean", "Date", "DateTime", "Decimal", "Integer", "Quantity", "String", "Time"];

impl TypeName {
    /// Looks a name up in a namespace, or in both: FHIR, System.
    pub(super) fn new(namespace: Option<&str>, name: &str) -> Self {
        let fhir = match namespace {
            Some("System") => None,
            _ if name == "xhtml" => Some(Fhir::Xhtml),
            _ => Primitive::parse(name)
                .map(Fhir::Primitive)
                .or_else(|| definition::structure(name).filter(|s| !s.name.contains('.')).map(Fhir::Structure)),
        };
        let system = namespace != Some("FHIR") && (SYSTEM.contains(&name) || namespace == Some("System"));
        Self { name: name.into(), fhir, system }
    }

    /// Whether R4 or FHIRPath has such a type.
    pub(super) fn is_known(&self) -> bool {
        self.fhir.is_some() || self.system
    }

    /// Whether a value is of it, or of a type that is derived from it.
    pub(super) fn has(&self, value: &Value<'_>) -> bool {
        match value {
            Value::Node(node) => match (self.fhir, node.kind) {
                (Some(Fhir::Structure(wanted)), Kind::Structure(is)) => derives(is, wanted.name),
                (Some(Fhir::Structure(wanted)), Kind::Primitive(_) | Kind::Xhtml) => wanted.name == "Element",
                (Some(Fhir::Primitive(wanted)), Kind::Primitive(is)) => is == wanted || base_of(is) == Some(wanted),
                (Some(Fhir::Xhtml), Kind::Xhtml) => true,
                _ => false,
            },
            Value::Absent(rtype) => match self.fhir {
                Some(Fhir::Structure(wanted)) => {
                    definition::of_resource(*rtype).is_some_and(|is| derives(is, wanted.name))
                }
                _ => false,
            },
            other => self.system && (&*self.name == "Any" || &*self.name == of(other).1.as_ref()),
        }
    }

    /// Whether `ofType` and `as` take it: as [`TypeName::has`], but a primitive is of its own type only.
    pub(super) fn takes(&self, value: &Value<'_>) -> bool {
        match (self.fhir, value) {
            (Some(Fhir::Primitive(wanted)), Value::Node(node)) => {
                matches!(node.kind, Kind::Primitive(is) if is == wanted)
            }
            _ => self.has(value),
        }
    }
}

fn derives(is: &'static Structure, wanted: &str) -> bool {
    let mut here = Some(is);
    while let Some(structure) = here {
        if structure.name == wanted {
            return true;
        }
        here = definition::structure(structure.base);
    }
    false
}

fn base_of(primitive: Primitive) -> Option<Primitive> {
    match primitive {
        Primitive::Code | Primitive::Id | Primitive::Markdown => Some(Primitive::String),
        Primitive::Url | Primitive::Canonical | Primitive::Uuid | Primitive::Oid => Some(Primitive::Uri),
        Primitive::PositiveInt | Primitive::UnsignedInt => Some(Primitive::Integer),
        _ => None,
    }
}

/// Namespace and name of a value's type.
pub(super) fn of<'a>(value: &Value<'a>) -> (&'static str, Cow<'a, str>) {
    let name = match value {
        Value::Node(node) => {
            let name = match node.kind {
                Kind::Structure(s) if s.kind == StructureKind::Backbone => s.base,
                Kind::Structure(s) => s.name,
                Kind::Primitive(p) => p.as_str(),
                Kind::Xhtml => "xhtml",
                Kind::Unknown => node.resource_type().unwrap_or("Element"),
            };
            return ("FHIR", Cow::Borrowed(name));
        }
        Value::Absent(rtype) => return ("FHIR", Cow::Borrowed(rtype.as_str())),
        Value::Boolean(_) => "Boolean",
        Value::Integer(_) => "Integer",
        Value::Decimal(_) => "Decimal",
        Value::String(_) => "String",
        Value::Quantity(_) => "Quantity",
        Value::Moment(moment) => match moment.kind {
            MomentKind::Date => "Date",
            MomentKind::DateTime => "DateTime",
            MomentKind::Time => "Time",
        },
        Value::Type(..) => "TypeInfo",
    };
    ("System", Cow::Borrowed(name))
}
