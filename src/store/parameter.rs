//! The search parameters in force, as rows, and the number that counts their changes.
//!
//! The database is the one truth for all nodes. `setting` holds `search-generation`, which each change raises, `zone` and
//! `search-types` (what R4's own parameters extract). Every write learns the generation in its transaction, after it has its
//! place in the order of writes: so a change is known to every write that comes after it, on whatever node.
//! Not for: what a parameter means (`search/registry`), or making rows (`reindex.rs`).

use super::conn::Row;
use super::{Store, Tx};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The row that stands for R4's own parameters.
pub const R4: &str = "R4";

/// Where making the rows of a parameter stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// Writes with an id below this may not know of the parameter (PostgreSQL): they are waited for.
    pub fence: Option<i64>,
    /// The newest version that was written without it.
    pub last: Option<i64>,
    /// Types whose resources have such rows.
    pub types: Vec<String>,
    /// Position in `types`.
    pub at: usize,
    /// The last version of that type that is done.
    pub mark: i64,
    /// Versions looked at.
    pub done: u64,
    /// Versions in all; 0 until they are counted.
    pub total: u64,
}

/// One search parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// [`R4`], `search/x.json` or `SearchParameter/1`.
    pub name: String,
    /// The SearchParameter; of [`R4`] what is being made again.
    pub body: String,
    /// Names of the rows that it has for itself.
    pub slots: String,
    /// `None`: the rows of all resources are there.
    pub walk: Option<Walk>,
}

/// All of them at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// Counts changes; 0 before the first.
    pub generation: i64,
    /// The zone that rows were made in.
    pub zone: Option<String>,
    /// By name; empty before the first start.
    pub list: Vec<Parameter>,
}

/// On SQLite, when the file is opened.
pub(super) const GENERATION: &str = "SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'search-generation'";

const ALL: &str = "SELECT (SELECT value FROM setting WHERE name = 'search-generation'), \
                   (SELECT value FROM setting WHERE name = 'zone'), p.name, p.body, p.slots, p.walk \
                   FROM (SELECT 1 AS one) o LEFT JOIN search_parameter p ON o.one = 1 ORDER BY p.name";

impl Store {
    /// The parameters as committed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn parameters(&self) -> Result<Parameters> {
        read(&self.fetch(ALL, Vec::new()).await?)
    }
}

impl Tx {
    /// The parameters as this transaction sees them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn parameters(&mut self) -> Result<Parameters> {
        let rows = self.fetch(ALL, Vec::new()).await?;
        read(&rows)
    }

    /// Adds a parameter, or puts it in the place of the one of its name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn put_parameter(&mut self, p: &Parameter) -> Result<()> {
        let sql = "INSERT INTO search_parameter (name, body, slots, walk) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (name) DO UPDATE SET body = excluded.body, slots = excluded.slots, walk = excluded.walk";
        let args = vec![p.name.as_str().into(), p.body.as_str().into(), p.slots.as_str().into(), text(&p.walk)?.into()];
        self.execute(sql, args).await.map(|_| ())
    }

    /// Takes a parameter out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_parameter(&mut self, name: &str) -> Result<()> {
        self.execute("DELETE FROM search_parameter WHERE name = $1", vec![name.into()]).await.map(|_| ())
    }

    /// Notes where a walk stands, unless the parameter is another one by now.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_walk(&mut self, p: &Parameter, walk: &Option<Walk>) -> Result<bool> {
        let sql = "UPDATE search_parameter SET walk = $1 WHERE name = $2 AND slots = $3 AND body = $4";
        let args = vec![text(walk)?.into(), p.name.as_str().into(), p.slots.as_str().into(), p.body.as_str().into()];
        Ok(self.execute(sql, args).await? == 1)
    }

    /// Whether no resource was ever stored.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_unused(&mut self) -> Result<bool> {
        Ok(self.fetch("SELECT pk FROM version LIMIT 1", Vec::new()).await?.is_empty())
    }

    /// Raises the generation: the parameters have changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_generation(&mut self) -> Result<()> {
        let stored = self.parameters().await?.generation;
        let next = stored.max(self.generation()) + 1;
        self.set_setting("search-generation", &next.to_string()).await?;
        self.set_generation(next);
        Ok(())
    }
}

fn text(walk: &Option<Walk>) -> Result<String> {
    match walk {
        None => Ok(String::new()),
        Some(walk) => serde_json::to_string(walk).map_err(|e| Error::fault("a walk is JSON").caused_by(e)),
    }
}

fn read(rows: &[Row]) -> Result<Parameters> {
    let mut out = Parameters::default();
    for row in rows {
        out.generation = row.opt_text(0)?.and_then(|n| n.parse().ok()).unwrap_or(0);
        out.zone = row.opt_text(1)?;
        let Some(name) = row.opt_text(2)? else { continue };
        let walk = row.text(5)?;
        // A walk that does not read begins again.
        let walk = (!walk.is_empty()).then(|| serde_json::from_str(&walk).unwrap_or_default());
        out.list.push(Parameter { name, body: row.text(3)?, slots: row.text(4)?, walk });
    }
    Ok(out)
}
