//! Databases of one's own for measuring: files in a folder, or databases on a server; gone at the end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::store::Store;
use sprongus_core::{Error, ErrorCode, Result, RunsService};
use sprongus_postgres::Postgres;
use sprongus_sqlite::{Options, Sqlite};

use super::place::Target;

/// Where measuring makes its databases.
pub enum Scratch {
    /// Files in this folder.
    Folder(PathBuf),
    /// Databases on the server of this URL, with the names made so far.
    Server(String, Mutex<Vec<String>>),
}

impl Scratch {
    /// Beside the database named, or in `folder`.
    ///
    /// # Errors
    /// `unavailable` when no folder can be made there.
    pub fn make(named: Option<&Target>, folder: &Path) -> Result<Self> {
        if let Some(Target::Postgres(url)) = named {
            return Ok(Self::Server(url.clone(), Mutex::default()));
        }
        let own = folder.join(format!(".sprongus-bench-{}", std::process::id()));
        std::fs::create_dir_all(&own).map_err(|error| {
            let message = format!("cannot make a folder in {}: {}", folder.display(), error.kind());
            Error::new(ErrorCode::Unavailable, message).with_source(error)
        })?;
        Ok(Self::Folder(own))
    }

    /// An empty migrated database.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub async fn database(&self, name: &str) -> Result<Target> {
        match self {
            Self::Folder(folder) => Ok(Target::File(folder.join(format!("{name}.db")))),
            Self::Server(url, made) => {
                let name = format!("sprongus_bench_{}_{}", std::process::id(), name.replace('-', "_"));
                made.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                Ok(Target::Postgres(sprongus_postgres::scratch::make(url, &name).await?))
            }
        }
    }

    /// Takes everything away again.
    ///
    /// # Errors
    /// `unavailable` when something is left behind.
    pub async fn clean(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => std::fs::remove_dir_all(folder).map_err(|error| {
                let message = format!("cannot remove {}: {}", folder.display(), error.kind());
                Error::new(ErrorCode::Unavailable, message).with_source(error)
            }),
            Self::Server(url, made) => {
                let names = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
                for name in names {
                    sprongus_postgres::scratch::drop(url, &name).await?;
                }
                Ok(())
            }
        }
    }
}

/// The runs in a database made for measuring.
///
/// # Errors
/// As [`super::connect`].
pub async fn measured(target: &Target) -> Result<RunsService> {
    let store: Arc<dyn Store> = match target {
        Target::File(path) => Arc::new(Sqlite::open(path, Options::default())?),
        Target::Postgres(url) => {
            Arc::new(Postgres::connect(url, sprongus_postgres::Options::default()).await?)
        }
    };
    Ok(RunsService::new(store))
}

/// The least that durable commits of one row cost there.
///
/// # Errors
/// `unavailable`.
pub async fn bare_commits(target: &Target, commits: u32) -> Result<Duration> {
    match target {
        Target::File(path) => {
            let beside = path.with_extension("bare");
            // Of an earlier round.
            let _ = std::fs::remove_file(&beside);
            sprongus_sqlite::bare_commits(&beside, commits)
        }
        Target::Postgres(url) => sprongus_postgres::scratch::bare_commits(url, commits).await,
    }
}
