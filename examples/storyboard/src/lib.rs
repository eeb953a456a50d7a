//! A storyboard kept in step with a screenplay: the two commands behind the kinds `script.pull` and
//! `sync.storyboard`.
//!
//! `pull` reads a screenplay in Fountain or Markdown into structured scenes, `sync` brings a CSV table up to date
//! with those scenes without losing what a person wrote into it. Both are ordinary programs: JSON on stdin, files
//! in and out, an exit code at the end. Queueing, retries and history are the run engine's affair.
//!
//! The library's face is small because two binaries wear it: `storyboard`, and `sprongus`, which carries the same
//! commands as a subcommand and lays out [`PROJECT`] in an empty folder for its demo.

mod board;
mod call;
mod command;
mod failure;
mod file;
mod input;
mod lock;
mod project;
mod pull;
mod script;
mod sync;

pub use board::spreadsheet::{BoardError, Spreadsheet};
pub use command::main_with;
pub use lock::lock_path;
pub use project::{
    DECLARATION, PROJECT, PULL_SCHEMA, PULL_SCHEMA_PATH, REVISIONS, SCREENPLAY, SYNC_SCHEMA,
    SYNC_SCHEMA_PATH, revised,
};
