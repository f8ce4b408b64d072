//! Answers out: the only place of status codes and response headers.
//!
//! Source: <https://hl7.org/fhir/R4/http.html>, RFC 9110; security headers: own rule.

use super::{negotiate, pretty};
use crate::auth::OAuthAnswer;
use crate::error::{Error, Kind, Result};
use crate::fhir::outcome;
use crate::interaction::{Answer, Done};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json;charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const PROGRESS: HeaderName = HeaderName::from_static("x-progress");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// From this size on an answer is worth compressing.
const WORTH_GZIP: usize = 1400;
/// A request over this time is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// How an answer is to look: what every route needs of the request's headers.
pub(super) struct Face {
    /// `X-Request-Id`, sanitised or made up.
    pub(super) request_id: Arc<str>,
    /// The caller speaks TLS, to us or to what stands in front.
    is_tls: bool,
    takes_gzip: bool,
    is_pretty: bool,
    /// The page that is asked for in place of JSON, where the path has one.
    page: Option<&'static str>,
    refusal: Option<Error>,
}

impl Face {
    /// Reads the headers and `_format`, `_pretty`.
    pub(super) fn of(request: &HttpRequest, is_tls: bool) -> Self {
        let headers = request.headers();
        let text = |name: HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
        let mut face = Self {
            request_id: request_id(text(REQUEST_ID)),
            is_tls,
            takes_gzip: text(header::ACCEPT_ENCODING).is_some_and(takes_gzip),
            is_pretty: false,
            page: None,
            refusal: None,
        };
        let has_pages =
            ["/$handoff-report", "/$access-report", "/$timeline"].iter().any(|name| request.path().ends_with(name));
        let mut has_format = false;
        let query = request.query_string();
        if query.contains("_format") || query.contains("_pretty") {
            for (name, value) in crate::search::query::pairs(query).unwrap_or_default() {
                match name.as_str() {
                    "_format" => {
                        has_format = true;
                        face.page = negotiate::page(&value).filter(|_| has_pages);
                        if face.page.is_some() {
                            continue;
                        }
                        face.refusal = negotiate::takes_format(&value).err();
                    }
                    "_pretty" => face.is_pretty = value == "true",
                    _ => {}
                }
            }
        }
        if !has_format && let Some(accept) = text(header::ACCEPT) {
            face.page = negotiate::preferred_page(accept).filter(|_| has_pages);
            if face.page.is_none() {
                face.refusal = negotiate::accepts(accept).err();
            }
        }
        face
    }

    /// The media type of the page that is asked for in place of JSON.
    pub(super) const fn page(&self) -> Option<&'static str> {
        self.page
    }

    /// Fails when the caller asks for a format that is not written here.
    ///
    /// # Errors
    /// `NotAcceptable`.
    pub(super) fn check(&self) -> Result<()> {
        match &self.refusal {
            Some(error) => Err(Error::with_issues(error.kind, error.issues.clone())),
            None => Ok(()),
        }
    }

    fn builder(&self, status: u16) -> HttpResponseBuilder {
        let mut out = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            out.insert_header((REQUEST_ID, id));
        }
        // What is no page of ours is shown by no browser: no script in it runs, no frame holds it.
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ] {
            out.insert_header((name, HeaderValue::from_static(value)));
        }
        if self.is_tls {
            out.insert_header((header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")));
        }
        out
    }

    /// Sends JSON bytes, indented or packed as asked.
    fn send(&self, out: &mut HttpResponseBuilder, body: Bytes) -> HttpResponse {
        let body = if self.is_pretty { Bytes::from(pretty::indent(&body)) } else { body };
        out.insert_header((header::VARY, HeaderValue::from_static("Accept, Accept-Encoding, Authorization")));
        if self.takes_gzip && body.len() >= WORTH_GZIP {
            let mut packed =
                flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 3), flate2::Compression::fast());
            if packed.write_all(&body).is_ok()
                && let Ok(packed) = packed.finish()
            {
                out.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
                return out.body(packed);
            }
        }
        out.body(body)
    }
}

