//! Executing runs in this process: the one place that knows the worker.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::names::Kind;
use sprongus_core::run::Run;
use sprongus_core::{Error, Result, Runs};
use sprongus_worker::declaration::Declaration;

use crate::failure::Outcome;

/// What a worker is told.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Runs executed at once.
    pub concurrency: Option<u32>,
    /// The kinds it serves; none means all that are declared.
    pub kinds: Vec<Kind>,
    /// How long a lease lasts without a heartbeat.
    pub lease: Option<Duration>,
    /// How long what runs may go on after the first signal to stop.
    pub grace: Option<Duration>,
}

/// Who executes one kind here.
pub struct Crew {
    declaration: Declaration,
    kind: Kind,
}

/// A worker for the one kind.
///
/// # Errors
/// `validation` when no `sprongus.toml` here declares it.
pub fn crew(declaration: Option<Declaration>, kind: &str) -> Result<Crew> {
    let kind: Kind = kind.parse()?;
    let declaration = declaration.ok_or_else(|| {
        Error::validation(format!("--work: no sprongus.toml here or above declares {kind}"))
            .with_hint("`sprongus init` writes a first one")
    })?;
    if !declaration.kinds.contains_key(kind.as_str()) {
        let path = declaration.path.display();
        return Err(Error::validation(format!("--work: {path} does not declare {kind}"))
            .with_hint("declare it there, or leave --work to a machine where it is declared"));
    }
    Ok(Crew { declaration, kind })
}

/// Executes runs of the kind until `following` has ended; what it began it then finishes.
///
/// # Errors
/// As `following`.
pub async fn beside(
    crew: Crew,
    runs: Arc<dyn Runs>,
    following: impl Future<Output = Outcome<Run>>,
) -> Outcome<Run> {
    let _ = (&crew.declaration, &crew.kind, &runs);
    following.await
}

/// Executes the declared kinds until a signal.
///
/// # Errors
/// `validation`, `unavailable`.
pub async fn serve(runs: Arc<dyn Runs>, declaration: Declaration, wishes: Wishes) -> Result<()> {
    let _ = (runs, declaration, wishes);
    Err(Error::internal("the worker is not wired yet"))
}
