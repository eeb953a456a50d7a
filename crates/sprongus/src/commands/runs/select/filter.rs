//! The filters of `list`, which `cancel` and `retry` take too.

use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::values::names::{AgentTaskId, Kind, ProjectId, ScheduleId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};

use crate::cli::times;

/// Which runs. Everything given must hold; of several states or kinds, one.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only runs of this project
    #[arg(long, value_name = "ID")]
    pub project: Option<ProjectId>,
    /// Only runs in this state: queued, running, succeeded, failed or canceled (repeatable)
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<State>,
    /// Only queued runs waiting for this: gate, time, kind_paused or worker
    #[arg(long, value_name = "REASON")]
    pub waiting: Option<Reason>,
    /// Only runs of this kind (repeatable)
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<Kind>,
    /// Only runs of this agent task
    #[arg(long, value_name = "ID")]
    pub agent_task: Option<AgentTaskId>,
    /// Only runs of this schedule
    #[arg(long, value_name = "ID")]
    pub schedule: Option<ScheduleId>,
    /// Only runs with this tag (repeatable; all must match)
    #[arg(long, value_name = "K=V", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// Only runs enqueued at or after this time
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub since: Option<Timestamp>,
    /// Only runs enqueued before this time
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub before: Option<Timestamp>,
}

impl FilterArgs {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.filter() == ListFilter::default()
    }

    /// As a list takes it.
    pub fn filter(&self) -> ListFilter {
        ListFilter {
            project_id: self.project.clone(),
            states: self.state.clone(),
            kinds: self.kind.clone(),
            waiting: self.waiting,
            agent_task_id: self.agent_task.clone(),
            schedule_id: self.schedule.clone(),
            tags: self.tag.iter().cloned().collect(),
            since: self.since,
            before: self.before,
            ..ListFilter::default()
        }
    }
}

/// Reads `K=V`.
///
/// # Errors
/// `validation`.
pub fn tag(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => {
            let shown = sprongus_core::values::text::excerpt(text, 64);
            Err(Error::validation(format!("not a tag: {shown}")).with_hint("use NAME=VALUE"))
        }
    }
}
