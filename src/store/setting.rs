//! Settings that live in the database: hash keys, secrets, marks of workers.

use super::conn::{Conn, Sql};
use super::dialect::Dialect;
use super::{Store, Tx, Work};
use crate::error::{Error, Result};
use futures_util::future::BoxFuture;

const READ: &str = "SELECT value FROM setting WHERE name = $1";
const ONCE: &str = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

impl Store {
    /// Reads a setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        self.fetch(READ, vec![name.into()]).await?.first().map(|row| row.text(0)).transpose()
    }

    /// The random secret of that name as hex (32 bytes), made at its first use; every node reads the same.
    pub async fn secret(&self, name: &str) -> Result<String> {
        match self.setting(name).await? {
            Some(secret) => Ok(secret),
            None => self.write(Secret(name.into())).await,
        }
    }
}

impl Tx {
    /// Reads a setting.
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>> {
        self.fetch(READ, vec![name.into()]).await?.first().map(|row| row.text(0)).transpose()
    }

    /// Writes a setting.
    pub async fn set_setting(&mut self, name: &str, value: &str) -> Result<()> {
        let sql =
            "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.execute(sql, vec![name.into(), value.into()]).await.map(|_| ())
    }
}

struct Secret(String);

impl Work for Secret {
    type Out = String;
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String>> {
        Box::pin(async {
            tx.execute(ONCE, vec![self.0.as_str().into(), random()?.into()]).await?;
            let stored = tx.setting(&self.0).await?;
            stored.ok_or_else(|| Error::fault("a setting that was written is there"))
        })
    }
}

/// Reads a secret while the database is being opened; the first start makes it.
pub(super) async fn once(conn: &mut Conn, dialect: Dialect, name: &str) -> Result<String> {
    conn.execute(Sql::of(dialect, ONCE, vec![name.into(), random()?.into()])).await?;
    let rows = conn.fetch(Sql::of(dialect, READ, vec![name.into()])).await?;
    rows.first().map(|row| row.text(0)).transpose()?.ok_or_else(|| Error::fault("a setting that was written is there"))
}

/// 32 random bytes as hex.
fn random() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::fault("the system gives no random numbers").caused_by(e.to_string()))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
