//! Which runs a command is about.

pub mod chosen;
pub mod filter;
pub mod run_ref;
