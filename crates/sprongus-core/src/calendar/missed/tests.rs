//! What becomes of ticks by each policy: at the edges, in the large, and against a walk over every tick.

use super::super::cron::Cron;
use super::super::recurrence::Dst;
use super::super::zone::{SystemZones, Zone, Zones};
use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn later(start: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_millis(start.as_millis() + seconds * 1000)
}

fn start() -> Timestamp {
    time("2027-01-01T00:00:00Z")
}

fn every(seconds: u64) -> Recurrence {
    Recurrence::every(start(), Duration::from_secs(seconds)).unwrap()
}

fn policy(policy: MissedPolicy) -> Missed {
    Missed { policy, ..Missed::default() }
}

/// Seconds after the start.
fn seconds(ticks: &[Tick]) -> Vec<i64> {
    ticks.iter().map(|tick| (tick.at.as_millis() - start().as_millis()) / 1000).collect()
}

fn numbers(tally: Option<Tally>) -> Option<(u64, i64, i64)> {
    tally.map(|tally| (tally.count, seconds(&[tally.first])[0], seconds(&[tally.last])[0]))
}

#[test]
fn what_is_less_late_has_its_run_under_every_policy() {
    for policy in [MissedPolicy::Skip, MissedPolicy::Last, MissedPolicy::All].map(policy) {
        // Exactly 60 seconds late is not more than 60 seconds late.
        let due = due(&every(20), start().into(), later(start(), 80), &policy);
        assert_eq!((seconds(&due.runs), due.skipped), (vec![20, 40, 60, 80], None));
        assert_eq!((due.cursor.at, due.again), (later(start(), 80), Some(later(start(), 100))));
    }
}

#[test]
fn skip_makes_one_event_of_all_that_was_missed() {
    let due = due(&every(20), start().into(), later(start(), 201), &policy(MissedPolicy::Skip));
    assert_eq!(numbers(due.skipped), Some((7, 20, 140)));
    assert_eq!(seconds(&due.runs), [160, 180, 200]);
}

#[test]
fn last_runs_the_newest_and_makes_one_event_of_the_others() {
    let found = due(&every(20), start().into(), later(start(), 201), &policy(MissedPolicy::Last));
    assert_eq!(numbers(found.skipped), Some((6, 20, 120)));
    assert_eq!(seconds(&found.runs), [140, 160, 180, 200]);
    let daily = due(&every(86_400), start().into(), later(start(), 100_000), &policy(MissedPolicy::Last));
    assert_eq!((seconds(&daily.runs), daily.skipped), (vec![86_400], None));
}

#[test]
fn all_runs_the_newest_oldest_first_ten_a_second() {
    let recurrence = every(3600);
    let missed = Missed { max: 25, ..policy(MissedPolicy::All) };
    let mut now = later(start(), 200 * 3600 + 1800);
    let first = due(&recurrence, start().into(), now, &missed);
    assert_eq!(numbers(first.skipped), Some((175, 3600, 175 * 3600)));
    let mut runs = first.runs.clone();
    let mut last = first;
    while last.cursor.at < later(start(), 200 * 3600) {
        assert_eq!((last.runs.len(), last.again), (CAUGHT_UP_AT_ONCE, Some(later(now, 1))));
        now = last.again.unwrap();
        last = due(&recurrence, last.cursor, now, &missed);
        assert_eq!(last.skipped, None);
        runs.extend(last.runs.clone());
    }
    assert_eq!(seconds(&runs), (176..=200).map(|hour| hour * 3600).collect::<Vec<_>>());
    assert_eq!(last.again, Some(later(start(), 201 * 3600)));
}

#[test]
fn all_leaves_out_what_is_too_old() {
    let within = Some(Duration::from_secs(3 * 3600));
    let missed = Missed { within, ..policy(MissedPolicy::All) };
    // A tick that is exactly as old has its run.
    let found = due(&every(3600), start().into(), later(start(), 10 * 3600), &missed);
    assert_eq!(numbers(found.skipped), Some((6, 3600, 6 * 3600)));
    assert_eq!(seconds(&found.runs), [7 * 3600, 8 * 3600, 9 * 3600, 10 * 3600]);
    let found = due(&every(86_400), start().into(), later(start(), 5 * 86_400 - 3600), &missed);
    assert_eq!((numbers(found.skipped), seconds(&found.runs)), (Some((4, 86_400, 4 * 86_400)), vec![]));
    let none = Missed { max: 0, ..policy(MissedPolicy::All) };
    let found = due(&every(3600), start().into(), later(start(), 10 * 3600), &none);
    assert_eq!((numbers(found.skipped), seconds(&found.runs)), (Some((9, 3600, 9 * 3600)), vec![10 * 3600]));
}

