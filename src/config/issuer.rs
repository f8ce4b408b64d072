//! Other issuers whose access tokens are taken: the `[[issuers]]` tables of the settings file.
//!
//! What a claim means here is said here and nowhere else: an organisation or role that stands in no table gives no access.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Algorithms that may be listed: one key each, never a shared secret.
pub const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"];

/// One issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Issuer {
    /// `iss` of its tokens, letter by letter.
    pub issuer: String,
    /// Where its keys are; without it, its OpenID discovery says.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// `aud` of its tokens; without it, the FHIR base.
    #[serde(default)]
    pub audience: Option<String>,
    /// What it signs with.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    /// Seconds that a token of it is good at most, from `iat`.
    #[serde(default = "max_age")]
    pub max_age_seconds: i64,
    /// What SMART calls what it does: for `smart-configuration` of a server that gives no tokens itself.
    #[serde(default = "capabilities")]
    pub capabilities: Vec<String>,
    /// Which claim says what.
    #[serde(default)]
    pub claims: ClaimNames,
    /// What it calls an organisation → logical id of the Organization here.
    #[serde(default)]
    pub organizations: BTreeMap<String, String>,
    /// What it calls a role → role here.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

/// Names of claims; `a.b` is the member `b` of the claim `a`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClaimNames {
    /// SMART scopes: one text, or a list.
    pub scope: String,
    /// The client, which must be registered here too.
    pub client: String,
    /// A key of `organizations`, or a list of which one is.
    pub organization: String,
    /// A key of `roles`, or a list of which one is.
    pub role: String,
    /// Logical id of the Patient in context.
    pub patient: String,
    /// `Practitioner/id` or `Patient/id`, alone or at the end of a URL.
    pub fhir_user: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            scope: "scope".into(),
            client: "azp".into(),
            organization: "organization".into(),
            role: "role".into(),
            patient: "patient".into(),
            fhir_user: "fhirUser".into(),
        }
    }
}

fn algorithms() -> Vec<String> {
    vec!["RS256".into(), "ES256".into()]
}

/// What Baton itself does with whoever's token.
fn capabilities() -> Vec<String> {
    ["permission-patient", "permission-user", "permission-v1", "permission-v2"].map(String::from).to_vec()
}

const fn max_age() -> i64 {
    3600
}

/// Reads the tables.
///
/// # Errors
/// `Invalid` naming what is wrong.
pub fn read(value: Option<&toml::Value>) -> Result<Vec<Issuer>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let all: Vec<Issuer> =
        value.clone().try_into().map_err(|e: toml::de::Error| Error::invalid(format!("'issuers': {}", e.message())))?;
    for (n, issuer) in all.iter().enumerate() {
        let wrong = |member: &str, why: &str| Err(Error::invalid(format!("'issuers[{n}].{member}' {why}")));
        if issuer.issuer.is_empty() || all.iter().skip(n + 1).any(|other| other.issuer == issuer.issuer) {
            return wrong("issuer", "is a text that no other issuer has");
        }
        if issuer.algorithms.is_empty() || issuer.algorithms.iter().any(|a| !ALGORITHMS.contains(&a.as_str())) {
            return wrong("algorithms", &format!("are some of {}", ALGORITHMS.join(", ")));
        }
        if !(60..=86_400).contains(&issuer.max_age_seconds) {
            return wrong("max-age-seconds", "is 60 to 86400");
        }
        if issuer.organizations.is_empty() {
            return wrong("organizations", "names at least one: a token of any other gives no access");
        }
        const ROLES: [&str; 6] =
            ["hospital-system", "pharmacy-system", "technician", "pharmacist", "prescriber", "patient"];
        if issuer.roles.is_empty() || issuer.roles.values().any(|r| !ROLES.contains(&r.as_str())) {
            return wrong("roles", &format!("names at least one, and gives some of {}", ROLES.join(", ")));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issuer = \"https://idp.example\"\n[issuers.organizations]\nA = \"lakeside\"\n[issuers.roles]\np = \"pharmacist\"";

    fn load(more: &str) -> Result<Vec<Issuer>> {
        let table: toml::Table = format!("[[issuers]]\n{more}").parse().unwrap();
        read(table.get("issuers"))
    }

    #[test]
    fn an_issuer_says_what_its_claims_mean() {
        let all = load(GOOD).unwrap();
        assert_eq!((all[0].max_age_seconds, all[0].claims.client.as_str()), (3600, "azp"));
        for (change, says) in [
            ("algorithms = [\"HS256\"]\n", "algorithms"),
            ("algorithms = [\"none\"]\n", "algorithms"),
            ("max-age-seconds = 1\n", "max-age-seconds"),
            ("secret = \"x\"\n", "unknown field"),
        ] {
            let error = load(&format!("{change}{GOOD}")).expect_err(change).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(load("issuer = \"x\"\n[issuers.roles]\np = \"pharmacist\"").is_err(), "no organisation");
        assert!(load(&GOOD.replace("pharmacist", "admin")).is_err(), "no issuer makes an administrator");
        assert!(load(&format!("{GOOD}\n[[issuers]]\n{GOOD}")).is_err(), "twice");
    }
}
