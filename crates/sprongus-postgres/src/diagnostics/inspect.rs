//! Whether a database is sound, and what a backup needs to know of it. Nothing here depends on the time.

use sprongus_core::run::artifact::KeptBytes;
use sprongus_core::store::HealthProblem;
use sprongus_core::{Error, ErrorCode};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Row};

use crate::error::Result;
use crate::rows::RowReader;
use crate::schema::migrate;
use crate::schema::open::{self, Options};

const WORKSPACES: &str = "SELECT id FROM every_workspace()";
const AS_WORKSPACE: &str = "SELECT set_config('sprongus.workspace_id', $1, false)";
const KEPT: &str = "SELECT location, size, sha256 FROM run_artifacts WHERE workspace_id = $1 ORDER BY location COLLATE \"C\"";
const ALL_KEPT: &str = "SELECT location, size, sha256 FROM run_artifacts ORDER BY location COLLATE \"C\"";

/// Every event, each batch read once: through the view `run_events` it would be read for each of its runs.
macro_rules! every_event {
    () => {
        "SELECT workspace_id, run_id, seq FROM single_events
         UNION ALL
         SELECT m.workspace_id, e.run_id, e.seq FROM (
            SELECT b.number, one.run_id, one.seq FROM event_batches b CROSS JOIN LATERAL unnest(b.run_ids, b.seqs) AS one (run_id, seq)
            OFFSET 0) AS e
         JOIN runs m ON m.id = e.run_id AND e.number = ANY (m.batches)"
    };
}

/// Runs whose events are not as many as their row says.
pub(crate) const GAPS: &str = concat!(
    "SELECT count(*), min(ulid(r.id)) FROM runs r
     LEFT JOIN (
        SELECT run_id, count(*) AS events, max(seq) AS last FROM (",
    every_event!(),
    ") AS every WHERE workspace_id = $1 GROUP BY run_id) e ON e.run_id = r.id
     WHERE r.workspace_id = $1 AND (coalesce(e.events, 0) <> r.last_seq OR coalesce(e.last, 0) <> r.last_seq)"
);

/// What must not be: each counts the runs of a workspace of which it is so and names the first.
const CHECKS: [(&str, &str); 7] = [
    ("with a gap in their history", GAPS),
    (
        "that are missing but have events",
        "SELECT count(DISTINCT e.run_id), min(ulid(e.run_id)) FROM (
            SELECT run_id FROM single_events WHERE workspace_id = $1
            UNION ALL
            SELECT unnest(run_ids) FROM event_batches b
            WHERE workspace_id = $1
                AND NOT EXISTS (SELECT FROM runs r WHERE r.id = ANY (b.run_ids) AND b.number = ANY (r.batches))) AS e
         WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = e.run_id AND r.workspace_id = $1)",
    ),
    (
        "that succeeded and are in no list of those",
        "SELECT count(*), min(ulid(r.id)) FROM runs r WHERE r.workspace_id = $1 AND r.state = 'succeeded'
         AND NOT EXISTS (SELECT FROM batch_successes s
             WHERE s.workspace_id = $1 AND s.run_created_at = r.created_at AND s.run_id = r.id)
         AND NOT EXISTS (SELECT FROM single_events e WHERE e.run_id = r.id AND e.type = 'run.succeeded')",
    ),
    (
        "with a value that no rule gives",
        "SELECT count(*), min(ulid(id)) FROM runs WHERE workspace_id = $1 AND NOT (
            length(kind) BETWEEN 1 AND 128 AND state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')
            AND priority BETWEEN 0 AND 100 AND progress BETWEEN 0 AND 100 AND max_attempts BETWEEN 1 AND 100
            AND attempt >= 0 AND crashes >= 0 AND epoch >= 0 AND cleanup IN ('none', 'owed', 'handed_out')
            AND coalesce(ended_as, 'failed') IN ('failed', 'canceled'))",
    ),
    (
        "whose end time does not match their state",
        "SELECT count(*), min(ulid(id)) FROM runs WHERE workspace_id = $1
         AND (state IN ('succeeded', 'failed', 'canceled')) <> (finished_at IS NOT NULL)",
    ),
    (
        "that are queued but can never be claimed",
        "SELECT count(*), min(ulid(id)) FROM runs r WHERE workspace_id = $1 AND state = 'queued' AND gate IS NULL
         AND blocked_on IS NULL AND NOT EXISTS (SELECT FROM run_queue q WHERE q.workspace_id = $1 AND q.kind = r.kind AND q.rank = 100 - r.priority
             AND q.run_at = r.run_at AND q.id = r.id)
         AND id NOT IN (SELECT unnest(run_ids) FROM run_timers WHERE workspace_id = $1)",
    ),
    (
        "with a gap in their log",
        "SELECT count(DISTINCT run_id), min(ulid(run_id)) FROM (
            SELECT run_id, first, lag(first + lines, 1, 1::bigint) OVER (PARTITION BY run_id ORDER BY first) AS due
            FROM run_logs WHERE workspace_id = $1) AS chunks
         WHERE first <> due",
    ),
];

