//! What rules decided, on its way into the tables: the runs that are made and that change, their events, and their places in the
//! queue and among the timers, each as the columns of one statement. However many runs there are, the statements are as many as the
//! tables.

use std::collections::{HashMap, HashSet};

use sprongus_core::Error;
use sprongus_core::rules::artifact::is_done_with_workdir;
use sprongus_core::rules::order::rank;
use sprongus_core::rules::placement::Placement;
use sprongus_core::rules::{Transition, WriteSet};
use sprongus_core::run::artifact::FileName;
use sprongus_core::run::state::State;
use sprongus_core::run::step::Step;
use sprongus_core::run::{Cleanup, Run};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorEvent;
use uuid::Uuid;

use crate::connection::session::{Notify, Params, Session};
use crate::error::Result;
use crate::events::operator::{EventColumns, NOTE_ALL};
use crate::rows::values::{Time, uuid};
use crate::rows::{
    EventRows, INSERT_RUNS, LastingColumns, PUT_STEPS, RunColumns, SettingColumns, StepColumns, UPDATE_RUNS,
    due_since, event_columns, number,
};

const INSERT_EVENTS: &str = concat!(
    "INSERT INTO single_events (workspace_id, ",
    event_columns!(),
    ", run_created_at)
     SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::text[], $8::jsonb[],
        $9::timestamptz[])"
);
const UNQUEUE: &str = "
    DELETE FROM run_queue q USING unnest($2::text[], $3::smallint[], $4::timestamptz[], $5::uuid[]) AS t (kind, rank, run_at, id)
    WHERE q.workspace_id = $1 AND q.kind = t.kind AND q.rank = t.rank AND q.run_at = t.run_at AND q.id = t.id";
const QUEUE: &str = "
    INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, project_id, plain, due_since)
    SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::timestamptz[], $5::uuid[], $6::text[], $7::boolean[], $8::timestamptz[])
    ON CONFLICT DO NOTHING";
const DROP_WORKDIRS: &str =
    "DELETE FROM run_artifacts WHERE workspace_id = $1 AND run_id = ANY ($2) AND name = $3";
const SET_TIMERS: &str = "
    INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
    SELECT $1, due_at, array_agg(id), array_agg(epoch)
    FROM unnest($2::timestamptz[], $3::uuid[], $4::bigint[]) AS t (due_at, id, epoch) GROUP BY due_at";

/// Where a run stands in the queue, if it does.
#[derive(Default)]
struct Keys<'a> {
    kinds: Vec<&'a str>,
    ranks: Vec<i16>,
    times: Vec<Time>,
    ids: Vec<Uuid>,
}

impl<'a> Keys<'a> {
    fn push(&mut self, run: &'a Run) {
        self.kinds.push(run.kind.as_str());
        self.ranks.push(i16::from(rank(run.priority)));
        self.times.push(Time(run.run_at));
        self.ids.push(uuid(run.id.to_bits()));
    }
}

/// Whether claiming a queued run needs no second look.
pub fn is_plain(run: &Run) -> bool {
    run.state == State::Queued && run.gate.is_none() && (run.expire_at.is_none() || run.started_at.is_some())
}

/// When to look at a run again. A gate without an end has a timer that never fires, so that each live run stands somewhere: in the queue,
/// among the timers, or among the blocked.
pub fn timer(run: &Run, now: Timestamp) -> Option<Time> {
    let endless = run.waiting_for().is_some_and(|gate| gate.until.is_none());
    let never = endless.then(|| Timestamp::from_millis(i64::MAX));
    Placement::of(run, now).timer().or(never).map(Time)
}

/// Whether the run may stand in the queue.
fn may_be_queued(run: &Run) -> bool {
    match run.state {
        State::Queued => true,
        State::Failed | State::Canceled => run.cleanup == Cleanup::Owed,
        State::Running | State::Succeeded => false,
    }
}

/// Sets of one workspace by one caller, to be written and committed together.
pub struct SetWriter<'a> {
    caller: &'a Caller,
    now: Timestamp,
    made: Vec<&'a Run>,
    changed: Vec<&'a Run>,
    written: HashSet<RunId>,
    events: EventRows<'a>,
    unqueued: Keys<'a>,
    queued: Keys<'a>,
    projects: Vec<Option<&'a str>>,
    plain: Vec<bool>,
    due_since: Vec<Option<Time>>,
    timers: (Vec<Time>, Vec<Uuid>, Vec<i64>),
    steps: Vec<&'a Step>,
    done_with_workdirs: Vec<Uuid>,
    settings: SettingColumns<'a>,
    acts: Vec<OperatorEvent>,
}

impl<'a> SetWriter<'a> {
    /// Nothing yet.
    pub fn new(caller: &'a Caller, now: Timestamp) -> Self {
        Self {
            caller,
            now,
            made: Vec::new(),
            changed: Vec::new(),
            written: HashSet::new(),
            events: EventRows::default(),
            unqueued: Keys::default(),
            queued: Keys::default(),
            projects: Vec::new(),
            plain: Vec::new(),
            due_since: Vec::new(),
            timers: Default::default(),
            steps: Vec::new(),
            done_with_workdirs: Vec::new(),
            settings: SettingColumns::default(),
            acts: Vec::new(),
        }
    }

