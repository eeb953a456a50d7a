//! A [`Store`](sprongus_core::store::Store) in Postgres: any number of servers and workers on one database.
//!
//! Each trait of the store stands in the file of its name, and each verb of `runs.rs` in a file of its own. The hot ones (enqueue,
//! claim, heartbeat, success) are one statement for a whole batch, which carries its guard in SQL; whatever is not the usual case is
//! read under its lock, put before the core's rule and written back (`runs/write_set.rs`). Callers of one process share transactions
//! (`connection/batcher.rs`). Every transaction names its workspace to the policies of row-level security, and every statement names it
//! again. What is left to others: what a caller may do, by project, is checked here; by scope, where tokens are known.

mod connection;
mod diagnostics;
mod directory;
mod error;
mod events;
mod figures;
mod files;
mod reads;
mod rows;
mod runs;
mod schema;
mod sessions;
mod settings;
mod tokens;

use std::sync::Arc;

use sprongus_core::Result;
use sprongus_core::figures::metric::SizeCounter;
use sprongus_core::run::Applied;
use sprongus_core::store::Inserted;
use tokio_postgres::Config;

use connection::batcher::Batcher;
use connection::retry::{Idempotent, retry, with_deadline};
use connection::session::Database;
use connection::wake::Wake;
use runs::claim::Cursors;
use runs::enqueue;
use runs::finish::{self, WorkerReport};
use schema::auto_analyze::AutoAnalyze;
use schema::{migrate, open};

pub use diagnostics::inspect::{Snapshot, inspect, program_environment, snapshot};
pub use runs::enqueue_in::enqueue_in;
pub use schema::migrate::{Migration, latest as latest_schema};
pub use schema::open::{Durability, Options, check_url, place};
pub use schema::scratch;

/// A database of runs on a server.
pub struct Postgres {
    database: Database,
    config: Config,
    schema: String,
    wake: Arc<Wake>,
    cursors: Cursors,
    auto_analyze: AutoAnalyze,
    batches: Arc<SizeCounter>,
    enqueues: Batcher<enqueue::Asked, Result<Inserted>>,
    finishes: Batcher<WorkerReport, Result<Applied>>,
}

impl Postgres {
    /// Connects, and looks whether the server may be trusted with runs. Migrates nothing.
    ///
    /// # Errors
    /// `validation` for a URL that cannot be read; `unauthenticated`, `forbidden`, `not_found` or `unavailable` when the server, the
    /// role or the database is not there for us, or promises less than [`Durability`] asks; `schema_mismatch` when the schema is
    /// missing, older or newer than this program.
    pub async fn connect(url: &str, options: Options) -> Result<Self> {
        let config = open::config(url, &options.schema)?;
        let working = open::working(&config, &options.schema);
        let client = migrate::connect(&working).await?;
        with_deadline(open::check(&client, &options)).await?;
        drop(client);
        let wake = Wake::new(options.listen.then(|| config.clone()));
        let database =
            Database::new(&working, options.pool_size, (options.clock, options.zones), Arc::clone(&wake))?;
        let (enqueuing, finishing) = (database.clone(), database.clone());
        let batches: Arc<SizeCounter> = Arc::default();
        let enqueues = Batcher::start(Arc::clone(&batches), move |caller, asked: Vec<enqueue::Asked>| {
            let database = enqueuing.clone();
            Box::pin(async move {
                retry(Idempotent::Yes, |is_retry| enqueue::each(&database, &caller, &asked, is_retry)).await
            })
        });
        let finishes = Batcher::start(Arc::clone(&batches), move |caller, reports: Vec<WorkerReport>| {
            let database = finishing.clone();
            Box::pin(
                async move { retry(Idempotent::Yes, |_| finish::run(&database, &caller, &reports)).await },
            )
        });
        let (schema, cursors, auto_analyze) = (options.schema, Cursors::default(), AutoAnalyze::default());
        Ok(Self { database, config, schema, wake, cursors, auto_analyze, batches, enqueues, finishes })
    }
}

/// The migrations a database lacks, without applying them.
///
/// # Errors
/// As [`Postgres::connect`].
pub async fn pending(url: &str, options: &Options) -> Result<Vec<Migration>> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    with_deadline(migrate::check_server(&client)).await?;
    Ok(migrate::after(with_deadline(migrate::version(&client, &options.schema)).await?, &options.schema))
}

/// Brings the database up to this program's schema, and grants `role` what a server needs; answers what was applied.
///
/// # Errors
/// As [`Postgres::connect`]; `not_found` or `forbidden` for a role that does not exist or bypasses row-level security.
pub async fn migrate(url: &str, options: &Options, role: Option<&str>) -> Result<Vec<Migration>> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    Ok(migrate::migrate(&client, &options.schema, migrate::latest(), role).await?)
}

/// Brings the database up to an earlier schema, as an earlier program left it: what an upgrade is tried on.
///
/// # Errors
/// As [`Postgres::connect`].
pub async fn migrate_to(url: &str, options: &Options, number: u32) -> Result<()> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    migrate::migrate(&client, &options.schema, number, None).await?;
    Ok(())
}
