//! A server that is killed in the middle of requests: whoever asks again with the same key gets the one run that was made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sprongus::RunsExt;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::serve_process::{ServeProcess, free_port, token};
use crate::tempo::{block_on, chances, form};

on_both!(a_killed_server_makes_each_run_once);

const REQUESTS: usize = 300;
const CALLERS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

fn a_killed_server_makes_each_run_once(backing: Backing) {
    let kills = form(3, 20);
    let (mut chances, seed) = chances();
    let project = ProjectFolder::new(backing);
    let (token, port) = (token(&project), free_port());
    let mut served = ServeProcess::start(&project, port, &token);
    let (mut failures, mut ids) = (0, BTreeSet::new());
    for round in 0..kills {
        let (done, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let client = served.client();
        let asking = block_on(async {
            (0..CALLERS)
                .map(|caller| {
                    let (client, done, failed) = (client.clone(), Arc::clone(&done), Arc::clone(&failed));
                    tokio::spawn(async move {
                        let mut made = Vec::new();
                        for number in (caller..REQUESTS).step_by(CALLERS) {
                            let key = Some(format!("round-{round}-{number}"));
                            let new =
                                NewRun { idempotency_key: key, ..NewRun::new("note", Json::empty_object()) };
                            let began = Instant::now();
                            let id = loop {
                                match client.enqueue_one(new.clone()).await {
                                    Ok(answer) => break answer.run.id,
                                    Err(error) => {
                                        assert!(error.retryable() && began.elapsed() < PATIENCE, "{error:?}");
                                        failed.fetch_add(1, Ordering::Relaxed);
                                    }
                                }
                            };
                            done.fetch_add(1, Ordering::Relaxed);
                            made.push(id);
                        }
                        made
                    })
                })
                .collect::<Vec<_>>()
        });
        let when = chances.usize(REQUESTS / 10..REQUESTS * 2 / 3);
        let began = Instant::now();
        while done.load(Ordering::Relaxed) < when {
            assert!(began.elapsed() < PATIENCE, "seed {seed}");
            std::thread::sleep(Duration::from_micros(200));
        }
        served.kill();
        // Away for longer than a client repeats by itself.
        std::thread::sleep(Duration::from_millis(1_500));
        served = ServeProcess::start(&project, port, &token);
        let made = block_on(futures_of(asking));
        let before = ids.len();
        ids.extend(made);
        assert_eq!(ids.len() - before, REQUESTS, "each request has a run of its own, seed {seed}");
        failures += failed.load(Ordering::Relaxed);
    }
    let history = project.history();
    assert_eq!(history.ids().count(), ids.len(), "no run was made twice, seed {seed}");
    assert_eq!(history.half_made(), 0);
    assert!(failures > 0, "void: no caller met a server that was away");
    history.is_sound();
    println!(
        "server on {backing:?}: {kills} kills amid {REQUESTS} keyed requests each made every run once; {failures} calls failed and were repeated"
    );
}

async fn futures_of<T>(tasks: Vec<tokio::task::JoinHandle<Vec<T>>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all
}
