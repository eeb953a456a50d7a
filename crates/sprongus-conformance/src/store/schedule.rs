//! Schedules: each tick has one run or one line in the audit, whoever looks, on every store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::retention::Retention;
use sprongus_core::run::state::State;
use sprongus_core::run::stream::{Streamed, StreamedEvent};
use sprongus_core::run::{ClaimRequest, Run};
use sprongus_core::schedule::{Definition, ScheduleFigures, ScheduleState};
use sprongus_core::schedules::{Applied, DifferenceKind, Schedules};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorEventType as Type, OperatorFilter};
use sprongus_core::workspace::setting::ManagedBy;
use sprongus_core::{Caller, ErrorCode, RunsService};

use crate::fixture::{Fixture, refused, success, worker};

pub use access::{
    a_narrowed_caller_sees_schedules_of_its_projects_alone,
    what_a_file_changes_tells_no_input_to_those_who_may_not_read,
};

mod access;

const MINUTE: Duration = Duration::from_secs(60);

fn schedules(f: &Fixture) -> Arc<dyn Schedules> {
    RunsService::new(Arc::clone(&f.store)).schedules(f.caller.clone())
}

fn nightly() -> ScheduleId {
    "nightly".parse().unwrap()
}

fn definition(value: Value) -> Definition {
    let mut whole = json!({"kind": "report"});
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    Definition::read(&whole).unwrap()
}

async fn create(f: &Fixture, value: Value) {
    schedules(f).create(&nightly(), definition(value)).await.unwrap();
}

/// All runs, the oldest tick first.
async fn made(f: &Fixture) -> Vec<Run> {
    let filter = ListFilter { limit: 100, ..ListFilter::default() };
    let mut runs = f.store.list(&f.caller, &filter).await.unwrap().data;
    runs.sort_by_key(|run| run.scheduled.as_ref().and_then(|by| by.scheduled_for));
    runs
}

fn ticks(runs: &[Run]) -> Vec<Timestamp> {
    runs.iter().filter_map(|run| run.scheduled.as_ref()?.scheduled_for).collect()
}

/// What the audit tells of skipped ticks, oldest first: why, and how many.
async fn skipped(f: &Fixture) -> Vec<(String, u64)> {
    let filter =
        OperatorFilter { types: vec![Type::ScheduleSkipped], limit: 100, ..OperatorFilter::default() };
    let mut events = f.store.operator_events(&f.caller, &filter).await.unwrap().data;
    events.reverse();
    let seen = events.into_iter().map(|event| {
        assert_eq!((event.actor.as_str(), event.subject.as_deref()), ("system", Some("nightly")));
        let seen = event.after.unwrap().to_value();
        (seen["reason"].as_str().unwrap().to_owned(), seen["count"].as_u64().unwrap())
    });
    seen.collect()
}

/// A tick's run is made by whoever claims or serves first, as it was asked for, and by nobody a second time.
pub async fn a_tick_makes_one_run_whoever_looks_first(f: Fixture) {
    create(&f, json!({"every": "1m", "input": {"page": 3}, "priority": 7, "tags": {"team": "x"}})).await;
    let tick = f.now().plus(MINUTE);
    f.turn(MINUTE - Duration::from_millis(1));
    assert!(f.expire().await.is_empty());
    f.turn(Duration::from_millis(1));
    let claimed = f.take_one("w").await;
    let run = claimed.run;
    assert_eq!((run.kind.as_str(), run.input.as_str(), run.priority), ("report", r#"{"page":3}"#, 7));
    assert_eq!(run.tags, BTreeMap::from([("team".to_owned(), "x".to_owned())]));
    let by = run.scheduled.clone().unwrap();
    assert_eq!((by.schedule_id.as_str(), by.scheduled_for, by.revision), ("nightly", Some(tick), 1));
    assert_eq!(f.events(run.id).await[0].actor, "schedule:nightly");
    f.expire().await;
    assert_eq!(made(&f).await.len(), 1);
    let view = schedules(&f).get(&nightly()).await.unwrap();
    assert_eq!((view.next_tick, view.last_tick), (Some(tick.plus(MINUTE)), Some(tick)));
    assert_eq!(view.state, ScheduleState::Active);
}

/// A worker that waits for work is told when the next tick comes.
pub async fn a_claim_waits_no_longer_than_until_the_next_tick(f: Fixture) {
    create(&f, json!({"every": "90s"})).await;
    let answer = f.claim(&ClaimRequest::new(worker("w"), 1)).await;
    assert_eq!(answer.next_due_in, Some(Duration::from_secs(90)));
}

/// However many look at once, a tick has one run.
pub async fn sixteen_lookers_at_once_make_one_run_of_a_tick(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "allow"})).await;
    for round in 1..=3 {
        f.turn(MINUTE);
        let looks = (0..16).map(|_| {
            let f = f.clone();
            tokio::spawn(async move { f.store.expire(&f.caller, 100).await.map(drop) })
        });
        for look in looks.collect::<Vec<_>>() {
            look.await.unwrap().unwrap();
        }
        assert_eq!(made(&f).await.len(), round);
    }
}

