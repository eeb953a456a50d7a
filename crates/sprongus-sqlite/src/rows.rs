//! Rows as the core's nouns, and back. What does not read back as one was written by something else: an error, never a guess.

use std::str::FromStr;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Row, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::event::{Event, EventType};
use sprongus_core::json::Json;
use sprongus_core::rules::schedule::{Schedule, schedule};
use sprongus_core::run::{Cleanup, Run};
use sprongus_core::step::Step;
use sprongus_core::time::Timestamp;
use sprongus_core::{Error, Result};

use crate::fault::Told;
use crate::writer::Tx;

type Read<T> = rusqlite::Result<T>;

/// A text column as anything that is read from text.
pub fn text<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> Read<T> {
    parse(column, row.get_ref(column)?.as_str()?)
}

/// The same for a column that may be empty.
pub fn optional<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    row.get_ref(column)?.as_str_or_null()?.map(|value| parse(column, value)).transpose()
}

fn parse<T: FromStr<Err = Error>>(column: usize, value: &str) -> Read<T> {
    value.parse().map_err(|error: Error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn json(row: &Row<'_>, column: usize) -> Read<Json> {
    Ok(Json::from_canonical(row.get_ref(column)?.as_str()?))
}

/// A column of JSON as a value of ours.
pub fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| serde_json::from_str(text).map_err(|error| unreadable(column, error))).transpose()
}

fn count<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Read<T> {
    let value: i64 = row.get(column)?;
    T::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A value of ours as JSON for a column.
pub fn written(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal("cannot write JSON").with_source(error))
}

/// A count as SQLite keeps it.
pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A duration in whole milliseconds, as SQLite keeps it.
pub fn millis(value: Duration) -> i64 {
    i64::try_from(value.as_millis()).unwrap_or(i64::MAX)
}

macro_rules! run_columns {
    () => {
        "id, workspace_id, project_id, agent_task_id, kind, input, state, priority, progress, attempt, max_attempts, \
         crashes, gate, run_at, expire_at, idempotency_key, fingerprint, tags, result, output_ref, error, epoch, \
         claimed_by, claimed_at, lease_ms, lease_expires_at, closing_until, cleanup, last_report, traceparent, \
         last_seq, started_at, finished_at, created_at, updated_at"
    };
}
pub(crate) use run_columns;

/// A row of [`run_columns`].
pub fn run(row: &Row<'_>) -> Read<Run> {
    let tags = match row.get_ref(17)?.as_str()? {
        "{}" => Default::default(),
        _ => parsed(row, 17)?.unwrap_or_default(),
    };
    Ok(Run {
        id: text(row, 0)?,
        workspace_id: text(row, 1)?,
        project_id: optional(row, 2)?,
        agent_task_id: optional(row, 3)?,
        kind: text(row, 4)?,
        input: json(row, 5)?,
        state: text(row, 6)?,
        priority: count(row, 7)?,
        progress: count(row, 8)?,
        attempt: count(row, 9)?,
        max_attempts: count(row, 10)?,
        crashes: count(row, 11)?,
        gate: parsed(row, 12)?,
        run_at: text(row, 13)?,
        expire_at: optional(row, 14)?,
        idempotency_key: row.get(15)?,
        fingerprint: row.get(16)?,
        tags,
        result: row.get_ref(18)?.as_str_or_null()?.map(Json::from_canonical),
        output_ref: row.get(19)?,
        error: row.get(20)?,
        epoch: count(row, 21)?,
        claimed_by: optional(row, 22)?,
        claimed_at: optional(row, 23)?,
        lease: Duration::from_millis(count(row, 24)?),
        lease_expires_at: optional(row, 25)?,
        closing_until: optional(row, 26)?,
        cleanup: cleanup(27, row.get_ref(27)?.as_str()?)?,
        last_report: row.get(28)?,
        traceparent: row.get(29)?,
        last_seq: count(row, 30)?,
        started_at: optional(row, 31)?,
        finished_at: optional(row, 32)?,
        created_at: text(row, 33)?,
        updated_at: text(row, 34)?,
    })
}

