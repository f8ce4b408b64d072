//! Subscriptions as rows: as whom each searches, how far it has been told, and when it is tried next.
//!
//! The store itself is the outbox: what a Subscription has not been told yet is what was written after `seen`, so that nothing is
//! kept twice and nothing is lost with a process. A row is written by the transaction that writes its Subscription.
//! Not for: what is asked for (`interaction/subscription`), or the sending (`worker/subscription.rs`).

use super::conn::{Row, Sql};
use super::dialect::Dialect;
use super::search::Moment;
use super::{Audit, Store, Tx, Work};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use futures_util::future::BoxFuture;

/// How long a process may be silent, in seconds, before another sends in its place: longer than a try takes.
pub const HOLD_SECONDS: i64 = 25;

/// One Subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Logical id of the Subscription.
    pub id: String,
    /// `Keys::hooks` of who asked for it.
    pub owner: i64,
    /// Which type its criteria search, as `version.rtype` has it.
    pub rtype: i64,
    /// The caller, as JSON.
    pub caller: String,
    /// `Subscription.status`.
    pub status: String,
    /// Lines of `channel.header` with their values, a JSON array.
    pub headers: String,
    /// `version.pk` up to which all that matches was sent.
    pub seen: i64,
    /// Events sent since it was asked for.
    pub events: i64,
    /// Tries that failed since the last one that did not.
    pub failures: i64,
    /// When the first of them was; 0: there is none.
    pub since: Instant,
    /// When it is tried next.
    pub due: Instant,
    /// What the last failure was; "" where there is none.
    pub error: String,
    /// `Subscription.end`; 0: there is none.
    pub ends: Instant,
}

const COLUMNS: &str = "id, owner, rtype, caller, status, headers, seen, events, failures, since, due, error, ends";

impl Store {
    /// Subscriptions that are to be tried at `now`, those that wait longest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hooks_due(&self, now: Instant) -> Result<Vec<Hook>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM subscription WHERE status IN ('requested', 'active') AND due <= $1 AND until <= $2 \
             ORDER BY due, id"
        );
        self.fetch(&sql, vec![now.0.into(), now.0.into()]).await?.iter().map(hook).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hook(&self, id: &str) -> Result<Option<Hook>> {
        let sql = format!("SELECT {COLUMNS} FROM subscription WHERE id = $1");
        self.fetch(&sql, vec![id.into()]).await?.first().map(hook).transpose()
    }

    /// `pk` of the newest version of a type, as far as a moment shows them; 0: there is none. Nothing older comes later.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest(&self, rtype: ResourceType, at: Option<&Moment>) -> Result<i64> {
        let mut reading = self.reading().await?;
        let mut sql = Sql::new(self.inner.shared.dialect);
        sql.push("SELECT v.pk FROM version v WHERE ").types(&[rtype], "v");
        match (at, self.inner.shared.dialect) {
            (None, _) => {}
            (Some(at), Dialect::Sqlite) => {
                sql.push(" AND v.pk <= ").arg(at.text().parse::<i64>().unwrap_or(0));
            }
            (Some(at), Dialect::Postgres) => {
                let at = sql.snapshot(at.text());
                sql.push(&format!(" AND pg_visible_in_snapshot(v.xid, {at})"));
            }
        }
        sql.push(" ORDER BY v.pk DESC LIMIT 1");
        let rows = reading.conn()?.fetch(sql).await?;
        rows.first().map_or(Ok(0), |row| row.int(0))
    }

    /// Holds a Subscription as it was read. False: another sends, or it has changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hold_hook(&self, hook: &Hook, holder: &str, now: Instant) -> Result<bool> {
        self.write(Step::Hold(hook.id.clone(), hook.seen, holder.to_owned(), now)).await
    }

    /// Notes how a try ended, and lets go. False: another has it by now, or it was asked for anew: then nothing is noted but `row`, which
    /// puts on record what was sent.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_hook(&self, hook: &Hook, holder: &str, row: Option<Audit>) -> Result<bool> {
        self.write(Step::End(Box::new((hook.clone(), row)), holder.to_owned())).await
    }
}

enum Step {
    Hold(String, i64, String, Instant),
    End(Box<(Hook, Option<Audit>)>, String),
}

