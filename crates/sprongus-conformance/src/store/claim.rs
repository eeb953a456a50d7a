//! queued → running.

use crate::fixture::{Fixture, numbered};
use sprongus_core::store::Batch;

/// S3.
pub async fn two_claimers_never_hold_the_same_run(f: Fixture) {
    let new = (0..500).map(|n| numbered("work", n)).collect();
    f.enqueue(new, Batch::EachAlone).await;
    let claimers = (0..8).map(|n| {
        let f = f.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = f.take(&format!("w{n}"), 7).await;
                assert!(claimed.len() <= 7, "a claim gives its limit at most");
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|one| (one.run.id, one.run.epoch)));
            }
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), 500);
    assert!(all.iter().all(|(_, epoch)| *epoch == 1));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 500, "a run was given twice");
}
