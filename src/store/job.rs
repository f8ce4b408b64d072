//! Bundles that are carried out in the background, as rows.
//!
//! A job waits, is taken by a process that renews its hold, and is over. What a job writes notes itself in the same
//! transaction ([`Tx::mark`]): a process that lost its hold, or whose job was cancelled, cannot commit; and what a dead process
//! committed is known. So nothing is carried out twice.
//! Not for: what a job does (`interaction/job.rs`), or when (`worker/job.rs`).

use super::conn::Row;
use super::dialect::Dialect;
use super::{Store, Tx};
use crate::clock::Instant;
use crate::error::{Error, Result};

/// How long a process may be silent, in seconds, before another takes its job.
pub const HOLD_SECONDS: i64 = 15;
/// How long an answer is kept.
pub const KEPT_SECONDS: i64 = 24 * 3600;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has taken it.
    Waiting,
    /// A process carries it out.
    Running,
    /// What it wrote is committed, its answer is not stored yet.
    Committed,
    /// There is an answer.
    Over,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Random.
    pub id: String,
    /// Hash of who started it.
    pub owner: i64,
    /// Whether all of it is one transaction; else each entry is one.
    pub is_transaction: bool,
    /// The caller, as JSON.
    pub ctx: String,
    /// The Bundle as sent; empty when it is over.
    pub request: String,
    /// Where it stands.
    pub state: State,
    /// Until when its process holds it.
    pub until: Instant,
    /// When it was started.
    pub made: Instant,
    /// When it was over; 0 before.
    pub ended: Instant,
    /// Entries written.
    pub done: i64,
    /// Entries.
    pub total: i64,
    /// HTTP status of the answer.
    pub status: i64,
    /// JSON.
    pub answer: String,
}

/// What a write that is part of a job notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of which job.
    pub id: String,
    /// By which process.
    pub holder: String,
    /// Whether it is the whole job, or one of its entries.
    pub is_transaction: bool,
}

const COLUMNS: &str = "id, owner, kind, ctx, request, state, until, made, ended, done, total, status, answer";

impl Store {
    /// A job of this owner whose answer is not too old.
    ///
    /// # Errors
    /// What the database says.
    pub async fn job(&self, id: &str, owner: i64, now: Instant) -> Result<Option<Job>> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id = $1 AND owner = $2");
        let rows = self.fetch(&sql, vec![id.into(), owner.into()]).await?;
        let found = rows.first().map(job).transpose()?;
        Ok(found.filter(|job| job.ended.0 == 0 || job.ended.plus_seconds(KEPT_SECONDS) > now))
    }

    /// How many jobs of this owner are not over.
    ///
    /// # Errors
    /// What the database says.
    pub async fn jobs_waiting(&self, owner: i64) -> Result<usize> {
        Ok(self.fetch("SELECT id FROM job WHERE owner = $1 AND state < 3", vec![owner.into()]).await?.len())
    }

    /// The oldest job that `holder` may take, and whether there are answers to throw away.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_job(&self, holder: &str, now: Instant) -> Result<(Option<Job>, bool)> {
        let free = self.free();
        let sql = format!("SELECT {COLUMNS} FROM job WHERE state < 3 AND {free} ORDER BY made LIMIT 1");
        let next = self.fetch(&sql, vec![now.0.into(), holder.into()]).await?;
        let old = "SELECT id FROM job WHERE state = 3 AND ended <= $1 LIMIT 1";
        let old = self.fetch(old, vec![now.plus_seconds(-KEPT_SECONDS).0.into()]).await?;
        Ok((next.first().map(job).transpose()?, !old.is_empty()))
    }

    /// Whether nobody holds a row: `$1` the time, `$2` who asks. On SQLite there is one process, so that what another held
    /// was held by one that is gone.
    fn free(&self) -> &'static str {
        match self.inner.shared.dialect {
            Dialect::Sqlite => "(state = 0 OR until <= $1 OR holder <> $2)",
            Dialect::Postgres => "(state = 0 OR (until <= $1 AND holder <> $2))",
        }
    }
}

