//! PostgreSQL: connections, the beginning of a transaction, and how a buffer is written.

use crate::error::{Error, Result};
use crate::search::Keys;
use crate::search::rows::Words;
use crate::store::buffer::{Buffer, CURRENT, facts};
use crate::store::conn::{again, failure};
use crate::store::loss;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row};
use std::str::FromStr;
use std::time::Duration;

/// Every query walks an index in order and looks the rest up by key; these keep the planner to it whatever the
/// statistics say (a fresh table has none), and `force_generic_plan` plans each statement once.
const PLANS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
     SET enable_bitmapscan = off; SET enable_material = off; SET join_collapse_limit = 1; SET jit = off; \
     SET plan_cache_mode = force_generic_plan; SET timezone = 'UTC'; ";

/// How long a write waits for one answer; its statements end after 60 s by themselves, its locks after 10.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(65);
/// How long a write waits for a free connection; a restart of the database fits in.
const WRITE_ACQUIRE: Duration = Duration::from_secs(10);
/// A read is sooner sent again than waited for.
const READ_ACQUIRE: Duration = Duration::from_secs(5);

fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|e| Error::invalid(format!("the database URL of PostgreSQL does not read: {e}")))?;
    Ok(options.application_name("baton").statement_cache_capacity(256))
}

/// Connects once, so that an operator learns at once, and in one sentence, why that is not possible.
///
/// # Errors
/// `Busy` or `Fault` with the sentence.
pub async fn knock(url: &str) -> Result<()> {
    let options = options(url)?;
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let error = match tokio::time::timeout(WRITE_ACQUIRE, PgConnection::connect_with(&options)).await {
        Ok(Ok(conn)) => {
            conn.close().await.ok(); // it has said what it was for
            return Ok(());
        }
        Ok(Err(error)) => error,
        Err(_) => {
            let text = format!("PostgreSQL at {place} does not answer; look whether it runs and can be reached");
            return Err(Error::busy(text));
        }
    };
    let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned();
    let said = error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
    Err(match (&error, code.as_str()) {
        (sqlx::Error::Io(why), _) => Error::busy(format!(
            "PostgreSQL at {place} cannot be reached ({why}); start it, or correct the database URL"
        )),
        (_, "57P03") => Error::busy(format!("PostgreSQL at {place} is not ready yet ({said}); try again in a moment")),
        (_, "3D000") => {
            let name = options.get_database().unwrap_or_else(|| options.get_username());
            Error::fault(format!("PostgreSQL at {place} has no database '{name}'; make it with createdb"))
        }
        _ => Error::fault(format!("PostgreSQL at {place} lets nobody in: {said}")),
    })
}

/// A pool of connections for reads or for writes.
pub async fn pool(url: &str, size: u32, timeout_ms: u64, is_writer: bool) -> Result<PgPool> {
    let options = options(url)?;
    let mode = if is_writer {
        "SET lock_timeout = 10000; SET idle_in_transaction_session_timeout = 60000; SET statement_timeout = 60000"
            .to_string()
    } else {
        format!("SET statement_timeout = {timeout_ms}; SET default_transaction_read_only = on")
    };
    let setup: std::sync::Arc<str> = format!("{PLANS}{mode}").into();
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(if is_writer { WRITE_ACQUIRE } else { READ_ACQUIRE })
        .test_before_acquire(false)
        // After a loss the others are not tried one by one.
        .before_acquire(|_, meta| Box::pin(async move { Ok(loss::is_since(meta.age)) }))
        .after_connect(move |conn, _| {
            let setup = std::sync::Arc::clone(&setup);
            Box::pin(async move { conn.execute(sqlx::raw_sql(AssertSqlSafe(setup))).await.map(|_| ()) })
        })
        .connect_with(options)
        .await
        .map_err(|e| Error::fault(format!("cannot connect to PostgreSQL: {e}")).caused_by(e))
}

