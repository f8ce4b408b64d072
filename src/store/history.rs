//! History of an instance, a type, or everything: versions newest first, deletions as rows.
//!
//! Source: <https://hl7.org/fhir/R4/http.html#history>.

use super::{Cursor, Page, Store};
use crate::access::Limit;
use crate::error::{Error, Result};
use crate::fhir::{ResourceType, Target};

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `[type]/[id]/_history`.
    Instance(Target),
    /// `[type]/_history`.
    Type(ResourceType),
    /// `_history`.
    System,
}

/// A history request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: Scope,
    /// `_since`: only versions of this instant (microseconds) or later.
    pub since: Option<i64>,
    /// `_at`: only versions that were current at some time in these bounds (microseconds, inclusive).
    pub at: Option<(i64, i64)>,
    /// Rows a page; 0 asks for the count only.
    pub count: usize,
    /// Whether to count all.
    pub total: bool,
    /// The page to continue.
    pub from: Option<Cursor>,
}

impl Store {
    /// Versions newest first. Each is judged by the limit for itself.
    pub async fn history(&self, _limit: &Limit, _query: &HistoryQuery) -> Result<Page> {
        Err(Error::fault("not built yet"))
    }
}
