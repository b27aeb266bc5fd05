//! `ops migrate`, as an owner that is no superuser.

use testing::postgres::Database;
use tokio::sync::Mutex;

use crate::ops_cli::{CommandOutput, OpsCli, command, output};

/// Roles are of the whole server, so that only one database of it is migrated at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

async fn migrate(database: &Database, json: &[&str]) -> CommandOutput {
    let environment = [("DATABASE_URL".to_owned(), database.owner_url())].into();
    output(command(&environment, &[json, &["migrate"]].concat())).await
}

fn count() -> usize {
    std::fs::read_dir("../migrations")
        .unwrap()
        .flatten()
        .filter(|f| f.path().extension().is_some_and(|e| e == "sql"))
        .count()
}

#[tokio::test]
async fn an_empty_database_gets_the_schema_and_twice_is_no_mistake() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let database = Database::empty().await;
    let first = migrate(&database, &[]).await;
    assert_eq!((first.status, first.out.as_str()), (0, ""), "{first:?}");
    assert!(first.err.starts_with("Applied V1__"), "{first:?}");
    assert_eq!(first.err.matches("__").count(), count());
    let second = migrate(&database, &[]).await;
    assert_eq!((second.status, second.err.as_str()), (0, "The schema is current.\n"));
    let third = migrate(&database, &["--json"]).await;
    assert_eq!((third.status, third.err.as_str()), (0, ""));
    assert_eq!(third.object()["message"], "The schema is current.");

    let client = database.connect("postgres").await;
    let sql = "select rolsuper, rolbypassrls, (select count(*) from refinery_schema_history) from pg_roles where rolname = 'coditect_owner'";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2)), (false, false, i64::try_from(count()).unwrap()));
    let temporary = "select count(*) from pg_roles where rolname like 'coditect_%' and rolname <> 'coditect_owner'
        and has_database_privilege(oid, current_database(), 'temporary')";
    assert_eq!(client.query_one(temporary, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn two_at_once_take_turns() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let database = Database::empty().await;
    let both = tokio::join!(migrate(&database, &[]), migrate(&database, &[]));
    assert_eq!((both.0.status, both.1.status), (0, 0), "{both:?}");
    let mut told = [both.0.err, both.1.err];
    told.sort();
    assert!(told[0].starts_with("Applied V1__") && told[1] == "The schema is current.\n", "{told:?}");
}

#[tokio::test]
async fn a_failed_migration_says_why_and_leaves_nothing_half_made() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let database = Database::empty().await;
    let owner = database.connect("coditect_owner").await;
    owner.batch_execute("create table users (a int)").await.unwrap();
    let failed = migrate(&database, &["--json"]).await;
    assert_eq!((failed.status, failed.err.as_str()), (2, ""));
    let sentence = failed.object()["error"].as_str().unwrap().to_owned();
    assert!(sentence.contains("rolled back") && sentence.contains("\"users\" already exists"), "{sentence}");
    assert!(owner.query("select from tenants", &[]).await.is_err());
    owner.batch_execute("drop table users").await.unwrap();
    assert_eq!(migrate(&database, &[]).await.status, 0);
}

#[tokio::test]
async fn a_database_without_utf_8_is_refused() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let database = Database::empty_in("SQL_ASCII").await;
    let failed = migrate(&database, &[]).await;
    assert_eq!(failed.status, 2);
    assert!(failed.err.contains("SQL_ASCII") && failed.err.contains("nothing was changed"), "{failed:?}");
}

#[tokio::test]
async fn a_role_that_is_not_the_owner_changes_nothing() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let database = Database::empty().await;
    let environment = [("DATABASE_URL".to_owned(), database.url("coditect_release"))].into();
    let failed = output(command(&environment, &["migrate"])).await;
    assert_eq!(failed.status, 2);
    assert!(failed.err.contains("permission denied"), "{failed:?}");
}

#[tokio::test]
async fn migrating_needs_nothing_but_the_database() {
    let ops = OpsCli::new().await.with("REDIS_URL", None).with("LICENSE_KEY_PEPPER", None);
    assert_eq!(ops.plain(&["migrate"]).await.err, "The schema is current.\n");
    let sentence = ops.with("DATABASE_URL", None).failed(&["migrate"], 64).await;
    assert!(sentence.starts_with("DATABASE_URL: is not set"), "{sentence}");
}
