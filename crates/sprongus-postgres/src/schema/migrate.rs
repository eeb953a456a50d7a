//! Migrations: numbered, applied in order under a lock, all that are missing in one transaction, and never edited after they landed:
//! what was applied is remembered by its checksum. Whatever goes wrong, the database is left as it was.

use std::time::Duration;

use sprongus_core::{Error, ErrorCode};
use tokio::time::Instant;
use tokio_postgres::{Client, Config};

use crate::connection::tls;
use crate::error::{DbError, Result, Retry};
use crate::rows::RowReader;

use grant::grant_again;
use sources::SOURCES;

mod grant;
mod sources;

pub use grant::grant;
pub use sources::{Migration, after, latest};

/// How long a connection may take to be made and to give its first answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The oldest server that has what the schema uses (views with `security_invoker`), as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

/// How long another migrator is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The transaction of a migration, whatever the role, the database or the server is set to. It waits 5 s for a table that somebody uses,
/// before it gives up and lets them go on. Settings and lock are the transaction's, so that a pooler's session keeps neither.
const BEGIN: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off; SET LOCAL transform_null_equals = off;
    SET LOCAL row_security = on; SET LOCAL check_function_bodies = on; SET LOCAL array_nulls = on;
    SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = postgres; SET LOCAL TimeZone = 'UTC';
    SET LOCAL client_min_messages = warning;
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'";

const SERVER: &str = "
    SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('server_encoding')";

/// One migrator at a time, whatever the schema: "sprg" and a one.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(1936749159, 1)";
const HOLDER: &str = "
    SELECT l.pid, coalesce(a.usename::text, '?'), coalesce(a.application_name, '')
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.classid = 1936749159 AND l.objid = 1 AND l.objsubid = 2 AND l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    LIMIT 1";
const PRESENCE: &str = "
    SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.schema_migrations') IS NOT NULL,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))";
const REMEMBER: &str = "
    CREATE TABLE schema_migrations (
        number integer NOT NULL PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";

/// A schema's name stands in the text of statements, so it has to be a plain one.
pub fn check_schema(schema: &str) -> sprongus_core::Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = schema.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && schema.len() <= 40
        && schema.bytes().all(plain);
    if is_plain {
        return Ok(());
    }
    Err(Error::validation("a schema name must be up to 40 lower-case letters, digits and underscores"))
}

/// A connection of its own, outside of any pool. It has given an answer: a pooler whose pool is full lets everybody in, and keeps them
/// waiting with their first statement.
pub async fn connect(config: &Config) -> Result<Client> {
    let connecting = async {
        let (client, connection) = config.connect(tls::connector(config)?).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(?error, "a connection ended");
            }
        });
        client.batch_execute(PING).await?;
        Ok(client)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| no_answer())?
}

/// What is asked to have an answer.
pub const PING: &str = "SELECT 1";

/// There was no answer within [`CONNECT_TIMEOUT`].
pub fn no_answer() -> DbError {
    let message = format!("cannot reach the database: no answer within {} s", CONNECT_TIMEOUT.as_secs());
    let hint = "check that Postgres is running and that host and port are correct; a pooler with a full pool does not answer: docs/postgres.md#poolers";
    DbError { error: Error::new(ErrorCode::Unavailable, message).with_hint(hint), retry: Retry::Never }
}

/// Refuses a server or a database that cannot hold the schema, before anything is made there.
///
/// # Errors
/// `unavailable` for a server before Postgres 15, and for a database that is not in UTF-8.
pub async fn check_server(client: &Client) -> Result<()> {
    let row = client.query_one(SERVER, &[]).await?;
    let mut row = RowReader::new(&row);
    let (number, version, encoding): (i32, String, String) = (row.value()?, row.value()?, row.value()?);
    if number < OLDEST_SERVER {
        let message = format!("sprongus needs Postgres 15 or later; the server is {version}");
        let hint = "upgrade the server, or use another one";
        return Err(Error::new(ErrorCode::Unavailable, message).with_hint(hint).into());
    }
    if encoding != "UTF8" {
        let message = format!("sprongus needs a database with the encoding UTF8; this one has {encoding}");
        let hint = "create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
        return Err(Error::new(ErrorCode::Unavailable, message).with_hint(hint).into());
    }
    Ok(())
}

