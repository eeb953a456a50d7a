//! The stream of a workspace's events: the order in which they were written.

use sprongus_core::Caller;
use sprongus_core::run::stream::{StreamPosition, Streamed};

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Vec<Streamed> {
        let rows = self.rows.values().filter(|row| caller.may_touch(row.run.project_id.as_ref()));
        let placed = rows.flat_map(|row| row.places.iter().zip(&row.events));
        let mut events: Vec<Streamed> = placed
            .map(|(&pos, event)| Streamed { position: StreamPosition { tx: 0, pos }, event: event.clone() })
            .filter(|streamed| streamed.position > after)
            .collect();
        events.sort_by_key(|streamed| streamed.position);
        events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        events
    }

    pub(crate) fn stream_end(&self) -> StreamPosition {
        StreamPosition { tx: 0, pos: self.streamed }
    }
}
