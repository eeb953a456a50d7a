//! What people do to a schedule. Each change first brings it up to the present as it was: ticks before the change belong to the revision
//! that they fell into, and a pause wins or loses a race with a tick as a whole.

use serde_json::{Value, json};

use super::{LiveRuns, Moving, SkipReason};
use crate::calendar::recurrence::Cursor;
use crate::calendar::{Recurrence, Zones};
use crate::error::{Error, ErrorCode, Result};
use crate::rules::enqueue::enqueue;
use crate::rules::{Act, WriteSet};
use crate::schedule::definition::{Definition, Timing};
use crate::schedule::record::Progress;
use crate::schedule::{MAX_BACKFILL, MAX_LIVE, Schedule};
use crate::values::ids::RunId;
use crate::values::names::{ScheduleId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::operator::{OperatorAct, OperatorEventType};
use crate::workspace::setting::{Family, ManagedBy, Setting, SettingWrite};

/// What is to be done to a schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is given a definition; created if it does not exist.
    Put {
        /// What it is to do from now on.
        definition: Box<Definition>,
        /// Who asks. What a file asks for is also remembered as such.
        by: ManagedBy,
        /// Whether it may, must or must not exist.
        exists: Exists,
    },
    /// Its ticks are skipped from now on.
    Pause,
    /// Its ticks have runs again. Those that fell into the pause are skipped.
    Resume,
    /// It is deleted; its runs stay.
    Delete,
    /// A run of it is enqueued now, under this id. No tick, no cursor.
    Trigger(RunId),
    /// Runs for past ticks, these.
    Backfill(Vec<Timestamp>),
}

/// Whether a schedule that is given a definition may exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exists {
    /// Either way.
    May,
    /// It must; otherwise the change is `not_found`.
    Must,
    /// It must not, unless it has the same definition; otherwise the change is `conflict`.
    MustNot,
}

/// What a change needs beside the schedule.
pub struct Around<'a> {
    /// The workspace.
    pub workspace: &'a WorkspaceId,
    /// The live runs of the schedule.
    pub live: &'a LiveRuns,
    /// The zone data.
    pub zones: &'a dyn Zones,
    /// Random, for a schedule that is created.
    pub seed: u64,
}

/// Changes a schedule. Nothing to write means that it is so already.
///
/// # Errors
/// `not_found` where there is none; `conflict` where it exists and must not; `validation` where its time zone is unknown.
pub fn change(
    id: &ScheduleId,
    setting: Option<&Setting>,
    change: &Change,
    around: &Around<'_>,
    act: Act<'_>,
) -> Result<WriteSet> {
    let schedule = setting.map(Schedule::of).transpose()?;
    if let Change::Put { definition, by, exists } = change {
        return put(id, schedule, (definition, *by, *exists), around, act);
    }
    let Some(schedule) = schedule else { return Err(not_found(id)) };
    let before = schedule.definition.to_json();
    let mut moving = Moving::of(schedule, around.live);
    let (kind, state) = match change {
        Change::Put { .. } => return Err(Error::internal("a definition is put elsewhere")),
        Change::Pause if moving.schedule.definition.paused => return Ok(WriteSet::default()),
        Change::Pause => {
            moving.catch_up(around.zones, act)?;
            moving.end_skipping();
            moving.schedule.definition.paused = true;
            moving.catch_up(around.zones, act)?;
            moving.schedule.updated_at = act.now;
            (OperatorEventType::SchedulePaused, states(false, true))
        }
        Change::Resume if !moving.schedule.definition.paused => return Ok(WriteSet::default()),
        Change::Resume => {
            moving.end_pause(around.zones, act)?;
            moving.schedule.updated_at = act.now;
            (OperatorEventType::ScheduleResumed, states(true, false))
        }
        Change::Delete => {
            moving.catch_up(around.zones, act)?;
            moving.drop_waiting();
            let is_paused = moving.schedule.definition.paused;
            let reason = if is_paused { SkipReason::Paused } else { SkipReason::Ended };
            moving.skip_rest(reason, around.zones, act);
            let id = moving.schedule.id.as_str().to_owned();
            let mut set = moving.set;
            set.settings.push(SettingWrite::Delete(Family::Schedule, id.clone()));
            let state = (Some(before.to_value()), None);
            set.acts.push(OperatorAct::schedule(
                OperatorEventType::ScheduleDeleted,
                &moving.schedule.id,
                state,
            ));
            return Ok(set);
        }
        Change::Trigger(run) => {
            let mut prepared = super::prepared(&moving.schedule, None, act.now)?;
            prepared.id = *run;
            moving.set.extend(enqueue(&prepared, around.workspace, act));
            moving.remember(*run);
            (OperatorEventType::ScheduleTriggered, (None, Some(json!({"runId": run}))))
        }
        Change::Backfill(ticks) => {
            if moving.schedule.definition.paused {
                moving.skip_rest(SkipReason::Paused, around.zones, act);
            } else {
                moving.catch_up(around.zones, act)?;
            }
            let ticks: Vec<Timestamp> = ticks.iter().copied().filter(|tick| moving.is_past(*tick)).collect();
            for tick in &ticks {
                let prepared = super::prepared(&moving.schedule, Some(*tick), act.now)?;
                moving.set.extend(enqueue(&prepared, around.workspace, act));
                moving.remember(prepared.id);
            }
            let made = json!({"count": ticks.len(), "from": ticks.first(), "to": ticks.last()});
            (OperatorEventType::ScheduleBackfilled, (None, Some(made)))
        }
    };
    let note = OperatorAct::schedule(kind, &moving.schedule.id, state);
    moving.set.acts.push(note);
    Ok(moving.into_set())
}

