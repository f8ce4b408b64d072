//! Schemas of the OpenAPI document: every resource, data type and part of one, of the structure tables.
//!
//! A property `x` of a simple type has a companion `_x` with its id and extensions, which may stand in its place; such a
//! property is listed as required where R4 requires it. Fields that R4 does not have are refused.
//! Source: <https://hl7.org/fhir/R4/json.html>.

use crate::fhir::ResourceType;
use crate::fhir::definition::{self, CodeSet, Element, Structure, StructureKind, Type};
use crate::fhir::primitive::Primitive;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Code sets up to this size are listed.
const MOST_CODES: usize = 80;

/// `components/schemas`.
pub(super) fn all() -> Value {
    let mut out = Map::new();
    let mut sets: BTreeMap<&str, &CodeSet> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<&'static Structure> = ResourceType::all().filter_map(definition::of_resource).collect();
    waiting.extend(definition::structure("Element"));
    while let Some(structure) = waiting.pop() {
        if !seen.insert(structure.name) {
            continue;
        }
        let inner = structure.elements.iter().flat_map(|e| e.types.iter()).filter_map(Type::structure);
        waiting.extend(inner.filter(|s| !seen.contains(s.name)));
        sets.extend(structure.elements.iter().filter_map(listed).map(|set| (set.name, set)));
        out.insert(structure.name.into(), schema(structure));
    }
    for (name, set) in sets {
        let mut codes: Vec<&str> = set.codes().collect();
        codes.sort_unstable();
        codes.dedup();
        out.insert(format!("code.{name}"), json!({"type": "string", "enum": codes}));
    }
    let any =
        json!({"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}});
    out.insert("Resource".into(), any);
    let operation = json!({
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {}
        }
    });
    out.insert("JsonPatch".into(), json!({"type": "array", "items": operation}));
    out.sort_keys();
    out.into()
}

fn listed(element: &Element) -> Option<&'static CodeSet> {
    let is_code = element.types.as_slice() == [Type::Primitive(Primitive::Code)];
    element.codes().filter(|set| is_code && (1..=MOST_CODES).contains(&set.codes().count()))
}

fn schema(structure: &'static Structure) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if structure.kind == StructureKind::Resource {
        properties.insert("resourceType".into(), json!({"type": "string", "enum": [structure.name]}));
        required.push("resourceType".to_owned());
    }
    let mut members: Vec<(u8, &str)> =
        structure.names().filter_map(|name| Some((structure.member(name)?.position, name))).collect();
    members.sort_unstable();
    for (_, name) in members {
        let Some(found) = structure.member(name) else { continue };
        let element = found.element;
        let is_simple = matches!(found.kind, Type::Primitive(_));
        let one = match (listed(element), found.kind) {
            (Some(set), _) => json!({"$ref": format!("#/components/schemas/code.{}", set.name)}),
            (None, kind) => of_type(kind),
        };
        if element.many {
            let items = if is_simple { json!({"nullable": true, "allOf": [one]}) } else { one };
            properties.insert(name.into(), json!({"type": "array", "minItems": 1, "items": items}));
        } else {
            properties.insert(name.into(), one);
        }
        if is_simple && !(element.name == "id" || (structure.name == "Extension" && element.name == "url")) {
            let companion = json!({"$ref": "#/components/schemas/Element"});
            let companion = if element.many {
                json!({"type": "array", "minItems": 1, "items": {"nullable": true, "allOf": [companion]}})
            } else {
                companion
            };
            properties.insert(format!("_{name}"), companion);
        }
        if element.min > 0 && !element.choice {
            required.push(name.to_owned());
        }
    }
    let mut out = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn of_type(kind: Type) -> Value {
    match kind {
        Type::Primitive(primitive) => simple(primitive),
        Type::Xhtml => json!({"type": "string"}),
        Type::Resource => json!({"$ref": "#/components/schemas/Resource"}),
        Type::Complex(id) | Type::Reference(id) | Type::Extension(id) | Type::SimpleQuantity(id) => {
            json!({"$ref": format!("#/components/schemas/{}", id.get().name)})
        }
    }
}

fn simple(primitive: Primitive) -> Value {
    match primitive {
        Primitive::Boolean => json!({"type": "boolean"}),
        Primitive::Decimal => json!({"type": "number"}),
        Primitive::Integer => json!({"type": "integer", "format": "int32"}),
        Primitive::UnsignedInt => json!({"type": "integer", "minimum": 0, "maximum": 2_147_483_647}),
        Primitive::PositiveInt => json!({"type": "integer", "minimum": 1, "maximum": 2_147_483_647}),
        Primitive::Instant => json!({"type": "string", "format": "date-time"}),
        Primitive::Date => json!({"type": "string", "pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"}),
        Primitive::Id => json!({"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}),
        Primitive::Code => json!({"type": "string", "pattern": "^[^\\s]+( [^\\s]+)*$"}),
        Primitive::Uri | Primitive::Url | Primitive::Canonical | Primitive::Oid | Primitive::Uuid => {
            json!({"type": "string", "pattern": "^\\S+$"})
        }
        Primitive::String | Primitive::Markdown => json!({"type": "string", "minLength": 1}),
        _ => json!({"type": "string"}),
    }
}
