//! Logins at an OpenID provider: what it must say to let somebody in, and who must not get in by it.

pub mod op;

use super::key::{public, sign, unsigned};
use super::{Auth, ROOT, both_databases_with_auth, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton::auth::OAuthAnswer;
use baton::auth::page::{self, PageRequest};
use baton::auth::totp::code_at;
use baton::clock::Instant;
use baton::config::{Provider, Settings};
use baton::store::oauth::{Code, Grant, Link};
use jsonwebtoken::Algorithm;
use op::Op;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;

both_databases_with_auth!(
    an_id_token_must_be_right_in_every_claim,
    a_browser_comes_back_once_and_to_its_own,
    who_is_known_there_is_nobody_here_unless_said
);

const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#;
const ACCESS: &str = "an-access-token-of-the-provider";

struct World {
    auth: Auth,
    /// What time it is.
    now: Instant,
    op: Op,
    /// Holds the secret.
    _dir: tempfile::TempDir,
}

/// A browser: its cookie.
#[derive(Default)]
struct Tab(Option<String>);

/// A browser on its way: what it carries.
struct Away {
    tab: Tab,
    /// Where it was sent.
    to: String,
}

impl Away {
    fn says(&self, name: &str) -> String {
        let query = self.to.split_once('?').expect("a query").1;
        let value = query.split('&').find_map(|p| p.strip_prefix(&format!("{name}="))).unwrap_or_default();
        percent_encoding::percent_decode_str(value).decode_utf8().expect("UTF-8").into_owned()
    }
}

fn header(answer: &OAuthAnswer, name: &str) -> String {
    answer.headers.iter().find(|(n, _)| *n == name).map_or_else(String::new, |(_, v)| v.clone())
}

impl World {
    async fn new(mut auth: Auth, change: impl Fn(&mut Provider)) -> Self {
        let (op, dir) = (Op::start().await, tempfile::tempdir().expect("a folder"));
        op.publishes(&[
            public(&auth.keys.rsa, Algorithm::RS256, "rsa"),
            public(&auth.keys.p256, Algorithm::ES256, "p256"),
            public(&auth.keys.ec, Algorithm::ES384, "ec"),
        ]);
        let file = dir.path().join("secret");
        std::fs::write(&file, "s3cret of/baton\n").expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let mut care = Provider {
            name: "care".into(),
            label: "Care & \"North\"".into(),
            issuer: op.issuer.clone(),
            client_id: "baton".into(),
            client_secret_file: Some(file),
            scopes: "openid profile".into(),
            user_claim: None,
            algorithms: vec!["RS256".into(), "ES256".into()],
            second_factor: vec!["mfa".into()],
        };
        change(&mut care);
        let other = Provider { name: "other".into(), issuer: "https://other.example".into(), ..care.clone() };
        let settings = Settings { providers: vec![care, other], ..Settings::default() };
        auth.state = super::state_with(auth.state.store.clone(), settings).await;
        Self { now: auth.now, auth, op, _dir: dir }
    }

    async fn links(&self, sub: &str, user: &str) -> bool {
        let link = Link { issuer: self.op.issuer.clone(), sub: sub.into(), user: user.into() };
        self.auth.state.store.link(&link, self.now).await.expect("a link")
    }

    /// A GET, or a POST of a form.
    async fn ask(&self, tab: &mut Tab, target: &str, form: Option<&str>) -> OAuthAnswer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = PageRequest {
            is_post: form.is_some(),
            query,
            content_type: form.map(|_| "application/x-www-form-urlencoded"),
            body: form.unwrap_or_default().as_bytes(),
            cookies: tab.0.as_deref().into_iter().collect(),
            address: "192.0.2.7".into(),
            ..PageRequest::default()
        };
        let answer = page::answer(&self.auth.state, path, &request, self.now).await;
        if let Some(cookie) = header(&answer, "Set-Cookie").split(';').next().filter(|c| !c.is_empty()) {
            tab.0 = Some(cookie.to_owned());
        }
        answer
    }

    /// To the provider, from the page at `from`.
    async fn leave(&self, from: &str) -> Away {
        let mut tab = Tab::default();
        let shown = self.ask(&mut tab, from, None).await;
        let link = link(&text(&shown));
        let sent = self.ask(&mut tab, &link, None).await;
        assert_eq!(sent.status, 303, "{}", text(&sent));
        Away { tab, to: header(&sent, "Location") }
    }

    fn claims(&self, away: &Away) -> Value {
        let now = self.now.0 / 1_000_000;
        json!({"iss": self.op.issuer, "sub": "f3b1", "aud": "baton", "azp": "baton", "iat": now, "exp": now + 300,
            "nonce": away.says("nonce"), "auth_time": now - 10, "amr": ["pwd"], "at_hash": half(ACCESS)})
    }

    fn rs256(&self, claims: &Value) -> String {
        sign(HEADER, &claims.to_string(), &self.auth.keys.rsa, Algorithm::RS256)
    }

    /// Back with a code, to the address of that provider.
    async fn back(&self, away: &mut Away, name: &str, more: &str) -> OAuthAnswer {
        let target = format!("/auth/callback/{name}?code=c0de&state={}{more}", away.says("state"));
        self.ask(&mut away.tab, &target, None).await
    }

    async fn is_in(&self, tab: &mut Tab) -> bool {
        text(&self.ask(tab, "/auth/manage", None).await).contains("<h1>Your apps</h1>")
    }
}

