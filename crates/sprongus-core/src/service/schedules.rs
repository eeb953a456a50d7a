//! [`Schedules`] over a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::CallerRuns;
use crate::calendar::change::changes;
use crate::calendar::{Cron, Recurrence, Zones, jitter};
use crate::error::{Error, ErrorCode, FieldError, Result};
use crate::rules::WriteSet;
use crate::rules::enqueue::{out_of_reach, unknown_agent_task, unknown_project};
use crate::rules::schedule::change::{Around, Change, Exists, change, not_found, past_ticks};
use crate::run::list::check_limit;
use crate::run::view::RunView;
use crate::schedule::{Definition, MAX_SCHEDULES, Schedule, ScheduleView};
use crate::schedules::{
    Applied, Backfilled, Difference, MAX_PREVIEW, NextTick, Preview, Previewed, Schedules,
};
use crate::store::settings::{SettingsRead, SettingsRule};
use crate::values::ids::RunId;
use crate::values::names::{AgentTaskId, ProjectId, ScheduleId};
use crate::values::time::Timestamp;
use crate::workspace::setting::{Family, ManagedBy, Setting};

use difference::difference;

mod difference;

/// Settings read in one go.
const PAGE: u32 = 1_000;

/// How often a backfill is tried while others are at the same ticks.
const BACKFILL_TRIES: u32 = 5;

impl CallerRuns {
    fn zones(&self) -> Arc<dyn Zones> {
        self.store().zones()
    }

    /// Whether the caller may see a schedule: its runs are of a project he may touch.
    fn may_see(&self, schedule: &Schedule) -> bool {
        let project: Option<ProjectId> =
            schedule.definition.run.project_id.as_deref().and_then(|id| id.parse().ok());
        self.caller.may_touch(project.as_ref())
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Schedule> {
        let ids = [id.as_str().to_owned()];
        let found = self.store().settings_of(&self.caller, Family::Schedule, &ids).await?;
        let schedule = found.first().map(Schedule::of).transpose()?;
        schedule.filter(|schedule| self.may_see(schedule)).ok_or_else(|| not_found(id))
    }

    async fn schedules_after(&self, after: &str, limit: u32) -> Result<Vec<Setting>> {
        self.store().settings(&self.caller, Family::Schedule, after, limit).await
    }

    /// Refuses definitions whose project or agent task does not exist or may not be named by the caller, and unknown time zones.
    async fn check<'a>(&self, definitions: impl IntoIterator<Item = &'a Definition>) -> Result<()> {
        let (mut projects, mut tasks, mut zones) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for definition in definitions {
            let project: Option<ProjectId> =
                definition.run.project_id.as_deref().map(str::parse).transpose()?;
            if !self.caller.may_touch(project.as_ref()) {
                return Err(out_of_reach(project.as_ref()));
            }
            let task: Option<AgentTaskId> =
                definition.run.agent_task_id.as_deref().map(str::parse).transpose()?;
            projects.extend(project);
            tasks.extend(task);
            zones.extend(definition.time_zone());
        }
        if !projects.is_empty() {
            let known = self.store().projects(&self.caller).await?;
            if let Some(id) = projects.iter().find(|id| known.iter().all(|project| project.id != **id)) {
                return Err(unknown_project(id));
            }
        }
        if !tasks.is_empty() {
            let known = self.store().agent_tasks(&self.caller).await?;
            if let Some(id) = tasks.iter().find(|id| known.iter().all(|task| task.id != **id)) {
                return Err(unknown_agent_task(id));
            }
        }
        for zone in zones {
            self.zones().zone(zone).map_err(|error| {
                let hint = error.hint().to_owned();
                let field =
                    FieldError { pointer: "/timeZone".to_owned(), message: error.message().to_owned() };
                Error::validation(error.message().to_owned()).with_fields(vec![field]).with_hint(hint)
            })?;
        }
        Ok(())
    }

    /// Changes schedules in one transaction.
    async fn change(&self, asked: BTreeMap<ScheduleId, Change>) -> Result<WriteSet> {
        let ids: Vec<String> = asked.keys().map(|id| id.as_str().to_owned()).collect();
        let (workspace, zones, caller) = (self.caller.workspace.clone(), self.zones(), self.caller.clone());
        let seeds: Vec<u64> = asked.iter().map(|_| fastrand::u64(..)).collect();
        let rule: SettingsRule = Arc::new(move |read: &SettingsRead, act| {
            let mut set = WriteSet::default();
            for ((id, wanted), seed) in asked.iter().zip(&seeds) {
                let setting = read.settings.iter().find(|setting| setting.id == id.as_str());
                let is_hidden = setting.is_some_and(|setting| {
                    let project = Schedule::of(setting).ok().and_then(|it| it.definition.run.project_id);
                    !caller.may_touch(project.and_then(|id| id.parse().ok()).as_ref())
                });
                if is_hidden {
                    return Err(match wanted {
                        Change::Put { .. } => crate::rules::enqueue::taken(),
                        Change::Pause
                        | Change::Resume
                        | Change::Delete
                        | Change::Trigger(_)
                        | Change::Backfill(_) => not_found(id),
                    });
                }
                let around =
                    Around { workspace: &workspace, live: &read.live, zones: zones.as_ref(), seed: *seed };
                set.extend(change(id, setting, wanted, &around, act)?);
            }
            Ok(set)
        });
        let written = self.store().change_settings(&self.caller, Family::Schedule, &ids, rule).await?;
        let events: Vec<_> = written.events().cloned().collect();
        self.service.subscribers.publish(&events);
        Ok(written)
    }