/// Letters, digits and a little punctuation, at most 64: safe in headers and logs. Everything else is replaced by an id.
fn request_id(given: Option<&str>) -> Arc<str> {
    let is_safe = |t: &&str| {
        (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/+=".contains(&b))
    };
    match given.filter(is_safe) {
        Some(id) => id.into(),
        None => made_up().into(),
    }
}

/// 32 hexadecimal digits, random but for six bits: a counter would tell how many others ask.
fn made_up() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn takes_gzip(accept: &str) -> bool {
    accept.split(',').any(|part| {
        let (name, q) = part.split_once(';').unwrap_or((part, ""));
        let is_off = q.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !is_off
    })
}

/// A FHIR answer. `applied`: the preferences that it heeds.
pub(super) fn success(face: &Face, base: &str, answer: Answer, applied: &str) -> HttpResponse {
    let location = answer.version_path();
    let mut out = face.builder(answer.done.status().0);
    if let Some(applied) = HeaderValue::from_str(applied).ok().filter(|_| !applied.is_empty()) {
        out.insert_header((APPLIED, applied));
    }
    if let Some(stamp) = &answer.stamp {
        if let Ok(etag) = HeaderValue::from_str(&format!("W/\"{}\"", stamp.version)) {
            out.insert_header((header::ETAG, etag));
        }
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        if let Ok(text) = printer.timestamp_to_rfc9110_string(&stamp.updated.timestamp())
            && let Ok(date) = HeaderValue::from_str(&text)
        {
            out.insert_header((header::LAST_MODIFIED, date));
        }
    }
    if let Some(path) = location
        && let Ok(url) = HeaderValue::from_str(&format!("{base}/{path}"))
    {
        out.insert_header((header::LOCATION, url));
    }
    out.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")));
    let is_fhir = background(&mut out, base, &answer.done);
    if answer.body.is_empty() || answer.done == Done::NotModified {
        return out.finish();
    }
    if let Some(media) = answer.media {
        return page(face, &mut out, media, answer.body);
    }
    out.insert_header((header::CONTENT_TYPE, if is_fhir { FHIR_JSON } else { JSON }));
    face.send(&mut out, answer.body)
}

/// Headers of what is done in the background; whether the body is FHIR.
///
/// Source: <https://hl7.org/fhir/R4/async.html>.
fn background(out: &mut HttpResponseBuilder, base: &str, done: &Done) -> bool {
    let mut text = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            out.insert_header((name, value));
        }
    };
    match done {
        Done::Accepted(job) if job.is_new => text(header::CONTENT_LOCATION, format!("{base}/_async/{}", job.id)),
        Done::Accepted(job) if job.total > 0 => {
            text(PROGRESS, format!("{} of {} entries", job.done, job.total));
            text(header::RETRY_AFTER, "1".into());
        }
        Done::Manifest(until) => {
            let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
            text(header::EXPIRES, printer.timestamp_to_rfc9110_string(&until.timestamp()).unwrap_or_default());
            return false;
        }
        _ => {}
    }
    true
}

/// A page or a PDF: no script runs in it, nothing is fetched, no other page frames it.
fn page(face: &Face, out: &mut HttpResponseBuilder, media: &'static str, body: Bytes) -> HttpResponse {
    const POLICY: &str =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    out.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media)));
    out.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    out.insert_header((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    out.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")));
    let bare = Face {
        request_id: face.request_id.clone(),
        is_tls: face.is_tls,
        takes_gzip: face.takes_gzip,
        is_pretty: false,
        page: None,
        refusal: None,
    };
    bare.send(out, body)
}

/// A failure as OperationOutcome.
pub(super) fn failure(face: &Face, error: &Error, challenge: Option<&str>) -> HttpResponse {
    if error.kind == Kind::Fault {
        let cause = error.source.as_deref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(request.id = &*face.request_id, error = %error, cause, "a fault of Baton's own");
    }
    let mut out = face.builder(error.kind.status());
    if let Some(challenge) = challenge
        && let Ok(value) = HeaderValue::from_str(challenge)
    {
        out.insert_header((header::WWW_AUTHENTICATE, value));
    }
    if matches!(error.kind, Kind::Busy | Kind::TooMany) {
        out.insert_header((header::RETRY_AFTER, HeaderValue::from_static("1")));
    }
    if matches!(error.kind, Kind::TooLarge | Kind::Timeout) {
        // The rest of the body is not read, so the connection cannot be used again.
        out.force_close();
    }
    out.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    out.insert_header((header::CONTENT_TYPE, FHIR_JSON));
    face.send(&mut out, outcome::of_error(error).to_bytes().into())
}

/// Plain text, for probes and counters.
pub(super) fn text(face: &Face, status: u16, text: String) -> HttpResponse {
    let mut out = face.builder(status);
    out.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")));
    out.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    out.body(text)
}

/// A public JSON document that is no FHIR: keys, discovery. Any origin may read it.
pub(super) fn document(face: &Face, document: &serde_json::Value) -> HttpResponse {
    json(face, document.to_string().into())
}

/// The same, written already.
pub(super) fn json(face: &Face, document: Bytes) -> HttpResponse {
    let mut out = face.builder(200);
    out.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    out.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
    out.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")));
    face.send(&mut out, document)
}

/// What the token endpoint says.
pub(super) fn oauth(face: &Face, answer: OAuthAnswer) -> HttpResponse {
    let mut out = face.builder(answer.status);
    for (name, value) in &answer.headers {
        out.insert_header((*name, value.as_str()));
    }
    out.body(answer.body)
}

/// One line a request that took long, in detail of every one: `path` is its shape, as a path may hold what a caller chose.
pub(super) fn log(request: &HttpRequest, path: &str, face: &Face, status: u16, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let method = request.method().as_str();
    if took >= SLOW {
        tracing::warn!(request.id = &*face.request_id, method, path, status, duration_ms, "slow request");
    } else {
        tracing::debug!(request.id = &*face.request_id, method, path, status, duration_ms, "request");
    }
}
