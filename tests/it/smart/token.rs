//! Codes, refresh tokens, id_tokens, introspection, revocation.

use super::{Site, VERIFIER, both_databases_with_site, challenge};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

both_databases_with_site!(
    a_code_gives_what_smart_asks_for,
    a_code_is_good_once_for_who_asked,
    a_refresh_token_is_good_once,
    online_access_ends_with_the_login,
    a_client_learns_of_its_own_tokens_and_ends_them,
    a_user_withdraws_an_app,
    a_disabled_user_gets_nothing_more,
);

const SCOPE: &str = "launch/patient openid fhirUser profile offline_access patient/Patient.rs patient/Observation.rs";

async fn claims(site: &Site, id_token: &str) -> Value {
    baton::auth::jws::install_crypto();
    let jwks = site.http.get(format!("{}/auth/jwks", site.root)).send().await.unwrap().text().await.unwrap();
    let jwks: JwkSet = serde_json::from_str(&jwks).expect("keys that import");
    let header = jsonwebtoken::decode_header(id_token).expect("a header");
    assert_eq!(header.alg, Algorithm::RS256);
    let key = jwks.find(&header.kid.expect("a kid")).expect("the key is published");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["public"]);
    validation.set_issuer(&[&site.root]);
    jsonwebtoken::decode(id_token, &DecodingKey::from_jwk(key).unwrap(), &validation).expect("a good signature").claims
}

