//! The stream of a workspace's events: the order in which they were written.

use sprongus_core::Caller;
use sprongus_core::run::event::Event;
use sprongus_core::run::stream::{StreamPosition, Streamed, StreamedEvent, merge};

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Vec<Streamed> {
        let of_runs = self.run_events(caller, after, limit).into_iter();
        let of_runs =
            of_runs.map(|(position, event)| Streamed { position, event: StreamedEvent::Run(event) });
        let own = self.streamed_acts.iter().filter(|_| caller.projects.is_none());
        let own = own.map(|(&pos, event)| Streamed {
            position: StreamPosition { tx: 0, pos },
            event: StreamedEvent::Workspace(Box::new(event.clone())),
        });
        merge(of_runs.collect(), own.filter(|streamed| streamed.position > after).collect(), limit)
    }

    pub(crate) fn run_events(
        &self,
        caller: &Caller,
        after: StreamPosition,
        limit: u32,
    ) -> Vec<(StreamPosition, Event)> {
        let rows = self.rows.values().filter(|row| caller.may_touch(row.run.project_id.as_ref()));
        let placed = rows.flat_map(|row| row.places.iter().zip(&row.events));
        let mut events: Vec<(StreamPosition, Event)> = placed
            .map(|(&pos, event)| (StreamPosition { tx: 0, pos }, event.clone()))
            .filter(|(position, _)| *position > after)
            .collect();
        events.sort_by_key(|(position, _)| *position);
        events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        events
    }

    pub(crate) fn stream_end(&self) -> StreamPosition {
        StreamPosition { tx: 0, pos: self.streamed }
    }
}
