//! Claims runs and executes them: Rust handlers, and the commands declared in `sprongus.toml`.
//!
//! [`Worker`] is the door: make one over [`Runs`](sprongus_core::Runs), tell it its kinds, and run it with a [`Shutdown`].
//! It knows no database; over HTTP it is the same worker.
//!
//! Read `work` first, the loop, then `slot` and `execution`, and behind it `handler` or `pipeline`.

mod ai;
mod ai_step;
mod approval_step;
mod artifact_body;
mod artifact_step;
mod attempt;
mod carried;
mod child_runs;
mod claiming;
mod command_spec;
mod command_step;
mod context;
pub mod declaration;
pub mod duration;
mod ended;
mod execution;
mod handler;
mod held;
mod lease;
pub mod leftovers;
mod once;
pub mod output_file;
mod pace;
mod passing;
mod pipeline;
mod probation;
pub mod process;
mod recorder;
mod report;
mod restore;
mod secrets;
mod shutdown;
mod size;
mod slot;
mod spill;
mod step_log;
pub mod template;
mod upload;
mod waiting;
mod work;
mod workdir;
mod worker;

pub use artifact_body::ArtifactBody;
pub use context::RunContext;
pub use declaration::Declaration;
pub use handler::HandlerError;
pub use shutdown::Shutdown;
pub use waiting::Approval;
pub use workdir::check_default_scratch;
pub use worker::{MAX_CONCURRENCY, Summary, Worker, WorkerOptions};