const REMEDY: &str = "restore a backup of the database";

/// What is wrong with a database, and the bytes that its runs keep elsewhere. Reads all of it, and changes nothing.
///
/// # Errors
/// As [`crate::Postgres::connect`].
pub async fn inspect(
    url: &str,
    options: &Options,
) -> sprongus_core::Result<(Vec<HealthProblem>, Vec<KeptBytes>)> {
    Ok(check(url, options).await?)
}

async fn check(url: &str, options: &Options) -> Result<(Vec<HealthProblem>, Vec<KeptBytes>)> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    // First, since the check asks for the settings of a store's session.
    begin(&client, &options.schema).await?;
    open::check(&client, options).await?;
    let (mut problems, mut kept) = (Vec::new(), Vec::new());
    for row in client.query(WORKSPACES, &[]).await? {
        let workspace: String = RowReader::new(&row).value()?;
        client.query_one(AS_WORKSPACE, &[&workspace]).await?;
        for (what, sql) in CHECKS {
            let row = client.query_one(sql, &[&workspace]).await?;
            let mut row = RowReader::new(&row);
            let (runs, first): (i64, Option<String>) = (row.value()?, row.value()?);
            if runs > 0 {
                let first = first.unwrap_or_default();
                let text = format!("runs {what}: {runs}, such as {first} of workspace {workspace}");
                problems.push(HealthProblem { what: "integrity", text, remedy: REMEDY });
            }
        }
        for row in client.query(KEPT, &[&workspace]).await? {
            kept.push(kept_bytes(&row)?);
        }
    }
    Ok((problems, kept))
}

/// One instant for everything that is read: nothing that is written meanwhile looks like damage.
async fn begin(client: &Client, schema: &str) -> Result<()> {
    let begin = format!(
        "SET search_path = {schema}, pg_catalog; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0;
         BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    );
    Ok(client.batch_execute(&begin).await?)
}

fn kept_bytes(row: &Row) -> Result<KeptBytes> {
    let mut row = RowReader::new(row);
    Ok(KeptBytes { location: row.value()?, size: row.bigint()?, sha256: row.value()? })
}

/// One instant of a database, which lasts as long as this does: a dump made of it holds what is counted here.
pub struct Snapshot {
    /// What a dump names it by.
    pub id: String,
    /// The server that it is of.
    pub engine: String,
    /// Its schema.
    pub schema: u32,
    /// Runs in it.
    pub runs: u64,
    /// Events of runs in it.
    pub events: u64,
    /// The bytes that its runs keep elsewhere.
    pub kept: Vec<KeptBytes>,
    _client: Client,
}

const BYPASSES: &str = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
const OF_SNAPSHOT: &str = concat!(
    "SELECT pg_export_snapshot(), current_setting('server_version'), (SELECT count(*) FROM runs), (SELECT count(*) FROM (",
    every_event!(),
    ") AS every)"
);

