//! What stands around the runs: projects, agent tasks, workers and kinds.

use std::cmp::Reverse;

use async_trait::async_trait;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::store::Directory;
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::{Caller, Error, Result};

use super::tables::Tenant;
use crate::model::Model;

/// Agent tasks in one answer, at most.
const MAX_AGENT_TASKS: usize = 100;

impl Tenant {
    /// Refuses to speak for a worker that lives and speaks with another API token.
    fn check_worker(&self, caller: &Caller, id: &WorkerId, now: Timestamp) -> Result<()> {
        let Some(known) = self.workers.get(id) else { return Ok(()) };
        Worker::check_own(self.speakers.get(id).copied().flatten(), known.seen_at, caller, now)
    }

    pub(super) fn forget_worker(&mut self, caller: &Caller, id: &WorkerId, now: Timestamp) -> Result<()> {
        self.check_worker(caller, id, now)?;
        self.workers.remove(id);
        Ok(())
    }

    pub(super) fn see_worker(&mut self, caller: &Caller, info: &WorkerInfo, now: Timestamp) -> Result<bool> {
        self.check_worker(caller, &info.id, now)?;
        self.speakers.insert(info.id.clone(), caller.token_id);
        let draining = self.workers.get(&info.id).is_some_and(|worker| worker.draining);
        let worker = Worker {
            id: info.id.clone(),
            kinds: info.kinds.clone(),
            host: Some(info.host.clone()),
            pid: Some(info.pid),
            version: info.version.clone(),
            concurrency: info.concurrency,
            draining,
            seen_at: now,
            zone_data: info.zone_data.clone(),
        };
        self.workers.insert(info.id.clone(), worker);
        Ok(draining)
    }

    pub(super) fn live_workers(&self, now: Timestamp) -> Vec<Worker> {
        let live = |worker: &&Worker| now.since(worker.seen_at) < Worker::GONE_AFTER;
        self.workers.values().filter(live).cloned().collect()
    }

    pub(super) fn drain_worker(&mut self, caller: &Caller, id: &WorkerId, now: Timestamp) -> Result<()> {
        let worker =
            self.workers.get_mut(id).ok_or_else(|| Error::not_found(format_args!("worker: {id}")))?;
        let was_draining = std::mem::replace(&mut worker.draining, true);
        self.note(caller, OperatorAct::worker_drained(id, was_draining), now);
        Ok(())
    }

    pub(super) fn kinds(&self) -> Vec<KindSetting> {
        self.kinds.values().cloned().collect()
    }

    pub(super) fn pause_kind(
        &mut self,
        caller: &Caller,
        kind: &Kind,
        paused: bool,
        now: Timestamp,
    ) -> KindSetting {
        let before = self.kinds.get(kind).cloned();
        let act = OperatorAct::kind_set(kind, before.as_ref(), paused);
        let setting = match before {
            Some(setting) if setting.paused == paused => setting,
            Some(_) | None => {
                let (changed_at, changed_by) = (Some(now), Some(caller.actor.clone()));
                KindSetting { kind: kind.clone(), paused, changed_at, changed_by }
            }
        };
        self.kinds.insert(kind.clone(), setting.clone());
        self.note(caller, act, now);
        setting
    }

    pub(super) fn projects(&self, caller: &Caller) -> Vec<Project> {
        self.projects.values().filter(|project| caller.may_touch(Some(&project.id))).cloned().collect()
    }

    pub(super) fn create_project(&mut self, caller: &Caller, id: &ProjectId, now: Timestamp) -> Project {
        if let Some(project) = self.projects.get(id) {
            return project.clone();
        }
        let made = Project { id: id.clone(), created_at: now };
        self.projects.insert(id.clone(), made.clone());
        self.note(caller, Some(OperatorAct::project_created(&made)), now);
        made
    }

    pub(super) fn agent_tasks(&self, caller: &Caller) -> Vec<AgentTask> {
        let seen = |task: &&AgentTask| caller.may_touch(task.project_id.as_ref());
        let mut all: Vec<AgentTask> = self.agent_tasks.values().filter(seen).cloned().collect();
        all.sort_by_key(|task| Reverse((task.created_at, task.id.clone())));
        all.truncate(MAX_AGENT_TASKS);
        all
    }

    pub(super) fn create_agent_task(
        &mut self,
        caller: &Caller,
        new: &NewAgentTask,
        now: Timestamp,
    ) -> Result<AgentTask> {
        if let Some(project) = new.project_id.as_ref().filter(|id| !self.projects.contains_key(*id)) {
            return Err(unknown_project(project));
        }
        let NewAgentTask { id, title, project_id } = new.clone();
        let made = AgentTask { id: id.clone(), title, project_id, created_at: now };
        self.agent_tasks.entry(id).or_insert(made).clone().answers(new, caller)
    }
}

#[async_trait]
impl Directory for Model {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.see_worker(caller, worker, now))
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.forget_worker(caller, worker, now))
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        let now = self.clock.now();
        self.read(caller, |tenant| Ok(tenant.live_workers(now)))
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.drain_worker(caller, worker, now))
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        self.read(caller, |tenant| Ok(tenant.kinds()))
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.pause_kind(caller, kind, paused, now)))
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        self.read(caller, |tenant| Ok(tenant.projects(caller)))
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.create_project(caller, id, now)))
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        self.read(caller, |tenant| Ok(tenant.agent_tasks(caller)))
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.create_agent_task(caller, task, now))
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(self.tables().workspaces())
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let is_new = !tables.tenants.contains_key(id);
        let made = tables.create_workspace(id, now);
        tables.note(caller, is_new.then(|| OperatorAct::workspace_created(&made)), now);
        drop(tables);
        self.wake();
        Ok(made)
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let gone =
            tables.delete_workspace(id).ok_or_else(|| Error::not_found(format_args!("workspace: {id}")))?;
        tables.note(caller, Some(OperatorAct::workspace_deleted(&gone)), now);
        drop(tables);
        self.wake();
        Ok(())
    }
}
