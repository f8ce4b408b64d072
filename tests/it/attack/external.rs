//! Tokens of other issuers: who they let in, and who not.

use super::key::{public, sign};
use super::remote::Publisher;
use super::{Auth, ROOT, both_databases_with_auth};
use baton::access::Role;
use baton::auth::Asked;
use baton::config::{AuthMode, ClaimNames, Issuer, Settings};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

both_databases_with_auth!(tokens_of_other_issuers_let_in_who_is_known_here);

const ISSUER: &str = "https://idp.example/realms/care";
pub const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#;

pub async fn with_issuer(auth: &mut Auth, jwks_uri: &str) {
    let table = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let issuer = Issuer {
        issuer: ISSUER.into(),
        jwks_uri: Some(jwks_uri.into()),
        audience: None,
        algorithms: vec!["RS256".into(), "ES384".into()],
        max_age_seconds: 600,
        capabilities: Vec::new(),
        claims: ClaimNames { role: "realm_access.roles".into(), ..ClaimNames::default() },
        organizations: table(&[("Corner", "corner"), ("River", "river"), ("Anna", "st-anna")]),
        roles: table(&[("apotheker", "pharmacist"), ("pta", "technician"), ("kis", "hospital-system")]),
    };
    let settings = Settings { issuers: vec![issuer], ..Settings::default() };
    auth.state = super::state_with(auth.state.store.clone(), settings).await;
    auth.seed(|seed| {
        let app = json!({"id": "workbench", "public": true, "scopes": "openid user/*.cruds",
            "redirect-uris": ["https://app.example/cb"]});
        seed["clients"].as_array_mut().expect("clients").push(app);
    })
    .await;
}

pub fn claims(auth: &Auth) -> Value {
    let now = auth.now.0 / 1_000_000;
    json!({"iss": ISSUER, "sub": "f3b1", "aud": ["account", format!("{ROOT}/fhir")], "azp": "workbench", "iat": now, "exp": now + 300,
        "scope": "openid user/Task.cruds user/Patient.rs", "organization": "Corner",
        "realm_access": {"roles": ["offline_access", "apotheker"]}, "fhirUser": "https://idp.example/Practitioner/phil"})
}

