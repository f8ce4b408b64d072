//! PostgreSQL's row-level security, alone: a role that owns nothing reads with SQL of its own, and the server is not asked.

use crate::harness::client::reference;
use crate::harness::{Database, Settings, TestServer, with_database};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// security leak 23: A role that owns no table sees, with plain SQL, what its organisation owns or has been shown, and writes nothing.
#[test]
fn the_database_itself_keeps_organisations_apart() {
    with_database(Database::Postgres, the_database_itself);
}

async fn the_database_itself(settings: Settings) {
    let server = TestServer::start(settings).await;
    let patient = |family: &str| {
        json!({"resourceType": "Patient", "name": [{"family": family}], "birthDate": "1950-01-02",
        "text": {"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{family}</div>")}})
    };
    let mut ids = Vec::new();
    for (client, family) in [(server.hospital(), "Abelson"), (server.other_hospital(), "Zebrowski")] {
        let id = reference(&client.create(&patient(family)).await.is(201).body);
        ids.push(id.trim_start_matches("Patient/").to_owned());
    }
    // A row of the second hospital with a label, and one that is shared with the first.
    let second = server.other_hospital();
    let mut labelled = patient("Zapped");
    labelled["meta"] =
        json!({"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    let labelled = second.create(&labelled).await.is(201).reference().trim_start_matches("Patient/").to_owned();
    let shared = second.create(&patient("Shown")).await.is(201).reference().trim_start_matches("Patient/").to_owned();

    let mut sql = PgConnection::connect(&server.settings().database_url).await.expect("the database opens");
    let owner = async |sql: &mut PgConnection, id: &str| -> (i64, i16, i64) {
        let row = sqlx::query("SELECT org, rtype, pk FROM version WHERE id = $1").bind(id).fetch_one(sql).await;
        let row = row.expect("a row");
        (row.get(0), row.get(1), row.get(2))
    };
    let (first_org, rtype, first_pk) = owner(&mut sql, &ids[0]).await;
    let (second_org, _, second_pk) = owner(&mut sql, &ids[1]).await;
    assert_ne!(first_org, second_org);
    let insert = "INSERT INTO share (org, rtype, id, handoff, until) VALUES ($1, $2, $3, 'h', 9223372036854775807), ($1, $2, $4, 'old', 1)";
    sqlx::query(insert)
        .bind(first_org)
        .bind(rtype)
        .bind(&shared)
        .bind(&ids[1])
        .execute(&mut sql)
        .await
        .expect("shares");
    // Roles are the cluster's: this one has the database's name, and goes with it.
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut sql).await.expect("a name");
    let role = format!("{database}_reader");
    sql.execute(AssertSqlSafe(format!("CREATE ROLE \"{role}\" NOSUPERUSER NOBYPASSRLS"))).await.expect("a role");
    let grants = format!(
        "GRANT USAGE ON SCHEMA public TO \"{role}\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\""
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut sql).await.expect("grants");
    sql.execute(AssertSqlSafe(format!("SET ROLE \"{role}\""))).await.expect("the role");

    let count = async |sql: &mut PgConnection, what: &str| -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {what}"))).fetch_one(sql).await.expect(what)
    };
    let set = async |sql: &mut PgConnection, name: &str, value: i64| {
        sql.execute(AssertSqlSafe(format!("SELECT set_config('baton.{name}', '{value}', false)")))
            .await
            .expect("a setting");
    };
    // Without a setting nothing is there, whatever the table.
    let tables = sqlx::query(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_sqlx%'",
    );
    let tables: Vec<String> = tables.fetch_all(&mut sql).await.expect("tables").iter().map(|r| r.get(0)).collect();
    assert!(tables.len() > 15, "{tables:?}");
    for table in &tables {
        assert_eq!(count(&mut sql, table).await, 0, "{table} without a setting");
    }
    set(&mut sql, "org", first_org).await;
    for table in &tables {
        let is_shown = ["version", "idx", "idx_range", "idx_text", "fulltext", "share"].contains(&table.as_str());
        assert_eq!(count(&mut sql, table).await > 0, is_shown, "{table}");
    }
    for (what, is_there) in [
        (format!("version WHERE id = '{}'", ids[0]), true),
        (format!("version WHERE id = '{shared}'"), true),
        (format!("version WHERE id = '{}'", ids[1]), false), // its share has run out
        (format!("version WHERE id = '{labelled}'"), false),
        ("version WHERE org = 0".into(), true),
        (format!("idx WHERE pk = {first_pk}"), true),
        (format!("idx WHERE pk = {second_pk}"), false),
        (format!("idx_text WHERE pk = {first_pk}"), true),
        (format!("idx_text WHERE pk = {second_pk}"), false),
        ("idx_text WHERE text LIKE 'zebrowski%'".into(), false),
        (format!("fulltext WHERE pk = {second_pk}"), false),
        (format!("share WHERE org <> {first_org}"), false),
    ] {
        assert_eq!(count(&mut sql, &what).await > 0, is_there, "{what}");
    }
    let bodies = count(&mut sql, "version WHERE convert_from(body, 'UTF8') LIKE '%Zebrowski%'").await;
    assert_eq!(bodies, 0, "no body of the other, in any version");
    set(&mut sql, "org", second_org).await;
    assert_eq!(count(&mut sql, &format!("version WHERE id = '{}'", ids[1])).await, 1, "its owner sees it");
    let own = format!("version WHERE id = '{labelled}'");
    assert_eq!(count(&mut sql, &own).await, 0, "the owner of a labelled row needs the clearance, too");
    set(&mut sql, "cleared", 1).await;
    assert_eq!(count(&mut sql, &own).await, 1, "bit 0 is R");
    // Nothing is written, and the policies cannot be left.
    for statement in ["UPDATE version SET org = 0", "DELETE FROM share", "DELETE FROM idx"] {
        let done = sql.execute(statement).await.expect("there is nothing to change").rows_affected();
        assert_eq!(done, 0, "{statement}");
    }
    let move_in = format!(
        "INSERT INTO share (org, rtype, id, handoff, until) VALUES ({second_org}, {rtype}, '{}', 'x', 9223372036854775807)",
        ids[0]
    );
    for statement in [move_in.as_str(), "SET row_security = off; SELECT count(*) FROM version"] {
        assert!(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut sql).await.is_err(), "{statement}");
    }
    let leave = format!("RESET row_security; RESET ROLE; DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"");
    sqlx::raw_sql(AssertSqlSafe(leave)).execute(&mut sql).await.expect("nothing stays behind");
}
