//! Opening, migrating and closing the database.

use super::cache::Cache;
use super::conn::{Conn, Row, Sql, failure};
use super::dialect::{Dialect, postgres, sqlite};
use super::pool::{Pooled, Readers, Reading};
use super::search::many::Many;
use super::{Tx, Work, writer};
use crate::access::Labels;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::fhir::ResourceType;
use crate::search::{Keys, keys};
use sqlx::PgPool;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How to open the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. There is no database in memory.
    pub url: String,
    /// Connections for reads.
    pub readers: u32,
    /// Connections for writes (PostgreSQL; SQLite has one).
    pub writers: u32,
    /// Bytes of the cache of current versions (SQLite); 0 turns it off.
    pub cache_bytes: usize,
    /// Works that may wait for the writer before more are refused with 503.
    pub queue: usize,
    /// How long one read may take, in milliseconds.
    pub query_ms: u64,
    /// How long the links of a page hold, in seconds.
    pub page_seconds: i64,
    /// Security labels that need clearance.
    pub labels: Arc<Labels>,
}

impl Settings {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            readers: 8,
            writers: 8,
            cache_bytes: 64 << 20,
            queue: 1024,
            query_ms: 10_000,
            page_seconds: 3600,
            labels: Arc::new(Labels::built_in().unwrap_or_else(|_| Labels::none())),
        }
    }
}

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

/// What all clones share.
pub(super) struct Inner {
    pub shared: Arc<Shared>,
    /// Writes that run or wait (PostgreSQL).
    queue: Arc<Semaphore>,
    backend: Backend,
    /// The runtime that opened the store: writes run there, so that a caller who goes away stops none.
    pub runtime: Handle,
    /// Audit rows of what changes nothing.
    pub journal: super::audit::journal::Journal,
}

/// What reads and transactions need to know of the database.
pub(super) struct Shared {
    pub settings: Settings,
    pub dialect: Dialect,
    pub keys: Keys,
    pub cache: Cache,
    /// What searches know of the size of sets.
    pub many: Many,
    /// SQLite: the highest pk that is on disk; all below are too.
    pub committed: AtomicI64,
    /// SQLite: which search parameters are in force, see `parameter.rs`.
    pub generation: AtomicI64,
    /// Which of the nodes that write this is: part of the numbers of new resources.
    node: i64,
    /// The last tick in such a number.
    tick: AtomicI64,
}

enum Backend {
    Sqlite {
        readers: Readers,
        writer: Mutex<Option<writer::Queue>>,
        task: Mutex<Option<JoinHandle<()>>>,
        /// Held until the last clone is gone or `close` ran.
        lock: Mutex<Option<File>>,
    },
    Postgres {
        read: PgPool,
        write: PgPool,
    },
}