fn put(
    id: &ScheduleId,
    schedule: Option<Schedule>,
    (definition, by, exists): (&Definition, ManagedBy, Exists),
    around: &Around<'_>,
    act: Act<'_>,
) -> Result<WriteSet> {
    let wanted = definition.to_json();
    // A zone that nobody knows is refused while somebody is there to read it.
    definition.recurrence(act.now, around.zones)?;
    let Some(schedule) = schedule else {
        return match exists {
            Exists::Must => Err(not_found(id)),
            Exists::May | Exists::MustNot => create(id, definition, by, around, act),
        };
    };
    let applied = match by {
        ManagedBy::File => Some(wanted.clone()),
        ManagedBy::Api => schedule.applied.clone(),
    };
    let managed_by = if by == ManagedBy::File { by } else { schedule.managed_by };
    if schedule.definition == *definition {
        if schedule.applied == applied && schedule.managed_by == managed_by {
            return Ok(WriteSet::default());
        }
        let setting = Schedule { applied, managed_by, ..schedule }.into_setting();
        let settings = vec![SettingWrite::Put(Box::new(setting))];
        return Ok(WriteSet { settings, ..WriteSet::default() });
    }
    if exists == Exists::MustNot {
        let message = format!("schedule {id} exists with another definition");
        return Err(
            Error::new(ErrorCode::Conflict, message).with_hint("change it with `sprongus schedules update`")
        );
    }
    let before = schedule.definition.to_json();
    let mut moving = Moving::of(schedule, around.live);
    if moving.schedule.definition.paused {
        moving.end_pause(around.zones, act)?;
    } else {
        moving.catch_up(around.zones, act)?;
    }
    moving.drop_waiting();
    moving.skip_rest(SkipReason::Ended, around.zones, act);
    moving.redefine(definition, act);
    moving.schedule.applied = applied;
    moving.schedule.managed_by = managed_by;
    moving.catch_up(around.zones, act)?;
    let state = (Some(before.to_value()), Some(wanted.to_value()));
    let note = OperatorAct::schedule(OperatorEventType::ScheduleUpdated, &moving.schedule.id, state);
    moving.set.acts.push(note);
    Ok(moving.into_set())
}

fn create(
    id: &ScheduleId,
    definition: &Definition,
    by: ManagedBy,
    around: &Around<'_>,
    act: Act<'_>,
) -> Result<WriteSet> {
    let applied = (by == ManagedBy::File).then(|| definition.to_json());
    let schedule = Schedule {
        id: id.clone(),
        workspace_id: around.workspace.clone(),
        definition: definition.clone(),
        revision: 1,
        managed_by: by,
        applied,
        progress: Progress::starting(around.seed, act.now),
        due_at: None,
        created_at: act.now,
        updated_at: act.now,
    };
    let mut moving = Moving::of(schedule, around.live);
    moving.catch_up(around.zones, act)?;
    let state = (None, Some(definition.to_json().to_value()));
    moving.set.acts.push(OperatorAct::schedule(OperatorEventType::ScheduleCreated, id, state));
    Ok(moving.into_set())
}

