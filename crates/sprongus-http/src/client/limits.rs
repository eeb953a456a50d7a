//! How long the client waits.

use std::time::Duration;

/// For a connection to be made.
pub const CONNECT: Duration = Duration::from_secs(5);

/// For an answer, beyond a wait that was asked for.
pub const ANSWER: Duration = Duration::from_secs(30);

/// For the next byte of a file, in either direction.
pub const TRANSFER_IDLE: Duration = Duration::from_secs(60);
