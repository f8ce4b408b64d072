//! What people are called on our pages and in id_tokens.

use super::AuthState;
use crate::access::{Hooks, Limit, Role};
use crate::clock::Instant;
use crate::error::Result;
use crate::fhir::resource::known;
use crate::fhir::{Json, Target};
use crate::store::oauth::User;

/// The first HumanName that is in use, in words.
#[must_use]
pub fn human_name(names: &Json) -> String {
    let names = names.items();
    let official = names.iter().find(|n| n["use"].text() == "official");
    let Some(name) = official.or_else(|| names.iter().find(|n| n["use"].text() != "old")) else {
        return "No name".into();
    };
    if !name["text"].text().is_empty() {
        return name["text"].text().to_owned();
    }
    let given = name["given"].items().iter().map(Json::text);
    let words: Vec<&str> = given.chain([name["family"].text()]).filter(|w| !w.is_empty()).collect();
    if words.is_empty() { "No name".into() } else { words.join(" ") }
}

/// "born 1950-01-02 · female", as far as it is known.
#[must_use]
pub fn born(patient: &Json) -> String {
    let born = patient["birthDate"].text();
    let born = if born.is_empty() { String::new() } else { format!("born {born}") };
    let gender = patient["gender"].text();
    [born.as_str(), gender].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" \u{b7} ")
}

/// `Practitioner/x` or `Patient/x` of a login.
#[must_use]
pub fn fhir_user(user: &User) -> Option<String> {
    match (Role::parse(&user.role), &user.patient, &user.practitioner) {
        (Some(Role::Patient), Some(id), _) => Some(format!("Patient/{id}")),
        (_, _, Some(id)) => Some(format!("Practitioner/{id}")),
        _ => None,
    }
}

/// What a user is called: the name in the directory or record, else the login name.
///
/// # Errors
/// What the store says.
pub async fn display(state: &AuthState, user: &User, now: Instant) -> Result<String> {
    let (rtype, id, limit) = match (&user.practitioner, &user.patient, &user.org) {
        (Some(id), _, _) => ("Practitioner", id, Limit::Directory),
        (None, Some(id), Some(org)) => {
            ("Patient", id, Limit::Organization { org: org.clone(), hooks: Hooks::None, now, sieve: None })
        }
        _ => return Ok(user.name.clone()),
    };
    let found = state.store.get(&limit, &Target::new(known(rtype), id)).await?.filter(|v| !v.is_deleted());
    Ok(match found {
        Some(version) => human_name(&version.json()?["name"]),
        None => user.name.clone(),
    })
}
