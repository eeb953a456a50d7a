//! Migrating: one at a time, all or nothing, and not where it cannot be.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use sprongus_core::{Error, ErrorCode};
use sprongus_postgres::{Options, migrate, pending};
use sprongus_throwaway::{Database, Server};
use tokio_postgres::{Client, NoTls};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn tables(database: &Database) -> i64 {
    let client = connect(&database.url("postgres")).await;
    let made = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text NOT LIKE 'pg\\_%'
        AND relnamespace::regnamespace::text <> 'information_schema'";
    client.query_one(made, &[]).await.unwrap().get(0)
}

async fn migrated(url: &str, role: Option<&str>) -> Result<usize, Error> {
    Ok(migrate(url, &Options::default(), role).await?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_lock_is_named_and_waited_for_no_longer_than_it_takes_to_say_so() {
    let database = Database::empty();
    let url = database.url("sprongus_owner");
    let other = connect(&format!("{}?application_name=a%20stranger", database.url("sprongus_app"))).await;
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    other.batch_execute("SELECT pg_advisory_lock(1936749159, 1)").await.unwrap();
    let error = migrated(&url, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    for part in [format!("pid {pid}"), "user sprongus_app".to_owned(), "application a stranger".to_owned()] {
        assert!(error.message().contains(&part), "{error}");
    }
    assert_eq!(tables(&database).await, 0);
    // And nothing of the try is left on any session.
    other.batch_execute("SELECT pg_advisory_unlock(1936749159, 1)").await.unwrap();
    assert!(migrated(&url, None).await.unwrap() > 0);
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(other.query_one(held, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_migrate_once() {
    let database = Database::empty();
    let url = database.url("sprongus_owner");
    let all = (0..4).map(|_| migrated(&url, Some("sprongus_app")));
    let applied = futures_util::future::try_join_all(all).await.unwrap();
    let all = pending(&Database::empty().url("sprongus_owner"), &Options::default()).await.unwrap().len();
    assert_eq!(applied.iter().sum::<usize>(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_behind() {
    let database = Database::empty();
    let error = migrated(&database.url("sprongus_owner"), Some("nobody")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(tables(&database).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_another_encoding_is_refused_before_anything_is_made() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = Database::empty();
        let name = database.name();
        let again = format!(
            "CREATE DATABASE {name} OWNER sprongus_owner ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        );
        Server::shared().drop_database(name).unwrap();
        Server::shared().execute("postgres", &again).unwrap();
        for refused in [
            migrated(&database.url("sprongus_owner"), None).await.unwrap_err(),
            pending(&database.url("sprongus_owner"), &Options::default()).await.unwrap_err(),
        ] {
            assert_eq!(refused.code(), ErrorCode::Unavailable);
            assert!(refused.message().ends_with(encoding), "{refused}");
        }
        assert_eq!(tables(&database).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_database_is_set_to_keeps_no_migration_from_it() {
    let database = Database::empty();
    let name = database.name();
    for (setting, value) in [
        ("standard_conforming_strings", "off"),
        ("escape_string_warning", "off"),
        ("extra_float_digits", "0"),
        ("row_security", "off"),
        ("transform_null_equals", "on"),
        ("quote_all_identifiers", "on"),
        ("array_nulls", "off"),
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "iso_8601"),
        ("TimeZone", "Asia/Kathmandu"),
        ("bytea_output", "escape"),
        ("default_transaction_isolation", "serializable"),
        ("search_path", "pg_catalog"),
        ("statement_timeout", "1500"),
        ("client_min_messages", "error"),
    ] {
        let set = format!("ALTER DATABASE {name} SET {setting} = '{value}'");
        Server::shared().execute("postgres", &set).unwrap();
    }
    migrated(&database.url("sprongus_owner"), Some("sprongus_app")).await.unwrap();
}