fn cleanup(column: usize, word: &str) -> Read<Cleanup> {
    match word {
        "none" => Ok(Cleanup::None),
        "owed" => Ok(Cleanup::Owed),
        "handed_out" => Ok(Cleanup::HandedOut),
        _ => Err(unreadable(column, Error::internal("not a cleanup"))),
    }
}

fn cleanup_word(cleanup: Cleanup) -> &'static str {
    match cleanup {
        Cleanup::None => "none",
        Cleanup::Owed => "owed",
        Cleanup::HandedOut => "handed_out",
    }
}

const INSERT_RUN: &str = concat!(
    "INSERT OR FAIL INTO runs (",
    run_columns!(),
    ", ready, timer_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
     ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37)"
);

/// Writes a new run.
pub fn insert_run(tx: &Tx<'_>, run: &Run) -> Result<()> {
    let mut insert = tx.connection.prepare_cached(INSERT_RUN).told()?;
    let mut row = Binder { statement: &mut insert, column: 0 };
    let tags = if run.tags.is_empty() { "{}".to_owned() } else { written(&run.tags)? };
    row.text(&run.id.to_string())?;
    row.text(run.workspace_id.as_str())?;
    row.optional(run.project_id.as_ref().map(|id| id.as_str()))?;
    row.optional(run.agent_task_id.as_ref().map(|id| id.as_str()))?;
    row.text(run.kind.as_str())?;
    row.text(run.input.as_str())?;
    row.text(run.state.as_str())?;
    row.number(i64::from(run.priority))?;
    row.number(i64::from(run.progress))?;
    row.number(i64::from(run.attempt))?;
    row.number(i64::from(run.max_attempts))?;
    row.number(i64::from(run.crashes))?;
    row.optional(run.gate.as_ref().map(written).transpose()?.as_deref())?;
    row.time(Some(run.run_at))?;
    row.time(run.expire_at)?;
    row.optional(run.idempotency_key.as_deref())?;
    row.text(&run.fingerprint)?;
    row.text(&tags)?;
    row.optional(run.result.as_ref().map(Json::as_str))?;
    row.optional(run.output_ref.as_deref())?;
    row.optional(run.error.as_deref())?;
    row.number(number(run.epoch))?;
    row.optional(run.claimed_by.as_ref().map(|id| id.as_str()))?;
    row.time(run.claimed_at)?;
    row.number(millis(run.lease))?;
    row.time(run.lease_expires_at)?;
    row.time(run.closing_until)?;
    row.text(cleanup_word(run.cleanup))?;
    row.optional(run.last_report.as_deref())?;
    row.optional(run.traceparent.as_deref())?;
    row.number(number(run.last_seq))?;
    row.time(run.started_at)?;
    row.time(run.finished_at)?;
    row.time(Some(run.created_at))?;
    row.time(Some(run.updated_at))?;
    let Schedule { ready, timer_at } = schedule(run, tx.now);
    row.number(i64::from(ready))?;
    row.time(timer_at)?;
    insert.raw_execute().told()?;
    Ok(())
}

const UPDATE_RUN: &str = "
    UPDATE runs SET state = ?2, progress = ?3, attempt = ?4, crashes = ?5, gate = ?6, run_at = ?7, expire_at = ?8,
        result = ?9, output_ref = ?10, error = ?11, epoch = ?12, claimed_by = ?13, claimed_at = ?14, lease_ms = ?15,
        lease_expires_at = ?16, closing_until = ?17, cleanup = ?18, last_report = ?19, last_seq = ?20, started_at = ?21,
        finished_at = ?22, updated_at = ?23, ready = ?24, timer_at = ?25
    WHERE id = ?1";

