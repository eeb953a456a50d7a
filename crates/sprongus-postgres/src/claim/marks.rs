//! Where the queue begins. While somebody holds an old snapshot, the places of runs long claimed stay in the queue's index, and a
//! claim from the very beginning walks over all of them. So a claimer that was slow remembers the last place it took and begins
//! there, and looks at the whole queue again once a second: what came in before the mark (a release, a higher priority) waits so
//! long at most, and nothing waits when the queue behind the mark is empty.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::names::WorkspaceId;
use sprongus_core::run::{ClaimRequest, Outcome};
use sprongus_core::runs::Caller;
use sprongus_core::store::DrawnReport;
use sprongus_core::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::values::Time;

/// How long a mark is trusted without a look at the whole queue.
const TRUSTED: Duration = Duration::from_secs(1);

/// A claim that takes so many times what the quickest of its size took, and longer than this, has met what should not be there.
const SLOW: (f64, Duration) = (2.0, Duration::from_millis(1));

/// What a claim costs beside its runs, in runs.
const OVERHEAD: usize = 10;

/// How soon a quick claim is forgotten: machines get busy, too.
const FORGOTTEN: f64 = 1.0001;

/// What came in late, within this of the mark, is still found.
const SLACK: Duration = Duration::from_millis(200);

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub rank: i16,
    pub due: Time,
    pub id: Uuid,
}

impl Mark {
    /// Before everything.
    pub fn lowest() -> Self {
        Self { rank: -1, due: Time(Timestamp::from_millis(0)), id: Uuid::nil() }
    }

    /// Whether it leaves nothing out.
    pub fn is_lowest(&self) -> bool {
        self.rank < 0
    }
}

/// What is known of one queue.
struct Known {
    last: Mark,
    looked: Instant,
    is_slow: bool,
    /// The quickest claim's time for each of its runs, in seconds.
    quickest: f64,
}

/// The marks of one store.
#[derive(Default)]
pub struct Marks(Mutex<HashMap<(WorkspaceId, String), Known>>);

impl Marks {
    /// Where to begin.
    pub fn before(&self, caller: &Caller, request: &ClaimRequest) -> Mark {
        let Some(key) = key(caller, request) else { return Mark::lowest() };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(&key) {
            Some(known) if known.is_slow && known.looked.elapsed() < TRUSTED => {
                Mark { due: Time(known.last.due.0.minus(SLACK)), id: Uuid::nil(), ..known.last }
            }
            Some(known) => {
                known.looked = Instant::now();
                Mark::lowest()
            }
            None => Mark::lowest(),
        }
    }

    /// How long a claim took. Slowness is believed for as long as a mark is.
    pub fn took(&self, caller: &Caller, request: &ClaimRequest, taken: Duration, runs: usize) {
        let Some(key) = key(caller, request) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&key) {
            #[expect(clippy::cast_precision_loss, reason = "a claim is of a thousand runs at most")]
            let each = taken.as_secs_f64() / (OVERHEAD + runs) as f64;
            let was_whole = known.looked.elapsed() <= taken;
            if was_whole {
                known.is_slow = each > SLOW.0 * known.quickest && taken > SLOW.1;
            }
            known.quickest = each.min(known.quickest * FORGOTTEN);
        }
    }

    /// The last place taken.
    pub fn learn(&self, caller: &Caller, request: &ClaimRequest, last: Option<Mark>) {
        let (Some(key), Some(last)) = (key(caller, request), last) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Known { last, looked: Instant::now(), is_slow: false, quickest: f64::INFINITY };
        known.entry(key).and_modify(|known| known.last = last).or_insert(fresh);
    }

    /// Reports that put runs back where they stood.
    pub fn forget_released(&self, caller: &Caller, reports: &[DrawnReport]) {
        if reports.iter().any(|report| !matches!(report.report.outcome, Outcome::Succeed { .. })) {
            self.forget(caller);
        }
    }

    /// Something may stand before a mark.
    pub fn forget(&self, caller: &Caller) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(workspace, _), _| *workspace != caller.workspace);
    }
}

/// A claim of one kind by somebody who may touch all of it has a mark.
fn key(caller: &Caller, request: &ClaimRequest) -> Option<(WorkspaceId, String)> {
    match request.kinds.as_deref() {
        Some([kind]) if caller.projects.is_none() => {
            Some((caller.workspace.clone(), kind.as_str().to_owned()))
        }
        Some(_) | None => None,
    }
}
