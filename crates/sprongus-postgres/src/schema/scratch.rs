//! A database of one's own for measuring: made, migrated, and dropped at the end.

use std::time::{Duration, Instant};

use sprongus_core::Result;

use crate::error::{self, DbError};
use crate::rows::RowReader;
use crate::rows::values::Time;
use crate::schema::migrate;
use crate::schema::open::{self, Options};

const TABLE: &str = "CREATE TABLE bare (id bigint PRIMARY KEY, text text NOT NULL)";
const BYPASSES: &str = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
const INSERT: &str = "INSERT INTO bare (id, text) VALUES ($1, $2)";

/// Makes the database `name` on the server of `url`, migrates it, and answers its own URL. `name` is a plain identifier.
///
/// # Errors
/// `forbidden` when the role may not make databases; otherwise as [`crate::Postgres::connect`].
pub async fn make(url: &str, name: &str) -> Result<String> {
    execute(url, &format!("CREATE DATABASE {name}")).await?;
    let own = elsewhere(url, name);
    crate::migrate(&own, &Options::default(), None).await?;
    Ok(own)
}

/// Whether the role of `url` passes by row-level security, so that measuring as this role leaves it out.
///
/// # Errors
/// As [`make`].
pub async fn bypasses_policies(url: &str) -> Result<bool> {
    async fn ask(url: &str) -> error::Result<bool> {
        let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
        RowReader::new(&client.query_one(BYPASSES, &[]).await?).value()
    }
    Ok(ask(url).await?)
}

/// Drops it, whoever is connected to it.
///
/// # Errors
/// As [`make`].
pub async fn drop(url: &str, name: &str) -> Result<()> {
    Ok(execute(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?)
}

/// Times `commits` transactions of one row of about 100 bytes each, one after the other on one connection.
///
/// # Errors
/// As [`make`].
pub async fn bare_commits(url: &str, commits: u32) -> Result<Duration> {
    Ok(bare(url, commits).await?)
}

async fn bare(url: &str, commits: u32) -> error::Result<Duration> {
    let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
    client.batch_execute("DROP TABLE IF EXISTS bare").await?;
    client.batch_execute(TABLE).await?;
    let insert = client.prepare(INSERT).await?;
    let text = "x".repeat(100);
    let began = Instant::now();
    for id in 0..i64::from(commits) {
        client.execute(&insert, &[&id, &text]).await?;
    }
    Ok(began.elapsed())
}

/// Runs `$2` to `$3` of a history, each made 200 ms after the one before, with the three events of a success.
const FINISHED: &str = "
    WITH made AS (
        INSERT INTO runs (id, workspace_id, kind, input, state, progress, attempt, max_attempts, run_at, fingerprint, epoch,
            claimed_by, claimed_at, lease_ms, last_seq, started_at, finished_at, created_at, updated_at)
        SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
            'default', $1, $5::text::jsonb, 'succeeded', 100, 1, 3, at, md5(n::text) || md5(n::text), 1, 'bench-history', at, 30000,
            3, at, at, at, at
        FROM (SELECT n, $4::timestamptz + n * interval '200 milliseconds' AS at FROM generate_series($2::bigint, $3::bigint) AS n) AS one
        RETURNING id, kind, created_at)
    INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, run_created_at, payload)
    SELECT 'default', id, seq, type, created_at, 'bench', CASE WHEN seq = 3 THEN created_at END, payload
    FROM made CROSS JOIN LATERAL (VALUES
        (1, 'run.enqueued', jsonb_build_object('kind', kind, 'runAt', NULL)),
        (2, 'run.started', jsonb_build_object('attempt', 1, 'epoch', 1, 'waitMs', 0, 'workerId', 'bench-history')),
        (3, 'run.succeeded', jsonb_build_object('attempt', 1, 'elapsedMs', 0, 'outputRef', NULL))) AS event (seq, type, payload)";

/// Rows of a history in one transaction.
const AT_ONCE: u32 = 50_000;

/// Writes `count` runs of `kind` that succeeded over the last weeks, as claims and finishes would have left them; vacuumed and
/// analysed. For a database that [`make`] made.
///
/// # Errors
/// As [`make`].
pub async fn add_finished(url: &str, kind: &str, input: &str, count: u32) -> Result<()> {
    Ok(finished(url, kind, input, count).await?)
}

async fn finished(url: &str, kind: &str, input: &str, count: u32) -> error::Result<()> {
    let options = Options::default();
    let client =
        migrate::connect(&open::working(&open::config(url, &options.schema)?, &options.schema)).await?;
    client
        .batch_execute(
            "SET statement_timeout = 0; SELECT set_config('sprongus.workspace_id', 'default', false)",
        )
        .await?;
    let made = client.prepare(FINISHED).await?;
    let ago = format!("{} milliseconds", u64::from(count) * 200 + 1_000);
    let row = client.query_one("SELECT now() - $1::text::interval", &[&ago]).await?;
    let began: Time = RowReader::new(&row).value()?;
    let mut first = 1;
    while first <= count {
        let last = count.min(first.saturating_add(AT_ONCE - 1));
        client.execute(&made, &[&kind, &i64::from(first), &i64::from(last), &began, &input]).await?;
        first = last + 1;
    }
    client.batch_execute("VACUUM (ANALYZE) runs, single_events").await?;
    Ok(())
}

async fn execute(url: &str, sql: &str) -> error::Result<()> {
    let client = migrate::connect(&open::config(url, &Options::default().schema)?).await?;
    client.batch_execute(sql).await.map_err(|error| {
        let fault = DbError::from(error);
        let hint = "connect as a role that may CREATE DATABASE, for this measure alone";
        DbError { error: fault.error.with_hint(hint), ..fault }
    })
}

/// The same server's database of another name. The last parameter wins over the path and over another `dbname`, which, if it
/// were left to stand, would have somebody's own database measured.
fn elsewhere(url: &str, name: &str) -> String {
    let joint = match url.find('?') {
        None => "?",
        Some(_) if url.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    format!("{url}{joint}dbname={name}")
}

#[cfg(test)]
mod tests {
    use super::elsewhere;

    #[test]
    fn another_database_of_the_same_server() {
        for url in [
            "postgres://a:b@h:1/d",
            "postgres://a:b@h:1/d?",
            "postgres://a:b@h:1",
            "postgres://a:b@h:1?sslmode=disable",
            "postgres://a:b@h:1/d?sslmode=disable&",
            "postgres://a:b@h:1/?dbname=d",
            "postgres://a:b@h:1/d?%64bname=d&sslmode=disable",
        ] {
            let config: tokio_postgres::Config = elsewhere(url, "x").parse().unwrap();
            let found = (config.get_user(), config.get_ports(), config.get_dbname());
            assert_eq!(found, (Some("a"), &[1][..], Some("x")), "{url}");
        }
    }
}
