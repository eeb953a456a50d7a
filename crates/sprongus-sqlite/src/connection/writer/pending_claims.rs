//! Jobs that wait until there is something for them to write: a claim on an idle queue. The writer looks at them after each
//! commit of its own and starts them at once, without the way through their callers and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::Connection;

use crate::connection::writer::Job;

const PENDING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Whose a pending job is: the writer's, once it has taken it, or its caller's, who may withdraw it until then.
#[derive(Clone, Default)]
pub struct Ticket(Arc<AtomicU8>);

impl Ticket {
    fn claim(&self, to: u8) -> bool {
        self.0.compare_exchange(PENDING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The caller waits no longer; false when the job has been taken, and will be answered.
    pub fn withdraw(&self) -> bool {
        self.claim(WITHDRAWN)
    }
}

/// Withdraws the job of a caller that is gone.
pub struct WithdrawOnDrop(pub Ticket);

impl Drop for WithdrawOnDrop {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

/// The jobs that wait.
#[derive(Default)]
pub struct PendingClaims(Vec<(Box<dyn Job>, Ticket)>);

impl PendingClaims {
    /// One more.
    pub fn add(&mut self, job: Box<dyn Job>, ticket: Ticket) {
        self.0.push((job, ticket));
    }

    /// Takes those that have something to write now, and forgets those that were withdrawn.
    pub fn due(&mut self, connection: &Connection) -> Vec<Box<dyn Job>> {
        let mut due = Vec::new();
        for (mut job, ticket) in std::mem::take(&mut self.0) {
            if ticket.0.load(Ordering::Acquire) == WITHDRAWN {
                continue;
            }
            if !job.is_ready(connection) {
                self.0.push((job, ticket));
            } else if ticket.claim(TAKEN) {
                due.push(job);
            }
        }
        due
    }
}
