//! A long past, written at once as claims and finishes would have left it: most of it over twenty-five days, and a busy last hour. What
//! lives, and what belongs to single runs, is left to the drill, which asks the library for it.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sprongus::core::run::list::Position;
use sprongus::core::values::ids::RunId;
use sprongus::core::values::time::{Clock, SystemClock, Timestamp};
use tokio_postgres::NoTls;

use crate::backing::Place;
use crate::tempo::block_on;

/// How far back it goes, and how much of it is the busy end.
const AGO: Duration = Duration::from_secs(25 * 24 * 3_600);
const BUSY: Duration = Duration::from_secs(50 * 60);

/// Runs of one transaction.
const AT_ONCE: u64 = 20_000;

/// One of so many is of the rare kind.
const RARE: u64 = 10_000;
pub const RARE_KIND: &str = "rare/kind";

/// A past of so many runs.
pub struct GeneratedHistory {
    pub runs: u64,
    /// How many of them ended within the last hour.
    pub lately: u64,
    began: Timestamp,
    busy_since: Timestamp,
}

impl GeneratedHistory {
    pub fn of(runs: u64) -> Self {
        let now = SystemClock.now();
        let lately = (runs / 16).min(60_000);
        Self { runs, lately, began: now.minus(AGO), busy_since: now.minus(BUSY) }
    }

    /// When the run of a number was made, started and finished, in milliseconds.
    fn at(&self, number: u64) -> i64 {
        let before = self.runs - self.lately;
        let (since, long, number, of) = match number.checked_sub(before) {
            None => (self.began, AGO - 2 * BUSY, number, before),
            Some(late) => (self.busy_since, BUSY - Duration::from_secs(5), late, self.lately),
        };
        since.as_millis() + i64::try_from(u64::try_from(long.as_millis()).unwrap() * number / of).unwrap()
    }

    /// Where a run stands in lists.
    pub fn position(&self, number: u64) -> Position {
        let at = self.at(number);
        let bits = (u128::try_from(at).unwrap() << 80) | (0x7 << 76) | (0x8 << 60) | u128::from(number);
        Position { created_at: Timestamp::from_millis(at), id: RunId::from_bits(bits) }
    }

    /// Writes it, and what a server would have added up of all but the last hour.
    pub fn write(&self, place: &Place) {
        let began = Instant::now();
        match place {
            Place::File { path, .. } => {
                // Opened once by the library, which makes the schema.
                drop(place.open());
                self.write_file(&Connection::open(path).unwrap());
            }
            Place::Postgres { owner, .. } => block_on(self.write_server(owner)),
        }
        println!("screens: {} runs of history written in {:.0} s", self.runs, began.elapsed().as_secs_f64());
    }

    fn write_file(&self, connection: &Connection) {
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA wal_autocheckpoint = 20000;
                 INSERT INTO projects (workspace_id, id, created_at) VALUES ('default', 'p', '2026-01-01T00:00:00.000Z')",
            )
            .unwrap();
        let mut number = 0;
        while number < self.runs {
            connection.execute_batch("BEGIN").unwrap();
            {
                let mut run = connection.prepare_cached(RUN).unwrap();
                let mut events = connection.prepare_cached(EVENTS).unwrap();
                for number in number..self.runs.min(number + AT_ONCE) {
                    let Position { created_at, id } = self.position(number);
                    let (id, at) = (id.to_string(), created_at.to_string());
                    run.execute(params![id, project(number), kind(number), state(number), at]).unwrap();
                    events.execute(params![id, at, state(number)]).unwrap();
                }
            }
            connection.execute_batch("COMMIT").unwrap();
            number += AT_ONCE;
        }
        let before = i64::try_from(self.runs - self.lately).unwrap() * 3;
        connection
            .execute("INSERT INTO rolled_up (workspace_id, pos) VALUES ('default', ?1)", [before])
            .unwrap();
        connection.execute_batch(MINUTES_OF_FILE).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }

    async fn write_server(&self, owner: &str) {
        let (client, talking) = tokio_postgres::connect(owner, NoTls).await.unwrap();
        tokio::spawn(talking);
        client.batch_execute(MAKE_READY).await.unwrap();
        let made = client.prepare(ON_SERVER).await.unwrap();
        let before = self.runs - self.lately;
        let mut number = 0;
        while number < self.runs {
            // The events of the last hour come in transactions of their own: from there on nothing is added up yet.
            let end = if number < before { before } else { self.runs }.min(number + AT_ONCE);
            let numbers = number..end;
            let kinds: Vec<String> = numbers.clone().map(kind).collect();
            let states: Vec<&str> = numbers.clone().map(state).collect();
            let projects: Vec<Option<&str>> = numbers.clone().map(project).collect();
            let positions = numbers.map(|number| self.position(number));
            let (ids, times): (Vec<_>, Vec<_>) =
                positions.map(|one| (one.id.to_uuid_text(), one.created_at.to_string())).unzip();
            client.execute(&made, &[&ids, &projects, &kinds, &states, &times]).await.unwrap();
            if end == before {
                client.batch_execute(ADDED_UP).await.unwrap();
            }
            number = end;
        }
        client.batch_execute(MINUTES_OF_SERVER).await.unwrap();
        client.batch_execute("VACUUM (ANALYZE) runs, single_events, run_minutes").await.unwrap();
    }
}