/// The schema's version in this database: 0 where there is none.
///
/// # Errors
/// `schema_mismatch` when the schema is another program's, was altered, or is newer than this program.
pub async fn version(client: &Client, schema: &str) -> Result<u32> {
    let row = client.query_one(PRESENCE, &[&schema]).await?;
    let mut row = RowReader::new(&row);
    let (is_there, is_ours, is_used): (bool, bool, bool) = (row.value()?, row.value()?, row.value()?);
    if !is_there || (!is_ours && !is_used) {
        return Ok(0);
    }
    let mismatch =
        |message: String, hint: &'static str| Error::new(ErrorCode::SchemaMismatch, message).with_hint(hint);
    if !is_ours {
        let message = format!("the schema {schema} belongs to another program");
        return Err(mismatch(message, "use another database").into());
    }
    let applied = format!("SELECT number, checksum FROM {schema}.schema_migrations ORDER BY number");
    let mut version = 0;
    for row in client.query(&applied, &[]).await? {
        let mut row = RowReader::new(&row);
        let (number, sum): (i32, String) = (row.value()?, row.value()?);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        version = version.max(number);
        let Some(source) = SOURCES.iter().find(|source| source.number == number) else {
            let message =
                format!("the database has schema {number}; this sprongus supports up to {}", latest());
            return Err(mismatch(message, "use the newer sprongus that migrated the database").into());
        };
        if source.checksum() != sum {
            let message = format!("migration {number} in the database differs from this sprongus's");
            return Err(mismatch(message, "use the sprongus that migrated the database").into());
        }
    }
    Ok(version)
}

/// Brings the database up to schema `target`, and grants `role` what a server needs; safe with two at once. Answers what it applied.
///
/// # Errors
/// As [`check_server`] and [`version`]; `unavailable` when another migrator, or somebody who uses a table, does not end in time.
pub async fn migrate(
    client: &Client,
    schema: &str,
    target: u32,
    role: Option<&str>,
) -> Result<Vec<Migration>> {
    check_server(client).await?;
    lock(client).await?;
    let done = async {
        let applied = apply(client, schema, target).await?;
        if applied.last().is_some_and(|last| last.number == latest()) {
            grant_again(client, schema).await?;
        }
        if let Some(role) = role {
            grant(client, schema, role).await?;
        }
        Ok(applied)
    };
    let done: Result<Vec<Migration>> = done.await;
    // The error that led here is the one to tell; where this fails too, the connection's end takes the transaction back.
    let ended = client.batch_execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    let applied = done?;
    ended?;
    Ok(applied)
}

/// Begins the transaction that alone migrates.
async fn lock(client: &Client) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut is_logged = false;
    loop {
        client.batch_execute(BEGIN).await?;
        if RowReader::new(&client.query_one(LOCK, &[]).await?).value()? {
            return Ok(());
        }
        let holder = client.query_opt(HOLDER, &[]).await?;
        client.batch_execute("ROLLBACK").await?;
        if let Some(row) = holder {
            let mut row = RowReader::new(&row);
            let (pid, user, program): (i32, String, String) = (row.value()?, row.value()?, row.value()?);
            let program = if program.is_empty() { program } else { format!(", application {program}") };
            let holder = format!("pid {pid}, user {user}{program}");
            if Instant::now() >= until {
                let message = format!("another session holds the migration lock: {holder}");
                let hint =
                    "wait until it is done, or end it with SELECT pg_terminate_backend(pid), then try again";
                return Err(Error::new(ErrorCode::Unavailable, message).with_hint(hint).into());
            }
            if !is_logged {
                tracing::warn!("waiting for another session that holds the migration lock: {holder}");
                is_logged = true;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn apply(client: &Client, schema: &str, target: u32) -> Result<Vec<Migration>> {
    let mut applied = Vec::new();
    let missing = after(version(client, schema).await?, schema).into_iter();
    for migration in missing.take_while(|migration| migration.number <= target) {
        if migration.number == 1 {
            client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
        }
        client.batch_execute(&format!("SET LOCAL search_path = {schema}, pg_catalog")).await?;
        if migration.number == 1 {
            client.batch_execute(REMEMBER).await?;
        }
        client.batch_execute(&migration.sql).await?;
        let sum =
            SOURCES.iter().find(|source| source.number == migration.number).map(|source| source.checksum());
        let number = i32::try_from(migration.number).unwrap_or(i32::MAX);
        let insert = "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)";
        client.execute(insert, &[&number, &migration.name, &sum.unwrap_or_default()]).await?;
        applied.push(migration);
    }
    Ok(applied)
}
