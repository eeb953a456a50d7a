//! What runs refer to: workspaces, projects, agent tasks, workers and kinds. Whoever makes or changes one does it in one transaction, in
//! which it is asked whether the workspace is known, too; times are the server's.

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
use tokio_postgres::Row;

use crate::Postgres;
use crate::connection::retry::{Idempotent, retry, retry_idempotent};

#[async_trait]
impl Directory for Postgres {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        retry_idempotent(|| workers::see(&self.database, caller, worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        retry_idempotent(|| workers::forget(&self.database, caller, worker)).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        retry_idempotent(|| workers::list(&self.database, caller)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        retry_idempotent(|| workers::drain(&self.database, caller, worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        retry_idempotent(|| kinds::list(&self.database, caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        retry_idempotent(|| kinds::pause(&self.database, caller, kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        retry_idempotent(|| projects::list(&self.database, caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        retry_idempotent(|| projects::create(&self.database, caller, id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        retry_idempotent(|| projects::agent_tasks(&self.database, caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        retry_idempotent(|| projects::create_agent_task(&self.database, caller, task)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        retry_idempotent(|| workspaces::list(&self.database)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        retry_idempotent(|| workspaces::create(&self.database, caller, id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        retry(Idempotent::No, |_| workspaces::delete(&self.database, caller, id)).await
    }
}

/// The caller's workspace, if somebody made it.
pub const KNOWN_WORKSPACE: &str = "SELECT FROM workspaces WHERE id = $1";

/// Refuses a workspace that nobody made, by the rows of [`KNOWN_WORKSPACE`].
pub fn check_workspace(caller: &Caller, found: &[Row]) -> Result<()> {
    match found.is_empty() {
        true => Err(unknown_workspace(&caller.workspace)),
        false => Ok(()),
    }
}
