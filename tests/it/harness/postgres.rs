//! Where a PostgreSQL for the tests comes from, and a fresh database on it.

use super::{required, skipped, watchdog};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A throw-away cluster: its own folder, port and socket.
pub struct Cluster {
    bin: PathBuf,
    user: Option<String>,
    dir: PathBuf,
    port: u16,
    postmaster: Option<Child>,
}

/// The folder with `initdb` and `postgres`: on the PATH, or where Debian, Red Hat and Homebrew put it; the newest.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for parent in ["/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt", "/usr"] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path());
        let mut found: Vec<_> = entries.filter(|p| p.join("bin/initdb").is_file()).collect();
        found.sort_by_key(|p| std::cmp::Reverse(p.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok())));
        places.extend(found.into_iter().map(|p| p.join("bin")));
    }
    // A link to `initdb` may stand alone in a folder of the PATH: the folder it leads to has the others.
    let real = places.into_iter().filter_map(|p| Some(p.join("initdb").canonicalize().ok()?.parent()?.to_path_buf()));
    real.into_iter().find(|p| p.join("postgres").is_file() && p.join("pg_isready").is_file())
}

/// `initdb` refuses to run as root: the user to become then, `postgres` or the first other that is not root.
fn another_user() -> Option<String> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users: Vec<&str> =
        passwd.lines().filter(|l| l.split(':').nth(2) != Some("0")).filter_map(|l| l.split(':').next()).collect();
    let user = users.iter().find(|u| **u == "postgres").or(users.first())?;
    Some((*user).to_string())
}

impl Cluster {
    /// Makes and starts one. `None` when there is no `initdb` here. `is_durable`: with fsync, as in production; else
    /// without, which survives a kill of the processes but not a power cut, and is several times faster.
    pub fn start(is_durable: bool) -> Option<Self> {
        let (bin, user) = (binaries()?, another_user());
        let made = as_user(user.as_deref(), Path::new("mktemp"))
            .args(["-d", "-t", "baton-test-pg.XXXXXX"])
            .output()
            .expect("mktemp runs");
        let dir = PathBuf::from(String::from_utf8_lossy(&made.stdout).trim());
        assert!(dir.is_dir(), "mktemp made no folder: {}", String::from_utf8_lossy(&made.stderr));
        watchdog::removes(&dir);
        let initdb = as_user(user.as_deref(), &bin.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(dir.join("data"))
            .current_dir("/")
            .output()
            .expect("initdb runs");
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 300\nshared_buffers = 64MB\nfsync = {}\n",
            dir.display(),
            if is_durable { "on" } else { "off\nsynchronous_commit = off\nfull_page_writes = off" },
        );
        let conf = dir.join("data/postgresql.conf");
        let before = std::fs::read_to_string(&conf).expect("initdb wrote it");
        std::fs::write(&conf, before + &settings).expect("the configuration can be written");
        let mut cluster = Self { bin, user, dir, port: free_port(), postmaster: None };
        cluster.boot();
        Some(cluster)
    }

