//! Rows that are added to, or taken from, versions that are stored already.
//!
//! For: making the rows of a new search parameter, and taking those of dead versions away. All rows of a batch go in one
//! statement a table, and a row that is there already does no harm.
//! Not for: the rows of a write (`buffer.rs`), or when (`worker`).

use super::conn::Sql;
use super::dialect::{Dialect, postgres};
use super::read::version;
use super::{Store, Tx, Version};
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::search::Rows;
use serde::Serialize;

/// A version as a reindex finds it.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The version.
    pub version: Version,
    /// `version.facts`.
    pub facts: String,
    /// Nothing replaced it.
    pub is_current: bool,
}

/// What is to change at one version.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Which.
    pub pk: i64,
    /// Rows to add.
    pub add: Rows,
    /// Rows to take away first.
    pub remove: Rows,
    /// `version.facts`, where they change.
    pub facts: Option<String>,
    /// Whether full text is among the rows to add.
    pub has_words: bool,
}

/// A version that died, and what it held.
#[derive(Debug, Clone)]
pub struct Dead {
    /// Which.
    pub pk: i64,
    /// Its body.
    pub body: bytes::Bytes,
}

impl Store {
    /// Versions of a type after `mark` up to `last`, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn scan(&self, rtype: ResourceType, mark: i64, last: i64, limit: usize) -> Result<Vec<Scanned>> {
        let sql = "SELECT v.pk, v.rtype, v.id, v.version, v.method, v.org, v.body, v.labels, v.facts, v.ended FROM version v \
                   WHERE v.rtype = $1 AND v.pk > $2 AND v.pk <= $3 ORDER BY v.pk LIMIT $4";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.fetch(sql, vec![i64::from(rtype.0).into(), mark.into(), last.into(), limit.into()]).await?;
        rows.iter()
            .map(|row| Ok(Scanned { version: version(row)?, facts: row.text(8)?, is_current: row.int(9)? == i64::MAX }))
            .collect()
    }

    /// Rows of `idx`, `idx_range`, `idx_text` and `fulltext`: for tests and operators, as it counts them all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn row_counts(&self) -> Result<[i64; 4]> {
        let column = if self.inner.shared.dialect == Dialect::Sqlite { "rowid" } else { "pk" };
        let sql = format!(
            "SELECT (SELECT count(*) FROM idx), (SELECT count(*) FROM idx_range), (SELECT count(*) FROM idx_text), \
             (SELECT count({column}) FROM fulltext)"
        );
        let rows = self.fetch(&sql, Vec::new()).await?;
        let row = rows.first().ok_or_else(|| Error::fault("counts are one row"))?;
        Ok([row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?])
    }

    /// The newest version, and how many there are of these types.
    ///
    /// # Errors
    /// What the database says.
    pub async fn extent(&self, types: &[ResourceType]) -> Result<(i64, u64)> {
        let rows = self.fetch("SELECT coalesce(max(pk), 0) FROM version", Vec::new()).await?;
        let last = rows.first().map_or(Ok(0), |row| row.int(0))?;
        let mut sql = Sql::new(self.inner.shared.dialect);
        sql.push("SELECT count(*) FROM version v WHERE ").types(types, "v").push(" AND v.pk <= ").arg(last);
        let rows = self.reading().await?.conn()?.fetch(sql).await?;
        let total = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok((last, u64::try_from(total).unwrap_or(0)))
    }

    /// PostgreSQL: the id that the next write will have, and the lowest one of a write that may still run. Zero and zero on
    /// SQLite, where writes come one after the other.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fence(&self) -> Result<(i64, i64)> {
        if self.inner.shared.dialect == Dialect::Sqlite {
            return Ok((0, 0));
        }
        let mut reading = self.reading().await?;
        let horizon = reading.conn()?.horizon().await?;
        let horizon = horizon.split(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let sql = Sql::of(Dialect::Postgres, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text", Vec::new());
        let rows = reading.conn()?.fetch(sql).await?;
        let next = rows.first().map_or(Ok(String::new()), |row| row.text(0))?;
        Ok((next.parse().unwrap_or(i64::MAX), horizon))
    }

    /// What was replaced by versions after `mark` up to `until`, looking at no more than `limit` of these; and the mark to go
    /// on from. A write that may still run is never passed over.
    ///
    /// # Errors
    /// What the database says.
    pub async fn dead(&self, mark: i64, until: i64, limit: usize) -> Result<(Vec<Dead>, i64)> {
        let mut reading = self.reading().await?;
        let mut sql = Sql::new(self.inner.shared.dialect);
        sql.push("SELECT w.pk, p.pk, p.body FROM (SELECT n.pk, n.self_key, n.version FROM version n WHERE n.pk > ");
        sql.arg(mark).push(" AND n.pk <= ").arg(until);
        if sql.dialect == Dialect::Postgres {
            let horizon = reading.conn()?.horizon().await?;
            let at = sql.snapshot(&horizon);
            sql.push(&format!(" AND pg_visible_in_snapshot(n.xid, {at})"));
        }
        sql.push(" ORDER BY n.pk LIMIT ").arg(i64::try_from(limit).unwrap_or(i64::MAX));
        sql.push(") w LEFT JOIN version p ON p.self_key = w.self_key AND p.version = w.version - 1 ORDER BY w.pk");
        let rows = reading.conn()?.fetch(sql).await?;
        let mut dead = Vec::new();
        let mut next = mark;
        for row in &rows {
            next = next.max(row.int(0)?);
            if let Some(pk) = row.opt_int(1)? {
                dead.push(Dead { pk, body: row.bytes(2)? });
            }
        }
        Ok((dead, next))
    }
}