/// Brings the schema up to date; several nodes may start at once. Where it is, nothing is made, not even looked for: a role that may
/// make nothing can serve.
pub async fn migrate(pool: &PgPool) -> std::result::Result<(), MigrateError> {
    let migrator = sqlx::migrate!("migrations/postgres");
    // Without the table, or the right to read it, it is the migration's to say what is wrong.
    let taken = sqlx::query("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version");
    if let Ok(rows) = taken.fetch_all(pool).await {
        let taken = rows.iter().map(|row| (row.try_get(0).unwrap_or(0), row.try_get(1).unwrap_or_default()));
        if taken.eq(migrator.iter().map(|step| (step.version, step.checksum.to_vec()))) {
            return Ok(());
        }
    }
    migrator.run(pool).await
}

/// Whether a migration failed for want of rights.
#[must_use]
pub fn is_not_allowed(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "42501")
}

/// Whether this role can serve: no policy of row-level security holds for it, and it may read and write every table.
///
/// # Errors
/// `Fault` with what it lacks, in the words of who can give it.
pub async fn can_serve(conn: &mut PgConnection) -> Result<()> {
    let row = sqlx::query(
        "SELECT current_user::text, pg_get_userbyid(v.relowner)::text, row_security_active(v.oid),
                (SELECT string_agg(c.relname::text, ', ' ORDER BY c.relname) FROM pg_class c
                 WHERE c.relnamespace = v.relnamespace AND c.relowner = v.relowner AND c.relname NOT LIKE '\\_sqlx%'
                   AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE') WHEN 'r' THEN
                       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                       AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') ELSE true END)
         FROM pg_class v WHERE v.oid = 'version'::regclass",
    )
    .fetch_one(conn)
    .await
    .map_err(failure)?;
    let text = |n: usize| row.try_get::<Option<String>, _>(n).map(Option::unwrap_or_default).map_err(failure);
    let (role, owner, lacks) = (text(0)?, text(1)?, text(3)?);
    if row.try_get(2).map_err(failure)? {
        return Err(Error::fault(format!(
            "the role '{role}' of PostgreSQL is bound by row-level security and would see nothing: serve as '{owner}', who owns the tables, \
             or as a member of it, or give '{role}' BYPASSRLS (docs/operations.md)"
        )));
    }
    if !lacks.is_empty() {
        return Err(Error::fault(format!(
            "the role '{role}' of PostgreSQL may not read and write all that is there; '{owner}' has to grant it \
             SELECT, INSERT, UPDATE, DELETE (of a sequence SELECT, UPDATE) on {lacks} (docs/operations.md)"
        )));
    }
    Ok(())
}

/// A snapshot that no write still under way can fall behind, and how far it might have reached.
#[derive(Debug)]
pub struct Horizon {
    /// All transactions of this database with an id below the oldest that is under way.
    pub snapshot: String,
    /// That id.
    oldest: i64,
    /// The id that the next transaction will have.
    newest: i64,
}

/// What is finished.
///
/// It is asked for before the statement that reads by it: what was under way then has an id at or above it, and what was
/// finished then is visible now. `pg_snapshot_xmin` would count the writes of every database of the server, and an
/// autovacuum writes none of ours; a backend's `backend_xid` has 32 bits and is brought to 64 by its distance from the newest.
pub async fn horizon(conn: &mut PgConnection) -> Result<Horizon> {
    let (oldest, newest) = sqlx::query_as(
        "WITH newest AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS x),
              oldest AS (SELECT min(n.x - d.distance) AS x
                         FROM newest n, pg_stat_activity a,
                              LATERAL (SELECT (n.x - a.backend_xid::text::bigint) & 4294967295 AS distance) d
                         WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND d.distance < 2147483648
                           AND a.backend_type IS DISTINCT FROM 'autovacuum worker')
         SELECT least(n.x, o.x), n.x FROM newest n, oldest o",
    )
    .fetch_one(conn)
    .await
    .map_err(failure)?;
    Ok(Horizon { snapshot: format!("{oldest}:{oldest}:"), oldest, newest })
}

/// What is finished once the writes that are under way now have ended, so that who asks finds all that was committed
/// before; writes that stay open for longer than half a second are not waited for.
pub async fn settled(conn: &mut PgConnection) -> Result<Horizon> {
    let mut seen = horizon(conn).await?;
    let asked = seen.newest;
    for pause in (0..9).map(|n| Duration::from_millis(1 << n)) {
        if seen.oldest >= asked {
            break;
        }
        tokio::time::sleep(pause).await;
        seen = horizon(conn).await?;
    }
    Ok(seen)
}

/// What a transaction begins with.
#[derive(Debug)]
pub struct Begun {
    /// The first of its stamps.
    pub first: i64,
    /// Its id: what [`outcome`] asks by.
    pub xid: String,
    /// Which search parameters are in force: see `store/parameter.rs`.
    pub generation: i64,
}

/// Begins a transaction, takes the locks in their order, and then `entries` stamps: one round trip.
pub async fn begin(conn: &mut PgConnection, locks: &[i64], entries: i64) -> Result<Begun> {
    let mut sql = String::from("BEGIN ISOLATION LEVEL READ COMMITTED; ");
    if !locks.is_empty() {
        sql.push_str(&lock_statement(locks));
        sql.push_str("; ");
    }
    // The function first: it takes the id, under its lock.
    sql.push_str(&format!("SELECT s, pg_current_xact_id()::text FROM take_stamps({entries}) s"));
    // A statement of its own, with a snapshot taken after the id: who changes the search parameters and finds no older id
    // under way knows that every later write knows of the change.
    sql.push_str("; SELECT coalesce((SELECT value FROM setting WHERE name = 'search-generation'), '0')");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(conn).await.map_err(failure)?;
    let [.., row, after] = &rows[..] else {
        return Err(Error::fault("take_stamps answers one row, and so does what follows"));
    };
    let generation: String = after.try_get(0).map_err(failure)?;
    let generation = generation.parse().unwrap_or(0);
    Ok(Begun { first: row.try_get(0).map_err(failure)?, xid: row.try_get(1).map_err(failure)?, generation })
}

/// Whether a transaction was committed; `None` while it runs. `pk`: of a version that it made.
///
/// A crash may lose an id that was given out and never reached the disk, and give it out again: so where there is a
/// version to look for, it decides.
pub async fn outcome(conn: &mut PgConnection, xid: &str, pk: Option<i64>) -> Result<Option<bool>> {
    let status = sqlx::query_scalar::<_, Option<String>>("SELECT pg_xact_status($1::text::xid8)");
    let status = match status.bind(xid).fetch_one(&mut *conn).await {
        Ok(status) => status,
        // invalid_parameter_value: the id lies in the future, so the one that was given out is lost.
        Err(error) if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("22023")) => {
            return Ok(Some(false));
        }
        Err(error) => return Err(failure(error)),
    };
    match (status.as_deref(), pk) {
        (Some("in progress"), _) => Ok(None),
        (Some("aborted"), _) => Ok(Some(false)),
        (status, None) => Ok(Some(status.is_some())),
        // A statement of its own, with a snapshot that is newer than the status.
        (_, Some(pk)) => {
            let made = "SELECT EXISTS(SELECT 1 FROM version WHERE pk = $1 AND xid = $2::text::xid8)";
            sqlx::query_scalar(made).bind(pk).bind(xid).fetch_one(conn).await.map(Some).map_err(failure)
        }
    }
}

