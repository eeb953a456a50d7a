//! Figures: of now, and added up from the stream.

mod rollup;
mod stats;

use std::collections::BTreeMap;

use async_trait::async_trait;
use sprongus_core::figures::rollup::{Minute, Totals, admit};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::store::Figures;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;
use sprongus_core::{Caller, Result};

use crate::model::Model;

#[async_trait]
impl Figures for Model {
    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        let now = self.clock.now();
        self.read(caller, |tenant| Ok(tenant.stats(caller, now)))
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        admit(caller)?;
        let now = self.clock.now();
        Ok(self.tables().tenant_mut(&caller.workspace)?.roll_up(caller, limit, now))
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        admit(caller)?;
        let now = self.clock.now();
        self.tables().tenant_mut(&caller.workspace)?.forget_figures(caller, now);
        Ok(())
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        self.read(caller, |tenant| Ok(tenant.rolled))
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        admit(caller)?;
        self.read(caller, |tenant| Ok(tenant.totals.clone()))
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        admit(caller)?;
        self.read(caller, |tenant| Ok(tenant.minutes(since, before)))
    }
}
