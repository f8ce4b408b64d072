//! Headers in: what a request says besides its path and body.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#general>, RFC 7240 (Prefer).

use super::negotiate;
use crate::config::Limits;
use crate::error::{Error, Kind, Result};
use crate::interaction::{Media, Prefer, Preference, Verb, Wire};
use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The method.
///
/// # Errors
/// `MethodNotAllowed` for those that FHIR does not use.
pub(super) fn verb(request: &HttpRequest) -> Result<Verb> {
    Verb::parse(request.method().as_str())
        .ok_or_else(|| Error::method_not_allowed("the FHIR API takes GET, HEAD, POST, PUT, PATCH and DELETE"))
}

/// Refuses what is too long before anything is read.
///
/// # Errors
/// `UrlTooLong`, `HeadersTooLarge`.
pub(super) fn limits(request: &HttpRequest, limits: &Limits) -> Result<()> {
    let uri = request.uri();
    let url = uri.path().len() + uri.query().map_or(0, str::len);
    if url > Limits::size(limits.url_bytes) {
        let text =
            format!("the URL is longer than {} bytes (limit url-bytes); search by POST to _search", limits.url_bytes);
        return Err(Error::new(Kind::UrlTooLong, text));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers > Limits::size(limits.header_bytes) {
        return Err(Error::new(
            Kind::HeadersTooLarge,
            format!("the headers are larger than {} bytes (limit header-bytes)", limits.header_bytes),
        ));
    }
    Ok(())
}

/// The path below the FHIR base, decoded.
///
/// # Errors
/// `Invalid` for a path that is not UTF-8 or hides a slash.
pub(super) fn path(request: &HttpRequest) -> Result<Cow<'_, str>> {
    let path = request.path().strip_prefix("/fhir").unwrap_or_default().trim_start_matches('/');
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    if path.contains("%2f") || path.contains("%2F") {
        return Err(Error::invalid("the path hides a slash"));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| Error::invalid("the path is not UTF-8"))
}

/// Reads the headers.
///
/// # Errors
/// `Invalid` for a header that is not ASCII or stands twice.
pub(super) fn read(request: &HttpRequest, verb: Verb, preferences: &[(Preference, &str)]) -> Result<Wire> {
    let text = |name: &str| -> Result<Option<String>> {
        let mut all = request.headers().get_all(name);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => match value.to_str() {
                Ok(text) => Ok(Some(text.to_owned())),
                // Criteria may hold letters of any alphabet: they come as UTF-8 or escaped.
                Err(_) => String::from_utf8(value.as_bytes().to_vec())
                    .map(Some)
                    .map_err(|_| Error::invalid(format!("the header {name} is neither ASCII nor UTF-8"))),
            },
            (Some(_), Some(_)) => Err(Error::invalid(format!("the header {name} stands twice"))),
        }
    };
    let mut wire = Wire::new(verb, request.query_string());
    match verb {
        Verb::Get | Verb::Head => {
            wire.if_none_match = text("if-none-match")?;
            // A date that cannot be read is ignored, as RFC 9110 13.1.3 says.
            wire.if_modified_since = text("if-modified-since")?.as_deref().and_then(http_date);
        }
        Verb::Post => {
            wire.if_none_exist = text("if-none-exist")?;
            wire.if_none_match = text("if-none-match")?;
        }
        Verb::Put | Verb::Patch | Verb::Delete => wire.if_none_match = text("if-none-match")?,
    }
    if !matches!(verb, Verb::Get | Verb::Head) {
        wire.if_match = text("if-match")?;
        wire.provenance = text("x-provenance")?;
    }
    for (_, text) in preferences {
        match *text {
            "return=minimal" => wire.prefer = Some(Prefer::Minimal),
            "return=representation" => wire.prefer = Some(Prefer::Representation),
            "return=OperationOutcome" => wire.prefer = Some(Prefer::Outcome),
            "handling=lenient" => wire.lenient = true,
            "respond-async" => wire.is_async = true,
            _ => {}
        }
    }
    Ok(wire)
}

/// The preferences that are understood, as `Preference-Applied` names them.
const PREFERENCES: [(Preference, &str); 6] = [
    (Preference::Return, "return=minimal"),
    (Preference::Return, "return=representation"),
    (Preference::Return, "return=OperationOutcome"),
    (Preference::Handling, "handling=lenient"),
    (Preference::Handling, "handling=strict"),
    (Preference::Async, "respond-async"),
];

/// Reads `Prefer`: of each kind the first one; what is not understood is ignored.
///
/// Source: RFC 7240, section 2: names know no case, values may be quoted.
pub(super) fn preferences(request: &HttpRequest) -> Vec<(Preference, &'static str)> {
    let mut found: Vec<(Preference, &'static str)> = Vec::new();
    for value in request.headers().get_all("prefer") {
        for part in value.to_str().unwrap_or_default().split([',', ';']) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            let asked = if value.is_empty() { name.trim().to_owned() } else { format!("{}={value}", name.trim()) };
            let known = PREFERENCES.iter().find(|(_, text)| text.eq_ignore_ascii_case(&asked));
            if let Some((kind, text)) = known
                && found.iter().all(|(other, _)| other != kind)
            {
                found.push((*kind, text));
            }
        }
    }
    found
}

/// Judges the media type of a body.
///
/// # Errors
/// `UnsupportedMedia`.
pub(super) fn content_type(request: &HttpRequest, verb: Verb, path: &str, is_empty: bool) -> Result<Media> {
    let header = request.headers().get("content-type").map(|v| v.to_str().unwrap_or("?"));
    let is_search = verb == Verb::Post && path.trim_end_matches('/').ends_with("_search");
    if is_empty && header.is_none() {
        return Ok(if is_search { Media::Form } else { Media::Fhir });
    }
    match (verb, is_search) {
        (_, true) => negotiate::takes_form(header).map(|()| Media::Form),
        (Verb::Patch, _) => negotiate::takes_patch(header),
        _ if is_empty => Ok(Media::Fhir),
        _ => negotiate::takes_fhir(header).map(|()| Media::Fhir),
    }
}

/// Seconds since 1970 of an HTTP date.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(|t| t.as_second())
}
