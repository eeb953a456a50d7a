//! Where a run stands, in words: what an operator wants to know first.

use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::run::waiting::Waiting;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Worker;

use super::format::When;

/// What a queued run waits for, as a list tells it.
pub struct Waits {
    /// What it waits for, such as `approval of review`.
    pub text: String,
    /// What the time is of: `since`, `due`, `expires` or `paused`.
    pub label: &'static str,
    pub time: When,
    /// Whether it waits until somebody does something.
    pub is_amiss: bool,
}

/// What `run` waits for, if it was looked up.
pub fn waits(run: &RunView, now: Timestamp) -> Option<Waits> {
    let words = run.waiting.as_ref().map(Waiting::words)?;
    let time = When::new(words.time, now);
    Some(Waits { text: words.text, label: words.label, time, is_amiss: words.is_amiss })
}

/// Why a run stands where it stands.
pub struct Why {
    /// The reason, which goes on into the time.
    pub text: String,
    /// Since when, or when it ends.
    pub since: When,
    /// What goes behind the time.
    pub more: &'static str,
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
pub fn why(run: &RunView, workers: &[Worker], now: Timestamp) -> Why {
    let since = |text: &str, at: Timestamp, is_amiss| Why {
        text: text.to_owned(),
        since: When::new(at, now),
        more: "",
        is_amiss,
    };
    let ended = run.finished_at.unwrap_or(run.updated_at);
    match run.state {
        State::Queued => match waits(run, now) {
            Some(waits) => Why {
                text: format!("Waiting for {}, {}", waits.text, waits.label),
                since: waits.time,
                more: "",
                is_amiss: waits.is_amiss,
            },
            None => since("Due", run.due_at.unwrap_or(run.run_at), false),
        },
        State::Running => {
            let is_heard =
                run.claimed_by.as_ref().is_some_and(|by| workers.iter().any(|worker| worker.id == *by));
            let began = run.claimed_at.unwrap_or(run.updated_at);
            match run.lease_expires_at.filter(|_| !is_heard) {
                Some(end) if end > now => since("Its worker is not responding; its lease expires", end, true),
                Some(end) => since("Its worker is gone; its lease expired", end, true),
                None => since("Started", began, false),
            }
        }
        State::Succeeded => since("Succeeded", ended, false),
        State::Failed => {
            let more = if run.attempt >= run.max_attempts { ": no attempts left" } else { "" };
            Why { more, ..since("Failed", ended, true) }
        }
        State::Canceled => since("Canceled", ended, false),
    }
}
