//! A negative control: the comparison must find stores that break a promise, or its silence means nothing.

#![expect(clippy::panic, reason = "a control panics when it fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sprongus_conformance::{Model, TurnedClock, fixture, histories, store};
use sprongus_core::store::Store;

mod faulty;
use faulty::{Fault, Faulty};

async fn faulty(clock: TurnedClock, fault: Fault) -> (Arc<dyn Store>, ()) {
    (Arc::new(Faulty { inner: Model::new(Arc::new(clock)), fault }), ())
}

fn is_found(fault: Fault) {
    let make = async |clock: TurnedClock| faulty(clock, fault).await;
    let outcome = catch_unwind(AssertUnwindSafe(|| histories::compare(make, 500)));
    let Err(panic) = outcome else { panic!("a broken store passed") };
    let text = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(text.contains("SPRONGUS_SEED="), "the seed is printed: {text}");
}

#[test]
fn a_store_that_ignores_the_epoch_is_found() {
    is_found(Fault::IgnoresTheEpoch);
}

#[test]
fn a_store_that_forgets_an_event_is_found() {
    is_found(Fault::ForgetsAnEvent);
}

#[test]
fn a_store_that_exceeds_a_claims_limit_is_found() {
    is_found(Fault::ExceedsTheLimit);
}

#[test]
fn a_store_that_makes_a_run_twice_is_found() {
    is_found(Fault::ForgetsTheKey);
}

#[test]
fn a_store_that_never_moves_a_timer_by_itself_is_found() {
    is_found(Fault::NeverExpires);
}

#[test]
fn a_store_that_forgets_which_bytes_to_delete_is_found() {
    is_found(Fault::LosesItsBytes);
}

#[test]
fn a_store_that_leaves_events_out_of_its_stream_is_found() {
    let make = |clock| faulty(clock, Fault::StreamsInPart);
    let case = store::stream::a_reader_among_writers_misses_nothing;
    assert!(catch_unwind(AssertUnwindSafe(|| fixture::drive(make, case))).is_err(), "a broken store passed");
}
