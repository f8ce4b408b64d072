//! One statement on either database: arguments in, rows out, failures told apart.
//!
//! For: SQL that both databases take. Not for: bulk inserts and transactions (`dialect/`).

use super::dialect::{Dialect, postgres, sqlite};
use super::loss;
use super::pool::Pooled;
use crate::error::{Error, Result};
use rusqlite::types::{FromSql, Value, ValueRef};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use std::sync::Mutex;

/// A statement under construction: text with `$1`, `$2` … and what they stand for. Client text is always an argument.
#[derive(Debug, Clone)]
pub struct Sql {
    /// The statement so far.
    pub text: String,
    /// The arguments so far.
    pub args: Vec<Arg>,
    /// For which database.
    pub dialect: Dialect,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list for [`Sql::any`]: an array, or its JSON.
    Ints(Vec<i64>),
}

impl From<i64> for Arg {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<&str> for Arg {
    fn from(s: &str) -> Self {
        Self::Text(s.into())
    }
}

impl From<String> for Arg {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

impl From<Vec<i64>> for Arg {
    fn from(list: Vec<i64>) -> Self {
        Self::Ints(list)
    }
}

impl Sql {
    /// An empty statement.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { text: String::with_capacity(512), args: Vec::new(), dialect }
    }

    /// A whole statement.
    #[must_use]
    pub fn of(dialect: Dialect, text: &str, args: Vec<Arg>) -> Self {
        Self { text: text.into(), args, dialect }
    }

    /// Appends text that the code itself wrote.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends an argument's placeholder.
    pub fn arg(&mut self, arg: impl Into<Arg>) -> &mut Self {
        self.args.push(arg.into());
        self.text.push('$');
        self.text.push_str(&self.args.len().to_string());
        self
    }

    /// Appends ` = one` or ` in list`: the right side of a comparison of a column with any of a list.
    pub fn any(&mut self, list: &[i64]) -> &mut Self {
        if let [one] = list {
            return self.push(" = ").arg(*one);
        }
        let (before, after) = self.dialect.any();
        self.push(before).arg(list.to_vec()).push(after)
    }
}

/// A query with its arguments; lists go through a function, as SQLite takes them as JSON.
macro_rules! bind {
    ($sql:expr, $ints:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql.text));
        for arg in $sql.args {
            query = match arg {
                Arg::Int(n) => query.bind(n),
                Arg::Text(s) => query.bind(s),
                Arg::Ints(list) => query.bind($ints(list)),
            };
        }
        query
    }};
}

fn same<T>(list: T) -> T {
    list
}

/// A connection of either database.
#[derive(Debug)]
pub enum Conn {
    /// SQLite's for reads: statements run on a thread of its own.
    Sqlite(SqliteConnection),
    /// SQLite's for writes: statements run where they are asked for, on the writer's thread. The mutex is never locked; it
    /// lets the transaction be looked at across an await.
    Writer(Mutex<rusqlite::Connection>),
    /// PostgreSQL's, out of a pool.
    Postgres(Pooled),
}

impl Conn {
    /// Runs a query.
    pub async fn fetch(&mut self, sql: Sql) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(conn) => {
                let query = bind!(sql, json_list);
                let rows = query.fetch_all(conn).await.map_err(failure)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Writer(conn) => sqlite::fetch(conn, sql),
            Self::Postgres(conn) => {
                let query = bind!(sql, same);
                let patience = conn.patience;
                let rows = query.fetch_all(conn.raw());
                let rows = loss::within(patience, async { rows.await.map_err(failure) }).await;
                Ok(conn.judge(rows)?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// PostgreSQL: a snapshot of all that no write still under way can fall behind; SQLite has no need of one.
    pub async fn horizon(&mut self) -> Result<String> {
        self.ask_horizon(false).await
    }

    /// As [`Conn::horizon`], with all that was committed before: short writes that are under way are waited for.
    pub async fn settled(&mut self) -> Result<String> {
        self.ask_horizon(true).await
    }

    async fn ask_horizon(&mut self, is_settled: bool) -> Result<String> {
        match self {
            Self::Sqlite(_) | Self::Writer(_) => Err(Error::fault("SQLite's snapshot is the last commit")),
            Self::Postgres(conn) => {
                let (patience, raw) = (conn.patience, conn.raw());
                let horizon = loss::within(patience, async {
                    if is_settled { postgres::settled(raw).await } else { postgres::horizon(raw).await }
                });
                let horizon = horizon.await;
                conn.judge(horizon).map(|h| h.snapshot)
            }
        }
    }

    /// Runs a statement; answers the number of rows it changed.
    pub async fn execute(&mut self, sql: Sql) -> Result<u64> {
        match self {
            Self::Sqlite(conn) => {
                let query = bind!(sql, json_list);
                Ok(query.execute(conn).await.map_err(failure)?.rows_affected())
            }
            Self::Writer(conn) => sqlite::execute(conn, sql),
            Self::Postgres(conn) => {
                let query = bind!(sql, same);
                let patience = conn.patience;
                let done = query.execute(conn.raw());
                let done = loss::within(patience, async { done.await.map_err(failure) }).await;
                Ok(conn.judge(done)?.rows_affected())
            }
        }
    }
}

/// `[1,2,3]`.
#[allow(clippy::needless_pass_by_value, reason = "the other database takes the list itself")]
pub(super) fn json_list(list: Vec<i64>) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(list.len() * 20 + 2);
    out.push('[');
    for (n, value) in list.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        write!(out, "{comma}{value}").ok(); // a String takes everything
    }
    out.push(']');
    out
}

/// A row of either database; columns by position.
#[derive(Debug)]
pub enum Row {
    /// SQLite's.
    Sqlite(SqliteRow),
    /// The same from the writer's connection.
    Values(Vec<Value>),
    /// PostgreSQL's.
    Postgres(PgRow),
}

impl Row {
    /// A number that is there.
    pub fn int(&self, at: usize) -> Result<i64> {
        self.opt_int(at)?.ok_or_else(|| Error::fault("a column that is never null is null"))
    }

