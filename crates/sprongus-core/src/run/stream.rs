//! The stream of a workspace's events: every event once, in an order that all readers agree on and in which nothing is ever
//! inserted behind one's back.
//!
//! Neither ids nor a counter have that order where several transactions write at once: an event with a lower number may be
//! committed later. A store whose writers are many therefore orders by transaction, and shows what no older transaction can
//! come before any more (`design.md`, "Events").

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::run::event::Event;
use crate::workspace::operator::OperatorEvent;
#[cfg(doc)]
use crate::workspace::operator::OperatorEventType;

/// A place in the stream, opaque to those who keep it: everything up to it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPosition {
    /// The writing transaction; 0 in a store with one writer.
    pub tx: u64,
    /// The place within it.
    pub pos: u64,
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}-{:x}", self.tx, self.pos)
    }
}

impl FromStr for StreamPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |digits: &str| {
            let is_plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_plain
                .then(|| u64::from_str_radix(digits, 16).ok())
                .flatten()
                .filter(|&n| i64::try_from(n).is_ok())
        };
        let read =
            text.split_once('-').and_then(|(tx, pos)| Some(Self { tx: number(tx)?, pos: number(pos)? }));
        read.ok_or_else(|| {
            Error::validation("not an event id of this stream")
                .with_hint("use the `id` of the last event received from this stream, or omit it")
        })
    }
}

/// An event with its place in the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Streamed {
    /// Where a reader goes on behind it.
    pub position: StreamPosition,
    /// The event.
    pub event: StreamedEvent,
}

/// What a stream has. As JSON it is the event itself; only that of a run has a `runId`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StreamedEvent {
    /// An event of a run of the workspace.
    Run(Event),
    /// An event of the workspace itself ([`OperatorEventType::is_streamed`]); callers who are narrowed to projects are shown none.
    Workspace(Box<OperatorEvent>),
}

impl Streamed {
    /// The event of a run; none where it is the workspace's.
    pub fn run_event(&self) -> Option<&Event> {
        match &self.event {
            StreamedEvent::Run(event) => Some(event),
            StreamedEvent::Workspace(_) => None,
        }
    }
}

/// The next `limit` events of two readings of one stream, each in its order.
pub fn merge(mut one: Vec<Streamed>, other: Vec<Streamed>, limit: u32) -> Vec<Streamed> {
    if !other.is_empty() {
        one.extend(other);
        one.sort_by_key(|streamed| streamed.position);
    }
    one.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    one
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_is_read_back(tx in 0..=u64::MAX / 2, pos in 0..=u64::MAX / 2) {
            let position = StreamPosition { tx, pos };
            prop_assert_eq!(position.to_string().parse::<StreamPosition>().unwrap(), position);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<StreamPosition>();
        }
    }

    #[test]
    fn what_a_database_cannot_hold_is_no_position() {
        for bad in
            ["", "-", "1", "1-", "-1", "+1-1", "1-+1", "8000000000000000-0", "0-8000000000000000", "1-1-1"]
        {
            assert!(bad.parse::<StreamPosition>().is_err(), "{bad}");
        }
    }
}
