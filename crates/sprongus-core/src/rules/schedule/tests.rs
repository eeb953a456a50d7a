use serde_json::{Value, json};

use super::change::{Around, Change, Exists, change, past_ticks};
use super::*;
use crate::calendar::zone::SystemZones;
use crate::error::ErrorCode;
use crate::run::state::State;
use crate::schedule::Definition;
use crate::values::names::WorkspaceId;
use crate::workspace::setting::ManagedBy;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A schedule, its runs, and what was decided about it, on a turned clock.
struct Scene {
    setting: Option<Setting>,
    live: LiveRuns,
    now: Timestamp,
    /// What the last decision wrote.
    set: WriteSet,
}

impl Scene {
    fn new(now: &str, definition: Value) -> Self {
        let mut scene =
            Self { setting: None, live: LiveRuns::new(), now: time(now), set: WriteSet::default() };
        scene.put(definition);
        scene
    }

    fn put(&mut self, definition: Value) {
        let definition = Box::new(Definition::read(&definition).unwrap());
        self.change(&Change::Put { definition, by: ManagedBy::Api, exists: Exists::May }).unwrap();
    }

    fn change(&mut self, wanted: &Change) -> Result<()> {
        let zones = SystemZones::bundled();
        let workspace = WorkspaceId::local();
        let around = Around { workspace: &workspace, live: &self.live, zones: &zones, seed: 7 };
        let act = Act { now: self.now, actor: "amy" };
        let set = change(&"nightly".parse().unwrap(), self.setting.as_ref(), wanted, &around, act)?;
        self.write(set);
        Ok(())
    }

    fn tick(&mut self, now: &str) -> &mut Self {
        self.now = time(now);
        let act = Act { now: self.now, actor: "system" };
        let setting = self.setting.clone().unwrap();
        let set = tick(&setting, &self.live, &SystemZones::bundled(), act);
        self.write(set);
        self
    }

    fn write(&mut self, set: WriteSet) {
        for write in &set.settings {
            match write {
                SettingWrite::Put(setting) => self.setting = Some((**setting).clone()),
                SettingWrite::Delete(..) => self.setting = None,
            }
        }
        for changed in set.new_runs.iter().chain(&set.transitions) {
            self.live.insert(changed.run.id, (changed.run.clone(), None));
        }
        self.set = set;
    }

    fn made(&self) -> Vec<String> {
        let tick = |new: &crate::rules::Transition| {
            new.run.scheduled.as_ref().unwrap().scheduled_for.unwrap().to_string()
        };
        self.set.new_runs.iter().map(tick).collect()
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        let caller = crate::Caller::new(WorkspaceId::local(), "system");
        let events = self.set.acts.iter().map(|act| act.clone().by(&caller, self.now));
        let skipped = events.filter(|event| event.kind == OperatorEventType::ScheduleSkipped);
        skipped
            .map(|event| {
                let seen = event.after.unwrap().to_value();
                (seen["reason"].as_str().unwrap().to_owned(), seen["count"].as_u64().unwrap())
            })
            .collect()
    }

    fn schedule(&self) -> Schedule {
        Schedule::of(self.setting.as_ref().unwrap()).unwrap()
    }

    /// Every run ends.
    fn end_runs(&mut self) {
        for (run, _) in self.live.values_mut() {
            run.state = State::Succeeded;
            run.lease_expires_at = None;
        }
    }

    fn start_runs(&mut self) {
        for (run, _) in self.live.values_mut().filter(|(run, _)| run.state == State::Queued) {
            run.state = State::Running;
            run.lease_expires_at = Some(self.now.plus(Duration::from_secs(30)));
        }
    }
}

fn every_minute(more: Value) -> Value {
    let mut definition = json!({"kind": "k", "cron": "* * * * *"});
    definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    definition
}

