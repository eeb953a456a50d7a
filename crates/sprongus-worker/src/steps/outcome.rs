//! How one step of an attempt ended, whatever its type: what every executor of a step answers.

use tokio::time::Instant;

use crate::declaration::{Phase, StepDeclaration};
use crate::duration::format_duration;
use crate::process::{StepOutput, StopReason};
use crate::steps::attempt::Attempt;

/// How a step ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// What later steps see of it, as it is: it is masked, cut and recorded by [`Attempt`].
    pub(crate) output: Option<StepOutput>,
    /// Tokens given to a model.
    pub(crate) tokens_in: Option<u64>,
    /// Tokens a model gave back.
    pub(crate) tokens_out: Option<u64>,
    /// Why it did not complete; none when it did.
    pub(crate) trouble: Option<Trouble>,
}

/// Why a step did not complete.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The run's error, masked.
    pub(crate) error: String,
    pub(crate) retryable: bool,
    pub(crate) over: Over,
}

/// Whether a step after a failed one may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Where the declaration says that the run goes on.
    No,
    /// The whole attempt's time is up.
    OutOfTime,
    /// It was stopped from outside.
    Stopped,
}

impl Ended {
    /// A step that did nothing.
    pub(crate) fn failed(trouble: Trouble) -> Self {
        Self { trouble: Some(trouble), ..Self::default() }
    }
}

impl Attempt {
    /// A step's own failure; `why` is masked here.
    pub(crate) fn trouble(&self, step: &StepDeclaration, why: &str, retryable: bool) -> Trouble {
        let error = self.masks.text(&format!("step {:?}: {why}", step.name));
        Trouble { error, retryable, over: Over::No }
    }

    /// The failure of a step whose time was up: its own, or the whole attempt's when `deadline` has passed.
    pub(crate) fn timed_out(&self, step: &StepDeclaration, deadline: Option<Instant>) -> Trouble {
        let name = &step.name;
        let whole = deadline.is_some_and(|end| Instant::now() >= end) && step.phase != Phase::Cleanup;
        let (error, over) = match self.kind.timeout.filter(|_| whole) {
            Some(limit) => {
                (format!("timed out after {}, in step {name:?}", format_duration(limit)), Over::OutOfTime)
            }
            None => {
                let limit = step.timeout.map(|limit| format!(" after {}", format_duration(limit)));
                (format!("step {name:?} timed out{}", limit.unwrap_or_default()), Over::No)
            }
        };
        Trouble { error, retryable: true, over }
    }

    /// The end of a step that was stopped from outside.
    pub(crate) fn stopped(&self, step: &StepDeclaration, reason: StopReason) -> Trouble {
        let error = format!("step {:?} was stopped: {reason}", step.name);
        Trouble { error, retryable: true, over: Over::Stopped }
    }
}
