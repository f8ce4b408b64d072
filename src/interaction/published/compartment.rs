//! CompartmentDefinitions: what is in the compartment of a patient, an encounter …
//!
//! Source: <https://hl7.org/fhir/R4/compartmentdefinition.html>. Own rule: `Task.for` and `Device.patient` put
//! a Task and a Device into the Patient's compartment, which R4's definition leaves out.

use super::{BASE, DATED};
use crate::fhir::{Json, ResourceType};
use crate::search::registry::{OWN, sources};
use serde_json::{Value, json};

/// Types that R4 defines compartments of.
const OWNERS: [&str; 5] = ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"];

/// Canonical URLs, for `metadata`.
pub(in crate::interaction) fn urls() -> Vec<String> {
    OWNERS.iter().map(|owner| url(owner)).collect()
}

/// Whether a type has one.
pub(in crate::interaction) fn has_compartment(rtype: ResourceType) -> bool {
    OWNERS.contains(&rtype.as_str())
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Json> {
    OWNERS.iter().map(|owner| compartment(owner).into())
}

fn url(owner: &str) -> String {
    format!("{BASE}/CompartmentDefinition/{}", owner.to_lowercase())
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
        if let (true, Some((name, element))) =
            (owner == "Patient", OWN.iter().find(|(name, _)| *name == rtype.as_str()))
        {
            row["documentation"] =
                json!(format!("Baton's own: {element}. R4 counts no {name} into the compartment of a patient."));
        }
        row
    };
    json!({
        "resourceType": "CompartmentDefinition",
        "id": owner.to_lowercase(),
        "url": url(owner),
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
