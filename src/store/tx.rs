//! The open write transaction of one `Work`: reads see what was put before; puts are buffered and written in a handful
//! of multi-row statements.

use super::{Audit, Cursor, Method, Page, Share, Version};
use crate::access::Limit;
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::fhir::meta::Stampable;
use crate::search::{Keys, Plan, Rows};
use std::sync::Arc;

/// One version to write.
#[derive(Debug)]
pub struct Put<'a> {
    /// Which resource.
    pub target: Target,
    /// What makes the version.
    pub method: Method,
    /// The resource; `None` for `Delete`.
    pub body: Option<&'a Stampable>,
    /// What it is found by; empty for `Delete`.
    pub rows: Arc<Rows>,
    /// The version it replaces, as read in this transaction (a deletion too); `None` for the first.
    pub before: Option<&'a Version>,
    /// Owner: `Keys::org` hash of the Organization's logical id; 0 for directory types.
    pub org: i64,
}

/// The open write transaction of one `Work`.
pub struct Tx {}

const LATER: &str = "not built yet";

impl Tx {
    /// The database's hash keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys(0, 0)
    }

    /// The current version (a deletion too); `None` when unknown or not visible. Sees what was put before.
    pub async fn get(&mut self, _limit: &Limit, _target: &Target) -> Result<Option<Version>> {
        Err(Error::fault(LATER))
    }

    /// The same for many, in one statement; answers in the order asked.
    pub async fn get_many(&mut self, _limit: &Limit, _targets: &[Target]) -> Result<Vec<Option<Version>>> {
        Err(Error::fault(LATER))
    }

    /// A search that sees what was put before. Writes the buffer out first.
    pub async fn search(&mut self, _limit: &Limit, _plan: &Plan, _from: Option<&Cursor>) -> Result<Page> {
        Err(Error::fault(LATER))
    }

    /// Per criterion the current, visible matches, at most two: enough to tell none, one and many. Criteria of one exact
    /// key each are answered together in one statement and without writing the buffer out.
    pub async fn find(&mut self, _limit: &Limit, _criteria: &[Plan]) -> Result<Vec<Vec<Target>>> {
        Err(Error::fault(LATER))
    }

    /// Adds a version: stamps its body at once and buffers it. The same resource may be put twice; both versions stay.
    pub async fn put(&mut self, _put: Put<'_>) -> Result<Version> {
        Err(Error::fault(LATER))
    }

    /// Lets an organisation see a resource until a time; a second call for the same handoff moves the time.
    pub async fn share(&mut self, _share: Share) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// Takes back all that a handoff shares with an organisation (`None`: with all).
    pub async fn unshare(&mut self, _handoff: &str, _org: Option<i64>) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// Shares with `org` until `until` what `handoff` shares with anyone (`org` 0 holds the template of an open handoff).
    pub async fn copy_shares(&mut self, _handoff: &str, _org: i64, _until: crate::clock::Instant) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// The write's audit row; one a transaction, the last call wins.
    pub fn audit(&mut self, _audit: Audit) {}

    /// Serialises with others on more keys than `Work::locks` knew (PostgreSQL; a lost race of order is retried).
    pub async fn lock(&mut self, _keys: &[i64]) -> Result<()> {
        Err(Error::fault(LATER))
    }

    /// Reads a setting.
    pub async fn setting(&mut self, _name: &str) -> Result<Option<String>> {
        Err(Error::fault(LATER))
    }

    /// Writes a setting.
    pub async fn set_setting(&mut self, _name: &str, _value: &str) -> Result<()> {
        Err(Error::fault(LATER))
    }
}
