//! How a server says that it lives and works.

use serde::{Deserialize, Serialize};

/// The server is ready.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Ready))]
pub struct ReadyBody {
    /// Always `ok`; a server that is not ready answers with an error.
    pub status: String,
    /// The database engine: `sqlite` or `postgres`.
    pub engine: String,
    /// The schema's version: the number of its newest migration.
    pub schema: u32,
    /// Whether acknowledged changes survive a power cut.
    pub durable: bool,
}
