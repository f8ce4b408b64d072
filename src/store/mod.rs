//! The store: versions, search rows, shares, pages, in SQLite or PostgreSQL. All SQL of the house lives here.
//!
//! One concrete [`Store`]; reads take a [`Limit`]; writes are [`Work`] run inside a [`Tx`] (SQLite: one writer with group
//! commit; PostgreSQL: one transaction each, retried inside). `pk` of a version is its commit time in microseconds and
//! unique in the database: it is `meta.lastUpdated`, the commit sequence and the order of every index at once.

use crate::access::Limit;
use crate::error::Result;
use crate::fhir::{Json, ResourceType, Target};
use crate::search::Plan;
use futures_util::future::BoxFuture;

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

/// One stored version.
#[derive(Debug, Clone)]
pub struct Version {
    /// Commit time in microseconds, unique: `meta.lastUpdated`.
    pub pk: i64,
    /// Which resource.
    pub target: Target,
    /// 1, 2, 3 …: `meta.versionId`.
    pub version: i64,
    /// What made it. `Delete`: no body.
    pub method: Method,
    /// Logical id of the owning Organization, as hash; 0 = the directory.
    pub org: i64,
    /// The JSON, with id and meta as stored; empty for `Delete`.
    pub body: bytes::Bytes,
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
        todo!()
    }
}

/// The open database.
#[derive(Clone)]
pub struct Store;

/// What a write does inside the transaction. Runs again from the start when PostgreSQL asks for a retry, so it keeps its
/// effects inside `tx` and its result.
pub trait Work: Send + Sync {
    /// What comes back after the commit.
    type Out: Send;
    /// Does it.
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Self::Out>>;
}

/// The open write transaction of one [`Work`].
pub struct Tx;

/// One page of a search.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Matches in order.
    pub rows: Vec<Version>,
    /// All matches, when asked for or known for free.
    pub total: Option<u64>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// Where a page starts: opaque to everyone but the store. `http` signs its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Store {
    /// The current version (a deletion too); `None` when unknown or not visible.
    pub async fn get(&self, _limit: &Limit, _target: &Target) -> Result<Option<Version>> {
        todo!()
    }

    /// One version by number.
    pub async fn get_version(&self, _limit: &Limit, _target: &Target, _version: i64) -> Result<Option<Version>> {
        todo!()
    }

    /// The first page, or the page at `from`.
    pub async fn search(&self, _limit: &Limit, _plan: &Plan, _from: Option<&Cursor>) -> Result<Page> {
        todo!()
    }

    /// Runs a write to its commit: when it returns `Ok`, the data are on disk.
    pub async fn write<W: Work>(&self, _work: W) -> Result<W::Out> {
        todo!()
    }
}

/// All types in one place, for signatures above.
pub type Types = Vec<ResourceType>;
