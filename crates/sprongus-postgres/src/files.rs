//! Artifacts: the rows of a run's files, and the places whose bytes are to be deleted. Those stand in one list for all workspaces, for
//! they outlive theirs.

use async_trait::async_trait;
use sprongus_core::Result as CoreResult;
use sprongus_core::rules::{Act, artifact, record};
use sprongus_core::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use sprongus_core::run::{Hold, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::Files;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Postgres;
use crate::connection::clock::{PRESENT, present};
use crate::connection::retry::retry_idempotent;
use crate::connection::session::{Database, Notify, Params, Session};
use crate::error::Result;
use crate::reads::with_run;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, RowReader, number, run_columns};
use crate::runs::load::missing;

const LOCK: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
const BESIDE: &str = "
    SELECT count(*) FROM run_artifacts WHERE workspace_id = $1 AND run_id = $2 AND name NOT IN ($3, $4)";
const FILE: &str = "
    SELECT size, sha256, content_type, created_at, location FROM run_artifacts
    WHERE workspace_id = $1 AND run_id = $2 AND name = $3";
const ARTIFACTS: &str = "
    SELECT size, sha256, content_type, created_at, name FROM run_artifacts
    WHERE workspace_id = $1 AND run_id = $2 AND name <> $3 ORDER BY name COLLATE \"C\"";
/// Whether work directories are kept, of several runs.
pub const WORKDIRS: &str = "
    SELECT run_id FROM run_artifacts WHERE workspace_id = $1 AND run_id = ANY ($2) AND name = $3";
const PUT: &str = "
    INSERT INTO run_artifacts (workspace_id, run_id, name, size, sha256, content_type, location, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const DROP: &str = "DELETE FROM run_artifacts WHERE workspace_id = $1 AND run_id = $2 AND name = $3";
const EXPECT: &str = "INSERT INTO unwanted_blobs (location, due_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const LOCK_DUE: &str = "SELECT due_at FROM unwanted_blobs WHERE location = $1 FOR UPDATE";
/// What is locked is passed over: an upload is being given its row just now. Whoever locks it after this one reads the clock after
/// it too, and finds that its time is over.
const UNWANTED: &str = "
    SELECT location FROM unwanted_blobs
    WHERE due_at <= (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())))
    ORDER BY due_at, location LIMIT $2 FOR UPDATE SKIP LOCKED";
const FORGET: &str = "DELETE FROM unwanted_blobs WHERE location = ANY ($1)";

