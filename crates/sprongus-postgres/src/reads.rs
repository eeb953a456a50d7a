//! Reads: one run, its steps, history and log. Each is one round trip; those of several statements see one instant.

pub(crate) mod list;
mod waiting;

use std::collections::BTreeMap;

use async_trait::async_trait;
use sprongus_core::Result as CoreResult;
use sprongus_core::run::Run;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{MAX_NEWS, News, ReadSoFar};
use sprongus_core::run::list::{ListFilter, Page};
use sprongus_core::run::step::{LogChunk, NumberedLine, Step};
use sprongus_core::runs::Caller;
use sprongus_core::store::Reads;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use tokio_postgres::Row;

use crate::Postgres;
use crate::connection::retry::retry_idempotent;
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::uuid;
use crate::rows::{self, RowReader, event_columns, number, step_columns};
use crate::runs::enqueue::{BY_ID, BY_KEY};
use crate::runs::load::missing;

const STEPS: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps WHERE workspace_id = $1 AND run_id = $2 ORDER BY attempt, epoch, ordinal"
);
pub(crate) const EVENTS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM run_events WHERE workspace_id = $1 AND run_id = $2 AND seq > $3 ORDER BY seq LIMIT $4"
);
const CHUNKS: &str = "
    SELECT first, attempt, body FROM run_logs
    WHERE workspace_id = $1 AND run_id = $2 AND first + lines > $3 ORDER BY first LIMIT $4";

#[async_trait]
impl Reads for Postgres {
    async fn get(&self, caller: &Caller, id: RunId) -> CoreResult<Run> {
        retry_idempotent(|| get(&self.database, caller, id)).await
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> CoreResult<Option<Run>> {
        retry_idempotent(|| find_by_key(&self.database, caller, key)).await
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> CoreResult<Page<Run>> {
        retry_idempotent(|| list::list(&self.database, caller, filter)).await
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> CoreResult<Vec<Step>> {
        retry_idempotent(|| steps(&self.database, caller, id)).await
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> CoreResult<Vec<Event>> {
        retry_idempotent(|| events(&self.database, caller, id, after, limit)).await
    }

    async fn logs(
        &self,
        caller: &Caller,
        id: RunId,
        after: u64,
        limit: u32,
    ) -> CoreResult<Vec<NumberedLine>> {
        retry_idempotent(|| logs(&self.database, caller, id, after, limit)).await
    }

    async fn news(&self, caller: &Caller, id: RunId, so_far: ReadSoFar) -> CoreResult<News> {
        retry_idempotent(|| news(&self.database, caller, id, so_far)).await
    }

    async fn held(&self, caller: &Caller) -> CoreResult<BTreeMap<WorkerId, u64>> {
        retry_idempotent(|| waiting::held(&self.database, caller)).await
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> CoreResult<u64> {
        retry_idempotent(|| waiting::ahead(&self.database, caller, run)).await
    }
}

async fn get(database: &Database, caller: &Caller, id: RunId) -> Result<Run> {
    Ok(with_run(database, caller, id, []).await?.0)
}

async fn find_by_key(database: &Database, caller: &Caller, key: &str) -> Result<Option<Run>> {
    let workspace = caller.workspace.as_str();
    let [found] = database.transact(&caller.workspace, [(BY_KEY, &[&workspace, &key])]).await?;
    let found = rows::first(&found, rows::run)?;
    Ok(found.filter(|run| caller.may_touch(run.project_id.as_ref())))
}

async fn steps(database: &Database, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let (_, [steps]) = with_run(database, caller, id, [(STEPS, &[&workspace, &uuid])]).await?;
    rows::all(&steps, rows::step)
}

async fn events(
    database: &Database,
    caller: &Caller,
    id: RunId,
    after: u64,
    limit: u32,
) -> Result<Vec<Event>> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let (after, limit) = (number(after), i64::from(limit));
    let asked: [(&str, Params<'_>); 1] = [(EVENTS, &[&workspace, &uuid, &after, &limit])];
    let (_, [events]) = with_run(database, caller, id, asked).await?;
    rows::all(&events, rows::event)
}

async fn logs(
    database: &Database,
    caller: &Caller,
    id: RunId,
    after: u64,
    limit: u32,
) -> Result<Vec<NumberedLine>> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    // The chunk that holds the first line wanted ends behind `after`: its first line plus its lines is over `after + 1`.
    let (behind, most) = (number(after).saturating_add(1), i64::from(limit));
    let asked: [(&str, Params<'_>); 1] = [(CHUNKS, &[&workspace, &uuid, &behind, &most])];
    let (_, [chunks]) = with_run(database, caller, id, asked).await?;
    lines(&chunks, after, limit)
}

/// What is new of a run, read at one instant.
async fn news(database: &Database, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let (seen, most) = (number(read.events), i64::from(MAX_NEWS));
    let behind = number(read.lines).saturating_add(1);
    let asked: [(&str, Params<'_>); 2] =
        [(EVENTS, &[&workspace, &uuid, &seen, &most]), (CHUNKS, &[&workspace, &uuid, &behind, &most])];
    let (run, [events, chunks]) = with_run(database, caller, id, asked).await?;
    let (events, lines) = (rows::all(&events, rows::event)?, lines(&chunks, read.lines, MAX_NEWS)?);
    let read = ReadSoFar {
        events: events.last().map_or(read.events, |event| event.seq),
        lines: lines.last().map_or(read.lines, |line| line.seq),
    };
    Ok(News { run, events, lines, read })
}

/// The run, and what is asked beside it, at one instant.
pub async fn with_run<const N: usize>(
    database: &Database,
    caller: &Caller,
    id: RunId,
    more: [(&str, Params<'_>); N],
) -> Result<(Run, [Vec<Row>; N])> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let by_id: Params<'_> = &[&workspace, &uuid];
    let mut asked: Vec<(&str, Params<'_>)> = vec![(BY_ID, by_id)];
    asked.extend(more);
    let mut found = database.session().await?.read_all(&caller.workspace, &asked).await?;
    let rest = rows::result_sets(found.split_off(1))?;
    let [run] = rows::result_sets(found)?;
    let run = rows::first(&run, rows::run)?;
    match run.filter(|run| caller.may_touch(run.project_id.as_ref())) {
        Some(run) => Ok((run, rest)),
        None => Err(missing(id).into()),
    }
}

fn lines(chunks: &[Row], after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
    LogChunk::page(chunks.iter().map(chunk), after, limit)
}

fn chunk(row: &Row) -> Result<LogChunk> {
    let mut row = RowReader::new(row);
    let (first, attempt) = (row.bigint()?, row.integer()?);
    Ok(LogChunk { first, attempt, lines: serde_json::from_str(row.value()?).map_err(rows::unreadable)? })
}
