//! kill -9 of workers at random moments: every run ends, none is lost, successors are quick, and what the dead say late is
//! refused.

use std::time::Duration;

use sprongus::RunsExt;
use sprongus::core::ErrorCode;
use sprongus::core::json::Json;
use sprongus::core::run::lease::LeaseToken;
use sprongus::core::run::{Hold, NewRun, Outcome};
use sprongus::core::values::ids::RunId;
use sprongus::core::values::names::WorkerId;

use crate::backing::{Backing, on_both};
use crate::history::History;
use crate::journal::Journal;
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, chances, form, uptime};
use crate::worker::WorkerProcess;

on_both!(every_run_ends_and_none_is_lost);

const LEASE: Duration = Duration::from_secs(2);
const WORKERS: usize = 3;

/// A claim that died with its worker.
struct Lost {
    hold: Hold,
    at: f64,
}

fn every_run_ends_and_none_is_lost(backing: Backing) {
    let (kills, count) = form((5, 40), (50, 500));
    let (mut chance, seed) = chances();
    let project = ProjectFolder::new(backing);
    project.script("note", "tell start\nsleep \"$2\"\ntell end");
    let argv = ProjectFolder::argv("note").replace(']', r#", "{{ input.seconds }}"]"#);
    project.declare(&format!("[kinds.note]\ncommand = {argv}\n"));
    let (mut runs, mut lost) = (Vec::new(), Vec::new());
    let start = || project.worker(&["--concurrency", "2", "--lease", "2s"]);
    let mut crew: Vec<_> = (0..WORKERS).map(|_| start()).collect();
    let mut history = None;
    for number in 0..kills {
        let due = count * (number + 1) / kills - runs.len();
        let draws: Vec<u32> = (0..due).map(|_| chance.u32(10..600)).collect();
        for draw in draws {
            let input = Json::from_value(serde_json::json!({"seconds": format!("0.{draw:03}")}));
            let wish = |run| NewRun { input: Some(input.clone()), max_attempts: Some(10), ..run };
            runs.extend(project.enqueue("note", 1, wish));
        }
        std::thread::sleep(Duration::from_millis(chance.u64(50..700)));
        let history = history.get_or_insert_with(|| project.history());
        let one = chance.usize(..WORKERS);
        let id = crew[one].id();
        crew[one].kill();
        let at = uptime();
        lost.extend(dropped(history, &id).map(|hold| Lost { hold, at }));
        crew[one] = start();
    }
    project.until_all_ended(Duration::from_secs(120));
    crew.into_iter().for_each(WorkerProcess::stops_content);

    let (journal, history) = (project.journal(), project.history());
    history.agrees_with(&journal, &runs);
    history.is_sound();
    let failed = runs.iter().filter(|&&run| failed_by_the_rules(&history, run)).count();
    let mut waits: Vec<f64> = lost.iter().filter_map(|one| wait(&journal, &history, one, &lost)).collect();
    waits.sort_by(f64::total_cmp);
    let longest = waits.last().copied().unwrap_or_default();
    assert!(longest <= LEASE.as_secs_f64() + 5.0, "a successor came only after {longest:.2} s");
    refuses_all(&project, &history, &lost);
    println!(
        "kill on {backing:?}: seed {seed}: {kills} kills over {count} runs took {} claims with them; {} succeeded, {failed} failed by the \
         rules, none lost; successors after {:.2} s at the median, {longest:.2} s at the most (lease {LEASE:?}); {} late \
         reports refused",
        lost.len(),
        runs.len() - failed,
        waits.get(waits.len() / 2).copied().unwrap_or_default(),
        lost.len(),
    );
}

/// What a worker that is dead held at its end.
fn dropped(history: &History, worker: &WorkerId) -> impl Iterator<Item = Hold> {
    history.held_by(worker.as_str()).into_iter().map(move |(id, epoch)| {
        let token = LeaseToken::generate().unwrap();
        // Where a successor was quicker, its own has replaced the lost one already.
        history.replace_token(id, epoch, &token);
        Hold { id, worker_id: worker.clone(), epoch, token }
    })
}

fn failed_by_the_rules(history: &History, run: RunId) -> bool {
    let state = history.state(run);
    if state == "failed" {
        let (crashes, error) = (history.text(run, "crashes"), history.text(run, "error"));
        assert_eq!(crashes.as_deref(), Some("3"), "{run} failed of something else: {error:?}");
        assert!(error.unwrap().starts_with("lost its worker 3 times"));
        return true;
    }
    assert_eq!(state, "succeeded");
    false
}

/// From the kill to the first line of the next execution, unless that claim died before it wrote one: then it has a wait of
/// its own.
fn wait(journal: &Journal, history: &History, one: &Lost, all: &[Lost]) -> Option<f64> {
    let (id, epoch) = (one.hold.id, u32::try_from(one.hold.epoch).unwrap());
    let next = journal.said("start").find(|line| line.run == id && line.epoch > epoch);
    let Some(next) = next else {
        assert_eq!(history.state(id), "failed", "nobody took over {id}");
        return None;
    };
    let between = |other: &&Lost| {
        other.hold.id == id && (u64::from(epoch) + 1..next.epoch.into()).contains(&other.hold.epoch)
    };
    all.iter().find(between).is_none().then_some(next.at - one.at)
}

/// The dead worker's report comes after all: refused, and not a byte is changed by it.
fn refuses_all(project: &ProjectFolder, history: &History, lost: &[Lost]) {
    let runs = project.runs();
    for one in lost {
        let before = (history.row(one.hold.id), history.events(one.hold.id));
        for outcome in [
            Outcome::Succeed { result: Some(Json::empty_object()), output_ref: None },
            Outcome::Fail { error: "late".to_owned(), retryable: true, retry_in: None },
            Outcome::Release,
        ] {
            let answer = block_on(runs.finish_one(&one.hold, outcome));
            assert_eq!(answer.map(|run| run.state).map_err(|error| error.code()), Err(ErrorCode::LeaseLost));
        }
        let beat = block_on(runs.heartbeat(vec![one.hold.clone()], None)).unwrap().remove(0);
        assert_eq!(beat.unwrap_err().code(), ErrorCode::LeaseLost);
        assert!(
            before == (history.row(one.hold.id), history.events(one.hold.id)),
            "{} was touched",
            one.hold.id
        );
    }
}
