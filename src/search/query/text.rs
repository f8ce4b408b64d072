//! The text of a query: percent-decoding, and separators with their escapes.
//!
//! Source: <https://hl7.org/fhir/R4/search.html#escaping>: `\,`, `\|`, `\$` and `\\` stand for the signs themselves.

use crate::error::{Error, Result};
use std::borrow::Cow;

/// Splits and decodes a raw query string or form body.
///
/// ```
/// use baton::search::query::pairs;
/// assert_eq!(pairs("a=b+c&d=%C3%A9").unwrap(), [("a".into(), "b c".into()), ("d".into(), "é".into())]);
/// assert!(pairs("a=%E9").is_err());
/// ```
///
/// # Errors
/// `Invalid` when a `%` escape is broken or the text is no UTF-8.
pub fn pairs(raw: &str) -> Result<Vec<(String, String)>> {
    let raw = raw.strip_prefix('?').unwrap_or(raw);
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(bad(
                        text,
                        "a '%' is not followed by two hexadecimal digits; write '%25' for the sign itself",
                    ));
                }
            },
            byte => byte,
        });
    }
    if out.contains(&0) {
        return Err(bad(text, "it holds a NUL character"));
    }
    String::from_utf8(out).map_err(|_| bad(text, "the escapes are no UTF-8"))
}

fn bad(text: &str, why: &str) -> Error {
    Error::invalid(format!("the query cannot be decoded at '{}': {why}", crate::fhir::resource::printable(text)))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok())
}

/// Splits at each separator that is not escaped; the parts keep their escapes.
#[must_use]
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + separator.len_utf8();
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// Takes the escapes out; a backslash before another sign stands for itself.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next @ (',' | '|' | '$' | '\\'))) => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Puts the escapes in.
#[must_use]
pub fn escape(text: &str) -> String {
    let escaped = |c| if matches!(c, ',' | '|' | '$' | '\\') { Some('\\') } else { None };
    text.chars().flat_map(|c| escaped(c).into_iter().chain([c])).collect()
}

/// The known name nearest to an unknown one, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(name);
    let most = if wanted.len() < 4 { 1 } else { (wanted.len() / 3).clamp(2, 3) };
    known.map(|k| (distance(&wanted, &plain(k)), k)).filter(|(d, _)| *d <= most).min().map(|(_, k)| k)
}

/// Edits from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, ca) in a.chars().take(64).enumerate() {
        let mut left = n + 1;
        let mut next = vec![left];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            let [diagonal, up] = pair else { continue };
            left = (left + 1).min(up + 1).min(diagonal + usize::from(ca != *cb));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
