//! The directory resources that a seed file stands for: Organization, Practitioner, PractitionerRole.
//!
//! For: `apply.rs`, which puts them through the one door. The same file gives the same resources under the same ids.
//! Source: <https://hl7.org/fhir/R4/organization.html>, <https://hl7.org/fhir/R4/practitionerrole.html>.

use super::file::{Organization, OrganizationKind, PersonRole, Practitioner, Seed};
use crate::access::{Policy, Role};
use crate::auth::standing::role_id;
use crate::fhir::Json;
use serde_json::{Value, json};

/// On a hospital's Organization: one for each pharmacy to which its discharges are open.
pub const CANDIDATE_PHARMACY: &str = "http://baton.example/fhir/StructureDefinition/candidate-pharmacy";

/// All resources, organisations first, so that references lead somewhere whatever the order of writing.
#[must_use]
pub fn resources(seed: &Seed, policy: &Policy) -> Vec<Json> {
    let mut out: Vec<Json> = seed.organizations.iter().map(|o| organization(o).into()).collect();
    for person in &seed.practitioners {
        out.push(practitioner(person).into());
        out.extend(person.roles.iter().map(|role| practitioner_role(person, role, policy).into()));
    }
    out
}

fn organization(o: &Organization) -> Value {
    let (code, display) = match o.kind {
        OrganizationKind::Hospital => ("HOSP", "Hospital"),
        OrganizationKind::Pharmacy => ("OUTPHARM", "outpatient pharmacy"),
    };
    let candidates: Vec<Value> = o
        .candidate_pharmacies
        .iter()
        .map(|id| json!({"url": CANDIDATE_PHARMACY, "valueReference": {"reference": format!("Organization/{id}")}}))
        .collect();
    present(json!({
        "resourceType": "Organization",
        "id": o.id,
        "extension": candidates,
        "identifier": o.identifiers,
        "active": true,
        "type": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "prov", "display": "Healthcare Provider"}]},
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": code, "display": display}]}
        ],
        "name": o.name,
        "telecom": o.telecom,
        "address": o.address,
    }))
}

fn practitioner(p: &Practitioner) -> Value {
    present(json!({
        "resourceType": "Practitioner",
        "id": p.id,
        "identifier": p.identifiers,
        "active": true,
        "name": [p.name],
        "telecom": p.telecom,
    }))
}

fn practitioner_role(p: &Practitioner, role: &PersonRole, policy: &Policy) -> Value {
    let codes = Role::parse(&role.role).map_or(&[][..], |r| policy.person_codes(r));
    let coding: Vec<Value> = codes
        .iter()
        .take(1)
        .filter_map(|text| text.rsplit_once('|'))
        .map(|(system, code)| json!({"system": system, "code": code}))
        .collect();
    present(json!({
        "resourceType": "PractitionerRole",
        "id": role_id(&p.id, &role.organization, &role.role),
        "active": role.active,
        "period": present(json!({"start": role.from, "end": role.until})),
        "practitioner": {"reference": format!("Practitioner/{}", p.id)},
        "organization": {"reference": format!("Organization/{}", role.organization)},
        "code": [{"coding": coding, "text": role.role}],
    }))
}

/// Without members that are null or empty: FHIR has no empty arrays or objects.
fn present(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, v| match v {
            Value::Null => false,
            Value::Array(a) => !a.is_empty(),
            Value::Object(o) => !o.is_empty(),
            _ => true,
        });
    }
    value
}
