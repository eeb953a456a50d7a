//! A negative control: the comparison must find stores that break a promise, or its silence means nothing.

#![expect(clippy::panic, reason = "a control panics when it fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sprongus_conformance::fixture::{self, Fixture};
use sprongus_conformance::{Model, TurnedClock, histories, store};
use sprongus_core::store::Store;

mod faulty;
use faulty::{Door, Fault, Faulty};

async fn faulty(clock: TurnedClock, fault: Fault) -> (Arc<dyn Store>, ()) {
    (Arc::new(Faulty::new(Model::new(Arc::new(clock)), fault)), ())
}

fn is_found(fault: Fault) {
    let make = async |clock: TurnedClock| faulty(clock, fault).await;
    let outcome = catch_unwind(AssertUnwindSafe(|| histories::compare(make, 500)));
    let Err(panic) = outcome else { panic!("a broken store passed") };
    let text = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(text.contains("SPRONGUS_SEED="), "the seed is printed: {text}");
}

fn is_found_by<Ran: Future<Output = ()>>(fault: Fault, case: impl FnOnce(Fixture) -> Ran) {
    let make = async |clock| faulty(clock, fault).await;
    let outcome = catch_unwind(AssertUnwindSafe(|| fixture::drive(make, case)));
    assert!(outcome.is_err(), "a broken store passed");
}

#[test]
fn a_store_that_ignores_the_epoch_is_found() {
    is_found(Fault::IgnoresTheEpoch);
}

#[test]
fn a_store_that_ignores_the_lease_token_is_found() {
    is_found(Fault::IgnoresTheToken(Door::Finish));
    is_found(Fault::IgnoresTheToken(Door::Command));
}

#[test]
fn a_store_that_ignores_the_lease_token_at_any_door_is_found() {
    use Door::{Command, DropFile, Finish, Heartbeat, PutFile, Record};
    for door in [Heartbeat, Finish, Command, Record, PutFile, DropFile] {
        is_found_by(Fault::IgnoresTheToken(door), store::lease::nothing_is_reported_without_the_claims_token);
    }
}

#[test]
fn a_store_that_voids_no_token_is_found() {
    is_found(Fault::KeepsTheTokenBefore);
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
    is_found_by(Fault::StreamsInPart, store::stream::a_reader_among_writers_misses_nothing);
}

#[test]
fn a_store_that_looks_back_upon_a_part_is_found() {
    is_found_by(Fault::AuditsInPart, store::audit::everything_is_looked_back_upon_newest_first);
}

#[test]
fn a_store_that_looks_back_upon_other_projects_is_found() {
    is_found_by(Fault::AuditsOtherProjects, store::audit::nobody_looks_back_upon_what_is_anothers);
}

#[test]
fn a_store_that_looks_back_upon_whoever_it_was_is_found() {
    is_found_by(Fault::AuditsWhoever, store::audit::what_is_looked_for_alone_is_found);
}

#[test]
fn a_store_that_gives_up_looking_back_is_found() {
    is_found_by(Fault::EndsItsAudit, store::audit::a_look_is_bounded_and_says_where_it_came_to);
}

#[test]
fn a_store_that_forgets_tokens_is_found() {
    is_found_by(Fault::ForgetsTokens, store::rollup::tokens_are_added_up_as_steps_end);
}

#[test]
fn a_store_that_forgets_what_operators_did_is_found() {
    is_found_by(Fault::ForgetsOperators, store::operator::tokens_are_made_and_revoked_on_record);
}
