//! The one writer of a process: a thread that folds whatever is waiting into one transaction and answers each caller after
//! the commit that holds its writes. Alone, a caller waits for one commit; sixteen at once share it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rusqlite::Connection;
use sprongus_core::time::{Clock, Timestamp};
use sprongus_core::{Error, ErrorCode, Result};
use tokio::sync::{oneshot, watch};

use crate::fault::Told;

/// The most jobs in one transaction: what is behind them should not wait for all of them.
const MOST_JOBS: usize = 256;

/// A transaction as a job sees it.
pub struct Tx<'a> {
    /// The connection, in a transaction that will be committed or rolled back for all its jobs together.
    pub connection: &'a Connection,
    /// The present: read once, under the write lock, so that time never runs backwards along the commits.
    pub now: Timestamp,
    undone: Cell<bool>,
}

impl Tx<'_> {
    /// Takes back what this job has written once it returns; its answer stands.
    pub fn undo(&self) {
        self.undone.set(true);
    }
}

/// Something to write.
trait Job: Send {
    /// Whether there is anything to write at all; asked before the write lock is taken.
    fn wanted(&mut self, connection: &Connection) -> bool;
    /// Writes. True if what was written may stay.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Answers the caller, after the commit or because there was none.
    fn settle(self: Box<Self>, committed: Result<(), &Error>);
}

struct Write<T, L, W> {
    look: L,
    write: Option<W>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, L, W> Job for Write<T, L, W>
where
    T: Send,
    L: FnMut(&Connection) -> Result<Option<T>> + Send,
    W: FnOnce(&Tx<'_>) -> Result<T> + Send,
{
    fn wanted(&mut self, connection: &Connection) -> bool {
        match (self.look)(connection) {
            Ok(None) => true,
            Ok(Some(answer)) => {
                self.outcome = Some(Ok(answer));
                false
            }
            Err(error) => {
                self.outcome = Some(Err(error));
                false
            }
        }
    }

    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(write) = self.write.take() else { return false };
        let outcome = write(tx);
        let stays = outcome.is_ok() && !tx.undone.take();
        self.outcome = Some(outcome);
        stays
    }

    fn settle(self: Box<Self>, committed: Result<(), &Error>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::internal("a write was not carried out")),
            (Err(_), Some(Err(own))) => Err(own),
            (Err(error), _) => {
                Err(Error::new(error.code(), error.message()).with_hint(error.hint().to_owned()))
            }
        };
        // A caller that is gone has no use for the answer; what was written stays.
        let _ = self.answer.send(answer);
    }
}

/// The handle to the writer thread; the thread ends with its last handle.
#[derive(Clone)]
pub struct Writer {
    jobs: Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread. `changed` is raised after every commit.
    ///
    /// # Errors
    /// `unavailable` when the system starts no more threads.
    pub fn start(connection: Connection, clock: Arc<dyn Clock>, changed: watch::Sender<u64>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let thread = thread::Builder::new().name("sprongus-writer".to_owned());
        thread.spawn(move || work(&connection, clock.as_ref(), &waiting, &changed)).map_err(|error| {
            Error::new(ErrorCode::Unavailable, "cannot start the writer thread").with_source(error)
        })?;
        Ok(Self { jobs })
    }

    /// Writes, and answers after the commit.
    ///
    /// # Errors
    /// What `write` says, or `unavailable` when the commit fails.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.look_then_write(|_| Ok(None), write).await
    }

    /// Looks first, without the write lock; writes only if `look` has no answer.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn look_then_write<T: Send + 'static>(
        &self,
        look: impl FnMut(&Connection) -> Result<Option<T>> + Send + 'static,
        write: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let gone = || Error::new(ErrorCode::Unavailable, "the database was closed");
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Write { look, write: Some(write), outcome: None, answer });
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn work(
    connection: &Connection,
    clock: &dyn Clock,
    waiting: &Receiver<Box<dyn Job>>,
    changed: &watch::Sender<u64>,
) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter().take(MOST_JOBS - 1));
        let (mut writes, reads): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|mut job| (job.wanted(connection), job)).partition(|(wanted, _)| *wanted);
        reads.into_iter().for_each(|(_, job)| job.settle(Ok(())));
        if writes.is_empty() {
            continue;
        }
        let committed = transact(connection, clock, &mut writes);
        if committed.is_ok() {
            changed.send_modify(|generation| *generation += 1);
        }
        writes.into_iter().for_each(|(_, job)| {
            job.settle(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(error),
            })
        });
    }
}

fn transact(connection: &Connection, clock: &dyn Clock, jobs: &mut [(bool, Box<dyn Job>)]) -> Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let tx = Tx { connection, now: clock.now(), undone: Cell::new(false) };
    let ended = match write_all(&tx, jobs) {
        Ok(true) => execute(connection, "COMMIT"),
        Ok(false) => execute(connection, "ROLLBACK"),
        Err(error) => Err(error),
    };
    if ended.is_err() && !connection.is_autocommit() {
        // The error that led here is the one to tell.
        let _ = execute(connection, "ROLLBACK");
    }
    ended
}

/// Whether there is something to commit. Of several jobs each has a savepoint: one that fails half-way leaves nothing behind
/// and does not touch its neighbours. A job alone needs none, and is spared its price: SQLite copies every page it changes.
fn write_all(tx: &Tx<'_>, jobs: &mut [(bool, Box<dyn Job>)]) -> Result<bool> {
    if let [(_, job)] = jobs {
        return Ok(job.run(tx));
    }
    for (_, job) in jobs {
        execute(tx.connection, "SAVEPOINT job")?;
        if !job.run(tx) && !tx.connection.is_autocommit() {
            execute(tx.connection, "ROLLBACK TO job")?;
        }
        execute(tx.connection, "RELEASE job")?;
    }
    Ok(true)
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql).told()?.execute([]).told()?;
    Ok(())
}
