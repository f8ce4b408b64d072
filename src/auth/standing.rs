//! Whether what a token says still holds: client and user enabled, role backed by an active PractitionerRole.
//!
//! For: minting, and the look back at least once a minute while a token lives.
//! Source: <https://hl7.org/fhir/R4/practitionerrole.html>; own rule: a role is code + organisation + period + `active`,
//! in the directory, never what a request says.

use crate::access::{Hooks, Limit, Policy, Role};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::resource::{is_id, known};
use crate::fhir::{Json, Target, date};
use crate::store::Store;
use crate::store::oauth::User;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// Checks that the organisation is in the directory and not switched off.
///
/// # Errors
/// `Forbidden` with the reason.
pub async fn organization(store: &Store, org: &str) -> Result<()> {
    let target = Target::new(known("Organization"), org);
    let found = read(store, &[target]).await?;
    match found.into_iter().flatten().next() {
        Some(o) if o["active"].as_bool() != Some(false) => Ok(()),
        _ => Err(Error::forbidden(format!("Organization/{org} is not active"))),
    }
}

/// Whose law an organisation works by, where the matrix knows one: by its address in the directory, which nobody but an
/// administrator writes.
///
/// # Errors
/// What the store says.
pub async fn jurisdiction(store: &Store, policy: &Policy, org: Option<&str>) -> Result<Option<String>> {
    let Some(org) = org.filter(|_| policy.has_jurisdictions()) else { return Ok(None) };
    let found = read(store, &[Target::new(known("Organization"), org)]).await?;
    Ok(found.into_iter().flatten().next().and_then(|o| policy.jurisdiction(&o).map(Into::into)))
}

/// Logical id of the PractitionerRole of a person in an organisation: readable where it fits in 64 characters.
#[must_use]
pub fn role_id(practitioner: &str, organization: &str, role: &str) -> String {
    let id = format!("{practitioner}-{organization}-{role}");
    if is_id(&id) {
        return id;
    }
    let hash = Sha256::digest(id.as_bytes());
    hash.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// Checks that a person may act in the role of the login, now.
///
/// # Errors
/// `Forbidden` naming what is missing.
pub async fn person(store: &Store, policy: &Policy, user: &User, role: Role, now: Instant) -> Result<()> {
    let codes = policy.person_codes(role);
    if role == Role::Patient {
        return patient(store, user, now).await;
    }
    if codes.is_empty() {
        return match &user.org {
            Some(org) => organization(store, org).await,
            None => Ok(()),
        };
    }
    let (Some(org), Some(person), Some(of_role)) = (&user.org, &user.practitioner, &user.practitioner_role) else {
        return Err(Error::forbidden(format!("the login has no PractitionerRole, which a {} needs", role.as_str())));
    };
    let targets = [
        Target::new(known("PractitionerRole"), of_role),
        Target::new(known("Practitioner"), person),
        Target::new(known("Organization"), org),
    ];
    let found = read(store, &targets).await?;
    let [Some(practitioner_role), Some(practitioner), Some(organization)] = found.as_slice() else {
        return Err(Error::forbidden(
            "the login's PractitionerRole, Practitioner or Organization is not in the directory",
        ));
    };
    holds(&Standing { practitioner_role, practitioner, organization, person, org, codes, now })
        .map_err(|why| Error::forbidden(format!("the login may not act as {}: {why}", role.as_str())))
}

/// Checks that a patient who logs in has a record, in the organisation of the login, that is in use.
async fn patient(store: &Store, user: &User, now: Instant) -> Result<()> {
    let (Some(org), Some(id)) = (&user.org, &user.patient) else {
        return Err(Error::forbidden("the login has no Patient, which a patient needs"));
    };
    organization(store, org).await?;
    let limit = Limit::Organization { org: org.clone(), hooks: Hooks::None, now, sieve: None };
    let found = store.get(&limit, &Target::new(known("Patient"), id)).await?.filter(|v| !v.is_deleted());
    match found.map(|v| v.json()).transpose()? {
        Some(patient) if patient["active"].as_bool() != Some(false) => Ok(()),
        _ => Err(Error::forbidden("the login's Patient is not there, or not active")),
    }
}

async fn read(store: &Store, targets: &[Target]) -> Result<Vec<Option<Json>>> {
    let versions = store.get_many(&Limit::Directory, targets).await?;
    versions.into_iter().map(|v| v.filter(|v| !v.is_deleted()).map(|v| v.json()).transpose()).collect()
}

/// What [`holds`] judges.
struct Standing<'a> {
    practitioner_role: &'a Json,
    practitioner: &'a Json,
    organization: &'a Json,
    /// Logical ids that the login names.
    person: &'a str,
    org: &'a str,
    /// `system|code`, one of which the role must have.
    codes: &'a [String],
    now: Instant,
}

