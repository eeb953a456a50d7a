//! What the model keeps: per workspace the runs with all that belongs to them, and the two indexes every store has.

use std::collections::{BTreeMap, BTreeSet};

use sprongus_core::figures::rollup::{Counts, Totals};
use sprongus_core::rules::artifact::is_done_with_workdir;
use sprongus_core::rules::claim::Remembered;
use sprongus_core::rules::order::Order;
use sprongus_core::rules::placement::Placement;
use sprongus_core::rules::{SYSTEM, Transition, WriteSet};
use sprongus_core::run::Run;
use sprongus_core::run::artifact::{FileName, StoredFile};
use sprongus_core::run::event::Event;
use sprongus_core::run::step::{NumberedLine, Step};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::values::ids::{RunId, TokenId};
use sprongus_core::values::names::{AgentTaskId, ClaimId, Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, Project, Worker, Workspace, unknown_workspace,
};
use sprongus_core::workspace::operator::OperatorEvent;
use sprongus_core::workspace::setting::{Family, Setting, SettingWrite};
use sprongus_core::workspace::token::Token;
use sprongus_core::{Caller, Error, Result};

use super::sessions::Kept;

/// Every workspace.
pub(super) struct Tables {
    pub(super) tenants: BTreeMap<WorkspaceId, Tenant>,
    /// The places whose bytes are to be deleted, and since when or when.
    pub(super) unwanted: BTreeMap<String, Timestamp>,
}

/// What belongs to one workspace.
pub(super) struct Tenant {
    pub(super) id: WorkspaceId,
    pub(super) created_at: Timestamp,
    pub(super) rows: BTreeMap<RunId, Row>,
    pub(super) keys: BTreeMap<String, RunId>,
    /// What can be claimed, in the order it is.
    pub(super) ready: BTreeSet<Order>,
    /// What time will change, the next one first.
    pub(super) timers: BTreeSet<(Timestamp, RunId)>,
    pub(super) claims: BTreeMap<ClaimId, (Remembered, Vec<(RunId, u64)>)>,
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) agent_tasks: BTreeMap<AgentTaskId, AgentTask>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    /// The API token that each worker speaks with.
    pub(super) speakers: BTreeMap<WorkerId, Option<TokenId>>,
    pub(super) kinds: BTreeMap<Kind, KindSetting>,
    /// With the hash of each.
    pub(super) tokens: BTreeMap<TokenId, (Token, String)>,
    /// What operators did, oldest first.
    pub(super) operator_events: Vec<OperatorEvent>,
    /// Those of them that are in the stream, by their place in it.
    pub(super) streamed_acts: BTreeMap<u64, OperatorEvent>,
    pub(super) settings: BTreeMap<(Family, String), Setting>,
    /// By their hashes.
    pub(super) sessions: BTreeMap<String, Kept>,
    /// How many events the stream has had.
    pub(super) streamed: u64,
    /// How far the minutes have been made of it.
    pub(super) rolled: StreamPosition,
    pub(super) minutes: BTreeMap<(Timestamp, String), Counts>,
    pub(super) totals: BTreeMap<String, Totals>,
    /// The places of files that went in this call.
    pub(super) gone: Vec<String>,
}

/// A run and what belongs to it.
pub(super) struct Row {
    pub(super) run: Run,
    pub(super) events: Vec<Event>,
    /// The place of each event in the workspace's stream.
    pub(super) places: Vec<u64>,
    /// By epoch and ordinal.
    pub(super) steps: BTreeMap<(u64, u32), Step>,
    pub(super) lines: Vec<NumberedLine>,
    /// By the name a store has for each.
    pub(super) files: BTreeMap<String, StoredFile>,
    pub(super) ready_at: Option<Order>,
    timer_at: Option<Timestamp>,
}

impl Tables {
    pub(super) fn new(now: Timestamp) -> Self {
        let mut tables = Self { tenants: BTreeMap::new(), unwanted: BTreeMap::new() };
        tables.create_workspace(&WorkspaceId::local(), now);
        tables
    }

    pub(super) fn tenant(&self, id: &WorkspaceId) -> Result<&Tenant> {
        self.tenants.get(id).ok_or_else(|| unknown_workspace(id))
    }

    pub(super) fn tenant_mut(&mut self, id: &WorkspaceId) -> Result<&mut Tenant> {
        self.tenants.get_mut(id).ok_or_else(|| unknown_workspace(id))
    }

    pub(super) fn holds_elsewhere(&self, own: &WorkspaceId, id: RunId) -> bool {
        self.tenants.iter().any(|(workspace, tenant)| workspace != own && tenant.rows.contains_key(&id))
    }

    pub(super) fn create_workspace(&mut self, id: &WorkspaceId, now: Timestamp) -> Workspace {
        let tenant = self.tenants.entry(id.clone()).or_insert_with(|| Tenant::new(id.clone(), now));
        Workspace { id: id.clone(), created_at: tenant.created_at }
    }

