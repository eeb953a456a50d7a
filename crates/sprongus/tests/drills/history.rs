//! The oracle on the database: read with SQL of its own, so that a fault in what reads for users hides nothing.

use std::cell::RefCell;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sprongus::core::run::lease::LeaseToken;
use sprongus::core::values::ids::RunId;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::backing::Place;
use crate::journal::Journal;
use crate::tempo::{block_on, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct History(Source);

/// What is read. All columns are read as text, which is the same in both but for a few spaces in JSON.
enum Source {
    File(Connection),
    /// As the superuser, to whom no policy hides anything; made anew when the server has gone in between.
    Postgres(String, RefCell<Option<Client>>),
}

type Row = Vec<Option<String>>;

/// An event of one run.
#[derive(Debug)]
struct StoryEvent {
    seq: u32,
    kind: String,
    epoch: Option<u32>,
}

impl History {
    pub fn open(place: &Place) -> Self {
        Self(match place {
            Place::File { path: file, .. } => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(file, flags).unwrap();
                connection.busy_timeout(PATIENCE).unwrap();
                Source::File(connection)
            }
            Place::Postgres { owner, .. } => Source::Postgres(owner.clone(), RefCell::new(None)),
        })
    }

    /// Whether nobody keeps SQLite's write lock for as long as a commit never takes. A server takes a stopped client's locks
    /// away by itself, so there it does not matter.
    pub fn can_be_written(&self) -> bool {
        match &self.0 {
            Source::File(connection) => {
                connection.busy_timeout(Duration::from_millis(300)).unwrap();
                let taken = connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok();
                connection.busy_timeout(PATIENCE).unwrap();
                taken
            }
            Source::Postgres(..) => {
                self.count("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
                    == 0
            }
        }
    }

    /// Gives a claim this token in place of its own, which its worker alone knows, so that a late report can bring the one that was good
    /// until the lease was lost. Answers whether it was not lost yet.
    pub fn replace_token(&self, id: RunId, epoch: u64, token: &LeaseToken) -> bool {
        let hash: String = token.hash().as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        let hash = match self.0 {
            Source::File(_) => format!("X'{hash}'"),
            Source::Postgres(..) => format!("decode('{hash}', 'hex')"),
        };
        let key = self.key(id);
        let sql = format!(
            "UPDATE runs SET lease_hash = {hash} WHERE id = {key} AND epoch = {epoch} AND lease_hash IS NOT NULL RETURNING 1"
        );
        !self.ask(&sql).is_empty()
    }

    /// The rows that a question gives.
    pub fn ask(&self, sql: &str) -> Vec<Row> {
        match &self.0 {
            Source::File(connection) => in_file(connection, sql),
            Source::Postgres(url, client) => {
                let mut rows = None;
                eventually("the server answers the oracle", PATIENCE, || {
                    rows = block_on(on_server(url, &mut client.borrow_mut(), sql));
                    rows.is_some()
                });
                rows.unwrap()
            }
        }
    }

    fn count(&self, sql: &str) -> u32 {
        self.ask(sql)[0][0].as_deref().unwrap().parse().unwrap()
    }

    /// A run's id as the database writes it.
    fn key(&self, id: RunId) -> String {
        match self.0 {
            Source::File(_) => format!("'{id}'"),
            Source::Postgres(..) => format!("'{}'", id.to_uuid_text()),
        }
    }

    /// All runs that are there.
    pub fn ids(&self) -> impl Iterator<Item = RunId> {
        let rows = self.ask("SELECT CAST(id AS text) FROM runs").into_iter();
        rows.map(|mut row| row.remove(0).unwrap().parse().unwrap())
    }

    /// Runs that have not ended.
    pub fn open_runs(&self) -> u32 {
        self.count("SELECT count(*) FROM runs WHERE state IN ('queued', 'running')")
    }

    /// Runs of whose enqueueing half is there.
    pub fn half_made(&self) -> u32 {
        self.count(
            "SELECT count(*) FROM runs WHERE 1 <> (SELECT count(*) FROM run_events WHERE run_id = runs.id)",
        )
    }

    pub fn state(&self, id: RunId) -> String {
        self.text(id, "state").unwrap()
    }

    /// One column of a run, as text.
    pub fn text(&self, id: RunId, column: &str) -> Option<String> {
        let sql = format!("SELECT CAST({column} AS text) FROM runs WHERE id = {}", self.key(id));
        self.ask(&sql).remove(0).remove(0)
    }

    /// The whole row, to be compared with itself later.
    pub fn row(&self, id: RunId) -> Row {
        self.ask(&format!("SELECT * FROM runs WHERE id = {}", self.key(id))).remove(0)
    }

    /// Every event, likewise.
    pub fn events(&self, id: RunId) -> Vec<Row> {
        self.ask(&format!("SELECT * FROM run_events WHERE run_id = {} ORDER BY seq", self.key(id)))
    }

    /// How many events of a kind a run has.
    pub fn event_count(&self, id: RunId, kind: &str) -> usize {
        self.story(id).iter().filter(|event| event.kind == kind).count()
    }

    fn story(&self, id: RunId) -> Vec<StoryEvent> {
        let key = self.key(id);
        let sql = format!(
            "SELECT seq, type, payload ->> 'epoch' FROM run_events WHERE run_id = {key} ORDER BY seq"
        );
        let event = |row: Row| match <[_; 3]>::try_from(row) {
            Ok([Some(seq), Some(kind), epoch]) => StoryEvent {
                seq: seq.parse().unwrap(),
                kind,
                epoch: epoch.map(|epoch| epoch.parse().unwrap()),
            },
            other => panic!("no event: {other:?}"),
        };
        self.ask(&sql).into_iter().map(event).collect()
    }

    /// The running runs that a worker holds, with their epochs.
    pub fn held_by(&self, worker: &str) -> Vec<(RunId, u64)> {
        let sql = format!(
            "SELECT CAST(id AS text), epoch FROM runs WHERE state = 'running' AND claimed_by = '{worker}'"
        );
        let cell = |cell: &Option<String>| cell.clone().unwrap();
        let held = |row: Row| (cell(&row[0]).parse().unwrap(), cell(&row[1]).parse().unwrap());
        self.ask(&sql).into_iter().map(held).collect()
    }

    /// Nothing contradicts itself: SQLite's own word on the file, and on a server what stands beside the runs.
    #[track_caller]
    pub fn is_sound(&self) {
        match self.0 {
            Source::File(_) => assert_eq!(self.ask("PRAGMA integrity_check")[0][0].as_deref(), Some("ok")),
            Source::Postgres(..) => {
                let stray = "SELECT count(*) FROM run_queue WHERE id NOT IN (SELECT id FROM runs WHERE state = 'queued')";
                assert_eq!(self.count(stray), 0, "in the queue, and not queued");
                let unreachable = "SELECT count(*) FROM runs r WHERE state IN ('queued', 'running')
                    AND NOT EXISTS (SELECT FROM run_queue q WHERE q.id = r.id)
                    AND NOT EXISTS (SELECT FROM run_timers t WHERE r.id = ANY (t.run_ids))";
                assert_eq!(self.count(unreachable), 0, "open, and neither queued nor timed");
                let orphans = "SELECT (SELECT count(*) FROM single_events e WHERE NOT EXISTS (SELECT FROM runs WHERE id = e.run_id))
                    + (SELECT count(*) FROM event_batches b WHERE NOT EXISTS (SELECT FROM runs WHERE id = ANY (b.run_ids) AND b.number = ANY (batches)))";
                assert_eq!(self.count(orphans), 0, "events without their run");
            }
        }
    }

    /// Each of these runs is there and has ended, its events tell one story without a gap, and the journal tells no other.
    #[track_caller]
    pub fn agrees_with(&self, journal: &Journal, runs: &[RunId]) {
        let faults: Vec<String> = runs.iter().flat_map(|&id| self.faults(journal, id)).collect();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        let all = self.ids().count();
        assert_eq!(all, runs.len(), "runs in the database, runs that were acknowledged");
    }

    fn faults(&self, journal: &Journal, id: RunId) -> Vec<String> {
        if self.count(&format!("SELECT count(*) FROM runs WHERE id = {}", self.key(id))) != 1 {
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
        expect(story.iter().map(|event| event.seq).eq(1..=number("last_seq")), "seq has a gap");
        expect(story.first().is_some_and(|event| event.kind == "run.enqueued"), "not enqueued first");
        let endings = ["run.succeeded", "run.failed", "run.canceled"];
        let ended: Vec<_> = story.iter().filter(|event| endings.contains(&event.kind.as_str())).collect();
        expect(ended.len() == 1, "not exactly one end");
        expect(
            ended.last().is_some_and(|event| event.kind == format!("run.{state}")),
            "the end is not the state",
        );
        let starts: Vec<u32> = story
            .iter()
            .filter(|event| event.kind == "run.started")
            .filter_map(|event| event.epoch)
            .collect();
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

fn in_file(connection: &Connection, sql: &str) -> Vec<Row> {
    let mut statement = connection.prepare_cached(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

fn text(cell: ValueRef<'_>) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Nothing while the server is away; a statement of ours that it refuses is a fault of ours.
async fn on_server(url: &str, kept: &mut Option<Client>, sql: &str) -> Option<Vec<Row>> {
    let client = match kept.take().filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
            tokio::spawn(connection);
            client.batch_execute("SET search_path = sprongus; SET plan_cache_mode = auto").await.ok()?;
            client
        }
    };
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error)
            if client.is_closed() || error.code().is_some_and(|code| code.code().starts_with("57P")) =>
        {
            return None;
        }
        Err(error) => panic!("{sql}: {error:?}"),
    };
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    });
    let rows = rows.collect();
    *kept = Some(client);
    Some(rows)
}
