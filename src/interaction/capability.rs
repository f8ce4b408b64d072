//! capabilities: the CapabilityStatement, made of what is really there.
//!
//! Types and search parameters come from the registry, operations from the dispatch table.
//! Source: <https://hl7.org/fhir/R4/http.html#capabilities>, <https://hl7.org/fhir/R4/capabilitystatement.html>.

use super::answer::Answer;
use super::operation::{OPERATIONS, status};
use super::{Engine, House};
use crate::fhir::{Json, ResourceType};
use crate::search::{Active, ParamType};
use bytes::Bytes;
use serde_json::{Value, json};

/// Date of this version of the statement (1..1 in R4).
const RELEASED: &str = "2026-11-25";

const INTERACTIONS: [&str; 9] =
    ["create", "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "search-type"];

impl Engine {
    /// The statement; made once for each set of search parameters.
    pub(super) fn capabilities(&self) -> Answer {
        let (house, active) = (self.house(), self.house().active());
        Answer::of(
            active.statement.get_or_init(|| Bytes::from(Json::from(statement(house, &active)).to_bytes())).clone(),
        )
    }
}

fn statement(house: &House, active: &Active) -> Value {
    let resources: Vec<Value> = ResourceType::all().map(|t| resource(house, active, t)).collect();
    let mut rest = json!({
        "mode": "server",
        "documentation": "All R4 types in JSON. A write is judged by role, scope, organisation and the state of the resource; \
            what a caller may not see answers as if it were not there. Unknown search parameters are refused unless \
            Prefer: handling=lenient is sent.",
        "resource": resources,
        "interaction": [
            {"code": "transaction"}, {"code": "batch"}, {"code": "search-system"}, {"code": "history-system"}
        ],
        "operation": [{
            "name": status::NAME,
            "definition": format!("http://baton.example/fhir/OperationDefinition/{}", status::NAME),
            "documentation": status::TEXT
        }],
        "compartment": super::published::compartments(),
    });
    if house.has_auth
        && let Some(rest) = rest.as_object_mut()
    {
        rest.insert(
            "security".into(),
            json!({
                "cors": false,
                "service": [{
                    "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR"
                    }],
                    "text": "OAuth 2 by client_credentials; see /fhir/.well-known/smart-configuration"
                }]
            }),
        );
    }
    json!({
        "resourceType": "CapabilityStatement",
        "id": "baton",
        "url": format!("{}/metadata", house.env.base),
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Baton",
        "title": "Baton: from hospital to community pharmacy",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "Baton", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Baton", "url": house.env.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [rest],
    })
}

fn resource(house: &House, active: &Active, rtype: ResourceType) -> Value {
    let mut params: Vec<&crate::search::Param> =
        active.registry.params(rtype).filter(|p| p.building().is_none()).collect();
    params.sort_by(|a, b| a.code.cmp(&b.code));
    let references = params.iter().filter(|p| p.kind == ParamType::Reference);
    let mut includes: Vec<String> = references.map(|p| format!("{rtype}:{}", p.code)).collect();
    includes.insert(0, "*".into());
    let search: Vec<Value> = params
        .iter()
        .filter(|p| p.is_supported())
        .map(|p| {
            let mut row = json!({"name": p.code, "type": kind(p.kind)});
            if !p.url.is_empty()
                && let Some(row) = row.as_object_mut()
            {
                row.insert("definition".into(), p.url.clone().into());
                if p.url.starts_with("http://baton.example/") {
                    row.insert("documentation".into(), "Baton's own; R4 has no such parameter".into());
                }
            }
            row
        })
        .collect();
    let search = search.into_iter().chain([json!({"name": "_list", "type": "special"})]).collect::<Vec<_>>();
    let mut out = json!({
        "type": rtype.as_str(),
        "interaction": INTERACTIONS.map(|code| json!({"code": code})),
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": true,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": true,
        "conditionalDelete": if house.limits.delete_max > 1 { "multiple" } else { "single" },
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": includes,
    });
    if let Some(out) = out.as_object_mut() {
        if !search.is_empty() {
            out.insert("searchParam".into(), search.into());
        }
        let operations: Vec<Value> = OPERATIONS
            .iter()
            .filter(|row| row.on == rtype.as_str())
            .map(|row| {
                let definition = format!("http://baton.example/fhir/OperationDefinition/{}-{}", row.on, row.name);
                json!({"name": row.name, "definition": definition, "documentation": row.text})
            })
            .collect();
        if !operations.is_empty() {
            out.insert("operation".into(), operations.into());
        }
    }
    out
}

const fn kind(kind: ParamType) -> &'static str {
    match kind {
        ParamType::Number => "number",
        ParamType::Date => "date",
        ParamType::String => "string",
        ParamType::Token => "token",
        ParamType::Reference => "reference",
        ParamType::Composite => "composite",
        ParamType::Quantity => "quantity",
        ParamType::Uri => "uri",
        ParamType::Special => "special",
    }
}
