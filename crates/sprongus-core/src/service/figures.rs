//! The figures by the minute and in all, made anew from the events.

use std::time::Duration;

use super::RunsService;
use crate::error::Result;
use crate::run::stream::StreamPosition;
use crate::workspace::caller::Caller;

/// Events added in one transaction.
const EVENTS: u32 = 1_000;

/// Events looked through in one read.
const PAGE: u32 = 100;

/// How long another process is left to finish the page it is at.
const PAUSE: Duration = Duration::from_millis(50);

impl RunsService {
    /// Makes the figures over time of the caller's workspace anew, from all of its events that are there. What runs added that retention
    /// has taken since is gone then, for their events are. Meanwhile the figures are incomplete; servers may go on adding to them, and
    /// two may do this at once: each event counts once.
    ///
    /// # Errors
    /// `forbidden` to a caller who is narrowed to projects; as a store's.
    pub async fn rebuild_figures(&self, caller: &Caller) -> Result<()> {
        let store = self.store();
        store.forget_figures(caller).await?;
        loop {
            let seen = store.generation();
            if store.roll_up(caller, EVENTS).await? > 0 {
                continue;
            }
            // Nothing was added: that was the end, or somebody else is at the next page.
            let read_to = store.rolled_up_to(caller).await?;
            if !self.has_run_events_behind(caller, read_to).await? {
                return Ok(());
            }
            store.changed(seen, PAUSE).await;
        }
    }

    /// Figures are of runs: the workspace's own events are not added up.
    async fn has_run_events_behind(&self, caller: &Caller, mut position: StreamPosition) -> Result<bool> {
        loop {
            let page = self.store().stream(caller, position, PAGE).await?;
            let Some(last) = page.last() else { return Ok(false) };
            if page.iter().any(|streamed| streamed.run_event().is_some()) {
                return Ok(true);
            }
            position = last.position;
        }
    }
}
