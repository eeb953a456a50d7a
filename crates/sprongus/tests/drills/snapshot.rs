//! Somebody keeps an old snapshot open, as a backup or a forgotten session does: what was claimed since cannot be cleaned away, and
//! claims must not get slower for it. The control is a look at the queue from its very beginning, which does.

use std::time::{Duration, Instant};

use sprongus::Runs;
use sprongus::core::json::Json;
use sprongus::core::run::{ClaimRequest, NewRun, Outcome};
use sprongus::core::store::Batch;
use sprongus::core::values::names::WorkerId;
use tokio_postgres::{Client, NoTls};

use crate::backing::{Backing, Place};
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, form, is_long};

/// How much slower a claim may be. The short form leaves more behind in ten seconds than the long one does in two minutes.
const MOST: (f64, f64) = (6.0, 3.0);

/// Long: 200 runs a second for five minutes. Short: as many as there is time for.
const TOGETHER: usize = 20;
const APART: Duration = Duration::from_millis(100);

/// A claimer of one kind that finds as many as it asks for, and one of several kinds that asks for more than there are.
const CLAIMERS: [(&[&str], u32); 2] = [(&["note"], 20), (&["mail", "note"], 100)];

#[test]
fn an_old_snapshot_does_not_slow_claims_down() {
    let (before, during) = form(
        (Duration::from_secs(3), Duration::from_secs(10)),
        (Duration::from_secs(30), Duration::from_secs(300)),
    );
    let project = ProjectFolder::new(Backing::Postgres);
    let Place::Postgres { owner, .. } = project.place() else { panic!("a server") };
    let runs = project.runs();
    let (base, held, walked) = block_on(async {
        let holder = connect(owner).await;
        let base = work(&*runs, before).await;
        holder
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sprongus.runs")
            .await
            .unwrap();
        let held = work(&*runs, during).await;
        let looker = connect(owner).await;
        (base, held, walked(&looker).await)
    });
    assert!(walked > 100, "void: nothing was left lying in the queue");
    let dead = held.iter().map(Vec::len).sum::<usize>() * TOGETHER;
    println!(
        "snapshot: held open over {dead} runs; a look from the beginning of the queue walked over {walked} buffers"
    );
    for (((kinds, _), base), held) in CLAIMERS.iter().zip(base).zip(held) {
        let (base, held) = (median(&base), median(&held[held.len() / 2..]));
        println!(
            "snapshot: a claim of {kinds:?} took {:.2} of what it took before ({:.2} ms)",
            held / base,
            base * 1e3
        );
        assert!(
            held <= base * form(MOST.0, MOST.1),
            "claims of {kinds:?} are {:.1} times slower",
            held / base
        );
    }
}

/// Enqueues, claims and finishes, each claimer in turn; answers how long each one's claims took, in seconds.
async fn work(runs: &dyn Runs, time: Duration) -> [Vec<f64>; 2] {
    let worker: WorkerId = "worker".parse().unwrap();
    let requests = CLAIMERS.map(|(kinds, limit)| {
        let mut request = ClaimRequest::new(worker.clone(), limit);
        request.kinds = Some(kinds.iter().map(|kind| kind.parse().unwrap()).collect());
        request
    });
    let (began, mut took) = (Instant::now(), [Vec::new(), Vec::new()]);
    while began.elapsed() < time {
        for (request, took) in requests.iter().zip(&mut took) {
            let round = Instant::now();
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
            if is_long() {
                tokio::time::sleep(APART.saturating_sub(round.elapsed())).await;
            }
        }
    }
    took
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

async fn connect(owner: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(owner, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The buffers that the first place in the queue costs.
async fn walked(client: &Client) -> i64 {
    let explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT id FROM sprongus.run_queue
        WHERE workspace_id = 'default' AND kind = 'note' ORDER BY rank, run_at, id LIMIT 1";
    client
        .batch_execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
        .await
        .unwrap();
    let plan: serde_json::Value = client.query_one(explain, &[]).await.unwrap().get(0);
    let plan = &plan[0]["Plan"];
    plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap()
}
