//! Looking: one run, a page of them, and what belongs to a run.

mod waiting;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use sprongus_core::run::Run;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{MAX_NEWS, News, ReadSoFar};
use sprongus_core::run::list::{ListFilter, Page, Position};
use sprongus_core::run::step::{NumberedLine, Step};
use sprongus_core::store::Reads;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Caller, Result};

use crate::model::Model;
use crate::model::tables::{Row, Tenant};

impl Tenant {
    pub(super) fn find_by_key(&self, caller: &Caller, key: &str) -> Option<Run> {
        let id = self.keys.get(key)?;
        self.row(caller, *id).ok().map(|row| row.run.clone())
    }

    pub(super) fn list(&self, caller: &Caller, filter: &ListFilter, now: Timestamp) -> Result<Page<Run>> {
        let position = filter.position(&self.id)?;
        let place = |run: &Run| (run.created_at, run.id);
        let mut runs: Vec<&Run> = self
            .rows
            .values()
            .map(|row| &row.run)
            .filter(|run| caller.may_touch(run.project_id.as_ref()) && matches(filter, run))
            .filter(|run| self.waits_as(filter, run, now))
            .filter(|run| {
                position.is_none_or(|Position { created_at, id }| {
                    let behind = (created_at, id);
                    if filter.oldest_first { place(run) > behind } else { place(run) < behind }
                })
            })
            .collect();
        if filter.oldest_first {
            runs.sort_by_key(|run| place(run));
        } else {
            runs.sort_by_key(|run| Reverse(place(run)));
        }
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let more = runs.len() > limit;
        let data: Vec<Run> = runs.into_iter().take(limit).cloned().collect();
        let last = data.last().filter(|_| more);
        let next_cursor = last
            .map(|run| filter.cursor_behind(&self.id, Position { created_at: run.created_at, id: run.id }));
        Ok(Page { data, next_cursor })
    }
}

#[async_trait]
impl Reads for Model {
    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.run.clone()))
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        self.read(caller, |tenant| Ok(tenant.find_by_key(caller, key)))
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        let now = self.clock.now();
        self.read(caller, |tenant| tenant.list(caller, filter, now))
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.steps_in_order()))
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.events_after(after, limit)))
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.lines_after(after, limit)))
    }

    async fn news(&self, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.news(read)))
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        self.read(caller, |tenant| Ok(tenant.held()))
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        self.read(caller, |tenant| Ok(tenant.ahead(caller, run)))
    }
}

fn matches(filter: &ListFilter, run: &Run) -> bool {
    filter.project_id.as_ref().is_none_or(|id| run.project_id.as_ref() == Some(id))
        && filter.agent_task_id.as_ref().is_none_or(|id| run.agent_task_id.as_ref() == Some(id))
        && filter
            .schedule_id
            .as_ref()
            .is_none_or(|id| run.scheduled.as_ref().is_some_and(|scheduled| scheduled.schedule_id == *id))
        && (filter.states.is_empty() || filter.states.contains(&run.state))
        && (filter.kinds.is_empty() || filter.kinds.contains(&run.kind))
        && filter.tags.iter().all(|(name, value)| run.tags.get(name) == Some(value))
        && filter.id.as_ref().is_none_or(|part| part.fits(run.id))
        && filter.since.is_none_or(|since| run.created_at >= since)
        && filter.before.is_none_or(|before| run.created_at < before)
}

impl Row {
    pub(super) fn steps_of(&self, epoch: u64) -> Vec<Step> {
        self.steps.range((epoch, 0)..=(epoch, u32::MAX)).map(|(_, step)| step.clone()).collect()
    }

    pub(super) fn steps_in_order(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.steps.values().cloned().collect();
        steps.sort_by_key(|step| (step.attempt, step.epoch, step.ordinal));
        steps
    }

    pub(super) fn events_after(&self, after: u64, limit: u32) -> Vec<Event> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.events.iter().filter(|event| event.seq > after).take(limit).cloned().collect()
    }

    pub(super) fn lines_after(&self, after: u64, limit: u32) -> Vec<NumberedLine> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.lines.iter().filter(|line| line.seq > after).take(limit).cloned().collect()
    }

    pub(super) fn news(&self, read: ReadSoFar) -> News {
        let events = self.events_after(read.events, MAX_NEWS);
        let lines = self.lines_after(read.lines, MAX_NEWS);
        let read = ReadSoFar {
            events: events.last().map_or(read.events, |event| event.seq),
            lines: lines.last().map_or(read.lines, |line| line.seq),
        };
        News { run: self.run.clone(), events, lines, read }
    }
}
