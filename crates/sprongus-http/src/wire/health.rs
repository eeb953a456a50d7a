//! How a server says that it lives and works.

use serde::{Deserialize, Serialize};

/// That the server can do its work.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Ready))]
pub struct ReadyBody {
    /// `ok`.
    pub status: String,
    /// The database engine.
    pub engine: String,
    /// The schema's version.
    pub schema: u32,
    /// Whether what is acknowledged outlives a power cut.
    pub durable: bool,
}
