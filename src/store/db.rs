//! Opening, migrating and closing the database.

use super::Work;
use crate::error::{Error, Result};
use crate::search::Keys;

/// How to open the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `sqlite:PATH` (`sqlite:` alone is not a database in memory but an error) or `postgres://…`.
    pub url: String,
    /// Connections for reads.
    pub readers: u32,
    /// Connections for writes (PostgreSQL; SQLite has one).
    pub writers: u32,
    /// Bytes of the cache of current versions (SQLite); 0 turns it off.
    pub cache_bytes: usize,
    /// Works that may wait for the writer before more are refused with 503.
    pub queue: usize,
    /// How long one read may take, in milliseconds.
    pub query_ms: u64,
    /// How long the links of a page hold, in seconds.
    pub page_seconds: i64,
}

impl Settings {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            readers: 8,
            writers: 8,
            cache_bytes: 64 << 20,
            queue: 1024,
            query_ms: 10_000,
            page_seconds: 3600,
        }
    }
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens the database, makes it where there is none (SQLite), and brings its schema up to date.
    ///
    /// # Errors
    /// `Fault` with a sentence for the operator: another process holds the file, the schema is newer, no connection.
    pub async fn open(_settings: &Settings) -> Result<Self> {
        Err(Error::fault("not built yet"))
    }

    /// The database's hash keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys(0, 0)
    }

    /// `version.org` and `share.org` of an Organization's logical id.
    #[must_use]
    pub fn org_key(&self, id: &str) -> i64 {
        self.keys().org(id)
    }

    /// Runs a write to its commit: when it returns `Ok`, the data are on disk.
    ///
    /// # Errors
    /// What the work returned (then nothing of it is stored), or `Busy` when the writer is full.
    pub async fn write<W: Work>(&self, _work: W) -> Result<W::Out> {
        Err(Error::fault("not built yet"))
    }

    /// Waits for running writes and closes all connections.
    pub async fn close(&self) {}
}
