//! Access tokens at the door: attack row 30, row 67 (what changes while a token lives), and `--auth off`.

use super::key::{sign, unsigned};
use super::{Auth, ROOT, both_databases_with_auth, state};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use baton::access::{Policy, Role};
use baton::auth::key::{KeyRing, SigningKey};
use baton::auth::token::{Grant, Parties, mint};
use baton::auth::{Asked, AuthState};
use baton::clock::Instant;
use baton::config::{AuthMode, Settings};
use baton::error::Error;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::sync::Arc;

both_databases_with_auth!(
    row_30_only_our_own_access_tokens_pass,
    row_67_a_change_holds_within_a_minute,
    row_67_a_role_that_ends_ends_the_right,
    keys_survive_a_restart_and_are_made_once,
    auth_off_acts_as_a_seeded_user,
);

const FHIR: &str = "https://baton.example.org/fhir";

async fn asked(auth: &Auth, headers: &[&str]) -> Result<Role, Error> {
    let asked = Asked { authorization: headers.to_vec(), actor: Some("root"), now: Some("2020-01-01T00:00:00Z") };
    let caller = auth.state.authenticate(&asked, auth.now).await?;
    assert_eq!(caller.now, auth.now, "X-Baton-Now means nothing here");
    assert_ne!(caller.principal.user.as_deref(), Some("root"), "nor does X-Baton-Actor");
    Ok(caller.principal.role)
}

