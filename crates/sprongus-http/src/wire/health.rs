//! How a server says that it lives and works.

use serde::{Deserialize, Serialize};

/// The server is ready.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Ready))]
pub struct ReadyBody {
    /// `ok`.
    pub status: String,
    /// The database engine.
    pub engine: String,
    /// Schema version.
    pub schema: u32,
    /// Whether acknowledged changes survive a power cut.
    pub durable: bool,
}
