//! Looking back over what happened in a workspace, newest first: who did what, whatever the run.
//!
//! The order is that of the stream ([`crate::run::stream`]), read backwards. Nothing is indexed by who did it, for such an index would
//! cost at each write what is asked for now and then; so a look walks over a bounded stretch of events, and says how far it came.

use std::num::NonZeroU32;

use crate::run::event::{Event, EventType};
use crate::run::stream::StreamPosition;
use crate::values::names::Kind;

/// Events that one look walks over at most, found or not: few enough that no look holds up a database.
pub const WALKED: u32 = 5_000;

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What they tell; empty for whatever they tell.
    pub types: Vec<EventType>,
    /// Who did it, to the letter.
    pub actor: Option<String>,
}

impl AuditFilter {
    /// Whether it is looked for.
    pub fn admits(&self, event: &Event) -> bool {
        (self.types.is_empty() || self.types.contains(&event.kind))
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor)
    }
}

/// An event with its place, and what its run does.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// Its place in the stream.
    pub position: StreamPosition,
    /// The kind of its run.
    pub kind: Kind,
    /// What happened, with its payload.
    pub event: Event,
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditPage {
    /// The events, newest first.
    pub found: Vec<Audited>,
    /// Where to look on from; absent when everything before was walked over.
    pub further: Option<StreamPosition>,
}

impl AuditPage {
    /// What one that walked over `limit + 1` finds at most amounts to. `walked_to` is where the walk broke off by its own limit.
    pub fn new(mut found: Vec<Audited>, limit: NonZeroU32, walked_to: Option<StreamPosition>) -> Self {
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let is_cut = found.len() > limit;
        found.truncate(limit);
        let further = if is_cut { found.last().map(|last| last.position) } else { walked_to };
        Self { found, further }
    }
}
