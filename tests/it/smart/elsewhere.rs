//! Login at an OpenID provider, as an app and its user meet it: the app never learns of it.

use super::{Browser, Site, both_databases_with_site};
use crate::attack::key::{Keys, public, sign};
use crate::attack::provider::op::Op;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

both_databases_with_site!(an_apps_request_goes_on_after_a_login_elsewhere);

struct Elsewhere {
    op: Op,
    keys: Keys,
}

impl Elsewhere {
    /// From the login page to the provider and back, as `sub` there; the first page that is ours. `ask`: the parameters that it was sent with.
    async fn login(
        &self,
        site: &Site,
        browser: &mut Browser<'_>,
        page: &super::browser::Page,
        sub: &str,
        sent: &[(&str, &str)],
    ) -> super::browser::Page {
        let link =
            page.html.split("class=\"button\" href=\"").nth(1).and_then(|r| r.split('"').next()).expect("a button");
        assert!(page.html.contains(">Sign in with Care North</a>"), "{}", page.html);
        let away = browser.open(&link.replace("&amp;", "&")).await;
        assert_eq!(away.status, 303, "{}", away.html);
        let to = away.header("location");
        assert!(to.starts_with(&format!("{}/authorize", self.op.issuer)), "{to}");
        for (name, value) in sent {
            assert_eq!(away.sent(name), *value);
        }
        assert_eq!(away.sent("redirect_uri"), format!("{}/auth/callback/care", site.root));
        let now = baton::clock::Instant::now().0 / 1_000_000;
        let claims = json!({"iss": self.op.issuer, "sub": sub, "aud": "baton-at-care", "iat": now, "exp": now + 60,
            "auth_time": now, "nonce": away.sent("nonce")});
        let token = sign(r#"{"alg":"ES256","kid":"p256"}"#, &claims.to_string(), &self.keys.p256, Algorithm::ES256);
        self.op.gives(&token, "x");
        browser.open(&format!("/auth/callback/care?code=c0de&state={}", away.sent("state"))).await
    }
}

/// Own docs/auth.md: After a login at a provider an app's request goes on, standalone and started by an EHR; the app gets Baton's tokens.
/// security R33: Who comes from a provider must be who made the launch.
/// security R17: Login, also elsewhere, then the patient, then consent.
/// security audit login: A login at a provider is on record with its issuer, one that failed with the reason.
/// security audit alert: Who was linked and unlinked is on record.
async fn an_apps_request_goes_on_after_a_login_elsewhere(mut site: Site) {
    let elsewhere = Elsewhere { op: Op::start().await, keys: Keys::new() };
    let issuer = elsewhere.op.issuer.clone();
    elsewhere.op.publishes(&[public(&elsewhere.keys.p256, Algorithm::ES256, "p256")]);
    site.server.kill();
    let file = format!(
        "[[providers]]\nname = \"care\"\nlabel = \"Care North\"\nissuer = \"{issuer}\"\nclient-id = \"baton-at-care\"\n"
    );
    std::fs::write(site.server.settings.dir.path().join("baton.toml"), file).expect("settings");
    for (user, sub) in [("drew", "sub-of-drew"), ("amira", "sub-of-amira"), ("mara", "sub-of-mara")] {
        let (done, said) = site.server.settings.run(&["user", "link", user, "--issuer", &issuer, "--sub", sub]);
        assert!(done && !said.contains("no provider"), "{said}");
    }
    for wrong in [["mara", "m-2"], ["tomas", "sub-of-mara"], ["nobody", "n-1"], ["tomas", ""]] {
        let (done, said) =
            site.server.settings.run(&["user", "link", wrong[0], "--issuer", &issuer, "--sub", wrong[1]]);
        assert!(!done, "{wrong:?}: {said}");
    }
    let (done, said) = site.server.settings.run(&["user", "unlink", "mara"]);
    assert!(done && !site.server.settings.run(&["user", "unlink", "mara"]).0, "{said}");
    let (_, said) = site.server.settings.run(&["user", "list"]);
    let links: Vec<Value> = said
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok())
        .filter(|u| u["links"] != json!([]))
        .collect();
    assert_eq!(links.len(), 2, "{said}");
    assert_eq!(links[0]["links"], json!([{"issuer": issuer, "sub": "sub-of-amira"}]));
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();

    // Standalone: the patient, at an app that wants a new login.
    let scope = "launch/patient openid fhirUser offline_access patient/Observation.rs";
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", scope, &[("prompt", "login")])).await;
    super::pages::good("sign in here or elsewhere", &page);
    let page = elsewhere.login(&site, &mut browser, &page, "nobody", &[("max_age", "0")]).await;
    assert_eq!(page.status, 401, "{}", page.html);
    super::pages::good("nobody here", &page);
    let page = elsewhere.login(&site, &mut browser, &page, "sub-of-amira", &[]).await;
    assert!(page.html.contains("<h1>Let &lt;script&gt;alert(1)&lt;/script&gt; &amp; Co in?</h1>"), "{}", page.html);
    let code = browser.allow(&page, &[]).await.sent("code");
    let tokens = site.redeem("public", &code, &[]).await;
    assert_eq!((tokens.status, tokens.text("patient")), (200, site.patient.as_str()), "{}", tokens.body);
    assert_eq!(site.read(tokens.text("access_token"), "Observation").await.body["total"], 2);
    // Signed in: the next app asks nobody who they are.
    let page = browser.ask(&site.request("secret", scope, &[])).await;
    assert!(page.html.contains("<h1>Let The secret app in?</h1>"), "{}", page.html);

    // Started by an EHR: whoever comes back from the provider must be who made the launch.
    let ehr = site.tokens("drew", "house", "openid user/*.rs").await;
    let body = json!({"client_id": "public", "patient": site.patient}).to_string();
    for (sub, is_own) in [("sub-of-amira", false), ("sub-of-drew", true)] {
        let request =
            site.http.post(format!("{}/auth/launch", site.root)).bearer_auth(ehr["access_token"].as_str().unwrap());
        let made =
            request.header("Content-Type", "application/json").body(body.clone()).send().await.expect("an answer");
        let made: Value = serde_json::from_str(&made.text().await.expect("text")).expect("JSON");
        let mut browser = site.browser();
        let handle = made["launch"].as_str().expect("a handle");
        let page =
            browser.ask(&site.request("public", "launch openid patient/Observation.rs", &[("launch", handle)])).await;
        let page = elsewhere.login(&site, &mut browser, &page, sub, &[]).await;
        if is_own {
            let code = browser.allow(&page, &[]).await.sent("code");
            assert_eq!(site.redeem("public", &code, &[]).await.text("patient"), site.patient);
        } else {
            assert_eq!(page.sent("error"), "access_denied", "another user's launch");
        }
    }

    let (all, text) =
        super::record::record(&site, |all| all.iter().filter(|l| l.0 == "consent-given").count() >= 3).await;
    let at = format!("at {issuer}");
    super::record::has(&all, ["login", "amira", "public", "0", &at, ""]);
    super::record::has(&all, ["login", "drew", "public", "0", &at, ""]);
    super::record::has(
        &all,
        ["login-failed", "", "public", "4", &format!("{at}: nobody here, or the login is not in use"), ""],
    );
    super::record::has(&all, ["accounts-changed", "", "baton-cli", "0", &format!("linked at {issuer}"), "user drew"]);
    super::record::has(&all, ["accounts-changed", "", "baton-cli", "0", "unlinked", "user mara"]);
    assert!(!text.contains("c0de") && !text.contains("sub-of-amira"), "neither codes nor what others call people");
}
