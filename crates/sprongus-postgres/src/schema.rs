//! The schema, and how a connection is set up.

pub(crate) mod auto_analyze;
pub(crate) mod migrate;
pub(crate) mod open;
#[cfg(test)]
mod plans;
pub mod scratch;