impl Tx {
    /// Carries out the changes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn change_rows(&mut self, changes: &[Change]) -> Result<()> {
        let dialect = self.shared.dialect;
        for table in Table::ALL {
            let gone = table.rows(changes, |c| &c.remove);
            self.with_list(&table.delete(dialect), &gone).await?;
        }
        for table in Table::ALL {
            let new = table.rows(changes, |c| &c.add);
            self.with_list(&table.insert(dialect), &new).await?;
        }
        let facts: Vec<_> = changes.iter().filter_map(|c| Some((c.pk, c.facts.as_deref()?))).collect();
        let sql = match dialect {
            Dialect::Sqlite => {
                "UPDATE version SET facts = j.value ->> 1 FROM json_each($1) j \
                 WHERE version.pk = (j.value ->> 0) AND version.ended = 9223372036854775807"
            }
            Dialect::Postgres => {
                "UPDATE version v SET facts = j ->> 1 FROM json_array_elements($1::text::json) j \
                 WHERE v.pk = (j ->> 0)::bigint AND v.ended = 9223372036854775807"
            }
        };
        self.with_list(sql, &facts).await?;
        let with_words: Vec<&Change> = changes.iter().filter(|c| c.has_words).collect();
        self.remove_words(&with_words.iter().map(|c| c.pk).collect::<Vec<_>>()).await?;
        let words = with_words.iter().filter(|c| !c.add.words.is_empty());
        match dialect {
            Dialect::Sqlite => {
                let list: Vec<_> = words.map(|c| (c.pk, &c.add.words.narrative, &c.add.words.content)).collect();
                let sql = "INSERT INTO fulltext (rowid, narrative, content) \
                           SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)";
                self.with_list(sql, &list).await
            }
            Dialect::Postgres => {
                let list: Vec<_> = words.map(|c| (c.pk, postgres::tsvector(&c.add.words))).collect();
                let sql = "INSERT INTO fulltext (pk, words) SELECT (j ->> 0)::bigint, (j ->> 1)::tsvector \
                           FROM json_array_elements($1::text::json) j";
                self.with_list(sql, &list).await
            }
        }
    }

    /// Takes the full text of versions away.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_words(&mut self, pks: &[i64]) -> Result<()> {
        if pks.is_empty() {
            return Ok(());
        }
        let (before, after) = self.shared.dialect.any();
        let column = if self.shared.dialect == Dialect::Sqlite { "rowid" } else { "pk" };
        let sql = format!("DELETE FROM fulltext WHERE {column}{before}$1{after}");
        self.execute(&sql, vec![pks.to_vec().into()]).await.map(|_| ())
    }

    pub(super) async fn with_list<T: Serialize>(&mut self, sql: &str, list: &[T]) -> Result<()> {
        if list.is_empty() {
            return Ok(());
        }
        let list = serde_json::to_string(list).map_err(|e| Error::fault("rows are JSON").caused_by(e))?;
        self.execute(sql, vec![list.into()]).await.map(|_| ())
    }
}

/// A table of search rows.
#[derive(Debug, Clone, Copy)]
enum Table {
    Exact,
    Range,
    Text,
}

impl Table {
    const ALL: [Self; 3] = [Self::Exact, Self::Range, Self::Text];

    /// Name, and columns with their types on PostgreSQL.
    const fn columns(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::Exact => ("idx", &[("key", "bigint"), ("pk", "bigint")]),
            Self::Range => ("idx_range", &[("key", "bigint"), ("pk", "bigint"), ("lo", "bigint"), ("hi", "bigint")]),
            Self::Text => ("idx_text", &[("key", "bigint"), ("pk", "bigint"), ("text", "text")]),
        }
    }

    fn rows<'a>(self, changes: &'a [Change], of: impl Fn(&'a Change) -> &'a Rows) -> Vec<serde_json::Value> {
        use serde_json::json;
        let mut out = Vec::new();
        for change in changes {
            let (rows, pk) = (of(change), change.pk);
            match self {
                Self::Exact => out.extend(rows.exact.iter().map(|key| json!([key, pk]))),
                Self::Range => out.extend(rows.range.iter().map(|(key, lo, hi)| json!([key, pk, lo, hi]))),
                Self::Text => out.extend(rows.text.iter().map(|(key, text)| json!([key, pk, text]))),
            }
        }
        out
    }

    fn insert(self, dialect: Dialect) -> String {
        let (table, columns) = self.columns();
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        let values: Vec<String> = columns.iter().enumerate().map(|(n, c)| element(dialect, n, c.1)).collect();
        let from = list(dialect);
        format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {from} j WHERE true ON CONFLICT DO NOTHING",
            names.join(", "),
            values.join(", ")
        )
    }

    fn delete(self, dialect: Dialect) -> String {
        let (table, columns) = self.columns();
        let from = list(dialect);
        let values: Vec<String> = columns.iter().enumerate().map(|(n, c)| element(dialect, n, c.1)).collect();
        match dialect {
            Dialect::Sqlite => {
                let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
                let (names, values) = (names.join(", "), values.join(", "));
                format!("DELETE FROM {table} WHERE ({names}) IN (SELECT {values} FROM {from} j)")
            }
            Dialect::Postgres => {
                let same: Vec<String> = columns.iter().zip(&values).map(|(c, v)| format!("x.{} = {v}", c.0)).collect();
                format!("DELETE FROM {table} x USING {from} j WHERE {}", same.join(" AND "))
            }
        }
    }
}

const fn list(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "json_each($1)",
        Dialect::Postgres => "json_array_elements($1::text::json)",
    }
}

fn element(dialect: Dialect, n: usize, kind: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("j.value ->> {n}"),
        Dialect::Postgres => format!("(j ->> {n})::{kind}"),
    }
}
