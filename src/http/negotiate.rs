//! Media types: what Baton reads and writes.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#mime-type>, `#parameters` (`_format`).

use crate::error::{Error, Result};
use crate::fhir::resource::printable;
use crate::interaction::Media;

const XML: &str = "Baton reads and writes JSON only; use application/fhir+json";

/// Whether an `Accept` header lets us answer JSON.
///
/// # Errors
/// `NotAcceptable`.
pub(super) fn accepts(accept: &str) -> Result<()> {
    if accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_ours = matches!(name, "" | "*/*" | "application/*") || is_json(name);
        let mut is_wanted = true;
        for part in parts {
            match part.split_once('=').map(|(k, v)| (k.trim(), v.trim().trim_matches('"'))) {
                Some(("q", v)) => is_wanted &= v.parse::<f32>().is_ok_and(|q| q > 0.0),
                Some(("fhirVersion", v)) => is_wanted &= is_version(v),
                _ => {}
            }
        }
        is_ours && is_wanted
    }) {
        return Ok(());
    }
    Err(Error::not_acceptable(if accept.contains("xml") {
        XML
    } else {
        "Baton writes application/fhir+json; ask for that"
    }))
}

/// Whether a `_format` names JSON. A '+' in it arrives as a space.
///
/// # Errors
/// `NotAcceptable`.
pub(super) fn takes_format(value: &str) -> Result<()> {
    let name = value.split(';').next().unwrap_or_default().trim().replace(' ', "+");
    match name.as_str() {
        "json" => Ok(()),
        name if is_json(name) => Ok(()),
        "xml" | "text/xml" | "application/xml" | "application/fhir+xml" => Err(Error::not_acceptable(XML)),
        other => Err(Error::not_acceptable(format!("_format={} is not written here; use json", printable(other)))),
    }
}

/// Pages that a report is written as.
const PAGES: [(&str, &str); 2] = [("html", "text/html"), ("pdf", "application/pdf")];

/// The page that a `_format` names: `html`, `text/html`, `pdf`, `application/pdf`.
pub(super) fn page(value: &str) -> Option<&'static str> {
    let name = value.split(';').next().unwrap_or_default().trim();
    PAGES.iter().find(|(short, long)| *short == name || *long == name).map(|(_, long)| *long)
}

/// The page that an `Accept` header wants more than JSON: of the highest weight, the first.
pub(super) fn preferred_page(accept: &str) -> Option<&'static str> {
    let mut best: Option<(f32, Option<&'static str>)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.filter_map(|p| p.strip_prefix("q=")).find_map(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
        let found = page(name).filter(|_| name.contains('/'));
        let counts = found.is_some() || is_json(name) || matches!(name, "*/*" | "application/*");
        if counts && weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, found));
        }
    }
    best.and_then(|(_, page)| page)
}

/// A resource as JSON.
///
/// # Errors
/// `UnsupportedMedia`.
pub(super) fn takes_fhir(header: Option<&str>) -> Result<()> {
    const TEXT: &str = "send the resource as Content-Type: application/fhir+json";
    let header = header.ok_or_else(|| Error::unsupported_media(TEXT))?;
    let name = utf8(header)?;
    match name {
        name if is_json(name) => Ok(()),
        name if name.contains("xml") => Err(Error::unsupported_media(XML)),
        _ => Err(Error::unsupported_media(TEXT)),
    }
}

/// A JSON Patch, or a FHIRPath Patch.
///
/// # Errors
/// `UnsupportedMedia`.
pub(super) fn takes_patch(header: Option<&str>) -> Result<Media> {
    match utf8(header.unwrap_or_default())? {
        "application/json-patch+json" => Ok(Media::JsonPatch),
        name if is_json(name) => Ok(Media::Fhir),
        name if name.contains("xml") => Err(Error::unsupported_media(XML)),
        _ => Err(Error::unsupported_media(
            "send a JSON Patch (RFC 6902) as Content-Type: application/json-patch+json, a FHIRPath Patch (Parameters) as \
             application/fhir+json",
        )),
    }
}

/// A search form.
///
/// # Errors
/// `UnsupportedMedia`.
pub(super) fn takes_form(header: Option<&str>) -> Result<()> {
    match utf8(header.unwrap_or_default())? {
        "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(Error::unsupported_media("send the search as Content-Type: application/x-www-form-urlencoded")),
    }
}

/// The name of a media type whose parameters we can live with.
fn utf8(header: &str) -> Result<&str> {
    let mut parts = header.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "charset" if !value.eq_ignore_ascii_case("utf-8") && !value.eq_ignore_ascii_case("utf8") => {
                return Err(Error::unsupported_media("JSON comes in UTF-8; leave charset out or say charset=utf-8"));
            }
            "fhirversion" if !is_version(value) => {
                return Err(Error::unsupported_media("Baton speaks FHIR R4; fhirVersion is 4.0"));
            }
            _ => {}
        }
    }
    Ok(name)
}

fn is_json(name: &str) -> bool {
    ["application/fhir+json", "application/json", "text/json", "application/json+fhir"]
        .iter()
        .any(|n| n.eq_ignore_ascii_case(name))
}

/// 4.3 (R4B) too: fhir-sdk's client says so whatever it talks to.
fn is_version(version: &str) -> bool {
    matches!(version, "4.0" | "4.0.1" | "4.3" | "4.3.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_sent_to_who_wants_it_more_than_json() {
        for (accept, wants) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some("text/html")),
            ("application/pdf", Some("application/pdf")),
            ("application/fhir+json, text/html;q=0.5", None),
            ("text/html;q=0.4, application/fhir+json;q=0.9", None),
            ("*/*", None),
            ("text/html;q=0", None),
            ("", None),
        ] {
            assert_eq!(preferred_page(accept), wants, "{accept}");
        }
    }

    /// R4 http.html#mime-type: `Accept` with weights, `fhirVersion` and `_format` are understood; what excludes JSON
    /// is 406.
    #[test]
    fn json_in_all_its_names_is_accepted_and_xml_is_not() {
        for (accept, good) in [
            ("*/*", true),
            ("application/fhir+json; fhirVersion=4.3", true),
            ("application/fhir+json;fhirVersion=4.0", true),
            ("application/fhir+json;fhirVersion=5.0", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/fhir+xml", false),
            ("application/fhir+xml, application/fhir+json;q=0.1", true),
            ("application/json;q=0", false),
            ("text/plain", false),
        ] {
            assert_eq!(accepts(accept).is_ok(), good, "{accept}");
        }
        for (format, good) in [("json", true), ("application/fhir json", true), ("xml", false), ("ttl", false)] {
            assert_eq!(takes_format(format).is_ok(), good, "{format}");
        }
        for (header, good) in [
            (Some("application/fhir+json; charset=UTF-8"), true),
            (Some("application/json;fhirVersion=4.3"), true),
            (Some("application/json; charset=latin1"), false),
            (Some("application/fhir+xml"), false),
            (Some("text/plain"), false),
            (None, false),
        ] {
            assert_eq!(takes_fhir(header).is_ok(), good, "{header:?}");
        }
    }
}