/// A tick that is due while its schedule is edited has one run, of the revision that held at the tick.
pub async fn a_tick_is_made_once_while_its_schedule_is_edited(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "allow"})).await;
    for round in 1..=3 {
        f.turn(MINUTE);
        let acts = (0..16).map(|one: u32| {
            let f = f.clone();
            tokio::spawn(async move {
                if one.is_multiple_of(4) {
                    let edited =
                        json!({"every": "1m", "overlap": "allow", "input": {"round": round, "by": one}});
                    schedules(&f).put(&nightly(), definition(edited)).await.map(drop)
                } else {
                    f.store.expire(&f.caller, 100).await.map(drop)
                }
            })
        });
        for act in acts.collect::<Vec<_>>() {
            act.await.unwrap().unwrap();
        }
        let revisions: Vec<u32> =
            made(&f).await.iter().map(|run| run.scheduled.as_ref().unwrap().revision).collect();
        let expected: Vec<u32> = (0..round).map(|before| 1 + 4 * before).collect();
        assert_eq!((revisions, skipped(&f).await.len()), (expected, 0));
    }
}

/// Retention takes the run; the tick stays done.
pub async fn a_pruned_run_never_opens_its_tick_again(f: Fixture) {
    create(&f, json!({"every": "1h"})).await;
    f.turn(Duration::from_secs(3_600));
    let claimed = f.take_one("w").await;
    f.finish(&claimed.hold(), success(json!(1))).await.unwrap();
    f.turn(Duration::from_secs(60));
    let retention = Retention { succeeded: Duration::ZERO, failed: Duration::ZERO, ..Retention::default() };
    f.store.prune(&f.caller, &retention, 10, false).await.unwrap();
    assert!(made(&f).await.is_empty());
    f.expire().await;
    assert!(made(&f).await.is_empty());
}

/// The default: a tick that meets a live run is skipped, and the audit says so.
pub async fn a_tick_is_skipped_while_a_run_is_live_and_told_in_the_audit(f: Fixture) {
    create(&f, json!({"every": "1m"})).await;
    f.turn(MINUTE);
    let claimed = f.take_one("w").await;
    f.turn(Duration::from_secs(20));
    f.beat(&claimed.hold()).await.unwrap();
    f.turn(Duration::from_secs(20));
    f.beat(&claimed.hold()).await.unwrap();
    f.turn(Duration::from_secs(20));
    f.expire().await;
    assert_eq!((made(&f).await.len(), skipped(&f).await), (1, vec![("overlap".to_owned(), 1)]));
    f.finish(&claimed.hold(), success(json!(1))).await.unwrap();
    f.turn(MINUTE);
    f.expire().await;
    assert_eq!(made(&f).await.len(), 2);
}

