//! Processes that no note names: a worker can die between a command's start and its note, and a command can leave its group. What they
//! were started with says whose they are.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::AFTER_KILL;
use super::adopt::{is_adopting, reap};
use super::process_table::{Member, descendants, living};

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long a process without any environment is looked at again: while it becomes another program it has none, and some never have
/// one.
const WITHOUT_ENVIRONMENT: Duration = Duration::from_millis(500);

/// Ends the processes that were started in attempts with these folders, whose worker is dead; how many there were. One that changed its
/// own environment is not found: without a worker to adopt it, where it works may be where somebody looks around.
pub(crate) fn kill_strays(attempts: &[PathBuf]) -> usize {
    let (mut ended, began) = (HashSet::new(), Instant::now());
    // One that forks meanwhile is found the next time.
    loop {
        let scan = kill_once(attempts);
        let patience = match (scan.killed.is_empty(), scan.unknown) {
            (false, _) => AFTER_KILL,
            (true, true) => WITHOUT_ENVIRONMENT,
            (true, false) => Duration::ZERO,
        };
        ended.extend(scan.killed);
        if began.elapsed() >= patience {
            return ended.len();
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// A process that had left the group of its command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stray {
    pub(crate) pid: i32,
    pub(crate) name: String,
}

/// Ends what the commands of an attempt that is over have left outside of their groups, as `setsid` does: TERM, and KILL after `grace`.
/// They are told by the attempt's folder, in their environment or, where orphans are adopted, as the place where they work: many a
/// service writes its title over its environment. One that has neither is not found.
pub(crate) fn end_strays(attempt: &Path, grace: Duration) -> BTreeSet<Stray> {
    let attempts = [attempt.to_owned()];
    // The system knows a folder without the links that lead to it.
    let resolved = fs::canonicalize(attempt).unwrap_or_else(|_| attempt.to_owned());
    let is_one = |member: &Member, environment: &[u8]| {
        names(environment, &attempts)
            || is_adopting() && member.folder().is_some_and(|folder| folder.starts_with(&resolved))
    };
    let (mut ended, mut asked, began) = (BTreeSet::new(), HashSet::new(), Instant::now());
    loop {
        let patience = grace + AFTER_KILL;
        let members = if is_adopting() { descendants() } else { living() };
        let mut unknown = false;
        let mut alive = false;
        for member in members {
            let environment = member.environment();
            if !is_one(&member, &environment) {
                // Among our own descendants one that is only becoming a program may be one of them yet.
                unknown |= is_adopting() && environment.is_empty() && member.has_program();
                continue;
            }
            let Some(pid) = member.pid() else { continue };
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if !is_one(&member, &member.environment()) {
                continue;
            }
            alive = true;
            ended.insert(Stray { pid: pid.as_raw_pid(), name: member.name() });
            if began.elapsed() >= grace {
                let _ = pidfd_send_signal(&process, Signal::KILL);
            } else if asked.insert(pid) {
                let _ = pidfd_send_signal(&process, Signal::TERM);
            }
        }
        let look_again =
            (alive && began.elapsed() < patience) || (unknown && began.elapsed() < WITHOUT_ENVIRONMENT);
        if !look_again {
            if is_adopting() {
                reap();
            }
            return ended;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

#[derive(Default)]
struct Scan {
    killed: Vec<Pid>,
    /// Whether one had no environment, and may be one of them yet.
    unknown: bool,
}

fn kill_once(attempts: &[PathBuf]) -> Scan {
    let mut scan = Scan::default();
    for member in living() {
        let environment = member.environment();
        scan.unknown |= environment.is_empty() && member.has_program();
        if !names(&environment, attempts) {
            continue;
        }
        // Opened first and asked again: the number cannot come to mean another process in between.
        let Some(pid) = member.pid() else { continue };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        if names(&member.environment(), attempts) && pidfd_send_signal(&process, Signal::KILL).is_ok() {
            scan.killed.push(pid);
        }
    }
    scan
}

/// Whether a variable of ours, such as `$SPRONGUS_INPUT`, leads into one of these folders. Others may: a person may look around there.
fn names(environment: &[u8], attempts: &[PathBuf]) -> bool {
    environment.split(|byte| *byte == 0).any(|variable| {
        let Some(variable) = variable.strip_prefix(b"SPRONGUS_") else { return false };
        let Some(equals) = variable.iter().position(|byte| *byte == b'=') else { return false };
        let value = Path::new(OsStr::from_bytes(&variable[equals + 1..]));
        attempts.iter().any(|attempt| value != attempt && value.starts_with(attempt))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn start(attempt: &Path) -> Child {
        Command::new("sleep").arg("60").env("SPRONGUS_INPUT", attempt.join("input.json")).spawn().unwrap()
    }

    #[test]
    fn any_variable_of_ours_leads_to_the_attempt_and_no_other_does() {
        let names = |variable: &str| names(format!("A=1\0{variable}\0B=2\0").as_bytes(), &["/at/one".into()]);
        for variable in ["SPRONGUS_INPUT=/at/one/input.json", "SPRONGUS_WORKDIR=/at/one/work"] {
            assert!(names(variable), "{variable}");
        }
        for variable in [
            "PWD=/at/one/work",
            "SPRONGUS_INPUT=/at/one-more/input.json",
            "SPRONGUS_X=/at/one",
            "SPRONGUS_INPUT",
        ] {
            assert!(!names(variable), "{variable}");
        }
    }

    #[test]
    fn what_left_its_group_is_asked_to_end_and_then_made_to() {
        let attempt = PathBuf::from("/of another attempt");
        for (script, grace, signal) in [
            ("exec sleep 60", Duration::from_secs(10), Signal::TERM),
            ("trap '' TERM; while true; do sleep 0.1; done", Duration::from_millis(300), Signal::KILL),
        ] {
            let mut command = Command::new("sh");
            let mut child =
                command.args(["-c", script]).env("SPRONGUS_WORKDIR", attempt.join("work")).spawn().unwrap();
            thread::sleep(Duration::from_millis(200));
            let waited = thread::spawn(move || child.wait().unwrap());
            let ended = end_strays(&attempt, grace);
            assert_eq!(waited.join().unwrap().signal(), Some(signal.as_raw()), "{script}");
            assert!(ended.iter().any(|stray| stray.name == "sleep" || stray.name == "sh"), "{ended:?}");
        }
        assert_eq!(end_strays(&attempt, Duration::ZERO), BTreeSet::new());
    }

    #[test]
    fn finds_one_that_has_only_just_become_a_program() {
        let attempt = PathBuf::from("/of an attempt");
        // Each look takes half a second where a process of this user cannot be looked into.
        for _ in 0..20 {
            let mut child = start(&attempt);
            assert_eq!(kill_strays(std::slice::from_ref(&attempt)), 1);
            assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        }
    }
}
