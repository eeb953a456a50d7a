//! What a worker asks for, what it is given, and what it reports: claims, leases, heartbeats and endings.

use std::time::Duration;

use serde::Serialize;

use crate::json::Json;
use crate::run::lease::LeaseToken;
use crate::run::step::Step;
use crate::run::{Gate, Run};
use crate::values::ids::RunId;
use crate::values::names::{ClaimId, Kind, WorkerId};
use crate::values::time::Timestamp;

/// What a worker asks for when it wants work.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRequest {
    /// The worker that claims or holds.
    pub worker_id: WorkerId,
    /// The kinds it serves; none means any.
    pub kinds: Option<Vec<Kind>>,
    /// At most so many, 1 to 1,000.
    pub limit: u32,
    /// How long the lease lasts without a heartbeat, 1 s to 1 h.
    pub lease: Duration,
    /// How long to wait for work when there is none, up to 60 s.
    pub wait: Duration,
    /// The claim's own name: the same again gives the same runs.
    pub claim_id: Option<ClaimId>,
}

impl ClaimRequest {
    /// The lease where nothing else is said.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

    /// Up to `limit` runs of any kind, not waiting for work.
    pub fn new(worker_id: WorkerId, limit: u32) -> Self {
        let (lease, wait) = (Self::DEFAULT_LEASE, Duration::ZERO);
        Self { worker_id, kinds: None, limit, lease, wait, claim_id: None }
    }
}

/// A worker's hold on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The worker that claims or holds.
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// What every report under it must bring. Told here alone; a repeat of the claim tells a new one.
    pub token: LeaseToken,
    /// How long it lasts without a heartbeat: what a worker should count with, on its own clock.
    pub lease_ms: u64,
    /// When it ends by the store's clock; for people.
    pub expires_at: Timestamp,
}

impl Lease {
    /// The hold on run `id` that reports under this lease are made with.
    pub fn hold(&self, id: RunId) -> Hold {
        Hold { id, worker_id: self.worker_id.clone(), epoch: self.epoch, token: self.token.clone() }
    }
}

/// What an execution that carries on behind a gate is given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resume {
    /// The steps of the attempt so far.
    pub steps: Vec<Step>,
    /// The gate that was passed.
    pub gate: Gate,
    /// The route of the kept work directory, if one was kept.
    pub workdir: Option<String>,
}

/// A claimed run, as a store gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The run, running now; ended when only its CLEANUP is wanted.
    pub run: Run,
    /// The hold on it.
    pub lease: Lease,
    /// Only its CLEANUP is wanted: it has ended.
    pub cleanup: bool,
    /// What to carry on from.
    pub resume: Option<Resume>,
}

impl Claimed {
    /// The hold that reports under this claim are made with.
    pub fn hold(&self) -> Hold {
        self.lease.hold(self.run.id)
    }
}

/// Which hold a report is made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The run that is held.
    pub id: RunId,
    /// The worker that claims or holds.
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token which that claim told.
    pub token: LeaseToken,
}

/// A heartbeat's answer for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// How long the lease lasts from now.
    pub lease_ms: u64,
    /// The run was called off: stop its process and clean up.
    pub cancel: bool,
    /// The worker should stop claiming and finish what it holds.
    pub drain: bool,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The run succeeds.
    Succeed {
        /// What it came to.
        result: Option<Json>,
        /// A reference to its output, up to 4 KiB.
        output_ref: Option<String>,
    },
    /// The attempt fails; the run is queued again while attempts are left.
    Fail {
        /// Why; cut at 16 KiB.
        error: String,
        /// Whether another attempt may help.
        retryable: bool,
        /// How long to wait before it, up to 24 h; the default backoff when absent.
        retry_in: Option<Duration>,
    },
    /// Not at all: the run goes back, its attempt with it.
    Release,
}

/// One execution's end.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The run that is held.
    pub id: RunId,
    /// Under which claim.
    pub epoch: u64,
    /// The token which that claim told.
    pub token: LeaseToken,
    /// What the run makes of it.
    pub outcome: Outcome,
}

impl Hold {
    /// The end of an execution that is held so.
    pub fn report(&self, outcome: Outcome) -> Report {
        Report { id: self.id, epoch: self.epoch, token: self.token.clone(), outcome }
    }
}

impl Report {
    /// The hold it is made under by `worker`.
    pub fn hold(&self, worker: &WorkerId) -> Hold {
        Hold { id: self.id, worker_id: worker.clone(), epoch: self.epoch, token: self.token.clone() }
    }
}
