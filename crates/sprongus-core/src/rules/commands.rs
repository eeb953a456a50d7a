//! Rules of commands: what a person or a worker asks of one run, [`crate::run::command`] by its name.

pub mod cancel;
pub mod cleaned;
pub mod gate;
pub mod progress;
pub mod retry;
