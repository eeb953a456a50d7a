//! The command line as its users meet it: the real binary, in a folder of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

mod artifacts;
mod backing;
mod bad_input;
mod choosing;
mod demo;
mod doctor;
mod doctor_schedules;
mod durable;
mod enqueue;
mod exit_codes;
mod figures;
mod follow;
mod gates;
mod help;
mod housekeeping;
mod json_shapes;
mod lists;
mod monitoring;
mod naming;
mod operators;
mod packaging;
mod postgres;
mod proxies;
#[cfg(feature = "otlp")]
mod redaction;
mod sandbox;
mod schedules;
mod schedules_on_bad_days;
mod secrets;
mod serve;
mod top;
mod tour;
#[cfg(feature = "otlp")]
mod traces;
mod trust;
#[path = "../drills/tzif.rs"]
mod tzif;
mod version;
mod worker;
