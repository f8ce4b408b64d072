//! The audit row of a write, stored in the write's transaction.

use crate::clock::Instant;

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
