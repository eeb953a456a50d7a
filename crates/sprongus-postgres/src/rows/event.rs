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

/// Events of a workspace (`$1`) in the order of the stream, or against it: those that have a row of their own, and those of batches, each
/// batch a row. The conditions are on the columns `tx` and `pos` of a single event; on `tx`, `number` (the place of its last event) and
/// `size` of a batch; and on `b.tx` and `e.pos` of one of its events. Neither reads more than `limit` rows.
macro_rules! events_in_order {
    (
        single: $single:expr, batch: $batch:expr, in_batch: $in_batch:expr, $direction:literal, limit: $limit:literal
    ) => {
        concat!(
            "SELECT * FROM (
                (SELECT ",
            $crate::rows::event_columns!(),
            ", tx, pos FROM single_events WHERE workspace_id = $1 AND ",
            $single,
            " ORDER BY tx ",
            $direction,
            ", pos ",
            $direction,
            " LIMIT ",
            $limit,
            ")
                UNION ALL
                (SELECT e.run_id, NULL::uuid, e.seq, b.type, b.at, coalesce(e.actor, b.actors[1]),
                    CASE b.type
                        WHEN 'run.started' THEN
                            jsonb_build_object('attempt', e.attempt, 'epoch', e.epoch, 'workerId', b.worker_id, 'waitMs', e.duration_ms)
                        ELSE jsonb_build_object('attempt', e.attempt, 'elapsedMs', e.duration_ms, 'outputRef', r.output_ref)
                    END,
                    b.tx, e.pos
                FROM (SELECT * FROM event_batches WHERE workspace_id = $1 AND ",
            $batch,
            " ORDER BY tx ",
            $direction,
            ", number ",
            $direction,
            // One more, for of the first all that is asked for may be gone.
            " LIMIT (",
            $limit,
            "::bigint + 1)) AS b
                CROSS JOIN LATERAL (
                    SELECT *, b.number - b.size + n AS pos
                    FROM unnest(b.run_ids, b.seqs, b.attempts, b.epochs, b.durations_ms, b.actors) WITH ORDINALITY
                        AS one (run_id, seq, attempt, epoch, duration_ms, actor, n)
                    ORDER BY n ",
            $direction,
            // Of a run that retention took a batch still has the id, which another run may have now.
            ") AS e
                CROSS JOIN LATERAL (
                    SELECT output_ref FROM runs WHERE id = e.run_id AND b.number = ANY (batches) OFFSET 0) AS r
                WHERE ",
            $in_batch,
            " LIMIT ",
            $limit,
            ")) AS events ORDER BY tx ",
            $direction,
            ", pos ",
            $direction,
            " LIMIT ",
            $limit
        )
    };
}
pub(crate) use events_in_order;

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
