//! What the writer thread does for one caller.

use rusqlite::Connection;
use sprongus_core::{Error, Result};
use tokio::sync::oneshot;

use super::Tx;

/// Something to write.
pub(super) trait Job: Send {
    /// Whether there is anything to write at all; asked before the write lock is taken.
    fn is_ready(&mut self, connection: &Connection) -> bool;
    /// Writes; true if what was written may stay. May be asked again, in a transaction in which nothing of it is left.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Answers the caller, after the commit or because there was none.
    fn answer(self: Box<Self>, committed: Result<(), &Error>);
}

pub(super) struct Write<T, R, W> {
    pub(super) read: R,
    pub(super) write: W,
    pub(super) outcome: Option<Result<T>>,
    pub(super) answer: oneshot::Sender<Result<T>>,
}

impl<T, R, W> Job for Write<T, R, W>
where
    T: Send,
    R: FnMut(&Connection) -> Result<Option<T>> + Send,
    W: FnMut(&Tx<'_>) -> Result<T> + Send,
{
    fn is_ready(&mut self, connection: &Connection) -> bool {
        match (self.read)(connection) {
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
        let outcome = (self.write)(tx);
        let stays = outcome.is_ok() && !tx.undone.take();
        self.outcome = Some(outcome);
        stays
    }

    fn answer(self: Box<Self>, committed: Result<(), &Error>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::internal("a write was not carried out")),
            (Err(_), Some(Err(own))) => Err(own),
            (Err(error), _) => Err(error.for_another()),
        };
        // A caller that is gone has no use for the answer; what was written stays.
        let _ = self.answer.send(answer);
    }
}
