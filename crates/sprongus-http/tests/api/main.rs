//! The API as a stranger meets it: bytes to a socket, bytes back.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test from end to end, what it calls outside of a #[test] included"
)]

mod artifacts;
mod bad_input;
mod claims;
mod dashboard;
mod document;
mod flow;
mod hosts;
mod leases;
mod life;
mod limits;
mod matrix;
mod metrics;
mod raw;
mod rights;
mod scene;
mod streams;
mod tokens;
mod waiting;
