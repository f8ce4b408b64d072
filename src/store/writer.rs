//! How works get to their commit.
//!
//! SQLite: one task owns the one connection that writes. Works that wait share a transaction and its fsync; each can fail
//! alone; each is answered after the commit. PostgreSQL: a transaction each, run again when it lost a race.

use super::conn::{Conn, asks_again, failure, is_timeout};
use super::db::Shared;
use super::dialect::postgres::{self, Begun};
use super::pool::Pooled;
use super::{Tx, Work, loss};
use crate::error::{Error, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Works of one group commit, at most: more makes the first ones wait for nothing (64 share an fsync to within 2 %).
const GROUP: usize = 64;
/// How long a group stays open for more.
const OPEN_FOR: Duration = Duration::from_millis(25);
/// How long a group that is smaller than the one before waits for its next work.
const LINGER: Duration = Duration::from_millis(4);
/// Runs of one work on PostgreSQL before the client is told to come again.
const RUNS: u32 = 12;
/// How long a work that lost its connection begins again.
const WAIT: Duration = Duration::from_secs(10);

/// The writer's queue.
pub type Queue = mpsc::Sender<Box<dyn Job>>;
/// Its other end.
pub type Jobs = mpsc::Receiver<Box<dyn Job>>;

/// A bounded queue.
pub fn queue(size: usize) -> (Queue, Jobs) {
    mpsc::channel(size.max(1))
}

/// A work in the queue.
pub trait Job: Send {
    /// Runs it; keeps what came out.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>>;
    /// Tells the sender: what came out, if the commit worked, or the error.
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Queued<W: Work> {
    work: W,
    out: Option<W::Out>,
    reply: oneshot::Sender<Result<W::Out>>,
}

impl<W: Work> Job for Queued<W> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.out = Some(guarded(&self.work, tx).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let this = *self;
        let out =
            committed.and_then(|()| this.out.ok_or_else(|| Error::fault("a work that was committed has a result")));
        this.reply.send(out).ok(); // a sender that went away does not want it
    }
}

/// Runs a work to the end of its puts; a panic in it is an error like others.
async fn guarded<W: Work>(work: &W, tx: &mut Tx) -> Result<W::Out> {
    let run = async {
        let out = work.run(tx).await?;
        tx.finish().await?;
        Ok(out)
    };
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::fault("a write failed inside").caused_by(text))
        }
    }
}

/// What a full queue answers.
pub fn full() -> Error {
    Error::busy("too many writes are waiting (limit write-queue); send the request again in a moment")
}

/// Hands a work to SQLite's writer and waits for its answer.
pub async fn send<W: Work>(queue: Option<Queue>, work: W) -> Result<W::Out> {
    let queue = queue.ok_or_else(|| Error::busy("the server is shutting down"))?;
    let (reply, answer) = oneshot::channel();
    queue.try_send(Box::new(Queued { work, out: None, reply })).map_err(|_| full())?;
    drop(queue);
    answer.await.map_err(|_| Error::fault("the writer stopped; see the log"))?
}

/// SQLite's writer: until the queue is dropped.
pub async fn run(mut tx: Tx, mut jobs: Jobs) {
    let mut usual = 1;
    while let Some(first) = jobs.recv().await {
        usual = group(&mut tx, first, &mut jobs, usual).await;
    }
    // Everything answered is on disk.
}

/// One transaction for the first work and those that wait or come meanwhile. Answers how many came.
///
/// `usual`: how many came to the one before. As long as there are fewer, the next is waited for a moment: each work more
/// shares the pages that all of them change, and who was just answered is likely to be back.
async fn group(tx: &mut Tx, first: Box<dyn Job>, jobs: &mut Jobs, usual: usize) -> usize {
    let start = Instant::now();
    let mut done: Vec<Box<dyn Job>> = Vec::new();
    let mut next = Some(first);
    if let Err(error) = tx.begin_group().await {
        tracing::error!(%error, source = ?error.source, "the database refuses a transaction");
        if let Some(job) = next {
            job.answer(Err(error));
        }
        return 1;
    }
    let mut came = 0;
    while let Some(mut job) = next.take() {
        came += 1;
        tx.begin_work(0);
        match job.run(tx).await {
            Ok(()) => {
                done.push(job);
                if let Err(error) = tx.keep_work().await {
                    alone(tx, done, error).await;
                    return came;
                }
            }
            Err(error) => {
                let undone = tx.undo_work().await;
                job.answer(Err(error));
                if let Err(error) = undone {
                    alone(tx, done, error).await;
                    return came;
                }
            }
        }
        if done.len() < GROUP && start.elapsed() < OPEN_FOR {
            next = jobs.try_recv().ok();
            if next.is_none() && came < usual {
                next = tokio::time::timeout(LINGER, jobs.recv()).await.ok().flatten();
            }
        }
    }
    match tx.commit_group().await {
        Ok(()) => done.into_iter().for_each(|job| job.answer(Ok(()))),
        Err(error) => alone(tx, done, error).await,
    }
    came
}

