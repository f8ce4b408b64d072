//! What the authorization server puts on record.

use super::{Site, both_databases_with_site};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

both_databases_with_site!(who_came_in_and_what_was_given_is_on_record, changes_by_an_operator_are_on_record);

const SCOPE: &str = "patient/Observation.rs launch/patient openid offline_access";
const HAPPENING: &str = "happening";

/// (what, person, program, outcome, why, about whom)
pub type Line = (String, String, String, String, String, String);

fn lines(bundle: &Value) -> Vec<Line> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let mut out: Vec<(String, Line)> = entries
        .filter_map(|entry| {
            let event = &entry["resource"];
            let subtypes = event["subtype"].as_array()?;
            let what = subtypes.iter().find(|s| s["system"].as_str().is_some_and(|s| s.contains(HAPPENING)))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let agents = event["agent"].as_array()?;
            let program = agents.iter().find(|a| a["type"]["coding"][0]["code"] == "110150").map(|a| text(&a["name"]));
            let person = agents.iter().find(|a| a["type"]["coding"][0]["code"] == "IRCP").map(|a| text(&a["name"]));
            let entities = event["entity"].as_array().into_iter().flatten();
            let about = entities.filter_map(|e| e["what"]["reference"].as_str().or(e["name"].as_str())).next();
            let line = (
                text(&what["code"]),
                person.unwrap_or_default(),
                program.unwrap_or_default(),
                text(&event["outcome"]),
                text(&event["outcomeDesc"]),
                about.unwrap_or_default().to_owned(),
            );
            Some((text(&event["recorded"]), line))
        })
        .collect();
    out.sort();
    out.into_iter().map(|(_, line)| line).collect()
}

