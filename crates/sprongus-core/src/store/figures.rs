//! Figures over many runs.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::error::Result;
use crate::figures::rollup::{Minute, Totals};
use crate::run::stream::StreamPosition;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;
use crate::workspace::directory::Stats;

/// Figures: those of now, and those that are added up from the stream.
#[async_trait]
pub trait Figures: Send + Sync + 'static {
    /// The figures.
    async fn stats(&self, caller: &Caller) -> Result<Stats>;

    /// Adds the next events of the caller's workspace, up to `limit` of its stream, to its minutes ([`crate::figures::rollup`]). How many were
    /// looked at: none when there are no more, or somebody else is at it. A store that keeps what named claims gave forgets on the way
    /// those of an hour ago.
    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32>;

    /// Forgets what [`Figures::roll_up`] has made of the caller's workspace, which then begins with the first event there is. Who is in the
    /// middle of it is waited for.
    async fn forget_figures(&self, caller: &Caller) -> Result<()>;

    /// How far [`Figures::roll_up`] has read the stream of the caller's workspace.
    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition>;

    /// Everything that ever happened in the caller's workspace, kind by kind, as far as [`Figures::roll_up`] has read. It only grows, until it is
    /// forgotten.
    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>>;

    /// The minutes of the caller's workspace from `since` on and before `before`, in their order, kind by kind; a minute in which
    /// nothing happened is left out. Refused to a caller who is narrowed to projects: they are of all of them.
    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>>;
}
