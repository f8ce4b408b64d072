//! SQLite: how the file is opened, and how a buffer is written.
//!
//! Reads go through sqlx, which runs them on a thread of each connection. The writer has a thread already, and for a
//! statement a row the way to another costs more than the row: it uses rusqlite, on the same SQLite library.

use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::search::Keys;
use crate::store::Audit;
use crate::store::buffer::{AuditRow, Buffer, CURRENT, facts};
use crate::store::conn::{Arg, Row, Sql, again, failure, failure_of, json_list};
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection as Writer, params};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The file of `sqlite:PATH` or `sqlite://PATH`.
pub fn path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

/// Takes the lock that keeps a second server from the file; held as long as the answer lives.
///
/// # Errors
/// `Fault` with a sentence for the operator.
pub fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let cannot = |e: std::io::Error| {
        Error::fault(format!("cannot open the lock file {}: {e}", Path::new(&name).display())).caused_by(e)
    };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(cannot)?;
    file.try_lock().map_err(|_| {
        Error::fault(format!(
            "another Baton process is using {}; stop it first, or give this one a database of its own (--database-url)",
            path.display()
        ))
    })?;
    Ok(file)
}

/// Makes the file where there is none, readable by its owner alone: it holds patients' data and signing keys. SQLite
/// gives its WAL the same mode.
pub fn make_private(path: &Path) -> Result<()> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(|_| ())
        .map_err(|e| Error::fault(format!("cannot make the database file {}: {e}", path.display())).caused_by(e))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(false)
        .statement_cache_capacity(256)
        .pragma("temp_store", "MEMORY")
}

/// Brings the schema up to date, making the file where there is none.
pub async fn migrate(path: &Path) -> Result<std::result::Result<(), sqlx::migrate::MigrateError>> {
    let open = SqliteConnection::connect_with(&options(path).create_if_missing(true)).await;
    let mut conn = open.map_err(|e| cannot_open(path, e))?;
    let done = sqlx::migrate!("migrations/sqlite").run(&mut conn).await;
    conn.close().await.map_err(failure)?;
    Ok(done)
}

fn cannot_open(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::fault(format!("cannot open the database file {}: {e}", path.display())).caused_by(e)
}

/// The one connection that writes. FULL: what is answered survives a power cut.
pub fn writer(path: &Path) -> Result<Mutex<Writer>> {
    let open = || {
        let conn = Writer::open(path)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.set_prepared_statement_cache_capacity(256);
        for (name, value) in [
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
            ("temp_store", "MEMORY"),
            ("cache_size", "-32768"),
            // 64 MB: a checkpoint writes each changed page once, so rarer is cheaper; a reader searches the WAL by an index.
            ("wal_autocheckpoint", "16384"),
        ] {
            conn.pragma_update(None, name, value)?;
        }
        Ok(conn)
    };
    open().map(Mutex::new).map_err(|e: rusqlite::Error| cannot_open(path, e))
}

/// A connection that reads, and the time (µs) at which a running statement is interrupted.
pub async fn reader(path: &Path) -> Result<(SqliteConnection, Arc<AtomicI64>)> {
    let options = options(path).read_only(true).pragma("cache_size", "-4096");
    let mut conn = SqliteConnection::connect_with(&options).await.map_err(failure)?;
    let deadline = Arc::new(AtomicI64::new(i64::MAX));
    let until = Arc::clone(&deadline);
    conn.lock_handle()
        .await
        .map_err(failure)?
        .set_progress_handler(20_000, move || crate::clock::Instant::now().0 < until.load(Ordering::Relaxed));
    Ok((conn, deadline))
}

