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

use crate::Postgres;
use crate::connection::retry::retry_idempotent;

#[async_trait]
impl Events for Postgres {
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        retry_idempotent(|| operator::events(&self.database, caller, filter)).await
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        retry_idempotent(|| stream::stream(&self.database, caller, after, limit)).await
    }

    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition> {
        retry_idempotent(|| stream::stream_end(&self.database, caller)).await
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        retry_idempotent(|| audit::audit(&self.database, caller, before, filter, limit)).await
    }

    fn generation(&self) -> u64 {
        self.wake.generation()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        self.wake.changed(seen, longest).await;
    }
}
