//! The one writer of a process: a thread that folds whatever is waiting into one transaction and answers each caller after
//! the commit that holds its writes. Alone, a caller waits for one commit; sixteen at once share it.

mod job;
mod log;
mod pending_claims;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sprongus_core::calendar::Zones;
use sprongus_core::figures::metric::{SizeCounter, Sizes};
use sprongus_core::store::backlog::{Backlog, Weigh};
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::{Error, ErrorCode, Result};
use tokio::sync::{oneshot, watch};

use self::job::{Job, Write};
use self::log::{LONG_LOG, SHORT_LOG, STAYS, cut_log, empty_log_at, leave_log};
use self::pending_claims::{PendingClaims, Ticket, WithdrawOnDrop};
use crate::connection::file_guard::FileGuard;
use crate::error::MapDbErr;

/// The most jobs in one transaction: what is behind them should not wait for all of them.
const MOST_JOBS: usize = 256;

/// How long the callers of the last commit are waited for. They were several, were answered a moment ago, and most come straight
/// back; a commit without them would make each wait for two. A caller alone is never waited for.
const COMING_BACK: Duration = Duration::from_micros(300);

/// Nothing has been written for so long: then the log is put into the file and cut to nothing, which costs whoever comes next little.
const IDLE: Duration = Duration::from_secs(2);

/// A transaction as a job sees it.
pub struct Tx<'a> {
    /// The connection, in a transaction that will be committed or rolled back for all its jobs together.
    pub connection: &'a Connection,
    /// The present: read once, under the write lock, so that time never runs backwards along the commits.
    pub now: Timestamp,
    /// The zone data by which schedules are read.
    pub zones: &'a dyn Zones,
    undone: Cell<bool>,
}

impl Tx<'_> {
    /// Takes back what this job has written once it returns; its answer stands.
    pub fn undo(&self) {
        self.undone.set(true);
    }
}

/// A job on its way to the thread; with a ticket, one that waits until it is ready.
type Sent = (Box<dyn Job>, Option<Ticket>);

/// The handle to the writer thread; the thread ends with its last handle.
#[derive(Clone)]
pub struct Writer {
    jobs: Sender<Sent>,
    batches: Arc<SizeCounter>,
    /// Runs to be made, and reports: neither crowds out the other.
    pub enqueues: Arc<Backlog>,
    pub finishes: Arc<Backlog>,
}

