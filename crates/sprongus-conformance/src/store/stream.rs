//! The stream of a workspace's events.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use sprongus_core::run::NewRun;
use sprongus_core::run::event::Event;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use tokio::time::Instant;

use crate::fixture::{Fixture, failure, hold_of, numbered, of_kind, step, success};

/// How long an event may take to come into the stream: as long as somebody else's transaction, that is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads on behind `after`, `limit` at a time, until the first event of `last` is there; and says where it stands.
async fn read_to(
    f: &Fixture,
    after: StreamPosition,
    limit: u32,
    last: RunId,
) -> (Vec<Streamed>, StreamPosition) {
    let (mut read, mut position) = (Vec::new(), after);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let page = f.store.stream(&f.caller, position, limit).await.unwrap();
        assert!(page.len() <= limit as usize, "{} of {limit}", page.len());
        if page.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for streamed in page {
            assert!(streamed.position > position, "{streamed:?} behind {position}");
            position = streamed.position;
            read.push(streamed);
        }
        if read.iter().any(|streamed| streamed.run_event().is_some_and(|event| event.run_id == last)) {
            return (read, position);
        }
    }
    panic!("run {last} never came into the stream, behind {} others", read.len());
}

/// The events of each run, in the order in which they were read.
fn by_run(read: &[Streamed]) -> HashMap<RunId, Vec<Event>> {
    let mut runs: HashMap<RunId, Vec<Event>> = HashMap::new();
    for event in read.iter().filter_map(Streamed::run_event) {
        runs.entry(event.run_id).or_default().push(event.clone());
    }
    runs
}

/// What was read is the whole history of these runs, and of no other.
async fn is_whole(f: &Fixture, read: &[Streamed], runs: &[RunId]) {
    let mut seen = by_run(read);
    for id in runs {
        assert_eq!(seen.remove(id).unwrap_or_default(), f.events(*id).await);
    }
    assert!(seen.is_empty(), "{seen:?}");
}

/// Runs with all sorts of histories.
async fn some_runs(f: &Fixture) -> Vec<RunId> {
    let hold = f.held(of_kind("work")).await;
    f.record(&hold, vec![step(0, "x", StepStatus::Running)], vec![]).await.unwrap();
    f.finish(&hold, success(json!(1))).await.unwrap();
    let failed = f.held(of_kind("work")).await;
    f.finish(&failed, failure("once more")).await.unwrap();
    let batch = f.enqueue((0..5).map(|number| numbered("later", number)).collect(), Batch::EachAlone).await;
    let mut runs: Vec<RunId> = batch.into_iter().map(|made| made.unwrap().applied.run.id).collect();
    f.cancel(runs[2]).await.unwrap();
    f.retry(runs[2]).await.unwrap();
    runs.extend([hold.id, failed.id]);
    runs
}

/// Each event once, in an order that every reader agrees on and in which a run's events follow one another; what is refused or taken
/// back was never there.
pub async fn every_event_comes_once_and_in_order(f: Fixture) {
    let mut runs = some_runs(&f).await;
    let refused = NewRun { project_id: Some("nowhere".to_owned()), ..of_kind("work") };
    f.enqueue(vec![of_kind("work"), refused], Batch::AllOrNothing).await;
    let last = f.made(of_kind("last")).await.id;
    runs.push(last);
    let (whole, _) = read_to(&f, StreamPosition::default(), 1_000, last).await;
    is_whole(&f, &whole, &runs).await;
    for limit in [1, 2, 7] {
        assert_eq!(read_to(&f, StreamPosition::default(), limit, last).await.0, whole, "{limit} at a time");
    }
    for (number, streamed) in whole.iter().enumerate().take(whole.len() - 1) {
        let (rest, _) = read_to(&f, streamed.position, 1_000, last).await;
        assert_eq!(rest, whole[number + 1..]);
        let text = streamed.position.to_string();
        assert_eq!(text.parse::<StreamPosition>().unwrap(), streamed.position, "what a reader keeps of it");
    }
}

/// S7: a long stretch of another workspace's events is passed over, not told, and not stumbled upon.
pub async fn nothing_of_another_workspace_is_streamed(f: Fixture) {
    let other = f.tenant("other").await;
    let first = f.made(of_kind("work")).await.id;
    for thousand in 0..3 {
        let batch = (0..700).map(|number| numbered("work", thousand * 1_000 + number)).collect();
        other.enqueue(batch, Batch::EachAlone).await;
    }
    let last = f.made(of_kind("last")).await.id;
    for limit in [1, 10] {
        let (read, _) = read_to(&f, StreamPosition::default(), limit, last).await;
        is_whole(&f, &read, &[first, last]).await;
    }
    let marker = other.made(of_kind("last")).await.id;
    let (read, _) = read_to(&other, StreamPosition::default(), 1_000, marker).await;
    assert_eq!(read.len(), 2_101);
    assert!(!by_run(&read).contains_key(&first));
}

