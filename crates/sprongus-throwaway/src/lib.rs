//! A Postgres server of its own for tests, drills and benchmarks, gone when its process is; and a server of buckets likewise.
//!
//! A test asks for a [`Database`] of its own on [`Server::shared`]. A drill that kills, stops or copies a server
//! starts one with [`Server::start`]. Whoever holds a server may panic, exit or be killed: a watchdog then stops the
//! server and removes its folder. What the databases hold is left to the callers.

mod account;
mod binaries;
mod bucket_server;
mod database;
mod databases;
mod failure;
mod folders;
mod postmaster;
mod server;
mod settings;
mod standby;
mod watchdog;

pub use bucket_server::BucketServer;
pub use database::Database;
pub use failure::{Failure, Result};
pub use server::Server;
pub use settings::{Durability, Settings};