impl Store {
    /// Opens the database, makes it where there is none (SQLite), and brings its schema up to date.
    ///
    /// # Errors
    /// `Fault` with a sentence for the operator: another process holds the file, the schema is newer, no connection.
    pub async fn open(settings: &Settings) -> Result<Self> {
        if settings.url.starts_with("postgres://") || settings.url.starts_with("postgresql://") {
            return Self::open_postgres(settings).await;
        }
        let Some(path) = sqlite::path(&settings.url) else {
            return Err(Error::fault("a database URL is sqlite:PATH or postgres://USER@HOST/DATABASE"));
        };
        let lock = sqlite::lock(&path)?;
        sqlite::make_private(&path)?;
        sqlite::migrate(&path).await?.map_err(schema)?;
        let mut conn = Conn::Writer(sqlite::writer(&path)?);
        let keys = hash_keys(&mut conn, Dialect::Sqlite).await?;
        let newest = "SELECT max((SELECT coalesce(max(pk), 0) FROM version), (SELECT coalesce(max(pk), 0) FROM audit))";
        let rows = conn.fetch(Sql::of(Dialect::Sqlite, newest, Vec::new())).await?;
        let last = rows.first().map_or(Ok(0), |row| row.int(0))?;
        let (queue, jobs) = writer::queue(settings.queue);
        let backend = Backend::Sqlite {
            readers: Readers::new(path, settings.readers),
            writer: Mutex::new(Some(queue)),
            task: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        };
        let node = node(&mut conn, Dialect::Sqlite).await?;
        let rows = conn.fetch(Sql::of(Dialect::Sqlite, super::parameter::GENERATION, Vec::new())).await?;
        let generation = rows.first().map_or(Ok(0), |row| row.int(0))?;
        let store = Self::build(settings, Dialect::Sqlite, keys, (node, last), backend);
        store.inner.shared.generation.store(generation, Ordering::Release);
        let tx = Tx::new(Arc::clone(&store.inner.shared), conn, last);
        // It ends when `close`, or the last clone of the store, drops the queue.
        let runtime = store.inner.runtime.clone();
        let thread = std::thread::Builder::new().name("baton-writer".into());
        let task = thread
            .spawn(move || runtime.block_on(writer::run(tx, jobs)))
            .map_err(|e| Error::fault("the system gives no thread to the writer").caused_by(e))?;
        if let Backend::Sqlite { task: slot, .. } = &store.inner.backend {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Ok(store)
    }

    /// Opens a database that is there, to read it: also while a server holds it (SQLite). Writes are refused.
    ///
    /// # Errors
    /// `Fault` with a sentence for the operator when there is none yet.
    pub async fn open_to_read(settings: &Settings) -> Result<Self> {
        let Some(path) = sqlite::path(&settings.url) else { return Self::open(settings).await };
        if !path.is_file() {
            return Err(Error::fault(format!(
                "there is no database at {}; baton seed or baton serve makes it",
                path.display()
            )));
        }
        let backend = Backend::Sqlite {
            readers: Readers::new(path, 1),
            writer: Mutex::new(None),
            task: Mutex::new(None),
            lock: Mutex::new(None),
        };
        // Another process writes: what a cache holds would go stale, and all that is on disk may be read.
        let settings = Settings { cache_bytes: 0, ..settings.clone() };
        let unknown = Self::build(&settings, Dialect::Sqlite, Keys(0, 0), (0, i64::MAX - 1), backend);
        let text = unknown.setting("hash_keys").await?.unwrap_or_default();
        let keys = keys_of(&text)?;
        let mut inner = Arc::into_inner(unknown.inner).ok_or_else(|| Error::fault("nobody else has this store yet"))?;
        let mut shared = Arc::into_inner(inner.shared).ok_or_else(|| Error::fault("nobody else has this store yet"))?;
        shared.keys = keys;
        inner.shared = Arc::new(shared);
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn open_postgres(settings: &Settings) -> Result<Self> {
        postgres::knock(&settings.url).await?;
        let write = postgres::pool(&settings.url, settings.writers, settings.query_ms, true).await?;
        postgres::migrate(&write).await.map_err(schema)?;
        postgres::can_serve(&mut *write.acquire().await.map_err(failure)?).await?;
        let read = postgres::pool(&settings.url, settings.readers, settings.query_ms, false).await?;
        let mut conn = Conn::Postgres(Pooled::new(write.acquire().await.map_err(failure)?, postgres::WRITE_PATIENCE));
        let keys = hash_keys(&mut conn, Dialect::Postgres).await?;
        let node = node(&mut conn, Dialect::Postgres).await?;
        drop(conn);
        Ok(Self::build(settings, Dialect::Postgres, keys, (node, 0), Backend::Postgres { read, write }))
    }

    /// `last`: the last stamp on disk (SQLite).
    /// The file that another process may hold: of a store that was opened to read.
    pub(super) fn read_beside(&self) -> Option<&Path> {
        match &self.inner.backend {
            Backend::Sqlite { readers, lock, .. } => {
                let is_ours = lock.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                (!is_ours).then(|| readers.path())
            }
            Backend::Postgres { .. } => None,
        }
    }

    fn build(settings: &Settings, dialect: Dialect, keys: Keys, (node, last): (i64, i64), backend: Backend) -> Self {
        let cache = if dialect == Dialect::Sqlite { settings.cache_bytes } else { 0 };
        let shared = Shared {
            settings: settings.clone(),
            dialect,
            keys,
            cache: Cache::new(cache),
            many: Many::new(),
            committed: AtomicI64::new(last),
            generation: AtomicI64::new(0),
            node,
            tick: AtomicI64::new(0),
        };
        let inner = Inner {
            shared: Arc::new(shared),
            queue: Arc::new(Semaphore::new(settings.queue)),
            backend,
            runtime: Handle::current(),
            journal: super::audit::journal::Journal::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The database's hash keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.inner.shared.keys
    }

    /// A logical id for a new resource, not to be guessed and used once.
    #[must_use]
    pub fn fresh_id(&self, rtype: ResourceType) -> String {
        let shared = &self.inner.shared;
        let now = keys::tick(Instant::now());
        let last = shared.tick.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        let tick = now.max(last.unwrap_or_default() + 1);
        shared.keys.seal(keys::number(tick, shared.node, rtype))
    }

    /// `version.org` and `share.org` of an Organization's logical id.
    #[must_use]
    pub fn org_key(&self, id: &str) -> i64 {
        self.inner.shared.keys.org(id)
    }

    /// Security labels that need clearance.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.inner.shared.settings.labels
    }

    /// Whether the database is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.inner.shared.dialect == Dialect::Postgres
    }

    /// Runs a write to its commit: when it returns `Ok`, the data are on disk. A caller who stops waiting stops nothing.
    ///
    /// # Errors
    /// What the work returned (then nothing of it is stored), or `Busy` when the writer is full.
    pub async fn write<W: Work>(&self, work: W) -> Result<W::Out> {
        match &self.inner.backend {
            Backend::Sqlite { writer, .. } => {
                let queue = writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
                writer::send(queue, work).await
            }
            Backend::Postgres { write, .. } => {
                let permit = Arc::clone(&self.inner.queue).try_acquire_owned().map_err(|_| writer::full())?;
                let (shared, pool) = (Arc::clone(&self.inner.shared), write.clone());
                let run = async move {
                    let out = writer::run_on_postgres(&shared, &pool, &work).await;
                    drop(permit);
                    out
                };
                let done = self.inner.runtime.spawn(run).await;
                done.map_err(|e| Error::fault("a write stopped before its end").caused_by(e))?
            }
        }
    }

    /// Whether the database answers: for `/readyz`.
    pub async fn is_ready(&self) -> bool {
        self.fetch("SELECT value FROM setting WHERE name = 'hash_keys'", Vec::new()).await.is_ok()
    }

    /// Waits for running writes and closes all connections.
    pub async fn close(&self) {
        self.end_journal().await;
        match &self.inner.backend {
            Backend::Sqlite { readers, writer, task, lock } => {
                drop(writer.lock().unwrap_or_else(PoisonError::into_inner).take());
                let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(task) = task {
                    // A panic of the writer has been logged.
                    tokio::task::spawn_blocking(move || task.join().ok()).await.ok();
                }
                readers.close().await;
                drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            Backend::Postgres { read, write } => {
                write.close().await;
                read.close().await;
            }
        }
    }

    /// A connection for one read.
    pub(super) async fn reading(&self) -> Result<Reading<'_>> {
        match &self.inner.backend {
            Backend::Sqlite { readers, .. } => readers.take(self.inner.shared.settings.query_ms).await,
            Backend::Postgres { read, .. } => {
                // The server ends a statement first, if it can.
                let patience = Duration::from_millis(self.inner.shared.settings.query_ms) + Duration::from_secs(3);
                Ok(Reading::of(Conn::Postgres(Pooled::new(read.acquire().await.map_err(failure)?, patience))))
            }
        }
    }

    /// Whether another process holds the file of SQLite; false for PostgreSQL, which takes any number.
    #[must_use]
    pub fn is_held(settings: &Settings) -> bool {
        sqlite::path(&settings.url).is_some_and(|path| path.is_file() && sqlite::lock(&path).is_err())
    }

    /// One read of SQL that both databases take.
    pub(super) async fn fetch(&self, text: &str, args: Vec<super::conn::Arg>) -> Result<Vec<Row>> {
        let mut reading = self.reading().await?;
        reading.conn()?.fetch(Sql::of(self.inner.shared.dialect, text, args)).await
    }
}

impl Shared {
    /// All versions up to the answer are on disk (SQLite).
    pub fn snapshot(&self) -> i64 {
        self.committed.load(Ordering::Acquire)
    }
}

/// What migrating says, for the operator.
fn schema(error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError::{VersionMismatch, VersionMissing};
    let text = match &error {
        VersionMissing(n) => format!(
            "the database has schema step {n}, which this Baton does not know: it was used by a newer Baton; start that one"
        ),
        VersionMismatch(n) => {
            format!("schema step {n} of the database is not the one of this Baton; it cannot be used")
        }
        other if postgres::is_not_allowed(other) => format!(
            "the schema has to be brought up to date, which this role of PostgreSQL may not do: run baton migrate as the role that owns the \
             tables, then start again ({other})"
        ),
        other => format!("the schema could not be brought up to date: {other}"),
    };
    Error::fault(text).caused_by(error)
}

/// Reads the hash keys; the first start makes them.
async fn hash_keys(conn: &mut Conn, dialect: Dialect) -> Result<Keys> {
    keys_of(&super::setting::once(conn, dialect, "hash_keys").await?)
}

/// Counts the starts: nodes that write at the same time have different ones (of 64), and so has the next start.
async fn node(conn: &mut Conn, dialect: Dialect) -> Result<i64> {
    let sql = "INSERT INTO setting (name, value) VALUES ('starts', '1') ON CONFLICT (name)
               DO UPDATE SET value = CAST(CAST(setting.value AS BIGINT) + 1 AS TEXT) RETURNING CAST(value AS BIGINT)";
    let rows = conn.fetch(Sql::of(dialect, sql, Vec::new())).await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
}

fn keys_of(text: &str) -> Result<Keys> {
    let half = |n: usize| text.get(n * 16..n * 16 + 16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    match (half(0), half(1)) {
        (Some(a), Some(b)) => Ok(Keys(a, b)),
        _ => Err(Error::fault("setting 'hash_keys' of the database is damaged")),
    }
}
