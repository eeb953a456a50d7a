//! Reading a request: its path, its query, its body as JSON or as a file, and the range of bytes that it wants.

pub mod body;
pub mod path;
pub mod query;
pub mod range;
pub mod upload;