impl Writer {
    /// Starts the thread. `changed` is raised after every commit.
    ///
    /// # Errors
    /// `unavailable` when the system starts no more threads.
    pub fn start(
        connection: Connection,
        guard: Arc<FileGuard>,
        (clock, zones): (Arc<dyn Clock>, Arc<dyn Zones>),
        changed: watch::Sender<u64>,
    ) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let batches: Arc<SizeCounter> = Arc::default();
        let counted = Arc::clone(&batches);
        let thread = thread::Builder::new().name("sprongus-writer".to_owned());
        thread
            .spawn(move || {
                work(connection, &guard, (clock.as_ref(), zones.as_ref()), &waiting, &changed, &counted)
            })
            .map_err(|error| {
                Error::new(ErrorCode::Unavailable, "cannot start the writer thread").with_source(error)
            })?;
        Ok(Self { jobs, batches, enqueues: Arc::default(), finishes: Arc::default() })
    }

    /// How many callers' writes each commit held.
    pub fn batches(&self) -> Sizes {
        self.batches.read()
    }

    /// Writes, and answers after the commit.
    ///
    /// # Errors
    /// What `write` says, or `unavailable` when the commit fails.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_then_write(|_| Ok(None), write).await
    }

    /// Writes `items`, which take room in `backlog` until they are written or refused.
    ///
    /// # Errors
    /// As [`Writer::write`]; `unavailable` when too much waits already.
    pub async fn write_all<I: Weigh + Send + 'static, T: Send + 'static>(
        &self,
        backlog: &Backlog,
        items: Vec<I>,
        mut write: impl FnMut(&Tx<'_>, &[I]) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let waiting = (backlog.enter(&items)?, items);
        self.write(move |tx| {
            let (_, items) = &waiting;
            write(tx, items)
        })
        .await
    }

    /// Looks first, without the write lock; writes only if `read` has no answer.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn read_then_write<T: Send + 'static>(
        &self,
        read: impl FnMut(&Connection) -> Result<Option<T>> + Send + 'static,
        write: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(read, write, None)?.await.map_err(gone)?
    }

    /// Looks now and after each commit of this process, and writes as soon as `read` has no answer; none when `until` ends first.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn write_when_ready<T: Send + 'static>(
        &self,
        read: impl FnMut(&Connection) -> Result<Option<T>> + Send + 'static,
        write: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
        until: impl Future<Output = ()> + Send,
    ) -> Result<Option<T>> {
        let ticket = Ticket::default();
        let mut answered = self.send(read, write, Some(ticket.clone()))?;
        let withdraw = WithdrawOnDrop(ticket);
        tokio::select! {
            biased;
            answer = &mut answered => return answer.map_err(gone)?.map(Some),
            () = until => {}
        }
        if withdraw.0.withdraw() {
            return Ok(None);
        }
        answered.await.map_err(gone)?.map(Some)
    }

    fn send<T: Send + 'static>(
        &self,
        read: impl FnMut(&Connection) -> Result<Option<T>> + Send + 'static,
        write: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
        ticket: Option<Ticket>,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Write { read, write, outcome: None, answer });
        self.jobs.send((job, ticket)).map_err(gone)?;
        Ok(answered)
    }
}

fn gone<E>(_: E) -> Error {
    Error::new(ErrorCode::Unavailable, "the database was closed")
}

/// What the thread has before it.
#[derive(Default)]
struct WorkQueue {
    jobs: Vec<Box<dyn Job>>,
    pending: PendingClaims,
}

impl WorkQueue {
    fn put(&mut self, (job, ticket): Sent) {
        match ticket {
            Some(ticket) => self.pending.add(job, ticket),
            None => self.jobs.push(job),
        }
    }

    /// Waits a moment for as many as are expected.
    fn wait_for_more(&mut self, waiting: &Receiver<Sent>, expected: usize) {
        let until = Instant::now() + COMING_BACK;
        while self.jobs.len() < expected {
            match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(sent) => self.put(sent),
                Err(_) => return,
            }
        }
    }

    fn take_due(&mut self, connection: &Connection) {
        self.jobs.extend(self.pending.due(connection));
    }
}

/// The clock and the zone data of a transaction.
type Around<'a> = (&'a dyn Clock, &'a dyn Zones);

