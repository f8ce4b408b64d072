//! What a client's registration must be.
//!
//! For: `baton client add`, `baton seed`, the admin API.
//! Source: RFC 7591 2, RFC 8252 7 (native apps), RFC 9700 4.1.

use super::client::check_jwks;
use super::endpoint::GRANTS;
use crate::access::Role;
use crate::access::scope::{ACCOUNTS, Level, Scopes};
use crate::store::oauth::{Client, Kind};
use serde_json::{Value, json};

/// Everything that is wrong with a client, as (member of its registration, the rest of a sentence).
#[must_use]
pub fn problems(client: &Client) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if !crate::fhir::resource::is_id(&client.id) {
        out.push(("id", "has 1 to 64 letters, digits, '-' and '.'".to_owned()));
    }
    let is_app = client.may("authorization_code");
    if client.grants.is_empty() || client.grants.iter().any(|g| !GRANTS.contains(&g.as_str())) {
        out.push(("grants", format!("are some of {}", GRANTS.join(", "))));
    }
    if is_app && client.redirect_uris.is_empty() {
        out.push(("redirect-uris", "is missing: an app gets its codes there".into()));
    }
    for uri in &client.redirect_uris {
        if let Err(why) = redirect_uri(uri) {
            out.push(("redirect-uris", format!("holds '{uri}', which {why}")));
        }
    }
    for uri in &client.launch_uris {
        if let Err(why) = redirect_uri(uri) {
            out.push(("launch-uris", format!("holds '{uri}', which {why}")));
        }
    }
    for origin in &client.origins {
        let is_web = origin.starts_with("https://") || is_loopback(origin);
        let is_bare =
            origin.split("://").nth(1).is_some_and(|h| !h.is_empty() && !h.contains(['/', '?', '#', '@', '*']));
        if !is_web || !is_bare || origin.to_ascii_lowercase() != *origin {
            out.push(("origins", format!("holds '{origin}', which is no origin such as https://app.example")));
        }
    }
    let words = client.scopes.split(' ').filter(|w| !w.is_empty()).count();
    let scopes = Scopes::parse(&client.scopes);
    if words == 0 || scopes.data.len() + scopes.others.len() != words {
        out.push(("scopes", "is a list of different SMART scopes, divided by one space".into()));
    }
    let has_system = scopes.data.iter().any(|s| s.level == Level::System);
    let has_people =
        scopes.data.iter().any(|s| s.level != Level::System) || scopes.others.iter().any(|o| *o != ACCOUNTS);
    if scopes.has(ACCOUNTS) && client.may("client_credentials") && Role::parse(&client.role) != Some(Role::Admin) {
        out.push(("scopes", format!("has {ACCOUNTS}, which of programs is for those with the role admin")));
    }
    if has_system && !client.may("client_credentials") {
        out.push(("scopes", "has system/ scopes, which are for programs that use client_credentials".into()));
    }
    if has_people && !is_app {
        out.push(("scopes", "has scopes of people, which are for apps with redirect-uris".into()));
    }
    match client.kind {
        Kind::Public if client.may("client_credentials") => {
            out.push(("grants", "has client_credentials, for which a public client has nothing to show".into()));
        }
        Kind::Asymmetric => match (&client.jwks, &client.jwks_uri) {
            (None, None) => out.push(("jwks", "is missing, or jwks-uri".into())),
            (Some(_), Some(_)) => out.push(("jwks-uri", "goes without jwks".into())),
            (Some(text), None) => {
                let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
                out.extend(check_jwks(&value).err().map(|why| ("jwks", why)));
            }
            (None, Some(uri)) => out.extend(keys_uri(uri).err().map(|why| ("jwks-uri", why.into()))),
        },
        _ => {}
    }
    out
}

/// Whether codes may be sent to an address: https, http on this machine, or a native app's own scheme.
///
/// # Errors
/// The rest of a sentence.
pub fn redirect_uri(uri: &str) -> Result<(), &'static str> {
    if uri.len() > 512
        || !uri.bytes().all(|b| b.is_ascii_graphic())
        || uri.contains(['\\', '"', '<', '>', '`', '{', '}', '|', '^'])
    {
        return Err("is longer than 512 characters, or has some that no URL has");
    }
    if uri.contains('#') {
        return Err("has a fragment");
    }
    if uri.contains('*') {
        return Err("has a wildcard: an address is compared letter by letter");
    }
    if uri.split(['/', '?']).any(|part| matches!(part, "." | "..")) {
        return Err("has a path with dots");
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return Err("has no scheme") };
    match scheme {
        "https" | "http" => {
            let host = rest.strip_prefix("//").and_then(|r| r.split(['/', '?']).next()).unwrap_or_default();
            if host.is_empty() {
                return Err("has no host");
            }
            if host.contains('@') {
                return Err("has a user in it");
            }
            if scheme == "http" && !is_loopback(uri) {
                return Err("is http, and not on this machine (localhost, 127.0.0.1, [::1])");
            }
            Ok(())
        }
        // RFC 8252 7.1: the reverse of a domain name; that leaves out javascript:, data:, file: and the like.
        own if own.contains('.')
            && own.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b)) =>
        {
            Ok(())
        }
        _ => Err("is neither https nor a scheme of a native app such as com.example.app"),
    }
}

