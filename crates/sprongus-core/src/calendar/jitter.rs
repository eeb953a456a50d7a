//! Jitter: how much later than its tick a run is due, so that many schedules of the same minute do not start at once.
//!
//! The delay of a tick is fixed, on every machine and in every version:
//!
//! 1. `h` is the first 8 bytes, as a big-endian number, of the SHA-256 of the ASCII text `sprongus-jitter-1`, a line feed, the schedule,
//!    a line feed, and the tick in milliseconds since 1970 as a decimal number.
//! 2. The delay is `⌊h · (jitter + 1) / 2⁶⁴⌋` milliseconds, with the jitter in milliseconds: from 0 to the jitter, both inclusive.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::values::time::Timestamp;

/// The delay of one tick, in whole milliseconds from zero to `most`. `schedule` is whatever names it for good; a tenant's own name in it
/// keeps schedules of the same id apart.
pub fn delay(schedule: &str, tick: Timestamp, most: Duration) -> Duration {
    let text = format!("sprongus-jitter-1\n{schedule}\n{}", tick.as_millis());
    let hash = Sha256::digest(text.as_bytes());
    let hash = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let delay = (u128::from(hash) * (u128::from(most) + 1)) >> 64;
    Duration::from_millis(u64::try_from(delay).unwrap_or(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: i64 = 1_793_500_200_000;

    #[test]
    fn a_delay_is_the_same_on_every_machine_and_in_every_version() {
        let delays = |schedule: &str| {
            (0..4_i64)
                .map(|n| delay(schedule, Timestamp::from_millis(TICK + n * 60_000), Duration::from_secs(600)))
                .map(|delay| delay.as_millis())
                .collect::<Vec<_>>()
        };
        assert_eq!(delays("default/nightly"), [173704, 494913, 325596, 322648]);
        assert_eq!(delays("other/nightly"), [536661, 524546, 219188, 225618]);
    }

    #[test]
    fn delays_spread_evenly_from_zero_to_the_jitter() {
        let most = Duration::from_millis(9);
        let mut found = [0_u32; 10];
        for n in 0..10_000 {
            let delay = delay("default/nightly", Timestamp::from_millis(TICK + n * 1000), most);
            found[usize::try_from(delay.as_millis()).unwrap()] += 1;
        }
        assert!(found.iter().all(|count| (850..1150).contains(count)), "{found:?}");
        assert_eq!(delay("a", Timestamp::from_millis(TICK), Duration::ZERO), Duration::ZERO);
        assert!(delay("a", Timestamp::from_millis(TICK), Duration::MAX) <= Duration::MAX);
    }
}
