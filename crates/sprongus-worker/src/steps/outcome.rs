//! What comes of a step, whatever its type: what every executor of a step answers.

use sprongus_core::run::artifact::ArtifactName;
use sprongus_core::run::step::{Phase, StepReport, StepStatus, StepType};
use sprongus_core::values::time::Timestamp;

use crate::declaration::{self, StepAction, StepDeclaration};
use crate::process::StepOutput;

/// How a step ended.
#[derive(Debug, Default)]
pub(crate) struct StepOutcome {
    /// What later steps see of it, as it is: it is masked, cut and recorded behind the executor.
    pub(crate) output: Option<StepOutput>,
    /// Tokens given to a model.
    pub(crate) tokens_in: Option<u64>,
    /// Tokens a model gave back.
    pub(crate) tokens_out: Option<u64>,
    /// The run's result, where the step named one, as text.
    pub(crate) result: Option<String>,
    /// The run's `outputRef`, where the step named one.
    pub(crate) output_ref: Option<String>,
    /// The first artifact that was kept.
    pub(crate) first_artifact: Option<ArtifactName>,
    /// When its last process was gone.
    pub(crate) gone_at: Option<Timestamp>,
    /// Why it did not complete; none when it did.
    pub(crate) failure: Option<StepFailure>,
}

impl StepOutcome {
    /// A step that did nothing.
    pub(crate) fn failed(failure: StepFailure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// Why a step did not complete.
#[derive(Debug)]
pub(crate) struct StepFailure {
    /// The run's error, masked.
    pub(crate) error: String,
    pub(crate) retryable: bool,
    pub(crate) scope: FailureScope,
}

/// What a failure ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureScope {
    /// The step; with `continue_on_error` the attempt goes on.
    Step,
    /// The attempt: its time is up.
    Attempt,
    /// The attempt, which was stopped from outside.
    Stopped,
}

/// A step as it is recorded.
pub(crate) fn report(step: &StepDeclaration, status: StepStatus, output: Option<String>) -> StepReport {
    let phase = match step.phase {
        declaration::Phase::Setup => Phase::Setup,
        declaration::Phase::Execution => Phase::Execution,
        declaration::Phase::Validation => Phase::Validation,
        declaration::Phase::Cleanup => Phase::Cleanup,
    };
    let kind = match step.action {
        StepAction::Command(_) => StepType::Command,
        StepAction::AiAction(_) => StepType::AiAction,
        StepAction::Gate(_) => StepType::Gate,
        StepAction::Artifact(_) => StepType::Artifact,
    };
    let (ordinal, name) = (step.ordinal, step.name.clone());
    StepReport { ordinal, name, phase, kind, status, output, tokens_in: None, tokens_out: None }
}
