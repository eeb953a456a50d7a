//! How long a drill is, how its chances fall, and how it waits.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Whether the long form is asked for.
pub fn is_long() -> bool {
    std::env::var("SPRONGUS_DRILL").is_ok_and(|form| form == "long")
}

/// The short or the long form's figure.
pub fn form<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// Chances, and the seed to print with what they led to.
pub fn chances() -> (fastrand::Rng, u64) {
    let given = std::env::var("SPRONGUS_DRILL_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("a seed is a number"));
    (fastrand::Rng::with_seed(seed), seed)
}

/// Seconds since boot, on the clock that the commands write into the journal.
pub fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Plays a caller of the library. One runtime for all, for a store's connections live in the one that opened it.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    RUNTIME.get_or_init(make).block_on(future)
}
