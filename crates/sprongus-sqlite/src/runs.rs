//! The verbs of runs: each in the file of its name, all of them here as the store calls them.

pub(crate) mod claim;
mod command;
pub(crate) mod enqueue;
pub(crate) mod expire;
mod finish;
mod heartbeat;
pub(crate) mod load;
pub(crate) mod prune;
mod record;
pub(crate) mod write_set;

use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::rules::WriteSet;
use sprongus_core::rules::enqueue::Prepared;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::Event;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::run::{Applied, Beat, ClaimRequest, Hold};
use sprongus_core::runs::Caller;
use sprongus_core::store::{Batch, ClaimAnswer, DrawnReport, Events, Inserted, Rule, RunStore};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;

use crate::Sqlite;

#[async_trait]
impl RunStore for Sqlite {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        let (caller, backlog) = (caller.clone(), &self.writer.enqueues);
        self.writer.write_all(backlog, requests, move |tx, all| enqueue::run(tx, &caller, all, batch)).await
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let (check, write) = claim::check_and_claim(&self.readers.clock, caller, request, token);
        self.writer.read_then_write(check, write).await
    }

    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        let (check, write) = claim::check_and_claim(&self.readers.clock, caller, request, token);
        match self.writer.write_when_ready(check, write, self.changed(seen, longest)).await? {
            Some(answer) => Ok(answer),
            None => self.claim(caller, request, token).await,
        }
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        let caller = caller.clone();
        self.writer.write(move |tx| heartbeat::run(tx, &caller, &holds, lease)).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        let (caller, worker, backlog) = (caller.clone(), worker.clone(), &self.writer.finishes);
        self.writer.write_all(backlog, reports, move |tx, all| finish::run(tx, &caller, &worker, all)).await
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        let caller = caller.clone();
        self.writer.write(move |tx| command::run(tx, &caller, id, &command)).await
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        let (caller, ids) = (caller.clone(), ids.to_vec());
        self.writer.write(move |tx| command::decide(tx, &caller, &ids, &rule)).await
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let (caller, hold) = (caller.clone(), hold.clone());
        self.writer.write(move |tx| record::run(tx, &caller, &hold, &steps, &lines)).await
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        let caller = caller.clone();
        self.writer.write(move |tx| expire::run(tx, &caller, limit)).await
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        let (caller, retention) = (caller.clone(), retention.clone());
        if dry_run {
            return self
                .read(move |connection, now| prune::count(connection, &caller, &retention, now))
                .await;
        }
        self.writer.write(move |tx| prune::run(tx, &caller, &retention, limit)).await
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.readers.clock.now())
    }
}