/// `cancel_running`: the live run is called off, and the tick's run waits until nobody holds that one.
pub async fn a_live_run_is_canceled_for_the_next_tick(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "cancel_running"})).await;
    f.turn(MINUTE);
    let first = f.take_one("w").await;
    f.turn(Duration::from_secs(25));
    f.beat(&first.hold()).await.unwrap();
    f.turn(Duration::from_secs(25));
    f.beat(&first.hold()).await.unwrap();
    f.turn(Duration::from_secs(10));
    f.expire().await;
    assert_eq!(f.get(first.run.id).await.state, State::Canceled);
    assert_eq!(made(&f).await.len(), 1, "its worker still puts things away");
    f.cleaned(&first.hold()).await.unwrap();
    f.turn(Duration::from_secs(1));
    f.expire().await;
    assert_eq!(made(&f).await.len(), 2);
}

/// `queue_one`: the next tick has its run when the live one has ended.
pub async fn a_tick_waits_until_the_live_run_has_ended(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "queue_one"})).await;
    f.turn(MINUTE);
    f.expire().await;
    f.turn(MINUTE * 2);
    f.expire().await;
    let view = schedules(&f).get(&nightly()).await.unwrap();
    assert_eq!((made(&f).await.len(), view.waiting_ticks.len()), (1, 1));
    assert_eq!(skipped(&f).await.iter().map(|(_, count)| count).sum::<u64>(), 1);
    let claimed = f.take_one("w").await;
    f.finish(&claimed.hold(), success(json!(1))).await.unwrap();
    f.turn(Duration::from_secs(1));
    f.expire().await;
    let runs = made(&f).await;
    assert_eq!(ticks(&runs)[1], view.waiting_ticks[0]);
}

/// A laptop that slept for a day: none, the newest, or the newest few, and one line for the others.
pub async fn missed_ticks_follow_the_policy(f: Fixture) {
    let day = Duration::from_secs(24 * 3_600);
    let ids = ["skip", "last", "all"];
    for missed in ids {
        let definition =
            definition(json!({"every": "1h", "missed": missed, "maxMissed": 5, "overlap": "allow",
            "input": missed}));
        schedules(&f).create(&missed.parse().unwrap(), definition).await.unwrap();
    }
    f.turn(day + Duration::from_secs(600));
    f.expire().await;
    let runs = made(&f).await;
    let of = |id: &str| {
        runs.iter().filter(|run| run.scheduled.as_ref().unwrap().schedule_id.as_str() == id).count()
    };
    assert_eq!((of("skip"), of("last"), of("all")), (0, 1, 5));
    let filter = OperatorFilter { types: vec![Type::ScheduleSkipped], ..OperatorFilter::default() };
    let events = f.store.operator_events(&f.caller, &filter).await.unwrap().data;
    let mut counts: Vec<_> = events
        .into_iter()
        .map(|event| (event.subject.unwrap(), event.after.unwrap().to_value()["count"].as_u64().unwrap()))
        .collect();
    counts.sort();
    assert_eq!(counts, [("all".to_owned(), 19), ("last".to_owned(), 23), ("skip".to_owned(), 24)]);
}

/// A laptop that slept for a week, with a schedule of every five seconds: one run for what was missed, one line for the rest of it, and what
/// came in the last minute is skipped because that run is live.
pub async fn a_week_of_sleep_is_one_run_and_two_lines(f: Fixture) {
    create(&f, json!({"every": "5s"})).await;
    let week = Duration::from_secs(7 * 24 * 3_600);
    f.turn(week);
    f.expire().await;
    let last_missed = f.now().minus(Duration::from_secs(65));
    assert_eq!(ticks(&made(&f).await), [last_missed]);
    let told = skipped(&f).await;
    assert_eq!(told[0], ("missed".to_owned(), week.as_secs() / 5 - 13 - 1));
    assert!(told.len() == 2 && told[1].0 == "overlap", "{told:?}");
}

