//! Leases: of many nodes one works on a job, and another takes over when it is gone.
//!
//! A lease is renewed in the transaction of each step, so that a step of a holder who lost it is not kept. Steps are made to
//! do no harm when two carry them out: the lease saves work, it does not guard data.

use super::{Store, Tx};
use crate::clock::Instant;
use crate::error::Result;

/// How long a holder may be silent.
pub const SECONDS: i64 = 30;

impl Store {
    /// Whether another than `holder` has the job at `now`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_leased_by_another(&self, job: &str, holder: &str, now: Instant) -> Result<bool> {
        let sql = "SELECT until FROM lease WHERE job = $1 AND holder <> $2 AND until > $3";
        Ok(!self.fetch(sql, vec![job.into(), holder.into(), now.0.into()]).await?.is_empty())
    }
}

impl Tx {
    /// Takes or renews a lease. False: another has it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn lease(&mut self, job: &str, holder: &str, now: Instant) -> Result<bool> {
        let sql = "INSERT INTO lease (job, holder, until) VALUES ($1, $2, $3) ON CONFLICT (job) DO UPDATE \
                   SET holder = excluded.holder, until = excluded.until \
                   WHERE lease.holder = excluded.holder OR lease.until <= $4";
        let until = now.plus_seconds(SECONDS).0;
        let args = vec![job.into(), holder.into(), until.into(), now.0.into()];
        Ok(self.execute(sql, args).await? == 1)
    }

    /// Gives a lease back, where it is held.
    ///
    /// # Errors
    /// What the database says.
    pub async fn release(&mut self, job: &str, holder: &str) -> Result<()> {
        let sql = "DELETE FROM lease WHERE job = $1 AND holder = $2";
        self.execute(sql, vec![job.into(), holder.into()]).await.map(|_| ())
    }
}
