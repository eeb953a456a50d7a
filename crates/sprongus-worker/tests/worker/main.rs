//! A worker over a store in memory, in real time: what a run's author and its operator may rely on.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test panics when a promise is broken"
)]

mod ai_actions;
mod ai_answers;
mod approvals;
mod artifacts;
mod child_runs;
mod commands;
mod content;
mod gates;
mod gates_gone_wrong;
mod handlers;
mod leases;
mod model;
mod no_room;
mod pipelines;
mod refusals;
mod scene;
mod secrets;
mod shutdowns;
mod spill;
mod strays;
mod tampered;
