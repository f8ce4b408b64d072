//! Work that nobody waits for: lease, call, finish, sleep.
//!
//! `claims` opens Tasks again whose work was not begun in time · `overdue` asks for the next step of what waits too long
//! · [`reindex`] makes the rows of new search parameters · [`purge`] takes the rows of dead versions away · [`job`]
//! carries Bundles of the background out · [`seal`] chains the audit · [`subscription`] sends notifications. Each step is small,
//! is one transaction among those of the writers, and leaves a mark, so that a crash costs one step. Of many nodes the one
//! with the lease works.
//! No rule of the programme lives here, and no SQL.

mod claims;
pub mod job;
mod overdue;
mod purge;
mod reindex;
pub mod seal;
pub mod subscription;

use crate::clock::Instant;
use crate::error::Result;
use crate::interaction::Engine;
use crate::store::{Tx, Work};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::watch;

/// How long an idle worker sleeps: what other nodes changed is known here after that.
const IDLE: Duration = Duration::from_secs(5);
/// How long it waits for older writes to end.
const WAIT: Duration = Duration::from_millis(100);

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// Something; there may be more.
    Something,
    /// Nothing yet: writes that began before the job have to end first.
    Waits,
    /// There is nothing to do, or another node does it.
    Nothing,
}

/// A worker of one process.
pub struct Worker {
    engine: Engine,
    /// Seconds between two looks at what time has made due; 0: this worker does not look.
    look_seconds: i64,
    /// Holds leases under this name.
    id: String,
    /// When claims were looked at last, in microseconds.
    claims_looked: std::sync::atomic::AtomicI64,
    /// When it looked last at what is overdue, in microseconds.
    overdue_looked: std::sync::atomic::AtomicI64,
}

impl Worker {
    /// A worker that writes through the engine's store, and looks every `look_seconds` at what time has made due (0: never).
    #[must_use]
    pub fn new(engine: Engine, look_seconds: u64) -> Self {
        Self {
            engine,
            look_seconds: i64::try_from(look_seconds).unwrap_or(i64::MAX),
            id: uuid::Uuid::new_v4().to_string(),
            claims_looked: std::sync::atomic::AtomicI64::new(i64::MIN),
            overdue_looked: std::sync::atomic::AtomicI64::new(i64::MIN),
        }
    }

    /// One step of the first job that has something to do. `now`: the clock of leases and of the age of versions.
    ///
    /// # Errors
    /// What the database says. The next step begins where this one did.
    pub async fn step(&self, now: Instant) -> Result<Did> {
        match self.reindex(now).await? {
            Did::Nothing => {}
            did => return Ok(did),
        }
        if self.look_seconds > 0 {
            match self.claims(now).await? {
                Did::Nothing => {}
                did => return Ok(did),
            }
            match self.overdue(now).await? {
                Did::Nothing => {}
                did => return Ok(did),
            }
        }
        self.purge(now).await
    }

    /// Whether a look at `looked` was long enough ago.
    fn looks(&self, looked: Instant, now: Instant) -> bool {
        looked > now || looked.plus_seconds(self.look_seconds) <= now
    }

    /// Works until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let started = std::time::Instant::now();
            let pause = match self.step(Instant::now()).await {
                // As long as it worked: half of the time belongs to others.
                Ok(Did::Something) => started.elapsed().max(Duration::from_millis(1)),
                Ok(Did::Waits) => WAIT,
                Ok(Did::Nothing) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error.source, "a step of the worker failed; it is done again");
                    IDLE
                }
            };
            let told = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
            if told.is_ok() {
                break;
            }
        }
        for job in [reindex::JOB, purge::JOB] {
            let release = Release { job, holder: self.id.clone() };
            if let Err(error) = self.engine.house().store.write(release).await {
                tracing::debug!(%error, job, "a lease is not given back; it ends by itself");
            }
        }
    }
}

struct Release {
    job: &'static str,
    holder: String,
}

impl Work for Release {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { tx.release(self.job, &self.holder).await })
    }
}