#[test]
fn a_tick_has_one_run_however_often_it_is_looked_at() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"input": {"a": 1}})));
    assert_eq!(scene.schedule().progress.next, Some(time("2026-01-01T09:01:00Z")));
    assert_eq!(scene.schedule().due_at, Some(time("2026-01-01T09:01:00Z")));
    assert!(scene.tick("2026-01-01T09:00:59.999Z").made().is_empty());
    assert_eq!(scene.tick("2026-01-01T09:01:00Z").made(), ["2026-01-01T09:01:00.000Z"]);
    let run = &scene.set.new_runs[0].run;
    assert_eq!((run.input.as_str(), run.run_at), (r#"{"a":1}"#, time("2026-01-01T09:01:00Z")));
    assert_eq!(scene.set.new_runs[0].events[0].actor, "schedule:nightly");
    assert!(scene.tick("2026-01-01T09:01:00Z").made().is_empty());
    // Nor when the clock is set back.
    assert!(scene.tick("2026-01-01T08:00:00Z").made().is_empty());
    assert_eq!(scene.schedule().due_at, Some(time("2026-01-01T09:02:00Z")));
    scene.end_runs();
    assert_eq!(scene.tick("2026-01-01T09:02:10Z").made(), ["2026-01-01T09:02:00.000Z"]);
}

#[test]
fn a_tick_while_a_run_is_live_is_skipped_and_told() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({})));
    scene.tick("2026-01-01T09:01:00Z");
    assert_eq!(scene.tick("2026-01-01T09:02:00Z").skipped(), [("overlap".to_owned(), 1)]);
    assert!(scene.made().is_empty());
    scene.end_runs();
    assert_eq!(scene.tick("2026-01-01T09:03:00Z").made().len(), 1);
}

#[test]
fn ticks_may_overlap_where_the_schedule_says_so() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"overlap": "allow"})));
    assert_eq!(scene.tick("2026-01-01T09:01:00Z").made().len(), 1);
    assert_eq!(scene.tick("2026-01-01T09:02:00Z").made().len(), 1);
}

#[test]
fn one_tick_waits_for_the_live_run_or_all_do() {
    for (overlap, waiting, skipped) in [("queue_one", 1, 1), ("queue_all", 2, 0)] {
        let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"overlap": overlap})));
        scene.tick("2026-01-01T09:01:00Z");
        scene.tick("2026-01-01T09:02:00Z");
        assert!(scene.made().is_empty() && scene.skipped().is_empty());
        // It looks again soon, for the run may end at any time.
        assert_eq!(scene.schedule().due_at, Some(time("2026-01-01T09:02:01Z")));
        scene.tick("2026-01-01T09:03:00Z");
        assert_eq!(scene.schedule().progress.waiting.len(), waiting, "{overlap}");
        assert_eq!(scene.skipped().len(), skipped, "{overlap}");
        scene.end_runs();
        assert_eq!(scene.tick("2026-01-01T09:03:01Z").made(), ["2026-01-01T09:02:00.000Z"], "{overlap}");
    }
}

#[test]
fn a_tick_cancels_the_live_run_and_waits_until_its_worker_is_done() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"overlap": "cancel_running"})));
    scene.tick("2026-01-01T09:01:00Z");
    scene.start_runs();
    scene.tick("2026-01-01T09:02:00Z");
    assert_eq!(scene.set.transitions.len(), 1);
    assert_eq!(scene.set.transitions[0].run.state, State::Canceled);
    assert!(scene.made().is_empty());
    assert!(scene.tick("2026-01-01T09:02:01Z").made().is_empty());
    scene.end_runs();
    assert_eq!(scene.tick("2026-01-01T09:02:02Z").made(), ["2026-01-01T09:02:00.000Z"]);
    // One that nobody has begun is gone at once.
    assert_eq!(scene.tick("2026-01-01T09:03:00Z").made(), ["2026-01-01T09:03:00.000Z"]);
    assert_eq!(scene.set.transitions.len(), 1);
}

#[test]
fn after_a_week_of_sleep_the_policy_decides() {
    let week = |policy: Value| {
        let mut definition = json!({"kind": "k", "every": "5s", "overlap": "allow"});
        definition.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
        let mut scene = Scene::new("2026-01-01T00:00:00Z", definition);
        scene.tick("2026-01-08T00:00:02Z");
        scene
    };
    let late = 7 * 24 * 3_600 / 5 - 12;
    let skip = week(json!({"missed": "skip"}));
    assert_eq!((skip.made().len(), skip.skipped()), (12, vec![("missed".to_owned(), late)]));
    let last = week(json!({"missed": "last"}));
    assert_eq!((last.made().len(), last.skipped()), (13, vec![("missed".to_owned(), late - 1)]));
    let mut all = week(json!({"missed": "all", "maxMissed": 25}));
    assert_eq!((all.made().len(), all.skipped()), (10, vec![("missed".to_owned(), late - 25)]));
    assert_eq!(all.schedule().due_at, Some(time("2026-01-08T00:00:03Z")));
    assert_eq!(all.tick("2026-01-08T00:00:03Z").made().len(), 10);
}

#[test]
fn what_falls_into_a_pause_is_skipped_and_told_once() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({})));
    scene.change(&Change::Pause).unwrap();
    assert_eq!((scene.schedule().due_at, scene.schedule().progress.next), (None, None));
    scene.now = time("2026-01-01T09:10:30Z");
    scene.change(&Change::Pause).unwrap();
    assert!(scene.set.is_empty());
    scene.change(&Change::Resume).unwrap();
    assert_eq!(scene.skipped(), [("paused".to_owned(), 10)]);
    assert_eq!(scene.tick("2026-01-01T09:11:00Z").made(), ["2026-01-01T09:11:00.000Z"]);
}

