//! An event: one immutable line of a run's history.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::json::Json;
use crate::values::ids::{EventId, RunId, StepId};
use crate::values::time::Timestamp;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What an event tells. The first five are the design document's domain events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType { $($(#[$doc])* $variant),+ }

        impl EventType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The type's name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

event_types! {
    /// The run was made.
    Enqueued = "run.enqueued",
    /// A worker took it.
    Started = "run.started",
    /// It has a result.
    Succeeded = "run.succeeded",
    /// It was given up.
    Failed = "run.failed",
    /// It was called off.
    Canceled = "run.canceled",
    /// An attempt failed; another follows.
    RetryScheduled = "run.retry_scheduled",
    /// A worker gave it back.
    Released = "run.released",
    /// Its worker was not heard of in time.
    LeaseLost = "run.lease_lost",
    /// A person wanted it again.
    Retried = "run.retried",
    /// It waits at a gate.
    Waiting = "run.waiting",
    /// A person let it pass.
    Approved = "run.approved",
    /// A person did not.
    Rejected = "run.rejected",
    /// It told how far it is.
    Progressed = "run.progressed",
    /// Its CLEANUP is done and its process gone.
    Cleaned = "run.cleaned",
    /// A step began.
    StepStarted = "step.started",
    /// A step ended well.
    StepCompleted = "step.completed",
    /// A step did not.
    StepFailed = "step.failed",
    /// A step was passed over.
    StepSkipped = "step.skipped",
}

impl fmt::Display for EventType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Error::validation("not an event type"))
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

/// One immutable line of a run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The run in whose history it stands.
    pub run_id: RunId,
    /// The step it belongs to, if any.
    pub step_id: Option<StepId>,
    /// Its place in the run's history: 1, 2, 3, without a gap.
    pub seq: u64,
    /// What happened; decides what the payload holds.
    pub kind: EventType,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who did it: a token's name, a worker's user, or `system`.
    pub actor: String,
    /// The particulars.
    pub payload: Json,
}

impl Event {
    /// Its id, derived from the run and the place.
    pub fn id(&self) -> EventId {
        EventId::of(self.run_id, self.seq)
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut event = out.serialize_struct("Event", 8)?;
        event.serialize_field("id", &self.id())?;
        event.serialize_field("runId", &self.run_id)?;
        event.serialize_field("stepId", &self.step_id)?;
        event.serialize_field("seq", &self.seq)?;
        event.serialize_field("type", &self.kind)?;
        event.serialize_field("at", &self.at)?;
        event.serialize_field("actor", &self.actor)?;
        event.serialize_field("payload", &self.payload)?;
        event.end()
    }
}
