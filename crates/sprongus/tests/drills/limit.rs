//! `LIMIT n` gives n at most, whatever plan is made: with the plans forced under which a claim that picks in a subquery takes
//! everything. The control is such a claim.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sprongus::core::run::ClaimRequest;
use sprongus::core::values::ids::RunId;
use sprongus::{Caller, Runs, RunsService};

use crate::backing::{Backing, Place};
use crate::history::History;
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, form};

/// Nested loops, and nothing that would keep what a loop's inner side once gave.
const NESTED_LOOPS: &str = "enable_hashjoin=off enable_mergejoin=off enable_material=off enable_memoize=off enable_hashagg=off \
                            enable_sort=off enable_seqscan=on plan_cache_mode=force_custom_plan";

/// How long claims may give nothing while something is due.
const PATIENCE: Duration = Duration::from_secs(20);

const CLAIMERS: usize = 8;
const KINDS: [&str; 3] = ["note", "mail", "pull"];

#[test]
fn no_plan_gives_more_than_was_asked_for() {
    let count = form(90, 900);
    let project = ProjectFolder::new(Backing::Postgres);
    let mut runs: Vec<RunId> =
        KINDS.iter().flat_map(|kind| project.enqueue(kind, count, |run| run)).collect();
    let claimed = claim_all(&forced(project.place()));
    let mut times: HashMap<RunId, u32> = HashMap::new();
    for &run in &claimed {
        *times.entry(run).or_default() += 1;
    }
    assert!(times.values().all(|&times| times == 1), "claimed more than once: {times:?}");
    runs.sort_unstable();
    let mut found: Vec<_> = times.into_keys().collect();
    found.sort_unstable();
    assert_eq!(found, runs);

    project.enqueue("note", count, |run| run);
    let taken = taken_by_the_control(&project.history());
    assert!(taken > 3, "void: the control took {taken}, so these plans are not the dreaded ones");
    println!(
        "limit: {CLAIMERS} at a time claimed {} runs under forced nested loops, none more than it asked for and none twice; \
         the control took {taken} where LIMIT was 3",
        claimed.len()
    );
}

fn options() -> impl Iterator<Item = String> {
    NESTED_LOOPS.split(' ').map(|setting| format!("-c {setting}"))
}

fn forced(place: &Place) -> Place {
    let mut place = place.clone();
    if let Place::Postgres { url, .. } = &mut place {
        let options: Vec<String> =
            options().map(|option| option.replace(' ', "%20").replace('=', "%3D")).collect();
        *url = format!("{url}?options={}", options.join("%20"));
    }
    place
}

fn claim_all(place: &Place) -> Vec<RunId> {
    let runs = RunsService::new(place.open())
        .for_caller(Caller::new(sprongus::core::values::names::WorkspaceId::local(), "drill"));
    let claimers = (0..CLAIMERS).map(|number| {
        let runs = Arc::clone(&runs);
        let kinds = match number % 3 {
            0 => None,
            1 => Some(KINDS[..1].to_vec()),
            _ => Some(KINDS.to_vec()),
        };
        async move {
            let worker = format!("claimer-{number}").parse().unwrap();
            let mut request = ClaimRequest::new(worker, 0);
            request.kinds = kinds.map(|kinds| kinds.iter().map(|kind| kind.parse().unwrap()).collect());
            let (mut claimed, mut given) = (Vec::new(), Instant::now());
            for limit in [1, 2, 3, 5, 8].into_iter().cycle() {
                request.limit = limit;
                let some = claim(&*runs, &request).await;
                // A claim of several kinds gives nothing while others are at the first runs it sees: that is no end.
                if some.is_empty() && !is_anything_due(&*runs, &request).await {
                    break;
                }
                if !some.is_empty() {
                    given = Instant::now();
                }
                assert!(given.elapsed() < PATIENCE, "runs are due, and nobody is given any");
                claimed.extend(some);
            }
            claimed
        }
    });
    block_on(async {
        let tasks: Vec<_> = claimers.map(tokio::spawn).collect();
        let mut claimed = Vec::new();
        for task in tasks {
            claimed.extend(task.await.unwrap());
        }
        claimed
    })
}

/// Whether a run of the kinds asked for could still be claimed.
async fn is_anything_due(runs: &dyn Runs, request: &ClaimRequest) -> bool {
    let stats = runs.stats().await.unwrap();
    let is_asked =
        |kind: &str| request.kinds.as_ref().is_none_or(|asked| asked.iter().any(|one| one.as_str() == kind));
    stats.kinds.iter().any(|(kind, stats)| is_asked(kind) && stats.due > 0)
}

async fn claim(runs: &dyn Runs, request: &ClaimRequest) -> Vec<RunId> {
    let claimed = runs.claim(request.clone()).await.unwrap();
    assert!(claimed.len() <= request.limit as usize, "{} for a limit of {}", claimed.len(), request.limit);
    claimed.into_iter().map(|one| one.run.id).collect()
}

/// The claim of many a job queue, in a transaction that is undone.
fn taken_by_the_control(history: &History) -> usize {
    let settings: String = NESTED_LOOPS.split(' ').map(|setting| format!("SET LOCAL {setting}; ")).collect();
    let rows = history.ask(&format!(
        "BEGIN; {settings} DELETE FROM run_queue WHERE id IN (SELECT id FROM run_queue ORDER BY workspace_id, kind, rank, run_at, id
             LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING id; ROLLBACK"
    ));
    rows.len()
}
