//! What each route does, a file for each subject; a verb's file has the name it has in the core's rules.

pub mod artifact;
pub mod audit;
pub mod cancel;
pub mod claim;
pub mod cleaned;
pub mod directory;
pub mod enqueue;
pub mod finish;
pub mod gate;
pub mod health;
pub mod heartbeat;
pub mod metrics;
pub mod progress;
pub mod prune;
pub mod read;
pub mod record;
pub mod retry;
pub mod runner_jobs;
pub mod stats;
pub mod stream;
pub mod token;
pub mod workdir;
