//! A database of a newer Baton is refused, one of an older Baton migrates.

use crate::harness::{Database, Settings, TestServer, with_database};
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::path::Path;

async fn a_newer_schema_is_refused(mut settings: Settings) {
    settings.seed = None;
    let (migrated, text) = settings.run(&["migrate"]);
    assert!(migrated, "{text}");
    let checksum = if settings.database_url.starts_with("sqlite:") { "x''" } else { "''::bytea" };
    let columns = "version, description, installed_on, success, checksum, execution_time";
    let row = format!("99999999, 'from the future', CURRENT_TIMESTAMP, TRUE, {checksum}, 0");
    settings.execute(&format!("INSERT INTO _sqlx_migrations ({columns}) VALUES ({row})")).await;
    let (started, text) = settings.run(&["serve", "--auth", "off", "--listen", "127.0.0.1:0"]);
    assert!(!started, "baton serve must refuse a newer schema");
    assert!(text.contains("newer"), "and say why: {text}");
}

#[test]
fn a_newer_schema_is_refused_on_sqlite() {
    with_database(Database::Sqlite, a_newer_schema_is_refused);
}

#[test]
fn a_newer_schema_is_refused_on_postgres() {
    with_database(Database::Postgres, a_newer_schema_is_refused);
}

/// Applies the first migration alone, as the first Baton did, and starts this one on the result.
async fn an_older_schema_migrates(mut settings: Settings) {
    settings.seed = None;
    let dialect = if settings.database_url.starts_with("sqlite:") { "sqlite" } else { "postgres" };
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
    let mut files: Vec<_> = std::fs::read_dir(ours).expect("migrations").flatten().map(|e| e.path()).collect();
    files.sort();
    let first = settings.dir.path().join("first");
    std::fs::create_dir(&first).expect("a folder");
    std::fs::copy(&files[0], first.join(files[0].file_name().expect("a name"))).expect("a copy");
    let migrator = Migrator::new(first).await.expect("one migration");
    if dialect == "sqlite" {
        let url = format!("{}?mode=rwc", settings.database_url);
        let mut connection = SqliteConnection::connect(&url).await.expect("the file opens");
        migrator.run(&mut connection).await.expect("the first schema");
        connection.close().await.expect("a clean goodbye");
    } else {
        let mut connection = PgConnection::connect(&settings.database_url).await.expect("the database opens");
        migrator.run(&mut connection).await.expect("the first schema");
        connection.close().await.expect("a clean goodbye");
    }
    let server = TestServer::start(settings).await;
    server.everyone().create(&json!({"resourceType": "Patient", "active": true})).await.is(201);
}

#[test]
fn an_older_schema_migrates_on_sqlite() {
    with_database(Database::Sqlite, an_older_schema_migrates);
}

#[test]
fn an_older_schema_migrates_on_postgres() {
    with_database(Database::Postgres, an_older_schema_migrates);
}
