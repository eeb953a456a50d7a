//! Claims runs and executes them: Rust handlers, and the commands declared in `sprongus.toml`.
//!
//! [`Worker`] is the door: make one over [`Runs`](sprongus_core::Runs), tell it its kinds, and run it with a [`Shutdown`].
//! It knows no database; over HTTP it is the same worker.
//!
//! Read `run_loop` first, then `run_loop::slot` and `execution`, and behind it `handler` or `steps`.

mod ai;
pub mod declaration;
mod execution;
mod handler;
pub mod orphans;
pub mod process;
mod run_loop;
mod secrets;
mod size;
mod steps;
pub mod template;
mod workdir;
mod worker;

pub use declaration::Declaration;
pub use execution::waiting::Approval;
pub use handler::artifact_body::ArtifactBody;
pub use handler::context::RunContext;
pub use handler::error::HandlerError;
pub use run_loop::shutdown::Shutdown;
pub use run_loop::summary::Summary;
pub use steps::command::output_file::LARGEST_OUTPUT_FILE;
pub use workdir::check_default_scratch;
pub use worker::{MAX_CONCURRENCY, Worker, WorkerOptions};
