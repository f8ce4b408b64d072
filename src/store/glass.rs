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
    /// What anybody has broken and holds at `now`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn broken_now(&self, now: Instant) -> Result<Vec<Broken>> {
        let sql = format!("SELECT {COLUMNS} FROM glass WHERE until > $1 ORDER BY begun");
        self.fetch(&sql, vec![now.0.into()]).await?.iter().map(read).collect()
    }

    /// Ends what holds at `now`; answers what that was.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mend(&self, what: Held, now: Instant) -> Result<Vec<Broken>> {
        self.write(Mend(what, now)).await
    }
}

/// Which broken glass.
#[derive(Debug, Clone)]
pub enum Held {
    /// By its id.
    One(String),
    /// All that a user holds.
    By(String),
    /// What a user holds of a patient, by the logical id.
    Of(String, String),
}

struct Mend(Held, Instant);

impl Work for Mend {
    type Out = Vec<Broken>;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Vec<Broken>>> {
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

    /// See [`Store::mend`].
    ///
    /// # Errors
    /// What the database says.
    pub async fn mend_glass(&mut self, what: &Held, now: Instant) -> Result<Vec<Broken>> {
        let (id, usr, patient) = match what {
            Held::One(id) => (id.as_str(), "", ""),
            Held::By(usr) => ("", usr.as_str(), ""),
            Held::Of(usr, patient) => ("", usr.as_str(), patient.as_str()),
        };
        let sql = format!(
            "UPDATE glass SET until = $1 WHERE until > $2 AND (id = $3 OR (usr = $4 AND (patient = $5 OR $6 = ''))) RETURNING {COLUMNS}"
        );
        let mut args: Vec<_> = vec![now.0.into(), now.0.into()];
        args.extend([id, usr, patient, patient].map(Into::into));
        self.fetch(&sql, args).await?.iter().map(read).collect()
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
