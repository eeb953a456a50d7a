//! A run that kills its worker: given up after three crashes, or after one with one attempt, and it says why. What else there
//! is to do gets done.

use std::time::Duration;

use sprongus::core::run::NewRun;

use crate::field::Field;
use crate::tempo::{eventually, form};
use crate::worker::WorkerProcess;

#[test]
fn a_run_that_kills_its_workers_is_given_up() {
    let (rounds, good) = form((1, 30), (10, 500));
    for _ in 0..rounds {
        round(good);
    }
    println!(
        "poison: {rounds} times two runs that kill their worker among {good} others: given up after 3 and after 1 crash, \
         said why; 4 workers dead a time, all others succeeded"
    );
}

fn round(good: usize) {
    let field = Field::new();
    field.kind("poison", "tell start\nkill -9 $PPID");
    field.kind("note", "tell start\nsleep 0.05\ntell end");
    let some = good / 2;
    let mut runs = field.enqueue("note", some, |run| run);
    let patient = field.enqueue("poison", 1, |run| NewRun { max_attempts: Some(10), ..run })[0];
    let once = field.enqueue("poison", 1, |run| NewRun { max_attempts: Some(1), ..run })[0];
    runs.extend(field.enqueue("note", good - some, |run| run));
    // Somebody starts a worker again when one has died, as a service manager does.
    let start = || field.worker(&["--lease", "1s", "--concurrency", "2"]);
    let (mut crew, mut deaths) = (vec![start(), start()], 0);
    let history = field.history();
    eventually("all runs ended", Duration::from_secs(180), || {
        for worker in &mut crew {
            if worker.has_ended() {
                deaths += 1;
                *worker = start();
            }
        }
        history.open_runs() == 0
    });
    crew.into_iter().for_each(WorkerProcess::stops_content);
    let journal = field.journal();
    for (run, crashes, error) in [
        (patient, 3, "lost its worker 3 times: the run may be what ends it"),
        (once, 1, "lost its worker on attempt 1 of 1"),
    ] {
        let status = field.status(run);
        assert_eq!((&status["state"], &status["crashes"]), (&"failed".into(), &crashes.into()), "{status}");
        assert_eq!((&status["attempt"], &status["error"]), (&crashes.into(), &error.into()));
        assert_eq!(journal.said("start").filter(|line| line.run == run).count(), crashes);
        let told = field.run(&["runs", "status", &run.to_string()]);
        assert!(told.out.contains(error), "{}", told.out);
    }
    assert_eq!(deaths, 4);
    let harmed: Vec<_> = runs.iter().filter(|&&run| history.state(run) != "succeeded").collect();
    assert!(harmed.is_empty(), "{harmed:?}");
    runs.extend([patient, once]);
    history.agrees_with(&journal, &runs);
}
