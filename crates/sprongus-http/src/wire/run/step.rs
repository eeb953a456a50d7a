//! A step, as it is read back.

use serde::Deserialize;
use sprongus_core::run::step::{Phase, Step, StepStatus, StepType};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::time::Timestamp;

#[cfg(feature = "server")]
use crate::wire::words::{PhaseName, StepStatusName, StepTypeName};

/// A step: a named part of a run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Step))]
#[serde(rename_all = "camelCase")]
pub struct StepBody {
    /// A ULID, which follows from the run, the epoch and the ordinal.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: StepId,
    /// The run it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub run_id: RunId,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// Position in the run.
    pub ordinal: u32,
    /// `setup`, `execution`, `validation` or `cleanup`.
    #[cfg_attr(feature = "server", schema(value_type = PhaseName))]
    pub phase: Phase,
    /// Name in the declaration.
    pub name: String,
    /// `command`, `ai_action`, `gate` or `artifact`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(value_type = StepTypeName))]
    pub kind: StepType,
    /// `pending`, `running`, `completed`, `failed` or `skipped`; the last three are final.
    #[cfg_attr(feature = "server", schema(value_type = StepStatusName))]
    pub status: StepStatus,
    /// Output, without the trailing newline, cut at 64 KiB.
    pub output: Option<String>,
    /// Tokens sent to a model.
    pub tokens_in: Option<u64>,
    /// Tokens received from a model.
    pub tokens_out: Option<u64>,
    /// When it started.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub completed_at: Option<Timestamp>,
    /// How long it took, once it has ended.
    pub duration_ms: Option<u64>,
}

impl StepBody {
    /// The step. The claim it ran under is in its id and not on the wire: it reads as 0.
    pub fn into_step(self) -> Step {
        Step {
            id: self.id,
            run_id: self.run_id,
            epoch: 0,
            attempt: self.attempt,
            ordinal: self.ordinal,
            phase: self.phase,
            name: self.name,
            kind: self.kind,
            status: self.status,
            output: self.output,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            started_at: self.started_at,
            completed_at: self.completed_at,
        }
    }
}
