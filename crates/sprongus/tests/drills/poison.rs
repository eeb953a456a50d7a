//! A run that kills its worker: given up after three crashes, or after one with one attempt, and it says why. What else there
//! is to do gets done.

use std::time::Duration;

use sprongus::core::run::NewRun;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::{eventually, form};
use crate::worker::WorkerProcess;

on_both!(a_run_that_kills_its_workers_is_given_up, its_neighbours_are_not_given_up_with_it);

fn a_run_that_kills_its_workers_is_given_up(backing: Backing) {
    let (rounds, good) = form((1, 30), (10, 500));
    for _ in 0..rounds {
        round(backing, good);
    }
    println!(
        "poison on {backing:?}: {rounds} times two runs that kill their worker among {good} others: given up after 3 and after 1 crash, \
         said why; 4 workers dead a time, all others succeeded"
    );
}

/// Runs that are long enough to be there each time the worker dies are suspects too; they must not be given up for it.
fn its_neighbours_are_not_given_up_with_it(backing: Backing) {
    let rounds = form(1, 10);
    for _ in 0..rounds {
        let project = ProjectFolder::new(backing);
        project.kind("poison", "tell start\nsleep 0.3\nkill -9 $PPID");
        project.kind("note", "tell start\nsleep 0.6\ntell end");
        let mut runs = project.enqueue("note", 2, |run| run);
        let poison = project.enqueue("poison", 1, |run| NewRun { max_attempts: Some(10), ..run })[0];
        runs.extend(project.enqueue("note", 3, |run| run));
        let deaths = works_off(&project, 1, &["--lease", "1s", "--concurrency", "4"]);
        let history = project.history();
        assert_eq!((deaths, history.text(poison, "crashes").as_deref()), (3, Some("3")));
        let harmed: Vec<_> = runs.iter().map(|&run| history.text(run, "error")).collect();
        assert!(runs.iter().all(|&run| history.state(run) == "succeeded"), "{harmed:?}");
        runs.push(poison);
        history.agrees_with(&project.journal(), &runs);
    }
    println!(
        "poison on {backing:?}: {rounds} times five runs were executed beside it whenever it killed their worker: all succeeded"
    );
}

/// Works until all runs have ended. Somebody starts a worker again when one has died, as a service manager does. Answers how
/// many have.
fn works_off(project: &ProjectFolder, workers: usize, words: &[&str]) -> usize {
    let mut crew: Vec<_> = (0..workers).map(|_| project.worker(words)).collect();
    let (mut deaths, history) = (0, project.history());
    eventually("all runs ended", Duration::from_secs(180), || {
        for worker in &mut crew {
            if worker.has_ended() {
                deaths += 1;
                *worker = project.worker(words);
            }
        }
        history.open_runs() == 0
    });
    crew.into_iter().for_each(WorkerProcess::stops_content);
    deaths
}

fn round(backing: Backing, good: usize) {
    let project = ProjectFolder::new(backing);
    project.kind("poison", "tell start\nkill -9 $PPID");
    project.kind("note", "tell start\nsleep 0.05\ntell end");
    let mut runs = Vec::new();
    // One after the other: what one of them does to the other is no part of this.
    for (attempts, crashes, error) in [
        (10, 3, "lost its worker 3 times; the run may be crashing its workers"),
        (1, 1, "lost its worker on attempt 1 of 1"),
    ] {
        let mut others = project.enqueue("note", good / 4, |run| run);
        let run = project.enqueue("poison", 1, |run| NewRun { max_attempts: Some(attempts), ..run })[0];
        others.extend(project.enqueue("note", good / 2 - others.len(), |run| run));
        let deaths = works_off(&project, 2, &["--lease", "1s", "--concurrency", "2"]);
        assert_eq!(deaths, crashes, "workers died");
        let status = project.status(run);
        assert_eq!((&status["state"], &status["crashes"]), (&"failed".into(), &crashes.into()), "{status}");
        assert_eq!((&status["attempt"], &status["error"]), (&crashes.into(), &error.into()));
        assert_eq!(project.journal().said("start").filter(|line| line.run == run).count(), crashes);
        let seen = project.run(&["runs", "status", &run.to_string()]);
        assert!(seen.out.contains(error), "{}", seen.out);
        let history = project.history();
        let harmed: Vec<_> = others.iter().filter(|&&run| history.state(run) != "succeeded").collect();
        assert!(harmed.is_empty(), "{harmed:?}");
        runs.push(run);
        runs.extend(others);
    }
    project.history().agrees_with(&project.journal(), &runs);
}
