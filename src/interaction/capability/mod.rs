//! capabilities: the CapabilityStatement, made of what is really there.
//!
//! Interactions come from the map of paths, operations from their table, types and search parameters from the registry,
//! compartments from what is published, profiles from those in force beside R4's own.
//! Source: <https://hl7.org/fhir/R4/http.html#capabilities>, <https://hl7.org/fhir/R4/capabilitystatement.html>.

mod terminology;

use super::answer::Answer;
use super::operation::table::{Row, rows};
use super::published::{DATED, definition};
use super::route::{Part, ROUTES, Route, is_audit};
use super::subset::Subset;
use super::{Engine, House};
use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::fhir::{Json, ResourceType};
use crate::search::{Active, ParamType, query};
use bytes::Bytes;
use serde_json::{Value, json};

/// Media types of a PATCH, and the schemas of their bodies.
pub(super) const PATCHES: [(&str, &str); 2] =
    [("application/json-patch+json", "JsonPatch"), ("application/fhir+json", "Parameters")];
/// Names a topic that Subscriptions may ask for.
const TOPIC: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical";
/// R4's codes for interactions of a type, in its order (`TypeRestfulInteraction`).
const OF_TYPE: [&str; 9] =
    ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
/// Those that change nothing.
const OF_READ: [&str; 5] = ["read", "vread", "history-instance", "history-type", "search-type"];
/// R4's codes for interactions of the system (`SystemRestfulInteraction`).
const OF_SYSTEM: [&str; 4] = ["transaction", "batch", "search-system", "history-system"];

impl Engine {
    /// The statement; made once for each set of search parameters. `raw`: `mode` and the parameters of a read.
    ///
    /// R4 lets `mode=normative` leave out what is trial use: none of that is in it.
    ///
    /// # Errors
    /// `Invalid` for another mode, or a parameter that a read does not take.
    pub(super) async fn capabilities(&self, raw: &str) -> Result<Answer> {
        let (house, active) = (self.house(), self.house().active());
        let mut pairs = query::pairs(raw)?;
        let mut mode = "full".to_owned();
        pairs.retain_mut(|(name, value)| {
            let is_mode = name == "mode";
            if is_mode {
                mode = std::mem::take(value);
            }
            !is_mode
        });
        let subset = Subset::of_pairs(pairs)?;
        let body = match mode.as_str() {
            "full" | "normative" => {
                let make = || Bytes::from(Json::from(statement(house, &active)).to_bytes());
                active.statement.get_or_make(house.number, &make).clone()
            }
            "terminology" => terminology::capabilities(house, &active).await?,
            other => {
                let text = format!("mode is full, normative or terminology, and not '{}'", printable(other));
                return Err(Error::invalid(text).code("value"));
            }
        };
        Ok(Answer::of(subset.apply(body)?))
    }
}

/// Whether the map has an interaction.
fn has(code: &str) -> bool {
    ROUTES.iter().any(|r| r.code == code || (code == "batch" && r.code == "transaction"))
}

fn interactions(codes: &[&str], belongs: impl Fn(&Route) -> bool) -> Vec<Value> {
    let there = |code: &&&str| {
        ROUTES.iter().any(|r| belongs(r) && (r.code == **code || (**code == "batch" && r.code == "transaction")))
    };
    codes.iter().filter(there).map(|code| json!({"code": code})).collect()
}

fn statement(house: &House, active: &Active) -> Value {
    let resources: Vec<Value> = ResourceType::all().map(|t| resource(house, active, t)).collect();
    let mut rest = json!({
        "mode": "server",
        "documentation": "All R4 types in JSON. A write is judged by role, scope, organisation and the state of the resource; \
            what a caller may not see answers as if it were not there. Unknown search parameters are refused unless \
            Prefer: handling=lenient is sent.",
        "resource": resources,
        "interaction": interactions(&OF_SYSTEM, |r| r.path.first() != Some(&Part::Type)),
        "operation": operations(Row::is_of_server),
        "compartment": super::published::compartments(),
    });
    if house.door.asks()
        && let Some(rest) = rest.as_object_mut()
    {
        let root = house.env.base.strip_suffix("/fhir").unwrap_or(&house.env.base);
        rest.insert(
            "security".into(),
            json!({
                "cors": true,
                "service": [{
                    "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR"
                    }],
                    "text": "SMART App Launch 2.2; see /fhir/.well-known/smart-configuration"
                }]
            }),
        );
        if house.door.gives() {
            // Superseded by smart-configuration; the Python library of SMART reads nothing else.
            rest["security"]["extension"] = json!([{
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [
                    {"url": "authorize", "valueUri": format!("{root}/auth/authorize")},
                    {"url": "token", "valueUri": format!("{root}/auth/token")},
                    {"url": "introspect", "valueUri": format!("{root}/auth/introspect")},
                    {"url": "revoke", "valueUri": format!("{root}/auth/revoke")},
                    {"url": "manage", "valueUri": format!("{root}/auth/manage")}
                ]
            }]);
        }
    }
    json!({
        "resourceType": "CapabilityStatement",
        "id": "baton",
        "url": format!("{}/metadata", house.env.base),
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Baton",
        "title": "Baton: from hospital to community pharmacy",
        "status": "active",
        "date": DATED,
        "kind": "instance",
        "software": {"name": "Baton", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Baton", "url": house.env.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": PATCHES.map(|(media, _)| media),
        "rest": [rest],
    })
}

