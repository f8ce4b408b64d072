//! Connections: SQLite's own few readers, each with a time limit that interrupts a statement; PostgreSQL's out of pools.

use super::conn::Conn;
use super::dialect::sqlite;
use super::loss;
use crate::clock::Instant;
use crate::error::{Error, Result};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A connection out of a pool of PostgreSQL's; one that was lost does not go back.
#[derive(Debug)]
pub struct Pooled {
    conn: PoolConnection<Postgres>,
    /// How long an answer is waited for: longer than the server's own time-out, so that only a dead one takes so long.
    pub patience: Duration,
    /// Whether it was lost.
    pub is_lost: bool,
}

impl Pooled {
    /// A connection that has just been taken.
    pub fn new(conn: PoolConnection<Postgres>, patience: Duration) -> Self {
        Self { conn, patience, is_lost: false }
    }

    /// The driver's connection.
    pub fn raw(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    /// Looks at what came of a statement.
    pub fn judge<T>(&mut self, done: Result<T>) -> Result<T> {
        if done.as_ref().is_err_and(loss::is_lost) {
            self.discard();
        }
        done
    }

    /// Whatever happens, nobody else gets it.
    pub fn discard(&mut self) {
        self.is_lost = true;
        self.conn.close_on_drop();
    }
}

/// SQLite's readers: opened when needed, kept.
pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    permits: Semaphore,
}

struct Reader {
    conn: Conn,
    deadline: Arc<AtomicI64>,
}

/// A connection in use; goes back when dropped.
pub struct Reading<'a> {
    reader: Option<Reader>,
    home: Option<(&'a Readers, SemaphorePermit<'a>)>,
}

impl Readers {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// At most `size` of them.
    pub fn new(path: PathBuf, size: u32) -> Self {
        let size = usize::try_from(size).unwrap_or(8).max(1);
        Self { path, idle: Mutex::new(Vec::new()), permits: Semaphore::new(size) }
    }

    /// Waits for a free one; its statements must end within `query_ms`.
    pub async fn take(&self, query_ms: u64) -> Result<Reading<'_>> {
        let permit = self.permits.acquire().await.map_err(|_| Error::busy("the server is shutting down"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => {
                let (conn, deadline) = sqlite::reader(&self.path).await?;
                Reader { conn: Conn::Sqlite(conn), deadline }
            }
        };
        let micros = i64::try_from(query_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        reader.deadline.store(Instant::now().0.saturating_add(micros), Ordering::Relaxed);
        Ok(Reading { reader: Some(reader), home: Some((self, permit)) })
    }

    /// Closes those that are idle; no more are given out.
    pub async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for reader in idle {
            if let Conn::Sqlite(conn) = reader.conn {
                sqlx::Connection::close(conn).await.ok(); // it only read
            }
        }
    }
}

impl Reading<'_> {
    /// A connection of a pool that takes it back by itself.
    pub fn of(conn: Conn) -> Self {
        Self { reader: Some(Reader { conn, deadline: Arc::default() }), home: None }
    }

    /// The connection.
    pub fn conn(&mut self) -> Result<&mut Conn> {
        self.reader.as_mut().map(|r| &mut r.conn).ok_or_else(|| Error::fault("only drop takes the connection out"))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let (Some((home, permit)), Some(reader)) = (self.home.take(), self.reader.take()) {
            home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            drop(permit);
        }
    }
}
