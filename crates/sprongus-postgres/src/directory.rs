//! Workspaces, projects, agent tasks, workers and kinds.

use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::store::Directory;
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::{Error, Result as CoreResult};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Postgres;
use crate::connection::retry::{Idempotent, retry, retry_idempotent};
use crate::connection::session::{Database, PRESENT, Params, all};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::values::{JsonText, Time, uuid};
use crate::rows::{Reader, to_json};
use crate::runs::claim::projects as narrowed;
use crate::runs::load::present;

const WORKSPACES: &str = "SELECT id, created_at FROM every_workspace()";
const WORKSPACE: &str = "SELECT id, created_at FROM workspaces WHERE id = $1";
const CREATE_WORKSPACE: &str =
    "INSERT INTO workspaces (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id";
const DROP_WORKSPACE: &str = "SELECT drop_workspace($1, $1)";
const PROJECTS: &str = "
    SELECT id, created_at FROM projects
    WHERE workspace_id = $1 AND ($2::text[] IS NULL OR id = ANY ($2::text[])) ORDER BY id COLLATE \"C\"";
const PROJECT: &str = "SELECT id, created_at FROM projects WHERE workspace_id = $1 AND id = $2";
const CREATE_PROJECT: &str = "INSERT INTO projects (workspace_id, id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id";
const AGENT_TASKS: &str = "
    SELECT id, title, project_id, created_at FROM agent_tasks
    WHERE workspace_id = $1 AND ($2::text[] IS NULL OR project_id = ANY ($2::text[]))
    ORDER BY created_at DESC, id COLLATE \"C\" DESC LIMIT 100";
const AGENT_TASK: &str =
    "SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = $1 AND id = $2";
