//! What runs refer to: workspaces, projects, agent tasks, workers and kinds. Whoever makes or changes one does it in one transaction, in
//! which it is asked whether the workspace is known, too.

mod kinds;
mod projects;
mod workers;
mod workspaces;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::runs::Caller;
use sprongus_core::store::Directory;
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Worker, WorkerInfo, Workspace, unknown_workspace,
};

use crate::connection::writer::Tx;
use crate::{Sqlite, rows};

/// The caller's workspace, if somebody made it.
const KNOWN_WORKSPACE: &str = "SELECT 1 FROM workspaces WHERE id = ?1";
/// A project, if somebody made it.
pub const KNOWN_PROJECT: &str = "SELECT 1 FROM projects WHERE workspace_id = ?1 AND id = ?2";

#[async_trait]
impl Directory for Sqlite {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| workers::see(tx, &caller, &worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| workers::forget(tx, &caller, &worker)).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        let caller = caller.clone();
        self.read(move |connection, now| workers::list(connection, &caller, now)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| workers::drain(tx, &caller, &worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        let caller = caller.clone();
        self.read(move |connection, _| kinds::list(connection, &caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let (caller, kind) = (caller.clone(), kind.clone());
        self.writer.write(move |tx| kinds::pause(tx, &caller, &kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        let caller = caller.clone();
        self.read(move |connection, _| projects::list(connection, &caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| projects::create(tx, &caller, &id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        let caller = caller.clone();
        self.read(move |connection, _| projects::agent_tasks(connection, &caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        let (caller, task) = (caller.clone(), task.clone());
        self.writer.write(move |tx| projects::create_agent_task(tx, &caller, &task)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.read(|connection, _| workspaces::list(connection)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| workspaces::create(tx, &caller, &id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| workspaces::delete(tx, &caller, &id)).await
    }
}

/// Refuses a workspace that nobody made.
pub fn check_workspace(tx: &Tx<'_>, caller: &Caller) -> Result<()> {
    match rows::exists(tx.connection, KNOWN_WORKSPACE, [caller.workspace.as_str()])? {
        true => Ok(()),
        false => Err(unknown_workspace(&caller.workspace)),
    }
}
