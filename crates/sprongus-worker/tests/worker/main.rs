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
mod commands;
mod content;
mod gates;
mod gates_gone_wrong;
mod handlers;
mod leases;
mod model;
mod pipelines;
mod scene;
mod secrets;
mod shutdowns;
mod spill;
mod tampered;
