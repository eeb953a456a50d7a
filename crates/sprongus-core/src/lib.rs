//! The rules of a durable run: its states, verbs and errors, and the seams to a database and to a caller.
//!
//! Read [`state`] first, then [`rules`] from top to bottom in the order things happen to a run; [`service`] puts them behind
//! [`runs::Runs`], over a [`store::Store`]. This crate has no SQL, no HTTP, no threads and no async runtime; it learns the time
//! from a [`time::Clock`].

pub mod admin;
pub mod artifact;
pub mod audit;
pub mod backlog;
pub mod caller;
pub mod command;
mod cursor;
pub mod directory;
pub mod error;
pub mod event;
pub mod follow;
pub mod id_part;
pub mod ids;
pub mod json;
pub mod lease;
pub mod list;
pub mod metric;
pub mod names;
pub mod operator;
pub mod recent;
pub mod redact;
pub mod request;
pub mod retention;
pub mod rollup;
pub mod rules;
pub mod run;
pub mod runs;
pub mod secrets;
pub mod service;
pub mod session;
pub mod state;
pub mod step;
pub mod store;
pub mod stream;
pub mod text;
pub mod time;
pub mod token;
pub mod waiting;

pub use admin::Admin;
pub use artifact::Blobs;
pub use caller::Caller;
pub use error::{Error, ErrorCode, Result};
pub use runs::{Runs, RunsExt};
pub use service::RunsService;
