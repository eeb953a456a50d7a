//! What a store and its API promise, as tests: listed once, run by every store, each named by the promise it holds.
//!
//! A store's whole test file is a factory and a line:
//! ```text
//! async fn make(clock: TurnedClock) -> (Arc<dyn Store>, TempDir) { … }
//! sprongus_conformance::store_conformance!(make);
//! ```
//! It expands to one `#[test]` a case, each on a runtime and a store of its own. [`model`] is the executable specification;
//! [`histories`] compares a store with it on random histories; [`table`] tries every verb in every state.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a suite panics when a promise is broken"
)]

pub mod api;
pub mod blobs;
pub mod clock;
pub mod fixture;
pub mod histories;
pub mod model;
pub mod store;
pub mod table;

mod cases;

pub use blobs::MemoryBlobs;
pub use clock::TurnedClock;
pub use fixture::Fixture;
pub use model::Model;
