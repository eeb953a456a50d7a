//! Reads: one run, its steps, history and log. Each on a connection of its own, so that no reader waits for the writer.

pub(crate) mod list;
mod waiting;

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::Run;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{MAX_NEWS, News, ReadSoFar};
use sprongus_core::run::list::{ListFilter, Page};
use sprongus_core::run::step::{LogChunk, NumberedLine, Step};
use sprongus_core::runs::Caller;
use sprongus_core::store::Reads;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;

use crate::Sqlite;
use crate::error::MapDbErr;
use crate::rows::{self, Read, RowReader, event_columns, step_columns};
use crate::runs::enqueue::BY_KEY;
use crate::runs::load::load;

pub(crate) const STEPS: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 ORDER BY attempt, epoch, ordinal");
pub(crate) const EVENTS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM run_events WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
);
pub(crate) const CHUNKS: &str = "
    SELECT first, attempt, body FROM run_logs WHERE run_id = ?1 AND first + lines > ?2 ORDER BY first LIMIT ?3";

#[async_trait]
impl Reads for Sqlite {
    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        let caller = caller.clone();
        self.read(move |connection, _| get(connection, &caller, id)).await
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        let (caller, key) = (caller.clone(), key.to_owned());
        self.read(move |connection, _| find_by_key(connection, &caller, &key)).await
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, now| list::list(connection, &caller, &filter, now)).await
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        let caller = caller.clone();
        self.read(move |connection, _| steps(connection, &caller, id)).await
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let caller = caller.clone();
        self.read(move |connection, _| events(connection, &caller, id, after, limit)).await
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        let caller = caller.clone();
        self.read(move |connection, _| logs(connection, &caller, id, after, limit)).await
    }

    async fn news(&self, caller: &Caller, id: RunId, so_far: ReadSoFar) -> Result<News> {
        let caller = caller.clone();
        self.read(move |connection, _| news(connection, &caller, id, so_far)).await
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        let caller = caller.clone();
        self.read(move |connection, now| waiting::held(connection, &caller, now)).await
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        let (caller, run) = (caller.clone(), run.clone());
        self.read(move |connection, _| waiting::ahead(connection, &caller, &run)).await
    }
}

fn get(connection: &Connection, caller: &Caller, id: RunId) -> Result<Run> {
    load(connection, caller, id)?
}

fn find_by_key(connection: &Connection, caller: &Caller, key: &str) -> Result<Option<Run>> {
    let found = rows::first(connection, BY_KEY, (caller.workspace.as_str(), key), rows::run)?;
    Ok(found.filter(|run| caller.may_touch(run.project_id.as_ref())))
}

fn steps(connection: &Connection, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
    load(connection, caller, id)??;
    rows::all(connection, STEPS, [id.to_string()], rows::step)
}

fn events(connection: &Connection, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
    load(connection, caller, id)??;
    rows::all(connection, EVENTS, (id.to_string(), rows::number(after), limit), rows::event)
}

fn logs(
    connection: &Connection,
    caller: &Caller,
    id: RunId,
    after: u64,
    limit: u32,
) -> Result<Vec<NumberedLine>> {
    load(connection, caller, id)??;
    let mut select = connection.prepare_cached(CHUNKS).map_db_err()?;
    // The chunk that holds the first line wanted ends behind `after`: its first line plus its lines is over `after + 1`.
    let behind = (id.to_string(), rows::number(after).saturating_add(1), limit);
    let chunks = select.query_map(behind, rows::reading(chunk)).map_db_err()?;
    LogChunk::page(chunks, after, limit).map_db_err()
}

fn chunk(row: &mut RowReader<'_, '_>) -> Read<LogChunk> {
    let (first, attempt) = (row.integer()?, row.integer()?);
    Ok(LogChunk { first, attempt, lines: row.parse_json()?.unwrap_or_default() })
}

/// What is new of a run, read at one instant.
fn news(connection: &Connection, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News> {
    let snapshot = connection.unchecked_transaction().map_db_err()?;
    let run = get(connection, caller, id)?;
    let events = events(connection, caller, id, read.events, MAX_NEWS)?;
    let lines = logs(connection, caller, id, read.lines, MAX_NEWS)?;
    snapshot.finish().map_db_err()?;
    let read = ReadSoFar {
        events: events.last().map_or(read.events, |event| event.seq),
        lines: lines.last().map_or(read.lines, |line| line.seq),
    };
    Ok(News { run, events, lines, read })
}
