//! The strict JSON reader: RFC 8259 and what FHIR adds, all issues at once, numbers by their text.
//!
//! For: every body that comes in. Refuses duplicate keys, `\u0000`, lone surrogates, control characters, comments, a byte
//! order mark, trailing data, and what is over [`Limits`]; each issue names the element and line:column.
//! Not for: knowing which elements a resource has (`validate`).
//! Source: RFC 8259, <https://hl7.org/fhir/R4/json.html>.

#[cfg(test)]
mod tests;

use super::{Json, Object};
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::path::Path;
use crate::fhir::resource::printable;
use std::collections::HashSet;

/// How far a body may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays inside each other. The reader recurses so deep, so keep it below 200.
    pub depth: usize,
    /// Bytes of one string, unescaped.
    pub string_bytes: usize,
}

impl Limits {
    /// For what was read before, under whatever limits then held.
    pub const STORED: Self = Self { depth: 190, string_bytes: usize::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, string_bytes: 1 << 20 }
    }
}

/// Issues after which reading stops: a body of garbage does not get an answer longer than itself.
const MAX_ISSUES: usize = 50;
/// Own rule: a number has at most so many characters.
const MAX_NUMBER: usize = 256;
/// From so many members on, duplicate keys are looked for by hash.
const MANY_MEMBERS: usize = 24;

/// Reads one JSON value with the default [`Limits`].
///
/// # Errors
/// `Invalid` with all issues that were found.
pub fn parse(bytes: &[u8]) -> Result<Json> {
    parse_with(bytes, &Limits::default())
}

/// Reads one JSON value.
///
/// # Errors
/// `Invalid` with all issues that were found; each names the element (FHIRPath) and line:column.
pub fn parse_with(bytes: &[u8], limits: &Limits) -> Result<Json> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let (line, column) = position(bytes, e.valid_up_to());
            return Err(refuse(format!("the body is not UTF-8 at {line}:{column}; send JSON in UTF-8")));
        }
    };
    if text.starts_with('\u{feff}') {
        return Err(refuse("the body starts with a byte order mark; send JSON in UTF-8 without one"));
    }
    let mut reader = Reader { text, bytes, at: 0, limits, issues: Vec::new(), root: None, scratch: String::new() };
    let path = Path::root("");
    let value = reader.document(&path);
    let Reader { mut issues, root, .. } = reader;
    match (value, issues.is_empty()) {
        (Ok(value), true) => Ok(value),
        _ => {
            if let Some(root) = root {
                let root = printable(&root);
                for issue in &mut issues {
                    let dot = if issue.expression.is_empty() || issue.expression.starts_with('[') { "" } else { "." };
                    issue.expression = format!("{root}{dot}{}", issue.expression);
                }
            }
            Err(Error::with_issues(Kind::Invalid, issues))
        }
    }
}

fn refuse(diagnostics: impl Into<String>) -> Error {
    Error::invalid(diagnostics).code("structure")
}

/// Line and column (in characters) of a byte position, both from 1.
fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let column = before.get(start..).unwrap_or_default().iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
    (line, column)
}

/// The issue is in the list and reading cannot go on.
struct Stop;

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limits: &'a Limits,
    issues: Vec<Issue>,
    /// `resourceType` of the outermost object, once read.
    root: Option<String>,
    scratch: String,
}

impl<'a> Reader<'a> {
    fn document(&mut self, path: &Path<'_>) -> Result<Json, Stop> {
        self.space(path)?;
        if self.at == self.bytes.len() {
            return self.stop(path, "the body is empty; send one JSON object");
        }
        let value = self.value(path, 0)?;
        self.space(path)?;
        if self.at < self.bytes.len() {
            return self.stop(path, "there is more after the end of the JSON value; send one JSON object only");
        }
        Ok(value)
    }

    fn peek(&self) -> u8 {
        // 0 stands for the end: as a byte of the text it is refused wherever it stands.
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Skips white space; a comment stops.
    fn space(&mut self, path: &Path<'_>) -> Result<(), Stop> {
        loop {
            match self.peek() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                b'/' => return self.stop(path, "JSON has no comments; remove it"),
                _ => return Ok(()),
            }
        }
    }

