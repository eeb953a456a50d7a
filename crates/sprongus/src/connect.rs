//! Where a command goes. No other module knows that there is a database, or where it lies.

mod file;
mod place;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::directory::Workspace;
use sprongus_core::names::WorkspaceId;
use sprongus_core::store::Health;
use sprongus_core::time::Timestamp;
use sprongus_core::{Caller, Error, Result, Runs, RunsService};
use sprongus_sqlite::{Options, Sqlite};

pub use file::{FileFacts, look};
pub use place::{Place, Why, Wish, choose};

use crate::surroundings::Surroundings;

/// What a command does to the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It looks; a named file that is missing is a mistake.
    Reads,
    /// It changes something; the file is made.
    Writes,
    /// It changes something and stands for the whole database, so that `DATABASE_URL` counts too.
    Serves,
}

/// The runs of one workspace, and what lies around them.
pub struct Connection {
    /// The runs.
    pub runs: Arc<dyn Runs>,
    /// Where they are kept.
    pub place: Place,
    service: RunsService,
}

/// A migration that was made, or is to be.
pub struct Migration {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it does.
    pub sql: String,
}

/// Connects to the runs of `workspace`.
///
/// # Errors
/// `validation`, `not_found`, `unavailable` or `schema_mismatch`, each naming the file.
pub async fn connect(
    wish: &Wish,
    workspace: &str,
    around: &Surroundings,
    access: Access,
) -> Result<Connection> {
    let workspace: WorkspaceId = workspace.parse()?;
    let place = choose(wish, around, access)?;
    // To look at a file that somebody named neither makes it nor changes it.
    let only_looks = access == Access::Reads && place.is_named();
    let options = Options { create: !only_looks, migrate: !only_looks, ..Options::default() };
    let store = Arc::new(Sqlite::open(&place.path, options).map_err(|error| named(&place, error))?);
    let service = RunsService::new(store);
    if workspace != WorkspaceId::local() {
        let known = service.store().workspaces().await?;
        if !known.iter().any(|known| known.id == workspace) {
            return Err(Error::not_found(format_args!("workspace: {workspace}"))
                .with_hint(format!("make it with `sprongus workspaces create {workspace}`")));
        }
    }
    let runs = service.for_caller(Caller::new(workspace, &around.user));
    Ok(Connection { runs, place, service })
}

/// A queue in a file of its own, for measuring.
///
/// # Errors
/// As [`connect`].
pub fn scratch(file: &Path) -> Result<RunsService> {
    Ok(RunsService::new(Arc::new(Sqlite::open(file, Options::default())?)))
}

/// The least that durable commits cost on a disk.
///
/// # Errors
/// `unavailable`.
pub fn bare_commits(file: &Path, commits: u32) -> Result<Duration> {
    sprongus_sqlite::bare_commits(file, commits)
}

/// What `migrate` would do, or does.
///
/// # Errors
/// As [`connect`].
pub fn migrate(wish: &Wish, around: &Surroundings, dry_run: bool) -> Result<(Place, Vec<Migration>)> {
    let place = choose(wish, around, Access::Serves)?;
    let migrations =
        if dry_run { sprongus_sqlite::pending(&place.path) } else { sprongus_sqlite::migrate(&place.path) };
    let migrations = migrations.map_err(|error| named(&place, error))?;
    let migrations = migrations.into_iter().map(|migration| Migration {
        number: migration.number,
        name: migration.name.to_owned(),
        sql: migration.sql.to_owned(),
    });
    Ok((place, migrations.collect()))
}

/// The error with the file's name in it: the store does not know how the user came by it.
fn named(place: &Place, error: Error) -> Error {
    let path = place.path.display().to_string();
    if error.message().contains(&path) {
        return error;
    }
    Error::new(error.code(), format!("{}: {path}", error.message()))
        .with_hint(error.hint().to_owned())
        .with_source(error)
}

impl Connection {
    /// Every workspace.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.service.store().workspaces().await
    }

    /// Makes a workspace; the same again is no error.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn create_workspace(&self, id: &WorkspaceId) -> Result<Workspace> {
        self.service.store().create_workspace(id).await
    }

    /// Deletes a workspace and everything in it.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub async fn delete_workspace(&self, id: &WorkspaceId) -> Result<()> {
        self.service.store().delete_workspace(id).await
    }

    /// The present, by the clock that runs are told.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn now(&self) -> Result<Timestamp> {
        self.service.store().now().await
    }

    /// How the database is.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn health(&self) -> Result<Health> {
        self.service.store().health().await
    }
}