/// A caller narrowed to projects reads of their runs alone, however much lies between.
pub async fn a_narrowed_reader_reads_of_its_projects_alone(f: Fixture) {
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let of_project = |id: &str| NewRun { project_id: Some(id.to_owned()), ..of_kind("work") };
    let own = f.made(of_project("p")).await.id;
    f.cancel(own).await.unwrap();
    f.enqueue((0..1_000).map(|_| of_project("q")).collect(), Batch::EachAlone).await;
    f.enqueue((0..1_000).map(|number| numbered("work", number)).collect(), Batch::EachAlone).await;
    let last = f.made(of_project("p")).await.id;
    let narrow = f.narrowed(&["p"]);
    for limit in [1, 2, 1_000] {
        let (read, _) = read_to(&narrow, StreamPosition::default(), limit, last).await;
        is_whole(&f, &read, &[own, last]).await;
    }
    let both = f.narrowed(&["q", "p"]);
    let (read, _) = read_to(&both, StreamPosition::default(), 300, last).await;
    assert_eq!(read.len(), 1_003);
    let none = f.narrowed(&[]);
    assert!(none.store.stream(&none.caller, StreamPosition::default(), 10).await.unwrap().is_empty());
}

/// Who begins at the end reads nothing of what was read before, and everything that is committed from then on. Who is given nothing
/// goes on from an end asked for before, whatever others have written meanwhile.
pub async fn the_end_lies_before_everything_to_come(f: Fixture) {
    let other = f.tenant("other").await;
    let before = f.made(of_kind("before")).await.id;
    let (_, mut position) = read_to(&f, StreamPosition::default(), 10, before).await;
    for round in 0..5 {
        let end = f.store.stream_end(&f.caller).await.unwrap();
        assert!(end >= position, "{end} lies before {position}, which was read");
        other.enqueue((0..20).map(|number| numbered("work", number)).collect(), Batch::EachAlone).await;
        let begun = f.store.stream_end(&f.caller).await.unwrap();
        assert_eq!(f.store.stream(&f.caller, end, 10).await.unwrap(), [], "round {round}");
        assert!(begun >= end);
        let last = f.made(numbered("after", round)).await.id;
        let (read, at) = read_to(&f, begun, 10, last).await;
        is_whole(&f, &read, &[last]).await;
        position = at;
    }
    assert_eq!(f.store.stream(&f.caller, position, 10).await.unwrap(), []);
}

/// What retention takes leaves the stream, and leaves no gap that a reader falls into.
pub async fn a_reader_passes_over_what_retention_took(f: Fixture) {
    let old = f.made(of_kind("old")).await.id;
    f.cancel(old).await.unwrap();
    let kept = f.made(of_kind("kept")).await.id;
    f.turn(Duration::from_secs(400 * 86_400));
    let pruned = f
        .store
        .prune(&f.caller, &sprongus_core::run::retention::Retention::default(), 10, false)
        .await
        .unwrap();
    assert_eq!(pruned.runs.values().sum::<u64>(), 1);
    let last = f.made(of_kind("last")).await.id;
    let (read, _) = read_to(&f, StreamPosition::default(), 10, last).await;
    is_whole(&f, &read, &[kept, last]).await;
}

/// One of several that enqueue, claim and finish at once; answers what it made.
async fn write(f: Fixture, number: usize) -> Vec<RunId> {
    let mut made = Vec::new();
    for round in 0..12 {
        let batch = (0..3).map(|item| numbered("work", number * 1_000 + round * 10 + item)).collect();
        let answers = f.enqueue(batch, Batch::EachAlone).await;
        made.extend(answers.into_iter().map(|answer| answer.unwrap().applied.run.id));
        for claimed in f.take(&format!("w{number}"), 2).await {
            let hold = hold_of(&claimed);
            f.record(&hold, vec![step(0, "x", StepStatus::Completed)], vec![]).await.unwrap();
            let outcome = if round % 4 == 3 { failure("once more") } else { success(json!(round)) };
            f.finish(&hold, outcome).await.unwrap();
        }
    }
    made
}

/// Whatever the order in which those who write at once commit, a reader who follows them reads each event exactly once, and those of
/// a run in the order of its history.
pub async fn a_reader_among_writers_misses_nothing(f: Fixture) {
    let begin = f.store.stream_end(&f.caller).await.unwrap();
    let writers: Vec<_> = (0..8).map(|number| tokio::spawn(write(f.clone(), number))).collect();
    let writing = async {
        let mut runs = Vec::new();
        for writer in writers {
            runs.extend(writer.await.unwrap());
        }
        runs
    };
    let id = RunId::new();
    let last = async {
        let mut runs = writing.await;
        runs.push(f.made(NewRun { id: Some(id), ..of_kind("last") }).await.id);
        runs
    };
    let (runs, (read, _)) = tokio::join!(last, read_to(&f, begin, 50, id));
    is_whole(&f, &read, &runs).await;
}
