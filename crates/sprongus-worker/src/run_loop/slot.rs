//! The slots of a worker: each takes the next waiting run when it has ended one, without asking the loop first, so short
//! runs follow one another as fast as they are claimed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sprongus_core::run::Outcome;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::values::names::Kind;
use tokio::sync::mpsc;

use crate::execution::active_run::ActiveRun;
use crate::execution::{Execute, Executed, FollowUp, Tools, Work, execute};
use crate::process::StopReason;
use crate::run_loop::LoopEvent;

/// After so many runs that never waited for anything a slot lets others have its thread.
const IN_A_ROW: usize = 64;

pub(crate) type Waiting = VecDeque<(ClaimedView, Arc<ActiveRun>)>;

/// What slots and loop share.
pub(crate) struct Slots {
    pub(crate) tools: Arc<Tools>,
    kinds: HashMap<Kind, Arc<dyn Execute>>,
    waiting: Mutex<Waiting>,
    events: mpsc::UnboundedSender<LoopEvent>,
}

impl Slots {
    pub(crate) fn new(
        tools: Tools,
        kinds: HashMap<Kind, Arc<dyn Execute>>,
        events: mpsc::UnboundedSender<LoopEvent>,
    ) -> Arc<Self> {
        Arc::new(Self { tools: Arc::new(tools), kinds, waiting: Mutex::default(), events })
    }

    /// The runs that were claimed and are not begun. Not to be kept over an await.
    pub(crate) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes until nothing waits any more.
    pub(crate) async fn work(self: Arc<Self>) {
        for row in 1_usize.. {
            let next = self.waiting().pop_front();
            let Some((claimed, active)) = next else { break };
            // The loop has let go of it already.
            if active.stopped() == Some(StopReason::LeaseLost) {
                continue;
            }
            let over = match self.kinds.get(&active.kind) {
                Some(executor) => {
                    let ClaimedView { run, resume, traceparent, .. } = claimed;
                    let work = Work { run, active, tools: Arc::clone(&self.tools), resume, traceparent };
                    execute(Arc::clone(executor), work).await
                }
                None => Executed {
                    active,
                    took: None,
                    follow_up: FollowUp::Report(Outcome::Release),
                    executed: false,
                },
            };
            let _ = self.events.send(LoopEvent::Executed(over));
            if row.is_multiple_of(IN_A_ROW) {
                tokio::task::yield_now().await;
            }
        }
        let _ = self.events.send(LoopEvent::Free);
    }
}