fn state(number: u64) -> &'static str {
    match number % 100 {
        10 | 60 => "failed",
        30 => "canceled",
        _ => "succeeded",
    }
}

fn kind(number: u64) -> String {
    if number.is_multiple_of(RARE) { RARE_KIND.to_owned() } else { format!("kind.{}", number % 7) }
}

fn project(number: u64) -> Option<&'static str> {
    number.is_multiple_of(20).then_some("p")
}

const RUN: &str = r#"
    INSERT INTO runs (id, workspace_id, project_id, kind, input, state, progress, attempt, max_attempts, run_at, fingerprint, epoch,
        claimed_by, claimed_at, lease_ms, last_seq, started_at, finished_at, created_at, updated_at, ready, error)
    VALUES (?1, 'default', ?2, ?3, '{"path":"shots/0010"}', ?4, 100, 1, 3, ?5, '', 1, 'worker', ?5, 30000, 3, ?5, ?5, ?5, ?5, 0,
        iif(?4 = 'failed', 'exit code 1', NULL))"#;
const EVENTS: &str = r#"
    INSERT INTO run_events (run_id, seq, type, at, actor, payload) VALUES
        (?1, 1, 'run.enqueued', ?2, 'drill', '{}'),
        (?1, 2, 'run.started', ?2, 'drill', '{"attempt":1,"epoch":1,"waitMs":12,"workerId":"worker"}'),
        (?1, 3, 'run.' || ?3, ?2, 'drill', '{"attempt":1,"elapsedMs":340}')"#;

/// Of eight days, eight kinds in each minute.
const MINUTES_OF_FILE: &str = "
    WITH RECURSIVE n (i) AS (VALUES (60) UNION ALL SELECT i + 1 FROM n WHERE i < 11519)
    INSERT INTO run_minutes (workspace_id, minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms)
    SELECT 'default', strftime('%Y-%m-%dT%H:%M:00.000Z', 'now', '-' || i || ' minutes'), 'kind.' || k.value, 3, 3, 2, 1, 0, 0, 0, 700
    FROM n, json_each('[0, 1, 2, 3, 4, 5, 6, 7]') k";
const MINUTES_OF_SERVER: &str = "
    INSERT INTO run_minutes (workspace_id, minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms)
    SELECT 'default', date_trunc('minute', now()) - i * interval '1 minute', 'kind.' || k, 3, 3, 2, 1, 0, 0, 0, 700
    FROM generate_series(60, 11519) AS i, generate_series(0, 7) AS k";

const MAKE_READY: &str = "
    SET search_path = sprongus; SET synchronous_commit = off;
    INSERT INTO projects (workspace_id, id) VALUES ('default', 'p')";
const ADDED_UP: &str = "
    INSERT INTO rolled_up (workspace_id, tx, pos)
    SELECT 'default', tx, pos FROM run_events WHERE workspace_id = 'default' ORDER BY tx DESC, pos DESC LIMIT 1";
const ON_SERVER: &str = r#"
    WITH made AS (
        INSERT INTO runs (id, workspace_id, project_id, kind, input, state, progress, attempt, max_attempts, run_at, fingerprint, epoch,
            claimed_by, claimed_at, lease_ms, last_seq, started_at, finished_at, created_at, updated_at, ended_as, error)
        SELECT id::uuid, 'default', project, kind, '{"path": "shots/0010"}', state, 100, 1, 3, at, '', 1, 'worker', at, 30000, 3, at, at,
            at, at, CASE WHEN state <> 'succeeded' THEN state END, CASE WHEN state = 'failed' THEN 'exit code 1' END
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]::timestamptz[]) AS one (id, project, kind, state, at)
        RETURNING id, state, created_at)
    INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, run_created_at, payload)
    SELECT 'default', id, seq, type, created_at, 'drill', CASE WHEN type = 'run.succeeded' THEN created_at END, payload::jsonb
    FROM made CROSS JOIN LATERAL (VALUES
        (1, 'run.enqueued', '{}'),
        (2, 'run.started', '{"attempt": 1, "epoch": 1, "waitMs": 12, "workerId": "worker"}'),
        (3, 'run.' || state, '{"attempt": 1, "elapsedMs": 340}')) AS event (seq, type, payload)"#;