/// Writes a run over the one before.
pub fn update_run(tx: &Tx<'_>, run: &Run) -> Result<()> {
    let mut update = tx.connection.prepare_cached(UPDATE_RUN).told()?;
    let mut row = Binder { statement: &mut update, column: 0 };
    row.text(&run.id.to_string())?;
    row.text(run.state.as_str())?;
    row.number(i64::from(run.progress))?;
    row.number(i64::from(run.attempt))?;
    row.number(i64::from(run.crashes))?;
    row.optional(run.gate.as_ref().map(written).transpose()?.as_deref())?;
    row.time(Some(run.run_at))?;
    row.time(run.expire_at)?;
    row.optional(run.result.as_ref().map(Json::as_str))?;
    row.optional(run.output_ref.as_deref())?;
    row.optional(run.error.as_deref())?;
    row.number(number(run.epoch))?;
    row.optional(run.claimed_by.as_ref().map(|id| id.as_str()))?;
    row.time(run.claimed_at)?;
    row.number(millis(run.lease))?;
    row.time(run.lease_expires_at)?;
    row.time(run.closing_until)?;
    row.text(cleanup_word(run.cleanup))?;
    row.optional(run.last_report.as_deref())?;
    row.number(number(run.last_seq))?;
    row.time(run.started_at)?;
    row.time(run.finished_at)?;
    row.time(Some(run.updated_at))?;
    let Schedule { ready, timer_at } = schedule(run, tx.now);
    row.number(i64::from(ready))?;
    row.time(timer_at)?;
    update.raw_execute().told()?;
    Ok(())
}

/// The columns of an event.
macro_rules! event_columns {
    () => {
        "run_id, step_id, seq, type, at, actor, payload"
    };
}
pub(crate) use event_columns;

/// A row of [`event_columns`].
pub fn event(row: &Row<'_>) -> Read<Event> {
    Ok(Event {
        run_id: text(row, 0)?,
        step_id: optional(row, 1)?,
        seq: count(row, 2)?,
        kind: text::<EventType>(row, 3)?,
        at: text(row, 4)?,
        actor: row.get(5)?,
        payload: json(row, 6)?,
    })
}

const INSERT_EVENT: &str =
    concat!("INSERT OR FAIL INTO run_events (", event_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");

/// Writes events, once.
pub fn insert_events(tx: &Tx<'_>, events: &[Event]) -> Result<()> {
    let mut insert = tx.connection.prepare_cached(INSERT_EVENT).told()?;
    for event in events {
        let mut row = Binder { statement: &mut insert, column: 0 };
        row.text(&event.run_id.to_string())?;
        row.optional(event.step_id.map(|id| id.to_string()).as_deref())?;
        row.number(number(event.seq))?;
        row.text(event.kind.as_str())?;
        row.time(Some(event.at))?;
        row.text(&event.actor)?;
        row.text(event.payload.as_str())?;
        insert.raw_execute().told()?;
    }
    Ok(())
}

/// The columns of a step.
macro_rules! step_columns {
    () => {
        "id, run_id, epoch, attempt, ordinal, phase, name, type, status, output, tokens_in, tokens_out, started_at, \
         completed_at"
    };
}
pub(crate) use step_columns;

/// A row of [`step_columns`].
pub fn step(row: &Row<'_>) -> Read<Step> {
    Ok(Step {
        id: text(row, 0)?,
        run_id: text(row, 1)?,
        epoch: count(row, 2)?,
        attempt: count(row, 3)?,
        ordinal: count(row, 4)?,
        phase: text(row, 5)?,
        name: row.get(6)?,
        kind: text(row, 7)?,
        status: text(row, 8)?,
        output: row.get(9)?,
        tokens_in: row.get::<_, Option<i64>>(10)?.and_then(|value| u64::try_from(value).ok()),
        tokens_out: row.get::<_, Option<i64>>(11)?.and_then(|value| u64::try_from(value).ok()),
        started_at: optional(row, 12)?,
        completed_at: optional(row, 13)?,
    })
}

/// Binds a row's values one after the other: a statement of 37 columns has no room for a slip in their numbers.
struct Binder<'a, 'c> {
    statement: &'a mut Statement<'c>,
    column: usize,
}

impl Binder<'_, '_> {
    fn bind(&mut self, value: impl rusqlite::ToSql) -> Result<()> {
        self.column += 1;
        self.statement.raw_bind_parameter(self.column, value).told()
    }

    fn text(&mut self, value: &str) -> Result<()> {
        self.bind(value)
    }

    fn optional(&mut self, value: Option<&str>) -> Result<()> {
        self.bind(value)
    }

    fn number(&mut self, value: i64) -> Result<()> {
        self.bind(value)
    }

    fn time(&mut self, value: Option<Timestamp>) -> Result<()> {
        self.bind(value.map(|time| time.to_string()))
    }
}