/// After a commit that failed: each work in a transaction of its own, so that one does not spoil the others.
async fn alone(tx: &mut Tx, done: Vec<Box<dyn Job>>, error: Error) {
    tx.abandon_group().await;
    tracing::warn!(%error, source = ?error.source, works = done.len(), "a group commit failed; its works run one by one");
    for mut job in done {
        let mut run = async || {
            tx.begin_group().await?;
            tx.begin_work(0);
            job.run(tx).await?;
            tx.keep_work().await?;
            tx.commit_group().await
        };
        let outcome = run().await;
        if outcome.is_err() {
            tx.abandon_group().await;
        }
        job.answer(outcome.map_err(conflict));
    }
}

/// SQLite has no races: a work that loses one anyway asks for something that is there already.
fn conflict(error: Error) -> Error {
    if asks_again(&error).is_some() {
        return Error::conflict("the resource was written meanwhile, or exists already; read it and try again")
            .caused_by(error);
    }
    error
}

/// Runs a work in a PostgreSQL transaction, again when it lost a race, or lost the database before its commit.
pub async fn run_on_postgres<W: Work>(shared: &Arc<Shared>, pool: &PgPool, work: &W) -> Result<W::Out> {
    let mut entries = work.entries();
    let mut run = 0;
    let start = Instant::now();
    loop {
        run += 1;
        match once(shared, pool, work, entries).await {
            Ok(out) => return Ok(out),
            Err(error) if loss::is_lost(&error) && run < RUNS && start.elapsed() < WAIT => {
                tracing::debug!(run, "a write runs again after a lost connection");
            }
            Err(error) if is_timeout(&error) => {
                return Err(Error::busy("the database takes too long over this write; try again").caused_by(error));
            }
            Err(error) => {
                let Some(mark) = asks_again(&error) else { return Err(error) };
                if run >= RUNS {
                    tracing::warn!(source = ?error.source, runs = run, "a write lost too many races");
                    return Err(error);
                }
                tracing::debug!(cause = %mark, run, "a write runs again");
                entries = mark.entries.unwrap_or(entries);
            }
        }
        // A little longer each time, and not the same for all.
        let spread = u64::from(std::process::id() ^ run.wrapping_mul(2_654_435_761)) % 4;
        tokio::time::sleep(Duration::from_millis(u64::from(run) * 2 + spread)).await;
    }
}

async fn once<W: Work>(shared: &Arc<Shared>, pool: &PgPool, work: &W, entries: usize) -> Result<W::Out> {
    let conn = pool.acquire().await.map_err(failure)?;
    let mut conn = Pooled::new(conn, postgres::WRITE_PATIENCE);
    let block = i64::try_from(entries).unwrap_or(i64::MAX / 4) * 2 + 64;
    let begun = loss::within(conn.patience, postgres::begin(conn.raw(), &work.locks(), block)).await;
    let Begun { first, xid, generation } = begun.inspect_err(|_| {
        // The session may hold the lock of `take_stamps`: only its end is sure to give it back.
        conn.discard();
    })?;
    let mut tx = Tx::new(Arc::clone(shared), Conn::Postgres(conn), first - 1);
    tx.set_generation(generation);
    tx.begin_work(first + block - 1);
    let out = match guarded(work, &mut tx).await {
        Ok(out) => out,
        Err(error) => {
            tx.roll_back().await;
            return Err(error);
        }
    };
    match tx.commit().await {
        Ok(()) => Ok(out),
        Err(error) if loss::is_lost(&error) => {
            let made = tx.a_version();
            drop(tx);
            match loss::outcome(pool, &xid, made).await {
                Some(true) => Ok(out),
                Some(false) => Err(error),
                None => Err(loss::unknown()),
            }
        }
        Err(error) => {
            tx.roll_back().await;
            Err(error)
        }
    }
}
