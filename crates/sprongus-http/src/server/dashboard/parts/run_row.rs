//! A run as a row of a list.

use sprongus_core::run::Run;
use sprongus_core::run::state::State;
use sprongus_core::values::text::in_short;
use sprongus_core::values::time::Timestamp;

use super::format::{When, span};
use super::run_status::{Waits, waits};

/// A run as a row.
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// The claim it was seen under.
    pub epoch: u64,
    /// What it does.
    pub kind: String,
    /// Where it stands.
    pub state: &'static str,
    /// Its group.
    pub project: Option<String>,
    /// What it was made for.
    pub agent_task: Option<String>,
    /// Executions started, and allowed.
    pub attempt: u32,
    /// The most of them.
    pub max_attempts: u32,
    /// Percent done, while it runs and has said so.
    pub progress: Option<u8>,
    /// Who holds it.
    pub worker: Option<String>,
    /// When it was made.
    pub created: When,
    /// When its present execution began, while it runs.
    pub since: Option<When>,
    /// How long it took from its first start to its end.
    pub took: Option<String>,
    /// When it ended.
    pub finished: Option<When>,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// Why it failed last, in short.
    pub error: Option<String>,
    /// Pairs it is found by.
    pub tags: Vec<String>,
}

impl RunRow {
    /// A run as it is seen at `now`.
    pub fn new(run: &Run, now: Timestamp) -> Self {
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

/// The rows of runs.
pub fn run_rows(runs: &[Run], now: Timestamp) -> Vec<RunRow> {
    runs.iter().map(|run| RunRow::new(run, now)).collect()
}
