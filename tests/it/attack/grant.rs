//! What a token grants: attack rows 14 and 15, requirements 24 and 29.

use super::{Auth, SECRET, body, both_databases_with_auth, refuses, text};
use serde_json::json;

both_databases_with_auth!(
    rows_14_and_15_scopes,
    a_switched_off_organisation_gets_no_token,
    users_and_systems_differ,
    tokens_made_and_refused_are_on_record,
);

async fn ask(auth: &Auth, scope: &str) -> baton::auth::OAuthAnswer {
    let form =
        [("grant_type", "client_credentials"), ("scope", scope), ("client_id", "ehr"), ("client_secret", SECRET)];
    auth.ask(&form, None).await
}

/// `ehr` is registered for `system/Patient.cruds system/*.rs system/Task.c`.
/// security A14: What a system asks beyond its registration is dropped; nothing left is invalid_scope.
/// security A15: Scopes out of order, endless or look-alike are dropped or 400.
/// security R24: Version 1 stays version 1; what is no scope is dropped whole.
/// security R29: A system gets `system/` scopes of its registration only.
/// security R30: `openid`, `launch` and `offline_access` are no rights to data.
async fn rows_14_and_15_scopes(auth: Auth) {
    let many = |n: usize| (0..n).map(|i| format!("system/Type{i}.rs")).collect::<Vec<_>>().join(" ");
    for (what, scope, granted) in [
        ("v2", "system/Patient.rs", Some("system/Patient.rs")),
        ("v1 stays v1", "system/Patient.read system/Patient.write", Some("system/Patient.read system/Patient.write")),
        ("a type under the wildcard", "system/Observation.rs", Some("system/Observation.rs")),
        ("rights of two registered scopes", "system/Task.crs", Some("system/Task.crs")),
        (
            "14 user/ and patient/ dropped",
            "user/Patient.rs patient/Patient.rs system/Patient.r",
            Some("system/Patient.r"),
        ),
        ("14 offline_access dropped", "offline_access openid launch system/Patient.r", Some("system/Patient.r")),
        ("14 wildcard beyond", "system/*.cruds", None),
        ("14 right beyond", "system/Task.u", None),
        ("14 only user/", "user/*.rs", None),
        ("14 only offline_access", "offline_access", None),
        ("15 out of order", "system/Patient.dus", None),
        ("15 out of order beside a good one", "system/Patient.dus system/Patient.rs", Some("system/Patient.rs")),
        ("15 empty type", "system//.rs", None),
        ("15 look-alike", "system/P\u{430}tient.rs", None),
        ("15 400 scopes that do not exist", &many(400), None),
        ("15 one scope 1,000 times", &"system/Patient.rs ".repeat(400), Some("system/Patient.rs")),
        ("15 50 kB", &"x".repeat(50_000), None),
        ("15 line breaks", "system/Patient.rs\nsystem/Task.c", None),
        (
            "granular under a plain one",
            "system/Observation.rs?category=vital-signs",
            Some("system/Observation.rs?category=vital-signs"),
        ),
        ("blank", " ", None),
        ("empty", "", None),
    ] {
        let answer = ask(&auth, scope).await;
        match granted {
            Some(granted) => {
                assert_eq!(answer.status, 200, "{what}: {}", text(&answer));
                assert_eq!(body(&answer)["scope"], granted, "{what}");
            }
            None => refuses(&answer, 400, "invalid_scope", what),
        }
    }
    for (what, scope) in [("15 5,000 scopes", many(5_000)), ("15 100 kB", "x".repeat(100_000))] {
        refuses(&ask(&auth, &scope).await, 400, "invalid_request", what);
    }
}

/// security R50: A client of an organisation that is switched off gets no token.
async fn a_switched_off_organisation_gets_no_token(auth: Auth) {
    assert_eq!(ask(&auth, "system/Patient.rs").await.status, 200);
    auth.put(json!({"resourceType": "Organization", "id": "st-anna", "active": false, "name": "St. Anna"}).into())
        .await;
    refuses(&ask(&auth, "system/Patient.rs").await, 401, "invalid_client", "organisation off");
}

/// security audit login: A token that was made and one that was refused are on record, also over an orderly restart.
async fn tokens_made_and_refused_are_on_record(auth: Auth) {
    assert_eq!(ask(&auth, "system/Patient.rs").await.status, 200);
    refuses(&ask(&auth, "system/Nope.rs").await, 400, "invalid_scope", "a scope that is none");
    let auth = auth.restart().await;
    let rows = auth.state.store.unsealed(100).await.expect("rows");
    let said: Vec<_> =
        rows.iter().map(|r| (r.audit.action.as_str(), r.audit.client.as_str(), r.audit.outcome)).collect();
    assert_eq!(said, [("token-issued", "ehr", 200), ("token-refused", "ehr", 400)]);
    assert_eq!(rows[1].audit.detail.why.as_deref(), Some("invalid_scope"));
}

async fn users_and_systems_differ(auth: Auth) {
    let (state, now) = (&auth.state, auth.now);
    // people get user/ scopes, systems system/ scopes, whoever asks
    assert!(state.token_for_user("phil", Some("system/Patient.rs"), 900, now).await.is_err());
    assert!(state.token_for_client("ehr", Some("user/Patient.rs"), 300, now).await.is_err());
    assert!(
        state.token_for_client("baton-cli", None, 300, now).await.is_err(),
        "the local client acts for people only"
    );
    for name in ["nobody", "ehr"] {
        assert_eq!(state.token_for_user(name, None, 900, now).await.unwrap_err().kind.status(), 404, "{name}");
    }
    let token = state.token_for_user("phil", Some("user/Task.rs nonsense"), 900, now).await.unwrap();
    let claims = baton::auth::token::verify(&state.keys().unwrap(), &state.parties, &token, now).unwrap();
    assert_eq!(
        (claims.scope.as_str(), claims.role.as_str(), claims.org.as_deref()),
        ("user/Task.rs", "pharmacist", Some("corner"))
    );
    assert_ne!(claims.sub, "phil", "R36: never the login name");
    assert_eq!(claims.exp - claims.iat, 900);
    // seeding again keeps the opaque name
    auth.seed(|_| ()).await;
    let again = state.token_for_user("phil", None, 900, now).await.unwrap();
    let again = baton::auth::token::verify(&state.keys().unwrap(), &state.parties, &again, now).unwrap();
    assert_eq!(again.sub, claims.sub);
    assert_ne!(again.jti, claims.jti);
}
