//! Parameters of the OpenAPI document: of paths, headers, searches and operations.
//!
//! What many calls share stands once, under `components/parameters`; a search parameter is there as `Patient.name`.

use super::refer;
use crate::fhir::ResourceType;
use crate::interaction::operation::table::Row;
use crate::interaction::route::Part;
use crate::search::{Active, Param, ParamType};
use serde_json::{Map, Value, json};

/// (name here, name of the wire, where, schema, what it is).
const SHARED: [(&str, &str, &str, &str, &str); 27] = [
    ("id", "id", "path", r#"{"type":"string","pattern":"^[A-Za-z0-9.-]{1,64}$"}"#, "Logical id."),
    ("vid", "vid", "path", r#"{"type":"string","pattern":"^[1-9][0-9]*$"}"#, "Version id."),
    ("member", "member", "path", r#"{"type":"string"}"#, "Type of what is in the compartment, or *."),
    (
        "format",
        "_format",
        "query",
        r#"{"type":"string","enum":["json","application/json","application/fhir+json"]}"#,
        "Media type of the answer, over Accept.",
    ),
    ("pretty", "_pretty", "query", r#"{"type":"boolean"}"#, "Indents the answer."),
    ("mode", "mode", "query", r#"{"type":"string","enum":["full","normative","terminology"]}"#, "Which statement."),
    (
        "summary",
        "_summary",
        "query",
        r#"{"type":"string","enum":["true","false","text","data"]}"#,
        "A part of the resource.",
    ),
    (
        "elements",
        "_elements",
        "query",
        r#"{"type":"array","items":{"type":"string","pattern":"^[A-Za-z0-9]+$"}}"#,
        "Elements of the top to show.",
    ),
    (
        "if-match",
        "If-Match",
        "header",
        r#"{"type":"string","pattern":"^W/\"[^\"]+\"$"}"#,
        "Version that must be the current one: W/\"3\".",
    ),
    ("if-none-match", "If-None-Match", "header", r#"{"type":"string"}"#, "Versions that the caller has."),
    (
        "if-none-match-any",
        "If-None-Match",
        "header",
        r#"{"type":"string","enum":["*"]}"#,
        "The resource must not exist yet.",
    ),
    ("if-modified-since", "If-Modified-Since", "header", r#"{"type":"string"}"#, "An HTTP date."),
    (
        "if-none-exist",
        "If-None-Exist",
        "header",
        r#"{"type":"string"}"#,
        "Criteria: creates nothing where one resource matches.",
    ),
    (
        "prefer",
        "Prefer",
        "header",
        r#"{"type":"string","enum":["return=minimal","return=representation","return=OperationOutcome"]}"#,
        "What to answer.",
    ),
    (
        "prefer-handling",
        "Prefer",
        "header",
        r#"{"type":"string","enum":["handling=strict","handling=lenient"]}"#,
        "Whether unknown parameters are refused or left out.",
    ),
    ("since", "_since", "query", r#"{"type":"string","format":"date-time"}"#, "Versions from then on."),
    ("at", "_at", "query", r#"{"type":"string"}"#, "Versions that were current then."),
    ("count", "_count", "query", r#"{"type":"integer","minimum":0}"#, "Rows a page; 0: the number only."),
    ("total", "_total", "query", r#"{"type":"string","enum":["none","estimate","accurate"]}"#, "Whether to count all."),
    (
        "search-summary",
        "_summary",
        "query",
        r#"{"type":"string","enum":["true","false","text","data","count"]}"#,
        "A part of the resources, or their number.",
    ),
    ("history-summary", "_summary", "query", r#"{"type":"string","enum":["count"]}"#, "The number only."),
    ("sort", "_sort", "query", r#"{"type":"string"}"#, "Parameters to sort by; -name: descending."),
    (
        "include",
        "_include",
        "query",
        r#"{"type":"array","items":{"type":"string"}}"#,
        "What the matches refer to: Type:parameter.",
    ),
    (
        "revinclude",
        "_revinclude",
        "query",
        r#"{"type":"array","items":{"type":"string"}}"#,
        "What refers to the matches: Type:parameter.",
    ),
    ("types", "_type", "query", r#"{"type":"array","items":{"type":"string"}}"#, "Types to search."),
    ("list", "_list", "query", r#"{"type":"string"}"#, "Id of a List whose members are meant."),
    ("page", "_page", "query", r#"{"type":"string"}"#, "Of a next link."),
];

/// Parameters that any search takes.
const OF_SEARCH: [&str; 10] = [
    "count",
    "total",
    "search-summary",
    "elements",
    "sort",
    "include",
    "revinclude",
    "list",
    "page",
    "prefer-handling",
];

/// `components/parameters`.
pub(super) fn shared(active: &Active) -> Value {
    let mut out = Map::new();
    for (key, name, place, schema, text) in SHARED {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let mut row = json!({"name": name, "in": place, "description": text, "schema": schema});
        if place == "path" {
            row["required"] = true.into();
        }
        if key == "count" {
            row["schema"]["maximum"] = active.env.caps.count_max.into();
        }
        if row["schema"]["type"] == "array" && matches!(key, "elements" | "types") {
            row["explode"] = false.into();
        }
        out.insert(key.into(), row);
    }
    for rtype in ResourceType::all() {
        for param in searchable(active, rtype) {
            let row = json!({
                "name": param.code, "in": "query", "schema": schema(param), "description": text(param),
            });
            out.insert(format!("{rtype}.{}", param.code), row);
        }
    }
    out.into()
}

fn searchable(active: &Active, rtype: ResourceType) -> impl Iterator<Item = &Param> {
    active.registry.params(rtype).filter(|p| p.is_supported() && p.building().is_none())
}

/// Values are repeated (and), each a list with commas (or): a text of FHIR's own grammar.
fn schema(param: &Param) -> Value {
    let one = match param.kind {
        ParamType::Date => json!({"type": "string", "example": "ge2026-01-31"}),
        ParamType::Number => json!({"type": "string", "example": "gt0.5"}),
        ParamType::Quantity => json!({"type": "string", "example": "5.4|http://unitsofmeasure.org|mg"}),
        ParamType::Token => json!({"type": "string", "example": "system|code"}),
        ParamType::Reference => json!({"type": "string", "example": "Patient/1"}),
        _ => json!({"type": "string"}),
    };
    json!({"type": "array", "items": one})
}

fn text(param: &Param) -> String {
    let modifiers = param.kind.modifiers();
    let list = if modifiers.is_empty() { String::new() } else { format!(":{}", modifiers.join(" :")) };
    format!("A search parameter of type {}; modifiers :missing {list}", param.kind.as_str()).trim_end().to_owned()
}

/// Of the segments of a path.
pub(super) fn of_path(parts: &[Part]) -> Vec<Value> {
    let name = |part: &Part| match part {
        Part::Id => Some("id"),
        Part::Version => Some("vid"),
        Part::Member => Some("member"),
        _ => None,
    };
    parts.iter().filter_map(name).map(|name| refer("parameters", name)).collect()
}

/// What every call takes.
pub(super) fn of_wire() -> Vec<Value> {
    ["format", "pretty"].map(|name| refer("parameters", name)).into()
}

/// Headers and query of an interaction.
pub(super) fn of_interaction(active: &Active, code: &str, rtype: Option<ResourceType>) -> Vec<Value> {
    let names: &[&str] = match code {
        "capabilities" => &["mode", "summary", "elements"],
        "read" => &["summary", "elements", "if-none-match", "if-modified-since"],
        "vread" => &["summary", "elements"],
        "create" => &["if-none-exist", "prefer"],
        "update" => &["if-match", "if-none-match-any", "prefer"],
        "patch" | "delete" => &["if-match", "prefer"],
        "conditional-update" | "conditional-patch" | "conditional-delete" => {
            let mut out = criteria(active, rtype);
            out.extend(["if-match", "prefer"].map(|name| refer("parameters", name)));
            return out;
        }
        "transaction" => &["prefer"],
        "history-system" | "history-type" | "history-instance" => {
            &["since", "at", "count", "total", "history-summary", "page"]
        }
        _ => return search(active, rtype),
    };
    names.iter().map(|name| refer("parameters", name)).collect()
}

fn criteria(active: &Active, rtype: Option<ResourceType>) -> Vec<Value> {
    let of = |rtype| searchable(active, rtype).map(move |p| refer("parameters", &format!("{rtype}.{}", p.code)));
    rtype.into_iter().flat_map(of).collect()
}

/// All parameters of a search.
pub(super) fn search(active: &Active, rtype: Option<ResourceType>) -> Vec<Value> {
    let mut out = criteria(active, rtype);
    out.extend(OF_SEARCH.map(|name| refer("parameters", name)));
    if rtype.is_none() {
        out.push(refer("parameters", "types"));
    }
    out
}

/// The same as the fields of a form.
pub(super) fn form(active: &Active, rtype: Option<ResourceType>) -> Value {
    let mut fields = Map::new();
    for (key, name, _, schema, _) in SHARED.iter().filter(|row| OF_SEARCH.contains(&row.0) && row.2 == "query") {
        if *key != "page" {
            fields.insert((*name).into(), serde_json::from_str(schema).unwrap_or_default());
        }
    }
    for param in rtype.into_iter().flat_map(|rtype| searchable(active, rtype)) {
        fields.insert(param.code.clone(), schema(param));
    }
    json!({"type": "object", "properties": fields})
}

/// What an operation takes in its URL: parameters of simple types.
pub(super) fn of_operation(row: &Row) -> Vec<Value> {
    let one = |kind: &str| match kind {
        "boolean" => Some(json!({"type": "boolean"})),
        "integer" => Some(json!({"type": "integer"})),
        "positiveInt" => Some(json!({"type": "integer", "minimum": 1})),
        "unsignedInt" => Some(json!({"type": "integer", "minimum": 0})),
        "instant" => Some(json!({"type": "string", "format": "date-time"})),
        kind if kind.starts_with(|c: char| c.is_ascii_lowercase()) => Some(json!({"type": "string"})),
        _ => None, // of several elements: by POST
    };
    let simple = row.takes.iter().filter_map(|p| {
        let schema = one(p.kind)?;
        let schema = if p.many { json!({"type": "array", "items": schema}) } else { schema };
        Some(json!({"name": p.name, "in": "query", "description": p.text, "required": p.min > 0, "schema": schema}))
    });
    simple.collect()
}