/// Takes more locks.
pub async fn lock(conn: &mut PgConnection, locks: &[i64]) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(lock_statement(locks))).execute(conn).await.map_err(failure)?;
    Ok(())
}

/// In sorted order, so that two works that want the same locks do not wait for each other.
fn lock_statement(locks: &[i64]) -> String {
    let mut locks = locks.to_vec();
    locks.sort_unstable();
    locks.dedup();
    let list: Vec<String> = locks.iter().map(i64::to_string).collect();
    format!("SELECT pg_advisory_xact_lock(k) FROM unnest('{{{}}}'::bigint[]) k", list.join(","))
}

/// Everything that waits, in one statement: one round trip whatever its size.
const FLUSH: &str = "
WITH replaced AS (
    UPDATE version SET ended = u.at, ended_xid = pg_current_xact_id()
    FROM UNNEST($1::bigint[], $2::bigint[]) u (pk, at)
    WHERE version.pk = u.pk AND version.ended = 9223372036854775807
    RETURNING 1
), versions AS (
    INSERT INTO version (pk, self_key, rtype, id, version, method, org, ended, ended_xid, facts, body, labels)
    SELECT u.pk, u.self_key, u.rtype, u.id, u.version, u.method, u.org, u.ended,
           CASE WHEN u.ended < 9223372036854775807 THEN pg_current_xact_id() END, u.facts, u.body, u.labels
    FROM UNNEST($3::bigint[], $4::bigint[], $5::smallint[], $6::text[], $7::bigint[], $8::smallint[], $9::bigint[],
                $10::bigint[], $11::text[], $12::bytea[], $43::bigint[])
         u (pk, self_key, rtype, id, version, method, org, ended, facts, body, labels)
), exact AS (
    INSERT INTO idx (key, pk) SELECT * FROM UNNEST($13::bigint[], $14::bigint[])
), range AS (
    INSERT INTO idx_range (key, pk, lo, hi)
    SELECT * FROM UNNEST($15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
), texts AS (
    INSERT INTO idx_text (key, pk, text) SELECT * FROM UNNEST($19::bigint[], $20::bigint[], $21::text[])
), words AS (
    INSERT INTO fulltext (pk, words)
    SELECT u.pk, u.words::tsvector FROM UNNEST($37::bigint[], $38::text[]) u (pk, words)
), shares AS (
    INSERT INTO share (org, rtype, id, handoff, until)
    SELECT * FROM UNNEST($22::bigint[], $23::smallint[], $24::text[], $25::text[], $26::bigint[])
    ON CONFLICT (org, rtype, id, handoff) DO UPDATE SET until = excluded.until
), templates AS (
    INSERT INTO template (handoff, part, targets) SELECT * FROM UNNEST($40::text[], $41::bigint[], $42::text[])
    ON CONFLICT DO NOTHING
), audits AS (
    INSERT INTO audit (pk, at, org, client, usr, request_id, action, outcome, first_pk, last_pk, detail)
    SELECT * FROM UNNEST($27::bigint[], $28::bigint[], $29::bigint[], $30::text[], $31::text[], $32::text[],
                         $33::text[], $34::bigint[], $35::bigint[], $36::bigint[], $39::text[])
)
SELECT count(*) FROM replaced";

/// Writes everything that waits and empties the buffer.
pub async fn flush(conn: &mut PgConnection, buffer: &mut Buffer, keys: Keys) -> Result<()> {
    let (ended_pk, ended_at): (Vec<i64>, Vec<i64>) = buffer.ended().into_iter().unzip();
    let puts = &buffer.puts;
    let (exact_key, exact_pk): (Vec<i64>, Vec<i64>) =
        buffer.exact(|v| keys.of_type(v.target.rtype.as_str())).into_iter().unzip();
    let (range, text, shares, audits) = (buffer.range(), buffer.text(), buffer.shares(), &buffer.audits);
    let templates = buffer.templates(keys);
    let (words_pk, words): (Vec<i64>, Vec<String>) = buffer.words().map(|(pk, words)| (pk, tsvector(words))).unzip();
    let small = |n: u16| i16::try_from(n).unwrap_or(i16::MAX);
    let query = sqlx::query(FLUSH)
        .bind(&ended_pk)
        .bind(ended_at)
        .bind(puts.iter().map(|p| p.version.pk).collect::<Vec<i64>>())
        .bind(puts.iter().map(|p| p.self_key).collect::<Vec<i64>>())
        .bind(puts.iter().map(|p| small(p.version.target.rtype.0)).collect::<Vec<i16>>())
        .bind(puts.iter().map(|p| p.version.target.id.as_str()).collect::<Vec<&str>>())
        .bind(puts.iter().map(|p| p.version.version).collect::<Vec<i64>>())
        .bind(puts.iter().map(|p| i16::try_from(p.version.method.code()).unwrap_or(3)).collect::<Vec<i16>>())
        .bind(puts.iter().map(|p| p.version.org).collect::<Vec<i64>>())
        .bind(puts.iter().map(|p| p.ended).collect::<Vec<i64>>())
        .bind(puts.iter().map(|p| facts(&p.rows)).collect::<Vec<&str>>())
        .bind(puts.iter().map(|p| &p.version.body[..]).collect::<Vec<&[u8]>>())
        .bind(exact_key)
        .bind(exact_pk)
        .bind(range.iter().map(|r| r.0).collect::<Vec<i64>>())
        .bind(range.iter().map(|r| r.1).collect::<Vec<i64>>())
        .bind(range.iter().map(|r| r.2).collect::<Vec<i64>>())
        .bind(range.iter().map(|r| r.3).collect::<Vec<i64>>())
        .bind(text.iter().map(|r| r.0).collect::<Vec<i64>>())
        .bind(text.iter().map(|r| r.1).collect::<Vec<i64>>())
        .bind(text.iter().map(|r| r.2).collect::<Vec<&str>>())
        .bind(shares.iter().map(|s| s.org).collect::<Vec<i64>>())
        .bind(shares.iter().map(|s| small(s.target.rtype.0)).collect::<Vec<i16>>())
        .bind(shares.iter().map(|s| s.target.id.as_str()).collect::<Vec<&str>>())
        .bind(shares.iter().map(|s| s.handoff.as_str()).collect::<Vec<&str>>())
        .bind(shares.iter().map(|s| s.until.0).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.pk).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.audit.at.0).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.audit.org).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.audit.client.as_str()).collect::<Vec<&str>>())
        .bind(audits.iter().map(|a| a.audit.usr.as_str()).collect::<Vec<&str>>())
        .bind(audits.iter().map(|a| a.audit.request_id.as_str()).collect::<Vec<&str>>())
        .bind(audits.iter().map(|a| a.audit.action.as_str()).collect::<Vec<&str>>())
        .bind(audits.iter().map(|a| a.audit.outcome).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.versions.0).collect::<Vec<i64>>())
        .bind(audits.iter().map(|a| a.versions.1).collect::<Vec<i64>>())
        .bind(words_pk)
        .bind(words)
        .bind(audits.iter().map(|a| a.audit.detail_text()).collect::<Vec<String>>())
        .bind(templates.iter().map(|t| t.0).collect::<Vec<&str>>())
        .bind(templates.iter().map(|t| t.1).collect::<Vec<i64>>())
        .bind(templates.iter().map(|t| t.2.as_str()).collect::<Vec<&str>>())
        .bind(puts.iter().map(|p| p.version.labels).collect::<Vec<i64>>());
    let row = query.fetch_one(conn).await.map_err(failure)?;
    let replaced: i64 = row.try_get(0).map_err(failure)?;
    if usize::try_from(replaced) != Ok(ended_pk.len()) {
        return Err(again("a version to be replaced is not the current one", None));
    }
    buffer.clear();
    Ok(())
}

/// Words as a `tsvector`: letters and digits only, so nothing needs an escape. The position is there to carry a weight (and
/// a word without one would pass for every weight).
pub fn tsvector(words: &Words) -> String {
    let mut out = String::with_capacity((words.narrative.len() + words.content.len()) * 2);
    for (text, mark) in [(&words.narrative, ":1A "), (&words.content, ":1 ")] {
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            out.push_str(word);
            out.push_str(mark);
        }
    }
    out
}

const _: () = assert!(CURRENT == 9_223_372_036_854_775_807, "the number in the SQL above");
