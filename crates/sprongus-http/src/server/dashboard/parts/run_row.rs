//! A run as a row of a list.

use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::values::text::in_short;
use sprongus_core::values::time::Timestamp;

use super::format::{When, span};
use super::run_status::{Waits, waits};

/// A run as a row.
pub struct RunRow {
    pub id: String,
    /// The epoch it was read at, so that a form that is sent late changes nothing.
    pub epoch: u64,
    pub kind: String,
    pub state: &'static str,
    pub project: Option<String>,
    pub agent_task: Option<String>,
    /// Attempts started.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// Percent done, while it runs and has said so.
    pub progress: Option<u8>,
    pub worker: Option<String>,
    pub created: When,
    /// When its present execution began, while it runs.
    pub since: Option<When>,
    /// How long it took from its first start to its end.
    pub took: Option<String>,
    pub finished: Option<When>,
    pub waits: Option<Waits>,
    /// Why it failed last, in short.
    pub error: Option<String>,
    /// Each as `name=value`.
    pub tags: Vec<String>,
}

impl RunRow {
    /// A run as it is seen at `now`.
    pub fn new(run: &RunView, now: Timestamp) -> Self {
        let is_running = run.state == State::Running;
        let when = |time: Option<Timestamp>| time.map(|time| When::new(time, now));
        Self {
            id: run.id.to_string(),
            epoch: run.epoch,
            kind: run.kind.to_string(),
            state: run.state.as_str(),
            project: run.project_id.as_ref().map(ToString::to_string),
            agent_task: run.agent_task_id.as_ref().map(ToString::to_string),
            attempt: run.attempt,
            max_attempts: run.max_attempts,
            progress: (is_running && run.progress > 0).then_some(run.progress),
            worker: run.claimed_by.as_ref().filter(|_| is_running).map(ToString::to_string),
            created: When::new(run.created_at, now),
            since: when(run.claimed_at.filter(|_| is_running)),
            took: run.finished_at.zip(run.started_at).map(|(end, start)| span(end.since(start))),
            finished: when(run.finished_at),
            waits: waits(run, now),
            error: run.error.as_deref().map(|error| in_short(error, 96)),
            tags: run.tags.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        }
    }
}

pub fn run_rows(runs: &[RunView], now: Timestamp) -> Vec<RunRow> {
    runs.iter().map(|run| RunRow::new(run, now)).collect()
}
