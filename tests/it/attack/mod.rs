//! The authorization server and its tokens against attackers: the numbered rows of the security contract, as tables.
//!
//! Tokens are called for through the library, without HTTP: what http adds is in `journey`; both databases, a clock of the
//! test's own. What a server is sent stands in `input` (FHIR) and `raw` (bytes on a socket).

mod absent;
mod bearer;
mod bound;
mod client;
mod external;
mod flood;
mod glass;
mod grant;
mod input;
pub mod key;
mod labels;
mod logs;
pub mod provider;
mod raw;
mod remote;
mod rows;
mod tls;
mod wall;

use crate::harness::{Database, Settings, with_database};
use baton::access::{Policy, Role};
use baton::auth::{Asked, AuthState, OAuthAnswer, TokenRequest, endpoint};
use baton::cli::seed::{Seed, apply, directory};
use baton::clock::Instant;
use baton::config;
use baton::error::Result;
use baton::fhir::meta::Stampable;
use baton::fhir::{Json, ResourceType, Target};
use baton::search::Rows;
use baton::store::{Method, Put, Store, Tx, Work};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

pub const ROOT: &str = "https://baton.example.org";
pub const TOKEN_URL: &str = "https://baton.example.org/auth/token";
pub const SECRET: &str = "a-secret-of-the-tests-with-more-than-43-characters";

/// One test per database, with an authorization server of its own.
macro_rules! both_databases_with_auth {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                crate::attack::with_auth(crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                crate::attack::with_auth(crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}
pub(crate) use both_databases_with_auth;

/// The server under attack.
pub struct Auth {
    pub state: AuthState,
    pub keys: key::Keys,
    pub now: Instant,
    settings: Settings,
}

pub fn with_auth<F: Future<Output = ()>>(database: Database, story: impl FnOnce(Auth) -> F) {
    with_database(database, |settings| async move { story(Auth::start(settings).await).await });
}

impl Auth {
    async fn start(settings: Settings) -> Self {
        let store = Store::open(&baton::store::Settings::new(settings.database_url.clone())).await.expect("a store");
        let keys = key::Keys::new();
        let auth = Self { state: state(store).await, keys, now: Instant::now(), settings };
        auth.seed(|_| ()).await;
        auth
    }

    /// Applies the tests' seed after a change of it.
    pub async fn seed(&self, change: impl FnOnce(&mut Value)) {
        let mut file = seed(&self.keys);
        change(&mut file);
        let seed = Seed::parse(&file.to_string(), &self.state.policy).unwrap_or_else(|e| panic!("{e}"));
        for resource in directory::resources(&seed, &self.state.policy) {
            self.put(resource).await;
        }
        apply::accounts(&self.state.store, &seed).await.expect("accounts");
    }

    /// Puts a directory resource, past the one door: what the door says of it is tested elsewhere.
    pub async fn put(&self, resource: Json) {
        let rtype = ResourceType::parse(resource["resourceType"].text()).expect("a type");
        let target = Target::new(rtype, resource["id"].text());
        self.state.store.write(PutOne(target, resource)).await.expect("a put");
    }

    /// Another process on the same database: closes this one.
    pub async fn restart(self) -> Self {
        self.state.store.close().await;
        let store =
            Store::open(&baton::store::Settings::new(self.settings.database_url.clone())).await.expect("a store");
        Self { state: state(store).await, ..self }
    }

    /// A token request with a form of these parameters.
    pub async fn ask(&self, form: &[(&str, &str)], basic: Option<&str>) -> OAuthAnswer {
        self.ask_raw(encode(form).as_bytes(), basic).await
    }

    pub async fn ask_raw(&self, body: &[u8], basic: Option<&str>) -> OAuthAnswer {
        let request = TokenRequest {
            content_type: Some("application/x-www-form-urlencoded"),
            has_query: false,
            authorization: basic.into_iter().collect(),
            body,
            ..TokenRequest::default()
        };
        endpoint::token(&self.state, &request, self.now).await
    }

    /// The request of a client with this assertion.
    pub async fn assert(&self, assertion: &str) -> OAuthAnswer {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "system/Patient.rs"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        self.ask(&form, None).await
    }

    /// A token of the client with a secret.
    pub async fn token(&self, scope: &str) -> String {
        let form =
            [("grant_type", "client_credentials"), ("scope", scope), ("client_id", "ehr"), ("client_secret", SECRET)];
        let answer = self.ask(&form, None).await;
        assert_eq!(answer.status, 200, "{}", text(&answer));
        body(&answer)["access_token"].as_str().expect("a token").to_owned()
    }

    /// The role that this bearer token gives; the status of the refusal else.
    pub async fn who(&self, token: &str) -> Result<Role, u16> {
        let header = format!("Bearer {token}");
        let asked = Asked { authorization: vec![&header], ..Asked::default() };
        self.state.authenticate(&asked, self.now).await.map(|c| c.principal.role).map_err(|e| e.kind.status())
    }
}

pub async fn state(store: Store) -> AuthState {
    state_with(store, config::Settings::default()).await
}

pub async fn state_with(store: Store, settings: config::Settings) -> AuthState {
    AuthState::open(store, Arc::new(Policy::built_in().expect("a policy")), &settings, ROOT).await.expect("auth")
}

struct PutOne(Target, Json);

impl Work for PutOne {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let before = tx.get(&baton::access::Limit::Everything, &self.0).await?;
            let body = Stampable::new(&self.1, &self.0.id);
            let put = Put {
                target: self.0.clone(),
                method: Method::Put,
                body: Some(&body),
                rows: Arc::new(Rows::default()),
                before: before.as_ref(),
                org: 0,
                labels: 0,
            };
            tx.put(put).await.map(|_| ())
        })
    }
}

