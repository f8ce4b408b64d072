//! PostgreSQL gone in the middle of something: known as such, waited for within bounds, and what became of a COMMIT that
//! got no answer.
//!
//! A lost connection is 503 and never 500. Before COMMIT nothing is stored, so the work runs again; after it the outcome is
//! asked for by the transaction's id. Law 2: a 2xx is stored, anything else is not.
//! Not for: SQLite, which lives and dies with the process.
//! Source: <https://www.postgresql.org/docs/current/functions-info.html> (`pg_xact_status`).

use super::conn::failure;
use super::dialect::postgres;
use crate::error::{Error, Result};
use sqlx::PgPool;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the outcome of a COMMIT without an answer is asked for.
const LEARN_FOR: Duration = Duration::from_secs(10);

/// When a connection was last lost, µs since [`START`]: all that are older are not used again, as they were lost with it.
static LAST: AtomicU64 = AtomicU64::new(0);
/// A time before all connections. Monotonic, so that a clock that is set back brings nothing back to life.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Marks an error after a connection was lost: `Error.source`.
#[derive(Debug)]
pub struct Lost(String);

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

/// The error of a lost connection: 503.
pub fn lost(cause: impl Into<String>) -> Error {
    let cause = cause.into();
    LAST.fetch_max(elapsed(), Ordering::Relaxed);
    tracing::warn!(cause, "a connection to the database was lost");
    Error::busy("the database does not answer at the moment; send the request again").caused_by(Lost(cause))
}

/// Whether an error is one of [`lost`].
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    error.source.as_ref().is_some_and(|source| source.is::<Lost>())
}

/// Whether a connection of this age was opened after the last loss.
pub fn is_since(age: Duration) -> bool {
    let last = LAST.load(Ordering::Relaxed);
    let opened = elapsed().saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
    last == 0 || opened > last
}

fn elapsed() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Whether a driver's error means that the connection, or the server behind it, is gone.
pub fn is_one(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // Class 08: connection exceptions. Then admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout,
        // idle_in_transaction_session_timeout, too_many_connections, and read_only_sql_transaction: a standby that was
        // the primary, or is not yet.
        sqlx::Error::Database(of) => of.code().is_some_and(|code| {
            matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006")
                || (code.len() == 5 && code.starts_with("08"))
        }),
        _ => false,
    }
}

/// Waits for an answer of PostgreSQL; none in time is a lost connection.
pub async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(lost(format!("no answer within {} s", patience.as_secs()))),
    }
}

/// Whether a transaction whose COMMIT got no answer was committed; `None` when that cannot be learned in time. `pk`: of a
/// version that it made, where it made any.
pub async fn outcome(pool: &PgPool, xid: &str, pk: Option<i64>) -> Option<bool> {
    let learn = async {
        loop {
            let asked = async {
                let mut conn = pool.acquire().await.map_err(failure)?;
                postgres::outcome(&mut conn, xid, pk).await
            };
            match asked.await {
                Ok(Some(outcome)) => return outcome,
                // The server has not noticed yet that its client is gone.
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, xid, "the outcome of a commit cannot be asked for yet"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let outcome = tokio::time::timeout(LEARN_FOR, learn).await.ok();
    tracing::warn!(xid, ?outcome, "the database was lost during a commit");
    outcome
}

/// What a client is told when it cannot be learned.
pub fn unknown() -> Error {
    Error::busy(
        "the database was lost while this write was being committed, and whether it was stored is unknown. It is safe to \
         send it again when it is conditional: a create with If-None-Exist, an update of a known id or with If-Match, a \
         transaction of such entries; otherwise read first",
    )
}
