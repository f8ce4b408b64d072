//! The server under test: the real program in a process of its own.

use super::{Client, Database, postgres, watchdog};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The `baton` under test: what `BATON_TEST_BINARY` names, an optimised build of the same tree, say; else the one that cargo built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let named = std::env::var_os("BATON_TEST_BINARY").map(PathBuf::from);
        named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_baton")))
    })
}

/// `server.advance(hours(49))`.
pub fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// How to start (and start again) the server of one test.
pub struct Settings {
    /// Its folder: database file, log, seed.
    pub dir: tempfile::TempDir,
    /// `sqlite:…` or `postgres://…`.
    pub database_url: String,
    /// Further arguments of `baton serve`.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// The seed file to load first; `None` for an empty server.
    pub seed: Option<PathBuf>,
    is_ours: bool,
    /// Whether a command has worked on the database: then there may be more in it than a copy would bring.
    is_used: AtomicBool,
}

impl Settings {
    /// For a fresh database; `None` when PostgreSQL is asked for and is skipped.
    pub fn new(database: Database) -> Option<Self> {
        let server = if database == Database::Postgres { Some(postgres::shared()?) } else { None };
        let dir = tempfile::Builder::new().prefix("baton-test-").tempdir().expect("a folder for the test");
        watchdog::removes(dir.path());
        let database_url = match server {
            Some(server) => postgres::fresh_database(server),
            None => format!("sqlite:{}", dir.path().join("baton.db").display()),
        };
        let seed = demo_seed();
        Some(Self {
            dir,
            database_url,
            arguments: Vec::new(),
            environment: Vec::new(),
            seed: Some(seed),
            is_ours: server.is_some(),
            is_used: AtomicBool::new(false),
        })
    }

    /// For a PostgreSQL that the test itself starts and kills.
    pub fn on(cluster: &postgres::Cluster) -> Self {
        let mut settings = Self::new(Database::Sqlite).expect("SQLite is always there");
        settings.database_url = postgres::fresh_database(&cluster.url());
        settings
    }

    /// Seeds the database; that of the demo's seed is made once and copied.
    fn fill(&self) {
        let Some(seed) = &self.seed else { return };
        let file = self.dir.path().join("baton.db");
        if *seed == demo_seed() && self.database_url == format!("sqlite:{}", file.display()) && !file.exists() {
            // The database, and its log of writes.
            static MADE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
            let files = [file.clone(), self.dir.path().join("baton.db-wal")];
            let made = MADE.get_or_init(|| {
                self.load(seed);
                files.clone().map(|file| std::fs::read(file).expect("`baton seed` has made it"))
            });
            return files.iter().zip(made).for_each(|(file, made)| std::fs::write(file, made).expect("a copy"));
        }
        let is_fresh = !self.is_used.load(Ordering::Relaxed);
        if *seed == demo_seed() && self.is_ours && is_fresh && postgres::is_throw_away(&self.database_url) {
            static MADE: OnceLock<String> = OnceLock::new();
            let made = MADE.get_or_init(|| {
                let mut template = Self::new(Database::Postgres).expect("this one is there");
                template.is_ours = false; // it stays as long as the cluster
                template.load(seed);
                template.database_url.clone()
            });
            return postgres::copy(made, &self.database_url);
        }
        self.load(seed);
    }

    fn load(&self, seed: &Path) {
        let (succeeded, text) = self.run(&["seed", &seed.display().to_string()]);
        assert!(succeeded, "baton seed: {text}");
    }

    /// Runs a `baton` command to its end with this database; (succeeded, what it printed).
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        self.is_used.store(true, Ordering::Relaxed);
        let out = self.output(arguments);
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.success(), text)
    }

    /// The exit code of a `baton` command.
    pub fn code(&self, arguments: &[&str]) -> Option<i32> {
        self.output(arguments).status.code()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env("BATON_DATABASE_URL", &self.database_url)
            .env("NO_COLOR", "1")
            .current_dir(self.dir.path());
        command.stdin(Stdio::null()).output().expect("baton runs")
    }

    /// Runs SQL on the database, past the program.
    pub async fn execute(&self, sql: &str) {
        if self.database_url.starts_with("sqlite:") {
            let url = format!("{}?mode=rwc", self.database_url);
            let mut connection = SqliteConnection::connect(&url).await.expect("the file opens");
            connection.execute(AssertSqlSafe(sql.to_string())).await.expect("the statement is right");
            connection.close().await.expect("a clean goodbye");
        } else {
            postgres::execute(&self.database_url, sql);
        }
    }
}

fn demo_seed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo/seed.json")
}

impl Drop for Settings {
    fn drop(&mut self) {
        if self.is_ours && !std::thread::panicking() {
            postgres::drop_database(&self.database_url);
        }
    }
}

/// A running Baton with `--auth off` and the seed of the demo: two hospitals, two pharmacies and their people.
pub struct TestServer {
    /// FHIR base without a slash at the end.
    pub base: String,
    child: Option<Child>,
    // Declared after the child: the database is dropped when nobody uses it any more.
    pub settings: Settings,
    clock: Arc<AtomicI64>,
    http: reqwest::Client,
}

