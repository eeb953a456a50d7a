//! The calendar against an oracle that walks every minute and shares no code with it: its own reading of expressions, its own day rules,
//! and clock changes seen as jumps of the reading from one minute to the next.
//!
//! The short form takes a year, some zones and 100 expressions. The long one, `./drills calendar`, takes 2025 to 2035, 26 zones and 2,000
//! expressions, and ten million random texts (`SPRONGUS_DRILL=long`). `SPRONGUS_DRILL_SEED` chooses other random ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

#[path = "calendar/expressions.rs"]
mod expressions;
#[path = "calendar/meaning.rs"]
mod meaning;
#[path = "calendar/walk.rs"]
mod walk;

use std::sync::Mutex;

use fastrand::Rng;
use meaning::Meaning;
use sprongus_core::calendar::recurrence::Cursor;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::calendar::{Cron, Dst, Recurrence, Tick, Zones};
use sprongus_core::values::time::Timestamp;
use walk::Walk;

/// Those whose clocks do what others got wrong come first; the short form takes some from the front.
const ZONES: [&str; 26] = [
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Nuuk",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "America/New_York",
    "Pacific/Chatham",
    "Africa/Cairo",
    "Atlantic/Azores",
    "America/Santiago",
    "Europe/Dublin",
    "Asia/Kolkata",
    "UTC",
    "America/Vancouver",
    "America/Edmonton",
    "America/Winnipeg",
    "America/Havana",
    "Asia/Jerusalem",
    "Asia/Gaza",
    "America/Asuncion",
    "Australia/Sydney",
    "Pacific/Auckland",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

/// How much is compared.
struct Form {
    zones: usize,
    /// The first year and the one after the last.
    years: (i64, i64),
    expressions: usize,
    texts: usize,
    /// Above this many ticks, only those around clock changes and some others are stepped through one by one.
    stepped: usize,
}

fn is_long() -> bool {
    std::env::var("SPRONGUS_DRILL").is_ok_and(|form| form == "long")
}

fn form() -> Form {
    if is_long() {
        return Form {
            zones: ZONES.len(),
            years: (2025, 2036),
            expressions: 2000,
            texts: 10_000_000,
            stepped: 4000,
        };
    }
    Form { zones: 5, years: (2026, 2027), expressions: 100, texts: 50_000, stepped: 240 }
}

fn seed() -> u64 {
    let given = std::env::var("SPRONGUS_DRILL_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or(18)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// The ticks of one expression under one rule, both ways.
struct Comparison<'a> {
    what: String,
    recurrence: &'a Recurrence,
    /// Seconds since 1970, by the oracle.
    expected: &'a [i64],
    /// What the oracle walked.
    from: i64,
    to: i64,
}

impl Comparison<'_> {
    /// One after the other, from one place in the list to another.
    fn steps(&self, from: usize, to: usize) {
        let start = from.checked_sub(1).map_or(self.from - 1, |before| self.expected[before]);
        let end = if to == self.expected.len() { self.to - 1 } else { self.expected[to] - 1 };
        let ticks: Vec<Tick> =
            self.recurrence.ticks(at(start)).take_while(|tick| tick.at <= at(end)).collect();
        let found: Vec<i64> = ticks.iter().map(|tick| tick.at.as_millis() / 1000).collect();
        if found != self.expected[from..to] {
            let place =
                found.iter().zip(&self.expected[from..to]).position(|(found, expected)| found != expected);
            let place = place.unwrap_or(found.len().min(to - from));
            let tell = |list: &[i64]| list.get(place).map(|second| at(*second));
            panic!("{}: found {:?}, expected {:?}", self.what, tell(&found), tell(&self.expected[from..to]));
        }
        let mut before = at(end + 1);
        for expected in self.expected[from..to].iter().rev() {
            let tick =
                self.recurrence.prev(before).unwrap_or_else(|| panic!("{}: none before {before}", self.what));
            assert_eq!(tick.at, at(*expected), "{}: before {before}", self.what);
            before = tick.at;
        }
        for pair in ticks.windows(2) {
            let next = self.recurrence.next(Cursor::from(pair[0]));
            assert_eq!(next, Some(pair[1]), "{}: after {:?}, civil time included", self.what, pair[0]);
            assert_eq!(self.recurrence.next(pair[0].at), next, "{}: after {:?}", self.what, pair[0]);
        }
    }

    /// From an instant that is mostly no tick.
    fn around(&self, second: i64) {
        let after = self.expected.partition_point(|tick| *tick <= second);
        let before = self.expected.partition_point(|tick| *tick < second);
        if let Some(expected) = self.expected.get(after) {
            assert_eq!(
                self.recurrence.next(at(second)).unwrap().at,
                at(*expected),
                "{}: after {second}",
                self.what
            );
        }
        if let Some(expected) = before.checked_sub(1).map(|last| self.expected[last]) {
            assert_eq!(
                self.recurrence.prev(at(second)).unwrap().at,
                at(expected),
                "{}: before {second}",
                self.what
            );
        }
    }

    /// The number of ticks in between.
    fn counted(&self, from: i64, to: i64) {
        let place = |second: i64| self.expected.partition_point(|tick| *tick <= second);
        let found = self.recurrence.tally(at(from), at(to)).map_or(0, |tally| tally.count);
        assert_eq!(found, (place(to) - place(from)) as u64, "{}: counted after {from} to {to}", self.what);
    }

    /// By iteration, without looking at each.
    fn iterated(&self) {
        let ticks = self.recurrence.ticks(at(self.from - 1)).map(|tick| tick.at.as_millis() / 1000);
        assert!(
            ticks.take_while(|tick| *tick < self.to).eq(self.expected.iter().copied()),
            "{}: iterated",
            self.what
        );
    }

    fn run(&self, walk: &Walk, stepped: usize, random: &mut Rng) {
        if self.expected.len() <= stepped {
            self.steps(0, self.expected.len());
        } else {
            let near = walk.changes.iter().map(|change| change - 36 * 3600);
            let others = (0..4).map(|_| random.i64(self.from..self.to));
            for start in near.chain(others).collect::<Vec<_>>() {
                let first = self.expected.partition_point(|tick| *tick < start);
                self.steps(first, (first + stepped / 8).min(self.expected.len()));
            }
        }
        for _ in 0..20 {
            let near = walk.changes.get(random.usize(..walk.changes.len().max(1))).copied();
            let second = match near {
                Some(change) if random.bool() => change + random.i64(-7200..7200),
                _ => random.i64(self.from..self.to),
            };
            self.around(second.clamp(self.from, self.to - 1));
            let other = random.i64(self.from..self.to);
            self.counted(second.min(other).max(self.from), second.max(other).min(self.to - 1));
        }
        self.counted(self.from - 1, self.to - 1);
        if is_long() {
            self.iterated();
        }
    }
}

/// Compares every expression in one zone under both rules; how many ticks there were.
fn compare(zone: &str, form: &Form, expressions: &[(String, Cron, Meaning)]) -> usize {
    let zone = SystemZones::bundled().zone(zone).unwrap();
    let walk = Walk::new(&zone, form.years);
    let mut random = Rng::with_seed(seed());
    let mut found = 0;
    for (text, cron, meaning) in expressions {
        for dst in [Dst::Once, Dst::Literal] {
            let expected = walk.ticks(meaning, dst == Dst::Once);
            let recurrence = Recurrence::cron(cron.clone(), zone.clone(), dst);
            let what = format!("{text} in {}, {dst:?}", zone.name());
            let comparison = Comparison {
                what,
                recurrence: &recurrence,
                expected: &expected,
                from: walk.from,
                to: walk.to,
            };
            comparison.run(&walk, form.stepped, &mut random);
            found += expected.len();
        }
    }
    found
}

#[test]
fn an_oracle_that_walks_every_minute_agrees() {
    let form = form();
    let mut random = Rng::with_seed(seed());
    let mut expressions = Vec::new();
    let mut never = 0;
    for text in expressions::all(&mut random) {
        if expressions.len() == form.expressions {
            break;
        }
        match Cron::parse(&text) {
            Ok(cron) => {
                let meaning = Meaning::new(&text, form.years);
                expressions.push((text, cron, meaning));
            }
            Err(fault) => {
                assert!(fault.message().starts_with("a day that never comes"), "{text}: {fault}");
                assert!(!Meaning::new(&text, (2025, 2054)).has_days(), "{text}: {fault}");
                never += 1;
            }
        }
    }
    assert!(never < form.expressions / 2, "{never} expressions that never come");
    let left = Mutex::new(ZONES[..form.zones].to_vec());
    let found = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(|| {
                loop {
                    let Some(zone) = left.lock().unwrap().pop() else { return };
                    let ticks = compare(zone, &form, &expressions);
                    println!("{zone}: {ticks} ticks of {} expressions", expressions.len());
                    *found.lock().unwrap() += ticks;
                }
            });
        }
    });
    let found = *found.lock().unwrap();
    assert!(found > form.zones * form.expressions * 100, "{found} ticks are too few to prove anything");
}

