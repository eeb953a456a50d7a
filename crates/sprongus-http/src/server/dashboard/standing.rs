//! Where a run stands, in words: what an operator wants to know first.

use sprongus_core::directory::{KindSetting, Worker};
use sprongus_core::run::Run;
use sprongus_core::state::State;
use sprongus_core::time::Timestamp;

use super::when::When;

/// Where a run stands, in a word for people.
pub fn label(run: &Run, now: Timestamp) -> &'static str {
    match run.state {
        State::Queued if run.waiting_for().is_some() => "waiting",
        State::Queued if run.run_at > now && run.error.is_some() => "backing off",
        State::Queued if run.run_at > now => "delayed",
        State::Queued => "queued",
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Canceled => "canceled",
    }
}

/// Why a run stands where it stands.
pub struct Why {
    /// The reason, which goes on into the time.
    pub text: &'static str,
    /// Since when, or when it ends.
    pub since: When,
    /// Whether somebody should do something.
    pub is_amiss: bool,
}

/// Whether a retry is of use.
pub fn is_to_be_retried(state: State) -> bool {
    match state {
        State::Failed | State::Canceled => true,
        State::Queued | State::Running | State::Succeeded => false,
    }
}

/// What an operator wants to know first: why it stands there, and since when.
pub fn why(run: &Run, workers: &[Worker], kinds: &[KindSetting], now: Timestamp) -> Why {
    let since = |text, at: Timestamp, is_amiss| Why { text, since: When::new(at, now), is_amiss };
    let ended = run.finished_at.unwrap_or(run.updated_at);
    match run.state {
        State::Queued if run.waiting_for().is_some() => {
            since("It waits for somebody to answer at a gate; it got there", run.updated_at, true)
        }
        State::Queued if run.run_at > now && run.error.is_some() => {
            since("Its last attempt failed; the next is due", run.run_at, false)
        }
        State::Queued if run.run_at > now => since("It was delayed; it is due", run.run_at, false),
        State::Queued if let Some(paused) = kinds.iter().find(|it| it.kind == run.kind && it.paused) => {
            match paused.changed_at {
                Some(at) => since("Its kind is paused; that was done", at, true),
                None => since("Its kind is paused; it fell due", run.run_at, true),
            }
        }
        State::Queued if !workers.iter().any(|worker| worker.serves(&run.kind)) => {
            since("No worker that lives takes its kind; it fell due", run.run_at, true)
        }
        State::Queued => since("It waits for a worker to be free; it fell due", run.run_at, false),
        State::Running => {
            let is_heard =
                run.claimed_by.as_ref().is_some_and(|by| workers.iter().any(|worker| worker.id == *by));
            let began = run.claimed_at.unwrap_or(run.updated_at);
            match run.lease_expires_at.filter(|_| !is_heard) {
                Some(end) if end > now => {
                    since("Its worker was not heard of lately; its lease ends", end, true)
                }
                Some(end) => since("Its worker is gone; its lease ran out", end, true),
                None => since("Its worker took it", began, false),
            }
        }
        State::Succeeded => since("It succeeded", ended, false),
        State::Failed => since("It was given up", ended, true),
        State::Canceled => since("It was called off", ended, false),
    }
}
