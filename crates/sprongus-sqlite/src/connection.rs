//! The connections to the file, and what others do with it.

pub(crate) mod file_guard;
pub(crate) mod readers;
pub(crate) mod wake;
pub(crate) mod writer;
