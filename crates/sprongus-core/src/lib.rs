//! The rules of a durable run.
