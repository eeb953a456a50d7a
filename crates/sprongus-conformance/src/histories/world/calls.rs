//! Calls on a store: put, told as text, and learnt from.

use sprongus_core::Result;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::rules::dispatch::block;
use sprongus_core::rules::enqueue::Prepared;
use sprongus_core::rules::schedule::change::{Around, Change, change};
use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::artifact::{FileName, NewFile};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::retention::Retention;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::run::{ClaimRequest, Hold, Run};
use sprongus_core::store::settings::{SettingsRead, SettingsRule};
use sprongus_core::store::{Batch, DrawnReport, Store};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::{Kind, ScheduleId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::Family;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{World, telling};
use crate::fixture::hold_of;

/// An operation aimed at runs that exist.
#[derive(Clone)]
pub(in crate::histories) enum Call {
    Enqueue(Vec<Prepared>, Batch),
    /// And the token that what it gives is held under.
    Claim(ClaimRequest, LeaseToken),
    Heartbeat(Vec<Hold>, Option<Duration>),
    Finish(WorkerId, Vec<DrawnReport>),
    Command(RunId, RunCommand),
    Record(Hold, Vec<StepReport>, Vec<LogLine>),
    /// When the bytes are to be deleted without a row, if they are expected at all.
    Put(Hold, Option<Timestamp>, NewFile),
    Drop(Hold, FileName),
    Sweep(u32),
    Expire,
    /// By a clock that is behind for the while.
    ExpireEarlier(Duration),
    Prune(Retention),
    Pause(Kind, bool),
    Drain(WorkerId),
    /// By a rule of the suite's own: nothing in the product blocks a run yet.
    Block(RunId, bool),
    List(ListFilter),
    /// With the seed of a schedule that is created by it.
    Schedule(ScheduleId, Change, u64),
}

/// An answer as text, and what of it the world goes on with.
pub(in crate::histories) struct Reply {
    pub(in crate::histories) text: String,
    made: Vec<RunId>,
    holds: Vec<Hold>,
}

/// Blocks the runs that are queued, or frees them.
fn blocking(is_blocked: bool) -> impl Fn(&BTreeMap<RunId, Run>, Act<'_>) -> Result<WriteSet> {
    move |runs, _| {
        let on = is_blocked.then(|| "suite:block".parse()).transpose()?;
        let queued = runs.values().filter(|run| run.state == State::Queued);
        let transitions = queued.map(|run| block(run, on.clone())).collect();
        Ok(WriteSet { transitions, ..WriteSet::default() })
    }
}

fn enqueued(events: &[Event]) -> impl Iterator<Item = RunId> {
    events.iter().filter(|event| event.kind == EventType::Enqueued).map(|event| event.run_id)
}

/// A change of a schedule, with a seed that every store is given alike.
fn scheduling(id: ScheduleId, wanted: Change, workspace: WorkspaceId, seed: u64) -> SettingsRule {
    let zones = SystemZones::bundled();
    Arc::new(move |read: &SettingsRead, act| {
        let around = Around { workspace: &workspace, live: &read.live, zones: &zones, seed };
        change(&id, read.settings.first(), &wanted, &around, act)
    })
}

impl World {
    pub(in crate::histories) async fn put(&self, store: &dyn Store, call: &Call) -> Reply {
        let caller = &self.caller;
        let (mut made, mut holds) = (Vec::new(), Vec::new());
        let text = match call {
            Call::Enqueue(requests, batch) => {
                let answers = store.enqueue(caller, requests.clone(), *batch).await;
                made.extend(answers.iter().flatten().flatten().map(|inserted| inserted.applied.run.id));
                telling::each(&answers, telling::inserted)
            }
            Call::Claim(request, token) => {
                let answer = store.claim(caller, request, token).await;
                holds.extend(answer.iter().flat_map(|answer| &answer.claimed).map(hold_of));
                made.extend(answer.iter().flat_map(|answer| enqueued(&answer.events)));
                telling::one(&answer, telling::claim)
            }
            Call::Heartbeat(held, lease) => {
                let answers = store.heartbeat(caller, held.clone(), *lease).await;
                telling::each(&answers, |beat| format!("{beat:?}\n"))
            }
            Call::Finish(worker, reports) => {
                telling::each(&store.finish(caller, worker, reports.clone()).await, telling::applied)
            }
            Call::Command(id, command) => {
                telling::one(&store.apply(caller, *id, command.clone()).await, telling::applied)
            }
            Call::Record(hold, steps, lines) => {
                let answer = store.record(caller, hold, steps.clone(), lines.clone()).await;
                telling::one(&answer, |events| telling::events(events))
            }
            Call::Put(hold, due, file) => {
                if let Some(due) = due {
                    store.expect_blob(&file.location, *due).await.expect("a place");
                }
                let answer = store.put_file(caller, hold, file.clone()).await;
                telling::one(&answer, |stored| format!("{stored:?}\n"))
            }
            Call::Drop(hold, name) => {
                telling::one(&store.drop_file(caller, hold, name).await, |()| String::new())
            }
            Call::Sweep(limit) => {
                let unwanted = store.unwanted_blobs(*limit).await.expect("a list");
                store.forget_blobs(&unwanted).await.expect("a store that answers");
                telling::lines(&unwanted)
            }
            // How many timers were due is left out: a store may park one that fires early.
            Call::Expire => {
                let answer = store.expire(caller, 1_000).await;
                made.extend(answer.iter().flat_map(|(_, events)| enqueued(events)));
                telling::one(&answer, |(_, events)| telling::events(events))
            }
            Call::ExpireEarlier(earlier) => {
                self.clock.turn_back(*earlier);
                let answer = store.expire(caller, 1_000).await;
                self.clock.turn(*earlier);
                telling::one(&answer, |(_, events)| telling::events(events))
            }
            Call::Prune(retention) => {
                let answer = store.prune(caller, retention, 1_000, false).await;
                telling::one(&answer, |pruned| format!("{pruned:?}\n"))
            }
            Call::Pause(kind, paused) => format!("{:?}\n", store.pause_kind(caller, kind, *paused).await),
            Call::Drain(worker) => {
                let answer = store.drain_worker(caller, worker).await;
                telling::one(&answer, |()| String::new())
            }
            Call::Block(id, is_blocked) => {
                let answer = store.decide(caller, &[*id], Arc::new(blocking(*is_blocked))).await;
                telling::one(&answer, |set| {
                    set.transitions.iter().map(|one| telling::run(&one.run)).collect()
                })
            }
            Call::Schedule(id, wanted, seed) => {
                let rule = scheduling(id.clone(), wanted.clone(), caller.workspace.clone(), *seed);
                let ids = [id.as_str().to_owned()];
                let answer = store.change_settings(caller, Family::Schedule, &ids, rule).await;
                made.extend(answer.iter().flat_map(|set| &set.new_runs).map(|new| new.run.id));
                telling::one(&answer, |set| {
                    let runs = set.new_runs.iter().chain(&set.transitions);
                    runs.map(|one| telling::run(&one.run)).collect()
                })
            }
            Call::List(filter) => self.pages(store, filter.clone()).await,
        };
        Reply { text, made, holds }
    }

    /// Every page of a list, one behind the other.
    async fn pages(&self, store: &dyn Store, mut filter: ListFilter) -> String {
        let mut text = String::new();
        loop {
            match store.list(&self.caller, &filter).await {
                Ok(page) => {
                    text.extend(page.data.iter().map(telling::run));
                    filter.cursor = page.next_cursor;
                }
                Err(refusal) => return text + &telling::error(&refusal),
            }
            if filter.cursor.is_none() {
                return text;
            }
        }
    }

    /// Takes note of what a call came to.
    pub(in crate::histories) fn learn(&mut self, call: &Call, reply: Reply) {
        for id in reply.made {
            if !self.made.contains(&id) {
                self.made.push(id);
            }
        }
        if let Call::Claim(request, _) = call
            && request.claim_id.is_some()
            && !reply.holds.is_empty()
        {
            self.named = Some(request.clone());
        }
        if let Call::Finish(..) = call {
            self.finished = Some(call.clone());
        }
        if let Call::Put(hold, _, file) = call {
            self.put = Some(Call::Put(hold.clone(), None, file.clone()));
        }
        for hold in reply.holds {
            if !self.holds.contains(&hold) {
                self.holds.push(hold);
            }
        }
    }
}
