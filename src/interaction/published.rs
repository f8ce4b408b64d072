//! What the server publishes about itself under its own FHIR base, besides `metadata`: its compartments.
//!
//! They are read like any resource and are not stored; one stored under the same id takes their place.
//! Source: <https://hl7.org/fhir/R4/compartmentdefinition.html>. Own rule: `Task.for` puts a Task into the Patient's
//! compartment, which R4's definition leaves out.

use crate::fhir::{Json, ResourceType, Target};
use crate::search::registry::sources;
use bytes::Bytes;
use serde_json::{Value, json};

/// Types that R4 defines compartments of.
const OWNERS: [&str; 5] = ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"];
/// Where Baton's own definitions are named.
const BASE: &str = "http://baton.example/fhir/CompartmentDefinition/";
/// Date of these definitions.
const DATED: &str = "2026-11-25";

/// Canonical URLs of the compartments, for `metadata`.
pub(super) fn compartments() -> Vec<String> {
    OWNERS.iter().map(|owner| format!("{BASE}{}", owner.to_lowercase())).collect()
}

/// The published resource at an address.
pub(super) fn published(target: &Target) -> Option<Bytes> {
    if target.rtype.as_str() != "CompartmentDefinition" {
        return None;
    }
    let owner = OWNERS.iter().find(|owner| owner.to_lowercase() == target.id)?;
    Some(Json::from(compartment(owner)).to_bytes().into())
}

fn compartment(owner: &str) -> Value {
    let resource = |rtype: ResourceType| {
        let mut params = ResourceType::parse(owner).map_or(&[][..], |owner| sources(owner, rtype)).to_vec();
        if rtype.as_str() == owner {
            params.insert(0, "_id");
        }
        let mut row = json!({"code": rtype.as_str()});
        if !params.is_empty() {
            row["param"] = json!(params);
        }
        if (owner, rtype.as_str()) == ("Patient", "Task") {
            row["documentation"] = json!("Baton's own: Task.for. R4 counts no Task into the compartment of a patient.");
        }
        row
    };
    json!({
        "resourceType": "CompartmentDefinition",
        "id": owner.to_lowercase(),
        "meta": {"versionId": "1", "lastUpdated": format!("{DATED}T00:00:00Z")},
        "url": format!("{BASE}{}", owner.to_lowercase()),
        "version": "1.0.0",
        "name": format!("Baton{owner}Compartment"),
        "status": "active",
        "date": DATED,
        "publisher": "Baton",
        "description": format!("What GET {owner}/[id]/[type] and {owner}/[id]/* search: resources that refer to the {owner} \
            by one of these parameters."),
        "code": owner,
        "search": true,
        "resource": ResourceType::all().map(resource).collect::<Vec<_>>()
    })
}
