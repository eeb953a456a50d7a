//! The leases of all runs held: when each was last renewed, which are due for a heartbeat, which are given up.
//!
//! A lease is measured on the monotonic clock from before its request was sent, so this side always thinks it shorter
//! than the store does. At 80 % of it without a renewal the run's process is stopped and the run dropped without a
//! report: the store may give it to somebody else soon, and two must not work on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::rules::enqueue::MAX_BATCH;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::run::{Beat, Hold};
use sprongus_core::runs::Runs;
use sprongus_core::values::ids::RunId;
use tokio::time::{Instant, timeout};

use crate::execution::active_run::ActiveRun;
use crate::process::StopReason;

/// Which part of a lease may pass without a renewal before the run is given up.
const FENCE: f64 = 0.8;

/// Runs held that are beaten for every second, so that a cancel is heard of within one. With more of them the pace
/// slows, so that listening for cancels never costs the store more than this many rows a second.
const BEATS_A_SECOND: usize = 100;

/// What this worker still has to do about a run it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// Waiting for a slot, or in one.
    Open,
    /// Ended here; its report is on the way.
    Reporting,
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) active: Arc<ActiveRun>,
    pub(crate) state: LeaseState,
    renewed: Instant,
    length: Duration,
}

/// A heartbeat's answer for one run, with when it was asked.
pub(crate) type BeatAnswer = (Hold, Result<Beat>);

/// All runs held.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    all: HashMap<RunId, Lease>,
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes a claimed run; `asked` is when the claim was first sent.
    pub(crate) fn take(&mut self, claimed: &ClaimedView, asked: Instant) -> Arc<ActiveRun> {
        let active = Arc::new(ActiveRun::of(claimed));
        let length = Duration::from_millis(claimed.lease.lease_ms);
        let lease = Lease { active: Arc::clone(&active), state: LeaseState::Open, renewed: asked, length };
        // The run came back to us under a new epoch: what we still do under the old one must end.
        if let Some(old) = self.all.insert(active.hold.id, lease) {
            old.active.stop(StopReason::LeaseLost);
        }
        active
    }

    /// The lease of exactly this claim.
    pub(crate) fn get(&mut self, id: RunId, epoch: u64) -> Option<&mut Lease> {
        self.all.get_mut(&id).filter(|lease| lease.active.hold.epoch == epoch)
    }

    /// Lets go of exactly this claim.
    pub(crate) fn let_go(&mut self, id: RunId, epoch: u64) -> Option<Arc<ActiveRun>> {
        self.get(id, epoch)?;
        self.all.remove(&id).map(|lease| lease.active)
    }

    pub(crate) fn stop_all(&self, reason: StopReason) {
        self.all.values().for_each(|lease| lease.active.stop(reason));
    }

    /// How often to beat.
    pub(crate) fn pace(&self, lease: Duration) -> Duration {
        let slowed = u32::try_from(self.all.len() / BEATS_A_SECOND).unwrap_or(u32::MAX).max(1);
        (lease / 3).min(Duration::from_secs(1).saturating_mul(slowed))
    }

    /// The holds to beat for: all but those that came or were renewed just now.
    pub(crate) fn due(&self, now: Instant, pace: Duration) -> Vec<Hold> {
        let stale = |lease: &&Lease| now.saturating_duration_since(lease.renewed) >= pace / 2;
        self.all.values().filter(stale).map(|lease| lease.active.hold.clone()).collect()
    }

    /// Takes a heartbeat's answers; `sent` is when it was asked. Says whether the worker should drain, and which claims
    /// are lost.
    pub(crate) fn renew(&mut self, sent: Instant, answers: Vec<BeatAnswer>) -> (bool, Vec<Arc<ActiveRun>>) {
        let (mut drain, mut lost) = (false, Vec::new());
        for (hold, answer) in answers {
            let Some(lease) = self.get(hold.id, hold.epoch) else { continue };
            match answer {
                Ok(beat) => {
                    lease.renewed = sent;
                    lease.length = Duration::from_millis(beat.lease_ms);
                    drain |= beat.drain;
                    if beat.cancel {
                        lease.active.stop(StopReason::Canceled);
                    }
                }
                // A report on the way, or the word that it waits at a gate, may have let go of the run already; its own answer
                // says what became of it.
                Err(error)
                    if error.code() == ErrorCode::LeaseLost
                        && lease.state != LeaseState::Reporting
                        && !lease.active.is_leaving() =>
                {
                    lease.active.stop(StopReason::LeaseLost);
                    lost.extend(self.let_go(hold.id, hold.epoch));
                }
                Err(_) => {}
            }
        }
        (drain, lost)
    }

    /// Gives up what could not be renewed in time. A report is harmless when it comes late, so what is only waiting for
    /// one to be answered is held to the end.
    pub(crate) fn fence(&mut self, now: Instant) -> Vec<Arc<ActiveRun>> {
        let given_up = |lease: &Lease| {
            let active = match lease.state {
                LeaseState::Open => lease.length.mul_f64(FENCE),
                LeaseState::Reporting => lease.length,
            };
            now.saturating_duration_since(lease.renewed) >= active
        };
        let gone: Vec<_> =
            self.all.extract_if(|_, lease| given_up(lease)).map(|(_, lease)| lease.active).collect();
        gone.iter().for_each(|active| active.stop(StopReason::LeaseLost));
        gone
    }
}

/// Beats for all of `holds`. A call that fails as a whole, or takes longer than `patience`, is a missed beat for its runs,
/// which the next one makes good or the fence ends.
pub(crate) async fn beat(runs: &dyn Runs, holds: Vec<Hold>, patience: Duration) -> Vec<BeatAnswer> {
    let mut all = Vec::with_capacity(holds.len());
    for batch in holds.chunks(MAX_BATCH) {
        let call = runs.heartbeat(batch.to_vec(), None);
        match timeout(patience, call).await {
            Ok(Ok(answers)) => all.extend(batch.iter().cloned().zip(answers)),
            Ok(Err(error)) => missed(&error),
            Err(_) => missed(&Error::new(ErrorCode::TimedOut, "no answer")),
        }
    }
    all
}

fn missed(error: &Error) {
    tracing::warn!(code = %error.code(), "a heartbeat failed; runs are released at 80 % of their lease");
}
