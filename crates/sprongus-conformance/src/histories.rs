//! Random histories: the same operations on the model and on a store, every answer compared, and at the end everything that
//! was written.
//!
//! A history that differs is shrunk to the few operations that matter and printed with its seed. `SPRONGUS_SEED` runs that seed
//! again, `SPRONGUS_HISTORIES` says how many histories to try.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use sprongus_core::store::Store;

use crate::clock::TurnedClock;
use crate::fixture::runtime;
use crate::model::Model;

mod operation;
mod telling;
mod world;

pub use operation::{Asked, End, Operation, Scheduling};
use world::World;

/// The longest history.
const MOST_OPERATIONS: usize = 120;

/// Compares the store that `make` makes with the model on `cases` random histories.
///
/// # Panics
/// With the shortest history found in which the two differ, and the seed that leads to it.
pub fn compare<G, Made>(make: impl Fn(TurnedClock) -> Made, cases: u32)
where
    Made: Future<Output = (Arc<dyn Store>, G)>,
{
    let seed = number("SPRONGUS_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let cases = number("SPRONGUS_HISTORIES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let bytes: Vec<u8> = (0..4_u64).flat_map(|part| seed.wrapping_add(part).to_le_bytes()).collect();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = runtime();
    let outcome = runner.run(&vec(operation::any(), 1..MOST_OPERATIONS), |operations| {
        runtime.block_on(async {
            let clock = TurnedClock::new();
            let (store, _guard) = make(clock.clone()).await;
            let model: Arc<dyn Store> = Arc::new(Model::new(Arc::new(clock.clone())));
            live(&model, &store, clock, &operations).await.map_err(TestCaseError::fail)
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, history)) => {
            let steps: Vec<String> =
                history.iter().enumerate().map(|(n, step)| format!("  {n}: {step:?}")).collect();
            panic!(
                "the store and the model differ (SPRONGUS_SEED={seed}):\n{reason}\nin this history:\n{}",
                steps.join("\n")
            );
        }
        Err(TestError::Abort(reason)) => panic!("no history could be tried (SPRONGUS_SEED={seed}): {reason}"),
    }
}

/// Lives through a history on both, and says where they differ.
async fn live(
    model: &Arc<dyn Store>,
    store: &Arc<dyn Store>,
    clock: TurnedClock,
    operations: &[Operation],
) -> Result<(), String> {
    let mut world = World::new(clock);
    for at in [model, store] {
        world.furnish(at.as_ref()).await;
    }
    for (number, operation) in operations.iter().enumerate() {
        let Some(call) = world.aim(operation) else { continue };
        let expected = world.put(model.as_ref(), &call).await;
        let answer = world.put(store.as_ref(), &call).await;
        telling::same(&format!("{number}: {operation:?}"), &expected.text, &answer.text)?;
        world.learn(&call, expected);
    }
    let expected = world.everything(model.as_ref()).await;
    let answer = world.everything(store.as_ref()).await;
    telling::same("what was written in the end", &expected, &answer)?;
    world.check_histories(store.as_ref()).await
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}
