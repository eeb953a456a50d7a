//! Figures: of now, and added up from the stream.

pub(crate) mod recent;
pub(crate) mod rollup;
pub(crate) mod stats;

use std::collections::BTreeMap;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::figures::rollup::{Minute, Totals};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::store::Figures;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;

use crate::Sqlite;

#[async_trait]
impl Figures for Sqlite {
    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        let caller = caller.clone();
        self.read(move |connection, now| stats::stats(connection, &caller, now)).await
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        let caller = caller.clone();
        self.writer.write(move |tx| rollup::roll_up(tx, &caller, limit)).await
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        let caller = caller.clone();
        self.writer.write(move |tx| rollup::forget(tx, &caller)).await
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::read_to(connection, &caller)).await
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::totals(connection, &caller)).await
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::minutes(connection, &caller, since, before)).await
    }
}