/// The address of the first button.
fn link(html: &str) -> String {
    let link = html.split("class=\"button\" href=\"").nth(1).and_then(|r| r.split('"').next());
    link.unwrap_or_else(|| panic!("no button: {html}")).replace("&amp;", "&")
}

fn half(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(token)[..16])
}

/// Own docs/auth.md: A login at a provider holds when signature, issuer, audience, nonce, times and at_hash of the id_token do.
/// security A25: Mix-up: an id_token or an answer of another issuer lets nobody in.
/// security A3: An id_token of another key, or by an algorithm that is not listed, lets nobody in.
async fn an_id_token_must_be_right_in_every_claim(auth: Auth) {
    let mut world = World::new(auth, |_| ()).await;
    assert!(world.links("f3b1", "phil").await);
    let mut away = world.leave("/auth/manage").await;
    for (name, value) in [
        ("kept", "1"),
        ("response_type", "code"),
        ("client_id", "baton"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &*format!("{ROOT}/auth/callback/care")),
        ("max_age", ""),
    ] {
        assert_eq!(away.says(name), value, "{name}");
    }
    assert!(away.to.starts_with(&format!("{}/authorize?", world.op.issuer)), "{}", away.to);
    world.op.gives(&world.rs256(&world.claims(&away)), ACCESS);
    let before = away.tab.0.clone();
    let answer = world.back(&mut away, "care", "").await;
    assert_eq!((answer.status, header(&answer, "Location").as_str()), (303, "/auth/manage"), "{}", text(&answer));
    assert_ne!(away.tab.0, before, "A22: the session changes at login");
    assert!(world.is_in(&mut away.tab).await);
    let (form, authorization) = world.op.asked().expect("a code was redeemed");
    assert_eq!(
        authorization,
        format!("Basic {}", base64::prelude::BASE64_STANDARD.encode("baton:s3cret%20of%2Fbaton"))
    );
    let of = |name: &str| form.split('&').find_map(|p| p.strip_prefix(&format!("{name}="))).unwrap_or_default();
    assert_eq!((of("grant_type"), of("code"), of("client_id")), ("authorization_code", "c0de", ""), "{form}");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
    assert_eq!(challenge, away.says("code_challenge"), "PKCE");

    type Change = fn(&mut Value, i64);
    let table: [(&str, bool, Change); 32] = [
        ("a list of one audience", true, |c, _| c["aud"] = json!(["baton"])),
        ("no azp", true, |c, _| c["azp"] = Value::Null),
        ("no auth_time", true, |c, _| c["auth_time"] = Value::Null),
        ("no at_hash", true, |c, _| c["at_hash"] = Value::Null),
        ("a clock that is a little behind", true, |c, now| c["exp"] = json!(now - 20)),
        ("another issuer", false, |c, _| c["iss"] = json!("https://other.example")),
        ("a longer issuer", false, |c, _| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap()))),
        ("no issuer", false, |c, _| c["iss"] = Value::Null),
        ("another audience", false, |c, _| c["aud"] = json!("another-app")),
        ("an audience beside us", false, |c, _| c["aud"] = json!(["baton", "another-app"])),
        ("no audience", false, |c, _| c["aud"] = Value::Null),
        ("another party", false, |c, _| c["azp"] = json!("another-app")),
        ("a party that is no text", false, |c, _| c["azp"] = json!(["baton"])),
        ("another nonce", false, |c, _| c["nonce"] = json!("x")),
        ("no nonce", false, |c, _| c["nonce"] = Value::Null),
        ("expired", false, |c, now| c["exp"] = json!(now - 31)),
        ("no end", false, |c, _| c["exp"] = Value::Null),
        ("an end that is a text", false, |c, now| c["exp"] = json!(format!("{}", now + 300))),
        ("an end that is no whole number", false, |c, _| c["exp"] = json!(1e300)),
        ("of the future", false, |c, now| c["iat"] = json!(now + 31)),
        ("of another day", false, |c, now| c["iat"] = json!(now - 601)),
        ("made at no time", false, |c, _| c["iat"] = Value::Null),
        ("not yet", false, |c, now| c["nbf"] = json!(now + 31)),
        ("a login of the future", false, |c, now| c["auth_time"] = json!(now + 31)),
        ("a login at no time", false, |c, _| c["auth_time"] = json!("today")),
        ("of another access token", false, |c, _| c["at_hash"] = json!(half("x"))),
        ("a hash that is no text", false, |c, _| c["at_hash"] = json!(1)),
        ("no subject", false, |c, _| c["sub"] = Value::Null),
        ("an empty subject", false, |c, _| c["sub"] = json!("")),
        ("a subject that is no text", false, |c, _| c["sub"] = json!(7)),
        ("an endless subject", false, |c, _| c["sub"] = json!("x".repeat(256))),
        ("another subject", false, |c, _| c["sub"] = json!("f3b2")),
    ];
    for (what, is_good, change) in table {
        // Failures of an hour ago count no more.
        world.now = world.now.plus_seconds(3601);
        let mut away = world.leave("/auth/manage").await;
        let mut claims = world.claims(&away);
        change(&mut claims, world.now.0 / 1_000_000);
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        world.op.gives(&world.rs256(&claims), ACCESS);
        let answer = world.back(&mut away, "care", "").await;
        assert_eq!(answer.status, if is_good { 303 } else { 401 }, "{what}: {}", text(&answer));
        assert_eq!(world.is_in(&mut away.tab).await, is_good, "{what}");
    }

    let keys = &world.auth.keys;
    let foreign = super::key::Keys::new().rsa;
    type Make<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let with =
        |header: &'static str, key, algorithm| -> Make<'_> { Box::new(move |c: &str| sign(header, c, key, algorithm)) };
    let table: [(&str, bool, Make<'_>); 13] = [
        ("ES256", true, with(r#"{"alg":"ES256","kid":"p256"}"#, &keys.p256, Algorithm::ES256)),
        ("another key", false, with(HEADER, &foreign, Algorithm::RS256)),
        ("an algorithm that is not listed", false, with(r#"{"alg":"RS384","kid":"rsa"}"#, &keys.rsa, Algorithm::RS384)),
        ("another that is not listed", false, with(r#"{"alg":"ES384","kid":"ec"}"#, &keys.ec, Algorithm::ES384)),
        ("another than the header's", false, with(HEADER, &keys.rsa, Algorithm::RS384)),
        ("an unknown key", false, with(r#"{"alg":"RS256","kid":"x"}"#, &keys.rsa, Algorithm::RS256)),
        ("no key id", false, with(r#"{"alg":"RS256"}"#, &keys.rsa, Algorithm::RS256)),
        ("another kind of key", false, with(r#"{"alg":"RS256","kid":"p256"}"#, &keys.rsa, Algorithm::RS256)),
        ("another type", false, with(r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt"}"#, &keys.rsa, Algorithm::RS256)),
        ("crit", false, with(r#"{"alg":"RS256","kid":"rsa","crit":["exp"]}"#, &keys.rsa, Algorithm::RS256)),
        ("none", false, Box::new(|c: &str| unsigned(r#"{"alg":"none","kid":"rsa"}"#, c, "x"))),
        (
            "a shared secret",
            false,
            Box::new(|c: &str| {
                let key = jsonwebtoken::EncodingKey::from_secret(b"s3cret of/baton");
                sign(r#"{"alg":"HS256","kid":"rsa"}"#, c, &key, Algorithm::HS256)
            }),
        ),
        ("no token", false, Box::new(|_: &str| String::new())),
    ];
    for (what, is_good, make) in table {
        world.now = world.now.plus_seconds(3601);
        let mut away = world.leave("/auth/manage").await;
        world.op.gives(&make(&world.claims(&away).to_string()), ACCESS);
        let answer = world.back(&mut away, "care", "").await;
        assert_eq!(answer.status, if is_good { 303 } else { 401 }, "{what}: {}", text(&answer));
    }
    world.now = world.now.plus_seconds(3601);
    let mut away = world.leave("/auth/manage").await;
    let claims = world.claims(&away).to_string().replacen('{', "{\"nonce\":\"x\",", 1);
    world.op.gives(&sign(HEADER, &claims, &world.auth.keys.rsa, Algorithm::RS256), ACCESS);
    assert_eq!(world.back(&mut away, "care", "").await.status, 401, "A12: a claim that is there twice");
    // What is no id_token, and five failures: then it must wait.
    for said in [(200, "{}"), (200, "<html>"), (400, "{\"error\":\"invalid_grant\"}"), (302, "")] {
        world.op.script.lock().expect("a script").token = (said.0, said.1.into());
        let mut away = world.leave("/auth/manage").await;
        assert_eq!(world.back(&mut away, "care", "").await.status, 401, "{said:?}");
    }
    let mut away = world.leave("/auth/manage").await;
    let answer = world.back(&mut away, "care", "").await;
    assert_eq!(answer.status, 429, "A26: {}", text(&answer));
    assert!(!header(&answer, "Retry-After").is_empty());
}

/// security A22: A login that somebody else began, that came back before, or that another provider answers, is none: state, nonce and PKCE
/// are the browser's own.
/// security A25: Each provider has its own address to come back to, and an `iss` beside the code must be its own.
/// security A12: A parameter that comes back twice is none.
async fn a_browser_comes_back_once_and_to_its_own(auth: Auth) {
    let mut world = World::new(auth, |_| ()).await;
    assert!(world.links("f3b1", "phil").await);
    let mut away = world.leave("/auth/manage").await;
    let good = world.rs256(&world.claims(&away));
    world.op.gives(&good, ACCESS);
    let state = away.says("state");

    let mut stranger = world.leave("/auth/manage").await;
    for (what, target) in [
        ("no state", "/auth/callback/care?code=c0de".to_owned()),
        ("another state", format!("/auth/callback/care?code=c0de&state={state}x")),
        ("a state twice", format!("/auth/callback/care?code=c0de&state={state}&state={state}")),
        ("a code twice", format!("/auth/callback/care?code=c0de&code=x&state={state}")),
        ("to another provider", format!("/auth/callback/other?code=c0de&state={state}")),
    ] {
        assert_eq!(world.ask(&mut away.tab, &target, None).await.status, 400, "{what}");
    }
    let target = format!("/auth/callback/care?code=c0de&state={state}");
    assert_eq!(world.ask(&mut stranger.tab, &target, None).await.status, 400, "another browser");
    assert_eq!(world.ask(&mut Tab::default(), &target, None).await.status, 400, "no browser");
    assert_eq!(world.ask(&mut away.tab, "/auth/callback/nobody?code=c0de", None).await.status, 404);
    assert!(world.op.asked().is_none(), "no code was redeemed for them");
    // A code of another login: its id_token has that login's nonce.
    assert_eq!(world.back(&mut stranger, "care", "").await.status, 401, "another login's code");
    assert_eq!(world.back(&mut away, "care", "").await.status, 303, "its own");
    assert_eq!(world.back(&mut away, "care", "").await.status, 400, "again");

    // 9207: where a provider names itself, it must be the one that was asked.
    let other = "&iss=https%3A%2F%2Fother.example";
    let own = format!("&iss={}", world.op.issuer.replace(':', "%3A").replace('/', "%2F"));
    world.op.script.lock().expect("a script").discovery =
        json!({"authorization_response_iss_parameter_supported": true});
    for (what, more, status) in [("another issuer", other, 401), ("no issuer", "", 401), ("its own", &*own, 303)] {
        world.now = world.now.plus_seconds(3601);
        let mut away = world.leave("/auth/manage").await;
        world.op.gives(&world.rs256(&world.claims(&away)), ACCESS);
        world.op.asked();
        let answer = world.back(&mut away, "care", more).await;
        assert_eq!(answer.status, status, "{what}: {}", text(&answer));
        assert_eq!(world.op.asked().is_some(), status == 303, "{what}: a code of another is not shown to it");
    }

    // Who turns back at the provider finds the login page again, and what was said stays text.
    let mut away = world.leave("/auth/manage").await;
    let target =
        format!("/auth/callback/care?error=%3Cscript%3E&error_description=%3Cscript%3E&state={}", away.says("state"));
    let answer = world.ask(&mut away.tab, &target, None).await;
    assert_eq!(answer.status, 401);
    let html = text(&answer);
    assert!(html.contains("Care &amp; &quot;North&quot; did not let you in") && !html.contains("<script"), "{html}");
    assert_eq!(world.back(&mut away, "care", "").await.status, 400, "used up");
    // Ten minutes, and no more.
    let mut away = world.leave("/auth/manage").await;
    world.now = world.now.plus_seconds(601);
    assert_eq!(world.back(&mut away, "care", "").await.status, 400, "late");

    // Nobody else sends the browser away: the button carries what only its page has.
    let mut tab = Tab::default();
    let link = link(&text(&world.ask(&mut tab, "/auth/manage", None).await));
    for (what, target) in [
        ("no ticket", link.split("&ticket").next().expect("a link").to_owned()),
        ("another ticket", link.replace("ticket=", "ticket=x")),
        ("another provider", link.replace("provider=care", "provider=nobody")),
        ("another's request", format!("{link}&t=x")),
    ] {
        assert_eq!(world.ask(&mut tab, &target, None).await.status, 400, "{what}");
    }
    assert_eq!(world.ask(&mut Tab::default(), &link, None).await.status, 400, "another browser");

    // A provider that is not the one it should be is not gone to.
    for wrong in [
        json!({"issuer": "https://other.example"}),
        json!({"authorization_endpoint": "http://evil.example/"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"token_endpoint": "http://evil.example/"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"token_endpoint": Value::Null}),
    ] {
        world.now = world.now.plus_seconds(31);
        world.op.script.lock().expect("a script").discovery = wrong.clone();
        let answer = world.ask(&mut tab, &link, None).await;
        assert_eq!(answer.status, 503, "{wrong}: {}", text(&answer));
        assert!(text(&answer).contains("does not answer"));
    }
}

/// Own docs/auth.md: Who somebody is here says a link, or once the claim of the settings; unknown, disabled and roles that do not hold are one answer.
/// security A67: A login that is disabled, or whose link is taken away, gets nobody in by a provider.
/// security R28: A provider says who somebody is, and adds no right; no claim makes an administrator.
/// security A26: One-time codes of Baton are asked for after a login elsewhere, unless the provider asked for a second factor.
async fn who_is_known_there_is_nobody_here_unless_said(auth: Auth) {
    let mut world = World::new(auth, |care| {
        (care.user_claim, care.client_secret_file) = (Some("login".into()), None);
    })
    .await;
    let store = world.auth.state.store.clone();
    let mut refusals = std::collections::BTreeSet::new();
    for (what, sub, name, user) in [
        ("a claim that names somebody", "s-tess", json!("tess"), Some("tess")),
        ("linked by it, whatever the claim says now", "s-tess", json!("phil"), Some("tess")),
        ("another who claims the name", "s-evil", json!("tess"), None),
        ("an administrator by claim", "s-evil", json!("root"), None),
        ("nobody's name", "s-evil", json!("nobody"), None),
        ("a name that is none", "s-evil", json!("' OR 1=1"), None),
        ("a list of names", "s-evil", json!(["phil"]), None),
        ("no name", "s-evil", Value::Null, None),
    ] {
        world.now = world.now.plus_seconds(3601);
        let mut away = world.leave("/auth/manage").await;
        let mut claims = world.claims(&away);
        (claims["sub"], claims["login"]) = (json!(sub), name);
        world.op.gives(&world.rs256(&claims), ACCESS);
        let answer = world.back(&mut away, "care", "").await;
        assert_eq!(answer.status, if user.is_some() { 303 } else { 401 }, "{what}: {}", text(&answer));
        match user {
            None => refusals.insert(text(&answer).split("<form").next().expect("a page").to_owned()),
            Some(user) => {
                let page = text(&world.ask(&mut away.tab, "/auth/manage", None).await);
                assert!(page.contains("Technik") && user == "tess", "{page}");
                false
            }
        };
    }
    let (form, authorization) = world.op.asked().expect("a public client");
    assert!(form.contains("client_id=baton") && authorization.is_empty(), "{form}");
    assert_eq!(refusals.len(), 1, "one text for all: {refusals:?}");
    assert!(refusals.first().is_some_and(|t| t.contains("you are s-evil")), "what the operator needs to link somebody");
    assert!(!world.links("s-tess", "phil").await && !world.links("s-other", "tess").await, "linked already");

    let once = async |world: &World, sub: &str, amr: Value| {
        let mut away = world.leave("/auth/manage").await;
        let mut claims = world.claims(&away);
        (claims["sub"], claims["amr"]) = (json!(sub), amr);
        world.op.gives(&world.rs256(&claims), ACCESS);
        let answer = world.back(&mut away, "care", "").await;
        (away, answer)
    };
    // An operator may link anybody.
    assert!(world.links("s-root", "root").await);
    assert_eq!(once(&world, "s-root", json!([])).await.1.status, 303);

    // Its one-time code, unless there was a second factor there.
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    assert!(store.set_totp("root", secret).await.expect("a secret"));
    for (amr, status) in [(json!(["mfa", "pwd"]), 303), (json!(["otp"]), 200), (json!("mfa"), 200), (Value::Null, 200)]
    {
        world.now = world.now.plus_seconds(3601);
        let (mut away, answer) = once(&world, "s-root", amr.clone()).await;
        assert_eq!(answer.status, status, "{amr}: {}", text(&answer));
        if status == 303 {
            continue;
        }
        let page = text(&answer);
        assert!(page.contains("<h1>One-time code</h1>"), "{page}");
        assert!(!world.is_in(&mut away.tab).await, "not yet");
        let field = |name: &str| {
            page.split(&format!("name=\"{name}\" value=\"")).nth(1).and_then(|r| r.split('"').next()).expect("a field")
        };
        let code = code_at(secret, world.now).expect("a code");
        let form = |code: &str, csrf: &str| format!("e={}&csrf={csrf}&code={code}", field("e"));
        let mut stranger = world.leave("/auth/manage").await;
        for (what, is_own, form, status) in [
            ("a wrong code", true, form("000000", field("csrf")), 401),
            ("no code", true, form("", field("csrf")), 401),
            ("a form of another site", true, form(&code, "x"), 400),
            ("another browser", false, form(&code, field("csrf")), 400),
            ("the code", true, form(&code, field("csrf")), 303),
            ("again", true, form(&code, field("csrf")), 400),
        ] {
            let tab = if is_own { &mut away.tab } else { &mut stranger.tab };
            assert_eq!(world.ask(tab, "/auth/code", Some(&form)).await.status, status, "{amr}: {what}");
        }
        assert!(world.is_in(&mut away.tab).await);
    }
    // The state of a code that is waited for is none that a provider answers.
    world.now = world.now.plus_seconds(3601);
    let (mut away, answer) = once(&world, "s-root", json!([])).await;
    let e = text(&answer).split("name=\"e\" value=\"").nth(1).and_then(|r| r.split('"').next()).expect("e").to_owned();
    let target = format!("/auth/callback/care?code=c0de&state={e}");
    assert_eq!(world.ask(&mut away.tab, &target, None).await.status, 400);

    // Disabled, and unlinked.
    let (mut tess, answer) = once(&world, "s-tess", json!([])).await;
    assert_eq!(answer.status, 303);
    let user = store.oauth_user("tess").await.expect("the store").expect("a user");
    store.put_oauth_user(baton::store::oauth::User { is_active: false, ..user.clone() }).await.expect("done");
    assert_eq!(once(&world, "s-tess", json!([])).await.1.status, 401, "disabled");
    store.put_oauth_user(user).await.expect("done");
    assert!(world.is_in(&mut tess.tab).await, "in use again");
    for user in ["tess", "phil"] {
        let none = String::new;
        let grant = Grant {
            id: format!("of-{user}"),
            client: "app".into(),
            user: user.into(),
            scope: "user/Task.rs offline_access".into(),
            patient: none(),
            encounter: none(),
            context: none(),
            session: none(),
            made: world.now.0,
            used: world.now.0,
            expires: world.now.plus_seconds(3600).0,
            revoked: 0,
            cnf: none(),
        };
        let code = Code {
            hash: format!("code-of-{user}"),
            grant: grant.id.clone(),
            redirect_uri: none(),
            challenge: none(),
            nonce: none(),
            auth_time: world.now.0,
            expires: world.now.0,
            used: 0,
        };
        store.add_grant(&grant, &code, world.now).await.expect("a grant");
    }
    let holds = async |user: &str| store.grants_of(user, world.now).await.expect("grants").len();
    assert_eq!((holds("tess").await, holds("phil").await), (1, 1));
    assert!(store.unlink("tess", &world.op.issuer, world.now).await.expect("done"));
    assert_eq!((holds("tess").await, holds("phil").await), (0, 1), "offline_access ends with the link, of that user");
    assert!(!world.is_in(&mut tess.tab).await, "signed out with the link");
    assert_eq!(once(&world, "s-tess", json!([])).await.1.status, 401, "nobody any more");
}
