//! The cases of the API: what a service adds to its store, the same whether it is asked in process or over HTTP. They are listed
//! in [`crate::for_each_api_case!`].

use std::future::Future;
use std::sync::Arc;

use sprongus_core::run::event::EventType;
use sprongus_core::run::{Hold, NewRun};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::{Runs, RunsExt};

use crate::clock::TurnedClock;
use crate::fixture::{runtime, worker};

pub mod around;
pub mod asking;
pub mod batches;
pub mod endings;
pub mod files;
pub mod gates;
pub mod holding;
pub mod life;
pub mod looking;
pub mod reasons;
pub mod waiting;

/// The runs of an empty workspace and the clock they live by.
#[derive(Clone)]
pub struct Api {
    /// What is asked.
    pub runs: Arc<dyn Runs>,
    /// The store's clock.
    pub clock: TurnedClock,
}

impl Api {
    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A run made now and held by worker `w`; there must be no other to claim.
    pub async fn held(&self, new: NewRun) -> Hold {
        let run = self.runs.enqueue_one(new).await.expect("a run").run;
        let claimed = self.runs.claim_next(&worker("w"), 1).await.expect("a claim");
        assert_eq!(claimed[0].run.id, run.id, "the only run there is");
        claimed[0].hold()
    }

    /// What a run's history tells, in order.
    pub async fn event_types(&self, id: RunId) -> Vec<EventType> {
        self.runs.events(id, 0, 10_000).await.expect("a history").iter().map(|event| event.kind).collect()
    }
}

/// Makes an API and runs one case on it, on a runtime of their own.
pub fn drive<G, Made, Ran>(make: impl FnOnce(TurnedClock) -> Made, case: impl FnOnce(Api) -> Ran)
where
    Made: Future<Output = (Arc<dyn Runs>, G)>,
    Ran: Future<Output = ()>,
{
    runtime().block_on(async {
        let clock = TurnedClock::new();
        let (runs, _guard) = make(clock.clone()).await;
        case(Api { runs, clock }).await;
    });
}

/// Calls `$then!` with `$make` and every case of the API.
#[macro_export]
macro_rules! for_each_api_case {
    ($then:path, $make:expr) => {
        $then! { $make;
            around {
                what_a_run_is_made_for_must_be_there,
                a_worker_is_seen_drained_and_forgotten,
                the_figures_are_told,
                a_refusal_has_the_words_of_its_rule,
            }
            asking {
                every_bad_field_is_named_at_once,
                a_secret_is_refused_by_its_place_and_never_repeated,
                a_name_that_is_a_secret_is_refused_and_not_repeated,
                what_a_worker_reports_is_kept_without_its_secrets,
                what_is_outside_its_limits_is_refused,
                an_input_over_a_mebibyte_is_too_large,
            }
            batches {
                many_who_ensure_one_key_at_once_get_one_run,
                a_factory_that_refuses_makes_nothing,
                a_bad_item_is_answered_in_its_place,
                a_batch_is_made_whole_or_not_at_all,
                a_batch_holds_a_thousand_at_most,
            }
            endings {
                a_failure_backs_off_until_no_attempt_is_left,
                a_release_gives_the_attempt_back_once,
                a_result_is_taken_once_and_reports_are_answered_one_by_one,
                a_cancel_reaches_the_holder_who_cleans_up,
                what_has_ended_well_is_not_canceled,
                a_retry_grants_one_budget,
            }
            files {
                an_artifact_is_put_listed_and_read,
                an_artifact_is_replaced,
                a_file_needs_its_run_its_hold_and_its_name,
                a_work_directory_is_kept_over_a_gate,
            }
            reasons {
                a_due_run_waits_for_a_worker_and_says_how_those_stand,
                a_run_says_that_it_is_put_off_or_that_its_kind_is_paused,
                gates_that_wait_are_an_inbox,
            }
            gates {
                waiting_twice_is_waiting_once,
                a_comment_at_a_gate_is_kept_without_its_secrets,
                an_answer_to_a_named_step_is_given_once,
                an_answer_without_a_name_is_for_the_gate_of_now,
                a_rejection_needs_a_reason_and_ends_the_run,
            }
            holding {
                a_claim_gives_the_kinds_it_asks_for,
                a_named_claim_gives_the_same_runs_again,
                an_owed_cleanup_is_claimed_as_such,
                a_stale_hold_is_good_for_nothing,
                a_step_that_nobody_can_end_any_more_has_failed,
                a_lease_token_is_told_by_its_claim_alone,
                whoever_looks_at_a_run_sees_when_its_lease_ends,
                heartbeats_are_answered_one_by_one,
                progress_is_told,
            }
            life {
                a_run_lives_its_whole_life,
                a_run_is_canceled_cleaned_retried_and_released,
                pruning_takes_everything_that_is_due,
                pruning_doubts_a_clock_that_jumped,
                pruning_knows_the_limits_of_kinds,
            }
            looking {
                a_log_is_read_in_pages,
                a_history_is_read_in_pages,
                steps_are_shown_in_their_order,
                a_list_holds_what_its_filter_says,
                a_cursor_is_good_for_its_own_list_alone,
                a_run_is_found_by_its_key_and_by_its_id,
            }
            waiting {
                a_waiting_claim_gets_what_comes_at_once,
                a_waiting_claim_ends_empty_when_its_wait_is_over,
                two_who_wait_never_get_the_same_run,
                a_follower_is_told_what_is_new,
            }
        }
    };
}

/// One test for every promise of the API. `$make` is an `async fn(TurnedClock) -> (Arc<dyn Runs>, Guard)` that answers for an
/// empty workspace, over a service that keeps artifacts ([`crate::blobs::service`]); the guard is kept until the case has ended.
#[macro_export]
macro_rules! api_conformance {
    ($make:expr) => {
        $crate::for_each_api_case!($crate::api_tests, $make);
    };
}

/// One test a case of the API; see [`api_conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! api_tests {
    ($make:expr; $($group:ident { $($case:ident,)+ })+) => {
        $(mod $group {
            #[allow(unused_imports, reason = "a factory may be named by an absolute path")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::api::drive($make, $crate::api::$group::$case);
            })+
        })+
    };
}
