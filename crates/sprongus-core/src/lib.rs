//! The rules of a durable run: its states, verbs and errors, and the seams to a database and to a caller.
//!
//! Read [`run::state`] first, then [`rules`] from top to bottom in the order things happen to a run; [`service`] puts them behind
//! [`runs::Runs`], over a [`store::Store`]. This crate has no SQL, no HTTP, no threads and no async runtime; it learns the time
//! from a [`values::time::Clock`].

pub mod calendar;
pub mod error;
pub mod figures;
pub mod json;
pub mod redact;
pub mod rules;
pub mod run;
pub mod runs;
pub mod schedule;
pub mod schedules;
pub mod secrets;
pub mod service;
pub mod store;
pub mod values;
pub mod workspace;

pub use error::{Error, ErrorCode, Result};
pub use run::artifact::Blobs;
pub use runs::{Runs, RunsExt};
pub use service::RunsService;
pub use workspace::admin::Admin;
pub use workspace::caller::Caller;
