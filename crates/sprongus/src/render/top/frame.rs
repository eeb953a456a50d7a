//! What `top` sees in one look: values alone. How they are drawn is left to [`crate::render::top`].

use std::collections::BTreeSet;

use serde::Serialize;
use sprongus_core::run::view::RunView;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::{Kind, ProjectId, WorkerId};
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};
use sprongus_core::workspace::directory::{Stats, Worker};
use sprongus_core::{Result, Runs};

use crate::running::running;

/// One look at a workspace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    pub at: Timestamp,
    pub stats: Stats,
    /// The kinds that are paused.
    pub paused: BTreeSet<Kind>,
    /// The workers that live.
    pub workers: Vec<Working>,
    /// What runs, the longest first.
    pub running: Vec<Running>,
    /// Whether more than those run.
    pub more_running: bool,
}

/// A worker, and what it holds.
#[derive(Debug, Serialize)]
pub struct Working {
    #[serde(flatten)]
    pub worker: Worker,
    /// Those of [`Frame::running`] that it holds.
    pub holds: Vec<RunId>,
}

/// A run that is executed just now. Its input is left out: it may be long, and nobody asked for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    pub id: RunId,
    pub kind: Kind,
    pub project_id: Option<ProjectId>,
    /// The attempt it is at.
    pub attempt: u32,
    /// How many it has.
    pub max_attempts: u32,
    /// In percent.
    pub progress: u8,
    /// Who holds it.
    pub claimed_by: Option<WorkerId>,
    /// Since when.
    pub claimed_at: Option<Timestamp>,
    /// For how long, in milliseconds.
    pub elapsed_ms: u64,
}

impl Frame {
    /// Reads the figures, the workers and what runs.
    ///
    /// # Errors
    /// As the calls it makes.
    pub async fn read(runs: &dyn Runs) -> Result<Self> {
        let stats = runs.stats().await?;
        let workers = runs.workers().await?;
        let kinds = runs.kinds().await?;
        let (found, more_running) = running(runs).await?;
        let at = SystemClock.now();
        let mut running: Vec<Running> = found.into_iter().map(|run| Running::of(run, at)).collect();
        running.sort_by(|one, other| other.elapsed_ms.cmp(&one.elapsed_ms).then(one.id.cmp(&other.id)));
        let workers = workers.into_iter().map(|worker| {
            let held = running.iter().filter(|run| run.claimed_by.as_ref() == Some(&worker.id));
            Working { holds: held.map(|run| run.id).collect(), worker }
        });
        let paused = kinds.into_iter().filter(|setting| setting.paused).map(|setting| setting.kind).collect();
        Ok(Self { at, stats, paused, workers: workers.collect(), running, more_running })
    }
}

impl Running {
    fn of(run: RunView, at: Timestamp) -> Self {
        let elapsed = run.claimed_at.or(run.started_at).map(|since| at.since(since)).unwrap_or_default();
        Self {
            id: run.id,
            kind: run.kind,
            project_id: run.project_id,
            attempt: run.attempt,
            max_attempts: run.max_attempts,
            progress: run.progress,
            claimed_by: run.claimed_by,
            claimed_at: run.claimed_at,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
