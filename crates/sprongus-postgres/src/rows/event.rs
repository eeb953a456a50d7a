//! An event's row.

use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::values::ids::{RunId, StepId};
use uuid::Uuid;

use super::{RowReader, number};
use crate::error::Result;
use crate::rows::values::{JsonText, Time, TransactionId, uuid};

/// The columns of an event.
macro_rules! event_columns {
    () => {
        "run_id, step_id, seq, type, at, actor, payload"
    };
}
pub(crate) use event_columns;

/// The columns of [`event_columns`].
pub fn event(row: &mut RowReader<'_>) -> Result<Event> {
    Ok(Event {
        run_id: RunId::from_bits(row.bits()?),
        step_id: row.optional_bits()?.map(StepId::from_bits),
        seq: row.bigint()?,
        kind: row.parse()?,
        at: row.time()?,
        actor: row.value()?,
        payload: row.json()?,
    })
}

/// Events as the columns of one insert.
#[derive(Default)]
pub struct EventRows<'a> {
    pub runs: Vec<Uuid>,
    pub steps: Vec<Option<Uuid>>,
    pub seqs: Vec<i64>,
    pub types: Vec<&'static str>,
    pub times: Vec<Time>,
    pub actors: Vec<&'a str>,
    pub payloads: Vec<JsonText<'a>>,
    pub run_times: Vec<Option<Time>>,
}

impl<'a> EventRows<'a> {
    /// Adds an event of a run that was made at `created_at`.
    pub fn push(&mut self, event: &'a Event, created_at: Time) {
        self.runs.push(uuid(event.run_id.to_bits()));
        self.steps.push(event.step_id.map(|id| uuid(id.to_bits())));
        self.seqs.push(number(event.seq));
        self.types.push(event.kind.as_str());
        self.times.push(Time(event.at));
        self.actors.push(&event.actor);
        self.payloads.push(JsonText(event.payload.as_str()));
        self.run_times.push((event.kind == EventType::Succeeded).then_some(created_at));
    }
}

/// A place: the columns `tx` and `pos`.
pub fn position(row: &mut RowReader<'_>) -> Result<StreamPosition> {
    let TransactionId(tx) = row.value()?;
    Ok(StreamPosition { tx, pos: row.bigint()? })
}
