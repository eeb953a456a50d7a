//! Many who wait and many who follow, on two servers of one database: who waits gets work at once, who follows hears everything once,
//! and the servers hold no more memory for it as time passes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sprongus::core::json::Json;
use sprongus::core::run::{ClaimRequest, Due, NewRun};
use sprongus::core::values::names::WorkerId;
use sprongus::{Runs, RunsExt};
use tokio::sync::mpsc;

use crate::backing::Backing;
use crate::project_folder::ProjectFolder;
use crate::serve_process::{Listener, ServeProcess, free_port, token};
use crate::tempo::{block_on, form};

/// How late the slowest of a hundred pick-ups may be, with everything on two cores; the short form runs amid other tests, unoptimised.
const LATEST_MS: (f64, f64) = (500.0, 50.0);

/// Followers who hear everything.
const LISTENERS: usize = 10;

/// Longer than there is between two runs.
const QUIET: Duration = Duration::from_secs(4);

/// What a server may hold more at the end than when all had come.
const GROWTH: u64 = 16 << 20;

#[test]
fn a_crowd_costs_little_and_everyone_is_served() {
    let (followers, waiters, time) =
        form((40, 20, Duration::from_secs(6)), (500, 200, Duration::from_secs(600)));
    let project = ProjectFolder::new(Backing::Postgres);
    let token = token(&project);
    let servers = [free_port(), free_port()].map(|port| ServeProcess::start(&project, port, &token));
    block_on(async {
        // Most follow a run that rests; some hear everything.
        let resting = NewRun {
            due: Due::After(Duration::from_secs(86_400)),
            ..NewRun::new("crowd", Json::empty_object())
        };
        let resting = servers[0].client().enqueue_one(resting).await.unwrap().run.id;
        let mut idle = Vec::new();
        for follower in 0..followers - LISTENERS {
            idle.push(servers[follower % 2].follow(resting).await);
        }
        let mut hearing = Vec::new();
        for listener in 0..LISTENERS {
            hearing.push(tokio::spawn(hear(servers[listener % 2].listen().await)));
        }
        let (picked, mut pick_ups) = mpsc::unbounded_channel();
        for waiter in 0..waiters {
            let client = servers[waiter % 2].client();
            tokio::spawn(wait_for_work(Arc::new(client), format!("waiter-{waiter}"), picked.clone()));
        }
        // All have come, and the first of them have worked.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let enqueuer = servers[0].client();
        let mut expected: HashMap<String, u64> = HashMap::new();
        let (began, mut took) = (Instant::now(), Vec::new());
        let mut memory = None;
        while began.elapsed() < time {
            let made = enqueuer.enqueue_one(NewRun::new("crowd", Json::empty_object())).await.unwrap();
            let answered = Instant::now();
            let (id, at) = pick_ups.recv().await.unwrap();
            assert_eq!(id, made.run.id);
            took.push(at.saturating_duration_since(answered).as_secs_f64() * 1e3);
            expected.insert(id.to_string(), 3);
            memory =
                memory.or_else(|| (took.len() == 20).then(|| servers.each_ref().map(ServeProcess::memory)));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let after = servers.each_ref().map(ServeProcess::memory);
        let before = memory.expect("time for twenty runs");
        took.sort_by(f64::total_cmp);
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "crowd: {followers} followers and {waiters} waiting claims on two servers, {} runs: picked up after {p50:.1} ms \
             (median) and {p99:.1} ms (99 of 100); memory {before:?}, then {after:?}",
            took.len()
        );
        assert!(p99 < form(LATEST_MS.0, LATEST_MS.1), "the slowest of a hundred pick-ups took {p99:.1} ms");
        for (before, after) in before.iter().zip(after) {
            assert!(after < before + GROWTH, "a server grew from {before} to {after} bytes");
        }
        for hearing in hearing {
            assert_eq!(hearing.await.unwrap(), expected, "every event once, on whichever server");
        }
        for mut follower in idle {
            let first = follower.next(Duration::from_secs(5)).await.expect("its one event");
            assert_eq!(first["type"], "run.enqueued");
        }
    });
}

/// Claims one run after another, and tells when each was had.
async fn wait_for_work(
    runs: Arc<dyn Runs>,
    name: String,
    picked: mpsc::UnboundedSender<(sprongus::core::values::ids::RunId, Instant)>,
) {
    let worker: WorkerId = name.parse().unwrap();
    loop {
        let request = ClaimRequest { wait: Duration::from_secs(30), ..ClaimRequest::new(worker.clone(), 1) };
        // The servers end before those who wait do.
        let Ok(claimed) = runs.claim(request).await else { return };
        let at = Instant::now();
        for claimed in claimed {
            let hold = claimed.hold();
            if runs.succeed(&hold, None, None).await.is_err() || picked.send((hold.id, at)).is_err() {
                return;
            }
        }
    }
}

/// Counts the events of each run, which come in order, until there has been none for a while.
async fn hear(mut listener: Listener) -> HashMap<String, u64> {
    let mut heard: HashMap<String, u64> = HashMap::new();
    while let Some(event) = listener.next(QUIET).await {
        let seq = heard.entry(event["runId"].as_str().unwrap().to_owned()).or_default();
        *seq += 1;
        assert_eq!(event["seq"], *seq, "in order, without a gap or a double: {event}");
    }
    heard
}
