//! The audit row of a write, stored in the write's transaction.

use super::Store;
use crate::clock::Instant;
use crate::error::Result;
use std::collections::HashSet;

/// Who did what; one row a write transaction. Its `first_pk` and `last_pk` name the versions it made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// When by the request's clock (`Ctx.now`).
    pub at: Instant,
    /// Hash of the caller's organisation; 0 for none.
    pub org: i64,
    /// OAuth client.
    pub client: String,
    /// Login name; empty for systems.
    pub usr: String,
    /// `X-Request-Id`.
    pub request_id: String,
    /// Interaction or operation, such as `transaction` or `Task/$claim`.
    pub action: String,
    /// HTTP status of the answer.
    pub outcome: i64,
}

impl Store {
    /// Request ids of all writes whose id begins with `mark`: letters, digits and dashes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn request_ids(&self, mark: &str) -> Result<HashSet<String>> {
        let sql = "SELECT DISTINCT request_id FROM audit WHERE request_id LIKE $1";
        let rows = self.fetch(sql, vec![format!("{mark}%").as_str().into()]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }
}
