//! The hash chain over audit rows: each sealed row holds the hash of the one before, so that what is changed, put between or
//! taken away afterwards shows.
//!
//! Writers do not chain: sixteen at a time would wait for each other's commit. They leave rows without a number; a worker
//! seals what is committed, in the order of stamps, a batch a transaction under one lock, within about a second
//! (`interaction/audit/seal.rs`). So a row that commits late gets a later place, and no place is ever left open. The hash
//! covers the row, its place and the AuditEvents that were made of it. What an attacker does to a row before it is sealed is
//! not seen, and the last hash has to be kept elsewhere by who fears one that writes the whole chain anew: `baton audit
//! verify` prints it.
//! Source: own rule; security contract section 4.

use super::{Audit, Detail};
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::Target;
use crate::store::conn::{Arg, Row, Sql};
use crate::store::dialect::Dialect;
use crate::store::read::{COLUMNS, version};
use crate::store::{Store, Tx, Version};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Where the chain ends, in `setting`.
const HEAD: &str = "audit-head";
/// Where it begins since rows whose time was over were taken away, in `setting`.
const CHECKPOINT: &str = "audit-checkpoint";
/// One writer of the chain at a time (PostgreSQL).
pub const LOCK: i64 = 0x4155_4449_5443_4841;

const ROW: &str = "pk, at, org, client, usr, request_id, action, outcome, first_pk, last_pk, detail";

/// A stored row.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its stamp.
    pub pk: i64,
    /// What it says.
    pub audit: Audit,
    /// First and last version made; 0 and 0 for none.
    pub versions: (i64, i64),
    /// `audit.detail` as stored.
    text: String,
}

/// A row in its place.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The row.
    pub row: Recorded,
    /// Its number.
    pub seq: i64,
    /// How many AuditEvents were made of it.
    pub told: i64,
    /// Its hash.
    pub hash: String,
}

/// A place of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Number of a row; 0 before the first.
    pub seq: i64,
    /// Its hash; "" before the first.
    pub hash: String,
}

impl Place {
    fn parse(text: Option<String>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::default()) };
        let (seq, hash) = text.split_once(' ').unwrap_or((&text, ""));
        let seq = seq.parse().map_err(|e| Error::fault("a place of the audit's chain does not read").caused_by(e))?;
        Ok(Self { seq, hash: hash.into() })
    }
}

/// The id of one of a row's AuditEvents. `row`: its stamp.
#[must_use]
pub fn event_id(row: i64, n: i64) -> String {
    format!("a{row}-{n}")
}

/// SHA-256 in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, b| {
        write!(out, "{b:02x}").ok(); // a String takes everything
        out
    })
}

/// What the chain holds of an AuditEvent. `stored`: its body as stored; one that is FHIR has its `pk` in it.
#[must_use]
pub fn digest_of(pk: i64, stored: &[u8]) -> String {
    match stored.first() {
        Some(b'{') => digest(stored),
        _ => digest(&[pk.to_string().as_bytes(), b" ", stored].concat()),
    }
}

impl Recorded {
    /// The place that follows when this row comes next. `events`: [`digest_of`] each of its AuditEvents.
    #[must_use]
    pub fn after(&self, before: &Place, events: &[String]) -> Place {
        let (a, seq) = (&self.audit, before.seq + 1);
        let (first, last) = self.versions;
        let numbers = [seq, self.pk, a.at.0, a.org, a.outcome, first, last];
        let texts = [&a.client, &a.usr, &a.request_id, &a.action, &self.text];
        // JSON, so that no text can pass for two.
        let said = serde_json::json!([before.hash, numbers, texts, events]).to_string();
        Place { seq, hash: digest(said.as_bytes()) }
    }
}

fn recorded(row: &Row) -> Result<Recorded> {
    let text = row.text(10)?;
    let audit = Audit {
        at: Instant(row.int(1)?),
        org: row.int(2)?,
        client: row.text(3)?,
        usr: row.text(4)?,
        request_id: row.text(5)?,
        action: row.text(6)?,
        outcome: row.int(7)?,
        detail: Detail::parse(&text)?,
    };
    Ok(Recorded { pk: row.int(0)?, audit, versions: (row.int(8)?, row.int(9)?), text })
}

fn sealed(row: &Row) -> Result<Sealed> {
    Ok(Sealed { row: recorded(row)?, seq: row.int(11)?, told: row.int(12)?, hash: row.text(13)? })
}

