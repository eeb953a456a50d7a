//! Where the queue begins. While somebody holds an old snapshot, the places of runs long claimed stay in the queue's index, and a
//! claim from the very beginning walks over all of them. So a claimer that was slow remembers the last place it took of each kind and
//! begins there, and looks at the whole queue again once a second: what came in before a cursor (a release, a higher priority) waits
//! so long at most, and nothing waits when the queue behind the cursors is empty. The same goes for timers, which are looked for from
//! where none was due a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::run::{ClaimRequest, Outcome};
use sprongus_core::runs::Caller;
use sprongus_core::store::DrawnReport;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::rows::values::Time;

/// How long a cursor is trusted without a look at the whole queue.
const TRUSTED: Duration = Duration::from_secs(1);

/// A claim that takes so many times what the quickest of its size took, and longer than this, has met what should not be there.
const SLOW: (f64, Duration) = (2.0, Duration::from_millis(1));

/// What a claim costs beside its runs, in runs.
const OVERHEAD: usize = 10;

/// How soon a quick claim is forgotten: machines get busy, too.
const FORGOTTEN: f64 = 1.0001;

/// What came in late, within this of the cursor, is still found.
const SLACK: Duration = Duration::from_millis(200);

/// Of how many claimers something is kept: who asks may name any kinds.
const MOST: usize = 1_000;

/// A place in the queue of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub rank: i16,
    pub due: Time,
    pub id: Uuid,
}

impl Cursor {
    /// Before everything.
    fn lowest() -> Self {
        Self { rank: -1, due: Time(Timestamp::from_millis(0)), id: Uuid::nil() }
    }

    /// Before what may have come in late.
    fn slackened(&self) -> Self {
        Self { due: Time(self.due.0.minus(SLACK)), id: Uuid::nil(), rank: self.rank }
    }
}

/// Where a claim begins: in the queue of each kind it serves, and among the timers.
pub struct Start {
    kinds: Vec<Cursor>,
    pub timers: Time,
}

impl Start {
    /// At the very beginning.
    pub fn lowest(request: &ClaimRequest) -> Self {
        let kinds = vec![Cursor::lowest(); crate::runs::claim::kinds(request).len()];
        Self { kinds, timers: Cursor::lowest().due }
    }

    /// Whether it leaves nothing out.
    pub fn is_whole(&self) -> bool {
        self.kinds.iter().all(|cursor| cursor.rank < 0) && self.timers == Cursor::lowest().due
    }

    /// The cursors of the kinds as a statement takes them.
    pub fn columns(&self) -> (Vec<i16>, Vec<Time>, Vec<Uuid>) {
        let (mut ranks, mut dues, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for cursor in &self.kinds {
            ranks.push(cursor.rank);
            dues.push(cursor.due);
            ids.push(cursor.id);
        }
        (ranks, dues, ids)
    }
}

/// What is known of the queue of the kinds that a claimer serves.
struct QueueState {
    /// The last place taken of each kind.
    last: HashMap<String, Cursor>,
    /// When no timer was due before.
    timers: Option<Timestamp>,
    looked: Instant,
    is_slow: bool,
    /// The quickest claim's time for each of its runs, in seconds.
    quickest: f64,
}

/// Who claims: the workspace, and the kinds served.
type Claimer = (WorkspaceId, Vec<String>);

/// The cursors of one store.
#[derive(Default)]
pub struct Cursors(Mutex<HashMap<Claimer, QueueState>>);

impl Cursors {
    /// Where to begin; of every kind there is, at the beginning.
    pub fn start_for(&self, caller: &Caller, request: &ClaimRequest) -> Start {
        let Some(claimer) = claimer(caller, request) else { return Start::lowest(request) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(&claimer) {
            Some(known) if known.is_slow && known.looked.elapsed() < TRUSTED => {
                let cursor =
                    |kind: &String| known.last.get(kind).map_or_else(Cursor::lowest, Cursor::slackened);
                let timers = known.timers.map_or(Cursor::lowest().due, |at| Time(at.minus(SLACK)));
                Start { kinds: claimer.1.iter().map(cursor).collect(), timers }
            }
            known => {
                known.into_iter().for_each(|known| known.looked = Instant::now());
                Start::lowest(request)
            }
        }
    }

    /// The beginning, for a look at everything.
    pub fn rewind(&self, caller: &Caller, request: &ClaimRequest) -> Start {
        if let Some(claimer) = claimer(caller, request)
            && let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&claimer)
        {
            known.looked = Instant::now();
        }
        Start::lowest(request)
    }

    /// A claim has seen that no timer was due.
    pub fn no_timer_before(&self, caller: &Caller, request: &ClaimRequest, now: Timestamp) {
        if let Some(claimer) = claimer(caller, request)
            && let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&claimer)
        {
            known.timers = Some(now);
        }
    }

    /// How long a claim took. Slowness is believed for as long as a cursor is.
    pub fn observe(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        from: &Start,
        taken: Duration,
        runs: usize,
    ) {
        let Some(claimer) = claimer(caller, request) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&claimer) {
            #[expect(clippy::cast_precision_loss, reason = "a claim is of a thousand runs at most")]
            let each = taken.as_secs_f64() / (OVERHEAD + runs) as f64;
            if from.is_whole() {
                known.is_slow = each > SLOW.0 * known.quickest && taken > SLOW.1;
            }
            known.quickest = each.min(known.quickest * FORGOTTEN);
        }
    }

    /// The last places taken, kind by kind.
    pub fn advance(&self, caller: &Caller, request: &ClaimRequest, taken: Vec<(String, Cursor)>) {
        let Some(claimer) = claimer(caller, request).filter(|_| !taken.is_empty()) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&claimer) {
            known.clear();
        }
        let fresh = || QueueState {
            last: HashMap::new(),
            timers: None,
            looked: Instant::now(),
            is_slow: false,
            quickest: f64::INFINITY,
        };
        known.entry(claimer).or_insert_with(fresh).last.extend(taken);
    }

    /// Reports that put runs back where they stood.
    pub fn reset_after(&self, caller: &Caller, reports: &[DrawnReport]) {
        if reports.iter().any(|report| !matches!(report.report.outcome, Outcome::Succeed { .. })) {
            self.reset(caller);
        }
    }

    /// Something may stand before a cursor.
    pub fn reset(&self, caller: &Caller) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(workspace, _), _| *workspace != caller.workspace);
    }
}

/// A claim of named kinds by somebody who may touch all of them has cursors.
fn claimer(caller: &Caller, request: &ClaimRequest) -> Option<Claimer> {
    let kinds = crate::runs::claim::kinds(request);
    let has_cursors = caller.projects.is_none() && !kinds.is_empty();
    has_cursors.then(|| (caller.workspace.clone(), kinds.into_iter().map(str::to_owned).collect()))
}
