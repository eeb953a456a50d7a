//! The verbs of runs: each in the file of its name, all of them here as the store calls them.

pub(crate) mod claim;
pub(crate) mod command;
pub(crate) mod enqueue;
pub(crate) mod enqueue_in;
mod expire;
pub(crate) mod finish;
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

use crate::Postgres;
use crate::connection::retry::{Idempotent, retry, retry_idempotent};

/// Who waits for work looks at most so often, however much happens.
const LOOKS_APART: Duration = Duration::from_millis(4);

#[async_trait]
impl RunStore for Postgres {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        if requests.iter().any(|request| request.priority > 0) {
            self.cursors.reset(caller);
        }
        let asked: Vec<enqueue::Asked> =
            requests.into_iter().map(|request| (caller.actor.clone(), request)).collect();
        match batch {
            Batch::EachAlone => self.enqueues.submit(caller, asked).await,
            Batch::AllOrNothing => {
                retry(Idempotent::Yes, |_| enqueue::whole(&self.database, caller, &asked)).await
            }
        }
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let answer = claim::with_retry(&self.database, &self.cursors, caller, request, token).await?;
        self.auto_analyze.count(&self.database, answer.claimed.len());
        Ok(answer)
    }

    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        let began = tokio::time::Instant::now();
        self.changed(seen, longest).await;
        tokio::time::sleep_until(began + LOOKS_APART.min(longest)).await;
        self.claim(caller, request, token).await
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        retry(Idempotent::Yes, |_| heartbeat::run(&self.database, caller, &holds, lease)).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        self.cursors.reset_after(caller, &reports);
        let reports = reports.into_iter().map(|drawn| finish::WorkerReport {
            actor: caller.actor.clone(),
            worker: worker.clone(),
            drawn,
        });
        self.finishes.submit(caller, reports.collect()).await
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        self.cursors.reset(caller);
        retry(command::idempotent(&command), |is_retry| {
            command::run(&self.database, caller, id, &command, is_retry)
        })
        .await
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        self.cursors.reset(caller);
        retry(Idempotent::No, |_| command::decide(&self.database, caller, ids, &rule)).await
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let record = |is_retry| record::run(&self.database, caller, hold, &steps, lines.clone(), is_retry);
        retry(Idempotent::Yes, record).await
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        retry(Idempotent::Yes, |_| expire::run(&self.database, caller, limit)).await
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        retry_idempotent(|| prune::run(&self.database, caller, retention, limit, dry_run)).await
    }

    async fn now(&self) -> Result<Timestamp> {
        retry_idempotent(|| self.database.now()).await
    }
}
