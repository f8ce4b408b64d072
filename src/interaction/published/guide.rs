//! The ImplementationGuide: all that the server publishes, in one list.
//!
//! Not for: what they say (`mod.rs`).
//! Source: <https://hl7.org/fhir/R4/implementationguide.html>.

use super::{BASE, DATED};
use crate::fhir::Json;
use serde_json::{Value, json};

/// The guide to these resources.
pub(super) fn of(list: &[Json]) -> Json {
    let resource = |json: &Json| {
        let at = format!("{}/{}", json["resourceType"].text(), json["id"].text());
        let name = [json["title"].text(), json["name"].text(), at.as_str()].into_iter().find(|n| !n.is_empty());
        json!({"reference": {"reference": at}, "name": name, "exampleBoolean": false})
    };
    let resources: Vec<Value> = list.iter().map(resource).collect();
    json!({
        "resourceType": "ImplementationGuide",
        "id": "baton",
        "url": format!("{BASE}/ImplementationGuide/baton"),
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Baton",
        "title": "From hospital to community pharmacy: a patient's medicines",
        "status": "active",
        "date": DATED,
        "publisher": "Baton",
        "description": "Protocols, activities, forms, profiles, extensions, terminology, operations, search parameters and compartments of this server.",
        "packageId": "example.baton",
        "fhirVersion": ["4.0.1"],
        "definition": {"resource": resources},
    })
    .into()
}
