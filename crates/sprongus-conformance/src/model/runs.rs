//! The verbs of runs.

mod claim;
mod enqueue;
mod prune;
mod report;

use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::rules::WriteSet;
use sprongus_core::rules::enqueue::Prepared;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::Event;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::run::{Applied, Beat, ClaimRequest, Hold};
use sprongus_core::store::{Batch, ClaimAnswer, DrawnReport, Inserted, Rule, RunStore};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Caller, Result};

use crate::model::Model;

#[async_trait]
impl RunStore for Model {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        let act = self.present(caller);
        let mut tables = self.tables();
        // Ids are unique over all workspaces, as the primary key of a database makes them.
        let taken: Vec<bool> =
            requests.iter().map(|request| tables.holds_elsewhere(&caller.workspace, request.id)).collect();
        let answers = tables.tenant_mut(&caller.workspace)?.enqueue(caller, &requests, &taken, batch, act);
        drop(tables);
        self.wake();
        Ok(answers)
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let act = self.present(caller);
        let mut tables = self.tables();
        let answer = tables.tenant_mut(&caller.workspace)?.claim(caller, request, token, act)?;
        tables.list_gone(&caller.workspace);
        drop(tables);
        if !answer.events.is_empty() {
            self.wake();
        }
        Ok(answer)
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        let act = self.present(caller);
        self.write(caller, |tenant| {
            Ok(holds.iter().map(|hold| tenant.heartbeat(caller, hold, lease, act)).collect())
        })
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        let act = self.present(caller);
        self.write(caller, |tenant| {
            Ok(reports.iter().map(|drawn| tenant.finish(caller, worker, drawn, act)).collect())
        })
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.command(caller, id, &command, act))
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.decide(caller, ids, &rule, act))
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.record(caller, hold, &steps, lines, act))
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.expire(now, limit)))
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.prune(caller, retention, limit, dry_run, now)))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }
}
