//! What is done to an installation as a whole: set it up, check it, copy it.

pub mod backup;
pub mod completions;
pub mod doctor;
pub mod init;
pub mod login;
pub mod man;
pub mod migrate;
