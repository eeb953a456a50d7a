//! The exit codes of the command line. Scripts depend on them: a number is never given another meaning.

pub mod failure;

use std::process::ExitCode;

use sprongus_core::ErrorCode;
use sprongus_core::run::state::State;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; and the run that was followed succeeded.
    Done = 0,
    /// A fault of ours; from `doctor`: something is wrong.
    Fault = 1,
    /// Usage, or input that is not allowed.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// A conflict, or a state that does not allow the verb.
    Conflict = 4,
    /// The caller no longer holds the run.
    LeaseLost = 5,
    /// Not authenticated, or not allowed.
    NotAllowed = 6,
    /// The time given ran out.
    TimedOut = 7,
    /// The store cannot be reached, is full or locked; or there were too many calls.
    Unavailable = 8,
    /// The database's schema is of another version.
    SchemaMismatch = 9,
    /// The run that was followed failed.
    RunFailed = 10,
    /// The run that was followed was canceled.
    RunCanceled = 11,
    /// Ctrl-C; a run that was followed goes on.
    Interrupted = 130,
}

impl Exit {
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// How following a run to its end exits.
    pub const fn of_run(state: State) -> Self {
        match state {
            State::Succeeded | State::Queued | State::Running => Self::Done,
            State::Failed => Self::RunFailed,
            State::Canceled => Self::RunCanceled,
        }
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Internal => Self::Fault,
            ErrorCode::MethodNotAllowed
            | ErrorCode::Misdirected
            | ErrorCode::PayloadTooLarge
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::Malformed
            | ErrorCode::Validation
            | ErrorCode::SecretInInput => Self::Usage,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::IllegalTransition | ErrorCode::Conflict | ErrorCode::IdempotencyKeyReused => {
                Self::Conflict
            }
            ErrorCode::LeaseLost => Self::LeaseLost,
            ErrorCode::Unauthenticated | ErrorCode::Forbidden => Self::NotAllowed,
            ErrorCode::TimedOut => Self::TimedOut,
            ErrorCode::RateLimited | ErrorCode::Unavailable => Self::Unavailable,
            ErrorCode::SchemaMismatch => Self::SchemaMismatch,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_exits_as_the_core_says() {
        for code in ErrorCode::ALL {
            assert_eq!(Exit::from(code).code(), code.exit_code(), "{code}");
        }
    }

    #[test]
    fn a_followed_run_tells_how_it_ended() {
        let codes = State::ALL.map(|state| Exit::of_run(state).code());
        assert_eq!(codes, [0, 0, 0, 10, 11]);
        assert_eq!(Exit::Interrupted.code(), 130);
    }
}
