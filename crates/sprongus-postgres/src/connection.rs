//! Connections, transactions, and what is shared between callers.

pub(crate) mod batcher;
pub(crate) mod clock;
pub(crate) mod retry;
pub(crate) mod session;
pub(crate) mod tls;
pub(crate) mod wake;
