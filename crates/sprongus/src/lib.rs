//! Durable background runs, for programs that carry their queue with them.
//!
//! A *run* is one piece of work that outlives the process that asked for it: it is written down before `enqueue` answers, claimed
//! by one worker at a time under a lease, retried with a backoff, and every change of it is kept as an event. This crate puts
//! the parts together: [`core`] holds the rules and the nouns, [`sqlite`] keeps runs in one file, [`postgres`] on a server for many, [`worker`] executes them.
//! [`housekeeping`] looks after a database that has no server. With the feature `artifacts` there is a place for the files that runs keep.
//! The `sprongus` command line is built on the same calls, so a run made here is seen there and the other way round.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use sprongus::core::json::Json;
//! use sprongus::core::values::names::WorkspaceId;
//! use sprongus::core::run::NewRun;
//! use sprongus::sqlite::{Options, Sqlite};
//! use sprongus::{Caller, RunsExt, RunsService};
//!
//! # async fn example() -> sprongus::Result<()> {
//! let store = Sqlite::open(Path::new("runs.db"), Options { create: true, migrate: true, ..Options::default() })?;
//! let service = RunsService::new(Arc::new(store));
//! let runs = service.for_caller(Caller::new(WorkspaceId::local(), "my-program"));
//!
//! let mut pull = NewRun::new("script.pull", Json::empty_object());
//! // The same key and request again answer with the same run, however often this is called.
//! pull.idempotency_key = Some("pull-2026-11-21".to_owned());
//! let made = runs.enqueue_one(pull).await?;
//! println!("{} is {}", made.run.id, made.run.state);
//! # Ok(())
//! # }
//! ```

pub mod housekeeping;

#[cfg(feature = "artifacts")]
pub use sprongus_artifacts as artifacts;
pub use sprongus_core as core;
pub use sprongus_postgres as postgres;
pub use sprongus_sqlite as sqlite;
pub use sprongus_worker as worker;

pub use sprongus_core::{Caller, Error, ErrorCode, Result, Runs, RunsExt, RunsService};
