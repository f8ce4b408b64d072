//! The admin API: registrations of programs and people by HTTP.

use super::{Answer, SECRET, Site, both_databases_with_site};
use serde_json::{Value, json};

both_databases_with_site!(programs_and_people_are_registered_by_http);

impl Site {
    async fn admin(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}/auth/{path}", self.root));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    async fn of_program(&self, id: &str, secret: &str) -> Answer {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "system/*.rs"),
            ("client_id", id),
            ("client_secret", secret),
        ];
        self.post("/auth/token", "", &form).await
    }
}

/// Own docs/auth.md: Who has the scope __accounts of the role admin registers, changes, disables clients and users; nobody else does.
/// security R9: There is no registration without an administrator's token.
/// security R10: A redirect address that is none is invalid_redirect_uri when it is registered.
/// security A65: A secret is told once, a password never.
/// security A67: A client or user that is disabled is out at once; an old secret is over.
/// security audit alert: Who changed accounts by HTTP, or ended somebody's broken glass, is on record, and who was not let.
async fn programs_and_people_are_registered_by_http(site: Site) {
    let token = site
        .post("/auth/token", "registrar", &[("grant_type", "client_credentials"), ("scope", "__accounts system/*.rs")])
        .await;
    assert_eq!((token.status, token.text("scope")), (200, "__accounts"), "{}", token.body);
    let token = token.text("access_token").to_owned();
    let token = token.as_str();
    let app = json!({"client_id": "made", "client_name": "Made by HTTP", "token_endpoint_auth_method": "none",
        "redirect_uris": [super::CALLBACK], "scope": "launch/patient openid patient/*.rs", "software_id": "ignored"});

    // Who may not.
    let drew = site.tokens("drew", "secret", "openid user/*.cruds __accounts").await;
    assert!(
        !drew["scope"].as_str().unwrap().contains("__accounts"),
        "nobody is asked to give what they have not: {drew}"
    );
    let ehr = site.of_program("lakeside-ehr", "for-the-demo-on-loopback-only-lakeside-ehr-0001").await;
    for (who, token, status, error) in [
        ("nobody", "", 401, "invalid_token"),
        ("a forged token", "x", 401, "invalid_token"),
        ("a prescriber", drew["access_token"].as_str().unwrap(), 403, "insufficient_scope"),
        ("a hospital's program", ehr.text("access_token"), 403, "insufficient_scope"),
    ] {
        for (method, path) in [
            ("GET", "register"),
            ("POST", "register"),
            ("GET", "users"),
            ("DELETE", "users/drew"),
            ("POST", "register/secret/secret"),
        ] {
            site.admin(token, method, path, Some(&app)).await.refuses(
                status,
                error,
                &format!("{who}: {method} {path}"),
            );
        }
    }

    // RFC 7591: what is wrong with a registration.
    type Change = fn(&mut Value);
    let table: [(&str, &str, Change); 19] = [
        ("no redirect_uris", "invalid_redirect_uri", |c| c["redirect_uris"] = json!([])),
        ("http elsewhere", "invalid_redirect_uri", |c| c["redirect_uris"] = json!(["http://app.example/cb"])),
        ("a fragment", "invalid_redirect_uri", |c| c["redirect_uris"] = json!(["https://app.example/cb#x"])),
        ("a wildcard", "invalid_redirect_uri", |c| c["redirect_uris"] = json!(["https://*.example/cb"])),
        ("javascript", "invalid_redirect_uri", |c| c["redirect_uris"] = json!(["javascript:alert(1)"])),
        ("no list", "invalid_client_metadata", |c| c["redirect_uris"] = json!("https://app.example/cb")),
        ("another way to show who it is", "invalid_client_metadata", |c| {
            c["token_endpoint_auth_method"] = json!("tls_client_auth");
        }),
        ("a grant that is none here", "invalid_client_metadata", |c| c["grant_types"] = json!(["password"])),
        ("a public program", "invalid_client_metadata", |c| c["grant_types"] = json!(["client_credentials"])),
        ("another response", "invalid_client_metadata", |c| c["response_types"] = json!(["token"])),
        ("scopes that are none", "invalid_client_metadata", |c| c["scope"] = json!("patient/Nonsense.rs")),
        ("no scope", "invalid_client_metadata", |c| c["scope"] = Value::Null),
        ("keys of a public client", "invalid_client_metadata", |c| c["jwks"] = json!({"keys": []})),
        ("no keys", "invalid_client_metadata", |c| c["token_endpoint_auth_method"] = json!("private_key_jwt")),
        ("keys by http", "invalid_client_metadata", |c| {
            (c["token_endpoint_auth_method"], c["jwks_uri"]) =
                (json!("private_key_jwt"), json!("http://keys.example/"));
        }),
        ("an id that is taken", "invalid_client_metadata", |c| c["client_id"] = json!("public")),
        ("the name of a user", "invalid_client_metadata", |c| c["client_id"] = json!("drew")),
        ("tokens bound by DPoP", "invalid_client_metadata", |c| c["dpop_bound_access_tokens"] = json!(true)),
        ("tokens bound by mTLS", "invalid_client_metadata", |c| {
            c["tls_client_certificate_bound_access_tokens"] = json!(true);
        }),
    ];
    for (what, error, change) in table {
        let mut changed = app.clone();
        change(&mut changed);
        site.admin(token, "POST", "register", Some(&changed)).await.refuses(400, error, what);
    }
    site.admin(token, "POST", "register", None).await.refuses(400, "invalid_client_metadata", "no body");
    for (method, path) in [
        ("GET", "register/nobody"),
        ("DELETE", "register/baton-cli"),
        ("GET", "users/nobody"),
        ("POST", "register/nobody/secret"),
    ] {
        site.admin(token, method, path, None).await.refuses(404, "not_found", path);
    }

    // An app: registered, changed, refused.
    let made = site.admin(token, "POST", "register", Some(&app)).await;
    assert_eq!(
        (made.status, made.text("client_id"), made.text("client_name")),
        (201, "made", "Made by HTTP"),
        "{}",
        made.body
    );
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(made.text("registration_client_uri"), format!("{}/auth/register/made", site.root));
    assert!(made.body["client_secret"].is_null() && made.body["software_id"].is_null(), "{}", made.body);
    let mut browser = site.browser();
    let request = site.request("made", "launch/patient openid patient/Observation.rs", &[]);
    assert!(browser.ask(&request).await.html.contains("<h1>Sign in</h1>"));
    let listed = site.admin(token, "GET", "register", None).await;
    let of = |id: &str| listed.body["clients"].as_array().unwrap().iter().find(|c| c["client_id"] == id).cloned();
    assert_eq!(of("made"), Some(site.admin(token, "GET", "register/made", None).await.body));
    assert!(of("baton-cli").is_none() && !listed.body.to_string().contains("client_secret\""), "{}", listed.body);
    let mut moved = app.clone();
    moved["redirect_uris"] = json!(["https://moved.example/cb"]);
    assert_eq!(
        site.admin(token, "PUT", "register/made", Some(&moved)).await.body["redirect_uris"],
        moved["redirect_uris"]
    );
    assert_eq!(browser.ask(&request).await.status, 400, "an address that is no more");
    moved["client_id"] = json!("other");
    site.admin(token, "PUT", "register/made", Some(&moved)).await.refuses(
        400,
        "invalid_client_metadata",
        "another's id",
    );
    assert_eq!(site.admin(token, "DELETE", "register/made", None).await.status, 204);
    assert_eq!(site.admin(token, "GET", "register/made", None).await.body["active"], false);
    assert!(browser.ask(&request).await.html.contains("It is not registered here"));

    // A program: its secret is told once, and rotated; keys take its place.
    let mut program = json!({"client_id": "nightly", "grant_types": ["client_credentials"], "scope": "system/*.rs",
        "organization": "lakeside", "role": "hospital-system"});
    let made = site.admin(token, "POST", "register", Some(&program)).await;
    assert_eq!((made.status, &made.body["client_secret_expires_at"]), (201, &json!(0)), "{}", made.body);
    let secret = made.text("client_secret").to_owned();
    let access = site.of_program("nightly", &secret).await;
    assert_eq!(access.status, 200, "{}", access.body);
    program["client_secret"] = json!("another-secret-that-somebody-chose-and-that-is-long");
    site.admin(token, "PUT", "register/nightly", Some(&program)).await.refuses(
        400,
        "invalid_client_metadata",
        "a chosen secret",
    );
    program["client_secret"] = json!(secret);
    let same = site.admin(token, "PUT", "register/nightly", Some(&program)).await;
    assert!(same.status == 200 && same.body["client_secret"].is_null(), "{}", same.body);
    let rotated = site.admin(token, "POST", "register/nightly/secret", None).await.text("client_secret").to_owned();
    assert_eq!(site.of_program("nightly", &secret).await.status, 401, "over");
    assert_eq!(site.of_program("nightly", &rotated).await.status, 200);
    let keys = crate::attack::key::Keys::new().jwks();
    program.as_object_mut().unwrap().remove("client_secret");
    (program["token_endpoint_auth_method"], program["jwks"]) = (json!("private_key_jwt"), keys.clone());
    assert_eq!(site.admin(token, "PUT", "register/nightly", Some(&program)).await.body["jwks"], keys);
    assert_eq!(site.of_program("nightly", &rotated).await.status, 401, "keys, and no secret any more");
    site.admin(token, "POST", "register/nightly/secret", None).await.refuses(
        400,
        "invalid_client_metadata",
        "it has none",
    );
    assert_eq!(site.read(access.text("access_token"), "Patient").await.status, 200, "in use");
    assert_eq!(site.admin(token, "DELETE", "register/nightly", None).await.status, 204);
    assert_eq!(site.read(access.text("access_token"), "Patient").await.status, 401, "disabled");

    // People.
    let password = "a good password of the tests";
    let tech = json!({"name": "newt", "role": "technician", "organization": "elm-street", "practitioner": "mara-lind", "password": password});
    for (what, change) in [
        ("a password that is short", json!({"password": "short"})),
        ("a role that is none", json!({"role": "super-user"})),
        ("a role that does not hold", json!({"role": "pharmacist"})),
        ("a member that is none", json!({"passwort": "x"})),
        ("a name that is taken", json!({"name": "mara"})),
        ("the id of a client", json!({"name": "secret"})),
        ("no name", json!({"name": null})),
    ] {
        let mut wrong = tech.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        site.admin(token, "POST", "users", Some(&wrong)).await.refuses(400, "invalid_request", what);
    }
    assert_eq!(site.admin(token, "GET", "users/newt", None).await.status, 404, "nothing of them was kept");
    let made = site.admin(token, "POST", "users", Some(&tech)).await;
    assert_eq!(
        (made.status, &made.body["has_password"], made.text("role")),
        (201, &json!(true), "technician"),
        "{}",
        made.body
    );
    let page = browser.open("/auth/manage").await;
    assert!(browser.try_sign_in(&page, "newt", password).await.html.contains("<h1>Your apps</h1>"));
    let all = site.admin(token, "GET", "users", None).await.body.to_string();
    assert!(all.contains("\"newt\"") && !all.contains("argon2") && !all.contains(password), "{all}");
    assert_eq!(site.admin(token, "DELETE", "users/newt", None).await.status, 204);
    assert!(browser.open("/auth/manage").await.html.contains("<h1>Sign in</h1>"), "disabled");

    // Whose broken glass holds, and its end: the doctor's own, and the administrator's.
    let (doctor, patient) = (drew["access_token"].as_str().unwrap(), format!("Patient/{}", site.patient));
    let breaks = async |name: &str, params: Value| {
        let request = site.http.post(format!("{}/fhir/{patient}/${name}", site.root)).bearer_auth(doctor);
        let request = request.header("Content-Type", "application/fhir+json").body(params.to_string());
        Answer::of(request.send().await.expect("an answer")).await
    };
    let reason = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"});
    let params = json!({"resourceType": "Parameters", "parameter": [
        {"name": "reason", "valueCoding": reason}, {"name": "note", "valueString": "found lying on the floor"}]});
    assert_eq!(breaks("break-glass", params).await.status, 200);
    let held = site.admin(token, "GET", "glass", None).await.body["held"].clone();
    let is_it =
        held[0]["user"] == "drew" && held[0]["patient"] == site.patient.as_str() && held[0]["reason"] == "ETREAT";
    assert!(is_it && held[1].is_null() && !held.to_string().contains("floor"), "{held}");
    let path = format!("glass/{}", held[0]["grant"].as_str().expect("an id"));
    for (what, wrong, status) in [("nobody", "", 401), ("a prescriber", doctor, 403)] {
        assert_eq!(site.admin(wrong, "DELETE", &path, None).await.status, status, "{what}");
        assert_eq!(site.admin(wrong, "GET", "glass", None).await.status, status, "{what}");
    }
    assert_eq!(site.admin(token, "DELETE", &path, None).await.status, 204);
    site.admin(token, "DELETE", &path, None).await.refuses(404, "not_found", "ended before");
    assert_eq!(site.admin(token, "GET", "glass", None).await.body, json!({"held": []}));

    // An administrator who signed in at an app may, too, where the app is registered for it.
    let root = json!({"role": "admin", "password": password});
    assert_eq!(site.admin(token, "PUT", "users/root", Some(&root)).await.status, 200);
    let mut browser = site.browser();
    let page = browser.ask(&site.request("secret", "openid __accounts", &[])).await;
    let page = browser.try_sign_in(&page, "root", password).await;
    assert!(page.html.contains("Register programs, apps and people who sign in"), "{}", page.html);
    let code = browser.allow(&page, &[]).await.sent("code");
    let person = site.redeem("secret", &code, &[]).await;
    assert_eq!(site.admin(person.text("access_token"), "GET", "register", None).await.status, 200, "{}", person.body);
    assert_eq!(site.admin(person.text("access_token"), "DELETE", "register/small", None).await.status, 204);

    let (all, text) =
        super::record::record(&site, |all| all.iter().any(|l| l.1 == "root" && l.5 == "client small")).await;
    for (what, person, program, outcome, why, on) in [
        ("accounts-changed", "", "registrar", "0", "registered", "client made"),
        ("accounts-changed", "", "registrar", "0", "disabled", "client made"),
        ("accounts-changed", "", "registrar", "0", "new secret", "client nightly"),
        ("accounts-changed", "", "registrar", "0", "set as technician", "user newt"),
        ("accounts-changed", "", "registrar", "0", "new password", "user newt"),
        ("accounts-changed", "root", "secret", "0", "disabled", "client small"),
        ("denied", "drew", "secret", "4", "accounts", ""),
        ("glass-mended", "", "registrar", "0", "of drew", &patient),
    ] {
        super::record::has(&all, [what, person, program, outcome, why, on]);
    }
    for hidden in [password, &secret, &rotated, SECRET] {
        assert!(!text.contains(hidden), "'{hidden}' is on record");
    }
}
