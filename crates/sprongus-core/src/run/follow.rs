//! Following a run: what has been added to its history and its log since one last looked.

use serde::Serialize;

use crate::run::Run;
use crate::run::event::Event;
use crate::run::step::NumberedLine;

/// How far one has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSoFar {
    /// The `seq` of the last event seen; 0 before the first.
    pub events: u64,
    /// The `seq` of the last log line seen; 0 before the first.
    pub lines: u64,
}

/// What is new of a run, as a store tells it. At most [`MAX_NEWS`] events and as many lines at once.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The run as it stands.
    pub run: Run,
    /// Events after those seen.
    pub events: Vec<Event>,
    /// Log lines after those seen.
    pub lines: Vec<NumberedLine>,
    /// How far one has read with these.
    pub read: ReadSoFar,
}

/// The most events, and the most lines, in one answer.
pub const MAX_NEWS: u32 = 1_000;
