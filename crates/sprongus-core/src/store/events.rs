//! What happened, and the sign that something has.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::run::list::Page;
use crate::run::stream::{StreamPosition, Streamed};
use crate::workspace::audit::{AuditFilter, AuditPage};
use crate::workspace::caller::Caller;
use crate::workspace::operator::{OperatorEvent, OperatorFilter};

/// The stream of events, what operators did, and the sign that something has changed.
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// A page of what operators did in the caller's workspace, newest first. Each act that is one ([`crate::workspace::operator`]) writes its event
    /// in its own transaction.
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>>;

    /// Up to `limit` events of the caller's workspace behind `after`, in the order of the stream: none is ever put before one
    /// that was read. A caller who is narrowed to projects reads of their runs alone. Events of a run are before those of the workspace
    /// ([`crate::run::stream::StreamedEvent`]) that the same transaction wrote.
    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>>;

    /// The end of the stream: what is committed from now on lies behind it. Where [`Events::stream`] then has nothing, a reader goes on
    /// from here, and does not walk again over what belongs to others.
    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition>;

    /// Up to `limit` events of the stream before `before`, or of its end, that are looked for; newest first. It walks over
    /// [`crate::workspace::audit::WALKED`] events at most, and says where to look on from.
    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage>;

    /// A number that grows when anything may have changed. Read it before looking, then wait with [`Events::changed`]: no
    /// change in between is missed.
    fn generation(&self) -> u64;

    /// Waits until the generation is past `seen`, or for `longest`. A hint: it may end early, and what other processes change
    /// may be noticed late, within half a second.
    async fn changed(&self, seen: u64, longest: Duration);
}
