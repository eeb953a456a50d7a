//! Settings: kept as they are given, and schedules brought up to the present where timers are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use sprongus_core::calendar::Zones;
use sprongus_core::rules::schedule::{LiveRuns, MOST_PER_CLAIM, tick};
use sprongus_core::rules::{Act, SYSTEM, WriteSet};
use sprongus_core::run::Run;
use sprongus_core::run::event::Event;
use sprongus_core::runs::Caller;
use sprongus_core::schedule::{LATE, ScheduleFigures};
use sprongus_core::store::Settings;
use sprongus_core::store::settings::{SettingsRead, SettingsRule, runs_to_read, runs_to_tick};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::{Family, Setting};

use crate::Postgres;
use crate::connection::clock::now_sql;
use crate::connection::retry::{Idempotent, retry};
use crate::connection::session::{Database, Params, Session};
use crate::error::Result;
use crate::rows::values::Time;
use crate::rows::{self, millis, setting_columns};
use crate::runs::load::{lock_in, waiting_steps};
use crate::runs::write_set::SetWriter;

pub(crate) const PAGE: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = $1 AND family = $2 AND id > $3 AND revision > 0 ORDER BY id LIMIT $4"
);
pub(crate) const OF: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = $1 AND family = $2 AND id = ANY ($3::text[]) AND revision > 0 ORDER BY id"
);
/// A row for each id, locked; of one that does not exist yet a place for it.
const RESERVE: &str = "
    INSERT INTO settings (workspace_id, family, id, revision, managed_by, definition, progress, created_at, updated_at)
    SELECT $1, $2, given, 0, 'api', 'null', 'null', clock_timestamp(), clock_timestamp() FROM unnest($3::text[]) AS given
    ORDER BY given ON CONFLICT DO NOTHING";
pub(crate) const LOCK: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = $1 AND family = $2 AND id = ANY ($3::text[]) ORDER BY id FOR UPDATE"
);
const UNRESERVE: &str =
    "DELETE FROM settings WHERE workspace_id = $1 AND family = $2 AND id = ANY ($3::text[]) AND revision = 0";
/// Those that are due, oldest first, locked; another that is at it takes others.
pub(crate) const TAKE_DUE: &str = concat!(
    "SELECT ",
    setting_columns!(),
    " FROM settings WHERE workspace_id = $1
        AND due_at <= (SELECT coalesce($2::timestamptz, date_trunc('milliseconds', clock_timestamp())))
    ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED"
);
pub(crate) const TICKS: &str = "
    SELECT scheduled_for FROM runs WHERE workspace_id = $1 AND schedule_id = $2 AND scheduled_for = ANY ($3::timestamptz[])";

/// Each figure with what it is of ([`ScheduleFigures::read`]).
const FIGURES: &str = concat!(
    "WITH kept AS MATERIALIZED (
        SELECT definition::jsonb AS definition, progress::jsonb AS progress, due_at FROM settings
        WHERE workspace_id = $1 AND family = $2 AND revision > 0),
    mine AS MATERIALIZED (
        SELECT CASE WHEN (definition ->> 'paused')::boolean THEN 'paused' WHEN progress ->> 'broken' IS NOT NULL THEN 'broken'
            WHEN progress ->> 'next' IS NULL AND jsonb_array_length(progress -> 'waiting') = 0 THEN 'ended'
            ELSE 'active' END AS state, progress, due_at FROM kept)
    SELECT 'state'::text, state, count(*) FROM mine GROUP BY state
    UNION ALL SELECT 'late', '', count(*) FROM mine WHERE due_at < (SELECT ",
    now_sql!("$3"),
    " - $4::bigint * interval '1 millisecond')
    UNION ALL SELECT 'skipped', reason, sum(ticks::bigint)::bigint
        FROM mine, jsonb_each_text(coalesce(progress -> 'skipped', '{}'::jsonb)) AS skipped (reason, ticks) GROUP BY reason"
);

#[async_trait]
impl Settings for Postgres {
    fn zones(&self) -> Arc<dyn Zones> {
        Arc::clone(self.database.zones())
    }