#[test]
fn an_edit_leaves_the_ticks_before_it_to_the_old_revision() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"overlap": "allow"})));
    scene.now = time("2026-01-01T09:01:10Z");
    scene.put(every_minute(json!({"overlap": "allow", "input": {"new": true}})));
    let old = scene.set.new_runs[0].run.clone();
    assert_eq!((old.scheduled.unwrap().revision, old.input.as_str()), (1, "{}"));
    scene.tick("2026-01-01T09:02:00Z");
    let new = scene.set.new_runs[0].run.clone();
    assert_eq!((new.scheduled.unwrap().revision, new.input.as_str()), (2, r#"{"new":true}"#));
    // The same definition again is no edit.
    scene.put(every_minute(json!({"overlap": "allow", "input": {"new": true}})));
    assert!(scene.set.is_empty());
}

#[test]
fn a_created_schedule_is_not_created_again_with_another_definition() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({})));
    let definition = Box::new(Definition::read(&json!({"kind": "k", "every": "1h"})).unwrap());
    let again = Change::Put { definition, by: ManagedBy::Api, exists: Exists::MustNot };
    assert_eq!(scene.change(&again).unwrap_err().code(), ErrorCode::Conflict);
}

#[test]
fn a_triggered_run_has_no_tick_and_moves_no_cursor() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({})));
    let cursor = scene.schedule().progress.cursor;
    scene.change(&Change::Trigger(RunId::new())).unwrap();
    let run = &scene.set.new_runs[0].run;
    assert_eq!(run.scheduled.as_ref().unwrap().scheduled_for, None);
    assert_eq!(run.run_at, scene.now);
    assert_eq!(scene.schedule().progress.cursor, cursor);
    // It holds up a tick like any other run.
    assert_eq!(scene.tick("2026-01-01T09:01:00Z").skipped(), [("overlap".to_owned(), 1)]);
}

#[test]
fn a_backfill_reaches_behind_the_creation_and_never_into_the_future() {
    let scene = Scene::new("2026-01-01T09:00:30Z", json!({"kind": "k", "every": "10m"}));
    let zones = SystemZones::bundled();
    let ticks =
        |from: &str, to: &str| past_ticks(&scene.schedule(), (time(from), time(to)), &zones, scene.now);
    let found = ticks("2026-01-01T08:00:30Z", "2026-01-01T09:00:30Z").unwrap();
    assert_eq!(found.len(), 6);
    assert_eq!(found[0], time("2026-01-01T08:00:30Z"));
    assert!(ticks("2026-01-01T08:00:00Z", "2026-01-01T10:00:00Z").is_err());
    assert!(ticks("2025-01-01T08:00:00Z", "2026-01-01T09:00:00Z").is_err());
}

#[test]
fn a_backfill_keeps_to_the_start_and_the_end_of_its_schedule() {
    let zones = SystemZones::bundled();
    for (timing, expected) in [
        (json!({"cron": "0 0 * * *"}), ["2025-12-20T00:00:00Z", "2025-12-21T00:00:00Z"]),
        (json!({"every": "1d"}), ["2025-12-20T00:00:00Z", "2025-12-21T00:00:00Z"]),
    ] {
        let bounds = json!({"kind": "k", "startAt": "2025-12-20T00:00:00Z", "endAt": "2025-12-22T00:00:00Z"});
        let mut definition = bounds.as_object().unwrap().clone();
        definition.extend(timing.as_object().unwrap().clone());
        let scene = Scene::new("2026-01-01T09:00:30Z", Value::Object(definition));
        let ticks = |from: &str, to: &str| {
            past_ticks(&scene.schedule(), (time(from), time(to)), &zones, scene.now).unwrap()
        };
        assert_eq!(ticks("2025-12-15T00:00:00Z", "2025-12-30T00:00:00Z"), expected.map(time));
        assert_eq!(ticks("2025-12-22T00:00:00Z", "2025-12-30T00:00:00Z"), []);
        assert_eq!(ticks("2025-12-01T00:00:00Z", "2025-12-19T00:00:00Z"), []);
    }
}

