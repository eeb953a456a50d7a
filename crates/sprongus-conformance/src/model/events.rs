//! What happened: the stream, forwards and backwards, and what operators did.

mod audit;
mod operator;
mod stream;

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::run::list::Page;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::store::Events;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage};
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::{Caller, Result};

use crate::model::Model;

#[async_trait]
impl Events for Model {
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        self.read(caller, |tenant| tenant.operator_events(filter))
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        self.read(caller, |tenant| Ok(tenant.stream(caller, after, limit)))
    }

    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition> {
        self.read(caller, |tenant| Ok(tenant.stream_end()))
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        self.read(caller, |tenant| Ok(tenant.audit(caller, before, filter, limit)))
    }

    fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        let mut generation = self.generation.subscribe();
        let past = generation.wait_for(|&generation| generation > seen);
        // Running out of time is an answer like any other here: the caller looks again.
        let _ = tokio::time::timeout(longest, past).await;
    }
}
