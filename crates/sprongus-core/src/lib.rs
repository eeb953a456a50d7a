//! The rules of a durable run.

pub mod json;
pub mod redact;
pub mod secrets;
pub mod text;
