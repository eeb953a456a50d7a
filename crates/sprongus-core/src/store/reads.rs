//! What is read of runs.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::error::Result;
use crate::run::Run;
use crate::run::event::Event;
use crate::run::follow::{News, ReadSoFar};
use crate::run::list::{ListFilter, Page};
use crate::run::step::{NumberedLine, Step};
use crate::values::ids::RunId;
use crate::values::names::WorkerId;
use crate::workspace::caller::Caller;

/// Runs and what belongs to them. A call of several reads sees one instant.
#[async_trait]
pub trait Reads: Send + Sync + 'static {
    /// One run.
    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run>;

    /// The run of an idempotency key.
    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>>;

    /// A page of runs.
    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>>;

    /// A run's steps, by attempt, then by epoch (a released attempt has several), then by ordinal.
    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>>;

    /// Up to `limit` of a run's events after `after`.
    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>>;

    /// Up to about `limit` of a run's log lines after `after`.
    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>>;

    /// What is new of a run, at one instant.
    async fn news(&self, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News>;

    /// How many runs each worker holds: those it executes, those whose end it is just reporting, and CLEANUPs. Workers that hold none
    /// may be left out. Whoever asks, all runs of the workspace count.
    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>>;

    /// How many runs of its kind, that the caller may touch, a claim would give before `run`; [`crate::run::waiting::MOST_COUNTED`] at most.
    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64>;
}
