//! Strings: folded rows for "starts with" and `:contains`, a key of the exact text for `:exact`.
//!
//! A name or address is found by any of its parts. Where R4 has a parameter for a part (`family`, `address-city`), the part
//! is stored there only and `name`, `address` look there too; the registry says which parts are elsewhere.
//! Source: <https://hl7.org/fhir/R4/search.html#string>.

use super::{Place, Sink};
use crate::fhir::Json;
use crate::search::fold::{fold, head};
use crate::search::plan::Cond;

/// Characters of a row.
const ROW: usize = 200;
/// A long text has further rows for `:contains`, each beginning so far after the one before; so a searched text of up to
/// that length lies in one row.
const STRIDE: usize = 100;
/// Characters of a text that are searched at all (own limit: a row each [`STRIDE`] of a long note costs writes).
const SEARCHED: usize = 4_000;

const PARTS: [&str; 11] =
    ["text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country"];

pub(in crate::search) fn extract(value: &Json, elsewhere: &[Box<str>], sink: &mut Sink<'_>) {
    match value {
        Json::String(text) => put(text, sink),
        Json::Object(_) => {
            for part in PARTS.iter().filter(|part| !elsewhere.iter().any(|e| **e == ***part)) {
                match &value[*part] {
                    Json::String(text) => put(text, sink),
                    other => other.items().iter().filter_map(Json::as_str).for_each(|text| put(text, sink)),
                }
            }
        }
        _ => {}
    }
}

fn put(text: &str, sink: &mut Sink<'_>) {
    sink.exact("exact", &[text]);
    let folded = fold(head(text, SEARCHED));
    let key = sink.place.key();
    text_rows(&folded, key, sink.place.exact("more", &[]), &mut sink.rows.text);
    sink.found.note(&folded);
}

fn text_rows(folded: &str, key: i64, more: i64, rows: &mut Vec<(i64, String)>) {
    let first = head(folded, ROW);
    rows.push((key, first.into()));
    let mut rest = folded;
    while head(rest, ROW).len() < rest.len() {
        let at = head(rest, STRIDE).len();
        rest = rest.get(at..).unwrap_or_default();
        rows.push((more, head(rest, ROW).into()));
    }
}

/// One text row for the `:text` of tokens.
pub(super) fn label(text: &str, key: i64, rows: &mut Vec<(i64, String)>) {
    rows.push((key, head(&fold(head(text, ROW)), ROW).into()));
}

/// The default search and `:text`: starts with.
pub(in crate::search) fn starts(key: i64, value: &str) -> Result<Cond, String> {
    Ok(Cond::Text { key, text: folded(value, ROW)?, anywhere: false })
}

/// `:contains`.
pub(in crate::search) fn contains(place: &Place<'_>, value: &str) -> Result<Cond, String> {
    let text = folded(value, STRIDE)?;
    let anywhere = |key, text| Cond::Text { key, text, anywhere: true };
    Ok(Cond::Any(vec![anywhere(place.key(), text.clone()), anywhere(place.exact("more", &[]), text)]))
}

/// `:exact`.
pub(in crate::search) fn exact(place: &Place<'_>, value: &str) -> Cond {
    Cond::Exact(vec![place.exact("exact", &[value])])
}

fn folded(value: &str, most: usize) -> Result<String, String> {
    let text = fold(value);
    if text.is_empty() {
        return Err("the text has no letter and no digit; punctuation is not searched".into());
    }
    if head(&text, most).len() < text.len() {
        return Err(format!("the text is longer than {most} characters"));
    }
    Ok(text)
}
