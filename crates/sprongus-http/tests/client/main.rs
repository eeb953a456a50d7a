//! The client against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

mod artifacts;
mod conformance;
mod operating;
mod proxy;
mod scene;
mod unknown_outcomes;