    fn report(&mut self, path: &Path<'_>, at: usize, code: &'static str, what: &str) -> Result<(), Stop> {
        let (line, column) = position(self.bytes, at);
        let mut issue = Issue::error(code, path.to_string(), format!("{what} (line {line}, column {column})"));
        issue.position = u32::try_from(line).ok().zip(u32::try_from(column).ok());
        self.issues.push(issue);
        if self.issues.len() >= MAX_ISSUES { Err(Stop) } else { Ok(()) }
    }

    fn stop<T>(&mut self, path: &Path<'_>, what: &str) -> Result<T, Stop> {
        self.report(path, self.at, "structure", what)?;
        Err(Stop)
    }

    fn unexpected<T>(&mut self, path: &Path<'_>, expected: &str) -> Result<T, Stop> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "the body ends here".to_owned(),
            Some(c) if c.is_control() => format!("found the control character U+{:04X}", u32::from(c)),
            Some(c) => format!("found '{c}'"),
        };
        self.stop(path, &format!("{found}, expected {expected}"))
    }

    fn value(&mut self, path: &Path<'_>, depth: usize) -> Result<Json, Stop> {
        match self.peek() {
            b'"' => self.string(path).map(|s| Json::String(s.to_owned())),
            b'{' => self.object(path, depth),
            b'[' => self.array(path, depth),
            b'-' | b'0'..=b'9' => self.number(path),
            b't' => self.word("true", Json::Bool(true), path),
            b'f' => self.word("false", Json::Bool(false), path),
            b'n' => self.word("null", Json::Null, path),
            _ => self.unexpected(path, "a JSON value"),
        }
    }

    fn word(&mut self, word: &str, value: Json, path: &Path<'_>) -> Result<Json, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) && !rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric) {
            self.at += word.len();
            return Ok(value);
        }
        self.stop(path, &format!("this is no JSON value; expected '{word}', or a string in double quotes"))
    }

    fn deeper(&mut self, path: &Path<'_>, depth: usize) -> Result<(), Stop> {
        if depth < self.limits.depth {
            return Ok(());
        }
        let most = self.limits.depth;
        self.stop(
            path,
            &format!("more than {most} objects and arrays inside each other (limit json-depth); send it flatter"),
        )
    }

    fn array(&mut self, path: &Path<'_>, depth: usize) -> Result<Json, Stop> {
        self.deeper(path, depth)?;
        self.at += 1;
        let mut items = Vec::new();
        self.space(path)?;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            let here = path.item(items.len());
            self.space(&here)?;
            if items.is_empty() {
                items.reserve_exact(1); // most arrays in FHIR have one element
            }
            let item = self.value(&here, depth + 1)?;
            items.push(item);
            self.space(path)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return self.unexpected(path, "',' or ']'"),
            }
        }
    }

    fn object(&mut self, path: &Path<'_>, depth: usize) -> Result<Json, Stop> {
        self.deeper(path, depth)?;
        self.at += 1;
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        let mut seen: HashSet<Box<str>> = HashSet::new();
        self.space(path)?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(Json::Object(Object(members)));
        }
        loop {
            self.space(path)?;
            let key_at = self.at;
            if self.peek() != b'"' {
                return self.unexpected(path, "a member name in double quotes");
            }
            let key: Box<str> = self.string(path)?.into();
            let here = path.member(&key);
            if is_double(&members, &mut seen, &key) {
                self.report(&here, key_at, "structure", "this member stands twice in its object; send it once")?;
            }
            self.space(&here)?;
            if self.peek() != b':' {
                return self.unexpected(&here, "':' after the member name");
            }
            self.at += 1;
            self.space(&here)?;
            let value = self.value(&here, depth + 1)?;
            if depth == 0 && &*key == "resourceType" && self.root.is_none() {
                self.root = value.as_str().filter(|s| s.len() < 64).map(ToOwned::to_owned);
            }
            members.push((key, value));
            self.space(path)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(Json::Object(Object(members)));
                }
                _ => return self.unexpected(path, "',' or '}'"),
            }
        }
    }

    fn number(&mut self, path: &Path<'_>) -> Result<Json, Stop> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.unexpected(path, "a digit after '-'"),
        }
        if self.peek().is_ascii_digit() {
            return self.stop(path, "a number does not start with 0; remove the leading zero");
        }
        if self.peek() == b'.' {
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return self.unexpected(path, "a digit after the decimal point");
            }
            self.digits();
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek().is_ascii_digit() {
                return self.unexpected(path, "a digit of the exponent");
            }
            self.digits();
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if text.len() > MAX_NUMBER {
            self.report(path, start, "too-long", &format!("a number has at most {MAX_NUMBER} characters"))?;
        }
        Ok(Json::Number(text.into()))
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    /// Reads a string, borrowed where it has no escape.
    fn string(&mut self, path: &Path<'_>) -> Result<&str, Stop> {
        let opening = self.at;
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.peek() == b'"' && self.at < self.bytes.len() {
            let end = self.at;
            self.at += 1;
            self.length(path, opening, end - start)?;
            let text: &'a str = self.text;
            return Ok(text.get(start..end).unwrap_or_default());
        }
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        out.push_str(self.text.get(start..self.at).unwrap_or_default());
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    break;
                }
                b'\\' => self.escape(path, &mut out)?,
                _ if self.at >= self.bytes.len() => return self.stop(path, "the body ends inside a string"),
                control => {
                    let what = format!("a string holds the control character U+{control:04X}; write it as an escape");
                    self.report(path, self.at, "structure", &what)?;
                    self.at += 1;
                }
            }
            let from = self.at;
            self.plain();
            out.push_str(self.text.get(from..self.at).unwrap_or_default());
        }
        self.length(path, opening, out.len())?;
        self.scratch = out;
        Ok(&self.scratch)
    }

    /// Moves on to the next quote, backslash or control character.
    fn plain(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
    }

    fn length(&mut self, path: &Path<'_>, at: usize, bytes: usize) -> Result<(), Stop> {
        if bytes <= self.limits.string_bytes {
            return Ok(());
        }
        let most = self.limits.string_bytes;
        self.report(
            path,
            at,
            "too-long",
            &format!("a string has {bytes} bytes; the most is {most} (limit string-bytes)"),
        )
    }

    fn escape(&mut self, path: &Path<'_>, out: &mut String) -> Result<(), Stop> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                let c = self.code_point(path, start)?;
                out.push(c);
                return Ok(());
            }
            _ => return self.unexpected(path, "an escape that JSON has"),
        };
        self.at += 1;
        out.push(c);
        Ok(())
    }

    fn code_point(&mut self, path: &Path<'_>, start: usize) -> Result<char, Stop> {
        let high = self.hex4(path)?;
        let code = match high {
            0xd800..=0xdbff if self.bytes.get(self.at..self.at + 2) == Some(b"\\u") => {
                let back = self.at;
                self.at += 2;
                match self.hex4(path)? {
                    low @ 0xdc00..=0xdfff => 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    _ => {
                        self.at = back;
                        high
                    }
                }
            }
            _ => high,
        };
        match char::from_u32(code) {
            Some('\0') => {
                self.report(path, start, "structure", "a string holds \\u0000, which FHIR does not allow; remove it")?;
                Ok('\u{fffd}')
            }
            Some(c) => Ok(c),
            None => {
                let what = "a string holds half of a surrogate pair; send both halves, or the character itself";
                self.report(path, start, "structure", what)?;
                Ok('\u{fffd}')
            }
        }
    }

    fn hex4(&mut self, path: &Path<'_>) -> Result<u32, Stop> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.unexpected(path, "four hexadecimal digits after \\u");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// Whether `key` is among the members; keeps `seen` once there are many.
fn is_double(members: &[(Box<str>, Json)], seen: &mut HashSet<Box<str>>, key: &str) -> bool {
    if members.len() < MANY_MEMBERS {
        return members.iter().any(|(k, _)| **k == *key);
    }
    if seen.is_empty() {
        seen.extend(members.iter().map(|(k, _)| k.clone()));
    }
    !seen.insert(key.into())
}