/// Takes a snapshot for a dump, as a role that row-level security hides nothing from.
///
/// # Errors
/// `forbidden` for another role; as [`crate::Postgres::connect`].
pub async fn snapshot(url: &str, schema: &str) -> sprongus_core::Result<Snapshot> {
    Ok(take_snapshot(url, schema).await?)
}

async fn take_snapshot(url: &str, schema: &str) -> Result<Snapshot> {
    let client = migrate::connect(&open::config(url, schema)?).await?;
    let sees_all: bool = RowReader::new(&client.query_one(BYPASSES, &[]).await?).value()?;
    if !sees_all {
        let message = "row-level security hides rows from this role";
        return Err(Error::new(ErrorCode::Forbidden, message)
            .with_hint("back up as a superuser, or as a role with BYPASSRLS that can read the schema: --db postgres://ROLE@HOST/DATABASE")
            .into());
    }
    let version = migrate::version(&client, schema).await?;
    if version == 0 {
        return Err(Error::new(ErrorCode::SchemaMismatch, "the database has no sprongus schema")
            .with_hint("use the database that `sprongus migrate` was run on")
            .into());
    }
    begin(&client, schema).await?;
    let row = client.query_one(OF_SNAPSHOT, &[]).await?;
    let mut row = RowReader::new(&row);
    let (id, engine): (_, &str) = (row.value()?, row.value()?);
    let (runs, events) = (row.bigint()?, row.bigint()?);
    let kept = client.query(ALL_KEPT, &[]).await?.iter().map(kept_bytes).collect::<Result<_>>()?;
    Ok(Snapshot {
        id,
        engine: format!("PostgreSQL {engine}"),
        schema: version,
        runs,
        events,
        kept,
        _client: client,
    })
}

/// The variables by which Postgres' own programs reach the database of a URL. A password is among them: they belong into a child's
/// environment, and on no command line.
///
/// # Errors
/// `validation`, without the URL.
pub fn program_environment(url: &str) -> sprongus_core::Result<Vec<(&'static str, String)>> {
    let config = open::config(url, &Options::default().schema)?;
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let ports = config.get_ports().iter().map(u16::to_string);
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let given = [
        ("PGHOST", Some(hosts.collect::<Vec<_>>().join(","))),
        ("PGPORT", Some(ports.collect::<Vec<_>>().join(","))),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGDATABASE", config.get_dbname().or(config.get_user()).map(str::to_owned)),
        ("PGPASSWORD", password),
    ];
    let mut environment: Vec<(&'static str, String)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)))
        .collect();
    match config.get_ssl_mode() {
        SslMode::Disable => environment.push(("PGSSLMODE", "disable".to_owned())),
        // As our own connections: a server whose certificate an authority of the system has signed for this very host.
        SslMode::Require => {
            environment.push(("PGSSLMODE", "verify-full".to_owned()));
            let authorities = std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| "system".to_owned());
            environment.push(("PGSSLROOTCERT", authorities));
        }
        SslMode::Prefer | _ => environment.push(("PGSSLMODE", "prefer".to_owned())),
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_into_the_environment_with_everything_else() {
        let variables =
            program_environment("postgres://amy:s%40cret@db-1:5433,db-2:5434/runs?sslmode=disable").unwrap();
        let expected = [
            ("PGHOST", "db-1,db-2"),
            ("PGPORT", "5433,5434"),
            ("PGUSER", "amy"),
            ("PGDATABASE", "runs"),
            ("PGPASSWORD", "s@cret"),
            ("PGSSLMODE", "disable"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name, value.to_owned())));
        let strict = program_environment("postgres://amy@db/runs?sslmode=require").unwrap();
        assert!(strict.contains(&("PGSSLMODE", "verify-full".to_owned())), "{strict:?}");
        assert!(!strict.iter().any(|(name, _)| *name == "PGPASSWORD"), "{strict:?}");
    }
}
