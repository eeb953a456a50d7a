//! A [`Store`](sprongus_core::store::Store) in one SQLite file: no server, any number of processes on one machine.
//!
//! One writer thread per process folds what is waiting into one transaction (`connection/writer.rs`); readers have connections of their
//! own. Each trait of the store stands in the file of its name, and each verb of `runs.rs` in a file of its own. Rules are the core's:
//! under the write lock a verb reads the run, asks the rule and writes the answer, so there is no rule in SQL here. What is left to
//! others: what a workspace's caller may do is checked by row here, but there is no second wall behind it as Postgres has; give mutually
//! distrustful tenants a file each.

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

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use sprongus_core::calendar::Zones;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};
use tokio::sync::watch;

use connection::file_guard::FileGuard;
use connection::readers::Readers;
use connection::wake::Watch;
use connection::writer::Writer;
use schema::open;

pub use diagnostics::inspect::{Copied, copy, inspect, kept_bytes};
pub use diagnostics::probe::bare_commits;
pub use schema::migrate::{APPLICATION_ID, MIGRATIONS, Migration, latest as latest_schema};
pub use schema::open::{Durability, OLDEST_SAFE_SQLITE, Options, migrate_file as migrate, pending};

/// A database of runs in one file.
pub struct Sqlite {
    readers: Arc<Readers>,
    writer: Writer,
    changed: watch::Sender<u64>,
    watch: OnceLock<Option<Watch>>,
    zones: Arc<dyn Zones>,
}

impl Sqlite {
    /// Opens the file, making and migrating it as the options say.
    ///
    /// # Errors
    /// `not_found` when it is missing and not to be made; `unavailable` when it cannot be read or written;
    /// `schema_mismatch` when it is another program's, newer than this one, or older and not to be migrated.
    pub fn open(file: &Path, options: Options) -> Result<Self> {
        let connection = open::open(file, &options)?;
        let zones = Arc::clone(&options.zones);
        let (guard, (changed, _)) = (Arc::new(FileGuard::of(file)?), watch::channel(0));
        let writer = Writer::start(
            connection,
            Arc::clone(&guard),
            (Arc::clone(&options.clock), Arc::clone(&zones)),
            changed.clone(),
        )?;
        let readers = Arc::new(Readers::new(file, guard, options.durability, options.clock));
        Ok(Self { readers, writer, changed, watch: OnceLock::new(), zones })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        let reading = tokio::task::spawn_blocking(move || readers.read(read));
        reading.await.map_err(|error| Error::internal("a read was interrupted").with_source(error))?
    }

    fn watch(&self) -> Option<&Watch> {
        let start = || {
            let connection = open::connect(&self.readers.file, self.readers.durability);
            let started =
                connection.and_then(|it| Watch::start(it, &self.readers.file, self.changed.clone()));
            started.inspect_err(|error| tracing::debug!(?error, "not watching the database")).ok()
        };
        self.watch.get_or_init(start).as_ref()
    }
}