/// What falls into a pause has one line, and no run, ever.
pub async fn a_pause_skips_and_a_resume_goes_on(f: Fixture) {
    create(&f, json!({"every": "1m"})).await;
    let view = schedules(&f).pause(&nightly()).await.unwrap();
    assert_eq!((view.state, view.next_tick), (ScheduleState::Paused, None));
    f.turn(MINUTE * 5);
    f.expire().await;
    let view = schedules(&f).resume(&nightly()).await.unwrap();
    assert_eq!(view.next_tick, Some(f.now().plus(MINUTE)));
    assert!(made(&f).await.is_empty());
    let filter = OperatorFilter { types: vec![Type::ScheduleSkipped], ..OperatorFilter::default() };
    let events = f.store.operator_events(&f.caller, &filter).await.unwrap().data;
    assert_eq!(events[0].after.as_ref().unwrap().to_value()["reason"], "paused");
    f.turn(MINUTE);
    f.expire().await;
    assert_eq!(made(&f).await.len(), 1);
}

/// Ticks before an edit belong to the revision before it.
pub async fn an_edit_is_a_new_revision_and_loses_no_tick(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "allow"})).await;
    f.turn(MINUTE + Duration::from_secs(5));
    let edited = definition(json!({"every": "1m", "overlap": "allow", "input": {"v": 2}}));
    let view = schedules(&f).put(&nightly(), edited).await.unwrap();
    assert_eq!((view.revision, view.managed_by), (2, ManagedBy::Api));
    f.turn(MINUTE);
    f.expire().await;
    let revisions: Vec<u32> =
        made(&f).await.iter().map(|run| run.scheduled.as_ref().unwrap().revision).collect();
    assert_eq!(revisions, [1, 2]);
    let filter = OperatorFilter { types: vec![Type::ScheduleUpdated], ..OperatorFilter::default() };
    let events = f.store.operator_events(&f.caller, &filter).await.unwrap().data;
    assert_eq!((events.len(), events[0].actor.as_str()), (1, "tester"));
    assert_eq!(events[0].after.as_ref().unwrap().to_value()["input"], json!({"v": 2}));
}

/// Many who create the same schedule at once make one; one with another definition is refused.
pub async fn a_schedule_is_created_once_by_many_at_once(f: Fixture) {
    let creates = (0..8).map(|one| {
        let f = f.clone();
        let definition = definition(json!({"every": if one == 0 { "2m" } else { "1m" }}));
        tokio::spawn(async move { schedules(&f).create(&nightly(), definition).await })
    });
    let mut refusals = 0;
    for create in creates.collect::<Vec<_>>() {
        if let Err(error) = create.await.unwrap() {
            assert_eq!(error.code(), ErrorCode::Conflict);
            refusals += 1;
        }
    }
    assert!(refusals == 1 || refusals == 7, "{refusals}");
    let filter = OperatorFilter { types: vec![Type::ScheduleCreated], ..OperatorFilter::default() };
    assert_eq!(f.store.operator_events(&f.caller, &filter).await.unwrap().data.len(), 1);
}

/// What is deleted makes nothing more; its runs stay, and so does what it was.
pub async fn a_deleted_schedule_makes_no_run_and_keeps_those_it_made(f: Fixture) {
    create(&f, json!({"every": "1m"})).await;
    f.turn(MINUTE);
    f.expire().await;
    schedules(&f).delete(&nightly()).await.unwrap();
    f.turn(MINUTE * 3);
    f.expire().await;
    assert_eq!(made(&f).await.len(), 1);
    assert_eq!(refused(schedules(&f).get(&nightly()).await).code(), ErrorCode::NotFound);
    assert_eq!(refused(schedules(&f).delete(&nightly()).await).code(), ErrorCode::NotFound);
    let filter = OperatorFilter { types: vec![Type::ScheduleDeleted], ..OperatorFilter::default() };
    let events = f.store.operator_events(&f.caller, &filter).await.unwrap().data;
    assert_eq!(events[0].before.as_ref().unwrap().to_value()["every"], "1m");
}