impl TestServer {
    /// Seeds the database and starts the server on a free port of loopback.
    pub async fn start(settings: Settings) -> Self {
        // Of tests that run at the same time the first one chooses; the choice is the same.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        settings.fill();
        let mut server = Self {
            base: String::new(),
            child: None,
            settings,
            clock: Arc::new(AtomicI64::new(0)),
            http: reqwest::Client::builder().pool_max_idle_per_host(128).no_proxy().build().expect("a client"),
        };
        server.restart().await;
        server
    }

    /// Starts the process again on the same database, after [`TestServer::kill`] or for the first time.
    pub async fn restart(&mut self) {
        for _ in 0..5 {
            if self.try_start().await {
                return;
            }
        }
        panic!("baton serve did not get ready:\n{}", self.log_tail());
    }

    /// False when the process ended at once, as when another took the port between our look and its bind.
    async fn try_start(&mut self) -> bool {
        let port = postgres::free_port();
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = Command::new(program());
        command
            .args(["serve", "--auth", "off", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--database-url", &self.settings.database_url])
            // Tests say what time it is; a look by the real clock would find all of it overdue.
            .args(["--look-seconds", "0"])
            .args(&self.settings.arguments)
            .env("NO_COLOR", "1")
            .envs(self.settings.environment.iter().copied())
            .current_dir(self.settings.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn().expect("baton starts");
        watchdog::kills(child.id());
        let child = self.child.insert(child);
        self.base = format!("http://127.0.0.1:{port}/fhir");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if child.try_wait().expect("a child of ours").is_some() {
                watchdog::forgets(child.id());
                return false;
            }
            let ready = self.http.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
            if ready.is_ok_and(|r| r.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// `kill -9`: no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            watchdog::forgets(child.id());
        }
    }

    /// SIGTERM, and the orderly end that follows.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
            assert!(sent.success(), "SIGTERM to {}", child.id());
            child.wait().expect("a child of ours");
            watchdog::forgets(child.id());
        }
    }

    /// SIGHUP, as an operator sends it.
    pub fn hangup(&self) {
        let id = self.child.as_ref().expect("a running server").id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().expect("kill runs");
        assert!(sent.success(), "SIGHUP to {id}");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// How it was started.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn log_path(&self) -> PathBuf {
        self.settings.dir.path().join("serve.log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A caller by login name or client id of the demo's seed.
    pub fn user(&self, name: &str) -> Client {
        Client::new(self.http.clone(), self.base.clone(), Some(name.to_string()), self.clock.clone())
    }

    /// The super-user of `--auth off`: everything of every organisation.
    pub fn everyone(&self) -> Client {
        Client::new(self.http.clone(), self.base.clone(), None, self.clock.clone())
    }

    /// Lakeside General Hospital's EHR.
    pub fn hospital(&self) -> Client {
        self.user("lakeside-ehr")
    }

    /// Northgate Medical Center's EHR.
    pub fn other_hospital(&self) -> Client {
        self.user("northgate-ehr")
    }

    /// Elm Street Pharmacy's system.
    pub fn pharmacy(&self) -> Client {
        self.user("elm-street-pms")
    }

    /// Harbour Pharmacy's system.
    pub fn other_pharmacy(&self) -> Client {
        self.user("harbour-pms")
    }

    /// Elm Street Pharmacy's technician.
    pub fn technician(&self) -> Client {
        self.user("mara")
    }

    /// Elm Street Pharmacy's pharmacist.
    pub fn pharmacist(&self) -> Client {
        self.user("jonas")
    }

    /// Sets the server's clock, for every request from now on.
    pub fn at(&self, instant: &str) {
        let instant: jiff::Timestamp = instant.parse().expect("an RFC 3339 instant");
        self.clock.store(instant.as_microsecond(), Ordering::Relaxed);
    }

    /// Moves the clock on; it starts at the real time.
    pub fn advance(&self, by: Duration) {
        let now = self.now().as_microsecond();
        self.clock.store(now + i64::try_from(by.as_micros()).expect("a span of this age"), Ordering::Relaxed);
    }

    /// What the server's clock says to a request made now.
    pub fn now(&self) -> jiff::Timestamp {
        match self.clock.load(Ordering::Relaxed) {
            0 => jiff::Timestamp::now(),
            micros => jiff::Timestamp::from_microsecond(micros).expect("set by `at`"),
        }
    }

    /// Reads `Type/id` as the super-user; fails unless 200.
    pub async fn read(&self, reference: &str) -> serde_json::Value {
        self.everyone().read(reference).await.ok().body
    }

    /// How many versions there are of everything but the audit. Asked past the program: a history of types waits for older writes
    /// (decision 0004), and what it counts may be a moment old.
    pub async fn versions(&self) -> i64 {
        let audit = baton::fhir::resource::known("AuditEvent").0;
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM version WHERE rtype <> {audit}"));
        let url = &self.settings.database_url;
        let counted = if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.expect("the file opens");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(url).await.expect("the tests' PostgreSQL answers");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await
        };
        counted.expect("a number")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's last words ---\n{}", self.log_tail());
        }
    }
}