    /// What a rule made of the runs `before`, which are locked.
    ///
    /// # Errors
    /// `internal` for a run that is not locked, or that is written a second time: one statement writes it once.
    pub fn write(&mut self, before: &'a HashMap<RunId, Run>, set: &'a WriteSet) -> Result<()> {
        let WriteSet { new_runs, transitions, settings, acts } = set;
        settings.iter().for_each(|write| self.settings.push(write));
        self.acts.extend(acts.iter().map(|act| act.clone().by(self.caller, self.now)));
        for new in new_runs {
            self.once(&new.run)?;
            self.made.push(&new.run);
            self.add(None, new);
        }
        for transition in transitions {
            let run = before.get(&transition.run.id);
            let run = run.ok_or_else(|| Error::internal("a rule changed a run that is not locked"))?;
            self.once(run)?;
            self.changed.push(&transition.run);
            self.add(Some(run), transition);
        }
        Ok(())
    }

    fn once(&mut self, run: &Run) -> Result<()> {
        match self.written.insert(run.id) {
            true => Ok(()),
            false => Err(Error::internal("a run was changed twice in one write").into()),
        }
    }

    /// What is written beside a run's row.
    fn add(&mut self, before: Option<&'a Run>, transition: &'a Transition) {
        let after = &transition.run;
        self.add_events(transition);
        if is_done_with_workdir(after) {
            self.done_with_workdirs.push(uuid(after.id.to_bits()));
        }
        if let Some(before) = before.filter(|before| may_be_queued(before)) {
            self.unqueued.push(before);
        }
        if Placement::of(after, self.now).is_ready() {
            self.queue(after);
        }
        let due = timer(after, self.now);
        let is_set =
            before.is_some_and(|before| after.epoch == before.epoch && due == timer(before, self.now));
        if let Some(due) = due.filter(|_| !is_set) {
            self.set_timer(after, due);
        }
    }

    /// The events and the steps of a run whose row is written otherwise.
    pub fn add_events(&mut self, transition: &'a Transition) {
        let Transition { run, events, steps } = transition;
        events.iter().for_each(|event| self.events.push(event, Time(run.created_at)));
        self.steps.extend(steps);
    }

    /// The run can be claimed.
    pub fn queue(&mut self, run: &'a Run) {
        self.queued.push(run);
        self.projects.push(run.project_id.as_ref().map(|id| id.as_str()));
        self.plain.push(is_plain(run));
        self.due_since.push(due_since(run));
    }

    /// Look at the run again at `due`.
    pub fn set_timer(&mut self, run: &Run, due: Time) {
        self.timers.0.push(due);
        self.timers.1.push(uuid(run.id.to_bits()));
        self.timers.2.push(number(run.epoch));
    }

    /// Writes it all, with `more`, and commits.
    pub async fn commit(self, session: Session, more: &[(&str, Params<'_>)]) -> Result<()> {
        let workspace = self.caller.workspace.as_str();
        let (made, changed) = (RunColumns::of(&self.made)?, RunColumns::of(&self.changed)?);
        let (lasting, ids) = (LastingColumns::of(&self.made)?, changed.ids.len());
        let made: Vec<_> = made.params(&workspace).into_iter().chain(lasting.params()).collect();
        let changed = changed.params(&workspace);
        let events = &self.events;
        let insert_events: Params<'_> = &[
            &workspace,
            &events.runs,
            &events.steps,
            &events.seqs,
            &events.types,
            &events.times,
            &events.actors,
            &events.payloads,
            &events.run_times,
        ];
        let gone = &self.unqueued;
        let unqueued: Params<'_> = &[&workspace, &gone.kinds, &gone.ranks, &gone.times, &gone.ids];
        let here = &self.queued;
        let queued: Params<'_> = &[
            &workspace,
            &here.kinds,
            &here.ranks,
            &here.times,
            &here.ids,
            &self.projects,
            &self.plain,
            &self.due_since,
        ];
        let timers: Params<'_> = &[&workspace, &self.timers.0, &self.timers.1, &self.timers.2];
        let steps = StepColumns::of(self.steps.iter().copied());
        let put_steps = steps.params(&workspace);
        let workdirs: Params<'_> = &[&workspace, &self.done_with_workdirs, &FileName::WORKDIR];
        let (put_settings, drop_settings) = (self.settings.put(), self.settings.delete(&workspace));
        let acts = EventColumns::of(&self.acts);
        let note = acts.params();
        let all = [
            (UNQUEUE, unqueued, gone.ids.len()),
            (INSERT_RUNS, &made[..], self.made.len()),
            (UPDATE_RUNS, &changed[..], ids),
            (INSERT_EVENTS, insert_events, events.runs.len()),
            (QUEUE, queued, here.ids.len()),
            (SET_TIMERS, timers, self.timers.1.len()),
            (PUT_STEPS, &put_steps[..], self.steps.len()),
            (DROP_WORKDIRS, workdirs, self.done_with_workdirs.len()),
            (put_settings.0, &put_settings.1[..], put_settings.2),
            (drop_settings.0, &drop_settings.1[..], drop_settings.2),
            (NOTE_ALL, &note[..], self.acts.len()),
        ];
        let mut asked: Vec<(&str, Params<'_>)> = Vec::with_capacity(all.len() + more.len());
        asked.extend(all.into_iter().filter(|(.., rows)| *rows > 0).map(|(sql, params, _)| (sql, params)));
        asked.extend_from_slice(more);
        let notify = if events.runs.is_empty() && here.ids.is_empty() { Notify::No } else { Notify::Yes };
        session.commit_with(&asked, notify).await
    }
}
