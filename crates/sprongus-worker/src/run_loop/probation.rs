//! Runs on probation: one more lost lease, and they are given up.
//!
//! A run that kills its workers takes along whatever else they hold. Its neighbours lose an attempt by that, but they must
//! not be given up for it. So a worker never holds two runs on probation at once, and while it executes one it claims nothing,
//! for that might be another; until it has ended, or has done no harm for [`LONG_ENOUGH`].

use std::time::Duration;

use sprongus_core::rules::MAX_CRASHES;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::values::ids::RunId;
use tokio::time::Instant;

use crate::run_loop::lease::Leases;

/// After so long a run on probation is trusted: what stalls the worker's claims must end.
const LONG_ENOUGH: Duration = Duration::from_secs(30);

/// Whether the run is on probation. A CLEANUP is nobody's last chance: it changes no state.
pub(crate) fn is_on_probation(claimed: &ClaimedView) -> bool {
    !claimed.cleanup && claimed.run.crashes + 1 >= MAX_CRASHES
}

/// The one this worker executes, and whether more of them are about.
#[derive(Debug, Default)]
pub(crate) struct Probation {
    present: Option<(RunId, u64, Instant)>,
    one_by_one: bool,
}

impl Probation {
    /// How many to claim, of as many as there is room for.
    pub(crate) fn room(&mut self, room: usize, leases: &mut Leases, now: Instant) -> usize {
        self.present = self.present.take().filter(|&(id, epoch, since)| {
            now.saturating_duration_since(since) < LONG_ENOUGH && leases.get(id, epoch).is_some()
        });
        match self.present {
            Some(_) => 0,
            None if self.one_by_one => room.min(1),
            None => room,
        }
    }

    /// Whether those of a claim that are on probation may stay. When they are several, none of them is begun, so that none is
    /// lost with another before it has gone back; they are then claimed one by one.
    pub(crate) fn may_stay(&mut self, claimed: &[ClaimedView], now: Instant) -> bool {
        let mut ours = claimed.iter().filter(|claimed| is_on_probation(claimed));
        let (first, second) = (ours.next(), ours.next());
        self.one_by_one = second.is_some() || (first.is_some() && self.one_by_one);
        if second.is_some() {
            return false;
        }
        self.present = first.map(|first| (first.run.id, first.lease.epoch, now));
        true
    }
}
