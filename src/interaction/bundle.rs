//! Writing Bundles from stored bytes: no resource is parsed to be answered.
//!
//! Source: <https://hl7.org/fhir/R4/bundle.html>.

use super::page::query_text;
use crate::clock::Instant;
use crate::error::Issue;
use crate::fhir::json::write_string;
use crate::fhir::{Target, outcome};
use crate::store::Version;
use std::io::Write;

/// A Bundle being written.
pub(super) struct Writer<'a> {
    out: Vec<u8>,
    base: &'a str,
    entries: usize,
}

/// `Bundle.link`.
pub(super) struct Link {
    pub(super) relation: &'static str,
    /// Below the base, without its query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
}

impl<'a> Writer<'a> {
    /// Starts a Bundle. `room`: bytes that the entries will take, roughly.
    pub(super) fn new(base: &'a str, kind: &str, total: Option<u64>, links: &[Link], room: usize) -> Self {
        let mut out = Vec::with_capacity(room + 512);
        out.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        if let Some(total) = total {
            write!(out, ",\"total\":{total}").ok();
        }
        for (n, link) in links.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b",\"link\":[{\"relation\":\"" } else { b",{\"relation\":\"" });
            out.extend_from_slice(link.relation.as_bytes());
            out.extend_from_slice(b"\",\"url\":");
            let query = query_text(&link.query);
            let mark = if query.is_empty() { "" } else { "?" };
            let slash = if link.path.is_empty() { "" } else { "/" };
            write_string(&format!("{base}{slash}{}{mark}{query}", link.path), &mut out);
            out.push(b'}');
        }
        if !links.is_empty() {
            out.push(b']');
        }
        Self { out, base, entries: 0 }
    }

    fn open(&mut self) {
        self.out.extend_from_slice(if self.entries == 0 { b",\"entry\":[{" } else { b",{" });
        self.entries += 1;
    }

    fn full_url(&mut self, target: &Target) {
        self.out.extend_from_slice(b"\"fullUrl\":");
        write_string(&format!("{}/{target}", self.base), &mut self.out);
    }

    /// An entry of a searchset. `body`: the resource, whole or in part.
    pub(super) fn found(&mut self, version: &Version, body: &[u8], mode: &str) {
        self.open();
        self.full_url(&version.target);
        self.out.extend_from_slice(b",\"resource\":");
        self.out.extend_from_slice(body);
        write!(self.out, ",\"search\":{{\"mode\":\"{mode}\"}}}}").ok();
    }

    /// Warnings of a search, as its last entry.
    pub(super) fn warnings(&mut self, issues: &[Issue]) {
        self.open();
        self.out.extend_from_slice(b"\"resource\":");
        outcome::of_issues(issues).write(&mut self.out);
        self.out.extend_from_slice(b",\"search\":{\"mode\":\"outcome\"}}");
    }

    /// An entry of a history.
    pub(super) fn version(&mut self, version: &Version) {
        self.open();
        self.full_url(&version.target);
        if !version.is_deleted() {
            self.out.extend_from_slice(b",\"resource\":");
            self.out.extend_from_slice(&version.body);
        }
        let method = version.method.as_str();
        let status = match (version.is_deleted(), version.version) {
            (true, _) => "204 No Content",
            (false, 1) => "201 Created",
            (false, _) => "200 OK",
        };
        let url = if method == "POST" { version.target.rtype.to_string() } else { version.target.to_string() };
        write!(self.out, ",\"request\":{{\"method\":\"{method}\",\"url\":\"{url}\"}}").ok();
        self.response(status, Some((version.version, Instant(version.pk))), None, None);
        self.out.push(b'}');
    }

    fn response(
        &mut self,
        status: &str,
        stamp: Option<(i64, Instant)>,
        location: Option<&str>,
        outcome: Option<&[u8]>,
    ) {
        write!(self.out, ",\"response\":{{\"status\":\"{status}\"").ok();
        if let Some(location) = location {
            self.out.extend_from_slice(b",\"location\":");
            write_string(location, &mut self.out);
        }
        if let Some((version, updated)) = stamp {
            write!(self.out, ",\"etag\":\"W/\\\"{version}\\\"\",\"lastModified\":\"{updated}\"").ok();
        }
        if let Some(outcome) = outcome {
            self.out.extend_from_slice(b",\"outcome\":");
            self.out.extend_from_slice(outcome);
        }
        self.out.push(b'}');
    }

    /// An entry of a transaction-response or batch-response.
    pub(super) fn answered(&mut self, entry: &Answered<'_>) {
        self.open();
        let start = self.out.len();
        if let Some(target) = entry.target {
            self.full_url(target);
        }
        if let Some(resource) = entry.resource {
            if self.out.len() > start {
                self.out.push(b',');
            }
            self.out.extend_from_slice(b"\"resource\":");
            self.out.extend_from_slice(resource);
        }
        let at = self.out.len();
        self.response(entry.status, entry.stamp, entry.location.as_deref(), entry.outcome);
        if at == start {
            self.out.remove(at); // no comma at the start of an object
        }
        self.out.push(b'}');
    }

    /// The Bundle.
    pub(super) fn end(mut self) -> Vec<u8> {
        if self.entries > 0 {
            self.out.push(b']');
        }
        self.out.push(b'}');
        self.out
    }
}

/// One answer of a batch or transaction.
#[derive(Debug, Default)]
pub(super) struct Answered<'a> {
    pub(super) status: &'a str,
    pub(super) target: Option<&'a Target>,
    pub(super) stamp: Option<(i64, Instant)>,
    /// Relative: `Patient/1/_history/1`.
    pub(super) location: Option<String>,
    pub(super) resource: Option<&'a [u8]>,
    pub(super) outcome: Option<&'a [u8]>,
}
