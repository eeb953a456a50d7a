//! What rules decided, on its way into the tables: the runs that change, their events, and their places in the queue and among the
//! timers, each as the columns of one statement. However many runs change, the statements are as many as the tables.

use sprongus_core::artifact::FileName;
use sprongus_core::event::Event;
use sprongus_core::lease::LeaseHash;
use sprongus_core::names::WorkspaceId;
use sprongus_core::rules::Change;
use sprongus_core::rules::artifact::is_done_with_workdir;
use sprongus_core::rules::schedule::schedule;
use sprongus_core::run::{Cleanup, Run};
use sprongus_core::state::State;
use sprongus_core::step::Step;
use sprongus_core::time::Timestamp;
use uuid::Uuid;

use crate::artifact::DROP_WORKDIRS;
use crate::fault::Result;
use crate::record::{PUT_STEPS, StepColumns};
use crate::rows::{EventRows, cleanup_word, event_columns, millis, number, run_columns, small, written};
use crate::session::{News, Params, Session};
use crate::values::{JsonText, Time, uuid};

const UPDATE_RUNS: &str = concat!(
    "UPDATE runs r SET (",
    run_columns!(changing),
    ", ended_as) = (t.state, t.progress, t.attempt, t.crashes, t.gate, t.run_at, t.due_since, t.expire_at, t.result, t.output_ref, t.error,
     t.epoch, t.claimed_by, t.claimed_at, t.lease_ms, t.lease_expires_at, t.closing_until, t.cleanup, t.last_report,
     t.last_seq, t.started_at, t.finished_at, t.updated_at, t.lease_hash,
     CASE WHEN t.state IN ('failed', 'canceled') THEN t.state END)
     FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::integer[], $6::integer[], $7::jsonb[], $8::timestamptz[],
        $9::timestamptz[], $10::timestamptz[], $11::jsonb[], $12::text[], $13::text[], $14::bigint[], $15::text[],
        $16::timestamptz[], $17::bigint[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[], $22::bigint[],
        $23::timestamptz[], $24::timestamptz[], $25::timestamptz[], $26::bytea[])
        AS t (id, ",
    run_columns!(changing),
    ")
     WHERE r.workspace_id = $1 AND r.id = t.id"
);
const INSERT_EVENTS: &str = concat!(
    "INSERT INTO run_events (workspace_id, ",
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
        self.ranks.push(rank(run.priority));
        self.times.push(Time(run.run_at));
        self.ids.push(uuid(run.id.to_bits()));
    }
}

/// What orders the queue: the lower, the sooner.
pub fn rank(priority: u8) -> i16 {
    100 - i16::from(priority.min(100))
}

/// Whether claiming a queued run needs no second look.
pub fn is_plain(run: &Run) -> bool {
    run.state == State::Queued && run.gate.is_none() && (run.expire_at.is_none() || run.started_at.is_some())
}

/// When to look at a run again. A gate without an end has a timer that never fires, so that each live run stands somewhere.
pub fn timer(run: &Run, now: Timestamp) -> Option<Time> {
    let endless = run.waiting_for().is_some_and(|gate| gate.until.is_none());
    let never = endless.then(|| Timestamp::from_millis(i64::MAX));
    schedule(run, now).timer_at.or(never).map(Time)
}

/// Since when a run is due, where that is not `run_at`, as it is kept.
fn due_since(run: &Run) -> Option<Time> {
    (run.due_at != run.run_at).then_some(Time(run.due_at))
}

#[derive(Default)]
struct Changed<'a> {
    runs: Vec<&'a Run>,
    gates: Vec<Option<String>>,
}

/// Changes of runs of one workspace, to be committed together.
pub struct Writing<'a> {
    workspace: &'a WorkspaceId,
    now: Timestamp,
    changed: Changed<'a>,
    events: EventRows<'a>,
    unqueued: Keys<'a>,
    queued: Keys<'a>,
    projects: Vec<Option<&'a str>>,
    plain: Vec<bool>,
    due_since: Vec<Option<Time>>,
    timers: (Vec<Time>, Vec<Uuid>, Vec<i64>),
    steps: Vec<&'a Step>,
    done_with_workdirs: Vec<Uuid>,
}

impl<'a> Writing<'a> {
    /// Nothing yet.
    pub fn new(workspace: &'a WorkspaceId, now: Timestamp) -> Self {
        Self {
            workspace,
            now,
            changed: Changed::default(),
            events: EventRows::default(),
            unqueued: Keys::default(),
            queued: Keys::default(),
            projects: Vec::new(),
            plain: Vec::new(),
            due_since: Vec::new(),
            timers: Default::default(),
            steps: Vec::new(),
            done_with_workdirs: Vec::new(),
        }
    }

