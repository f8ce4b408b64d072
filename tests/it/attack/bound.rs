//! Tokens that are bound to a key or a certificate of their client: Baton checks no proof of either, so none of them opens anything.

use super::external::{HEADER, claims, with_issuer};
use super::key::{public, sign};
use super::remote::Publisher;
use super::{Auth, ROOT, SECRET, body, both_databases_with_auth, encode, text};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use baton::access::Role;
use baton::auth::token::{hash, verify};
use baton::auth::{Asked, TokenRequest, discovery, introspect};
use baton::store::oauth::{Code, Grant};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

both_databases_with_auth!(a_token_that_is_bound_is_no_bearer_token);

const CALLBACK: &str = "https://app.example/cb";
const VERIFIER: &str = "a-verifier-of-the-tests-with-more-than-43-characters";

impl Auth {
    /// Why a header opens nothing, and the challenge.
    async fn refused(&self, header: &str) -> (String, String) {
        let asked = Asked { authorization: vec![header], ..Asked::default() };
        let error = self.state.authenticate(&asked, self.now).await.expect_err(header);
        assert_eq!(error.kind.status(), 401, "{error}");
        (error.to_string(), self.state.challenge(&error).expect("a challenge"))
    }

    async fn app(&self, form: &[(&str, &str)]) -> Value {
        let basic = format!("Basic {}", STANDARD.encode(format!("secret-app:{SECRET}")));
        let answer = self.ask(form, Some(&basic)).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        body(&answer)
    }

    async fn seen(&self, token: &str) -> Value {
        let basic = format!("Basic {}", STANDARD.encode(format!("secret-app:{SECRET}")));
        let form = encode(&[("token", token)]);
        let request = TokenRequest {
            content_type: Some("application/x-www-form-urlencoded"),
            authorization: vec![&basic],
            body: form.as_bytes(),
            ..TokenRequest::default()
        };
        body(&introspect::introspect(&self.state, &request, self.now).await)
    }
}

/// security R54: A token that is bound (`cnf`) opens nothing as a bearer token, whoever gave it, and the DPoP scheme neither; a grant keeps what
/// it is bound to over redemption, refresh and introspection; no document offers DPoP or mTLS.
/// security A30: A token that is bound to a key is not taken down to a bearer token.
async fn a_token_that_is_bound_is_no_bearer_token(mut auth: Auth) {
    let publisher = Publisher::start().await;
    with_issuer(&mut auth, &publisher.address).await;
    publisher.publishes(
        "Cache-Control: max-age=3600\r\n",
        &json!({"keys": [public(&auth.keys.rsa, Algorithm::RS256, "rsa")]}),
    );
    auth.seed(|seed| {
        let app =
            |id: &str| json!({"id": id, "scopes": "openid offline_access user/*.cruds", "redirect-uris": [CALLBACK]});
        let (mut one, mut two) = (app("workbench"), app("secret-app"));
        (one["public"], two["secret"]) = (json!(true), json!(SECRET));
        seed["clients"].as_array_mut().expect("clients").extend([one, two]);
    })
    .await;

    // Of another issuer.
    let foreign = |cnf: Option<Value>| {
        let mut claims = claims(&auth);
        if let Some(cnf) = cnf {
            claims["cnf"] = cnf;
        }
        sign(HEADER, &claims.to_string(), &auth.keys.rsa, Algorithm::RS256)
    };
    assert_eq!(auth.who(&foreign(None)).await, Ok(Role::Pharmacist), "good but for its binding");
    for cnf in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({"jwk": {"kty": "EC"}}),
        json!({}),
        json!("jkt"),
        Value::Null,
    ] {
        for _ in 0..2 {
            let (why, challenge) = auth.refused(&format!("Bearer {}", foreign(Some(cnf.clone())))).await;
            assert!(why.contains("(cnf)") && challenge.contains("error=\"invalid_token\""), "{cnf}: {why} {challenge}");
        }
    }
    // By the scheme of a proof, whatever comes with it.
    let own = auth.token("system/Patient.rs").await;
    for token in [&own, &foreign(None), "x"] {
        let (why, challenge) = auth.refused(&format!("DPoP {token}")).await;
        assert!(why.contains("bearer tokens"), "{why}");
        assert_eq!(challenge, format!("Bearer realm=\"{ROOT}/fhir\""));
    }
    let two = [format!("DPoP {own}"), format!("Bearer {own}")];
    let asked = Asked { authorization: two.iter().map(String::as_str).collect(), ..Asked::default() };
    assert_eq!(auth.state.authenticate(&asked, auth.now).await.expect_err("two").kind.status(), 401);

    // A grant that is bound, as a later Baton may make one.
    for (id, cnf, kind) in [
        ("free", Value::Null, "Bearer"),
        ("by-key", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), "DPoP"),
        ("by-certificate", json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}), "Bearer"),
    ] {
        let none = String::new;
        let grant = Grant {
            id: id.into(),
            client: "secret-app".into(),
            user: "phil".into(),
            scope: "user/Task.rs offline_access".into(),
            patient: none(),
            encounter: none(),
            context: "{}".into(),
            session: none(),
            made: auth.now.0,
            used: auth.now.0,
            expires: auth.now.plus_seconds(3_600).0,
            revoked: 0,
            cnf: if cnf.is_null() { none() } else { cnf.to_string() },
        };
        let code = Code {
            hash: hash(id),
            grant: id.into(),
            redirect_uri: CALLBACK.into(),
            challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
            nonce: none(),
            auth_time: auth.now.0,
            expires: auth.now.plus_seconds(60).0,
            used: 0,
        };
        auth.state.store.add_grant(&grant, &code, auth.now).await.expect("a grant");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", id),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let first = auth.app(&form).await;
        let refresh = first["refresh_token"].as_str().expect("a refresh token");
        let second = auth.app(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
        let said = if cnf.is_null() { None } else { Some(&cnf) };
        for tokens in [&first, &second] {
            let token = tokens["access_token"].as_str().expect("a token");
            let claims = verify(&auth.state.keys().expect("keys"), &auth.state.parties, token, auth.now).expect("ours");
            assert_eq!((claims.cnf.as_ref(), &tokens["token_type"]), (said, &json!(kind)), "{id}");
            let seen = auth.seen(token).await;
            assert_eq!(
                (&seen["active"], seen.get("cnf"), &seen["token_type"]),
                (&json!(true), said, &json!(kind)),
                "{seen}"
            );
            match said {
                None => assert_eq!(auth.who(token).await, Ok(Role::Pharmacist)),
                Some(_) => assert!(auth.refused(&format!("Bearer {token}")).await.0.contains("(cnf)"), "{id}"),
            }
        }
        let refresh = second["refresh_token"].as_str().expect("a refresh token");
        assert_eq!(auth.seen(refresh).await.get("cnf"), said, "{id}");
    }

    let parties = &auth.state.parties;
    for document in [
        discovery::smart_configuration(parties),
        discovery::openid_configuration(parties),
        discovery::authorization_server(parties),
    ] {
        let text = document.to_string().to_lowercase();
        assert!(["dpop", "tls_client", "mtls"].iter().all(|word| !text.contains(word)), "{text}");
    }
}