fn holds(s: &Standing<'_>) -> Result<(), &'static str> {
    let role = s.practitioner_role;
    // R4: a missing `active` is generally taken as true.
    if [role, s.practitioner, s.organization].iter().any(|r| r["active"].as_bool() == Some(false)) {
        return Err("the PractitionerRole, Practitioner or Organization is not active");
    }
    if role["practitioner"]["reference"].text() != format!("Practitioner/{}", s.person) {
        return Err("the PractitionerRole is of another practitioner");
    }
    if role["organization"]["reference"].text() != format!("Organization/{}", s.org) {
        return Err("the PractitionerRole is in another organization");
    }
    if !role["code"].items().iter().any(|c| has_code(c, s.codes)) {
        return Err("the PractitionerRole has no code of that role");
    }
    if !is_within(&role["period"], s.now) {
        return Err("the PractitionerRole is not within its period");
    }
    // A licence that is written down and over ends the right; one that is not written down is the employer's matter.
    let mut licences =
        s.practitioner["qualification"].items().iter().filter(|q| has_code(&q["code"], s.codes)).peekable();
    if licences.peek().is_some() && !licences.any(|q| is_within(&q["period"], s.now)) {
        return Err("the qualification is not within its period");
    }
    Ok(())
}

fn has_code(concept: &Json, codes: &[String]) -> bool {
    concept["coding"].items().iter().any(|c| {
        let code = format!("{}|{}", c["system"].text(), c["code"].text());
        codes.contains(&code)
    })
}

/// A period that does not read holds nothing. Dates without a zone are days of UTC.
fn is_within(period: &Json, now: Instant) -> bool {
    period.is_null() || date::period(period, &TimeZone::UTC).is_some_and(|p| p.lo <= now.0 && now.0 <= p.hi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NUCC: &str = "http://nucc.org/provider-taxonomy";

    fn judge(
        change: impl Fn(&mut serde_json::Value, &mut serde_json::Value, &mut serde_json::Value),
    ) -> Result<(), &'static str> {
        let mut role = json!({
            "resourceType": "PractitionerRole", "active": true,
            "period": {"start": "2026-01-01", "end": "2026-12-31"},
            "practitioner": {"reference": "Practitioner/p"}, "organization": {"reference": "Organization/o"},
            "code": [{"coding": [{"system": NUCC, "code": "183500000X"}]}]
        });
        let mut person = json!({"resourceType": "Practitioner"});
        let mut org = json!({"resourceType": "Organization"});
        change(&mut role, &mut person, &mut org);
        let codes = Policy::built_in().unwrap().person_codes(Role::Pharmacist).to_vec();
        holds(&Standing {
            practitioner_role: &role.into(),
            practitioner: &person.into(),
            organization: &org.into(),
            person: "p",
            org: "o",
            codes: &codes,
            now: Instant::parse("2026-11-25T12:00:00Z").unwrap(),
        })
    }

    /// Bad cases 19 and 20 of the workflow contract, as far as the login goes.
    #[test]
    fn a_role_holds_only_while_everything_behind_it_holds() {
        assert_eq!(judge(|_, _, _| ()), Ok(()));
        assert_eq!(judge(|r, _, _| r["period"] = json!({"start": "2026-11-25"})), Ok(()), "from today");
        assert_eq!(judge(|r, _, _| r["period"] = json!({"end": "2026-11-25"})), Ok(()), "to the end of today");
        assert_eq!(
            judge(|r, _, _| {
                r["code"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "pharmacist"}]}]);
            }),
            Ok(())
        );
        type Change = fn(&mut serde_json::Value, &mut serde_json::Value, &mut serde_json::Value);
        let bad: [(&str, Change); 13] = [
            ("not active", |r, _, _| r["active"] = json!(false)),
            ("not active", |_, p, _| p["active"] = json!(false)),
            ("not active", |_, _, o| o["active"] = json!(false)),
            ("another practitioner", |r, _, _| r["practitioner"] = json!({"reference": "Practitioner/x"})),
            ("another practitioner", |r, _, _| r["practitioner"] = json!(null)),
            ("another organization", |r, _, _| r["organization"] = json!({"reference": "Organization/x"})),
            ("no code", |r, _, _| r["code"][0]["coding"][0]["code"] = json!("183700000X")),
            ("no code", |r, _, _| r["code"][0]["coding"][0]["system"] = json!("http://evil.example")),
            ("no code", |r, _, _| r["code"] = json!([])),
            ("period", |r, _, _| r["period"] = json!({"end": "2026-11-24"})),
            ("period", |r, _, _| r["period"] = json!({"start": "2026-11-26"})),
            ("period", |r, _, _| r["period"] = json!({"end": "next year"})),
            ("qualification", |_, p, _| {
                p["qualification"] =
                    json!([{"code": {"coding": [{"system": NUCC, "code": "183500000X"}]}, "period": {"end": "2025"}}]);
            }),
        ];
        for (says, change) in bad {
            let why = judge(change).expect_err(says);
            assert!(why.contains(says), "{says}: {why}");
        }
    }
}
