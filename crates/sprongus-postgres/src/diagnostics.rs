//! How a server is, for `doctor`.

pub(crate) mod inspect;

use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::Result as CoreResult;
use sprongus_core::figures::metric::{Metric, SHARED_TRANSACTIONS, Sizes, Value};
use sprongus_core::store::{Diagnostics, Health, HealthProblem};
use sprongus_core::values::names::WorkspaceId;
use tokio_postgres::{Client, Config};

use crate::connection::retry::{retry_idempotent, with_deadline};
use crate::connection::session::{Database, Params};
use crate::error::{POOLERS, Result};
use crate::rows::RowReader;
use crate::schema::migrate;
use crate::schema::open::{SETTINGS, finds_schema, place_of, weak_setting, working};
use crate::{Postgres, rows};

/// How long figures may be waited for that only the server knows.
const METRICS_WAIT: Duration = Duration::from_secs(2);

const SERVER: &str = "SELECT current_setting('server_version')";
const ROLE: &str = "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user";
const OWNER: &str = "
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND pg_has_role(r.oid, 'MEMBER'))";
const OPEN: &str = "
    SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id'
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    ORDER BY 1";
const OLDEST: &str = "
    SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::bigint FROM pg_stat_activity
    WHERE backend_xmin IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()";

/// Of whoever holds one, prepared transactions and replicas included: when another role's began is not told to everybody, how far back
/// it reaches is.
const HORIZON: &str = "
    SELECT max(age(held.xmin)) FROM (
        SELECT backend_xmin AS xmin FROM pg_stat_activity
            WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
        UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL SELECT xmin FROM pg_replication_slots) AS held";

/// Whether a commit waits for a standby: where none is named, replication is asynchronous.
const SYNCHRONOUS: &str = "SELECT current_setting('synchronous_standby_names') <> ''";
/// What was not set by the connection itself, as a pooler leaves it out, nor to our values by somebody else.
const NOT_SET: &str = "
    SELECT name FROM pg_settings JOIN unnest($1::text[], $2::text[]) AS ours (name, value) USING (name)
    WHERE setting <> value AND source <> 'client' ORDER BY name";

/// What every transaction of a store rests on: the workspace's name reaches the server that answers, a policy takes it, and rows may be
/// written there.
const TRY: &str = "
    SELECT coalesce(current_setting('sprongus.workspace_id', true) = $1, false), current_setting('transaction_read_only') = 'on',
        EXISTS (SELECT FROM kinds WHERE workspace_id = $1)";

const OWN_ROLE: &str = "run `sprongus migrate --role ROLE` as the owner, and connect as that role";

/// A server looks for damage where it reads, and nobody reads all of it but who asks for that.
const NOT_CHECKED: &str = "damage is not looked for here: `sprongus doctor --integrity` reads every run";

/// A transaction open for longer keeps the dead rows of the queue from being cleared.
const LONG_OPEN: i64 = 300;

#[async_trait]
impl Diagnostics for Postgres {
    async fn health(&self, thorough: bool) -> CoreResult<Health> {
        of_all(&self.database, &self.config, &self.schema, thorough).await
    }

    async fn metrics(&self) -> CoreResult<Vec<Metric>> {
        let mut metrics = own_metrics(&self.database, self.batches.read());
        // When no connection is to be had is when the others are wanted most.
        let asked = tokio::time::timeout(METRICS_WAIT, retry_idempotent(|| snapshots(&self.database))).await;
        metrics.extend(asked.ok().and_then(CoreResult::ok).unwrap_or_default());
        Ok(metrics)
    }
}

/// Looks at all of it, from the first byte on: a connection of its own, and one of the pool.
pub async fn of_all(
    database: &Database,
    config: &Config,
    schema: &str,
    thorough: bool,
) -> sprongus_core::Result<Health> {
    let client = migrate::connect(&working(config, schema)).await?;
    let mut health = with_deadline(health(&client, place_of(config), schema, thorough)).await?;
    health.problems.extend(retry_idempotent(|| tried(database)).await?);
    Ok(health)
}

