//! Many worker processes on one file: each run is executed exactly once, and nobody hears of a lock. The same while shells
//! enqueue in loops.

use std::fs::File;
use std::time::{Duration, Instant};

use sprongus::core::values::ids::RunId;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::form;
use crate::worker::WorkerProcess;

on_both!(each_run_once, each_run_once_while_shells_enqueue);

const LIMIT: Duration = Duration::from_secs(300);

fn project(backing: Backing) -> ProjectFolder {
    let project = ProjectFolder::new(backing);
    project.kind("note", "tell start\ntell end");
    project
}

fn end(project: &ProjectFolder, runs: &[RunId], workers: Vec<WorkerProcess>) {
    project.until_all_ended(LIMIT);
    let mut pids: Vec<i32> = workers.iter().map(WorkerProcess::pid).collect();
    workers.into_iter().for_each(WorkerProcess::stops_content);
    let (journal, history) = (project.journal(), project.history());
    journal.holds_exactly_once(runs);
    pids.retain(|pid| journal.said("start").any(|line| line.worker == *pid));
    assert!(pids.len() > 1, "only one worker had something to do");
    history.agrees_with(&journal, runs);
    assert!(runs.iter().all(|&run| history.state(run) == "succeeded"));
}

fn each_run_once(backing: Backing) {
    let (workers, count) = match backing {
        Backing::File => form((4, 200), (8, 2_000)),
        // Four processes of two workers each.
        Backing::Postgres => form((4, 400), (4, 20_000)),
    };
    let project = project(backing);
    let runs = project.enqueue("note", count, |run| run);
    let began = Instant::now();
    let crew = (0..workers).map(|_| project.worker(&["--concurrency", "2"])).collect();
    end(&project, &runs, crew);
    println!(
        "drain on {backing:?}: {workers} workers executed {count} runs once each in {:.1?}; no complaint",
        began.elapsed()
    );
}

fn each_run_once_while_shells_enqueue(backing: Backing) {
    let (workers, before, each) = form((2, 60, 10), (8, 2_000, 100));
    let project = project(backing);
    let mut runs = project.enqueue("note", before, |run| run);
    let began = Instant::now();
    let crew = (0..workers).map(|_| project.worker(&["--concurrency", "2"])).collect();
    let shells: Vec<_> = (0..4)
        .map(|number| {
            let file = |end: &str| project.path().join(format!("shell-{number}.{end}"));
            let (out, err) = (file("out"), file("err"));
            let script =
                r#"n=0; while [ $n -lt "$2" ]; do "$1" -q runs enqueue note || exit; n=$((n + 1)); done"#;
            let mut shell = project.command("sh");
            shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_sprongus"), &each.to_string()]);
            shell.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
            (shell.spawn().unwrap(), out, err)
        })
        .collect();
    for (mut shell, out, err) in shells {
        let ended = shell.wait().unwrap();
        let complaint = std::fs::read_to_string(err).unwrap();
        assert!(ended.success() && complaint.is_empty(), "{ended}: {complaint}");
        runs.extend(std::fs::read_to_string(out).unwrap().lines().map(|id| id.parse::<RunId>().unwrap()));
    }
    let count = runs.len();
    assert_eq!(count, before + 4 * each);
    end(&project, &runs, crew);
    let taken = began.elapsed();
    println!(
        "drain on {backing:?}: {workers} workers executed {count} runs once each in {taken:.1?}, four shells enqueueing; no complaint"
    );
}
