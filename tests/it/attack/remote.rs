//! Keys that a client publishes at an address: attack rows 16 and 17, requirement 49, against a server that is ours.

use super::key::{public, sign};
use super::{Auth, TOKEN_URL, both_databases_with_auth, refuses, text};
use baton::auth::AuthState;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

both_databases_with_auth!(keys_come_from_their_address_and_from_nowhere_else);

/// A web server that says what it is told to, once a connection.
pub struct Publisher {
    pub address: String,
    says: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/jwks", listener.local_addr().expect("an address"));
        let (says, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (words, count) = (Arc::clone(&says), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let words = words.lock().expect("words").clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    if socket.read(&mut head).await.is_ok()
                        && socket.write_all(&words).await.is_ok()
                        && words.is_empty()
                    {
                        // Says nothing and does not hang up either.
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, says, asked }
    }

    fn says(&self, bytes: impl Into<Vec<u8>>) {
        *self.says.lock().expect("words") = bytes.into();
    }

    pub fn publishes(&self, headers: &str, body: &Value) {
        let body = body.to_string();
        self.says(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()));
    }

    pub fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn assertion(auth: &Auth, kid: &str, more: &str) -> String {
    let header = format!(r#"{{"alg":"ES384","typ":"JWT","kid":"{kid}"{more}}}"#);
    let claims = json!({"iss": "afar", "sub": "afar", "aud": TOKEN_URL,
        "exp": auth.now.0 / 1_000_000 + 200, "jti": uuid::Uuid::new_v4().to_string()});
    sign(&header, &claims.to_string(), &auth.keys.ec, Algorithm::ES384)
}

async fn register(auth: &Auth, address: &str) {
    auth.seed(|seed| {
        let afar = json!({"id": "afar", "organization": "st-anna", "role": "hospital-system",
            "scopes": "system/Patient.rs", "jwks-uri": address});
        seed["clients"].as_array_mut().expect("clients").push(afar);
    })
    .await;
}

/// security R49: Keys by address are fetched when they are needed, kept for their lifetime and no longer.
/// security A5: `jku` is the registered address or the assertion is refused, and nothing is fetched.
/// security A16: Redirects, endless, packed and late answers, and what is no JSON, are no key; an inner address is not asked.
/// security A17: Unknown key ids make one question in 30 seconds, whatever their number.
async fn keys_come_from_their_address_and_from_nowhere_else(mut auth: Auth) {
    let publisher = Publisher::start().await;
    register(&auth, &publisher.address).await;
    let jwk = public(&auth.keys.ec, Algorithm::ES384, "ec");
    let okp = json!({"kty": "OKP", "crv": "X25519", "kid": "other", "x": "AA"});
    let good = json!({"keys": [okp, jwk]});
    let ask = async |auth: &Auth, kid: &str, more: &str| auth.assert(&assertion(auth, kid, more)).await;

    publisher.publishes("Cache-Control: max-age=60\r\n", &good);
    for (what, more) in [("first", ""), ("again", ""), ("jku", &*format!(r#","jku":"{}""#, publisher.address))] {
        let answer = ask(&auth, "ec", more).await;
        assert_eq!(answer.status, 200, "{what}: {}", text(&answer));
    }
    assert_eq!(publisher.asked(), 1, "kept");
    let longer = format!(r#","jku":"{}/x""#, publisher.address);
    for jku in [r#","jku":"http://127.0.0.1:1/""#, longer.as_str(), r#","jku":1"#] {
        refuses(&ask(&auth, "ec", jku).await, 401, "invalid_client", jku);
    }
    assert_eq!(publisher.asked(), 0);

    // 17: each id another, all within 30 seconds of the first question; then one question more
    for n in 0..20 {
        refuses(&ask(&auth, &format!("k{n}"), "").await, 401, "invalid_client", "an unknown kid");
    }
    assert_eq!(publisher.asked(), 0);
    auth.now = auth.now.plus_seconds(31);
    let many = futures_util::future::join_all((0..20).map(|n| {
        let assertion = assertion(&auth, &format!("k{n}"), "");
        let auth = &auth;
        async move { auth.assert(&assertion).await.status }
    }));
    assert!(many.await.iter().all(|status| *status == 401));
    assert_eq!(publisher.asked(), 1, "twenty at once ask once");
    assert_eq!(ask(&auth, "ec", "").await.status, 200, "what is kept goes on");
    assert_eq!(publisher.asked(), 0);

    // after its lifetime nothing is served: the address has to say it again
    auth.now = auth.now.plus_seconds(61);
    publisher.publishes("", &json!({"keys": []}));
    refuses(&ask(&auth, "ec", "").await, 401, "invalid_client", "taken away");
    assert_eq!(publisher.asked(), 1);
    publisher.publishes("Cache-Control: no-store\r\n", &good);
    auth.now = auth.now.plus_seconds(31);
    for _ in 0..2 {
        assert_eq!(ask(&auth, "ec", "").await.status, 200);
    }
    assert_eq!(publisher.asked(), 2, "not kept");

    let inner = Publisher::start().await;
    inner.publishes("", &good);
    let mut private = good.clone();
    private["keys"][1]["d"] = json!("AA");
    let (ok, body) = ("HTTP/1.1 200 OK\r\n", good.to_string());
    let gzip = [0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let whole = |status: &str, headers: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
    };
    for (what, says) in [
        ("a redirect", whole("302 Found", &format!("Location: {}\r\n", inner.address), "")),
        ("an error", whole("500 Internal Server Error", "", &body)),
        ("HTML", whole("200 OK", "", "<html>")),
        ("JSON that is no set", whole("200 OK", "", "[]")),
        ("no UTF-8", whole("200 OK", "", "x").into_iter().chain([0xff]).collect()),
        ("more than is read", whole("200 OK", "", &format!("{}{body}", " ".repeat(70_000)))),
        ("a length that is not kept", format!("{ok}Content-Length: 1000000000\r\n\r\n{body}").into_bytes()),
        ("packed", [format!("{ok}Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n").as_bytes(), &gzip].concat()),
        ("two keys of one id", whole("200 OK", "", &json!({"keys": [jwk, jwk]}).to_string())),
        ("a private key", whole("200 OK", "", &private.to_string())),
        ("silence", Vec::new()),
    ] {
        publisher.says(says);
        auth.now = auth.now.plus_seconds(86_401);
        let started = std::time::Instant::now();
        refuses(&ask(&auth, "ec", "").await, 401, "invalid_client", what);
        assert_eq!(publisher.asked(), 1, "{what}");
        assert!(started.elapsed().as_secs() < 6, "{what}: bounded in time");
        refuses(&ask(&auth, "ec", "").await, 401, "invalid_client", what);
        assert_eq!(publisher.asked(), 0, "{what}: an address that failed is left alone for a while");
    }
    assert_eq!(inner.asked(), 0, "no redirect is followed");

    // a server that serves others asks nothing inside, whatever the registration says
    let settings = baton::config::Settings { base_url: Some(super::ROOT.into()), ..Default::default() };
    let outer: AuthState = super::state_with(auth.state.store.clone(), settings).await;
    publisher.publishes("", &good);
    auth.state = outer;
    auth.now = auth.now.plus_seconds(31);
    for address in [publisher.address.clone(), publisher.address.replace("http:", "https:")] {
        register(&auth, &address).await;
        refuses(&ask(&auth, "ec", "").await, 401, "invalid_client", &address);
    }
    assert_eq!(publisher.asked(), 0);
}