/// Looks at the server, the schema and the role, on a connection of the store's kind; `thorough` also looks for what makes it slow.
async fn health(client: &Client, place: String, schema: &str, thorough: bool) -> Result<Health> {
    let mut problems = Vec::new();
    let mut report = |what, text: String, remedy| problems.push(HealthProblem { what, text, remedy });
    if let Some(row) = client.query_opt(ROLE, &[]).await? {
        let mut row = RowReader::new(&row);
        let (is_super, bypasses): (bool, bool) = (row.value()?, row.value()?);
        if is_super || bypasses {
            report("tenants", "this role bypasses row-level security".to_owned(), OWN_ROLE);
        } else if RowReader::new(&client.query_one(OWNER, &[&schema]).await?).value()? {
            report(
                "tenants",
                "this role owns the tables and could switch row-level security off".to_owned(),
                OWN_ROLE,
            );
        }
    }
    for row in client.query(OPEN, &[&schema]).await? {
        let table: String = RowReader::new(&row).value()?;
        let remedy = "ALTER TABLE … ENABLE and FORCE ROW LEVEL SECURITY, as the migration did";
        report("tenants", format!("row-level security is not forced on {table}"), remedy);
    }
    if !finds_schema(client, schema).await? {
        report("pooler", "sessions are missing a setting sent by sprongus: search_path".to_owned(), POOLERS);
    }
    if thorough {
        let (names, values): (Vec<&str>, Vec<&str>) = SETTINGS.into_iter().unzip();
        let missing = client.query(NOT_SET, &[&names, &values]).await?;
        let missing: Vec<&str> =
            missing.iter().map(|row| RowReader::new(row).value()).collect::<Result<_>>()?;
        if !missing.is_empty() {
            let text = format!("sessions are missing settings sent by sprongus: {}", missing.join(", "));
            report("pooler", text, POOLERS);
        }
        let oldest: Option<i64> = RowReader::new(&client.query_one(OLDEST, &[]).await?).value()?;
        if let Some(age) = oldest.filter(|age| *age > LONG_OPEN) {
            let text =
                format!("a transaction has been open for {age} s and prevents the cleanup of old rows");
            report("transactions", text, "find it in pg_stat_activity and end it");
        }
    }
    let version: String = RowReader::new(&client.query_one(SERVER, &[]).await?).value()?;
    let weak = weak_setting(client).await?;
    let durable = weak.is_none();
    let synchronous: bool = RowReader::new(&client.query_one(SYNCHRONOUS, &[]).await?).value()?;
    let caveat = (!synchronous).then(|| {
        "on this server; synchronous_standby_names is empty, so a failover to a standby may lose the latest changes".to_owned()
    });
    Ok(Health {
        engine: format!("PostgreSQL {version}"),
        place,
        schema: migrate::version(client, schema).await?,
        durable,
        caveat,
        not_checked: Some(NOT_CHECKED),
        problems,
    })
}

/// Tries on a session of the pool what every verb needs.
async fn tried(database: &Database) -> Result<Vec<HealthProblem>> {
    let mut session = database.session().await?;
    let workspace = WorkspaceId::local();
    let [tried] = session.transact(&workspace, [(TRY, &[&workspace.as_str()])]).await?;
    let (is_named, is_read_only): (bool, bool) = rows::only(&tried, |row| Ok((row.value()?, row.value()?)))?;
    let mut problems = Vec::new();
    if !is_named {
        let text = "the workspace setting does not reach the server".to_owned();
        problems.push(HealthProblem { what: "pooler", text, remedy: POOLERS });
    }
    if is_read_only {
        session.discard("read-only");
        let remedy =
            "connect to the primary: list several hosts in the URL, with target_session_attrs=read-write";
        problems.push(HealthProblem { what: "writes", text: "the database is read-only".to_owned(), remedy });
    }
    Ok(problems)
}

/// The pool, and how many callers share a transaction: what this process knows by itself.
pub fn own_metrics(database: &Database, batches: Sizes) -> Vec<Metric> {
    let pool = database.connections();
    vec![
        Metric::single("store_batch", SHARED_TRANSACTIONS, Value::Sizes(batches)),
        Metric::now("store_connections", "Open database connections of this process", pool.open),
        Metric::now("store_connections_most", "Maximum number of database connections", pool.most),
        Metric::now("store_connections_idle", "Idle database connections", pool.idle),
        Metric::now("store_connections_wanted", "Callers waiting for a connection", pool.wanted),
    ]
}

/// What keeps old rows from being cleared.
pub async fn snapshots(database: &Database) -> Result<Vec<Metric>> {
    let asked: [(&str, Params<'_>); 2] = [(OLDEST, &[]), (HORIZON, &[])];
    let [oldest, behind] = database.read(&WorkspaceId::local(), asked).await?;
    let oldest: Option<i64> = rows::only(&oldest, |row| row.value())?;
    let behind: Option<i32> = rows::only(&behind, |row| row.value())?;
    Ok(vec![
        Metric::now(
            "store_oldest_snapshot_seconds",
            "Age of the oldest visible transaction that prevents the cleanup of dead rows",
            oldest.unwrap_or(0) as f64,
        ),
        Metric::now(
            "store_oldest_snapshot_transactions",
            "Transactions started since the oldest snapshot still held",
            behind.unwrap_or(0).into(),
        ),
    ])
}
