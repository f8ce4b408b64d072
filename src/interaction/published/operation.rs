//! OperationDefinitions, of the table of operations.
//!
//! Source: <https://hl7.org/fhir/R4/operationdefinition.html>. A server that carries out a part of HL7's definition has one
//! of its own, with HL7's as base: <https://hl7.org/fhir/R4/capabilitystatement-definitions.html>
//! (`CapabilityStatement.rest.resource.operation.definition`).

use super::{BASE, DATED};
use crate::fhir::Json;
use crate::interaction::operation::table::{Level, On, Param, Row, rows};
use serde_json::{Value, json};

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Json> {
    rows().map(|row| resource(row).into())
}

/// What `metadata` names as the definition of an operation.
pub(in crate::interaction) fn definition(row: &Row) -> String {
    if row.is_whole { row.base.to_owned() } else { url(row) }
}

fn url(row: &Row) -> String {
    format!("{BASE}/OperationDefinition/{}", row.id())
}

fn resource(row: &Row) -> Value {
    let parameter = |used: &str, params: &[Param]| params.iter().map(|p| part(p, used)).collect::<Vec<_>>();
    let mut all = parameter("in", row.takes);
    all.extend(parameter("out", row.gives));
    let mut out = json!({
        "resourceType": "OperationDefinition",
        "id": row.id(),
        "url": url(row),
        "version": "1.0.0",
        "name": name(&row.id()),
        "status": "active",
        "kind": "operation",
        "date": DATED,
        "publisher": "Baton",
        "description": row.text,
        "affectsState": row.changes(),
        "code": row.name,
    });
    if row.is_search {
        out["comment"] = json!("Takes the search parameters of its type, too.");
    }
    if !row.base.is_empty() {
        out["base"] = json!(row.base);
    }
    match row.on {
        On::Type(rtype) => out["resource"] = json!([rtype]),
        On::Any => out["resource"] = json!(["Resource"]),
        On::Server => {}
    }
    for (key, level) in [("system", Level::System), ("type", Level::Type), ("instance", Level::Instance)] {
        out[key] = json!(row.levels.contains(&level));
    }
    if !all.is_empty() {
        out["parameter"] = all.into();
    }
    out
}

fn part(param: &Param, used: &str) -> Value {
    let max = if param.many { "*" } else { "1" };
    let mut out = json!({
        "name": param.name, "use": used, "min": param.min, "max": max, "documentation": param.text,
    });
    if !param.kind.is_empty() {
        // A parameter of any type has none in R4.
        out["type"] = json!(if param.kind == "*" { "Element" } else { param.kind });
    }
    if !param.parts.is_empty() {
        out["part"] = param.parts.iter().map(|p| part(p, used)).collect();
    }
    out
}

/// `Task-reindex-status` → `TaskReindexStatus`, a name that programs can use.
fn name(id: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_ascii_uppercase() + rest
    };
    id.split('-').map(capital).collect()
}