    /// What a rule made of `before`.
    pub fn change(&mut self, before: &'a Run, change: &'a Change) -> Result<()> {
        let after = &change.run;
        self.changed.gates.push(after.gate.as_ref().map(written).transpose()?);
        self.changed.runs.push(after);
        self.tell(after, &change.events);
        self.steps.extend(&change.step);
        if is_done_with_workdir(after) {
            self.done_with_workdirs.push(uuid(after.id.to_bits()));
        }
        let was_live = match before.state {
            State::Queued => true,
            State::Failed | State::Canceled => before.cleanup == Cleanup::Owed,
            State::Running | State::Succeeded => false,
        };
        if was_live {
            self.unqueued.push(before);
        }
        if schedule(after, self.now).ready {
            self.queue(after);
        }
        let due = timer(after, self.now);
        if after.epoch != before.epoch || due != timer(before, self.now) {
            due.into_iter().for_each(|due| self.remind(after, due));
        }
        Ok(())
    }

    /// Events of a run.
    pub fn tell(&mut self, run: &Run, events: &'a [Event]) {
        events.iter().for_each(|event| self.events.push(event, Time(run.created_at)));
    }

    /// The run can be claimed.
    pub fn queue(&mut self, run: &'a Run) {
        self.queued.push(run);
        self.projects.push(run.project_id.as_ref().map(|id| id.as_str()));
        self.plain.push(is_plain(run));
        self.due_since.push(due_since(run));
    }

    /// Look at the run again at `due`.
    pub fn remind(&mut self, run: &Run, due: Time) {
        self.timers.0.push(due);
        self.timers.1.push(uuid(run.id.to_bits()));
        self.timers.2.push(number(run.epoch));
    }

    /// Writes it all, with `more`, and commits.
    pub async fn commit(self, session: Session, more: &[(&str, Params<'_>)]) -> Result<()> {
        let workspace = self.workspace.as_str();
        let runs = self.changed.runs;
        macro_rules! column {
            (|$run:ident| $value:expr) => {
                runs.iter().map(|$run| $value).collect::<Vec<_>>()
            };
        }
        let ids = column!(|run| uuid(run.id.to_bits()));
        let states = column!(|run| run.state.as_str());
        let progress = column!(|run| i16::from(run.progress));
        let attempts = column!(|run| small(run.attempt));
        let crashes = column!(|run| small(run.crashes));
        let gates: Vec<_> = self.changed.gates.iter().map(|gate| gate.as_deref().map(JsonText)).collect();
        let run_at = column!(|run| Time(run.run_at));
        let due = column!(|run| due_since(run));
        let expire_at = column!(|run| run.expire_at.map(Time));
        let results = column!(|run| run.result.as_ref().map(|result| JsonText(result.as_str())));
        let output_refs = column!(|run| run.output_ref.as_deref());
        let errors = column!(|run| run.error.as_deref());
        let epochs = column!(|run| number(run.epoch));
        let claimed_by = column!(|run| run.claimed_by.as_ref().map(|id| id.as_str()));
        let claimed_at = column!(|run| run.claimed_at.map(Time));
        let leases = column!(|run| millis(run.lease));
        let lease_ends = column!(|run| run.lease_expires_at.map(Time));
        let closing = column!(|run| run.closing_until.map(Time));
        let cleanups = column!(|run| cleanup_word(run.cleanup));
        let reports = column!(|run| run.last_report.as_deref());
        let seqs = column!(|run| number(run.last_seq));
        let started = column!(|run| run.started_at.map(Time));
        let finished = column!(|run| run.finished_at.map(Time));
        let updated = column!(|run| Time(run.updated_at));
        let hashes = column!(|run| run.lease_hash.as_ref().map(LeaseHash::as_bytes));
        let changed: Params<'_> = &[
            &workspace,
            &ids,
            &states,
            &progress,
            &attempts,
            &crashes,
            &gates,
            &run_at,
            &due,
            &expire_at,
            &results,
            &output_refs,
            &errors,
            &epochs,
            &claimed_by,
            &claimed_at,
            &leases,
            &lease_ends,
            &closing,
            &cleanups,
            &reports,
            &seqs,
            &started,
            &finished,
            &updated,
            &hashes,
        ];
        let told = &self.events;
        let events: Params<'_> = &[
            &workspace,
            &told.runs,
            &told.steps,
            &told.seqs,
            &told.types,
            &told.times,
            &told.actors,
            &told.payloads,
            &told.run_times,
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
        let all = [
            (UNQUEUE, unqueued, gone.ids.len()),
            (UPDATE_RUNS, changed, ids.len()),
            (INSERT_EVENTS, events, told.runs.len()),
            (QUEUE, queued, here.ids.len()),
            (SET_TIMERS, timers, self.timers.1.len()),
            (PUT_STEPS, &put_steps[..], self.steps.len()),
            (DROP_WORKDIRS, workdirs, self.done_with_workdirs.len()),
        ];
        let mut asked: Vec<(&str, Params<'_>)> = Vec::with_capacity(all.len() + more.len());
        asked.extend(all.into_iter().filter(|(.., rows)| *rows > 0).map(|(sql, params, _)| (sql, params)));
        asked.extend_from_slice(more);
        let news = if told.runs.is_empty() && here.ids.is_empty() { News::None } else { News::Told };
        session.commit_with(&asked, news).await
    }
}
