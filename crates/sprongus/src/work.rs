//! Executing runs in this process: the one place that knows the worker.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::run::view::RunView;
use sprongus_core::values::names::{Kind, WorkerId};
use sprongus_core::{Error, Result, Runs};
use sprongus_worker::{Declaration, Shutdown, Summary, Worker, WorkerOptions};

use crate::exit::failure::Outcome;

/// What a worker is told.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Runs executed at once.
    pub concurrency: Option<u32>,
    /// The kinds it serves; none means all that are declared.
    pub kinds: Vec<Kind>,
    /// How long a lease lasts without a heartbeat.
    pub lease: Option<Duration>,
    /// How long running work may continue after the first signal to stop.
    pub grace: Option<Duration>,
    /// Whether a server stands in between, which moves the schedules then.
    pub is_remote: bool,
}

/// Who executes one kind here.
pub struct Crew {
    declaration: Declaration,
    kind: Kind,
}

impl Crew {
    /// What is allowed in the declaration, and likely to be a mistake.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.declaration.warnings().map(ToString::to_string)
    }
}

/// A worker for the one kind.
///
/// # Errors
/// `validation` when no `sprongus.toml` here declares it.
pub fn crew(declaration: Option<Declaration>, kind: &str) -> Result<Crew> {
    let kind: Kind = kind.parse()?;
    let declaration = declaration.ok_or_else(|| {
        Error::validation(format!("--work: no sprongus.toml here or above declares {kind}"))
            .with_hint("create one with `sprongus init`")
    })?;
    if !declaration.kinds.contains_key(kind.as_str()) {
        let path = declaration.path.display();
        return Err(Error::validation(format!("--work: {path} does not declare {kind}"))
            .with_hint("declare it there, or use --work on a machine where it is declared"));
    }
    Ok(Crew { declaration, kind })
}

/// Executes runs of the kind, one at a time, until `following` has ended; what it has begun by then it finishes. When following
/// ends early it gives back what it holds.
///
/// # Errors
/// As `following`, and as [`until`].
pub async fn beside(
    crew: Crew,
    (runs, is_remote): (Arc<dyn Runs>, bool),
    following: impl Future<Output = Outcome<RunView>>,
) -> Outcome<RunView> {
    let kinds = vec![crew.kind];
    let wishes = Wishes { concurrency: Some(1), kinds, is_remote, ..Wishes::default() };
    let shutdown = Shutdown::new();
    let worker = worker(runs, crew.declaration, wishes);
    let mut working = tokio::spawn(worker.run(shutdown.clone()));
    let mut following = pin!(following);
    let followed = tokio::select! {
        followed = &mut following => followed,
        stopped = &mut working => {
            // Somebody told it to drain: another worker may take the run.
            stopped.map_err(broken_off)??;
            return following.await;
        }
    };
    if followed.is_ok() {
        shutdown.drain()
    } else {
        shutdown.now()
    }
    working.await.map_err(broken_off)??;
    followed
}

/// Whether the kinds are declared here.
///
/// # Errors
/// `validation` when there is no `sprongus.toml`, or it does not declare one of them.
pub fn declared(declaration: Option<&Declaration>, kinds: &[Kind]) -> Result<()> {
    let declaration = declaration.ok_or_else(|| {
        Error::validation("no sprongus.toml here or above, so there are no kinds to execute")
            .with_hint("create one with `sprongus init`")
    })?;
    for kind in kinds {
        if !declaration.kinds.contains_key(kind.as_str()) {
            let declared = declaration.kinds.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::validation(format!("--kinds: {kind} is not declared"))
                .with_hint(format!("{} declares {declared}", declaration.path.display())));
        }
    }
    Ok(())
}

/// The handle that signals use.
///
/// # Errors
/// `internal` when they cannot be listened for.
pub fn on_signals() -> Result<Shutdown> {
    Shutdown::on_signals().map_err(|error| Error::internal("cannot listen for signals").with_source(error))
}

/// Executes the declared kinds until it is told to stop.
///
/// # Errors
/// `validation` for options that cannot be; otherwise what the store refuses for good.
pub async fn until(
    runs: Arc<dyn Runs>,
    declaration: Declaration,
    wishes: Wishes,
    shutdown: Shutdown,
    ready: impl FnOnce(&WorkerId),
) -> Result<Summary> {
    let worker = worker(runs, declaration, wishes);
    ready(worker.id());
    worker.run(shutdown).await
}

/// Ends at Ctrl-C, SIGTERM, SIGHUP or SIGQUIT.
pub async fn interrupted() {
    match Shutdown::on_signals() {
        Ok(shutdown) => shutdown.requested().await,
        // Then the signal itself ends the program.
        Err(_) => std::future::pending().await,
    }
}

fn worker(runs: Arc<dyn Runs>, declaration: Declaration, wishes: Wishes) -> Worker {
    sprongus_worker::orphans::adopt_orphans();
    let mut options = WorkerOptions::default();
    options.concurrency = wishes.concurrency.unwrap_or(options.concurrency);
    options.lease = wishes.lease.unwrap_or(options.lease);
    options.grace = wishes.grace.unwrap_or(options.grace);
    options.kinds = (!wishes.kinds.is_empty()).then_some(wishes.kinds);
    options.moves_schedules = !wishes.is_remote;
    Worker::new(runs, options).declared(declaration)
}

fn broken_off(error: tokio::task::JoinError) -> Error {
    Error::internal("the worker stopped unexpectedly").with_source(error)
}
