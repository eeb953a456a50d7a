//! Figures: of now, and added up from the stream.

pub(crate) mod recent;
mod rollup;
mod stats;

use std::collections::BTreeMap;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::figures::rollup::{Minute, Totals};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::store::Figures;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;

use crate::Postgres;
use crate::connection::retry::retry_idempotent;

#[async_trait]
impl Figures for Postgres {
    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        retry_idempotent(|| stats::stats(&self.database, caller)).await
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        retry_idempotent(|| rollup::roll_up(&self.database, caller, limit)).await
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        retry_idempotent(|| rollup::forget(&self.database, caller)).await
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        retry_idempotent(|| rollup::read_to(&self.database, caller)).await
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        retry_idempotent(|| rollup::totals(&self.database, caller)).await
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        retry_idempotent(|| rollup::minutes(&self.database, caller, since, before)).await
    }
}
