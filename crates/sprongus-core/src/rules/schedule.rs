//! Schedules: what has become due becomes runs. A store reads a schedule and its live runs under their locks and asks [`tick`]; what
//! people do to a schedule is [`change`].
//!
//! Each tick ends as a run or in one event `schedule.skipped`, which says why, how many, and from when to when. The cursor moves in the
//! transaction that writes them, and never back: so a tick has one run at most, whoever looks and however often, and whatever becomes of
//! the run.

pub mod change;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::enqueue::{Prepared, enqueue, prepare};
use super::{Act, WriteSet, commands};
use crate::calendar::recurrence::Tally;
use crate::calendar::{Zones, jitter, missed};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::run::step::Step;
use crate::schedule::definition::{Overlap, at};
use crate::schedule::record::Skipping;
use crate::schedule::{MAX_LIVE, MAX_WAITING, Schedule, Scheduled};
use crate::values::ids::RunId;
use crate::values::time::Timestamp;
use crate::workspace::operator::{OperatorAct, OperatorEventType};
use crate::workspace::setting::{Setting, SettingWrite};

/// How long until a schedule that waits for a live run is looked at again.
const WAITING: Duration = Duration::from_secs(1);

/// How long ticks that a live run keeps from having theirs wait for their event, at most.
const NOTED: Duration = Duration::from_secs(3_600);

/// How long until a schedule whose time zone is unknown is looked at again.
const BROKEN: Duration = Duration::from_secs(60);

/// How long a tick that another process foresaw, by other zone data, is left to whoever sees it, and how often it is looked for.
const FORESEEN: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Schedules that one claim moves at most: what is behind them waits for the next.
pub const MOST_PER_CLAIM: u32 = 200;

/// Runs of a schedule as they stand under their locks, each with the step it waits at; those that are gone are left out.
pub type LiveRuns = BTreeMap<RunId, (Run, Option<Step>)>;

/// Why ticks have no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// They were looked at too late, and the schedule does not want them then.
    Missed,
    /// A run of the schedule was live.
    Overlap,
    /// The schedule was paused.
    Paused,
    /// The schedule was edited or deleted while they waited.
    Ended,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Missed, Self::Overlap, Self::Paused, Self::Ended];

    /// Its name in the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Overlap => "overlap",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// The runs that have to be read before [`tick`] is asked about a setting; none of one that is damaged.
pub fn runs_to_tick(setting: &Setting) -> Vec<RunId> {
    Schedule::of(setting).map(|schedule| schedule.holding_up().to_vec()).unwrap_or_default()
}

/// The runs that have to be read before [`change::change`] is asked about a setting, whose next definition may look at them.
pub fn runs_to_change(setting: &Setting) -> Vec<RunId> {
    Schedule::of(setting).map(|schedule| schedule.progress.live).unwrap_or_default()
}

/// Brings a schedule up to the present. One with which that fails is broken, and looked at again in a minute: it holds up neither the
/// others nor the claims that look at them.
pub fn tick(setting: &Setting, live: &LiveRuns, zones: &dyn Zones, act: Act<'_>) -> WriteSet {
    let ticked = Schedule::of(setting).and_then(|schedule| {
        let mut moving = Moving::of(schedule, live);
        moving.catch_up(zones, act)?;
        Ok(moving.into_set())
    });
    ticked.unwrap_or_else(|error| put_off(setting, &error, act))
}

fn put_off(setting: &Setting, error: &Error, act: Act<'_>) -> WriteSet {
    let nobody = LiveRuns::new();
    match Schedule::of(setting) {
        Ok(schedule) => {
            let mut moving = Moving::of(schedule, &nobody);
            moving.break_down(error.message(), act);
            moving.into_set()
        }
        // It cannot even be marked.
        Err(_) => {
            let due_at = Some(act.now.plus(BROKEN));
            let settings = vec![SettingWrite::Put(Box::new(Setting { due_at, ..setting.clone() }))];
            WriteSet { settings, ..WriteSet::default() }
        }
    }
}

/// A schedule while it is decided about, and what is decided.
struct Moving<'a> {
    schedule: Schedule,
    live: &'a LiveRuns,
    set: WriteSet,
}

impl<'a> Moving<'a> {
    fn of(schedule: Schedule, live: &'a LiveRuns) -> Self {
        Self { schedule, live, set: WriteSet::default() }
    }

    fn into_set(mut self) -> WriteSet {
        self.set.settings.push(SettingWrite::Put(Box::new(self.schedule.into_setting())));
        self.set
    }

