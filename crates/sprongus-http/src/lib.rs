//! Everything said over the wire: the server's API, and the client that is [`sprongus_core::Runs`] over it.
//!
//! With the feature `server`, [`server`] puts a service's runs behind HTTP: it parses, asks [`sprongus_core::Runs`], and prints;
//! it holds no rule. With the feature `client`, [`client`] asks such a server, so that a command or a worker does not know
//! whether its runs are in this process or on another machine. [`wire`] is what both speak, [`problem`] how errors travel.
//!
//! Left to others: where a server's database is, what a command prints, and TLS in front of a server that is not on loopback.

#[cfg(feature = "client")]
pub mod client;
#[cfg(any(feature = "client", feature = "server"))]
mod pause;
pub mod problem;
#[cfg(feature = "server")]
pub mod server;
pub mod wire;
