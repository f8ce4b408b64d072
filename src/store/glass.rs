//! Broken glass: who sees more of one patient than role, organisation and clearance give, why, and until when.
//!
//! A row is never taken away: what was seen is on record in the audit, why it was is here. Not for: what more is seen
//! (`access/limit.rs`), or who may (`access/label.rs`).

use super::conn::Row;
use super::{Store, Tx, Work};
use crate::clock::Instant;
use crate::error::Result;
use futures_util::future::BoxFuture;

/// One breaking of the glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Random.
    pub id: String,
    /// Login name.
    pub usr: String,
    /// Their role then: with another one it is over.
    pub role: String,
    /// Their organisation then.
    pub org: String,
    /// Logical id of the Patient.
    pub patient: String,
    /// A code of `labels.json`.
    pub reason: String,
    /// In their words.
    pub note: String,
    /// When.
    pub begun: Instant,
    /// Until when it holds.
    pub until: Instant,
}

const COLUMNS: &str = "id, usr, role, org, patient, reason, note, begun, until";

impl Store {
    /// What a user has broken and holds at `now`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn broken_by(&self, usr: &str, now: Instant) -> Result<Vec<Broken>> {
        let sql = format!("SELECT {COLUMNS} FROM glass WHERE usr = $1 AND until > $2 ORDER BY begun");
        self.fetch(&sql, vec![usr.into(), now.0.into()]).await?.iter().map(read).collect()
    }

    /// All that was ever broken, or by one user, the newest last.
    ///
    /// # Errors
    /// What the database says.
    pub async fn broken(&self, usr: Option<&str>) -> Result<Vec<Broken>> {
        let sql = format!("SELECT {COLUMNS} FROM glass WHERE usr = $1 OR $1 = '' ORDER BY begun");
        self.fetch(&sql, vec![usr.unwrap_or_default().into()]).await?.iter().map(read).collect()
    }
}

impl Store {
    /// Ends what a user has broken and still holds at `now`; answers how many.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mend(&self, usr: &str, now: Instant) -> Result<u64> {
        self.write(Mend(usr.to_owned(), now)).await
    }
}

struct Mend(String, Instant);

impl Work for Mend {
    type Out = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<u64>> {
        Box::pin(tx.mend_glass(&self.0, self.1))
    }
}

impl Tx {
    /// Breaks the glass.
    ///
    /// # Errors
    /// What the database says.
    pub async fn break_glass(&mut self, one: &Broken) -> Result<()> {
        let sql = format!("INSERT INTO glass ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        let texts = [&one.id, &one.usr, &one.role, &one.org, &one.patient, &one.reason, &one.note];
        let mut args: Vec<_> = texts.into_iter().map(|t| t.as_str().into()).collect();
        args.extend([one.begun.0.into(), one.until.0.into()]);
        self.execute(&sql, args).await.map(|_| ())
    }

    async fn mend_glass(&mut self, usr: &str, now: Instant) -> Result<u64> {
        let sql = "UPDATE glass SET until = $1 WHERE usr = $2 AND until > $3";
        self.execute(sql, vec![now.0.into(), usr.into(), now.0.into()]).await
    }
}

fn read(row: &Row) -> Result<Broken> {
    Ok(Broken {
        id: row.text(0)?,
        usr: row.text(1)?,
        role: row.text(2)?,
        org: row.text(3)?,
        patient: row.text(4)?,
        reason: row.text(5)?,
        note: row.text(6)?,
        begun: Instant(row.int(7)?),
        until: Instant(row.int(8)?),
    })
}