    /// Starts the postmaster (again) and waits until it takes connections.
    pub fn boot(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log")).expect("a log file");
        let child = as_user(self.user.as_deref(), &self.bin.join("postgres"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .args(["-p", &self.port.to_string()])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        self.postmaster = Some(child);
        let start = Instant::now();
        while !self.is_ready() {
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "PostgreSQL did not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        watchdog::kills(self.postmaster_pid().expect("a running postmaster wrote its pid"));
    }

    fn is_ready(&self) -> bool {
        let mut ask = Command::new(self.bin.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status().is_ok_and(|s| s.success())
    }

    fn postmaster_pid(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// `kill -9` of the postmaster and of every process it started, as the out-of-memory killer or a crash would.
    pub fn kill(&mut self) {
        let postmaster = self.postmaster_pid().expect("a running postmaster wrote its pid");
        let mut pids = vec![postmaster];
        pids.extend(children_of(postmaster));
        let mut kill = Command::new("kill");
        kill.arg("-KILL").args(pids.iter().map(ToString::to_string));
        kill.stderr(Stdio::null()).status().expect("kill runs");
        watchdog::forgets(postmaster);
        if let Some(mut child) = self.postmaster.take() {
            child.wait().expect("a child of ours");
        }
        let start = Instant::now();
        while pids.iter().any(|pid| is_alive(*pid)) {
            assert!(start.elapsed() < Duration::from_secs(20), "killed processes did not go away");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The server's URL without a database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }
}

/// Dropped only where a test owns its cluster; the shared one is the watchdog's.
impl Drop for Cluster {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            self.kill();
        }
    }
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--"]).arg(program);
    command
}

fn children_of(parent: u32) -> Vec<u32> {
    let out = Command::new("ps").args(["-eo", "pid=,ppid="]).output().expect("ps runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let pairs = text.lines().filter_map(|l| {
        let mut numbers = l.split_whitespace().map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    pairs.filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| pid).collect()
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.rsplit(')').next().is_some_and(|s| s.trim_start().starts_with('Z'))
}

/// A port nobody listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port on loopback").port()
}

/// The URL of the cluster that [`shared`] started, if it did.
static THROW_AWAY: OnceLock<String> = OnceLock::new();

/// Whether a database is on the cluster of the tests' own, where nobody minds what is left behind.
pub fn is_throw_away(database_url: &str) -> bool {
    let server = database_url.rsplit_once('/').map(|(server, _)| server);
    server.is_some() && server == THROW_AWAY.get().map(String::as_str)
}

/// Puts a copy of a database that nobody is connected to in the place of another.
pub fn copy(from: &str, to: &str) {
    let (server, name) = to.rsplit_once('/').expect("a URL with a database");
    let template = from.rsplit_once('/').map_or(from, |(_, name)| name);
    execute(&format!("{server}/postgres"), &format!("DROP DATABASE {name}"));
    execute(&format!("{server}/postgres"), &format!("CREATE DATABASE {name} TEMPLATE {template}"));
}

/// The tests' PostgreSQL, started by the first test that asks. `None`: skip (said aloud), or a failure where it is required.
pub fn shared() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    let url = URL.get_or_init(|| {
        if let Ok(url) = std::env::var("BATON_TEST_POSTGRES") {
            return Some(url.trim_end_matches('/').to_string());
        }
        let cluster = Cluster::start(false)?;
        let url = cluster.url();
        THROW_AWAY.get_or_init(|| url.clone());
        std::mem::forget(cluster);
        Some(url)
    });
    if url.is_none() {
        let why = "no `initdb` on this machine and BATON_TEST_POSTGRES is not set";
        assert!(!required("postgres"), "BATON_TEST_REQUIRE asks for postgres: {why}");
        skipped("PostgreSQL", why);
    }
    url.as_deref()
}

/// Makes a database on the server at `server` and returns its URL.
pub fn fresh_database(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("baton_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    execute(&format!("{server}/postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
    format!("{server}/{name}")
}

/// Drops what [`fresh_database`] made: a server that others own keeps nothing of ours.
pub fn drop_database(url: &str) {
    if let Some((server, name)) = url.rsplit_once('/') {
        execute(&format!("{server}/postgres"), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }
}

/// Runs one statement past Baton: for making databases, and for breaking them on purpose.
pub fn execute(url: &str, sql: &str) {
    let (url, sql) = (url.to_string(), sql.to_string());
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
            let mut connection = PgConnection::connect(&url).await.expect("the tests' PostgreSQL answers");
            connection.execute(AssertSqlSafe(sql)).await.expect("the statement is right");
            connection.close().await.expect("a clean goodbye");
        });
    };
    // On a thread of its own: callers may stand in a runtime already.
    std::thread::spawn(work).join().expect("the statement ran");
}

#[test]
fn a_cluster_of_the_tests_own_is_killed_and_comes_back() {
    let Some(mut cluster) = Cluster::start(true) else {
        assert!(!required("postgres"), "BATON_TEST_REQUIRE asks for postgres");
        return skipped("PostgreSQL", "no `initdb` on this machine");
    };
    let url = fresh_database(&cluster.url());
    execute(&url, "CREATE TABLE kept (n INT)");
    cluster.kill();
    cluster.boot();
    execute(&url, "INSERT INTO kept VALUES (1)");
    drop_database(&url);
    let dir = cluster.dir.clone();
    drop(cluster);
    assert!(dir.is_dir(), "the folder is removed by the watchdog, when the tests end");
}
