//! JSON that keeps what it was given: number text, key order, escapes resolved.
//!
//! For: every FHIR body. A decimal `2.50` stays `2.50`; `serde_json::Value` would make it `2.5`.
//! Not for: checking what FHIR asks of a resource (`validate.rs`).
//! Source: <https://hl7.org/fhir/R4/json.html>, RFC 8259.

pub mod locate;
pub mod parse;

pub use locate::locate;
pub use parse::{Limits, parse, parse_with};

use std::fmt;
use std::ops::Index;

/// One JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number, by its text.
    Number(Box<str>),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, keys in the order received, each once.
    Object(Object),
}

/// The members of an object, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object(pub Vec<(Box<str>, Json)>);

static NULL: Json = Json::Null;

impl Object {
    /// The member's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| v)
    }

    /// The member's value, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(k, _)| &**k == key).map(|(_, v)| v)
    }

    /// Sets a member in place, or appends it.
    pub fn set(&mut self, key: &str, value: impl Into<Json>) {
        match self.get_mut(key) {
            Some(slot) => *slot = value.into(),
            None => self.0.push((key.into(), value.into())),
        }
    }

    /// Puts a member at position `at` (clamped), or sets it where it stands.
    pub fn insert_at(&mut self, at: usize, key: &str, value: impl Into<Json>) {
        match self.get_mut(key) {
            Some(slot) => *slot = value.into(),
            None => self.0.insert(at.min(self.0.len()), (key.into(), value.into())),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let at = self.0.iter().position(|(k, _)| &**k == key)?;
        Some(self.0.remove(at).1)
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(k, v)| (&**k, v))
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Json {
    /// An empty object.
    #[must_use]
    pub fn object() -> Self {
        Self::Object(Object::default())
    }

    /// The member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object().and_then(|o| o.get(key))
    }

    /// How many objects and arrays stand inside each other; 0 for a text or number.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The member of an object, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        match self {
            Self::Object(o) => o.get_mut(key),
            _ => None,
        }
    }

    /// Sets a member; a value that is no object becomes one.
    pub fn set(&mut self, key: &str, value: impl Into<Json>) {
        if !matches!(self, Self::Object(_)) {
            *self = Self::object();
        }
        if let Self::Object(o) = self {
            o.set(key, value);
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        match self {
            Self::Object(o) => o.remove(key),
            _ => None,
        }
    }

    /// Appends to the array member `key`, making it where it is absent.
    pub fn push(&mut self, key: &str, value: impl Into<Json>) {
        match self.get_mut(key) {
            Some(Self::Array(a)) => a.push(value.into()),
            _ => self.set(key, Self::Array(vec![value.into()])),
        }
    }

    /// As object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(o) => Some(o),
            _ => None,
        }
    }

    /// As object, to change.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(o) => Some(o),
            _ => None,
        }
    }

    /// As string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The string, or "".
    #[must_use]
    pub fn text(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    /// As boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The text of a number.
    #[must_use]
    pub fn as_number(&self) -> Option<&str> {
        match self {
            Self::Number(n) => Some(n),
            _ => None,
        }
    }

    /// A whole number that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(|n| n.parse().ok())
    }

    /// The elements of an array; empty for everything else.
    #[must_use]
    pub fn items(&self) -> &[Json] {
        match self {
            Self::Array(a) => a,
            _ => &[],
        }
    }

    /// The elements of an array, to change; empty for everything else.
    pub fn items_mut(&mut self) -> &mut [Json] {
        match self {
            Self::Array(a) => a,
            _ => &mut [],
        }
    }

    /// Whether it is `null` or was absent.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Writes it without white space, numbers by their text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(n) => out.extend_from_slice(n.as_bytes()),
            Self::String(s) => write_string(s, out),
            Self::Array(a) => {
                out.push(b'[');
                for (n, v) in a.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    v.write(out);
                }
                out.push(b']');
            }
            Self::Object(o) => {
                out.push(b'{');
                for (n, (k, v)) in o.0.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    write_string(k, out);
                    out.push(b':');
                    v.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// As bytes, see [`Json::write`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.write(&mut out);
        out
    }
}

/// Writes a JSON string with its quotes and the escapes that JSON needs; everything else stays UTF-8.
pub fn write_string(s: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = s.as_bytes();
    let mut start = 0;
    for (n, &b) in bytes.iter().enumerate() {
        let escape = match b {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x00..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..n]);
        if escape == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(b >> 4)]);
            out.push(HEX[usize::from(b & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
        start = n + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// `json["status"]` and `json["name"][0]["family"]`: absent is `null`.
impl Index<&str> for Json {
    type Output = Json;
    fn index(&self, key: &str) -> &Json {
        self.get(key).unwrap_or(&NULL)
    }
}

impl Index<usize> for Json {
    type Output = Json;
    fn index(&self, n: usize) -> &Json {
        self.items().get(n).unwrap_or(&NULL)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl From<&str> for Json {
    fn from(s: &str) -> Self {
        Self::String(s.into())
    }
}

impl From<String> for Json {
    fn from(s: String) -> Self {
        Self::String(s)
    }
}

impl From<bool> for Json {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Json {
    fn from(n: i64) -> Self {
        Self::Number(n.to_string().into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(a: Vec<Json>) -> Self {
        Self::Array(a)
    }
}

/// What Baton builds itself with `serde_json::json!`. Never for what a client sent.
impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Number(n) => Self::Number(n.to_string().into()),
            Value::String(s) => Self::String(s),
            Value::Array(a) => Self::Array(a.into_iter().map(Into::into).collect()),
            Value::Object(o) => Self::Object(Object(o.into_iter().map(|(k, v)| (k.into(), v.into())).collect())),
        }
    }
}
