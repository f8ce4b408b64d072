//! Items to a running server, over HTTP or HTTPS.

use super::input::{Item, Kind};
use super::{Arguments, Outcome, TRIES, pause};
use std::time::Duration;

/// The server, and as whom to speak to it.
pub struct Server {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    actor: Option<String>,
    now: Option<String>,
}

impl Server {
    /// Says early and plainly when there is no server.
    ///
    /// # Errors
    /// A sentence: no server there, or something else than one.
    pub async fn greet(url: &str, arguments: &Arguments) -> Result<Self, String> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!(
                "--to is the FHIR base of a server, such as http://127.0.0.1:8080/fhir; it is '{url}'"
            ));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(arguments.parallel.max(1))
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        let server = Self {
            http,
            base: url.trim_end_matches('/').to_string(),
            token: arguments.token.clone(),
            actor: arguments.actor.clone(),
            now: arguments.now.clone(),
        };
        let url = format!("{}/metadata", server.base);
        match server.http.get(&url).timeout(Duration::from_secs(10)).send().await {
            Ok(answer) if answer.status().is_success() => Ok(server),
            Ok(answer) => Err(format!("{url} answers {}: is this the FHIR base of a server? (--to)", answer.status())),
            Err(e) => {
                Err(format!("nobody answers at {url}{}; start `baton serve`, or name the server with --to", cause(&e)))
            }
        }
    }

    /// Sends one item; waits and tries again while the server is away or full.
    pub async fn send(&self, item: &Item) -> Outcome {
        let (method, path) = match Kind::of(&item.body) {
            Err(sentence) => return Outcome::Unreadable(sentence),
            Ok((Kind::Transaction | Kind::Batch, _)) => (reqwest::Method::POST, String::new()),
            Ok((Kind::Create(rtype), _)) => (reqwest::Method::POST, format!("/{rtype}")),
            Ok((Kind::Update(rtype, id), _)) => (reqwest::Method::PUT, format!("/{rtype}/{id}")),
        };
        let url = format!("{}{path}", self.base);
        let mut last = String::new();
        for attempt in 0..TRIES {
            let mut wait = pause(attempt, None);
            match self.request(method.clone(), &url, item).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
                    match response.bytes().await {
                        Ok(bytes) if matches!(status, 429 | 502..=504) => {
                            last = String::from_utf8_lossy(&bytes).into_owned();
                            wait = pause(attempt, after);
                        }
                        Ok(bytes) if (200..300).contains(&status) => return Outcome::Accepted(vec![bytes]),
                        Ok(bytes) => return Outcome::Refused(status, bytes),
                        Err(e) => last = e.to_string(),
                    }
                }
                Err(e) => last = e.to_string(),
            }
            tokio::time::sleep(wait).await;
        }
        Outcome::Unanswered(last)
    }

    fn request(&self, method: reqwest::Method, url: &str, item: &Item) -> reqwest::RequestBuilder {
        let mut request = self
            .http
            .request(method, url)
            .header("Content-Type", "application/fhir+json")
            .header("Prefer", "return=minimal")
            .header("X-Request-Id", &item.key);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in [("X-Baton-Actor", &self.actor), ("X-Baton-Now", &self.now)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.body(item.body.clone())
    }
}

/// The innermost reason of a failed connection, in brackets: a wrong certificate reads otherwise than a closed port.
fn cause(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    format!(" ({reason})")
}
