//! Orphans: processes whose parent ended before they did. The first process of a container gets all of its container's, and one that
//! adopts gets those of its own descendants. Whoever gets them has to wait for them, or they stay in the process table as zombies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

use super::process_table::dead_children;
use crate::process::adopted;

/// How long a dead orphan stays in the process table at most.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

static ADOPTING: AtomicBool = AtomicBool::new(false);

/// Makes this program the parent of every process that a command of its own leaves behind, wherever it has gone (`setsid`), and waits for
/// those that end. From then on what an attempt leaves behind is found among this program's descendants. A second call changes nothing.
///
/// For programs that start no other processes than through this crate: the exit status of a child that they started themselves, and did
/// not wait for within a second, may be lost.
pub fn adopt_orphans() {
    if ADOPTING.swap(true, Ordering::SeqCst) {
        return;
    }
    // The first process of a container gets them without asking, so a kernel that refuses changes less than it seems.
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::debug!(%error, "cannot adopt orphaned processes");
    }
    let reaper = || {
        loop {
            thread::sleep(BETWEEN_LOOKS);
            reap();
        }
    };
    if let Err(error) = thread::Builder::new().name("reaper".to_owned()).spawn(reaper) {
        tracing::warn!(%error, "cannot wait for orphaned processes");
    }
}

pub(super) fn is_adopting() -> bool {
    ADOPTING.load(Ordering::SeqCst)
}

/// Takes the dead whom nobody else waits for out of the process table.
pub(super) fn reap() {
    let dead = adopted(|| dead_children().into_iter().map(Pid::as_raw_pid).collect());
    for id in dead.into_iter().flatten().filter_map(Pid::from_raw) {
        let _ = waitpid(Some(id), WaitOptions::NOHANG);
    }
}