    fn catch_up(&mut self, zones: &dyn Zones, act: Act<'_>) -> Result<()> {
        if self.schedule.definition.paused {
            (self.schedule.progress.next, self.schedule.due_at) = (None, None);
            return Ok(());
        }
        let recurrence = match self.schedule.recurrence(zones) {
            Ok(recurrence) => recurrence,
            Err(error) => {
                self.break_down(error.message(), act);
                return Ok(());
            }
        };
        if let Some(error) = self.schedule.progress.broken.take() {
            self.note(OperatorEventType::ScheduleRecovered, json!({"error": error}));
        }
        self.forget_ended();
        self.let_waiting_run(act)?;
        let due = missed::due(
            &recurrence,
            self.schedule.progress.place(),
            act.now,
            &self.schedule.definition.missed,
        );
        if let Some(skipped) = due.skipped {
            self.skip(SkipReason::Missed, skipped);
        }
        let mut overlapping: Option<(u64, Timestamp, Timestamp)> = None;
        for tick in due.runs {
            if !self.admit(tick.at, act)? {
                let (count, from, _) = overlapping.unwrap_or((0, tick.at, tick.at));
                overlapping = Some((count + 1, from, tick.at));
            }
        }
        if let Some((count, from, to)) = overlapping {
            self.skip_overlapping(count, from, to, act);
        }
        let progress = &mut self.schedule.progress;
        // Who has other zone data saw a tick here, and may be right: it is left to him for a while.
        let foreseen = progress.next.filter(|tick| {
            due.cursor == progress.place() && *tick <= act.now && tick.plus(FORESEEN) > act.now
        });
        progress.advance(due.cursor);
        progress.next = foreseen.or_else(|| recurrence.next(progress.place()).map(|tick| tick.at));
        // A cursor ahead of the clock, which was set back, is not looked at before its next tick.
        let again = match foreseen {
            Some(_) => Some(act.now.plus(LOOK_AGAIN)),
            None => due.again.or(progress.next),
        };
        let waits = (!progress.waiting.is_empty()).then(|| act.now.plus(WAITING));
        self.schedule.due_at = [again, waits].into_iter().flatten().min();
        Ok(())
    }

    /// Whether a tick has its run now, or has it later; otherwise it is skipped.
    fn admit(&mut self, tick: Timestamp, act: Act<'_>) -> Result<bool> {
        let is_free = self.schedule.progress.live.is_empty() && self.schedule.progress.waiting.is_empty();
        if is_free {
            return self.make(Some(tick), act).map(|()| true);
        }
        match self.schedule.definition.overlap {
            Overlap::Allow => self.make(Some(tick), act).map(|()| true),
            Overlap::Skip => Ok(false),
            Overlap::QueueOne => Ok(self.wait(tick, 1)),
            Overlap::QueueAll => Ok(self.wait(tick, MAX_WAITING)),
            Overlap::CancelRunning => {
                let replaced = std::mem::take(&mut self.schedule.progress.waiting);
                if let (Some(first), Some(last)) = (replaced.first(), replaced.last()) {
                    self.skip_overlapping(replaced.len() as u64, *first, *last, act);
                }
                self.cancel_live(act)?;
                if self.schedule.progress.live.is_empty() {
                    return self.make(Some(tick), act).map(|()| true);
                }
                Ok(self.wait(tick, 1))
            }
        }
    }

    fn wait(&mut self, tick: Timestamp, most: usize) -> bool {
        let waiting = &mut self.schedule.progress.waiting;
        let has_room = waiting.len() < most;
        if has_room {
            waiting.push(tick);
        }
        has_room
    }

    fn let_waiting_run(&mut self, act: Act<'_>) -> Result<()> {
        let allows_many = self.schedule.definition.overlap == Overlap::Allow;
        while (allows_many || self.schedule.progress.live.is_empty())
            && !self.schedule.progress.waiting.is_empty()
        {
            let tick = self.schedule.progress.waiting.remove(0);
            self.make(Some(tick), act)?;
        }
        Ok(())
    }

    /// Leaves out the runs that hold nobody up any more.
    fn forget_ended(&mut self) {
        if self.schedule.holding_up().is_empty() {
            return;
        }
        let is_live = |id: &RunId| {
            // A canceled run is gone when its worker has put its things away.
            self.live.get(id).is_some_and(|(run, _)| !run.state.is_final() || run.lease_expires_at.is_some())
        };
        self.schedule.progress.live.retain(is_live);
    }