    pub(super) fn workspaces(&self) -> Vec<Workspace> {
        let all = self.tenants.iter();
        all.map(|(id, tenant)| Workspace { id: id.clone(), created_at: tenant.created_at }).collect()
    }
}

impl Tenant {
    fn new(id: WorkspaceId, created_at: Timestamp) -> Self {
        Self {
            id,
            created_at,
            rows: BTreeMap::new(),
            keys: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            claims: BTreeMap::new(),
            projects: BTreeMap::new(),
            agent_tasks: BTreeMap::new(),
            workers: BTreeMap::new(),
            speakers: BTreeMap::new(),
            kinds: BTreeMap::new(),
            tokens: BTreeMap::new(),
            operator_events: Vec::new(),
            streamed_acts: BTreeMap::new(),
            settings: BTreeMap::new(),
            sessions: BTreeMap::new(),
            streamed: 0,
            rolled: StreamPosition::default(),
            minutes: BTreeMap::new(),
            totals: BTreeMap::new(),
            gone: Vec::new(),
        }
    }

    /// The run, if the caller may see it; what it may not see and what does not exist are answered alike.
    pub(super) fn row(&self, caller: &Caller, id: RunId) -> Result<&Row> {
        let row = self.rows.get(&id).filter(|row| caller.may_touch(row.run.project_id.as_ref()));
        row.ok_or_else(|| Error::not_found(format_args!("run: {id}")))
    }

    /// Writes a set as it is; what it notes is noted of the system.
    pub(super) fn write(&mut self, set: WriteSet, now: Timestamp) {
        let system = Caller::new(self.id.clone(), SYSTEM);
        self.write_by(&system, set, now);
    }

    /// Writes a set as it is.
    pub(super) fn write_by(&mut self, caller: &Caller, set: WriteSet, now: Timestamp) {
        let WriteSet { new_runs, transitions, settings, acts } = set;
        for write in settings {
            match write {
                SettingWrite::Put(setting) => {
                    self.settings.insert((setting.family, setting.id.clone()), *setting);
                }
                SettingWrite::Delete(family, id) => {
                    self.settings.remove(&(family, id));
                }
            }
        }
        for new in new_runs {
            self.keys.extend(new.run.idempotency_key.clone().map(|key| (key, new.run.id)));
            self.write_one(new, now);
        }
        for transition in transitions {
            self.write_one(transition, now);
        }
        for event in acts.into_iter().map(|act| act.by(caller, now)) {
            if event.kind.is_streamed() {
                self.streamed += 1;
                self.streamed_acts.insert(self.streamed, event.clone());
            }
            self.operator_events.push(event);
        }
    }

    /// The run, its events and steps, its place in the indexes.
    pub(super) fn write_one(&mut self, transition: Transition, now: Timestamp) {
        let Transition { run, events, steps } = transition;
        let id = run.id;
        let row = self.rows.entry(id).or_insert_with(|| Row {
            run: run.clone(),
            events: Vec::new(),
            places: Vec::new(),
            steps: BTreeMap::new(),
            lines: Vec::new(),
            files: BTreeMap::new(),
            ready_at: None,
            timer_at: None,
        });
        row.run = run;
        row.steps.extend(steps.into_iter().map(|step| ((step.epoch, step.ordinal), step)));
        for event in events {
            self.streamed += 1;
            row.places.push(self.streamed);
            row.events.push(event);
        }
        if is_done_with_workdir(&row.run) {
            self.gone.extend(row.files.remove(FileName::WORKDIR).map(|stored| stored.file.location));
        }
        self.place(id, now);
    }

    /// Finds the run's place in the indexes again.
    pub(super) fn place(&mut self, id: RunId, now: Timestamp) {
        self.displace(id);
        let Some(row) = self.rows.get_mut(&id) else { return };
        let placement = Placement::of(&row.run, now);
        (row.ready_at, row.timer_at) = (placement.is_ready().then(|| Order::of(&row.run)), placement.timer());
        self.ready.extend(row.ready_at);
        self.timers.extend(row.timer_at.map(|at| (at, id)));
    }

    fn displace(&mut self, id: RunId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(place) = row.ready_at.take() {
            self.ready.remove(&place);
        }
        if let Some(at) = row.timer_at.take() {
            self.timers.remove(&(at, id));
        }
    }

    /// Takes the run and all that belongs to it.
    pub(super) fn remove(&mut self, id: RunId) {
        self.displace(id);
        let Some(row) = self.rows.remove(&id) else { return };
        if let Some(key) = &row.run.idempotency_key {
            self.keys.remove(key);
        }
        self.gone.extend(row.files.into_values().map(|stored| stored.file.location));
    }
}
