//! The oracle on the database: read with SQL of its own, so that a fault in what reads for users hides nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use sprongus::core::ids::RunId;

use crate::journal::Journal;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct History(Connection);

/// An event of one run.
#[derive(Debug)]
struct Told {
    seq: u32,
    kind: String,
    epoch: Option<u32>,
}

impl History {
    pub fn open(file: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        Self(connection)
    }

    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// Whether nobody keeps the write lock for as long as a commit never takes.
    pub fn can_be_written(&self) -> bool {
        self.0.busy_timeout(Duration::from_millis(300)).unwrap();
        let taken = self.0.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok();
        self.0.busy_timeout(PATIENCE).unwrap();
        taken
    }

    fn count(&self, sql: &str) -> u32 {
        self.0.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap()
    }

    /// Runs that have not ended.
    pub fn open_runs(&self) -> u32 {
        self.count("SELECT count(*) FROM runs WHERE state IN ('queued', 'running')")
    }

    pub fn state(&self, id: RunId) -> String {
        self.text(id, "state").unwrap()
    }

    /// One column of a run, as text.
    pub fn text(&self, id: RunId, column: &str) -> Option<String> {
        let sql = format!("SELECT CAST({column} AS TEXT) FROM runs WHERE id = ?1");
        self.0.query_row(&sql, [id.to_string()], |row| row.get(0)).unwrap()
    }

    /// The whole row, to be compared with itself later.
    pub fn row(&self, id: RunId) -> Vec<Cell> {
        self.rows("SELECT * FROM runs WHERE id = ?1", id).remove(0)
    }

    /// Every event, likewise.
    pub fn events(&self, id: RunId) -> Vec<Vec<Cell>> {
        self.rows("SELECT * FROM run_events WHERE run_id = ?1 ORDER BY seq", id)
    }

    /// How many events of a kind a run has.
    pub fn told(&self, id: RunId, kind: &str) -> usize {
        self.story(id).iter().filter(|told| told.kind == kind).count()
    }

    fn rows(&self, sql: &str, id: RunId) -> Vec<Vec<Cell>> {
        let mut statement = self.0.prepare_cached(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        statement.query_map([id.to_string()], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn story(&self, id: RunId) -> Vec<Told> {
        let sql = "SELECT seq, type, json_extract(payload, '$.epoch') FROM run_events WHERE run_id = ?1 ORDER BY seq";
        let mut statement = self.0.prepare_cached(sql).unwrap();
        let told =
            |row: &rusqlite::Row<'_>| Ok(Told { seq: row.get(0)?, kind: row.get(1)?, epoch: row.get(2)? });
        statement.query_map([id.to_string()], told).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// The runs of a state that a worker holds, with their epochs.
    pub fn held_by(&self, worker: &str) -> Vec<(RunId, u64)> {
        let sql = "SELECT id, epoch FROM runs WHERE state = 'running' AND claimed_by = ?1";
        let mut statement = self.0.prepare_cached(sql).unwrap();
        let held = statement
            .query_map([worker], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))
            .unwrap();
        held.map(|held| held.map(|(id, epoch)| (id.parse().unwrap(), u64::from(epoch))).unwrap()).collect()
    }

    /// SQLite's own word on the file.
    #[track_caller]
    pub fn is_sound(&self) {
        let told: String = self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(told, "ok");
    }

    /// Each of these runs is there and has ended, its events tell one story without a gap, and the journal tells no other.
    #[track_caller]
    pub fn agrees_with(&self, journal: &Journal, runs: &[RunId]) {
        let faults: Vec<String> = runs.iter().flat_map(|&id| self.faults(journal, id)).collect();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        let all = usize::try_from(self.count("SELECT count(*) FROM runs")).unwrap();
        assert_eq!(all, runs.len(), "runs in the database, runs that were acknowledged");
    }

    fn faults(&self, journal: &Journal, id: RunId) -> Vec<String> {
        let found: u32 = self
            .0
            .query_row("SELECT count(*) FROM runs WHERE id = ?1", [id.to_string()], |row| row.get(0))
            .unwrap();
        if found != 1 {
            return vec![format!("{id} is lost")];
        }
        let (state, story) = (self.state(id), self.story(id));
        let number = |column: &str| self.text(id, column).unwrap().parse::<u32>().unwrap();
        let mut faults = Vec::new();
        let mut expect = |is_so: bool, what: &str| {
            if !is_so {
                faults.push(format!("{id}, {state}: {what}: {story:?}"));
            }
        };
        expect(story.iter().map(|told| told.seq).eq(1..=number("last_seq")), "seq has a gap");
        expect(story.first().is_some_and(|told| told.kind == "run.enqueued"), "not enqueued first");
        let endings = ["run.succeeded", "run.failed", "run.canceled"];
        let ended: Vec<_> = story.iter().filter(|told| endings.contains(&told.kind.as_str())).collect();
        expect(ended.len() == 1, "not exactly one end");
        expect(
            ended.last().is_some_and(|told| told.kind == format!("run.{state}")),
            "the end is not the state",
        );
        let starts: Vec<u32> =
            story.iter().filter(|told| told.kind == "run.started").filter_map(|told| told.epoch).collect();
        expect(starts.is_sorted_by(|one, next| one < next), "epochs do not grow");
        expect(starts.last().is_none_or(|&last| last <= number("epoch")), "an epoch was given back");
        let started: Vec<u32> =
            journal.said("start").filter(|line| line.run == id).map(|line| line.epoch).collect();
        expect(started.is_sorted_by(|one, next| one < next), "an epoch was executed twice, or late");
        expect(started.iter().all(|epoch| starts.contains(epoch)), "executed without a claim");
        if state == "succeeded" {
            let last = starts.last().copied().unwrap_or_default();
            expect(journal.find(id, last, "end").is_some(), "succeeded, but did not end");
        }
        faults
    }
}
