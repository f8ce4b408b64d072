//! A [`TestServer`] for each test: its own process, port, database and clock.
//!
//! PostgreSQL: the server that `BATON_TEST_POSTGRES` names (`postgres://user@host:port`, may create databases), else a
//! throw-away cluster of the tests' own where `initdb` is found, else the PostgreSQL half is skipped with a printed count,
//! or fails where `BATON_TEST_REQUIRE` holds `postgres`.

pub mod client;
pub mod data;
pub mod exact;
pub mod postgres;
pub mod server;
pub mod watchdog;

pub use client::{Answer, Client};
pub use server::{Settings, TestServer, hours, program};

use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the tests' server.
    Postgres,
}

/// One test per database: `both_databases!(a_claim_needs_if_match);` above `async fn a_claim_needs_if_match(server: TestServer)`.
macro_rules! both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::harness::with_server($crate::harness::Database::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                $crate::harness::with_server($crate::harness::Database::Postgres, super::$name);
            }
        }
    )+};
}

/// The same of a server with further arguments: `both_databases_with!(["--delete-max", "1"]; a_story, another);`
macro_rules! both_databases_with {
    ($arguments:expr; $($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                $crate::harness::with_arguments($crate::harness::Database::Sqlite, &$arguments, super::$name);
            }
            #[test]
            fn postgres() {
                $crate::harness::with_arguments($crate::harness::Database::Postgres, &$arguments, super::$name);
            }
        }
    )+};
}

/// Runs one story against a server with further arguments.
pub fn with_arguments<F: Future<Output = ()>>(
    database: Database,
    arguments: &[&str],
    story: impl FnOnce(TestServer) -> F,
) {
    with_database(database, |mut settings| async move {
        settings.arguments.extend(arguments.iter().map(ToString::to_string));
        story(TestServer::start(settings).await).await;
    });
}

/// Runs one story against a server of its own.
pub fn with_server<F: Future<Output = ()>>(database: Database, story: impl FnOnce(TestServer) -> F) {
    with_database(database, |settings| async move { story(TestServer::start(settings).await).await });
}

/// Runs one story that starts (and kills) servers itself.
pub fn with_database<F: Future<Output = ()>>(database: Database, story: impl FnOnce(Settings) -> F) {
    let Some(settings) = Settings::new(database) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(story(settings));
}

/// Whether `BATON_TEST_REQUIRE` names `what`: then it must not be skipped.
pub fn required(what: &str) -> bool {
    std::env::var("BATON_TEST_REQUIRE").is_ok_and(|list| list.split(',').any(|w| w.trim() == what))
}

/// Says that something was left out, past the capture of the test runner, with a running count.
pub fn skipped(what: &str, why: &str) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    let name = std::thread::current().name().unwrap_or("?").to_string();
    writeln!(std::io::stderr(), "skipped ({n} so far): {name}: {what}: {why}").expect("stderr takes a line");
}
