//! A real `sprongus worker` process, and what can be done to it.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sprongus::core::values::names::WorkerId;

use crate::tempo::eventually;

/// A started worker; killed when it is dropped.
pub struct WorkerProcess {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl WorkerProcess {
    pub fn new(child: Child, stdout: PathBuf, stderr: PathBuf) -> Self {
        Self { child, stdout, stderr }
    }

    pub fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_pid()
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    pub fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap()
    }

    /// Its name, once it has greeted.
    pub fn id(&self) -> WorkerId {
        let mut id = None;
        eventually("a worker greets", Duration::from_secs(20), || {
            let err = self.stderr();
            let greeting = err.lines().find_map(|line| line.strip_prefix("worker "));
            let name = greeting.and_then(|rest| rest.split_once(" serves "));
            id = name.map(|(name, _)| name.parse().unwrap());
            id.is_some()
        });
        id.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether a SIGSTOP has reached each of its threads (proc(5): the state behind the name in brackets is `T`).
    pub fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
            .all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    }

    /// Ends it as a crash does. What it executed goes on, held by nobody.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        eventually("the worker ends", limit, || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }

    /// Tells it to stop, which it does in order.
    #[track_caller]
    pub fn stops(mut self) {
        self.signal(Signal::TERM);
        assert!(self.ends_within(Duration::from_secs(20)).success(), "{}", self.stderr());
    }

    /// The same; it must have had nothing to complain of.
    #[track_caller]
    pub fn stops_content(mut self) {
        // Before it has greeted, a signal ends it as it does any process.
        self.id();
        self.signal(Signal::TERM);
        assert!(self.ends_within(Duration::from_secs(20)).success(), "{}", self.stderr());
        let stderr = self.stderr();
        // That there was a dead worker, and that it is root's, is the drill's doing.
        let is_usual = |line: &str| {
            let usual = [
                " INFO ",
                "left by a dead worker",
                "warning: running as root",
                " serves ",
                "stopped by SIGTERM",
            ];
            usual.iter().any(|words| line.contains(words))
        };
        let complaint = stderr.lines().find(|line| !is_usual(line));
        assert_eq!(complaint, None, "in all:\n{stderr}");
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