impl Moving<'_> {
    /// Ends a pause: what fell into it is skipped, and what comes is not.
    fn end_pause(&mut self, zones: &dyn Zones, act: Act<'_>) -> Result<()> {
        self.skip_rest(SkipReason::Paused, zones, act);
        self.schedule.definition.paused = false;
        self.catch_up(zones, act)
    }

    /// Skips every tick up to now that has neither its run nor its event: what fell into a pause, or what was still to be caught up.
    fn skip_rest(&mut self, reason: SkipReason, zones: &dyn Zones, act: Act<'_>) {
        if let Ok(recurrence) = self.schedule.recurrence(zones)
            && let Some(tally) = recurrence.tally(self.schedule.progress.place(), act.now)
        {
            self.skip(reason, tally);
            self.schedule.progress.advance(Cursor::from(tally.last));
        }
        self.schedule.progress.advance(act.now.into());
    }

    /// Whether a tick is done with: it has no run to come, and none that was made just now.
    fn is_past(&self, tick: Timestamp) -> bool {
        let progress = &self.schedule.progress;
        let made = self.set.new_runs.iter().filter_map(|new| new.run.scheduled.as_ref()?.scheduled_for);
        tick <= progress.cursor && !progress.waiting.contains(&tick) && !made.into_iter().any(|at| at == tick)
    }

    /// Ticks that wait have no run any more.
    fn drop_waiting(&mut self) {
        self.end_skipping();
        let waiting = std::mem::take(&mut self.schedule.progress.waiting);
        if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
            self.note_skipped(SkipReason::Ended, waiting.len() as u64, *first, *last);
        }
    }

    /// Takes up another definition, as the next revision.
    fn redefine(&mut self, definition: &Definition, act: Act<'_>) {
        let schedule = &mut self.schedule;
        if !schedule.definition.has_ticks_of(definition) {
            schedule.progress.made_at = act.now;
            schedule.progress.civil = None;
        }
        schedule.progress.next = None;
        schedule.definition = definition.clone();
        schedule.revision += 1;
        schedule.updated_at = act.now;
    }

    /// A run that no tick made holds up ticks like any other.
    fn remember(&mut self, run: RunId) {
        let live = &mut self.schedule.progress.live;
        live.push(run);
        if live.len() > MAX_LIVE + MAX_BACKFILL {
            live.remove(0);
        }
    }
}

/// The ticks of a schedule from `from` to before `to`, also those before it was made; none outside of its `startAt` and `endAt`. An interval
/// without a start is counted backwards from its first tick.
///
/// # Errors
/// `validation` when there are more than [`MAX_BACKFILL`], when `to` lies in the future, and where the time zone is unknown.
pub fn past_ticks(
    schedule: &Schedule,
    (from, to): (Timestamp, Timestamp),
    zones: &dyn Zones,
    now: Timestamp,
) -> Result<Vec<Timestamp>> {
    if to > now {
        return Err(Error::validation(format!("a backfill must not reach into the future: {to}"))
            .with_hint("use --to with a time that has passed"));
    }
    if from >= to {
        return Err(
            Error::validation("a backfill must begin before it ends").with_hint("use --from before --to")
        );
    }
    let definition = &schedule.definition;
    let from = definition.start_at.map_or(from, |start| start.max(from));
    let to = definition.end_at.map_or(to, |end| end.min(to));
    if from >= to {
        return Ok(Vec::new());
    }
    let recurrence = match &definition.timing {
        Timing::Cron { cron, time_zone, dst } => {
            Recurrence::cron((**cron).clone(), zones.zone(time_zone)?, *dst)
        }
        Timing::Every(interval) => {
            let made = schedule.progress.made_at.plus(*interval);
            let first = definition.start_at.unwrap_or(made);
            let length = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
            let back = (first.as_millis() - from.as_millis()).max(0) / length;
            let first = Timestamp::from_millis(first.as_millis() - back * length);
            Recurrence::every(first, *interval)?
        }
    };
    let recurrence = recurrence.starting_at(from).ending_at(to);
    let before = Timestamp::from_millis(from.as_millis() - 1);
    let ticks: Vec<Timestamp> = recurrence.ticks(before).map(|tick| tick.at).take(MAX_BACKFILL + 1).collect();
    if ticks.len() > MAX_BACKFILL {
        return Err(Error::validation(format!("more than {MAX_BACKFILL} ticks in one backfill"))
            .with_hint("backfill a shorter stretch at a time"));
    }
    Ok(ticks)
}

/// The refusal of a schedule that does not exist or that the caller may not see.
pub fn not_found(id: &ScheduleId) -> Error {
    Error::not_found(format_args!("schedule: {id}"))
        .with_hint("`sprongus schedules list` shows the schedules")
}

fn states(before: bool, after: bool) -> (Option<Value>, Option<Value>) {
    (Some(json!({"paused": before})), Some(json!({"paused": after})))
}
