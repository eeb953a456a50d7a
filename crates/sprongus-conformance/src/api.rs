//! The cases of the API: what a service adds to its store, the same whether it is asked in process or over HTTP. They are listed
//! in [`crate::for_each_api_case!`].

use std::future::Future;
use std::sync::Arc;

use sprongus_core::Runs;

use crate::clock::TurnedClock;
use crate::fixture::runtime;

pub mod asking;
pub mod batches;
pub mod life;
pub mod waiting;

/// The runs of an empty workspace and the clock they live by.
#[derive(Clone)]
pub struct Api {
    /// What is asked.
    pub runs: Arc<dyn Runs>,
    /// The store's clock.
    pub clock: TurnedClock,
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
            asking {
                every_bad_field_is_named_at_once,
                a_secret_is_refused_by_its_place_and_never_repeated,
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
            life {
                a_run_lives_its_whole_life,
                a_run_is_canceled_cleaned_retried_and_released,
                pruning_takes_everything_that_is_due,
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
/// empty workspace; the guard is kept until the case has ended.
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
