//! Migrations: numbered, applied in order under a lock, each in a transaction of its own, and never edited after they landed: what
//! was applied is remembered by its checksum.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sprongus_core::{Error, ErrorCode};
use tokio_postgres::{Client, Config};

use crate::fault::{Result, unreachable};
use crate::tls;

mod grant;

pub use grant::grant;

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number; the schema's version once it is applied.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub sql: String,
}

struct Source {
    number: u32,
    name: &'static str,
    sql: &'static [&'static str],
}

/// Every migration, in order. A number is one step's in both stores; one that concerns this store alone SQLite does not have.
const SOURCES: &[Source] = &[
    Source { number: 1, name: "runs", sql: &[include_str!("../migrations/0001_runs.sql")] },
    Source { number: 2, name: "enqueue", sql: &[include_str!("../migrations/0002_enqueue.sql")] },
    Source { number: 3, name: "stream", sql: &[include_str!("../migrations/0003_stream.sql")] },
    Source { number: 4, name: "artifacts", sql: &[include_str!("../migrations/0004_artifacts.sql")] },
    Source {
        number: 5,
        name: "claims_look_up_no_workspace",
        sql: &[include_str!("../migrations/0005_claims_look_up_no_workspace.sql")],
    },
    Source { number: 6, name: "minutes", sql: &[include_str!("../migrations/0006_minutes.sql")] },
    Source { number: 7, name: "last_hour", sql: &[include_str!("../migrations/0007_last_hour.sql")] },
    Source {
        number: 8,
        name: "retention_by_kind",
        sql: &[include_str!("../migrations/0008_retention_by_kind.sql")],
    },
    Source { number: 9, name: "own_tokens", sql: &[include_str!("../migrations/0009_own_tokens.sql")] },
    Source { number: 10, name: "tokens", sql: &[include_str!("../migrations/0010_tokens.sql")] },
    Source { number: 11, name: "who_paused", sql: &[include_str!("../migrations/0011_who_paused.sql")] },
    Source { number: 16, name: "due_since", sql: &[include_str!("../migrations/0016_due_since.sql")] },
];

/// How long a migration waits for a table that somebody uses, before it gives up and lets them go on.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5s'; SET statement_timeout = 0";

/// One migrator at a time, whatever the schema: "sprg" and a one.
const LOCK: &str = "SELECT pg_advisory_lock(1936749159, 1)";
const LOOK: &str = "
    SELECT to_regnamespace($1) IS NOT NULL, to_regclass($1 || '.schema_migrations') IS NOT NULL,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))";
const REMEMBER: &str = "
    CREATE TABLE schema_migrations (
        number integer NOT NULL PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";

/// The version this program's schema has.
pub fn latest() -> u32 {
    SOURCES.last().map_or(0, |source| source.number)
}

/// What would be applied to a schema at `version`, named `schema`.
pub fn after(version: u32, schema: &str) -> Vec<Migration> {
    let missing = SOURCES.iter().filter(|source| source.number > version);
    missing
        .map(|source| Migration { number: source.number, name: source.name, sql: text(source, schema) })
        .collect()
}

fn text(source: &Source, schema: &str) -> String {
    source.sql.concat().replace("@schema@", schema)
}

/// A schema's name stands in the text of statements, so it has to be a plain one.
pub fn check_schema(schema: &str) -> sprongus_core::Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = schema.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && schema.len() <= 40
        && schema.bytes().all(plain);
    if is_plain {
        return Ok(());
    }
    Err(Error::validation("a schema's name is up to 40 small letters, digits and underscores"))
}

/// A connection of its own, outside of any pool.
pub async fn connect(config: &Config) -> Result<Client> {
    let connecting = tokio::time::timeout(Duration::from_secs(5), config.connect(tls::connector(config)?));
    let (client, connection) = connecting.await.map_err(unreachable)??;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(?error, "a connection ended");
        }
    });
    Ok(client)
}

/// The schema's version in this database: 0 where there is none.
///
/// # Errors
/// `schema_mismatch` when the schema is another program's, was altered, or is newer than this program.
pub async fn version(client: &Client, schema: &str) -> Result<u32> {
    let row = client.query_one(LOOK, &[&schema]).await?;
    let (is_there, is_ours, is_used): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
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
        let (number, sum): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        version = version.max(number);
        let Some(source) = SOURCES.iter().find(|source| source.number == number) else {
            let message =
                format!("the database has schema {number}, this sprongus knows {} and older", latest());
            return Err(mismatch(message, "use the newer sprongus that migrated the database").into());
        };
        if checksum(source) != sum {
            let message = format!("migration {number} of the database is not this sprongus's");
            return Err(mismatch(message, "use the sprongus that migrated the database").into());
        }
    }
    Ok(version)
}

/// Brings the database up to schema `target`; safe with two at once. Answers what it applied.
pub async fn migrate(client: &mut Client, schema: &str, target: u32) -> Result<Vec<Migration>> {
    client.batch_execute(LOCK).await?;
    client.batch_execute(LOCK_TIMEOUT).await?;
    let mut applied = Vec::new();
    let missing = after(version(client, schema).await?, schema).into_iter();
    for migration in missing.take_while(|migration| migration.number <= target) {
        let transaction = client.transaction().await?;
        if migration.number == 1 {
            transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
        }
        transaction.batch_execute(&format!("SET LOCAL search_path = {schema}, pg_catalog")).await?;
        if migration.number == 1 {
            transaction.batch_execute(REMEMBER).await?;
        }
        transaction.batch_execute(&migration.sql).await?;
        let sum = SOURCES.iter().find(|source| source.number == migration.number).map(checksum);
        let number = i32::try_from(migration.number).unwrap_or(i32::MAX);
        let insert = "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)";
        transaction.execute(insert, &[&number, &migration.name, &sum.unwrap_or_default()]).await?;
        transaction.commit().await?;
        applied.push(migration);
    }
    Ok(applied)
}

/// The text as it stands in the files, whatever the schema is called.
fn checksum(source: &Source) -> String {
    Sha256::digest(source.sql.concat().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