const CREATE_AGENT_TASK: &str = "
    INSERT INTO agent_tasks (workspace_id, id, title, project_id, created_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";
const SEE_WORKER: &str = "
    INSERT INTO workers AS w (workspace_id, id, kinds, host, pid, version, concurrency, seen_at, token_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (workspace_id, id) DO UPDATE SET kinds = excluded.kinds, seen_at = excluded.seen_at,
        token_id = excluded.token_id
    WHERE w.token_id IS NOT DISTINCT FROM excluded.token_id OR w.seen_at <= $10
    RETURNING draining";
const FORGET_LONG_GONE: &str = "DELETE FROM workers WHERE workspace_id = $1 AND seen_at < $2";
/// Answers whether it was there and not the caller's to forget.
const FORGET_WORKER: &str = "
    WITH forgotten AS (
        DELETE FROM workers WHERE workspace_id = $1 AND id = $2 AND (token_id IS NOT DISTINCT FROM $3::uuid OR seen_at <= $4))
    SELECT EXISTS (SELECT FROM workers
        WHERE workspace_id = $1 AND id = $2 AND token_id IS DISTINCT FROM $3::uuid AND seen_at > $4)";
const WORKERS: &str = "
    SELECT id, kinds, host, pid, version, concurrency, draining, seen_at FROM workers
    WHERE workspace_id = $1 AND seen_at > $2 ORDER BY id COLLATE \"C\"";
const DRAINING: &str = "SELECT draining FROM workers WHERE workspace_id = $1 AND id = $2 FOR UPDATE";
const DRAIN: &str = "UPDATE workers SET draining = true WHERE workspace_id = $1 AND id = $2";
const KINDS: &str = "
    SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = $1 ORDER BY kind COLLATE \"C\"";
const KIND: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = $1 AND kind = $2";
const KIND_TO_SET: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = $1 AND kind = $2 FOR UPDATE";
const PAUSE: &str = "
    INSERT INTO kinds AS k (workspace_id, kind, paused, changed_at, changed_by)
    SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM workspaces WHERE id = $1)
    ON CONFLICT (workspace_id, kind) DO UPDATE SET paused = excluded.paused, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by WHERE k.paused <> excluded.paused RETURNING kind";

/// How long a worker that fell silent stays in the table, for those who look for it.
const LONG_GONE: Duration = Duration::from_secs(3_600);

#[async_trait]
impl Directory for Postgres {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> CoreResult<bool> {
        retry_idempotent(|| see_worker(&self.database, caller, worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> CoreResult<()> {
        retry_idempotent(|| forget_worker(&self.database, caller, worker)).await
    }

    async fn workers(&self, caller: &Caller) -> CoreResult<Vec<Worker>> {
        retry_idempotent(|| workers(&self.database, caller)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> CoreResult<()> {
        retry_idempotent(|| drain_worker(&self.database, caller, worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> CoreResult<Vec<KindSetting>> {
        retry_idempotent(|| kinds(&self.database, caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> CoreResult<KindSetting> {
        retry_idempotent(|| pause_kind(&self.database, caller, kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> CoreResult<Vec<Project>> {
        retry_idempotent(|| projects(&self.database, caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> CoreResult<Project> {
        retry_idempotent(|| create_project(&self.database, caller, id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> CoreResult<Vec<AgentTask>> {
        retry_idempotent(|| agent_tasks(&self.database, caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> CoreResult<AgentTask> {
        retry_idempotent(|| create_agent_task(&self.database, caller, task)).await
    }

    async fn workspaces(&self) -> CoreResult<Vec<Workspace>> {
        retry_idempotent(|| workspaces(&self.database)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> CoreResult<Workspace> {
        retry_idempotent(|| create_workspace(&self.database, caller, id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> CoreResult<()> {
        retry(Idempotent::No, |_| delete_workspace(&self.database, caller, id)).await
    }
}

/// A transaction in `workspace`.
pub async fn write(
    database: &Database,
    workspace: &WorkspaceId,
    asked: &[(&str, Params<'_>)],
) -> Result<Vec<Vec<Row>>> {
    database.session().await?.transact(workspace, asked).await
}

/// The present.
pub async fn now(database: &Database) -> Result<Timestamp> {
    let clock = database.clock_override();
    let asked: [(&str, Params<'_>); 1] = [(PRESENT, &[&clock])];
    let rows = database.session().await?.look(&WorkspaceId::local(), &asked).await?.pop().unwrap_or_default();
    present(&rows)
}

fn workspace(row: &Row) -> Result<Workspace> {
    let mut row = Reader::from(row, 0);
    Ok(Workspace { id: row.text()?, created_at: row.time()? })
}

fn project(row: &Row) -> Result<Project> {
    let mut row = Reader::from(row, 0);
    Ok(Project { id: row.text()?, created_at: row.time()? })
}

fn agent_task(row: &Row) -> Result<AgentTask> {
    let mut row = Reader::from(row, 0);
    Ok(AgentTask {
        id: row.text()?,
        title: row.plain()?,
        project_id: row.optional()?,
        created_at: row.time()?,
    })
}

/// The one row that a statement just made or found.
pub fn single_row<T>(rows: Vec<Vec<Row>>, read: impl Fn(&Row) -> Result<T>) -> Result<T> {
    match rows.last().and_then(|rows| rows.first()) {
        Some(row) => read(row),
        None => Err(Error::internal("a row that was just created is missing").into()),
    }
}

/// Every workspace.
pub async fn workspaces(database: &Database) -> Result<Vec<Workspace>> {
    all(database, &WorkspaceId::local(), WORKSPACES, &[], workspace).await
}

/// Makes a workspace.
pub async fn create_workspace(database: &Database, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
    let (name, now) = (id.as_str(), now(database).await?);
    let asked: [(&str, Params<'_>); 2] = [(CREATE_WORKSPACE, &[&name, &Time(now)]), (WORKSPACE, &[&name])];
    let mut session = database.session().await?;
    let rows = session.begin_with(id, &asked).await?;
    let is_new = has_row(rows.first());
    let made = single_row(rows, workspace)?;
    commit(session, caller, is_new.then(|| OperatorAct::workspace_created(&made)), now).await?;
    Ok(made)
}

fn has_row(rows: Option<&Vec<Row>>) -> bool {
    rows.is_some_and(|rows| !rows.is_empty())
}

/// Deletes a workspace; the database takes along what is its own.
pub async fn delete_workspace(database: &Database, caller: &Caller, id: &WorkspaceId) -> Result<()> {
    let (name, now) = (id.as_str(), now(database).await?);
    let asked: [(&str, Params<'_>); 2] = [(WORKSPACE, &[&name]), (DROP_WORKSPACE, &[&name])];
    let mut session = database.session().await?;
    let rows = session.begin_with(id, &asked).await?;
    let gone = rows.first().and_then(|rows| rows.first()).map(workspace).transpose()?;
    let is_gone = single_row(rows, |row| Ok(row.try_get::<_, bool>(0)?))?;
    match gone.filter(|_| is_gone) {
        Some(gone) => commit(session, caller, Some(OperatorAct::workspace_deleted(&gone)), now).await,
        None => {
            session.roll_back().await?;
            Err(Error::not_found(format_args!("workspace: {id}")).into())
        }
    }
}

/// The projects the caller may touch.
pub async fn projects(database: &Database, caller: &Caller) -> Result<Vec<Project>> {
    let (workspace, narrowed) = (caller.workspace.as_str(), narrowed(caller));
    all(database, &caller.workspace, PROJECTS, &[&workspace, &narrowed], project).await
}

/// Makes a project.
pub async fn create_project(database: &Database, caller: &Caller, id: &ProjectId) -> Result<Project> {
    known_workspace(database, caller).await?;
    let (workspace, name, now) = (caller.workspace.as_str(), id.as_str(), now(database).await?);
    let asked: [(&str, Params<'_>); 2] =
        [(CREATE_PROJECT, &[&workspace, &name, &Time(now)]), (PROJECT, &[&workspace, &name])];
    let mut session = database.session().await?;
    let rows = session.begin_with(&caller.workspace, &asked).await?;
    let is_new = has_row(rows.first());
    let made = single_row(rows, project)?;
    commit(session, caller, is_new.then(|| OperatorAct::project_created(&made)), now).await?;
    Ok(made)
}

/// The newest agent tasks that the caller may see.
pub async fn agent_tasks(database: &Database, caller: &Caller) -> Result<Vec<AgentTask>> {
    let params: Params<'_> = &[&caller.workspace.as_str(), &narrowed(caller)];
    all(database, &caller.workspace, AGENT_TASKS, params, agent_task).await
}

/// Makes an agent task.
pub async fn create_agent_task(
    database: &Database,
    caller: &Caller,
    task: &NewAgentTask,
) -> Result<AgentTask> {
    known_workspace(database, caller).await?;
    let (workspace, name, now) = (caller.workspace.as_str(), task.id.as_str(), Time(now(database).await?));
    let of = task.project_id.as_ref().map(|project| project.as_str());
    if let Some(named) = &task.project_id {
        let known =
            all(database, &caller.workspace, PROJECT, &[&workspace, &named.as_str()], project).await?;
        if known.is_empty() {
            return Err(unknown_project(named).into());
        }
    }
    let asked: [(&str, Params<'_>); 2] = [
        (CREATE_AGENT_TASK, &[&workspace, &name, &task.title, &of, &now]),
        (AGENT_TASK, &[&workspace, &name]),
    ];
    let made = single_row(write(database, &caller.workspace, &asked).await?, agent_task)?;
    Ok(made.answers(task, caller)?)
}

/// Refuses a workspace that nobody made.
pub async fn known_workspace(database: &Database, caller: &Caller) -> Result<()> {
    let found = all(database, &caller.workspace, WORKSPACE, &[&caller.workspace.as_str()], workspace).await?;
    match found.is_empty() {
        true => Err(Error::not_found(format_args!("workspace: {}", caller.workspace)).into()),
        false => Ok(()),
    }
}

/// Notes a worker's word.
pub async fn see_worker(database: &Database, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
    known_workspace(database, caller).await?;
    let now = now(database).await?;
    let (workspace, id, seen) = (caller.workspace.as_str(), worker.id.as_str(), Time(now));
    let old = Time(now.minus(LONG_GONE));
    let kinds = worker.kinds.as_ref().map(to_json).transpose()?;
    let kinds = kinds.as_deref().map(JsonText);
    let (pid, concurrency) = (i64::from(worker.pid), i64::from(worker.concurrency));
    let (token_id, gone) = own(caller, now);
    let asked: [(&str, Params<'_>); 2] = [
        (FORGET_LONG_GONE, &[&workspace, &old]),
        (
            SEE_WORKER,
            &[
                &workspace,
                &id,
                &kinds,
                &worker.host,
                &pid,
                &worker.version,
                &concurrency,
                &seen,
                &token_id,
                &gone,
            ],
        ),
    ];
    let rows = write(database, &caller.workspace, &asked).await?;
    match rows.last().and_then(|rows| rows.first()) {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(Worker::id_taken().into()),
    }
}

/// Whose word counts for a worker, as [`Worker::check_own`] has it: that of the caller's API token, or anybody's once it was not heard
/// of since.
fn own(caller: &Caller, now: Timestamp) -> (Option<Uuid>, Time) {
    (caller.token_id.map(|id| uuid(id.to_bits())), Time(now.minus(Worker::GONE_AFTER)))
}

/// Forgets a worker that has stopped.
pub async fn forget_worker(database: &Database, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let (workspace, id) = (caller.workspace.as_str(), worker.as_str());
    let (token_id, gone) = own(caller, now(database).await?);
    let asked: [(&str, Params<'_>); 1] = [(FORGET_WORKER, &[&workspace, &id, &token_id, &gone])];
    match single_row(write(database, &caller.workspace, &asked).await?, |row| Ok(row.try_get(0)?))? {
        false => Ok(()),
        true => Err(Worker::id_taken().into()),
    }
}

/// The workers heard of lately.
pub async fn workers(database: &Database, caller: &Caller) -> Result<Vec<Worker>> {
    let seen = Time(now(database).await?.minus(Worker::GONE_AFTER));
    all(database, &caller.workspace, WORKERS, &[&caller.workspace.as_str(), &seen], |row| {
        let mut row = Reader::from(row, 0);
        Ok(Worker {
            id: row.text()?,
            kinds: row.parsed()?,
            host: row.plain()?,
            pid: Some(row.count()?),
            version: row.plain()?,
            concurrency: row.count()?,
            draining: row.plain()?,
            seen_at: row.time()?,
        })
    })
    .await
}

/// Tells a worker to stop claiming.
pub async fn drain_worker(database: &Database, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let (workspace, id, now) = (caller.workspace.as_str(), worker.as_str(), now(database).await?);
    let asked: [(&str, Params<'_>); 2] = [(DRAINING, &[&workspace, &id]), (DRAIN, &[&workspace, &id])];
    let mut session = database.session().await?;
    let rows = session.begin_with(&caller.workspace, &asked).await?;
    let Some(before) = rows.first().and_then(|rows| rows.first()) else {
        session.roll_back().await?;
        return Err(Error::not_found(format_args!("worker: {worker}"))
            .with_hint("list them with `sprongus workers list`")
            .into());
    };
    commit(session, caller, OperatorAct::worker_drained(worker, before.try_get(0)?), now).await
}

fn kind_setting(row: &Row) -> Result<KindSetting> {
    let mut row = Reader::from(row, 0);
    Ok(KindSetting {
        kind: row.text()?,
        paused: row.plain()?,
        changed_at: row.optional_time()?,
        changed_by: row.plain()?,
    })
}

/// The kinds somebody paused or resumed.
pub async fn kinds(database: &Database, caller: &Caller) -> Result<Vec<KindSetting>> {
    all(database, &caller.workspace, KINDS, &[&caller.workspace.as_str()], kind_setting).await
}

/// Pauses a kind, or resumes it.
pub async fn pause_kind(
    database: &Database,
    caller: &Caller,
    kind: &Kind,
    paused: bool,
) -> Result<KindSetting> {
    known_workspace(database, caller).await?;
    let (workspace, name, now) = (caller.workspace.as_str(), kind.as_str(), now(database).await?);
    let asked: [(&str, Params<'_>); 3] = [
        (KIND_TO_SET, &[&workspace, &name]),
        (PAUSE, &[&workspace, &name, &paused, &Time(now), &caller.actor]),
        (KIND, &[&workspace, &name]),
    ];
    let mut session = database.session().await?;
    let rows = session.begin_with(&caller.workspace, &asked).await?;
    let before = rows.first().and_then(|rows| rows.first()).map(kind_setting).transpose()?;
    // Where nobody had set it yet, somebody else may have been first.
    let is_changed = has_row(rows.get(1));
    let setting = single_row(rows, kind_setting)?;
    let act = OperatorAct::kind_set(kind, before.as_ref(), paused).filter(|_| is_changed);
    commit(session, caller, act, now).await?;
    Ok(setting)
}