impl Work for Step {
    type Out = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            match self {
                Self::Hold(id, seen, holder, now) => {
                    let sql = "UPDATE subscription SET holder = $1, until = $2 WHERE id = $3 AND seen = $4 AND until <= $5 \
                               AND status IN ('requested', 'active')";
                    let until = now.plus_seconds(HOLD_SECONDS).0;
                    let args =
                        vec![holder.as_str().into(), until.into(), id.as_str().into(), (*seen).into(), now.0.into()];
                    Ok(tx.execute(sql, args).await? == 1)
                }
                Self::End(ended, holder) => {
                    let (hook, row) = &**ended;
                    if let Some(row) = row {
                        tx.audit(row.clone());
                    }
                    let sql = "UPDATE subscription SET seen = $1, events = $2, failures = $3, since = $4, due = $5, error = $6, \
                               until = 0, holder = '' WHERE id = $7 AND holder = $8";
                    let args = vec![
                        hook.seen.into(),
                        hook.events.into(),
                        hook.failures.into(),
                        hook.since.0.into(),
                        hook.due.0.into(),
                        hook.error.as_str().into(),
                        hook.id.as_str().into(),
                        holder.as_str().into(),
                    ];
                    Ok(tx.execute(sql, args).await? == 1)
                }
            }
        })
    }
}

impl Tx {
    /// One of them, as this transaction sees it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hook(&mut self, id: &str) -> Result<Option<Hook>> {
        let sql = format!("SELECT {COLUMNS} FROM subscription WHERE id = $1");
        self.fetch(&sql, vec![id.into()]).await?.first().map(hook).transpose()
    }

    /// How many Subscriptions of an owner ask for something, without one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hooks_of(&mut self, owner: i64, without: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM subscription WHERE owner = $1 AND id <> $2 AND status <> 'off'";
        let rows = self.fetch(sql, vec![owner.into(), without.into()]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Stores one, in place of what was there. Whoever sends for it now notes nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_hook(&mut self, hook: &Hook) -> Result<()> {
        let sql = format!(
            "INSERT INTO subscription ({COLUMNS}, holder, until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', 0) ON CONFLICT (id) DO UPDATE SET \
             owner = excluded.owner, rtype = excluded.rtype, caller = excluded.caller, status = excluded.status, \
             headers = excluded.headers, seen = excluded.seen, events = excluded.events, failures = excluded.failures, \
             since = excluded.since, due = excluded.due, error = excluded.error, ends = excluded.ends, holder = '', until = 0"
        );
        let args = vec![
            hook.id.as_str().into(),
            hook.owner.into(),
            hook.rtype.into(),
            hook.caller.as_str().into(),
            hook.status.as_str().into(),
            hook.headers.as_str().into(),
            hook.seen.into(),
            hook.events.into(),
            hook.failures.into(),
            hook.since.0.into(),
            hook.due.0.into(),
            hook.error.as_str().into(),
            hook.ends.0.into(),
        ];
        self.execute(&sql, args).await.map(|_| ())
    }

    /// Takes one out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_hook(&mut self, id: &str) -> Result<()> {
        self.execute("DELETE FROM subscription WHERE id = $1", vec![id.into()]).await.map(|_| ())
    }

    /// The last stamp that was given out: all that others commit from now on is newer.
    #[must_use]
    pub fn begun(&self) -> i64 {
        self.last
    }
}

fn hook(row: &Row) -> Result<Hook> {
    Ok(Hook {
        id: row.text(0)?,
        owner: row.int(1)?,
        rtype: row.int(2)?,
        caller: row.text(3)?,
        status: row.text(4)?,
        headers: row.text(5)?,
        seen: row.int(6)?,
        events: row.int(7)?,
        failures: row.int(8)?,
        since: Instant(row.int(9)?),
        due: Instant(row.int(10)?),
        error: row.text(11)?,
        ends: Instant(row.int(12)?),
    })
}

impl Hook {
    /// The type that its criteria search.
    ///
    /// # Errors
    /// `Fault` for a number that no type has.
    pub fn searches(&self) -> Result<ResourceType> {
        let found = ResourceType::all().find(|t| i64::from(t.0) == self.rtype);
        found.ok_or_else(|| Error::fault("a stored number of a type is one of R4's"))
    }
}