/// Whether keys may be fetched from an address. Where it leads is judged when it is asked (`outbound::fetch`).
///
/// # Errors
/// The rest of a sentence.
pub fn keys_uri(uri: &str) -> Result<(), &'static str> {
    redirect_uri(uri)?;
    match uri.starts_with("https://") || is_loopback(uri) {
        true => Ok(()),
        false => Err("is not https"),
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").map(|r| r.split(['/', '?']).next().unwrap_or_default()).unwrap_or_default();
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or((rest, "")),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let port = port.trim_start_matches(':');
    matches!(name, "localhost" | "127.0.0.1" | "::1") && port.bytes().all(|b| b.is_ascii_digit())
}

/// The registration in the words of RFC 7591, without the secret.
#[must_use]
pub fn metadata(client: &Client) -> Value {
    let method = match client.kind {
        Kind::Symmetric => "client_secret_basic",
        Kind::Asymmetric => "private_key_jwt",
        Kind::Public | Kind::None => "none",
    };
    let mut out = json!({
        "client_id": client.id,
        "client_name": client.name,
        "token_endpoint_auth_method": method,
        "grant_types": client.grants,
        "scope": client.scopes,
        "active": client.is_active,
        "first_party": client.is_first_party,
    });
    for (name, list) in
        [("redirect_uris", &client.redirect_uris), ("launch_uris", &client.launch_uris), ("origins", &client.origins)]
    {
        if !list.is_empty() {
            out[name] = json!(list);
        }
    }
    if let Some(jwks) = client.jwks.as_deref().and_then(|t| serde_json::from_str::<Value>(t).ok()) {
        out["jwks"] = jwks;
    }
    for (name, text) in [("jwks_uri", &client.jwks_uri), ("organization", &client.org)] {
        if let Some(text) = text {
            out[name] = json!(text);
        }
    }
    if !client.role.is_empty() {
        out["role"] = json!(client.role);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// security R10: A redirect_uri is https, http on this machine or a native scheme, without fragment, user or wildcard.
    #[test]
    fn redirect_addresses_as_a_table() {
        for (uri, is_good) in [
            ("https://app.example/cb", true),
            ("https://app.example/cb?tenant=1", true),
            ("http://localhost:3000/cb", true),
            ("http://127.0.0.1/cb", true),
            ("http://[::1]:9/cb", true),
            ("com.example.app:/cb", true),
            ("http://app.example/cb", false),
            ("http://localhost.evil.example/cb", false),
            ("http://127.0.0.1@evil.example/", false),
            ("https://user@app.example/cb", false),
            ("https://app.example/cb#x", false),
            ("https://*.app.example/cb", false),
            ("https://app.example/../cb", false),
            ("https:///cb", false),
            ("https://app.example/c b", false),
            ("https://app.example/\r\nX: y", false),
            ("https://app.example/\u{e9}", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("app:/cb", false),
            ("/cb", false),
            ("", false),
        ] {
            assert_eq!(redirect_uri(uri).is_ok(), is_good, "{uri}");
        }
    }

    fn app() -> Client {
        Client {
            id: "app".into(),
            name: "App".into(),
            secret: None,
            jwks: None,
            scopes: "launch/patient openid patient/*.rs".into(),
            org: None,
            role: String::new(),
            is_active: true,
            kind: Kind::Public,
            redirect_uris: vec!["https://app.example/cb".into()],
            launch_uris: Vec::new(),
            origins: vec!["https://app.example".into()],
            jwks_uri: None,
            grants: vec!["authorization_code".into(), "refresh_token".into()],
            is_first_party: false,
        }
    }

    /// security R9: A registration says what the client is, where it is, and what it may be granted at most.
    #[test]
    fn a_registration_is_held_against_the_rules() {
        assert_eq!(problems(&app()), []);
        type Change = fn(&mut Client);
        let table: [(&str, Change); 13] = [
            ("id", |c| c.id = "a b".into()),
            ("redirect-uris", |c| c.redirect_uris.clear()),
            ("redirect-uris", |c| c.redirect_uris.push("http://evil.example/".into())),
            ("launch-uris", |c| c.launch_uris.push("javascript:x".into())),
            ("origins", |c| c.origins.push("https://app.example/".into())),
            ("origins", |c| c.origins.push("null".into())),
            ("scopes", |c| c.scopes = "patient/Nonsense.rs".into()),
            ("scopes", |c| c.scopes = "system/*.rs".into()),
            ("scopes", |c| (c.scopes, c.grants) = ("__accounts".into(), vec!["client_credentials".into()])),
            ("grants", |c| c.grants.push("password".into())),
            ("grants", |c| c.grants.push("client_credentials".into())),
            ("jwks", |c| c.kind = Kind::Asymmetric),
            ("jwks-uri", |c| {
                c.kind = Kind::Asymmetric;
                c.jwks_uri = Some("http://keys.example/jwks".into());
            }),
        ];
        for (member, change) in table {
            let mut client = app();
            change(&mut client);
            assert!(problems(&client).iter().any(|(m, _)| *m == member), "{member}");
        }
    }
}
