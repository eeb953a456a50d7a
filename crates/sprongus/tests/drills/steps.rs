//! Runs with many steps go on beside the others: 10,000 steps a minute, each with its two events, must not slow claims down. Spans with
//! and without them take turns, so that what else the machine does falls on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sprongus::Runs;
use sprongus::core::json::Json;
use sprongus::core::run::step::{Phase, StepReport, StepStatus, StepType};
use sprongus::core::run::{ClaimRequest, Hold, NewRun, Outcome};
use sprongus::core::store::Batch;
use sprongus::core::values::names::WorkerId;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, form};

/// How much slower a claim may be; the short form is seconds long, in a debug build, beside other tests.
const MOST: (f64, f64) = (2.0, 1.2);

on_both!(many_steps_do_not_slow_claims_down);

const STEPS_A_MINUTE: u32 = 10_000;

/// Runs with steps at the same time.
const STEPPING: u32 = 10;

/// Runs enqueued, claimed and finished together, and the pause behind them.
const TOGETHER: usize = 10;
const APART: Duration = Duration::from_millis(20);

fn many_steps_do_not_slow_claims_down(backing: Backing) {
    let (spans, span) = form((4, Duration::from_secs(1)), (10, Duration::from_secs(6)));
    let project = ProjectFolder::new(backing);
    let runs = project.runs();
    let pace = Arc::new(Pace::default());
    let [without, with] = block_on(async {
        let mut stepping = Vec::new();
        for number in 0..STEPPING {
            let hold = held(&*runs, number).await;
            stepping.push(tokio::spawn(step(Arc::clone(&runs), hold, Arc::clone(&pace))));
        }
        let mut took = [Vec::new(), Vec::new()];
        for turn in 0..spans * 2 {
            pace.may_step.store(turn % 2 == 1, Ordering::Relaxed);
            claim(&*runs, span, &mut took[turn % 2]).await;
        }
        pace.may_step.store(false, Ordering::Relaxed);
        pace.is_over.store(true, Ordering::Relaxed);
        for one in stepping {
            one.await.unwrap();
        }
        took
    });
    let steps = pace.steps.load(Ordering::Relaxed);
    let a_minute = steps as f64 / (span * u32::try_from(spans).unwrap()).as_secs_f64() * 60.0;
    let ratio = median(&with) / median(&without);
    println!(
        "steps: {backing:?}: at {a_minute:.0} steps a minute a claim took {ratio:.2} of what it takes without"
    );
    assert!(
        a_minute > f64::from(STEPS_A_MINUTE) * 0.8,
        "void: only {a_minute:.0} steps a minute were recorded"
    );
    assert!(ratio <= form(MOST.0, MOST.1), "{backing:?}: claims are {ratio:.2} times slower");
}

#[derive(Default)]
struct Pace {
    may_step: AtomicBool,
    is_over: AtomicBool,
    steps: AtomicU64,
}

async fn held(runs: &dyn Runs, number: u32) -> Hold {
    let new = NewRun::new("stepping", Json::empty_object());
    runs.enqueue(vec![new], Batch::AllOrNothing).await.unwrap();
    let worker: WorkerId = format!("stepping-{number}").parse().unwrap();
    let mut request = ClaimRequest::new(worker, 1);
    (request.kinds, request.lease) = (Some(vec!["stepping".parse().unwrap()]), Duration::from_secs(3_600));
    let claimed = runs.claim(request).await.unwrap().pop().unwrap();
    claimed.hold()
}

/// Begins and ends one step after another, as a worker tells of them: at once.
async fn step(runs: Arc<dyn Runs>, hold: Hold, pace: Arc<Pace>) {
    let mut turns = interval(Duration::from_secs(60) * STEPPING / STEPS_A_MINUTE);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // An execution has a hundred steps at most, so they are told of again and again: each time is two events.
    for number in 0_u32.. {
        turns.tick().await;
        while !pace.may_step.load(Ordering::Relaxed) {
            if pace.is_over.load(Ordering::Relaxed) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        for status in [StepStatus::Running, StepStatus::Completed] {
            let output = status.is_final().then(|| format!("number {number}"));
            let report = StepReport {
                ordinal: number % 100,
                name: format!("step {}", number % 100),
                phase: Phase::Execution,
                kind: StepType::Command,
                status,
                output,
                tokens_in: None,
                tokens_out: None,
            };
            runs.record(&hold, vec![report], Vec::new()).await.unwrap();
        }
        pace.steps.fetch_add(1, Ordering::Relaxed);
    }
}

async fn claim(runs: &dyn Runs, span: Duration, took: &mut Vec<f64>) {
    let worker: WorkerId = "worker".parse().unwrap();
    let mut request = ClaimRequest::new(worker.clone(), u32::try_from(TOGETHER).unwrap());
    request.kinds = Some(vec!["note".parse().unwrap()]);
    let began = Instant::now();
    while began.elapsed() < span {
        let new = (0..TOGETHER).map(|_| NewRun::new("note", Json::empty_object())).collect();
        runs.enqueue(new, Batch::AllOrNothing).await.unwrap();
        let asked = Instant::now();
        let claimed = runs.claim(request.clone()).await.unwrap();
        took.push(asked.elapsed().as_secs_f64());
        assert_eq!(claimed.len(), TOGETHER);
        let outcome = Outcome::Succeed { result: None, output_ref: None };
        let reports = claimed.iter().map(|one| one.hold().report(outcome.clone())).collect();
        for done in runs.finish(&worker, reports).await.unwrap() {
            done.unwrap();
        }
        sleep(APART).await;
    }
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
