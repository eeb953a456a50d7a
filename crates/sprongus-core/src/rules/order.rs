//! In which order runs are claimed: by priority, then by due time, then by id.

use crate::run::Run;
use crate::values::ids::RunId;
use crate::values::time::Timestamp;

/// Where a claimable run stands among those of its workspace: the lower, the sooner. Both stores keep this key, in these parts and
/// this order, so that a claim is one walk along an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The rank of its priority.
    pub rank: u8,
    /// Not claimed before this.
    pub run_at: Timestamp,
    /// Its id: of two alike, the one made first.
    pub id: RunId,
}

impl Order {
    /// The place of `run`.
    pub fn of(run: &Run) -> Self {
        Self { rank: rank(run.priority), run_at: run.run_at, id: run.id }
    }
}

/// The rank of a priority of 0 to 100: 100 to 0, the lower the sooner.
pub const fn rank(priority: u8) -> u8 {
    100_u8.saturating_sub(priority)
}
