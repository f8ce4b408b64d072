//! What comes back from the one door: how it ended, and what http and Bundle entries say about it.
//!
//! Not for: failures (`error.rs`), headers (`http/respond.rs`).

use crate::clock::Instant;
use crate::fhir::Target;
use bytes::Bytes;
use uuid::Uuid;

/// How an interaction ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Done; here is what was asked for.
    Ok,
    /// A resource came to be.
    Created,
    /// Done; there is nothing to say.
    NoContent,
    /// The caller has this version already.
    NotModified,
    /// It is, or will be, done in the background.
    Accepted(Progress),
    /// What was done in the background is done; here is where. Until when.
    Manifest(Instant),
    /// What was done in the background failed, with this HTTP status.
    Failed(u16),
}

/// How far a job of the background is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which: `_async/{id}` below the base.
    pub id: Uuid,
    /// Entries done.
    pub done: u64,
    /// Entries.
    pub total: u64,
    /// Whether it was just started.
    pub is_new: bool,
}

impl Done {
    /// HTTP status with its phrase, as `Bundle.entry.response.status` wants it.
    #[must_use]
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "200 OK"),
            Self::Created => (201, "201 Created"),
            Self::NoContent => (204, "204 No Content"),
            Self::NotModified => (304, "304 Not Modified"),
            Self::Accepted(_) => (202, "202 Accepted"),
            Self::Manifest(_) => (200, "200 OK"),
            Self::Failed(status) => (status, ""),
        }
    }
}

/// Which version an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `meta.versionId`.
    pub version: i64,
    /// `meta.lastUpdated`.
    pub updated: Instant,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How it ended.
    pub done: Done,
    /// JSON, or nothing.
    pub body: Bytes,
    /// ETag and Last-Modified.
    pub stamp: Option<Stamp>,
    /// What was written: Location.
    pub location: Option<Target>,
    /// Media type of a body that is no FHIR JSON.
    pub media: Option<&'static str>,
    /// `version.pk` of what it shows of patients: for the audit.
    pub seen: Vec<i64>,
}

impl Answer {
    /// 200 with a body that is no version of a resource.
    #[must_use]
    pub fn of(body: impl Into<Bytes>) -> Self {
        Self { done: Done::Ok, body: body.into(), stamp: None, location: None, media: None, seen: Vec::new() }
    }

    /// An end without a body.
    #[must_use]
    pub fn empty(done: Done) -> Self {
        Self { done, body: Bytes::new(), stamp: None, location: None, media: None, seen: Vec::new() }
    }

    /// `Type/id/_history/n` of what was written.
    #[must_use]
    pub fn version_path(&self) -> Option<String> {
        let (target, stamp) = (self.location.as_ref()?, self.stamp.as_ref()?);
        Some(format!("{target}/_history/{}", stamp.version))
    }
}
