//! The first process of a running server, from its start until it and all that it started are gone.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::failure::{Doing as _, Failure, Result};
use crate::folders::Folders;

/// A start may have to replay much of its log.
const READY_WITHIN: Duration = Duration::from_secs(120);
const GONE_WITHIN: Duration = Duration::from_secs(60);
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much of a log a failure carries.
const LOG_TOLD: usize = 4000;

/// The pipe becomes descriptor 3: a process that was waiting for a standby when the postmaster died would read its standard input.
const PIPE_ASIDE: &str = r#"exec "$0" "$@" 3<&0 0</dev/null"#;

/// The postmaster, a child of ours, so that nobody else's process ever has its number while we hold it.
#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Child,
    /// A pipe whose other end every process of the server inherits: it breaks when the last of them is gone.
    alive: Option<ChildStdin>,
    data: PathBuf,
}

impl Postmaster {
    /// Starts the server on a port and waits until it takes connections.
    pub(crate) fn start(folders: &Folders, port: u16, binaries: &Binaries, account: Account) -> Result<Self> {
        let path = folders.log();
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.doing(|| format!("open {}", path.display()))?;
        let same = log.try_clone().doing(|| format!("open {}", path.display()))?;
        let began = folders.logged().len();

        let mut command = account.command("/bin/sh");
        command.args(["-c", PIPE_ASIDE]).arg(binaries.program("postgres"));
        command.arg("-D").arg(folders.data()).arg("-k").arg(&folders.sockets);
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.stdin(std::process::Stdio::piped()).stdout(log).stderr(same);
        let mut child = command.spawn().doing(|| "start postgres".to_owned())?;
        let alive = child.stdin.take();
        let mut postmaster = Self { child, alive, data: folders.data() };

        let deadline = Instant::now() + READY_WITHIN;
        while !postmaster.is_ready(&folders.lock()) {
            if !postmaster.is_running() || Instant::now() > deadline {
                let _ = postmaster.end(Signal::KILL);
                let log = folders.logged();
                let said: String = log.get(began..).unwrap_or(&log).chars().rev().take(LOG_TOLD).collect();
                return Err(Failure::NotReady { log: said.chars().rev().collect() });
            }
            sleep(LOOK_EVERY);
        }
        Ok(postmaster)
    }

    /// The server writes its state into the last line of its lock file. One that was killed may have left such a file.
    fn is_ready(&self, lock: &Path) -> bool {
        let text = std::fs::read_to_string(lock).unwrap_or_default();
        let mut lines = text.lines();
        let is_ours = lines.next() == Some(self.id().to_string().as_str());
        is_ours && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal and waits until the postmaster and every process it started are gone. One that waits for a lock of a process
    /// that died before it would do so forever (a semaphore hears of no death): behind a kill it is killed too, as a machine does.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        if self.is_running() {
            // It may end in between, which is what is wanted.
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
        let began = Instant::now();
        while self.is_running() || self.has_processes() {
            if began.elapsed() > GONE_WITHIN {
                return Err(Failure::NotGone);
            }
            if signal == Signal::KILL && began.elapsed() > LEAVE_WITHIN {
                self.kill_the_rest();
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Nobody reads what is written here; that somebody could is the answer.
    fn has_processes(&mut self) -> bool {
        self.alive.as_mut().is_some_and(|pipe| pipe.write_all(b"\n").is_ok())
    }

    /// Every process of a server works in the folder of its data.
    fn kill_the_rest(&self) {
        let works_here = |pid: &i32| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == self.data)
        };
        let names = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for pid in names.filter_map(|name| name.parse().ok()).filter(works_here).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