pub async fn record(site: &Site, enough: impl Fn(&[Line]) -> bool) -> (Vec<Line>, String) {
    let (done, token) = site.server.settings.run(&["token", "audit"]);
    assert!(done, "{token}");
    let started = Instant::now();
    loop {
        let found = site.read(token.trim(), "AuditEvent?type=110113,110114,110131,110136&_count=1000").await;
        assert_eq!(found.status, 200, "{}", found.body);
        let all = lines(&found.body);
        if enough(&all) {
            return (all, found.body.to_string());
        }
        assert!(started.elapsed() < Duration::from_secs(30), "not on record: {all:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[track_caller]
pub fn has(all: &[Line], wanted: [&str; 6]) {
    let found = all.iter().any(|(what, person, program, outcome, why, about)| {
        [what, person, program, outcome, why, about]
            .iter()
            .zip(wanted)
            .all(|(is, want)| want == "*" || is.as_str() == want)
    });
    assert!(found, "{wanted:?} is not among {all:#?}");
}

/// security audit login: Who logged in, failed and logged out, what an app was let do, each token that was made, refused and taken back.
/// security audit query: The patients whom the page for choosing one showed are on record.
/// security audit alert: A code or refresh token that comes again, and failures that make an account wait, are alerts.
async fn who_came_in_and_what_was_given_is_on_record(site: Site) {
    site.tokens("drew", "public", SCOPE).await; // chooses among the patients
    let mut browser = site.browser();
    let page = browser.open("/auth/manage").await;
    // A password in the field of the name must not stand anywhere.
    browser.try_sign_in(&page, "hunter2-is-my-password", "x").await;
    for _ in 0..5 {
        browser.try_sign_in(&page, "drew", "a wrong password").await;
    }
    let tokens = site.tokens("amira", "secret", SCOPE).await;
    assert_eq!(site.read(tokens["access_token"].as_str().unwrap(), "Condition?code=x").await.status, 403);
    let code = site.code("amira", "public", SCOPE).await;
    let first = site.redeem("public", &code, &[]).await;
    site.redeem("public", &code, &[]).await.refuses(400, "invalid_grant", "again");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let second = site.token("secret", &refresh).await;
    assert_eq!(second.status, 200);
    site.token("secret", &[("grant_type", "refresh_token"), ("refresh_token", "bogus")]).await;
    let access = second.text("access_token");
    assert_eq!(site.post("/auth/revoke", "secret", &[("token", access)]).await.status, 200);
    let third = site.tokens("amira", "public", SCOPE).await;
    let page = browser.open("/auth/manage").await;
    let page = browser.sign_in(&page, "amira").await;
    let csrf = page.hidden("csrf");
    let grant = page.html.split("name=\"grant\" value=\"").nth(1).and_then(|r| r.split('"').next()).unwrap().to_owned();
    browser.post("/auth/manage", &[("csrf", &csrf), ("grant", &grant)]).await;
    assert_eq!(browser.post("/auth/logout", &[("csrf", &csrf)]).await.status, 200);

    let (all, text) = record(&site, |all| all.iter().any(|l| l.0 == "logout")).await;
    let patient = format!("Patient/{}", site.patient);
    let patient = patient.as_str();
    has(&all, ["login-failed", "", "unknown", "4", "name or password", ""]);
    has(&all, ["login-failed", "drew", "unknown", "4", "name or password", ""]);
    has(&all, ["lockout", "drew", "unknown", "4", "too many failures", ""]);
    has(&all, ["denied", "amira", "secret", "4", "insufficient_scope", "Condition"]);
    has(&all, ["login", "amira", "secret", "0", "", ""]);
    has(&all, ["consent-given", "amira", "secret", "0", SCOPE, patient]);
    has(&all, ["token-issued", "amira", "secret", "0", "authorization_code", patient]);
    has(&all, ["token-issued", "amira", "secret", "0", "refresh_token", patient]);
    has(&all, ["token-refused", "", "secret", "4", "invalid_grant", ""]);
    has(&all, ["token-refused", "", "public", "4", "invalid_grant", ""]);
    has(&all, ["replay", "amira", "public", "4", "a code was played again", ""]);
    has(&all, ["token-revoked", "amira", "public", "0", "a code was played again", ""]);
    has(&all, ["token-revoked", "amira", "secret", "0", "by the app", patient]);
    has(&all, ["token-revoked", "amira", "public", "0", "by the user", patient]);
    has(&all, ["login", "amira", "unknown", "0", "", ""]);
    has(&all, ["logout", "amira", "unknown", "0", "", ""]);
    let (_, token) = site.server.settings.run(&["token", "audit"]);
    let shown = format!("AuditEvent?agent-name=drew&type=rest&patient={patient}&_summary=count");
    let shown = site.read(token.trim(), &shown).await.body["total"].clone();
    assert_eq!(shown, 2, "the list to choose from, and the page that names who was chosen");
    let secrets = [site.password("amira"), &code, access, first.text("access_token"), first.text("refresh_token")];
    let more = ["hunter2", "a wrong password", "Haddad", third["id_token"].as_str().unwrap(), super::SECRET];
    for secret in secrets.into_iter().chain(more) {
        assert!(!text.contains(secret), "'{secret}' is on record");
    }
    let requests: BTreeMap<&str, ()> = text.match_indices("X-Request-Id").map(|(_, what)| (what, ())).collect();
    assert!(!requests.is_empty(), "requests have their id");
    assert!(text.contains("127.0.0.1"), "and their address");

    // A flood of failures stays twenty rows of a minute, and a count.
    let rows = all.iter().filter(|l| l.0 == "token-refused").count();
    for _ in 0..60 {
        site.token("secret", &[("grant_type", "refresh_token"), ("refresh_token", "bogus")]).await;
    }
    let mut site = site;
    site.server.stop();
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();
    let counted = |l: &Line| l.0 == "token-refused" && l.4.contains(" more of these within a minute");
    let (all, _) = record(&site, |all| all.iter().any(counted)).await;
    let now = all.iter().filter(|l| l.0 == "token-refused").count();
    let more: usize =
        all.iter().filter(|l| counted(l)).map(|l| l.4.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    let told = all.iter().filter(|l| counted(l)).count();
    assert_eq!(now - told + more, rows + 60, "none is lost");
    assert!(now <= 2 * 21, "{now} rows");
}

/// security audit alert: Changes of clients, users, passwords and keys are on record.
async fn changes_by_an_operator_are_on_record(mut site: Site) {
    site.server.kill();
    for arguments in [
        &["client", "disable", "small"][..],
        &["client", "rotate", "secret"],
        &["client", "add", "late", "--kind", "public", "--scopes", "openid", "--redirect-uri", "https://late.example/"],
        &["user", "disable", "drew"],
        &["key", "rotate"],
    ] {
        let (done, said) = site.server.settings.run(arguments);
        assert!(done, "{said}");
    }
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();
    let (all, _) = record(&site, |all| all.iter().any(|l| l.0 == "key-rotated")).await;
    for (what, why, on) in [
        ("accounts-changed", "set as patient", "user amira"),
        ("accounts-changed", "new password", "user amira"),
        ("accounts-changed", "disabled", "client small"),
        ("accounts-changed", "new secret", "client secret"),
        ("accounts-changed", "registered", "client late"),
        ("accounts-changed", "disabled", "user drew"),
        ("key-rotated", "new ones sign from now on", "keys"),
    ] {
        has(&all, [what, "", "baton-cli", "0", why, on]);
    }
}
