//! SQLite: how the file is opened, and how a buffer is written.
//!
//! Measured layouts (40 resources, 560 search rows, sqlx 0.9): rows handed over as members of one JSON object, whose key
//! is the search key, take 0.7-0.8 ms a Bundle; arrays in JSON 1.6-2.7, multi-row VALUES of 64 to 512 rows 0.9-2.7. Versions
//! go as numbers in JSON plus all bodies in one blob that `substr` cuts: 0.5-0.9 ms, a row a statement 4.6.

use crate::error::{Error, Result};
use crate::search::Keys;
use crate::store::buffer::{Buffer, CURRENT, facts};
use crate::store::conn::{again, failure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// The one connection that writes. FULL: what is answered survives a power cut.
pub async fn writer(path: &Path) -> Result<SqliteConnection> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-32768")
        // 64 MB: a checkpoint writes each changed page once, so rarer is cheaper; a reader searches the WAL by an index.
        .pragma("wal_autocheckpoint", "16384");
    SqliteConnection::connect_with(&options)
        .await
        .map_err(|e| Error::fault(format!("cannot open the database file {}: {e}", path.display())).caused_by(e))
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

/// Brings the schema up to date.
pub async fn migrate(conn: &mut SqliteConnection) -> std::result::Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!("migrations/sqlite").run(conn).await
}

/// Writes everything that waits, one statement a table, and empties the buffer.
pub async fn flush(conn: &mut SqliteConnection, buffer: &mut Buffer, keys: Keys) -> Result<()> {
    versions(conn, buffer).await?;
    search_rows(conn, buffer, keys).await?;
    shares_and_audit(conn, buffer).await?;
    buffer.clear();
    Ok(())
}

async fn versions(conn: &mut SqliteConnection, buffer: &Buffer) -> Result<()> {
    let ended = buffer.ended();
    if !ended.is_empty() {
        let mut list = String::from("{");
        for (pk, at) in &ended {
            write!(list, "{}\"{pk}\":{at}", comma(&list)).ok();
        }
        list.push('}');
        let done = sqlx::query(
            "UPDATE version SET ended = j.value FROM json_each($1) j
             WHERE version.pk = CAST(j.key AS INTEGER) AND version.ended = 9223372036854775807",
        )
        .bind(list)
        .execute(&mut *conn)
        .await
        .map_err(failure)?;
        if done.rows_affected() != ended.len() as u64 {
            return Err(again("a version to be replaced is not the current one", None));
        }
    }
    if buffer.puts.is_empty() {
        return Ok(());
    }
    let size = buffer.puts.iter().map(|p| p.version.body.len() + p.rows.facts.len() + 2).sum();
    let mut blob = Vec::with_capacity(size);
    let mut list = String::with_capacity(buffer.puts.len() * 160);
    list.push('[');
    for p in &buffer.puts {
        let (v, facts) = (&p.version, facts(&p.rows));
        let facts_at = blob.len() + 1;
        blob.extend_from_slice(facts.as_bytes());
        let body_at = blob.len() + 1;
        blob.extend_from_slice(&v.body);
        // An id is letters, digits, '-' and '.': it needs no escape.
        write!(
            list,
            "{}[{},{},{},\"{}\",{},{},{},{},{facts_at},{},{body_at},{}]",
            comma(&list),
            v.pk,
            p.self_key,
            v.target.rtype.0,
            v.target.id,
            v.version,
            v.method.code(),
            v.org,
            p.ended,
            facts.len(),
            v.body.len(),
        )
        .ok();
    }
    list.push(']');
    sqlx::query(
        "INSERT INTO version (pk, self_key, rtype, id, version, method, org, ended, facts, body)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                CAST(substr($2, value ->> 8, value ->> 9) AS TEXT), substr($2, value ->> 10, value ->> 11)
         FROM json_each($1)",
    )
    .bind(list)
    .bind(blob)
    .execute(&mut *conn)
    .await
    .map_err(failure)?;
    Ok(())
}

/// OR IGNORE: rows are unique as they come, and a statement that cannot abort needs no journal of its own.
async fn search_rows(conn: &mut SqliteConnection, buffer: &Buffer, keys: Keys) -> Result<()> {
    let exact = buffer.exact(|v| keys.of_type(v.target.rtype.as_str()));
    if !exact.is_empty() {
        let mut list = String::with_capacity(exact.len() * 40);
        list.push('{');
        for (key, pk) in &exact {
            write!(list, "{}\"{key}\":{pk}", comma(&list)).ok();
        }
        list.push('}');
        let sql = "INSERT OR IGNORE INTO idx (key, pk) SELECT CAST(key AS INTEGER), value FROM json_each($1)";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    let range = buffer.range();
    if !range.is_empty() {
        let mut list = String::with_capacity(range.len() * 80);
        list.push('[');
        for (key, pk, lo, hi) in &range {
            write!(list, "{}[{key},{pk},{lo},{hi}]", comma(&list)).ok();
        }
        list.push(']');
        let sql = "INSERT OR IGNORE INTO idx_range (key, pk, lo, hi)
                   SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1)";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    let text = buffer.text();
    if !text.is_empty() {
        let list = serde_json::to_string(&text).map_err(|e| Error::fault("texts are JSON").caused_by(e))?;
        let sql = "INSERT OR IGNORE INTO idx_text (key, pk, text)
                   SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    let words: Vec<_> = buffer.words().map(|(pk, w)| (pk, &w.narrative, &w.content)).collect();
    if !words.is_empty() {
        let list = serde_json::to_string(&words).map_err(|e| Error::fault("words are JSON").caused_by(e))?;
        let sql = "INSERT INTO fulltext (rowid, narrative, content)
                   SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    Ok(())
}

async fn shares_and_audit(conn: &mut SqliteConnection, buffer: &Buffer) -> Result<()> {
    if !buffer.shares.is_empty() {
        let rows: Vec<_> = buffer
            .shares()
            .into_iter()
            .map(|s| (s.org, s.target.rtype.0, s.target.id.as_str(), s.handoff.as_str(), s.until.0))
            .collect();
        let list = serde_json::to_string(&rows).map_err(|e| Error::fault("shares are JSON").caused_by(e))?;
        let sql = "INSERT INTO share (org, rtype, id, handoff, until)
                   SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1) WHERE true
                   ON CONFLICT (org, rtype, id, handoff) DO UPDATE SET until = excluded.until";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    if !buffer.audits.is_empty() {
        let rows: Vec<_> = buffer
            .audits
            .iter()
            .map(|r| {
                let a = &r.audit;
                let who = (&a.client, &a.usr, &a.request_id, &a.action);
                (r.pk, a.at.0, a.org, who.0, who.1, who.2, who.3, a.outcome, r.versions.0, r.versions.1)
            })
            .collect();
        let list = serde_json::to_string(&rows).map_err(|e| Error::fault("audit rows are JSON").caused_by(e))?;
        let sql = "INSERT INTO audit (pk, at, org, client, usr, request_id, action, outcome, first_pk, last_pk)
                   SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                          value ->> 7, value ->> 8, value ->> 9 FROM json_each($1)";
        sqlx::query(sql).bind(list).execute(&mut *conn).await.map_err(failure)?;
    }
    Ok(())
}

/// A comma, unless the list has just begun.
fn comma(list: &str) -> &'static str {
    if list.len() > 1 { "," } else { "" }
}

const _: () = assert!(CURRENT == 9_223_372_036_854_775_807, "the number in the SQL above");
