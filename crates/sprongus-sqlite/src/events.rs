//! What happened: the stream, forwards and backwards, what operators did, and the sign that something has changed.

pub(crate) mod audit;
pub(crate) mod operator;
pub(crate) mod stream;

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::run::list::Page;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::runs::Caller;
use sprongus_core::store::Events;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage};
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};

use crate::Sqlite;
use crate::connection::wake::Watch;

#[async_trait]
impl Events for Sqlite {
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, _| operator::events(connection, &caller, &filter)).await
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        let caller = caller.clone();
        self.read(move |connection, _| stream::stream(connection, &caller, after, limit)).await
    }

    async fn stream_end(&self, _caller: &Caller) -> Result<StreamPosition> {
        self.read(|connection, _| stream::stream_end(connection)).await
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, _| audit::audit(connection, &caller, before, &filter, limit)).await
    }

    fn generation(&self) -> u64 {
        *self.changed.borrow()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        let mut changes = self.changed.subscribe();
        let _waiter = self.watch().map(Watch::wait);
        let past = changes.wait_for(|generation| *generation > seen);
        // Either way the caller looks again.
        let _ = tokio::time::timeout(longest, past).await;
    }
}
