//! Streams of events: `feed.rs` reads the workspace's stream once for all who follow, `sse.rs` writes it as server-sent events.

pub mod feed;
pub mod sse;
