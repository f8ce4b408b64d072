//! One role of PostgreSQL owns the tables and migrates, another serves: as docs/operations.md says it.

use crate::harness::client::reference;
use crate::harness::{Database, Settings, TestServer, with_database};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Own docs/operations.md: A server runs as a role that may read and write and change no schema; what such a role lacks it is told.
#[test]
fn a_server_runs_as_another_role_than_who_migrates() {
    with_database(Database::Postgres, another_role);
}

async fn another_role(mut settings: Settings) {
    let url = settings.database_url.clone();
    let (server, database) = url.rsplit_once('/').expect("a database");
    let (owner, serving) = (format!("{database}_owner"), format!("{database}_server"));
    let at = server.rsplit_once('@').map_or_else(|| server.trim_start_matches("postgres://"), |(_, at)| at);
    let as_role = |role: &str| format!("postgres://{role}:a-password@{at}/{database}");
    let mut sql = PgConnection::connect(&url).await.expect("the database opens");
    let run = async |sql: &mut PgConnection, text: String| {
        sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(sql).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    };
    let made = format!(
        "CREATE ROLE {owner} LOGIN NOSUPERUSER PASSWORD 'a-password'; CREATE ROLE {serving} LOGIN NOSUPERUSER PASSWORD 'a-password'; \
         ALTER DATABASE {database} OWNER TO {owner}; ALTER SCHEMA public OWNER TO {owner}"
    );
    run(&mut sql, made).await;
    let as_owner = as_role(&owner);
    let (done, said) = settings.run(&["migrate", "--database-url", &as_owner]);
    assert!(done, "{said}");

    let seed = settings.seed.take().expect("a seed").display().to_string();
    let as_server = as_role(&serving);
    let seeded = |settings: &Settings| settings.run(&["seed", &seed, "--database-url", &as_server]);
    let refused = |settings: &Settings, says: &[&str]| {
        let (done, said) = seeded(settings);
        assert!(!done && says.iter().all(|word| said.contains(word)), "{says:?}: {said}");
    };
    let tables = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public";
    run(&mut sql, format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {serving}")).await;
    refused(&settings, &[serving.as_str(), "row-level security", owner.as_str(), "BYPASSRLS"]);
    run(&mut sql, format!("ALTER ROLE {serving} BYPASSRLS")).await;
    refused(&settings, &[serving.as_str(), owner.as_str(), "SELECT, INSERT, UPDATE, DELETE", "audit, ", "version"]);
    run(&mut sql, format!("GRANT {tables} TO {serving}")).await;
    refused(&settings, &["(of a sequence SELECT, UPDATE)", "on stamp ("]);
    run(&mut sql, format!("GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {serving}")).await;
    // A step that is not taken: it is the owner's to take.
    run(
        &mut sql,
        "CREATE TABLE kept AS SELECT * FROM _sqlx_migrations ORDER BY version DESC LIMIT 1; \
                   DELETE FROM _sqlx_migrations WHERE version IN (SELECT version FROM kept)"
            .into(),
    )
    .await;
    refused(&settings, &["run baton migrate as the role that owns the tables"]);
    run(&mut sql, "INSERT INTO _sqlx_migrations SELECT * FROM kept; DROP TABLE kept".into()).await;
    let (done, said) = seeded(&settings);
    assert!(done, "{said}");

    settings.arguments.extend(["--database-url".into(), as_server.clone()]);
    let mut server = TestServer::start(settings).await;
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Rolle"}]});
    let patient = reference(&server.hospital().create(&patient).await.is(201).body);
    assert_eq!(server.hospital().search("Patient?name=rolle").await.len(), 1);
    server.other_hospital().read(&patient).await.is(404);
    server.hospital().patch(&patient, &json!([{"op": "add", "path": "/active", "value": true}])).await.is(200);
    let history = server.hospital().read(&format!("{patient}/_history")).await.is(200).body;
    assert_eq!(history["entry"].as_array().map(Vec::len), Some(2), "{history}");
    // What serves changes no schema, whatever it is told to do.
    let mut serving_sql = PgConnection::connect(&as_server).await.expect("the role logs in");
    for statement in
        ["CREATE TABLE public.x (n INT)", "ALTER TABLE version ADD COLUMN x INT", "DROP POLICY of_org ON version"]
    {
        assert!(serving_sql.execute(statement).await.is_err(), "{statement}");
    }
    serving_sql.close().await.expect("a clean goodbye");
    server.stop();
    let gone = [&owner, &serving]
        .map(|role| format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role};"));
    run(&mut sql, gone.concat()).await;
}
