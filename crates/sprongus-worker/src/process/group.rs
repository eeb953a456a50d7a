//! A process group: signals to all of it, and the proof that it is gone.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};
use tokio::process::Child;

use crate::orphans::{OrphanRecord, has_living_members};

/// The process table is read whole for one group, so not at every poll.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The group of a command. Dropping it while something may be alive kills it.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    gone: bool,
    looked: Option<Instant>,
    record: Option<OrphanRecord>,
}

impl Group {
    /// The group that the child leads.
    pub(super) fn of(child: &Child) -> Option<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)?;
        Some(Self { id, gone: false, looked: None, record: None })
    }

    pub(super) fn id(&self) -> Pid {
        self.id
    }

    pub(super) fn keep_record(&mut self, record: Option<OrphanRecord>) {
        self.record = record;
    }

    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // The number of a group that is gone may belong to another one by now.
        if !self.gone {
            // A member may be gone before the signal comes; that is what it was sent for.
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// Whether nothing of the group is left. Only to be asked when the leader has been waited for: before
    /// that it is our own child that is still in the table.
    pub(super) fn is_gone(&mut self) -> bool {
        if !self.gone {
            // Where this process adopts orphans, as the first one of a container does, nobody else reaps
            // them.
            while matches!(waitpgid(self.id, WaitOptions::NOHANG), Ok(Some(_))) {}
            self.gone = match test_kill_process_group(self.id) {
                Err(Errno::SRCH) => true,
                // What is left may be the dead whom their adopter does not reap, and they do nothing any
                // more.
                Ok(()) | Err(_) => self.only_the_dead_are_left(),
            };
            if self.gone
                && let Some(record) = self.record.take()
            {
                record.remove();
            }
        }
        self.gone
    }

    fn only_the_dead_are_left(&mut self) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < BETWEEN_LOOKS) {
            return false;
        }
        self.looked = Some(Instant::now());
        !has_living_members(self.id)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The record stays: nobody has seen the group go, so the next start looks after it.
        self.kill();
    }
}