fn operations(is_listed: impl Fn(&Row) -> bool) -> Vec<Value> {
    let listed = rows().filter(|row| is_listed(row));
    listed.map(|row| json!({"name": row.name, "definition": definition(row), "documentation": row.text})).collect()
}

fn resource(house: &House, active: &Active, rtype: ResourceType) -> Value {
    // The audit is written by the server alone.
    let is_written = !is_audit(rtype);
    let of_type: &[&str] = if is_written { &OF_TYPE } else { &OF_READ };
    let mut params: Vec<&crate::search::Param> =
        active.registry.params(rtype).filter(|p| p.building().is_none()).collect();
    params.sort_by(|a, b| a.code.cmp(&b.code));
    let leads =
        |p: &&&crate::search::Param| p.kind == ParamType::Reference && p.is_supported() && !p.targets.is_empty();
    let references = params.iter().filter(leads);
    let mut includes: Vec<String> = references.map(|p| format!("{rtype}:{}", p.code)).collect();
    includes.insert(0, "*".into());
    // Who reads the audit reads nothing that it leads to.
    let sources = ResourceType::all().filter(|source| source.as_str() != "AuditEvent" && is_written);
    let revincludes: Vec<String> = sources.flat_map(|source| leading_to(active, source, rtype)).collect();
    includes.truncate(if is_written { usize::MAX } else { 0 });
    let search: Vec<Value> = params
        .iter()
        .filter(|p| p.is_supported())
        .map(|p| {
            let mut row = json!({"name": p.code, "type": p.kind.as_str()});
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
    let list = is_written.then(|| json!({"name": "_list", "type": "special"}));
    let search = search.into_iter().chain(list).collect::<Vec<_>>();
    let mut out = json!({
        "type": rtype.as_str(),
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{rtype}"),
        "interaction": interactions(of_type, |r| r.path.first() == Some(&Part::Type)),
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": is_written,
        "conditionalCreate": is_written,
        "conditionalRead": "full-support",
        "conditionalUpdate": is_written && has("conditional-update"),
        "conditionalDelete": match house.limits.delete_max {
            _ if !is_written || !has("conditional-delete") => "not-supported",
            0 | 1 => "single",
            _ => "multiple",
        },
        "referencePolicy": ["literal", "logical", "local"],
    });
    if rtype.as_str() == "Subscription" {
        let topic = |url| json!({"url": TOPIC, "valueCanonical": url});
        out["extension"] = house.topics.addresses().map(topic).collect();
    }
    if !includes.is_empty() {
        out["searchInclude"] = includes.into();
    }
    if !revincludes.is_empty() {
        out["searchRevInclude"] = revincludes.into();
    }
    if let Some(out) = out.as_object_mut() {
        if !search.is_empty() {
            out.insert("searchParam".into(), search.into());
        }
        let supported = house.conformance.profiles().supported(rtype.as_str());
        if !supported.is_empty() {
            out.insert("supportedProfile".into(), supported.into());
        }
        let operations = operations(|row| row.is_of(rtype));
        if !operations.is_empty() {
            out.insert("operation".into(), operations.into());
        }
    }
    out
}

/// `Observation:subject` of each reference parameter of a type that may lead to another.
fn leading_to(active: &Active, source: ResourceType, rtype: ResourceType) -> Vec<String> {
    let leads = |p: &&crate::search::Param| {
        p.kind == ParamType::Reference && p.is_supported() && p.building().is_none() && p.targets.contains(&rtype)
    };
    active.registry.params(source).filter(leads).map(|p| format!("{source}:{}", p.code)).collect()
}