    async fn settings(
        &self,
        caller: &Caller,
        family: Family,
        after: &str,
        limit: u32,
    ) -> sprongus_core::Result<Vec<Setting>> {
        let (workspace, family, limit) = (caller.workspace.as_str(), family.as_str(), i64::from(limit));
        let found = retry(Idempotent::Yes, |_| async {
            let asked: [(&str, Params<'_>); 1] = [(PAGE, &[&workspace, &family, &after, &limit])];
            let [found] = self.database.read(&caller.workspace, asked).await?;
            rows::all(&found, rows::setting)
        });
        Ok(found.await?)
    }

    async fn settings_of(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
    ) -> sprongus_core::Result<Vec<Setting>> {
        let (workspace, family) = (caller.workspace.as_str(), family.as_str());
        let found = retry(Idempotent::Yes, |_| async {
            let asked: [(&str, Params<'_>); 1] = [(OF, &[&workspace, &family, &ids])];
            let [found] = self.database.read(&caller.workspace, asked).await?;
            rows::all(&found, rows::setting)
        });
        Ok(found.await?)
    }

    async fn change_settings(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
        rule: SettingsRule,
    ) -> sprongus_core::Result<WriteSet> {
        Ok(retry(Idempotent::No, |_| change(&self.database, caller, family, ids, &rule)).await?)
    }

    async fn ticks_with_runs(
        &self,
        caller: &Caller,
        schedule: &ScheduleId,
        ticks: &[Timestamp],
    ) -> sprongus_core::Result<BTreeSet<Timestamp>> {
        let (workspace, schedule) = (caller.workspace.as_str(), schedule.as_str());
        let ticks: Vec<Time> = ticks.iter().copied().map(Time).collect();
        let found = retry(Idempotent::Yes, |_| async {
            let asked: [(&str, Params<'_>); 1] = [(TICKS, &[&workspace, &schedule, &ticks])];
            let [found] = self.database.read(&caller.workspace, asked).await?;
            rows::all(&found, |row| row.time())
        });
        Ok(found.await?.into_iter().collect())
    }

    async fn schedule_figures(&self, caller: &Caller) -> sprongus_core::Result<ScheduleFigures> {
        let (workspace, family) = (caller.workspace.as_str(), Family::Schedule.as_str());
        let (clock, late) = (self.database.clock_override(), millis(LATE));
        let found = retry(Idempotent::Yes, |_| async {
            let asked: [(&str, Params<'_>); 1] = [(FIGURES, &[&workspace, &family, &clock, &late])];
            let [found] = self.database.read(&caller.workspace, asked).await?;
            rows::all(&found, |row| Ok((row.value()?, row.value()?, row.bigint()?)))
        });
        Ok(ScheduleFigures::read(found.await?))
    }
}

async fn change(
    database: &Database,
    caller: &Caller,
    family: Family,
    ids: &[String],
    rule: &SettingsRule,
) -> Result<WriteSet> {
    let mut session = database.session().await?;
    let (workspace, name) = (caller.workspace.as_str(), family.as_str());
    let key: Params<'_> = &[&workspace, &name, &ids];
    let [_, locked] = session.begin_with(&caller.workspace, [(RESERVE, key), (LOCK, key)]).await?;
    let mut settings = rows::all(&locked, rows::setting)?;
    settings.retain(|setting| setting.revision > 0);
    let (runs, live, now) = live_runs(database, &session, caller, &runs_to_read(&settings)).await?;
    let read = SettingsRead { settings, live };
    match rule(&read, Act { now, actor: &caller.actor }) {
        Ok(set) => {
            let mut writer = SetWriter::new(caller, now);
            writer.write(&runs, &set)?;
            writer.commit(session, &[(UNRESERVE, key)]).await?;
            Ok(set)
        }
        Err(refused) => {
            session.roll_back().await?;
            Err(refused.into())
        }
    }
}

/// Brings due schedules up to the present; how many, and what was written.
pub async fn move_due(database: &Database, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
    let mut session = database.session().await?;
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    let most = i64::from(limit.min(MOST_PER_CLAIM));
    let asked: [(&str, Params<'_>); 1] = [(TAKE_DUE, &[&workspace, &clock, &most])];
    let [taken] = session.begin_with(&caller.workspace, asked).await?;
    let due = rows::all(&taken, rows::setting)?;
    if due.is_empty() {
        session.roll_back().await?;
        return Ok((0, Vec::new()));
    }
    let (runs, live, now) = live_runs(database, &session, caller, &runs_to_tick(&due)).await?;
    let act = Act { now, actor: SYSTEM };
    let decided = due.iter().map(|setting| match setting.family {
        Family::Schedule => tick(setting, &live, database.zones().as_ref(), act),
    });
    let sets: Vec<WriteSet> = decided.collect();
    let system = Caller::new(caller.workspace.clone(), SYSTEM);
    let mut writer = SetWriter::new(&system, now);
    for set in &sets {
        writer.write(&runs, set)?;
    }
    writer.commit(session, &[]).await?;
    let events = sets.iter().flat_map(|set| set.events().cloned()).collect();
    Ok((u32::try_from(due.len()).unwrap_or(u32::MAX), events))
}

/// These runs with the steps they wait at, locked, and the present.
async fn live_runs(
    database: &Database,
    session: &Session,
    caller: &Caller,
    ids: &[RunId],
) -> Result<(HashMap<RunId, Run>, LiveRuns, Timestamp)> {
    let (runs, now) = lock_in(database, session, caller, ids).await?;
    let mut steps = waiting_steps(session, caller, runs.values()).await?;
    let live = runs.iter().map(|(id, run)| (*id, (run.clone(), steps.remove(id)))).collect();
    Ok((runs, live, now))
}