#[test]
fn an_expression_has_as_many_ticks_in_utc_as_its_fields_say() {
    let mut random = Rng::with_seed(seed() + 1);
    let utc = SystemZones::bundled().zone("UTC").unwrap();
    for text in expressions::all(&mut random).take(form().expressions * 5) {
        let Ok(cron) = Cron::parse(&text) else { continue };
        let meaning = Meaning::new(&text, (2028, 2029));
        let (from, to) = (meaning::days_to(2028), meaning::days_to(2029));
        let days = (from..to).filter(|day| meaning.on(*day)).count();
        let times = meaning.times.iter().filter(|matches| **matches).count() * meaning.seconds.len();
        let recurrence = Recurrence::cron(cron, utc.clone(), Dst::Once);
        let tally = recurrence.tally(at(from * 86_400 - 1), at(to * 86_400 - 1));
        assert_eq!(tally.map_or(0, |tally| tally.count), (days * times) as u64, "{text}");
    }
}

#[test]
fn an_expression_printed_and_read_again_is_the_same() {
    let mut random = Rng::with_seed(seed());
    for text in expressions::all(&mut random).take(form().expressions * 5) {
        let Ok(cron) = Cron::parse(&text) else { continue };
        let printed = cron.to_string();
        assert_eq!(Cron::parse(&printed).as_ref(), Ok(&cron), "{text} as {printed}");
        assert_eq!(Cron::parse(&printed).unwrap().to_string(), printed, "{text}");
        assert!(!cron.words().is_empty());
    }
}

#[test]
fn random_texts_are_read_or_refused_and_never_panic() {
    let mut random = Rng::with_seed(seed());
    let (mut read, mut refused) = (0_usize, 0_usize);
    for _ in 0..form().texts {
        let text = expressions::text(&mut random);
        match Cron::parse(&text) {
            Ok(cron) => {
                assert_eq!(Cron::parse(&cron.to_string()).as_ref(), Ok(&cron), "{text:?}");
                read += 1;
            }
            Err(fault) => {
                let message = fault.to_string();
                assert!((1..=text.chars().count() + 1).contains(&fault.column()), "{text:?}: {message}");
                assert!(!message.contains(char::is_control), "{text:?}: {message:?}");
                assert!(!fault.hint().is_empty() && !fault.message().is_empty(), "{text:?}");
                refused += 1;
            }
        }
    }
    assert!(read > form().texts / 100 && refused > form().texts / 10, "{read} read, {refused} refused");
}