#[test]
fn a_clock_that_goes_back_makes_nothing_due_again() {
    let cursor = Cursor::from(later(start(), 600));
    let found = due(&every(60), cursor, later(start(), 60), &Missed::default());
    assert_eq!((found.runs.len(), found.skipped, found.cursor), (0, None, cursor));
    assert_eq!(found.again, Some(later(start(), 660)));
}

#[test]
fn a_schedule_that_has_ended_is_not_looked_at_again() {
    let ended = every(60).ending_at(later(start(), 180));
    let found = due(&ended, start().into(), later(start(), 130), &Missed::default());
    assert_eq!((seconds(&found.runs), found.again), (vec![60, 120], None));
}

#[test]
fn a_cursor_a_year_behind_is_not_walked() {
    let second = Recurrence::cron("* * * * * *".parse().unwrap(), Zone::utc(), Dst::Once);
    for recurrence in [every(1), second] {
        for policy in [MissedPolicy::Skip, MissedPolicy::Last, MissedPolicy::All].map(policy) {
            let found = due(&recurrence, start().into(), later(start(), 365 * 86_400), &policy);
            let kept = match policy.policy {
                MissedPolicy::Skip => 0,
                MissedPolicy::Last => 1,
                MissedPolicy::All => 100,
            };
            let late = 365 * 86_400 - 61;
            assert_eq!(numbers(found.skipped), Some((late as u64 - kept, 1, late - kept as i64)));
        }
    }
}

#[test]
fn more_runs_than_fit_into_one_look_are_made_at_once_in_several() {
    let patient = Missed { after: Duration::from_secs(86_400), ..Missed::default() };
    let found = due(&every(1), start().into(), later(start(), 5000), &patient);
    assert_eq!((found.runs.len(), found.again), (RUNS_AT_ONCE, Some(later(start(), 5000))));
    let more = due(&every(1), found.cursor, later(start(), 5000), &patient);
    assert_eq!(seconds(&more.runs)[0], 1001);
}

/// What the policy says, by a walk over every tick.
fn walked(
    recurrence: &Recurrence,
    cursor: Cursor,
    now: Timestamp,
    missed: &Missed,
) -> (Vec<Tick>, Vec<Tick>) {
    let ticks: Vec<Tick> = recurrence.ticks(cursor).take_while(|tick| tick.at <= now).collect();
    let (late, on_time): (Vec<Tick>, Vec<Tick>) =
        ticks.into_iter().partition(|tick| now.since(tick.at) > missed.after);
    let kept = match missed.policy {
        MissedPolicy::Skip => 0,
        MissedPolicy::Last => 1.min(late.len()),
        MissedPolicy::All => {
            let young =
                late.iter().filter(|tick| missed.within.is_none_or(|within| now.since(tick.at) <= within));
            young.count().min(missed.max as usize)
        }
    };
    let (skipped, runs) = late.split_at(late.len() - kept);
    (skipped.to_vec(), [runs, &on_time].concat())
}

#[test]
fn what_is_computed_is_what_a_walk_over_every_tick_says() {
    let mut random = fastrand::Rng::with_seed(18);
    let zones = SystemZones::bundled();
    for _ in 0..600 {
        let text = ["*/7 * * * *", "30 1,2 * * *", "0 */3 * * *", "15 0 * * MON-FRI", "*/20 0-5 L * *"]
            [random.usize(..5)];
        let zone = ["Europe/London", "Australia/Lord_Howe", "Asia/Beirut", "UTC"][random.usize(..4)];
        let dst = if random.bool() { Dst::Once } else { Dst::Literal };
        let cron: Cron = text.parse().unwrap();
        let recurrence = Recurrence::cron(cron, zones.zone(zone).unwrap(), dst);
        // The clock changes of March and October are inside.
        let start =
            time(["2027-03-25T00:00:00Z", "2027-10-01T00:00:00Z", "2027-10-29T00:00:00Z"][random.usize(..3)]);
        let cursor = Cursor::from(later(start, random.i64(0..86_400)));
        let now = later(cursor.at, random.i64(-1000..10 * 86_400));
        let missed = Missed {
            policy: [MissedPolicy::Skip, MissedPolicy::Last, MissedPolicy::All][random.usize(..3)],
            after: Duration::from_secs(random.u64(1..7200)),
            max: random.u32(0..CAUGHT_UP_AT_ONCE as u32),
            within: random.bool().then(|| Duration::from_secs(random.u64(1..5 * 86_400))),
        };
        let found = due(&recurrence, cursor, now, &missed);
        let (skipped, runs) = walked(&recurrence, cursor, now, &missed);
        let tally = skipped.first().map(|first| Tally {
            count: skipped.len() as u64,
            first: *first,
            last: skipped[skipped.len() - 1],
        });
        assert_eq!(
            (found.skipped, &found.runs),
            (tally, &runs),
            "{text} in {zone}, {cursor:?} to {now}, {missed:?}"
        );
    }
}
