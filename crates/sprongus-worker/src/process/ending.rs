//! How a command ended.

use std::fmt;
use std::io;
use std::time::Instant;

use super::spec::{CommandSpec, StopReason};

/// The exit code that asks for no retry: EX_CONFIG of `sysexits.h`.
const EX_CONFIG: i32 = 78;

/// How a command ended, and what it left.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ending {
    /// The exit status, or why there is none.
    pub status: Status,
    /// When nothing of the process group was left; `None` when something survived KILL, as a process in an
    /// uninterruptible wait of the kernel does, or belongs to another user by now.
    pub gone_at: Option<Instant>,
    /// The step's output.
    pub output: StepOutput,
    /// Lines printed, on both streams, kept or not.
    pub lines: u64,
    /// Bytes printed, on both streams, kept or not.
    pub bytes: u64,
}

/// The way a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that this worker did not send.
    Signaled(i32),
    /// Its time was up.
    TimedOut,
    /// This worker was asked to stop it.
    Stopped(StopReason),
    /// The program could not be started.
    CouldNotStart(StartFault),
}

impl Status {
    /// Whether the command did its work.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// Whether another attempt would meet the same end: exit code 78, or a program that cannot be run.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Exited(code) => *code == EX_CONFIG,
            Self::CouldNotStart(fault) => !fault.retryable,
            Self::Signaled(_) | Self::TimedOut | Self::Stopped(_) => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(signal) => write!(f, "was killed by signal {signal}"),
            Self::TimedOut => f.write_str("exceeded its timeout"),
            Self::Stopped(reason) => write!(f, "was stopped: {reason}"),
            Self::CouldNotStart(fault) => fault.fmt(f),
        }
    }
}

/// Why a command could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartFault {
    /// The system's reason.
    pub kind: io::ErrorKind,
    /// What is wrong, with the program's name and where it was looked for.
    pub message: String,
    /// Whether it may work at another time.
    pub retryable: bool,
}

impl StartFault {
    pub(super) fn vanished(spec: &CommandSpec) -> Self {
        let program = spec.argv.first().map_or("", String::as_str);
        let message = format!("could not start {program:?}: its process ended before it was seen");
        Self { kind: io::ErrorKind::Other, message, retryable: true }
    }
}

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartFault {}

/// What a step printed on stdout, without the newlines at the end, as templates of later steps see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepOutput {
    /// The text, at most 64 KiB; one that was cut ends in a mark that says so.
    pub text: String,
    /// Whether there was more.
    pub cut: bool,
}

impl Ending {
    pub(super) fn without_process(status: Status) -> Self {
        Self { status, gone_at: Some(Instant::now()), output: StepOutput::default(), lines: 0, bytes: 0 }
    }
}
