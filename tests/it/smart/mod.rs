//! SMART App Launch as apps and users meet it: real pages, real redirects, real tokens. Requirements (R) and attacks (A) of the
//! security contract are named above the tests that hold them.

mod admin;
mod authorize;
mod browser;
mod elsewhere;
mod launch;
mod login;
mod narrow;
mod pages;
mod record;
mod scopes;
mod server;
mod token;

use crate::harness::{Database, Settings, TestServer, with_database};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use browser::Browser;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::future::Future;

/// One test per database, on a [`Site`].
macro_rules! both_databases_with_site {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                crate::smart::with_site(crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                crate::smart::with_site(crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}
pub(crate) use both_databases_with_site;

pub const CALLBACK: &str = "https://app.example/cb";
pub const VERIFIER: &str = "a-verifier-of-the-tests-with-more-than-43-characters";
pub const SECRET: &str = "a-secret-of-the-app-with-more-than-43-characters-x";
const PASSWORD_WORDS: &str = "has the password ";

/// The demo's people, three apps, a patient of Lakeside who logs in as `amira`, and another patient.
pub struct Site {
    pub server: TestServer,
    pub root: String,
    pub patient: String,
    pub other: String,
    pub http: reqwest::Client,
    passwords: Vec<(String, String)>,
}

pub fn with_site<F: Future<Output = ()>>(database: Database, story: impl FnOnce(Site) -> F) {
    with_database(database, |settings| async move { story(Site::start(settings).await).await });
}

fn seed() -> Value {
    let mut seed: Value = serde_json::from_str(include_str!("../../../profiles/demo/seed.json")).expect("JSON");
    let all = "launch launch/patient launch/encounter openid fhirUser profile online_access offline_access patient/*.cruds user/*.cruds";
    let app = |id: &str, extra: Value| {
        let mut client = json!({"id": id, "name": format!("The {id} app"), "scopes": all, "redirect-uris": [CALLBACK],
            "launch-uris": ["https://app.example/launch"]});
        client.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        client
    };
    let more = [
        app(
            "public",
            json!({"public": true, "origins": ["https://app.example"], "name": "<script>alert(1)</script> & Co"}),
        ),
        app("secret", json!({"secret": SECRET, "scopes": format!("{all} __accounts")})),
        json!({"id": "registrar", "secret": SECRET, "role": "admin", "scopes": "__accounts"}),
        app("house", json!({"public": true, "first-party": true, "redirect-uris": ["http://127.0.0.1:9/cb"]})),
        app("small", json!({"public": true, "scopes": "launch/patient openid patient/Observation.rs"})),
    ];
    seed["clients"].as_array_mut().expect("clients").extend(more);
    seed["users"]
        .as_array_mut()
        .expect("users")
        .push(json!({"name": "drew", "organization": "lakeside", "role": "prescriber", "practitioner": "drew-park"}));
    seed["practitioners"].as_array_mut().expect("people").push(json!({"id": "drew-park",
        "name": {"family": "Park", "given": ["Drew"]}, "roles": [{"organization": "lakeside", "role": "prescriber"}]}));
    seed
}

impl Site {
    pub async fn start(mut settings: Settings) -> Self {
        let file = settings.dir.path().join("seed.json");
        std::fs::write(&file, seed().to_string()).expect("a seed file");
        settings.seed = Some(file);
        let server = TestServer::start(settings).await;
        let patient =
            |name: &str| json!({"resourceType": "Patient", "name": [{"family": name}], "birthDate": "1950-01-02"});
        let hospital = server.hospital();
        let made = hospital.create(&patient("Haddad")).await.ok().reference();
        let other = hospital.create(&patient("Other")).await.ok().reference();
        let id = |reference: &str| reference.rsplit('/').next().expect("an id").to_owned();
        let mut site = Self {
            root: String::new(),
            patient: id(&made),
            other: id(&other),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .expect("a client"),
            passwords: Vec::new(),
            server,
        };
        for who in [&site.patient, &site.other] {
            for category in ["vital-signs", "laboratory"] {
                hospital.create(&observation(who, category)).await.ok();
            }
        }
        site.server.kill();
        let amira =
            ["user", "add", "amira", "--role", "patient", "--organization", "lakeside", "--patient", &site.patient];
        let (done, said) = site.server.settings.run(&amira);
        assert!(done, "{said}");
        for user in ["amira", "drew"] {
            let (done, said) = site.server.settings.run(&["user", "password", user, "--generate"]);
            assert!(done, "{said}");
            let password =
                said.split(PASSWORD_WORDS).nth(1).and_then(|rest| rest.split(' ').next()).expect("a password");
            site.passwords.push((user.into(), password.into()));
        }
        site.server.settings.arguments.extend(["--auth", "embedded"].map(String::from));
        site.server.restart().await;
        site.root = site.server.base.trim_end_matches("/fhir").to_owned();
        site
    }

    pub fn password(&self, user: &str) -> &str {
        self.passwords.iter().find(|(name, _)| name == user).map(|(_, p)| p.as_str()).expect("a user with a password")
    }

    /// A browser that nobody used yet.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// Parameters of a good request, with changes: a value of "" takes one away.
    pub fn request(&self, client: &str, scope: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = challenge(VERIFIER);
        let callback = if client == "house" { "http://127.0.0.1:9/cb" } else { CALLBACK };
        let aud = format!("{}/fhir", self.root);
        let mut form: Vec<(String, String)> = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", callback),
            ("scope", scope),
            ("state", "a state/with?odd&signs="),
            ("aud", &aud),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec();
        for (name, value) in changes {
            form.retain(|(n, _)| n != name);
            if !value.is_empty() {
                form.push(((*name).into(), (*value).into()));
            }
        }
        form
    }

    /// Lets an app in as that user, all ticks as they are; gives the code.
    pub async fn code(&self, user: &str, client: &str, scope: &str) -> String {
        let mut browser = self.browser();
        let page = browser.ask(&self.request(client, scope, &[])).await;
        let page = browser.sign_in(&page, user).await;
        let page = browser.choose_patient(page, &self.patient).await;
        match page.status {
            // An app of the house: nobody is asked.
            303 => page.sent("code"),
            _ => browser.allow(&page, &[]).await.sent("code"),
        }
    }

    /// Redeems a code.
    pub async fn redeem(&self, client: &str, code: &str, changes: &[(&str, &str)]) -> Answer {
        let callback = if client == "house" { "http://127.0.0.1:9/cb" } else { CALLBACK };
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback),
            ("code_verifier", VERIFIER),
        ];
        form.retain(|(n, _)| !changes.iter().any(|(c, _)| c == n));
        form.extend(changes.iter().filter(|(_, v)| !v.is_empty()));
        self.token(client, &form).await
    }

    /// A request at the token endpoint.
    pub async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.post("/auth/token", client, form).await
    }

    /// A form at an endpoint, as that client.
    pub async fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        let mut form = form.to_vec();
        let mut request = self.http.post(format!("{}{path}", self.root));
        if let "secret" | "registrar" = client {
            request = request.basic_auth(client, Some(SECRET));
        } else if !client.is_empty() {
            form.push(("client_id", client));
        }
        let body = encode(form.into_iter());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body);
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// All of it: the token response of an app that was let in.
    pub async fn tokens(&self, user: &str, client: &str, scope: &str) -> Value {
        let code = self.code(user, client, scope).await;
        let answer = self.redeem(client, &code, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// A read with a token.
    pub async fn read(&self, token: &str, path: &str) -> Answer {
        let request = self.http.get(format!("{}/fhir/{path}", self.root)).bearer_auth(token);
        Answer::of(request.send().await.expect("an answer")).await
    }
}

/// A JSON answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a body");
        Self { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn refuses(&self, status: u16, error: &str, what: &str) {
        assert_eq!((self.status, self.text("error")), (status, error), "{what}: {}", self.body);
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"), "{what}");
    }
}

pub fn observation(patient: &str, category: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": category},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}],
        "subject": {"reference": format!("Patient/{patient}")}, "valueString": "x"})
}

pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// A form or a query.
pub fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        let value: String = value
            .bytes()
            .map(|b| match b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                true => char::from(b).to_string(),
                false => format!("%{b:02X}"),
            })
            .collect();
        out.push_str(&format!("{}{name}={value}", if out.is_empty() { "" } else { "&" }));
    }
    out
}
