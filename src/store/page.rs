//! Pages: rows of one snapshot, and where the next page starts.

use super::Version;

/// One page of a search or a history.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Matches in order.
    pub rows: Vec<Version>,
    /// All matches, when asked for or known for free.
    pub total: Option<u64>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// Where a page starts: opaque to everyone but the store; letters, digits, `-` and `_`. `http` signs its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);
