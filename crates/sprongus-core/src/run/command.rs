//! What may be asked of one run, save for the hot verbs (enqueue, claim, heartbeat, finish), which come in batches.

use std::time::Duration;

use crate::error::Result;
use crate::rules::{self, Act, WriteSet};
use crate::run::step::Step;
use crate::run::{Answer, Hold, Run};
use crate::values::ids::StepId;
use crate::values::time::Timestamp;

/// A verb for one run that is not one of the hot ones, with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum RunCommand {
    /// Ends a run that has not ended; whoever holds it cleans up.
    Cancel,
    /// Queues a run that has failed or was canceled, with all its attempts again.
    Retry {
        /// Only at this epoch.
        if_epoch: Option<u64>,
    },
    /// Answer its gate.
    Answer {
        /// The step that waits.
        step_id: Option<StepId>,
        /// Whether the run may pass.
        answer: Answer,
        /// What is said with it.
        comment: Option<String>,
    },
    /// Wait at a gate.
    Wait {
        /// The hold of whoever asks.
        hold: Hold,
        /// The step that waits.
        step_id: StepId,
        /// How long at most; for ever when absent.
        timeout: Option<Duration>,
    },
    /// Tell how far it is.
    Progress {
        /// The hold of whoever asks.
        hold: Hold,
        /// Percent done, 0 to 100.
        percent: u32,
        /// A line for the history, if any.
        message: Option<String>,
    },
    /// Its CLEANUP is done.
    Cleaned {
        /// The hold of whoever asks.
        hold: Hold,
        /// When its process was gone.
        gone_at: Timestamp,
    },
}

impl RunCommand {
    /// Asks the rule. `waits_at` is the step of the run's present epoch that its gate names, where the run waits at one.
    ///
    /// # Errors
    /// The rule's refusal.
    pub fn decide(&self, run: &Run, waits_at: Option<&Step>, act: Act<'_>) -> Result<WriteSet> {
        match self {
            Self::Cancel => rules::commands::cancel::cancel(run, waits_at, act),
            Self::Retry { if_epoch } => rules::commands::retry::retry(run, *if_epoch, act),
            Self::Answer { step_id, answer, comment } => {
                rules::commands::gate::answer(run, *step_id, *answer, comment.as_deref(), waits_at, act)
            }
            Self::Wait { hold, step_id, timeout } => {
                rules::commands::gate::wait(run, hold, *step_id, *timeout, act)
            }
            Self::Progress { hold, percent, message } => {
                rules::commands::progress::progress(run, hold, *percent, message.as_deref(), act)
            }
            Self::Cleaned { hold, gone_at } => rules::commands::cleaned::cleaned(run, hold, *gone_at, act),
        }
    }
}
