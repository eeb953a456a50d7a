//! nothing → queued.

use sprongus_core::event::EventType;
use sprongus_core::run::Enqueue;
use sprongus_core::state::State;

use crate::fixture::{Fixture, of_kind};

/// S2.
pub async fn a_new_run_is_queued_with_one_event(f: Fixture) {
    let made = f.enqueue_one(of_kind("script.pull")).await.unwrap();
    assert_eq!(made.outcome, Enqueue::Created);
    let run = made.applied.run;
    assert_eq!((run.state, run.attempt, run.epoch, run.last_seq), (State::Queued, 0, 0, 1));
    assert_eq!(f.get(run.id).await, run);
    assert_eq!(f.events(run.id).await, made.applied.events);
    assert_eq!(f.told(run.id).await, [EventType::Enqueued]);
}
