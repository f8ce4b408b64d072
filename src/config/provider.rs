//! OpenID providers at which people may log in: the `[[providers]]` tables of the settings file.
//!
//! Baton stays the authorization server: apps ask it, its tokens are its own. A provider only says who somebody is, and who that is
//! here stands in the database (`baton user link`). Not for: tokens that others gave (`issuer.rs`).

use super::issuer::ALGORITHMS;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::PathBuf;

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provider {
    /// What it is called here: the end of the address that it answers to, `BASE/auth/callback/NAME`.
    pub name: String,
    /// What people read: "Sign in with …".
    pub label: String,
    /// `iss` of its id_tokens, letter by letter; its OpenID discovery is below it.
    pub issuer: String,
    /// What it calls Baton.
    pub client_id: String,
    /// File that holds the secret which it gave; without it Baton is a public client there.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for, with `openid`.
    #[serde(default = "scopes")]
    pub scopes: String,
    /// Claim that holds the login name here of who is not linked yet; without it only who is linked gets in.
    #[serde(default)]
    pub user_claim: Option<String>,
    /// What it signs with.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    /// Values of `amr`, or of `acr`, after which a user's one-time code is not asked for here.
    #[serde(default = "second_factor")]
    pub second_factor: Vec<String>,
}

fn scopes() -> String {
    "openid".into()
}

fn algorithms() -> Vec<String> {
    vec!["RS256".into(), "ES256".into()]
}

/// RFC 8176: "mfa" says that there was more than one factor; `otp` alone may have been the only one.
fn second_factor() -> Vec<String> {
    vec!["mfa".into()]
}

/// Reads the tables.
///
/// # Errors
/// `Invalid` naming what is wrong.
pub(super) fn read(value: Option<&toml::Value>) -> Result<Vec<Provider>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let all: Vec<Provider> = value
        .clone()
        .try_into()
        .map_err(|e: toml::de::Error| Error::invalid(format!("'providers': {}", e.message())))?;
    for (n, provider) in all.iter().enumerate() {
        let wrong = |member: &str, why: &str| Err(Error::invalid(format!("'providers[{n}].{member}' {why}")));
        let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let others = || all.iter().skip(n + 1);
        if !(1..=32).contains(&provider.name.len()) || !provider.name.bytes().all(is_word) {
            return wrong("name", "has 1 to 32 small letters, digits and '-'");
        }
        if others().any(|o| o.name == provider.name) {
            return wrong("name", "is another provider's too");
        }
        // Two of one issuer could be taken for each other.
        if !is_address(&provider.issuer) || others().any(|o| o.issuer == provider.issuer) {
            return wrong("issuer", "is an https:// address that no other provider has (http:// on this machine only)");
        }
        if provider.label.trim().is_empty() || provider.label.chars().count() > 64 {
            return wrong("label", "has 1 to 64 characters");
        }
        if provider.client_id.is_empty() {
            return wrong("client-id", "is what the provider calls Baton");
        }
        if !provider.scopes.split(' ').any(|s| s == "openid") {
            return wrong("scopes", "has openid: without it nobody says who somebody is");
        }
        if provider.algorithms.is_empty() || provider.algorithms.iter().any(|a| !ALGORITHMS.contains(&a.as_str())) {
            return wrong("algorithms", &format!("are some of {}", ALGORITHMS.join(", ")));
        }
    }
    Ok(all)
}

/// https, or http on this machine; no user, query or fragment.
fn is_address(text: &str) -> bool {
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\\"<>'".contains(&b));
    let is_https = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    is_plain && (is_https || (text.starts_with("http://") && super::is_loopback(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "name = \"care\"\nlabel = \"Care North\"\nissuer = \"https://idp.example\"\nclient-id = \"baton\"\n";

    fn load(text: &str) -> Result<Vec<Provider>> {
        let table: toml::Table = format!("[[providers]]\n{text}").parse().unwrap();
        read(table.get("providers"))
    }

    #[test]
    fn a_provider_says_where_people_log_in() {
        let all = load(GOOD).unwrap();
        assert_eq!((all[0].scopes.as_str(), all[0].second_factor.as_slice()), ("openid", &["mfa".to_owned()][..]));
        assert_eq!((&all[0].user_claim, &all[0].client_secret_file), (&None, &None));
        load(&GOOD.replace("https://idp.example", "http://127.0.0.1:9000/op")).unwrap();
        for (change, says) in [
            (GOOD.replace("\"care\"", "\"Care/..\""), "name"),
            (GOOD.replace("https://", "http://"), "issuer"),
            (GOOD.replace("https://idp", "https://user@idp"), "issuer"),
            (GOOD.replace("idp.example", "idp.example?x=1"), "issuer"),
            (GOOD.replace("Care North", " "), "label"),
            (GOOD.replace("\"baton\"", "\"\""), "client-id"),
            (format!("{GOOD}scopes = \"profile\""), "openid"),
            (format!("{GOOD}algorithms = [\"HS256\"]"), "algorithms"),
            (format!("{GOOD}client-secret = \"x\""), "unknown field"),
            (format!("{GOOD}[[providers]]\n{}", GOOD.replace("idp.", "other.")), "name"),
            (format!("{GOOD}[[providers]]\n{}", GOOD.replace("\"care\"", "\"two\"")), "issuer"),
        ] {
            let error = load(&change).expect_err(says).to_string();
            assert!(error.contains(says), "{says}: {error}");
        }
    }
}
