//! The list of cases. A case stands here or it is not run; a name here without a case does not compile.

/// Calls `$then!` with `$make` and every case of a store, grouped by verb.
#[macro_export]
macro_rules! for_each_case {
    ($then:path, $make:expr) => {
        $then! { $make;
            enqueue {
                a_new_run_is_queued_with_one_event,
            }
            claim {
                two_claimers_never_hold_the_same_run,
            }
        }
    };
}

/// One test for every promise of a store. `$make` is an `async fn(TurnedClock) -> (Arc<dyn Store>, Guard)`; the guard is kept
/// until the case has ended.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::for_each_case!($crate::store_tests, $make);
    };
}

/// One test a case of a store; see [`store_conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! store_tests {
    ($make:expr; $($verb:ident { $($case:ident,)+ })+) => {
        $(mod $verb {
            #[allow(unused_imports, reason = "a factory may be named by an absolute path")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::fixture::drive($make, $crate::store::$verb::$case);
            })+
        })+
    };
}