    fn cancel_live(&mut self, act: Act<'_>) -> Result<()> {
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.schedule.progress.live) {
            let made_now = self.set.new_runs.iter().any(|new| new.run.id == id);
            let Some((run, waits_at)) = self.live.get(&id) else {
                // Made by this very look: a later tick of it does not call it off.
                if made_now {
                    left.push(id);
                }
                continue;
            };
            if run.state.is_final() || self.set.transitions.iter().any(|done| done.run.id == id) {
                left.push(id);
                continue;
            }
            let canceled = commands::cancel::cancel(run, waits_at.as_ref(), act)?;
            if canceled.transitions.iter().any(|done| done.run.lease_expires_at.is_some()) {
                left.push(id);
            }
            self.set.extend(canceled);
        }
        self.schedule.progress.live = left;
        Ok(())
    }

    /// Makes the run of a tick, or one that no tick asked for.
    fn make(&mut self, tick: Option<Timestamp>, act: Act<'_>) -> Result<()> {
        let prepared = prepared(&self.schedule, tick, act.now)?;
        let actor = format!("schedule:{}", self.schedule.id);
        let id = prepared.id;
        let made = enqueue(&prepared, &self.schedule.workspace_id, Act { now: act.now, actor: &actor });
        self.set.extend(made);
        if tick.is_some() {
            self.end_skipping();
        }
        let progress = &mut self.schedule.progress;
        progress.live.push(id);
        if progress.live.len() > MAX_LIVE && self.schedule.definition.overlap == Overlap::Allow {
            progress.live.remove(0);
        }
        progress.last = progress.last.max(tick);
        Ok(())
    }

    fn break_down(&mut self, error: &str, act: Act<'_>) {
        if self.schedule.progress.broken.is_none() {
            self.note(OperatorEventType::ScheduleBroken, json!({"error": error}));
        }
        self.schedule.progress.broken = Some(error.to_owned());
        self.schedule.progress.next = None;
        self.schedule.due_at = Some(act.now.plus(BROKEN));
    }

    fn skip_overlapping(&mut self, count: u64, from: Timestamp, to: Timestamp, act: Act<'_>) {
        let noted_at = act.now;
        match &mut self.schedule.progress.skipping {
            Some(skipping) if skipping.noted_at.plus(NOTED) > act.now => {
                skipping.from = if skipping.count == 0 { from } else { skipping.from };
                skipping.count += count;
                skipping.to = to;
            }
            Some(_) | None => {
                self.end_skipping();
                self.note_skipped(SkipReason::Overlap, count, from, to);
                self.schedule.progress.skipping = Some(Skipping { count: 0, from: to, to, noted_at });
            }
        }
    }

    /// Writes down what was skipped and is in no event yet.
    fn end_skipping(&mut self) {
        if let Some(Skipping { count, from, to, .. }) = self.schedule.progress.skipping.take()
            && count > 0
        {
            self.note_skipped(SkipReason::Overlap, count, from, to);
        }
    }

    fn skip(&mut self, reason: SkipReason, skipped: Tally) {
        self.note_skipped(reason, skipped.count, skipped.first.at, skipped.last.at);
    }

    fn note_skipped(&mut self, reason: SkipReason, count: u64, from: Timestamp, to: Timestamp) {
        let skipped = json!({
            "reason": reason.as_str(), "count": count, "from": from, "to": to, "revision": self.schedule.revision,
        });
        let total = self.schedule.progress.skipped.entry(reason.as_str().to_owned()).or_default();
        *total = total.saturating_add(count);
        self.note(OperatorEventType::ScheduleSkipped, skipped);
    }

    fn note(&mut self, kind: OperatorEventType, after: serde_json::Value) {
        self.set.acts.push(OperatorAct::schedule(kind, &self.schedule.id, (None, Some(after))));
    }
}

/// The request for the run of a tick, due at the tick and its jitter.
fn prepared(schedule: &Schedule, tick: Option<Timestamp>, now: Timestamp) -> Result<Prepared> {
    let due = match tick {
        Some(tick) => {
            let name = format!("{}/{}", schedule.workspace_id, schedule.id);
            tick.plus(jitter::delay(&name, tick, schedule.definition.jitter))
        }
        None => now,
    };
    let mut request = at(&schedule.definition.run, due);
    request.id = tick.map(|tick| run_id(schedule.progress.seed, tick));
    let mut prepared = prepare(&request, None)?;
    let (schedule_id, revision) = (schedule.id.clone(), schedule.revision);
    prepared.scheduled = Some(Scheduled { schedule_id, scheduled_for: tick, revision });
    Ok(prepared)
}

/// The id of a tick's run: its time, and 80 bits that nobody can guess who does not know the schedule's seed.
fn run_id(seed: u64, tick: Timestamp) -> RunId {
    let digest = Sha256::digest(format!("sprongus-tick-1\n{seed}\n{}", tick.as_millis()).as_bytes());
    let random = digest.iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let millis = u128::from(tick.as_millis().max(0).unsigned_abs()) & 0xffff_ffff_ffff;
    RunId::from_bits(millis << 80 | random)
}
