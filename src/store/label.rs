//! `version.labels`: made again when the list of labels changes, put on what was made of a resource before it got a label;
//! and who is cleared beyond their role.
//!
//! Not for: what a label is, or which references pass one on (`access/label.rs`).

use super::conn::Sql;
use super::dialect::Dialect;
use super::read::target;
use super::{Store, Tx, Work};
use crate::access::Role;
use crate::access::label::{Labels, passing};
use crate::error::{Error, Result};
use crate::fhir::resource::known;
use crate::fhir::{Json, Target, json};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;

/// Setting: by which list the numbers were made.
const MADE_BY: &str = "labels";
/// Versions of one step.
const STEP: i64 = 500;

impl Store {
    /// Makes the numbers of all versions anew where they were made by another list. To be done before anything is served: a label
    /// that is new on the list protects nothing until then. What a version was given by others it keeps.
    ///
    /// # Errors
    /// What the database says.
    pub async fn renew_labels(&self) -> Result<()> {
        let print = self.labels().print();
        if self.setting(MADE_BY).await?.as_deref() == Some(print.as_str()) {
            return Ok(());
        }
        let mut mark = 0;
        while let Some(next) = self.write(Renew(mark)).await? {
            mark = next;
        }
        self.write(Renewed(print)).await
    }

    /// Labels that a caller is not cleared for, by role and by name: `user:NAME` or `client:ID`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn hidden_from(&self, role: Role, name: &str) -> Result<i64> {
        // No look at the database for who is cleared for all by the role.
        if self.labels().hidden(role, "") == 0 {
            return Ok(0);
        }
        Ok(self.labels().hidden(role, &self.clearance(name).await?))
    }

    /// Codes of the labels that a caller is cleared for beyond the role; "" for none. `name`: `user:NAME` or `client:ID`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn clearance(&self, name: &str) -> Result<String> {
        let rows = self.fetch("SELECT labels FROM clearance WHERE name = $1", vec![name.into()]).await?;
        rows.first().map_or_else(|| Ok(String::new()), |row| row.text(0))
    }

    /// Sets them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_clearance(&self, name: &str, codes: &str) -> Result<()> {
        self.write(SetClearance { name: name.into(), codes: codes.into() }).await
    }
}

impl Tx {
    /// The list of labels that this database is used with.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.shared.settings.labels
    }

    /// Protects what speaks of resources that have just got labels: every version, of whatever age, that refers to one of them, and
    /// what refers to that. Looked at is what refers to one of `around` now, by the keys of these references (`Registry::reference_keys`).
    ///
    /// # Errors
    /// What the database says.
    pub async fn protect(&mut self, labelled: Vec<(Target, i64)>, around: &[i64], base: &str) -> Result<()> {
        if labelled.is_empty() || around.is_empty() {
            return Ok(());
        }
        self.flush().await?;
        let mut sql = Sql::new(self.shared.dialect);
        sql.push("SELECT o.pk, o.rtype, o.id, o.labels, o.body, o.self_key FROM version o WHERE o.method <> 3 AND o.org <> 0");
        sql.push(&format!(" AND o.rtype <> {} AND o.self_key IN (SELECT v.self_key FROM idx x", known("AuditEvent").0));
        sql.push(" CROSS JOIN version v WHERE x.key").any(around).push(" AND v.pk = x.pk) ORDER BY o.pk");
        let mut found = Vec::new();
        for row in self.fetch_sql(sql).await? {
            let passes = passing(&parsed(&row.bytes(4)?)?, base);
            found.push((row.int(0)?, target(&row, 1, 2)?, row.int(3)?, passes, row.int(5)?));
        }
        let mut given: BTreeMap<Target, i64> = BTreeMap::new();
        for (target, set) in labelled {
            *given.entry(target).or_default() |= set;
        }
        let mut changes: BTreeMap<i64, i64> = BTreeMap::new();
        loop {
            let mut grew = false;
            for (pk, target, labels, passes, self_key) in &mut found {
                let more = passes.iter().filter_map(|t| given.get(t)).fold(0, |a, b| a | b) & !*labels;
                if more == 0 {
                    continue;
                }
                *labels |= more;
                changes.insert(*pk, *labels);
                self.touched.push(*self_key);
                *given.entry(target.clone()).or_default() |= more;
                grew = true;
            }
            if !grew {
                break;
            }
        }
        self.set_labels(&changes.into_iter().collect::<Vec<_>>()).await
    }

    async fn set_labels(&mut self, list: &[(i64, i64)]) -> Result<()> {
        let sql = match self.shared.dialect {
            Dialect::Sqlite => {
                "UPDATE version SET labels = j.value ->> 1 FROM json_each($1) j WHERE version.pk = (j.value ->> 0)"
            }
            Dialect::Postgres => {
                "UPDATE version v SET labels = (j ->> 1)::bigint FROM json_array_elements($1::text::json) j \
                 WHERE v.pk = (j ->> 0)::bigint"
            }
        };
        self.with_list(sql, list).await
    }
}

fn parsed(body: &[u8]) -> Result<Json> {
    let tree = json::parse_with(body, &json::Limits::STORED);
    tree.map_err(|e| Error::fault("a stored body does not parse").caused_by(e))
}

/// One step: answers the last version that it looked at; `None`: there was none left.
struct Renew(i64);

impl Work for Renew {
    type Out = Option<i64>;

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async {
            let says = match tx.shared.dialect {
                Dialect::Sqlite => "instr(body, CAST('\"security\"' AS BLOB)) > 0",
                Dialect::Postgres => "position('\"security\"'::bytea in body) > 0",
            };
            let sql = format!(
                "SELECT pk, body, labels FROM version WHERE pk > $1 AND method <> 3 AND org <> 0 AND rtype <> {} \
                 AND (labels <> 0 OR {says}) ORDER BY pk LIMIT $2",
                known("AuditEvent").0
            );
            let rows = tx.fetch(&sql, vec![self.0.into(), STEP.into()]).await?;
            let (mut last, mut changes) = (None, Vec::new());
            for row in &rows {
                let (pk, had) = (row.int(0)?, row.int(2)?);
                let now = tx.labels().of(&parsed(&row.bytes(1)?)?) | had;
                last = Some(pk);
                if now != had {
                    changes.push((pk, now));
                }
            }
            tx.set_labels(&changes).await?;
            Ok(last)
        })
    }
}

/// All are done: what is left are deletions, which have what the version before them has.
struct Renewed(String);

impl Work for Renewed {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let deleted = "UPDATE version SET labels = coalesce((SELECT p.labels FROM version p \
                           WHERE p.self_key = version.self_key AND p.version = version.version - 1), 0) WHERE method = 3";
            tx.execute(deleted, Vec::new()).await?;
            tx.set_setting(MADE_BY, &self.0).await
        })
    }
}

struct SetClearance {
    name: String,
    codes: String,
}

impl Work for SetClearance {
    type Out = ();

    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let sql = "INSERT INTO clearance (name, labels) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET labels = excluded.labels";
            tx.execute(sql, vec![self.name.as_str().into(), self.codes.as_str().into()]).await.map(|_| ())
        })
    }
}
