//! Opening: the options of a store, the connections' settings, and what is asked of a server before it is trusted with a run.

use std::sync::Arc;

use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::values::time::Clock;
use sprongus_core::{Error, ErrorCode};
use tokio_postgres::{Client, Config};

use crate::error::{POOLERS, Result};
use crate::rows::RowReader;
use crate::schema::migrate;

/// What a store may expect of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// What is acknowledged outlives a power cut: a server whose settings promise less is refused.
    #[default]
    PowerCut,
    /// Whatever the server is set to.
    AsConfigured,
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The schema it lives in.
    pub schema: String,
    /// What the server must promise.
    pub durability: Durability,
    /// Connections at most.
    pub pool_size: usize,
    /// Whether to hear of other processes by LISTEN, which takes a connection of its own and works behind no pooler that hands
    /// connections from transaction to transaction. Without it others' runs are found by looking, within a second.
    pub listen: bool,
    /// A clock other than the database's, for tests that turn it.
    pub clock: Option<Arc<dyn Clock>>,
    /// The zone data by which schedules are read.
    pub zones: Arc<dyn Zones>,
}

impl Default for Options {
    fn default() -> Self {
        let schema = "sprongus".to_owned();
        let zones = Arc::new(SystemZones::from_env());
        Self { schema, durability: Durability::PowerCut, pool_size: 10, listen: true, clock: None, zones }
    }
}

/// What every session of a store is to be set to, as `pg_settings` spells it (times in milliseconds).
///
/// Plans are made once per statement and connection: these statements pick few rows by index whatever the tables hold, and planning
/// one anew costs more than carrying it out. A plan made while a table was empty must not scan it when it is full. A bitmap is sorted
/// before the first row is taken: a claim's would be of the whole backlog, and leaves dead entries in the index for the next to meet.
/// The longest a reader may keep the server busy is a statement's; a migration has none.
pub const SETTINGS: [(&str, &str); 10] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("idle_in_transaction_session_timeout", "60000"),
    ("statement_timeout", "25000"),
    ("row_security", "on"),
    ("standard_conforming_strings", "on"),
];

/// Reads a URL.
///
/// # Errors
/// `validation` without the URL, which may hold a password.
pub fn config(url: &str, schema: &str) -> sprongus_core::Result<Config> {
    migrate::check_schema(schema)?;
    // The first @ ends user and password: of a password that holds one, the rest would be taken for host and database, and shown.
    let has_loose_at =
        url.matches('@').count() > 1 || url.split_once('?').is_some_and(|(_, rest)| rest.contains('@'));
    if has_loose_at {
        return Err(Error::validation("the database URL has an extra @")
            .with_hint("write an @ in a user name or password as %40"));
    }
    let mut config: Config = url.parse().map_err(|_| {
        Error::validation("invalid database URL").with_hint("use postgres://user:password@host:5432/database")
    })?;
    if config.get_application_name().is_none() {
        config.application_name("sprongus");
    }
    config.connect_timeout(std::time::Duration::from_secs(5));
    config.keepalives_idle(std::time::Duration::from_secs(15));
    config.tcp_user_timeout(std::time::Duration::from_secs(20));
    Ok(config)
}

/// Whether a URL of a database can be read at all.
///
/// # Errors
/// `validation`, without the URL.
pub fn check_url(url: &str) -> sprongus_core::Result<()> {
    config(url, &Options::default().schema).map(drop)
}

/// Host, port and database of a URL, for people; a password is left out.
pub fn place(url: &str) -> String {
    url.parse().map_or_else(|_| "postgres".to_owned(), |config| place_of(&config))
}

/// Host, port and database; a password is left out.
pub fn place_of(config: &Config) -> String {
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

/// The same for the connections of a store. What the URL's `options` set wins over ours, save for the schema.
pub fn working(config: &Config, schema: &str) -> Config {
    let mut config = config.clone();
    let given = config.get_options().unwrap_or_default().to_owned();
    let ours: String = SETTINGS.iter().map(|(name, value)| format!("-c {name}={value} ")).collect();
    config.options(format!("{ours}{given} -c search_path={schema},pg_catalog"));
    config
}

const PROMISES: &str = "
    SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')";

/// Whether what the server acknowledges outlives a power cut; or which setting says it does not.
pub async fn weak_setting(client: &Client) -> Result<Option<String>> {
    for row in client.query(PROMISES, &[]).await? {
        let mut row = RowReader::new(&row);
        let (name, setting): (String, String) = (row.value()?, row.value()?);
        if !matches!(setting.as_str(), "on" | "remote_apply") {
            return Ok(Some(format!("{name} is {setting}")));
        }
    }
    Ok(None)
}

const SEARCH_PATH: &str = "SELECT split_part(current_setting('search_path'), ',', 1)";

/// Whether names without a schema are looked for in `schema`, on this connection of a store's kind.
pub async fn finds_schema(client: &Client, schema: &str) -> Result<bool> {
    let first: String = RowReader::new(&client.query_one(SEARCH_PATH, &[]).await?).value()?;
    Ok(first.trim().trim_matches('"') == schema)
}

/// Refuses a server that this program must not use. Asked on a connection of the store's kind ([`working`]).
pub async fn check(client: &Client, options: &Options) -> Result<()> {
    migrate::check_server(client).await?;
    let version = migrate::version(client, &options.schema).await?;
    let mismatch = |message: String| Error::new(ErrorCode::SchemaMismatch, message);
    if version == 0 {
        return Err(mismatch("the database has no sprongus schema".to_owned())
            .with_hint("run `sprongus migrate` with the same --db, as the database's owner")
            .into());
    }
    if version < migrate::latest() {
        let message = format!("the database has schema {version}; this sprongus needs {}", migrate::latest());
        return Err(mismatch(message).with_hint("run `sprongus migrate` with the same --db").into());
    }
    if !finds_schema(client, &options.schema).await? {
        let message = "session settings did not reach the database: search_path";
        return Err(Error::new(ErrorCode::Unavailable, message).with_hint(POOLERS).into());
    }
    if options.durability == Durability::PowerCut
        && let Some(weak) = weak_setting(client).await?
    {
        let message = format!("a power cut could lose changes that this server acknowledged: {weak}");
        return Err(Error::new(ErrorCode::Unavailable, message)
            .with_hint("set it to `on` in postgresql.conf, or set SPRONGUS_POSTGRES_DURABILITY=as_configured")
            .into());
    }
    Ok(())
}