/// A backfill makes what is missing, and nothing twice; a triggered run has no tick.
pub async fn a_backfill_leaves_out_ticks_whose_run_is_kept(f: Fixture) {
    create(&f, json!({"every": "1m", "overlap": "allow"})).await;
    let begin = f.now();
    f.turn(MINUTE * 2);
    f.expire().await;
    f.turn(Duration::from_secs(1));
    let (from, to) = (begin.minus(MINUTE * 2), f.now());
    let dry = schedules(&f).backfill(&nightly(), from, to, true).await.unwrap();
    assert_eq!((dry.ticks.len(), dry.kept.len(), made(&f).await.len()), (3, 2, 2));
    let done = schedules(&f).backfill(&nightly(), from, to, false).await.unwrap();
    assert_eq!(done, dry);
    assert_eq!(made(&f).await.len(), 5);
    let again = schedules(&f).backfill(&nightly(), from, to, false).await.unwrap();
    assert_eq!((again.ticks.len(), again.kept.len()), (0, 5));
    let run = schedules(&f).trigger(&nightly()).await.unwrap();
    assert_eq!((run.schedule_id, run.scheduled_for), (Some(nightly()), None));
}

/// A schedule is its workspace's alone.
pub async fn schedules_of_another_workspace_are_not_seen(f: Fixture) {
    create(&f, json!({"every": "1m"})).await;
    let other = f.tenant("other").await;
    assert!(schedules(&other).list(None, 10).await.unwrap().is_empty());
    assert_eq!(refused(schedules(&other).pause(&nightly()).await).code(), ErrorCode::NotFound);
    f.turn(MINUTE);
    other.expire().await;
    assert!(made(&other).await.is_empty());
    f.expire().await;
    assert_eq!(made(&f).await.len(), 1);
}

/// A file is applied whole or not at all; again is no difference; what a person changed has drifted; `--prune` deletes what it made.
pub async fn what_a_file_says_is_applied_whole_and_pruned(f: Fixture) {
    let file = |every: &str, prune: bool, dry_run: bool| Applied {
        schedules: BTreeMap::from([
            (nightly(), definition(json!({"every": every}))),
            ("weekly".parse().unwrap(), definition(json!({"cron": "0 3 * * mon"}))),
        ]),
        prune,
        dry_run,
    };
    let all = schedules(&f);
    let kinds = |found: Vec<sprongus_core::schedules::Difference>| -> Vec<(DifferenceKind, String)> {
        found.into_iter().map(|one| (one.kind, one.id)).collect()
    };
    let added = [(DifferenceKind::Added, "nightly".to_owned()), (DifferenceKind::Added, "weekly".to_owned())];
    assert_eq!(kinds(all.apply(&file("1m", false, true)).await.unwrap()), added);
    assert!(all.list(None, 10).await.unwrap().is_empty());
    assert_eq!(kinds(all.apply(&file("1m", false, false)).await.unwrap()), added);
    assert!(all.apply(&file("1m", false, false)).await.unwrap().is_empty());
    assert!(
        all.list(None, 10).await.unwrap().iter().all(|it| it.managed_by == ManagedBy::File && !it.drifted)
    );
    all.put(&nightly(), definition(json!({"every": "5m"}))).await.unwrap();
    assert!(all.get(&nightly()).await.unwrap().drifted);
    let changed = all.apply(&file("2m", false, false)).await.unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(
        (changed[0].fields[0].name.as_str(), changed[0].fields[0].after.as_str()),
        ("every", "\"2m\"")
    );
    assert!(!all.get(&nightly()).await.unwrap().drifted);
    all.create(&"by-hand".parse().unwrap(), definition(json!({"every": "1h"}))).await.unwrap();
    let pruned = all.apply(&Applied { prune: true, ..Applied::default() }).await.unwrap();
    assert_eq!(pruned.len(), 2);
    assert_eq!(all.list(None, 10).await.unwrap().len(), 1);
}