/// The writer's connection, to whom it belongs: no lock is taken.
fn own(conn: &mut Mutex<Writer>) -> &mut Writer {
    conn.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a query on the writer's connection.
pub fn fetch(conn: &mut Mutex<Writer>, sql: Sql) -> Result<Vec<Row>> {
    let conn = own(conn);
    let run = || {
        let mut statement = conn.prepare_cached(&sql.text)?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(sql.args.into_iter().map(argument)), |row| {
            (0..columns).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>().map(Row::Values)
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    run().map_err(refused)
}

/// Runs a statement on it; answers the number of rows it changed.
pub fn execute(conn: &mut Mutex<Writer>, sql: Sql) -> Result<u64> {
    let conn = own(conn);
    let run = || {
        let mut statement = conn.prepare_cached(&sql.text)?;
        statement.execute(rusqlite::params_from_iter(sql.args.into_iter().map(argument)))
    };
    run().map(|n| n as u64).map_err(refused)
}

fn argument(arg: Arg) -> Value {
    match arg {
        Arg::Int(n) => Value::Integer(n),
        Arg::Text(text) => Value::Text(text),
        Arg::Ints(list) => Value::Text(json_list(list)),
    }
}

fn refused(error: rusqlite::Error) -> Error {
    let code = error.sqlite_error().map_or(0, |e| e.extended_code);
    failure_of(&code.to_string(), error)
}

/// Writes everything that waits, a row a statement, each table in the order of its key, and empties the buffer.
pub fn flush(conn: &mut Mutex<Writer>, buffer: &mut Buffer, keys: Keys) -> Result<()> {
    let conn = own(conn);
    end_replaced(conn, &buffer.ended())?;
    insert(conn, buffer, keys).map_err(refused)?;
    buffer.clear();
    Ok(())
}

fn end_replaced(conn: &Writer, ended: &[(i64, i64)]) -> Result<()> {
    let sql = "UPDATE version SET ended = ?2 WHERE pk = ?1 AND ended = 9223372036854775807";
    let mut statement = conn.prepare_cached(sql).map_err(refused)?;
    for (pk, at) in ended {
        if statement.execute(params![pk, at]).map_err(refused)? != 1 {
            return Err(again("a version to be replaced is not the current one", None));
        }
    }
    Ok(())
}

/// OR IGNORE: rows are unique as they come, and a statement that cannot abort needs no journal of its own.
fn insert(conn: &Writer, buffer: &Buffer, keys: Keys) -> rusqlite::Result<()> {
    let prepare = |sql| -> rusqlite::Result<CachedStatement<'_>> { conn.prepare_cached(sql) };
    let mut version = prepare(
        "INSERT INTO version (pk, self_key, rtype, id, version, method, org, ended, facts, body, labels)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for p in &buffer.puts {
        let v = &p.version;
        let (rtype, id, method) = (v.target.rtype.0, &v.target.id, v.method.code());
        let (facts, body) = (facts(&p.rows), &v.body[..]);
        let row = params![v.pk, p.self_key, rtype, id, v.version, method, v.org, p.ended, facts, body, v.labels];
        version.execute(row)?;
    }
    let mut exact = prepare("INSERT OR IGNORE INTO idx (key, pk) VALUES (?1, ?2)")?;
    for (key, pk) in buffer.exact(|v| keys.of_type(v.target.rtype.as_str())) {
        exact.execute(params![key, pk])?;
    }
    let mut range = prepare("INSERT OR IGNORE INTO idx_range (key, pk, lo, hi) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, pk, lo, hi) in buffer.range() {
        range.execute(params![key, pk, lo, hi])?;
    }
    let mut text = prepare("INSERT OR IGNORE INTO idx_text (key, pk, text) VALUES (?1, ?2, ?3)")?;
    for (key, pk, value) in buffer.text() {
        text.execute(params![key, pk, value])?;
    }
    let mut share = prepare(
        "INSERT INTO share (org, rtype, id, handoff, until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (org, rtype, id, handoff) DO UPDATE SET until = excluded.until",
    )?;
    for s in buffer.shares() {
        share.execute(params![s.org, s.target.rtype.0, &s.target.id, &s.handoff, s.until.0])?;
    }
    let mut template = prepare("INSERT OR IGNORE INTO template (handoff, part, targets) VALUES (?1, ?2, ?3)")?;
    for (handoff, part, targets) in buffer.templates(keys) {
        template.execute(params![handoff, part, targets])?;
    }
    for r in &buffer.audits {
        record(conn, r)?;
    }
    let mut words = prepare("INSERT INTO fulltext (rowid, narrative, content) VALUES (?1, ?2, ?3)")?;
    for (pk, w) in buffer.words() {
        words.execute(params![pk, &w.narrative, &w.content])?;
    }
    Ok(())
}

fn record(conn: &Writer, row: &AuditRow) -> rusqlite::Result<()> {
    let mut audit = conn.prepare_cached(
        "INSERT INTO audit (pk, at, org, client, usr, request_id, action, outcome, first_pk, last_pk, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let a = &row.audit;
    let (at, (first, last), detail) = (a.at.0, row.versions, a.detail_text());
    let who = (&a.client, &a.usr, &a.request_id);
    audit.execute(params![row.pk, at, a.org, who.0, who.1, who.2, a.action, a.outcome, first, last, detail])?;
    Ok(())
}

/// Adds an audit row beside a server that holds the file. Its stamp lies a second back, where the server gives none out any more;
/// one that is taken is left for the one before.
///
/// # Errors
/// `Fault` with a sentence for the operator: the file takes nothing.
pub fn record_beside(path: &Path, audit: &Audit) -> Result<()> {
    let conn = Writer::open(path).map_err(|e| cannot_open(path, e))?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(|e| cannot_open(path, e))?;
    let first = Instant::now().0 - 1_000_000;
    let mut last = Ok(());
    for pk in (first - STAMPS..=first).rev() {
        last = record(&conn, &AuditRow { pk, audit: audit.clone(), versions: (0, 0) });
        let is_taken = |e: &rusqlite::Error| e.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
        if !last.as_ref().is_err_and(is_taken) {
            break;
        }
    }
    last.map_err(|e| Error::fault("the audit takes no row, so nothing is written out").caused_by(e))
}

/// Stamps that are tried.
const STAMPS: i64 = 1_000;

const _: () = assert!(CURRENT == 9_223_372_036_854_775_807, "the number in the SQL above");
