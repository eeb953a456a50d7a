//! How a server is, for `doctor`.

use sprongus_core::names::WorkspaceId;
use sprongus_core::store::{Fault, Gauge, Health};
use tokio_postgres::{Client, Config};

use crate::fault::Result;
use crate::migrate;
use crate::open::weak_setting;
use crate::session::{Database, Params};

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

const OWN_ROLE: &str = "run `sprongus migrate --role ROLE` as the owner, and connect as that role";

/// A transaction open for longer keeps the dead rows of the queue from being cleared.
const LONG_OPEN: i64 = 300;

/// Looks at the server, the schema and the role.
pub async fn health(client: &Client, place: String, schema: &str) -> Result<Health> {
    let mut faults = Vec::new();
    let mut amiss = |what, text: String, remedy| faults.push(Fault { what, text, remedy });
    if let Some(row) = client.query_opt(ROLE, &[]).await? {
        let (is_super, bypasses): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        if is_super || bypasses {
            amiss("tenants", "this role bypasses row-level security".to_owned(), OWN_ROLE);
        } else if client.query_one(OWNER, &[&schema]).await?.try_get(0)? {
            amiss(
                "tenants",
                "this role owns the tables and could switch row-level security off".to_owned(),
                OWN_ROLE,
            );
        }
    }
    for row in client.query(OPEN, &[&schema]).await? {
        let table: String = row.try_get(0)?;
        let remedy = "ALTER TABLE … ENABLE and FORCE ROW LEVEL SECURITY, as the migration did";
        amiss("tenants", format!("row-level security is not forced on {table}"), remedy);
    }
    let oldest: Option<i64> = client.query_one(OLDEST, &[]).await?.try_get(0)?;
    if let Some(age) = oldest.filter(|age| *age > LONG_OPEN) {
        let text = format!("a transaction has been open for {age} s; it keeps old rows from being cleared");
        amiss("transactions", text, "look for it in pg_stat_activity, and end it");
    }
    let version: String = client.query_one(SERVER, &[]).await?.try_get(0)?;
    let weak = weak_setting(client).await?;
    let durable = weak.is_none();
    Ok(Health {
        engine: format!("PostgreSQL {version}"),
        place,
        schema: migrate::version(client, schema).await?,
        durable,
        faults,
    })
}

/// The pool, and what keeps old rows from being cleared.
pub async fn gauges(database: &Database) -> Result<Vec<Gauge>> {
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 1] = [(OLDEST, &[])];
    let rows = session.look(&WorkspaceId::local(), &asked).await?.pop().unwrap_or_default();
    let oldest: Option<i64> = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    };
    let (size, idle, waiting) = database.connections();
    Ok(vec![
        Gauge {
            name: "store_connections",
            help: "Connections to the database that this process has",
            value: size,
        },
        Gauge { name: "store_connections_idle", help: "Those of them that nobody uses", value: idle },
        Gauge {
            name: "store_connections_wanted",
            help: "Callers that wait for a connection",
            value: waiting,
        },
        Gauge {
            name: "store_oldest_snapshot_seconds",
            help: "Age of the oldest transaction that keeps dead rows from being cleared",
            value: oldest.unwrap_or(0) as f64,
        },
    ])
}

/// Host, port and database; a password is left out.
pub fn place(config: &Config) -> String {
    let host = config.get_hosts().first().map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    });
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("postgres {host}:{port}/{database}")
}
