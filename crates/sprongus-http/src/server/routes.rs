//! What each route does, a file for each subject; a verb's file has the name it has in the core's rules.
//!
//! `runs` has what whoever owns runs asks for, `worker` what workers report, `operator` what admins do.

pub mod directory;
pub mod health;
pub mod metrics;
pub mod operator;
pub mod runner_jobs;
pub mod runs;
pub mod schedule;
pub mod stats;
pub mod worker;
