//! The verbs: what changes a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::rules::enqueue::Prepared;
use crate::rules::{self, Act, WriteSet};
use crate::run::command::RunCommand;
use crate::run::event::Event;
use crate::run::lease::LeaseToken;
use crate::run::retention::{Pruned, Retention};
use crate::run::step::{LogLine, StepReport};
use crate::run::{Applied, Beat, ClaimRequest, Claimed, Enqueue, Hold, Report, Run};
use crate::store::Events;
use crate::values::ids::RunId;
use crate::values::names::WorkerId;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

/// Whether a batch may be made in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Each item on its own.
    EachAlone,
    /// All, or none.
    AllOrNothing,
}

/// A rule over several runs. It may be asked again, of the runs as they stand then, when a transaction has to be repeated.
pub type Rule = Arc<dyn Fn(&BTreeMap<RunId, Run>, Act<'_>) -> Result<WriteSet> + Send + Sync>;

/// What an enqueue did for one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Inserted {
    /// The run, and its event if it is new.
    pub applied: Applied,
    /// New or found.
    pub outcome: Enqueue,
}

impl Inserted {
    /// The answer to a request whose key or id `run` has: that run, if the same request had made it.
    ///
    /// # Errors
    /// As [`rules::enqueue::compare`].
    pub fn found(run: Run, request: &Prepared, caller: &Caller) -> Result<Self> {
        rules::enqueue::compare(&run, request, caller)?;
        Ok(Self { applied: Applied { run, events: Vec::new() }, outcome: Enqueue::Existing })
    }
}

/// What a claim gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimAnswer {
    /// The runs, in the order they are to be executed.
    pub claimed: Vec<Claimed>,
    /// Every event written on the way: of the runs claimed, and of those that time had changed.
    pub events: Vec<Event>,
    /// When nothing was there: how long until something that is known of falls due.
    pub next_due_in: Option<Duration>,
}

/// A report with the random draw for its backoff, made by the caller so that stores stay deterministic.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnReport {
    /// The report.
    pub report: Report,
    /// 0..1.
    pub draw: f64,
}

/// The verbs of runs, each one transaction. Whoever waits for work, waits for [`Events`].
#[async_trait]
pub trait RunStore: Events {
    /// Makes the runs, or finds those made before: by key first, then by id. One answer an item, in order; a project or agent
    /// task nobody made is refused before anything is looked up. An unknown workspace is `not_found` for the whole call.
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>>;

    /// Moves a few due timers, then gives up to `limit` runs. Does not wait. A named claim that gave something gives, when it is
    /// asked again, what its worker still holds of that, and nothing else.
    ///
    /// What it gives is held under `token`, whose hash alone is kept; a repeat replaces the hash, and so voids the token before. To
    /// anybody but the worker and the API token that made it, and to a caller who may not touch what it gave, a named claim is
    /// `conflict`.
    async fn claim(&self, caller: &Caller, request: &ClaimRequest, token: &LeaseToken)
    -> Result<ClaimAnswer>;

    /// Waits for a change past `seen`, for `longest` at most, and claims then; may come back early with nothing. A store that can
    /// start a claim sooner than its caller could, does so here.
    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        self.changed(seen, longest).await;
        self.claim(caller, request, token).await
    }

    /// Lengthens the leases of the runs held. One answer an item, in order.
    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>>;

    /// Ends executions. One answer an item, in order.
    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>>;

    /// Carries out a command: reads the run, asks [`RunCommand::decide`] and writes what it answers.
    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied>;

    /// Asks a rule about several runs, read under their locks, and writes what it answers in the same transaction. Of `ids`, those
    /// that do not exist or that the caller may not touch are left out. Answers what was written.
    ///
    /// The verbs of single runs have methods of their own; this is for rules that decide over many.
    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet>;

    /// Writes steps and log lines under a hold, together.
    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>>;

    /// Moves up to `limit` due timers of the workspace; how many there were, and what was written.
    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)>;

    /// Takes a batch of at most `limit` runs that `retention` lets go, or counts all of them in a dry run.
    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned>;

    /// The present, by the clock the rules are given.
    async fn now(&self) -> Result<Timestamp>;
}
