//! A negative control: the comparison must find stores that break a promise, or its silence means nothing.

#![expect(clippy::panic, reason = "a control panics when it fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sprongus_conformance::{Model, TurnedClock, histories};
use sprongus_core::store::Store;

mod faulty;
use faulty::{Fault, Faulty};

fn is_found(fault: Fault) {
    let make = async |clock: TurnedClock| {
        let store: Arc<dyn Store> = Arc::new(Faulty { inner: Model::new(Arc::new(clock)), fault });
        (store, ())
    };
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
