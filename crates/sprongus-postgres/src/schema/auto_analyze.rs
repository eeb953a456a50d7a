//! Statistics of a young database: plans are made once per connection, and what was planned while the tables were empty is wrong when they are
//! not. Until autovacuum looks by, the process itself has them analyzed as they grow, upon which every connection plans anew.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::connection::session::Database;

/// After so many runs taken by this process. Behind the last, autovacuum has had its time; tables that are known to be large are left
/// alone (`measure_tables`).
const ANALYZED_AT: [u64; 4] = [200, 1_000, 5_000, 25_000];

const ANALYZE: &str = "SELECT measure_tables()";

/// How many runs this process has taken.
#[derive(Default)]
pub struct AutoAnalyze(AtomicU64);

impl AutoAnalyze {
    /// Counts runs that were taken; has the tables analyzed, without the caller waiting, when it is time.
    pub fn count(&self, database: &Database, runs: usize) {
        let more = u64::try_from(runs).unwrap_or(u64::MAX);
        let before = self.0.fetch_add(more, Ordering::Relaxed);
        let passed = before..before.saturating_add(more);
        if !ANALYZED_AT.iter().any(|at| passed.contains(at)) {
            return;
        }
        let database = database.clone();
        tokio::spawn(async move {
            let analyzed = async {
                let session = database.session().await?;
                session.execute(ANALYZE, &[]).await
            };
            if let Err(fault) = analyzed.await {
                tracing::debug!(error = ?fault.error, "the tables were not analyzed");
            }
        });
    }
}
