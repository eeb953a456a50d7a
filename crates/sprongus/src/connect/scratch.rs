//! Databases of one's own for measuring: files in a folder, or databases on a server; gone at the end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::store::Store;
use sprongus_core::{Error, ErrorCode, Result, RunsService};
use sprongus_postgres::Postgres;
use sprongus_sqlite::{Options, Sqlite};

use super::artifacts;
use super::place::Target;
use crate::env::Environment;

/// Where measuring makes its databases.
pub struct Scratch {
    room: Room,
    around: Environment,
}

enum Room {
    /// Files in this folder.
    Folder(PathBuf),
    /// Databases on the server of this URL, with the names made so far.
    Server(String, Mutex<Vec<String>>),
}

impl Scratch {
    /// On the server named, or in `folder`, if one is named, or in the one the command was started in.
    ///
    /// # Errors
    /// `unavailable` when no folder can be made there; `validation` for a folder on a server.
    pub fn make(named: Option<&Target>, folder: Option<&Path>, around: &Environment) -> Result<Self> {
        let around = around.clone();
        if let Some(Target::Postgres(url)) = named {
            if folder.is_some() {
                return Err(Error::validation("--in: not valid with a server's database")
                    .with_hint("remove --in, or remove --db to measure files in that folder"));
            }
            return Ok(Self { room: Room::Server(url.clone(), Mutex::default()), around });
        }
        let folder = folder.unwrap_or(&around.folder);
        let own = folder.join(format!(".sprongus-bench-{}", std::process::id()));
        std::fs::create_dir_all(&own).map_err(|error| {
            let message = format!("cannot create a folder in {}: {}", folder.display(), error.kind());
            Error::new(ErrorCode::Unavailable, message).with_source(error)
        })?;
        Ok(Self { room: Room::Folder(own), around })
    }

    /// What makes the figures others than a server of runs would have there, for people.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub async fn caveats(&self) -> Result<Vec<&'static str>> {
        let Room::Server(url, _) = &self.room else { return Ok(Vec::new()) };
        let mut caveats = Vec::new();
        if super::postgres(&self.around)?.durability == sprongus_postgres::Durability::AsConfigured {
            caveats.push(
                "acknowledged changes may not survive a power cut, because of SPRONGUS_POSTGRES_DURABILITY",
            );
        }
        if sprongus_postgres::scratch::bypasses_policies(url).await? {
            caveats.push("this role bypasses row-level security, so the figures do not include it; use a role that only has CREATEDB");
        }
        Ok(caveats)
    }

    /// An empty database, on a server migrated.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub async fn database(&self, name: &str) -> Result<Target> {
        match &self.room {
            Room::Folder(folder) => Ok(Target::File(folder.join(format!("{name}.db")))),
            Room::Server(url, made) => {
                let name = format!("sprongus_bench_{}_{}", std::process::id(), name.replace('-', "_"));
                made.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                Ok(Target::Postgres(sprongus_postgres::scratch::make(url, &name).await?))
            }
        }
    }

    /// The runs in one of its databases.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub async fn open(&self, target: &Target) -> Result<RunsService> {
        measured(target, &self.around).await
    }

    /// Takes everything away again.
    ///
    /// # Errors
    /// `unavailable` when something is left behind.
    pub async fn clean(&self) -> Result<()> {
        match &self.room {
            Room::Folder(folder) => std::fs::remove_dir_all(folder).map_err(|error| {
                let message = format!("cannot remove {}: {}", folder.display(), error.kind());
                Error::new(ErrorCode::Unavailable, message).with_source(error)
            }),
            Room::Server(url, made) => {
                let names = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
                let mut left = Vec::new();
                for name in names {
                    if let Err(error) = sprongus_postgres::scratch::drop(url, &name).await {
                        left.push((name, error));
                    }
                }
                let names = left.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                match left.into_iter().next() {
                    None => Ok(()),
                    Some((_, error)) => {
                        let message = format!("a database may be left behind: {names}");
                        Err(Error::new(error.code(), message)
                            .with_hint("drop it with dropdb")
                            .with_source(error))
                    }
                }
            }
        }
    }
}

/// The runs in a database made for measuring.
///
/// # Errors
/// As [`super::connect`].
pub async fn measured(target: &Target, around: &Environment) -> Result<RunsService> {
    let store: Arc<dyn Store> = match target {
        Target::File(path) => Arc::new(Sqlite::open(path, Options::default())?),
        Target::Postgres(url) => Arc::new(Postgres::connect(url, super::postgres(around)?).await?),
        Target::Server(_) => return Err(Error::internal("a server is not a database")),
    };
    Ok(artifacts::keep(RunsService::new(store), target, around))
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
        Target::Server(_) => Err(Error::internal("a server is not a database")),
    }
}