impl Store {
    /// Rows that are not sealed yet, by stamp, at most `most`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unsealed(&self, most: usize) -> Result<Vec<Recorded>> {
        let sql = format!("SELECT {ROW} FROM audit WHERE seq IS NULL ORDER BY pk LIMIT $1");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.fetch(&sql, vec![most.into()]).await?.iter().map(recorded).collect()
    }

    /// Sealed rows after a place, in their order, at most `most`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sealed_after(&self, seq: i64, most: usize) -> Result<Vec<Sealed>> {
        let sql = format!("SELECT {ROW}, seq, told, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.fetch(&sql, vec![seq.into(), most.into()]).await?.iter().map(sealed).collect()
    }

    /// The versions that rows made, and those that they showed, by `pk`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn versions_of(&self, rows: &[Recorded]) -> Result<HashMap<i64, Version>> {
        let mut out = HashMap::new();
        let makers: Vec<i64> = rows.iter().filter(|r| r.versions.0 > 0).map(|r| r.pk).collect();
        let mut shown: Vec<i64> = rows.iter().flat_map(|r| r.audit.detail.seen.iter().copied()).collect();
        shown.sort_unstable();
        shown.dedup();
        let dialect = self.inner.shared.dialect;
        let mut statements = Vec::new();
        if !makers.is_empty() {
            let mut sql = Sql::new(dialect);
            sql.push("SELECT ").push(COLUMNS).push(" FROM audit a CROSS JOIN version v WHERE a.pk").any(&makers);
            sql.push(" AND v.pk >= a.first_pk AND v.pk <= a.last_pk");
            statements.push(sql);
        }
        for some in shown.chunks(1000) {
            let mut sql = Sql::new(dialect);
            sql.push("SELECT ").push(COLUMNS).push(" FROM version v WHERE v.pk").any(some);
            statements.push(sql);
        }
        for sql in statements {
            for row in self.reading().await?.conn()?.fetch(sql).await? {
                let found = version(&row)?;
                out.insert(found.pk, found);
            }
        }
        Ok(out)
    }

    /// [`digest_of`] these AuditEvents, by id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn digests(&self, targets: &[Target]) -> Result<HashMap<String, String>> {
        let keys: Vec<i64> = targets.iter().map(|t| self.inner.shared.keys.target(t.rtype.as_str(), &t.id)).collect();
        let mut sql = Sql::new(self.inner.shared.dialect);
        sql.push("SELECT v.id, v.pk, v.body FROM version v WHERE v.self_key").any(&keys);
        let rows = self.reading().await?.conn()?.fetch(sql).await?;
        rows.iter().map(|row| Ok((row.text(0)?, digest_of(row.int(1)?, &row.bytes(2)?)))).collect()
    }

    /// Where the chain begins: after the last row that was taken away.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chain_start(&self) -> Result<Place> {
        Place::parse(self.setting(CHECKPOINT).await?)
    }

    /// Where it ends.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chain_end(&self) -> Result<Place> {
        Place::parse(self.setting(HEAD).await?)
    }

    /// AuditEvents that are stored, those that sealed rows say they made, and rows that wait to be sealed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn audit_counts(&self) -> Result<[i64; 3]> {
        let sql = "SELECT (SELECT count(*) FROM version WHERE rtype = $1), \
                   (SELECT CAST(coalesce(sum(told), 0) AS BIGINT) FROM audit WHERE seq IS NOT NULL), \
                   (SELECT count(*) FROM audit WHERE seq IS NULL)";
        let rtype = i64::from(crate::fhir::resource::known("AuditEvent").0);
        let rows = self.fetch(sql, vec![rtype.into()]).await?;
        let row = rows.first().ok_or_else(|| Error::fault("counts are one row"))?;
        Ok([row.int(0)?, row.int(1)?, row.int(2)?])
    }
}

impl Tx {
    /// Where the chain ends; for its one writer.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chain_end(&mut self) -> Result<Place> {
        Place::parse(self.setting(HEAD).await?)
    }

    /// Where it begins.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chain_start(&mut self) -> Result<Place> {
        Place::parse(self.setting(CHECKPOINT).await?)
    }

    /// How many of these rows are not sealed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_unsealed(&mut self, pks: &[i64]) -> Result<usize> {
        let (before, after) = self.shared.dialect.any();
        let sql = format!("SELECT count(*) FROM audit WHERE pk{before}$1{after} AND seq IS NULL");
        let rows = self.fetch(&sql, vec![Arg::Ints(pks.to_vec())]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Gives rows their places: pk, AuditEvents, place. The last one is the new end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn seal(&mut self, places: &[(i64, usize, Place)]) -> Result<()> {
        let Some((_, _, end)) = places.last() else { return Ok(()) };
        let list: Vec<_> = places.iter().map(|(pk, told, at)| (pk, at.seq, told, &at.hash)).collect();
        let sql = match self.shared.dialect {
            Dialect::Sqlite => {
                "UPDATE audit SET seq = j.value ->> 1, told = j.value ->> 2, hash = j.value ->> 3 \
                 FROM json_each($1) j WHERE audit.pk = (j.value ->> 0)"
            }
            Dialect::Postgres => {
                "UPDATE audit a SET seq = (j ->> 1)::bigint, told = (j ->> 2)::bigint, hash = j ->> 3 \
                 FROM json_array_elements($1::text::json) j WHERE a.pk = (j ->> 0)::bigint"
            }
        };
        self.with_list(sql, &list).await?;
        self.set_setting(HEAD, &format!("{} {}", end.seq, end.hash)).await
    }

    /// Takes away the rows up to a place, and these AuditEvents; the chain begins there from now on. The rows that searches
    /// find them by go before (`Tx::change_rows`).
    ///
    /// # Errors
    /// What the database says.
    pub async fn cut(&mut self, up_to: &Place, events: &[i64]) -> Result<()> {
        let (before, after) = self.shared.dialect.any();
        if !events.is_empty() {
            let of_event = "DELETE FROM share WHERE (rtype, id) IN (SELECT v.rtype, v.id FROM version v WHERE v.pk";
            self.execute(&format!("{of_event}{before}$1{after})"), vec![events.to_vec().into()]).await?;
            let sql = format!("DELETE FROM version WHERE pk{before}$1{after}");
            self.execute(&sql, vec![events.to_vec().into()]).await?;
        }
        self.execute("DELETE FROM audit WHERE seq <= $1", vec![up_to.seq.into()]).await?;
        self.set_setting(CHECKPOINT, &format!("{} {}", up_to.seq, up_to.hash)).await
    }
}