/// What a schedule skips is in the stream of the workspace too, in the order of what else happened; whoever sees some projects alone is
/// shown no event of the workspace.
pub async fn skipped_ticks_are_in_the_stream(f: Fixture) {
    let begin = f.store.stream_end(&f.caller).await.unwrap();
    create(&f, json!({"every": "5s"})).await;
    f.turn(Duration::from_secs(5));
    let first = f.take_one("w").await;
    f.turn(Duration::from_secs(5));
    f.expire().await;
    f.finish(&first.hold(), success(json!(1))).await.unwrap();
    let read = async |caller: &Caller| -> Vec<String> {
        let name = |streamed: &Streamed| match &streamed.event {
            StreamedEvent::Run(event) => event.kind.to_string(),
            StreamedEvent::Workspace(event) => {
                let after = event.after.as_ref().unwrap().to_value();
                format!("{} {}", event.kind, after["reason"].as_str().unwrap())
            }
        };
        let mut all = Vec::new();
        let mut position = begin;
        // An event may be held up by somebody else's transaction.
        while all.last().is_none_or(|last| last != "run.succeeded") {
            for streamed in f.store.stream(caller, position, 2).await.unwrap() {
                assert!(streamed.position > position, "{streamed:?}");
                position = streamed.position;
                all.push(name(&streamed));
            }
        }
        all
    };
    let expected = ["run.enqueued", "run.started", "schedule.skipped overlap", "run.succeeded"];
    assert_eq!(read(&f.caller).await, expected);
    let narrowed = Caller { projects: Some(vec!["p".parse().unwrap()]), ..f.caller.clone() };
    assert_eq!(f.store.stream(&narrowed, begin, 10).await.unwrap(), []);
    // Figures are of runs, however many events of the workspace come behind the last of those.
    for _ in 0..2 {
        f.turn(Duration::from_secs(5));
        f.expire().await;
    }
    RunsService::new(Arc::clone(&f.store)).rebuild_figures(&f.caller).await.unwrap();
}

/// Figures of a workspace count its schedules by state, those that nobody looks at, and the ticks that were skipped, edits and all.
pub async fn figures_count_states_late_ones_and_what_was_skipped(f: Fixture) {
    let all = schedules(&f);
    let figures = async || f.store.schedule_figures(&f.caller).await.unwrap();
    assert_eq!(figures().await, ScheduleFigures::default());
    create(&f, json!({"every": "1m"})).await;
    let other = |id: &str| id.parse::<ScheduleId>().unwrap();
    all.create(&other("held"), definition(json!({"every": "1s", "paused": true}))).await.unwrap();
    let over = json!({"every": "1m", "endAt": f.now().plus(Duration::from_secs(1))});
    all.create(&other("over"), definition(over)).await.unwrap();
    let states = |figures: &ScheduleFigures| {
        ScheduleState::ALL.map(|state| figures.states.get(state.as_str()).copied().unwrap_or_default())
    };
    assert_eq!((states(&figures().await), figures().await.late), ([1, 1, 1, 0], 0));
    f.turn(2 * MINUTE);
    assert_eq!(figures().await.late, 0, "it is late by a minute, and no more");
    f.turn(Duration::from_millis(1));
    assert_eq!(figures().await.late, 1);
    f.turn(5 * MINUTE);
    f.expire().await;
    let told = figures().await;
    let once = BTreeMap::from([("missed".to_owned(), 5), ("overlap".to_owned(), 1)]);
    assert_eq!((told.late, &told.skipped_ticks), (0, &once));
    f.turn(MINUTE);
    f.expire().await;
    assert_eq!(figures().await.skipped_ticks, once, "what is in no event yet is not counted");
    all.put(&nightly(), definition(json!({"every": "10m"}))).await.unwrap();
    all.resume(&other("held")).await.unwrap();
    let told = figures().await;
    let whole = [("missed", 5), ("overlap", 2), ("paused", 480)];
    assert_eq!(told.skipped_ticks, whole.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!(states(&told), [2, 0, 1, 0]);
    let another = Caller::new("other".parse().unwrap(), "tester");
    f.store.create_workspace(&f.caller, &another.workspace).await.unwrap();
    assert_eq!(f.store.schedule_figures(&another).await.unwrap(), ScheduleFigures::default());
    all.delete(&nightly()).await.unwrap();
    assert_eq!(figures().await.skipped_ticks.get("missed"), None, "those of a deleted one are gone");
}