fn work(
    mut connection: Connection,
    guard: &FileGuard,
    around: Around<'_>,
    waiting: &Receiver<Sent>,
    changed: &watch::Sender<u64>,
    batches: &SizeCounter,
) {
    let (mut expected, mut commits) = (0, 0_u32);
    empty_log_at(&connection, SHORT_LOG);
    let mut queue = WorkQueue::default();
    let mut has_log = false;
    loop {
        if queue.jobs.is_empty() {
            let longest = if has_log { IDLE } else { Duration::MAX };
            match waiting.recv_timeout(longest) {
                Ok(first) => queue.put(first),
                Err(RecvTimeoutError::Timeout) => {
                    if guard.check().is_ok() {
                        cut_log(&mut connection);
                    }
                    has_log = false;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        queue.wait_for_more(waiting, expected);
        if let Err(loss) = guard.check() {
            leave_log(&connection);
            let error = Error::from(loss);
            queue.jobs.drain(..).for_each(|job| job.answer(Err(&error)));
            expected = 0;
            continue;
        }
        queue.take_due(&connection);
        let (mut writes, reads): (Vec<_>, Vec<_>) = queue
            .jobs
            .drain(..)
            .map(|mut job| (job.is_ready(&connection), job))
            .partition(|(wanted, _)| *wanted);
        reads.into_iter().for_each(|(_, job)| job.answer(Ok(())));
        if writes.is_empty() {
            expected = 0;
            continue;
        }
        // What was committed to a file that nobody finds any more is not acknowledged either.
        let committed = transact(&connection, around, &mut writes)
            .and_then(|()| Ok(guard.check().inspect_err(|_| leave_log(&connection))?));
        // Those who queued during the commit, and those it now answers, can share the next one; one alone is not waited for.
        waiting.try_iter().take(MOST_JOBS).for_each(|sent| queue.put(sent));
        expected = match queue.jobs.len() + writes.len() {
            1 => 0,
            several => several.min(MOST_JOBS),
        };
        if committed.is_ok() {
            batches.count(writes.len());
            // First what the commit has made due, so that whoever is woken by the change does not start it a second time.
            queue.take_due(&connection);
            changed.send_modify(|generation| *generation += 1);
            commits = commits.saturating_add(1);
            has_log = true;
            if commits == STAYS {
                empty_log_at(&connection, LONG_LOG);
            }
        }
        writes.into_iter().for_each(|(_, job)| {
            job.answer(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(error),
            })
        });
    }
}

/// First all jobs as they are. If one fails that has written already, once more with a savepoint for each, so that it leaves
/// nothing behind and its neighbours do not notice. Savepoints are dear, SQLite copies every page changed under one, and such a
/// failure is rare: a refusal comes before the first write.
fn transact(connection: &Connection, around: Around<'_>, jobs: &mut [(bool, Box<dyn Job>)]) -> Result<()> {
    if in_transaction(connection, around, |tx| write_plainly(tx, jobs))? {
        return Ok(());
    }
    in_transaction(connection, around, |tx| write_apart(tx, jobs).map(|()| true)).map(|_| ())
}

/// Commits if `write` says so, and answers what it said.
fn in_transaction(
    connection: &Connection,
    (clock, zones): Around<'_>,
    write: impl FnOnce(&Tx<'_>) -> Result<bool>,
) -> Result<bool> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let tx = Tx { connection, now: clock.now(), zones, undone: Cell::new(false) };
    let ended = write(&tx).and_then(|commit| {
        execute(connection, if commit { "COMMIT" } else { "ROLLBACK" })?;
        Ok(commit)
    });
    if ended.is_err() && !connection.is_autocommit() {
        // The error that led here is the one to tell.
        let _ = execute(connection, "ROLLBACK");
    }
    ended
}

/// Whether the transaction holds what is to stay and nothing else.
fn write_plainly(tx: &Tx<'_>, jobs: &mut [(bool, Box<dyn Job>)]) -> Result<bool> {
    for (_, job) in jobs {
        let before = tx.connection.total_changes();
        let stays = job.run(tx);
        check_open(tx)?;
        if !stays && tx.connection.total_changes() != before {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write_apart(tx: &Tx<'_>, jobs: &mut [(bool, Box<dyn Job>)]) -> Result<()> {
    for (_, job) in jobs {
        execute(tx.connection, "SAVEPOINT job")?;
        let stays = job.run(tx);
        check_open(tx)?;
        if !stays {
            execute(tx.connection, "ROLLBACK TO job")?;
        }
        execute(tx.connection, "RELEASE job")?;
    }
    Ok(())
}

/// SQLite itself takes a whole transaction back when the disk fails; what came after would be written outside of any.
fn check_open(tx: &Tx<'_>) -> Result<()> {
    if tx.connection.is_autocommit() {
        return Err(Error::new(ErrorCode::Unavailable, "the database rolled back the transaction")
            .with_hint("look for a full or failing disk"));
    }
    Ok(())
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql).map_db_err()?.execute([]).map_db_err()?;
    Ok(())
}

#[cfg(test)]
mod tests;
