//! What the server says of itself, and which browsers it answers.

use super::{Site, both_databases_with_site};
use serde_json::Value;

both_databases_with_site!(discovery_lists_what_works, browsers_of_registered_origins_may_read, keys_rotate);

async fn json(site: &Site, path: &str) -> Value {
    let response = site.http.get(format!("{}{path}", site.root)).header("Accept", "text/html").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/json"), "{path}");
    assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// security R1: smart-configuration is there without a token and whatever Accept says.
/// security R2: Its required fields are there; S256 in, plain out; issuer and jwks_uri with sso-openid-connect.
/// security R4: The capabilities of certification are listed, each of which a test here uses.
/// security R5: openid-configuration names the issuer itself, RS256 and the endpoints; RFC 8414 says the same.
/// security R8: metadata names SMART-on-FHIR and CORS without a token.
async fn discovery_lists_what_works(site: Site) {
    let smart = json(&site, "/fhir/.well-known/smart-configuration").await;
    let openid = json(&site, "/.well-known/openid-configuration").await;
    let oauth = json(&site, "/.well-known/oauth-authorization-server").await;
    for (name, path) in [
        ("authorization_endpoint", "/auth/authorize"),
        ("token_endpoint", "/auth/token"),
        ("introspection_endpoint", "/auth/introspect"),
        ("revocation_endpoint", "/auth/revoke"),
        ("jwks_uri", "/auth/jwks"),
        ("issuer", ""),
    ] {
        for doc in [&smart, &openid, &oauth] {
            assert_eq!(doc[name], format!("{}{path}", site.root), "{name}");
        }
    }
    assert_eq!(smart["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(openid["id_token_signing_alg_values_supported"], serde_json::json!(["RS256"]));
    let has = |name: &str| smart["capabilities"].as_array().unwrap().iter().any(|c| c == name);
    for name in "launch-standalone launch-ehr client-public client-confidential-symmetric client-confidential-asymmetric \
        sso-openid-connect context-standalone-patient context-ehr-patient context-ehr-encounter context-banner context-style \
        permission-offline permission-patient permission-user permission-v1 permission-v2 authorize-post"
        .split_whitespace()
    {
        assert!(has(name), "{name}");
    }
    let response = site
        .http
        .get(format!("{}/fhir/metadata", site.root))
        .header("Origin", "https://any.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let metadata: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let security = &metadata["rest"][0]["security"];
    assert_eq!(
        (&security["cors"], &security["service"][0]["coding"][0]["code"]),
        (&true.into(), &"SMART-on-FHIR".into())
    );
    let page = site.http.get(format!("{}/auth/style.css", site.root)).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/css; charset=utf-8");
}

/// security R7: Registered origins read token endpoint and API, errors too, with preflight; others do not; never credentials.
/// security A63: A foreign origin and null are not reflected.
async fn browsers_of_registered_origins_may_read(site: Site) {
    let ask = |method: &str, path: &str, origin: &str, preflight: bool| {
        let mut request =
            site.http.request(method.parse().unwrap(), format!("{}{path}", site.root)).header("Origin", origin);
        if preflight {
            request = request.header("Access-Control-Request-Method", "PUT");
        }
        request.send()
    };
    let allowed =
        |r: &reqwest::Response| r.headers().get("access-control-allow-origin").map(|v| v.to_str().unwrap().to_owned());
    for (method, path, status) in [
        ("POST", "/auth/token", 400),
        ("GET", "/fhir/Patient", 401),
        ("OPTIONS", "/fhir/Patient/1", 204),
        ("OPTIONS", "/auth/token", 204),
    ] {
        let answer = ask(method, path, "https://app.example", method == "OPTIONS").await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(allowed(&answer).as_deref(), Some("https://app.example"), "{path}");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        for origin in ["https://evil.example", "null", "https://app.example.evil.example", "https://APP.example"] {
            let answer = ask(method, path, origin, method == "OPTIONS").await.unwrap();
            assert_eq!(allowed(&answer), None, "{path} {origin}");
        }
    }
    let page = ask("GET", "/auth/manage", "https://app.example", false).await.unwrap();
    assert_eq!(allowed(&page), None, "a page is for people");
}

/// security A65: Keys rotate by a command; tokens of the old one hold until they end.
async fn keys_rotate(mut site: Site) {
    let tokens = site.tokens("amira", "public", "launch/patient patient/Observation.rs").await;
    let before = json(&site, "/auth/jwks").await;
    let root = site.root.clone();
    site.server.kill();
    let (done, said) = site.server.settings.run(&["key", "rotate"]);
    assert!(done && said.lines().count() == 4, "{said}");
    site.server.settings.arguments.extend(["--base-url".into(), root.clone()]);
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();
    let after = json(&site, "/auth/jwks").await;
    assert_eq!((before["keys"].as_array().map(Vec::len), after["keys"].as_array().map(Vec::len)), (Some(2), Some(4)));
    let answer = site.read(tokens["access_token"].as_str().unwrap(), "Observation").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!after.to_string().contains("\"d\""), "no private member");
}

/// Own docs/auth.md: With `auth = "external"` there is no login, no endpoint and no discovery of our own: smart-configuration names the issuer's.
/// security R2: It has what SMART requires as far as the issuer says it, and never plain.
#[test]
fn a_server_without_tokens_of_its_own_points_at_the_issuer() {
    crate::harness::with_database(crate::harness::Database::Sqlite, alone);
}

async fn alone(mut settings: crate::harness::Settings) {
    use crate::attack::key::{Keys, public, sign};
    let (op, keys) = (crate::attack::provider::op::Op::start().await, Keys::new());
    op.publishes(&[public(&keys.p256, jsonwebtoken::Algorithm::ES256, "p256")]);
    op.script.lock().unwrap().discovery = serde_json::json!({"code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code"], "userinfo_endpoint": "https://idp.example/me"});
    let issuer = &op.issuer;
    let file = format!(
        "auth = \"external\"\n[[issuers]]\nissuer = \"{issuer}\"\ncapabilities = [\"launch-standalone\", \"permission-user\", \"permission-v2\"]\n\
         [issuers.organizations]\n\"Elm\" = \"elm-street\"\n[issuers.roles]\npms = \"pharmacy-system\"\n"
    );
    std::fs::write(settings.dir.path().join("baton.toml"), file).unwrap();
    settings.arguments.extend(["--auth", "external"].map(String::from));
    let server = crate::harness::TestServer::start(settings).await;
    let root = server.base.trim_end_matches("/fhir").to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| super::Answer::of(http.get(format!("{root}{path}")).send().await.unwrap()).await;
    for path in [
        "/auth/authorize",
        "/auth/step",
        "/auth/manage",
        "/auth/token",
        "/auth/jwks",
        "/auth/register",
        "/auth/users",
        "/auth/glass",
        "/auth/elsewhere",
        "/auth/callback/care",
        "/auth/style.css",
        "/auth",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = get(path).await;
        assert_eq!((answer.status, answer.text("resourceType")), (404, "OperationOutcome"), "{path}");
        assert!(answer.body.to_string().contains("smart-configuration says where"), "{path}");
    }
    let posted = http.post(format!("{root}/auth/token")).body("grant_type=client_credentials").send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 404);
    let smart = get("/fhir/.well-known/smart-configuration").await;
    let endpoint = |path: &str| format!("{issuer}/{path}");
    assert_eq!(
        smart.body,
        serde_json::json!({"capabilities": ["launch-standalone", "permission-user", "permission-v2"],
        "authorization_endpoint": endpoint("authorize?kept=1"), "token_endpoint": endpoint("token"),
        "grant_types_supported": ["authorization_code"], "code_challenge_methods_supported": ["S256"]})
    );
    let metadata = get("/fhir/metadata").await;
    let security = &metadata.body["rest"][0]["security"];
    assert!(security["extension"].is_null() && security["service"].is_array(), "{security}");
    let openapi = get("/fhir/openapi.json").await.body.to_string();
    assert!(!openapi.contains("/auth/") && openapi.contains("\"bearer\""), "no endpoint of ours");

    // A program of the issuer works; who shows nothing, or a name, does not.
    let now = baton::clock::Instant::now().0 / 1_000_000;
    let claims = serde_json::json!({"iss": issuer, "sub": "x", "aud": server.base, "azp": "elm-street-pms", "iat": now, "exp": now + 60,
        "scope": "system/*.rs", "organization": "Elm", "role": "pms"});
    let token =
        sign(r#"{"alg":"ES256","kid":"p256"}"#, &claims.to_string(), &keys.p256, jsonwebtoken::Algorithm::ES256);
    let read = http.get(format!("{}/Task", server.base)).bearer_auth(token).send().await.unwrap();
    assert_eq!(read.status().as_u16(), 200, "{}", read.text().await.unwrap());
    assert_eq!(get("/fhir/Task").await.status, 401);
    let named =
        http.get(format!("{}/Task", server.base)).header("X-Baton-Actor", "elm-street-pms").send().await.unwrap();
    assert_eq!(named.status().as_u16(), 401);
    let (done, said) = server.settings.run(&["token", "jonas"]);
    assert!(!done && said.contains("only the issuers"), "{said}");
}
