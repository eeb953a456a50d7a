//! The cases of a store, verb by verb. They are listed in [`crate::for_each_case!`].

pub mod artifact;
pub mod audit;
pub mod cancel;
pub mod claim;
pub mod cleaned;
pub mod directory;
pub mod dispatch;
pub mod enqueue;
pub mod expire;
pub mod files;
pub mod finish;
pub mod gate;
pub mod heartbeat;
pub mod lease;
pub mod list;
pub mod operator;
pub mod prune;
pub mod record;
pub mod retry;
pub mod rollup;
pub mod schedule;
pub mod service;
pub mod session;
pub mod stream;
pub mod tenants;
pub mod token;
pub mod waiting;
pub mod wake;
pub mod write_set;

/// Every state and every verb.
pub use crate::table;
