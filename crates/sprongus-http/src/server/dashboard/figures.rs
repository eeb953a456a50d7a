//! Figures that many look at, read once for all of them: how every kind stands, a second old where it is quickly read, and what happened
//! lately, a few seconds old. Nothing here counts the runs of history.

mod cached;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cached::Cached;
use sprongus_core::figures::rollup::{self, Counts};
use sprongus_core::store::Store;
use sprongus_core::values::names::{ProjectId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;
use sprongus_core::{Caller, Result, Runs};

/// How long what happened is good.
const LATELY: Duration = Duration::from_secs(3);

/// How often all of the day is read again: events may be added up late, by a process that was behind.
const WHOLE: Duration = Duration::from_secs(60);

/// How far back minutes may still change in between.
const LATE: Duration = Duration::from_secs(10 * 60);

/// The whole of the longest chart, and the slot of the finest.
const DAY: Duration = Duration::from_secs(24 * 3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// Events added up in one go, and how often at most before a page is shown.
const EVENTS: u32 = 1_000;
const GOES: usize = 10;

/// Keys beyond this many make those that nobody reads now be forgotten.
const KEPT: usize = 1_000;

/// What figures depend on: a workspace, and the projects of it that somebody may see.
type Seen = (WorkspaceId, Option<Vec<ProjectId>>);

/// The figures of a server.
pub struct Figures {
    store: Arc<dyn Store>,
    stats: ByKey<Seen, Cached<Stats>>,
    lately: ByKey<WorkspaceId, tokio::sync::Mutex<Lately>>,
}

/// What happened within a day, minute by minute.
#[derive(Default)]
struct Lately {
    read: Option<Instant>,
    read_whole: Option<Instant>,
    minutes: BTreeMap<Timestamp, Counts>,
    charted: Arc<Charted>,
}

/// What is charted: each slot with its beginning, oldest first.
#[derive(Debug, Default)]
pub struct Charted {
    /// The last hour by minutes.
    pub hour: Vec<(Timestamp, Counts)>,
    /// The last day by hours.
    pub day: Vec<(Timestamp, Counts)>,
}

impl Figures {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, stats: ByKey::default(), lately: ByKey::default() }
    }

    /// Counts by kind, at most fifteen seconds old.
    ///
    /// # Errors
    /// As [`Runs::stats`].
    pub async fn stats(&self, caller: &Caller, runs: Arc<dyn Runs>) -> Result<Arc<Stats>> {
        let stats = self.stats.entry(&(caller.workspace.clone(), caller.projects.clone()));
        stats.get(async move { runs.stats().await }).await
    }

    /// Kinds that were seen when somebody last looked at the figures; none where nobody has. Reads nothing.
    pub fn kinds(&self, caller: &Caller) -> Vec<String> {
        let stats = self.stats.entry(&(caller.workspace.clone(), caller.projects.clone()));
        let stats = stats.younger_than(Duration::MAX);
        stats.iter().flat_map(|stats| stats.kinds.keys().cloned()).collect()
    }

    /// What happened within the last hour and day. Events that were not added up yet are, so that what is shown is now's.
    ///
    /// # Errors
    /// `forbidden` for somebody who is narrowed to projects; as [`Figures::minutes`](sprongus_core::store::Figures::minutes).
    pub async fn charted(&self, caller: &Caller) -> Result<Arc<Charted>> {
        rollup::admit(caller)?;
        let entry = self.lately.entry(&caller.workspace);
        let mut lately = entry.lock().await;
        if lately.read.is_none_or(|read| read.elapsed() >= LATELY) {
            self.read(caller, &mut lately).await?;
        }
        Ok(Arc::clone(&lately.charted))
    }

    async fn read(&self, caller: &Caller, lately: &mut Lately) -> Result<()> {
        for _ in 0..GOES {
            if self.store.roll_up(caller, EVENTS).await? < EVENTS {
                break;
            }
        }
        let (now, began) = (self.store.now().await?, Instant::now());
        let is_whole = lately.read_whole.is_none_or(|read| read.elapsed() >= WHOLE);
        let oldest = hour_of(now).minus(DAY);
        let since = if is_whole { oldest } else { now.minus(LATE).minute() };
        let read = self.store.minutes(caller, since, now.plus(MINUTE)).await?;
        lately.minutes.retain(|minute, _| *minute >= oldest && *minute < since);
        for minute in read {
            let sum = lately.minutes.entry(minute.minute).or_default();
            *sum = sum.plus(minute.counts);
        }
        lately.charted = Arc::new(Charted {
            hour: slots(&lately.minutes, now.minute(), MINUTE, 60),
            day: slots(&lately.minutes, hour_of(now), MINUTE * 60, 24),
        });
        lately.read = Some(began);
        if is_whole {
            lately.read_whole = Some(began);
        }
        Ok(())
    }
}

/// The beginning of its hour.
fn hour_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(3_600_000) * 3_600_000)
}

/// So many slots, the last of which began at `last`.
fn slots(
    minutes: &BTreeMap<Timestamp, Counts>,
    last: Timestamp,
    long: Duration,
    many: u32,
) -> Vec<(Timestamp, Counts)> {
    let slot = |ago: u32| {
        let begin = last.minus(long * ago);
        let within = minutes.range(begin..begin.plus(long)).map(|(_, counts)| *counts);
        (begin, within.fold(Counts::default(), Counts::plus))
    };
    (0..many).rev().map(slot).collect()
}

/// Values by keys, each behind a lock of its own.
struct ByKey<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for ByKey<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Default> ByKey<K, V> {
    fn entry(&self, key: &K) -> Arc<V> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, value| Arc::strong_count(value) > 1);
        }
        Arc::clone(all.entry(key.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_add_up_what_lies_in_them_and_nothing_else() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let one = Counts { succeeded: 1, ..Counts::default() };
        let minutes: BTreeMap<_, _> =
            ["2026-11-26T08:59:00Z", "2026-11-26T09:00:00Z", "2026-11-26T09:59:00Z", "2026-11-26T10:00:00Z"]
                .into_iter()
                .map(|text| (at(text), one))
                .collect();
        let hours = slots(&minutes, at("2026-11-26T10:00:00Z"), MINUTE * 60, 2);
        let sums: Vec<_> = hours.iter().map(|(_, counts)| counts.succeeded).collect();
        assert_eq!((sums, hours[0].0), (vec![2, 1], at("2026-11-26T09:00:00Z")));
        assert_eq!(hour_of(at("2026-11-26T10:59:59.999Z")), at("2026-11-26T10:00:00Z"));
    }
}