/// security A30: Id tokens, assertions, tokens of others, changed, expired and garbled ones are 401, and no text holds a token.
/// security R50: Type, issuer, audience, times, client, user and role are held; a shortage of scope is 403 insufficient_scope.
/// security R51: Two headers, Basic and bare tokens are 401.
/// security leak 22: A token of another kind opens nothing.
async fn row_30_only_our_own_access_tokens_pass(auth: Auth) {
    let good = auth.token("system/Patient.rs").await;
    assert_eq!(auth.who(&good).await, Ok(Role::HospitalSystem));
    assert_eq!(auth.who(&good).await, Ok(Role::HospitalSystem), "and once more, from the cache");
    let phil = auth.state.token_for_user("phil", None, 900, auth.now).await.unwrap();
    assert_eq!(auth.who(&phil).await, Ok(Role::Pharmacist));

    let stored = auth.state.store.signing_keys().await.unwrap();
    let stored = stored.iter().find(|k| k.alg == "ES256").unwrap();
    let key = EncodingKey::from_ec_der(&STANDARD.decode(&stored.pkcs8).unwrap());
    let kid = stored.kid.clone();
    let now = auth.now.0 / 1_000_000;
    let header = format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#);
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({"iss": ROOT, "sub": "ehr", "aud": FHIR, "client_id": "ehr", "exp": now + 100, "iat": now,
            "jti": "j", "scope": "system/Patient.rs", "org": "st-anna", "role": "hospital-system"});
        change(&mut claims);
        claims.to_string()
    };
    let ours = |change: &dyn Fn(&mut Value)| sign(&header, &claims(change), &key, Algorithm::ES256);
    let remove = |name: &'static str| move |c: &mut Value| drop(c.as_object_mut().unwrap().shift_remove(name));
    assert_eq!(
        auth.who(&ours(&|_| ())).await,
        Ok(Role::HospitalSystem),
        "the table's token is good but for its change"
    );

    let jwks = auth.state.jwks();
    let public = jwks["keys"].as_array().unwrap().iter().find_map(|k| k["x"].as_str()).unwrap().to_owned();
    let with = |header: &str| sign(header, &claims(&|_| ()), &key, Algorithm::ES256);
    let swapped = {
        let mut parts: Vec<&str> = good.split('.').collect();
        let payload = URL_SAFE_NO_PAD.encode(claims(&|c| c["role"] = json!("admin")));
        parts[1] = &payload;
        parts.join(".")
    };
    let strange = KeyRing::read(&[SigningKey::generate(auth.now).unwrap()]).unwrap();
    let grant = Grant {
        sub: "ehr".into(),
        client_id: "ehr".into(),
        scope: "system/Patient.rs".into(),
        org: Some("st-anna".into()),
        role: Role::HospitalSystem,
        practitioner: None,
        seconds: 100,
        id: None,
        cnf: None,
    };
    let table = [
        ("garbage", "garbage".to_owned()),
        ("empty", String::new()),
        ("three dots", "...".into()),
        ("100 kB", "a".repeat(100_000)),
        ("an id_token", with(&header.replace("at+jwt", "JWT"))),
        ("no typ", with(&header.replace(r#""typ":"at+jwt","#, ""))),
        (
            "a client's assertion",
            sign(r#"{"alg":"ES384","typ":"JWT","kid":"ec"}"#, &claims(&|_| ()), &auth.keys.ec, Algorithm::ES384),
        ),
        (
            "an assertion called at+jwt",
            sign(&header.replace("ES256", "ES384"), &claims(&|_| ()), &auth.keys.ec, Algorithm::ES384),
        ),
        ("another server's key", mint(&strange, &auth.state.parties, &grant, auth.now).unwrap().0),
        ("another key under our kid", sign(&header, &claims(&|_| ()), &auth.keys.p256, Algorithm::ES256)),
        ("unknown kid", with(&header.replace(&kid, "x"))),
        ("alg none", unsigned(&header.replace("ES256", "none"), &claims(&|_| ()), "x")),
        ("alg none, no signature", unsigned(&header.replace("ES256", "none"), &claims(&|_| ()), "")),
        (
            "HS256 with our public key",
            sign(
                &header.replace("ES256", "HS256"),
                &claims(&|_| ()),
                &EncodingKey::from_secret(public.as_bytes()),
                Algorithm::HS256,
            ),
        ),
        ("crit", with(&header.replacen('{', r#"{"crit":["x"],"#, 1))),
        ("claims changed", swapped),
        ("issuer", ours(&|c| c["iss"] = json!("https://evil.example"))),
        ("issuer missing", ours(&remove("iss"))),
        ("audience", ours(&|c| c["aud"] = json!("https://other.example/fhir"))),
        ("audience a prefix", ours(&|c| c["aud"] = json!(ROOT))),
        ("audience of several", ours(&|c| c["aud"] = json!([FHIR, "https://other.example"]))),
        ("audience missing", ours(&remove("aud"))),
        ("expired", ours(&|c| c["exp"] = json!(now))),
        ("exp missing", ours(&remove("exp"))),
        ("exp a text", ours(&|c| c["exp"] = json!("9999999999"))),
        ("iat in future", ours(&|c| c["iat"] = json!(now + 31))),
        ("nbf in future", ours(&|c| c["nbf"] = json!(now + 31))),
        ("sub missing", ours(&remove("sub"))),
        ("jti missing", ours(&remove("jti"))),
        ("scope missing", ours(&remove("scope"))),
        ("scope a list", ours(&|c| c["scope"] = json!(["system/*.cruds"]))),
        ("role missing", ours(&remove("role"))),
        ("role of another", ours(&|c| c["role"] = json!("admin"))),
        ("role super-user", ours(&|c| c["role"] = json!("super-user"))),
        ("organisation of another", ours(&|c| c["org"] = json!("corner"))),
        ("organisation missing", ours(&remove("org"))),
        (
            "unknown client",
            ours(&|c| {
                c["client_id"] = json!("x");
                c["sub"] = json!("x");
            }),
        ),
        (
            "disabled client",
            ours(&|c| {
                c["client_id"] = json!("off");
                c["sub"] = json!("off");
            }),
        ),
        ("unknown user", ours(&|c| c["sub"] = json!("x"))),
        ("bound to a key", ours(&|c| c["cnf"] = json!({"jkt": "x"}))),
    ];
    for (what, token) in table {
        assert_eq!(auth.who(&token).await, Err(401), "{what}");
    }
    let bearer = format!("Bearer {good}");
    for (what, headers, says) in [
        ("none", vec![], "Bearer realm=\"https://baton.example.org/fhir\""),
        ("two", vec![bearer.as_str(), &bearer], "error=\"invalid_token\""),
        ("Basic", vec!["Basic YTpi"], "error=\"invalid_token\""),
        ("no scheme", vec![good.as_str()], "error=\"invalid_token\""),
        ("not ASCII", vec![""], "error=\"invalid_token\""),
    ] {
        let error = asked(&auth, &headers).await.expect_err(what);
        assert_eq!(error.kind.status(), 401, "{what}");
        let challenge = auth.state.challenge(&error).unwrap();
        assert!(
            challenge.contains(says) && (headers.is_empty() != challenge.contains("error=")),
            "{what}: {challenge}"
        );
        assert!(!error.to_string().contains(&good), "no token in an error");
    }
    assert_eq!(asked(&auth, &[&format!("bEARER {good}")]).await.unwrap(), Role::HospitalSystem);
    // scopes narrow to what is registered now, and a 403 for want of them says so
    let error = baton::access::decide(
        &auth.state.policy,
        &auth
            .state
            .authenticate(&Asked { authorization: vec![&bearer], ..Asked::default() }, auth.now)
            .await
            .unwrap()
            .principal,
        baton::access::Action::Create,
        baton::fhir::ResourceType::parse("Task"),
    );
    let error = error.ok().unwrap_err();
    assert!(auth.state.challenge(&error).unwrap().contains("insufficient_scope"));
}

/// security A67: A user disabled, moved or lowered and a client disabled or moved lose access within a minute.
/// security leak 21: A user who moves takes no old right along.
async fn row_67_a_change_holds_within_a_minute(mut auth: Auth) {
    let long = 900;
    let phil = auth.state.token_for_user("phil", None, long, auth.now).await.unwrap();
    let ehr = auth.state.token_for_client("ehr", None, long, auth.now).await.unwrap();
    type Change = fn(&mut Value);
    let table: [(&str, &str, Change, u16); 6] = [
        ("user disabled", &phil, |s| s["users"][1]["active"] = json!(false), 401),
        (
            "organisation moved",
            &phil,
            |s| {
                s["practitioners"][1]["roles"][0]["organization"] = json!("river");
                s["users"][1]["organization"] = json!("river");
            },
            401,
        ),
        (
            "role lowered",
            &phil,
            |s| {
                s["practitioners"][1]["roles"][0]["role"] = json!("technician");
                s["users"][1]["role"] = json!("technician");
            },
            401,
        ),
        ("client disabled", &ehr, |s| s["clients"][0]["active"] = json!(false), 401),
        (
            "client moved",
            &ehr,
            |s| {
                s["organizations"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"id": "mercy", "name": "Mercy", "kind": "hospital"}));
                s["clients"][0]["organization"] = json!("mercy");
            },
            401,
        ),
        ("PractitionerRole ended", &phil, |s| s["practitioners"][1]["roles"][0]["active"] = json!(false), 403),
    ];
    for (what, token, change, status) in table {
        auth.seed(|_| ()).await;
        auth.now = auth.now.plus_seconds(61);
        assert!(auth.who(token).await.is_ok(), "{what}: before");
        auth.seed(change).await;
        auth.now = auth.now.plus_seconds(59);
        assert_eq!(auth.who(token).await, Err(status), "{what}: within a minute");
    }
    // scopes that are taken away are gone as well
    auth.seed(|_| ()).await;
    auth.seed(|s| s["clients"][0]["scopes"] = json!("system/Patient.r")).await;
    auth.now = auth.now.plus_seconds(60);
    let ehr = auth.state.token_for_client("ehr", None, long, auth.now).await.unwrap();
    auth.seed(|s| s["clients"][0]["scopes"] = json!("system/Task.c")).await;
    let header = format!("Bearer {ehr}");
    let caller = auth.state.authenticate(&Asked { authorization: vec![&header], ..Asked::default() }, auth.now).await;
    assert!(caller.unwrap().principal.scopes.as_ref().is_some_and(|s| s.is_empty()));
    // whose law holds is told by where the organisation is in the directory, as of half a minute ago
    let moved = json!({"resourceType": "Organization", "id": "st-anna", "name": "St. Anna",
        "address": [{"state": "DC", "country": "US"}]});
    auth.put(moved.into()).await;
    auth.now = auth.now.plus_seconds(31);
    let caller = auth.state.authenticate(&Asked { authorization: vec![&header], ..Asked::default() }, auth.now).await;
    assert_eq!(caller.unwrap().principal.jurisdiction.as_deref(), Some("US-DC"));
    // and a token ends when it says so, cached or not
    auth.now = auth.now.plus_seconds(i64::from(long as u32));
    assert_eq!(auth.who(&ehr).await, Err(401));
}

/// security A67: A licence that ends ends the right.
/// case 20: A licence that has ended ends the right within half a minute.
async fn row_67_a_role_that_ends_ends_the_right(mut auth: Auth) {
    let token = auth.state.token_for_user("phil", None, 3600, auth.now).await.unwrap();
    assert_eq!(auth.who(&token).await, Ok(Role::Pharmacist));
    // a licence that is over
    auth.put(
        json!({"resourceType": "Practitioner", "id": "phil", "qualification": [{
            "code": {"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "183500000X"}]},
            "period": {"end": "2020-01-01"}}]})
        .into(),
    )
    .await;
    auth.now = auth.now.plus_seconds(31);
    assert_eq!(auth.who(&token).await, Err(403));
    assert_eq!(auth.state.token_for_user("phil", None, 60, auth.now).await.unwrap_err().kind.status(), 403);
}

/// security A66: Keys survive a restart; those of another node verify at once.
async fn keys_survive_a_restart_and_are_made_once(auth: Auth) {
    let token = auth.token("system/Patient.rs").await;
    let jwks = auth.state.jwks();
    assert_eq!(jwks["keys"].as_array().map(Vec::len), Some(2), "one for access tokens, one for id_tokens");
    let auth = auth.restart().await;
    assert_eq!(auth.state.jwks(), jwks);
    assert_eq!(auth.who(&token).await, Ok(Role::HospitalSystem));
    // a second key, as another node would make it: tokens of it are known at once
    let newer = SigningKey::generate(auth.now).unwrap();
    auth.state.store.write(AddKey(newer.clone())).await.unwrap();
    let ring = KeyRing::read(&auth.state.store.signing_keys().await.unwrap()).unwrap();
    assert_eq!(ring.signing().unwrap().kid, newer.kid, "the newest signs");
    let grant = Grant {
        sub: "ehr".into(),
        client_id: "ehr".into(),
        scope: "system/Patient.rs".into(),
        org: Some("st-anna".into()),
        role: Role::HospitalSystem,
        practitioner: None,
        seconds: 300,
        id: None,
        cnf: None,
    };
    let later = auth.now.plus_seconds(10);
    let foreign = mint(&ring, &Parties::of(ROOT), &grant, later).unwrap().0;
    let auth = Auth { now: later, ..auth };
    assert_eq!(auth.who(&foreign).await, Ok(Role::HospitalSystem));
    assert_eq!(auth.who(&token).await, Ok(Role::HospitalSystem), "and the older one still verifies");
}

struct AddKey(baton::store::oauth::StoredKey);

impl baton::store::Work for AddKey {
    type Out = ();
    fn run<'a>(
        &'a self,
        tx: &'a mut baton::store::Tx,
    ) -> futures_util::future::BoxFuture<'a, baton::error::Result<()>> {
        Box::pin(tx.add_signing_key(&self.0))
    }
}

async fn auth_off_acts_as_a_seeded_user(auth: Auth) {
    let settings = Settings { auth: AuthMode::Off, ..Settings::default() };
    let policy = Arc::new(Policy::built_in().unwrap());
    let off = AuthState::open(auth.state.store.clone(), policy, &settings, ROOT).await.unwrap();
    let now = auth.now;
    let ask = async |actor: Option<&str>, at: Option<&str>| {
        let asked = Asked { authorization: vec![], actor, now: at };
        off.authenticate(&asked, now).await.map_err(|e| e.kind.status())
    };
    let caller = ask(None, None).await.unwrap();
    assert_eq!((caller.principal.role, caller.now), (Role::SuperUser, now));
    let caller = ask(Some("phil"), Some("2024-03-01T08:00:00Z")).await.unwrap();
    let p = &caller.principal;
    assert_eq!(
        (p.role, p.org.as_deref(), p.practitioner.as_deref()),
        (Role::Pharmacist, Some("corner"), Some("Practitioner/phil"))
    );
    assert_eq!(p.scopes, None, "scopes do not apply");
    assert_eq!(Some(caller.now), Instant::parse("2024-03-01T08:00:00Z"));
    assert_eq!(ask(Some("root"), None).await.unwrap().principal.role, Role::Admin);
    let ehr = ask(Some("ehr"), None).await.unwrap().principal;
    assert_eq!((ehr.role, ehr.org.as_deref(), ehr.client.as_str()), (Role::HospitalSystem, Some("st-anna"), "ehr"));
    for name in ["nobody", "off", "baton-cli", ""] {
        assert_eq!(ask(Some(name), None).await.err(), Some(401), "{name}");
    }
    assert_eq!(ask(Some("phil\0"), None).await.err(), Some(401));
    assert_eq!(ask(None, Some("yesterday")).await.err(), Some(400));
    auth.seed(|s| s["practitioners"][1]["roles"][0]["until"] = json!("2020-01-01")).await;
    assert_eq!(ask(Some("phil"), None).await.err(), Some(403), "a role that is over is over here too");
    drop(state(auth.state.store.clone()).await);
}