    async fn backfill_once(
        &self,
        id: &ScheduleId,
        stretch: (Timestamp, Timestamp),
        dry_run: bool,
    ) -> Result<Backfilled> {
        let schedule = self.schedule(id).await?;
        let now = self.store().now().await?;
        let all = past_ticks(&schedule, stretch, self.zones().as_ref(), now)?;
        let kept = self.store().ticks_with_runs(&self.caller, id, &all).await?;
        let mut ticks: Vec<Timestamp> = all.into_iter().filter(|tick| !kept.contains(tick)).collect();
        if !dry_run && !ticks.is_empty() {
            let change = Change::Backfill(ticks.clone());
            let written = self.change(BTreeMap::from([(id.clone(), change)])).await?;
            let made = written.new_runs.iter().filter_map(|new| new.run.scheduled.as_ref()?.scheduled_for);
            let made: BTreeSet<Timestamp> = made.collect();
            // One that has its run to come is none to fill in.
            ticks.retain(|tick| made.contains(tick));
        }
        Ok(Backfilled { ticks, kept: kept.into_iter().collect() })
    }

    async fn change_one(&self, id: &ScheduleId, wanted: Change) -> Result<ScheduleView> {
        self.change(BTreeMap::from([(id.clone(), wanted)])).await?;
        self.get(id).await
    }
}