#[async_trait]
impl Files for Postgres {
    async fn expect_blob(&self, location: &str, due: Timestamp) -> CoreResult<()> {
        retry_idempotent(|| expect(&self.database, location, due)).await
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> CoreResult<StoredFile> {
        retry_idempotent(|| put(&self.database, caller, hold, &file)).await
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> CoreResult<()> {
        retry_idempotent(|| drop_file(&self.database, caller, hold, name)).await
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> CoreResult<Vec<Artifact>> {
        retry_idempotent(|| artifacts(&self.database, caller, id)).await
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> CoreResult<StoredFile> {
        retry_idempotent(|| file(&self.database, caller, id, name)).await
    }

    async fn unwanted_blobs(&self, limit: u32) -> CoreResult<Vec<String>> {
        retry_idempotent(|| unwanted(&self.database, limit)).await
    }

    async fn forget_blobs(&self, locations: &[String]) -> CoreResult<()> {
        retry_idempotent(|| forget(&self.database, locations)).await
    }
}

/// A transaction on the list that is nobody's in particular.
async fn on_list(database: &Database, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
    let [rows] = database.transact(&WorkspaceId::local(), [(sql, params)]).await?;
    Ok(rows)
}

/// Notes that bytes are about to be written.
pub async fn expect(database: &Database, location: &str, due: Timestamp) -> Result<()> {
    on_list(database, EXPECT, &[&location, &Time(due)]).await.map(drop)
}

/// The places whose time has come.
pub async fn unwanted(database: &Database, limit: u32) -> Result<Vec<String>> {
    let (clock, limit) = (database.clock_override(), i64::from(limit));
    let rows = on_list(database, UNWANTED, &[&clock, &limit]).await?;
    rows::all(&rows, |row| row.value())
}

/// Notes that the bytes at these places are deleted.
pub async fn forget(database: &Database, locations: &[String]) -> Result<()> {
    on_list(database, FORGET, &[&locations]).await.map(drop)
}

/// Gives written bytes a row, in place of the one of the same name. Made once more it finds what it made.
pub async fn put(database: &Database, caller: &Caller, hold: &Hold, file: &NewFile) -> Result<StoredFile> {
    let (workspace, id, name) = (caller.workspace.as_str(), uuid(hold.id.to_bits()), file.name.as_str());
    let clock = database.clock_override();
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 5] = [
        (LOCK, &[&workspace, &id]),
        (BESIDE, &[&workspace, &id, &name, &FileName::WORKDIR]),
        (FILE, &[&workspace, &id, &name]),
        (LOCK_DUE, &[&file.location]),
        (PRESENT, &[&clock]),
    ];
    let [run, beside, before, due, now] = session.begin_with(&caller.workspace, asked).await?;
    let now = present(&now)?;
    match check_put([&run, &beside, &before, &due], caller, hold, file, now) {
        Ok(None) => {}
        Ok(Some(same)) => {
            session.roll_back().await?;
            return Ok(same);
        }
        Err(refused) => {
            session.roll_back().await?;
            return Err(refused);
        }
    }
    let (size, made) = (number(file.size), Time(now));
    let location = std::slice::from_ref(&file.location);
    let forget: Params<'_> = &[&location];
    let drop: Params<'_> = &[&workspace, &id, &name];
    let put: Params<'_> =
        &[&workspace, &id, &name, &size, &file.sha256, &file.content_type, &file.location, &made];
    session.commit_with(&[(FORGET, forget), (DROP, drop), (PUT, put)], Notify::No).await?;
    Ok(StoredFile { file: file.clone(), created_at: now })
}

/// Asks the rules whether the file may be put; answers the very file where it has been.
fn check_put(
    [run, beside, before, due]: [&[Row]; 4],
    caller: &Caller,
    hold: &Hold,
    file: &NewFile,
    now: Timestamp,
) -> Result<Option<StoredFile>> {
    let run = held(run, caller, hold)?;
    let beside = rows::only(beside, |row| row.bigint())?;
    artifact::put(&run, hold, &file.name, beside, Act { now, actor: &caller.actor })?;
    let before = rows::first(before, |row| stored(row, &file.name))?;
    if let Some(same) = before.filter(|stored| stored.file == *file) {
        return Ok(Some(same));
    }
    artifact::expected(rows::first(due, |row| row.time())?, now)?;
    Ok(None)
}

/// The run of a hold, if the caller may touch it.
fn held(rows: &[Row], caller: &Caller, hold: &Hold) -> Result<Run> {
    let found = rows::first(rows, rows::run)?;
    let found = found.filter(|run| caller.may_touch(run.project_id.as_ref()));
    Ok(found.ok_or_else(|| missing(hold.id))?)
}

/// Lets go of a file.
pub async fn drop_file(database: &Database, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
    let (workspace, id, name) = (caller.workspace.as_str(), uuid(hold.id.to_bits()), name.as_str());
    let clock = database.clock_override();
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 2] = [(LOCK, &[&workspace, &id]), (PRESENT, &[&clock])];
    let [run, now] = session.begin_with(&caller.workspace, asked).await?;
    let now = present(&now)?;
    let run = held(&run, caller, hold);
    let admitted = run.and_then(|run| Ok(record::admit(&run, hold, Act { now, actor: &caller.actor })?));
    if let Err(refused) = admitted {
        session.roll_back().await?;
        return Err(refused);
    }
    session.commit_with(&[(DROP, &[&workspace, &id, &name])], Notify::No).await
}

/// A run's artifacts by name.
pub async fn artifacts(database: &Database, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let asked: [(&str, Params<'_>); 1] = [(ARTIFACTS, &[&workspace, &uuid, &FileName::WORKDIR])];
    let (_, [found]) = with_run(database, caller, id, asked).await?;
    rows::all(&found, |row| {
        let (size, sha256, content_type) = (row.bigint()?, row.value()?, row.value()?);
        let (created_at, name) = (row.time()?, row.parse()?);
        Ok(Artifact { run_id: id, name, size, sha256, content_type, created_at })
    })
}

/// A file of a run.
pub async fn file(database: &Database, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
    let (workspace, uuid) = (caller.workspace.as_str(), uuid(id.to_bits()));
    let asked: [(&str, Params<'_>); 1] = [(FILE, &[&workspace, &uuid, &name.as_str()])];
    let (_, [found]) = with_run(database, caller, id, asked).await?;
    rows::first(&found, |row| stored(row, name))?.ok_or_else(|| artifact::missing(name).into())
}

/// Which of these runs keep their work directory.
pub async fn with_workdir(session: &Session, workspace: &WorkspaceId, ids: &[Uuid]) -> Result<Vec<RunId>> {
    let rows = session.query(WORKDIRS, &[&workspace.as_str(), &ids, &FileName::WORKDIR]).await?;
    run_ids(&rows)
}

/// The rows of [`WORKDIRS`].
pub fn run_ids(rows: &[Row]) -> Result<Vec<RunId>> {
    rows::all(rows, |row| Ok(RunId::from_bits(row.bits()?)))
}

fn stored(row: &mut RowReader<'_>, name: &FileName) -> Result<StoredFile> {
    let (size, sha256, content_type) = (row.bigint()?, row.value()?, row.value()?);
    let (created_at, location) = (row.time()?, row.value()?);
    let file = NewFile { name: name.clone(), size, sha256, content_type, location };
    Ok(StoredFile { file, created_at })
}
