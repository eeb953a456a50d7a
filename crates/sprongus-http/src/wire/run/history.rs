//! What belongs to a run, as it is read back: events, log lines, and what is new of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sprongus_core::Error;
use sprongus_core::json::Json;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::step::{LogLine, NumberedLine, Stream};
use sprongus_core::run::view::NewsView;
use sprongus_core::values::ids::{EventId, RunId, StepId};
use sprongus_core::values::time::Timestamp;

use super::RunBody;
#[cfg(feature = "server")]
use crate::wire::words::StreamName;

/// One immutable event of a run's history.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunEvent))]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    /// Its name.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: EventId,
    /// The run it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub run_id: RunId,
    /// The step it belongs to, if any.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub step_id: Option<StepId>,
    /// Position in the run's history: 1, 2, 3, without gaps.
    pub seq: u64,
    /// Such as `run.started`; new types may be added.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(example = "run.started"))]
    pub kind: String,
    /// When it happened, by the database's clock.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who did it: the name of a user or a token, the id of a worker, or `system`.
    pub actor: String,
    /// Details, depending on the type.
    pub payload: Value,
}

impl EventBody {
    /// As the core has it.
    ///
    /// # Errors
    /// `validation`: a type that this program does not know.
    pub fn into_event(self) -> Result<Event, Error> {
        Ok(Event {
            run_id: self.run_id,
            step_id: self.step_id,
            seq: self.seq,
            kind: self.kind.parse()?,
            at: self.at,
            actor: self.actor,
            payload: Json::from_value(self.payload),
        })
    }
}

/// One line of a run's log.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = LogLine))]
#[serde(rename_all = "camelCase")]
pub struct LineBody {
    /// Position in the run's log: 1, 2, 3, without gaps, over all attempts.
    pub seq: u64,
    /// The attempt that printed it.
    pub attempt: u32,
    /// `stdout`, `stderr`, or `system` for lines of the worker itself.
    #[cfg_attr(feature = "server", schema(value_type = StreamName))]
    pub stream: Stream,
    /// When the worker read it.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The step that printed it.
    pub step: Option<String>,
    /// The line, without its newline.
    pub text: String,
}

impl LineBody {
    /// As the core has it.
    pub fn into_line(self) -> NumberedLine {
        let line = LogLine { stream: self.stream, at: self.at, step: self.step, text: self.text };
        NumberedLine { seq: self.seq, attempt: self.attempt, line }
    }
}

/// News of a run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = News))]
#[serde(rename_all = "camelCase")]
pub struct NewsBody {
    /// The current run.
    pub run: RunBody,
    /// Events after those already seen.
    pub events: Vec<EventBody>,
    /// Log lines after those already seen.
    pub lines: Vec<LineBody>,
    /// Position after these, for the next request.
    pub read: ReadBody,
}

/// A position in a run's events and log.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ReadSoFar))]
pub struct ReadBody {
    /// The `seq` of the last event seen; 0 before the first.
    pub events: u64,
    /// The `seq` of the last log line seen; 0 before the first.
    pub lines: u64,
}

impl NewsBody {
    /// As the core has it.
    ///
    /// # Errors
    /// As [`EventBody::into_event`].
    pub fn into_news(self) -> Result<NewsView, Error> {
        Ok(NewsView {
            run: self.run.into_view(),
            events: self.events.into_iter().map(EventBody::into_event).collect::<Result<_, _>>()?,
            lines: self.lines.into_iter().map(LineBody::into_line).collect(),
            read: ReadSoFar { events: self.read.events, lines: self.read.lines },
        })
    }
}
