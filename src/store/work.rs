//! What a write is: a [`Work`] that runs inside one transaction.

use super::Tx;
use crate::error::Result;
use futures_util::future::BoxFuture;

/// What a write does inside the transaction.
///
/// Runs again from the start when the database asks for it (a lost race on PostgreSQL, a neighbour's failure in a group
/// commit), so it keeps its effects inside `tx` and its result.
pub trait Work: Send + Sync + 'static {
    /// What comes back after the commit.
    type Out: Send + 'static;

    /// Does it.
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Self::Out>>;

    /// What must not run at the same time as another work of the same key (PostgreSQL; SQLite has one writer): criteria
    /// of conditional interactions, targets that are updated, episodes. Any 64-bit numbers, such as hashes of `Keys`.
    fn locks(&self) -> Vec<i64> {
        Vec::new()
    }

    /// How many versions it will write, roughly. Too low costs a second run on PostgreSQL, nothing else.
    fn entries(&self) -> usize {
        16
    }
}
