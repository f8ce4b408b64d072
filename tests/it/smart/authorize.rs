//! The authorization endpoint and its pages.

use super::{CALLBACK, Site, both_databases_with_site};

both_databases_with_site!(
    an_app_that_is_not_sure_to_be_itself_gets_a_page,
    other_mistakes_go_to_the_app,
    a_user_says_no,
    a_request_belongs_to_its_browser,
    every_page_is_safe,
);

const SCOPE: &str = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs";

/// security R12: An unknown client, or an address that is not byte for byte registered, gets a page and never a redirect.
/// security A18: Other host, suffix, query, fragment, user, subdomain, dots, case, line breaks, javascript, missing: a page.
async fn an_app_that_is_not_sure_to_be_itself_gets_a_page(site: Site) {
    let mut browser = site.browser();
    for (name, value) in [
        ("client_id", "nobody"),
        ("client_id", "lakeside-ehr"),
        ("client_id", ""),
        ("client_id", "pub lic"),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/cb"),
        ("redirect_uri", "https://app.example/cb/x"),
        ("redirect_uri", "https://app.example/cb?x=1"),
        ("redirect_uri", "https://app.example/cb#x"),
        ("redirect_uri", "https://app.example@evil.example/cb"),
        ("redirect_uri", "https://sub.app.example/cb"),
        ("redirect_uri", "https://app.example/x/../cb"),
        ("redirect_uri", "https://APP.example/cb"),
        ("redirect_uri", "https://app.example/cb\r\nX: y"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "http://127.0.0.1:9/cb"),
    ] {
        let page = browser.ask(&site.request("public", SCOPE, &[(name, value)])).await;
        assert_eq!((page.status, page.header("location")), (400, ""), "{name}={value}");
        assert!(page.html.contains("cannot be let in"), "{name}={value}: {}", page.html);
    }
    let mut twice = site.request("public", SCOPE, &[]);
    twice.push(("redirect_uri".into(), CALLBACK.into()));
    assert_eq!(browser.ask(&twice).await.status, 400);
    // the method does not matter
    let form = site.request("public", SCOPE, &[("redirect_uri", "https://evil.example/")]);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(browser.post("/auth/authorize", &form).await.status, 400);
}

