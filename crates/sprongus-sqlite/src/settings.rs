//! Settings: kept as they are given, and schedules brought up to the present where timers are.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::calendar::Zones;
use sprongus_core::rules::schedule::{LiveRuns, MOST_PER_CLAIM, tick};
use sprongus_core::rules::{Act, SYSTEM, WriteSet};
use sprongus_core::run::event::Event;
use sprongus_core::runs::Caller;
use sprongus_core::schedule::{LATE, ScheduleFigures};
use sprongus_core::store::Settings;
use sprongus_core::store::settings::{SettingsRead, SettingsRule, runs_to_read, runs_to_tick};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::{Family, Setting};

use crate::Sqlite;
use crate::connection::writer::Tx;
use crate::directory::check_workspace;
use crate::rows::{self, setting_columns};
use crate::runs::enqueue::BY_ID;
use crate::runs::load;
use crate::runs::write_set::write;

const PAGE: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = ?1 AND family = ?2 AND id > ?3 ORDER BY id LIMIT ?4"
);
const ONE: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = ?1 AND family = ?2 AND id = ?3"
);
pub(crate) const DUE: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings INDEXED BY settings_due WHERE workspace_id = ?1 AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3"
);
pub(crate) const TICKS: &str = "
    SELECT scheduled_for FROM runs INDEXED BY runs_by_tick
    WHERE workspace_id = ?1 AND schedule_id = ?2 AND scheduled_for IN (SELECT value FROM json_each(?3))";

/// Each figure with what it is of ([`ScheduleFigures::read`]).
const FIGURES: &str = "
    WITH mine AS MATERIALIZED (
        SELECT CASE WHEN definition ->> '$.paused' THEN 'paused' WHEN progress ->> '$.broken' IS NOT NULL THEN 'broken'
            WHEN progress ->> '$.next' IS NULL AND json_array_length(progress, '$.waiting') = 0 THEN 'ended'
            ELSE 'active' END AS state, due_at < ?3 AS late, progress
        FROM settings WHERE workspace_id = ?1 AND family = ?2)
    SELECT 'state', state, count(*) FROM mine GROUP BY state
    UNION ALL SELECT 'late', '', count(*) FROM mine WHERE late
    UNION ALL SELECT 'skipped', key, sum(value) FROM mine, json_each(progress, '$.skipped') GROUP BY key";

#[async_trait]
impl Settings for Sqlite {
    fn zones(&self) -> Arc<dyn Zones> {
        Arc::clone(&self.zones)
    }

    async fn settings(
        &self,
        caller: &Caller,
        family: Family,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Setting>> {
        let (caller, after) = (caller.clone(), after.to_owned());
        self.read(move |connection, _| {
            rows::all(
                connection,
                PAGE,
                (caller.workspace.as_str(), family.as_str(), after, limit),
                rows::setting,
            )
        })
        .await
    }

    async fn settings_of(&self, caller: &Caller, family: Family, ids: &[String]) -> Result<Vec<Setting>> {
        let (caller, ids) = (caller.clone(), ids.to_vec());
        self.read(move |connection, _| of(connection, &caller, family, &ids)).await
    }

    async fn change_settings(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
        rule: SettingsRule,
    ) -> Result<WriteSet> {
        let (caller, ids) = (caller.clone(), ids.to_vec());
        self.writer
            .write(move |tx| {
                check_workspace(tx, &caller)?;
                let settings = of(tx.connection, &caller, family, &ids)?;
                let live = live_runs(tx.connection, &caller, runs_to_read(&settings))?;
                let read = SettingsRead { settings, live };
                let set = rule(&read, Act { now: tx.now, actor: &caller.actor })?;
                write(tx, &caller, &set)?;
                Ok(set)
            })
            .await
    }

    async fn ticks_with_runs(
        &self,
        caller: &Caller,
        schedule: &ScheduleId,
        ticks: &[Timestamp],
    ) -> Result<BTreeSet<Timestamp>> {
        let (caller, schedule, ticks) = (caller.clone(), schedule.clone(), rows::to_json(&ticks)?);
        self.read(move |connection, _| {
            let params = (caller.workspace.as_str(), schedule.as_str(), ticks);
            Ok(rows::all(connection, TICKS, params, |row| row.parse())?.into_iter().collect())
        })
        .await
    }

    async fn schedule_figures(&self, caller: &Caller) -> Result<ScheduleFigures> {
        let caller = caller.clone();
        self.read(move |connection, now| {
            let params = (caller.workspace.as_str(), Family::Schedule.as_str(), now.minus(LATE).to_string());
            let found: Vec<(String, String, u64)> = rows::all(connection, FIGURES, params, |row| {
                Ok((row.value()?, row.value()?, row.integer()?))
            })?;
            Ok(ScheduleFigures::read(found))
        })
        .await
    }
}

/// Brings due schedules up to the present; how many, and what was written.
pub fn move_due(tx: &Tx<'_>, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
    let params = (caller.workspace.as_str(), tx.now.to_string(), limit.min(MOST_PER_CLAIM));
    let due: Vec<Setting> = rows::all(tx.connection, DUE, params, rows::setting)?;
    let system = Caller::new(caller.workspace.clone(), SYSTEM);
    let mut written = Vec::new();
    for setting in &due {
        let live = live_runs(tx.connection, &system, runs_to_tick(std::slice::from_ref(setting)))?;
        let set = match setting.family {
            Family::Schedule => tick(setting, &live, tx.zones, Act { now: tx.now, actor: SYSTEM }),
        };
        write(tx, &system, &set)?;
        written.extend(set.events().cloned());
    }
    Ok((u32::try_from(due.len()).unwrap_or(u32::MAX), written))
}

fn of(connection: &Connection, caller: &Caller, family: Family, ids: &[String]) -> Result<Vec<Setting>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let params = (caller.workspace.as_str(), family.as_str(), id);
        found.extend(rows::first(connection, ONE, params, rows::setting)?);
    }
    Ok(found)
}

fn live_runs(connection: &Connection, caller: &Caller, ids: Vec<RunId>) -> Result<LiveRuns> {
    let mut live = LiveRuns::new();
    for id in ids {
        let key = (id.to_string(), caller.workspace.as_str());
        let Some(run) = rows::first(connection, BY_ID, key, rows::run)? else { continue };
        let waits_at = load::waits_at(connection, &run)?;
        live.insert(id, (run, waits_at));
    }
    Ok(live)
}