#[test]
fn a_zone_that_vanished_breaks_the_schedule_and_is_told_once() {
    let mut scene = Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"timeZone": "Europe/Berlin"})));
    struct Nowhere;
    impl Zones for Nowhere {
        fn zone(&self, name: &str) -> Result<crate::calendar::Zone> {
            Err(Error::validation(format!("no such time zone: {name}")))
        }
        fn data(&self) -> crate::calendar::ZoneData {
            crate::calendar::ZoneData::bundled()
        }
    }
    for seen in [1, 0] {
        let act = Act { now: time("2026-01-01T09:01:00Z"), actor: "system" };
        let set = tick(scene.setting.as_ref().unwrap(), &scene.live, &Nowhere, act);
        scene.write(set);
        assert_eq!((scene.set.acts.len(), scene.made().len()), (seen, 0));
        assert!(scene.schedule().progress.broken.is_some());
        assert_eq!(scene.schedule().due_at, Some(time("2026-01-01T09:02:00Z")));
    }
    assert_eq!(scene.tick("2026-01-01T09:01:30Z").made(), ["2026-01-01T09:01:00.000Z"]);
    assert!(scene.schedule().progress.broken.is_none());
}

#[test]
fn a_run_is_due_later_than_its_tick_by_its_jitter_alone() {
    let mut scene =
        Scene::new("2026-01-01T09:00:30Z", every_minute(json!({"jitter": "30s", "overlap": "allow"})));
    let due = scene.tick("2026-01-01T09:01:00Z").set.new_runs[0].run.run_at;
    assert!(due >= time("2026-01-01T09:01:00Z") && due <= time("2026-01-01T09:01:30Z"));
}

/// The zone data of a process.
struct Only(crate::calendar::Zone);

impl Zones for Only {
    fn zone(&self, _name: &str) -> Result<crate::calendar::Zone> {
        Ok(self.0.clone())
    }

    fn data(&self) -> crate::calendar::ZoneData {
        self.0.data().clone()
    }
}

#[test]
fn a_tick_that_other_zone_data_does_not_see_is_left_to_whoever_foresaw_it() {
    let zone = |rule: &str| {
        let data =
            crate::calendar::ZoneData { source: "made for this test".to_owned(), version: "1".to_owned() };
        Only(crate::calendar::Zone::from_rule("Europe/London", rule, data).unwrap())
    };
    // By the newer data the country is an hour ahead of the older.
    let (older, newer) = (zone("AAA0"), zone("BBB-1"));
    let definition = json!({"kind": "k", "cron": "0 9 * * *", "timeZone": "Europe/London"});
    let mut scene = Scene::new("2026-01-01T07:00:00Z", definition);
    let look = |scene: &mut Scene, now: &str, zones: &Only| {
        scene.now = time(now);
        let act = Act { now: scene.now, actor: "system" };
        let set = tick(scene.setting.as_ref().unwrap(), &scene.live, zones, act);
        scene.write(set);
        (scene.made(), scene.schedule().due_at.unwrap().to_string())
    };
    let none = Vec::<String>::new();
    assert_eq!(look(&mut scene, "2026-01-01T07:30:00Z", &newer).1, "2026-01-01T08:00:00.000Z");
    let left = look(&mut scene, "2026-01-01T08:00:01Z", &older);
    assert_eq!(left, (none.clone(), "2026-01-01T08:00:11.000Z".to_owned()));
    let found = look(&mut scene, "2026-01-01T08:00:11Z", &newer);
    assert_eq!(found, (vec!["2026-01-01T08:00:00.000Z".to_owned()], "2026-01-02T08:00:00.000Z".to_owned()));
    // That civil time has its run, whatever the older data says of it.
    scene.end_runs();
    assert_eq!(look(&mut scene, "2026-01-01T09:00:00Z", &older).0, none);
    // What nobody sees is not waited for for long.
    look(&mut scene, "2026-01-01T10:00:00Z", &newer);
    let given_up = look(&mut scene, "2026-01-02T08:10:01Z", &older);
    assert_eq!(given_up, (none, "2026-01-02T09:00:00.000Z".to_owned()));
}

#[test]
fn ticks_that_were_still_to_be_caught_up_are_counted_when_the_schedule_changes() {
    let all = |more: Value| {
        let mut definition = every_minute(json!({"missed": "all", "overlap": "allow"}));
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        definition
    };
    for is_deleted in [false, true] {
        let mut scene = Scene::new("2026-01-01T09:00:30Z", all(json!({})));
        scene.now = time("2026-01-01T09:30:30Z");
        if is_deleted {
            scene.change(&Change::Delete).unwrap();
        } else {
            scene.put(all(json!({"input": {"new": true}})));
        }
        let (made, skipped) = (scene.made().len() as u64, scene.skipped());
        assert_eq!(skipped, [("ended".to_owned(), 30 - made)]);
        assert!((1..30).contains(&made), "{made}");
    }
}
