//! A caller: who they are, and what they ask over HTTP.

use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// One caller of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    actor: Option<String>,
    clock: Arc<AtomicI64>,
}

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as sent.
    pub bytes: Vec<u8>,
    /// The body as JSON; `null` when there is none. Numbers lose digits here: compare those with `exact`.
    pub body: Value,
    what: String,
}

impl Client {
    pub(super) fn new(http: reqwest::Client, base: String, actor: Option<String>, clock: Arc<AtomicI64>) -> Self {
        Self { http, base, actor, clock }
    }

    /// Any request; `headers` as (name, value).
    ///
    /// # Panics
    /// When the server does not answer; [`Client::try_send`] for tests that kill it.
    pub async fn send(&self, method: &str, path: &str, body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Answer {
        self.try_send(method, path, body, headers).await.unwrap_or_else(|e| panic!("{method} {path}: no answer: {e:?}"))
    }

    /// As [`Client::send`]; an error when no whole answer came.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut answer = self.send_unread(method, path, body, headers).await?;
        answer.body = serde_json::from_slice(&answer.bytes).unwrap_or(Value::Null);
        Ok(answer)
    }

    /// As [`Client::try_send`]; the body is left as bytes.
    pub async fn send_unread(
        &self,
        method: &str,
        path: &str,
        body: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let url = if path.starts_with("http") {
            path.to_string()
        } else if let Some(rest) = path.strip_prefix('/') {
            format!("{}/{rest}", self.base.trim_end_matches("/fhir"))
        } else if path.is_empty() {
            self.base.clone()
        } else {
            format!("{}/{path}", self.base)
        };
        let mut request = self.http.request(method.parse().expect("a method"), url);
        if let Some(actor) = &self.actor {
            request = request.header("X-Baton-Actor", actor);
        }
        let micros = self.clock.load(Ordering::Relaxed);
        if micros != 0 {
            let now = jiff::Timestamp::from_microsecond(micros).expect("set by the test");
            request = request.header("X-Baton-Now", now.to_string());
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) && !body.as_ref().is_empty() {
            request = request.header("Content-Type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.as_ref().to_vec()).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        let what = format!("{method} {path} as {}", self.actor.as_deref().unwrap_or("everyone"));
        Ok(Answer { status, headers, bytes, body: Value::Null, what })
    }

    /// `GET`.
    pub async fn read(&self, path: &str) -> Answer {
        self.send("GET", path, "", &[]).await
    }

    /// `GET Type?query`: the resources that match, without those that were only included.
    pub async fn search(&self, query: &str) -> Vec<Value> {
        let bundle = self.read(query).await.ok().body;
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().filter(|e| e["search"]["mode"] == "match").map(|e| e["resource"].clone()).collect()
    }

    /// Create, at the type's URL.
    pub async fn create(&self, resource: &Value) -> Answer {
        let kind = resource["resourceType"].as_str().expect("resourceType");
        self.send("POST", kind, resource.to_string(), &[]).await
    }

    /// Create unless `criteria` match.
    pub async fn create_if_none(&self, resource: &Value, criteria: &str) -> Answer {
        let kind = resource["resourceType"].as_str().expect("resourceType");
        self.send("POST", kind, resource.to_string(), &[("If-None-Exist", criteria)]).await
    }

    /// Update, with `If-Match` of the version in hand when there is one.
    pub async fn update(&self, resource: &Value) -> Answer {
        let path = reference(resource);
        match resource["meta"]["versionId"].as_str() {
            Some(v) => self.send("PUT", &path, resource.to_string(), &[("If-Match", &format!("W/\"{v}\""))]).await,
            None => self.send("PUT", &path, resource.to_string(), &[]).await,
        }
    }

    /// JSON Patch; of a Task with `If-Match: *`, which the programme's ask for.
    pub async fn patch(&self, path: &str, operations: &Value) -> Answer {
        let kind = ("Content-Type", "application/json-patch+json");
        let headers = if path.starts_with("Task/") { vec![kind, ("If-Match", "*")] } else { vec![kind] };
        self.send("PATCH", path, operations.to_string(), &headers).await
    }

    /// Delete.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", &[]).await
    }

    /// A batch or transaction.
    pub async fn post(&self, bundle: &Value) -> Answer {
        self.send("POST", "", bundle.to_string(), &[]).await
    }

    /// An operation with Parameters (`null`: none), with `If-Match` when `version` is given.
    pub async fn operation(&self, path: &str, parameters: &Value, version: Option<&str>) -> Answer {
        let body = if parameters.is_null() { String::new() } else { parameters.to_string() };
        let tag = version.map(|v| format!("W/\"{v}\""));
        let headers: Vec<_> = tag.iter().map(|t| ("If-Match", t.as_str())).collect();
        self.send("POST", path, body, &headers).await
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.what, self.status, String::from_utf8_lossy(&self.bytes))
    }
}

impl Answer {
    /// Fails the test unless the status is 2xx.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{}: {} {}",
            self.what,
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }

    /// Fails the test unless the status is this one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Fails the test unless the answer is an OperationOutcome with this status and an error with this code at this
    /// expression (`""`: wherever).
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str, expression: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status, status, "{}: {text}", self.what);
        assert_eq!(self.body["resourceType"], "OperationOutcome", "{}: {text}", self.what);
        let issues = self.body["issue"].as_array().cloned().unwrap_or_default();
        let fits = |issue: &Value| {
            let at = issue["expression"].as_array().is_some_and(|e| e.iter().any(|x| x == expression));
            issue["severity"] == "error" && issue["code"] == code && (expression.is_empty() || at)
        };
        assert!(issues.iter().any(fits), "{}: no `{code}` at `{expression}` in {text}", self.what);
        let said = issues.iter().all(|i| i["diagnostics"].as_str().is_some_and(|d| d.len() > 10));
        assert!(said, "{}: an issue without a sentence: {text}", self.what);
    }

    /// One header as text; "" when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// `Type/id` of what was created or updated, from `Location` or the body.
    #[track_caller]
    pub fn reference(&self) -> String {
        let location = self.header("location");
        let path = location.split("/_history").next().unwrap_or_default();
        let mut parts = path.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(id), Some(kind)) if !kind.is_empty() => format!("{kind}/{id}"),
            _ => reference(&self.body),
        }
    }
}

/// `Type/id` of a resource.
#[track_caller]
pub fn reference(resource: &Value) -> String {
    let (kind, id) = (resource["resourceType"].as_str(), resource["id"].as_str());
    format!("{}/{}", kind.expect("resourceType"), id.expect("id"))
}
