//! The store: versions, search rows, shares, pages, in SQLite or PostgreSQL. All SQL of the house lives here.
//!
//! One concrete [`Store`]; reads take a [`Limit`](crate::access::Limit); writes are [`Work`] run inside a [`Tx`] (SQLite: one writer with group
//! commit; PostgreSQL: one transaction each, retried inside). `pk` of a version is its commit time in microseconds and
//! unique in the database: it is `meta.lastUpdated`, the commit sequence and the order of every index at once.
//!
//! Where things are: opening `db.rs`, what differs between the two databases `dialect/`, writing `work.rs tx.rs buffer.rs`,
//! reading `read.rs search.rs history.rs`, continuing a page `page.rs`, a database that goes away `loss.rs`.

pub mod audit;
pub mod glass;
pub mod history;
pub mod job;
pub mod label;
pub mod lease;
pub mod oauth;
pub mod page;
pub mod parameter;
pub mod reindex;
pub mod share;
pub mod subscription;
pub mod work;

mod buffer;
mod cache;
mod condition;
mod conn;
mod db;
mod dialect;
mod loss;
mod pool;
mod read;
mod search;
mod setting;
mod tx;
mod writer;

pub use audit::Audit;
pub use db::{Settings, Store};
pub use history::{HistoryQuery, Scope};
pub use page::{Cursor, Page};
pub use search::Moment;
pub use share::Share;
pub use tx::{Present, Put, Tx};
pub use work::Work;

use crate::error::{Error, Result};
use crate::fhir::json::Limits;
use crate::fhir::{Json, Target};

/// `version.method`: what made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// create
    Post,
    /// update
    Put,
    /// patch
    Patch,
    /// delete: the version has no body
    Delete,
}

impl Method {
    /// `Bundle.entry.request.method`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One stored version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Commit time in microseconds, unique: `meta.lastUpdated`.
    pub pk: i64,
    /// Which resource.
    pub target: Target,
    /// 1, 2, 3 …: `meta.versionId`.
    pub version: i64,
    /// What made it. `Delete`: no body.
    pub method: Method,
    /// Logical id of the owning Organization, as hash (`Store::org_key`); 0 = the directory.
    pub org: i64,
    /// The JSON, with id and meta as stored; empty for `Delete`.
    pub body: bytes::Bytes,
    /// Security labels that need clearance, as bits of `access::Labels`. A deletion has those of what it deleted.
    pub labels: i64,
}

impl Version {
    /// Whether this version is a deletion.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.method == Method::Delete
    }

    /// Parses the body.
    ///
    /// # Errors
    /// `Fault`: what is stored was parsed before.
    pub fn json(&self) -> Result<Json> {
        crate::fhir::json::parse_with(&self.body, &Limits::STORED)
            .map_err(|e| Error::fault("a stored body does not parse").caused_by(e))
    }
}
