//! Outgoing HTTP: to addresses of the settings, bounded in time and bytes.
//!
//! For: whoever asks another server something while a caller waits. No redirect is followed, no proxy of the environment is used, and an
//! answer over the bound is dropped unread. Not for: `baton load`, which is a client of its own.
//! JSON from addresses that registrations name: [`fetch`].
//! Source: own rules.

pub mod fetch;

use crate::error::{Error, Result};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::time::Duration;

/// Bytes of an answer at most.
const MOST: usize = 4 << 20;

/// Names the cryptography of TLS, once a process: no client can be made before. Called again, it changes nothing.
pub fn install_tls() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
            tracing::debug!("the cryptography of TLS was chosen before");
        }
    });
}

/// A client with a time-out.
#[derive(Debug, Clone)]
pub struct Caller {
    http: reqwest::Client,
    seconds: u64,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Not within so many seconds.
    Timeout(u64),
    /// No connection, or it broke.
    Unreachable,
    /// More than is read.
    TooLarge,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(seconds) => write!(f, "it did not answer within {seconds} s"),
            Self::Unreachable => f.write_str("it cannot be reached"),
            Self::TooLarge => write!(f, "its answer is over {MOST} bytes"),
        }
    }
}

impl Caller {
    /// A client whose calls take at most so many seconds, connecting included.
    ///
    /// # Errors
    /// `Fault` when no TLS is to be had.
    pub fn new(seconds: u64) -> Result<Self> {
        install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(seconds))
            .build()
            .map_err(|e| Error::fault("no client for outgoing HTTP").caused_by(e))?;
        Ok(Self { http, seconds })
    }

    /// Sends FHIR and reads the answer.
    ///
    /// # Errors
    /// [`Trouble`], where no whole answer came.
    pub async fn post(&self, url: &str, body: Vec<u8>) -> Result<Reply, Trouble> {
        const FHIR: &str = "application/fhir+json";
        let trouble = |e: reqwest::Error| {
            tracing::warn!(url, cause = %e, "an outgoing call failed");
            if e.is_timeout() { Trouble::Timeout(self.seconds) } else { Trouble::Unreachable }
        };
        let request = self.http.post(url).header("content-type", FHIR).header("accept", FHIR).body(body);
        let mut response = request.send().await.map_err(trouble)?;
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(trouble)? {
            if body.len() + part.len() > MOST {
                return Err(Trouble::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(Reply { status, body: body.freeze() })
    }
}

/// The address of a FHIR server as a setting names it: http or https, a host, no user, no query; without a slash at the end.
///
/// # Errors
/// `Invalid` with a sentence. The address is not repeated: it may hold a password.
pub fn fhir_base(text: &str) -> Result<String> {
    let bad = |why: &str| Err(Error::invalid(format!("the address of a FHIR server {why}")));
    let Ok(url) = reqwest::Url::parse(text) else { return bad("is a URL, such as https://terminology.example/fhir") };
    if !matches!(url.scheme(), "http" | "https") {
        return bad("begins with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("holds no user and no password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return bad("has no query and no fragment");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_without_user_or_query() {
        for (text, good) in [
            ("http://127.0.0.1:8080/fhir/", Some("http://127.0.0.1:8080/fhir")),
            ("https://tx.example/r4", Some("https://tx.example/r4")),
            ("ftp://tx.example", None),
            ("file:///etc/passwd", None),
            ("tx.example/r4", None),
            ("http://", None),
            ("https://user:secret@tx.example/r4", None),
            ("https://tx.example/r4?x=1", None),
        ] {
            assert_eq!(fhir_base(text).ok().as_deref(), good, "{text}");
        }
        assert!(!fhir_base("https://user:secret@tx.example").unwrap_err().to_string().contains("secret"));
    }
}