impl Tx {
    /// Adds a job that waits.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_job(&mut self, job: &Job) -> Result<()> {
        let sql = "INSERT INTO job (id, owner, kind, ctx, request, state, holder, until, made, ended, done, total, status, answer) \
                   VALUES ($1, $2, $3, $4, $5, 0, '', 0, $6, 0, 0, $7, 0, '')";
        let kind = if job.is_transaction { "transaction" } else { "batch" };
        let args = vec![
            job.id.as_str().into(),
            job.owner.into(),
            kind.into(),
            job.ctx.as_str().into(),
            job.request.as_str().into(),
            job.made.0.into(),
            job.total.into(),
        ];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Takes a job as it was read, or goes on holding it. False: another was faster, or it was cancelled.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_job(&mut self, job: &Job, holder: &str, now: Instant) -> Result<bool> {
        let sql = "UPDATE job SET state = CASE WHEN state = 0 THEN 1 ELSE state END, holder = $1, until = $2 \
                   WHERE id = $3 AND state = $4 AND until = $5";
        let until = now.plus_seconds(HOLD_SECONDS).0;
        let args =
            vec![holder.into(), until.into(), job.id.as_str().into(), code(job.state).into(), job.until.0.into()];
        Ok(self.execute(sql, args).await? == 1)
    }

    /// Goes on holding a job. False: it is another's by now, or was cancelled.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hold_job(&mut self, id: &str, holder: &str, now: Instant) -> Result<bool> {
        let sql = "UPDATE job SET until = $1 WHERE id = $2 AND holder = $3 AND state IN (1, 2)";
        let args = vec![now.plus_seconds(HOLD_SECONDS).0.into(), id.into(), holder.into()];
        Ok(self.execute(sql, args).await? == 1)
    }

    /// Notes that what this transaction writes is part of a job.
    ///
    /// # Errors
    /// `Conflict` when the job was cancelled or is another process's by now: then nothing of it may be committed.
    pub async fn mark(&mut self, mark: &Mark) -> Result<()> {
        let sql = if mark.is_transaction {
            "UPDATE job SET state = 2, done = total WHERE id = $1 AND holder = $2 AND state = 1"
        } else {
            "UPDATE job SET done = done + 1 WHERE id = $1 AND holder = $2 AND state = 1"
        };
        match self.execute(sql, vec![mark.id.as_str().into(), mark.holder.as_str().into()]).await? {
            1 => Ok(()),
            _ => Err(Error::conflict("the job was cancelled")),
        }
    }

    /// Stores the answer of a job that `holder` carried out. False: it was cancelled meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_job(&mut self, id: &str, holder: &str, now: Instant, status: i64, answer: &str) -> Result<bool> {
        let sql = "UPDATE job SET state = 3, ended = $1, status = $2, answer = $3, request = '' \
                   WHERE id = $4 AND holder = $5 AND state IN (1, 2)";
        let args = vec![now.0.into(), status.into(), answer.into(), id.into(), holder.into()];
        Ok(self.execute(sql, args).await? == 1)
    }

    /// Takes a job out, wherever it stands. False: there is none of this owner.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_job(&mut self, id: &str, owner: i64) -> Result<bool> {
        let sql = "DELETE FROM job WHERE id = $1 AND owner = $2";
        Ok(self.execute(sql, vec![id.into(), owner.into()]).await? == 1)
    }

    /// Takes out jobs whose answer is too old.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_old_jobs(&mut self, now: Instant) -> Result<()> {
        let sql = "DELETE FROM job WHERE state = 3 AND ended <= $1";
        self.execute(sql, vec![now.plus_seconds(-KEPT_SECONDS).0.into()]).await.map(|_| ())
    }
}

fn code(state: State) -> i64 {
    match state {
        State::Waiting => 0,
        State::Running => 1,
        State::Committed => 2,
        State::Over => 3,
    }
}

fn job(row: &Row) -> Result<Job> {
    Ok(Job {
        id: row.text(0)?,
        owner: row.int(1)?,
        is_transaction: row.text(2)? == "transaction",
        ctx: row.text(3)?,
        request: row.text(4)?,
        state: match row.int(5)? {
            0 => State::Waiting,
            1 => State::Running,
            2 => State::Committed,
            _ => State::Over,
        },
        until: Instant(row.int(6)?),
        made: Instant(row.int(7)?),
        ended: Instant(row.int(8)?),
        done: row.int(9)?,
        total: row.int(10)?,
        status: row.int(11)?,
        answer: row.text(12)?,
    })
}
