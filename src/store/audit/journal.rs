//! Rows of what changes nothing - reads, searches, refusals, logins - on their way to disk, many in one transaction.
//!
//! A row waits here for at most [`SOON`] and the time of one write; `kill -9` takes what waits and nothing else. While a
//! write takes longer than [`LATE`], reads wait for it, so that no more than about a second is ever at stake; when the
//! database refuses, reads are refused too (503): nothing is shown that cannot be put on record.
//! Not for: rows of writes, which go with the write.

use super::Audit;
use super::flood::{Floods, MINUTE, Verdict};
use crate::error::{Error, Result};
use crate::store::dialect::sqlite;
use crate::store::{Store, Tx, Work};
use futures_util::future::BoxFuture;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long rows are gathered.
const SOON: Duration = Duration::from_millis(150);
/// From this age of the oldest row on, reads wait for the disk.
const LATE: Duration = Duration::from_millis(800);
/// How long they wait before they are refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a failure.
const AGAIN: Duration = Duration::from_millis(300);
/// Rows of one transaction.
const BATCH: usize = 500;
/// Rows that may wait; more and reads wait.
const MOST: usize = 20_000;

/// What waits.
#[derive(Default)]
pub(in crate::store) struct Journal {
    state: Mutex<State>,
    written: Notify,
    /// Who writes.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Audit>,
    /// Since when the oldest waits.
    since: Option<Instant>,
    /// What is counted in place of being stored.
    floods: Floods,
    /// Somebody writes, or will soon.
    is_busy: bool,
}

impl Journal {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_late(&self) -> bool {
        let state = self.state();
        state.waiting.len() > MOST || state.since.is_some_and(|since| since.elapsed() > LATE)
    }
}

impl Store {
    /// Puts a row on record: it is on disk within a second.
    pub fn note(&self, row: Audit) {
        let journal = &self.inner.journal;
        let mut state = journal.state();
        state.waiting.push(row);
        state.since.get_or_insert_with(Instant::now);
        if !std::mem::replace(&mut state.is_busy, true) {
            let store = self.clone();
            self.inner.runtime.spawn(async move {
                tokio::time::sleep(SOON).await;
                while !store.write_journal().await {
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }

    /// Puts a row on record before anything else is done, from a process beside the server, too.
    ///
    /// # Errors
    /// What the database says: then nothing is to be shown.
    pub async fn record_first(&self, row: Audit) -> Result<()> {
        match self.read_beside() {
            Some(path) => sqlite::record_beside(path, &row),
            None => self.write(Batch(vec![row])).await,
        }
    }

    /// Puts on record what strangers can cause without end: at most so many rows a minute, and a count of the others.
    pub fn note_often(&self, row: Audit) {
        let verdict = self.inner.journal.state().floods.take(row, Instant::now());
        match verdict {
            Verdict::Stored(row) => self.note(*row),
            Verdict::Counted(false) => {}
            Verdict::Counted(true) => {
                let store = self.clone();
                self.inner.runtime.spawn(async move {
                    tokio::time::sleep(MINUTE).await;
                    let over = store.inner.journal.state().floods.over(Instant::now(), false);
                    over.into_iter().for_each(|row| store.note(row));
                });
            }
        }
    }

    /// Waits while the disk does not keep up with what is to be put on record.
    ///
    /// # Errors
    /// `Busy` when it does not for [`PATIENCE`]: then nothing is to be shown.
    pub async fn admit(&self) -> Result<()> {
        let journal = &self.inner.journal;
        if !journal.is_late() {
            return Ok(());
        }
        let caught_up = async {
            loop {
                let written = journal.written.notified();
                if !journal.is_late() {
                    break;
                }
                // Looks again by itself: a notice may come between look and wait.
                tokio::time::timeout(AGAIN, written).await.ok();
            }
        };
        tokio::time::timeout(PATIENCE, caught_up)
            .await
            .map_err(|_| Error::busy("the audit cannot be written, so nothing is shown; try again in a moment"))
    }

    /// Writes what waits; true when nothing is left. False: the database refused, and it waits on.
    async fn write_journal(&self) -> bool {
        let journal = &self.inner.journal;
        let _turn = journal.turn.lock().await;
        loop {
            let batch: Vec<Audit> = {
                let mut state = journal.state();
                if state.waiting.is_empty() {
                    (state.is_busy, state.since) = (false, None);
                    return true;
                }
                let n = state.waiting.len().min(BATCH);
                state.waiting.get(..n).map(<[Audit]>::to_vec).unwrap_or_default()
            };
            let n = batch.len();
            let started = Instant::now();
            if let Err(error) = self.write(Batch(batch)).await {
                tracing::error!(%error, cause = ?error.source, rows = n, "the audit of reads is not written; reads wait");
                return false;
            }
            let mut state = journal.state();
            state.waiting.drain(..n);
            // What is left came at the earliest while the batch was gathered.
            state.since = (!state.waiting.is_empty()).then_some(started);
            drop(state);
            journal.written.notify_waiters();
        }
    }

    /// Writes all that waits, for an orderly end.
    pub(in crate::store) async fn end_journal(&self) {
        {
            let mut state = self.inner.journal.state();
            state.is_busy = true; // nobody else begins
            let counted = state.floods.over(Instant::now(), true);
            state.waiting.extend(counted);
        }
        if !self.write_journal().await {
            tracing::error!("the server ends and the audit of its last reads is lost");
        }
    }
}

/// Rows to write.
struct Batch(Vec<Audit>);

impl Work for Batch {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { tx.record(&self.0) })
    }

    fn entries(&self) -> usize {
        self.0.len() + 1
    }
}
