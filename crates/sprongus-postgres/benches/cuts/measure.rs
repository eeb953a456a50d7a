//! One measurement of one cut, in a database of its own: a drain and whole lives, on one connection and on two.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sprongus_throwaway::Server;
use tokio_postgres::Client;

use crate::design::{Cut, Sql};
use crate::lives::{CLAIMED, Counts, ENQUEUED, LEASE, Result, Worker, connect};

/// Waiting beside what is measured, so that each claim of one kind finds its 500.
const BACKLOG: usize = 6;

/// Runs a second, with one or two connections.
#[derive(Clone, Copy, Default)]
pub struct Rates {
    /// Made.
    pub enqueue: f64,
    /// Taken.
    pub claim: f64,
    /// Ended.
    pub finish: f64,
    /// Taken and ended.
    pub drain: f64,
    /// Made, taken and ended in turn.
    pub life: f64,
    /// Of the updates of `runs` in whole lives, how many were HOT.
    pub hot: f64,
    /// Bytes of log a life.
    pub wal: f64,
    /// Reminders looked up a life.
    pub swept: f64,
    /// Sequential scans of `runs` and of what is live: a plan that went wrong.
    pub scans: f64,
}

struct Bench {
    admin: Client,
    workers: Vec<Worker>,
    counts: Counts,
    claimed_at: Instant,
}

/// Measures with one connection and then with two, in the same tables.
pub async fn measure(server: &Server, cut: &Cut, lives: usize) -> Result<[Rates; 2]> {
    server.create_database("cuts", None)?;
    let measured = in_database(server, &cut.sql(), lives).await;
    server.drop_database("cuts")?;
    measured
}

/// Drains `runs` on one connection, vacuumed and analysed, after as many that nobody timed: the rate.
pub async fn drain_once(server: &Server, cut: &Cut, runs: usize) -> Result<f64> {
    server.create_database("cuts", None)?;
    let drained = async {
        let mut bench = Bench::make(server, &cut.sql()).await?;
        let mut rate = f64::NAN;
        for _ in 0..2 {
            bench.enqueue(1, runs).await?;
            bench.settle().await?;
            rate = bench.drain(1, runs).await?.2;
        }
        Result::Ok(rate)
    };
    let drained = drained.await;
    server.drop_database("cuts")?;
    drained
}

async fn in_database(server: &Server, sql: &Sql, lives: usize) -> Result<[Rates; 2]> {
    let mut bench = Bench::make(server, sql).await?;
    // Plans and pages are as they will be, and there are reminders of claims gone by.
    bench.live(2, lives / 2).await?;
    let mut rates = [Rates::default(); 2];
    for (connections, rates) in (1..).zip(&mut rates) {
        rates.enqueue = bench.enqueue(connections, lives).await?;
        bench.settle().await?;
        (rates.claim, rates.finish, rates.drain) = bench.drain(connections, lives).await?;
        bench.settle().await?;
        let (log, updates, swept) = (bench.log().await?, bench.updates().await?, bench.counts.swept.get());
        rates.life = bench.live(connections, lives).await?;
        let (log_after, updates_after) = (bench.log().await?, bench.updates().await?);
        let of_lives = |number: i64| number as f64 / lives as f64;
        rates.wal = of_lives(log_after - log);
        rates.hot = (updates_after.1 - updates.1) as f64 / (updates_after.0 - updates.0).max(1) as f64;
        rates.swept = of_lives(bench.counts.swept.get() - swept);
        rates.scans = (updates_after.2 - updates.2) as f64;
    }
    if bench.counts.held.get() > 0 {
        eprintln!("  {} leases ended before their runs did", bench.counts.held.get());
    }
    Ok(rates)
}

impl Bench {
    async fn make(server: &Server, sql: &Sql) -> Result<Self> {
        connect(&server.url("cuts", "sprongus_owner")).await?.batch_execute(&sql.schema).await?;
        let admin = connect(&server.url("cuts", "postgres")).await?;
        let url = server.url("cuts", "sprongus_app");
        let workers = vec![Worker::connect(&url, sql, 0).await?, Worker::connect(&url, sql, 1).await?];
        let bench = Self { admin, workers, counts: Counts::default(), claimed_at: Instant::now() };
        bench.enqueue(1, BACKLOG * ENQUEUED).await?;
        Ok(bench)
    }

    /// What was written is in place, statistics are fresh, and what the last claims are reminded of is due.
    async fn settle(&self) -> Result<()> {
        self.admin.batch_execute("VACUUM ANALYZE").await?;
        self.admin.batch_execute("CHECKPOINT").await?;
        let due = LEASE + Duration::from_millis(100);
        tokio::time::sleep(due.saturating_sub(self.claimed_at.elapsed())).await;
        Ok(())
    }

    async fn enqueue(&self, connections: usize, lives: usize) -> Result<f64> {
        let began = Instant::now();
        let all = self.workers.iter().take(connections).map(|worker| async move {
            for _ in 0..lives / ENQUEUED / connections {
                worker.enqueue().await?;
            }
            Result::Ok(())
        });
        try_join_all(all).await?;
        Ok(rate(lives, began.elapsed()))
    }

    async fn drain(&mut self, connections: usize, lives: usize) -> Result<(f64, f64, f64)> {
        let (counts, began) = (&self.counts, Instant::now());
        let all = self.workers.iter().take(connections).map(|worker| async move {
            let mut times = [Duration::ZERO; 2];
            for _ in 0..lives / CLAIMED / connections {
                let (runs, claiming) = worker.claim(counts).await?;
                times[0] += claiming;
                times[1] += worker.finish(&runs).await?;
            }
            Result::Ok(times)
        });
        let times = try_join_all(all).await?;
        let took = began.elapsed();
        self.claimed_at = Instant::now();
        // Connections that work side by side each take the whole time for their share.
        let of = |what: usize| {
            let sum: Duration = times.iter().filter_map(|times| times.get(what)).sum();
            rate(lives * connections, sum)
        };
        Ok((of(0), of(1), rate(lives, took)))
    }

    async fn live(&mut self, connections: usize, lives: usize) -> Result<f64> {
        let (counts, began) = (&self.counts, Instant::now());
        let all = self.workers.iter().take(connections).map(|worker| async move {
            for _ in 0..lives / ENQUEUED / connections {
                worker.enqueue().await?;
                for _ in 0..ENQUEUED / CLAIMED {
                    let (runs, _) = worker.claim(counts).await?;
                    worker.finish(&runs).await?;
                }
            }
            Result::Ok(())
        });
        try_join_all(all).await?;
        let took = began.elapsed();
        self.claimed_at = Instant::now();
        Ok(rate(lives, took))
    }

    async fn log(&self) -> Result<i64> {
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
        Ok(self.admin.query_one(sql, &[]).await?.try_get(0)?)
    }

    /// Updates of `runs`, those of them that were HOT, and sequential scans of what has an index for everything.
    async fn updates(&self) -> Result<(i64, i64, i64)> {
        for worker in &self.workers {
            worker.flush_statistics().await?;
        }
        let sql = "SELECT sum(n_tup_upd) FILTER (WHERE relname = 'runs')::bigint,
                sum(n_tup_hot_upd) FILTER (WHERE relname = 'runs')::bigint, sum(seq_scan)::bigint
            FROM pg_stat_user_tables WHERE relname IN ('runs', 'run_queue', 'run_live', 'run_timers')";
        let row = self.admin.query_one(sql, &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    }
}

fn rate(runs: usize, took: Duration) -> f64 {
    runs as f64 / took.as_secs_f64()
}
