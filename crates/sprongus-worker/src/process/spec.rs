//! What to run, and within which limits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::orphans::OrphanSpec;

/// The pause between TERM and KILL, unless a command asks for another.
pub const GRACE: Duration = Duration::from_secs(5);

/// A command to run.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The program and its arguments. A program with a relative path is looked up from `cwd`.
    pub argv: Vec<String>,
    /// What the command reads on stdin; with `None` stdin is at its end from the beginning.
    pub stdin: Option<Vec<u8>>,
    /// Variables besides those that [`child_environment`](super::child_environment) lets through.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The limit; `None` for no limit.
    pub timeout: Option<Duration>,
    /// The pause between TERM and KILL.
    pub grace: Duration,
    /// Where to note the process group, so that the next worker can end it if this one is killed.
    pub orphan: Option<OrphanSpec>,
}

impl CommandSpec {
    /// A command with nothing on stdin, no further variables and no limit.
    #[must_use]
    pub fn new(argv: Vec<String>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            argv,
            stdin: None,
            env: Vec::new(),
            cwd: cwd.into(),
            timeout: None,
            grace: GRACE,
            orphan: None,
        }
    }
}

/// Why a command is stopped before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The run was canceled.
    Canceled,
    /// The run belongs to another worker now; the process must not act a moment longer.
    LeaseLost,
    /// The worker is going down.
    Shutdown,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "canceled",
            Self::LeaseLost => "lease lost",
            Self::Shutdown => "worker shutting down",
        })
    }
}
