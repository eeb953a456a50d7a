//! Enqueueing runs, reading and following them, and deciding about them.

pub mod artifact;
pub mod cancel;
pub mod enqueue;
pub mod gate;
pub mod read;
pub mod retry;
pub mod stream;