    /// A number or null.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => row.try_get(at).map_err(failure),
            Self::Values(row) => value(row, at),
            Self::Postgres(row) => row.try_get(at).map_err(failure),
        }
    }

    /// A SMALLINT of PostgreSQL, any whole number of SQLite.
    pub fn small(&self, at: usize) -> Result<i64> {
        match self {
            Self::Sqlite(row) => row.try_get(at).map_err(failure),
            Self::Values(row) => value(row, at),
            Self::Postgres(row) => row.try_get::<i16, _>(at).map(i64::from).map_err(failure),
        }
    }

    /// A text that is there.
    pub fn text(&self, at: usize) -> Result<String> {
        match self {
            Self::Sqlite(row) => row.try_get(at).map_err(failure),
            Self::Values(row) => value(row, at),
            Self::Postgres(row) => row.try_get(at).map_err(failure),
        }
    }

    /// A text or null.
    pub fn opt_text(&self, at: usize) -> Result<Option<String>> {
        match self {
            Self::Sqlite(row) => row.try_get(at).map_err(failure),
            Self::Values(row) => value(row, at),
            Self::Postgres(row) => row.try_get(at).map_err(failure),
        }
    }

    /// Bytes.
    pub fn bytes(&self, at: usize) -> Result<bytes::Bytes> {
        let bytes: Vec<u8> = match self {
            Self::Sqlite(row) => row.try_get(at).map_err(failure)?,
            Self::Values(row) => value(row, at)?,
            Self::Postgres(row) => row.try_get(at).map_err(failure)?,
        };
        Ok(bytes.into())
    }
}

fn value<T: FromSql>(row: &[Value], at: usize) -> Result<T> {
    let value = row.get(at).map_or(ValueRef::Null, ValueRef::from);
    T::column_result(value).map_err(|e| Error::fault("a column has another type than it should").caused_by(e))
}

/// Marks an error after which the same work, run again from the start, may pass: `Error.source`.
#[derive(Debug)]
pub struct Again {
    /// Why.
    cause: String,
    /// Versions that the next run should reserve stamps for, when that was the reason.
    pub entries: Option<usize>,
}

impl std::fmt::Display for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Again {}

/// An error that asks for another run of the whole work. What the client sees of it when that does not help: 503.
pub fn again(cause: impl Into<String>, entries: Option<usize>) -> Error {
    Error::busy("others were writing the same resources; send the request again")
        .caused_by(Again { cause: cause.into(), entries })
}

/// The mark of [`again`], if it is one.
#[must_use]
pub fn asks_again(error: &Error) -> Option<&Again> {
    error.source.as_ref()?.downcast_ref()
}

/// Whether a statement took longer than it may.
#[must_use]
pub fn is_timeout(error: &Error) -> bool {
    error.source.is_some() && error.issues.first().is_some_and(|issue| issue.code == "too-costly")
}

/// Tells failures of the database apart.
pub fn failure(error: sqlx::Error) -> Error {
    if loss::is_one(&error) {
        return loss::lost(error.to_string());
    }
    match &error {
        sqlx::Error::PoolTimedOut => {
            Error::busy("the database gave no connection in time; send the request again").caused_by(error)
        }
        sqlx::Error::Database(of) => {
            let code = of.code().unwrap_or_default().into_owned();
            failure_of(&code, error)
        }
        sqlx::Error::PoolClosed => Error::busy("the server is shutting down").caused_by(error),
        _ => Error::fault("the database refused a statement").caused_by(error),
    }
}

/// The same by the code that the database gives.
pub fn failure_of(code: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    match code {
        // PostgreSQL: unique_violation, serialization_failure, deadlock_detected, lock_not_available;
        // SQLite: SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE.
        "23505" | "40001" | "40P01" | "55P03" | "1555" | "2067" => again(format!("{code}: {error}"), None),
        // query_canceled (statement_timeout); SQLITE_INTERRUPT. Of a write: `is_timeout`.
        "57014" | "9" => Error::too_costly(
            "the query takes longer than this server allows (limit query-seconds); narrow the search, with a patient, \
             an identifier or dates, say",
        )
        .caused_by(error),
        // No room or no memory: disk_full, out_of_memory, io_error; SQLITE_FULL, SQLITE_BUSY.
        "53100" | "53200" | "58030" | "13" | "5" => {
            Error::busy("the database cannot do it at the moment; try again").caused_by(error)
        }
        _ => Error::fault("the database refused a statement").caused_by(error),
    }
}