/// security R50: A token of another issuer is taken from those that the settings list, with their keys, for this server, as long as it may.
/// security A30: A token of another issuer, of another audience, or signed by another key opens nothing.
/// security R28: What an issuer says adds no right: the organisation, the role and the client are known here, or there is no access.
/// Own docs/auth.md: A server with `auth = "external"` takes tokens of listed issuers and none of its own.
async fn tokens_of_other_issuers_let_in_who_is_known_here(mut auth: Auth) {
    let publisher = Publisher::start().await;
    with_issuer(&mut auth, &publisher.address).await;
    let keys = json!({"keys": [public(&auth.keys.rsa, Algorithm::RS256, "rsa"), public(&auth.keys.ec, Algorithm::ES384, "ec")]});
    publisher.publishes("Cache-Control: max-age=3600\r\n", &keys);
    let rs256 = |claims: &Value| sign(HEADER, &claims.to_string(), &auth.keys.rsa, Algorithm::RS256);

    let good = rs256(&claims(&auth));
    let header = format!("Bearer {good}");
    let asked = Asked { authorization: vec![&header], ..Asked::default() };
    let caller = auth.state.authenticate(&asked, auth.now).await.expect("a pharmacist").principal;
    assert_eq!(
        (caller.role, caller.org.as_deref(), caller.client.as_str()),
        (Role::Pharmacist, Some("corner"), "workbench")
    );
    assert_eq!(caller.practitioner.as_deref(), Some("Practitioner/phil"));
    assert_eq!(caller.user.as_deref(), Some(&*format!("{ISSUER}#f3b1")), "no login here has that name");
    let scopes = caller.scopes.as_ref().map(ToString::to_string);
    assert_eq!(scopes.as_deref(), Some("user/Task.cruds user/Patient.rs"));
    assert_eq!(caller.issuer.as_deref(), Some(ISSUER));
    let ec = r#"{"alg":"ES384","typ":"at+jwt","kid":"ec"}"#;
    let signed = sign(ec, &claims(&auth).to_string(), &auth.keys.ec, Algorithm::ES384);
    assert_eq!(auth.who(&signed).await, Ok(Role::Pharmacist));
    let system = |client: &str| {
        let mut c = claims(&auth);
        (c["azp"], c["organization"], c["realm_access"]["roles"]) = (json!(client), json!("Anna"), json!(["kis"]));
        (c["scope"], c["fhirUser"]) = (json!("system/Patient.rs"), Value::Null);
        c
    };
    assert_eq!(
        auth.who(&rs256(&system("ehr"))).await,
        Ok(Role::HospitalSystem),
        "a program that is registered as that"
    );

    type Change = fn(&mut Value, i64);
    let table: [(&str, u16, Change); 22] = [
        ("another issuer", 401, |c, _| c["iss"] = json!("https://idp.example/realms/other")),
        ("a longer issuer", 401, |c, _| c["iss"] = json!(format!("{ISSUER}/"))),
        ("another audience", 401, |c, _| c["aud"] = json!("account")),
        ("no audience", 401, |c, _| c["aud"] = Value::Null),
        ("expired", 401, |c, now| (c["iat"], c["exp"]) = (json!(now - 300), json!(now))),
        ("for too long", 401, |c, now| c["exp"] = json!(now + 601)),
        ("too old", 401, |c, now| (c["iat"], c["exp"]) = (json!(now - 601), json!(now + 10))),
        ("of the future", 401, |c, now| c["iat"] = json!(now + 60)),
        ("not yet", 401, |c, now| c["nbf"] = json!(now + 60)),
        ("without iat", 401, |c, _| c["iat"] = Value::Null),
        ("without sub", 401, |c, _| c["sub"] = Value::Null),
        ("an unknown organisation", 401, |c, _| c["organization"] = json!("Elsewhere")),
        ("no organisation", 401, |c, _| c["organization"] = Value::Null),
        ("our own id of an organisation", 401, |c, _| c["organization"] = json!("corner")),
        ("two organisations", 401, |c, _| c["organization"] = json!(["Corner", "River"])),
        ("an unknown role", 401, |c, _| c["realm_access"]["roles"] = json!(["admin"])),
        ("two roles", 401, |c, _| c["realm_access"]["roles"] = json!(["pta", "apotheker"])),
        ("an unknown client", 401, |c, _| c["azp"] = json!("nobody")),
        ("a disabled client", 401, |c, _| c["azp"] = json!("off")),
        ("a role that the person has not", 403, |c, _| c["realm_access"]["roles"] = json!(["pta"])),
        ("an organisation where the person has no role", 403, |c, _| c["organization"] = json!("River")),
        ("nobody", 403, |c, _| c["fhirUser"] = Value::Null),
    ];
    for (what, status, change) in table {
        let mut c = claims(&auth);
        change(&mut c, auth.now.0 / 1_000_000);
        assert_eq!(auth.who(&rs256(&c)).await, Err(status), "{what}");
    }
    assert_eq!(auth.who(&rs256(&system("signer").clone())).await, Ok(Role::HospitalSystem));
    let mut other = system("ehr");
    other["organization"] = json!("Corner");
    assert_eq!(auth.who(&rs256(&other)).await, Err(401), "a program of another organisation");
    let text = claims(&auth).to_string();
    for (what, token) in [
        ("another key", sign(ec, &text, &auth.keys.other, Algorithm::ES384)),
        (
            "an algorithm that is not listed",
            sign(r#"{"alg":"RS384","typ":"JWT","kid":"rsa"}"#, &text, &auth.keys.rsa, Algorithm::RS384),
        ),
        ("another algorithm than the header's", sign(HEADER, &text, &auth.keys.rsa, Algorithm::RS384)),
        ("no kid", sign(r#"{"alg":"RS256","typ":"JWT"}"#, &text, &auth.keys.rsa, Algorithm::RS256)),
        ("none", super::key::unsigned(r#"{"alg":"none","typ":"JWT","kid":"rsa"}"#, &text, "x")),
        (
            "another type",
            sign(r#"{"alg":"RS256","typ":"logout+jwt","kid":"rsa"}"#, &text, &auth.keys.rsa, Algorithm::RS256),
        ),
    ] {
        assert_eq!(auth.who(&token).await, Err(401), "{what}");
    }
    assert_eq!(publisher.asked(), 1, "its keys are asked for once");

    // Alone: what Baton itself gave opens nothing.
    let own = auth.token("system/Patient.rs").await;
    assert_eq!(auth.who(&own).await, Ok(Role::HospitalSystem));
    let issuers = vec![auth.state.external.issuer_of(&good).cloned().expect("an issuer")];
    let alone = Settings { auth: AuthMode::External, issuers, ..Settings::default() };
    let state = super::state_with(auth.state.store.clone(), alone).await;
    let embedded = std::mem::replace(&mut auth.state, state);
    assert_eq!(auth.who(&own).await, Err(401));
    assert_eq!(auth.who(&good).await, Ok(Role::Pharmacist));
    auth.state = embedded;
    publisher.asked();

    // Without an address of keys the issuer's own discovery says where they are.
    let discovery = Publisher::start().await;
    let own = discovery.address.trim_end_matches("/jwks").to_owned();
    discovery.publishes("", &json!({"issuer": own, "jwks_uri": publisher.address}));
    let mut issuer = auth.state.external.issuer_of(&good).cloned().expect("an issuer");
    (issuer.issuer, issuer.jwks_uri) = (own.clone(), None);
    let settings = Settings { issuers: vec![issuer], ..Settings::default() };
    let state = super::state_with(auth.state.store.clone(), settings).await;
    let mut c = claims(&auth);
    c["iss"] = json!(own);
    let token = rs256(&c);
    auth.state = state;
    assert_eq!(auth.who(&token).await, Ok(Role::Pharmacist));
    assert_eq!(auth.who(&good).await, Err(401), "who is not listed any more");
}