#[async_trait]
impl Schedules for CallerRuns {
    async fn list(&self, after: Option<&ScheduleId>, limit: u32) -> Result<Vec<ScheduleView>> {
        check_limit(limit)?;
        let (mut found, limit) = (Vec::new(), limit as usize);
        let mut after = after.map_or_else(String::new, |id| id.as_str().to_owned());
        loop {
            let page = self.schedules_after(&after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            for setting in page {
                let schedule = Schedule::of(&setting)?;
                after = setting.id;
                if self.may_see(&schedule) {
                    found.push(ScheduleView::from(schedule));
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn get(&self, id: &ScheduleId) -> Result<ScheduleView> {
        let mut view = ScheduleView::from(self.schedule(id).await?);
        if !self.caller.sees_content {
            view.definition.run.input = None;
        }
        Ok(view)
    }

    async fn create(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView> {
        self.check([&definition]).await?;
        let definition = Box::new(definition);
        self.change_one(id, Change::Put { definition, by: ManagedBy::Api, exists: Exists::MustNot }).await
    }

    async fn put(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView> {
        self.check([&definition]).await?;
        let definition = Box::new(definition);
        self.change_one(id, Change::Put { definition, by: ManagedBy::Api, exists: Exists::May }).await
    }

    async fn pause(&self, id: &ScheduleId) -> Result<ScheduleView> {
        self.change_one(id, Change::Pause).await
    }

    async fn resume(&self, id: &ScheduleId) -> Result<ScheduleView> {
        self.change_one(id, Change::Resume).await
    }

    async fn delete(&self, id: &ScheduleId) -> Result<()> {
        self.change(BTreeMap::from([(id.clone(), Change::Delete)])).await.map(drop)
    }

    async fn trigger(&self, id: &ScheduleId) -> Result<RunView> {
        let run = RunId::new();
        let written = self.change(BTreeMap::from([(id.clone(), Change::Trigger(run))])).await?;
        let made = written.new_runs.into_iter().find(|new| new.run.id == run);
        let made = made.ok_or_else(|| Error::internal("a trigger made no run"))?;
        let mut run = RunView::new(made.run, None);
        if !self.caller.sees_content {
            run.hide_content();
        }
        Ok(run)
    }

    async fn backfill(
        &self,
        id: &ScheduleId,
        from: Timestamp,
        to: Timestamp,
        dry_run: bool,
    ) -> Result<Backfilled> {
        for _ in 1..BACKFILL_TRIES {
            match self.backfill_once(id, (from, to), dry_run).await {
                // Somebody else gave one of the ticks its run meanwhile.
                Err(error) if error.code() == ErrorCode::Conflict => {}
                done => return done,
            }
        }
        self.backfill_once(id, (from, to), dry_run).await
    }

    async fn next(&self, id: &ScheduleId, n: u32) -> Result<Vec<NextTick>> {
        check_count(n)?;
        let schedule = self.schedule(id).await?;
        if schedule.definition.paused {
            return Ok(Vec::new());
        }
        let recurrence = schedule.recurrence(self.zones().as_ref())?;
        let name = format!("{}/{}", schedule.workspace_id, schedule.id);
        let delay = |tick| jitter::delay(&name, tick, schedule.definition.jitter);
        Ok(ticks(&recurrence, schedule.progress.place(), n, delay))
    }

    async fn preview(&self, preview: &Preview) -> Result<Previewed> {
        check_count(preview.n)?;
        let cron = Cron::parse(&preview.cron).map_err(|fault| {
            let field = FieldError { pointer: "/cron".to_owned(), message: fault.to_string() };
            Error::validation(fault.to_string()).with_fields(vec![field])
        })?;
        let dst = match preview.dst.as_deref() {
            None | Some("once") => crate::calendar::Dst::Once,
            Some("literal") => crate::calendar::Dst::Literal,
            Some(_) => return Err(Error::validation("dst must be once or literal")),
        };
        let time_zone = preview.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
        let zone = self.zones().zone(&time_zone)?;
        let from = match preview.from {
            Some(from) => from,
            None => self.store().now().await?,
        };
        let (text, words) = (cron.to_string(), cron.words());
        let recurrence = Recurrence::cron(cron, zone, dst);
        let clock_change = changes(&recurrence, from).next().map(|change| change.to_string());
        let ticks = ticks(&recurrence, from.into(), preview.n, |_| std::time::Duration::ZERO);
        Ok(Previewed { cron: text, words, time_zone, clock_change, ticks })
    }

    async fn apply(&self, applied: &Applied) -> Result<Vec<Difference>> {
        if applied.schedules.len() > MAX_SCHEDULES {
            return Err(Error::validation(format!("at most {MAX_SCHEDULES} schedules in a file")));
        }
        if let Err(error) = self.check(applied.schedules.values()).await {
            // Which of them it is, is looked for where one is refused.
            for (id, definition) in &applied.schedules {
                self.check([definition]).await.map_err(|error| of_schedule(id, &error))?;
            }
            return Err(error);
        }
        let mut present = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.schedules_after(&after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            for setting in page {
                after.clone_from(&setting.id);
                let schedule = Schedule::of(&setting)?;
                present.insert(schedule.id.clone(), schedule);
            }
            if is_last {
                break;
            }
        }
        let (mut asked, mut differences) = (BTreeMap::new(), Vec::new());
        for (id, definition) in &applied.schedules {
            let before = present.get(id);
            // As everywhere, an id that the caller cannot see is taken; the difference would tell what is there.
            if before.is_some_and(|it| !self.may_see(it)) {
                return Err(crate::rules::enqueue::taken());
            }
            let is_same = before.is_some_and(|it| {
                it.definition == *definition && it.applied.as_ref() == Some(&definition.to_json())
            });
            if is_same {
                continue;
            }
            let definition = Box::new(definition.clone());
            if before.is_none_or(|it| it.definition != *definition) {
                differences.push(difference(id, before.map(|it| &it.definition), Some(&definition)));
            }
            asked.insert(id.clone(), Change::Put { definition, by: ManagedBy::File, exists: Exists::May });
        }
        if applied.prune {
            let gone = present.iter().filter(|(id, schedule)| {
                schedule.managed_by == ManagedBy::File
                    && !applied.schedules.contains_key(*id)
                    && self.may_see(schedule)
            });
            for (id, schedule) in gone {
                differences.push(difference(id, Some(&schedule.definition), None));
                asked.insert(id.clone(), Change::Delete);
            }
        }
        differences.sort_by(|one, other| one.id.cmp(&other.id));
        if !self.caller.sees_content {
            for difference in &mut differences {
                difference.fields.retain(|field| field.name != "input");
            }
        }
        if !applied.dry_run && !asked.is_empty() {
            self.change(asked).await?;
        }
        Ok(differences)
    }
}

/// The refusal of one of several schedules, with its name.
fn of_schedule(id: &ScheduleId, error: &Error) -> Error {
    Error::new(error.code(), format!("schedule {id}: {}", error.message()))
        .with_fields(error.fields().to_vec())
        .with_hint(error.hint().to_owned())
}

fn check_count(n: u32) -> Result<()> {
    if (1..=MAX_PREVIEW).contains(&n) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Validation, format!("n must be 1 to {MAX_PREVIEW}: {n}")))
}

fn ticks(
    recurrence: &Recurrence,
    after: crate::calendar::recurrence::Cursor,
    n: u32,
    delay: impl Fn(Timestamp) -> std::time::Duration,
) -> Vec<NextTick> {
    let next = recurrence.ticks(after).take(n as usize);
    next.map(|tick| {
        let local = recurrence.expression().map(|(_, zone, _)| zone.civil(tick.at).to_string());
        NextTick { at: tick.at, local, due_at: tick.at.plus(delay(tick.at)) }
    })
    .collect()
}
