//! Workspaces, projects, agent tasks, workers and kinds.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::store::Directory;
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::events::operator::note;
use crate::{Sqlite, rows};

const WORKSPACES: &str = "SELECT id, created_at FROM workspaces ORDER BY id";
const WORKSPACE: &str = "SELECT id, created_at FROM workspaces WHERE id = ?1";
const CREATE_WORKSPACE: &str =
    "INSERT INTO workspaces (id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const DELETE_WORKSPACE: &str = "DELETE FROM workspaces WHERE id = ?1 RETURNING id, created_at";
const PROJECTS: &str = "
    SELECT id, created_at FROM projects WHERE workspace_id = ?1
        AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY id";
/// A project, if it was made.
pub const PROJECT: &str = "SELECT id, created_at FROM projects WHERE workspace_id = ?1 AND id = ?2";
const CREATE_PROJECT: &str =
    "INSERT INTO projects (workspace_id, id, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const AGENT_TASKS: &str = "
    SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = ?1
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2))) ORDER BY created_at DESC, id DESC LIMIT 100";
const AGENT_TASK: &str =
    "SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = ?1 AND id = ?2";
const CREATE_AGENT_TASK: &str = "
    INSERT INTO agent_tasks (workspace_id, id, title, project_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
const SEE_WORKER: &str = "
    INSERT INTO workers (workspace_id, id, kinds, host, pid, version, concurrency, seen_at, token_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (workspace_id, id) DO UPDATE SET kinds = excluded.kinds, seen_at = excluded.seen_at,
        token_id = excluded.token_id
    RETURNING draining";
const FORGET_LONG_GONE: &str = "DELETE FROM workers WHERE workspace_id = ?1 AND seen_at < ?2";
const WHOSE_WORKER: &str = "SELECT token_id, seen_at FROM workers WHERE workspace_id = ?1 AND id = ?2";
const FORGET_WORKER: &str = "DELETE FROM workers WHERE workspace_id = ?1 AND id = ?2";
const WORKERS: &str = "
    SELECT id, kinds, host, pid, version, concurrency, draining, seen_at FROM workers
    WHERE workspace_id = ?1 AND seen_at > ?2 ORDER BY id";
const DRAINING: &str = "SELECT draining FROM workers WHERE workspace_id = ?1 AND id = ?2";
const DRAIN: &str = "UPDATE workers SET draining = 1 WHERE workspace_id = ?1 AND id = ?2";
const KINDS: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = ?1 ORDER BY kind";
const KIND: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = ?1 AND kind = ?2";
const PAUSE: &str = "
    INSERT INTO kinds AS k (workspace_id, kind, paused, changed_at, changed_by) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workspace_id, kind) DO UPDATE SET paused = excluded.paused, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by WHERE k.paused <> excluded.paused";

/// How long a worker that fell silent stays in the table, for those who look for it.
const LONG_GONE: std::time::Duration = std::time::Duration::from_secs(3_600);

#[async_trait]
impl Directory for Sqlite {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| see_worker(tx, &caller, &worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| forget_worker(tx, &caller, &worker)).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        let caller = caller.clone();
        self.read(move |connection, now| workers(connection, &caller, now)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| drain_worker(tx, &caller, &worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        let caller = caller.clone();
        self.read(move |connection, _| kinds(connection, &caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let (caller, kind) = (caller.clone(), kind.clone());
        self.writer.write(move |tx| pause_kind(tx, &caller, &kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        let caller = caller.clone();
        self.read(move |connection, _| projects(connection, &caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| create_project(tx, &caller, &id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        let caller = caller.clone();
        self.read(move |connection, _| agent_tasks(connection, &caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        let (caller, task) = (caller.clone(), task.clone());
        self.writer.write(move |tx| create_agent_task(tx, &caller, &task)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.read(|connection, _| workspaces(connection)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| create_workspace(tx, &caller, &id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| delete_workspace(tx, &caller, &id)).await
    }
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut select = connection.prepare_cached(sql).map_db_err()?;
    select.query_map(params, read).map_db_err()?.collect::<rusqlite::Result<_>>().map_db_err()
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<T> {
    connection.prepare_cached(sql).map_db_err()?.query_row(params, read).map_db_err()
}

fn maybe<T>(
    tx: &Tx<'_>,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    tx.connection.prepare_cached(sql).map_db_err()?.query_row(params, read).optional().map_db_err()
}

fn execute(tx: &Tx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
    tx.connection.prepare_cached(sql).map_db_err()?.execute(params).map_db_err()
}

fn workspace(row: &Row<'_>) -> rusqlite::Result<Workspace> {
    Ok(Workspace { id: rows::text(row, 0)?, created_at: rows::text(row, 1)? })
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project { id: rows::text(row, 0)?, created_at: rows::text(row, 1)? })
}

fn agent_task(row: &Row<'_>) -> rusqlite::Result<AgentTask> {
    Ok(AgentTask {
        id: rows::text(row, 0)?,
        title: row.get(1)?,
        project_id: rows::optional(row, 2)?,
        created_at: rows::text(row, 3)?,
    })
}

/// Every workspace.
pub fn workspaces(connection: &Connection) -> Result<Vec<Workspace>> {
    all(connection, WORKSPACES, [], workspace)
}

/// Makes a workspace.
pub fn create_workspace(tx: &Tx<'_>, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
    let is_new = execute(tx, CREATE_WORKSPACE, (id.as_str(), tx.now.to_string()))? > 0;
    let made = one(tx.connection, WORKSPACE, [id.as_str()], workspace)?;
    note(tx, caller, is_new.then(|| OperatorAct::workspace_created(&made)))?;
    Ok(made)
}

/// Deletes a workspace; the database takes along what is its own.
pub fn delete_workspace(tx: &Tx<'_>, caller: &Caller, id: &WorkspaceId) -> Result<()> {
    match maybe(tx, DELETE_WORKSPACE, [id.as_str()], workspace)? {
        None => Err(Error::not_found(format_args!("workspace: {id}"))),
        Some(gone) => note(tx, caller, Some(OperatorAct::workspace_deleted(&gone))),
    }
}

/// The projects the caller may touch.
pub fn projects(connection: &Connection, caller: &Caller) -> Result<Vec<Project>> {
    let narrowed = caller.projects.as_ref().map(rows::to_json).transpose()?;
    all(connection, PROJECTS, (caller.workspace.as_str(), narrowed), project)
}

/// Makes a project.
pub fn create_project(tx: &Tx<'_>, caller: &Caller, id: &ProjectId) -> Result<Project> {
    known_workspace(tx, caller)?;
    let is_new =
        execute(tx, CREATE_PROJECT, (caller.workspace.as_str(), id.as_str(), tx.now.to_string()))? > 0;
    let made = one(tx.connection, PROJECT, (caller.workspace.as_str(), id.as_str()), project)?;
    note(tx, caller, is_new.then(|| OperatorAct::project_created(&made)))?;
    Ok(made)
}

/// The newest agent tasks that the caller may see.
pub fn agent_tasks(connection: &Connection, caller: &Caller) -> Result<Vec<AgentTask>> {
    let narrowed = caller.projects.as_ref().map(rows::to_json).transpose()?;
    all(connection, AGENT_TASKS, (caller.workspace.as_str(), narrowed), agent_task)
}

/// Makes an agent task.
pub fn create_agent_task(tx: &Tx<'_>, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
    known_workspace(tx, caller)?;
    let (workspace, id) = (caller.workspace.as_str(), task.id.as_str());
    let project = task.project_id.as_ref().map(|project| project.as_str());
    if let Some(named) = &task.project_id {
        let mut select = tx.connection.prepare_cached(PROJECT).map_db_err()?;
        if !select.exists([workspace, named.as_str()]).map_db_err()? {
            return Err(unknown_project(named));
        }
    }
    execute(tx, CREATE_AGENT_TASK, (workspace, id, &task.title, project, tx.now.to_string()))?;
    one(tx.connection, AGENT_TASK, (workspace, id), agent_task)?.answers(task, caller)
}

/// Refuses a workspace that nobody made.
pub fn known_workspace(tx: &Tx<'_>, caller: &Caller) -> Result<()> {
    let mut select = tx.connection.prepare_cached(WORKSPACE).map_db_err()?;
    match select.exists([caller.workspace.as_str()]).map_db_err()? {
        true => Ok(()),
        false => Err(Error::not_found(format_args!("workspace: {}", caller.workspace))),
    }
}

/// Notes a worker's word.
pub fn see_worker(tx: &Tx<'_>, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
    known_workspace(tx, caller)?;
    check_worker(tx, caller, &worker.id)?;
    let workspace = caller.workspace.as_str();
    execute(tx, FORGET_LONG_GONE, (workspace, tx.now.minus(LONG_GONE).to_string()))?;
    let params = rusqlite::params![
        workspace,
        worker.id.as_str(),
        worker.kinds.as_ref().map(rows::to_json).transpose()?,
        worker.host,
        worker.pid,
        worker.version,
        worker.concurrency,
        tx.now.to_string(),
        caller.token_id.map(|id| id.to_string()),
    ];
    one(tx.connection, SEE_WORKER, params, |row| row.get(0))
}

/// Refuses to speak for a worker that lives and speaks with another API token.
fn check_worker(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let mut select = tx.connection.prepare_cached(WHOSE_WORKER).map_db_err()?;
    let read = |row: &Row<'_>| Ok((rows::optional(row, 0)?, rows::text(row, 1)?));
    let known =
        select.query_row((caller.workspace.as_str(), worker.as_str()), read).optional().map_db_err()?;
    match known {
        Some((token_id, seen_at)) => Worker::check_own(token_id, seen_at, caller, tx.now),
        None => Ok(()),
    }
}

/// Forgets a worker.
pub fn forget_worker(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    check_worker(tx, caller, worker)?;
    execute(tx, FORGET_WORKER, (caller.workspace.as_str(), worker.as_str())).map(|_| ())
}

/// The workers that live.
pub fn workers(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<Vec<Worker>> {
    let seen = now.minus(Worker::GONE_AFTER).to_string();
    all(connection, WORKERS, (caller.workspace.as_str(), seen), |row| {
        Ok(Worker {
            id: rows::text(row, 0)?,
            kinds: rows::parsed(row, 1)?,
            host: row.get(2)?,
            pid: row.get(3)?,
            version: row.get(4)?,
            concurrency: row.get(5)?,
            draining: row.get(6)?,
            seen_at: rows::text(row, 7)?,
        })
    })
}

/// Tells a worker to stop claiming.
pub fn drain_worker(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let params = (caller.workspace.as_str(), worker.as_str());
    let Some(was_draining) = maybe(tx, DRAINING, params, |row| row.get(0))? else {
        return Err(Error::not_found(format_args!("worker: {worker}"))
            .with_hint("list them with `sprongus workers list`"));
    };
    execute(tx, DRAIN, params)?;
    note(tx, caller, OperatorAct::worker_drained(worker, was_draining))
}

/// The kinds somebody paused or resumed.
pub fn kinds(connection: &Connection, caller: &Caller) -> Result<Vec<KindSetting>> {
    all(connection, KINDS, [caller.workspace.as_str()], kind_setting)
}

fn kind_setting(row: &Row<'_>) -> rusqlite::Result<KindSetting> {
    Ok(KindSetting {
        kind: rows::text(row, 0)?,
        paused: row.get(1)?,
        changed_at: rows::optional(row, 2)?,
        changed_by: row.get(3)?,
    })
}

/// Pauses or resumes a kind.
pub fn pause_kind(tx: &Tx<'_>, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
    known_workspace(tx, caller)?;
    let (workspace, name) = (caller.workspace.as_str(), kind.as_str());
    let before = maybe(tx, KIND, (workspace, name), kind_setting)?;
    execute(tx, PAUSE, (workspace, name, paused, tx.now.to_string(), &caller.actor))?;
    note(tx, caller, OperatorAct::kind_set(kind, before.as_ref(), paused))?;
    one(tx.connection, KIND, (workspace, name), kind_setting)
}