/// security R15: A code is random and opaque, and the answer goes to the app with code, state and iss.
/// security R22: access_token, Bearer, a number of seconds, scope; id_token for openid, refresh_token for offline_access.
/// security R32: patient/ scopes come with a patient in context, who can be read with the token and not without.
/// security R34: patient is a plain id, need_patient_banner a boolean, smart_style_url an address that answers.
/// security R35: The id_token is RS256 with a published key; fhirUser names the user, and can be read with the token.
/// security R36: sub is opaque and the same for each app, never the login name.
async fn a_code_gives_what_smart_asks_for(site: Site) {
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", SCOPE, &[("nonce", "n-1")])).await;
    let page = browser.sign_in(&page, "amira").await;
    let page = browser.allow(&page, &[]).await;
    assert_eq!((page.sent("state").as_str(), page.sent("iss")), ("a state/with?odd&signs=", site.root.clone()));
    let answer = site.redeem("public", &page.sent("code"), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = &answer.body;
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
    assert_eq!(body["patient"], site.patient);
    assert_eq!(body["need_patient_banner"], true);
    let style = site.http.get(body["smart_style_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(style.status().as_u16(), 200);
    for scope in SCOPE.split(' ') {
        assert!(answer.text("scope").split(' ').any(|s| s == scope), "{scope} of {}", answer.text("scope"));
    }
    let token = answer.text("access_token");
    let claims = claims(&site, answer.text("id_token")).await;
    assert_eq!((claims["nonce"].as_str(), claims["name"].as_str()), (Some("n-1"), Some("Haddad")));
    assert_eq!(claims["fhirUser"], format!("{}/fhir/Patient/{}", site.root, site.patient));
    assert!(claims["sub"].as_str().is_some_and(|s| s.len() > 20 && !s.contains("amira")));
    assert!(claims["exp"].is_u64() && claims["iat"].is_u64() && claims["auth_time"].is_u64());
    assert_eq!(site.read(token, &format!("Patient/{}", site.patient)).await.status, 200);
    let bare = site.http.get(format!("{}/fhir/Patient/{}", site.root, site.patient)).send().await.unwrap();
    assert_eq!(bare.status().as_u16(), 401);
    for wrong in [answer.text("id_token"), answer.text("refresh_token")] {
        assert_eq!(site.read(wrong, "Patient").await.status, 401, "A30: no access token");
    }
    // a practitioner may read the own entry, whatever the scopes
    let drew = site.tokens("drew", "secret", "openid fhirUser patient/Patient.rs").await;
    let token = drew["access_token"].as_str().unwrap();
    assert_eq!(site.read(token, "Practitioner/drew-park").await.status, 200);
    assert_eq!(site.read(token, "Practitioner/mara-lind").await.status, 403);
    assert!(drew.get("refresh_token").is_none(), "not asked for");
}

/// security R14: The exchange fails without verifier, with a blank or wrong one, and with the challenge itself.
/// security R21: A code that comes twice is refused and ends all that came of it.
/// security A19: A verifier that is missing, blank, wrong, or equal to the challenge is invalid_grant.
/// security A20: Another client, another address, a second use, two at once: invalid_grant; a replay revokes.
async fn a_code_is_good_once_for_who_asked(site: Site) {
    let code = site.code("amira", "public", SCOPE).await;
    let own = challenge(VERIFIER);
    let long = "x".repeat(200);
    for (what, client, changes) in [
        ("no verifier", "public", vec![("code_verifier", "")]),
        ("wrong verifier", "public", vec![("code_verifier", long.as_str())]),
        ("the challenge", "public", vec![("code_verifier", own.as_str())]),
        ("plain", "public", vec![("code_verifier", own.as_str()), ("code_challenge_method", "plain")]),
        ("another address", "public", vec![("redirect_uri", "https://app.example/other")]),
        ("another client", "secret", vec![]),
        ("another code", "public", vec![("code", "x")]),
    ] {
        site.redeem(client, &code, &changes).await.refuses(400, "invalid_grant", what);
    }
    site.redeem("public", &code, &[("code", "")]).await.refuses(400, "invalid_request", "no code");
    site.redeem("nobody", &code, &[]).await.refuses(401, "invalid_client", "R20: wrong client id");
    let first = site.redeem("public", &code, &[]).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let token = first.text("access_token");
    assert_eq!(site.read(token, "Observation").await.status, 200);
    site.redeem("public", &code, &[]).await.refuses(400, "invalid_grant", "played again");
    assert_eq!(site.read(token, "Observation").await.status, 401, "what came of it is over");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", first.text("refresh_token"))];
    site.token("public", &refresh).await.refuses(400, "invalid_grant", "and its refresh token");

    let code = site.code("amira", "public", SCOPE).await;
    let all = futures_util::future::join_all((0..5).map(|_| site.redeem("public", &code, &[]))).await;
    assert!(all.iter().filter(|a| a.status == 200).count() <= 1, "{all:?}");
}

/// security R37: A refresh gives the same or narrower scopes and the context again; each refresh token is good once.
/// security A28: Reuse ends the family; another client's token and a wider scope are refused.
async fn a_refresh_token_is_good_once(site: Site) {
    let first = site.tokens("amira", "public", SCOPE).await;
    let ask = async |client: &str, token: &str, scope: &str| {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        if !scope.is_empty() {
            form.push(("scope", scope));
        }
        site.token(client, &form).await
    };
    let one = first["refresh_token"].as_str().unwrap();
    ask("secret", one, "").await.refuses(400, "invalid_grant", "another client's");
    ask("public", "bogus", "").await.refuses(400, "invalid_grant", "bogus");
    ask("public", one, "patient/*.rs").await.refuses(400, "invalid_scope", "wider");
    ask("public", one, "patient/Patient.rs user/Patient.r").await.refuses(400, "invalid_scope", "another level");
    let second = ask("public", one, "").await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!((&second.body["patient"], &second.body["scope"]), (&first["patient"], &first["scope"]));
    assert!(second.body["expires_in"].is_u64());
    let two = second.text("refresh_token").to_owned();
    let third = ask("public", &two, "patient/Observation.rs").await;
    assert_eq!(third.text("scope"), "patient/Observation.rs");
    assert_eq!(site.read(third.text("access_token"), "Observation").await.status, 200);
    assert_eq!(site.read(third.text("access_token"), "Condition").await.status, 403);
    assert_eq!(
        site.read(third.text("access_token"), &format!("Patient/{}", site.patient)).await.status,
        200,
        "oneself"
    );
    ask("public", &two, "").await.refuses(400, "invalid_grant", "used before");
    ask("public", third.text("refresh_token"), "").await.refuses(400, "invalid_grant", "the family is over");
    assert_eq!(site.read(third.text("access_token"), "Observation").await.status, 401);

    let again = site.tokens("amira", "public", SCOPE).await;
    let token = again["refresh_token"].as_str().unwrap();
    let all = futures_util::future::join_all((0..5).map(|_| ask("public", token, ""))).await;
    assert!(all.iter().filter(|a| a.status == 200).count() <= 1, "of two at once one wins: {all:?}");
}

/// security R37: online_access ends with the login session.
async fn online_access_ends_with_the_login(site: Site) {
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", "launch/patient online_access patient/Observation.rs", &[])).await;
    let page = browser.sign_in(&page, "amira").await;
    let code = browser.allow(&page, &[]).await.sent("code");
    let first = site.redeem("public", &code, &[]).await;
    let ask =
        async |token: &str| site.token("public", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    let second = ask(first.text("refresh_token")).await;
    assert_eq!(second.status, 200, "{}", second.body);
    let page = browser.open("/auth/manage").await;
    let csrf = page.hidden("csrf");
    assert_eq!(browser.post("/auth/logout", &[("csrf", "x")]).await.status, 400);
    assert_eq!(browser.post("/auth/logout", &[("csrf", &csrf)]).await.status, 200);
    ask(second.text("refresh_token")).await.refuses(400, "invalid_grant", "after the logout");
    assert_eq!(site.read(second.text("access_token"), "Observation").await.status, 401);
    assert!(browser.open("/auth/manage").await.html.contains("<h1>Sign in</h1>"));
}

/// security R38: Introspection says what the token response said, and of what is not active nothing but that.
/// security R39: Revocation takes access and refresh tokens of the grant at once; unknown tokens are 200.
/// security A29: Of another client's token nobody learns or ends anything.
async fn a_client_learns_of_its_own_tokens_and_ends_them(site: Site) {
    let tokens = site.tokens("amira", "secret", SCOPE).await;
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let look = async |client: &str, token: &str| site.post("/auth/introspect", client, &[("token", token)]).await;
    let seen = look("secret", access).await.body;
    assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!("secret")));
    for same in ["scope", "patient", "need_patient_banner"] {
        assert_eq!(seen[same], tokens[same], "{same}");
    }
    assert!(seen["exp"].as_u64() > seen["iat"].as_u64().or(Some(0)));
    assert_eq!(seen["fhirUser"], format!("{}/fhir/Patient/{}", site.root, site.patient));
    assert!(seen["sub"].is_string() && seen["iss"] == site.root);
    assert_eq!(look("secret", refresh).await.body["active"], true);
    let inactive = json!({"active": false});
    let long = "x".repeat(20_000);
    for wrong in ["x", tokens["id_token"].as_str().unwrap(), long.as_str()] {
        assert_eq!(look("secret", wrong).await.body, inactive, "{wrong}");
    }
    look("nobody", access).await.refuses(401, "invalid_client", "nobody asks");
    look("public", access).await.refuses(401, "invalid_client", "an id alone is no proof");
    look("secret", "").await.refuses(400, "invalid_request", "no token");
    // a bearer token asks for its own client
    let other = site.tokens("amira", "public", SCOPE).await;
    let bearer = |asker: &str, token: &str| {
        let request = site.http.post(format!("{}/auth/introspect", site.root)).bearer_auth(asker);
        request.header("Content-Type", "application/x-www-form-urlencoded").body(format!("token={token}")).send()
    };
    let body = |r: reqwest::Response| async move { serde_json::from_str::<Value>(&r.text().await.unwrap()).unwrap() };
    let own = other["access_token"].as_str().unwrap();
    assert_eq!(body(bearer(own, own).await.unwrap()).await["active"], true);
    assert_eq!(body(bearer(own, access).await.unwrap()).await, inactive, "another client's");

    assert_eq!(site.post("/auth/revoke", "public", &[("token", refresh)]).await.status, 200);
    assert_eq!(look("secret", access).await.body["active"], true, "another client ends nothing");
    assert_eq!(site.post("/auth/revoke", "secret", &[("token", "x")]).await.status, 200);
    site.post("/auth/revoke", "nobody", &[("token", access)]).await.refuses(401, "invalid_client", "nobody");
    assert_eq!(site.post("/auth/revoke", "secret", &[("token", access)]).await.status, 200);
    assert_eq!(look("secret", access).await.body, inactive);
    assert_eq!(look("secret", refresh).await.body, inactive);
    assert_eq!(site.read(access, &format!("Patient/{}", site.patient)).await.status, 401);
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    site.token("secret", &again).await.refuses(400, "invalid_grant", "revoked");
}

/// security R40: A user sees the apps that may act for them, in words, and withdraws one at once.
async fn a_user_withdraws_an_app(site: Site) {
    let tokens = site.tokens("amira", "public", SCOPE).await;
    let drews = site.tokens("drew", "public", SCOPE).await;
    let mut browser = site.browser();
    let page = browser.open("/auth/manage").await;
    let page = browser.sign_in(&page, "amira").await;
    assert!(page.html.contains("See measurements and laboratory results of this patient"), "{}", page.html);
    let (csrf, grant) = (page.hidden("csrf"), page.html.split("name=\"grant\" value=\"").nth(1).unwrap());
    let grant = grant.split('"').next().unwrap().to_owned();
    assert_eq!(page.html.matches("name=\"grant\"").count(), 1, "own apps only");
    assert_eq!(browser.post("/auth/manage", &[("grant", &grant)]).await.status, 400, "A22: no token");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(site.read(token, "Observation").await.status, 200);
    let page = browser.post("/auth/manage", &[("csrf", &csrf), ("grant", &grant)]).await;
    assert!(page.html.contains("No app may act for you"), "{}", page.html);
    assert_eq!(site.read(token, "Observation").await.status, 401);
    // another user's grant is not there for this one
    let mut other = site.browser();
    let page = other.open("/auth/manage").await;
    let page = other.sign_in(&page, "drew").await;
    let foreign = page.html.split("name=\"grant\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    browser.post("/auth/manage", &[("csrf", &csrf), ("grant", &foreign)]).await;
    assert_eq!(site.read(drews["access_token"].as_str().unwrap(), "Observation").await.status, 200);
}

/// security A28: After the user is disabled a refresh is refused.
/// security A67: A disabled user's login and refresh end.
async fn a_disabled_user_gets_nothing_more(mut site: Site) {
    let tokens = site.tokens("amira", "public", SCOPE).await;
    site.server.kill();
    let (done, said) = site.server.settings.run(&["user", "disable", "amira"]);
    assert!(done, "{said}");
    site.server.restart().await;
    site.root = site.server.base.trim_end_matches("/fhir").to_owned();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    site.token("public", &refresh).await.refuses(400, "invalid_grant", "disabled");
    let mut browser = site.browser();
    let page = browser.ask(&site.request("public", SCOPE, &[])).await;
    let page = browser.sign_in(&page, "amira").await;
    assert_eq!(page.status, 401);
    assert!(page.html.contains("one-time code is wrong"));
}
