//! The end of a history: everything that was written, and whether it hangs together by itself.

use sprongus_core::Caller;
use sprongus_core::json::Json;
use sprongus_core::run::artifact::FileName;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::state::State;
use sprongus_core::store::Store;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::workspace::setting::{Family, Setting};

use super::{World, callers, telling};

impl World {
    /// All runs, events, steps, lines and live figures, as text, as each of those who asked sees them.
    pub(in crate::histories) async fn everything(&self, store: &dyn Store) -> String {
        let mut text = String::new();
        for caller in callers() {
            text += &self.seen_by(store, &caller).await;
        }
        text
    }

    async fn seen_by(&self, store: &dyn Store, caller: &Caller) -> String {
        // Timers first: a store may be behind the clock until it is asked to move them.
        let moved = store.expire(caller, 10_000).await;
        let mut text = telling::one(&moved, |(_, events)| telling::events(events));
        for &id in &self.made {
            text += &telling::one(&store.get(caller, id).await, telling::run);
            text +=
                &telling::one(&store.events(caller, id, 0, 10_000).await, |events| telling::events(events));
            text += &telling::one(&store.steps(caller, id).await, |steps| telling::lines(steps));
            text += &telling::one(&store.logs(caller, id, 0, 10_000).await, |lines| telling::lines(lines));
            text += &telling::one(&store.artifacts(caller, id).await, |files| telling::lines(files));
            let workdir = store.file(caller, id, &FileName::Workdir).await;
            text += &telling::one(&workdir, |file| format!("{file:?}\n"));
        }
        for number in 0..4 {
            let found = store.find_by_key(caller, &format!("key-{number}")).await;
            text += &telling::one(&found, |found| found.iter().map(telling::run).collect());
        }
        // What became of schedules: how far each has got, and what they did not do.
        let settings = store.settings(caller, Family::Schedule, "", 100).await;
        text += &telling::one(&settings, |settings| {
            let progress =
                |it: &Setting| format!("{it:?} {} {}\n", it.definition.as_str(), it.progress.as_str());
            settings.iter().map(progress).collect()
        });
        text += &self.acts(store, caller).await;
        let unwanted = store.unwanted_blobs(10_000).await;
        text += &telling::one(&unwanted, |unwanted| telling::lines(unwanted));
        text += &telling::one(&store.workers(caller).await, |workers| telling::lines(workers));
        text + &telling::one(&store.stats(caller).await, |stats| format!("{stats:?}\n"))
    }

    /// What operators and schedules did, in the order of the audit; what was done at the same instant is put in order.
    async fn acts(&self, store: &dyn Store, caller: &Caller) -> String {
        let mut filter = OperatorFilter { limit: 100, ..OperatorFilter::default() };
        let mut lines = Vec::new();
        loop {
            let page = match store.operator_events(caller, &filter).await {
                Ok(page) => page,
                Err(refusal) => return telling::error(&refusal),
            };
            lines.extend(page.data.iter().map(|event| {
                let OperatorEvent { id: _, workspace_id, kind, at, actor, token_id, subject, before, after } =
                    event;
                let state = |state: &Option<Json>| state.as_ref().map(|json| json.as_str().to_owned());
                let (before, after) = (state(before), state(after));
                format!("{at} {workspace_id} {kind} {actor} {token_id:?} {subject:?} {before:?} {after:?}\n")
            }));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                lines.sort_unstable();
                return lines.concat();
            }
        }
    }

    /// A run's history has no gap and leads to the state the run is in.
    pub(in crate::histories) async fn check_histories(&self, store: &dyn Store) -> Result<(), String> {
        let [local, .., elsewhere] = callers();
        for (caller, &id) in
            [local, elsewhere].iter().flat_map(|one| self.made.iter().map(move |id| (one, id)))
        {
            let Ok(run) = store.get(caller, id).await else { continue };
            let events = store.events(caller, id, 0, 10_000).await.map_err(|error| error.to_string())?;
            let places: Vec<u64> = events.iter().map(|event| event.seq).collect();
            if places != (1..=run.last_seq).collect::<Vec<_>>() {
                return Err(format!("the history of {id} has a gap: {places:?} up to {}", run.last_seq));
            }
            let seen = retold(id, &events)?;
            if seen != run.state {
                return Err(format!("{id} is {}, its history says {seen}", run.state));
            }
        }
        Ok(())
    }
}

/// The state a history leads to; each event of a change must start where the one before it ended.
fn retold(id: RunId, events: &[Event]) -> Result<State, String> {
    use State::{Canceled, Failed, Queued, Running, Succeeded};
    let mut state = None;
    for event in events {
        let (from, to): (&[State], State) = match event.kind {
            EventType::Enqueued => (&[], Queued),
            EventType::Started => (&[Queued], Running),
            EventType::Succeeded => (&[Running], Succeeded),
            EventType::Failed => (&[Queued, Running], Failed),
            EventType::Canceled => (&[Queued, Running], Canceled),
            EventType::RetryScheduled | EventType::Released | EventType::LeaseLost | EventType::Waiting => {
                (&[Running], Queued)
            }
            EventType::Retried => (&[Failed, Canceled], Queued),
            EventType::Approved
            | EventType::Rejected
            | EventType::Progressed
            | EventType::Cleaned
            | EventType::StepStarted
            | EventType::StepCompleted
            | EventType::StepFailed
            | EventType::StepSkipped => continue,
        };
        let fits = state.map_or(from.is_empty(), |state| from.contains(&state));
        if !fits {
            return Err(format!("{id}: {} in state {state:?}", event.kind));
        }
        state = Some(to);
    }
    state.ok_or_else(|| format!("{id} has no history"))
}
