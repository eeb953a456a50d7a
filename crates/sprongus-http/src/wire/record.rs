//! What a worker records beside its run's state: steps and log lines.

use serde::{Deserialize, Serialize};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;

use super::objects;
#[cfg(feature = "server")]
use super::words::{PhaseName, StepStatusName, StepTypeName, StreamName};

/// A log line of the run's process.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = LogLineRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLineBody {
    /// `stdout`, `stderr`, or `system` for lines of the worker itself.
    #[cfg_attr(feature = "server", schema(value_type = StreamName))]
    pub stream: Stream,
    /// When the worker read it; default: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub at: Option<Timestamp>,
    /// The step that printed it; default: the one given for all lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The line, without its newline; cut at 16 KiB.
    pub text: String,
}

impl NewLineBody {
    /// The line, with what all lines of the call have in common.
    pub fn into_line(self, step: Option<&str>, now: Timestamp) -> LogLine {
        LogLine {
            stream: self.stream,
            at: self.at.unwrap_or(now),
            step: self.step.or_else(|| step.map(str::to_owned)),
            text: self.text,
        }
    }
}

impl From<LogLine> for NewLineBody {
    fn from(line: LogLine) -> Self {
        Self { stream: line.stream, at: Some(line.at), step: line.step, text: line.text }
    }
}

/// Adds lines to a run's log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Log))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// The step that printed the lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The lines, up to 10,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 10_000))]
    pub lines: Vec<NewLineBody>,
}

/// Reports a step: complete, each time.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = StepRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepReportBody {
    /// Name, 1 to 128 printable bytes.
    pub name: String,
    /// `setup`, `execution`, `validation` or `cleanup`.
    #[cfg_attr(feature = "server", schema(value_type = PhaseName))]
    pub phase: Phase,
    /// `command`, `ai_action`, `gate` or `artifact`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(value_type = StepTypeName))]
    pub kind: StepType,
    /// `pending`, `running`, `completed`, `failed` or `skipped`; the last three are final.
    #[cfg_attr(feature = "server", schema(value_type = StepStatusName))]
    pub status: StepStatus,
    /// Position in the run; default: that of the step with this name in this execution, else the next free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64))]
    pub ordinal: Option<u32>,
    /// Output; cut at 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Tokens sent to a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 1_000_000_000_i64))]
    pub tokens_in: Option<u64>,
    /// Tokens received from a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 1_000_000_000_i64))]
    pub tokens_out: Option<u64>,
}

impl StepReportBody {
    /// The report, at `ordinal` where it names none.
    pub fn into_report(self, ordinal: u32) -> StepReport {
        StepReport {
            ordinal: self.ordinal.unwrap_or(ordinal),
            name: self.name,
            phase: self.phase,
            kind: self.kind,
            status: self.status,
            output: self.output,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
        }
    }
}

impl From<StepReport> for StepReportBody {
    fn from(step: StepReport) -> Self {
        Self {
            name: step.name,
            phase: step.phase,
            kind: step.kind,
            status: step.status,
            ordinal: Some(step.ordinal),
            output: step.output,
            tokens_in: step.tokens_in,
            tokens_out: step.tokens_out,
        }
    }
}

/// Reports one step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = StepUpdate))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepUpdateBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Name, 1 to 128 printable bytes.
    pub name: String,
    /// `setup`, `execution`, `validation` or `cleanup`.
    #[cfg_attr(feature = "server", schema(value_type = PhaseName))]
    pub phase: Phase,
    /// `command`, `ai_action`, `gate` or `artifact`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(value_type = StepTypeName))]
    pub kind: StepType,
    /// `pending`, `running`, `completed`, `failed` or `skipped`; the last three are final.
    #[cfg_attr(feature = "server", schema(value_type = StepStatusName))]
    pub status: StepStatus,
    /// Position in the run; default: that of the step with this name in this execution, else the next free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64))]
    pub ordinal: Option<u32>,
    /// Output; cut at 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Tokens sent to a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 1_000_000_000_i64))]
    pub tokens_in: Option<u64>,
    /// Tokens received from a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 1_000_000_000_i64))]
    pub tokens_out: Option<u64>,
}

impl StepUpdateBody {
    /// The step apart from the hold it is reported under.
    pub fn into_step(self) -> StepReportBody {
        StepReportBody {
            name: self.name,
            phase: self.phase,
            kind: self.kind,
            status: self.status,
            ordinal: self.ordinal,
            output: self.output,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
        }
    }
}

/// Records steps and log lines together, in one transaction.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RecordRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// The steps, each with its ordinal.
    #[serde(default, deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 10_000))]
    pub steps: Vec<StepReportBody>,
    /// The lines.
    #[serde(default, deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 10_000))]
    pub lines: Vec<NewLineBody>,
}
