//! Processes that no note names: a worker can die between a command's start and its note, and a command can leave its group. What they
//! were started with says whose they are.

use std::path::Path;
use std::time::Instant;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::AFTER_KILL;
use super::process_table::living;

/// Ends the processes that were started with this `$SPRONGUS_INPUT`, the input of an attempt whose worker is dead; how many there
/// were. One that changed its own environment is not found.
pub(crate) fn kill_strays(input: &Path) -> usize {
    let (input, began) = (input.to_string_lossy().into_owned(), Instant::now());
    let mut ended = 0;
    // One that forks meanwhile is found the next time.
    while began.elapsed() < AFTER_KILL {
        let found = kill_once(&input);
        if found == 0 {
            break;
        }
        ended += found;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    ended
}

fn kill_once(input: &str) -> usize {
    let mut found = 0;
    for member in living() {
        if !member.has_variable("SPRONGUS_INPUT", input) {
            continue;
        }
        // Opened first and asked again: the number cannot come to mean another process in between.
        let Some(Ok(process)) = member.pid().map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
            continue;
        };
        if member.has_variable("SPRONGUS_INPUT", input) && pidfd_send_signal(&process, Signal::KILL).is_ok() {
            found += 1;
        }
    }
    found
}
