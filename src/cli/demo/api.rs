//! The demo's callers: they know the server by its URL alone, like any other program.

use super::transcript::Transcript;
use crate::fhir::{Json, json};
use bytes::Bytes;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Login name or client id.
    pub name: String,
    /// Access token.
    pub token: String,
}

/// One request of the story.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// Below the FHIR base; empty for the base itself.
    pub path: &'a str,
    /// The resource, Bundle or Parameters to send.
    pub body: Option<Json>,
    /// `If-Match`: the version id in hand.
    pub version: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// `GET path`.
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, ..Self::default() }
    }

    /// `POST path` with a body.
    pub fn post(path: &'a str, body: Json) -> Self {
        Self { method: "POST", path, body: Some(body), version: None }
    }

    /// `POST path` without a body: an operation without parameters.
    pub fn command(path: &'a str) -> Self {
        Self { method: "POST", path, ..Self::default() }
    }

    /// With `If-Match` of this version.
    pub fn if_match(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` when there is none.
    pub body: Json,
}

impl Answer {
    /// The resources of a searchset, included ones too.
    pub fn resources(&self) -> impl Iterator<Item = &Json> {
        self.body["entry"].items().iter().map(|e| &e["resource"])
    }

    /// What the server said against it.
    pub fn diagnostics(&self) -> String {
        let issues = self.body["issue"].items().iter().map(|i| i["diagnostics"].text());
        issues.collect::<Vec<_>>().join("; ")
    }

    /// Whether it is 2xx.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The server, seen from outside.
#[derive(Debug, Clone)]
pub struct Api {
    /// FHIR base without a slash at the end.
    pub base: String,
    client: reqwest::Client,
    transcript: Transcript,
}

impl Api {
    /// For the server at `base`.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(base: String, transcript: Transcript) -> Result<Self, String> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(Self { base, client, transcript })
    }

    /// A program's token, asked for with its secret; told in one line.
    ///
    /// # Errors
    /// No answer, or no token in it.
    pub async fn login(&self, root: &str, name: &str, secret: &str) -> Result<Caller, String> {
        let request = self.client.post(format!("{root}/auth/token")).basic_auth(name, Some(secret));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.body("grant_type=client_credentials&scope=system%2F*.cruds").send().await;
        let response = response.map_err(|e| format!("/auth/token: {e}"))?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|e| format!("/auth/token: {e}"))?;
        let answer = json::parse(&bytes).unwrap_or_default();
        let token = answer["access_token"].text().to_string();
        if token.is_empty() {
            return Err(format!("/auth/token: {status} {answer}"));
        }
        let meaning = format!("a token for {} seconds", answer["expires_in"].as_number().unwrap_or("some"));
        self.transcript.exchange(name, "POST /auth/token", status, &meaning);
        Ok(Caller { name: name.to_string(), token })
    }

    /// Asks without telling.
    ///
    /// # Errors
    /// No answer came.
    pub async fn ask(&self, caller: &Caller, ask: &Ask<'_>) -> Result<Answer, String> {
        let url = if ask.path.is_empty() { self.base.clone() } else { format!("{}/{}", self.base, ask.path) };
        let method = ask.method.parse().map_err(|_| format!("no such method: {}", ask.method))?;
        let mut request = self.client.request(method, &url).bearer_auth(&caller.token);
        if let Some(body) = &ask.body {
            let kind = if ask.method == "PATCH" { "application/json-patch+json" } else { "application/fhir+json" };
            request = request.header("Content-Type", kind).body(Bytes::from(body.to_bytes()));
        }
        if let Some(version) = ask.version {
            request = request.header("If-Match", format!("W/\"{version}\""));
        }
        let response = request.send().await.map_err(|e| format!("{} {url}: {e}", ask.method))?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|e| format!("{} {url}: {e}", ask.method))?;
        Ok(Answer { status, body: json::parse(&bytes).unwrap_or_default() })
    }

    /// Asks, and tells who asked what, what came back and - by `meaning` - what that means.
    ///
    /// # Errors
    /// No answer came.
    pub async fn tell(
        &self,
        caller: &Caller,
        ask: Ask<'_>,
        meaning: impl FnOnce(&Answer) -> String,
    ) -> Result<Answer, String> {
        let answer = self.ask(caller, &ask).await?;
        let request = format!("{} /fhir{}{}", ask.method, if ask.path.is_empty() { "" } else { "/" }, ask.path);
        let meaning = if answer.is_ok() || answer.status == 403 { meaning(&answer) } else { answer.diagnostics() };
        self.transcript.exchange(&caller.name, &request, answer.status, &meaning);
        Ok(answer)
    }
}
