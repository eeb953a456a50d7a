//! What runs refer to: workspaces, projects, agent tasks, workers and kinds.

use async_trait::async_trait;

use crate::error::Result;
use crate::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use crate::workspace::caller::Caller;
use crate::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Worker, WorkerInfo, Workspace,
};

/// Workspaces, projects, agent tasks, workers and kinds.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Notes a worker's word; answers whether it was told to stop claiming.
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool>;

    /// Forgets a worker that has stopped.
    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()>;

    /// The workers heard of within [`Worker::GONE_AFTER`].
    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>>;

    /// Tells a worker to stop claiming.
    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()>;

    /// The kinds somebody paused or resumed.
    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>>;

    /// Pauses a kind, or resumes it.
    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting>;

    /// The caller's workspace's projects.
    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>>;

    /// Makes a project; the same again is no error.
    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project>;

    /// The agent tasks, newest first, 100 at most; to a caller who is narrowed to projects those of his projects alone.
    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>>;

    /// Makes an agent task, of a project if one is named; the same again is no error. One that the caller may not see, or of another
    /// project than the one named, is `conflict`; a project nobody made is refused.
    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask>;

    /// Every workspace.
    async fn workspaces(&self) -> Result<Vec<Workspace>>;

    /// Makes a workspace; the same again is no error.
    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace>;

    /// Deletes a workspace and everything in it.
    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()>;
}
