//! Client assertions and secrets: attack rows 1 to 13.

use super::key::{public, sign, unsigned};
use super::{Auth, SECRET, TOKEN_URL, body, both_databases_with_auth, encode, refuses, text};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

const ES384: Algorithm = Algorithm::ES384;
const ES_HEADER: &str = r#"{"alg":"ES384","typ":"JWT","kid":"ec"}"#;

/// Good claims of `signer` with a fresh jti, after a change.
fn claims(auth: &Auth, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": "signer", "sub": "signer", "aud": TOKEN_URL,
        "exp": auth.now.0 / 1_000_000 + 200, "jti": uuid::Uuid::new_v4().to_string()
    });
    change(&mut claims);
    claims.to_string()
}

fn fresh(auth: &Auth) -> String {
    claims(auth, |_| ())
}

both_databases_with_auth!(
    good_assertions_get_a_token,
    rows_1_to_7_algorithms_keys_and_headers,
    rows_8_to_10_and_12_claims,
    row_11_an_assertion_is_used_once,
    row_13_one_method_each_parameter_once,
    secrets_are_compared_whole_and_refused_alike,
);

/// security R23: A system's token lives 300 s and comes without a refresh token.
/// security R41: A signed assertion of the exact type gets a token.
/// security R42: ES384 and RS384 are taken; a `jwk` or `x5c` in the header is ignored.
async fn good_assertions_get_a_token(auth: Auth) {
    for (what, assertion) in [
        ("ES384", sign(ES_HEADER, &fresh(&auth), &auth.keys.ec, ES384)),
        ("RS384", sign(r#"{"alg":"RS384","typ":"JWT","kid":"rsa"}"#, &fresh(&auth), &auth.keys.rsa, Algorithm::RS384)),
        (
            "one audience in an array, iat and nbf",
            sign(
                ES_HEADER,
                &claims(&auth, |c| {
                    c["aud"] = json!([TOKEN_URL]);
                    c["iat"] = json!(auth.now.0 / 1_000_000 + 20);
                    c["nbf"] = json!(auth.now.0 / 1_000_000);
                }),
                &auth.keys.ec,
                ES384,
            ),
        ),
        (
            "jwk and x5c in the header are ignored",
            sign(
                r#"{"alg":"ES384","typ":"JWT","kid":"ec","jwk":{"kty":"oct"},"x5c":["x"]}"#,
                &fresh(&auth),
                &auth.keys.ec,
                ES384,
            ),
        ),
    ] {
        let answer = auth.assert(&assertion).await;
        assert_eq!(answer.status, 200, "{what}: {}", text(&answer));
        let token = body(&answer);
        assert_eq!((token["token_type"].as_str(), token["expires_in"].as_u64()), (Some("Bearer"), Some(300)));
        assert_eq!(token["scope"], "system/Patient.rs");
        assert!(token.get("refresh_token").is_none(), "never one for a system");
    }
}

/// security A1: `none` in every spelling and empty signatures are refused.
/// security A2: HMAC keyed with our or the client's public key is refused.
/// security A3: The key says the algorithm; zero, DER and mixed signatures are refused.
/// security A4: A key id that is unknown, missing, double, a path, SQL or 10 kB is refused.
/// security A5: `jku` and `x5u` are refused and nothing is fetched.
/// security A6: A key in the header does not verify.
/// security A7: `crit` is refused.
/// security R42: Another `typ` or algorithm, or no key id, is refused.
/// security R44: Two keys of one id are none.
/// security R45: A signature of another key or algorithm is refused.
async fn rows_1_to_7_algorithms_keys_and_headers(auth: Auth) {
    let good = fresh(&auth);
    let ec_jwk = public(&auth.keys.ec, ES384, "ec");
    let rsa_jwk = public(&auth.keys.rsa, Algorithm::RS384, "rsa");
    let hmac =
        |header: &str, secret: &[u8], a: Algorithm| sign(header, &fresh(&auth), &EncodingKey::from_secret(secret), a);
    let ec = |header: &str| sign(header, &fresh(&auth), &auth.keys.ec, ES384);
    let other = |header: &str| sign(header, &fresh(&auth), &auth.keys.other, ES384);
    let attacker = public(&auth.keys.other, ES384, "ec");
    let zeros = URL_SAFE_NO_PAD.encode([0_u8; 96]);
    let der = URL_SAFE_NO_PAD.encode([0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]);
    let long_kid = format!(r#"{{"alg":"ES384","typ":"JWT","kid":"{}"}}"#, "k".repeat(10_000));
    let table = [
        // 1: no signature
        ("1 none", unsigned(r#"{"alg":"none","typ":"JWT","kid":"ec"}"#, &good, "")),
        ("1 none with a dot", unsigned(r#"{"alg":"none","typ":"JWT","kid":"ec"}"#, &good, "x")),
        ("1 NoNe", unsigned(r#"{"alg":"NoNe","typ":"JWT","kid":"ec"}"#, &good, "x")),
        ("1 empty signature", unsigned(ES_HEADER, &good, "")),
        ("1 no alg", ec(r#"{"typ":"JWT","kid":"ec"}"#)),
        // 2: HMAC keyed with what is public
        (
            "2 HS256 of the JWK",
            hmac(r#"{"alg":"HS256","typ":"JWT","kid":"ec"}"#, ec_jwk.to_string().as_bytes(), Algorithm::HS256),
        ),
        (
            "2 HS384 of n",
            hmac(
                r#"{"alg":"HS384","typ":"JWT","kid":"rsa"}"#,
                rsa_jwk["n"].as_str().unwrap().as_bytes(),
                Algorithm::HS384,
            ),
        ),
        ("2 HS512 of nothing", hmac(r#"{"alg":"HS512","typ":"JWT","kid":"ec"}"#, b"", Algorithm::HS512)),
        ("2 HMAC under an ES384 header", hmac(ES_HEADER, ec_jwk["x"].as_str().unwrap().as_bytes(), Algorithm::HS384)),
        // 3: another algorithm than the key's
        ("3 RS384 header on the EC key", ec(r#"{"alg":"RS384","typ":"JWT","kid":"ec"}"#)),
        (
            "3 ES384 header on the RSA key",
            sign(r#"{"alg":"ES384","typ":"JWT","kid":"rsa"}"#, &good, &auth.keys.rsa, Algorithm::RS384),
        ),
        ("3 RS256", sign(r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#, &good, &auth.keys.rsa, Algorithm::RS256)),
        (
            "3 PS384 under RS384",
            sign(r#"{"alg":"RS384","typ":"JWT","kid":"rsa"}"#, &good, &auth.keys.rsa, Algorithm::PS384),
        ),
        ("3 ES256", sign(r#"{"alg":"ES256","typ":"JWT","kid":"ec"}"#, &good, &auth.keys.p256, Algorithm::ES256)),
        ("3 ES256 under ES384", sign(ES_HEADER, &good, &auth.keys.p256, Algorithm::ES256)),
        ("3 r and s zero", unsigned(ES_HEADER, &good, &zeros)),
        ("3 DER signature", unsigned(ES_HEADER, &good, &der)),
        // 4: kid
        ("4 unknown", ec(r#"{"alg":"ES384","typ":"JWT","kid":"no"}"#)),
        ("4 missing", ec(r#"{"alg":"ES384","typ":"JWT"}"#)),
        ("4 empty", ec(r#"{"alg":"ES384","typ":"JWT","kid":""}"#)),
        ("4 a number", ec(r#"{"alg":"ES384","typ":"JWT","kid":1}"#)),
        ("4 a path", ec(r#"{"alg":"ES384","typ":"JWT","kid":"../../dev/null"}"#)),
        ("4 SQL", ec(r#"{"alg":"ES384","typ":"JWT","kid":"' OR 1=1 --"}"#)),
        ("4 10 kB", ec(&long_kid)),
        // 5: jku
        ("5 jku of the attacker", other(r#"{"alg":"ES384","typ":"JWT","kid":"ec","jku":"https://evil.example/jwks"}"#)),
        ("5 jku inside", ec(r#"{"alg":"ES384","typ":"JWT","kid":"ec","jku":"http://169.254.169.254/"}"#)),
        ("5 x5u of the attacker", other(r#"{"alg":"ES384","typ":"JWT","kid":"ec","x5u":"https://evil.example/"}"#)),
        // 6: a key in the header
        ("6 jwk", other(&format!(r#"{{"alg":"ES384","typ":"JWT","kid":"ec","jwk":{attacker}}}"#))),
        ("6 x5c", other(r#"{"alg":"ES384","typ":"JWT","kid":"ec","x5c":["MIIB"]}"#)),
        // 7: crit
        ("7 crit", ec(r#"{"alg":"ES384","typ":"JWT","kid":"ec","crit":["exp"]}"#)),
        ("7 empty crit", ec(r#"{"alg":"ES384","typ":"JWT","kid":"ec","crit":[]}"#)),
        // types, and another client's key
        ("typ at+jwt", ec(r#"{"alg":"ES384","typ":"at+jwt","kid":"ec"}"#)),
        ("typ missing", ec(r#"{"alg":"ES384","kid":"ec"}"#)),
        ("key of another client", other(ES_HEADER)),
        ("garbage", "a.b.c".into()),
        ("two parts", "a.b".into()),
        ("9 kB", unsigned(ES_HEADER, &good, &"x".repeat(9_000))),
    ];
    for (what, assertion) in table {
        refuses(&auth.assert(&assertion).await, 401, "invalid_client", what);
    }
    // 4: two keys of one id; the seed would refuse them, so they are put behind its back
    let mut client = auth.state.store.oauth_client("signer").await.unwrap().unwrap();
    client.jwks = Some(json!({"keys": [ec_jwk, ec_jwk]}).to_string());
    auth.state.store.write(PutClient(client)).await.unwrap();
    refuses(&auth.assert(&ec(ES_HEADER)).await, 401, "invalid_client", "4 duplicate kid");
}

struct PutClient(baton::store::oauth::Client);

impl baton::store::Work for PutClient {
    type Out = ();
    fn run<'a>(
        &'a self,
        tx: &'a mut baton::store::Tx,
    ) -> futures_util::future::BoxFuture<'a, baton::error::Result<()>> {
        Box::pin(tx.put_oauth_client(&self.0))
    }
}

/// security A8: Times that are past, too far, missing, fractions or text are refused.
/// security A9: An audience that is another, a prefix, missing or one of several is refused.
/// security A10: Issuer, subject and client that differ, are unknown or disabled get one answer.
/// security A12: Members that stand twice are refused.
/// security R43: The client is known and active before any key is looked at.
/// security R46: The audience is the token endpoint, as a text or an array of one.
/// security R47: exp is within 330 s; nbf and iat are not of the future.
async fn rows_8_to_10_and_12_claims(auth: Auth) {
    let now = auth.now.0 / 1_000_000;
    type Change = Box<dyn FnOnce(&mut Value)>;
    let set = |name: &'static str, value: Value| -> Change { Box::new(move |c| c[name] = value) };
    let remove = |name: &'static str| -> Change {
        Box::new(move |c| {
            c.as_object_mut().unwrap().shift_remove(name);
        })
    };
    let table = vec![
        ("8 expired", set("exp", json!(now - 31))),
        ("8 exp in an hour", set("exp", json!(now + 3600))),
        ("8 exp just too late", set("exp", json!(now + 331))),
        ("8 exp missing", remove("exp")),
        ("8 exp a text", set("exp", json!((now + 100).to_string()))),
        ("8 exp 1e300", set("exp", json!(1e300))),
        ("8 exp a fraction", set("exp", json!(now as f64 + 100.5))),
        ("8 exp -1", set("exp", json!(-1))),
        ("8 exp true", set("exp", json!(true))),
        ("8 nbf in future", set("nbf", json!(now + 31))),
        ("8 iat in future", set("iat", json!(now + 31))),
        ("8 iat a text", set("iat", json!("now"))),
        ("9 aud other", set("aud", json!("https://other.example/token"))),
        ("9 aud a prefix", set("aud", json!("https://baton.example.org/auth"))),
        ("9 aud longer", set("aud", json!("https://baton.example.org/auth/token/"))),
        ("9 aud the issuer", set("aud", json!("https://baton.example.org"))),
        ("9 aud missing", remove("aud")),
        ("9 aud several", set("aud", json!([TOKEN_URL, "https://other.example"]))),
        ("9 aud twice", set("aud", json!([TOKEN_URL, TOKEN_URL]))),
        ("9 aud a number", set("aud", json!(1))),
        ("10 sub differs", set("sub", json!("other-signer"))),
        ("10 sub missing", remove("sub")),
        ("10 iss missing", remove("iss")),
        ("10 iss an array", set("iss", json!(["signer"]))),
        ("11 jti missing", remove("jti")),
        ("11 jti empty", set("jti", json!(""))),
        ("11 jti a number", set("jti", json!(1))),
        ("11 jti 256 bytes", set("jti", json!("j".repeat(256)))),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (what, change) in table {
        let answer = auth.assert(&sign(ES_HEADER, &claims(&auth, change), &auth.keys.ec, ES384)).await;
        refuses(&answer, 401, "invalid_client", what);
        texts.insert(answer.body);
    }
    for id in ["nobody", "off-signer", "ehr", "baton-cli", "' OR 1=1 --", "no\nbody"] {
        let change = |c: &mut Value| {
            c["iss"] = json!(id);
            c["sub"] = json!(id);
        };
        let answer = auth.assert(&sign(ES_HEADER, &claims(&auth, change), &auth.keys.ec, ES384)).await;
        refuses(&answer, 401, "invalid_client", id);
        texts.insert(answer.body);
    }
    // 12: duplicate members
    let twice = fresh(&auth).replacen('{', r#"{"iss":"other-signer","#, 1);
    let answer = auth.assert(&sign(ES_HEADER, &twice, &auth.keys.ec, ES384)).await;
    refuses(&answer, 401, "invalid_client", "12 duplicate claim");
    texts.insert(answer.body);
    let header = r#"{"alg":"ES384","alg":"none","typ":"JWT","kid":"ec"}"#;
    let answer = auth.assert(&sign(header, &fresh(&auth), &auth.keys.ec, ES384)).await;
    refuses(&answer, 401, "invalid_client", "12 duplicate header member");
    texts.insert(answer.body);
    assert_eq!(texts.len(), 1, "10: one text for all");
    // 10: client_id beside it
    let assertion = sign(ES_HEADER, &fresh(&auth), &auth.keys.ec, ES384);
    let form = |id| {
        [
            ("grant_type", "client_credentials"),
            ("scope", "system/Patient.rs"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
            ("client_id", id),
        ]
    };
    refuses(&auth.ask(&form("ehr"), None).await, 401, "invalid_client", "10 client_id differs");
    assert_eq!(auth.ask(&form("signer"), None).await.status, 200, "the refusal did not use the assertion up");
}

/// security A11: An assertion passes once: in a race, after a restart, and as long as its time runs.
/// security R48: What is remembered is stored after the signature holds, by issuer and jti.
async fn row_11_an_assertion_is_used_once(auth: Auth) {
    let assertion = sign(ES_HEADER, &fresh(&auth), &auth.keys.ec, ES384);
    // 16 at once: one wins
    let answers = futures_util::future::join_all((0..16).map(|_| auth.assert(&assertion))).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1, "a race has one winner");
    assert!(answers.iter().filter(|a| a.status != 200).all(|a| a.status == 401));
    // the jti of one client is not the jti of another
    let jti = body_of(&assertion)["jti"].clone();
    let other = claims(&auth, |c| {
        c["iss"] = json!("other-signer");
        c["sub"] = json!("other-signer");
        c["jti"] = jti;
    });
    assert_eq!(auth.assert(&sign(ES_HEADER, &other, &auth.keys.other, ES384)).await.status, 200);
    // an assertion with a bad signature uses nothing up
    let good = fresh(&auth);
    refuses(&auth.assert(&sign(ES_HEADER, &good, &auth.keys.other, ES384)).await, 401, "invalid_client", "forged");
    assert_eq!(auth.assert(&sign(ES_HEADER, &good, &auth.keys.ec, ES384)).await.status, 200);
    // nor does the server forget
    let auth = auth.restart().await;
    refuses(&auth.assert(&assertion).await, 401, "invalid_client", "replay after restart");
    // and just before its time is over it is still remembered
    let mut auth = auth;
    auth.now = auth.now.plus_seconds(229);
    refuses(&auth.assert(&assertion).await, 401, "invalid_client", "replay within the skew");
}

fn body_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// security A13: Two ways of authentication and parameters that stand twice are 400.
/// security R19: JSON, queries and other grant types are refused.
/// security R20: One way of authentication a request.
async fn row_13_one_method_each_parameter_once(auth: Auth) {
    let assertion = sign(ES_HEADER, &fresh(&auth), &auth.keys.ec, ES384);
    let basic = format!("Basic {}", STANDARD.encode(format!("ehr:{SECRET}")));
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let start = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs")];
    let secret = [("client_id", "ehr"), ("client_secret", SECRET)];
    let form = |more: &[(&'static str, &str)]| encode(&[&start[..], more].concat());
    let signed = [kind, ("client_assertion", assertion.as_str())];
    for (what, body, basic, status, error) in [
        ("Basic and secret", form(&secret), Some(basic.as_str()), 400, "invalid_request"),
        ("Basic and assertion", encode(&[&start[..], &signed[..]].concat()), Some(&basic), 400, "invalid_request"),
        (
            "secret and assertion",
            encode(&[&start[..], &secret[..], &signed[..]].concat()),
            None,
            400,
            "invalid_request",
        ),
        ("assertion type alone", form(&[secret[0], secret[1], kind]), None, 400, "invalid_request"),
        (
            "wrong assertion type",
            encode(&[&start[..], &[("client_assertion_type", "x"), signed[1]][..]].concat()),
            None,
            400,
            "invalid_request",
        ),
        ("no assertion type", encode(&[&start[..], &[signed[1]][..]].concat()), None, 400, "invalid_request"),
        ("nothing", form(&[]), None, 401, "invalid_client"),
        ("client_id only", form(&[secret[0]]), None, 401, "invalid_client"),
        ("secret without client_id", form(&[secret[1]]), None, 400, "invalid_request"),
        ("scope twice", form(&secret) + "&scope=system/Task.rs", None, 400, "invalid_request"),
        ("client_id twice, once escaped", form(&secret) + "&client%5Fid=ehr", None, 400, "invalid_request"),
        ("unknown parameter twice", form(&secret) + "&x=1&x=2", None, 400, "invalid_request"),
        ("grant_type missing", encode(&secret), None, 400, "invalid_request"),
        (
            "grant_type password",
            encode(&[&secret[..], &[("grant_type", "password")][..]].concat()),
            None,
            400,
            "unsupported_grant_type",
        ),
        ("Basic of another client_id", form(&[("client_id", "signer")]), Some(&basic), 400, "invalid_request"),
        ("Basic that is none", form(&[]), Some("Basic ???"), 401, "invalid_client"),
        ("Bearer", form(&[]), Some("Bearer x"), 401, "invalid_client"),
    ] {
        refuses(&auth.ask_raw(body.as_bytes(), basic).await, status, error, what);
    }
    let post = form(&secret);
    let request = |content_type, has_query, authorization| baton::auth::TokenRequest {
        content_type,
        has_query,
        authorization,
        body: post.as_bytes(),
        ..Default::default()
    };
    let form_type = Some("application/x-www-form-urlencoded; charset=UTF-8");
    for (what, request, status) in [
        ("good", request(form_type, false, vec![]), 200),
        ("query", request(form_type, true, vec![]), 400),
        ("JSON", request(Some("application/json"), false, vec![]), 400),
        ("no type", request(None, false, vec![]), 400),
        ("two headers", request(form_type, false, vec![&basic, &basic]), 400),
    ] {
        let answer = baton::auth::endpoint::token(&auth.state, &request, auth.now).await;
        assert_eq!(answer.status, status, "{what}: {}", text(&answer));
    }
}

/// security R20: A secret passes whole or not at all, Basic is form-decoded, and refusals do not differ.
async fn secrets_are_compared_whole_and_refused_alike(auth: Auth) {
    let ask = async |id: &str, secret: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "system/Patient.rs"),
            ("client_id", id),
            ("client_secret", secret),
        ];
        auth.ask(&form, None).await
    };
    assert_eq!(ask("ehr", SECRET).await.status, 200);
    let hash = baton::auth::client::hash_secret(SECRET);
    let mut texts = std::collections::BTreeSet::new();
    for (id, secret) in [
        ("ehr", "wrong"),
        ("ehr", &SECRET[1..]),
        ("ehr", &format!("{SECRET} ")),
        ("ehr", &hash),
        ("nobody", SECRET),
        ("off", SECRET),
        ("signer", SECRET),
        ("baton-cli", SECRET),
        ("EHR", SECRET),
        ("ehr' --", SECRET),
        ("ehr\0", SECRET),
    ] {
        let answer = ask(id, secret).await;
        refuses(&answer, 401, "invalid_client", id);
        texts.insert(answer.body);
    }
    assert_eq!(texts.len(), 1);
    // Basic: form-encoded inside, and the refusal names the scheme
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let form = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs")];
    let escaped: String = SECRET.bytes().map(|b| format!("%{b:02x}")).collect();
    for text in [format!("ehr:{SECRET}"), format!("e%68r:{escaped}")] {
        assert_eq!(auth.ask(&form, Some(&basic(&text))).await.status, 200, "{text}");
    }
    let answer = auth.ask(&form, Some(&basic("ehr:wrong"))).await;
    refuses(&answer, 401, "invalid_client", "Basic");
    assert!(answer.headers.iter().any(|(n, v)| *n == "WWW-Authenticate" && v.starts_with("Basic")));
}