/// security R11: Required parameters, each once, by GET and by POST.
/// security R13: aud (or resource) is this FHIR base, or no code arrives.
/// security R14: PKCE with S256 for every client: absent, plain, default and short challenges are refused.
/// security R16: state comes back byte for byte; without it the request is refused.
/// security A25: iss is in every answer to the app.
async fn other_mistakes_go_to_the_app(site: Site) {
    let mut browser = site.browser();
    let foreign = "https://other.example/fhir";
    for (name, value, error) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "nonsense", "invalid_scope"),
        ("scope", "system/*.rs", "invalid_scope"),
        ("aud", "", "invalid_request"),
        ("aud", foreign, "invalid_request"),
        ("resource", foreign, "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("launch", "x", "invalid_request"),
        ("request", "x", "request_not_supported"),
        ("request_uri", "https://x.example", "request_uri_not_supported"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "none", "login_required"),
        ("max_age", "x", "invalid_request"),
    ] {
        let page = browser.ask(&site.request("public", SCOPE, &[(name, value)])).await;
        assert_eq!(page.status, 303, "{name}={value}: {}", page.html);
        assert!(
            page.header("location").starts_with(&format!("{CALLBACK}?error={error}&")),
            "{name}={value}: {}",
            page.header("location")
        );
        assert_eq!(page.sent("state"), "a state/with?odd&signs=");
        assert_eq!(page.sent("iss"), site.root);
    }
    let page = browser.ask(&site.request("public", SCOPE, &[("state", "")])).await;
    assert_eq!(page.sent("error"), "invalid_request");
    assert!(!page.header("location").contains("state="));
    let mut twice = site.request("public", SCOPE, &[]);
    twice.push(("scope".into(), SCOPE.into()));
    assert_eq!(browser.ask(&twice).await.sent("error"), "invalid_request");
    // resource in place of aud, and a form that is posted, are as good
    let aud = format!("{}/fhir", site.root);
    let page = browser.ask(&site.request("public", SCOPE, &[("aud", ""), ("resource", &aud)])).await;
    assert!(page.html.contains("<h1>Sign in</h1>"), "{}", page.html);
    let form = site.request("public", SCOPE, &[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let page = browser.post("/auth/authorize", &form).await;
    assert!(page.html.contains("<h1>Sign in</h1>"), "{}", page.html);
}

/// security R18: Deny leads to access_denied with the state; so does a yes to nothing.
async fn a_user_says_no(site: Site) {
    for nothing in [false, true] {
        let mut browser = site.browser();
        let page = browser.ask(&site.request("public", "launch/patient patient/Observation.rs", &[])).await;
        let page = browser.sign_in(&page, "amira").await;
        let (t, csrf) = (page.hidden("t"), page.hidden("csrf"));
        let decision = if nothing { "allow" } else { "deny" };
        let form = [("t", t.as_str()), ("csrf", &csrf), ("decision", decision)];
        let answer = browser.post("/auth/consent", &form).await;
        assert_eq!(
            (answer.sent("error").as_str(), answer.sent("state").as_str()),
            ("access_denied", "a state/with?odd&signs=")
        );
        assert!(!answer.header("location").contains("code="));
        assert_eq!(browser.post("/auth/consent", &form).await.status, 400, "the request is over");
    }
}

/// security A22: Login, consent and choice of a patient need the browser's own cookie and form; the session changes at login.
async fn a_request_belongs_to_its_browser(site: Site) {
    let mut browser = site.browser();
    let login = browser.ask(&site.request("public", SCOPE, &[])).await;
    let before = browser.cookie.clone();
    let page = browser.sign_in(&login, "amira").await;
    assert_ne!(browser.cookie, before, "a new session at login");
    let (t, csrf) = (page.hidden("t"), page.hidden("csrf"));

    let mut planted = site.browser();
    planted.cookie = before;
    assert_eq!(planted.open(&format!("/auth/step?t={t}")).await.status, 400, "the session before the login is over");
    let mut victim = site.browser();
    let other = victim.ask(&site.request("public", SCOPE, &[])).await;
    let foreign = other.hidden("csrf");
    for (what, t, csrf) in
        [("another browser's request", &t, &foreign), ("another browser's token", &other.hidden("t"), &csrf)]
    {
        let form = [("t", t.as_str()), ("csrf", csrf), ("decision", "allow"), ("d0", "on")];
        assert_eq!(victim.post("/auth/consent", &form).await.status, 400, "{what}");
        let form = [("t", t.as_str()), ("csrf", csrf), ("user", "amira"), ("password", site.password("amira"))];
        assert_eq!(victim.post("/auth/login", &form).await.status, 400, "{what}");
    }
    assert_eq!(victim.open(&format!("/auth/step?t={t}")).await.status, 400, "bound to its browser");
    let mut nobody = site.browser();
    assert_eq!(nobody.post("/auth/consent", &[("t", &t), ("csrf", &csrf), ("decision", "allow")]).await.status, 400);
    let without = browser.post("/auth/consent", &[("t", &t), ("decision", "allow"), ("d0", "on")]).await;
    assert_eq!(without.status, 400, "no token");
    // consent does not come before the login, nor the patient of another
    let mut early = site.browser();
    let page = early.ask(&site.request("public", SCOPE, &[])).await;
    let form =
        [("t", page.hidden("t")), ("csrf", page.hidden("csrf")), ("decision", "allow".into()), ("d0", "on".into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(early.post("/auth/consent", &form).await.status, 400);
    let answer = browser.post("/auth/pick", &[("t", &t), ("csrf", &csrf), ("patient", &site.other)]).await;
    assert_eq!(answer.status, 400, "a patient chooses nobody else");
}

/// security A21: Pages and redirects carry no-referrer and no-store; tokens never stand in an address.
/// security A23: No page can be framed.
/// security A24: A client's name, the state and a login name are text on every page.
async fn every_page_is_safe(site: Site) {
    let mut browser = site.browser();
    let mut pages = Vec::new();
    let login = browser.ask(&site.request("public", SCOPE, &[])).await;
    let evil = "\"><script>alert(2)</script>";
    pages.push(browser.try_sign_in(&login, evil, "a wrong password").await);
    let consent = browser.sign_in(&login, "drew").await;
    pages.push(browser.open(&format!("/auth/step?t={}&q={}", consent.hidden("t"), "%22%3E%3Cscript%3E")).await);
    let consent = browser.choose_patient(consent, &site.patient).await;
    let answer = browser.allow(&consent, &[]).await;
    pages.extend([login, consent]);
    pages.push(browser.ask(&site.request("nobody", SCOPE, &[])).await);
    pages.push(browser.open("/auth/manage").await);
    for page in &pages {
        assert!(!page.html.contains("<script"), "{}", page.html);
        assert!(!page.html.contains("style=\"") && !page.html.contains("onclick"), "{}", page.html);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(page.html.contains("<html lang=\"en\">") && page.html.contains("<title>"));
    }
    for page in pages.iter().chain([&answer]) {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(page.header(name), value, "{name} of {}", page.html);
        }
    }
    assert!(answer.header("content-security-policy").contains("form-action 'self' https://app.example"));
    assert!(answer.header("location").starts_with(&format!("{CALLBACK}?code=")));
}