fn seed(keys: &key::Keys) -> Value {
    let ehr = |id: &str, extra: Value| {
        let mut client = json!({"id": id, "organization": "st-anna", "role": "hospital-system",
            "scopes": "system/Patient.cruds system/*.rs system/Task.c"});
        client.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        client
    };
    json!({
        "organizations": [
            {"id": "st-anna", "name": "St. Anna", "kind": "hospital", "candidate-pharmacies": ["corner"]},
            {"id": "corner", "name": "Corner Pharmacy", "kind": "pharmacy"},
            {"id": "river", "name": "River Pharmacy", "kind": "pharmacy"}
        ],
        "practitioners": [
            {"id": "tess", "name": {"family": "Technik"}, "roles": [{"organization": "corner", "role": "technician"}]},
            {"id": "phil", "name": {"family": "Pharma"}, "roles": [{"organization": "corner", "role": "pharmacist"}]}
        ],
        "users": [
            {"name": "tess", "organization": "corner", "role": "technician", "practitioner": "tess"},
            {"name": "phil", "organization": "corner", "role": "pharmacist", "practitioner": "phil"},
            {"name": "root", "role": "admin"}
        ],
        "clients": [
            ehr("ehr", json!({"secret": SECRET})),
            ehr("off", json!({"secret": SECRET, "active": false})),
            ehr("signer", json!({"jwks": keys.jwks()})),
            ehr("other-signer", json!({"jwks": keys.other_jwks()})),
            ehr("off-signer", json!({"jwks": keys.jwks(), "active": false}))
        ]
    })
}

pub fn encode(form: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in form {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        let value: String =
            value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        out.push_str(&format!("{}{name}={value}", if out.is_empty() { "" } else { "&" }));
    }
    out
}

pub fn body(answer: &OAuthAnswer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

pub fn text(answer: &OAuthAnswer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Every answer of the token endpoint: never cached, JSON, and an error in RFC 6749's shape.
#[track_caller]
pub fn refuses(answer: &OAuthAnswer, status: u16, error: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", text(answer));
    assert_eq!(body(answer)["error"], error, "{what}: {}", text(answer));
    for (name, value) in [("Cache-Control", "no-store"), ("Pragma", "no-cache"), ("Content-Type", "application/json")] {
        assert!(answer.headers.iter().any(|(n, v)| *n == name && v == value), "{what}: {name}");
    }
}
