//! A worker over a store in memory, in real time: what a run's author and its operator may rely on.

mod commands;
mod handlers;
mod leases;
mod scene;
mod shutdowns;
mod speed;
mod tampered;
