//! `id`, `meta.versionId` and `meta.lastUpdated`: what the server writes into a resource.
//!
//! For: making the bytes that are stored. A [`Stampable`] is serialised once, before the transaction; inside it the
//! writer only fills in version and time.
//! Not for: merging tags, profiles and security labels of an update; what the client sent stays as it is.
//! Source: <https://hl7.org/fhir/R4/resource.html#Meta>.

use super::json::{Json, Object, write_string};
use crate::clock::Instant;
use bytes::Bytes;

/// A resource as bytes with the version and the time left open.
///
/// `id` stands right after `resourceType`; `meta` keeps its place (or comes after `id`) and starts with `versionId` and
/// `lastUpdated`; what the client sent for these two is dropped. Everything else is as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stampable {
    /// All bytes without the two values.
    bytes: Vec<u8>,
    /// Where the value of `versionId` goes.
    version_at: usize,
    /// Where the value of `lastUpdated` goes.
    updated_at: usize,
}

/// Members of `meta` that the server writes; `_x` are their extensions, which fall with them.
const OURS: [&str; 4] = ["versionId", "lastUpdated", "_versionId", "_lastUpdated"];

impl Stampable {
    /// Serialises a resource under a logical id. A value that is no object is taken as an empty one.
    #[must_use]
    pub fn new(resource: &Json, id: &str) -> Self {
        let empty = Object::default();
        let members = resource.as_object().unwrap_or(&empty);
        let mut out = Self { bytes: Vec::with_capacity(1024), version_at: 0, updated_at: 0 };
        let typed = members.get("resourceType").is_some();
        let has_meta = members.get("meta").is_some();
        out.bytes.push(b'{');
        if !typed {
            out.id_and_meta(id, has_meta);
        }
        for (key, value) in members.iter() {
            match key {
                "id" => {}
                "meta" => out.meta(Some(value)),
                _ => out.member(key, value),
            }
            if key == "resourceType" {
                out.id_and_meta(id, has_meta);
            }
        }
        out.bytes.push(b'}');
        out
    }

    /// The stored bytes of one version.
    #[must_use]
    pub fn stamp(&self, version: i64, updated: Instant) -> Bytes {
        use std::io::Write;
        let mut out = Vec::with_capacity(self.bytes.len() + 48);
        let (head, rest) = self.bytes.split_at_checked(self.version_at).unwrap_or((&self.bytes, &[]));
        let (mid, tail) = rest.split_at_checked(self.updated_at - self.version_at).unwrap_or((rest, &[]));
        out.extend_from_slice(head);
        // Writing to a Vec does not fail.
        write!(out, "{version}").ok();
        out.extend_from_slice(mid);
        write!(out, "{updated}").ok();
        out.extend_from_slice(tail);
        Bytes::from(out)
    }

    /// Bytes of [`Stampable::stamp`]'s result but for the two values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: there is always an object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn comma(&mut self) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
    }

    fn member(&mut self, key: &str, value: &Json) {
        self.comma();
        write_string(key, &mut self.bytes);
        self.bytes.push(b':');
        value.write(&mut self.bytes);
    }

    fn id_and_meta(&mut self, id: &str, has_meta: bool) {
        self.comma();
        self.bytes.extend_from_slice(b"\"id\":");
        write_string(id, &mut self.bytes);
        if !has_meta {
            self.meta(None);
        }
    }

    fn meta(&mut self, sent: Option<&Json>) {
        self.comma();
        self.bytes.extend_from_slice(b"\"meta\":{\"versionId\":\"");
        self.version_at = self.bytes.len();
        self.bytes.extend_from_slice(b"\",\"lastUpdated\":\"");
        self.updated_at = self.bytes.len();
        self.bytes.push(b'"');
        for (key, value) in sent.and_then(Json::as_object).into_iter().flat_map(Object::iter) {
            if !OURS.contains(&key) {
                self.member(key, value);
            }
        }
        self.bytes.push(b'}');
    }
}

/// Puts a logical id into a working tree: right after `resourceType` where there was none.
pub fn set_id(resource: &mut Json, id: &str) {
    if let Some(members) = resource.as_object_mut() {
        let at = members.iter().position(|(key, _)| key == "resourceType").map_or(0, |n| n + 1);
        members.insert_at(at, "id", id);
    }
}

/// Takes `meta.versionId` and `meta.lastUpdated` out of a working tree (and `meta`, when nothing else is in it): what is
/// left tells whether an update changes anything.
pub fn clear(resource: &mut Json) {
    let Some(members) = resource.as_object_mut() else { return };
    let Some(meta) = members.get_mut("meta").and_then(Json::as_object_mut) else { return };
    meta.0.retain(|(key, _)| !OURS.contains(&&**key));
    if meta.is_empty() {
        members.remove("meta");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::parse;

    fn stamped(text: &str) -> String {
        let body = Stampable::new(&parse(text.as_bytes()).unwrap(), "a").stamp(12, Instant(1));
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// R4 resource.html#meta: The server's `id`, `versionId` and `lastUpdated` replace those that were sent;
    /// everything else stays where it was.
    #[test]
    fn id_comes_after_the_type_and_meta_keeps_its_place() {
        const META: &str = r#""meta":{"versionId":"12","lastUpdated":"1970-01-01T00:00:00.000001Z""#;
        for (sent, stored) in [
            (r#"{"resourceType":"X"}"#, format!(r#"{{"resourceType":"X","id":"a",{META}}}}}"#)),
            (
                r#"{"id":"z","resourceType":"X","b":2.50}"#,
                format!(r#"{{"resourceType":"X","id":"a",{META}}},"b":2.50}}"#),
            ),
            (
                r#"{"resourceType":"X","b":"é","meta":{"tag":[{}],"versionId":"7","lastUpdated":"x","source":"s"}}"#,
                format!(r#"{{"resourceType":"X","id":"a","b":"é",{META},"tag":[{{}}],"source":"s"}}}}"#),
            ),
            (r#"{"b":1}"#, format!(r#"{{"id":"a",{META}}},"b":1}}"#)),
            (r#"{"meta":null,"resourceType":"X"}"#, format!(r#"{{{META}}},"resourceType":"X","id":"a"}}"#)),
        ] {
            assert_eq!(stamped(sent), stored);
        }
    }

    #[test]
    fn what_is_left_of_a_stored_resource_is_what_was_sent() {
        let mut tree = parse(stamped(r#"{"resourceType":"X","b":1}"#).as_bytes()).unwrap();
        clear(&mut tree);
        assert_eq!(tree.to_string(), r#"{"resourceType":"X","id":"a","b":1}"#);
        set_id(&mut tree, "c");
        assert_eq!(tree["id"].text(), "c");
    }
}
