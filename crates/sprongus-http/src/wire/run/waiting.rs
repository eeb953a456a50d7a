//! What a run waits for, and the gates that wait for somebody, as they are read back.

use serde::Deserialize;
use sprongus_core::run::waiting::{OpenGate, Serving, TimeCause, Waiting};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::{AgentTaskId, Kind, ProjectId};
use sprongus_core::values::time::Timestamp;

/// What a run waits for, and since when. The other fields depend on the reason.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Waiting))]
#[serde(rename_all = "camelCase")]
pub struct WaitingBody {
    /// `gate`, `time`, `kind_paused` or `worker`; there will be more.
    #[cfg_attr(feature = "server", schema(example = "worker"))]
    pub reason: String,
    /// Since when it waits for that.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// Of `gate` and `time`: when waiting ends; null at a gate without a limit.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Of `time`: `delay` or `backoff`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, example = "backoff"))]
    #[serde(default)]
    pub cause: Option<TimeCause>,
    /// Of `gate`: the step that waits.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    #[serde(default)]
    pub step_id: Option<StepId>,
    /// Of `gate`: that step's name; null in lists.
    #[serde(default)]
    pub step: Option<String>,
    /// Of `kind_paused`: who paused the kind.
    #[serde(default)]
    pub by: Option<String>,
    /// Of `kind_paused`: when.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Of `worker`: whether those that serve the kind are `none`, `draining`, `all_busy` or `available`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, example = "all_busy"))]
    #[serde(default)]
    pub workers: Option<Serving>,
    /// Of `worker`: its place among the due runs of its kind, 1 being the next; null in lists, and behind the first 10,000.
    #[serde(default)]
    pub place: Option<u64>,
}

impl WaitingBody {
    /// What it says; none when it is a reason that this client does not know.
    pub fn into_waiting(self) -> Option<Waiting> {
        let since = self.since;
        match self.reason.as_str() {
            "gate" => {
                let (step, until) = (self.step, self.until);
                self.step_id.map(|step_id| Waiting::Gate { since, step_id, step, until })
            }
            "time" => {
                let (until, cause) = self.until.zip(self.cause)?;
                Some(Waiting::Time { since, until, cause })
            }
            "kind_paused" => Some(Waiting::KindPaused { since, by: self.by, at: self.at }),
            "worker" => {
                let place = self.place;
                self.workers.map(|workers| Waiting::Worker { since, workers, place })
            }
            _ => None,
        }
    }
}

/// A gate that waits for an approval.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Gate))]
#[serde(rename_all = "camelCase")]
pub struct OpenGateBody {
    /// The run that waits.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub run_id: RunId,
    /// What it does, such as `script.pull`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub kind: Kind,
    /// Its project.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub project_id: Option<ProjectId>,
    /// The agent task it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub agent_task_id: Option<AgentTaskId>,
    /// The step to approve.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub step_id: StepId,
    /// That step's name.
    pub step: Option<String>,
    /// Since when it waits.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// When it expires and the run fails; null for never.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
}

impl OpenGateBody {
    /// As the core has it.
    pub fn into_gate(self) -> OpenGate {
        OpenGate {
            run_id: self.run_id,
            kind: self.kind,
            project_id: self.project_id,
            agent_task_id: self.agent_task_id,
            step_id: self.step_id,
            step: self.step,
            since: self.since,
            until: self.until,
        }
    }
}
